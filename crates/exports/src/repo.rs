//! What storage does for exports.

use async_trait::async_trait;
use kabar_core::{
    ExportId, InstallationScope, Page, PageRequest, Scope, StoreError, Timestamp, Work,
};
use kabar_jobs::JobsWork;

use crate::export::Export;

/// A unit of work with exports.
pub trait ExportsWork: Work {
    /// A tenant's exports.
    fn exports(&self, scope: Scope) -> Box<dyn ExportRepo + '_>;

    /// The exports of the installation.
    fn export_registry(&self, scope: InstallationScope) -> Box<dyn ExportRegistry + '_>;
}

/// What a use case of exports needs.
pub trait ExportsUse: ExportsWork + JobsWork {}
impl<T: ExportsWork + JobsWork + ?Sized> ExportsUse for T {}

/// A tenant's exports.
#[async_trait]
pub trait ExportRepo: Send {
    /// Stores a new export.
    async fn insert(&mut self, export: &Export) -> Result<(), StoreError>;

    /// An export of any kind.
    async fn get(&mut self, id: ExportId) -> Result<Option<Export>, StoreError>;

    /// Exports of a kind, newest first.
    async fn list(&mut self, kind: &str, page: PageRequest) -> Result<Page<Export>, StoreError>;

    /// Stores everything that changes while an export is written, but `cancelled`, if it still has
    /// `parts` parts. `false` when somebody else wrote on.
    async fn save(&mut self, export: &Export, parts: u32) -> Result<bool, StoreError>;

    /// Notes that somebody wants it gone. `false` if there is no such export.
    async fn cancel(&mut self, id: ExportId, at: Timestamp) -> Result<bool, StoreError>;
}

/// The exports of the installation.
#[async_trait]
pub trait ExportRegistry: Send {
    /// At most `limit` exports whose files were kept long enough.
    async fn expired(&mut self, now: Timestamp, limit: u16) -> Result<Vec<Export>, StoreError>;
}
