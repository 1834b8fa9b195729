//! Whose a session is.

use std::sync::Arc;

use kabar_channel::Fence;
use kabar_core::{InstallationScope, Secret, Store, StoreError};
use kabar_devices::DevicesUse;

const SCOPE: InstallationScope = InstallationScope::system("sessions");

/// The leases of the installation, to be looked at. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Leases(pub(crate) Arc<dyn Store<dyn DevicesUse>>);

/// Whether a session is still run by whoever asks.
pub(crate) enum Hold {
    /// Somebody claimed its device since.
    Lost,
    /// It is.
    Kept {
        /// The proxy that its tenant named.
        proxy: Option<Secret>,
    },
}

impl Leases {
    /// Whether nobody claimed the device since, and the proxy that it goes through.
    pub(crate) async fn hold(&self, fence: Fence) -> Result<Hold, StoreError> {
        let work = self.0.read().await?;
        let found = work.leases(SCOPE).of(&[fence.device]).await?;
        if found.first().is_none_or(|lease| lease.fence != fence.token) {
            return Ok(Hold::Lost);
        }
        let device = work.device_registry(SCOPE).by_ids(&[fence.device]).await?.pop();
        Ok(Hold::Kept { proxy: device.and_then(|device| device.proxy) })
    }
}
