//! What a channel hands to the engine.

use async_trait::async_trait;
use bytes::Bytes;
use kabar_core::{AccountId, MetaAppId, StoreError};
use serde_json::Value;

use crate::channel::ChannelKind;
use crate::incoming::{IncomingMessage, PersonIds, StatusUpdate};

/// The device that an event belongs to, as its channel names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceAddress {
    /// The channel.
    pub channel: ChannelKind,
    /// The channel's own name for the device (Cloud API: the phone number id).
    pub address: String,
}

/// One thing that happened, with its raw form for the day when it cannot be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelEvent {
    /// The device; `None` where the event is about an account or about nothing we know.
    pub device: Option<DeviceAddress>,
    /// What happened.
    pub body: EventBody,
    /// The part of the network's document that says so.
    pub raw: Value,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventBody {
    /// Somebody wrote to us.
    Message(Box<IncomingMessage>),
    /// The business wrote on its own phone (coexistence); stored as outgoing, never answered.
    Echo(Box<IncomingMessage>),
    /// A message from before the device was connected; stored, never answered.
    History {
        /// The message.
        message: Box<IncomingMessage>,
        /// Whether the business wrote it.
        from_me: bool,
    },
    /// News of a message that we sent.
    Status(Box<StatusUpdate>),
    /// A person is known by further or other ids.
    Identity {
        /// How the person was known.
        old: PersonIds,
        /// How the person is known now.
        new: PersonIds,
    },
    /// A person stopped or resumed marketing messages.
    Preference {
        /// Who.
        person: PersonIds,
        /// `true`: marketing is wanted again.
        wanted: bool,
    },
    /// The network's news of a device or account: quality, limits, templates, bans.
    Notice {
        /// The network's word for it.
        field: String,
        /// The account that it is about (Cloud API: the business account id).
        account: Option<String>,
        /// All of it.
        value: Value,
    },
    /// How many people outside their windows the owner of an account may write to in 24 hours.
    Reach {
        /// The account that it is about (Cloud API: the business account id).
        account: Option<String>,
        /// How many; `None` for any number.
        most: Option<u32>,
    },
    /// Something that this version cannot read; kept raw, blocks nothing.
    Unknown {
        /// Where it stood, like `entry[0].changes[2]`.
        place: String,
        /// Why it could not be read.
        problem: String,
    },
}

/// The bytes that a batch came in, kept for a while so that nothing is lost by a reading mistake.
#[derive(Debug, Clone)]
pub struct RawBody {
    /// The app whose signature they bore.
    pub app: MetaAppId,
    /// The bytes.
    pub bytes: Bytes,
}

/// What arrived together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The events, in their order.
    pub events: Vec<ChannelEvent>,
    /// The bytes that they came in.
    pub raw: Option<RawBody>,
    /// Whose devices the batch may speak of: a tenant's own app has no say in another tenant's.
    /// `None` for the installation's own channels.
    pub within: Option<AccountId>,
}

/// What the intake did with a batch. Of small ones that came at the same time and shared a unit of
/// work, one has the counts of all, and the others have none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IntakeReport {
    /// Messages that were new.
    pub messages: usize,
    /// Statuses that changed something.
    pub statuses: usize,
    /// Items that were known before, or changed nothing.
    pub repeated: usize,
    /// Statuses kept until their message is known.
    pub parked: usize,
    /// Items kept raw, because they could not be stored otherwise.
    pub quarantined: usize,
}

/// Why a batch must be delivered again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// Storage is away. Do not acknowledge: the network delivers again.
    #[error("the batch could not be stored; deliver it again")]
    Store(#[from] StoreError),
}

/// The way in. Returns after the batch is durable; only then may a channel acknowledge.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Stores a batch. A bad item is kept raw and never blocks its siblings; a repeated batch
    /// changes nothing.
    ///
    /// # Errors
    /// [`IntakeError::Store`] when nothing was stored.
    async fn accept(&self, batch: Batch) -> Result<IntakeReport, IntakeError>;
}
