//! A platform with receivers of its webhooks, and no network beyond them.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use kabar::Platform;
use kabar::core::{
    AccountId, Clock, ContactId, ConversationId, DeliveryId, DeviceId, EndpointId, IdSource,
    MessageId, PageRequest, Store, SystemIds,
};
use kabar::events::{EventsWork, Fact, MessageTraits, NewEvent, Position};
use kabar::outbound::{AllowList, OutboundSettings, Resolve};
use kabar::webhooks::{
    CreatedEndpoint, DelivererSettings, Delivery, DeliveryFilter, Endpoint, EndpointSettings,
    EventPattern, NewEndpoint,
};
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::TestClock;
use kabar_testkit::accounts::{grant, new_account, provider};
use serde_json::Value;

/// Where receivers listen that may be reached. Everything else on this machine is private.
pub(super) const REACHABLE: &str = "127.0.0.2";

/// What a receiver got.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) name: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) at: Instant,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(super) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What a receiver does.
#[derive(Debug, Clone)]
pub(super) enum Does {
    Take,
    Answer(u16),
    AnswerWith(u16, &'static str, String),
    Hang,
    /// It takes its time.
    Slow(Duration),
    /// It answers with what it was asked.
    Echo,
}

/// Receivers by name, behind one address.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    pub(super) got: Mutex<Vec<Got>>,
    next: Mutex<BTreeMap<String, VecDeque<Does>>>,
    always: Mutex<BTreeMap<String, Does>>,
    under_way: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl Receiver {
    /// Begins to listen; returns its address.
    pub(super) async fn start(self: &Arc<Self>, host: &str) -> String {
        let listener = tokio::net::TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new()
            .route("/{name}", axum::routing::any(receive))
            .with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    pub(super) fn next(&self, name: &str, does: impl IntoIterator<Item = Does>) {
        self.next.lock().unwrap().entry(name.to_owned()).or_default().extend(does);
    }

    pub(super) fn always(&self, name: &str, does: Does) {
        self.always.lock().unwrap().insert(name.to_owned(), does);
    }

    pub(super) fn all(&self, name: &str) -> Vec<Got> {
        let got = self.got.lock().unwrap();
        got.iter().filter(|got| got.name == name).cloned().collect()
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.got.lock().unwrap().iter().filter(|got| got.name == name).count()
    }

    /// How many were under way at the same time, at most.
    pub(super) fn most(&self, name: &str) -> usize {
        self.under_way.lock().unwrap().get(name).map_or(0, |(_, most)| *most)
    }

    fn does(&self, name: &str) -> Does {
        let next = self.next.lock().unwrap().get_mut(name).and_then(VecDeque::pop_front);
        next.or_else(|| self.always.lock().unwrap().get(name).cloned()).unwrap_or(Does::Take)
    }

    fn enter(&self, name: &str) {
        let mut all = self.under_way.lock().unwrap();
        let (now, most) = all.entry(name.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
    }

    fn leave(&self, name: &str) {
        if let Some((now, _)) = self.under_way.lock().unwrap().get_mut(name) {
            *now -= 1;
        }
    }
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    receiver.enter(&name);
    let echo = format!("{headers:?}");
    let got = Got { name: name.clone(), headers, body, at: Instant::now() };
    receiver.got.lock().unwrap().push(got);
    let answer = match receiver.does(&name) {
        Does::Take => StatusCode::NO_CONTENT.into_response(),
        Does::Answer(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Does::AnswerWith(status, header, value) => {
            (StatusCode::from_u16(status).unwrap(), [(header, value)], "because").into_response()
        }
        Does::Hang => std::future::pending().await,
        Does::Slow(time) => {
            pause(time).await;
            StatusCode::OK.into_response()
        }
        Does::Echo => (StatusCode::BAD_REQUEST, echo).into_response(),
    };
    receiver.leave(&name);
    answer
}

#[expect(clippy::disallowed_methods, reason = "a receiver that is slow, and background work")]
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Looks names up in a table that tests change.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeMap<String, Vec<IpAddr>>>);

impl Names {
    pub(super) fn set(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.0.lock().unwrap().insert(host.to_owned(), addresses);
    }
}

#[async_trait::async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let known = self.0.lock().unwrap().get(host).cloned();
        known.ok_or_else(|| std::io::Error::other("no such name"))
    }
}

/// A platform with one account.
#[derive(Clone)]
pub(super) struct Bed {
    pub(super) platform: Platform,
    pub(super) clock: Arc<TestClock>,
    pub(super) ids: Arc<SystemIds>,
    pub(super) account: AccountId,
    /// An account without endpoints.
    pub(super) bystander: AccountId,
    pub(super) receiver: Arc<Receiver>,
    pub(super) address: String,
    pub(super) names: Arc<Names>,
    pub(super) database: TestDatabase,
    pub(super) folder: Arc<tempfile::TempDir>,
}

/// Runs a test on each database.
pub(super) async fn each_bed<F>(test: impl Fn(Bed) -> F + Clone + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    each_database(move |database| {
        let test = test.clone();
        async move { test(Bed::new(database).await).await }
    })
    .await;
}

/// Only [`REACHABLE`] may be reached.
pub(super) fn outbound() -> OutboundSettings {
    let allow = AllowList::parse([REACHABLE]).unwrap();
    OutboundSettings { allow, ..OutboundSettings::default() }
}

impl Bed {
    pub(super) async fn new(database: TestDatabase) -> Self {
        let clock = Arc::new(TestClock::default());
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let names = Arc::new(Names::default());
        let settings = DelivererSettings::default();
        let open = database.database.clone();
        let platform = build(open, clock.clone(), &names, folder.path(), settings).await;
        let made = platform.accounts().create(provider(), new_account("Toko"), None).await;
        let new = new_account("Bystander");
        let bystander = platform.accounts().create(provider(), new, None).await.unwrap();
        let receiver = Arc::new(Receiver::default());
        let address = receiver.start(REACHABLE).await;
        Self {
            bystander: bystander.account.id,
            account: made.unwrap().account.id,
            ids: Arc::default(),
            platform,
            clock,
            receiver,
            address,
            names,
            database,
            folder,
        }
    }

