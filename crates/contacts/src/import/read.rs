//! The job that reads a file and notes what each row would do.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kabar_core::{BlobStore, Clock, ContactId, ImportId, InstallationScope, Scope, Store};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::carry_out::{announce, merged};
use super::columns::Columns;
use super::file;
use super::model::{
    Import, ImportCounts, ImportFormat, ImportRow, ImportState, ImportUse, RowState,
};
use super::row::{self, Candidate, Fields};
use crate::contact::{Contact, IdentityKey};
use crate::number::Numbers;

/// The name of the job. Its payload is `{"import_id": …}`.
pub const READ_JOB: &str = "contacts.read_import";
/// Rows of one unit of work.
const BATCH: usize = 2_000;

#[derive(Deserialize)]
pub(super) struct Payload {
    pub(super) import_id: ImportId,
}

/// Reads the files of imports.
pub struct ReadImport {
    store: Arc<dyn Store<dyn ImportUse>>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
}

/// Rows of a file, read on a thread of their own, a few batches ahead.
fn stream(bytes: Bytes, format: ImportFormat) -> mpsc::Receiver<Result<Vec<Vec<String>>, String>> {
    let (sender, receiver) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut batch = Vec::with_capacity(BATCH);
        let read = file::rows(&bytes, format, &mut |row| {
            batch.push(row);
            if batch.len() < BATCH {
                return true;
            }
            // Whoever cancels an import hangs up.
            sender.blocking_send(Ok(std::mem::take(&mut batch))).is_ok()
        });
        let last = match read {
            Ok(()) => Ok(batch),
            Err(problem) => Err(problem),
        };
        let _ = sender.blocking_send(last);
    });
    receiver
}

/// What is known while a file is read.
struct Reading {
    import: Import,
    numbers: Numbers,
    /// The row of each number of the file.
    seen: HashMap<String, u64>,
    /// The number of the last row.
    row: u64,
}

/// A row that was looked at: the rest is found out in the database.
enum Looked {
    Candidate(u64, Candidate),
    Settled(ImportRow),
}

impl Reading {
    /// Looks at rows; those that an earlier run stored are only remembered.
    fn look(&mut self, rows: Vec<Vec<String>>) -> Result<Vec<Looked>, String> {
        let mut looked = Vec::with_capacity(rows.len());
        for cells in rows {
            self.row += 1;
            if self.import.columns.is_none() {
                let options = &self.import.options;
                let columns = Columns::recognised(&cells, options, &self.numbers)?;
                self.import.columns = Some(columns);
            }
            if self.row == 1 && self.import.columns.as_ref().is_some_and(|columns| columns.header) {
                continue;
            }
            let one = self.look_at(cells);
            if self.row > self.import.parsed {
                looked.push(one);
            }
        }
        Ok(looked)
    }

    fn look_at(&mut self, cells: Vec<String>) -> Looked {
        let number = self.row;
        let Some(columns) = &self.import.columns else {
            return Looked::Settled(refused(number, cells, "phone", "is missing".to_owned()));
        };
        match row::read(&cells, columns, &self.import.options, &self.numbers) {
            Err(problem) => {
                Looked::Settled(refused(number, cells, &problem.column, problem.problem))
            }
            Ok(candidate) => {
                let first = *self.seen.entry(candidate.phone.as_str().to_owned()).or_insert(number);
                if first == number {
                    return Looked::Candidate(number, candidate);
                }
                Looked::Settled(ImportRow {
                    number,
                    state: RowState::Duplicate,
                    phone: Some(candidate.phone.as_str().to_owned()),
                    name: candidate.name,
                    fields: candidate.fields,
                    column: None,
                    problem: Some(format!("row {first} has the same number")),
                    contact: None,
                })
            }
        }
    }
}

fn refused(number: u64, cells: Vec<String>, column: &str, problem: String) -> ImportRow {
    ImportRow {
        number,
        state: RowState::Invalid,
        phone: None,
        name: None,
        fields: Fields { cells, ..Fields::default() },
        column: Some(column.to_owned()),
        problem: Some(problem),
        contact: None,
    }
}

