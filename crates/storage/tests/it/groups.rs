//! Units of work at the same time: each is durable or gone, whatever its neighbours do.

use std::collections::BTreeSet;

use kabar_core::{Clock as _, JobId, Store, StoreError};
use kabar_jobs::{JobsWork, NewJob};
use kabar_storage::Database;
use kabar_testkit::TestClock;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::jobs::{SCOPE, claim_all};
use kabar_storage::testing::each_database;

fn job(number: u128) -> NewJob {
    NewJob {
        id: JobId::from(Uuid::from_u128(number)),
        name: "group",
        account: None,
        order: None,
        payload: json!({}),
        due_at: TestClock::default().now(),
    }
}

async fn begin(database: &Database) -> Box<dyn JobsWork> {
    Store::<dyn JobsWork>::begin(database).await.unwrap()
}

/// What becomes of a unit.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Committed,
    Dropped,
    Failed,
}

const fn end(number: u128) -> End {
    match number % 10 {
        3 => End::Dropped,
        7 => End::Failed,
        _ => End::Committed,
    }
}

async fn unit(database: Database, number: u128) -> Result<(), StoreError> {
    let work = begin(&database).await;
    work.jobs().enqueue(&[job(number)]).await?;
    match end(number) {
        End::Committed => work.commit().await,
        End::Dropped => Ok(()),
        // The same id again: the database refuses the statement.
        End::Failed => work.jobs().enqueue(&[job(number)]).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_units_at_once() {
    each_database(|test| async move {
        let mut units = JoinSet::new();
        for number in 0..100 {
            let database = test.database.clone();
            units.spawn(async move { (number, unit(database, number).await) });
        }
        let mut durable = BTreeSet::new();
        while let Some(ended) = units.join_next().await {
            let (number, result) = ended.unwrap();
            match (end(number), result) {
                (End::Committed, Ok(())) => {
                    durable.insert(Uuid::from_u128(number));
                }
                (End::Dropped, Ok(())) | (End::Failed, Err(StoreError::Conflict { .. })) => {}
                (_, result) => panic!("unit {number}: {result:?}"),
            }
        }
        assert_eq!(durable.len(), 80);
        // Through other connections, as after a restart.
        let stored = claim_all(&test.reopened().await, &["group"]).await;
        let stored: BTreeSet<Uuid> = stored.iter().map(|job| job.id.uuid()).collect();
        assert_eq!(stored, durable);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_while_it_commits_blocks_nobody() {
    each_database(|test| async move {
        for number in 0..20 {
            let work = begin(&test.database).await;
            work.jobs().enqueue(&[job(number)]).await.unwrap();
            let committing = tokio::spawn(work.commit());
            if number % 2 == 0 {
                committing.abort();
            }
            let _ = committing.await;
        }
        let work = begin(&test.database).await;
        work.jobs().enqueue(&[job(100)]).await.unwrap();
        work.commit().await.unwrap();
        let work = Store::<dyn JobsWork>::read(&test.database).await.unwrap();
        assert!(work.jobs().next_due(SCOPE).await.unwrap().is_some());
        drop(work);
        let stored = claim_all(&test.database, &["group"]).await;
        let stored: BTreeSet<u128> = stored.iter().map(|job| job.id.uuid().as_u128()).collect();
        // Whoever stayed is there; whoever went is there or not.
        let stayed = (0..20).filter(|number| number % 2 == 1).chain([100]);
        assert!(stored.is_superset(&stayed.collect()));
    })
    .await;
}

/// Each caller goes away at another moment: waiting for its turn, beginning, writing, ending its
/// savepoint, waiting for the commit of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_may_go_away_at_any_moment() {
    each_database(|test| async move {
        let mut units = JoinSet::new();
        for number in 0..600 {
            let database = test.database.clone();
            units.spawn(async move {
                let moment = std::time::Duration::from_micros((number % 97) * 60);
                let unit = async {
                    let work = begin(&database).await;
                    work.jobs().enqueue(&[job(u128::from(number))]).await?;
                    work.commit().await
                };
                // Some stay: groups are of more than one.
                if number % 3 == 0 {
                    unit.await.unwrap();
                } else if let Ok(ended) = tokio::time::timeout(moment, unit).await {
                    ended.unwrap();
                }
            });
            if number % 8 == 7 {
                while let Some(ended) = units.join_next().await {
                    ended.unwrap();
                }
            }
        }
        while let Some(ended) = units.join_next().await {
            ended.unwrap();
        }
        let work = begin(&test.database).await;
        work.jobs().enqueue(&[job(1_000)]).await.unwrap();
        work.commit().await.unwrap();
        let (database, mut stored) = (test.reopened().await, BTreeSet::new());
        loop {
            let claimed = claim_all(&database, &["group"]).await;
            if claimed.is_empty() {
                break;
            }
            stored.extend(claimed.iter().map(|job| job.id.uuid().as_u128()));
        }
        let stayed = (0..600).filter(|number| number % 3 == 0).chain([1_000]);
        assert!(stored.is_superset(&stayed.collect()));
    })
    .await;
}
