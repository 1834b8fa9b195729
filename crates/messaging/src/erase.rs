//! Everything personal about a contact is erased; ids, times, states and prices stay, so that
//! statistics do.
//!
//! What goes: names, variables, identities, groups and tags; the content of every message, the
//! numbers that it went to, its id on the network (which holds a number) and the files that the
//! person sent; raw bodies and items in quarantine that name the person, and rows of imports. What
//! stays beside ids: if the person had stopped messages, a hash by which the stop is found again.
//! There is no way back.

use std::sync::Arc;

use async_trait::async_trait;
use kabar_accounts::{AuditEntry, AuditWork};
use kabar_contacts::contact::IdentityKind;
use kabar_contacts::{ContactError, Identity, keep_stop};
use kabar_core::permission::{ReadContacts, WriteSettings};
use kabar_core::{
    AuditId, BlobStore, Clock, ContactId, Grant, IdSource, InstallationScope, MediaId, Scope,
    Store, Timestamp, Topic, Wake,
};
use kabar_events::{Fact, NewEvent};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError, NewJob};
use serde::Deserialize;

use crate::media::blob_key;
use crate::person::Erasure;
use crate::repo::RoadWork;

/// The name of the job. Its payload is `{"contact_id": …}`.
pub const ERASE_JOB: &str = "messaging.erase_contact";
/// Messages of one unit of work.
const BATCH: u32 = 500;

/// What erasing needs.
pub trait EraseWork: RoadWork + AuditWork {}
impl<T: RoadWork + AuditWork + ?Sized> EraseWork for T {}

/// Erasures of tenants.
#[derive(Clone)]
pub struct Erasures {
    store: Arc<dyn Store<dyn EraseWork>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
}

impl Erasures {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn EraseWork>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, clock, ids, wake }
    }

    /// Begins to erase a contact, also one that was removed; a job does it. Asking again changes
    /// nothing.
    ///
    /// # Errors
    /// [`ContactError::NotFound`].
    pub async fn erase(
        &self,
        grant: &Grant<WriteSettings>,
        contact: ContactId,
    ) -> Result<Erasure, ContactError> {
        let at = self.clock.now();
        let scope = grant.scope();
        let work = self.store.begin().await?;
        if !work.person(scope).existed(contact).await? {
            return Err(ContactError::NotFound);
        }
        let erasure = Erasure {
            contact,
            done: false,
            messages: 0,
            files: 0,
            position: None,
            actor: scope.actor().to_string(),
            created_at: at,
            updated_at: at,
            finished_at: None,
        };
        if !work.person(scope).begin_erasure(&erasure).await? {
            let before = work.person(scope).erasure(contact).await?;
            return before.ok_or(ContactError::NotFound);
        }
        let job = NewJob {
            id: self.ids.id(),
            name: ERASE_JOB,
            account: Some(scope.account()),
            order: None,
            payload: serde_json::json!({ "contact_id": contact }),
            due_at: at,
        };
        work.jobs().enqueue(&[job]).await?;
        let entry = self.audit(scope, "contact.erase", contact, at);
        work.audit().write(&[entry]).await?;
        work.commit().await?;
        self.wake.wake(Topic::Jobs);
        Ok(erasure)
    }

    /// How far an erasure got.
    ///
    /// # Errors
    /// [`ContactError::NotFound`] when none was asked for.
    pub async fn get(
        &self,
        grant: &Grant<ReadContacts>,
        contact: ContactId,
    ) -> Result<Erasure, ContactError> {
        let work = self.store.read().await?;
        work.person(grant.scope()).erasure(contact).await?.ok_or(ContactError::NotFound)
    }

    fn audit(
        &self,
        scope: Scope,
        action: &'static str,
        contact: ContactId,
        at: Timestamp,
    ) -> AuditEntry {
        AuditEntry {
            id: AuditId::from(self.ids.next()),
            account: Some(scope.account()),
            actor: scope.actor(),
            action,
            subject: Some(contact.to_string()),
            detail: serde_json::json!({}),
            at,
        }
    }
}

#[derive(Deserialize)]
struct Payload {
    contact_id: ContactId,
}

