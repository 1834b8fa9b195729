//! The job queue: claims, leases, fences, order.

use std::time::Duration;

use chrono::TimeDelta;
use kabar_core::{Clock as _, InstallationScope, JobId, Store, Timestamp};
use kabar_jobs::{ClaimedJob, JobsWork, NewJob};
use kabar_storage::Database;
use kabar_testkit::TestClock;
use serde_json::json;
use uuid::Uuid;

use kabar_storage::testing::each_database;

pub(crate) const SCOPE: InstallationScope = InstallationScope::system("test");
const LEASE: Duration = Duration::from_secs(10);

fn start() -> Timestamp {
    TestClock::default().now()
}

fn after(seconds: i64) -> Timestamp {
    start() + TimeDelta::seconds(seconds)
}

fn id(number: u128) -> JobId {
    JobId::from(Uuid::from_u128(number))
}

fn job(number: u128, order: Option<&str>) -> NewJob {
    NewJob {
        id: id(number),
        name: "test",
        account: None,
        order: order.map(str::to_owned),
        payload: json!({ "number": 1 }),
        due_at: start(),
    }
}

async fn begin(database: &Database) -> Box<dyn JobsWork> {
    Store::<dyn JobsWork>::begin(database).await.unwrap()
}

async fn enqueue(database: &Database, jobs: &[NewJob]) {
    let work = begin(database).await;
    work.jobs().enqueue(jobs).await.unwrap();
    work.commit().await.unwrap();
}

async fn claim(database: &Database, names: &[&str], now: Timestamp) -> Vec<ClaimedJob> {
    let work = begin(database).await;
    let claimed = work.jobs().claim(SCOPE, names, now, LEASE, 200).await;
    work.commit().await.unwrap();
    claimed.unwrap()
}

/// Everything that is due at the start.
pub(crate) async fn claim_all(database: &Database, names: &[&str]) -> Vec<ClaimedJob> {
    claim(database, names, start()).await
}

async fn claim_ids(database: &Database, now: Timestamp) -> Vec<JobId> {
    let claimed = claim(database, &["test"], now).await;
    claimed.iter().map(|job| job.id).collect()
}

async fn complete(database: &Database, job: JobId, fence: i64) -> bool {
    let work = begin(database).await;
    let done = work.jobs().complete(job, fence).await.unwrap();
    work.commit().await.unwrap();
    done
}

#[tokio::test]
async fn a_claim_holds_until_its_lease_runs_out() {
    each_database(|test| async move {
        let database = test.database;
        enqueue(&database, &[job(1, None)]).await;
        assert_eq!(claim(&database, &["other"], start()).await, []);
        let first = claim(&database, &["test"], start()).await;
        let [first] = first.as_slice() else {
            panic!("{first:?}");
        };
        assert_eq!((first.attempt, &first.payload), (1, &json!({ "number": 1 })));
        assert_eq!(claim_ids(&database, after(9)).await, []);
        let second = claim(&database, &["test"], after(10)).await;
        let [second] = second.as_slice() else {
            panic!("{second:?}");
        };
        assert_eq!(second.attempt, 2);
        assert!(second.fence > first.fence);
        assert!(!complete(&database, first.id, first.fence).await, "lost");
        assert!(complete(&database, second.id, second.fence).await);
        assert_eq!(claim_ids(&database, after(100)).await, []);
    })
    .await;
}

#[tokio::test]
async fn jobs_of_one_order_follow_each_other() {
    each_database(|test| async move {
        let database = test.database;
        let jobs = [
            job(1, Some("a")),
            job(2, Some("a")),
            job(3, Some("b")),
            job(4, None),
            job(5, Some("a")),
        ];
        enqueue(&database, &jobs).await;
        assert_eq!(claim_ids(&database, start()).await, [id(1), id(3), id(4)]);
        assert_eq!(claim_ids(&database, start()).await, []);
        assert!(complete(&database, id(1), 1).await);
        assert_eq!(claim_ids(&database, start()).await, [id(2)]);
        // One that waits for its retry holds its order; one that is buried does not.
        let work = begin(&database).await;
        work.jobs().retry(id(2), 1, after(5), "later").await.unwrap();
        work.commit().await.unwrap();
        assert_eq!(claim_ids(&database, after(4)).await, []);
        assert_eq!(claim_ids(&database, after(5)).await, [id(2)]);
        let work = begin(&database).await;
        work.jobs().bury(id(2), 2, "hopeless").await.unwrap();
        work.commit().await.unwrap();
        assert_eq!(claim_ids(&database, after(5)).await, [id(5)]);
    })
    .await;
}

#[tokio::test]
async fn a_lost_claim_changes_nothing() {
    each_database(|test| async move {
        let database = test.database;
        enqueue(&database, &[job(1, None)]).await;
        claim_ids(&database, start()).await;
        claim_ids(&database, after(10)).await;
        let work = begin(&database).await;
        work.jobs().retry(id(1), 1, after(500), "late").await.unwrap();
        work.jobs().bury(id(1), 1, "late").await.unwrap();
        work.commit().await.unwrap();
        let work = Store::<dyn JobsWork>::read(&database).await.unwrap();
        assert_eq!(work.jobs().next_due(SCOPE).await.unwrap(), Some(after(20)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_never_claim_the_same_job() {
    each_database(|test| async move {
        let database = test.database;
        let jobs: Vec<NewJob> = (1..=60).map(|number| job(number, None)).collect();
        enqueue(&database, &jobs).await;
        let (mut claimed, theirs) = tokio::join!(node(&database), node(&database));
        claimed.extend(theirs);
        claimed.sort();
        let every: Vec<JobId> = (1..=60).map(id).collect();
        assert_eq!(claimed, every);
    })
    .await;
}

#[tokio::test]
async fn a_claim_passes_by_what_another_node_is_claiming() {
    each_database(|test| async move {
        if !test.is_postgres() {
            // SQLite has one writer: nobody claims at the same time.
            return;
        }
        let database = test.database;
        let jobs = [job(1, Some("a")), job(2, Some("a")), job(3, None)];
        enqueue(&database, &jobs).await;
        let (one, two) = (begin(&database).await, begin(&database).await);
        let first = one.jobs().claim(SCOPE, &["test"], start(), LEASE, 1).await;
        let second = two.jobs().claim(SCOPE, &["test"], start(), LEASE, 9).await;
        let ids = |claimed: Vec<ClaimedJob>| claimed.iter().map(|job| job.id).collect::<Vec<_>>();
        assert_eq!(ids(first.unwrap()), [id(1)]);
        assert_eq!(ids(second.unwrap()), [id(3)]);
        two.commit().await.unwrap();
        one.commit().await.unwrap();
    })
    .await;
}

/// Claims a few jobs at a time until nothing is left.
async fn node(database: &Database) -> Vec<JobId> {
    let mut mine = Vec::new();
    loop {
        let work = begin(database).await;
        let claimed = work.jobs().claim(SCOPE, &["test"], start(), LEASE, 7).await;
        work.commit().await.unwrap();
        let claimed = claimed.unwrap();
        if claimed.is_empty() {
            return mine;
        }
        mine.extend(claimed.iter().map(|job| job.id));
    }
}
