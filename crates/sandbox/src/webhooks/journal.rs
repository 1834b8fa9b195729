//! What became of the webhooks: counts, and the last posts with their bodies.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{WebhookCounts, WebhookRecord};

/// The counters from one reset to the next. Work of an ended era is dropped wherever it is.
#[derive(Debug, Default)]
pub(crate) struct Era {
    pending: AtomicU64,
    delivered: AtomicU64,
    abandoned: AtomicU64,
    attempts: AtomicU64,
    unrouted: AtomicU64,
    quiet: Notify,
    /// Cancelled when a reset begins the next era.
    pub(crate) ended: CancellationToken,
}

impl Era {
    pub(crate) fn counts(&self) -> WebhookCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        WebhookCounts {
            pending: read(&self.pending),
            delivered: read(&self.delivered),
            abandoned: read(&self.abandoned),
            attempts: read(&self.attempts),
            unrouted: read(&self.unrouted),
        }
    }

    pub(super) fn count_attempt(&self) {
        self.attempts.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn count_end(&self, delivered: bool) {
        let counter = if delivered { &self.delivered } else { &self.abandoned };
        counter.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn count_unrouted(&self, updates: usize) {
        self.unrouted.fetch_add(updates as u64, Ordering::AcqRel);
    }

    /// Waits until nothing is pending.
    pub(super) async fn quiet(&self) {
        loop {
            let notified = self.quiet.notified();
            if self.pending.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// Something still to be done; while it lives, the sandbox is not quiet.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) era: Arc<Era>,
    /// Dropped with the last clone, for those who wait for this work alone.
    witness: Option<mpsc::Sender<()>>,
}

impl Ticket {
    pub(super) fn new(era: Arc<Era>) -> Self {
        era.pending.fetch_add(1, Ordering::AcqRel);
        Self { era, witness: None }
    }

    /// The same work, also watched by a witness.
    pub(crate) fn witnessed(&self, witness: Option<mpsc::Sender<()>>) -> Self {
        let mut ticket = Self::new(Arc::clone(&self.era));
        ticket.witness = witness;
        ticket
    }
}

impl Clone for Ticket {
    fn clone(&self) -> Self {
        self.witnessed(self.witness.clone())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.era.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.era.quiet.notify_waiters();
        }
    }
}

/// The last posts, oldest first.
#[derive(Debug)]
pub(super) struct Journal {
    capacity: usize,
    last: u64,
    records: VecDeque<WebhookRecord>,
}

impl Journal {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, last: 0, records: VecDeque::new() }
    }

    pub(super) fn write(&mut self, mut record: WebhookRecord) {
        self.last += 1;
        record.sequence = self.last;
        self.records.push_back(record);
        while self.records.len() > self.capacity {
            self.records.pop_front();
        }
    }

    pub(super) fn newest(&self, limit: usize) -> Vec<WebhookRecord> {
        let skip = self.records.len().saturating_sub(limit);
        self.records.iter().skip(skip).cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.last = 0;
    }
}
