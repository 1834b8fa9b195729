//! A server, and clients in minted sessions.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kabar_sandbox::multi_device::{MintedSession, MultiDevice, MultiDeviceConfig};
use tokio::sync::watch;
use wacore::store::InMemoryBackend;
use wacore::store::traits::Backend;
use whatsapp_rust::anyhow;
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::prelude::*;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;

/// Longest wait for anything; generous, since tests share two cores with builds.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub const ALICE: &str = "6281200000001";
pub const BOB: &str = "6281200000002";
pub const CAROL: &str = "6281200000003";

pub async fn server() -> MultiDevice {
    MultiDevice::start(MultiDeviceConfig::default()).await.unwrap()
}

/// An HTTP client; the process needs a crypto provider for it even without TLS.
pub fn http_client() -> reqwest::Client {
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub fn pn(number: &str) -> Jid {
    Jid::pn(number)
}

/// Rewrites `https://` of the media hosts to the server's plain HTTP.
struct Media {
    https: String,
    http: String,
    client: reqwest::Client,
}

#[async_trait]
impl HttpClient for Media {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let Some(path) = request.url.strip_prefix(&self.https) else {
            anyhow::bail!("not the sandbox: {}", request.url);
        };
        let method = reqwest::Method::from_bytes(request.method.as_bytes())?;
        let mut call = self.client.request(method, format!("{}{path}", self.http));
        for (name, value) in &request.headers {
            if !name.eq_ignore_ascii_case("host") && !name.eq_ignore_ascii_case("content-length") {
                call = call.header(name, value);
            }
        }
        let response = call.body(request.body.unwrap_or_default()).send().await?;
        let status_code = response.status().as_u16();
        Ok(HttpResponse { status_code, body: response.bytes().await?.to_vec() })
    }
}

/// Everything a client told its owner, in order.
pub struct Seen {
    events: Mutex<Vec<Arc<Event>>>,
    count: watch::Sender<usize>,
}

impl EventHandler for SeenHandler {
    fn handle_event(&self, event: Arc<Event>) {
        let mut events = self.0.events.lock().unwrap();
        events.push(event);
        self.0.count.send_replace(events.len());
    }
}

struct SeenHandler(Arc<Seen>);

pub struct Device {
    pub client: Arc<Client>,
    pub seen: Arc<Seen>,
    pub backend: Arc<InMemoryBackend>,
    pub number: String,
    pub id: u16,
    handle: Option<BotHandle>,
}

/// A client's store that holds a minted session.
pub async fn store(session: &MintedSession) -> Arc<InMemoryBackend> {
    let backend = Arc::new(InMemoryBackend::new());
    let store: Arc<dyn Backend> = backend.clone();
    for key in &session.prekeys {
        store.store_prekey(key.id, &key.to_record().unwrap(), true).await.unwrap();
    }
    store.save(&session.to_device().unwrap()).await.unwrap();
    backend
}

/// A connected client in a freshly minted session of this number.
pub async fn device(server: &MultiDevice, number: &str) -> Device {
    let device = unconnected(server, number).await;
    server.wait_online(number, device.id, PATIENCE).await.unwrap();
    device.client.wait_for_connected(PATIENCE).await.unwrap();
    device
}

/// The same, without waiting for the connection.
pub async fn unconnected(server: &MultiDevice, number: &str) -> Device {
    let session = server.mint(number).unwrap();
    let id = session.to_device().unwrap().pn.unwrap().device;
    let backend = store(&session).await;
    start(server, number, id, backend).await
}

pub async fn start(
    server: &MultiDevice,
    number: &str,
    id: u16,
    backend: Arc<InMemoryBackend>,
) -> Device {
    let seen = Arc::new(Seen { events: Mutex::default(), count: watch::Sender::new(0) });
    let http = server.media_url();
    let media = Media { https: http.replace("http://", "https://"), http, client: http_client() };
    let bot = Bot::builder()
        .with_backend_arc(backend.clone())
        .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(server.ws_url()))
        .with_http_client(media)
        .with_runtime(TokioRuntime)
        .with_version((2, 3000, 1_040_000_000))
        .skip_history_sync()
        .with_event_handler(SeenHandler(seen.clone()))
        .build()
        .await
        .unwrap();
    let handle = bot.spawn();
    Device {
        client: handle.client(),
        seen,
        backend,
        number: number.to_owned(),
        id,
        handle: Some(handle),
    }
}

impl Device {
    /// Waits for an event that yields something, from the start of the client's life.
    pub async fn wait<T>(&self, what: &str, find: impl Fn(&Event) -> Option<T>) -> T {
        let mut count = self.seen.count.subscribe();
        let search = async {
            loop {
                count.mark_unchanged();
                let found = self.seen.events.lock().unwrap().iter().find_map(|event| find(event));
                if let Some(found) = found {
                    return found;
                }
                count.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| {
            panic!("{} never saw {what}; it saw {:?}", self.number, self.names())
        })
    }

    fn names(&self) -> Vec<String> {
        let events = self.seen.events.lock().unwrap();
        events.iter().map(|event| format!("{event:?}").chars().take(300).collect()).collect()
    }

    /// Waits for a message that suits.
    pub async fn message(
        &self,
        what: &str,
        suits: impl Fn(&InboundMessage) -> bool,
    ) -> InboundMessage {
        self.wait(what, |event| match event {
            Event::Messages(batch) => batch.messages.iter().find(|it| suits(it)).cloned(),
            _ => None,
        })
        .await
    }

    pub async fn text(&self, body: &str) -> InboundMessage {
        self.message(body, |it| it.message.text_content() == Some(body)).await
    }

    /// How many messages with this text it was given.
    pub fn count_texts(&self, body: &str) -> usize {
        let events = self.seen.events.lock().unwrap();
        let batches = events.iter().filter_map(|event| match &**event {
            Event::Messages(batch) => Some(batch.messages.clone()),
            _ => None,
        });
        batches
            .flat_map(|messages| messages.to_vec())
            .filter(|it| it.message.text_content() == Some(body))
            .count()
    }

    /// Waits for the server's ack of a message: `Ok`, or the error code.
    pub async fn ack(&self, id: &str) -> Result<(), String> {
        self.wait("ack", |event| match event {
            Event::ServerAck(ack) if ack.id == id => Some(ack.error.clone().map_or(Ok(()), Err)),
            _ => None,
        })
        .await
    }

    /// Waits for a receipt of this kind for a message.
    pub async fn receipt(&self, id: &str, kind: &str) {
        self.wait(&format!("{kind} of {id}"), |event| match event {
            Event::Receipt(receipt)
                if receipt.message_ids.iter().any(|it| it == id)
                    && format!("{:?}", receipt.r#type) == kind =>
            {
                Some(())
            }
            _ => None,
        })
        .await;
    }

    /// Goes away properly; the store stays.
    pub async fn stop(mut self) -> Arc<InMemoryBackend> {
        if let Some(handle) = self.handle.take() {
            handle.shutdown().await;
        }
        self.backend.clone()
    }
}

impl Device {
    /// Whether such an event has come by now.
    pub fn has_seen<T>(&self, find: impl Fn(&Event) -> Option<T>) -> bool {
        self.seen.events.lock().unwrap().iter().any(|event| find(event).is_some())
    }

    /// Whether the server's ack of a message has come by now.
    pub fn seen_ack(&self, id: &str) -> bool {
        let events = self.seen.events.lock().unwrap();
        events.iter().any(|event| matches!(&**event, Event::ServerAck(ack) if ack.id == id))
    }
}
