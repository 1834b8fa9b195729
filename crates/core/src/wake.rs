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
    /// Something else is wanted of paired sessions.
    Sessions,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 4] = [Self::Outbox, Self::Jobs, Self::Events, Self::Sessions];

    /// Its word, for adapters that name topics on a wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outbox => "outbox",
            Self::Jobs => "jobs",
            Self::Events => "events",
            Self::Sessions => "sessions",
        }
    }
}

/// Wakes those who wait for a topic, in this process or beyond.
#[async_trait]
pub trait Wake: Send + Sync {
    /// Hints that there is something to do; called after the commit.
    fn wake(&self, topic: Topic);

    /// Returns at the next hint, or after `at_most`. A hint given between two calls is not lost. A
    /// hint ends one wait: this is for the one engine of a process that serves a topic; where several
    /// do, each has its own [`Wake::listen`].
    async fn wait(&self, topic: Topic, at_most: Duration);

    /// A listener of its own, which hears every hint whoever else does.
    fn listen(&self, topic: Topic) -> Box<dyn Listen>;
}

/// Hears the hints of one topic.
#[async_trait]
pub trait Listen: Send + Sync {
    /// Returns `true` at the next hint, or `false` after `at_most`. A hint given between two calls is
    /// not lost; several are one.
    async fn heard(&mut self, at_most: Duration) -> bool;
}
