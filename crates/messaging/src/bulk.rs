//! Something that is done to many messages at once: cancelling, or sending once more. In the
//! background, in batches, with progress; it can be stopped.

use std::sync::Arc;

use async_trait::async_trait;
use kabar_channel::FieldError;
use kabar_core::permission::{ReadMessages, SendMessages};
use kabar_core::work::OnceError;
use kabar_core::{
    AccountId, BroadcastId, Clock, ContactId, DeviceId, Grant, IdSource, InstallationScope, JobId,
    MessageId, Once, Page, PageRequest, Scope, Store, StoreError, Timestamp, Topic, Wake, Work,
};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError, NewJob};
use serde::{Deserialize, Serialize};

use crate::message::{Status, words};
use crate::repo::RoadWork;
use crate::send::{MessageError, Messages};

/// The name of the job.
const BULK_JOB: &str = "messages.bulk";
/// Messages of one unit of work.
const BATCH: u16 = 500;
/// Characters of a reference or a reason.
const WORDS: usize = 200;
const SYSTEM: InstallationScope = InstallationScope::system("bulk");

words! {
    /// What is done to many messages.
    BulkAction, "action":
    /// Those that wait are cancelled.
    Cancel = "cancel",
    /// Those that failed or expired are sent once more.
    Retry = "retry",
}

words! {
    /// How far it is.
    BulkState, "state":
    /// It goes on.
    Running = "running",
    /// It is done.
    Completed = "completed",
    /// It was stopped; what was done stays done.
    Stopped = "stopped",
}

/// To which messages something is done; all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BulkFilter {
    /// Over this device.
    pub device: Option<DeviceId>,
    /// With this contact.
    pub contact: Option<ContactId>,
    /// Of this broadcast.
    pub broadcast: Option<BroadcastId>,
    /// With this reference.
    pub reference: Option<String>,
    /// That failed for this reason (a code).
    pub reason: Option<String>,
}

impl BulkFilter {
    const fn is_empty(&self) -> bool {
        self.device.is_none()
            && self.contact.is_none()
            && self.broadcast.is_none()
            && self.reference.is_none()
            && self.reason.is_none()
    }
}

impl BulkAction {
    /// The statuses of messages that it is done to.
    pub const fn statuses(self) -> [Status; 2] {
        match self {
            Self::Cancel => [Status::Pending, Status::Held],
            Self::Retry => [Status::Failed, Status::Expired],
        }
    }
}

/// Something that is done to many messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Its id.
    pub id: JobId,
    /// Its account.
    pub account: AccountId,
    /// The only device whose messages it may touch, when a device token asked for it.
    pub device: Option<DeviceId>,
    /// What is done.
    pub action: BulkAction,
    /// To which messages.
    pub filter: BulkFilter,
    /// How far it is.
    pub state: BulkState,
    /// Messages that fitted when it was asked for.
    pub total: u64,
    /// Messages that it was done to.
    pub done: u64,
    /// Messages that could not be changed any more, or cannot be sent again.
    pub skipped: u64,
    /// The last message that was looked at.
    pub after: Option<MessageId>,
    /// When it was asked for; newer messages are left alone.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A unit of work with these.
pub trait BulksWork: Work {
    /// A tenant's.
    fn bulks(&self, scope: Scope) -> Box<dyn BulkRepo + '_>;
}

/// What is done to many messages of a tenant.
#[async_trait]
pub trait BulkRepo: Send {
    /// Stores one.
    async fn insert(&mut self, bulk: &Bulk) -> Result<(), StoreError>;

    /// One.
    async fn get(&mut self, id: JobId) -> Result<Option<Bulk>, StoreError>;

    /// One, kept from others until the unit of work ends.
    async fn lock(&mut self, id: JobId) -> Result<Option<Bulk>, StoreError>;

    /// All, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Bulk>, StoreError>;

    /// Stores how far one is.
    async fn update(&mut self, bulk: &Bulk) -> Result<(), StoreError>;

    /// How many messages fit.
    async fn count(&mut self, bulk: &Bulk) -> Result<u64, StoreError>;

    /// The next messages that fit, in the order of their ids.
    async fn next(&mut self, bulk: &Bulk, limit: u16) -> Result<Vec<MessageId>, StoreError>;
}

/// Why it cannot be had or done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BulkError {
    /// There is none.
    #[error("no such bulk action")]
    NotFound,
    /// Fields cannot be taken.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Doing something to many messages.
#[derive(Clone)]
pub struct Bulks {
    store: Arc<dyn Store<dyn RoadWork>>,
    messages: Messages,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
}

