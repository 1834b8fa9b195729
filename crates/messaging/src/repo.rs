//! What storage does for messages.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kabar_channel::StatusUpdate;
use kabar_channel::ports::Uploaded;
use kabar_contacts::{ContactsWork, StopScope};
use kabar_core::{
    AccountId, ContactId, ConversationId, DeviceId, InstallationScope, MediaId, MessageId,
    MetaAppId, Page, PageRequest, Scope, StoreError, Timestamp, Work,
};
use kabar_devices::DevicesWork;
use kabar_events::{EventsWork, NewEvent};
use kabar_jobs::JobsWork;
use uuid::Uuid;

use crate::broadcast::BroadcastsWork;
use crate::bulk::BulksWork;
use crate::conversation::Conversation;
use crate::media::MediaRecord;
use crate::message::{Lane, Message, MessageFilter};
use crate::pacing::repo::PacingRepo;
use crate::person::PersonRepo;
use crate::template::TemplatesWork;

/// A unit of work with messages.
pub trait MessagesWork: Work {
    /// A tenant's messages.
    fn messages(&self, scope: Scope) -> Box<dyn MessageRepo + '_>;

    /// A tenant's conversations.
    fn conversations(&self, scope: Scope) -> Box<dyn ConversationRepo + '_>;

    /// A tenant's files.
    fn media(&self, scope: Scope) -> Box<dyn MediaRepo + '_>;

    /// All that is kept about one of a tenant's contacts.
    fn person(&self, scope: Scope) -> Box<dyn PersonRepo + '_>;

    /// Every lane and message of the installation, for the road out.
    fn outbox(&self, scope: InstallationScope) -> Box<dyn OutboxRepo + '_>;

    /// What came in and could not be placed, for the road in.
    fn inbox(&self, scope: InstallationScope) -> Box<dyn InboxRepo + '_>;

    /// What devices, accounts and contacts sent, for the pacer.
    fn pacing(&self, scope: InstallationScope) -> Box<dyn PacingRepo + '_>;
}

/// What the roads in and out need.
pub trait RoadWork:
    MessagesWork
    + BroadcastsWork
    + TemplatesWork
    + BulksWork
    + ContactsWork
    + DevicesWork
    + EventsWork
    + JobsWork
{
}
impl<T> RoadWork for T where
    T: MessagesWork
        + BroadcastsWork
        + TemplatesWork
        + BulksWork
        + ContactsWork
        + DevicesWork
        + EventsWork
        + JobsWork
        + ?Sized
{
}

/// A tenant's messages. A device token sees its device's only.
#[async_trait]
pub trait MessageRepo: Send {
    /// Stores outgoing messages.
    async fn insert(&mut self, messages: &[Message]) -> Result<(), StoreError>;

    /// Stores incoming messages that are not there yet (by device, direction and dedupe key);
    /// returns the ids of those that were new.
    async fn insert_new(&mut self, messages: &[Message]) -> Result<Vec<MessageId>, StoreError>;

    /// Messages by id, in no order; those that do not exist are left out.
    async fn by_ids(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError>;

    /// Ids and wire ids of a device's messages by wire id.
    async fn by_wire_ids(
        &mut self,
        device: DeviceId,
        wire_ids: &[String],
    ) -> Result<Vec<(String, MessageId)>, StoreError>;

    /// Messages, newest first.
    async fn list(
        &mut self,
        filter: &MessageFilter,
        page: PageRequest,
    ) -> Result<Page<Message>, StoreError>;

    /// Which of these messages were sent once more.
    async fn retried(&mut self, ids: &[MessageId]) -> Result<Vec<MessageId>, StoreError>;

    /// Notes the stored file of an incoming message.
    async fn set_media(&mut self, id: MessageId, media: MediaId) -> Result<(), StoreError>;

    /// Blanks what messages say: content, words, choices, the advertisement, what was prepared. Ids,
    /// kinds, times and statuses stay. Messages that wait to be sent are left alone. Returns how many
    /// were not blank before.
    async fn blank(&mut self, ids: &[MessageId]) -> Result<u64, StoreError>;
}

/// A tenant's conversations. A device token sees its device's only.
#[async_trait]
pub trait ConversationRepo: Send {
    /// Finds or makes the conversations of lanes, each lane once; returns them in no order. Notes
    /// that we wrote, if so.
    async fn ensure(
        &mut self,
        wanted: &[(ConversationId, Lane)],
        at: Timestamp,
        wrote: Wrote,
    ) -> Result<Vec<(ConversationId, Lane)>, StoreError>;

