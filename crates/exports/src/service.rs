//! What a tenant does with exports.

use std::sync::Arc;

use bytes::Bytes;
use kabar_core::work::OnceError;
use kabar_core::{
    BlobError, BlobStore, Clock, ExportId, Grant, IdSource, InstallationScope, Once, Page,
    PageRequest, Scope, Store, StoreError, Topic, Wake,
};
use kabar_jobs::NewJob;
use serde_json::Value;

use crate::export::{Export, ExportState, Format, Kind};
use crate::job::EXPORT_JOB;
use crate::repo::ExportsUse;

/// Files that one look for expired ones removes.
const PRUNE: u16 = 100;

/// Why an export cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// There is no such export.
    #[error("no such export")]
    NotFound,
    /// It has no file.
    #[error("the export is {0}; its file is there while it is done")]
    NoFile(ExportState),
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// The file store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An export to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExport {
    /// The form of the file.
    pub format: Format,
    /// The file's name, without its ending.
    pub name: String,
    /// Which rows: what the kind's source understands.
    pub params: Value,
}

/// Exports of tenants.
#[derive(Clone)]
pub struct Exports {
    store: Arc<dyn Store<dyn ExportsUse>>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
}

impl Exports {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn ExportsUse>>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, blobs, clock, ids, wake }
    }

    /// Begins an export; a job writes it. It holds rows of the whole account, so a device's token
    /// finds none.
    ///
    /// # Errors
    /// [`ExportError::NotFound`] for a device's token, [`ExportError::Once`], [`ExportError::Store`].
    pub async fn start<K: Kind>(
        &self,
        grant: &Grant<K::Needs>,
        new: NewExport,
        once: Option<&Once>,
    ) -> Result<Export, ExportError> {
        account_wide(grant.scope())?;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<ExportId>(&*work).await?
        {
            return one::<K>(&*work, grant.scope(), id).await;
        }
        let export = self.export::<K>(grant.scope(), new);
        work.exports(grant.scope()).insert(&export).await?;
        let job = NewJob {
            id: self.ids.id(),
            name: EXPORT_JOB,
            account: Some(export.account),
            order: None,
            payload: serde_json::json!({ "export_id": export.id }),
            due_at: export.created_at,
        };
        work.jobs().enqueue(&[job]).await?;
        if let Some(once) = once {
            once.remember(&*work, &export.id, export.created_at).await?;
        }
        work.commit().await?;
        self.wake.wake(Topic::Jobs);
        Ok(export)
    }

    fn export<K: Kind>(&self, scope: Scope, new: NewExport) -> Export {
        let at = self.clock.now();
        Export {
            id: self.ids.id(),
            account: scope.account(),
            kind: K::NAME.to_owned(),
            format: new.format,
            filename: format!("{}.{}", new.name, new.format),
            params: new.params,
            state: ExportState::Pending,
            rows: 0,
            parts: 0,
            size: 0,
            position: None,
            cancelled: false,
            problem: None,
            actor: scope.actor().to_string(),
            created_at: at,
            updated_at: at,
            finished_at: None,
            expires_at: None,
        }
    }

    /// An export.
    ///
    /// # Errors
    /// [`ExportError::NotFound`].
    pub async fn get<K: Kind>(
        &self,
        grant: &Grant<K::Needs>,
        id: ExportId,
    ) -> Result<Export, ExportError> {
        let work = self.store.read().await?;
        one::<K>(&*work, grant.scope(), id).await
    }

    /// The tenant's exports of a kind, newest first.
    ///
    /// # Errors
    /// [`ExportError::Store`].
    pub async fn list<K: Kind>(
        &self,
        grant: &Grant<K::Needs>,
        page: PageRequest,
    ) -> Result<Page<Export>, ExportError> {
        account_wide(grant.scope())?;
        let work = self.store.read().await?;
        Ok(work.exports(grant.scope()).list(K::NAME, page).await?)
    }

    /// The file of an export, to be read part by part.
    ///
    /// # Errors
    /// [`ExportError::NotFound`], [`ExportError::NoFile`].
    pub async fn open<K: Kind>(
        &self,
        grant: &Grant<K::Needs>,
        id: ExportId,
    ) -> Result<ExportFile, ExportError> {
        let export = self.get::<K>(grant, id).await?;
        if export.state != ExportState::Done {
            return Err(ExportError::NoFile(export.state));
        }
        Ok(ExportFile { export, blobs: Arc::clone(&self.blobs), next: 0 })
    }

    /// Cancels an export that is being written, removes the file of one that is done.
    ///
    /// # Errors
    /// [`ExportError::NotFound`].
    pub async fn remove<K: Kind>(
        &self,
        grant: &Grant<K::Needs>,
        id: ExportId,
    ) -> Result<Export, ExportError> {
        let at = self.clock.now();
        let work = self.store.begin().await?;
        let export = one::<K>(&*work, grant.scope(), id).await?;
        work.exports(grant.scope()).cancel(id, at).await?;
        work.commit().await?;
        if export.state == ExportState::Done {
            self.drop_file(grant.scope(), export).await?;
        }
        self.get::<K>(grant, id).await
    }

    /// Removes files that were kept long enough; returns how many.
    ///
    /// # Errors
    /// [`ExportError::Blob`], [`ExportError::Store`].
    pub async fn prune(&self) -> Result<usize, ExportError> {
        let system = InstallationScope::system("exports");
        let mut pruned = 0;
        loop {
            let work = self.store.read().await?;
            let now = self.clock.now();
            let expired = work.export_registry(system).expired(now, PRUNE).await?;
            drop(work);
            if expired.is_empty() {
                return Ok(pruned);
            }
            for export in expired {
                self.drop_file(system.within(export.account), export).await?;
                pruned += 1;
            }
        }
    }

    async fn drop_file(&self, scope: Scope, mut export: Export) -> Result<(), ExportError> {
        // The bytes first: what is forgotten before it is gone stays for ever.
        remove_parts(&*self.blobs, &export).await?;
        let parts = export.parts;
        export.state = ExportState::Removed;
        export.parts = 0;
        export.expires_at = None;
        export.updated_at = self.clock.now();
        let work = self.store.begin().await?;
        work.exports(scope).save(&export, parts).await?;
        Ok(work.commit().await?)
    }
}

