//! From events to counts.

use std::collections::BTreeMap;

use kabar_core::{AccountId, DeviceId, Timestamp};
use kabar_events::StoredEvent;
use serde::Deserialize;

/// Microseconds of a bucket: a quarter of an hour, of which every time zone's day is made (Nepal is
/// 5:45 ahead of UTC, Chatham 12:45).
pub const BUCKET: i64 = 15 * 60 * 1_000_000;

/// A status as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mark {
    /// It came in.
    Received,
    /// It waits for its turn, is held, or is in hand.
    Waiting,
    /// The network took it.
    Sent,
    /// It reached the recipient's device.
    Delivered,
    /// It was read.
    Read,
    /// It was played.
    Played,
    /// It will not arrive.
    Failed,
    /// Nobody knows whether it was sent.
    Uncertain,
    /// It was cancelled before it was sent.
    Cancelled,
    /// Its time ran out before it was sent.
    Expired,
}

impl Mark {
    /// Every mark.
    pub const ALL: &'static [Self] = &[
        Self::Received,
        Self::Waiting,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Played,
        Self::Failed,
        Self::Uncertain,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The word, on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// What a message counts as: one that came in is received, whatever became of it here.
    pub fn of(direction: &str, status: &str) -> Option<Self> {
        if direction == "in" {
            return Some(Self::Received);
        }
        match status {
            "pending" | "held" | "processing" => Some(Self::Waiting),
            "received" => None,
            other => other.parse().ok(),
        }
    }

    /// Whether the reason is counted beside it.
    pub const fn has_reason(self) -> bool {
        matches!(self, Self::Failed | Self::Uncertain)
    }
}

/// A word that is no mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no counted status")]
pub struct UnknownMark(String);

impl std::str::FromStr for Mark {
    type Err = UnknownMark;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|mark| mark.as_str() == text);
        found.ok_or_else(|| UnknownMark(text.chars().take(64).collect()))
    }
}

/// Everything that a message is counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its account.
    pub account: AccountId,
    /// The beginning of its quarter of an hour, in microseconds since 1970.
    pub bucket: i64,
    /// Its device.
    pub device: DeviceId,
    /// `in` or `out`.
    pub direction: String,
    /// The word for its content.
    pub kind: String,
    /// The word for what it is for.
    pub purpose: String,
    /// The word for who made it.
    pub origin: String,
    /// Its broadcast; empty without one.
    pub broadcast: String,
    /// Its status.
    pub mark: Mark,
    /// The code of the reason, if it failed or is uncertain; else empty.
    pub reason: String,
}

/// The beginning of a point in time's bucket.
pub fn bucket(at: Timestamp) -> i64 {
    let micros = at.timestamp_micros();
    micros - micros.rem_euclid(BUCKET)
}

/// What events add to the counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// By how much each count grows or shrinks; none is zero.
    pub deltas: BTreeMap<Key, i64>,
    /// Events of messages that do not say enough to be counted: older versions wrote them.
    pub unplaced: usize,
}

/// The fields of a message's event that count.
#[derive(Deserialize)]
struct Told {
    device_id: DeviceId,
    direction: String,
    content: String,
    purpose: String,
    origin: String,
    #[serde(default)]
    broadcast_id: Option<String>,
    message_at: Timestamp,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    previous: Option<String>,
    #[serde(default)]
    previous_reason: Option<String>,
}

impl Tally {
    /// What these events add.
    pub fn of(events: &[StoredEvent]) -> Self {
        let mut tally = Self::default();
        for event in events {
            if matches!(
                event.kind.as_str(),
                "message.queued" | "message.received" | "message.status"
            ) && tally.add(event).is_none()
            {
                tally.unplaced += 1;
            }
        }
        tally.deltas.retain(|_, delta| *delta != 0);
        tally
    }

    fn add(&mut self, event: &StoredEvent) -> Option<()> {
        let told = Told::deserialize(&event.data).ok()?;
        let now = match event.kind.as_str() {
            "message.queued" => Mark::Waiting,
            _ => Mark::of(&told.direction, told.status.as_deref()?)?,
        };
        let before = match event.kind.as_str() {
            "message.status" => Some(Mark::of(&told.direction, told.previous.as_deref()?)?),
            _ => None,
        };
        let key = |mark: Mark, reason: Option<&String>| Key {
            account: event.account,
            bucket: bucket(told.message_at),
            device: told.device_id,
            direction: told.direction.clone(),
            kind: told.content.clone(),
            purpose: told.purpose.clone(),
            origin: told.origin.clone(),
            broadcast: told.broadcast_id.clone().unwrap_or_default(),
            mark,
            reason: reason.filter(|_| mark.has_reason()).cloned().unwrap_or_default(),
        };
        if let Some(before) = before {
            *self.deltas.entry(key(before, told.previous_reason.as_ref())).or_default() -= 1;
        }
        *self.deltas.entry(key(now, told.reason.as_ref())).or_default() += 1;
        Some(())
    }
}
