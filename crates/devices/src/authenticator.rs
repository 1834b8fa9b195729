//! From the text of a bearer credential to a principal.

use std::net::IpAddr;
use std::sync::Arc;

use kabar_accounts::credential::{self, DEVICE_TOKEN};
use kabar_accounts::{Admitted, AuthError, KeyAuthenticator};
use kabar_core::{DeviceId, InstallationScope, Principal, Store};

use crate::repo::DevicesUse;

const SCOPE: InstallationScope = InstallationScope::system("authentication");

/// Lets the holders of access tokens, API keys and device tokens in.
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

    /// The principal behind a credential, from a network address that is not known.
    ///
    /// # Errors
    /// As [`Authenticator::admit`].
    pub async fn authenticate(&self, bearer: &str) -> Result<Principal, AuthError> {
        Ok(self.admit(bearer, None).await?.principal)
    }

    /// Who is behind an access token (`kbs_…`), an API key (`kbr_…`) or a device token (`kbd_…`),
    /// which came from a network address.
    ///
    /// # Errors
    /// [`AuthError::Unauthorized`] whatever is wrong with it: unknown, revoked, expired, of a
    /// removed device, of an inactive account, or no credential at all; [`AuthError::Elsewhere`]
    /// when it works, but not from there.
    pub async fn admit(&self, bearer: &str, from: Option<IpAddr>) -> Result<Admitted, AuthError> {
        match credential::read(DEVICE_TOKEN, bearer) {
            None => self.keys.admit(bearer, from).await,
            Some((id, hash)) => {
                let work = self.devices.read().await?;
                let mut registry = work.device_registry(SCOPE);
                let device = registry.by_token(DeviceId::from(id), hash.bytes()).await?;
                let device = device.ok_or(AuthError::Unauthorized)?;
                if !device.settings.allowed_addresses.allows(from) {
                    return Err(AuthError::Elsewhere);
                }
                Ok(Principal::device(device.account, device.id).into())
            }
        }
    }

    /// Returns when every use seen so far is noted; for a stop in good order.
    pub async fn settled(&self) {
        self.keys.settled().await;
    }
}