fn count(counts: &mut ImportCounts, state: RowState) {
    counts.rows += 1;
    match state {
        RowState::New => counts.new += 1,
        RowState::Update => counts.update += 1,
        RowState::Duplicate => counts.duplicate += 1,
        RowState::Invalid => counts.invalid += 1,
        _ => counts.unchanged += 1,
    }
}

impl ReadImport {
    /// The job over a store.
    pub fn new(
        store: Arc<dyn Store<dyn ImportUse>>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, blobs, clock }
    }

    async fn read(&self, scope: Scope, job: &ClaimedJob, id: ImportId) -> Result<JobEnd, JobError> {
        let work = self.store.read().await?;
        let Some(import) = work.imports(scope).get(id).await? else {
            return Ok(JobEnd::Done);
        };
        drop(work);
        if import.state != ImportState::Reading {
            return Ok(JobEnd::Done);
        }
        let bytes = self.blobs.get(&import.blob_key()).await;
        let bytes = bytes.map_err(|error| JobError::Retry(error.to_string()))?;
        let Some(bytes) = bytes else {
            return self.end(scope, job, import, Err("the file is gone".to_owned())).await;
        };
        let mut rows = stream(bytes, import.format);
        let numbers = Numbers::of(import.country.clone());
        let mut reading = Reading { import, numbers, seen: HashMap::new(), row: 0 };
        let mut outcome = Ok(());
        while let Some(batch) = rows.recv().await {
            let looked = batch.and_then(|batch| reading.look(batch));
            match looked {
                Ok(looked) => self.store_rows(scope, &mut reading, looked).await?,
                Err(problem) => outcome = Err(problem),
            }
            if reading.import.cancelled || outcome.is_err() {
                break;
            }
        }
        if outcome.is_ok() && reading.import.columns.is_none() {
            outcome = Err("the file is empty".to_owned());
        }
        self.end(scope, job, reading.import, outcome).await
    }

    /// Stores a batch of rows and how far the reading got, in one unit of work.
    async fn store_rows(
        &self,
        scope: Scope,
        reading: &mut Reading,
        looked: Vec<Looked>,
    ) -> Result<(), JobError> {
        if looked.is_empty() {
            return Ok(());
        }
        let work = self.store.begin().await?;
        let rows = compared(&*work, scope, &reading.import, looked).await?;
        let before = reading.import.clone();
        for row in &rows {
            count(&mut reading.import.counts, row.state);
        }
        reading.import.parsed = reading.row;
        reading.import.updated_at = self.clock.now();
        let mut imports = work.imports(scope);
        imports.insert_rows(before.id, &rows).await?;
        if !imports.save(&reading.import, &before).await? {
            return Err(JobError::ClaimLost);
        }
        let stored = imports.get(before.id).await?;
        drop(imports);
        work.commit().await?;
        reading.import.cancelled = stored.is_none_or(|stored| stored.cancelled);
        Ok(())
    }

    async fn end(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        before: Import,
        outcome: Result<(), String>,
    ) -> Result<JobEnd, JobError> {
        let now = self.clock.now();
        let mut import = before.clone();
        import.updated_at = now;
        import.state = match outcome {
            _ if import.cancelled => ImportState::Cancelled,
            Ok(()) => ImportState::Ready,
            Err(problem) => {
                import.problem = Some(problem);
                ImportState::Failed
            }
        };
        if import.state.is_final() {
            import.finished_at = Some(now);
            let removed = self.blobs.delete(&import.blob_key()).await;
            removed.map_err(|error| JobError::Retry(error.to_string()))?;
        }
        let work = self.store.begin().await?;
        if !work.imports(scope).save(&import, &before).await?
            || !work.jobs().complete(job.id, job.fence).await?
        {
            return Err(JobError::ClaimLost);
        }
        announce(&*work, &import, now).await?;
        work.commit().await?;
        Ok(JobEnd::Completed)
    }
}

