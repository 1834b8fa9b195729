//! A hint that there is something to do. Polling alone is always enough.

use std::time::Duration;

use async_trait::async_trait;

/// What somebody may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// Messages were queued.
    Outbox,
    /// Jobs were enqueued.
    Jobs,
    /// Events were appended.
    Events,
}

/// Wakes those who wait for a topic, in this process or beyond.
#[async_trait]
pub trait Wake: Send + Sync {
    /// Hints that there is something to do; called after the commit.
    fn wake(&self, topic: Topic);

    /// Returns at the next hint, or after `at_most`. A hint given between two calls is not lost.
    async fn wait(&self, topic: Topic, at_most: Duration);
}
