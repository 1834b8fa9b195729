//! Kabar's event log: what happened, without gaps.
//!
//! Every use case appends its events in its own unit of work, so an event exists exactly when its
//! effect does. Readers (webhooks, SSE, statistics) follow the log from a [`Position`]. Events hold
//! ids and facts rather than bodies, so that erasure and retention work.
//!
//! Positions follow the order of transactions, which on PostgreSQL is that in which they began to
//! write, not that of their commits: what two units of work say about one message can stand in either
//! order. No gaps all the same: a reader that has seen a position never misses an event
//! before it. On PostgreSQL the transaction's id is stored and only what lies below the oldest
//! running transaction is read; SQLite has one writer.
//!
//! # Following the log
//! [`EventTail::follow`] gives a [`Follow`]: everything from a position on, as it happens. One reader
//! per process asks the database and hands what it finds to every follower; who is behind catches up
//! by itself. A position whose successors were removed is answered with [`Followed::Gap`].
//!
//! A transaction that runs for long holds readers back on PostgreSQL, whatever database of the server
//! it is in, once it has written something: they wait, and miss nothing.
//!
//! # Adding an event
//! Add a variant to [`Fact`] with its word in [`Fact::kind`]. Fields are only ever added; a changed
//! meaning is a new kind or a higher [`Fact::VERSION`].

mod fact;
mod filter;
mod follow;
mod page;
mod tail;

use async_trait::async_trait;
use kabar_core::{AccountId, InstallationScope, Scope, StoreError, Timestamp, Work};
use serde_json::Value;

pub use fact::{BroadcastProgress, BroadcastStep, Fact, MessageTraits};
pub use filter::{EventFilter, Kind, ParseKindError};
pub use follow::{Follow, Followed};
pub use page::EventPage;
pub use tail::{Begin, EventTail, FollowError, Reach, TailSettings};

/// Where a reader stands; opaque to everyone but storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The transaction (0 on SQLite).
    pub transaction: i64,
    /// The number within the log.
    pub number: i64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.transaction, self.number)
    }
}

/// A text that is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a position of the event log; use the `next` value of the previous page")]
pub struct ParsePositionError;

impl std::str::FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (transaction, number) = text.split_once('-').ok_or(ParsePositionError)?;
        let read = |part: &str| part.parse().map_err(|_| ParsePositionError);
        Ok(Self { transaction: read(transaction)?, number: read(number)? })
    }
}

/// An event to append.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Whose event it is.
    pub account: AccountId,
    /// When it happened, our clock.
    pub at: Timestamp,
    /// What happened.
    pub fact: Fact,
}

/// An event as it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its place in the log.
    pub position: Position,
    /// Whose event it is.
    pub account: AccountId,
    /// When it happened, our clock.
    pub at: Timestamp,
    /// The word for what happened, like `message.received`.
    pub kind: String,
    /// The version of its fields.
    pub version: i16,
    /// The fields.
    pub data: Value,
}

/// A unit of work that can append to the log.
pub trait EventsWork: Work {
    /// The log.
    fn events(&self) -> Box<dyn EventLog + '_>;

    /// Those who follow the log, and where they stand.
    fn log_readers(&self, scope: InstallationScope) -> Box<dyn LogReaders + '_>;
}

/// Those who follow the log with a stored position. Nothing is pruned that one of them has not
/// passed.
#[async_trait]
pub trait LogReaders: Send {
    /// Where a reader stands; `None` if it never stood anywhere.
    async fn position(&mut self, reader: &str) -> Result<Option<Position>, StoreError>;

    /// Puts a reader that stands nowhere at a place; one that stands somewhere stays there.
    async fn join(&mut self, reader: &str, at: Position) -> Result<(), StoreError>;

    /// At most `limit` events after the reader's place, without those that it was told to leave out
    /// when it was put there.
    async fn read(&mut self, reader: &str, limit: u16) -> Result<Vec<StoredEvent>, StoreError>;

    /// Moves a reader on, in the unit of work of what it made of the events. `false` if it does not
    /// stand at `from`: then another node was quicker, and the caller must roll back.
    async fn advance(
        &mut self,
        reader: &str,
        from: Position,
        to: Position,
    ) -> Result<bool, StoreError>;
}

/// The log.
#[async_trait]
pub trait EventLog: Send {
    /// Appends events, in their order.
    async fn append(&mut self, events: &[NewEvent]) -> Result<(), StoreError>;

    /// At most `limit` events of one tenant after a position.
    async fn read(
        &mut self,
        scope: Scope,
        after: Position,
        limit: u16,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// At most `limit` events of the whole installation after a position.
    async fn read_all(
        &mut self,
        scope: InstallationScope,
        after: Position,
        limit: u16,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// At most `limit` events of one kind, of the whole installation, after a position and not behind
    /// another.
    async fn read_kind(
        &mut self,
        scope: InstallationScope,
        kind: &str,
        between: (Position, Position),
        limit: u16,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Where the log ends: nothing that can be read lies behind it.
    async fn end(&mut self, scope: InstallationScope) -> Result<Position, StoreError>;

    /// Up to where some of a tenant's events were removed; the beginning when none were.
    async fn removed(&mut self, scope: Scope) -> Result<Position, StoreError>;

    /// The same for the whole installation.
    async fn removed_all(&mut self, scope: InstallationScope) -> Result<Position, StoreError>;

    /// Removes at most `limit` events from before `before` that every reader of
    /// [`EventsWork::log_readers`] has passed, and remembers up to where;
    /// returns how many.
    async fn prune(
        &mut self,
        scope: InstallationScope,
        before: Timestamp,
        limit: u16,
    ) -> Result<u64, StoreError>;
}
