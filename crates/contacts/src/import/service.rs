//! What a tenant does with imports.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kabar_core::permission::{ReadContacts, WriteContacts};
use kabar_core::work::OnceError;
use kabar_core::{
    BlobError, BlobStore, Clock, Grant, IdSource, ImportId, InstallationScope, Once, Page,
    PageRequest, Scope, Store, StoreError, Topic, Wake,
};
use kabar_exports::Cell;
use kabar_jobs::NewJob;

use super::carry_out::{CARRY_OUT_JOB, announce};
use super::columns::{self, PROBLEM};
use super::file;
use super::model::{
    Import, ImportCounts, ImportFormat, ImportOptions, ImportResults, ImportRow, ImportState,
    ImportUse, RowState,
};
use super::read::READ_JOB;
use crate::group;
use crate::tag;

/// Days for which the rows of an import are kept.
pub const KEPT_DAYS: u32 = 30;
/// Imports that one look for old ones removes.
const PRUNE: u16 = 50;
/// Rows that are read at once for the file of failed rows.
const PAGE: u32 = 5_000;

/// Why an import cannot be had or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is no such import.
    #[error("no such import")]
    NotFound,
    /// A field cannot be taken.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field.
        field: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The import is not at the point where this can be done.
    #[error("the import is {state}; {problem}")]
    WrongState {
        /// How far it got.
        state: ImportState,
        /// What could be done instead.
        problem: &'static str,
    },
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// The file store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A file to import.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// Its bytes, at most [`file::LARGEST`].
    pub bytes: Bytes,
    /// Its name.
    pub filename: Option<String>,
    /// The country in which national numbers are read: two letters, ISO 3166.
    pub country: Option<String>,
    /// What is wanted.
    pub options: ImportOptions,
}

/// Imports of tenants.
#[derive(Clone)]
pub struct Imports {
    store: Arc<dyn Store<dyn ImportUse>>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
}

