//! The event log: commit order, no gaps, one tenant at a time.

use kabar_core::{AccountId, Clock as _, InstallationScope, Store};
use kabar_events::{EventsWork, Fact, NewEvent, Position, StoredEvent};
use kabar_storage::Database;
use kabar_testkit::TestClock;
use uuid::Uuid;

use kabar_storage::testing::each_database;

const SCOPE: InstallationScope = InstallationScope::system("test");

fn account(number: u128) -> AccountId {
    AccountId::from(Uuid::from_u128(number))
}

fn event(number: u128) -> NewEvent {
    NewEvent {
        account: account(number),
        at: TestClock::default().now(),
        fact: Fact::AccountChanged,
    }
}

async fn begin(database: &Database) -> Box<dyn EventsWork> {
    Store::<dyn EventsWork>::begin(database).await.unwrap()
}

async fn append(database: &Database, numbers: &[u128]) {
    let work = begin(database).await;
    let events: Vec<NewEvent> = numbers.iter().map(|number| event(*number)).collect();
    work.events().append(&events).await.unwrap();
    work.commit().await.unwrap();
}

async fn read_all(database: &Database, after: Position, limit: u16) -> Vec<StoredEvent> {
    let work = Store::<dyn EventsWork>::read(database).await.unwrap();
    work.events().read_all(SCOPE, after, limit).await.unwrap()
}

/// Reads until the log shows `count` events: on PostgreSQL a transaction of another test on the same
/// server holds it back for a moment.
async fn read_count(database: &Database, count: usize) -> Vec<AccountId> {
    let shown = async {
        loop {
            let events = read_all(database, Position::default(), 100).await;
            if events.len() >= count {
                return events.iter().map(|event| event.account).collect();
            }
            tokio::task::yield_now().await;
        }
    };
    let most = std::time::Duration::from_mins(1);
    tokio::time::timeout(most, shown).await.expect("the events")
}

#[tokio::test]
async fn a_reader_never_passes_a_running_transaction() {
    each_database(|test| async move {
        if !test.is_postgres() {
            // SQLite has one writer: there is nothing to pass.
            return;
        }
        let database = test.database;
        let early = begin(&database).await;
        early.events().append(&[event(1)]).await.unwrap();
        // Begun later, committed earlier, with the higher transaction id.
        append(&database, &[2]).await;
        assert_eq!(read_all(&database, Position::default(), 100).await, []);
        early.commit().await.unwrap();
        assert_eq!(read_count(&database, 2).await, [account(1), account(2)]);
    })
    .await;
}

#[tokio::test]
async fn a_rolled_back_unit_leaves_nothing() {
    each_database(|test| async move {
        let database = test.database;
        append(&database, &[1]).await;
        let work = begin(&database).await;
        work.events().append(&[event(2)]).await.unwrap();
        drop(work);
        append(&database, &[3]).await;
        assert_eq!(read_count(&database, 2).await, [account(1), account(3)]);
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_and_tenants_are_apart() {
    each_database(|test| async move {
        let database = test.database;
        append(&database, &[1, 2, 1]).await;
        append(&database, &[2, 1]).await;
        let every = read_count(&database, 5).await;
        let (mut paged, mut after) = (Vec::new(), Position::default());
        loop {
            let page = read_all(&database, after, 2).await;
            let Some(last) = page.last() else { break };
            after = last.position;
            paged.extend(page.iter().map(|event| event.account));
        }
        assert_eq!(paged, every);
        let work = Store::<dyn EventsWork>::read(&database).await.unwrap();
        let mine = SCOPE.within(account(1));
        let mine = work.events().read(mine, Position::default(), 100).await;
        let mine: Vec<AccountId> = mine.unwrap().iter().map(|event| event.account).collect();
        assert_eq!(mine, [account(1); 3]);
    })
    .await;
}

#[tokio::test]
async fn old_events_go() {
    each_database(|test| async move {
        let database = test.database;
        append(&database, &[1, 1]).await;
        let clock = TestClock::default();
        let prune = async || {
            let work = begin(&database).await;
            let gone = work.events().prune(SCOPE, clock.now(), 100).await.unwrap();
            work.commit().await.unwrap();
            gone
        };
        assert_eq!(prune().await, 0);
        clock.advance(chrono::TimeDelta::seconds(1));
        assert_eq!(prune().await, 2);
    })
    .await;
}
