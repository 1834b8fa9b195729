//! Trusted-contact tokens: what a contact gave us, and when we last gave ours. The two halves have
//! writers of their own, and neither may undo the other's.

use kabar_channel::vault::Item;
use wacore::store::error::Result;
use wacore::store::traits::TcTokenEntry;

use crate::backend::VaultBackend;
use crate::backend::shelf::TC_TOKENS;
use crate::backend::value::{from_json, json, maybe};

impl VaultBackend {
    pub(super) async fn token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        maybe(self.one(TC_TOKENS, jid.into()).await?.as_ref())
    }

    pub(super) async fn put_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        self.put(TC_TOKENS, vec![Item::new(jid, json(entry)?)]).await
    }

    /// We gave ours: the time only moves forward, and what we were given stays.
    pub(super) async fn touch_token(&self, jid: &str, sender_timestamp: i64) -> Result<()> {
        let _alone = self.tokens.lock().await;
        let entry = match self.token(jid).await? {
            Some(found) => TcTokenEntry {
                sender_timestamp: found.sender_timestamp.max(Some(sender_timestamp)),
                ..found
            },
            None => TcTokenEntry {
                token: Vec::new(),
                token_timestamp: sender_timestamp,
                sender_timestamp: Some(sender_timestamp),
            },
        };
        self.put_token(jid, &entry).await
    }

    /// We were given one: an older one does not replace a newer one, an absent one is replaced by any.
    pub(super) async fn receive_token(
        &self,
        jid: &str,
        token: &[u8],
        token_timestamp: i64,
    ) -> Result<()> {
        let _alone = self.tokens.lock().await;
        let found = self.token(jid).await?;
        let newer = |found: &TcTokenEntry| {
            !found.token.is_empty() && found.token_timestamp > token_timestamp
        };
        if found.as_ref().is_some_and(newer) {
            return Ok(());
        }
        let sender_timestamp = found.and_then(|found| found.sender_timestamp);
        let entry = TcTokenEntry { token: token.to_vec(), token_timestamp, sender_timestamp };
        self.put_token(jid, &entry).await
    }

    /// Removes those of which neither half is of use any more; returns how many.
    pub(super) async fn sweep_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let _alone = self.tokens.lock().await;
        let mut gone = Vec::new();
        for item in self.list(TC_TOKENS, &[]).await? {
            let entry: TcTokenEntry = from_json(&item)?;
            let received = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
            let given = entry.sender_timestamp.is_some_and(|at| at >= sender_cutoff);
            if !received && !given {
                gone.push(item.key);
            }
        }
        let count = u32::try_from(gone.len()).unwrap_or(u32::MAX);
        self.remove(TC_TOKENS, gone).await?;
        Ok(count)
    }
}