impl Imports {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn ImportUse>>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, blobs, clock, ids, wake }
    }

    /// Takes a file; a job reads it.
    ///
    /// # Errors
    /// [`ImportError::Invalid`], [`ImportError::Once`], [`ImportError::Blob`].
    pub async fn start(
        &self,
        grant: &Grant<WriteContacts>,
        new: NewImport,
        once: Option<&Once>,
    ) -> Result<Import, ImportError> {
        let options = checked(&new)?;
        let import = self.import(grant.scope(), &new, options);
        // The bytes first: an import without its file would be a promise that cannot be kept.
        self.blobs.put(&import.blob_key(), new.bytes).await?;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<ImportId>(&*work).await?
        {
            let found = work.imports(grant.scope()).get(id).await?;
            drop(work);
            self.blobs.delete(&import.blob_key()).await?;
            return found.ok_or(ImportError::NotFound);
        }
        work.imports(grant.scope()).insert(&import).await?;
        work.jobs().enqueue(&[self.job(&import, READ_JOB)]).await?;
        if let Some(once) = once {
            once.remember(&*work, &import.id, import.created_at).await?;
        }
        work.commit().await?;
        self.wake.wake(Topic::Jobs);
        Ok(import)
    }

    fn import(&self, scope: Scope, new: &NewImport, options: ImportOptions) -> Import {
        let at = self.clock.now();
        Import {
            id: self.ids.id(),
            account: scope.account(),
            state: ImportState::Reading,
            filename: new.filename.clone(),
            format: file::format_of(&new.bytes),
            size: new.bytes.len() as u64,
            country: new.country.clone(),
            options,
            columns: None,
            parsed: 0,
            counts: ImportCounts::default(),
            applied: 0,
            results: ImportResults::default(),
            cancelled: false,
            problem: None,
            actor: scope.actor().to_string(),
            created_at: at,
            updated_at: at,
            finished_at: None,
        }
    }

    fn job(&self, import: &Import, name: &'static str) -> NewJob {
        NewJob {
            id: self.ids.id(),
            name,
            account: Some(import.account),
            order: Some(import.id.to_string()),
            payload: serde_json::json!({ "import_id": import.id }),
            due_at: self.clock.now(),
        }
    }

    /// An import.
    ///
    /// # Errors
    /// [`ImportError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadContacts>,
        id: ImportId,
    ) -> Result<Import, ImportError> {
        let work = self.store.read().await?;
        work.imports(grant.scope()).get(id).await?.ok_or(ImportError::NotFound)
    }

    /// The tenant's imports, newest first.
    ///
    /// # Errors
    /// [`ImportError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadContacts>,
        page: PageRequest,
    ) -> Result<Page<Import>, ImportError> {
        let work = self.store.read().await?;
        Ok(work.imports(grant.scope()).list(page).await?)
    }

    /// At most `limit` rows of an import behind a number, in one state or in any.
    ///
    /// # Errors
    /// [`ImportError::NotFound`].
    pub async fn rows(
        &self,
        grant: &Grant<ReadContacts>,
        id: ImportId,
        state: Option<RowState>,
        after: u64,
        limit: u16,
    ) -> Result<Vec<ImportRow>, ImportError> {
        let work = self.store.read().await?;
        let mut imports = work.imports(grant.scope());
        imports.get(id).await?.ok_or(ImportError::NotFound)?;
        let states: Vec<RowState> = state.into_iter().collect();
        Ok(imports.rows(id, &states, after, u32::from(limit)).await?)
    }

    /// Carries an import out that was looked at. Doing it twice changes nothing.
    ///
    /// # Errors
    /// [`ImportError::NotFound`], [`ImportError::WrongState`] unless it waits for it, or was
    /// confirmed before.
    pub async fn confirm(
        &self,
        grant: &Grant<WriteContacts>,
        id: ImportId,
    ) -> Result<Import, ImportError> {
        let at = self.clock.now();
        let work = self.store.begin().await?;
        let before = work.imports(grant.scope()).get(id).await?.ok_or(ImportError::NotFound)?;
        let problem = match before.state {
            ImportState::CarryingOut | ImportState::Done => return Ok(before),
            ImportState::Ready if !before.cancelled => None,
            ImportState::Reading => Some("wait until it is ready, and look at its rows"),
            _ => Some("upload the file once more"),
        };
        if let Some(problem) = problem {
            return Err(ImportError::WrongState { state: before.state, problem });
        }
        let mut import = before.clone();
        import.state = ImportState::CarryingOut;
        import.updated_at = at;
        if !work.imports(grant.scope()).save(&import, &before).await? {
            // Somebody else was quicker.
            drop(work);
            return self.found(grant.scope(), id).await;
        }
        work.jobs().enqueue(&[self.job(&import, CARRY_OUT_JOB)]).await?;
        announce(&*work, &import, at).await?;
        work.commit().await?;
        self.wake.wake(Topic::Jobs);
        Ok(import)
    }

    /// Ends an import; what was carried out stays. Doing it twice changes nothing.
    ///
    /// # Errors
    /// [`ImportError::NotFound`], [`ImportError::WrongState`] when it came to its end before.
    pub async fn cancel(
        &self,
        grant: &Grant<WriteContacts>,
        id: ImportId,
    ) -> Result<Import, ImportError> {
        let at = self.clock.now();
        let work = self.store.begin().await?;
        let mut imports = work.imports(grant.scope());
        let before = imports.get(id).await?.ok_or(ImportError::NotFound)?;
        if before.state == ImportState::Cancelled {
            return Ok(before);
        }
        if before.state.is_final() {
            let problem = "it can be cancelled before its end only";
            return Err(ImportError::WrongState { state: before.state, problem });
        }
        imports.cancel(id, at).await?;
        // Nobody works on one that waits; a job at work sees that it is to end.
        if before.state == ImportState::Ready {
            let mut import = before.clone();
            import.state = ImportState::Cancelled;
            import.finished_at = Some(at);
            import.updated_at = at;
            imports.save(&import, &before).await?;
        }
        let import = imports.get(id).await?.ok_or(ImportError::NotFound)?;
        drop(imports);
        if import.state.is_final() {
            announce(&*work, &import, at).await?;
        }
        work.commit().await?;
        if import.state.is_final() {
            self.blobs.delete(&import.blob_key()).await?;
        }
        Ok(import)
    }

    async fn found(&self, scope: Scope, id: ImportId) -> Result<Import, ImportError> {
        let work = self.store.read().await?;
        work.imports(scope).get(id).await?.ok_or(ImportError::NotFound)
    }

    /// The rows that could not be taken, as CSV with the file's own columns and one that tells why:
    /// to be mended and imported again.
    ///
    /// # Errors
    /// [`ImportError::NotFound`].
    pub async fn failed_rows(
        &self,
        grant: &Grant<ReadContacts>,
        id: ImportId,
    ) -> Result<Bytes, ImportError> {
        let work = self.store.read().await?;
        let mut imports = work.imports(grant.scope());
        let import = imports.get(id).await?.ok_or(ImportError::NotFound)?;
        let mut names = import.columns.map(|columns| columns.names).unwrap_or_default();
        let width = names.len();
        names.push(PROBLEM.to_owned());
        let mut parts = Vec::new();
        let mut after = 0;
        loop {
            let rows = imports.rows(id, &[RowState::Invalid], after, PAGE).await?;
            let table: Vec<Vec<Cell>> = rows.iter().map(|row| failed_row(row, width)).collect();
            parts.push(kabar_exports::csv_part(&names, &table, after == 0));
            let Some(last) = rows.last().filter(|_| rows.len() == PAGE as usize) else {
                return Ok(Bytes::from(parts.concat()));
            };
            after = last.number;
        }
    }

    /// Forgets imports that were kept long enough; returns how many.
    ///
    /// # Errors
    /// [`ImportError::Blob`], [`ImportError::Store`].
    pub async fn prune(&self) -> Result<usize, ImportError> {
        let system = InstallationScope::system("import");
        let before = self.clock.now() - Duration::from_hours(24) * KEPT_DAYS;
        let mut pruned = 0;
        loop {
            let work = self.store.begin().await?;
            let mut registry = work.import_registry(system);
            let old = registry.old(before, PRUNE).await?;
            if old.is_empty() {
                return Ok(pruned);
            }
            for import in &old {
                self.blobs.delete(&import.blob_key()).await?;
                registry.forget(import.id).await?;
            }
            drop(registry);
            work.commit().await?;
            pruned += old.len();
        }
    }
}

