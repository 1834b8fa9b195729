//! Two servers on one PostgreSQL.
//!
//! The servers are processes of their own against a sandbox in this process, which remembers what
//! each recipient got and how often. The nodes wake each other over PostgreSQL, over NATS, or not at
//! all, and one of them is killed in the middle.
//!
//! Needs `KABAR_TEST_POSTGRES`, and `nats-server` for NATS. `KABAR_NODES_MESSAGES` says how many
//! messages the throughput of one node and of two is measured with (1,000 when absent).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that watches real processes in real time"
)]

#[path = "../crash/api.rs"]
#[expect(dead_code, reason = "shared with the crash tests, which command and upload as well")]
mod api;
#[path = "../crash/check.rs"]
mod check;
#[path = "../crash/database.rs"]
#[expect(dead_code, reason = "shared with the crash tests, which run on SQLite as well")]
mod database;
mod listener;
mod nats;
mod paired;
#[path = "../crash/random.rs"]
mod random;
#[path = "../crash/server.rs"]
mod server;
mod story;
mod throughput;

use database::Place;
use story::{Story, Wake};

/// One story at a time: more would only measure the machine.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn run(name: &str, wake: Wake) {
    let _turn = TURN.lock().await;
    let Some(place) = Place::postgres(name).await else {
        return;
    };
    Story::begin(place, wake).await.tell().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_postgres() {
    run("nodes_postgres", Wake::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paired_devices() {
    let _turn = TURN.lock().await;
    let Some(place) = Place::postgres("nodes_paired").await else {
        return;
    };
    paired::Story::begin(place).await.tell().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_nats() {
    let Some(nats) = nats::Nats::start() else {
        return;
    };
    run("nodes_nats", Wake::Nats(nats.address())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_polling_alone() {
    run("nodes_poll", Wake::Poll).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_throughput_of_one_and_of_two() {
    let _turn = TURN.lock().await;
    let mut figures = Vec::new();
    for nodes in [1, 2] {
        let Some(place) = Place::postgres(&format!("nodes_speed_{nodes}")).await else {
            return;
        };
        figures.push(throughput::measure(place, nodes).await);
    }
    for figure in figures {
        eprintln!("{figure}");
    }
}
