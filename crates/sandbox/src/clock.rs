//! The sandbox's only sources of time: a wall clock that tests can push forward, and waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wall clock with an offset that only grows, until it is reset.
#[derive(Debug, Default)]
pub(crate) struct SandboxClock {
    offset_ms: AtomicU64,
}

impl SandboxClock {
    /// Sandbox time in milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        millis(real).saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Sandbox time in whole seconds, as Meta writes it.
    pub(crate) fn now_secs(&self) -> u64 {
        self.now_ms() / 1_000
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.offset_ms.fetch_add(millis(by), Ordering::Relaxed);
    }

    pub(crate) fn reset(&self) {
        self.offset_ms.store(0, Ordering::Relaxed);
    }
}

/// Milliseconds of a duration; more than `u64` holds is clipped.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Waits in real time; the clock's offset plays no part.
#[expect(clippy::disallowed_methods, reason = "the adapter through which the sandbox waits")]
pub(crate) async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