fn failed_row(row: &ImportRow, width: usize) -> Vec<Cell> {
    let mut cells: Vec<Cell> = row
        .fields
        .cells
        .iter()
        // As they stand in the file: they are to be mended there, and are no formulas of ours.
        .map(|cell| Cell::Text(kabar_exports::formula::unguarded(cell).to_owned()))
        .collect();
    cells.resize(width, Cell::Empty);
    let column = row.column.as_deref().unwrap_or_default();
    let problem = row.problem.as_deref().unwrap_or_default();
    cells.push(Cell::Text(format!("{column}: {problem}")));
    cells
}

fn checked(new: &NewImport) -> Result<ImportOptions, ImportError> {
    let invalid = |field: String, problem: String| ImportError::Invalid { field, problem };
    if new.bytes.is_empty() {
        return Err(invalid("file".to_owned(), "is empty".to_owned()));
    }
    if new.bytes.len() > file::LARGEST {
        let problem = format!("is larger than {} MiB", file::LARGEST / 1024 / 1024);
        return Err(invalid("file".to_owned(), problem));
    }
    if file::format_of(&new.bytes) == ImportFormat::Csv
        && new.bytes.starts_with(b"\xd0\xcf\x11\xe0")
    {
        let problem = "is a spreadsheet of before 2007; save it as .xlsx or .csv".to_owned();
        return Err(invalid("file".to_owned(), problem));
    }
    let mut options = new.options.clone();
    columns::check_wanted(&options.columns)
        .map_err(|(name, problem)| invalid(format!("columns.{name}"), problem))?;
    for (field, count) in [("tags", options.tags.len()), ("groups", options.groups.len())] {
        if count > tag::MOST {
            return Err(invalid(field.to_owned(), format!("holds more than {}", tag::MOST)));
        }
    }
    for (index, text) in options.tags.iter_mut().enumerate() {
        *text =
            tag::normalised(text).map_err(|problem| invalid(format!("tags[{index}]"), problem))?;
    }
    for (index, name) in options.groups.iter_mut().enumerate() {
        *name = group::checked_name(name)
            .map_err(|error| invalid(format!("groups[{index}]"), error.to_string()))?;
    }
    Ok(options)
}
