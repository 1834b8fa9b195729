//! What is counted on the two roads. Per batch, not per message, and without ids in the labels.

use std::collections::BTreeMap;
use std::time::Duration;

use kabar_channel::{Accepted, IntakeReport, SendError};

/// Lanes were claimed.
pub(crate) fn claimed(lanes: usize) {
    metrics::counter!("kabar_dispatch_claimed_total").increment(lanes as u64);
}

/// The network answered a send, or did not.
pub(crate) fn transmitted(took: Duration) {
    metrics::histogram!("kabar_transmit_seconds").record(took);
}

/// Outcomes of sends were stored together.
pub(crate) fn finished<'a>(
    outcomes: impl Iterator<Item = (&'a str, &'a Result<Accepted, SendError>)>,
) {
    let mut counts: BTreeMap<(&str, &'static str), u64> = BTreeMap::new();
    for (channel, outcome) in outcomes {
        *counts.entry((channel, class(outcome))).or_default() += 1;
    }
    let all: u64 = counts.values().sum();
    #[expect(clippy::cast_precision_loss, reason = "a batch has a few hundred at most")]
    metrics::histogram!("kabar_dispatch_batch_size").record(all as f64);
    for ((channel, class), count) in counts {
        metrics::counter!("kabar_sends_total", "channel" => channel.to_owned(), "class" => class)
            .increment(count);
    }
}

const fn class(outcome: &Result<Accepted, SendError>) -> &'static str {
    match outcome {
        Ok(_) => "sent",
        Err(SendError::Retry { .. }) => "retry",
        Err(SendError::SlowDown { .. }) => "slow_down",
        Err(SendError::NewContactsBlocked { .. }) => "new_contacts_blocked",
        Err(SendError::DeviceDown { .. }) => "device_down",
        Err(SendError::Uncertain { .. }) => "uncertain",
        Err(_) => "refused",
    }
}

/// A batch came in and was stored.
pub(crate) fn taken_in(report: &IntakeReport, took: Duration) {
    metrics::histogram!("kabar_intake_seconds").record(took);
    for (kind, count) in [
        ("message", report.messages),
        ("status", report.statuses),
        ("repeated", report.repeated),
        ("parked", report.parked),
        ("quarantined", report.quarantined),
    ] {
        if count > 0 {
            metrics::counter!("kabar_intake_items_total", "kind" => kind).increment(count as u64);
        }
    }
}
