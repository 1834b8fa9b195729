//! Mails that go out exactly when their cause is committed.
//!
//! A use case calls [`enqueue`] in its own unit of work. The mail waits, sealed, beside a job of its
//! own; [`SendMail`] hands it to the [`Mailer`] and removes it. A crash between the two sends it
//! again: a mail goes out at least once. A mail that no server takes is removed with its job's last
//! try, and the job stays behind with the reason.

use std::sync::Arc;

use async_trait::async_trait;
use kabar_core::{
    AccountId, IdSource, InstallationScope, JobId, Mail, MailError, Mailer, Store, StoreError,
    Timestamp,
};
use serde_json::json;

use crate::runner::{Job, JobEnd, JobError};
use crate::{ClaimedJob, JobsWork, NewJob};

/// The name of [`SendMail`].
pub const MAIL_JOB: &str = "mail.send";

const SCOPE: InstallationScope = InstallationScope::system("mail");

/// A unit of work that can send mails.
pub trait MailsWork: JobsWork {
    /// The mails that wait.
    fn mails(&self) -> Box<dyn MailOutbox + '_>;
}

/// The mails that wait. Their addresses and texts are sealed at rest.
#[async_trait]
pub trait MailOutbox: Send {
    /// Stores mails, each under the id of its job.
    async fn put(&mut self, mails: &[(JobId, Mail)], at: Timestamp) -> Result<(), StoreError>;

    /// The mail of a job.
    async fn get(
        &mut self,
        scope: InstallationScope,
        job: JobId,
    ) -> Result<Option<Mail>, StoreError>;

    /// Removes the mail of a job, if it is there.
    async fn remove(&mut self, scope: InstallationScope, job: JobId) -> Result<(), StoreError>;

    /// Removes mails that were stored before `before`; returns how many.
    async fn prune(
        &mut self,
        scope: InstallationScope,
        before: Timestamp,
    ) -> Result<u64, StoreError>;
}

/// Sends mails, if the unit of work is committed. `account` is the tenant that they are about.
///
/// # Errors
/// What storage says.
pub async fn enqueue<W: MailsWork + ?Sized>(
    work: &W,
    ids: &dyn IdSource,
    account: Option<AccountId>,
    mails: Vec<Mail>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mails: Vec<(JobId, Mail)> = mails.into_iter().map(|mail| (ids.id(), mail)).collect();
    let jobs: Vec<NewJob> = mails
        .iter()
        .map(|(id, _)| NewJob {
            id: *id,
            name: MAIL_JOB,
            account,
            order: None,
            payload: json!({}),
            due_at: now,
        })
        .collect();
    work.mails().put(&mails, now).await?;
    work.jobs().enqueue(&jobs).await
}

/// The job that hands a mail over.
pub struct SendMail {
    store: Arc<dyn Store<dyn MailsWork>>,
    mailer: Option<Arc<dyn Mailer>>,
}

impl SendMail {
    /// The job over a store. Without a mailer mails are dropped, with a warning.
    pub fn new(store: Arc<dyn Store<dyn MailsWork>>, mailer: Option<Arc<dyn Mailer>>) -> Self {
        Self { store, mailer }
    }

    async fn hand_over(&self, mail: &Mail) -> Result<(), MailError> {
        if let Some(mailer) = &self.mailer {
            return mailer.send(mail).await;
        }
        tracing::warn!("mail.dropped: no mailer is set up");
        Ok(())
    }

    async fn forget(&self, job: &ClaimedJob, complete: bool) -> Result<(), JobError> {
        let work = self.store.begin().await?;
        work.mails().remove(SCOPE, job.id).await?;
        if complete && !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        Ok(work.commit().await?)
    }
}

#[async_trait]
impl Job for SendMail {
    fn name(&self) -> &'static str {
        MAIL_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let work = self.store.read().await?;
        let mail = work.mails().get(SCOPE, job.id).await?;
        drop(work);
        let Some(mail) = mail else {
            return Ok(JobEnd::Done);
        };
        match self.hand_over(&mail).await {
            Ok(()) => {
                self.forget(job, true).await?;
                Ok(JobEnd::Completed)
            }
            Err(error @ MailError::Refused(_)) => {
                self.forget(job, false).await?;
                Err(JobError::Hopeless(error.to_string()))
            }
            // A mailer's own words may hold the address.
            Err(_) => Err(JobError::Retry("the mail server is not available".to_owned())),
        }
    }
}
