//! The engine's device.

use std::sync::Arc;

use async_trait::async_trait;
use kabar_channel::vault::Item;
use wacore::stats::StorageResourceReport;
use wacore::store::Device;
use wacore::store::device::DEVICE_PROPS;
use wacore::store::error::Result;
use wacore::store::traits::DeviceStore;

use super::VaultBackend;
use super::key::only;
use super::shelf::DEVICE;
use super::value::{json, maybe};

#[async_trait]
impl DeviceStore for VaultBackend {
    async fn save(&self, device: &Device) -> Result<()> {
        self.put(DEVICE, vec![Item::new(only(), json(device)?)]).await
    }

    /// What the engine does not store it sets at each start; until then it is as on a new device.
    async fn load(&self) -> Result<Option<Device>> {
        let device: Option<Device> = maybe(self.one(DEVICE, only()).await?.as_ref())?;
        Ok(device.map(|mut device| {
            device.device_props = Arc::new(DEVICE_PROPS.clone());
            device
        }))
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.one(DEVICE, only()).await?.is_some())
    }

    /// One backend is one device, so its number means nothing: it is always 1.
    async fn create(&self) -> Result<i32> {
        if !self.exists().await? {
            self.save(&Device::new()).await?;
        }
        Ok(1)
    }

    /// The database's own backups are the snapshots.
    async fn snapshot_db(&self, _name: &str, _extra_content: Option<&[u8]>) -> Result<()> {
        Ok(())
    }

    /// Nothing is kept in memory here.
    async fn resource_report(&self) -> StorageResourceReport {
        StorageResourceReport { memory_bytes: Some(0), ..StorageResourceReport::default() }
    }
}
