//! An import, its rows, and what storage does for them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_core::{
    AccountId, ContactId, ImportId, InstallationScope, Page, PageRequest, Scope, StoreError,
    Timestamp, Work,
};
use kabar_jobs::JobsWork;
use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::row::Fields;
use crate::opt_out::StopScope;
use crate::service::ContactsUse;
use crate::words::words;

words! {
    /// The form of a file.
    ImportFormat:
    /// Comma-separated and its kin.
    Csv = "csv",
    /// A spreadsheet of Excel 2007 and later.
    Xlsx = "xlsx",
}

words! {
    /// How far an import got.
    ImportState:
    /// It is being read.
    Reading = "reading",
    /// It can be looked at, and waits to be confirmed.
    Ready = "ready",
    /// It is being carried out.
    CarryingOut = "carrying_out",
    /// It was carried out.
    Done = "done",
    /// It could not be read; `problem` says why.
    Failed = "failed",
    /// It was cancelled; what was carried out stays.
    Cancelled = "cancelled",
}

impl ImportState {
    /// Whether it came to its end.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

words! {
    /// What a row would do, and what it did.
    RowState:
    /// It would make a contact.
    New = "new",
    /// It would change a contact.
    Update = "update",
    /// It says what is known.
    Unchanged = "unchanged",
    /// An earlier row has the same number; this one is left out.
    Duplicate = "duplicate",
    /// It cannot be taken; column and problem say why.
    Invalid = "invalid",
    /// It made a contact.
    Created = "created",
    /// It changed a contact.
    Updated = "updated",
    /// It changed nothing.
    Skipped = "skipped",
}

words! {
    /// What becomes of contacts that are there.
    Existing:
    /// What the file says wins.
    Update = "update",
    /// Only what is missing is filled in.
    Fill = "fill",
    /// They are left alone, but for groups and tags.
    Skip = "skip",
}

/// What a tenant wants of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportOptions {
    /// What the columns hold, by their names: `phone`, `name`, `tags`, `groups`, `skip`, or
    /// `variable:` and its name. Columns that are not named here are recognised.
    pub columns: BTreeMap<String, String>,
    /// Whether columns that nobody recognises become variables.
    pub variables: bool,
    /// What becomes of contacts that are there.
    pub existing: Existing,
    /// Names of groups that every contact is put into; those that are missing are made.
    pub groups: Vec<String>,
    /// Tags that every contact gets.
    pub tags: Vec<String>,
    /// The contacts of the file stopped messages.
    pub opt_out: Option<StopScope>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            columns: BTreeMap::new(),
            variables: true,
            existing: Existing::Update,
            groups: Vec::new(),
            tags: Vec::new(),
            opt_out: None,
        }
    }
}

/// What the rows of a file would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportCounts {
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

/// What the rows of a file did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportResults {
    /// Contacts that were made.
    pub created: u64,
    /// Contacts that were changed.
    pub updated: u64,
    /// Rows that changed nothing: known, repeated, or left alone as asked.
    pub skipped: u64,
    /// Rows that could not be taken.
    pub failed: u64,
}

/// An import.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// Its account.
    pub account: AccountId,
    /// How far it got.
    pub state: ImportState,
    /// The file's name.
    pub filename: Option<String>,
    /// The file's form.
    pub format: ImportFormat,
    /// The file's bytes.
    pub size: u64,
    /// The country in which national numbers are read.
    pub country: Option<String>,
    /// What was asked for.
    pub options: ImportOptions,
    /// What the columns hold, once the header is read.
    pub columns: Option<Columns>,
    /// The last row that was read.
    pub parsed: u64,
    /// What the rows would do.
    pub counts: ImportCounts,
    /// The last row that was carried out.
    pub applied: u64,
    /// What the rows did.
    pub results: ImportResults,
    /// Whether somebody wants it to end.
    pub cancelled: bool,
    /// Why it failed.
    pub problem: Option<String>,
    /// Who asked for it.
    pub actor: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
}

impl Import {
    /// Where the file's bytes are.
    pub(crate) fn blob_key(&self) -> String {
        format!("{}/imports/{}", self.account, self.id)
    }
}

/// A row of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Its number in the file, from 1; blank lines are not counted.
    pub number: u64,
    /// What it would do, or did.
    pub state: RowState,
    /// The number, as it was read; as it stands in the file where it cannot be.
    pub phone: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The rest.
    pub fields: Fields,
    /// The column that is wrong.
    pub column: Option<String>,
    /// What is wrong with it and how to mend it.
    pub problem: Option<String>,
    /// The contact that it made or changed.
    pub contact: Option<ContactId>,
}

/// A unit of work with imports.
pub trait ImportsWork: Work {
    /// A tenant's imports.
    fn imports(&self, scope: Scope) -> Box<dyn ImportRepo + '_>;

    /// The imports of the installation.
    fn import_registry(&self, scope: InstallationScope) -> Box<dyn ImportRegistry + '_>;
}

/// What importing needs.
pub trait ImportUse: ImportsWork + ContactsUse + JobsWork {}
impl<T: ImportsWork + ContactsUse + JobsWork + ?Sized> ImportUse for T {}

/// A tenant's imports.
#[async_trait]
pub trait ImportRepo: Send {
    /// Stores a new import.
    async fn insert(&mut self, import: &Import) -> Result<(), StoreError>;

    /// An import.
    async fn get(&mut self, id: ImportId) -> Result<Option<Import>, StoreError>;

    /// Imports, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Import>, StoreError>;

    /// Stores everything that changes but `cancelled`, if state and progress are still those of
    /// `before`. `false` when somebody else went on.
    async fn save(&mut self, import: &Import, before: &Import) -> Result<bool, StoreError>;

    /// Notes that somebody wants it to end. `false` if there is no such import.
    async fn cancel(&mut self, id: ImportId, at: Timestamp) -> Result<bool, StoreError>;

    /// Stores rows.
    async fn insert_rows(&mut self, id: ImportId, rows: &[ImportRow]) -> Result<(), StoreError>;

    /// At most `limit` rows behind a number, of these states or of any.
    async fn rows(
        &mut self,
        id: ImportId,
        states: &[RowState],
        after: u64,
        limit: u32,
    ) -> Result<Vec<ImportRow>, StoreError>;

    /// Notes what rows did.
    async fn settle_rows(
        &mut self,
        id: ImportId,
        rows: &[(u64, RowState, Option<ContactId>)],
    ) -> Result<(), StoreError>;

    /// Stores names and variables of contacts.
    async fn write_contacts(
        &mut self,
        contacts: &[(ContactId, Option<String>, BTreeMap<String, String>)],
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// The imports of the installation.
#[async_trait]
pub trait ImportRegistry: Send {
    /// At most `limit` imports from before `before`, whoever's.
    async fn old(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Import>, StoreError>;

    /// Forgets an import and its rows.
    async fn forget(&mut self, id: ImportId) -> Result<(), StoreError>;
}
