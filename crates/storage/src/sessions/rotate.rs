//! Sealing the values of sessions anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kabar_core::{DeviceId, StoreError};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, QueryResult, Statement};
use uuid::Uuid;

use super::VALUES;
use super::row::place;
use crate::error::{bad_row, store};
use crate::raw::Sql;
use crate::rotate::Resealed;
use crate::unit::Unit;

/// Up to where values were sealed anew: there may be millions, and each batch would look through all
/// that are done. Only a hint: whoever reaches the end begins once more, until nothing is found.
#[derive(Debug, Default)]
pub(crate) struct Reached(Mutex<Option<Key>>);

type Key = (Uuid, String, Vec<u8>);

impl Reached {
    fn get(&self) -> Option<Key> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, key: Option<Key>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }
}

/// A value that is sealed under another key than the first. One that its session is writing this
/// moment is passed over: a session must not wait for this, and seals under the first key itself.
struct Stale {
    key: Key,
    value: Vec<u8>,
    sealed_by: String,
}

/// Seals at most `left` values anew.
pub(crate) async fn reseal(
    unit: &Unit,
    current: &str,
    left: u64,
    reached: &Reached,
) -> Result<Resealed, StoreError> {
    let mut after = reached.get();
    let mut found = stale(unit, current, left + 1, after.as_ref()).await?;
    if found.is_empty() && after.is_some() {
        after = None;
        found = stale(unit, current, left + 1, None).await?;
    }
    let more = found.len() as u64 > left;
    let mut done = 0;
    for row in found.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        done += again(unit, row).await?;
        after = Some(row.key.clone());
    }
    // The end of the table is not the end of the work when it was not begun at the beginning.
    let more = more || (done > 0 && reached.get().is_some());
    reached.set(if more { after } else { None });
    Ok(Resealed { done, more })
}

async fn stale(
    unit: &Unit,
    current: &str,
    limit: u64,
    after: Option<&Key>,
) -> Result<Vec<Stale>, StoreError> {
    let mut sql = Sql::new(unit.tx());
    sql.push(
        "SELECT device_id, kind, key, value, sealed_by FROM session_values WHERE sealed_by <> ",
    )
    .bind(current);
    if let Some((device, kind, key)) = after {
        sql.push(" AND (device_id, kind, key) > (")
            .bind(*device)
            .push(", ")
            .bind(kind.as_str())
            .push(", ")
            .bind(key.clone())
            .push(")");
    }
    sql.push(&format!(" ORDER BY device_id, kind, key LIMIT {limit}"))
        .on_postgres(" FOR UPDATE SKIP LOCKED");
    unit.rows(sql).await?.iter().map(read).collect()
}

fn read(row: &QueryResult) -> Result<Stale, StoreError> {
    let device: Uuid = row.try_get("", "device_id").map_err(store)?;
    let kind: String = row.try_get("", "kind").map_err(store)?;
    let key: Vec<u8> = row.try_get("", "key").map_err(store)?;
    Ok(Stale {
        key: (device, kind, key),
        value: row.try_get("", "value").map_err(store)?,
        sealed_by: row.try_get("", "sealed_by").map_err(store)?,
    })
}

/// Seals a value anew, unless it was written meanwhile.
async fn again(unit: &Unit, stale: &Stale) -> Result<u64, StoreError> {
    let (device, kind, key) = &stale.key;
    let place = place(DeviceId::from(*device), kind, key);
    let wrong = |error| bad_row(VALUES, format!("{device}/{kind}"), "value", error);
    let plain = unit.ring().open_bytes(&stale.sealed_by, &stale.value, &place).map_err(wrong)?;
    let (sealed, by) = {
        let sealer = unit.ring().sealer();
        (sealer.seal(&plain, &place).map_err(wrong)?, sealer.id().to_owned())
    };
    let mut sql = Sql::new(unit.tx());
    sql.push("UPDATE session_values SET value = ")
        .bind(sealed)
        .push(", sealed_by = ")
        .bind(by)
        .push(" WHERE device_id = ")
        .bind(*device)
        .push(" AND kind = ")
        .bind(kind.as_str())
        .push(" AND key = ")
        .bind(key.clone())
        .push(" AND value = ")
        .bind(stale.value.clone());
    unit.execute(sql).await
}

/// How many values are sealed under each key, added to `keys`.
pub(crate) async fn keys_in_use(
    transaction: &DatabaseTransaction,
    keys: &mut BTreeMap<String, u64>,
) -> Result<(), StoreError> {
    let sql = "SELECT sealed_by, COUNT(*) FROM session_values WHERE sealed_by IS NOT NULL \
               GROUP BY 1";
    let statement = Statement::from_string(transaction.get_database_backend(), sql);
    for row in transaction.query_all_raw(statement).await.map_err(store)? {
        let key: String = row.try_get_by_index(0).map_err(store)?;
        let count: i64 = row.try_get_by_index(1).map_err(store)?;
        *keys.entry(key).or_default() += count.unsigned_abs();
    }
    Ok(())
}
