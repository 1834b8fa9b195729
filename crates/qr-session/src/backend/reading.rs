//! Messages between their arrival and their copy.
//!
//! The engine decrypts a message, which moves a ratchet on, and hands over a copy a moment later. Meanwhile
//! a send or another chat may have it write its ratchets down. A process that dies in between can read the
//! message no more, and has no copy of it. So ratchets wait, very briefly, for what is being read.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long ratchets wait at most. From decryption to copy the engine does nothing but compute; what
/// takes longer waits for a turn, and was not decrypted yet.
const PATIENCE: Duration = Duration::from_millis(10);
/// Messages that came longer ago are left out: not all of them end in a copy that we would see.
const RECENT: Duration = Duration::from_secs(1);
/// When there are so many, those of long ago are let go.
const MANY: usize = 64;

/// The messages of one session that are being read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    begun: Mutex<HashMap<String, Instant>>,
    changed: Notify,
}

impl Reading {
    fn begun(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message came.
    pub(crate) fn begin(&self, id: &str) {
        let now = Instant::now();
        let mut begun = self.begun();
        if begun.len() >= MANY {
            begun.retain(|_, at| now.duration_since(*at) < RECENT);
        }
        begun.insert(id.to_owned(), now);
    }

    /// Messages have their copies, or come to nothing.
    pub(crate) fn end<'a>(&self, ids: impl IntoIterator<Item = &'a str>) {
        let mut begun = self.begun();
        for id in ids {
            begun.remove(id);
        }
        drop(begun);
        self.changed.notify_waiters();
    }

    /// Whether a message that came before is still being read.
    fn busy(&self, before: Instant) -> bool {
        let recent = |at: &Instant| *at <= before && before.duration_since(*at) < RECENT;
        self.begun().values().any(recent)
    }

    /// Waits for the messages that came so far.
    pub(crate) async fn settled(&self) {
        let before = Instant::now();
        let done = async {
            loop {
                let changed = self.changed.notified();
                if !self.busy(before) {
                    return;
                }
                changed.await;
            }
        };
        // Those that are left wait for a turn, or were no messages.
        let _ = tokio::time::timeout(PATIENCE, done).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ratchets_wait_for_what_came_before_and_never_long() {
        let reading = Reading::default();
        let begun = Instant::now();
        reading.settled().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nothing is being read");

        reading.begin("first");
        reading.begin("second");
        let ended = async {
            tokio::time::advance(Duration::from_millis(2)).await;
            reading.begin("later");
            reading.end(["first", "second"]);
        };
        let begun = Instant::now();
        tokio::join!(reading.settled(), ended);
        assert!(begun.elapsed() < PATIENCE, "what came later is not waited for");

        let begun = Instant::now();
        reading.settled().await;
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < 2 * PATIENCE);

        tokio::time::advance(RECENT).await;
        let begun = Instant::now();
        reading.settled().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "it came to nothing");
    }
}
