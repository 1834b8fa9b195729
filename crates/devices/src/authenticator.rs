//! From the text of a bearer credential to a principal.

use std::sync::Arc;

use kabar_accounts::credential::{self, DEVICE_TOKEN};
use kabar_accounts::{AuthError, KeyAuthenticator};
use kabar_core::{DeviceId, InstallationScope, Principal, Store};

use crate::repo::DevicesUse;

const SCOPE: InstallationScope = InstallationScope::system("authentication");

/// Lets the holders of API keys and device tokens in.
#[derive(Clone)]
pub struct Authenticator {
    keys: KeyAuthenticator,
    devices: Arc<dyn Store<dyn DevicesUse>>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

impl Authenticator {
    /// An authenticator of keys and of the device tokens in a store.
    pub fn new(keys: KeyAuthenticator, devices: Arc<dyn Store<dyn DevicesUse>>) -> Self {
        Self { keys, devices }
    }

    /// The principal behind an API key (`kbr_…`) or a device token (`kbd_…`).
    ///
    /// # Errors
    /// [`AuthError::Unauthorized`] whatever is wrong with it: unknown, revoked, expired, of a
    /// removed device, of an inactive account, or no credential at all.
    pub async fn authenticate(&self, bearer: &str) -> Result<Principal, AuthError> {
        match credential::read(DEVICE_TOKEN, bearer) {
            None => self.keys.authenticate(bearer).await,
            Some((id, hash)) => {
                let work = self.devices.read().await?;
                let mut registry = work.device_registry(SCOPE);
                let device = registry.by_token(DeviceId::from(id), hash.bytes()).await?;
                let device = device.ok_or(AuthError::Unauthorized)?;
                Ok(Principal::device(device.account, device.id))
            }
        }
    }

    /// Returns when every use seen so far is noted; for a stop in good order.
    pub async fn settled(&self) {
        self.keys.settled().await;
    }
}
