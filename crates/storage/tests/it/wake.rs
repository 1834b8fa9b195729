//! Hints between nodes over PostgreSQL.

use std::time::Duration;

use kabar_core::{Listen, Topic, Wake as _};
use kabar_storage::PostgresWake;
use kabar_storage::testing::each_database;
use sea_orm::ConnectionTrait as _;
use sea_orm::sqlx::postgres::PgListener;

const PATIENCE: Duration = Duration::from_mins(1);
/// Silence for so long means that nothing more comes.
const SILENCE: Duration = Duration::from_millis(300);

/// Waits until a node is connected: then it wakes itself, since hints may have gone by.
async fn connected(ear: &mut Box<dyn Listen>) {
    assert!(ear.heard(PATIENCE).await);
    while ear.heard(SILENCE).await {}
}

#[tokio::test]
async fn hints_reach_the_other_nodes_and_survive_a_lost_connection() {
    each_database(|test| async move {
        let Some(address) = test.address() else { return };
        let (one, two) = (PostgresWake::start(address), PostgresWake::start(address));
        let (mut own, mut other) = (one.listen(Topic::Events), two.listen(Topic::Events));
        let mut jobs = two.listen(Topic::Jobs);
        for round in 0..2 {
            connected(&mut own).await;
            connected(&mut other).await;
            while jobs.heard(SILENCE).await {}
            one.wake(Topic::Events);
            assert!(other.heard(PATIENCE).await, "round {round}");
            assert!(own.heard(PATIENCE).await);
            assert!(!own.heard(SILENCE).await, "its own hint does not come back");
            assert!(!jobs.heard(SILENCE).await, "only those who wait for it are woken");
            let admin = sea_orm::Database::connect(address).await.unwrap();
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'kabar-wake'";
            admin.execute_unprepared(cut).await.unwrap();
            admin.close().await.unwrap();
        }
        connected(&mut other).await;
    })
    .await;
}

#[tokio::test]
async fn many_hints_are_few_notifications() {
    each_database(|test| async move {
        let Some(address) = test.address() else { return };
        let wake = PostgresWake::start(address);
        connected(&mut wake.listen(Topic::Outbox)).await;
        let mut listener = PgListener::connect(address).await.unwrap();
        listener.listen("kabar_outbox").await.unwrap();
        for _ in 0..1_000 {
            wake.wake(Topic::Outbox);
            tokio::task::yield_now().await;
        }
        let mut count = 0;
        while let Ok(heard) = tokio::time::timeout(SILENCE, listener.recv()).await {
            assert_eq!(heard.unwrap().payload(), "");
            count += 1;
        }
        assert!((1..100).contains(&count), "{count}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_away_stops_nobody() {
    let wake = PostgresWake::start("postgres://nobody@127.0.0.1:1/nothing");
    let mut ear = wake.listen(Topic::Jobs);
    wake.wake(Topic::Jobs);
    assert!(ear.heard(PATIENCE).await, "those of this process are woken");
    wake.wake(Topic::Outbox);
    wake.wait(Topic::Outbox, PATIENCE).await;
}