    /// The same platform again, with connections of its own: a second node, or after a crash.
    pub(super) async fn another(&self, settings: DelivererSettings) -> Platform {
        let database = self.database.reopened().await;
        build(database, self.clock.clone(), &self.names, self.folder.path(), settings).await
    }

    /// Settings of an endpoint at the receiver.
    pub(super) fn settings(&self, name: &str, events: &str) -> EndpointSettings {
        let url = format!("{}/{name}", self.address).parse().unwrap();
        EndpointSettings::new(url, vec![events.parse::<EventPattern>().unwrap()])
    }

    pub(super) async fn make(&self, settings: EndpointSettings) -> CreatedEndpoint {
        let new = NewEndpoint { settings, secret: None };
        self.platform.webhooks().create(&grant(self.account), new, None).await.unwrap()
    }

    /// An endpoint for contacts' events.
    pub(super) async fn endpoint(&self, name: &str) -> CreatedEndpoint {
        self.make(self.settings(name, "contact.*")).await
    }

    pub(super) async fn get(&self, id: EndpointId) -> Endpoint {
        self.platform.webhooks().get(&grant(self.account), id).await.unwrap()
    }

    /// Something happens to so many contacts.
    pub(super) async fn happens(&self, count: usize) {
        let facts = (0..count).map(|_| Fact::ContactChanged { contact_id: self.id() });
        self.append(facts.collect()).await;
    }

