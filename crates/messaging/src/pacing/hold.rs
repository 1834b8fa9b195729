//! Why a message waits, and until when.

use std::borrow::Cow;

use chrono_tz::Tz;
use kabar_channel::Reason;
use kabar_core::Timestamp;

use super::guard::{WarmUpDay, local};
use crate::message::{Message, Status};

/// Why something that is due does not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HoldReason {
    /// It is not due yet.
    Scheduled,
    /// The pause between two messages of its device.
    PacingDelay,
    /// Its device sent as much as it may in an hour.
    HourlyCap,
    /// Its device sent as much as it may in a day.
    DailyCap,
    /// Its device rests after a batch.
    BatchRest,
    /// It is night where the account is.
    QuietHours,
    /// Its recipient got enough offers.
    FrequencyCap,
    /// Its recipient gets too much at once from this number (Meta 131056).
    PairLimit,
    /// The portfolio reached as many people in 24 hours as Meta allows it.
    MessagingLimit,
    /// The number sends as fast as it may.
    Throughput,
    /// The network asked the device to slow down (Meta 130429).
    SlowedDown,
    /// The network refuses the device's messages to new contacts (WhatsApp 463, 475).
    NewContactsPaused {
        /// The network's code, where it is a number.
        code: Option<u16>,
        /// Whether the end is our guess.
        assumed: bool,
        /// The account's time zone.
        zone: Tz,
    },
    /// The number is new, and sent as many messages to new contacts as it may today.
    WarmUp {
        /// The day.
        day: WarmUpDay,
        /// The account's time zone.
        zone: Tz,
    },
}

impl HoldReason {
    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::PacingDelay => "pacing_delay",
            Self::HourlyCap => "hourly_cap",
            Self::DailyCap => "daily_cap",
            Self::BatchRest => "batch_rest",
            Self::QuietHours => "quiet_hours",
            Self::FrequencyCap => "frequency_cap",
            Self::PairLimit => "pair_limit",
            Self::MessagingLimit => "messaging_limit",
            Self::Throughput => "throughput",
            Self::SlowedDown => "slowed_down",
            Self::NewContactsPaused { .. } => "new_contacts_paused",
            Self::WarmUp { .. } => "warm_up",
        }
    }

    fn text(self, until: Timestamp) -> Cow<'static, str> {
        let plain = match self {
            Self::NewContactsPaused { code, assumed, zone } => {
                let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
                let word =
                    if assumed { "an assumption, for it names no end" } else { "as it says" };
                let end = local(until, zone);
                return format!(
                    "WhatsApp refuses messages to new contacts{code} until {end}, {word}; answers go on"
                )
                .into();
            }
            Self::WarmUp { day: WarmUpDay { day, days, most }, zone } => {
                let next = local(until, zone);
                return format!(
                    "warm-up: day {day} of {days}, {most} new contacts today; continues at {next}"
                )
                .into();
            }
            Self::Scheduled => "it is not due yet",
            Self::PacingDelay => "its device pauses between two messages",
            Self::HourlyCap => "its device sent as much as it may in an hour",
            Self::DailyCap => "its device sent as much as it may in a day",
            Self::BatchRest => "its device rests after a batch",
            Self::QuietHours => "these are the account's quiet hours",
            Self::FrequencyCap => "its recipient got as many offers as the account allows",
            Self::PairLimit => "its recipient gets too many messages from this number",
            Self::MessagingLimit => "the portfolio wrote to as many people as Meta allows in a day",
            Self::Throughput => "its device sends as fast as it may",
            Self::SlowedDown => "the network asked its device to slow down",
        };
        Cow::Borrowed(plain)
    }
}

/// A wait that has a reason and an end. When it ends another one may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Why.
    pub why: HoldReason,
    /// Until when.
    pub until: Timestamp,
}

impl Hold {
    /// A wait.
    pub const fn new(why: HoldReason, until: Timestamp) -> Self {
        Self { why, until }
    }

    /// The reason as messages carry it.
    pub fn reason(self) -> Reason {
        Reason::new(self.why.as_str(), self.why.text(self.until))
    }

    /// The one that ends last.
    pub(crate) fn later(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(if other.until > one.until { other } else { one }),
            (one, other) => one.or(other),
        }
    }

    /// Holds a message that waits. It moves in its line: what may go before then goes first, so a
    /// reply never stands behind an offer that waits for the morning.
    pub(crate) fn apply(self, message: &mut Message, now: Timestamp) {
        message.status = Status::Held;
        message.stage = None;
        message.reason = Some(self.reason());
        message.held_until = Some(self.until);
        // Expiry is noticed when the lane is ready, so it is never later than that.
        let until = message.expires_at.map_or(self.until, |expiry| self.until.min(expiry));
        message.due_at = until.max(message.due_at);
        message.next_at = message.due_at;
        message.updated_at = now;
    }
}
