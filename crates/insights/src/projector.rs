//! Follows the event log and keeps the counts.

use std::sync::Arc;

use kabar_core::{InstallationScope, Store, StoreError};

use crate::repo::InsightsWork;
use crate::tally::{Key, Tally};

/// The projector's name among the readers of the log.
pub const READER: &str = "statistics";
/// Events of one unit of work.
pub const BATCH: u16 = 2_000;
const SCOPE: InstallationScope = InstallationScope::system("statistics");

/// Keeps the counts. Cheap to clone; any number of nodes may run one.
#[derive(Clone)]
pub struct Projector {
    store: Arc<dyn Store<dyn InsightsWork>>,
}

impl Projector {
    /// The projector over a store.
    pub fn new(store: Arc<dyn Store<dyn InsightsWork>>) -> Self {
        Self { store }
    }

    /// Counts the next events; returns how many there were. The first call on an installation counts
    /// the messages that are there. Nothing is counted when another node was quicker: 0.
    ///
    /// # Errors
    /// What storage says; then nothing was counted, and the next call tries again.
    pub async fn step(&self) -> Result<usize, StoreError> {
        let work = self.store.read().await?;
        let from = work.log_readers(SCOPE).position(READER).await?;
        let Some(from) = from else {
            drop(work);
            self.rebuild().await?;
            return Ok(0);
        };
        let events = work.log_readers(SCOPE).read(READER, BATCH).await?;
        drop(work);
        let Some(last) = events.last() else {
            return Ok(0);
        };
        let tally = Tally::of(&events);
        if tally.unplaced > 0 {
            tracing::warn!(events = tally.unplaced, "statistics.unplaced");
        }
        let deltas: Vec<(Key, i64)> = tally.deltas.into_iter().collect();
        let work = self.store.begin().await?;
        if !work.log_readers(SCOPE).advance(READER, from, last.position).await? {
            return Ok(0);
        }
        work.tallies(SCOPE).add(&deltas).await?;
        work.commit().await?;
        Ok(events.len())
    }

    /// Counts until nothing is left to count; returns how many events there were.
    ///
    /// # Errors
    /// What storage says.
    pub async fn drain(&self) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            match self.step().await? {
                0 => return Ok(all),
                events => all += events,
            }
        }
    }

    /// Counts every message anew. Others go on working; on SQLite they wait for it, the longer
    /// the more messages there are. Returns how many counts there are.
    ///
    /// # Errors
    /// What storage says; then everything is as before.
    pub async fn rebuild(&self) -> Result<u64, StoreError> {
        let work = self.store.begin().await?;
        let counts = work.tallies(SCOPE).rebuild(READER).await?;
        work.commit().await?;
        tracing::info!(counts, "statistics.rebuild");
        Ok(counts)
    }

    /// Removes counts that came down to zero.
    ///
    /// # Errors
    /// What storage says.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let work = self.store.begin().await?;
        let swept = work.tallies(SCOPE).sweep(BATCH).await?;
        work.commit().await?;
        Ok(swept)
    }
}