    /// Messages come in, in a chat.
    pub(super) async fn says(&self, chat: ConversationId, count: usize) {
        let fact = |_| Fact::MessageReceived {
            message_id: self.id::<MessageId>(),
            device_id: self.id::<DeviceId>(),
            conversation_id: chat,
            contact_id: self.id::<ContactId>(),
            status: "delivered".to_owned(),
            traits: MessageTraits {
                direction: "in",
                content: "text".to_owned(),
                purpose: "service",
                origin: "contact",
                broadcast_id: None,
                message_at: self.clock.now(),
            },
        };
        self.append((0..count).map(fact).collect()).await;
    }

    pub(super) async fn append(&self, facts: Vec<Fact>) {
        let at = self.clock.now();
        let events: Vec<NewEvent> =
            facts.into_iter().map(|fact| NewEvent { account: self.account, at, fact }).collect();
        let store: &dyn Store<dyn EventsWork> = self.platform.database();
        let work = store.begin().await.unwrap();
        work.events().append(&events).await.unwrap();
        work.commit().await.unwrap();
    }

    pub(super) fn id<T: From<uuid::Uuid>>(&self) -> T {
        T::from(self.ids.next())
    }

    /// Delivers everything that is due, and what follows from it.
    pub(super) async fn drain(&self) {
        for _ in 0..2 {
            self.shown().await;
            self.platform.drain().await.unwrap();
        }
    }

    /// Waits until the log shows all that was appended: PostgreSQL shows what no running transaction
    /// can still come before, and other tests run some on the same server.
    async fn shown(&self) {
        if !self.database.is_postgres() {
            return;
        }
        let store: &dyn Store<dyn EventsWork> = self.platform.database();
        let (scope, contact_id) = (provider().within(self.bystander), self.id::<ContactId>());
        let event = NewEvent {
            account: self.bystander,
            at: self.clock.now(),
            fact: Fact::ContactChanged { contact_id },
        };
        let work = store.begin().await.unwrap();
        work.events().append(&[event]).await.unwrap();
        work.commit().await.unwrap();
        loop {
            let work = store.read().await.unwrap();
            let all = work.events().read(scope, Position::default(), u16::MAX).await.unwrap();
            if all.iter().any(|event| event.data["contact_id"] == contact_id.to_string()) {
                return;
            }
            drop(work);
            pause(Duration::from_millis(5)).await;
        }
    }

    /// Lets time pass.
    pub(super) fn wait(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    pub(super) async fn deliveries(&self, filter: DeliveryFilter) -> Vec<Delivery> {
        let mut all = Vec::new();
        let mut page = PageRequest::new(Some(PageRequest::MOST), None);
        loop {
            let deliveries = self.platform.deliveries();
            let found = deliveries.list(&grant(self.account), &filter, page).await.unwrap();
            all.extend(found.items);
            let Some(next) = found.next else { return all };
            page.after = Some(next);
        }
    }

    pub(super) async fn delivery(&self, id: DeliveryId) -> Delivery {
        self.platform.deliveries().get(&grant(self.account), id).await.unwrap().0
    }
}

async fn build(
    database: kabar::Database,
    clock: Arc<dyn Clock>,
    names: &Arc<Names>,
    folder: &std::path::Path,
    settings: DelivererSettings,
) -> Platform {
    builder(database, clock, names, folder, settings).build().await.unwrap()
}

pub(super) fn builder(
    database: kabar::Database,
    clock: Arc<dyn Clock>,
    names: &Arc<Names>,
    folder: &std::path::Path,
    settings: DelivererSettings,
) -> kabar::PlatformBuilder {
    let names: Arc<Names> = Arc::clone(names);
    Platform::builder()
        .open_database(database)
        .files(folder)
        .clock(clock)
        .outbound(outbound())
        .resolver(names)
        .deliverer(settings)
}

/// Waits until something is so.
pub(super) async fn until(mut so: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if so() {
            return;
        }
        pause(Duration::from_millis(50)).await;
    }
    panic!("it never happens");
}
