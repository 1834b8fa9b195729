//! How cost grows: large broadcasts, imports and backlogs, on both databases.
//!
//! `cargo bench -p kabar --bench scale` prints a table. `KABAR_TEST_POSTGRES` adds PostgreSQL,
//! `BENCH_ONLY` runs the parts whose name holds this text, `BENCH_ROWS` (100000) says how many
//! recipients, rows and events there are, `BENCH_WAITING` (1000000) how long the longest backlog is.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench that cannot be set up is no bench"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use kabar::Platform;
use kabar::channel::{
    Accepted, Capabilities, Channel, ChannelKind, ChannelPorts, Content, DeviceLink, Outgoing,
    Prepared, SendError,
};
use kabar::contacts::import::{ImportOptions, NewImport};
use kabar::core::{AccountId, DeviceId, Store};
use kabar::devices::{DeviceSettings, Registration};
use kabar::events::{EventsWork, Fact, NewEvent};
use kabar::messaging::broadcast::{
    Addressee, BroadcastMessage, NewBroadcast, NewRecipient, Plan, Start,
};
use kabar::messaging::{NewMessage, To};
use kabar::outbound::{AllowList, OutboundSettings};
use kabar::webhooks::{EndpointSettings, NewEndpoint};
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::accounts::{grant, new_account, provider};

const CHANNEL: &str = "void";

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn wanted(name: &str) -> bool {
    std::env::var("BENCH_ONLY").map_or(true, |only| name.contains(&only))
}

/// Takes everything at once.
struct Void;

#[async_trait]
impl Channel for Void {
    fn kind(&self) -> ChannelKind {
        ChannelKind::new(CHANNEL)
    }

    fn capabilities(&self, _: &DeviceLink) -> Capabilities {
        Capabilities { in_flight: 256, ..Capabilities::text_only() }
    }

    async fn prepare(&self, _: &DeviceLink, message: &Outgoing) -> Result<Prepared, SendError> {
        Prepared::of(&message.content)
    }

    async fn transmit(
        &self,
        _: &DeviceLink,
        message: &Outgoing,
        _: &Prepared,
    ) -> Result<Accepted, SendError> {
        Ok(Accepted::new(message.id.to_string()))
    }
}

struct Town {
    kind: &'static str,
    platform: Platform,
    account: AccountId,
    device: DeviceId,
    _folder: tempfile::TempDir,
}

impl Town {
    async fn new(database: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let allow = AllowList::parse(["127.0.0.1"]).unwrap();
        let platform = Platform::builder()
            .open_database(database.database.clone())
            .files(folder.path())
            .outbound(OutboundSettings { allow, ..OutboundSettings::default() })
            .channel(ChannelPorts::new(Arc::new(Void)))
            .build()
            .await
            .unwrap();
        let made = platform.accounts().create(provider(), new_account("Scale"), None).await;
        let account = made.unwrap().account.id;
        let new = Registration {
            settings: DeviceSettings {
                expire_seconds: 30 * 24 * 3600,
                ..DeviceSettings::default()
            },
            ..Registration::new("Scale", ChannelKind::new(CHANNEL), "1")
        };
        let device = platform.devices().register(&grant(account), new, None).await.unwrap();
        let kind = if database.is_postgres() { "postgres" } else { "sqlite" };
        Self { kind, platform, account, device: device.device.id, _folder: folder }
    }

    fn print(&self, what: &str, count: usize, took: Duration) {
        let rate = count as f64 / took.as_secs_f64();
        println!("{:8} {what:44} {:9.2} s {rate:10.0}/s", self.kind, took.as_secs_f64());
    }

    fn message(&self, n: usize) -> NewMessage {
        let phone = format!("+62812{n:09}").parse().unwrap();
        NewMessage::new(self.device, To::Phone(phone), Content::text("hello"))
    }

    async fn send(&self, messages: Vec<NewMessage>) {
        self.platform.messages().send_many(&grant(self.account), messages, None).await.unwrap();
    }

    /// From the outbox through the channel to `sent`.
    async fn dispatch(&self, count: usize) {
        for start in (0..count).step_by(1_000) {
            self.send((start..start + 1_000).map(|n| self.message(n)).collect()).await;
        }
        let begun = Instant::now();
        self.platform.drain().await.unwrap();
        self.print("dispatch", count, begun.elapsed());
    }

    /// What it takes to send one message while so many others wait for tomorrow, at the median.
    async fn claim(&self, most: usize) {
        let tomorrow = self.platform.clock().now() + Duration::from_hours(24);
        let (mut waiting, mut first) = (0, None);
        for backlog in [1_000, 100_000, 1_000_000].into_iter().filter(|backlog| *backlog <= most) {
            while waiting < backlog {
                let later = |n| NewMessage { due_at: Some(tomorrow), ..self.message(n) };
                self.send((waiting..waiting + 1_000).map(later).collect()).await;
                waiting += 1_000;
            }
            let mut times = Vec::new();
            for turn in 0..200 {
                self.send(vec![self.message(10_000_000 + backlog + turn)]).await;
                let begun = Instant::now();
                self.platform.drain().await.unwrap();
                times.push(begun.elapsed());
            }
            times.sort_unstable();
            let median = times.get(times.len() / 2).copied().unwrap();
            let ratio = median.as_secs_f64() / first.get_or_insert(median).as_secs_f64();
            let what = format!("one message out, {backlog} waiting");
            let millis = median.as_secs_f64() * 1_000.0;
            println!("{:8} {what:44} {millis:9.2} ms {ratio:9.2}x", self.kind);
        }
    }

