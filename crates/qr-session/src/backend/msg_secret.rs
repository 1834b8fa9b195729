//! Secrets of messages.

use async_trait::async_trait;
use bytes::Bytes;
use kabar_channel::vault::{Change, Item};
use wacore::store::error::Result;
use wacore::store::traits::{MsgSecretEntry, MsgSecretStore};

use super::VaultBackend;
use super::key::join;
use super::shelf::MSG_SECRETS;

/// When a secret is due that never expires, for which the engine says 0: then the later of two
/// deadlines is the greater number.
const NEVER: i64 = i64::MAX;

fn key(chat: &str, sender: &str, msg_id: &str) -> Vec<u8> {
    join([chat.as_bytes(), sender.as_bytes(), msg_id.as_bytes()])
}

fn item(entry: &MsgSecretEntry) -> Item {
    let due = if entry.expires_at == 0 { NEVER } else { entry.expires_at };
    Item::new(key(&entry.chat, &entry.sender, &entry.msg_id), Bytes::copy_from_slice(&entry.secret))
        .due(due)
        .marked(entry.message_ts)
}

#[async_trait]
impl MsgSecretStore for VaultBackend {
    async fn put_msg_secret(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
        secret: &[u8; 32],
    ) -> Result<()> {
        let entry = MsgSecretEntry {
            chat: chat.into(),
            sender: sender.into(),
            msg_id: msg_id.into(),
            secret: *secret,
            expires_at: 0,
            message_ts: 0,
        };
        self.put_msg_secrets(vec![entry]).await.map(|_| ())
    }

    /// Neither the deadline nor the time of the message ever goes back.
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        if entries.is_empty() {
            return Ok(0);
        }
        let items = entries.iter().map(item).collect();
        self.write(vec![Change::Raise { shelf: MSG_SECRETS, items }]).await?;
        Ok(entries.len())
    }

    async fn get_msg_secret(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<Vec<u8>>> {
        let found = self.get_msg_secret_with_ts(chat, sender, msg_id).await?;
        Ok(found.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        let found = self.one(MSG_SECRETS, key(chat, sender, msg_id)).await?;
        Ok(found.map(|item| (item.value.to_vec(), item.mark.unwrap_or(0))))
    }

    /// Those that are due at the cutoff go, too.
    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.sweep(MSG_SECRETS, cutoff_timestamp.saturating_add(1)).await
    }
}
