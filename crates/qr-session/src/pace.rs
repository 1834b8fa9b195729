//! How soon a session may connect again.
//!
//! After most ends of a connection the engine waits by itself, longer each time. After some it dials at
//! once: after the stream error 515, with which WhatsApp asks for a restart. Where every connection ends
//! like that it would dial without a pause.

use std::time::Duration;

use tokio::time::Instant;

/// A connection that lasted so long was a good one: what the engine, too, forgets earlier failures by.
const GOOD: Duration = Duration::from_secs(30);
/// Short connections in a row after which the next one may still be begun at once. Pairing has two.
const FREE: u32 = 3;
/// The longest wait.
const MOST: Duration = Duration::from_mins(15);

/// How soon a session may connect again.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the current connection was begun.
    begun: Option<Instant>,
    /// Short connections in a row.
    short: u32,
    /// Not before this.
    due: Option<Instant>,
}

impl Pace {
    /// The connection that was begun last is over; answers when the next one may be begun.
    pub(crate) fn over(&mut self, now: Instant) -> Instant {
        if let Some(begun) = self.begun.take() {
            self.short = if now - begun < GOOD { self.short.saturating_add(1) } else { 0 };
            self.due = Some(begun + wait(self.short.saturating_sub(FREE)));
        }
        self.due.unwrap_or(now)
    }

    /// A connection is begun.
    pub(crate) const fn begun(&mut self, now: Instant) {
        self.begun = Some(now);
    }
}

/// Between the beginnings of two connections: the Fibonacci numbers in seconds, as WhatsApp Web waits.
fn wait(times: u32) -> Duration {
    let (mut wait, mut next) = (Duration::ZERO, Duration::from_secs(1));
    for _ in 0..times {
        if next >= MOST {
            return MOST;
        }
        (wait, next) = (next, wait + next);
    }
    wait
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections that end after so long; answers the waits between their ends and the next ones.
    fn waits(lasting: Duration, connections: usize) -> Vec<u64> {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..connections {
            let due = pace.over(now).max(now);
            waits.push((due - now).as_secs());
            pace.begun(due);
            now = due + lasting;
        }
        waits
    }

    #[test]
    fn short_connections_become_rarer() {
        assert_eq!(waits(Duration::ZERO, 10), [0, 0, 0, 0, 1, 1, 2, 3, 5, 8]);
        assert_eq!(waits(Duration::ZERO, 100).last(), Some(&900));
    }

    #[test]
    fn good_ones_never_wait() {
        assert_eq!(waits(GOOD, 10), [0; 10]);
    }

    #[test]
    fn asking_again_does_not_count_twice() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for _ in 0..4 {
            pace.over(now);
            pace.begun(now);
        }
        let due = pace.over(now);
        assert_eq!(due, now + Duration::from_secs(1));
        assert_eq!(pace.over(due), due);
    }
}
