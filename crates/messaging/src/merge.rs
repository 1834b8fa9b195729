//! Two contacts that are one person become one.
//!
//! The contact that is kept wins: its name and its variables stay, what it lacks it gets from the
//! other. Groups, tags, identities and the history of both are its own afterwards, and a stop of
//! either stands. Conversations on the same device become one. Messages that wait keep their times,
//! in one line.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kabar_contacts::people::Person;
use kabar_contacts::preferences::{self, Wish};
use kabar_contacts::{Contact, ContactError, PreferenceChange, PreferenceSource};
use kabar_core::permission::{ReadContacts, WriteContacts};
use kabar_core::{
    Clock, ContactId, Grant, IdSource, InstallationScope, Once, Page, PageRequest, Scope, Store,
    StoreError, Timestamp, Topic, Wake,
};
use kabar_events::{Fact, NewEvent};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError, NewJob};
use serde::Deserialize;

use crate::person::{MergeEntry, MergeReason};
use crate::repo::RoadWork;

/// The name of the job that merges what the network says is one. Its payload is
/// `{"kept": …, "merged": …}`.
pub const MERGE_JOB: &str = "messaging.merge_contacts";
/// The most variables of a contact.
const VARIABLES: usize = kabar_contacts::check::VARIABLES;

/// Merges of tenants.
#[derive(Clone)]
pub struct Merges {
    store: Arc<dyn Store<dyn RoadWork>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
}

impl Merges {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, clock, ids, wake }
    }

    /// Makes `merged` a part of `kept`; returns what is left.
    ///
    /// # Errors
    /// [`ContactError::NotFound`], [`ContactError::Missing`] and [`ContactError::Invalid`] about the
    /// other contact, [`ContactError::Busy`] while a message to one of them is being sent.
    pub async fn merge(
        &self,
        grant: &Grant<WriteContacts>,
        kept: ContactId,
        merged: ContactId,
        once: Option<&Once>,
    ) -> Result<Contact, ContactError> {
        let scope = grant.scope();
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<ContactId>(&*work).await?
        {
            return one(&*work, scope, id).await;
        }
        self.within(&*work, scope, kept, merged, MergeReason::Manual).await?;
        if let Some(once) = once {
            once.remember(&*work, &kept, self.clock.now()).await?;
        }
        let contact = one(&*work, scope, kept).await?;
        work.commit().await?;
        self.wake.wake(Topic::Outbox);
        self.wake.wake(Topic::Events);
        Ok(contact)
    }

    /// The merges, newest first.
    ///
    /// # Errors
    /// [`ContactError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadContacts>,
        page: PageRequest,
    ) -> Result<Page<MergeEntry>, ContactError> {
        let work = self.store.read().await?;
        Ok(work.person(grant.scope()).merges(page).await?)
    }

    async fn within(
        &self,
        work: &(dyn RoadWork + '_),
        scope: Scope,
        kept: ContactId,
        merged: ContactId,
        reason: MergeReason,
    ) -> Result<(), ContactError> {
        let at = self.clock.now();
        let mut keeps = one(work, scope, kept).await?;
        let goes = other(work, scope, kept, merged).await?;
        if goes.kind != keeps.kind {
            let problem = "is a person and the other a group, or the other way round".to_owned();
            return Err(ContactError::Invalid { field: "contact_id".to_owned(), problem });
        }
        if work.person(scope).busy(&[kept, merged]).await? {
            return Err(ContactError::Busy);
        }
        let merge = MergeEntry {
            id: self.ids.next(),
            kept,
            merged,
            reason: reason.as_str().to_owned(),
            actor: Some(scope.actor().to_string()),
            at,
        };
        work.person(scope).absorb(&merge).await?;
        keep_all(&mut keeps, &goes, at);
        work.contacts(scope).update(&keeps).await?;
        if let (None, Some(source)) = (keeps.consented_at, &goes.consent_source) {
            work.preferences(scope).consent(&[kept], Some(source), at).await?;
        }
        if let Some(stop) = goes.stop() {
            let wish = Wish {
                change: PreferenceChange::Stopped,
                scope: stop,
                source: PreferenceSource::Merge,
                detail: None,
                message: None,
            };
            preferences::apply(work, scope, &[kept], wish, &*self.ids, at).await?;
        }
        let facts = [
            Fact::ContactMerged { contact_id: kept, merged_id: merged },
            Fact::ContactRemoved { contact_id: merged },
        ];
        let events = facts.map(|fact| NewEvent { account: scope.account(), at, fact });
        work.events().append(&events).await?;
        Ok(())
    }
}

