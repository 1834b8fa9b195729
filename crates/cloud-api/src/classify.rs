//! What to do about an error of Graph, by its code.

use std::ops::RangeInclusive;
use std::time::Duration;

use kabar_channel::{Reason, SendError};

use crate::graph::{ApiError, GraphError};

/// What a code asks for; waits in seconds, where Meta or experience names one.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Retry(Option<u64>),
    SlowDown(Option<u64>),
    OutsideWindow,
    Refused,
    DeviceDown,
}

use Verdict::{DeviceDown, OutsideWindow, Refused, Retry, SlowDown};

const fn one(code: i64) -> RangeInclusive<i64> {
    code..=code
}

/// Meta's error codes (section "Error codes" of the Cloud API documentation), first match wins.
const TABLE: &[(RangeInclusive<i64>, Verdict)] = &[
    (one(0), DeviceDown),           // cannot authenticate the app user
    (one(1), Retry(None)), // unknown; a bad request stays bad, so the policy's tries end it
    (one(2), Retry(None)), // service down or overloaded
    (one(3), DeviceDown),  // capability or permission missing
    (one(4), SlowDown(None)), // the app's call limit
    (one(10), DeviceDown), // permission not granted or removed
    (one(33), DeviceDown), // the number does not exist
    (one(100), Refused),   // invalid parameter (subcode 33: see `verdict`)
    (one(104), DeviceDown), // token missing
    (one(190), DeviceDown), // token invalid or expired
    (200..=299, DeviceDown), // permission missing
    (one(368), DeviceDown), // policy block on the account
    (one(80_007), SlowDown(None)), // management calls of the business account
    (one(130_403), Refused), // the business blocked this user
    (one(130_429), SlowDown(None)), // throughput reached
    (one(130_472), Refused), // user in Meta's marketing experiment
    (one(130_497), Refused), // country restricted for this business
    (one(131_000), Retry(None)), // something went wrong
    (one(131_005), DeviceDown), // access denied: permission not granted or removed
    (131_008..=131_009, Refused), // parameter missing, invalid
    (one(131_016), Retry(None)), // service unavailable
    (one(131_021), Refused), // recipient is the sender
    (one(131_026), Refused), // undeliverable
    (one(131_030), Refused), // recipient not in the test number's list
    (one(131_031), DeviceDown), // account locked
    (one(131_037), DeviceDown), // 555 number without approved display name
    (one(131_042), DeviceDown), // payment problem
    (one(131_044), DeviceDown), // payment problem of calls
    (one(131_045), DeviceDown), // number not registered
    (one(131_047), OutsideWindow),
    (one(131_048), SlowDown(Some(3600))), // spam limit on the number: hours, says Meta; we ask hourly
    (one(131_049), Refused),              // held back for ecosystem health; not within 24 h
    (one(131_050), Refused),              // user stopped marketing
    (one(131_051), Refused),              // unsupported message type
    (131_052..=131_053, Refused),         // media cannot be downloaded, uploaded
    (one(131_055), Refused),              // method not allowed
    (one(131_056), Retry(None)), // pair limit: other chats are unaffected (see `pair_wait`)
    (one(131_057), SlowDown(Some(60))), // throughput upgrade, up to a minute
    (one(131_062), Refused),     // BSUID not allowed for this message
    (one(131_063), Refused),     // marketing disabled for this business account
    (one(131_064), Refused),     // limited for template misclassification
    (132_000..=132_018, Refused), // template: parameters, language, policy, paused, disabled
    (one(132_068), Refused),     // flow blocked
    (one(132_069), Retry(Some(360))), // flow throttled to 10 an hour
    (one(133_000), DeviceDown),  // an earlier deregistration failed
    (one(133_004), Retry(None)), // registration server busy
    (133_005..=133_010, DeviceDown), // PIN, verification, registration
    (one(133_015), Retry(Some(300))), // number just deleted; after 5 minutes, says Meta
    (one(133_016), DeviceDown),  // too many registrations
    (one(134_011), Refused),     // payment terms pending
    (one(134_100), Refused),     // marketing messages only
    (one(134_101), Retry(Some(600))), // template syncing, up to 10 minutes
    (one(134_102), Refused),     // template unavailable
    (one(135_000), Refused),     // generic parameter error
    (one(137_000), Refused),     // identity key hash mismatch
    (139_000..=139_004, Refused), // flows
    (147_001..=147_004, Refused), // usernames
    (200_005..=200_007, Refused), // template insights
    (2_388_012..=2_388_103, Refused), // template editing, number migration
    (one(2_388_293), Refused),   // template: ratio of variables
    (one(2_388_299), Refused),   // template: variable at the edge
    (one(2_494_100), SlowDown(Some(300))), // number in maintenance, minutes
    (2_593_107..=2_593_109, Refused), // coexistence synchronisation
];

