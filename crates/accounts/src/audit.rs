//! The audit log: who changed what. Written in the unit of work of the change.

use async_trait::async_trait;
use kabar_core::principal::Actor;
use kabar_core::{
    AccountId, AuditId, InstallationScope, Page, PageRequest, Scope, StoreError, Timestamp, Work,
};
use serde_json::Value;

/// A change to write down.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// The tenant; `None` for the installation itself.
    pub account: Option<AccountId>,
    /// Who did it.
    pub actor: Actor,
    /// What was done, `entity.verb`.
    pub action: &'static str,
    /// The id of what it was done to.
    pub subject: Option<String>,
    /// Facts about it; never secrets, numbers or texts of messages.
    pub detail: Value,
    /// When.
    pub at: Timestamp,
}

/// An entry as it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAudit {
    /// Its id.
    pub id: AuditId,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The id of what it was done to.
    pub subject: Option<String>,
    /// Facts about it.
    pub detail: Value,
    /// When.
    pub at: Timestamp,
}

/// A unit of work that can write the audit log.
pub trait AuditWork: Work {
    /// The log.
    fn audit(&self) -> Box<dyn AuditLog + '_>;
}

/// The log.
#[async_trait]
pub trait AuditLog: Send {
    /// Writes entries down.
    async fn write(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError>;

    /// A tenant's entries, newest first.
    async fn list(
        &mut self,
        scope: Scope,
        page: PageRequest,
    ) -> Result<Page<StoredAudit>, StoreError>;

    /// The entries of the installation itself, newest first.
    async fn list_installation(
        &mut self,
        scope: InstallationScope,
        page: PageRequest,
    ) -> Result<Page<StoredAudit>, StoreError>;
}
