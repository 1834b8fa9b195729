//! Kabar's event log: what happened, in commit order, without gaps.
//!
//! Every use case appends its events in its own unit of work, so an event exists exactly when its
//! effect does. Readers (webhooks, SSE, statistics) follow the log from a [`Position`]. Events hold
//! ids and facts rather than bodies, so that erasure and retention work.
//!
//! Positions follow the commit order: a reader that has seen a position never misses an event
//! before it. On PostgreSQL the transaction's id is stored and only what lies below the oldest
//! running transaction is read; SQLite has one writer.
//!
//! # Adding an event
//! Add a variant to [`Fact`] with its word in [`Fact::kind`]. Fields are only ever added; a changed
//! meaning is a new kind or a higher [`Fact::VERSION`].

mod fact;

use async_trait::async_trait;
use kabar_core::{AccountId, InstallationScope, Scope, StoreError, Timestamp, Work};
use serde_json::Value;

pub use fact::Fact;

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

    /// Removes what happened before `before`; returns how many.
    async fn prune(
        &mut self,
        scope: InstallationScope,
        before: Timestamp,
    ) -> Result<u64, StoreError>;
}
