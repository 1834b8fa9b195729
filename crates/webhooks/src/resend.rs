//! Sending many deliveries again: a job that notes how far it got, and can be stopped.

use std::sync::Arc;

use async_trait::async_trait;
use kabar_core::{AccountId, Clock, InstallationScope, JobId, Store, StoreError};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError, NewJob};

use crate::delivery::{Resend, ResendState};
use crate::repo::WebhooksUse;

const NAME: &str = "webhooks.resend";
const SCOPE: InstallationScope = InstallationScope::system("webhooks");
/// Deliveries of one unit of work.
const SLICE: u16 = 500;

/// The job that carries a resend out; it has the resend's id.
pub(crate) fn job(resend: &Resend) -> NewJob {
    NewJob {
        id: resend.id,
        name: NAME,
        account: Some(resend.account),
        order: None,
        payload: serde_json::json!({}),
        due_at: resend.created_at,
    }
}

/// Sends many deliveries again.
pub struct ResendJob {
    store: Arc<dyn Store<dyn WebhooksUse>>,
    clock: Arc<dyn Clock>,
}

impl ResendJob {
    /// The job over a store.
    pub fn new(store: Arc<dyn Store<dyn WebhooksUse>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Goes one slice on; `false` when there is nothing left to do.
    async fn go_on(&self, account: AccountId, id: JobId) -> Result<bool, StoreError> {
        let (scope, now) = (SCOPE.within(account), self.clock.now());
        let work = self.store.begin().await?;
        let found = work.resends(scope).lock(id).await?;
        let Some(mut resend) = found.filter(|it| it.state == ResendState::Running) else {
            return Ok(false);
        };
        let mut deliveries = work.deliveries(scope);
        let slice = deliveries.slice(&resend.filter, resend.after, SLICE).await?;
        resend.resent += deliveries.requeue(&slice, now).await?;
        drop(deliveries);
        resend.looked_at += u64::try_from(slice.len()).unwrap_or(u64::MAX);
        resend.after = slice.last().copied().or(resend.after);
        resend.updated_at = now;
        if slice.len() < usize::from(SLICE) {
            resend.state = ResendState::Done;
        }
        work.resends(scope).update(&resend).await?;
        work.commit().await?;
        Ok(resend.state == ResendState::Running)
    }
}

#[async_trait]
impl Job for ResendJob {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let Some(account) = job.account else {
            return Err(JobError::Hopeless("it belongs to no account".to_owned()));
        };
        while self.go_on(account, job.id).await? {}
        Ok(JobEnd::Done)
    }
}
