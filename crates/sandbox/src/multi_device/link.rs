//! The server's end of one connection, as the rest of the server sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use wacore_binary::Node;

/// What the writing half of a connection is told.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Send this.
    Node(Node),
    /// Send what came before, then close.
    Close,
}

/// How well a connection works.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    delay_ms: AtomicU64,
    frozen: AtomicBool,
    closing: AtomicBool,
    thaw: Notify,
}

impl Weather {
    /// Wait before each stanza, in milliseconds.
    pub(crate) fn delay_ms(&self) -> u64 {
        self.delay_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn set_delay_ms(&self, ms: u64) {
        self.delay_ms.store(ms, Ordering::Relaxed);
    }

    /// Whether the server neither reads nor writes.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Release);
        if !frozen {
            self.thaw.notify_waiters();
        }
    }

    /// The server has ended the stream: what the client still sends is not for us.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Returns once the connection works.
    pub(crate) async fn thawed(&self) {
        loop {
            let thaw = self.thaw.notified();
            if !self.is_frozen() {
                return;
            }
            thaw.await;
        }
    }
}

/// A handle to one connection. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) id: u64,
    out: mpsc::UnboundedSender<Outgoing>,
    pub(crate) weather: Arc<Weather>,
    /// Cancelled to drop the TCP connection without a word.
    pub(crate) cut: CancellationToken,
}

impl Link {
    pub(crate) fn new(
        id: u64,
        cut: CancellationToken,
    ) -> (Self, mpsc::UnboundedReceiver<Outgoing>) {
        let (out, inbox) = mpsc::unbounded_channel();
        (Self { id, out, weather: Arc::default(), cut }, inbox)
    }

    /// Queues a stanza. A connection that is already gone swallows it.
    pub(crate) fn send(&self, node: Node) {
        let _gone = self.out.send(Outgoing::Node(node));
    }

    /// Sends a last stanza and closes.
    pub(crate) fn send_last(&self, node: Node) {
        self.send(node);
        self.close();
    }

    /// Closes after what is queued.
    pub(crate) fn close(&self) {
        self.weather.closing.store(true, Ordering::Release);
        let _gone = self.out.send(Outgoing::Close);
    }
}
