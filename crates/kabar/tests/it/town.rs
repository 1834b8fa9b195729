//! A platform, an offline WhatsApp, and a receiver of its webhooks between them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use chrono::TimeDelta;
use kabar::channel::Content;
use kabar::cloud_api::{GraphConfig, webhook};
use kabar::core::{
    AccountId, DeviceId, InstallationScope, MessageId, PageRequest, PhoneNumber, Secret, Store,
    Timestamp,
};
use kabar::devices::{DevicePatch, DeviceSettings, Registration};
use kabar::messaging::{
    Direction, DispatcherSettings, Message, MessageFilter, NewMessage, RoadWork, To,
};
use kabar::outbound::OutboundSettings;
use kabar::{Database, Platform};
use kabar_sandbox::{
    CustomerPatch, DEFAULT_APP_SECRET, DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN,
    DEFAULT_VERIFY_TOKEN, DEFAULT_WABA_ID, DelayRange, Inbound, Sandbox, SandboxConfig,
    SentMessage, Settings, WebhookConfig,
};
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::TestClock;
use kabar_testkit::accounts::{grant, new_account, provider};

/// The customer of most tests.
pub(crate) const CUSTOMER: &str = "6281234567890";
/// For how long a test waits for the sandbox.
const PATIENCE: Duration = Duration::from_mins(1);
/// For how long a send may take: sends that hang take no longer.
const TIMEOUT: Duration = Duration::from_secs(6);

/// A platform in a world of its own.
#[derive(Clone)]
pub(crate) struct Town {
    pub(crate) platform: Platform,
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) hook: Arc<Hook>,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) database: TestDatabase,
    folder: Arc<tempfile::TempDir>,
}

/// The receiver of webhooks: verifies, decodes, hands over, and only then answers.
pub(crate) struct Hook {
    platform: Platform,
    /// What it answers instead of taking the next posts.
    pub(crate) refusals: Mutex<VecDeque<u16>>,
    /// Every body that it took.
    pub(crate) bodies: Mutex<Vec<Bytes>>,
}

