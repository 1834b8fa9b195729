//! The wake of a single process.

use std::time::Duration;

use async_trait::async_trait;
use kabar_core::{Listen, Topic, Wake};
use tokio::sync::{Notify, watch};

/// Wakes tasks of this process. Wakes that reach other nodes hand what they hear to one of these.
#[derive(Debug, Default)]
pub struct LocalWake {
    outbox: Bell,
    jobs: Bell,
    events: Bell,
    sessions: Bell,
    other: Bell,
}

#[derive(Debug, Default)]
struct Bell {
    one: Notify,
    every: watch::Sender<()>,
}

impl LocalWake {
    fn of(&self, topic: Topic) -> &Bell {
        match topic {
            Topic::Outbox => &self.outbox,
            Topic::Jobs => &self.jobs,
            Topic::Events => &self.events,
            Topic::Sessions => &self.sessions,
            _ => &self.other,
        }
    }
}

#[async_trait]
impl Wake for LocalWake {
    fn wake(&self, topic: Topic) {
        let bell = self.of(topic);
        // `notify_one` leaves a permit behind when nobody waits yet, so no hint is lost.
        bell.one.notify_one();
        bell.every.send_replace(());
    }

    async fn wait(&self, topic: Topic, at_most: Duration) {
        // Which of the two it was makes no difference: the caller looks into the database.
        let _ = tokio::time::timeout(at_most, self.of(topic).one.notified()).await;
    }

    fn listen(&self, topic: Topic) -> Box<dyn Listen> {
        Box::new(Ear(self.of(topic).every.subscribe()))
    }
}

/// Remembers by itself what it heard.
struct Ear(watch::Receiver<()>);

#[async_trait]
impl Listen for Ear {
    async fn heard(&mut self, at_most: Duration) -> bool {
        match tokio::time::timeout(at_most, self.0.changed()).await {
            Ok(Ok(())) => true,
            // The wake is gone: nobody hints any more, and polling is left.
            Ok(Err(_)) => {
                let _ = tokio::time::timeout(at_most, std::future::pending::<()>()).await;
                false
            }
            Err(_) => false,
        }
    }
}
