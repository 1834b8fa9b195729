//! Conversations, messages, and the two roads of Kabar: the transactional outbox and the intake.
//!
//! # Overview
//!
//! * [`Messages`] takes messages into the outbox ([`Messages::send_many`] is the primitive), lists,
//!   cancels and settles them. Nothing here ever calls a channel.
//! * The outbox is cut into **lanes**, one a chat: `(device, contact)`. A [`Dispatcher`] claims
//!   lanes, not messages, so claiming costs the same at any backlog and chats stay in order.
//! * A message goes `pending → processing (claimed → sending) → sent`. What is *claimed* can be
//!   taken over safely; what is *sending* when its node dies is **uncertain**.
//! * [`MessageIntake`] stores what channels hand over, in one unit of work, before they acknowledge.
//! * [`pacing`] says how fast a device sends and why a message waits.
//! * [`status`] holds the rules for statuses, [`policy`] those for retries.
//! * [`Broadcasts`] sends one content to many recipients; [`Templates`] keeps contents for later.
//! * [`Bulks`] cancels or retries many messages at once.
//! * [`MediaFiles`] stores files; [`FetchMedia`] brings in what people sent.

pub mod broadcast;
pub mod bulk;
pub mod conversation;
pub mod dispatch;
pub mod erase;
pub mod gather;
pub mod intake;
mod measure;
pub mod media;
pub mod merge;
pub mod message;
pub mod opt_out;
pub mod pacing;
pub mod person;
mod personal;
pub mod policy;
pub mod repo;
pub mod search;
pub mod status;
pub mod template;

mod batch;
mod send;

pub use broadcast::{Broadcast, BroadcastError, BroadcastUse, Broadcasts};
pub use bulk::{BulkError, Bulks};
pub use conversation::{Conversation, Conversations};
pub use dispatch::{Dispatcher, DispatcherSettings};
pub use erase::{EraseContact, EraseWork, Erasures};
pub use intake::MessageIntake;
pub use media::{BlobStore, FetchMedia, MediaFiles, MediaRecord};
pub use merge::{MergeContacts, Merges};
pub use message::{
    Body, Direction, Message, MessageFilter, NewMessage, Origin, Purpose, Stage, Status, To,
};
pub use opt_out::ConfirmPreference;
pub use person::{Erasure, MergeEntry, PersonRepo};
pub use personal::{PersonalData, PersonalExports, PersonalSource};
pub use repo::{MessagesWork, RoadWork};
pub use send::{InvalidMessage, MOST_AT_ONCE, MessageError, Messages, Queued, Settlement};
pub use template::{TemplateError, Templates};

/// The name of the job that answers an incoming message; `kabar-automation` runs it. Its payload is
/// `{"message_id": …}`.
pub const ANSWER_JOB: &str = "automation.answer";
/// The name of the job that fetches an incoming file.
pub const FETCH_MEDIA_JOB: &str = "messaging.fetch_media";