impl Bulks {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        messages: Messages,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, messages, clock, ids, wake }
    }

    /// Begins to do something to every message that fits. With `all`, an empty filter means every
    /// message that can be cancelled, or sent once more.
    ///
    /// # Errors
    /// [`BulkError::Invalid`].
    pub async fn create(
        &self,
        grant: &Grant<SendMessages>,
        action: BulkAction,
        filter: BulkFilter,
        all: bool,
        once: Option<&Once>,
    ) -> Result<Bulk, BulkError> {
        let scope = grant.scope();
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<JobId>(&*work).await?
        {
            return work.bulks(scope).get(id).await?.ok_or(BulkError::NotFound);
        }
        check(&*work, scope, action, &filter, all).await?;
        let mut bulk = Bulk {
            id: self.ids.id(),
            account: scope.account(),
            device: scope.device(),
            action,
            filter,
            state: BulkState::Running,
            total: 0,
            done: 0,
            skipped: 0,
            after: None,
            created_at: now,
            updated_at: now,
        };
        bulk.total = work.bulks(scope).count(&bulk).await?;
        work.bulks(scope).insert(&bulk).await?;
        let job = NewJob {
            id: self.ids.id(),
            name: BULK_JOB,
            account: Some(bulk.account),
            order: None,
            payload: serde_json::json!({ "bulk_id": bulk.id }),
            due_at: now,
        };
        work.jobs().enqueue(&[job]).await?;
        if let Some(once) = once {
            once.remember(&*work, &bulk.id, now).await?;
        }
        work.commit().await?;
        self.wake.wake(Topic::Jobs);
        Ok(bulk)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`BulkError::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadMessages>, id: JobId) -> Result<Bulk, BulkError> {
        let work = self.store.read().await?;
        work.bulks(grant.scope()).get(id).await?.ok_or(BulkError::NotFound)
    }

    /// All of them, newest first.
    ///
    /// # Errors
    /// [`BulkError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadMessages>,
        page: PageRequest,
    ) -> Result<Page<Bulk>, BulkError> {
        let work = self.store.read().await?;
        Ok(work.bulks(grant.scope()).list(page).await?)
    }

    /// Stops one; what was done stays done.
    ///
    /// # Errors
    /// [`BulkError::NotFound`].
    pub async fn stop(&self, grant: &Grant<SendMessages>, id: JobId) -> Result<Bulk, BulkError> {
        let work = self.store.begin().await?;
        let found = work.bulks(grant.scope()).lock(id).await?;
        let mut bulk = found.ok_or(BulkError::NotFound)?;
        if bulk.state == BulkState::Running {
            bulk.state = BulkState::Stopped;
            bulk.updated_at = self.clock.now();
            work.bulks(grant.scope()).update(&bulk).await?;
            work.commit().await?;
        }
        Ok(bulk)
    }
}

async fn check(
    work: &(dyn RoadWork + '_),
    scope: Scope,
    action: BulkAction,
    filter: &BulkFilter,
    all: bool,
) -> Result<(), BulkError> {
    let wrong =
        |field: &str, problem: &str| Err(BulkError::Invalid(vec![FieldError::new(field, problem)]));
    if filter.is_empty() && !all {
        return wrong("filter", "must name something; set `all` to mean every message");
    }
    if action == BulkAction::Cancel && filter.reason.is_some() {
        return wrong("filter.reason", "is for messages that failed; leave it out to cancel");
    }
    for (field, text) in
        [("filter.reference", &filter.reference), ("filter.reason", &filter.reason)]
    {
        if text.as_deref().is_some_and(|text| !is_words(text)) {
            return wrong(
                field,
                &format!("must have 1 to {WORDS} characters, none of them control"),
            );
        }
    }
    if let Some(device) = filter.device
        && (!scope.reaches(device) || work.devices(scope).get(device).await?.is_none())
    {
        return wrong("filter.device_id", "no such device");
    }
    if let Some(broadcast) = filter.broadcast
        && work.broadcasts(scope).get(broadcast).await?.is_none()
    {
        return wrong("filter.broadcast_id", "no such broadcast");
    }
    if let Some(contact) = filter.contact
        && work.contacts(scope).by_ids(&[contact]).await?.is_empty()
    {
        return wrong("filter.contact_id", "no such contact");
    }
    Ok(())
}

fn is_words(text: &str) -> bool {
    (1..=WORDS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// What [`BulkJob`] needs to know.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct BulkPayload {
    bulk_id: JobId,
}

/// The job that does it.
pub struct BulkJob(pub Bulks);

impl BulkJob {
    /// One batch; `false` when nothing is left.
    async fn batch(&self, job: &ClaimedJob) -> Result<bool, JobError> {
        let hopeless = |problem: String| JobError::Hopeless(problem);
        let payload: BulkPayload = serde_json::from_value(job.payload.clone())
            .map_err(|error| hopeless(error.to_string()))?;
        let account = job.account.ok_or_else(|| hopeless("the job has no account".to_owned()))?;
        let scope = SYSTEM.within(account);
        let now = self.0.clock.now();
        let work = self.0.store.begin().await?;
        let found = work.bulks(scope).lock(payload.bulk_id).await?;
        let running = found.filter(|bulk| bulk.state == BulkState::Running);
        let mut more = false;
        if let Some(mut bulk) = running {
            let ids = work.bulks(scope).next(&bulk, BATCH).await?;
            more = !ids.is_empty();
            match ids.last() {
                Some(last) => {
                    bulk.after = Some(*last);
                    let done = self.act(&*work, scope, bulk.action, &ids).await?;
                    bulk.done += done;
                    bulk.skipped += (ids.len() as u64).saturating_sub(done);
                }
                None => bulk.state = BulkState::Completed,
            }
            bulk.updated_at = now;
            work.bulks(scope).update(&bulk).await?;
        }
        if !more && !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        self.0.wake.wake(Topic::Outbox);
        self.0.wake.wake(Topic::Events);
        Ok(more)
    }

    async fn act(
        &self,
        work: &(dyn RoadWork + '_),
        scope: Scope,
        action: BulkAction,
        ids: &[MessageId],
    ) -> Result<u64, JobError> {
        let failed = |error: MessageError| match error {
            MessageError::Store(error) => JobError::Store(error),
            error => JobError::Retry(error.to_string()),
        };
        let done = match action {
            BulkAction::Cancel => self.0.messages.cancel_within(work, ids).await?,
            BulkAction::Retry => {
                let made = self.0.messages.retry_within(work, scope, ids).await.map_err(failed)?;
                made.iter().filter(|(_, made)| made.is_ok()).count()
            }
        };
        Ok(done as u64)
    }
}

#[async_trait]
impl Job for BulkJob {
    fn name(&self) -> &'static str {
        BULK_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        while self.batch(job).await? {}
        Ok(JobEnd::Completed)
    }
}
