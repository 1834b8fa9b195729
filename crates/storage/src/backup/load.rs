//! Writing everything back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use kabar_core::{StoreError, Timestamp};
use kabar_messaging::BlobStore;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement};
use sha2::{Digest as _, Sha256};

use super::archive::{Member, Reader};
use super::schema::{Table, tables};
use super::{
    BackupError, BackupSummary, FILES, FORMAT, MANIFEST, Manifest, Progress, Report,
    RestoreOptions, hold,
};
use crate::Database;
use crate::error::store;

/// Tables with the two columns of a position in the event log.
const POSITIONS: &[(&str, &str, &str)] = &[
    ("events_removed", "transaction", "number"),
    ("log_readers", "transaction", "number"),
    ("webhook_deliveries", "event_transaction", "event_number"),
    ("webhook_position", "event_transaction", "event_number"),
];
/// Tables and columns that hold a snapshot of the database that they were made in.
const SNAPSHOTS: &[(&str, &str)] = &[("log_readers", "seen")];
/// Tables that are never empty once an installation was started.
const STARTED: &[&str] = &["users", "accounts"];

/// Reads the whole archive and compares it with its manifest.
pub(super) async fn check(path: &Path, report: Report<'_>) -> Result<Manifest, BackupError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
            super::file_error(path)(error)
        }
        _ => BackupError::Broken(error.to_string()),
    };
    let mut reader = Reader::open(path).map_err(failed)?;
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    while let Some(member) = reader.next().await.map_err(failed)? {
        if member.name == MANIFEST {
            return checked(&member, &found);
        }
        found.insert(member.name, hex::encode(Sha256::digest(&member.bytes)));
        report(Progress::Checked(found.len() as u64));
    }
    Err(BackupError::Broken("it has no manifest, so it was cut off".to_owned()))
}

fn checked(member: &Member, found: &BTreeMap<String, String>) -> Result<Manifest, BackupError> {
    let manifest: Manifest = serde_json::from_slice(&member.bytes)
        .map_err(|error| BackupError::Broken(format!("{MANIFEST}: {error}")))?;
    if manifest.format != FORMAT {
        return Err(BackupError::Broken(format!("its form {} is unknown", manifest.format)));
    }
    let names: BTreeSet<&String> = manifest.members.keys().chain(found.keys()).collect();
    for name in names {
        if manifest.members.get(name) != found.get(name) {
            return Err(BackupError::Broken(format!("{name} is not what was written")));
        }
    }
    Ok(manifest)
}

pub(super) async fn restore(
    database: &Database,
    blobs: &dyn BlobStore,
    path: &Path,
    options: RestoreOptions,
    now: Timestamp,
    report: Report<'_>,
) -> Result<BackupSummary, BackupError> {
    let manifest = check(path, report).await?;
    if let Some(key) = manifest.keys.iter().find(|key| !database.has_key(key))
        && !options.without_keys
    {
        return Err(BackupError::MissingKey(key.clone()));
    }
    prepare(database, &manifest, options).await?;
    let work = database.alone().await?;
    let mut load = Load { database: &work, blobs, manifest: &manifest, report, files: 0 };
    load.in_any_order().await?;
    load.clear().await?;
    load.members(path).await?;
    load.compare().await?;
    load.positions().await?;
    load.sequences().await?;
    load.leases().await?;
    let held = if options.hold_outbox { hold::outbox(&work, now).await? } else { 0 };
    work.commit().await.map_err(store)?;
    database.migrate().await?;
    if options.replace {
        forget_files(blobs, &manifest).await?;
    }
    Ok(manifest.summary(held))
}

/// Sees to a schema like that of the backup, with nothing in it.
async fn prepare(
    database: &Database,
    manifest: &Manifest,
    options: RestoreOptions,
) -> Result<(), BackupError> {
    let known = Database::known_migrations();
    if let Some((_, unknown)) = manifest
        .migrations
        .iter()
        .enumerate()
        .find(|(place, name)| known.get(*place) != Some(*name))
    {
        let (made_by, migration) = (manifest.version.clone(), unknown.clone());
        return Err(BackupError::Newer { made_by, migration });
    }
    let others = database.other_connections().await?;
    if others > 0 {
        return Err(BackupError::InUse(others));
    }
    let applied = database.applied_migrations().await?;
    let full = if applied.is_empty() { None } else { in_use(database).await? };
    if let Some(table) = full {
        if !options.replace {
            return Err(BackupError::NotEmpty(table));
        }
        if applied != manifest.migrations {
            return Err(BackupError::OtherSchema);
        }
    }
    database.migrate_to(manifest.migrations.len()).await?;
    Ok(())
}

