//! The way of one session to WhatsApp: straight, or through the proxy that its tenant names.

use kabar_channel::Fence;
use kabar_core::{ExposeSecret as _, Secret};
use kabar_outbound::{Proxies, ProxyAddress, ProxyError};
use reqwest::Proxy;

use crate::leases::{Hold, Leases};

/// Why a session cannot connect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    /// Somebody else runs the session by now.
    #[error("the session runs elsewhere")]
    Elsewhere,
    /// Its proxy cannot be used.
    #[error("its proxy {0}")]
    Proxy(#[from] ProxyError),
    /// Storage does not answer.
    #[error(transparent)]
    Store(#[from] kabar_core::StoreError),
}

/// The way of one session. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) leases: Leases,
    pub(crate) proxies: Proxies,
    pub(crate) fence: Fence,
}

impl Route {
    /// The proxy to go through now, looked up and checked now. Whose the session is is looked up with it.
    pub(crate) async fn proxy(&self) -> Result<Option<Proxy>, RouteError> {
        match self.leases.hold(self.fence).await? {
            Hold::Lost => Err(RouteError::Elsewhere),
            Hold::Kept { proxy: None } => Ok(None),
            Hold::Kept { proxy: Some(proxy) } => Ok(Some(self.open(&proxy).await?)),
        }
    }

    async fn open(&self, proxy: &Secret) -> Result<Proxy, ProxyError> {
        self.proxies.open(&ProxyAddress::parse(proxy.expose_secret())?).await
    }
}
