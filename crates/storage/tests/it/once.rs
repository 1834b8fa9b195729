//! The guard behind `Idempotency-Key`.

use chrono::TimeDelta;
use kabar_core::work::OnceError;
use kabar_core::{Clock as _, Once, Store, Work};
use kabar_storage::Database;
use kabar_testkit::TestClock;
use kabar_testkit::accounts::once;

use kabar_storage::testing::each_database;

async fn begin(database: &Database) -> Box<dyn Work> {
    Store::<dyn Work>::begin(database).await.unwrap()
}

/// Carries a request out, or finds what it made before.
async fn carry_out(database: &Database, once: &Once, made: u32) -> Result<u32, OnceError> {
    let work = begin(database).await;
    if let Some(before) = once.recall::<u32>(&*work).await? {
        return Ok(before);
    }
    once.remember(&*work, &made, TestClock::default().now()).await?;
    work.commit().await?;
    Ok(made)
}

#[tokio::test]
async fn a_request_is_carried_out_once() {
    each_database(|test| async move {
        let database = test.database;
        let request = once("op", "k", 1);
        assert_eq!(carry_out(&database, &request, 1).await.unwrap(), 1);
        assert_eq!(carry_out(&database, &request, 2).await.unwrap(), 1);
        let other_body = once("op", "k", 2);
        let refused = carry_out(&database, &other_body, 3).await;
        assert!(matches!(refused, Err(OnceError::OtherBody)), "{refused:?}");
        let mut stranger = request.clone();
        stranger.principal = "somebody".to_owned();
        for (number, other) in [(4, stranger), (5, once("op2", "k", 1)), (6, once("op", "k2", 1))] {
            assert_eq!(carry_out(&database, &other, number).await.unwrap(), number);
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_was_rolled_back_is_new() {
    each_database(|test| async move {
        let database = test.database;
        let request = once("op", "k", 1);
        let work = begin(&database).await;
        assert_eq!(request.recall::<u32>(&*work).await.unwrap(), None);
        drop(work);
        assert_eq!(carry_out(&database, &request, 2).await.unwrap(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_at_the_same_time_waits() {
    each_database(|test| async move {
        let database = test.database;
        let request = once("op", "k", 1);
        let work = begin(&database).await;
        assert_eq!(request.recall::<u32>(&*work).await.unwrap(), None);
        let second = tokio::spawn({
            let (database, request) = (database.clone(), request.clone());
            async move { carry_out(&database, &request, 2).await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        let now = TestClock::default().now();
        request.remember(&*work, &1_u32, now).await.unwrap();
        work.commit().await.unwrap();
        assert_eq!(second.await.unwrap().unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn requests_are_forgotten_in_time() {
    each_database(|test| async move {
        let database = test.database;
        let request = once("op", "k", 1);
        carry_out(&database, &request, 1).await.unwrap();
        let forget = async |after: TimeDelta| {
            let work = begin(&database).await;
            let before = TestClock::default().now() + after;
            let gone = work.once().forget(before).await.unwrap();
            work.commit().await.unwrap();
            gone
        };
        assert_eq!(forget(TimeDelta::zero()).await, 0);
        assert_eq!(forget(TimeDelta::seconds(1)).await, 1);
        assert_eq!(carry_out(&database, &request, 2).await.unwrap(), 2);
    })
    .await;
}
