//! Pairing by QR code and by pair code, and logging in afterwards. Loopback only.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kabar_sandbox::multi_device::{
    Addressing, MultiDevice, MultiDeviceConfig, Pattern, VirtualPhone,
};
use tokio::net::TcpStream;
use tokio::sync::watch;
use wacore::net::{Transport, TransportEvent, TransportFactory};
use wacore::store::InMemoryBackend;
use wacore_binary::Jid;
use whatsapp_rust::anyhow;
use whatsapp_rust::async_channel;
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::prelude::*;
use whatsapp_rust::transport::from_websocket;

const PATIENCE: Duration = Duration::from_secs(60);
const ALICE: &str = "6281200000001";
const BOB: &str = "6281200000002";

/// Connects to loopback and nowhere else: this build trusts any server.
struct Loopback(String);

#[async_trait]
impl TransportFactory for Loopback {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>)> {
        let address = self.0.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = TcpStream::connect(address).await?;
        assert!(stream.peer_addr()?.ip().is_loopback(), "not loopback");
        let (socket, _) =
            tokio_websockets::ClientBuilder::new().uri(&self.0)?.connect_on(stream).await?;
        Ok(from_websocket(socket))
    }
}

struct NoMedia;

#[async_trait]
impl HttpClient for NoMedia {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        anyhow::bail!("no HTTP here: {}", request.url)
    }
}

struct Seen {
    events: Mutex<Vec<Arc<Event>>>,
    count: watch::Sender<usize>,
}

struct Handler(Arc<Seen>);

impl EventHandler for Handler {
    fn handle_event(&self, event: Arc<Event>) {
        let mut events = self.0.events.lock().unwrap();
        events.push(event);
        self.0.count.send_replace(events.len());
    }
}

struct Device {
    client: Arc<Client>,
    seen: Arc<Seen>,
    handle: BotHandle,
}

async fn fresh(
    server: &MultiDevice,
    backend: &Arc<InMemoryBackend>,
    pair_code: Option<&str>,
) -> Device {
    let seen = Arc::new(Seen { events: Mutex::default(), count: watch::Sender::new(0) });
    let mut bot = Bot::builder()
        .with_backend_arc(backend.clone())
        .with_transport_factory(Loopback(server.ws_url()))
        .with_http_client(NoMedia)
        .with_runtime(TokioRuntime)
        .with_version((2, 3000, 1_040_000_000))
        .with_wanted_pre_key_count(50)
        .skip_history_sync()
        .with_event_handler(Handler(seen.clone()));
    if let Some(number) = pair_code {
        let number = number.to_owned();
        bot = bot.with_pair_code(PairCodeOptions { phone_number: number, ..Default::default() });
    }
    let handle = bot.build().await.unwrap().spawn();
    Device { client: handle.client(), seen, handle }
}

impl Device {
    async fn wait<T>(&self, what: &str, find: impl Fn(&Event) -> Option<T>) -> T {
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
        match tokio::time::timeout(PATIENCE, search).await {
            Ok(found) => found,
            Err(_) => panic!("never saw {what}: {:?}", self.seen.events.lock().unwrap()),
        }
    }

    async fn qr(&self) -> String {
        self.wait("a QR code", |event| match event {
            Event::PairingQrCode(qr) => Some(qr.code.to_string()),
            _ => None,
        })
        .await
    }

    async fn text(&self, body: &str) {
        self.wait(body, |event| match event {
            Event::Messages(batch) => {
                batch.messages.iter().find(|it| it.message.text_content() == Some(body)).map(|_| ())
            }
            _ => None,
        })
        .await;
    }
}

/// Writes both ways.
async fn talks(device: &Device, other: &VirtualPhone) {
    device.client.send_text(Jid::pn(BOB), "from the companion").await.unwrap();
    let got = other.wait_for_text("from the companion", PATIENCE).await.unwrap();
    assert_eq!((got.sender.as_str(), got.arrivals), (ALICE, 1));
    other.text(ALICE, "to the companion").unwrap();
    device.text("to the companion").await;
    assert!(other.failures().is_empty(), "{:?}", other.failures());
}

