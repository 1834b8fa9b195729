//! Importing contacts from files.

use std::collections::BTreeMap;

use bytes::Bytes;
use kabar::Platform;
use kabar::contacts::StopScope;
use kabar::contacts::import::{
    Existing, Import, ImportCounts, ImportFormat, ImportOptions, ImportResults, ImportRow,
    ImportState, NewImport, RowState,
};
use kabar::core::permission::{ReadContacts, WriteContacts};
use kabar::core::{ContactId, Cursor, ImportId, PageRequest, Timestamp};
use poem::{IntoResponse, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Accepted, Answer, Listed, page};
use super::exports::FileAnswer;
use super::import_upload::ImportUpload;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// What is wanted of an import.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename = "ImportOptions")]
#[serde(deny_unknown_fields, default)]
pub struct ImportOptionsBody {
    /// The country in which national numbers are read: two letters, ISO 3166; the account's when
    /// absent.
    #[oai(validator(min_length = 2, max_length = 2))]
    pub country: Option<String>,
    /// What columns hold, by their headers: `phone`, `name`, `tags`, `groups`, `skip`, or
    /// `variable:` and a name. Columns that are not named here are recognised.
    #[oai(default)]
    pub columns: BTreeMap<String, String>,
    /// Whether columns that are not recognised become variables; they do when absent.
    pub variables: Option<bool>,
    /// What becomes of contacts that are there; `update` when absent.
    pub existing: Option<Word<Existing>>,
    /// Names of groups that every contact is put into; those that are missing are made.
    #[oai(default, validator(max_items = 50))]
    pub groups: Vec<String>,
    /// Tags that every contact gets.
    #[oai(default, validator(max_items = 50))]
    pub tags: Vec<String>,
    /// The contacts of the file stopped these messages.
    pub opt_out: Option<Word<StopScope>>,
}

impl ImportOptionsBody {
    fn options(self) -> (Option<String>, ImportOptions) {
        let options = ImportOptions {
            columns: self.columns,
            variables: self.variables.unwrap_or(true),
            existing: self.existing.map_or(Existing::Update, |existing| existing.0),
            groups: self.groups,
            tags: self.tags,
            opt_out: self.opt_out.map(|scope| scope.0),
        };
        (self.country, options)
    }
}

/// A column of a file.
#[derive(Debug, Object)]
#[oai(rename = "ImportColumn")]
pub struct ColumnView {
    /// What the header calls it.
    pub name: String,
    /// What it holds, in the words of the options.
    pub holds: String,
}

/// What the rows of a file would do.
#[derive(Debug, Object)]
#[oai(rename = "ImportCounts")]
pub struct CountsView {
    /// Rows below the header.
    pub rows: u64,
    /// They would make contacts.
    pub new: u64,
    /// They would change contacts.
    pub update: u64,
    /// They say what is known.
    pub unchanged: u64,
    /// They repeat a number of the file.
    pub duplicate: u64,
    /// They cannot be taken.
    pub invalid: u64,
}

impl From<ImportCounts> for CountsView {
    fn from(counts: ImportCounts) -> Self {
        let ImportCounts { rows, new, update, unchanged, duplicate, invalid } = counts;
        Self { rows, new, update, unchanged, duplicate, invalid }
    }
}

/// What the rows of a file did.
#[derive(Debug, Object)]
#[oai(rename = "ImportResults")]
pub struct ResultsView {
    /// Contacts that were made.
    pub created: u64,
    /// Contacts that were changed.
    pub updated: u64,
    /// Rows that changed nothing.
    pub skipped: u64,
    /// Rows that could not be taken.
    pub failed: u64,
}

impl From<ImportResults> for ResultsView {
    fn from(results: ImportResults) -> Self {
        let ImportResults { created, updated, skipped, failed } = results;
        Self { created, updated, skipped, failed }
    }
}

