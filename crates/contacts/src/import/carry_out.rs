//! The job that carries a confirmed import out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use kabar_core::{
    BlobStore, Clock, ContactId, GroupId, IdSource, ImportId, InstallationScope, PhoneNumber,
    Scope, Store, StoreError, Timestamp,
};
use kabar_events::{EventsWork, Fact, NewEvent};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError};

use super::model::{Existing, Import, ImportRow, ImportState, ImportUse, RowState};
use super::read::Payload;
use crate::contact::{Contact, IdentityKey};
use crate::group::{GroupRow, name_key};
use crate::opt_out::{PreferenceChange, PreferenceSource};
use crate::people::{self, Person, Resolved};
use crate::preferences::{self, Wish};

/// The name of the job. Its payload is `{"import_id": …}`.
pub const CARRY_OUT_JOB: &str = "contacts.carry_out_import";
/// Rows of one unit of work.
const BATCH: u32 = 1_000;
/// Tries of a unit of work that met another one.
const TRIES: u32 = 5;

/// Carries imports out.
pub struct CarryOutImport {
    store: Arc<dyn Store<dyn ImportUse>>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

/// Name and variables of a contact after a row.
pub(super) fn merged(
    existing: Existing,
    contact: &Contact,
    name: Option<&str>,
    variables: &BTreeMap<String, String>,
) -> (Option<String>, BTreeMap<String, String>) {
    let known = (contact.name.clone(), contact.variables.clone());
    match existing {
        Existing::Skip => known,
        Existing::Update => {
            let mut all = known.1;
            all.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
            (name.map(str::to_owned).or(known.0), within_limit(all, &contact.variables))
        }
        Existing::Fill => {
            let mut all = variables.clone();
            all.extend(known.1);
            (known.0.or_else(|| name.map(str::to_owned)), within_limit(all, &contact.variables))
        }
    }
}

/// A contact that would get too many variables keeps those that it has.
fn within_limit(
    all: BTreeMap<String, String>,
    known: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    if all.len() > crate::check::VARIABLES { known.clone() } else { all }
}

/// Tells that an import came to a new state.
pub(super) async fn announce(
    work: &(impl EventsWork + ?Sized),
    import: &Import,
    at: Timestamp,
) -> Result<(), StoreError> {
    let fact =
        Fact::ContactImport { import_id: import.id, state: import.state.as_str().to_owned() };
    work.events().append(&[NewEvent { account: import.account, at, fact }]).await
}

/// A row with the contact that it is about.
struct Placed<'a> {
    row: &'a ImportRow,
    contact: ContactId,
    created: bool,
}

