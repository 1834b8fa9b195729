//! What storage does for broadcasts.

use async_trait::async_trait;
use kabar_accounts::AccountsWork;
use kabar_core::{
    BroadcastId, DeviceId, InstallationScope, MessageId, Page, PageRequest, Scope, StoreError,
    TemplateId, Work,
};
use kabar_events::Position;

use super::{Broadcast, BroadcastState, Counts, Recipient, RecipientFilter, Source};
use crate::repo::RoadWork;

/// A unit of work with broadcasts.
pub trait BroadcastsWork: Work {
    /// A tenant's broadcasts.
    fn broadcasts(&self, scope: Scope) -> Box<dyn BroadcastRepo + '_>;

    /// The recipients of a tenant's broadcasts.
    fn recipients(&self, scope: Scope) -> Box<dyn RecipientRepo + '_>;

    /// What follows the messages of all broadcasts.
    fn following(&self, scope: InstallationScope) -> Box<dyn FollowRepo + '_>;
}

/// What a use case of broadcasts needs.
pub trait BroadcastUse: RoadWork + AccountsWork {}
impl<T: RoadWork + AccountsWork + ?Sized> BroadcastUse for T {}

/// Which broadcasts are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BroadcastFilter {
    /// In this state.
    pub state: Option<BroadcastState>,
}

/// A tenant's broadcasts.
#[async_trait]
pub trait BroadcastRepo: Send {
    /// Stores a broadcast.
    async fn insert(&mut self, broadcast: &Broadcast) -> Result<(), StoreError>;

    /// A broadcast.
    async fn get(&mut self, id: BroadcastId) -> Result<Option<Broadcast>, StoreError>;

    /// A broadcast, kept from others until the unit of work ends.
    async fn lock(&mut self, id: BroadcastId) -> Result<Option<Broadcast>, StoreError>;

    /// Broadcasts, newest first.
    async fn list(
        &mut self,
        filter: BroadcastFilter,
        page: PageRequest,
    ) -> Result<Page<Broadcast>, StoreError>;

    /// Stores a changed broadcast. `false` if there is none.
    async fn update(&mut self, broadcast: &Broadcast) -> Result<bool, StoreError>;

    /// Removes a broadcast and its recipients; its messages stay. `false` if there is none.
    async fn remove(&mut self, id: BroadcastId) -> Result<bool, StoreError>;

    /// Whether a broadcast that has not ended was written from the template.
    async fn uses(&mut self, template: TemplateId) -> Result<bool, StoreError>;

    /// How many recipients are where, for several broadcasts in one statement.
    async fn counts(
        &mut self,
        ids: &[BroadcastId],
    ) -> Result<Vec<(BroadcastId, Counts)>, StoreError>;

    /// Changes these numbers.
    async fn count(&mut self, id: BroadcastId, change: &Counts) -> Result<(), StoreError>;

    /// How many messages each device has in its lines.
    async fn in_line(&mut self, id: BroadcastId) -> Result<Vec<(DeviceId, u64)>, StoreError>;

    /// At most `limit` messages that wait in their lanes, or are in a node's hands and not being sent
    /// yet.
    async fn waiting(&mut self, id: BroadcastId, limit: u32) -> Result<Vec<MessageId>, StoreError>;

    /// At most `limit` messages that were taken out of their lanes, to be put back.
    async fn withdrawn(
        &mut self,
        id: BroadcastId,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError>;
}

/// The recipients of a tenant's broadcasts.
#[async_trait]
pub trait RecipientRepo: Send {
    /// Stores new recipients.
    async fn insert(&mut self, recipients: &[Recipient]) -> Result<(), StoreError>;

    /// Which of these keys are in the broadcast already.
    async fn taken(
        &mut self,
        broadcast: BroadcastId,
        keys: &[String],
    ) -> Result<Vec<String>, StoreError>;

    /// Recipients from a position on, in their order.
    async fn from(
        &mut self,
        broadcast: BroadcastId,
        filter: RecipientFilter<'_>,
        position: u64,
        limit: u16,
    ) -> Result<Vec<Recipient>, StoreError>;

    /// The next recipients that are to have a message: those that wait, then those that failed in
    /// an attempt before this one.
    async fn next(
        &mut self,
        broadcast: BroadcastId,
        attempt: u32,
        limit: u16,
    ) -> Result<Vec<Recipient>, StoreError>;

    /// Stores where recipients are; who they are never changes.
    async fn save(&mut self, recipients: &[Recipient]) -> Result<(), StoreError>;

    /// Removes the recipients of a source, and counts those that are left.
    async fn clear(
        &mut self,
        broadcast: BroadcastId,
        sources: &[Source],
    ) -> Result<Counts, StoreError>;
}

/// What follows the messages of all broadcasts.
#[async_trait]
pub trait FollowRepo: Send {
    /// How far the log was read, without keeping it.
    async fn seen(&mut self) -> Result<Position, StoreError>;

    /// How far the log was read, kept from others until the unit of work ends. `None` when somebody
    /// else reads it right now.
    async fn position(&mut self) -> Result<Option<Position>, StoreError>;

    /// Notes how far the log was read.
    async fn advance(&mut self, to: Position) -> Result<(), StoreError>;

    /// The recipients of these messages, locked until the unit of work ends.
    async fn by_messages(&mut self, messages: &[MessageId]) -> Result<Vec<Recipient>, StoreError>;
}