pub(crate) async fn remove_parts(blobs: &dyn BlobStore, export: &Export) -> Result<(), BlobError> {
    // One more than is noted: its job may have died between writing and noting.
    for part in 0..=export.parts {
        blobs.delete(&export.part_key(part)).await?;
    }
    Ok(())
}

/// An export holds rows of the whole account: whoever sees one device only sees none.
fn account_wide(scope: Scope) -> Result<(), ExportError> {
    if scope.device().is_some() { Err(ExportError::NotFound) } else { Ok(()) }
}

async fn one<K: Kind>(
    work: &(dyn ExportsUse + '_),
    scope: Scope,
    id: ExportId,
) -> Result<Export, ExportError> {
    account_wide(scope)?;
    let found = work.exports(scope).get(id).await?;
    found.filter(|export| export.kind == K::NAME).ok_or(ExportError::NotFound)
}

/// A finished file.
pub struct ExportFile {
    /// The export.
    pub export: Export,
    blobs: Arc<dyn BlobStore>,
    next: u32,
}

impl std::fmt::Debug for ExportFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ExportFile").field(&self.export.id).finish()
    }
}

impl ExportFile {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`ExportError::Blob`], [`ExportError::NoFile`] when it was removed meanwhile.
    pub async fn next_part(&mut self) -> Result<Option<Bytes>, ExportError> {
        if self.next >= self.export.parts {
            return Ok(None);
        }
        let bytes = self.blobs.get(&self.export.part_key(self.next)).await?;
        self.next += 1;
        bytes.map(Some).ok_or(ExportError::NoFile(ExportState::Removed))
    }
}