/// Code 100 with this subcode: the object behind the address does not exist, or the token cannot
/// see it.
const NO_SUCH_OBJECT: i64 = 33;

/// What to do about an error of Graph. A code of the table decides alone; another one is judged by
/// `is_transient` and the HTTP status.
///
/// ```
/// use kabar_channel::SendError;
/// use kabar_cloud_api::{ApiError, classify};
///
/// let closed = classify(&ApiError::new(400, 131_047));
/// assert!(matches!(closed, SendError::OutsideWindow { .. }));
/// ```
pub fn classify(error: &ApiError) -> SendError {
    let reason = Reason::new(error.code.to_string(), error.text());
    let after = |seconds: Option<u64>| error.retry_after.or(seconds.map(Duration::from_secs));
    match verdict(error) {
        Some(Retry(seconds)) => SendError::Retry { after: after(seconds), reason },
        Some(SlowDown(seconds)) => SendError::SlowDown { after: after(seconds), reason },
        Some(OutsideWindow) => SendError::OutsideWindow { reason },
        Some(Refused) => SendError::Refused { reason },
        Some(DeviceDown) => SendError::DeviceDown { reason },
        None => SendError::Uncertain { reason },
    }
}

/// `None`: nobody knows.
fn verdict(error: &ApiError) -> Option<Verdict> {
    if error.code == 100 && error.subcode == Some(NO_SUCH_OBJECT) {
        return Some(DeviceDown);
    }
    let known = TABLE.iter().find(|(codes, _)| codes.contains(&error.code));
    known.map(|(_, verdict)| *verdict).or(match error.status {
        _ if error.is_transient => Some(Retry(None)),
        429 => Some(SlowDown(None)),
        400..=499 => Some(Refused),
        _ => None,
    })
}

/// The code of the limit between one number and one user.
pub(crate) const PAIR_LIMIT: &str = "131056";

/// Meta's advice for the pair limit: 4^X seconds, X = 0, 1, 2 … for each further try; an hour at
/// most.
pub(crate) fn pair_wait(attempt: u32) -> Duration {
    let seconds = 4_u64.saturating_pow(attempt.saturating_sub(1)).min(3600);
    Duration::from_secs(seconds)
}

/// What to do after a send.
pub(crate) fn after_send(error: &GraphError) -> SendError {
    match error {
        GraphError::Api(error) => classify(error),
        GraphError::NotSent(_) => SendError::Retry {
            after: None,
            reason: Reason::new("no_connection", error.to_string()),
        },
        GraphError::Http { status, retry_after } => by_status(*status, *retry_after),
        GraphError::Config(problem) => {
            SendError::DeviceDown { reason: Reason::new("configuration", problem) }
        }
        GraphError::TimedOut(_) => uncertain("timeout", error),
        GraphError::NoAnswer(_) => uncertain("connection_lost", error),
        GraphError::Unreadable(_) | GraphError::TooLarge { .. } => {
            uncertain("unreadable_answer", error)
        }
    }
}

fn uncertain(code: &str, error: &GraphError) -> SendError {
    SendError::Uncertain { reason: Reason::new(code, error.to_string()) }
}

/// An answer that is not Graph's: something between us and Meta, or a wrong base URL. A wrong
/// address or a locked door is no fault of the message.
fn by_status(status: u16, after: Option<Duration>) -> SendError {
    let text = format!("HTTP status {status} without an error object");
    let reason = Reason::new(format!("http_{status}"), text);
    match status {
        429 => SendError::SlowDown { after, reason },
        300..=399 | 401 | 403 | 404 | 405 | 407 => SendError::DeviceDown { reason },
        408 => SendError::Uncertain { reason },
        400..=499 => SendError::Refused { reason },
        _ => SendError::Uncertain { reason },
    }
}

/// What to do after a call that may be repeated: no outcome is uncertain.
pub(crate) fn after_read(error: &GraphError) -> SendError {
    match after_send(error) {
        SendError::Uncertain { reason } => SendError::Retry { after: None, reason },
        other => other,
    }
}
