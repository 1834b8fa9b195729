//! Followers of the event log: nothing missed, nothing twice, nothing of others.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kabar_core::permission::ReadEvents;
use kabar_core::{AccountId, Clock as _, Grant, InstallationScope, Store, Wake};
use kabar_events::{
    Begin, EventFilter, EventTail, EventsWork, Fact, Follow, FollowError, Followed, NewEvent,
    Position, Reach, TailSettings,
};
use kabar_jobs::LocalWake;
use kabar_storage::Database;
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::TestClock;
use kabar_testkit::accounts::grant;
use uuid::Uuid;

/// For how long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(1);

struct Bed {
    database: Database,
    tail: EventTail,
}

impl Bed {
    fn new(test: &TestDatabase) -> Self {
        Self::with(test, TailSettings { poll: Duration::from_millis(50), followers: 4 })
    }

    fn with(test: &TestDatabase, settings: TailSettings) -> Self {
        let wake: Arc<dyn Wake> = Arc::new(LocalWake::default());
        let database = test.database.clone().waking(Arc::clone(&wake));
        let tail = EventTail::new(Arc::new(database.clone()), wake, settings);
        Self { database, tail }
    }

    /// One unit of work with an event for each account.
    async fn append(&self, accounts: &[u128]) {
        let work = Store::<dyn EventsWork>::begin(&self.database).await.unwrap();
        let at = TestClock::default().now();
        let event = |n: &u128| NewEvent { account: account(*n), at, fact: Fact::AccountChanged };
        let events: Vec<NewEvent> = accounts.iter().map(event).collect();
        work.events().append(&events).await.unwrap();
        work.commit().await.unwrap();
    }

    async fn prune(&self) {
        let work = Store::<dyn EventsWork>::begin(&self.database).await.unwrap();
        let later = TestClock::default().now() + TimeDelta::days(1);
        work.events().prune(InstallationScope::system("test"), later, 10_000).await.unwrap();
        work.commit().await.unwrap();
    }

    async fn follow(&self, number: u128, begin: Begin) -> Follow {
        let followed = self.tail.follow(own(number), EventFilter::default(), begin).await;
        followed.expect("a follower")
    }

    async fn follow_all(&self, begin: Begin) -> Follow {
        let reach = Reach::Installation(InstallationScope::system("test"));
        self.tail.follow(reach, EventFilter::default(), begin).await.expect("a follower")
    }
}

fn account(number: u128) -> AccountId {
    AccountId::from(Uuid::from_u128(number))
}

fn own(number: u128) -> Reach {
    let grant: Grant<ReadEvents> = grant(account(number));
    Reach::Account(grant)
}

async fn next(follow: &mut Follow) -> Followed {
    let next = tokio::time::timeout(PATIENCE, follow.next()).await;
    next.expect("it comes").expect("it goes on").expect("storage is there")
}

/// The accounts and positions of the next events.
async fn take(follow: &mut Follow, count: usize) -> Vec<(AccountId, Position)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match next(follow).await {
            Followed::Event(event) => taken.push((event.account, event.position)),
            gap @ Followed::Gap { .. } => unreachable!("{gap:?}"),
        }
    }
    taken
}

fn accounts(taken: &[(AccountId, Position)]) -> Vec<AccountId> {
    taken.iter().map(|(account, _)| *account).collect()
}

const BEGINNING: Begin = Begin::After(Position { transaction: 0, number: 0 });

#[tokio::test]
async fn what_was_and_what_comes() {
    each_database(|test| async move {
        let bed = Bed::new(&test);
        bed.append(&[1, 2, 1]).await;
        let mut first = bed.follow(1, BEGINNING).await;
        let mut every = bed.follow_all(BEGINNING).await;
        let mut late = bed.follow(1, Begin::Now).await;
        assert_eq!(accounts(&take(&mut first, 2).await), [account(1); 2]);
        let here = late.begin().await.unwrap();
        bed.append(&[2, 1]).await;
        bed.append(&[1]).await;
        let seen = take(&mut first, 2).await;
        assert_eq!(accounts(&seen), [account(1); 2]);
        assert_eq!(first.position(), seen[1].1);
        // On PostgreSQL what was there already may show only now.
        let shown = take(&mut late, 2).await;
        assert!(shown.iter().all(|(_, position)| *position > here));
        let numbers: Vec<u128> = accounts(&take(&mut every, 6).await)
            .iter()
            .map(|account| account.uuid().as_u128())
            .collect();
        assert_eq!(numbers, [1, 2, 1, 2, 1, 1]);
        // From each position on, exactly the rest.
        let mut again = bed.follow(1, Begin::After(seen[0].1)).await;
        assert_eq!(take(&mut again, 1).await, seen[1..]);
    })
    .await;
}

