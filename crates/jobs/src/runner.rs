//! Claims due jobs and runs them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use kabar_core::{Clock, InstallationScope, Store, StoreError, Topic, Wake};
use tokio::task::JoinSet;
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
    /// For how long a claim holds without being renewed; the job of a node that died is run again
    /// after it.
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
        Self { store, jobs, clock, wake, settings }
    }

    /// Runs until `stop`; jobs in hand are finished first. A slow job holds up nobody but those that
    /// are behind it in its order.
    pub async fn run(self: &Arc<Self>, stop: CancellationToken) {
        let mut in_hand = JoinSet::new();
        while !stop.is_cancelled() {
            while in_hand.try_join_next().is_some() {}
            let hands = usize::from(self.settings.parallel).saturating_sub(in_hand.len());
            let claimed = self.claim_some(hands).await;
            let idle = claimed.is_empty();
            for job in claimed {
                let runner = Arc::clone(self);
                in_hand.spawn(async move { runner.run_held(&job).await });
            }
            if idle {
                tokio::select! {
                    () = stop.cancelled() => {}
                    Some(_) = in_hand.join_next(), if !in_hand.is_empty() => {}
                    () = self.wake.wait(Topic::Jobs, self.settings.poll), if hands > 0 => {}
                }
            }
        }
        while in_hand.join_next().await.is_some() {}
    }

    async fn claim_some(&self, most: usize) -> Vec<ClaimedJob> {
        let most = u16::try_from(most).unwrap_or(u16::MAX);
        if most == 0 {
            return Vec::new();
        }
        self.claim(most).await.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "jobs.claim");
            Vec::new()
        })
    }

    /// Runs a job for as long as it takes, and holds its claim meanwhile.
    async fn run_held(&self, job: &ClaimedJob) {
        tokio::select! {
            () = self.run_logged(job) => {}
            () = self.hold(job) => {}
        }
    }

    /// Renews a claim for ever.
    async fn hold(&self, job: &ClaimedJob) {
        let mut ticks = tokio::time::interval(self.settings.lease / 3);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first tick is at once.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if let Err(error) = self.renew(job).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "job.renew");
            }
        }
    }

    async fn renew(&self, job: &ClaimedJob) -> Result<(), StoreError> {
        let until = self.clock.now() + self.settings.lease;
        let work = self.store.begin().await?;
        work.jobs().renew(job.id, job.fence, until).await?;
        work.commit().await
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
        let claimed = self.claim(self.settings.parallel).await?;
        let count = claimed.len();
        stream::iter(claimed)
            .for_each_concurrent(usize::from(self.settings.parallel), |job| async move {
                self.run_logged(&job).await;
            })
            .await;
        Ok(count)
    }

    async fn run_logged(&self, job: &ClaimedJob) {
        if let Err(error) = self.run_one(job).await {
            // The lease runs out and the job is claimed again.
            tracing::warn!(job = job.name, error = &error as &dyn std::error::Error, "job.end");
        }
    }

    async fn claim(&self, most: u16) -> Result<Vec<ClaimedJob>, StoreError> {
        let names: Vec<&str> = self.jobs.keys().copied().collect();
        let work = self.store.begin().await?;
        let claimed = work
            .jobs()
            .claim(
                InstallationScope::system("jobs"),
                &names,
                self.clock.now(),
                self.settings.lease,
                most,
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
        let began = std::time::Instant::now();
        let ended = job.run(claimed).await;
        measure(job.name(), &ended, began.elapsed());
        match ended {
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
        tracing::warn!(job = claimed.name, attempt = claimed.attempt, hopeless, "job.failed");
        let work = self.store.begin().await?;
        let text = error.to_string();
        if hopeless {
            work.jobs().bury(claimed.id, claimed.fence, &text).await?;
        } else {
            let due = self.clock.now() + backoff(claimed.attempt);
            work.jobs().retry(claimed.id, claimed.fence, due, &text).await?;
        }
        work.commit().await
    }
}

fn measure(name: &'static str, ended: &Result<JobEnd, JobError>, took: Duration) {
    let outcome = match ended {
        Ok(_) => "done",
        Err(JobError::ClaimLost) => "lost",
        Err(JobError::Hopeless(_)) => "hopeless",
        Err(_) => "failed",
    };
    metrics::counter!("kabar_jobs_total", "name" => name, "outcome" => outcome).increment(1);
    metrics::histogram!("kabar_job_seconds", "name" => name).record(took);
}

/// 1 s, 2 s, 4 s … at most 15 minutes.
fn backoff(attempt: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(attempt.saturating_sub(1)).min(900))
}
