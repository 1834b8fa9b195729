//! What paired sessions cost: memory and processor time of a real `kabar serve` with 1, 100 and 1,000 of
//! them, how long they take to connect, and how many messages one of them carries.
//!
//! `cargo bench -p kabar-server --bench sessions` prints a Markdown table. The sandbox, which plays
//! WhatsApp, runs in a process of its own; each line is of a server that was started anew with so many
//! sessions.
//!
//! `KABAR_TEST_POSTGRES` adds PostgreSQL, `BENCH_SESSIONS` (1,000) is the largest number of sessions,
//! `BENCH_SECONDS` (60) how long they have traffic, and `KABAR_BINARY` names another program to measure.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench that watches a real process in real time"
)]

#[path = "../harbour/mod.rs"]
#[expect(dead_code, reason = "what the other benches need")]
mod harbour;

use std::time::{Duration, Instant};

use harbour::cpu::{self, Used};
use harbour::database::Place;
use harbour::dice::Dice;
use harbour::fleet::Fleet;
use harbour::ledger::{self, Ledger};
use harbour::look::until;
use harbour::number;
use harbour::whatsapp::{self, Whatsapp};
use tokio::time::interval;

/// How long a server is left alone before its memory is read: the allocator gives back what the start
/// needed.
const REST: Duration = Duration::from_secs(5);
/// How long its processor time is watched while nothing happens: about as long as a session waits between
/// two pings (15 to 30 s).
const IDLE: Duration = Duration::from_secs(20);
/// Messages that one session carries, to see how fast.
const CARGO: usize = 500;
/// For how long they may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a server with so many sessions costs.
struct Cost {
    /// MiB.
    memory: f64,
    /// Of one processor, in percent.
    server: f64,
    database: f64,
}

/// Watches a server for a while.
async fn watch(fleet: &Fleet, length: Duration) -> Cost {
    let before = cpu::of(fleet.pid());
    tokio::time::sleep(length).await;
    cost(fleet, before, length)
}

fn cost(fleet: &Fleet, before: Used, length: Duration) -> Cost {
    let used = cpu::of(fleet.pid()).since(before);
    let percent = |time: Duration| time.as_secs_f64() * 100.0 / length.as_secs_f64();
    let memory = cpu::memory(fleet.pid());
    Cost { memory, server: percent(used.server), database: percent(used.database) }
}

fn line(what: &str, cost: &Cost, empty: f64, sessions: usize, connected: Option<Duration>) {
    let each = match sessions {
        0 => "–".to_owned(),
        _ => format!("{:.3} MiB", (cost.memory - empty) / sessions as f64),
    };
    let connected = connected
        .map_or_else(|| "–".to_owned(), |connected| format!("{:.1} s", connected.as_secs_f64()));
    println!(
        "| {what} | {:.1} MiB | {each} | {:.2} % | {:.2} % | {connected} |",
        cost.memory, cost.server, cost.database
    );
}

/// How long one session takes from *connect* to *connected*.
async fn first(fleet: &mut Fleet) -> Duration {
    fleet.grow(1).await;
    let begun = Instant::now();
    fleet.connect().await;
    fleet.until_connected().await;
    begun.elapsed()
}

/// A message a minute each way for each session.
async fn traffic(fleet: &Fleet, length: Duration) -> (Cost, Ledger) {
    let sessions = u32::try_from(fleet.ships.len()).unwrap();
    let pause = Duration::from_mins(1) / sessions;
    let (mut out, mut inward) = (interval(pause), interval(pause));
    let (mut ledger, mut dice) = (Ledger::default(), Dice::new());
    let (begun, before) = (Instant::now(), cpu::of(fleet.pid()));
    while begun.elapsed() < length {
        tokio::select! {
            _ = out.tick() => ledger.send(fleet, dice.roll(fleet.ships.len())).await,
            _ = inward.tick() => ledger.write(fleet, dice.roll(fleet.ships.len())).await,
        }
    }
    let cost = cost(fleet, before, begun.elapsed());
    until("everything arrives", Duration::from_millis(100), PATIENCE, async || {
        ledger.is_settled(fleet).await.then_some(())
    })
    .await;
    (cost, ledger)
}

/// Messages a second that one session sends, and that it stores and acknowledges.
async fn carry(fleet: &Fleet) -> (f64, f64) {
    let (ship, customer) = (&fleet.ships[0], "6283300000000");
    fleet.whatsapp.open(customer).await;
    let texts: Vec<_> = (0..CARGO).map(|n| (customer.to_owned(), format!("cargo {n}"))).collect();
    let every = Duration::from_millis(20);
    let begun = Instant::now();
    fleet.send(ship, &texts, "cargo").await;
    until("the customer has all", every, PATIENCE, async || {
        (fleet.whatsapp.heard_count(customer).await >= CARGO as u64).then_some(())
    })
    .await;
    let out = CARGO as f64 / begun.elapsed().as_secs_f64();

    let begun = Instant::now();
    for (_, text) in &texts {
        fleet.whatsapp.write(customer, &ship.number, text).await;
    }
    until("all are acknowledged", every, PATIENCE, async || {
        (fleet.whatsapp.waiting(&ship.number).await == 0).then_some(())
    })
    .await;
    (out, CARGO as f64 / begun.elapsed().as_secs_f64())
}

async fn measure(name: &str, place: Place) {
    println!("\n| {name} | RSS | a session | CPU server | CPU database | connected after |");
    println!("|---|---|---|---|---|---|");
    let mut fleet = Fleet::new(place, Whatsapp::start().await, None).await;
    fleet.restart().await;
    tokio::time::sleep(REST).await;
    let empty = watch(&fleet, IDLE).await;
    line("0 sessions, idle", &empty, 0.0, 0, None);

    let connected = first(&mut fleet).await;
    let (out, inward) = carry(&fleet).await;
    fleet.restart().await;
    tokio::time::sleep(REST).await;
    line("1 session, idle", &watch(&fleet, IDLE).await, empty.memory, 1, Some(connected));

    let most = usize::try_from(number("BENCH_SESSIONS", 1_000)).unwrap();
    for sessions in [100, most] {
        let grown = fleet.grow(sessions).await;
        fleet.connect().await;
        fleet.until_connected().await;
        eprintln!("{sessions} sessions are brought in after {:.1} s", grown.as_secs_f64());
        let connected = fleet.restart().await;
        tokio::time::sleep(REST).await;
        let what = format!("{sessions} sessions, idle");
        line(&what, &watch(&fleet, IDLE).await, empty.memory, sessions, Some(connected));
    }
    ledger::open(&fleet).await;
    let (busy, ledger) = traffic(&fleet, Duration::from_secs(number("BENCH_SECONDS", 60))).await;
    let what = format!("{most} sessions, a message a minute each way");
    line(&what, &busy, empty.memory, most, None);
    let account = ledger.account(&fleet).await;
    println!("\none session, {CARGO} messages: {out:.0} a second out, {inward:.0} a second in");
    println!("{} out, {} in: {account:?}", ledger.out.len(), ledger.inward.len());
    fleet.leave().await;
}

#[tokio::main]
async fn main() {
    if whatsapp::is_asked() {
        return whatsapp::serve().await;
    }
    println!("baselines: 60 to 80 MB a session (Node), 250 to 400 MB a session (Chromium)");
    println!("the engine alone: 0.38 to 0.58 MB a session");
    measure("SQLite", Place::sqlite()).await;
    if std::env::var("KABAR_TEST_POSTGRES").is_ok()
        && let Some(place) = Place::postgres("sessions").await
    {
        measure("PostgreSQL", place).await;
    }
}
