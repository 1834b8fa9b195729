//! What storage does for statistics and retention.

use async_trait::async_trait;
use kabar_accounts::AccountsWork;
use kabar_core::{
    AccountId, BroadcastId, DeviceId, InstallationScope, MediaId, MessageId, Scope, StoreError,
    Timestamp,
};
use kabar_messaging::{Direction, Origin, Purpose, RoadWork};

use crate::period::Period;
use crate::retention::{Keep, KeepPatch, Kept};
use crate::statistics::Group;
use crate::tally::{Key, Mark};

/// A unit of work with statistics and retention.
pub trait InsightsWork: AccountsWork {
    /// The counts of the installation, for the projector.
    fn tallies(&self, scope: InstallationScope) -> Box<dyn TallyRepo + '_>;

    /// Sums of the counts that are in reach.
    fn sums(&self, reach: Reach) -> Box<dyn SumRepo + '_>;

    /// For how long things are kept, and what is older.
    fn retention(&self, scope: InstallationScope) -> Box<dyn RetentionRepo + '_>;
}

/// What a use case of insights needs.
pub trait InsightsUse: InsightsWork + RoadWork {}
impl<T: InsightsWork + RoadWork + ?Sized> InsightsUse for T {}

/// Whose counts are summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One tenant's.
    Account(Scope),
    /// Everybody's.
    Installation(InstallationScope),
}

/// The counts, as the projector writes them.
#[async_trait]
pub trait TallyRepo: Send {
    /// Adds to counts, in the order of their keys.
    async fn add(&mut self, deltas: &[(Key, i64)]) -> Result<(), StoreError>;

    /// Counts every message there is anew, and puts `reader` at the very place of the log up to
    /// which the messages that were counted are told. Others keep writing meanwhile, except on
    /// SQLite. Returns how many counts there are.
    async fn rebuild(&mut self, reader: &str) -> Result<u64, StoreError>;

    /// Removes at most `limit` counts that came down to zero; returns how many.
    async fn sweep(&mut self, limit: u16) -> Result<u64, StoreError>;

    /// Every count above zero, by its key: for comparing.
    async fn all(&mut self) -> Result<Vec<(Key, i64)>, StoreError>;
}

/// Which counts are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountFilter {
    /// Over this device.
    pub device: Option<DeviceId>,
    /// This way.
    pub direction: Option<Direction>,
    /// With this word for the content.
    pub kind: Option<String>,
    /// For this.
    pub purpose: Option<Purpose>,
    /// Made by this.
    pub origin: Option<Origin>,
    /// Of this broadcast.
    pub broadcast: Option<BroadcastId>,
    /// In this status.
    pub mark: Option<Mark>,
}

/// A sum of counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The place of the period among those that were asked for.
    pub period: usize,
    /// The group's key; empty without one.
    pub group: String,
    /// Which way.
    pub direction: Direction,
    /// In which status.
    pub mark: Mark,
    /// How many.
    pub count: i64,
}

/// Sums of counts.
#[async_trait]
pub trait SumRepo: Send {
    /// Sums over periods, by group, direction and status, in no order; at most `limit`.
    async fn sums(
        &mut self,
        filter: &CountFilter,
        periods: &[Period],
        group: Option<Group>,
        limit: u32,
    ) -> Result<Vec<Sum>, StoreError>;
}

/// For how long things are kept, and what is older. Every step is small and looks along an index.
#[async_trait]
pub trait RetentionRepo: Send {
    /// What the installation keeps; `None` if nobody said.
    async fn settings(&mut self) -> Result<Option<Keep>, StoreError>;

    /// Says what the installation keeps.
    async fn set(&mut self, keep: &Keep, at: Timestamp) -> Result<(), StoreError>;

    /// What an account said for itself.
    async fn account(&mut self, account: AccountId) -> Result<KeepPatch, StoreError>;

    /// Says it.
    async fn set_account(
        &mut self,
        account: AccountId,
        patch: &KeepPatch,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Removes at most `limit` rows from before `before`; returns how many.
    async fn prune(&mut self, what: Kept, before: Timestamp, limit: u16)
    -> Result<u64, StoreError>;

    /// At most `limit` of an account's messages from before `before`, oldest first, after a message.
    async fn old_messages(
        &mut self,
        account: AccountId,
        after: Option<MessageId>,
        before: Timestamp,
        limit: u16,
    ) -> Result<Vec<OldMessage>, StoreError>;

    /// Up to which of an account's messages all bodies are blank.
    async fn mark(&mut self, account: AccountId) -> Result<Option<MessageId>, StoreError>;

    /// Notes it.
    async fn set_mark(&mut self, account: AccountId, to: MessageId) -> Result<(), StoreError>;

    /// Adds to what was removed since the beginning.
    async fn add_removed(
        &mut self,
        what: Kept,
        count: u64,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// What was removed since the beginning, and when last.
    async fn removed(&mut self) -> Result<Vec<Removed>, StoreError>;
}

/// A message that is older than its body is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldMessage {
    /// Its id.
    pub id: MessageId,
    /// Whether it still waits to be sent, and needs its body.
    pub waits: bool,
    /// The stored file that came with it.
    pub file: Option<MediaId>,
}

/// What was removed since the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Of what.
    pub what: Kept,
    /// How many.
    pub count: u64,
    /// When last.
    pub at: Timestamp,
}
