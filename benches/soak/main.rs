//! Two hundred paired sessions for an hour, with messages both ways and connections that break: does
//! memory stay where it is, and does every message arrive once?
//!
//! `cargo bench -p kabar-server --bench soak` prints a table by slices of five minutes, the trend of the
//! server's memory over the last three quarters, and what became of the messages. The sandbox runs in a
//! process of its own.
//!
//! `SOAK_MINUTES` (60) says how long, `SOAK_SESSIONS` (200) with how many, `SOAK_PER_MINUTE` (120) how
//! many messages a minute each way, over all sessions, and `SOAK_BREAKS_PER_MINUTE` (20) how many
//! connections break. `KABAR_TEST_POSTGRES` has it run on PostgreSQL instead of SQLite. `KABAR_BINARY`
//! names another program to measure.
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

use harbour::database::Place;
use harbour::dice::Dice;
use harbour::fleet::Fleet;
use harbour::ledger::{self, Ledger};
use harbour::whatsapp::{self, Whatsapp};
use harbour::{cpu, number};
use serde_json::json;
use tokio::time::interval;

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_secs(10);
/// Looks that one line of the table is about: five minutes.
const SLICE: usize = 30;
/// How long what is under way may take at the end: half-open connections are noticed within a minute.
const SETTLE: Duration = Duration::from_mins(3);

/// One look at the server.
struct Sample {
    at: Duration,
    /// MiB.
    memory: f64,
    /// Processor time so far.
    used: cpu::Used,
    /// Connections begun so far.
    dials: u64,
    out: usize,
    inward: usize,
    breaks: usize,
}

/// A time between two of so many a minute.
fn pause(per_minute: u64) -> Duration {
    Duration::from_mins(1) / u32::try_from(per_minute.max(1)).unwrap()
}

/// Breaks somebody's connection, in one of the ways in which connections break.
async fn disturb(fleet: &Fleet, dice: &mut Dice) {
    let ways = [
        json!({ "kind": "drop" }),
        json!({ "kind": "close" }),
        json!({ "kind": "stream_error", "code": 503 }),
        json!({ "kind": "stream_error", "code": 515 }),
        json!({ "kind": "half_open" }),
    ];
    let ship = &fleet.ships[dice.roll(fleet.ships.len())];
    fleet.whatsapp.end(&ship.number, &ways[dice.roll(ways.len())]).await;
}

/// Traffic and breaks until the time is over.
async fn sail(fleet: &Fleet, length: Duration) -> (Ledger, Vec<Sample>) {
    let (mut ledger, mut samples, mut breaks) = (Ledger::default(), Vec::new(), 0);
    let (begun, mut dice) = (Instant::now(), Dice::new());
    let per_minute = number("SOAK_PER_MINUTE", 120);
    let (mut out, mut inward) = (interval(pause(per_minute)), interval(pause(per_minute)));
    let mut storms = interval(pause(number("SOAK_BREAKS_PER_MINUTE", 20)));
    let mut looks = interval(SAMPLE);
    while begun.elapsed() < length {
        tokio::select! {
            _ = out.tick() => ledger.send(fleet, dice.roll(fleet.ships.len())).await,
            _ = inward.tick() => ledger.write(fleet, dice.roll(fleet.ships.len())).await,
            _ = storms.tick() => {
                disturb(fleet, &mut dice).await;
                breaks += 1;
            }
            _ = looks.tick() => {
                samples.push(Sample {
                    at: begun.elapsed(),
                    memory: cpu::memory(fleet.pid()),
                    used: cpu::of(fleet.pid()),
                    dials: fleet.dials().await,
                    out: ledger.out.len(),
                    inward: ledger.inward.len(),
                    breaks,
                });
                if samples.len().is_multiple_of(SLICE) {
                    print(&samples[samples.len() - SLICE..]);
                }
            }
        }
    }
    (ledger, samples)
}

/// Prints the line of a slice.
fn print(slice: &[Sample]) {
    let [first, .., last] = slice else { return };
    let memory = slice.iter().map(|sample| sample.memory);
    let least = memory.clone().fold(f64::MAX, f64::min);
    let most = memory.clone().fold(0.0, f64::max);
    let busy = last.used.since(first.used).server.as_secs_f64();
    let minutes = |at: Duration| at.as_secs_f64() / 60.0;
    println!(
        "| {:.0}–{:.0} | {least:.1} / {:.1} / {most:.1} | {:.1} % | {} | {} | {} | {} |",
        minutes(first.at),
        minutes(last.at + SAMPLE),
        memory.sum::<f64>() / slice.len() as f64,
        busy * 100.0 / last.at.saturating_sub(first.at).as_secs_f64(),
        last.out - first.out,
        last.inward - first.inward,
        last.breaks - first.breaks,
        last.dials - first.dials,
    );
}

/// KiB an hour by which memory grows, by least squares.
fn trend(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let points = || samples.iter().map(|sample| (sample.at.as_secs_f64() / 3_600.0, sample.memory));
    let (hour, memory) = points().fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    let (hour, memory) = (hour / count, memory / count);
    let (above, below) = points().fold((0.0, 0.0), |sum, it| {
        let away = it.0 - hour;
        (sum.0 + away * (it.1 - memory), sum.1 + away * away)
    });
    above / below * 1_024.0
}

#[tokio::main]
async fn main() {
    if whatsapp::is_asked() {
        return whatsapp::serve().await;
    }
    let postgres = std::env::var("KABAR_TEST_POSTGRES").is_ok();
    let place = if postgres { Place::postgres("soak").await } else { None };
    let place = place.unwrap_or_else(Place::sqlite);
    let length = Duration::from_mins(number("SOAK_MINUTES", 60));
    let sessions = usize::try_from(number("SOAK_SESSIONS", 200)).unwrap();
    let mut fleet = Fleet::new(place, Whatsapp::start().await, None).await;
    fleet.grow(sessions).await;
    fleet.connect().await;
    let connected = fleet.until_connected().await;
    ledger::open(&fleet).await;
    println!("{sessions} sessions connected after {:.1} s", connected.as_secs_f64());

    println!("| minutes | RSS least / mean / most, MiB | CPU | out | in | broken | connections |");
    println!("|---|---|---|---|---|---|---|");
    let (ledger, samples) = sail(&fleet, length).await;
    let last: Vec<Sample> = samples.into_iter().filter(|it| it.at >= length / 4).collect();
    println!("memory over the last three quarters: {:+.0} KiB an hour", trend(&last));

    let begun = Instant::now();
    while !ledger.is_settled(&fleet).await && begun.elapsed() < SETTLE {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("settled after {:.0} s; {:?}", begun.elapsed().as_secs_f64(), fleet.states().await);
    let (out, inward) = (ledger.out.len(), ledger.inward.len());
    println!("{out} out, {inward} in: {:?}", ledger.account(&fleet).await);
    fleet.leave().await;
}
