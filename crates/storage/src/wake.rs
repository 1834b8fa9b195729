//! Hints between nodes over PostgreSQL's LISTEN and NOTIFY.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kabar_core::{Listen, Topic, Wake};
use kabar_jobs::{Hints, LocalWake};
use sea_orm::sqlx;
use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The shortest time between two notifications that a node sends. A commit with a notification waits
/// for a lock of the whole cluster, so notifications have transactions of their own, and few.
const PAUSE: Duration = Duration::from_millis(20);
/// How often an idle connection is tried: one that died without a word hears nothing.
const TRY: Duration = Duration::from_secs(30);
/// The first and the longest pause between two tries to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The channels are named after it: `kabar_outbox`, `kabar_jobs`, `kabar_events`. They are the
/// database's own.
const PREFIX: &str = "kabar_";
/// The connection's name in the server's own lists.
const NAME: &str = "kabar-wake";

/// Wakes the tasks of this process and, over one connection to PostgreSQL, those of other nodes.
/// Hints have no content, and nothing is lost with them: every engine polls as well.
pub struct PostgresWake {
    local: Arc<LocalWake>,
    due: Arc<Hints>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for PostgresWake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresWake").finish_non_exhaustive()
    }
}

impl PostgresWake {
    /// Begins to connect to a database (`postgres://…`), and keeps trying; until then the node polls.
    /// Needs a tokio runtime, and a connection that is a session (no pooler in transaction mode).
    pub fn start(url: &str) -> Self {
        let (local, due) = (Arc::new(LocalWake::default()), Arc::new(Hints::default()));
        let link = Link { url: url.to_owned(), local: Arc::clone(&local), due: Arc::clone(&due) };
        Self { local, due, task: tokio::spawn(link.keep()) }
    }
}

impl Drop for PostgresWake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Wake for PostgresWake {
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

struct Link {
    url: String,
    local: Arc<LocalWake>,
    due: Arc<Hints>,
}

impl Link {
    /// Connects again whenever the connection is lost.
    async fn keep(self) {
        let mut backoff = BACKOFF.0;
        loop {
            match self.connect().await {
                Ok((listener, own)) => {
                    backoff = BACKOFF.0;
                    // Hints may have gone by meanwhile.
                    for topic in Topic::ALL {
                        self.local.wake(topic);
                    }
                    let ended = self.serve(listener, own).await;
                    tracing::warn!(error = ?ended.err(), "wake.postgres.lost");
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "wake.postgres.connect"
                    );
                }
            }
            pause(backoff).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    async fn connect(&self) -> Result<(PgListener, u32), sqlx::Error> {
        let options = PgConnectOptions::from_str(&self.url)?.application_name(NAME);
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let mut listener = PgListener::connect_with(&pool.connect_with(options).await?).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        let channels = Topic::ALL.map(channel);
        listener.listen_all(channels.iter().map(String::as_str)).await?;
        let own: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut listener).await?;
        Ok((listener, own.unsigned_abs()))
    }

    /// Hears and tells until the connection is lost.
    async fn serve(&self, mut listener: PgListener, own: u32) -> Result<(), sqlx::Error> {
        let (mut pace, mut tries) = (ticks(PAUSE), ticks(TRY));
        tries.reset();
        loop {
            tokio::select! {
                heard = listener.try_recv() => match heard? {
                    Some(hint) => self.hear(&hint, own),
                    None => return Ok(()),
                },
                topics = self.paced(&mut pace) => tell(&mut listener, &topics).await?,
                _ = tries.tick() => {
                    listener.execute("SELECT 1").await?;
                }
            }
        }
    }

    /// What others are to be told of, not sooner than they should be.
    async fn paced(&self, pace: &mut Interval) -> Vec<Topic> {
        pace.tick().await;
        self.due.take().await
    }

    fn hear(&self, hint: &PgNotification, own: u32) {
        let topic = Topic::ALL.into_iter().find(|topic| channel(*topic) == hint.channel());
        if let Some(topic) = topic.filter(|_| hint.process_id() != own) {
            self.local.wake(topic);
        }
    }
}

async fn tell(listener: &mut PgListener, topics: &[Topic]) -> Result<(), sqlx::Error> {
    let channels: Vec<String> = topics.iter().map(|topic| channel(*topic)).collect();
    let notify = "SELECT pg_notify(channel, '') FROM unnest($1::text[]) AS channel";
    sqlx::query(notify).bind(channels).execute(listener).await.map(|_| ())
}

fn channel(topic: Topic) -> String {
    format!("{PREFIX}{}", topic.as_str())
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[expect(clippy::disallowed_methods, reason = "an adapter waits in real time")]
async fn pause(period: Duration) {
    tokio::time::sleep(period).await;
}
