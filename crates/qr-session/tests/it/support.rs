//! What the tests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use kabar_channel::vault::{Change, Fence, Item, SessionVault, Shelf, VaultError};
use kabar_core::DeviceId;
use kabar_storage::testing::TestDatabase;
use kabar_testkit::devices::Fleet;
use kabar_testkit::sessions::Sessions;
use wacore::store::Device;
use waproto::whatsapp::ADVSignedDeviceIdentity;

/// Leases and the vault of a database.
pub(crate) fn sessions(test: &TestDatabase) -> Sessions {
    let shared = Arc::new(test.database.clone());
    Sessions { fleet: Fleet::new(shared.clone(), shared.clone()), vault: shared }
}

/// A device as it is after pairing.
pub(crate) fn paired() -> Device {
    let account = ADVSignedDeviceIdentity {
        details: Some(vec![1, 2, 3]),
        account_signature_key: Some(vec![4; 32]),
        account_signature: Some(vec![5; 64]),
        device_signature: Some(vec![6; 64]),
    };
    Device {
        pn: Some("628123456789:7@s.whatsapp.net".parse().unwrap()),
        lid: Some("100000012345678:7@lid".parse().unwrap()),
        account: Some(Arc::new(account)),
        push_name: "Warung ☕".to_owned(),
        next_pre_key_id: 6,
        ..Device::new()
    }
}

/// A vault that counts what it is asked for.
pub(crate) struct Counting {
    vault: Arc<dyn SessionVault>,
    calls: AtomicUsize,
}

impl Counting {
    pub(crate) fn new(vault: Arc<dyn SessionVault>) -> Arc<Self> {
        Arc::new(Self { vault, calls: AtomicUsize::new(0) })
    }

    /// Calls since it was asked last.
    pub(crate) fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }

    fn counted(&self) -> &dyn SessionVault {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &*self.vault
    }
}

#[async_trait]
impl SessionVault for Counting {
    async fn get(
        &self,
        device: DeviceId,
        shelf: Shelf,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Item>, VaultError> {
        self.counted().get(device, shelf, keys).await
    }

    async fn list(
        &self,
        device: DeviceId,
        shelf: Shelf,
        prefix: &[u8],
    ) -> Result<Vec<Item>, VaultError> {
        self.counted().list(device, shelf, prefix).await
    }

    async fn any(&self, device: DeviceId, begins: &[(Shelf, &[u8])]) -> Result<bool, VaultError> {
        self.counted().any(device, begins).await
    }

    async fn count(&self, device: DeviceId, shelf: Shelf) -> Result<u64, VaultError> {
        self.counted().count(device, shelf).await
    }

    async fn write(&self, fence: Fence, changes: Vec<Change>) -> Result<(), VaultError> {
        self.counted().write(fence, changes).await
    }

    async fn take(
        &self,
        fence: Fence,
        shelf: Shelf,
        key: &[u8],
    ) -> Result<Option<Item>, VaultError> {
        self.counted().take(fence, shelf, key).await
    }

    async fn sweep(&self, fence: Fence, shelf: Shelf, before: i64) -> Result<u64, VaultError> {
        self.counted().sweep(fence, shelf, before).await
    }
}
