//! HTTP clients with ring as crypto provider, and the platform's trust anchors or Mozilla's.

use reqwest::{Certificate, Client, ClientBuilder};

/// A program that installed its own provider keeps it.
fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race to another thread is as good as winning it.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// A client that trusts what the platform trusts, or, in a container without certificates,
/// Mozilla's root programme. `builder` may be called twice.
///
/// # Errors
/// When no client can be made at all.
pub fn client(builder: impl Fn() -> ClientBuilder) -> Result<Client, reqwest::Error> {
    install_provider();
    builder().build().or_else(|platform| {
        tracing::debug!(%platform, "no trust anchors on this platform; using the built-in ones");
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .filter_map(|root| Certificate::from_der(root).ok());
        builder().tls_certs_only(roots).build()
    })
}