/// The job that erases a contact.
pub struct EraseContact {
    erasures: Erasures,
    blobs: Arc<dyn BlobStore>,
}

impl EraseContact {
    /// The job over the service.
    pub const fn new(erasures: Erasures, blobs: Arc<dyn BlobStore>) -> Self {
        Self { erasures, blobs }
    }

    async fn erase(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        contact: ContactId,
    ) -> Result<JobEnd, JobError> {
        self.stop_sending(scope, contact).await?;
        loop {
            let at = self.erasures.clock.now();
            let work = self.erasures.store.begin().await?;
            let Some(mut erasure) = work.person(scope).erasure(contact).await? else {
                return Ok(JobEnd::Done);
            };
            if erasure.done {
                return Ok(JobEnd::Done);
            }
            let blanked =
                work.person(scope).blank_messages(contact, erasure.position, BATCH, at).await?;
            if blanked.messages == 0 {
                return self.end(scope, job, erasure, work).await;
            }
            self.remove_files(scope, &blanked.files).await?;
            work.person(scope).forget_files(&blanked.files, at).await?;
            erasure.messages += blanked.messages;
            erasure.files += blanked.files.len() as u64;
            erasure.position = blanked.last;
            erasure.updated_at = at;
            work.person(scope).save_erasure(&erasure).await?;
            work.commit().await?;
        }
    }

    /// Nothing is sent any more to somebody who is to be forgotten.
    async fn stop_sending(&self, scope: Scope, contact: ContactId) -> Result<(), JobError> {
        let at = self.erasures.clock.now();
        let work = self.erasures.store.begin().await?;
        if work.person(scope).busy(&[contact]).await? {
            return Err(JobError::Retry("a message is being sent".to_owned()));
        }
        work.person(scope).cancel_waiting(contact, at).await?;
        // A stop outlives the contact.
        let found = work.contacts(scope).by_ids(&[contact]).await?;
        if let Some(contact) = found.into_iter().next() {
            keep_stop(&*work, scope, &contact, at).await?;
        }
        work.commit().await?;
        Ok(())
    }

    async fn remove_files(&self, scope: Scope, files: &[MediaId]) -> Result<(), JobError> {
        for file in files {
            let removed = self.blobs.delete(&blob_key(scope.account(), *file)).await;
            removed.map_err(|error| JobError::Retry(error.to_string()))?;
        }
        Ok(())
    }

    async fn end(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        mut erasure: Erasure,
        work: Box<dyn EraseWork>,
    ) -> Result<JobEnd, JobError> {
        let at = self.erasures.clock.now();
        let contact = erasure.contact;
        let identities = work.person(scope).identities(contact).await?;
        let ids = wire_ids(&identities);
        work.person(scope).blank_contact(contact, &ids, at).await?;
        erasure.done = true;
        erasure.updated_at = at;
        erasure.finished_at = Some(at);
        work.person(scope).save_erasure(&erasure).await?;
        let entry = self.erasures.audit(scope, "contact.erased", contact, at);
        work.audit().write(&[entry]).await?;
        let fact = Fact::ContactErased { contact_id: contact };
        work.events().append(&[NewEvent { account: scope.account(), at, fact }]).await?;
        if !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        Ok(JobEnd::Completed)
    }
}

/// What a raw body names the person by: numbers as digits.
fn wire_ids(identities: &[Identity]) -> Vec<String> {
    let mut ids: Vec<String> = identities
        .iter()
        .filter(|identity| identity.key.kind != IdentityKind::Group)
        .map(|identity| identity.key.value.trim_start_matches('+').to_owned())
        // What is so short is found in anything.
        .filter(|id| id.len() >= 5)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[async_trait]
impl Job for EraseContact {
    fn name(&self) -> &'static str {
        ERASE_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let hopeless = |error: &dyn std::fmt::Display| JobError::Hopeless(error.to_string());
        let payload: Payload =
            serde_json::from_value(job.payload.clone()).map_err(|error| hopeless(&error))?;
        let account = job.account.ok_or_else(|| hopeless(&"the job has no account"))?;
        let scope = InstallationScope::system("erase").within(account);
        self.erase(scope, job, payload.contact_id).await
    }
}
