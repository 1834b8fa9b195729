//! What becomes of a message after a failed send. The classification is the channel's
//! ([`SendError`]); this is the policy.

use std::time::Duration;

use kabar_channel::{RetrySafety, SendError};
use kabar_core::Timestamp;
use kabar_devices::{DeviceSettings, UncertainPolicy};

use crate::message::{Message, Status};
use crate::pacing::Blocked;
use crate::repo::after;

/// Tries of one message before it fails.
pub const MOST_ATTEMPTS: u32 = 12;
/// The shortest wait between two tries, whatever the network asks for: a try that counts as none
/// must not be repeated at once for ever.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// How long a device that is down is left alone before its next message tries it again.
const DEVICE_REST: Duration = Duration::from_mins(1);
/// How long a device that sends too fast is slowed down when the network names no time.
const SLOW_DOWN: Duration = Duration::from_secs(2);

/// What a failed send means for the whole device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceEffect {
    /// Nothing.
    None,
    /// Nothing is sent before this time.
    Pause {
        /// Until when.
        until: Timestamp,
        /// The network's code.
        code: String,
    },
    /// Nothing is sent to people who never wrote to it before this time.
    NewContacts(Blocked),
    /// It cannot send until somebody mends it; it is tried again after this time.
    Down {
        /// Until when it is left alone.
        until: Timestamp,
        /// A sentence.
        why: String,
    },
}

/// 4^n seconds, as Meta asks for its pair limit (131056): 1, 4, 16, 64, 256, then 15 minutes.
fn backoff(attempts: u32) -> Duration {
    let seconds = 4_u64.saturating_pow(attempts.saturating_sub(1));
    Duration::from_secs(seconds).min(LONGEST_WAIT)
}

/// Applies a failed send to its message, and says what it means for the device.
pub fn failed(
    message: &mut Message,
    error: &SendError,
    settings: &DeviceSettings,
    safety: RetrySafety,
    now: Timestamp,
) -> DeviceEffect {
    message.reason = Some(error.reason().clone());
    message.updated_at = now;
    match error {
        SendError::Retry { after: wait, .. } => {
            let usual = match settings.pacing.retry {
                Some(retry) if message.attempts > retry.times => {
                    fail(message, now);
                    return DeviceEffect::None;
                }
                Some(retry) => Duration::from_secs(u64::from(retry.after_seconds)),
                None => backoff(message.attempts),
            };
            let wait = wait.unwrap_or(Duration::ZERO).max(usual);
            try_again(message, Status::Pending, after(now, wait), now);
            DeviceEffect::None
        }
        SendError::SlowDown { after: wait, .. } => {
            let until = after(now, wait.unwrap_or(SLOW_DOWN).max(SHORTEST_WAIT));
            // A send that the network was too busy for was no try of the message.
            message.attempts = message.attempts.saturating_sub(1);
            try_again(message, Status::Held, until, now);
            DeviceEffect::Pause { until, code: error.reason().code.clone() }
        }
        SendError::NewContactsBlocked { until, assumed, reason } => {
            message.attempts = message.attempts.saturating_sub(1);
            let until = (*until).max(after(now, SHORTEST_WAIT));
            try_again(message, Status::Held, until, now);
            let code = reason.code.parse().ok();
            DeviceEffect::NewContacts(Blocked { until, assumed: *assumed, code })
        }
        SendError::DeviceDown { reason } => {
            let until = after(now, DEVICE_REST);
            message.attempts = message.attempts.saturating_sub(1);
            try_again(message, Status::Held, until, now);
            DeviceEffect::Down { until, why: reason.to_string() }
        }
        SendError::Uncertain { .. } => {
            uncertain(message, settings, safety, now);
            DeviceEffect::None
        }
        _ => {
            fail(message, now);
            DeviceEffect::None
        }
    }
}

fn fail(message: &mut Message, now: Timestamp) {
    message.leave_line(Status::Failed, now);
    message.failed_at = Some(now);
}

