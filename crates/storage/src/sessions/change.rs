//! Changes as statements: one of each kind for as many items as a statement takes.

use std::collections::BTreeMap;

use kabar_channel::vault::{Change, Item, Shelf};
use kabar_core::{DeviceId, StoreError};

use super::VALUES;
use super::row::{COLUMNS, row};
use crate::Database;
use crate::raw::{Sql, chunks};
use crate::unit::at_most;

/// Rows and keys of one statement, at most: SQLite binds 32,766 values.
const CHUNK: usize = 500;
/// Bytes of a row besides its key and value: the device, the shelf, a nonce, a tag and numbers.
const ROW: usize = 160;

const REPLACE: &str = " ON CONFLICT (device_id, kind, key) DO UPDATE SET value = excluded.value, \
    sealed_by = excluded.sealed_by, tag = excluded.tag, due = excluded.due, mark = excluded.mark";

/// The greater of two numbers, of which either may be absent.
const RAISE: &str = " ON CONFLICT (device_id, kind, key) DO UPDATE SET value = excluded.value, \
    sealed_by = excluded.sealed_by, tag = excluded.tag, \
    due = CASE WHEN session_values.due >= excluded.due THEN session_values.due \
        ELSE COALESCE(excluded.due, session_values.due) END, \
    mark = CASE WHEN session_values.mark >= excluded.mark THEN session_values.mark \
        ELSE COALESCE(excluded.mark, session_values.mark) END";

/// The statements of a change. They are made before the transaction: sealing large values takes time.
pub(super) fn statements(
    database: &Database,
    device: DeviceId,
    change: Change,
) -> Result<Vec<Sql>, StoreError> {
    match change {
        Change::Put { shelf, items } => upsert(database, device, shelf, last(items), REPLACE),
        Change::Raise { shelf, items } => upsert(database, device, shelf, raised(items), RAISE),
        Change::Mark { shelf, keys, mark } => {
            let start = |sql: &mut Sql| {
                sql.push("UPDATE session_values SET mark = ").bind(mark);
            };
            Ok(by_keys(database, device, shelf, "key", keys, start))
        }
        Change::Remove { shelf, keys } => Ok(by_keys(database, device, shelf, "key", keys, delete)),
        Change::RemoveTagged { shelf, tags } => {
            Ok(by_keys(database, device, shelf, "tag", tags, delete))
        }
        Change::RemovePrefix { shelf, prefix } => {
            let mut sql = database.sql();
            delete(&mut sql);
            on_shelf(&mut sql, device, shelf);
            begins(&mut sql, &prefix);
            Ok(vec![sql])
        }
        Change::Clear => {
            let mut sql = database.sql();
            delete(&mut sql);
            sql.push(" WHERE device_id = ").bind(device.uuid());
            Ok(vec![sql])
        }
        other => Err(StoreError::Refused(format!("unknown change: {other:?}").into())),
    }
}

fn delete(sql: &mut Sql) {
    sql.push("DELETE FROM session_values");
}

/// Appends the condition of one device's shelf.
pub(super) fn on_shelf(sql: &mut Sql, device: DeviceId, shelf: Shelf) {
    sql.push(" WHERE device_id = ").bind(device.uuid()).push(" AND kind = ").bind(shelf.as_str());
}

/// Appends the condition of a key's beginning: a range, which both databases find in the key's index.
pub(super) fn begins(sql: &mut Sql, prefix: &[u8]) {
    if prefix.is_empty() {
        return;
    }
    sql.push(" AND key >= ").bind(prefix.to_vec());
    if let Some(end) = after(prefix) {
        sql.push(" AND key < ").bind(end);
    }
}

/// The first key behind all that begin so; none when there can be no such key.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let grows = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix.get(..=grows)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

/// Statements that concern the items whose `column` is one of these.
fn by_keys(
    database: &Database,
    device: DeviceId,
    shelf: Shelf,
    column: &str,
    mut keys: Vec<Vec<u8>>,
    start: impl Fn(&mut Sql),
) -> Vec<Sql> {
    keys.sort_unstable();
    keys.dedup();
    let longest = keys.iter().map(Vec::len).max().unwrap_or(0);
    chunks(&keys, at_most(database.sql().backend(), CHUNK, longest + 16))
        .map(|chunk| {
            let mut sql = database.sql();
            start(&mut sql);
            on_shelf(&mut sql, device, shelf);
            sql.push(" AND ").push(column).push(" IN ").among(chunk.to_vec());
            sql
        })
        .collect()
}

fn upsert(
    database: &Database,
    device: DeviceId,
    shelf: Shelf,
    items: Vec<Item>,
    conflict: &str,
) -> Result<Vec<Sql>, StoreError> {
    let bytes: usize = items.iter().map(|item| item.key.len() + item.value.len()).sum();
    let each = ROW + bytes / items.len().max(1);
    let most = at_most(database.sql().backend(), CHUNK, each);
    let sealer = database.ring().sealer();
    let rows: Result<Vec<_>, _> =
        items.into_iter().map(|item| row(&sealer, device, shelf, item)).collect();
    let rows = rows.map_err(|error| StoreError::Refused(Box::new(error)))?;
    let statement = |chunk: &[[sea_orm::Value; 8]]| {
        let mut sql = Sql::insert_on(database.sql().backend(), VALUES, COLUMNS, chunk.to_vec());
        sql.push(conflict);
        sql
    };
    Ok(chunks(&rows, most).map(statement).collect())
}

/// The last item of each key, in the order of their keys: a statement may meet a row once, and writers
/// that meet rows in one order do not lock each other out.
fn last(items: Vec<Item>) -> Vec<Item> {
    let items: BTreeMap<Vec<u8>, Item> =
        items.into_iter().map(|item| (item.key.clone(), item)).collect();
    items.into_values().collect()
}

/// The same, with the greatest numbers of each key.
fn raised(items: Vec<Item>) -> Vec<Item> {
    let mut found: BTreeMap<Vec<u8>, Item> = BTreeMap::new();
    for mut item in items {
        if let Some(before) = found.get(&item.key) {
            // No number is less than any.
            item.due = item.due.max(before.due);
            item.mark = item.mark.max(before.mark);
        }
        found.insert(item.key.clone(), item);
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_ends_before_the_next_key() {
        assert_eq!(after(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after(&[1, 0xff]), Some(vec![2]));
        assert_eq!(after(&[0xff, 0xff]), None);
        assert_eq!(after(b""), None);
    }

    #[test]
    fn of_items_with_one_key_the_last_value_and_the_greatest_numbers_stay() {
        let item = |value: &'static [u8], due| Item { due, ..Item::new(b"k", value) };
        let items = vec![item(b"one", Some(9)), item(b"two", None), item(b"three", Some(3))];
        assert_eq!(last(items.clone()), [item(b"three", Some(3))]);
        assert_eq!(raised(items), [item(b"three", Some(9))]);
    }
}