/// What the kept contact lacks it gets.
fn keep_all(keeps: &mut Contact, goes: &Contact, at: Timestamp) {
    keeps.name = keeps.name.take().or_else(|| goes.name.clone());
    keeps.profile_name = keeps.profile_name.take().or_else(|| goes.profile_name.clone());
    for (name, value) in &goes.variables {
        if keeps.variables.len() < VARIABLES && !keeps.variables.contains_key(name) {
            keeps.variables.insert(name.clone(), value.clone());
        }
    }
    keeps.updated_at = at;
}

async fn one(
    work: &(dyn RoadWork + '_),
    scope: Scope,
    id: ContactId,
) -> Result<Contact, ContactError> {
    let found = work.contacts(scope).by_ids(&[id]).await?;
    found.into_iter().next().ok_or(ContactError::NotFound)
}

async fn other(
    work: &(dyn RoadWork + '_),
    scope: Scope,
    kept: ContactId,
    merged: ContactId,
) -> Result<Contact, ContactError> {
    let field = "contact_id".to_owned();
    if kept == merged {
        let problem = "is the contact itself; name the other one".to_owned();
        return Err(ContactError::Invalid { field, problem });
    }
    one(work, scope, merged).await.map_err(|error| match error {
        ContactError::NotFound => {
            ContactError::Missing { field, problem: "no such contact".to_owned() }
        }
        error => error,
    })
}

/// The jobs that merge the contacts that the network says are one person.
pub(crate) async fn found_to_be_one(
    work: &(dyn RoadWork + '_),
    scope: Scope,
    person: &Person,
    contact: ContactId,
    ids: &dyn IdSource,
    now: Timestamp,
) -> Result<Vec<NewJob>, StoreError> {
    let known = work.people(scope).known(&person.keys).await?;
    let others: BTreeSet<ContactId> = known
        .into_iter()
        .filter(|identity| identity.contact != contact && person.keys.contains(&identity.key))
        .map(|identity| identity.contact)
        .collect();
    let job = |merged| NewJob {
        id: ids.id(),
        name: MERGE_JOB,
        account: Some(scope.account()),
        order: Some(format!("merge:{contact}")),
        payload: serde_json::json!({ "kept": contact, "merged": merged }),
        due_at: now,
    };
    Ok(others.into_iter().map(job).collect())
}

#[derive(Deserialize)]
struct Payload {
    kept: ContactId,
    merged: ContactId,
}

/// The job that merges what the network says is one.
pub struct MergeContacts(Merges);

impl MergeContacts {
    /// The job over the service.
    pub const fn new(merges: Merges) -> Self {
        Self(merges)
    }
}

#[async_trait]
impl Job for MergeContacts {
    fn name(&self) -> &'static str {
        MERGE_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let hopeless = |error: &dyn std::fmt::Display| JobError::Hopeless(error.to_string());
        let Payload { kept, merged } =
            serde_json::from_value(job.payload.clone()).map_err(|error| hopeless(&error))?;
        let account = job.account.ok_or_else(|| hopeless(&"the job has no account"))?;
        let scope = InstallationScope::system("merge").within(account);
        let work = self.0.store.begin().await?;
        match self.0.within(&*work, scope, kept, merged, MergeReason::Network).await {
            Ok(()) => {}
            Err(ContactError::Store(error)) => return Err(error.into()),
            Err(ContactError::Busy) => {
                return Err(JobError::Retry("a message is being sent".into()));
            }
            // Somebody merged or removed one of them meanwhile.
            Err(_) => return Ok(JobEnd::Done),
        }
        if !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        self.0.wake.wake(Topic::Outbox);
        Ok(JobEnd::Completed)
    }
}
