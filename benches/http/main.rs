//! What a send costs over HTTP: a real `kabar serve`, one text to one number a request, on both
//! databases, at 1, 8 and 32 connections.
//!
//! `cargo bench -p kabar-server --bench http` prints a table. Accepted means durable: the answer
//! comes after the commit reached the disk. The processor time is that of the server and of the
//! database, from `/proc`; the load generator's own is left out. What is measured is taking messages
//! in: they are due tomorrow, so that nothing is dispatched meanwhile; a last pair of lines shows the
//! same with messages that are due at once.
//!
//! `KABAR_TEST_POSTGRES` adds PostgreSQL, `BENCH_SECONDS` (5) says how long each line takes,
//! `BENCH_ONLY` runs lines whose name holds this text, and `BENCH_MESSAGES` (1) is how many messages a
//! request has: the figures are then of requests. `KABAR_BINARY` names another program to measure.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench that watches a real process in real time"
)]

#[path = "../../reference-server/tests/crash/api.rs"]
#[expect(dead_code, reason = "the bench needs less of it than the tests")]
mod api;
mod cpu;
#[path = "../../reference-server/tests/crash/database.rs"]
#[expect(dead_code, reason = "the bench needs less of it than the tests")]
mod database;
mod disk;
mod load;
#[path = "../../reference-server/tests/crash/server.rs"]
mod server;
mod town;

use std::time::Duration;

use database::Place;
use load::{Kind, Load};
use town::Town;

fn seconds() -> u64 {
    std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn wanted(name: &str) -> bool {
    std::env::var("BENCH_ONLY").map_or(true, |only| name.contains(&only))
}

/// One line: a fresh database, a short warm-up, and the measured time.
async fn line(name: &str, place: Place, load: Load, durability: &'static str) {
    let town = Town::new(place, durability).await;
    town.run(Load { seconds: 1, ..load }).await;
    let before = cpu::of(town.pid());
    let done = town.run(load).await;
    let used = cpu::of(town.pid()).since(before);
    let per = |time: Duration| time.as_secs_f64() * 1_000.0 / done.sends as f64;
    println!(
        "{name:44} {:8.0} sends/s  p50 {:6.2} ms  p99 {:7.2} ms  CPU a send: server {:.3} ms + database {:.3} ms",
        done.sends as f64 / done.time.as_secs_f64(),
        done.percentile(0.50).as_secs_f64() * 1_000.0,
        done.percentile(0.99).as_secs_f64() * 1_000.0,
        per(used.server),
        per(used.database),
    );
    town.leave().await;
}

async fn postgres(name: &str) -> Option<Place> {
    if std::env::var("KABAR_TEST_POSTGRES").is_err() {
        return None;
    }
    Place::postgres(&format!("bench_{name}")).await
}

/// What a server costs that does nothing.
async fn idle() {
    let mut town = Town::new(Place::sqlite(), "full").await;
    let (started, memory) = town.restart().await;
    println!("{:44} {started:8} ms to start, {memory:.1} MiB idle", "sqlite");
    town.run(Load { connections: 32, kind: Kind::Later, seconds: seconds() }).await;
    let after = cpu::memory(town.pid());
    println!("{:44} {:8} {after:.1} MiB after {} s of load", "sqlite", "", seconds());
    town.leave().await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    disk::print();
    if wanted("idle") {
        idle().await;
    }
    for (kind, durability) in [
        (Kind::Later, "full"),
        (Kind::Known, "full"),
        (Kind::Later, "relaxed"),
        (Kind::Now, "full"),
        (Kind::Intake, "full"),
    ] {
        for connections in [1, 8, 32] {
            let load = Load { connections, kind, seconds: seconds() };
            let name = format!("sqlite {durability} {kind:?} x{connections}");
            if wanted(&name) {
                line(&name, Place::sqlite(), load, durability).await;
            }
            let name = format!("postgres {durability} {kind:?} x{connections}");
            if wanted(&name)
                && let Some(place) = postgres("http").await
            {
                line(&name, place, load, durability).await;
            }
        }
    }
}
