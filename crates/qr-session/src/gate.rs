//! How many connections are begun, and how fast.
//!
//! Every session reconnects by itself, after waits of its own. When the network or WhatsApp comes
//! back, thousands would dial in the same second; and while it is away, each would go on trying. So
//! all of them pass one gate: so many at once, so many in a second, and, while nobody gets through,
//! one that tries for all.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::settings::QrSettings;

/// Failures in a row, over all sessions, after which the gate closes.
const STORM: u32 = 20;
/// While it is closed one passes in this time.
const PROBE: Duration = Duration::from_secs(5);

/// The gate of a process.
#[derive(Debug)]
pub(crate) struct Gate {
    slots: Semaphore,
    /// Between two that begin.
    spacing: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// When the next one may begin.
    next: Option<Instant>,
    failures: u32,
    /// Attempts so far, for whoever watches.
    attempts: u64,
}

/// A place in the gate, for as long as the connection is being made.
#[derive(Debug)]
pub(crate) struct Passage<'a> {
    gate: &'a Gate,
    _slot: SemaphorePermit<'a>,
}

impl Gate {
    pub(crate) fn new(settings: &QrSettings) -> Self {
        Self {
            slots: Semaphore::new(settings.connecting.max(1)),
            spacing: Duration::from_secs(1) / settings.connects_per_second.max(1),
            inner: Mutex::default(),
        }
    }

    /// Waits until a connection may be begun. `None` when the gate is gone for good.
    pub(crate) async fn pass(&self) -> Option<Passage<'_>> {
        let slot = self.slots.acquire().await.ok()?;
        let begins = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let begins = inner.next.unwrap_or(now).max(now);
            let spacing = if inner.failures >= STORM { PROBE } else { self.spacing };
            inner.next = Some(begins + spacing);
            inner.attempts += 1;
            begins
        };
        tokio::time::sleep_until(begins).await;
        metrics::counter!("kabar_qr_connects_total").increment(1);
        Some(Passage { gate: self, _slot: slot })
    }

    /// Connections that were begun so far.
    pub(crate) fn attempts(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).attempts
    }

    fn ended(&self, reached: bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !reached {
            inner.failures = inner.failures.saturating_add(1);
            return;
        }
        if inner.failures >= STORM {
            // The others need not wait out what was meant for a storm.
            inner.next = Some(Instant::now() + self.spacing);
        }
        inner.failures = 0;
    }
}

impl Passage<'_> {
    /// The server was reached, or was not.
    pub(crate) fn ended(self, reached: bool) {
        self.gate.ended(reached);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connecting: usize, connects_per_second: u32) -> Gate {
        Gate::new(&QrSettings { connecting, connects_per_second, ..QrSettings::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_spaced() {
        let (gate, begun) = (gate(100, 10), Instant::now());
        for _ in 0..21 {
            gate.pass().await.unwrap().ended(true);
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
        assert_eq!(gate.attempts(), 21);
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_storm_one_tries_for_all_until_it_gets_through() {
        let gate = gate(100, 1_000);
        for _ in 0..=STORM {
            gate.pass().await.unwrap().ended(false);
        }
        let begun = Instant::now();
        for _ in 0..3 {
            gate.pass().await.unwrap().ended(false);
        }
        assert!(begun.elapsed() >= PROBE * 2);
        gate.pass().await.unwrap().ended(true);
        let begun = Instant::now();
        for _ in 0..10 {
            gate.pass().await.unwrap().ended(true);
        }
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