/// Puts a message back into its line.
fn try_again(message: &mut Message, status: Status, at: Timestamp, now: Timestamp) {
    if message.attempts >= MOST_ATTEMPTS {
        return fail(message, now);
    }
    message.status = status;
    message.stage = None;
    message.held_until = (status == Status::Held).then_some(at);
    // Expiry is noticed when the lane is ready, so it is never later than that.
    message.next_at = message.expires_at.map_or(at, |expiry| at.min(expiry)).max(now);
}

/// Nobody knows whether the message was sent. It holds its chat for the time that the policy says.
pub fn uncertain(
    message: &mut Message,
    settings: &DeviceSettings,
    safety: RetrySafety,
    now: Timestamp,
) {
    message.status = Status::Uncertain;
    message.stage = None;
    message.updated_at = now;
    let seconds = match (safety, settings.uncertain) {
        // The recipient's device drops the copy.
        (RetrySafety::SameId, _) => 1,
        (_, UncertainPolicy::Resend { after_seconds }) => after_seconds,
        _ => settings.settle_seconds,
    };
    message.next_at = after(now, Duration::from_secs(u64::from(seconds)));
    message.held_until = Some(message.next_at);
}

/// Until when an uncertain message has to wait under *resend*, because no status could reach us
/// before `up_since`: the time without a status counts only while we are there to hear it.
pub fn unheard(
    message: &Message,
    settings: &DeviceSettings,
    up_since: Timestamp,
) -> Option<Timestamp> {
    match settings.uncertain {
        UncertainPolicy::Resend { after_seconds } if message.status == Status::Uncertain => {
            Some(after(up_since, Duration::from_secs(u64::from(after_seconds))))
        }
        _ => None,
    }
}

/// Ends a message whose device was removed. One that may have been sent stays uncertain.
pub fn abandon(message: &mut Message, now: Timestamp) {
    use crate::message::Stage;
    let in_doubt = message.status == Status::Uncertain || message.stage == Some(Stage::Sending);
    let status = if in_doubt { Status::Uncertain } else { Status::Cancelled };
    message.leave_line(status, now);
    message.reason = Some(kabar_channel::Reason::new("device_removed", "its device was removed"));
}

/// What to do with the head of a lane that was just claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send it.
    Send,
    /// Its state changed: it left the line, or waits for what becomes of it.
    Settled,
    /// It is not due yet.
    Wait,
}

/// Decides about the head of a claimed lane, and brings the message into the state that follows.
pub fn next(
    message: &mut Message,
    settings: &DeviceSettings,
    safety: RetrySafety,
    now: Timestamp,
) -> Next {
    use crate::message::Stage;
    if !message.queued {
        return Next::Wait;
    }
    if !message.status.is_waiting()
        && !matches!(message.status, Status::Processing | Status::Uncertain)
    {
        // It came to its end; whatever left it in the line, it is not sent again.
        message.leave_line(message.status, now);
        return Next::Settled;
    }
    if message.status == Status::Processing && message.stage == Some(Stage::Sending) {
        // Its node died at the one step that counts.
        message.reason = Some(kabar_channel::Reason::new(
            "interrupted",
            "the node that was sending it stopped before the answer came",
        ));
        uncertain(message, settings, safety, now);
        return Next::Settled;
    }
    if message.status == Status::Uncertain {
        let again = safety == RetrySafety::SameId
            || matches!(settings.uncertain, UncertainPolicy::Resend { .. });
        if message.next_at > now {
            return Next::Wait;
        }
        if !again || message.attempts >= MOST_ATTEMPTS {
            // The chat goes on; the message stays uncertain, with its reason.
            message.queued = false;
            message.held_until = None;
            message.updated_at = now;
            return Next::Settled;
        }
    }
    if message.expires_at.is_some_and(|expiry| expiry <= now) {
        // An uncertain message may have arrived: it does not become "expired".
        if message.status == Status::Uncertain {
            message.queued = false;
            message.held_until = None;
            message.updated_at = now;
        } else {
            message.leave_line(Status::Expired, now);
        }
        return Next::Settled;
    }
    if message.due_at.max(message.next_at) > now {
        return Next::Wait;
    }
    message.status = Status::Processing;
    message.stage = Some(Stage::Claimed);
    message.attempts = message.attempts.saturating_add(1);
    message.held_until = None;
    message.updated_at = now;
    Next::Send
}
