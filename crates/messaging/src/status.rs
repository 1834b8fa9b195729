//! The rules for statuses: by rank, never backwards.
//!
//! * sent < delivered < read < played; a higher one implies the lower ones.
//! * `failed` counts only while the message was not delivered, and a delivery beats a failure.
//! * A status proves that the message was sent: it settles what was uncertain, and overtakes the
//!   answer of its own send.

use kabar_channel::StatusUpdate;
use kabar_channel::incoming::Delivery;
use kabar_core::Timestamp;

use crate::message::{Message, Status};

/// Applies a status to its message. Returns whether anything changed.
pub fn apply(message: &mut Message, update: &StatusUpdate, now: Timestamp) -> bool {
    let before = message.clone();
    if message.wire_id.is_none() && !update.wire_id.is_empty() {
        message.wire_id = Some(update.wire_id.clone());
    }
    if let Some(pricing) = &update.pricing {
        message.pricing = Some(pricing.clone());
    }
    let at = update.at.unwrap_or(now);
    match &update.delivery {
        Delivery::Sent => reach(message, Status::Sent, at, now),
        Delivery::Delivered => reach(message, Status::Delivered, at, now),
        Delivery::Read => reach(message, Status::Read, at, now),
        Delivery::Played => reach(message, Status::Played, at, now),
        Delivery::Failed(reason) if message.status.rank() < Status::Delivered.rank() => {
            message.leave_line(Status::Failed, now);
            message.reason = Some(reason.clone());
            message.failed_at.get_or_insert(at);
        }
        _ => {}
    }
    let changed = *message != before;
    if changed {
        message.updated_at = now;
    }
    changed
}

/// Brings a message to at least this rank.
pub(crate) fn reach(message: &mut Message, status: Status, at: Timestamp, now: Timestamp) {
    // What is implied is filled in, and a late lower status still tells its own time.
    let implied = [
        (Status::Sent, &mut message.sent_at),
        (Status::Delivered, &mut message.delivered_at),
        (Status::Read, &mut message.read_at),
        (Status::Played, &mut message.played_at),
    ];
    for (step, time) in implied {
        if step == status {
            match time {
                Some(known) if *known <= at => {}
                _ => *time = Some(at),
            }
        } else if step.rank() < status.rank() {
            time.get_or_insert(at);
        }
    }
    let failed_for_good = message.status == Status::Failed && status == Status::Sent;
    if status.rank() > message.status.rank() && !failed_for_good {
        message.leave_line(status, now);
        message.reason = None;
        message.failed_at = None;
    }
}
