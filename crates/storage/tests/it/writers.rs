//! Readers of the log beside 32 writers who commit out of order, give up, and take long.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kabar_core::permission::ReadEvents;
use kabar_core::{AccountId, Clock as _, Grant, InstallationScope, Store, Topic, Wake as _};
use kabar_events::{
    Begin, EventFilter, EventTail, EventsWork, Fact, Follow, Followed, NewEvent, Position, Reach,
    StoredEvent, TailSettings,
};
use kabar_jobs::LocalWake;
use kabar_storage::Database;
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::TestClock;
use kabar_testkit::accounts::grant;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

const SCOPE: InstallationScope = InstallationScope::system("test");
const WRITERS: u64 = 32;
/// Units of work of each writer.
const UNITS: u64 = 40;
const TENANTS: u64 = 3;
const PATIENCE: Duration = Duration::from_mins(2);

/// Numbers that repeat for the same seed (`SplitMix64`, Steele 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % most
    }

    async fn dawdle(&mut self, most: u64) {
        for _ in 0..self.below(most) {
            tokio::task::yield_now().await;
        }
    }
}

fn tenant(number: u64) -> AccountId {
    AccountId::from(Uuid::from_u128(u128::from(number % TENANTS) + 1))
}

fn own(account: AccountId) -> Grant<ReadEvents> {
    grant(account)
}

/// What was committed: tenant and id of each event.
type Committed = BTreeSet<(AccountId, String)>;

struct World {
    database: Database,
    wake: Arc<LocalWake>,
    done: AtomicUsize,
    long: Semaphore,
}

impl World {
    /// Writes some events; returns those that were committed.
    async fn unit(&self, draw: &mut Draw, writer: u64, unit: u64) -> Committed {
        let work = Store::<dyn EventsWork>::begin(&self.database).await.unwrap();
        let mut written = Committed::new();
        for part in 0..=draw.below(3) {
            let mut events = Vec::new();
            for one in 0..=draw.below(4) {
                let id =
                    Uuid::from_u128(u128::from(((writer * 1000 + unit) * 10 + part) * 10 + one));
                let fact = Fact::RuleChanged { rule_id: id.into() };
                let account = tenant(draw.below(TENANTS));
                written.insert((account, fact.data()["rule_id"].to_string()));
                events.push(NewEvent { account, at: TestClock::default().now(), fact });
            }
            work.events().append(&events).await.unwrap();
            draw.dawdle(60).await;
        }
        match draw.below(10) {
            // Given up.
            0 | 1 => return Committed::new(),
            // As long as many others take; SQLite has one writer, and nobody else would come.
            2 if self.slow() => self.outlast().await,
            _ => draw.dawdle(200).await,
        }
        work.commit().await.unwrap();
        self.wake.wake(Topic::Events);
        written
    }

    /// Waits until others have done a lot. Few do so at the same time.
    async fn outlast(&self) {
        let Ok(_permit) = self.long.try_acquire() else { return };
        let enough = self.done.load(Ordering::Relaxed) + 20;
        let others = async {
            while self.done.load(Ordering::Relaxed) < enough {
                tokio::task::yield_now().await;
            }
        };
        // The last ones have nobody to wait for.
        let _ = tokio::time::timeout(Duration::from_secs(2), others).await;
    }

    fn slow(&self) -> bool {
        format!("{:?}", self.database).contains("postgres")
    }

