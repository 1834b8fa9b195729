//! A recipient of a broadcast.

use std::collections::BTreeMap;

use kabar_core::{BroadcastId, ContactId, DeviceId, MessageId, PhoneNumber, Timestamp};

use crate::message::{Status, words};

words! {
    /// Where a recipient of a broadcast is.
    RecipientState, "recipient state":
    /// It has no message yet.
    Waiting = "waiting",
    /// It is nobody: a number that cannot be read.
    Invalid = "invalid",
    /// It is in the broadcast already.
    Duplicate = "duplicate",
    /// It is left out; the reason says why.
    Skipped = "skipped",
    /// Its message waits for its turn.
    Queued = "queued",
    /// The network took the message.
    Sent = "sent",
    /// It reached the recipient's device.
    Delivered = "delivered",
    /// It was read.
    Read = "read",
    /// It will not arrive; the reason says why.
    Failed = "failed",
    /// Its time ran out before it was sent.
    Expired = "expired",
    /// Nobody knows whether it was sent.
    Uncertain = "uncertain",
    /// It was cancelled before it was sent.
    Cancelled = "cancelled",
}

impl RecipientState {
    /// Where a recipient is whose message has this status.
    pub const fn of(status: Status) -> Self {
        match status {
            Status::Pending | Status::Held | Status::Processing => Self::Queued,
            Status::Sent => Self::Sent,
            Status::Delivered => Self::Delivered,
            Status::Read | Status::Played => Self::Read,
            Status::Failed => Self::Failed,
            Status::Uncertain => Self::Uncertain,
            Status::Cancelled => Self::Cancelled,
            Status::Expired => Self::Expired,
        }
    }

    /// Twice the rank on the road of delivery; a failure after the network took it lies between.
    pub(super) const fn rank(self) -> u8 {
        match self {
            Self::Sent => 2,
            Self::Failed => 3,
            Self::Delivered => 4,
            Self::Read => 6,
            _ => 0,
        }
    }

    /// Whether sending to those that failed includes it.
    pub const fn can_be_retried(self) -> bool {
        matches!(self, Self::Failed | Self::Expired)
    }
}

words! {
    /// Where a recipient came from.
    Source, "source":
    /// It was named.
    Named = "named",
    /// A contact of the audience.
    Contact = "contact",
    /// A row of the file.
    File = "file",
}

/// Somebody that a caller names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecipient {
    /// Who.
    pub to: Addressee,
    /// Values for this recipient alone.
    pub variables: BTreeMap<String, String>,
}

/// Who is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    /// A number as people write it.
    Number(String),
    /// A contact.
    Contact(ContactId),
}

/// Who a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientTarget {
    /// A number.
    Phone(PhoneNumber),
    /// A contact without a number.
    Contact(ContactId),
    /// Nobody: what was written instead of a number.
    Nobody(String),
}

/// A recipient of a broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipient {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// Its place in the broadcast, from 0.
    pub position: u64,
    /// Where it came from.
    pub source: Source,
    /// Who.
    pub target: RecipientTarget,
    /// Its contact, where it is known.
    pub contact: Option<ContactId>,
    /// Values for this recipient alone.
    pub variables: BTreeMap<String, String>,
    /// Where it is.
    pub state: RecipientState,
    /// Why, as a code.
    pub reason: Option<String>,
    /// Why, as a sentence.
    pub detail: Option<String>,
    /// The device that sends.
    pub device: Option<DeviceId>,
    /// Its message: the last one, when there were several tries.
    pub message: Option<MessageId>,
    /// The message of the try before.
    pub previous: Option<MessageId>,
    /// Which round of tries its message is of; 0 before the first.
    pub attempt: u32,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl Recipient {
    /// What makes it the same recipient; `None` when it is nobody, or somebody who is there already.
    ///
    /// A number is the same recipient however it came: typed, or through its contact.
    pub fn key(&self) -> Option<String> {
        match (self.state, &self.target) {
            (RecipientState::Invalid | RecipientState::Duplicate, _)
            | (_, RecipientTarget::Nobody(_)) => None,
            (_, target) => target.key(),
        }
    }
}

impl RecipientTarget {
    /// The same of a target alone.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Phone(phone) => Some(phone.as_str().to_owned()),
            Self::Contact(contact) => Some(contact.to_string()),
            Self::Nobody(_) => None,
        }
    }
}

/// Which recipients are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecipientFilter<'a> {
    /// In this state.
    pub state: Option<RecipientState>,
    /// For this reason.
    pub reason: Option<&'a str>,
}
