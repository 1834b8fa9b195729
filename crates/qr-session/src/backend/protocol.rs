//! What WhatsApp Web keeps beside Signal: group keys handed out, linked ids, device lists, messages
//! under way.

mod tokens;

use async_trait::async_trait;
use bytes::Bytes;
use kabar_channel::vault::{Change, Item};
use wacore::store::error::Result;
use wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore,
    TcTokenEntry,
};
use wacore::time::now_secs;

use super::VaultBackend;
use super::key::{join, prefix};
use super::shelf::{
    BASE_KEYS, DEVICE_LISTS, GROUPS, LINKED_IDS, NUMBERS, PENDING_INBOUND, SENDER_KEY_DEVICES,
    SENT_MESSAGES, TC_TOKENS,
};
use super::value::{from_json, json, maybe, text};

/// A key of two texts.
pub(super) fn pair(first: &str, second: &str) -> Vec<u8> {
    join([first.as_bytes(), second.as_bytes()])
}

/// A key of three texts.
pub(super) fn triple(chat: &str, sender: &str, id: &str) -> Vec<u8> {
    join([chat.as_bytes(), sender.as_bytes(), id.as_bytes()])
}

fn copied(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[async_trait]
impl ProtocolStore for VaultBackend {
    async fn get_sender_key_devices(&self, group_jid: &str) -> Result<Vec<(String, bool)>> {
        let start = prefix(group_jid.as_bytes());
        let device = |item: &Item| {
            let name = item.key.get(start.len()..).unwrap_or_default();
            Ok((text(SENDER_KEY_DEVICES, name)?, item.mark == Some(1)))
        };
        self.list(SENDER_KEY_DEVICES, &start).await?.iter().map(device).collect()
    }

    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> Result<()> {
        let item = |(device, has_key): &(&str, bool)| {
            let mark = i64::from(*has_key);
            Item::new(pair(group_jid, device), Bytes::new()).marked(mark).tagged(*device)
        };
        self.put(SENDER_KEY_DEVICES, entries.iter().map(item).collect()).await
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> Result<()> {
        self.remove_all(SENDER_KEY_DEVICES, prefix(group_jid.as_bytes())).await
    }

    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> Result<()> {
        if device_jids.is_empty() {
            return Ok(());
        }
        let tags = device_jids.iter().map(|device| device.as_bytes().to_vec()).collect();
        self.write(vec![Change::RemoveTagged { shelf: SENDER_KEY_DEVICES, tags }]).await
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        self.remove_all(SENDER_KEY_DEVICES, Vec::new()).await
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        maybe(self.one(LINKED_IDS, lid.into()).await?.as_ref())
    }

    /// The linked id that was learnt last, if it did not get another number since.
    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        let Some(number) = self.one(NUMBERS, phone.into()).await? else {
            return Ok(None);
        };
        let entry = self.one(LINKED_IDS, number.value.into()).await?;
        let entry: Option<LidPnMappingEntry> = maybe(entry.as_ref())?;
        Ok(entry.filter(|entry| entry.phone_number == phone))
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let linked: Result<Vec<Item>> =
            entries.iter().map(|entry| Ok(Item::new(entry.lid.as_bytes(), json(entry)?))).collect();
        let number = |entry: &LidPnMappingEntry| {
            Item::new(entry.phone_number.as_bytes(), copied(entry.lid.as_bytes()))
        };
        self.write(vec![
            Change::Put { shelf: LINKED_IDS, items: linked? },
            Change::Put { shelf: NUMBERS, items: entries.iter().map(number).collect() },
        ])
        .await
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        self.list(LINKED_IDS, &[]).await?.iter().map(from_json).collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> Result<()> {
        self.put(BASE_KEYS, vec![Item::new(pair(address, message_id), copied(base_key))]).await
    }

    async fn has_same_base_key(
        &self,
        address: &str,
        message_id: &str,
        current_base_key: &[u8],
    ) -> Result<bool> {
        let saved = self.one(BASE_KEYS, pair(address, message_id)).await?;
        Ok(saved.is_some_and(|saved| saved.value == current_base_key))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        self.remove(BASE_KEYS, vec![pair(address, message_id)]).await
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.update_device_lists(vec![record]).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        let items: Result<Vec<Item>> = records
            .iter()
            .map(|record| Ok(Item::new(record.user.as_bytes(), json(record)?)))
            .collect();
        self.put(DEVICE_LISTS, items?).await
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        maybe(self.one(DEVICE_LISTS, user.into()).await?.as_ref())
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        self.remove(DEVICE_LISTS, vec![user.into()]).await
    }

    async fn get_group_metadata(&self, group_jid: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.one(GROUPS, group_jid.into()).await?.map(|item| item.value.into()))
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> Result<()> {
        self.put(GROUPS, vec![Item::new(group_jid, copied(blob))]).await
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.remove(GROUPS, vec![group_jid.into()]).await
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        self.token(jid).await
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        let _alone = self.tokens.lock().await;
        self.put_token(jid, entry).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        let _alone = self.tokens.lock().await;
        self.remove(TC_TOKENS, vec![jid.into()]).await
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let items = self.list(TC_TOKENS, &[]).await?;
        items.iter().map(|item| text(TC_TOKENS, &item.key)).collect()
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        self.sweep_tokens(token_cutoff, sender_cutoff).await
    }

    async fn touch_tc_token_sender_timestamp(
        &self,
        jid: &str,
        sender_timestamp: i64,
    ) -> Result<()> {
        self.touch_token(jid, sender_timestamp).await
    }

    async fn store_received_tc_token(
        &self,
        jid: &str,
        token: &[u8],
        token_timestamp: i64,
    ) -> Result<()> {
        self.receive_token(jid, token, token_timestamp).await
    }

    async fn store_sent_message(
        &self,
        chat_jid: &str,
        message_id: &str,
        payload: &[u8],
    ) -> Result<()> {
        let item = Item::new(pair(chat_jid, message_id), copied(payload)).due(now_secs());
        self.put(SENT_MESSAGES, vec![item]).await
    }

    /// For a session at work it stays where it is, until it is swept: the engine puts it back anyway,
    /// and meanwhile another device may want it, or the process may die. It is found under the number
    /// and under the linked id of its chat: the engine, left to look for the other one itself, would
    /// send what a device of our own wants to that person.
    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        if self.at_work.is_some()
            && let Ok(chat) = chat_jid.parse()
        {
            return Ok(self.sent(&chat, message_id).await?.map(Into::into));
        }
        let taken = self.take(SENT_MESSAGES, &pair(chat_jid, message_id)).await?;
        Ok(taken.map(|item| item.value.into()))
    }

    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.sweep(SENT_MESSAGES, cutoff_timestamp).await
    }

    async fn store_pending_inbound(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
        message: &[u8],
    ) -> Result<()> {
        self.store_pending_inbound_batch(&[PendingInboundRow { chat, sender, id, message }]).await
    }

    async fn get_pending_inbound(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
    ) -> Result<Option<Vec<u8>>> {
        self.copied([id]);
        self.copy_of(chat, sender, id).await
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.delete_pending_inbound_batch(&[PendingInboundKey { chat, sender, id }]).await
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.sweep(PENDING_INBOUND, cutoff_timestamp).await
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let now = now_secs();
        let item = |row: &PendingInboundRow<'_>| {
            Item::new(triple(row.chat, row.sender, row.id), copied(row.message)).due(now)
        };
        let put = self.put(PENDING_INBOUND, rows.iter().map(item).collect()).await;
        self.copied(rows.iter().map(|row| row.id));
        put
    }

    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let key = |key: &PendingInboundKey<'_>| triple(key.chat, key.sender, key.id);
        self.stored(keys.iter().map(key).collect()).await
    }
}
