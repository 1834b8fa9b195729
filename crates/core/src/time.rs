//! Points in time and the clock port.

/// A point in time, UTC. Storage and the wire keep microseconds or less.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// Where "now" comes from; tests hand in a clock that they move themselves.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present, cut to microseconds, which is what both databases keep.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one adapter that reads the system clock")]
    fn now(&self) -> Timestamp {
        use chrono::SubsecRound;
        chrono::Utc::now().trunc_subsecs(6)
    }
}
