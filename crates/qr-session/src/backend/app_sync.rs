//! What phone and companions share.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use kabar_channel::vault::{Change, Item};
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::error::Result;
use wacore::store::traits::{AppStateSyncKey, AppSyncStore};

use super::VaultBackend;
use super::key::{join, only, prefix};
use super::shelf::{LATEST_SYNC_KEY, MUTATION_MACS, SYNC_KEYS, VERSIONS};
use super::value::{json, maybe};

fn mac_key(collection: &str, index_mac: &[u8]) -> Vec<u8> {
    join([collection.as_bytes(), index_mac])
}

#[async_trait]
impl AppSyncStore for VaultBackend {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        maybe(self.one(SYNC_KEYS, key_id.into()).await?.as_ref())
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        let latest = Item::new(only(), Bytes::copy_from_slice(key_id));
        self.write(vec![
            Change::Put { shelf: SYNC_KEYS, items: vec![Item::new(key_id, json(&key)?)] },
            Change::Put { shelf: LATEST_SYNC_KEY, items: vec![latest] },
        ])
        .await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        Ok(maybe(self.one(VERSIONS, name.into()).await?.as_ref())?.unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        self.put(VERSIONS, vec![Item::new(name, json(&state)?)]).await
    }

    async fn put_mutation_macs(
        &self,
        name: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        let item = |mac: &AppStateMutationMAC| {
            Item::new(mac_key(name, &mac.index_mac), mac.value_mac.clone())
        };
        self.put(MUTATION_MACS, mutations.iter().map(item).collect()).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        let item = self.one(MUTATION_MACS, mac_key(name, index_mac)).await?;
        Ok(item.map(|item| item.value.into()))
    }

    async fn get_mutation_macs(
        &self,
        name: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let keys: Vec<Vec<u8>> = index_macs.iter().map(|mac| mac_key(name, mac)).collect();
        let start = prefix(name.as_bytes()).len();
        let mac = |item: Item| {
            let index: [u8; 32] = item.key.get(start..)?.try_into().ok()?;
            Some((index, item.value.into()))
        };
        Ok(self.many(MUTATION_MACS, &keys).await?.into_iter().filter_map(mac).collect())
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        self.remove(MUTATION_MACS, index_macs.iter().map(|mac| mac_key(name, mac)).collect()).await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        self.remove_all(MUTATION_MACS, prefix(name.as_bytes())).await
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.one(LATEST_SYNC_KEY, only()).await?.map(|item| item.value.into()))
    }
}
