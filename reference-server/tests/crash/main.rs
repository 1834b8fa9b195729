//! kill -9, again and again, while messages go out and come in, and during a broadcast whose every
//! event goes to a webhook receiver.
//!
//! The server runs as a process of its own against a sandbox in this process, which plays Meta and
//! every customer. The sandbox remembers what each recipient got and how often, so what is checked
//! here is what people's phones would show, not what the server believes. The receiver is in this
//! process too: what it checks is what a tenant's program would see.
//!
//! `KABAR_CRASH_ROUNDS` says how often the server is killed (3 when absent; 20 is the long form),
//! `KABAR_CRASH_SEED` makes the moments repeat, `KABAR_CRASH_LOG` is the log level of servers with
//! paired devices. With `KABAR_TEST_POSTGRES` it runs on PostgreSQL too.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that watches a real process in real time"
)]

mod api;
mod broadcast;
mod check;
#[expect(dead_code, reason = "shared with the tests of nodes, which look into the database")]
mod database;
mod log;
mod paired;
mod random;
mod receiver;
mod server;
mod stage;
mod story;

use database::Place;
use story::{Policy, Story};

fn rounds() -> u32 {
    std::env::var("KABAR_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

fn seed() -> u64 {
    std::env::var("KABAR_CRASH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// One server at a time: four of them would only measure the machine.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn run(place: Place, policy: Policy) {
    let _turn = TURN.lock().await;
    let story = Story::begin(place, policy, seed()).await;
    story.tell(rounds()).await;
}

async fn run_broadcast(place: Place) {
    let _turn = TURN.lock().await;
    let story = broadcast::Story::begin(place, seed()).await;
    story.tell(rounds()).await;
}

async fn run_paired(place: Place) {
    let _turn = TURN.lock().await;
    let story = paired::Story::begin(place, seed()).await;
    story.tell(rounds()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_hold() {
    run(Place::sqlite(), Policy::Hold).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_resend() {
    run(Place::sqlite(), Policy::Resend).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_hold() {
    let Some(place) = Place::postgres("hold").await else {
        return;
    };
    run(place, Policy::Hold).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_resend() {
    let Some(place) = Place::postgres("resend").await else {
        return;
    };
    run(place, Policy::Resend).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_broadcast() {
    run_broadcast(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_broadcast() {
    let Some(place) = Place::postgres("broadcast").await else {
        return;
    };
    run_broadcast(place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_paired() {
    run_paired(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_paired() {
    let Some(place) = Place::postgres("paired").await else {
        return;
    };
    run_paired(place).await;
}
