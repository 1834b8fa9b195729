//! The job that writes an export.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kabar_core::{
    BlobStore, Clock, ExportId, InstallationScope, Scope, Store, StoreError, Timestamp,
};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError};
use serde::Deserialize;
use serde_json::Value;

use crate::export::{Export, ExportState, Format, KEPT_DAYS};
use crate::repo::ExportsUse;
use crate::service::remove_parts;
use crate::source::{Cell, Source, SourceError};
use crate::write;

/// The name of the job. Its payload is `{"export_id": …}`.
pub const EXPORT_JOB: &str = "exports.write";
/// Rows of one part, about.
const PART: usize = 10_000;
/// Where the columns are kept among the parameters.
const COLUMNS: &str = "_columns";

#[derive(Deserialize)]
struct Payload {
    export_id: ExportId,
}

/// Writes exports.
pub struct WriteExport {
    store: Arc<dyn Store<dyn ExportsUse>>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    sources: BTreeMap<&'static str, Arc<dyn Source>>,
}

impl WriteExport {
    /// The job over the sources that there are.
    pub fn new(
        store: Arc<dyn Store<dyn ExportsUse>>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        sources: impl IntoIterator<Item = Arc<dyn Source>>,
    ) -> Self {
        let sources = sources.into_iter().map(|source| (source.kind(), source)).collect();
        Self { store, blobs, clock, sources }
    }

    async fn write(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        id: ExportId,
    ) -> Result<JobEnd, JobError> {
        let work = self.store.read().await?;
        let Some(mut export) = work.exports(scope).get(id).await? else {
            return Ok(JobEnd::Done);
        };
        drop(work);
        if !export.state.is_open() {
            return Ok(JobEnd::Done);
        }
        let Some(source) = self.sources.get(export.kind.as_str()) else {
            return self.fail(scope, job, export, "this version cannot export it".to_owned()).await;
        };
        let ended = match export.format {
            Format::Xlsx => self.sheet(scope, source, &mut export).await,
            _ => self.parts(scope, source, &mut export).await,
        };
        match ended {
            Ok(()) if export.cancelled => self.cancelled(scope, job, export).await,
            Ok(()) => self.done(scope, job, export).await,
            Err(Stop::Refused(problem)) => self.fail(scope, job, export, problem).await,
            Err(Stop::Job(error)) => Err(error),
        }
    }

    /// Writes part by part, and notes after each how far it got.
    async fn parts(
        &self,
        scope: Scope,
        source: &Arc<dyn Source>,
        export: &mut Export,
    ) -> Result<(), Stop> {
        let columns = self.columns(scope, source, export).await?;
        let csv = export.format == Format::Csv;
        // A position is there from the first part on, and gone behind the last row.
        while !export.cancelled && (export.parts == 0 || export.position.is_some()) {
            let (rows, next) = self.some(scope, source, export, &columns, PART).await?;
            let mut bytes = if csv {
                write::csv_part(&columns, &rows, export.parts == 0)
            } else {
                write::json_part(&columns, &rows, export.rows > 0)
            };
            if next.is_none() && !csv {
                let any = export.rows > 0 || !rows.is_empty();
                bytes = Bytes::from([bytes, write::json_end(any)].concat());
            }
            self.part(scope, export, bytes, rows.len(), next).await?;
        }
        Ok(())
    }

    /// Writes a spreadsheet, which cannot be written in parts.
    async fn sheet(
        &self,
        scope: Scope,
        source: &Arc<dyn Source>,
        export: &mut Export,
    ) -> Result<(), Stop> {
        let columns = self.columns(scope, source, export).await?;
        export.position = None;
        let most = write::XLSX_ROWS + 1;
        let (rows, _) = self.some(scope, source, export, &columns, most).await?;
        if rows.len() >= most {
            let problem = format!(
                "there are more than {} rows; narrow the filter, or export as csv",
                write::XLSX_ROWS
            );
            return Err(Stop::Refused(problem));
        }
        let count = rows.len();
        let written = tokio::task::spawn_blocking(move || write::xlsx(&columns, &rows)).await;
        let bytes = written
            .map_err(|error| JobError::Retry(error.to_string()))?
            .map_err(|error| Stop::Refused(format!("no spreadsheet can be made: {error}")))?;
        self.part(scope, export, bytes, count, None).await
    }