#[tokio::test]
async fn only_what_is_wanted() {
    each_database(|test| async move {
        let bed = Bed::new(&test);
        bed.append(&[1]).await;
        let work = Store::<dyn EventsWork>::begin(&bed.database).await.unwrap();
        let device = Uuid::from_u128(7).into();
        let at = TestClock::default().now();
        let fact = |fact| NewEvent { account: account(1), at, fact };
        let events = [
            fact(Fact::DeviceAdded { device_id: Uuid::from_u128(8).into() }),
            fact(Fact::DeviceChanged { device_id: device }),
            fact(Fact::DeviceRemoved { device_id: device }),
        ];
        work.events().append(&events).await.unwrap();
        work.commit().await.unwrap();
        for (kinds, device, wanted) in [
            (&["device.*"][..], None, &["device.added", "device.changed", "device.removed"][..]),
            (&[], Some(device), &["device.changed", "device.removed"]),
            (&["device.removed", "account.changed"], None, &["account.changed", "device.removed"]),
            (&["device.added", "device.changed"], Some(device), &["device.changed"]),
        ] {
            let kinds = kinds.iter().map(|kind| kind.parse().unwrap()).collect();
            let filter = EventFilter { kinds, device };
            let mut follow = bed.tail.follow(own(1), filter, BEGINNING).await.unwrap();
            for kind in wanted {
                let Followed::Event(event) = next(&mut follow).await else {
                    unreachable!("{kind}")
                };
                assert_eq!(event.kind, *kind);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_slow_follower_falls_back_to_the_database() {
    each_database(|test| async move {
        let bed = Bed::new(&test);
        let mut slow = bed.follow(1, Begin::Now).await;
        let mut quick = bed.follow(1, Begin::Now).await;
        slow.begin().await.unwrap();
        quick.begin().await.unwrap();
        let mut seen = Vec::new();
        // More reads than the tail keeps for anybody.
        for _ in 0..100 {
            bed.append(&[1]).await;
            seen.extend(take(&mut quick, 1).await);
        }
        assert_eq!(take(&mut slow, 100).await, seen);
        bed.append(&[1]).await;
        assert_eq!(take(&mut slow, 1).await, take(&mut quick, 1).await);
    })
    .await;
}

#[tokio::test]
async fn removed_events_leave_a_gap() {
    each_database(|test| async move {
        let bed = Bed::new(&test);
        bed.append(&[1, 2]).await;
        bed.append(&[1, 1]).await;
        let seen = take(&mut bed.follow(1, BEGINNING).await, 3).await;
        let other = take(&mut bed.follow(2, BEGINNING).await, 1).await;
        bed.prune().await;
        bed.append(&[1, 2]).await;
        let mut late = bed.follow(1, Begin::After(seen[0].1)).await;
        let gap = Followed::Gap { after: seen[0].1, resumed: seen[2].1 };
        assert_eq!(next(&mut late).await, gap);
        let rest = take(&mut late, 1).await;
        // Who had read everything missed nothing, and the beginning is wherever the log begins.
        for after in [seen[2].1, Position::default()] {
            assert_eq!(take(&mut bed.follow(1, Begin::After(after)).await, 1).await, rest);
        }
        take(&mut bed.follow(2, Begin::After(other[0].1)).await, 1).await;
        let page = |after| {
            let database = bed.database.clone();
            async move {
                let work = Store::<dyn EventsWork>::read(&database).await.unwrap();
                let filter = EventFilter::default();
                own(1).page(&mut *work.events(), &filter, after, 10).await.unwrap()
            }
        };
        let missed = page(seen[0].1).await;
        assert!(missed.gap);
        assert_eq!(
            missed.events.iter().map(|event| event.position).collect::<Vec<_>>(),
            [rest[0].1]
        );
        let whole = page(seen[2].1).await;
        assert!(!whole.gap);
        assert_eq!(whole.next, rest[0].1);
        // A position of another log.
        let far = Position { transaction: i64::MAX, number: i64::MAX };
        let mut lost = bed.follow(1, Begin::After(far)).await;
        assert!(matches!(next(&mut lost).await, Followed::Gap { after, .. } if after == far));
        bed.append(&[1]).await;
        take(&mut lost, 1).await;
    })
    .await;
}

#[tokio::test]
async fn followers_are_counted_and_ended() {
    each_database(|test| async move {
        let bed = Bed::new(&test);
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(bed.follow(1, Begin::Now).await);
        }
        let more = bed.tail.follow(own(1), EventFilter::default(), Begin::Now).await;
        assert!(matches!(more, Err(FollowError::TooMany(4))));
        let mut other = bed.follow(2, Begin::Now).await;
        assert_eq!(bed.tail.followers(), 5);
        drop(all);
        assert_eq!(bed.tail.followers(), 1);
        other.begin().await.unwrap();
        bed.append(&[2]).await;
        take(&mut other, 1).await;
        let waits = tokio::spawn(async move { other.next().await.is_none() });
        bed.tail.close();
        assert!(waits.await.unwrap(), "the stop ends it");
        let closed = bed.tail.follow(own(2), EventFilter::default(), Begin::Now).await;
        assert!(matches!(closed, Err(FollowError::Closed)));
    })
    .await;
}

#[tokio::test]
async fn the_tail_rests_while_nobody_follows() {
    each_database(|test| async move {
        let bed = Bed::new(&test);
        for round in 0..3 {
            let mut follow = bed.follow(1, Begin::Now).await;
            follow.begin().await.unwrap();
            bed.append(&[1]).await;
            take(&mut follow, 1).await;
            drop(follow);
            // Nobody is told of this one, and nobody waits for it.
            bed.append(&[1]).await;
            let seen = take(&mut bed.follow(1, BEGINNING).await, 2 * (round + 1)).await;
            assert!(seen.is_sorted_by(|one, next| one.1 < next.1));
        }
    })
    .await;
}

#[tokio::test]
async fn polling_alone_is_enough() {
    each_database(|test| async move {
        let bed = Bed::new(&test);
        // Another node wrote it, and no hint came.
        let far = Bed::new(&test);
        let mut follow = bed.follow(1, Begin::Now).await;
        follow.begin().await.unwrap();
        for _ in 0..5 {
            far.append(&[1]).await;
            take(&mut follow, 1).await;
        }
    })
    .await;
}
