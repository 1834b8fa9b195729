//! What became of a send.

use std::time::Duration;

use kabar_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Names a message on a channel: what replies, reactions, edits and revokes refer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    /// The chat as the channel names it (a person's id, or a group's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// The sender as the channel names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Whether the message was ours.
    #[serde(default)]
    pub from_me: bool,
    /// The id on the wire.
    pub id: String,
}

impl MessageKey {
    /// A key that is nothing but the id on the wire, which is enough on the Cloud API.
    pub fn id(id: impl Into<String>) -> Self {
        Self { chat: None, sender: None, from_me: false, id: id.into() }
    }
}

/// The channel took the message; delivery is told by status events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The id on the wire.
    pub wire_id: String,
    /// The number that the network knows the recipient by, digits, where it told.
    pub wa_id: Option<String>,
    /// The recipient's business-scoped id, where it told.
    pub user_id: Option<String>,
    /// The network holds the message back for a quality check.
    pub held_by_network: bool,
}

impl Accepted {
    /// A message taken under this id.
    pub fn new(wire_id: impl Into<String>) -> Self {
        Self { wire_id: wire_id.into(), wa_id: None, user_id: None, held_by_network: false }
    }
}

/// Why, in a form that can be stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The network's own code, or a word of ours (`expired`, `timeout`).
    pub code: String,
    /// A sentence for people. It never holds a message's text or a token.
    pub text: String,
}

impl Reason {
    /// A code and a sentence.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into() }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
    }
}

/// A send that did not succeed, by what to *do* about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The message was certainly not sent and may be tried again.
    #[error("try again: {reason}")]
    Retry {
        /// Wait at least this long; `None` leaves the wait to the policy.
        after: Option<Duration>,
        /// Why.
        reason: Reason,
    },
    /// The whole device sends too fast. The message was not sent.
    #[error("slow down: {reason}")]
    SlowDown {
        /// Wait at least this long before anything else is sent from the device.
        after: Option<Duration>,
        /// Why.
        reason: Reason,
    },
    /// The device may write to known contacts only.
    #[error("new contacts are blocked: {reason}")]
    NewContactsBlocked {
        /// Until when.
        until: Timestamp,
        /// The time is our guess, not the network's word.
        assumed: bool,
        /// Why.
        reason: Reason,
    },
    /// The customer-service window is closed: only a template can be sent (Meta 131047).
    #[error("outside the 24-hour window: {reason}")]
    OutsideWindow {
        /// Why.
        reason: Reason,
    },
    /// This message will never be accepted.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: Reason,
    },
    /// The device itself cannot send (token, registration, payment). The message was not sent.
    #[error("the device is down: {reason}")]
    DeviceDown {
        /// Why.
        reason: Reason,
    },
    /// Nobody knows whether the message was sent.
    #[error("the outcome is unknown: {reason}")]
    Uncertain {
        /// Why.
        reason: Reason,
    },
}

impl SendError {
    /// Why.
    pub const fn reason(&self) -> &Reason {
        match self {
            Self::Retry { reason, .. }
            | Self::SlowDown { reason, .. }
            | Self::NewContactsBlocked { reason, .. }
            | Self::OutsideWindow { reason }
            | Self::Refused { reason }
            | Self::DeviceDown { reason }
            | Self::Uncertain { reason } => reason,
        }
    }

    /// A refusal.
    pub fn refused(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Refused { reason: Reason::new(code, text) }
    }
}
