//! A delivery: one event on its way to one endpoint.

use std::fmt;
use std::str::FromStr;

use kabar_core::{AccountId, ContactId, ConversationId, DeliveryId, EndpointId, JobId, Timestamp};
use kabar_events::Position;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::endpoint::UnknownWord;

/// How far a delivery got. While it is under way it is still pending: only what came of it counts,
/// and a node that dies under way leaves nothing to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryState {
    /// It waits for its turn, or for its next attempt.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// Every attempt failed.
    Failed,
    /// It was taken back, or what it held is gone.
    Cancelled,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: &'static [Self] =
        &[Self::Pending, Self::Delivered, Self::Failed, Self::Cancelled];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeliveryState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let state = Self::ALL.iter().copied().find(|state| state.as_str() == text);
        state.ok_or_else(|| UnknownWord(text.chars().take(64).collect()))
    }
}

/// A delivery to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    /// Its id, which is the `webhook-id` of every attempt.
    pub id: DeliveryId,
    /// Its account.
    pub account: AccountId,
    /// Where it goes.
    pub endpoint: EndpointId,
    /// The event; `None` for a test.
    pub event: Option<Position>,
    /// The event's kind.
    pub kind: String,
    /// The chat whose order it keeps; `None` when it waits for nobody.
    pub chat: Option<ConversationId>,
    /// The person that it is about, so that its body can be erased.
    pub contact: Option<ContactId>,
    /// The bytes that are signed and sent, the same in every attempt.
    pub payload: String,
    /// When it was made.
    pub at: Timestamp,
}

/// A delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub endpoint: EndpointId,
    /// The event's kind.
    pub kind: String,
    /// The event; `None` for a test.
    pub event: Option<Position>,
    /// How far it got.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next is due; `None` when there is none, or it waits behind another of its chat.
    pub due_at: Option<Timestamp>,
    /// The status that the last attempt was answered with.
    pub last_status: Option<u16>,
    /// A word for why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was delivered, failed for good, or was cancelled.
    pub settled_at: Option<Timestamp>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: Uuid,
    /// The delivery.
    pub delivery: DeliveryId,
    /// When it was begun.
    pub at: Timestamp,
    /// Milliseconds until the answer, or until it was given up.
    pub duration_ms: u64,
    /// The status of the answer.
    pub status: Option<u16>,
    /// A word for why it failed.
    pub error: Option<String>,
    /// The beginning of the answer's body, when it failed.
    pub response: Option<String>,
}

/// Which deliveries are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryFilter {
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Made before this time.
    pub until: Option<Timestamp>,
}

/// How far a resend got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResendState {
    /// It goes through the deliveries.
    Running,
    /// It went through all of them.
    Done,
    /// It was stopped; what it resent so far is under way.
    Cancelled,
}

impl ResendState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Running, Self::Done, Self::Cancelled];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for ResendState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let state = Self::ALL.iter().copied().find(|state| state.as_str() == text);
        state.ok_or_else(|| UnknownWord(text.chars().take(64).collect()))
    }
}

/// Delivering many again.
#[derive(Debug, Clone, PartialEq)]
pub struct Resend {
    /// Its id, which is that of the job that carries it out.
    pub id: JobId,
    /// Its account.
    pub account: AccountId,
    /// Which deliveries.
    pub filter: DeliveryFilter,
    /// How far it got.
    pub state: ResendState,
    /// Deliveries looked at so far.
    pub looked_at: u64,
    /// Deliveries that are under way again.
    pub resent: u64,
    /// The last that was looked at; they are taken oldest first.
    pub after: Option<DeliveryId>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it went on last.
    pub updated_at: Timestamp,
}