/// An import.
#[derive(Debug, Object)]
#[oai(rename = "Import")]
pub struct ImportView {
    /// Its id.
    pub id: Word<ImportId>,
    /// How far it got.
    pub state: Word<ImportState>,
    /// The file's name.
    pub filename: Option<String>,
    /// The file's form.
    pub format: Word<ImportFormat>,
    /// The file's bytes.
    pub size: u64,
    /// The country in which national numbers are read.
    pub country: Option<String>,
    /// What the columns hold; empty before the header is read.
    pub columns: Vec<ColumnView>,
    /// What the rows would do.
    pub counts: CountsView,
    /// What the rows did.
    pub results: ResultsView,
    /// Rows that were carried out, of `counts.rows` and the header.
    pub progress: u64,
    /// Whether somebody wants it to end.
    pub cancelled: bool,
    /// Why it failed.
    pub problem: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

impl From<Import> for ImportView {
    fn from(import: Import) -> Self {
        let columns = import.columns.map(|columns| {
            let pairs = columns.names.into_iter().zip(columns.holds);
            pairs.map(|(name, holds)| ColumnView { name, holds: holds.word() }).collect()
        });
        Self {
            id: Word(import.id),
            state: Word(import.state),
            filename: import.filename,
            format: Word(import.format),
            size: import.size,
            country: import.country,
            columns: columns.unwrap_or_default(),
            counts: import.counts.into(),
            results: import.results.into(),
            progress: import.applied,
            cancelled: import.cancelled,
            problem: import.problem,
            created_at: import.created_at,
            updated_at: import.updated_at,
            finished_at: import.finished_at,
        }
    }
}

/// A row of an import.
#[derive(Debug, Object)]
#[oai(rename = "ImportRow")]
pub struct RowView {
    /// Its number in the file, from 1; blank lines are not counted.
    pub row: u64,
    /// What it would do, or did.
    pub state: Word<RowState>,
    /// The number.
    pub phone: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The variables.
    pub variables: BTreeMap<String, String>,
    /// The tags.
    pub tags: Vec<String>,
    /// The names of the groups.
    pub groups: Vec<String>,
    /// The cells of a row that cannot be taken.
    pub cells: Vec<String>,
    /// The column that is wrong.
    pub column: Option<String>,
    /// What is wrong with it and how to mend it.
    pub problem: Option<String>,
    /// The contact that it would change, or made or changed.
    pub contact_id: Option<Word<ContactId>>,
}

impl From<ImportRow> for RowView {
    fn from(row: ImportRow) -> Self {
        Self {
            row: row.number,
            state: Word(row.state),
            phone: row.phone,
            name: row.name,
            variables: row.fields.variables,
            tags: row.fields.tags,
            groups: row.fields.groups,
            cells: row.fields.cells,
            column: row.column,
            problem: row.problem,
            contact_id: row.contact.map(Word),
        }
    }
}

/// Some rows of an import.
#[derive(Debug, Object)]
#[oai(rename = "ImportRowPage")]
pub struct RowPage {
    /// The rows, in the order of the file.
    pub items: Vec<RowView>,
    /// What to send as `after` for the next page; null on the last one.
    pub next: Option<u64>,
}

/// The operations.
pub struct ImportsApi(pub Platform);

#[OpenApi(tag = "Area::Contacts")]
impl ImportsApi {
    /// Upload a file of contacts
    ///
    /// CSV or XLSX, at most 32 MiB, 250,000 rows and 100 columns. A job reads it; look at its rows,
    /// then confirm it. Needs `contacts:write`.
    #[oai(path = "/contact-imports", method = "post", operation_id = "startContactImport")]
    async fn start(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        upload: ImportUpload,
    ) -> Result<Accepted<ImportView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "startContactImport", upload.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let (country, options) = upload.options.options();
        let country = match country {
            Some(country) => Some(country.to_uppercase()),
            None => super::contacts::country(&self.0, may.grant.scope()).await?,
        };
        let new = NewImport { bytes: upload.bytes, filename: upload.filename, country, options };
        let import = self.0.imports().start(&may.grant, new, once.as_ref()).await?;
        Ok(Accepted::new(import.into(), replayed))
    }

    /// List imports
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/contact-imports", method = "get", operation_id = "listContactImports")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<ImportView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.imports().list(&may.grant, page).await?))
    }

    /// Get an import
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/contact-imports/:id", method = "get", operation_id = "getContactImport")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<ImportId>>,
    ) -> Answer<ImportView> {
        Ok(Json(self.0.imports().get(&may.grant, id.0.0).await?.into()))
    }

    /// List the rows of an import
    ///
    /// What each would do, or did, and what is wrong with those that cannot be taken. Needs
    /// `contacts:read`.
    #[oai(
        path = "/contact-imports/:id/rows",
        method = "get",
        operation_id = "listContactImportRows"
    )]
    async fn rows(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<ImportId>>,
        /// Only rows in this state.
        state: Query<Option<Word<RowState>>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        #[oai(validator(maximum(value = "1000000")))]
        after: Query<Option<u64>>,
    ) -> Answer<RowPage> {
        let limit = PageRequest::new(limit.0, None).limit;
        let state = state.0.map(|state| state.0);
        let after = after.0.unwrap_or_default();
        let imports = self.0.imports();
        let mut rows = imports.rows(&may.grant, id.0.0, state, after, limit + 1).await?;
        let most = usize::from(limit);
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| more).map(|row| row.number);
        Ok(Json(RowPage { items: rows.into_iter().map(RowView::from).collect(), next }))
    }

    /// Download the rows that cannot be taken
    ///
    /// CSV with the file's own columns and one that tells why, to be mended and imported again.
    /// Needs `contacts:read`.
    #[oai(
        path = "/contact-imports/:id/failed-rows",
        method = "get",
        operation_id = "downloadFailedRows"
    )]
    async fn failed_rows(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<ImportId>>,
    ) -> Result<FileAnswer, Problem> {
        let bytes: Bytes = self.0.imports().failed_rows(&may.grant, id.0.0).await?;
        let body: Response = bytes.into_response();
        let name = format!("failed-{}.csv", id.0.0);
        Ok(FileAnswer::new(body, &name, "text/csv; charset=utf-8"))
    }

    /// Carry an import out
    ///
    /// After its rows were looked at. Doing it twice changes nothing. Needs `contacts:write`.
    #[oai(
        path = "/contact-imports/:id/confirm",
        method = "post",
        operation_id = "confirmContactImport"
    )]
    async fn confirm(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<ImportId>>,
    ) -> Answer<ImportView> {
        Ok(Json(self.0.imports().confirm(&may.grant, id.0.0).await?.into()))
    }

    /// Cancel an import
    ///
    /// At any moment before its end; what was carried out stays. Needs `contacts:write`.
    #[oai(
        path = "/contact-imports/:id/cancel",
        method = "post",
        operation_id = "cancelContactImport"
    )]
    async fn cancel(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<ImportId>>,
    ) -> Answer<ImportView> {
        Ok(Json(self.0.imports().cancel(&may.grant, id.0.0).await?.into()))
    }
}