    /// Notes that contacts wrote in conversations; returns the device of each in which we had written
    /// first and they answered now, and when we had. Asked before what was heard is noted.
    async fn answered(
        &mut self,
        heard: &[(ConversationId, Timestamp)],
    ) -> Result<Vec<(DeviceId, Timestamp)>, StoreError>;

    /// Notes what was heard in conversations, the names that their contacts gave themselves where they
    /// changed, and what the log says of it: everything at once where the database can.
    async fn hear(
        &mut self,
        touches: &[Touch],
        names: &[(ContactId, String)],
        events: &[NewEvent],
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Notes that messages came in or went out. Times never go backwards.
    async fn touch(&mut self, touches: &[Touch]) -> Result<(), StoreError>;

    /// A conversation.
    async fn get(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError>;

    /// Conversations, the last active first; their cursors have the time as key, in microseconds.
    async fn list(
        &mut self,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> Result<Page<Conversation>, StoreError>;

    /// The conversations of devices with contacts.
    async fn with_contacts(
        &mut self,
        devices: &[DeviceId],
        contacts: &[ContactId],
    ) -> Result<Vec<Conversation>, StoreError>;

    /// Sets the unread count to zero, and incoming messages to read.
    async fn mark_read(&mut self, id: ConversationId, at: Timestamp) -> Result<(), StoreError>;
}

/// Who wrote, when a conversation is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// We did: the conversation's last outgoing time is now.
    Us,
    /// Somebody else, or nobody: times are noted by [`ConversationRepo::touch`].
    Other,
}

/// What happened in a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touch {
    /// The conversation.
    pub conversation: Option<ConversationId>,
    /// The contact wrote.
    pub in_at: Option<Timestamp>,
    /// We wrote.
    pub out_at: Option<Timestamp>,
    /// So many more are unread.
    pub unread: u32,
    /// The customer-service window is open until.
    pub window_expires_at: Option<Timestamp>,
    /// Everything is free until.
    pub entry_point_expires_at: Option<Timestamp>,
}

/// A place in a lane, for messages that were just inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneEntry {
    /// The lane.
    pub lane: Lane,
    /// Its account.
    pub account: AccountId,
    /// The priority of the new messages.
    pub priority: i16,
    /// When the first of them may go.
    pub ready_at: Timestamp,
    /// Whether the device may be one with a ban guard: then it is looked up whether the contact ever
    /// wrote to it.
    pub guarded: bool,
}

/// The lanes of a device that are claimed in the order of their times: those of one priority, with
/// contacts that the ban guard asks about or with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// The priority.
    pub priority: i16,
    /// Whether its contacts never wrote to the device, on a channel where that matters.
    pub new_contact: bool,
}

impl Line {
    /// Every line, first to last.
    pub const ALL: &'static [Self] = &[
        Self::known(0),
        Self::new_contacts(0),
        Self::known(1),
        Self::new_contacts(1),
        Self::known(2),
        Self::new_contacts(2),
    ];

    const fn known(priority: i16) -> Self {
        Self { priority, new_contact: false }
    }

    const fn new_contacts(priority: i16) -> Self {
        Self { priority, new_contact: true }
    }

    /// Whether its messages wait for caps only.
    pub const fn is_live(self) -> bool {
        self.priority == 0
    }
}

/// A device with a lane that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyDevice {
    /// The device.
    pub device: DeviceId,
    /// The lines of its ready lanes, first to last.
    pub lines: Vec<Line>,
}

/// A claim on lanes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneClaim {
    /// The device.
    pub device: DeviceId,
    /// The node.
    pub owner: Uuid,
    /// The present.
    pub now: Timestamp,
    /// When the claim runs out unless it is renewed.
    pub until: Timestamp,
}

/// A lane in a node's hands.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedLane {
    /// The lane.
    pub lane: Lane,
    /// Proves the claim: grows with every claim of the lane.
    pub fence: i64,
    /// Whether the contact never wrote to the device, on a channel where that matters.
    pub new_contact: bool,
    /// The message at its head; `None` if the line is empty, or its head is being changed by
    /// somebody else.
    pub head: Option<Message>,
}

/// Every lane and message of the installation. Messages are locked before lanes, both in the order
/// of their keys, so that units of work never wait for each other in a circle.
#[async_trait]
pub trait OutboxRepo: Send {
    /// Takes new messages into their lines, with what the log says of it: everything at once where
    /// the database can.
    async fn take(
        &mut self,
        messages: &[&Message],
        entries: &[LaneEntry],
        events: &[NewEvent],
    ) -> Result<(), StoreError>;

