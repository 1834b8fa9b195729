//! How many connections are begun, and how fast.
//!
//! Every session reconnects by itself, after waits of its own. When the network or WhatsApp comes
//! back, thousands would dial in the same second; and while it is away, each would go on trying. So
//! all of them pass one gate: so many at once, so many in a second, and, while nobody gets through,
//! one that tries for all.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
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
    /// When the last one began. Whose turn it is holds it while it waits.
    last: tokio::sync::Mutex<Option<Instant>>,
    /// Wakes whoever's turn it is: somebody got through.
    calmed: Notify,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
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
            last: tokio::sync::Mutex::default(),
            calmed: Notify::new(),
            inner: Mutex::default(),
        }
    }

    /// Waits until a connection may be begun. `None` when the gate is gone for good.
    pub(crate) async fn pass(&self) -> Option<Passage<'_>> {
        let slot = self.slots.acquire().await.ok()?;
        let mut last = self.last.lock().await;
        while let Some(begins) = last.map(|last| last + self.pause()) {
            tokio::select! {
                () = tokio::time::sleep_until(begins) => break,
                () = self.calmed.notified() => {}
            }
        }
        *last = Some(Instant::now());
        self.inner().attempts += 1;
        metrics::counter!("kabar_qr_connects_total").increment(1);
        Some(Passage { gate: self, _slot: slot })
    }

    /// Between the last one and the next.
    fn pause(&self) -> Duration {
        if self.inner().failures >= STORM { PROBE } else { self.spacing }
    }

    /// Connections that were begun so far.
    pub(crate) fn attempts(&self) -> u64 {
        self.inner().attempts
    }

    fn ended(&self, reached: bool) {
        let mut inner = self.inner();
        if !reached {
            inner.failures = inner.failures.saturating_add(1);
            return;
        }
        if inner.failures >= STORM {
            // The others need not wait out what was meant for a storm.
            self.calmed.notify_one();
        }
        inner.failures = 0;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::sync::Arc;

    use tokio::task::JoinSet;

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

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_storm_to_end_goes_on_when_one_got_through() {
        let gate = gate(16, 1_000);
        for _ in 0..=STORM {
            gate.pass().await.unwrap().ended(false);
        }
        let gate = Arc::new(gate);
        let probe = gate.pass().await.unwrap();
        let begun = Instant::now();
        let mut others = JoinSet::new();
        for _ in 0..15 {
            let gate = Arc::clone(&gate);
            others.spawn(async move { gate.pass().await.unwrap().ended(true) });
        }
        tokio::task::yield_now().await;
        probe.ended(true);
        others.join_all().await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}
