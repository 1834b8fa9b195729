//! The HTTP client below.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect};

use super::{GraphConfig, GraphError};

/// Idle connections are dropped sooner than a server would: a request that meets a closing
/// connection leaves its outcome open.
const IDLE: Duration = Duration::from_secs(20);

fn builder(config: &GraphConfig) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("kabar/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(config.connect_timeout)
        .timeout(config.timeout)
        .pool_idle_timeout(IDLE)
        // A redirect would carry the token to an address that nobody configured.
        .redirect(redirect::Policy::none())
}

/// A client with the trust anchors that every call of ours has.
pub(super) fn client(config: &GraphConfig) -> Result<Client, GraphError> {
    kabar_outbound::tls::client(|| builder(config))
        .map_err(|error| GraphError::Config(error.to_string()))
}