    /// Puts new messages' lanes into the queue, or moves them forward.
    async fn put(&mut self, entries: &[LaneEntry]) -> Result<(), StoreError>;

    /// The devices of active accounts, and removed ones, that have a lane that is ready, without
    /// looking at how many.
    async fn ready_devices(&mut self, now: Timestamp) -> Result<Vec<ReadyDevice>, StoreError>;

    /// Of these devices, those with a reply in somebody's hand: its claim ends after `now`, and at
    /// `until` at the latest.
    async fn replying(
        &mut self,
        devices: &[DeviceId],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<DeviceId>, StoreError>;

    /// When the next lane that is not ready yet will be; `None` if there is none.
    async fn next_ready(&mut self, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Claims at most `limit` ready lanes of a device in the order of these lines, and returns their
    /// heads.
    async fn claim(
        &mut self,
        claim: LaneClaim,
        lines: &[Line],
        limit: u16,
    ) -> Result<Vec<ClaimedLane>, StoreError>;

    /// When the first message in a line expires, after `after`.
    async fn next_expiry(&mut self, after: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Waiting messages whose time ran out, first come first, locked until the unit of work ends.
    async fn expired(&mut self, now: Timestamp, limit: u16) -> Result<Vec<Message>, StoreError>;

    /// Prolongs claims of a node; returns those that still held.
    async fn renew(
        &mut self,
        owner: Uuid,
        claims: &[(Lane, i64)],
        until: Timestamp,
    ) -> Result<Vec<(Lane, i64)>, StoreError>;

    /// Messages by id, locked until the unit of work ends.
    async fn lock(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError>;

    /// Messages by device and wire id, locked until the unit of work ends.
    async fn lock_by_wire_ids(
        &mut self,
        wire_ids: &[(DeviceId, String)],
    ) -> Result<Vec<Message>, StoreError>;

    /// Stores everything that can change about messages that exist.
    async fn save(&mut self, messages: &[Message]) -> Result<(), StoreError>;

    /// Which of the claims still hold, locked until the unit of work ends.
    async fn still_mine(
        &mut self,
        owner: Uuid,
        claims: &[(Lane, i64)],
    ) -> Result<Vec<(Lane, i64)>, StoreError>;

    /// Brings lanes in line with their messages: the head decides when they are ready, an empty
    /// lane goes. Lanes that are claimed are left alone.
    async fn settle(&mut self, lanes: &[Lane]) -> Result<(), StoreError>;

    /// Gives claimed lanes back, and settles them. A lane that was claimed again since, by whomever,
    /// is left alone.
    async fn release(&mut self, owner: Uuid, claims: &[(Lane, i64)]) -> Result<(), StoreError>;

    /// Which of the contacts stopped messages, and what.
    async fn stopped(
        &mut self,
        contacts: &[ContactId],
    ) -> Result<Vec<(ContactId, StopScope)>, StoreError>;

    /// Which of these lanes are with contacts that the ban guard asks about.
    async fn new_contacts(&mut self, lanes: &[Lane]) -> Result<Vec<Lane>, StoreError>;

    /// Notes that the contacts of these lanes wrote: the ban guard asks about them no more.
    async fn known(&mut self, lanes: &[Lane]) -> Result<(), StoreError>;

    /// Notes that we wrote in these conversations, as far as their contacts never did; returns the
    /// device of each in which that was for the first time.
    async fn contacted(
        &mut self,
        conversations: &[ConversationId],
        at: Timestamp,
    ) -> Result<Vec<DeviceId>, StoreError>;

    /// How many messages wait, for health.
    async fn waiting(&mut self) -> Result<u64, StoreError>;

    /// Makes lanes for waiting messages that have none; returns how many. A safety net.
    async fn repair(&mut self) -> Result<u64, StoreError>;
}

/// A raw body that came in.
#[derive(Debug, Clone)]
pub struct RawRow {
    /// Its id.
    pub id: Uuid,
    /// The app whose signature it bore.
    pub app: MetaAppId,
    /// SHA-256 of the bytes.
    pub hash: [u8; 32],
    /// The bytes.
    pub bytes: Bytes,
    /// When it came.
    pub at: Timestamp,
}

/// An item that could not be placed.
#[derive(Debug, Clone, PartialEq)]
pub struct QuarantineRow {
    /// Its id.
    pub id: Uuid,
    /// Whose it is, where that is known.
    pub account: Option<AccountId>,
    /// Which device's it is, where that is known.
    pub device: Option<DeviceId>,
    /// SHA-256 of the raw form and its place.
    pub hash: [u8; 32],
    /// Why it could not be placed.
    pub problem: String,
    /// The raw form.
    pub raw: String,
    /// When it came.
    pub at: Timestamp,
}

/// A status whose message is not known yet.
#[derive(Debug, Clone, PartialEq)]
pub struct ParkedStatus {
    /// Its id.
    pub id: Uuid,
    /// The device.
    pub device: DeviceId,
    /// The status.
    pub status: StatusUpdate,
    /// When it came.
    pub at: Timestamp,
}

/// A report of one participant of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The message.
    pub message: MessageId,
    /// Who reports, as the network names them.
    pub participant: String,
    /// How far it got there.
    pub status: String,
    /// When.
    pub at: Timestamp,
}

/// What came in and could not be placed.
#[async_trait]
pub trait InboxRepo: Send {
    /// Keeps raw bodies; the same bytes are kept once.
    async fn keep_raw(&mut self, bodies: &[RawRow]) -> Result<(), StoreError>;

    /// Keeps items that could not be placed; the same item is kept once.
    async fn quarantine(&mut self, items: &[QuarantineRow]) -> Result<(), StoreError>;

    /// Keeps statuses until their message is known.
    async fn park(&mut self, statuses: &[ParkedStatus]) -> Result<(), StoreError>;

    /// Takes the parked statuses of messages that are known now.
    async fn take_parked(
        &mut self,
        wire_ids: &[(DeviceId, String)],
    ) -> Result<Vec<ParkedStatus>, StoreError>;

    /// Device and wire id of parked statuses whose message is known, at most `limit`.
    async fn parked_with_message(
        &mut self,
        limit: u16,
    ) -> Result<Vec<(DeviceId, String)>, StoreError>;

    /// Stores what participants of groups report, never backwards.
    async fn receipts(&mut self, receipts: &[Receipt]) -> Result<(), StoreError>;

    /// What the participants of a group reported about a message, in no order.
    async fn receipts_of(&mut self, message: MessageId) -> Result<Vec<Receipt>, StoreError>;
}

/// A tenant's files.
#[async_trait]
pub trait MediaRepo: Send {
    /// Stores a record.
    async fn insert(&mut self, media: &MediaRecord) -> Result<(), StoreError>;

    /// A record.
    async fn get(&mut self, id: MediaId) -> Result<Option<MediaRecord>, StoreError>;

    /// Which of these files there are.
    async fn existing(&mut self, ids: &[MediaId]) -> Result<Vec<MediaId>, StoreError>;

    /// Records, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<MediaRecord>, StoreError>;

    /// Marks a record removed. `false` if there is none.
    async fn remove(&mut self, id: MediaId, at: Timestamp) -> Result<bool, StoreError>;

    /// An upload that the network still knows.
    async fn uploaded(
        &mut self,
        device: DeviceId,
        media: MediaId,
        now: Timestamp,
    ) -> Result<Option<Uploaded>, StoreError>;

    /// Remembers an upload.
    async fn remember_upload(
        &mut self,
        device: DeviceId,
        media: MediaId,
        uploaded: &Uploaded,
    ) -> Result<(), StoreError>;
}

/// Adds a length of time, stopping at the end of the calendar.
pub(crate) fn after(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = chrono::TimeDelta::from_std(wait).unwrap_or(chrono::TimeDelta::MAX);
    at.checked_add_signed(wait).unwrap_or(Timestamp::MAX_UTC)
}

/// A contact and the conversation with it, per lane.
pub(crate) type Chats = std::collections::HashMap<Lane, ConversationId>;

/// Finds or makes the conversations of lanes.
pub(crate) async fn chats(
    work: &(dyn RoadWork + '_),
    scope: Scope,
    lanes: impl IntoIterator<Item = Lane>,
    ids: &dyn kabar_core::IdSource,
    at: Timestamp,
    wrote: Wrote,
) -> Result<Chats, StoreError> {
    let lanes: std::collections::BTreeSet<Lane> = lanes.into_iter().collect();
    let wanted: Vec<(ConversationId, Lane)> =
        lanes.into_iter().map(|lane| (ids.id(), lane)).collect();
    if wanted.is_empty() {
        return Ok(Chats::new());
    }
    let found = work.conversations(scope).ensure(&wanted, at, wrote).await?;
    Ok(found.into_iter().map(|(id, lane)| (lane, id)).collect())
}