    async fn write(self: Arc<Self>, writer: u64) -> Committed {
        let mut draw = Draw(writer);
        let mut committed = Committed::new();
        for unit in 0..UNITS {
            committed.extend(self.unit(&mut draw, writer, unit).await);
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        committed
    }
}

/// What a reader saw, which must be in order.
#[derive(Default)]
struct Seen {
    last: Position,
    events: Committed,
}

impl Seen {
    fn add(&mut self, event: &StoredEvent) {
        assert!(event.position > self.last, "{:?} after {:?}", event.position, self.last);
        self.last = event.position;
        let id = event.data["rule_id"].to_string();
        assert!(self.events.insert((event.account, id)), "{event:?} twice");
    }
}

/// Reads page after page until the log's last event, which the test appends when all have written.
async fn ask(database: Database, reach: Reach) -> Committed {
    let (mut seen, mut after) = (Seen::default(), Position::default());
    loop {
        let work = Store::<dyn EventsWork>::read(&database).await.unwrap();
        let page =
            reach.page(&mut *work.events(), &EventFilter::default(), after, 37).await.unwrap();
        assert!(!page.gap && page.next >= after);
        after = page.next;
        for event in &page.events {
            if event.kind == "account.changed" {
                return seen.events;
            }
            seen.add(event);
        }
        tokio::task::yield_now().await;
    }
}

/// Follows, and now and then begins again where it stands.
async fn follow(tail: EventTail, reach: Reach, again: u64) -> Committed {
    let begin = async |after| -> Follow {
        tail.follow(reach, EventFilter::default(), Begin::After(after)).await.unwrap()
    };
    let (mut seen, mut draw) = (Seen::default(), Draw(again));
    let mut follow = begin(Position::default()).await;
    loop {
        let event = match follow.next().await.expect("it goes on").expect("storage is there") {
            Followed::Event(event) => event,
            gap @ Followed::Gap { .. } => unreachable!("{gap:?}"),
        };
        if event.kind == "account.changed" {
            return seen.events;
        }
        seen.add(&event);
        if again > 0 && draw.below(again) == 0 {
            let stood = follow.position();
            drop(follow);
            follow = begin(stood).await;
        }
    }
}

async fn check(test: TestDatabase) {
    let wake = Arc::new(LocalWake::default());
    let settings = TailSettings { poll: Duration::from_millis(20), followers: 8 };
    let tail = EventTail::new(Arc::new(test.reopened().await), wake.clone(), settings);
    let mut readers = JoinSet::new();
    let everything = Reach::Installation(SCOPE);
    for (number, reach) in
        [everything, Reach::Account(own(tenant(0))), Reach::Account(own(tenant(1)))]
            .into_iter()
            .enumerate()
    {
        let whose = number.checked_sub(1).map(|number| tenant(u64::try_from(number).unwrap()));
        let reading = test.reopened().await;
        readers.spawn(async move { (whose, "page", ask(reading, reach).await) });
        for (name, again) in [("follow", 0), ("follow again", 25)] {
            let tail = tail.clone();
            readers.spawn(async move { (whose, name, follow(tail, reach, again).await) });
        }
    }
    // Two pools, so that every writer has a connection.
    let mut worlds = Vec::new();
    for _ in 0..2 {
        let (database, wake) = (test.reopened().await, wake.clone());
        worlds.push(Arc::new(World {
            database,
            wake,
            done: AtomicUsize::new(0),
            long: Semaphore::new(4),
        }));
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        // SQLite has one writer, whoever asks.
        let pools = if test.is_postgres() { 2 } else { 1 };
        let world = worlds.iter().cycle().nth(usize::try_from(writer).unwrap() % pools);
        writers.spawn(Arc::clone(world.unwrap()).write(writer));
    }
    let committed: Committed = writers.join_all().await.into_iter().flatten().collect();
    assert!(committed.len() > 2_000, "{}", committed.len());
    let work = Store::<dyn EventsWork>::begin(&test.database).await.unwrap();
    let at = TestClock::default().now();
    let end = |number| NewEvent { account: tenant(number), at, fact: Fact::AccountChanged };
    work.events().append(&[end(0), end(1), end(2)]).await.unwrap();
    work.commit().await.unwrap();
    while let Some(read) =
        tokio::time::timeout(PATIENCE, readers.join_next()).await.expect("an end")
    {
        let (whose, name, seen) = read.unwrap();
        let mine: Committed = committed
            .iter()
            .filter(|(account, _)| whose.is_none_or(|whose| whose == *account))
            .cloned()
            .collect();
        assert!(seen == mine, "{name} of {whose:?}: saw {} of {}", seen.len(), mine.len());
    }
    for world in worlds {
        world.database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_missed_beside_thirty_two_writers() {
    each_database(check).await;
}
