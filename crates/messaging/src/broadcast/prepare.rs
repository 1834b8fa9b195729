//! The job that makes a broadcast's recipients rows, and checks them.

use async_trait::async_trait;
use kabar_channel::Content;
use kabar_core::{ContactId, Scope, StoreError, Timestamp};
use kabar_events::BroadcastStep;
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError};

use super::check::{Demands, Facts, note};
use super::file::{FileError, Table};
use super::recipient::{Recipient, RecipientFilter, RecipientState, Source};
use super::rows::{add_rows, contact_target, devices};
use super::service::{Broadcasts, SYSTEM, counts, event};
use super::{Broadcast, BroadcastMessage, BroadcastState, BroadcastUse, Counts, Motion, Step};
use crate::media::MediaFiles;

/// Its name.
pub(super) const PREPARE_JOB: &str = "broadcasts.prepare";
/// Recipients of one unit of work.
const BATCH: u16 = 2_000;

/// Gathers and checks the recipients of a broadcast.
pub struct PrepareJob {
    broadcasts: Broadcasts,
    media: MediaFiles,
}

/// What one batch led to.
enum Gone {
    On,
    Through,
}

impl PrepareJob {
    /// The job over the service and the files.
    pub const fn new(broadcasts: Broadcasts, media: MediaFiles) -> Self {
        Self { broadcasts, media }
    }

    /// One batch: a unit of work that ends with the place where the next one goes on.
    async fn batch(&self, job: &ClaimedJob, table: &mut Option<Table>) -> Result<Gone, JobError> {
        let (motion, account) = Motion::of(job)?;
        let scope = SYSTEM.within(account);
        let now = self.broadcasts.clock.now();
        let work = self.broadcasts.store.begin().await?;
        let found = work.broadcasts(scope).lock(motion.broadcast_id).await?;
        let mine = found.filter(|broadcast| {
            broadcast.run == motion.run && broadcast.state == BroadcastState::Preparing
        });
        let mut gone = Gone::Through;
        if let Some(mut broadcast) = mine {
            self.step(&*work, scope, &mut broadcast, table, now).await?;
            broadcast.updated_at = now;
            work.broadcasts(scope).update(&broadcast).await?;
            if broadcast.state == BroadcastState::Preparing {
                gone = Gone::On;
            }
        }
        if matches!(gone, Gone::Through) && !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        Ok(gone)
    }

    async fn step(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        table: &mut Option<Table>,
        now: Timestamp,
    ) -> Result<(), JobError> {
        match broadcast.course.step {
            Step::Begin => self.begin(work, scope, broadcast, now).await?,
            Step::Contacts { after } => {
                self.contacts(work, scope, broadcast, after, now).await?;
            }
            Step::File { rows } => self.file(work, scope, broadcast, rows, table, now).await?,
            Step::Check { from } => self.check(work, scope, broadcast, from, now).await?,
            Step::Done => self.end(work, scope, broadcast, now).await?,
        }
        Ok(())
    }

    /// The content is what it is now; what was gathered before is forgotten.
    async fn begin(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let content = match &broadcast.plan.message {
            BroadcastMessage::Content(content) => Some(content.clone()),
            BroadcastMessage::Template(id) => {
                work.templates(scope).get(*id).await?.map(|template| template.content)
            }
        };
        let Some(content) = content else {
            fail(work, broadcast, "no_such_template", now).await?;
            return Ok(());
        };
        let gathered = [Source::Contact, Source::File];
        work.recipients(scope).clear(broadcast.id, &gathered).await?;
        let course = &mut broadcast.course;
        course.content = Some(content);
        course.first_contacts = 0;
        let audience = &broadcast.plan.audience;
        course.step = if audience.has_contacts() {
            Step::Contacts { after: None }
        } else if audience.file.is_some() {
            Step::File { rows: 0 }
        } else {
            Step::Check { from: 0 }
        };
        Ok(())
    }

    async fn contacts(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        after: Option<ContactId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let audience = &broadcast.plan.audience;
        let (found, next) = super::audience::page(work, scope, audience, after, BATCH).await?;
        let rows = found
            .iter()
            .map(|contact| (contact_target(contact), std::collections::BTreeMap::new()))
            .collect();
        add_rows(work, scope, broadcast, Source::Contact, rows, now).await?;
        broadcast.course.step = match next {
            Some(last) => Step::Contacts { after: Some(last) },
            None if broadcast.plan.audience.file.is_some() => Step::File { rows: 0 },
            None => Step::Check { from: 0 },
        };
        Ok(())
    }

