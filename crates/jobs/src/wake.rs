//! The wake of a single process.

use std::time::Duration;

use async_trait::async_trait;
use kabar_core::{Topic, Wake};
use tokio::sync::Notify;

/// Wakes tasks of this process.
#[derive(Debug, Default)]
pub struct LocalWake {
    outbox: Notify,
    jobs: Notify,
    events: Notify,
    other: Notify,
}

impl LocalWake {
    fn of(&self, topic: Topic) -> &Notify {
        match topic {
            Topic::Outbox => &self.outbox,
            Topic::Jobs => &self.jobs,
            Topic::Events => &self.events,
            _ => &self.other,
        }
    }
}

#[async_trait]
impl Wake for LocalWake {
    fn wake(&self, topic: Topic) {
        // `notify_one` leaves a permit behind when nobody waits yet, so no hint is lost.
        self.of(topic).notify_one();
    }

    async fn wait(&self, topic: Topic, at_most: Duration) {
        // Which of the two it was makes no difference: the caller looks into the database.
        let _ = tokio::time::timeout(at_most, self.of(topic).notified()).await;
    }
}
