//! What the sandbox remembers of the messages it accepted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message the sandbox accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SentMessage {
    /// Place in the order of acceptance, counting from 1.
    pub sequence: u64,
    /// Message id.
    pub wamid: String,
    /// Business number it was sent from.
    pub phone_number_id: String,
    /// The recipient as the request had it (`to` or `recipient`).
    pub to: String,
    /// The customer's number in digits.
    pub customer: String,
    /// Type of the message.
    pub kind: String,
    /// `biz_opaque_callback_data` of the request.
    pub reference: Option<String>,
    /// Sandbox time of acceptance, milliseconds since the Unix epoch.
    pub accepted_at_ms: u64,
    /// The latest status.
    pub status: DeliveryStatus,
    /// The request body.
    pub body: Value,
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Taken by the API.
    Accepted,
    /// Left Meta's servers.
    Sent,
    /// Reached the phone.
    Delivered,
    /// Opened.
    Read,
    /// Will not arrive.
    Failed,
}

impl DeliveryStatus {
    /// The word in webhooks.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }
}

/// Which accepted messages to list (`GET /control/messages`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageFilter {
    /// Recipient: digits with or without `+`, or a BSUID.
    pub to: Option<String>,
    /// `biz_opaque_callback_data`.
    pub reference: Option<String>,
    /// Business number.
    pub phone_number_id: Option<String>,
    /// Only messages with a higher sequence.
    pub after: Option<u64>,
    /// At most this many, oldest first. Default: all through the handle, 1,000 over HTTP.
    pub limit: Option<usize>,
}

impl MessageFilter {
    /// Everything a recipient got.
    pub fn to(to: impl Into<String>) -> Self {
        Self { to: Some(to.into()), ..Self::default() }
    }

    /// Everything with this `biz_opaque_callback_data`.
    pub fn reference(reference: impl Into<String>) -> Self {
        Self { reference: Some(reference.into()), ..Self::default() }
    }
}

/// By what accepted messages are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TallyBy {
    /// By customer.
    To,
    /// By `biz_opaque_callback_data`; messages without it are left out.
    Reference,
}

/// How often each recipient or reference occurs (`GET /control/messages/tally`): the question of
/// whether anything was lost or sent twice, answered in one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Messages counted.
    pub total: u64,
    /// Different keys.
    pub distinct: u64,
    /// Keys seen more than once, with their count; at most 1,000.
    pub repeated: BTreeMap<String, u64>,
}

/// A customer's message that the business marked as read (`GET /control/reads`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadMark {
    /// The customer's message.
    pub wamid: String,
    /// Business number that marked it.
    pub phone_number_id: String,
    /// Whether a typing indicator was asked for.
    pub typing: bool,
    /// Sandbox time, milliseconds since the Unix epoch.
    pub at_ms: u64,
}