async fn pair_by_qr_and_log_in_again(config: MultiDeviceConfig) {
    let server = MultiDevice::start(config).await.unwrap();
    let alice = server.phone(ALICE).unwrap();
    let bob = server.phone(BOB).unwrap();
    let backend = Arc::new(InMemoryBackend::new());

    let device = fresh(&server, &backend, None).await;
    let id = alice.scan(&device.qr().await).unwrap();
    device.wait("pair success", |it| matches!(it, Event::PairSuccess(_)).then_some(())).await;
    server.wait_online(ALICE, id, PATIENCE).await.unwrap();
    device.client.wait_for_connected(PATIENCE).await.unwrap();
    assert_eq!(server.connections()[0].pattern, Pattern::Xx, "the first login is a full one");
    talks(&device, &bob).await;
    device.handle.shutdown().await;

    let device = fresh(&server, &backend, None).await;
    server.wait_online(ALICE, id, PATIENCE).await.unwrap();
    device.client.wait_for_connected(PATIENCE).await.unwrap();
    assert_eq!(server.connections()[0].pattern, Pattern::Ik, "the server's key is known now");
    bob.text(ALICE, "again").unwrap();
    device.text("again").await;
    assert_eq!(server.unhandled(), []);
    device.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_qr_code() {
    pair_by_qr_and_log_in_again(MultiDeviceConfig::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_qr_code_with_an_account_of_lids() {
    let config = MultiDeviceConfig { addressing: Addressing::Lid, ..Default::default() };
    pair_by_qr_and_log_in_again(config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_pair_code() {
    let server = MultiDevice::start(MultiDeviceConfig::default()).await.unwrap();
    let alice = server.phone(ALICE).unwrap();
    let bob = server.phone(BOB).unwrap();
    let backend = Arc::new(InMemoryBackend::new());
    let device = fresh(&server, &backend, Some(ALICE)).await;
    let code = device
        .wait("a pair code", |event| match event {
            Event::PairingCode(code) => Some(code.code.to_string()),
            _ => None,
        })
        .await;
    alice.enter_code(&code).unwrap();
    device.wait("pair success", |it| matches!(it, Event::PairSuccess(_)).then_some(())).await;
    server.wait_online(ALICE, 1, PATIENCE).await.unwrap();
    device.client.wait_for_connected(PATIENCE).await.unwrap();
    talks(&device, &bob).await;
    device.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_nobody_is_refused() {
    let server = MultiDevice::start(MultiDeviceConfig::default()).await.unwrap();
    let alice = server.phone(ALICE).unwrap();
    assert!(alice.scan("2@unknown,AAAA,AAAA,AAAA,1").is_err());
    assert!(alice.scan("hello").is_err());
    assert!(alice.enter_code("ABCD-EFGH").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_pairs_logs_out_and_pairs_again() {
    let server = MultiDevice::start(MultiDeviceConfig::default()).await.unwrap();
    let alice = server.phone(ALICE).unwrap();
    let bob = server.phone(BOB).unwrap();
    let first = fresh(&server, &Arc::new(InMemoryBackend::new()), None).await;
    let id = alice.scan(&first.qr().await).unwrap();
    server.wait_online(ALICE, id, PATIENCE).await.unwrap();
    alice.log_out(id).unwrap();
    first.wait("logged out", |it| matches!(it, Event::LoggedOut(_)).then_some(())).await;
    first.handle.shutdown().await;

    let second = fresh(&server, &Arc::new(InMemoryBackend::new()), None).await;
    let again = alice.scan(&second.qr().await).unwrap();
    assert_ne!(id, again, "device ids are not used twice");
    server.wait_online(ALICE, again, PATIENCE).await.unwrap();
    second.client.wait_for_connected(PATIENCE).await.unwrap();
    talks(&second, &bob).await;
    second.handle.shutdown().await;
}
