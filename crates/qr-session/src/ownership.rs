//! How sure this process is that its sessions are still its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a confirmed renewal makes sure (architecture: self-stop at 5 s, leases hold for 8 s).
const SURE_FOR: Duration = Duration::from_secs(5);

/// When the leases of this process were confirmed last, by a clock that nobody sets. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ownership(Arc<Mutex<Option<Instant>>>);

impl Ownership {
    /// The leases were renewed, by a statement that was sent at `begun`: they hold from then on, not
    /// from when its answer came.
    pub(crate) fn confirmed(&self, begun: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
    }

    /// Whether nobody else can own the sessions of this process yet.
    pub(crate) fn is_sure(&self) -> bool {
        let confirmed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        confirmed.is_some_and(|begun| begun.elapsed() < SURE_FOR)
    }
}
