//! Keeping what others want again, and fulfilling what a process before us left.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::Instant;
use whatsapp_rust::{Client, MessageRetransmission, anyhow};

use crate::backend::{VaultBackend, Wanted};

/// How long a wish is kept after it came, while the process that it came to lives: the engine fulfils
/// it within a second or two.
const KEPT: Duration = Duration::from_secs(30);
/// Wishes of one write at most.
const MOST: usize = 100;
/// Between two tries to write wishes down while storage is away.
const AGAIN: Duration = Duration::from_millis(500);
/// How long what goes out waits for wishes to be written down. Without that the connection is given up:
/// WhatsApp tells the wish again over the next one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where wishes come in. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    came: UnboundedSender<Wanted>,
    /// How many are not written down yet.
    unwritten: watch::Sender<usize>,
    /// The session was connected, and can fulfil wishes.
    connected: watch::Sender<()>,
}

/// Where they are taken from.
pub(crate) struct Inbox {
    came: UnboundedReceiver<Wanted>,
    unwritten: watch::Sender<usize>,
}

/// A place for wishes.
pub(crate) fn wishes() -> (Wishes, Inbox) {
    let (sender, came) = unbounded_channel();
    let unwritten = watch::Sender::new(0);
    let connected = watch::Sender::new(());
    let wishes = Wishes { came: sender, unwritten: unwritten.clone(), connected };
    (wishes, Inbox { came, unwritten })
}

impl Wishes {
    /// A wish came. Nothing goes out any more until it is written down.
    pub(crate) fn came(&self, wanted: Wanted) {
        self.unwritten.send_modify(|count| *count += 1);
        if self.came.send(wanted).is_err() {
            // The session ends; what it says is of no account.
            self.unwritten.send_modify(|count| *count -= 1);
        }
    }

    /// The session is connected.
    pub(crate) fn connected(&self) {
        self.connected.send_replace(());
    }

    /// Tells of each time that it is, until it ends.
    pub(crate) fn connections(&self) -> watch::Receiver<()> {
        self.connected.subscribe()
    }

    /// Waits until all wishes that came are written down.
    pub(crate) async fn written(&self) -> anyhow::Result<()> {
        if *self.unwritten.borrow() == 0 {
            return Ok(());
        }
        let mut unwritten = self.unwritten.subscribe();
        let none = unwritten.wait_for(|count| *count == 0);
        match tokio::time::timeout(PATIENCE, none).await {
            Ok(_) => Ok(()),
            Err(_) => anyhow::bail!("the vault does not answer"),
        }
    }
}

impl Inbox {
    /// Writes wishes down, until the session ends.
    pub(crate) async fn keep(mut self, backend: Arc<VaultBackend>) {
        let mut waiting = Vec::new();
        let mut kept: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        while self.came.recv_many(&mut waiting, MOST).await > 0 {
            let now = Instant::now();
            let old = kept.iter().take_while(|(at, _)| now.duration_since(*at) >= KEPT).count();
            let mut old: Vec<Vec<u8>> = kept.drain(..old).map(|(_, key)| key).collect();
            // Who asked again since is kept for the later time.
            old.retain(|key| !kept.iter().any(|(_, later)| later == key));
            while let Err(error) = backend.keep_wanted(&waiting, old.clone()).await {
                if *backend.fenced().borrow() {
                    return;
                }
                tracing::warn!(error = &error as &dyn std::error::Error, "session.wanted");
                tokio::time::sleep_until(Instant::now() + AGAIN).await;
            }
            kept.extend(waiting.iter().map(|wanted| (now, wanted.key())));
            self.unwritten.send_modify(|count| *count -= waiting.len());
            waiting.clear();
        }
    }
}

/// Sends again what was wanted of whoever ran the session before, once it is connected.
pub(crate) async fn fulfil(
    mut connections: watch::Receiver<()>,
    backend: Arc<VaultBackend>,
    client: Weak<Client>,
) {
    while connections.changed().await.is_ok() {
        let Some(client) = client.upgrade() else { return };
        match resend(&backend, &client).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(error = &*error, "session.wanted"),
        }
    }
}

async fn resend(backend: &VaultBackend, client: &Client) -> anyhow::Result<()> {
    for wanted in backend.left_wanted().await? {
        let key = wanted.key();
        if let Some(message) = backend.sent(&wanted.chat, &wanted.id).await? {
            let message = waproto::codec::message_decode(&message)?;
            let Wanted { chat, requester, recipient, id, count } = wanted;
            let mut again = MessageRetransmission::new(chat, requester, message, id, count);
            if let Some(recipient) = recipient {
                again = again.with_recipient(recipient);
            }
            let sent = client.retransmit_message(again).await;
            anyhow::ensure!(sent.is_ok() || client.is_connected(), "the connection was lost");
            if let Err(error) = sent {
                tracing::warn!(error = &error as &dyn std::error::Error, "session.resend");
            }
        }
        backend.forget_wanted(vec![key]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        let person: wacore_binary::Jid = "62812@s.whatsapp.net".parse().unwrap();
        let (chat, requester) = (person.clone(), person);
        Wanted { chat, requester, recipient: None, id: "A".to_owned(), count: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_goes_out_before_a_wish_is_written_down() {
        let (wishes, mut inbox) = wishes();
        wishes.written().await.unwrap();
        wishes.came(wanted());
        let written = async {
            assert_eq!(inbox.came.recv().await, Some(wanted()));
            inbox.unwritten.send_modify(|count| *count -= 1);
        };
        let (waited, ()) = tokio::join!(wishes.written(), written);
        waited.unwrap();

        wishes.came(wanted());
        wishes.written().await.unwrap_err();
        drop(inbox);
        wishes.came(wanted());
        assert_eq!(*wishes.unwritten.borrow(), 1, "nobody is there to write it down");
    }
}
