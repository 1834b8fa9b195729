//! The job that starts a broadcast at its time.

use async_trait::async_trait;
use kabar_events::BroadcastStep;
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError};

use super::service::{Broadcasts, SYSTEM, event};
use super::{BroadcastState, Motion};

/// Its name.
pub(super) const START_JOB: &str = "broadcasts.start";

/// Starts a broadcast at its time, unless it was given another one since.
pub struct StartJob(pub Broadcasts);

#[async_trait]
impl Job for StartJob {
    fn name(&self) -> &'static str {
        START_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let (motion, account) = Motion::of(job)?;
        let scope = SYSTEM.within(account);
        let now = self.0.clock.now();
        let work = self.0.store.begin().await?;
        let found = work.broadcasts(scope).lock(motion.broadcast_id).await?;
        let due = found.filter(|broadcast| {
            broadcast.run == motion.run && broadcast.state == BroadcastState::Scheduled
        });
        if let Some(mut broadcast) = due {
            self.0.set_moving(&*work, scope, &mut broadcast, now).await?;
            broadcast.updated_at = now;
            work.broadcasts(scope).update(&broadcast).await?;
            let started = event(&broadcast, BroadcastStep::Started, None, now);
            work.events().append(&[started]).await?;
        }
        if !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        self.0.wake_all();
        Ok(JobEnd::Completed)
    }
}
