//! Sealing every secret anew, under the first key of the ring: in small batches, while the
//! installation runs, and from wherever an earlier run stopped.

use std::collections::BTreeMap;

use kabar_core::StoreError;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};
use uuid::Uuid;

use crate::Database;
use crate::error::{bad_row, store};
use crate::keyring::Place;
use crate::raw::Sql;
use crate::sessions;
use crate::unit::Unit;

/// A column of sealed secrets.
struct Sealed {
    table: &'static str,
    /// The UUID that the secret is bound to.
    row: &'static str,
    column: &'static str,
}

/// Every column of sealed secrets. A secret for a column that is not here is refused in debug builds.
const SEALED: &[Sealed] = &[
    Sealed { table: "mails", row: "id", column: "sealed" },
    Sealed { table: "totp_secrets", row: "user_id", column: "secret" },
    Sealed { table: "devices", row: "id", column: "credential" },
    Sealed { table: "devices", row: "id", column: "proxy" },
    Sealed { table: "meta_apps", row: "id", column: "app_secret" },
    Sealed { table: "meta_apps", row: "id", column: "verify_token" },
    Sealed { table: "webhook_endpoints", row: "id", column: "headers" },
    Sealed { table: "webhook_secrets", row: "id", column: "secret" },
];

/// Whether the secrets of a column are rotated.
pub(crate) fn is_listed(table: &str, column: &str) -> bool {
    SEALED.iter().any(|sealed| sealed.table == table && sealed.column == column)
}

/// Why secrets were not sealed anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The database says no, or a row cannot be opened; it names itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What one batch did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Secrets that are sealed under the first key now.
    pub done: u64,
    /// Whether secrets are left that are not.
    pub more: bool,
}

impl Database {
    /// How many secrets are sealed under each key, by the key's name.
    ///
    /// # Errors
    /// What storage says.
    pub async fn keys_in_use(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        keys_in_use(&self.snapshot().await?).await
    }

    /// Seals at most `batch` secrets anew, under the first key of the ring, in one unit of work.
    /// A secret that is written meanwhile wins. Call it until nothing is left; what a crash
    /// interrupts goes on at the next call.
    ///
    /// # Errors
    /// [`RotateError::Store`].
    pub async fn reseal(&self, batch: u16) -> Result<Resealed, RotateError> {
        let unit = self.writing().await?;
        let current = self.ring().current();
        let mut done = Resealed::default();
        let known = crate::backup::columns(unit.tx()).await?;
        let there =
            |place: &&Sealed| known.contains(&(place.table.to_owned(), place.column.to_owned()));
        for place in SEALED.iter().filter(there) {
            let left = u64::from(batch).saturating_sub(done.done);
            let rows = stale(&unit, place, &current, left + 1).await?;
            for (row, sealed) in rows.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                done.done += reseal(&unit, place, *row, sealed).await?;
            }
            if rows.len() as u64 > left {
                done.more = true;
                break;
            }
        }
        if !done.more && known.contains(&values_column()) {
            let left = u64::from(batch).saturating_sub(done.done);
            let values = sessions::reseal(&unit, &current, left, self.resealed()).await?;
            done.done += values.done;
            done.more = values.more;
        }
        kabar_core::Work::commit(Box::new(unit)).await?;
        Ok(done)
    }
}

/// Secrets that are sealed under another key than the first.
async fn stale(
    unit: &Unit,
    place: &Sealed,
    current: &str,
    limit: u64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let Sealed { table, row, column } = place;
    let start = format!("{current}:");
    let mut sql = Sql::new(unit.tx());
    sql.push(&format!("SELECT {row}, {column} FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 1, {}) <> ", start.len()))
        .bind(start)
        .push(&format!(" ORDER BY {row} LIMIT {limit}"))
        .on_postgres(" FOR UPDATE");
    let rows = unit.rows(sql).await?;
    let read = |found: &sea_orm::QueryResult| {
        let id: Uuid = found.try_get("", row).map_err(store)?;
        let sealed: String = found.try_get("", column).map_err(store)?;
        Ok((id, sealed))
    };
    rows.iter().map(read).collect()
}

async fn reseal(unit: &Unit, place: &Sealed, id: Uuid, old: &str) -> Result<u64, StoreError> {
    let Sealed { table, row, column } = place;
    let at = Place { table, row: id, column };
    let wrong = |error| bad_row(table, id, column, error);
    let secret = unit.ring().open(old, &at).map_err(wrong)?;
    let sealed = unit.ring().seal(&secret, &at).map_err(wrong)?;
    let mut sql = Sql::new(unit.tx());
    sql.push(&format!("UPDATE {table} SET {column} = "))
        .bind(sealed)
        .push(&format!(" WHERE {row} = "))
        .bind(id)
        .push(&format!(" AND {column} = "))
        .bind(old);
    unit.execute(sql).await
}

/// The same, over a transaction that is open. A schema of an earlier version may lack a table.
pub(crate) async fn keys_in_use(
    transaction: &DatabaseTransaction,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let backend = transaction.get_database_backend();
    let known = crate::backup::columns(transaction).await?;
    let mut keys = BTreeMap::new();
    for Sealed { table, column, .. } in SEALED {
        if !known.contains(&((*table).to_owned(), (*column).to_owned())) {
            continue;
        }
        let id = match backend {
            DbBackend::Postgres => format!("split_part({column}, ':', 1)"),
            _ => format!("substr({column}, 1, instr({column}, ':') - 1)"),
        };
        let sql =
            format!("SELECT {id}, COUNT(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY 1");
        let rows = transaction.query_all_raw(Statement::from_string(backend, sql)).await;
        for row in rows.map_err(store)? {
            let key: String = row.try_get_by_index(0).map_err(store)?;
            let count: i64 = row.try_get_by_index(1).map_err(store)?;
            *keys.entry(key).or_default() += u64::try_from(count).unwrap_or(0);
        }
    }
    if known.contains(&values_column()) {
        sessions::keys_in_use(transaction, &mut keys).await?;
    }
    Ok(keys)
}

/// Values of sessions are bytes, and their keys have three parts: they are sealed anew apart.
fn values_column() -> (String, String) {
    ("session_values".to_owned(), "sealed_by".to_owned())
}