async fn receive(
    State(hook): State<Arc<Hook>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    if let Some(status) = hook.refusals.lock().unwrap().pop_front() {
        return Err(StatusCode::from_u16(status).unwrap());
    }
    let secret = Secret::from(DEFAULT_APP_SECRET);
    let header = headers.get(webhook::SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
    webhook::verify_signature(&secret, header, &body).map_err(|_| StatusCode::UNAUTHORIZED)?;
    let now = hook.platform.clock().now();
    let batch = webhook::decode(kabar::devices::installation_app(), &body, now);
    hook.bodies.lock().unwrap().push(body);
    match hook.platform.intake().accept(batch).await {
        Ok(_) => Ok(StatusCode::OK),
        Err(error) => {
            eprintln!("not stored: {error:?}");
            Err(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

async fn handshake(request: axum::extract::RawQuery) -> Result<String, StatusCode> {
    let query = request.0.unwrap_or_default();
    webhook::verify_handshake_query(&query, &Secret::from(DEFAULT_VERIFY_TOKEN))
        .map_err(|_| StatusCode::FORBIDDEN)
}

/// Serves a hook; returns its address.
async fn serve(hook: Arc<Hook>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().route("/hook", get(handshake).post(receive)).with_state(hook);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/hook")
}

/// Many updates share a webhook, as they do at Meta when there are many.
pub(crate) fn batched() -> Settings {
    Settings { batch: 50, ..Settings::default() }
}

/// Runs a test in a town on each database.
pub(crate) async fn each_town<F>(test: impl Fn(Town) -> F + Clone + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    each_town_with(Settings::default(), test).await;
}

/// Runs a test in a town whose webhooks may reach something, on each database.
pub(crate) async fn each_town_reaching<F>(
    outbound: OutboundSettings,
    test: impl Fn(Town) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    each_database(move |database| {
        let (test, outbound) = (test.clone(), outbound.clone());
        async move {
            let town = Town::reaching(database, Settings::default(), outbound).await;
            let sandbox = town.sandbox.clone();
            test(town).await;
            sandbox.stop().await;
        }
    })
    .await;
}

/// Runs a test in a town with settings of the sandbox on each database.
pub(crate) async fn each_town_with<F>(
    settings: Settings,
    test: impl Fn(Town) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    each_database(move |database| {
        let (test, settings) = (test.clone(), settings.clone());
        async move {
            let town = Town::new(database, settings).await;
            let sandbox = town.sandbox.clone();
            test(town).await;
            sandbox.stop().await;
        }
    })
    .await;
}

async fn platform(
    database: Database,
    sandbox: &Sandbox,
    clock: Arc<TestClock>,
    folder: &std::path::Path,
    outbound: OutboundSettings,
) -> Platform {
    let graph = GraphConfig {
        base_url: sandbox.base_url().parse().unwrap(),
        timeout: TIMEOUT,
        ..GraphConfig::default()
    };
    let builder =
        Platform::builder().open_database(database).files(folder).graph(graph).clock(clock);
    // A lease is real time: a machine that stands still for some seconds must not lose it.
    let dispatcher =
        DispatcherSettings { lease: Duration::from_secs(40), ..DispatcherSettings::default() };
    let builder = builder.outbound(outbound).dispatcher(dispatcher);
    builder.build().await.expect("the platform is built")
}

/// The usual settings without a throughput: the clock of most tests stands still.
fn unthrottled() -> DeviceSettings {
    let mut settings = DeviceSettings::default();
    settings.pacing.per_second = Some(0);
    settings
}

async fn register(
    platform: &Platform,
    account: AccountId,
    [number, waba, token]: [&str; 3],
) -> DeviceId {
    let registration = Registration {
        name: "Toko".to_owned(),
        channel: kabar::channel::ChannelKind::CLOUD_API,
        address: number.to_owned(),
        parent: Some(waba.to_owned()),
        credential: Some(Secret::from(token)),
        app: None,
        settings: unthrottled(),
    };
    let devices = platform.devices();
    let made = devices.register(&grant(account), registration, None).await;
    made.expect("a device").device.id
}

impl Town {
    async fn new(database: TestDatabase, settings: Settings) -> Self {
        Self::reaching(database, settings, OutboundSettings::default()).await
    }

    async fn reaching(
        database: TestDatabase,
        settings: Settings,
        outbound: OutboundSettings,
    ) -> Self {
        let settings = Settings {
            delivery_delay_ms: DelayRange::NONE,
            read_delay_ms: DelayRange::NONE,
            ..settings
        };
        let config = SandboxConfig { seed: Some(7), settings, ..SandboxConfig::default() };
        let sandbox = Sandbox::start(config).await.expect("the sandbox starts");
        let now = i64::try_from(sandbox.now_ms()).unwrap();
        let clock = Arc::new(TestClock::at(Timestamp::from_timestamp_millis(now).unwrap()));
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let platform =
            platform(database.database.clone(), &sandbox, clock.clone(), folder.path(), outbound)
                .await;
        let hook = Arc::new(Hook {
            platform: platform.clone(),
            refusals: Mutex::default(),
            bodies: Mutex::default(),
        });
        let address = serve(Arc::clone(&hook)).await;
        let shaken = sandbox.set_webhook(WebhookConfig::new(address)).await;
        assert!(shaken.expect("an address").passed);
        let account = platform
            .accounts()
            .create(provider(), new_account("Toko"), None)
            .await
            .expect("an account")
            .account
            .id;
        let number = [DEFAULT_PHONE_NUMBER_ID, DEFAULT_WABA_ID, DEFAULT_TOKEN];
        let device = register(&platform, account, number).await;
        let town = Self { platform, sandbox, clock, hook, account, device, database, folder };
        town.open_window(CUSTOMER);
        town
    }

    /// Registers a number of the sandbox as a device.
    pub(crate) async fn register(&self, number: &str, waba: &str, token: &str) -> DeviceId {
        register(&self.platform, self.account, [number, waba, token]).await
    }

    /// A second platform on the same database, as another node has it.
    pub(crate) async fn second_node(&self) -> Platform {
        let database = self.database.reopened().await;
        let outbound = OutboundSettings::default();
        platform(database, &self.sandbox, self.clock.clone(), self.folder.path(), outbound).await
    }

    /// Changes the device's settings.
    pub(crate) async fn settings(&self, change: impl FnOnce(&mut DeviceSettings)) {
        let mut settings = unthrottled();
        change(&mut settings);
        let patch = DevicePatch { settings: Some(settings), ..DevicePatch::default() };
        let devices = self.platform.devices();
        devices
            .update(&grant(self.account), self.device, patch)
            .await
            .expect("the settings are good");
    }

    /// Lets the customer be written to freely for a day.
    pub(crate) fn open_window(&self, customer: &str) {
        let patch = CustomerPatch { window_open: Some(true), ..CustomerPatch::default() };
        self.sandbox.put_customer(customer, patch).unwrap();
    }

    /// A message to a number.
    pub(crate) fn message(&self, to: &str, content: Content) -> NewMessage {
        NewMessage::new(self.device, To::Phone(phone(to)), content)
    }

    /// Takes messages into the outbox.
    pub(crate) async fn queue(&self, messages: Vec<NewMessage>) -> Vec<Message> {
        let queued = self.platform.messages().send_many(&grant(self.account), messages, None).await;
        queued.expect("the messages are taken").messages
    }

    /// Takes one message into the outbox.
    pub(crate) async fn queue_one(&self, message: NewMessage) -> Message {
        self.queue(vec![message]).await.remove(0)
    }

    /// Takes a text to the customer into the outbox.
    pub(crate) async fn text(&self, body: &str) -> Message {
        self.queue_one(self.message(CUSTOMER, Content::text(body))).await
    }

    /// Sends a text to the customer and waits until everything has come back.
    pub(crate) async fn sent(&self, body: &str) -> Message {
        let message = self.text(body).await;
        self.settle().await;
        self.get(message.id).await
    }

    /// A message as it is now.
    pub(crate) async fn get(&self, id: MessageId) -> Message {
        let found = self.platform.messages().get(&grant(self.account), id).await;
        found.expect("the message is there")
    }

    /// Every message of the account, oldest first.
    pub(crate) async fn all(&self, filter: MessageFilter) -> Vec<Message> {
        let mut all = Vec::new();
        let mut page = PageRequest::new(Some(PageRequest::MOST), None);
        loop {
            let messages = self.platform.messages();
            let found = messages.list(&grant(self.account), &filter, page).await.unwrap();
            all.extend(found.items);
            let Some(next) = found.next else { break };
            page.after = Some(next);
        }
        all.reverse();
        all
    }

    /// Everything that came in, oldest first.
    pub(crate) async fn received(&self) -> Vec<Message> {
        self.all(MessageFilter { direction: Some(Direction::In), ..MessageFilter::default() }).await
    }

    /// A customer writes, and everything that follows from it happens.
    pub(crate) async fn hears(&self, inbound: Inbound) -> String {
        let receipt = self.sandbox.customer_says(inbound).expect("it is said");
        self.settle().await;
        receipt.wamid
    }

    /// Waits until nothing is left to do now, here and there.
    pub(crate) async fn settle(&self) {
        for _ in 0..100 {
            self.quiet().await;
            let before = self.hook.bodies.lock().unwrap().len();
            self.platform.drain().await.expect("the queues are drained");
            self.quiet().await;
            if self.hook.bodies.lock().unwrap().len() == before {
                return;
            }
        }
        panic!("it never settles");
    }

    /// Waits until no webhook is on its way.
    pub(crate) async fn quiet(&self) {
        let quiet = self.sandbox.quiesce(PATIENCE).await;
        quiet.expect("the webhooks are delivered");
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    /// What the sandbox took for a number.
    pub(crate) fn arrived(&self, to: &str) -> Vec<SentMessage> {
        self.sandbox.messages(&kabar_sandbox::MessageFilter::to(to))
    }

    /// The texts that the sandbox took for a number.
    pub(crate) fn texts(&self, to: &str) -> Vec<String> {
        let arrived = self.arrived(to);
        let body = |message: &SentMessage| {
            message
                .body
                .pointer("/text/body")
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        arrived.iter().map(body).collect()
    }

    /// A unit of work over the whole installation.
    pub(crate) async fn road(&self) -> Box<dyn RoadWork> {
        let store: &dyn Store<dyn RoadWork> = self.platform.database();
        store.begin().await.unwrap()
    }

    /// How many messages wait in lanes.
    pub(crate) async fn waiting(&self) -> u64 {
        let work = self.road().await;
        work.outbox(SCOPE).waiting().await.unwrap()
    }

    /// How many lanes there are that are ever ready.
    pub(crate) async fn lanes(&self) -> usize {
        let work = self.road().await;
        let end = Timestamp::MAX_UTC;
        let ready = work.outbox(SCOPE).ready_devices(end).await.unwrap();
        ready.len()
    }
}

/// The scope of tests that look behind the services.
pub(crate) const SCOPE: InstallationScope = InstallationScope::system("test");

/// A number from its digits.
pub(crate) fn phone(digits: &str) -> PhoneNumber {
    format!("+{digits}").parse().expect("a number")
}
