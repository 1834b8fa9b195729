//! Units of work: one use case, one transaction.
//!
//! A domain declares what it needs (`trait ContactsWork: Work { fn contacts(&self, …) … }`), a use
//! case asks a [`Store`] for a unit of that shape, and storage implements it over one transaction.
//! Dropping a unit rolls it back.

use async_trait::async_trait;

use crate::Timestamp;

/// Why storage could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database is away or overloaded: the same call may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Two units of work met; the loser may try again at once.
    #[error("another unit of work changed the same rows; try again")]
    Contended(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A uniqueness promise would be broken.
    #[error("a row with the same `{constraint}` exists")]
    Conflict {
        /// The constraint or column that was violated, as the database names it.
        constraint: String,
    },
    /// A row holds what the code cannot read.
    #[error("table {table}, row {row}, column {column}: {problem}")]
    BadRow {
        /// The table.
        table: &'static str,
        /// The row's id.
        row: String,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The database refused the statement: a fault of ours or of the data.
    #[error("the database refused a statement")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Whether the same call may succeed later without any change.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Contended(_))
    }
}

/// A unit of work. Dropped without [`Work::commit`], it never happened.
#[async_trait]
pub trait Work: Send + Sync {
    /// Makes everything done in the unit durable; returns after the commit reached the disk.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;

    /// The once-only guard of HTTP callers (`Idempotency-Key`).
    fn once(&self) -> Box<dyn OnceRepo + '_>;
}

/// Opens units of work of one shape. `W` is a `dyn` work trait of a domain.
#[async_trait]
pub trait Store<W: Work + ?Sized>: Send + Sync {
    /// A unit that writes. On SQLite it is the only writer until it ends.
    async fn begin(&self) -> Result<Box<W>, StoreError>;

    /// A unit that only reads, on a consistent snapshot.
    async fn read(&self) -> Result<Box<W>, StoreError>;
}

/// What makes a retried request the same request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Who asked (an actor's text form, with the account it acted in).
    pub principal: String,
    /// The operation's name.
    pub operation: &'static str,
    /// The caller's key.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
}

/// A request that was carried out before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// SHA-256 of the first request's body.
    pub body_hash: [u8; 32],
    /// What the first request made: ids, never secrets.
    pub result: serde_json::Value,
}

/// Why a once-only request is not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnceError {
    /// The key was used with another body.
    #[error("this Idempotency-Key was used with another request body; use a new key")]
    OtherBody,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Remembers carried-out requests for [`Once::KEPT_HOURS`] hours, in the same unit of work as
/// their effect.
#[async_trait]
pub trait OnceRepo: Send {
    /// What the same principal made with the same key and operation before, if anything. Two units
    /// that recall the same key at the same time wait for each other.
    async fn recall(&mut self, once: &Once) -> Result<Option<Remembered>, StoreError>;

    /// Stores what the request made.
    async fn remember(
        &mut self,
        once: &Once,
        result: &serde_json::Value,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Removes what was stored before `before`; returns how many.
    async fn forget(&mut self, before: Timestamp) -> Result<u64, StoreError>;
}

impl Once {
    /// Hours for which a key is remembered.
    pub const KEPT_HOURS: i64 = 24;

    /// What was made before under this key, read as `T`.
    ///
    /// # Errors
    /// [`OnceError::OtherBody`] when the key came with another body, [`OnceError::Store`] when
    /// storage failed or holds an unreadable answer.
    pub async fn recall<T: serde::de::DeserializeOwned>(
        &self,
        work: &(impl Work + ?Sized),
    ) -> Result<Option<T>, OnceError> {
        let Some(remembered) = work.once().recall(self).await? else {
            return Ok(None);
        };
        if remembered.body_hash != self.body_hash {
            return Err(OnceError::OtherBody);
        }
        serde_json::from_value(remembered.result).map(Some).map_err(|error| {
            OnceError::Store(StoreError::BadRow {
                table: "once",
                row: self.key.clone(),
                column: "result",
                problem: error.to_string(),
            })
        })
    }

    /// Stores what was made under this key.
    ///
    /// # Errors
    /// What storage says.
    pub async fn remember<T: serde::Serialize>(
        &self,
        work: &(impl Work + ?Sized),
        made: &T,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let result = serde_json::to_value(made).map_err(|e| StoreError::Refused(Box::new(e)))?;
        work.once().remember(self, &result, at).await
    }
}
