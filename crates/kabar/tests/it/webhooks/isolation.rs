//! One bad endpoint never delays another. Figures are printed; `ISOLATION_SECONDS` makes the runs
//! longer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kabar::core::{
    AccountId, Clock as _, ContactId, Store, SystemClock, SystemIds, Topic, Wake as _,
};
use kabar::events::{EventsWork, Fact, NewEvent};
use kabar::jobs::LocalWake;
use kabar::webhooks::{DelivererSettings, EndpointSettings, NewEndpoint};
use kabar::{Platform, core::IdSource as _};
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::accounts::{grant, new_account, provider};

use super::bed::{Does, Names, REACHABLE, Receiver, builder, pause, until};

/// Events in a second.
const RATE: u32 = 100;
/// What waits for the bad ones from the beginning.
const BACKLOG: usize = 2_000;

#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
fn seconds() -> u32 {
    std::env::var("ISOLATION_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// A run's world.
struct World {
    platform: Platform,
    account: AccountId,
    receiver: Arc<Receiver>,
    canary: Arc<Receiver>,
    names: Arc<Names>,
    address: String,
    private: String,
    ids: SystemIds,
    wake: Arc<LocalWake>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(database: &TestDatabase, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = Arc::new(Names::default());
        let (clock, settings) = (Arc::new(SystemClock), DelivererSettings::default());
        let database = database.reopened().await;
        let wake = Arc::new(LocalWake::default());
        let builder = builder(database, clock, &names, folder.path(), settings);
        let platform = builder.wake(wake.clone()).build().await.unwrap();
        let made = platform.accounts().create(provider(), new_account(name), None).await.unwrap();
        let (receiver, canary) = (Arc::new(Receiver::default()), Arc::new(Receiver::default()));
        let (address, private) = (receiver.start(REACHABLE).await, canary.start("127.0.0.1").await);
        Self {
            account: made.account.id,
            ids: SystemIds::default(),
            wake,
            platform,
            receiver,
            canary,
            names,
            address,
            private,
            _folder: folder,
        }
    }

    async fn endpoint(&self, url: &str) {
        let events = vec!["contact.*".parse().unwrap()];
        let settings = EndpointSettings::new(url.parse().unwrap(), events);
        let new = NewEndpoint { settings, secret: None };
        self.platform.webhooks().create(&grant(self.account), new, None).await.unwrap();
    }

    /// One that hangs, one that fails, one that redirects inside, one whose name leads inside.
    async fn bad_ones(&self) {
        let receiver = &self.receiver;
        for name in ["hangs-1", "hangs-2", "hangs-3"] {
            receiver.always(name, Does::Hang);
            self.endpoint(&format!("{}/{name}", self.address)).await;
        }
        receiver.always("fails", Does::Answer(500));
        self.endpoint(&format!("{}/fails", self.address)).await;
        let inside = format!("{}/redirected", self.private);
        receiver.always("redirects", Does::AnswerWith(302, "location", inside));
        self.endpoint(&format!("{}/redirects", self.address)).await;
        let port = self.private.rsplit(':').next().unwrap();
        self.names.set("turns.example", &["127.0.0.1"]);
        self.endpoint(&format!("http://turns.example:{port}/turned")).await;
        self.append(BACKLOG).await;
    }

    async fn append(&self, count: usize) -> Vec<ContactId> {
        let contacts: Vec<ContactId> = (0..count).map(|_| self.ids.next().into()).collect();
        let at = SystemClock.now();
        let event = |contact_id: &ContactId| NewEvent {
            account: self.account,
            at,
            fact: Fact::ContactChanged { contact_id: *contact_id },
        };
        let store: &dyn Store<dyn EventsWork> = self.platform.database();
        let work = store.begin().await.unwrap();
        work.events().append(&contacts.iter().map(event).collect::<Vec<_>>()).await.unwrap();
        work.commit().await.unwrap();
        self.wake.wake(Topic::Events);
        contacts
    }

    /// Events at a steady rate; returns the delays of the healthy endpoint, sorted.
    async fn delays(&self, seconds: u32) -> Vec<Duration> {
        self.endpoint(&format!("{}/healthy", self.address)).await;
        let running = self.platform.start();
        // The bad ones become known, and connections are open.
        for _ in 0..20 {
            self.append(1).await;
            pause(Duration::from_millis(50)).await;
        }
        until(|| self.receiver.count("healthy") == 20).await;
        let mut begun: BTreeMap<String, Instant> = BTreeMap::new();
        let start = Instant::now();
        for turn in 0..seconds * RATE {
            let due = start + Duration::from_secs(1) / RATE * turn;
            pause(due.saturating_duration_since(Instant::now())).await;
            let contacts = self.append(1).await;
            begun.insert(contacts[0].to_string(), Instant::now());
        }
        let all = begun.len() + 20;
        until(|| self.receiver.count("healthy") >= all).await;
        running.stop_now();
        assert_eq!(self.receiver.count("healthy"), all, "each once");
        let mut delays: Vec<Duration> = self
            .receiver
            .all("healthy")
            .iter()
            .filter_map(|got| {
                let begun = begun.get(got.json()["data"]["contact_id"].as_str()?)?;
                Some(got.at.saturating_duration_since(*begun))
            })
            .collect();
        delays.sort();
        delays
    }
}

/// Stopping waits for attempts under way, and some of these hang.
trait StopNow {
    fn stop_now(self);
}

impl StopNow for kabar::Running {
    fn stop_now(self) {
        drop(self);
    }
}

fn shown(name: &str, delays: &[Duration]) -> (Duration, Duration) {
    let at = |share: usize| delays[(delays.len() - 1) * share / 100];
    let figures = (at(50), at(99));
    println!(
        "isolation: {name}: {} deliveries, p50 {:?}, p99 {:?}, last {:?}",
        delays.len(),
        figures.0,
        figures.1,
        delays[delays.len() - 1]
    );
    figures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_endpoints_delay_nobody_and_reach_nothing() {
    each_database(|database| async move {
        let kind = if database.is_postgres() { "postgres" } else { "sqlite" };
        let alone = World::new(&database, "Alone").await;
        let without = alone.delays(seconds()).await;
        let (_, before) = shown(&format!("{kind}, alone"), &without);
        alone.platform.database().close().await;
        let beside = World::new(&database, "Beside").await;
        beside.bad_ones().await;
        let with = beside.delays(seconds()).await;
        let (_, after) = shown(&format!("{kind}, beside bad ones"), &with);
        println!("isolation: {kind}: p99 ratio {:.2}", after.as_secs_f64() / before.as_secs_f64());
        assert_eq!(with.len(), without.len(), "everything arrived");
        assert_eq!(beside.canary.got.lock().unwrap().len(), 0, "nothing private was reached");
        assert!(beside.receiver.count("hangs-1") > 0 && beside.receiver.count("fails") > 0);
        beside.platform.database().close().await;
    })
    .await;
}

#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
fn backlog() -> usize {
    std::env::var("SPEED_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

/// How many deliveries a second one node makes to a receiver beside it. Prints the figure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_goes_out() {
    each_database(|database| async move {
        let kind = if database.is_postgres() { "postgres" } else { "sqlite" };
        let world = World::new(&database, "Backlog").await;
        world.endpoint(&format!("{}/fast", world.address)).await;
        let count = backlog();
        for _ in 0..count / 500 {
            world.append(500).await;
        }
        let start = Instant::now();
        let running = world.platform.start();
        until_soon(|| world.receiver.count("fast") >= count / 500 * 500).await;
        let took = start.elapsed();
        running.stop().await;
        let rate = f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64();
        println!("speed: {kind}: {count} events delivered in {took:?}, {rate:.0} a second");
        world.platform.database().close().await;
    })
    .await;
}

async fn until_soon(so: impl Fn() -> bool) {
    while !so() {
        pause(Duration::from_millis(2)).await;
    }
}
