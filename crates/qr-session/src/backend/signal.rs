//! Signal: identities, sessions, one-time keys, keys of groups.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kabar_channel::vault::{Change, Item};
use wacore::store::error::Result;
use wacore::store::traits::SignalStore;

use super::VaultBackend;
use super::key::{number, to_number};
use super::shelf::{IDENTITIES, PREKEYS, SENDER_KEYS, SESSIONS, SIGNED_PREKEYS};
use super::value::odd;

/// What the server has, and what it does not have yet.
const fn mark(uploaded: bool) -> i64 {
    if uploaded { 1 } else { 0 }
}

fn prekey(id: u32, record: &[u8], uploaded: bool) -> Item {
    Item::new(number(id), Bytes::copy_from_slice(record)).marked(mark(uploaded))
}

fn record(address: &str, bytes: &[u8]) -> Item {
    Item::new(address, Bytes::copy_from_slice(bytes))
}

fn records(entries: &[(Arc<str>, Bytes)]) -> Vec<Item> {
    entries.iter().map(|(address, bytes)| Item::new(address.as_bytes(), bytes.clone())).collect()
}

#[async_trait]
impl SignalStore for VaultBackend {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put(IDENTITIES, vec![record(address, &key)]).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        let items = identities.iter().map(|(address, key)| record(address, key)).collect();
        self.put(IDENTITIES, items).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        let item = self.one(IDENTITIES, address.into()).await?;
        let key = |item: Item| {
            item.value.as_ref().try_into().map_err(|_| odd(IDENTITIES, "has not 32 bytes"))
        };
        item.map(key).transpose()
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.remove(IDENTITIES, vec![address.into()]).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        Ok(self.one(SESSIONS, address.into()).await?.map(|item| item.value))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.settled().await;
        self.put(SESSIONS, vec![record(address, session)]).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.settled().await;
        self.put(SESSIONS, records(sessions)).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.remove(SESSIONS, vec![address.into()]).await
    }

    async fn has_session(&self, address: &str) -> Result<bool> {
        Ok(self.one(SESSIONS, address.into()).await?.is_some())
    }

    /// Addresses are `user@server` and `user:device@server`.
    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        let (first, others) = (format!("{user}@"), format!("{user}:"));
        let (first, others) = (first.as_bytes(), others.as_bytes());
        self.any(&[
            (SESSIONS, first),
            (SESSIONS, others),
            (IDENTITIES, first),
            (IDENTITIES, others),
        ])
        .await
    }

    async fn store_prekey(&self, id: u32, record: &[u8], uploaded: bool) -> Result<()> {
        self.put(PREKEYS, vec![prekey(id, record, uploaded)]).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], uploaded: bool) -> Result<()> {
        let item = |(id, record): &(u32, Bytes)| {
            Item::new(number(*id), record.clone()).marked(mark(uploaded))
        };
        self.put(PREKEYS, keys.iter().map(item).collect()).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        Ok(self.one(PREKEYS, number(id)).await?.map(|item| item.value))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let keys: Vec<Vec<u8>> = ids.iter().copied().map(number).collect();
        let found = self.many(PREKEYS, &keys).await?;
        let found: HashMap<u32, Bytes> = found
            .into_iter()
            .filter_map(|item| Some((to_number(&item.key)?, item.value)))
            .collect();
        Ok(ids.iter().filter_map(|id| Some((*id, found.get(id)?.clone()))).collect())
    }

    /// One that was used up meanwhile stays away.
    async fn mark_prekeys_uploaded(&self, ids: &[u32]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let keys = ids.iter().copied().map(number).collect();
        self.write(vec![Change::Mark { shelf: PREKEYS, keys, mark: mark(true) }]).await
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.remove(PREKEYS, vec![number(id)]).await
    }

    /// Asked once, by sessions of the engine's earlier versions.
    async fn get_max_prekey_id(&self) -> Result<u32> {
        let last = self.list(PREKEYS, &[]).await?.pop();
        Ok(last.and_then(|item| to_number(&item.key)).unwrap_or(0))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        let item = Item::new(number(id), Bytes::copy_from_slice(record));
        self.put(SIGNED_PREKEYS, vec![item]).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        Ok(self.one(SIGNED_PREKEYS, number(id)).await?.map(|item| item.value.into()))
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let items = self.list(SIGNED_PREKEYS, &[]).await?;
        let record = |item: Item| Some((to_number(&item.key)?, item.value.into()));
        Ok(items.into_iter().filter_map(record).collect())
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.remove(SIGNED_PREKEYS, vec![number(id)]).await
    }

    async fn put_sender_key(&self, address: &str, bytes: &[u8]) -> Result<()> {
        self.settled().await;
        self.put(SENDER_KEYS, vec![record(address, bytes)]).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.settled().await;
        self.put(SENDER_KEYS, records(sender_keys)).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.one(SENDER_KEYS, address.into()).await?.map(|item| item.value.into()))
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.remove(SENDER_KEYS, vec![address.into()]).await
    }
}
