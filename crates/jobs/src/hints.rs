//! Hints on their way to other nodes.

use std::sync::atomic::{AtomicU8, Ordering};

use kabar_core::Topic;
use tokio::sync::Notify;

/// The topics that other nodes are still to be told of: many hints become one. For wakes that reach
/// beyond the process.
#[derive(Debug, Default)]
pub struct Hints {
    topics: AtomicU8,
    some: Notify,
}

impl Hints {
    /// Adds a topic.
    pub fn add(&self, topic: Topic) {
        if self.topics.fetch_or(bit(topic), Ordering::AcqRel) == 0 {
            self.some.notify_one();
        }
    }

    /// Waits until there are some; takes all of them. A call that is dropped takes none.
    pub async fn take(&self) -> Vec<Topic> {
        loop {
            let bits = self.topics.swap(0, Ordering::AcqRel);
            if bits != 0 {
                return Topic::ALL.into_iter().filter(|topic| bits & bit(*topic) != 0).collect();
            }
            self.some.notified().await;
        }
    }
}

const fn bit(topic: Topic) -> u8 {
    match topic {
        Topic::Outbox => 1,
        Topic::Jobs => 2,
        Topic::Events => 4,
        Topic::Sessions => 8,
        _ => 16,
    }
}