    async fn columns(
        &self,
        scope: Scope,
        source: &Arc<dyn Source>,
        export: &mut Export,
    ) -> Result<Vec<String>, Stop> {
        let known = export.params.get(COLUMNS).cloned();
        if let Some(known) = known.and_then(|known| serde_json::from_value(known).ok()) {
            return Ok(known);
        }
        let columns = source.columns(scope, &export.params).await?;
        if let Value::Object(params) = &mut export.params {
            params.insert(COLUMNS.to_owned(), Value::from(columns.clone()));
        }
        export.state = ExportState::Running;
        self.save(scope, export, export.parts).await?;
        Ok(columns)
    }

    /// At least `wanted` rows, or all that are left.
    async fn some(
        &self,
        scope: Scope,
        source: &Arc<dyn Source>,
        export: &Export,
        columns: &[String],
        wanted: usize,
    ) -> Result<(Vec<Vec<Cell>>, Option<String>), Stop> {
        let mut rows = Vec::new();
        let mut position = export.position.clone();
        loop {
            let page = source.rows(scope, &export.params, columns, position.as_deref()).await?;
            rows.extend(page.rows);
            position = page.next;
            if position.is_none() || rows.len() >= wanted {
                return Ok((rows, position));
            }
        }
    }

    async fn part(
        &self,
        scope: Scope,
        export: &mut Export,
        bytes: Bytes,
        rows: usize,
        next: Option<String>,
    ) -> Result<(), Stop> {
        let size = bytes.len() as u64;
        let put = self.blobs.put(&export.part_key(export.parts), bytes).await;
        put.map_err(|error| JobError::Retry(error.to_string()))?;
        let parts = export.parts;
        export.state = ExportState::Running;
        export.parts += 1;
        export.rows += rows as u64;
        export.size += size;
        export.position = next;
        self.save(scope, export, parts).await
    }

    /// Notes how far it got, and learns whether it is still wanted.
    async fn save(&self, scope: Scope, export: &mut Export, parts: u32) -> Result<(), Stop> {
        export.updated_at = self.clock.now();
        let work = self.store.begin().await?;
        if !work.exports(scope).save(export, parts).await? {
            return Err(Stop::Job(JobError::ClaimLost));
        }
        let stored = work.exports(scope).get(export.id).await?;
        work.commit().await?;
        export.cancelled = stored.is_none_or(|stored| stored.cancelled);
        Ok(())
    }

    async fn done(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        mut export: Export,
    ) -> Result<JobEnd, JobError> {
        let now = self.clock.now();
        export.state = ExportState::Done;
        export.expires_at = Some(kept_until(now));
        self.end(scope, job, export, now).await
    }

    async fn fail(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        mut export: Export,
        problem: String,
    ) -> Result<JobEnd, JobError> {
        export.state = ExportState::Failed;
        export.problem = Some(problem);
        self.end(scope, job, export, self.clock.now()).await
    }

    async fn cancelled(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        mut export: Export,
    ) -> Result<JobEnd, JobError> {
        let removed = remove_parts(&*self.blobs, &export).await;
        removed.map_err(|error| JobError::Retry(error.to_string()))?;
        export.state = ExportState::Cancelled;
        self.end(scope, job, export, self.clock.now()).await
    }

    async fn end(
        &self,
        scope: Scope,
        job: &ClaimedJob,
        mut export: Export,
        now: Timestamp,
    ) -> Result<JobEnd, JobError> {
        export.finished_at = Some(now);
        export.updated_at = now;
        let work = self.store.begin().await?;
        if !work.exports(scope).save(&export, export.parts).await?
            || !work.jobs().complete(job.id, job.fence).await?
        {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        Ok(JobEnd::Completed)
    }
}

/// Why writing stopped.
enum Stop {
    /// It can never be written.
    Refused(String),
    /// The job ends so.
    Job(JobError),
}

impl From<JobError> for Stop {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Job(error.into())
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Refused(problem) => Self::Refused(problem),
            SourceError::Store(error) => error.into(),
        }
    }
}

fn kept_until(now: Timestamp) -> Timestamp {
    now + std::time::Duration::from_hours(24) * KEPT_DAYS
}

#[async_trait]
impl Job for WriteExport {
    fn name(&self) -> &'static str {
        EXPORT_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let hopeless = |error: &dyn std::fmt::Display| JobError::Hopeless(error.to_string());
        let payload: Payload =
            serde_json::from_value(job.payload.clone()).map_err(|error| hopeless(&error))?;
        let account = job.account.ok_or_else(|| hopeless(&"the job has no account"))?;
        let scope = InstallationScope::system("exports").within(account);
        self.write(scope, job, payload.export_id).await
    }
}
