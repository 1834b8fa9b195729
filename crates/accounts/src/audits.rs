//! Reading the audit log.

use std::sync::Arc;

use kabar_core::permission::ReadAudit;
use kabar_core::{Grant, InstallationScope, Page, PageRequest, Store, StoreError};

use crate::audit::{AuditWork, StoredAudit};

/// The audit log, for those who may read it.
#[derive(Clone)]
pub struct Audits {
    store: Arc<dyn Store<dyn AuditWork>>,
}

impl std::fmt::Debug for Audits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audits").finish_non_exhaustive()
    }
}

impl Audits {
    /// The audit log in a store.
    pub fn new(store: Arc<dyn Store<dyn AuditWork>>) -> Self {
        Self { store }
    }

    /// A tenant's entries, newest first.
    ///
    /// # Errors
    /// What storage says.
    pub async fn list(
        &self,
        grant: &Grant<ReadAudit>,
        page: PageRequest,
    ) -> Result<Page<StoredAudit>, StoreError> {
        let work = self.store.read().await?;
        work.audit().list(grant.scope(), page).await
    }

    /// The entries of the installation itself, newest first. The scope comes from
    /// `grant_installation::<ReadAudit>`.
    ///
    /// # Errors
    /// What storage says.
    pub async fn list_installation(
        &self,
        scope: InstallationScope,
        page: PageRequest,
    ) -> Result<Page<StoredAudit>, StoreError> {
        let work = self.store.read().await?;
        work.audit().list_installation(scope, page).await
    }
}
