//! Claims due jobs and runs them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use kabar_core::{Clock, InstallationScope, Store, StoreError, Topic, Wake};
use tokio_util::sync::CancellationToken;

use crate::{ClaimedJob, JobsWork};

/// How a job ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEnd {
    /// It completed itself in the unit of work of its effect.
    Completed,
    /// The runner is to complete it.
    Done,
}

/// Why a job did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// Try again later.
    #[error("{0}")]
    Retry(String),
    /// It can never succeed.
    #[error("{0}")]
    Hopeless(String),
    /// The claim was lost to another runner; whatever was done is rolled back.
    #[error("the job's claim was lost")]
    ClaimLost,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Something that a [`Runner`] can run. Idempotent, or completing itself with its effect.
#[async_trait]
pub trait Job: Send + Sync {
    /// The constant name that payloads are enqueued under.
    fn name(&self) -> &'static str;

    /// Runs one job.
    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError>;
}

/// A store of units of work with a job queue.
pub type JobsStore = Arc<dyn Store<dyn JobsWork>>;

/// How a runner works.
#[derive(Debug, Clone, Copy)]
pub struct RunnerSettings {
    /// Jobs at the same time.
    pub parallel: u16,
    /// For how long a claim holds. A job must end sooner.
    pub lease: Duration,
    /// The longest sleep between two looks at the queue.
    pub poll: Duration,
    /// Tries before a job is set aside.
    pub attempts: u32,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        Self {
            parallel: 32,
            lease: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            attempts: 20,
        }
    }
}

/// Runs jobs.
pub struct Runner {
    store: JobsStore,
    jobs: BTreeMap<&'static str, Arc<dyn Job>>,
    clock: Arc<dyn Clock>,
    wake: Arc<dyn Wake>,
    settings: RunnerSettings,
}

impl Runner {
    /// A runner of the given jobs.
    pub fn new(
        store: JobsStore,
        jobs: impl IntoIterator<Item = Arc<dyn Job>>,
        clock: Arc<dyn Clock>,
        wake: Arc<dyn Wake>,
        settings: RunnerSettings,
    ) -> Self {
        let jobs = jobs.into_iter().map(|job| (job.name(), job)).collect();
        Self {
            store,
            jobs,
            clock,
            wake,
            settings,
        }
    }

    /// Runs until `stop`; jobs in hand are finished first.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(0) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.wake.wait(Topic::Jobs, self.settings.poll) => {}
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "jobs.step");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.wake.wait(Topic::Jobs, self.settings.poll) => {}
                    }
                }
            }
        }
    }

    /// Runs everything that is due now, until nothing is; returns how many jobs ran.
    pub async fn drain(&self) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let ran = self.step().await?;
            if ran == 0 {
                return Ok(all);
            }
            all += ran;
        }
    }

    async fn step(&self) -> Result<usize, StoreError> {
        let claimed = self.claim().await?;
        let count = claimed.len();
        stream::iter(claimed)
            .for_each_concurrent(usize::from(self.settings.parallel), |job| async move {
                if let Err(error) = self.run_one(&job).await {
                    // The lease runs out and the job is claimed again.
                    tracing::warn!(
                        job = job.name,
                        error = &error as &dyn std::error::Error,
                        "job.end"
                    );
                }
            })
            .await;
        Ok(count)
    }

    async fn claim(&self) -> Result<Vec<ClaimedJob>, StoreError> {
        let names: Vec<&str> = self.jobs.keys().copied().collect();
        let work = self.store.begin().await?;
        let claimed = work
            .jobs()
            .claim(
                InstallationScope::system("jobs"),
                &names,
                self.clock.now(),
                self.settings.lease,
                self.settings.parallel,
            )
            .await?;
        if !claimed.is_empty() {
            work.commit().await?;
        }
        Ok(claimed)
    }

    async fn run_one(&self, claimed: &ClaimedJob) -> Result<(), StoreError> {
        let Some(job) = self.jobs.get(claimed.name.as_str()) else {
            return Ok(());
        };
        match job.run(claimed).await {
            Ok(JobEnd::Completed) | Err(JobError::ClaimLost) => Ok(()),
            Ok(JobEnd::Done) => {
                let work = self.store.begin().await?;
                if work.jobs().complete(claimed.id, claimed.fence).await? {
                    work.commit().await?;
                }
                Ok(())
            }
            Err(error) => self.failed(claimed, &error).await,
        }
    }

    async fn failed(&self, claimed: &ClaimedJob, error: &JobError) -> Result<(), StoreError> {
        // Storage that is away is no fault of the job and never buries it.
        let transient = matches!(error, JobError::Store(store) if store.is_transient());
        let hopeless = matches!(error, JobError::Hopeless(_))
            || (!transient && claimed.attempt >= self.settings.attempts);
        tracing::warn!(
            job = claimed.name,
            attempt = claimed.attempt,
            hopeless,
            "job.failed"
        );
        let work = self.store.begin().await?;
        let text = error.to_string();
        if hopeless {
            work.jobs().bury(claimed.id, claimed.fence, &text).await?;
        } else {
            let due = self.clock.now() + backoff(claimed.attempt);
            work.jobs()
                .retry(claimed.id, claimed.fence, due, &text)
                .await?;
        }
        work.commit().await
    }
}

/// 1 s, 2 s, 4 s … at most 15 minutes.
fn backoff(attempt: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(attempt.saturating_sub(1)).min(900))
}
