//! A clock that stands still until it is moved.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use kabar_core::{Clock, Timestamp};

/// 1 January 2026, 00:00 UTC, in seconds since 1970.
const START: i64 = 1_767_225_600;

/// A clock that tests move themselves. It starts on 1 January 2026, 00:00 UTC.
#[derive(Debug)]
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    /// A clock that stands at `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves the clock to `now`.
    pub fn set(&self, now: Timestamp) {
        *self.hand() = now;
    }

    /// Moves the clock by `step` and returns the new time.
    pub fn advance(&self, step: TimeDelta) -> Timestamp {
        let mut hand = self.hand();
        *hand += step;
        *hand
    }

    fn hand(&self) -> MutexGuard<'_, Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::at(Timestamp::from_timestamp(START, 0).unwrap_or_default())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.hand()
    }
}