/// A table that says that the installation was started.
async fn in_use(database: &Database) -> Result<Option<String>, BackupError> {
    let snapshot = database.snapshot().await?;
    for table in tables(&snapshot).await? {
        if STARTED.contains(&table.name.as_str()) && count(&snapshot, &table.name).await? > 0 {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}

async fn count(connection: &DatabaseTransaction, table: &str) -> Result<u64, StoreError> {
    let found = number(connection, format!("SELECT COUNT(*) FROM \"{table}\"")).await?;
    Ok(u64::try_from(found.unwrap_or(0)).unwrap_or(0))
}

/// The one number that a query gives.
async fn number(connection: &DatabaseTransaction, sql: String) -> Result<Option<i64>, StoreError> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.map_err(store)?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0).map_err(store))
}

struct Load<'a> {
    database: &'a DatabaseTransaction,
    blobs: &'a dyn BlobStore,
    manifest: &'a Manifest,
    report: Report<'a>,
    files: u64,
}

impl Load<'_> {
    fn backend(&self) -> DbBackend {
        self.database.get_database_backend()
    }

    async fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.database.execute_unprepared(sql).await.map(|_| ()).map_err(store)
    }

    /// Lets rows come before those that they refer to, until the end: the backup may be of a database
    /// that keeps fewer references.
    async fn in_any_order(&self) -> Result<(), BackupError> {
        if self.backend() == DbBackend::Sqlite {
            self.run("PRAGMA defer_foreign_keys = ON").await?;
        }
        Ok(())
    }

    /// The schema must be the manifest's; what a migration or a first start put there goes.
    async fn clear(&self) -> Result<(), BackupError> {
        let mut here = tables(self.database).await?;
        let mut there = self.manifest.tables.clone();
        for table in here.iter().rev() {
            self.run(&format!("DELETE FROM \"{}\"", table.name)).await?;
        }
        for tables in [&mut here, &mut there] {
            tables.sort_by(|one, other| one.name.cmp(&other.name));
            // Databases may differ in the key of the log.
            for table in tables {
                table.key.clear();
            }
        }
        if here == there {
            return Ok(());
        }
        let names = |tables: &[Table]| tables.iter().map(|table| table.name.clone()).collect();
        let (here, there): (BTreeSet<_>, BTreeSet<_>) = (names(&here), names(&there));
        let odd: Vec<&String> = here.symmetric_difference(&there).collect();
        Err(BackupError::Broken(format!("its tables do not fit its migrations: {odd:?}")))
    }

    async fn members(&mut self, path: &Path) -> Result<(), BackupError> {
        let failed = |error: std::io::Error| BackupError::Broken(error.to_string());
        let mut reader = Reader::open(path).map_err(failed)?;
        let mut rows: BTreeMap<String, u64> = BTreeMap::new();
        while let Some(member) = reader.next().await.map_err(failed)? {
            if let Some(key) = member.name.strip_prefix(FILES) {
                self.blobs.put(key, Bytes::from(member.bytes)).await?;
                self.files += 1;
                (self.report)(Progress::Files(self.files));
            } else if let Some(table) = self.table_of(&member.name) {
                let done = rows.entry(table.name.clone()).or_default();
                *done += self.insert(table, &member).await?;
                (self.report)(Progress::Rows(&table.name, *done));
            }
        }
        Ok(())
    }

    /// Whether the backup has a table with a column.
    fn has(&self, table: &str, column: &str) -> bool {
        let tables = self.manifest.tables.iter().filter(|found| found.name == table);
        tables.flat_map(|found| &found.columns).any(|(name, _)| name == column)
    }

    fn table_of(&self, member: &str) -> Option<&Table> {
        let folder = member.strip_prefix("tables/")?.split('/').next()?;
        let (_, name) = folder.split_once('-')?;
        self.manifest.tables.iter().find(|table| table.name == name)
    }

    /// Inserts the lines of a member with one statement.
    async fn insert(&self, table: &Table, member: &Member) -> Result<u64, BackupError> {
        let lines = std::str::from_utf8(&member.bytes)
            .map_err(|error| BackupError::Broken(format!("{}: {error}", member.name)))?;
        let array = format!("[{}]", lines.trim_end().replace('\n', ","));
        let names: Vec<String> =
            table.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let backend = self.backend();
        let values = table.columns.iter().enumerate().map(|(place, (_, kind))| {
            let text = match backend {
                DbBackend::Postgres => format!("r.value->>{place}"),
                _ => format!("json_extract(r.value, '$[{place}]')"),
            };
            kind.write(&format!("({text})"), backend)
        });
        let values: Vec<String> = values.collect();
        let source = match backend {
            DbBackend::Postgres => "json_array_elements(CAST($1 AS json)) AS r (value)",
            _ => "json_each(?) AS r",
        };
        let sql = format!(
            "INSERT INTO \"{}\" ({}) SELECT {} FROM {source}",
            table.name,
            names.join(", "),
            values.join(", ")
        );
        let statement = Statement::from_sql_and_values(backend, sql, [array.into()]);
        let done = self.database.execute_raw(statement).await.map_err(store)?;
        Ok(done.rows_affected())
    }

    /// What arrived must be what was counted when the backup was made.
    async fn compare(&self) -> Result<(), BackupError> {
        for table in &self.manifest.tables {
            let (wanted, found) = (
                self.manifest.rows.get(&table.name).copied().unwrap_or_default(),
                count(self.database, &table.name).await?,
            );
            if wanted != found {
                let problem = format!("{}: {wanted} rows were saved, {found} arrived", table.name);
                return Err(BackupError::Broken(problem));
            }
        }
        Ok(())
    }

    /// Positions of the log follow the database's own transaction numbers. Where the backup's lie
    /// ahead of this database's, new events would be sorted before old ones: the old ones are
    /// numbered anew, in their order, under the transaction 0.
    async fn positions(&self) -> Result<(), BackupError> {
        let last = number(self.database, "SELECT MAX(\"transaction\") FROM events".to_owned());
        let last = last.await?.unwrap_or(0);
        let here = match self.backend() {
            DbBackend::Postgres => {
                number(self.database, "SELECT pg_current_xact_id()::text::bigint".to_owned())
                    .await?
                    .unwrap_or(0)
            }
            // Every event has the transaction 0.
            _ => 1,
        };
        if last < here {
            return Ok(());
        }
        for (table, transaction, number) in POSITIONS {
            if self.has(table, transaction) {
                self.run(&format!(
                    "UPDATE \"{table}\" SET \"{number}\" = (SELECT COUNT(*) FROM events e WHERE \
                     e.\"transaction\" < \"{table}\".\"{transaction}\" OR (e.\"transaction\" = \
                     \"{table}\".\"{transaction}\" AND e.number <= \"{table}\".\"{number}\")), \
                     \"{transaction}\" = 0 WHERE \"{transaction}\" > 0 AND ('{table}' <> \
                     'webhook_deliveries' OR EXISTS (SELECT 1 FROM events e WHERE e.\"transaction\" \
                     = \"{table}\".\"{transaction}\" AND e.number = \"{table}\".\"{number}\"))"
                ))
                .await?;
            }
        }
        for (table, column) in SNAPSHOTS {
            if self.has(table, column) {
                self.run(&format!("UPDATE \"{table}\" SET \"{column}\" = NULL")).await?;
            }
        }
        // In two steps, the first of which meets no number that is taken.
        self.run(
            "UPDATE events SET number = -o.place, \"transaction\" = -1 FROM (SELECT \
             e.\"transaction\" AS old_transaction, e.number AS old_number, ROW_NUMBER() OVER \
             (ORDER BY e.\"transaction\", e.number) AS place FROM events e) o \
             WHERE events.\"transaction\" = o.old_transaction AND events.number = o.old_number",
        )
        .await?;
        self.run("UPDATE events SET number = -number, \"transaction\" = 0").await?;
        Ok(())
    }

    /// Nobody holds a restored session. Its fence lies far ahead of any that was given since the backup
    /// was made: who still runs one from before the restore never meets its own token again.
    async fn leases(&self) -> Result<(), BackupError> {
        const AHEAD: i64 = 1 << 32;
        if self.has("session_leases", "fence") {
            self.run(&format!(
                "UPDATE session_leases SET node = NULL, free_at = 0, fence = fence + {AHEAD}"
            ))
            .await?;
        }
        Ok(())
    }

    /// Numbers go on after the restored ones. SQLite sees to it by itself.
    async fn sequences(&self) -> Result<(), BackupError> {
        if self.backend() != DbBackend::Postgres {
            return Ok(());
        }
        let query = "SELECT table_name::text, column_name::text FROM information_schema.columns \
                     WHERE table_schema = current_schema() AND column_default LIKE 'nextval(%'";
        let statement = Statement::from_string(self.backend(), query);
        for row in self.database.query_all_raw(statement).await.map_err(store)? {
            let table: String = row.try_get_by_index(0).map_err(store)?;
            let column: String = row.try_get_by_index(1).map_err(store)?;
            self.run(&format!(
                "SELECT setval(pg_get_serial_sequence('\"{table}\"', '{column}'), \
                 MAX(\"{column}\")) FROM \"{table}\" HAVING MAX(\"{column}\") IS NOT NULL"
            ))
            .await?;
        }
        Ok(())
    }
}

/// Removes files that are not the backup's.
async fn forget_files(blobs: &dyn BlobStore, manifest: &Manifest) -> Result<(), BackupError> {
    let keys: Vec<String> = blobs.list().try_collect().await?;
    for key in keys {
        if !manifest.members.contains_key(&format!("{FILES}{key}")) {
            blobs.delete(&key).await?;
        }
    }
    Ok(())
}
