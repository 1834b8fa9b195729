//! Whose a session is.

use std::sync::Arc;

use kabar_channel::Fence;
use kabar_core::{InstallationScope, Store, StoreError};
use kabar_devices::DevicesUse;

const SCOPE: InstallationScope = InstallationScope::system("sessions");

/// The leases of the installation, to be looked at. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Leases(pub(crate) Arc<dyn Store<dyn DevicesUse>>);

impl Leases {
    /// Whether nobody claimed the device since.
    pub(crate) async fn holds(&self, fence: Fence) -> Result<bool, StoreError> {
        let work = self.0.read().await?;
        let found = work.leases(SCOPE).of(&[fence.device]).await?;
        Ok(found.first().is_some_and(|lease| lease.fence == fence.token))
    }
}
