//! All that is kept about one contact, over every room: what merging moves, what erasing blanks, and
//! what somebody gets who asks what is known about them.

use async_trait::async_trait;
use kabar_contacts::Identity;
use kabar_core::{ContactId, MediaId, MessageId, Page, PageRequest, StoreError, Timestamp};
use uuid::Uuid;

/// Why two contacts became one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeReason {
    /// Somebody of the tenant says that they are the same.
    Manual,
    /// The network says that they are the same: a number or an id was changed.
    Network,
}

impl MergeReason {
    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Network => "network",
        }
    }
}

/// A merge that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeEntry {
    /// Its id.
    pub id: Uuid,
    /// The contact that is left.
    pub kept: ContactId,
    /// The one that went into it.
    pub merged: ContactId,
    /// Why: the word of a [`MergeReason`].
    pub reason: String,
    /// Who asked for it.
    pub actor: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// How far an erasure got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The contact.
    pub contact: ContactId,
    /// Whether everything is erased.
    pub done: bool,
    /// Messages whose content is gone.
    pub messages: u64,
    /// Files that are gone.
    pub files: u64,
    /// The last message that was blanked.
    pub position: Option<MessageId>,
    /// Who asked for it.
    pub actor: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When everything was gone.
    pub finished_at: Option<Timestamp>,
}

/// Messages that were blanked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blanked {
    /// How many.
    pub messages: u64,
    /// The last of them; `None` when there were none.
    pub last: Option<MessageId>,
    /// The files that people sent with them.
    pub files: Vec<MediaId>,
}

/// All that is kept about a tenant's contacts.
#[async_trait]
pub trait PersonRepo: Send {
    /// Every identity of a contact, present and past; also of one that was removed.
    async fn identities(&mut self, contact: ContactId) -> Result<Vec<Identity>, StoreError>;

    /// Whether there is such a contact, or was.
    async fn existed(&mut self, contact: ContactId) -> Result<bool, StoreError>;

    /// Locks the chats of contacts, and tells whether a message to one of them is being sent.
    async fn busy(&mut self, contacts: &[ContactId]) -> Result<bool, StoreError>;

    /// Makes everything that one contact has the other's: identities, groups, tags, history,
    /// conversations, messages and their places in line; and notes the merge.
    async fn absorb(&mut self, merge: &MergeEntry) -> Result<(), StoreError>;

    /// The merges, newest first.
    async fn merges(&mut self, page: PageRequest) -> Result<Page<MergeEntry>, StoreError>;

    /// Notes that a contact is to be erased. `false` when that was noted before.
    async fn begin_erasure(&mut self, erasure: &Erasure) -> Result<bool, StoreError>;

    /// How far an erasure got.
    async fn erasure(&mut self, contact: ContactId) -> Result<Option<Erasure>, StoreError>;

    /// Stores how far it got.
    async fn save_erasure(&mut self, erasure: &Erasure) -> Result<(), StoreError>;

    /// Cancels what waits to be sent to a contact; returns how many.
    async fn cancel_waiting(
        &mut self,
        contact: ContactId,
        at: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Blanks at most `limit` messages behind `after`: content, numbers and names go, ids, times,
    /// states and prices stay.
    async fn blank_messages(
        &mut self,
        contact: ContactId,
        after: Option<MessageId>,
        limit: u32,
        at: Timestamp,
    ) -> Result<Blanked, StoreError>;

    /// Removes the names of files.
    async fn forget_files(&mut self, files: &[MediaId], at: Timestamp) -> Result<(), StoreError>;

    /// Blanks the contact itself and whatever else names it: identities, groups, tags, the details
    /// of its history, rows of imports, raw bodies and items in quarantine that hold one of `ids`.
    async fn blank_contact(
        &mut self,
        contact: ContactId,
        ids: &[String],
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