impl CarryOutImport {
    /// The job over a store.
    pub fn new(
        store: Arc<dyn Store<dyn ImportUse>>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, blobs, clock, ids }
    }

    async fn carry_out(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        id: ImportId,
    ) -> Result<JobEnd, JobError> {
        let mut tries = 1;
        loop {
            match self.batch(scope, job, id).await {
                Ok(None) => tries = 1,
                Ok(Some(end)) => return Ok(end),
                Err(JobError::Store(StoreError::Contended(_))) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Carries the next rows out, notes what they did and how far it got, in one unit of work.
    async fn batch(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        id: ImportId,
    ) -> Result<Option<JobEnd>, JobError> {
        let at = self.clock.now();
        let work = self.store.begin().await?;
        let Some(before) = work.imports(scope).get(id).await? else {
            return Ok(Some(JobEnd::Done));
        };
        if before.state != ImportState::CarryingOut {
            return Ok(Some(JobEnd::Done));
        }
        let mut import = before.clone();
        import.updated_at = at;
        let mut rows = Vec::new();
        if !before.cancelled {
            rows = work.imports(scope).rows(id, &[], before.applied, BATCH).await?;
        }
        if rows.is_empty() {
            return self.end(scope, job, import, &before, work).await.map(Some);
        }
        self.apply(&*work, scope, &mut import, &rows, at).await?;
        import.applied = rows.last().map_or(before.applied, |row| row.number);
        if !work.imports(scope).save(&import, &before).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        Ok(None)
    }

    async fn apply(
        &self,
        work: &(dyn ImportUse + '_),
        scope: Scope,
        import: &mut Import,
        rows: &[ImportRow],
        at: Timestamp,
    ) -> Result<(), JobError> {
        let wanted = |row: &&ImportRow| matches!(row.state, RowState::New | RowState::Update);
        let rows_wanted: Vec<&ImportRow> = rows.iter().filter(wanted).collect();
        for row in rows.iter().filter(|row| !wanted(row)) {
            match row.state {
                RowState::Invalid => import.results.failed += 1,
                _ => import.results.skipped += 1,
            }
        }
        if rows_wanted.is_empty() {
            return Ok(());
        }
        let placed = self.place(work, scope, &rows_wanted, at).await?;
        self.write(work, scope, import, &placed, at).await?;
        self.sort_into(work, scope, &placed, at).await?;
        if let Some(stop) = import.options.opt_out {
            let contacts: Vec<ContactId> = placed.iter().map(|one| one.contact).collect();
            let wish = Wish {
                change: PreferenceChange::Stopped,
                scope: stop,
                source: PreferenceSource::Import,
                detail: None,
                message: None,
            };
            preferences::apply(work, scope, &contacts, wish, &*self.ids, at).await?;
        }
        let settled: Vec<(u64, RowState, Option<ContactId>)> = placed
            .iter()
            .map(|one| {
                let state = if one.created { RowState::Created } else { RowState::Updated };
                (one.row.number, state, Some(one.contact))
            })
            .collect();
        work.imports(scope).settle_rows(import.id, &settled).await?;
        for (_, state, _) in settled {
            match state {
                RowState::Created => import.results.created += 1,
                _ => import.results.updated += 1,
            }
        }
        Ok(())
    }

    /// Finds or makes the contact of each row.
    async fn place<'a>(
        &self,
        work: &(dyn ImportUse + '_),
        scope: Scope,
        rows: &[&'a ImportRow],
        at: Timestamp,
    ) -> Result<Vec<Placed<'a>>, JobError> {
        let mut people = Vec::with_capacity(rows.len());
        for row in rows {
            let phone = row.phone.as_deref().unwrap_or_default();
            let phone: PhoneNumber =
                phone.parse().map_err(|_| JobError::Hopeless("a stored number is none".into()))?;
            let person = Person::of(IdentityKey::phone(&phone));
            people.push(Person { name: row.name.clone(), ..person });
        }
        let mut repo = work.people(scope);
        let resolved =
            people::resolve(&mut *repo, scope.account(), &people, &*self.ids, at).await?;
        let placed = rows.iter().zip(resolved).map(|(row, resolved)| {
            let Resolved { contact, created } = resolved;
            Placed { row, contact, created }
        });
        Ok(placed.collect())
    }

    /// Stores names and variables where they change.
    async fn write(
        &self,
        work: &(dyn ImportUse + '_),
        scope: Scope,
        import: &Import,
        placed: &[Placed<'_>],
        at: Timestamp,
    ) -> Result<(), JobError> {
        let there: Vec<ContactId> =
            placed.iter().filter(|one| !one.created).map(|one| one.contact).collect();
        let contacts = work.contacts(scope).by_ids(&there).await?;
        let by_id: HashMap<ContactId, &Contact> = contacts.iter().map(|c| (c.id, c)).collect();
        let mut changes = Vec::new();
        let mut events = Vec::with_capacity(placed.len());
        for one in placed {
            let ImportRow { name, fields, .. } = one.row;
            let contact_id = one.contact;
            if let Some(contact) = by_id.get(&contact_id) {
                let existing = import.options.existing;
                let (name, variables) =
                    merged(existing, contact, name.as_deref(), &fields.variables);
                if name != contact.name || variables != contact.variables {
                    changes.push((contact_id, name, variables));
                }
                events.push(Fact::ContactChanged { contact_id });
            } else {
                if !fields.variables.is_empty() {
                    changes.push((contact_id, name.clone(), fields.variables.clone()));
                }
                events.push(Fact::ContactCreated { contact_id });
            }
        }
        work.imports(scope).write_contacts(&changes, at).await?;
        let events: Vec<NewEvent> = events
            .into_iter()
            .map(|fact| NewEvent { account: scope.account(), at, fact })
            .collect();
        work.events().append(&events).await?;
        Ok(())
    }

    /// Puts contacts into their groups, and tags on them.
    async fn sort_into(
        &self,
        work: &(dyn ImportUse + '_),
        scope: Scope,
        placed: &[Placed<'_>],
        at: Timestamp,
    ) -> Result<(), JobError> {
        let tags: Vec<(ContactId, String)> = placed
            .iter()
            .flat_map(|one| one.row.fields.tags.iter().map(|tag| (one.contact, tag.clone())))
            .collect();
        work.tags(scope).add_pairs(&tags, at).await?;
        let names: BTreeSet<&str> = placed
            .iter()
            .flat_map(|one| one.row.fields.groups.iter().map(String::as_str))
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let groups = self.groups(work, scope, &names, at).await?;
        let mut members: BTreeMap<GroupId, Vec<ContactId>> = BTreeMap::new();
        for one in placed {
            for name in &one.row.fields.groups {
                if let Some(group) = groups.get(&name_key(name)) {
                    members.entry(*group).or_default().push(one.contact);
                }
            }
        }
        for (group, mut contacts) in members {
            contacts.sort_unstable();
            contacts.dedup();
            work.groups(scope).add(group, &contacts, at).await?;
        }
        Ok(())
    }

    /// The groups of these names; those that are missing are made.
    async fn groups(
        &self,
        work: &(dyn ImportUse + '_),
        scope: Scope,
        names: &BTreeSet<&str>,
        at: Timestamp,
    ) -> Result<HashMap<String, GroupId>, JobError> {
        let by_key: BTreeMap<String, &str> =
            names.iter().map(|name| (name_key(name), *name)).collect();
        let keys: Vec<String> = by_key.keys().cloned().collect();
        let mut repo = work.groups(scope);
        let mut groups: HashMap<String, GroupId> =
            repo.by_name_keys(&keys).await?.into_iter().collect();
        for (name_key, name) in by_key {
            if groups.contains_key(&name_key) {
                continue;
            }
            let id: GroupId = self.ids.id();
            let name = name.trim().to_owned();
            let row = GroupRow { id, name, name_key: name_key.clone(), description: None, at };
            repo.insert(&row).await?;
            groups.insert(name_key, id);
        }
        Ok(groups)
    }

    async fn end(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        mut import: Import,
        before: &Import,
        work: Box<dyn ImportUse>,
    ) -> Result<JobEnd, JobError> {
        import.state = if import.cancelled { ImportState::Cancelled } else { ImportState::Done };
        import.finished_at = Some(import.updated_at);
        if !work.imports(scope).save(&import, before).await?
            || !work.jobs().complete(job.id, job.fence).await?
        {
            return Err(JobError::ClaimLost);
        }
        announce(&*work, &import, import.updated_at).await?;
        work.commit().await?;
        // What cannot be removed now goes with the import itself.
        if let Err(error) = self.blobs.delete(&import.blob_key()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "import.file");
        }
        Ok(JobEnd::Completed)
    }
}

#[async_trait]
impl Job for CarryOutImport {
    fn name(&self) -> &'static str {
        CARRY_OUT_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let hopeless = |error: &dyn std::fmt::Display| JobError::Hopeless(error.to_string());
        let payload: Payload =
            serde_json::from_value(job.payload.clone()).map_err(|error| hopeless(&error))?;
        let account = job.account.ok_or_else(|| hopeless(&"the job has no account"))?;
        let scope = InstallationScope::system("import").within(account);
        self.carry_out(scope, job, payload.import_id).await
    }
}
