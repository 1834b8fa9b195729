//! Backup and restore: all rows and files of an installation in one file, while it runs, and back
//! into an empty database of either kind.
//!
//! * A backup is one consistent picture: a repeatable-read transaction on PostgreSQL, a snapshot on
//!   SQLite. Senders and receivers go on meanwhile.
//! * Rows are written as texts with the kind of each column, so a backup of SQLite can be restored
//!   into PostgreSQL and the other way round.
//! * The last member is the manifest, with the SHA-256 of every other: a file that was cut off or
//!   changed is refused before anything is touched.
//! * **The key ring is never inside.** Secrets stay sealed; without the keys they cannot be opened.
//! * A restore is one transaction: it happens as a whole, or not at all.
//!
//! # When a table refers to positions of the event log, or a job sends
//! Add the column to `POSITIONS` in `load.rs`, what sends to `hold.rs`.

mod archive;
mod dump;
mod hold;
mod load;
mod schema;

use std::collections::BTreeMap;
use std::path::Path;

use kabar_core::{StoreError, Timestamp};
use kabar_messaging::BlobStore;
use serde::{Deserialize, Serialize};

use crate::OpenError;
use schema::Table;

/// The last member's name.
const MANIFEST: &str = "manifest.json";
/// The folder of the files' members.
const FILES: &str = "files/";
/// The form of the archive.
const FORMAT: u16 = 1;

/// Why there is no backup, or it cannot be restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file cannot be read or written.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no whole backup: it was cut off or changed.
    #[error("this is no whole backup: {0}")]
    Broken(String),
    /// It was made by a version that this one does not know.
    #[error(
        "the backup was made by Kabar {made_by}, which is newer: its migration {migration} is unknown here"
    )]
    Newer {
        /// The version that made it.
        made_by: String,
        /// The first migration that is not known.
        migration: String,
    },
    /// Its secrets cannot be opened here.
    #[error(
        "the backup's secrets are sealed under the key `{0}`, which is not on the ring: restore with \
         the keys of the installation that was backed up"
    )]
    MissingKey(String),
    /// The database holds data.
    #[error("the database is not empty (table `{0}`): restore into an empty one, or replace it")]
    NotEmpty(String),
    /// A database of another version would have to be replaced.
    #[error(
        "the backup has other migrations than this database; restore it into an empty database \
         instead of replacing this one"
    )]
    OtherSchema,
    /// Somebody uses the database.
    #[error("{0} other connection(s) of Kabar use this database: stop every node first")]
    InUse(i64),
    /// The files cannot be read or written.
    #[error(transparent)]
    Blobs(#[from] kabar_messaging::media::BlobError),
    /// The database says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The schema cannot be made.
    #[error(transparent)]
    Schema(#[from] OpenError),
}

/// What is said while a backup is made or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// So many members of the archive were found whole.
    Checked(u64),
    /// So many rows of a table are done.
    Rows(&'a str, u64),
    /// So many files are done.
    Files(u64),
}

/// Told how far it is.
pub type Report<'a> = &'a (dyn Fn(Progress<'_>) + Send + Sync);

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// When it was made.
    pub made_at: Timestamp,
    /// The version that made it.
    pub made_by: String,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Files.
    pub files: u64,
    /// Names of the keys that its secrets are sealed under; the keys are not inside.
    pub keys: Vec<String>,
    /// After a restore: messages that were held because they may have been sent since the backup.
    pub held: u64,
}

/// How a backup is restored.
#[derive(Debug, Clone, Copy)]
pub struct RestoreOptions {
    /// Removes what the database and the file store hold.
    pub replace: bool,
    /// Messages that waited become *uncertain* instead of being sent: whether they were sent after
    /// the backup was made is not in it. Paired sessions do not connect until somebody asks for it.
    pub hold_outbox: bool,
    /// Restores although secrets cannot be opened with the keys at hand.
    pub without_keys: bool,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self { replace: false, hold_outbox: true, without_keys: false }
    }
}

/// What the last member says.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u16,
    version: String,
    made_at: Timestamp,
    migrations: Vec<String>,
    tables: Vec<Table>,
    rows: BTreeMap<String, u64>,
    files: u64,
    keys: Vec<String>,
    /// SHA-256 of each member, in hexadecimal digits.
    members: BTreeMap<String, String>,
}

impl Manifest {
    fn summary(self, held: u64) -> BackupSummary {
        BackupSummary {
            made_at: self.made_at,
            made_by: self.version,
            rows: self.rows,
            files: self.files,
            keys: self.keys,
            held,
        }
    }
}

/// Every table's columns.
pub(crate) async fn columns(
    connection: &impl sea_orm::ConnectionTrait,
) -> Result<std::collections::BTreeSet<(String, String)>, StoreError> {
    let tables = schema::tables(connection).await?;
    let columns = tables.into_iter().flat_map(|table| {
        table.columns.into_iter().map(move |(column, _)| (table.name.clone(), column))
    });
    Ok(columns.collect())
}

/// Every row of every table as the lines of a backup, for tests that compare databases.
#[cfg(feature = "testing")]
pub(crate) async fn rows(
    snapshot: &sea_orm::DatabaseTransaction,
) -> Result<BTreeMap<String, Vec<String>>, BackupError> {
    let mut all = BTreeMap::new();
    for table in schema::tables(snapshot).await? {
        all.insert(table.name.clone(), dump::lines(snapshot, &table).await?);
    }
    Ok(all)
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError + use<> {
    let file = path.display().to_string();
    |source| BackupError::File { file, source }
}

impl crate::Database {
    /// Writes all rows and files to a new file at `path`, as they are now. Nobody has to stop for it.
    ///
    /// # Errors
    /// [`BackupError`]; then there is no file.
    pub async fn backup(
        &self,
        blobs: &dyn BlobStore,
        path: &Path,
        now: Timestamp,
        report: Report<'_>,
    ) -> Result<BackupSummary, BackupError> {
        dump::backup(self, blobs, path, now, report).await
    }

    /// Checks that a file is a whole backup, and says what it holds.
    ///
    /// # Errors
    /// [`BackupError::File`], [`BackupError::Broken`].
    pub async fn inspect_backup(
        path: &Path,
        report: Report<'_>,
    ) -> Result<BackupSummary, BackupError> {
        Ok(load::check(path, report).await?.summary(0))
    }

    /// Brings a backup back: checks it, makes the schema that it was made with, loads every row in
    /// one transaction, and brings the schema up to date. Nothing else may use the database.
    ///
    /// # Errors
    /// [`BackupError`]; the database's rows are then as they were.
    pub async fn restore(
        &self,
        blobs: &dyn BlobStore,
        path: &Path,
        options: RestoreOptions,
        now: Timestamp,
        report: Report<'_>,
    ) -> Result<BackupSummary, BackupError> {
        load::restore(self, blobs, path, options, now, report).await
    }
}
