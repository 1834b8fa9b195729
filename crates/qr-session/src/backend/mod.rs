//! The engine's store over a vault: one backend is one device.
//!
//! Every method of the engine's five traits is one call of the vault, batches included, but for five
//! rare ones: a number's linked id is found in two steps, a new device is looked for before it is made,
//! and trusted-contact tokens are read before they are written. The fence makes that safe: nobody else
//! writes to the device, and inside this process a lock keeps two of them apart.
//!
//! # What each shelf holds
//! See [`shelf`]. Keys are addresses and ids as the engine names them; values are what it hands over,
//! or JSON where it hands over a structure.

mod app_sync;
mod device;
pub(crate) mod key;
mod msg_secret;
mod pending;
mod protocol;
mod reading;
pub mod shelf;
mod signal;
mod value;
mod wanted;

use std::sync::Arc;

use kabar_channel::vault::{Change, Fence, Item, SessionVault, Shelf, VaultError};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Mutex, watch};
use wacore::store::error::{Result, StoreError};

pub(crate) use pending::Unread;
pub(crate) use reading::Reading;
pub(crate) use wanted::Wanted;

/// The store of one session.
pub struct VaultBackend {
    vault: Arc<dyn SessionVault>,
    fence: Fence,
    fenced: watch::Sender<bool>,
    /// The session at work that this is the store of, if it is.
    at_work: Option<AtWork>,
    /// Held by whoever reads and then writes a trusted-contact token.
    tokens: Mutex<()>,
}

/// What the store of a session at work has to do with that session.
struct AtWork {
    /// Who asks for messages that were read and never stored.
    unread: UnboundedSender<Unread>,
    /// The messages that are being read.
    reading: Arc<Reading>,
}

impl std::fmt::Debug for VaultBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultBackend").field("fence", &self.fence).finish_non_exhaustive()
    }
}

impl VaultBackend {
    /// The store of the fence's device, written to under the fence.
    pub fn new(vault: Arc<dyn SessionVault>, fence: Fence) -> Self {
        let (fenced, tokens) = (watch::Sender::new(false), Mutex::new(()));
        Self { vault, fence, fenced, at_work: None, tokens }
    }

    /// The device and the token that it is written with.
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// Turns `true`, for good, when a write was refused because somebody else owns the device by now.
    /// The session must then be stopped at once, without a farewell: nothing it does can be stored.
    pub fn fenced(&self) -> watch::Receiver<bool> {
        self.fenced.subscribe()
    }

    /// The engine's word for what the vault says.
    fn failed(&self, error: VaultError) -> StoreError {
        if matches!(error, VaultError::Fenced(_)) {
            self.fenced.send_replace(true);
        }
        StoreError::Database(Box::new(error))
    }

    /// Refuses what can only be refused.
    fn still_ours(&self) -> Result<()> {
        if *self.fenced.borrow() {
            return Err(StoreError::Database(Box::new(VaultError::Fenced(self.fence.device))));
        }
        Ok(())
    }

    async fn write(&self, changes: Vec<Change>) -> Result<()> {
        self.still_ours()?;
        self.vault.write(self.fence, changes).await.map_err(|error| self.failed(error))
    }

    async fn put(&self, shelf: Shelf, items: Vec<Item>) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        self.write(vec![Change::Put { shelf, items }]).await
    }

    /// Keeps what reading the votes in a poll of ours takes.
    pub(crate) async fn keep_poll(&self, wire_id: &str, value: Vec<u8>) -> Result<()> {
        self.put(shelf::POLLS, vec![Item::new(wire_id.as_bytes(), value)]).await
    }

    /// What was kept of a poll.
    pub(crate) async fn kept_poll(&self, wire_id: &str) -> Result<Option<bytes::Bytes>> {
        let found = self.one(shelf::POLLS, wire_id.as_bytes().to_vec()).await?;
        Ok(found.map(|item| item.value))
    }

    async fn remove(&self, shelf: Shelf, keys: Vec<Vec<u8>>) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        self.write(vec![Change::Remove { shelf, keys }]).await
    }

    async fn remove_all(&self, shelf: Shelf, prefix: Vec<u8>) -> Result<()> {
        self.write(vec![Change::RemovePrefix { shelf, prefix }]).await
    }

    async fn sweep(&self, shelf: Shelf, before: i64) -> Result<u32> {
        self.still_ours()?;
        let gone = self.vault.sweep(self.fence, shelf, before).await;
        let gone = gone.map_err(|error| self.failed(error))?;
        Ok(u32::try_from(gone).unwrap_or(u32::MAX))
    }

    async fn take(&self, shelf: Shelf, key: &[u8]) -> Result<Option<Item>> {
        self.still_ours()?;
        self.vault.take(self.fence, shelf, key).await.map_err(|error| self.failed(error))
    }

    async fn many(&self, shelf: Shelf, keys: &[Vec<u8>]) -> Result<Vec<Item>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let items = self.vault.get(self.fence.device, shelf, keys).await;
        items.map_err(|error| self.failed(error))
    }

    async fn one(&self, shelf: Shelf, key: Vec<u8>) -> Result<Option<Item>> {
        Ok(self.many(shelf, &[key]).await?.into_iter().next())
    }

    async fn list(&self, shelf: Shelf, prefix: &[u8]) -> Result<Vec<Item>> {
        let items = self.vault.list(self.fence.device, shelf, prefix).await;
        items.map_err(|error| self.failed(error))
    }

    async fn any(&self, begins: &[(Shelf, &[u8])]) -> Result<bool> {
        let found = self.vault.any(self.fence.device, begins).await;
        found.map_err(|error| self.failed(error))
    }
}