    async fn file(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        rows: u64,
        table: &mut Option<Table>,
        now: Timestamp,
    ) -> Result<(), JobError> {
        let Some(source) = broadcast.plan.audience.file.clone() else {
            broadcast.course.step = Step::Check { from: 0 };
            return Ok(());
        };
        let read = match table.take() {
            Some(read) => Ok(read),
            None => Table::read(&self.media, work, scope, &source).await,
        };
        let read = match read {
            Ok(read) => table.insert(read),
            Err(FileError::Store(error)) => return Err(error.into()),
            Err(FileError::Away(error)) => return Err(JobError::Retry(error)),
            Err(FileError::Unreadable(reason)) => {
                fail(work, broadcast, &reason, now).await?;
                return Ok(());
            }
        };
        let batch = read.rows(rows, usize::from(BATCH));
        let taken = batch.len() as u64;
        add_rows(work, scope, broadcast, Source::File, batch, now).await?;
        broadcast.course.step =
            if taken == 0 { Step::Check { from: 0 } } else { Step::File { rows: rows + taken } };
        Ok(())
    }

    async fn check(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        from: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut repo = work.recipients(scope);
        let all = repo.from(broadcast.id, RecipientFilter::default(), from, BATCH).await?;
        drop(repo);
        let Some(last) = all.last().map(|recipient| recipient.position) else {
            broadcast.course.step = Step::Done;
            return Ok(());
        };
        let content = broadcast.course.content.clone().unwrap_or_else(|| Content::text(""));
        let senders = devices(work, scope, &broadcast.plan).await?;
        let ids = broadcast.plan.devices();
        let checked: Vec<Recipient> = all.into_iter().filter(is_checked).collect();
        let facts = Facts::of(work, scope, &checked, &ids).await?;
        let channels = &self.broadcasts.channels;
        let demands = Demands::new(&broadcast.plan, &content, &senders, channels, now);
        let mut change = Counts::default();
        let mut changed = Vec::new();
        for mut recipient in checked {
            if facts.is_first_contact(&recipient) {
                broadcast.course.first_contacts += 1;
            }
            let before = recipient.clone();
            let verdict = demands.judge(&recipient, &facts);
            if note(&mut recipient, verdict, now) {
                change.leave(&before);
                change.enter(&recipient);
                changed.push(recipient);
            }
        }
        work.recipients(scope).save(&changed).await?;
        work.broadcasts(scope).count(broadcast.id, &change).await?;
        broadcast.course.step = Step::Check { from: last + 1 };
        Ok(())
    }

    async fn end(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let counts = counts(work, scope, broadcast.id).await?;
        if counts.of(RecipientState::Waiting) == 0 {
            return fail(work, broadcast, "no_recipients", now).await;
        }
        let prepared = event(broadcast, BroadcastStep::Prepared, Some(counts.progress()), now);
        work.events().append(&[prepared]).await?;
        let due = broadcast.schedule.is_some_and(|schedule| schedule.at <= now);
        match broadcast.schedule {
            Some(schedule) if !due => {
                self.broadcasts.await_time(work, broadcast, schedule).await?;
            }
            None if !broadcast.course.start_when_ready => {
                broadcast.state = BroadcastState::Ready;
            }
            _ => {
                self.broadcasts.set_moving(work, scope, broadcast, now).await?;
                let started = event(broadcast, BroadcastStep::Started, None, now);
                work.events().append(&[started]).await?;
            }
        }
        Ok(())
    }
}

/// Those about whom there is something to check.
fn is_checked(recipient: &Recipient) -> bool {
    matches!(recipient.state, RecipientState::Waiting | RecipientState::Skipped)
}

/// Ends a broadcast that cannot be carried out.
pub(super) async fn fail(
    work: &(dyn BroadcastUse + '_),
    broadcast: &mut Broadcast,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    broadcast.state = BroadcastState::Failed;
    broadcast.reason = Some(reason.to_owned());
    broadcast.ended_at = Some(now);
    work.events().append(&[event(broadcast, BroadcastStep::Failed, None, now)]).await
}

#[async_trait]
impl Job for PrepareJob {
    fn name(&self) -> &'static str {
        PREPARE_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        // Read once a run, however many batches it has.
        let mut table = None;
        while let Gone::On = self.batch(job, &mut table).await? {}
        self.broadcasts.wake_all();
        Ok(JobEnd::Completed)
    }
}
