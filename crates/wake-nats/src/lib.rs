//! Hints between the nodes of a Kabar installation over NATS.
//!
//! A hint is a message without a body on `PREFIX.outbox`, `PREFIX.jobs` or `PREFIX.events`, sent after
//! a commit and at most every [`PAUSE`] for each topic. Hints only wake sleepers: nothing is lost when
//! NATS is away or loses them, since every engine looks into the database by itself in between.
//!
//! ```no_run
//! use std::sync::Arc;
//! use kabar_wake_nats::NatsWake;
//!
//! # async fn example() -> Result<(), kabar_wake_nats::NatsWakeError> {
//! let wake = Arc::new(NatsWake::connect("nats://127.0.0.1:4222", "kabar.wake").await?);
//! // … Platform::builder().wake(wake) …
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Subscriber};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::select_all;
use kabar_core::{Listen, Topic, Wake};
use kabar_jobs::{Hints, LocalWake};
use tokio::task::JoinSet;

/// The shortest time between two hints that a node sends.
pub const PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two tries to reach the server.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Why hints cannot go over NATS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsWakeError {
    /// The address, or what it says of TLS, cannot be used.
    #[error("the NATS address cannot be used; write it like nats://HOST:4222")]
    Connect(#[source] async_nats::ConnectError),
    /// The subjects cannot be subscribed to.
    #[error("the NATS subjects cannot be subscribed to; the prefix must be words joined by dots")]
    Subscribe(#[source] async_nats::SubscribeError),
}

/// Wakes the tasks of this process and, over NATS, those of other nodes.
pub struct NatsWake {
    local: Arc<LocalWake>,
    due: Arc<Hints>,
    _tasks: JoinSet<()>,
}

impl std::fmt::Debug for NatsWake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsWake").finish_non_exhaustive()
    }
}

impl NatsWake {
    /// Begins to connect. A server that is away is tried again and again; until it answers, the node
    /// polls. Nodes of one installation share a prefix, and installations have different ones.
    ///
    /// # Errors
    /// [`NatsWakeError`] for an address or a prefix that can never work.
    pub async fn connect(address: &str, prefix: &str) -> Result<Self, NatsWakeError> {
        let local = Arc::new(LocalWake::default());
        let again = Arc::clone(&local);
        let client = ConnectOptions::new()
            .name("kabar")
            .retry_on_initial_connect()
            .no_echo()
            .reconnect_delay_callback(backoff)
            .event_callback(move |event| {
                let local = Arc::clone(&again);
                async move { reconnected(&local, &event) }
            })
            .connect(address)
            .await
            .map_err(NatsWakeError::Connect)?;
        let mut hints = Vec::new();
        for topic in Topic::ALL {
            let subscriber =
                client.subscribe(subject(prefix, topic)).await.map_err(NatsWakeError::Subscribe)?;
            hints.push((topic, subscriber));
        }
        let due = Arc::new(Hints::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(hear(hints, Arc::clone(&local)));
        tasks.spawn(tell(client, prefix.to_owned(), Arc::clone(&due)));
        Ok(Self { local, due, _tasks: tasks })
    }
}

#[async_trait]
impl Wake for NatsWake {
    fn wake(&self, topic: Topic) {
        self.local.wake(topic);
        self.due.add(topic);
    }

    async fn wait(&self, topic: Topic, at_most: Duration) {
        self.local.wait(topic, at_most).await;
    }

    fn listen(&self, topic: Topic) -> Box<dyn Listen> {
        self.local.listen(topic)
    }
}

fn subject(prefix: &str, topic: Topic) -> String {
    format!("{prefix}.{}", topic.as_str())
}

/// 100 ms, 200 ms, 400 ms …
fn backoff(attempts: usize) -> Duration {
    let doubled = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    (Duration::from_millis(100) * 2_u32.pow(doubled)).min(LONGEST_BACKOFF)
}

/// Hints may have been lost while the connection was away.
fn reconnected(local: &LocalWake, event: &Event) {
    match event {
        Event::Connected => Topic::ALL.into_iter().for_each(|topic| local.wake(topic)),
        event => tracing::info!(%event, "wake.nats"),
    }
}

async fn hear(hints: Vec<(Topic, Subscriber)>, local: Arc<LocalWake>) {
    let streams = hints.into_iter().map(|(topic, hints)| hints.map(move |_| topic).boxed());
    let mut all = select_all(streams);
    while let Some(topic) = all.next().await {
        local.wake(topic);
    }
}

async fn tell(client: Client, prefix: String, due: Arc<Hints>) {
    let mut pace = tokio::time::interval(PAUSE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let topics = due.take().await;
        for topic in topics {
            if let Err(error) = client.publish(subject(&prefix, topic), "".into()).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "wake.nats.publish");
            }
        }
        pace.tick().await;
    }
}
