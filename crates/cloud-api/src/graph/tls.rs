//! The HTTP client below: ring as crypto provider, the platform's trust anchors or Mozilla's.

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, redirect};

use super::{GraphConfig, GraphError};

/// A program that installed its own provider keeps it.
fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race to another thread is as good as winning it.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

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

/// A client that trusts what the platform trusts, or, in a container without certificates,
/// Mozilla's root programme.
pub(super) fn client(config: &GraphConfig) -> Result<Client, GraphError> {
    install_provider();
    builder(config).build().or_else(|platform| {
        tracing::debug!(%platform, "no trust anchors on this platform; using the built-in ones");
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .filter_map(|root| Certificate::from_der(root).ok());
        builder(config)
            .tls_certs_only(roots)
            .build()
            .map_err(|error| GraphError::Config(error.to_string()))
    })
}
