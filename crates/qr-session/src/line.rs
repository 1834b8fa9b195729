//! Websockets, dialled over one HTTP client for the process.
//!
//! The client brings what every connection needs: names, proxies, TLS with one set of trust anchors for
//! all sessions. The websocket takes its connection over after the handshake (RFC 6455, section 4).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kabar_core::IdSource;
use reqwest::header;
use reqwest::{Client, ClientBuilder, Proxy, Response, StatusCode, Url, Version};
use sha1::{Digest as _, Sha1};
use wacore::net::{Transport, TransportEvent, WHATSAPP_WEB_ORIGIN, WHATSAPP_WEB_WS_URL};
use whatsapp_rust::anyhow::{self, Context as _, ensure};
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust::transport::from_websocket;

use crate::settings::QrSettings;

/// How long the server may take to answer the handshake, the connection included: it does within a
/// second or two; a dead line would hold a place in the gate.
const SHAKEN_WITHIN: Duration = Duration::from_secs(20);
/// What a server appends to the key before it hashes it (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Where websockets are dialled. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Line {
    /// For those that go straight.
    client: Client,
    url: Url,
    loopback_only: bool,
    ids: Arc<dyn IdSource>,
}

/// The line cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The address is none of a websocket.
    #[error("`{0}` is not the address of a websocket; write it like wss://host/path")]
    Address(String),
    /// The HTTP client cannot be made.
    #[error("the HTTP client of websockets cannot be made")]
    Client(#[from] reqwest::Error),
}

impl Line {
    pub(crate) fn new(settings: &QrSettings, ids: Arc<dyn IdSource>) -> Result<Self, LineError> {
        let text = settings.url.as_deref().unwrap_or(WHATSAPP_WEB_WS_URL);
        let address = || LineError::Address(text.to_owned());
        let url = match text.split_once("://").ok_or_else(address)? {
            ("wss", rest) => format!("https://{rest}"),
            ("ws", rest) => format!("http://{rest}"),
            _ => return Err(address()),
        };
        let url = url.parse().map_err(|_| address())?;
        let client = kabar_outbound::tls::client(builder)?;
        Ok(Self { client, url, loopback_only: settings.loopback_only, ids })
    }

    /// Dials, through a proxy if there is one.
    pub(crate) async fn dial(
        &self,
        proxy: Option<Proxy>,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let mut key = [0; 16];
        self.ids.fill(&mut key);
        let key = STANDARD.encode(key);
        let client = match proxy {
            Some(proxy) => kabar_outbound::tls::client(|| builder().proxy(proxy.clone()))?,
            None => self.client.clone(),
        };
        let asked = client
            .get(self.url.clone())
            .version(Version::HTTP_11)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key)
            .header(header::ORIGIN, WHATSAPP_WEB_ORIGIN);
        let answer = tokio::time::timeout(SHAKEN_WITHIN, asked.send()).await;
        let answer = answer.context("the server did not answer the handshake in time")??;
        self.check(&answer, &key)?;
        let stream = answer.upgrade().await?;
        Ok(from_websocket(tokio_websockets::ClientBuilder::new().take_over(stream)))
    }

    fn check(&self, answer: &Response, key: &str) -> anyhow::Result<()> {
        let loopback = || answer.remote_addr().is_some_and(|peer| peer.ip().is_loopback());
        ensure!(
            !self.loopback_only || loopback(),
            "connected to another machine; only this one may"
        );
        let status = answer.status();
        ensure!(status == StatusCode::SWITCHING_PROTOCOLS, "the server answered {status}");
        let accepted = answer.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        let accepted =
            accepted.is_some_and(|accepted| accepted.as_bytes() == accept(key).as_bytes());
        ensure!(accepted, "the server did not answer the handshake as a websocket");
        Ok(())
    }
}

fn builder() -> ClientBuilder {
    let none = reqwest::redirect::Policy::none();
    // A websocket begins as HTTP 1.1 and keeps its connection.
    Client::builder().http1_only().pool_max_idle_per_host(0).redirect(none)
}

/// What a server answers to a key.
fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

#[cfg(test)]
mod tests {
    use kabar_core::SystemIds;

    use super::*;

    #[test]
    fn the_answer_to_a_key_is_the_one_of_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn an_address_of_something_else_is_refused() {
        for url in ["https://web.whatsapp.com/ws", "web.whatsapp.com", "ws://"] {
            let settings = QrSettings { url: Some(url.to_owned()), ..QrSettings::default() };
            assert!(Line::new(&settings, Arc::new(SystemIds::default())).is_err(), "{url}");
        }
        assert!(Line::new(&QrSettings::default(), Arc::new(SystemIds::default())).is_ok());
    }
}