    /// Entering, checking and enqueueing the recipients of a broadcast.
    async fn broadcast(&self, count: usize) {
        let broadcasts = self.platform.broadcasts();
        let plan = Plan::new(BroadcastMessage::Content(Content::text("offer")), self.device);
        let new = NewBroadcast { name: "Scale".into(), plan, recipients: vec![], start: Start::No };
        let made = broadcasts.create(&grant(self.account), new, None).await.unwrap();
        let id = made.broadcast.id;
        let begun = Instant::now();
        for start in (0..count).step_by(10_000) {
            let to = |n| Addressee::Number(format!("+62811{n:09}"));
            let some: Vec<NewRecipient> = (start..start + 10_000)
                .map(|n| NewRecipient { to: to(n), variables: BTreeMap::new() })
                .collect();
            broadcasts.add_recipients(&grant(self.account), id, &some, None).await.unwrap();
        }
        self.print("broadcast: recipients entered", count, begun.elapsed());
        let begun = Instant::now();
        broadcasts.prepare(&grant(self.account), id).await.unwrap();
        self.platform.drain().await.unwrap();
        self.print("broadcast: recipients checked", count, begun.elapsed());
        let begun = Instant::now();
        broadcasts.start(&grant(self.account), id).await.unwrap();
        self.platform.drain().await.unwrap();
        // A device has a thousand of them in its lines, and gets more once a second.
        self.print("broadcast: first 1,000 enqueued and sent", 1_000, begun.elapsed());
    }

    async fn import(&self, count: usize) {
        let lines = (0..count).map(|row| format!("+62813{row:07},Name {row},City {}", row % 10));
        let head = std::iter::once("phone,name,city".to_owned());
        let file = head.chain(lines).collect::<Vec<_>>().join("\n");
        let (imports, may) = (self.platform.imports(), grant(self.account));
        let new = NewImport {
            bytes: file.into(),
            filename: Some("contacts.csv".to_owned()),
            country: None,
            options: ImportOptions::default(),
        };
        let begun = Instant::now();
        let import = imports.start(&may, new, None).await.unwrap();
        self.platform.drain().await.unwrap();
        self.print("import: read and checked", count, begun.elapsed());
        let begun = Instant::now();
        imports.confirm(&may, import.id).await.unwrap();
        self.platform.drain().await.unwrap();
        self.print("import: carried out", count, begun.elapsed());
    }

    /// A backlog of events to one endpoint on this machine, each signed and noted as delivered.
    async fn webhooks(&self, count: usize) {
        let got = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let counter = Arc::clone(&got);
        let take = move || {
            let counter = Arc::clone(&counter);
            async move {
                counter.fetch_add(1, Ordering::Relaxed);
                axum::http::StatusCode::NO_CONTENT
            }
        };
        let router = axum::Router::new().route("/", axum::routing::post(take));
        let receiver = tokio::spawn(async move { axum::serve(listener, router).await });
        let mut settings = EndpointSettings::new(url, vec!["contact.*".parse().unwrap()]);
        settings.concurrency = 32;
        let new = NewEndpoint { settings, secret: None };
        self.platform.webhooks().create(&grant(self.account), new, None).await.unwrap();
        for _ in 0..count / 500 {
            self.append(500).await;
        }
        let begun = Instant::now();
        let running = self.platform.start();
        while got.load(Ordering::Relaxed) < count / 500 * 500 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.print("webhooks delivered", count, begun.elapsed());
        running.stop().await;
        receiver.abort();
    }

    async fn append(&self, count: usize) {
        let at = self.platform.clock().now();
        let event = |_| NewEvent {
            account: self.account,
            at,
            fact: Fact::ContactChanged { contact_id: uuid::Uuid::now_v7().into() },
        };
        let store: &dyn Store<dyn EventsWork> = self.platform.database();
        let work = store.begin().await.unwrap();
        work.events().append(&(0..count).map(event).collect::<Vec<_>>()).await.unwrap();
        work.commit().await.unwrap();
    }
}

async fn part(name: &'static str, database: TestDatabase) {
    let town = Town::new(&database).await;
    let rows = number("BENCH_ROWS", 100_000);
    match name {
        "dispatch" => town.dispatch(rows / 10).await,
        "claim" => town.claim(number("BENCH_WAITING", 1_000_000)).await,
        "broadcast" => town.broadcast(rows).await,
        "import" => town.import(rows).await,
        _ => town.webhooks(rows / 5).await,
    }
    town.platform.database().close().await;
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    for name in ["dispatch", "broadcast", "import", "webhooks", "claim"] {
        if wanted(name) {
            each_database(move |database| part(name, database)).await;
        }
    }
}
