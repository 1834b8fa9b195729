//! The vault: where a paired session keeps its keys and its state.
//!
//! A device has shelves; a [`Shelf`] holds [`Item`]s by their key. Values are opaque here and sealed
//! at rest; keys, tags and numbers are not, so nothing secret belongs into them.
//!
//! # Fencing
//! A session must run in one process at a time: two that share it corrupt its ratchets. Whoever
//! writes shows a [`Fence`], the token of the device's lease. It grows with each owner, and a write
//! that shows another token than the lease carries is refused as a whole with
//! [`VaultError::Fenced`]. The check is part of the write: what a frozen process still has under way
//! either happened before the takeover or does not happen.
//!
//! So the owner may read, think and write: nobody else writes in between but itself.
//!
//! # Durability
//! A write returns after the commit reached the disk. What was written is seen by every read that
//! begins afterwards.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use kabar_core::{DeviceId, StoreError};

/// The right to write to a device's shelves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The device.
    pub device: DeviceId,
    /// The token of its lease: grows with each owner.
    pub token: u64,
}

/// A shelf, by its word: lower-case letters and `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shelf(&'static str);

impl Shelf {
    /// A shelf by its word.
    pub const fn new(word: &'static str) -> Self {
        Self(word)
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What lies on a shelf under a key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its key, unique on the shelf. Keys are in the order of their bytes.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Bytes,
    /// By what [`SessionVault::sweep`] finds it; items without are never swept.
    pub due: Option<i64>,
    /// A number that can be changed without the value.
    pub mark: Option<i64>,
    /// Under what [`Change::RemoveTagged`] finds it.
    pub tag: Option<Vec<u8>>,
}

impl Item {
    /// An item of a key and a value.
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), ..Self::default() }
    }

    /// It is swept by this number.
    #[must_use]
    pub const fn due(mut self, due: i64) -> Self {
        self.due = Some(due);
        self
    }

    /// With this number beside its value.
    #[must_use]
    pub const fn marked(mut self, mark: i64) -> Self {
        self.mark = Some(mark);
        self
    }

    /// Under this tag.
    #[must_use]
    pub fn tagged(mut self, tag: impl Into<Vec<u8>>) -> Self {
        self.tag = Some(tag.into());
        self
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value is a secret.
        f.debug_struct("Item")
            .field("key", &String::from_utf8_lossy(&self.key))
            .field("bytes", &self.value.len())
            .field("due", &self.due)
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

/// What a write does to one shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Puts items on it; one with the same key is replaced. Of several with one key the last stays.
    Put {
        /// The shelf.
        shelf: Shelf,
        /// The items.
        items: Vec<Item>,
    },
    /// As [`Change::Put`], but `due` and `mark` never shrink: of what was there and what comes the
    /// greater stays, and a number beats none.
    Raise {
        /// The shelf.
        shelf: Shelf,
        /// The items.
        items: Vec<Item>,
    },
    /// Sets the mark of those that are there. A key that is not there stays absent.
    Mark {
        /// The shelf.
        shelf: Shelf,
        /// Their keys.
        keys: Vec<Vec<u8>>,
        /// The mark.
        mark: i64,
    },
    /// Removes items by their keys.
    Remove {
        /// The shelf.
        shelf: Shelf,
        /// Their keys.
        keys: Vec<Vec<u8>>,
    },
    /// Removes every item whose key begins so; all of the shelf for the empty beginning.
    RemovePrefix {
        /// The shelf.
        shelf: Shelf,
        /// The beginning.
        prefix: Vec<u8>,
    },
    /// Removes every item under these tags.
    RemoveTagged {
        /// The shelf.
        shelf: Shelf,
        /// The tags.
        tags: Vec<Vec<u8>>,
    },
    /// Removes everything of the device, from all shelves.
    Clear,
}

/// Why the vault did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The device's lease carries another token: somebody else owns it now, or it was removed.
    /// Whoever gets this stops its session at once and writes no more.
    #[error("{0} belongs to another owner by now; the write came too late")]
    Fenced(DeviceId),
    /// Storage failed, or holds what cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The shelves of every device. What a device does not have reads as empty.
#[async_trait]
pub trait SessionVault: Send + Sync {
    /// The items under these keys; those that are not there are left out. In no order.
    async fn get(
        &self,
        device: DeviceId,
        shelf: Shelf,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Item>, VaultError>;

    /// The items whose keys begin so, in the order of their keys.
    async fn list(
        &self,
        device: DeviceId,
        shelf: Shelf,
        prefix: &[u8],
    ) -> Result<Vec<Item>, VaultError>;

    /// Whether one of these shelves has a key that begins so.
    async fn any(&self, device: DeviceId, begins: &[(Shelf, &[u8])]) -> Result<bool, VaultError>;

    /// How many items a shelf has.
    async fn count(&self, device: DeviceId, shelf: Shelf) -> Result<u64, VaultError>;

    /// Makes changes in their order: all of them, or none. Without changes nothing is asked.
    ///
    /// # Errors
    /// [`VaultError::Fenced`].
    async fn write(&self, fence: Fence, changes: Vec<Change>) -> Result<(), VaultError>;

    /// Removes an item and returns it: of several who take it at the same time one gets it.
    ///
    /// # Errors
    /// [`VaultError::Fenced`].
    async fn take(
        &self,
        fence: Fence,
        shelf: Shelf,
        key: &[u8],
    ) -> Result<Option<Item>, VaultError>;

    /// Removes the items of a shelf that are due below `before`; returns how many.
    ///
    /// # Errors
    /// [`VaultError::Fenced`].
    async fn sweep(&self, fence: Fence, shelf: Shelf, before: i64) -> Result<u64, VaultError>;
}
