//! What each fault of WhatsApp's makes of fifty paired sessions: in which state they end, how often they
//! connect again meanwhile, and whether a message is lost.
//!
//! `cargo bench -p kabar-server --bench storm` prints a Markdown table, and ends with an error when a
//! fault ended in another state than it should, or lost or doubled a message. Each fault has a server
//! and a WhatsApp of its own. It strikes at once; one that lasts is over after a minute; after two
//! minutes the books are closed. Each device is sent a message and sends one when the fault strikes.
//!
//! `STORM_SESSIONS` (50) says with how many sessions, `STORM_AT_ONCE` (6) how many faults are looked at
//! at the same time, `STORM_ONLY` names faults by a part of their name, and `KABAR_BINARY` another
//! program to measure.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench that watches a real process in real time"
)]

mod faults;
#[path = "../harbour/mod.rs"]
#[expect(dead_code, reason = "what the other benches need")]
mod harbour;
mod line;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use harbour::database::Place;
use harbour::fleet::Fleet;
use harbour::ledger::{self, Account, Ledger};
use harbour::number;
use harbour::whatsapp::{self, Whatsapp};
use tokio::time::{Instant, sleep_until};

use crate::faults::{Case, LASTS};
use crate::line::Line;

/// What one number of connections is about.
const SLICE: Duration = Duration::from_secs(10);
/// Slices until the books are closed.
const SLICES: u32 = 12;

/// What a fault did.
struct Outcome {
    case: Case,
    /// The states that most devices were in, in turn.
    states: Vec<String>,
    /// Connections begun in each slice.
    dials: Vec<u64>,
    account: Account,
    /// Devices that are not in the state in which they should be.
    astray: usize,
}

/// The state of most devices.
fn most(states: &BTreeMap<String, usize>) -> String {
    let most = states.iter().max_by_key(|(_, count)| **count);
    most.map(|(state, _)| state.clone()).unwrap_or_default()
}

async fn outcome(case: Case, sessions: usize) -> Outcome {
    let whatsapp = Whatsapp::start().await;
    let (line, socket) = Line::to(&whatsapp.socket).await;
    let mut fleet = Fleet::new(Place::sqlite(), whatsapp, Some(socket)).await;
    fleet.grow(sessions).await;
    fleet.connect().await;
    fleet.until_connected().await;
    ledger::open(&fleet).await;

    let (begun, mut before) = (Instant::now(), fleet.dials().await);
    let (mut ledger, mut states, mut dials) = (Ledger::default(), Vec::new(), Vec::new());
    case.strike.begin(&fleet, &line).await;
    for ship in 0..sessions {
        ledger.send(&fleet, ship).await;
        ledger.write(&fleet, ship).await;
    }
    for slice in 1..=SLICES {
        sleep_until(begun + SLICE * slice - SLICE / 2).await;
        let state = most(&fleet.states().await);
        if states.last() != Some(&state) {
            states.push(state);
        }
        sleep_until(begun + SLICE * slice).await;
        if SLICE * slice == LASTS {
            case.strike.end(&fleet, &line).await;
        }
        let now = fleet.dials().await;
        dials.push(now - before);
        before = now;
    }
    let last = fleet.states().await;
    let astray = sessions - last.get(case.ends).copied().unwrap_or_default();
    if states.last() != Some(&most(&last)) {
        states.push(most(&last));
    }
    let account = ledger.account(&fleet).await;
    fleet.leave().await;
    eprintln!("{}: {last:?} {account:?}", case.name);
    Outcome { case, states, dials, account, astray }
}

impl Outcome {
    fn is_good(&self) -> bool {
        let Account { lost, doubled, lost_inward, doubled_inward, .. } = self.account;
        self.astray + lost + doubled + lost_inward + doubled_inward == 0
    }

    fn print(&self) {
        let dials: Vec<String> = self.dials.iter().map(u64::to_string).collect();
        let Account { arrived, waiting, failed, stored, held, .. } = self.account;
        let Account { lost, doubled, lost_inward, doubled_inward, .. } = self.account;
        println!(
            "| {} | {}{} | {} | {arrived} / {waiting} / {failed} | {stored} / {held} | {} | {} |",
            self.case.name,
            self.states.join(", "),
            if self.astray > 0 { format!(" (**{} astray**)", self.astray) } else { String::new() },
            dials.join(" "),
            lost + lost_inward,
            doubled + doubled_inward,
        );
    }
}

#[tokio::main]
async fn main() {
    if whatsapp::is_asked() {
        return whatsapp::serve().await;
    }
    let sessions = usize::try_from(number("STORM_SESSIONS", 50)).unwrap();
    let at_once = usize::try_from(number("STORM_AT_ONCE", 6)).unwrap();
    let only = std::env::var("STORM_ONLY").unwrap_or_default();
    let cases = faults::all().into_iter().filter(|case| case.name.contains(&only));
    let outcomes: Vec<Outcome> =
        stream::iter(cases).map(|case| outcome(case, sessions)).buffered(at_once).collect().await;
    println!(
        "| fault | state of most sessions | connections in each {} s | out: arrived / wait / failed \
         | in: stored / wait | lost | doubled |",
        SLICE.as_secs()
    );
    println!("|---|---|---|---|---|---|---|");
    for outcome in &outcomes {
        outcome.print();
    }
    let bad: Vec<&str> =
        outcomes.iter().filter(|it| !it.is_good()).map(|it| it.case.name).collect();
    assert!(bad.is_empty(), "not as it should be: {bad:?}");
}
