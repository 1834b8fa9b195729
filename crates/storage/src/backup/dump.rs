//! Reading everything.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _};
use kabar_core::Timestamp;
use kabar_messaging::BlobStore;
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Statement, StreamTrait as _};
use sha2::{Digest as _, Sha256};

use super::archive::Writer;
use super::schema::{Table, tables};
use super::{BackupError, BackupSummary, FILES, FORMAT, MANIFEST, Manifest, Progress, Report};
use crate::Database;
use crate::error::store;

/// Bytes after which a table goes on in its next member.
const PART: usize = 4 * 1024 * 1024;

pub(super) async fn backup(
    database: &Database,
    blobs: &dyn BlobStore,
    path: &Path,
    now: Timestamp,
    report: Report<'_>,
) -> Result<BackupSummary, BackupError> {
    let migrations = database.applied_migrations().await?;
    let snapshot = database.snapshot().await?;
    let mut dump = Dump {
        writer: Writer::create(path).map_err(super::file_error(path))?,
        members: BTreeMap::new(),
        rows: BTreeMap::new(),
        files: 0,
    };
    let dumped = dump.everything(&snapshot, blobs, report).await;
    let tables = match dumped {
        Ok(tables) => tables,
        Err(error) => {
            // What the writer says is nearer to the cause than that it went away.
            dump.writer.end().await.map_err(super::file_error(path))?;
            return Err(error);
        }
    };
    let keys = crate::rotate::keys_in_use(&snapshot).await?.into_keys().collect();
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now,
        migrations,
        tables,
        rows: dump.rows,
        files: dump.files,
        keys,
        members: dump.members,
    };
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| BackupError::Broken(error.to_string()))?;
    dump.writer.finish(MANIFEST, text).await.map_err(super::file_error(path))?;
    Ok(manifest.summary(0))
}

struct Dump {
    writer: Writer,
    members: BTreeMap<String, String>,
    rows: BTreeMap<String, u64>,
    files: u64,
}

impl Dump {
    async fn everything(
        &mut self,
        snapshot: &DatabaseTransaction,
        blobs: &dyn BlobStore,
        report: Report<'_>,
    ) -> Result<Vec<Table>, BackupError> {
        let tables = tables(snapshot).await?;
        for (place, table) in tables.iter().enumerate() {
            self.table(snapshot, place, table, report).await?;
        }
        // After the rows: a file is stored before its row, so none that a row names is missed.
        let mut keys = blobs.list();
        while let Some(key) = keys.try_next().await? {
            // One that was removed meanwhile is none.
            if let Some(bytes) = blobs.get(&key).await? {
                self.member(format!("{FILES}{key}"), bytes.to_vec()).await?;
                self.files += 1;
                report(Progress::Files(self.files));
            }
        }
        Ok(tables)
    }

    async fn table(
        &mut self,
        snapshot: &DatabaseTransaction,
        place: usize,
        table: &Table,
        report: Report<'_>,
    ) -> Result<(), BackupError> {
        let backend = ConnectionTrait::get_database_backend(snapshot);
        let statement = Statement::from_string(backend, select(table, backend));
        let mut rows = snapshot.stream_raw(statement).await.map_err(store)?;
        let (mut part, mut lines, mut count) = (0_u32, Vec::new(), 0_u64);
        while let Some(row) = rows.next().await {
            line(&row.map_err(store)?, table.columns.len(), &mut lines)?;
            count += 1;
            if lines.len() >= PART {
                self.member(part_name(place, table, part), std::mem::take(&mut lines)).await?;
                part += 1;
                report(Progress::Rows(&table.name, count));
            }
        }
        if !lines.is_empty() {
            self.member(part_name(place, table, part), lines).await?;
        }
        report(Progress::Rows(&table.name, count));
        self.rows.insert(table.name.clone(), count);
        Ok(())
    }

    async fn member(&mut self, name: String, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.members.insert(name.clone(), hex::encode(Sha256::digest(&bytes)));
        let failed = |source| BackupError::File { file: name.clone(), source };
        self.writer.add(name.clone(), bytes).await.map_err(failed)
    }
}

/// The lines of a table, sorted.
#[cfg(feature = "testing")]
pub(super) async fn lines(
    snapshot: &DatabaseTransaction,
    table: &Table,
) -> Result<Vec<String>, BackupError> {
    let backend = ConnectionTrait::get_database_backend(snapshot);
    let statement = Statement::from_string(backend, select(table, backend));
    let mut lines = Vec::new();
    for row in snapshot.query_all_raw(statement).await.map_err(store)? {
        let mut bytes = Vec::new();
        line(&row, table.columns.len(), &mut bytes)?;
        // Both databases write JSON with spaces of their own.
        lines.push(String::from_utf8_lossy(&bytes).replace(' ', ""));
    }
    lines.sort_unstable();
    Ok(lines)
}

fn part_name(place: usize, table: &Table, part: u32) -> String {
    format!("tables/{place:03}-{}/{part:06}.jsonl", table.name)
}

fn select(table: &Table, backend: sea_orm::DbBackend) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|(name, kind)| kind.read(&format!("\"{name}\""), backend))
        .collect();
    let order: Vec<String> = table.key.iter().map(|name| format!("\"{name}\"")).collect();
    let order = if order.is_empty() { "1".to_owned() } else { order.join(", ") };
    format!("SELECT {} FROM \"{}\" ORDER BY {order}", columns.join(", "), table.name)
}

/// A row as a line: an array of texts and nulls.
fn line(row: &QueryResult, columns: usize, lines: &mut Vec<u8>) -> Result<(), BackupError> {
    let mut values: Vec<Option<String>> = Vec::with_capacity(columns);
    for index in 0..columns {
        values.push(row.try_get_by_index(index).map_err(store)?);
    }
    serde_json::to_writer(&mut *lines, &values)
        .map_err(|error| BackupError::Broken(error.to_string()))?;
    lines.push(b'\n');
    Ok(())
}