/// The rows with what they would do to the contacts that are there.
async fn compared(
    work: &(dyn ImportUse + '_),
    scope: Scope,
    import: &Import,
    looked: Vec<Looked>,
) -> Result<Vec<ImportRow>, JobError> {
    let keys: Vec<IdentityKey> = looked
        .iter()
        .filter_map(|one| match one {
            Looked::Candidate(_, candidate) => Some(IdentityKey::phone(&candidate.phone)),
            Looked::Settled(_) => None,
        })
        .collect();
    let known = Known::load(work, scope, &keys).await?;
    let rows = looked.into_iter().map(|one| match one {
        Looked::Settled(row) => row,
        Looked::Candidate(number, candidate) => {
            let (state, contact) = known.compare(import, &candidate);
            ImportRow {
                number,
                state,
                phone: Some(candidate.phone.as_str().to_owned()),
                name: candidate.name,
                fields: candidate.fields,
                column: None,
                problem: None,
                contact,
            }
        }
    });
    Ok(rows.collect())
}

/// The contacts that a batch is about.
struct Known {
    by_number: HashMap<String, Contact>,
    tags: BTreeSet<(ContactId, String)>,
    groups: BTreeSet<(ContactId, String)>,
}

impl Known {
    async fn load(
        work: &(dyn ImportUse + '_),
        scope: Scope,
        keys: &[IdentityKey],
    ) -> Result<Self, JobError> {
        let owners = work.people(scope).known(keys).await?;
        let mut ids: Vec<ContactId> = owners.iter().map(|identity| identity.contact).collect();
        ids.sort_unstable();
        ids.dedup();
        let contacts = work.contacts(scope).by_ids(&ids).await?;
        let by_id: HashMap<ContactId, &Contact> = contacts.iter().map(|c| (c.id, c)).collect();
        let by_number = owners
            .iter()
            .filter(|identity| identity.key.kind == crate::contact::IdentityKind::Phone)
            .filter_map(|identity| {
                let contact = by_id.get(&identity.contact)?;
                Some((identity.key.value.clone(), (*contact).clone()))
            })
            .collect();
        let tags = work.tags(scope).of_contacts(&ids).await?.into_iter().collect();
        let groups = work.groups(scope).of_contacts(&ids).await?;
        let groups = groups
            .into_iter()
            .map(|(contact, _, name)| (contact, crate::group::name_key(&name)))
            .collect();
        Ok(Self { by_number, tags, groups })
    }

    fn compare(&self, import: &Import, candidate: &Candidate) -> (RowState, Option<ContactId>) {
        let Some(contact) = self.by_number.get(candidate.phone.as_str()) else {
            return (RowState::New, None);
        };
        let (name, variables) = merged(
            import.options.existing,
            contact,
            candidate.name.as_deref(),
            &candidate.fields.variables,
        );
        let fields = &candidate.fields;
        let tagged = fields.tags.iter().all(|tag| self.tags.contains(&(contact.id, tag.clone())));
        let grouped = fields
            .groups
            .iter()
            .all(|name| self.groups.contains(&(contact.id, crate::group::name_key(name))));
        let stopped = import.options.opt_out.is_none_or(|scope| contact.stop() >= Some(scope));
        let same = name == contact.name && variables == contact.variables;
        let state = if same && tagged && grouped && stopped {
            RowState::Unchanged
        } else {
            RowState::Update
        };
        (state, Some(contact.id))
    }
}

#[async_trait]
impl Job for ReadImport {
    fn name(&self) -> &'static str {
        READ_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let hopeless = |error: &dyn std::fmt::Display| JobError::Hopeless(error.to_string());
        let payload: Payload =
            serde_json::from_value(job.payload.clone()).map_err(|error| hopeless(&error))?;
        let account = job.account.ok_or_else(|| hopeless(&"the job has no account"))?;
        let scope = InstallationScope::system("import").within(account);
        self.read(scope, job, payload.import_id).await
    }
}
