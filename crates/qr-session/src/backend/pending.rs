//! Messages that were read and are not stored yet.
//!
//! The engine keeps a copy of each message until the hook has stored it, and asks for the copy when
//! WhatsApp delivers a message again that it has read before. But its ratchets may be written down
//! before the copy is: a send, or another chat, takes along what was read a moment ago. When the process
//! dies right then, the message cannot be read a second time, and there is no copy of it; the engine
//! would take it for one that was stored, and acknowledge it.
//!
//! So what was stored leaves a mark. A message that left neither copy nor mark is not acknowledged, and
//! its sender is asked to send it again.

use std::sync::Arc;

use bytes::Bytes;
use kabar_channel::vault::Item;
use tokio::sync::mpsc::UnboundedSender;
use wacore::store::error::{Result, StoreError};
use wacore::time::now_secs;

use super::protocol::triple;
use super::reading::Reading;
use super::shelf::PENDING_INBOUND;
use super::{AtWork, VaultBackend};

/// The mark of a message that was stored. Greater ones count how often its sender was asked for it.
const STORED: i64 = 0;
/// How often a sender is asked for the same message, once in each connection: a process that is killed
/// again and again may ask in vain each time.
const MOST: i64 = 20;
/// How much sooner than copies marks are swept, in seconds. The engine sweeps copies after seven days;
/// a mark is needed until WhatsApp has the acknowledgement, and where it is missed the message comes
/// once more and changes nothing: one day is enough.
const SWEPT_SOONER: i64 = 6 * 24 * 60 * 60;

/// A message that was read, and of which nothing is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    /// The address of its chat.
    pub(crate) chat: String,
    /// The address of the device that sent it.
    pub(crate) sender: String,
    /// Its id on the wire.
    pub(crate) id: String,
}

/// Its sender was asked for it.
#[derive(Debug, thiserror::Error)]
#[error("the message was read and never stored; its sender was asked to send it again")]
struct AskedAgain;

impl VaultBackend {
    /// As the store of a session at work: it marks what was stored, tells of messages that were not,
    /// and writes no ratchets down while a message is between its decryption and its copy.
    #[must_use]
    pub(crate) fn at_work(self, unread: UnboundedSender<Unread>, reading: Arc<Reading>) -> Self {
        Self { at_work: Some(AtWork { unread, reading }), ..self }
    }

    /// Waits for messages that are between their decryption and their copy.
    pub(super) async fn settled(&self) {
        if let Some(AtWork { reading, .. }) = &self.at_work {
            reading.settled().await;
        }
    }

    /// These messages have their copies, or will never have any.
    pub(super) fn copied<'a>(&self, ids: impl IntoIterator<Item = &'a str>) {
        if let Some(AtWork { reading, .. }) = &self.at_work {
            reading.end(ids);
        }
    }

    /// The copy of a message that was read and not stored; `None` if it was.
    pub(super) async fn copy_of(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
    ) -> Result<Option<Vec<u8>>> {
        let key = triple(chat, sender, id);
        let asked = match self.one(PENDING_INBOUND, key.clone()).await? {
            Some(item) => match item.mark {
                None => return Ok(Some(item.value.into())),
                Some(STORED) => return Ok(None),
                Some(asked) => asked,
            },
            None => STORED,
        };
        let Some(AtWork { unread, .. }) = &self.at_work else { return Ok(None) };
        if asked >= MOST {
            tracing::error!(device = %self.fence.device, "session.message_lost");
            return Ok(None);
        }
        self.put(PENDING_INBOUND, vec![mark(key, asked + 1)]).await?;
        let [chat, sender, id] = [chat, sender, id].map(str::to_owned);
        // Nobody listens when the session ends; the next one is asked anew.
        let _ = unread.send(Unread { chat, sender, id });
        Err(StoreError::Database(Box::new(AskedAgain)))
    }

    /// Messages were stored; their copies go.
    pub(super) async fn stored(&self, keys: Vec<Vec<u8>>) -> Result<()> {
        if self.at_work.is_none() {
            return self.remove(PENDING_INBOUND, keys).await;
        }
        let marks = keys.into_iter().map(|key| mark(key, STORED)).collect();
        self.put(PENDING_INBOUND, marks).await
    }
}

fn mark(key: Vec<u8>, mark: i64) -> Item {
    Item::new(key, Bytes::new()).due(now_secs() - SWEPT_SOONER).marked(mark)
}
