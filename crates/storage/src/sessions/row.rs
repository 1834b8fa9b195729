//! Items as rows, and back.

use bytes::Bytes;
use kabar_channel::vault::{Item, Shelf};
use kabar_core::{DeviceId, StoreError};
use sea_orm::{QueryResult, Value};

use super::VALUES;
use crate::error::{bad_row, store};
use crate::keyring::{KeyRing, KeyRingError, Sealer};

/// Every column, in the order of [`row`].
pub(super) const COLUMNS: &[&str] =
    &["device_id", "kind", "key", "value", "sealed_by", "due", "mark", "tag"];

/// The columns that [`item`] reads.
pub(super) const READ: &str = "SELECT key, value, sealed_by, due, mark, tag FROM session_values";

/// What is bound to a value: its table, row and column. The key comes last, because it alone may
/// hold any byte.
pub(super) fn place(device: DeviceId, kind: &str, key: &[u8]) -> Vec<u8> {
    let mut place = format!("{VALUES}|{}|{kind}|value|", device.uuid().simple()).into_bytes();
    place.extend(key);
    place
}

/// An item as a row, sealed.
pub(super) fn row(
    sealer: &Sealer<'_>,
    device: DeviceId,
    shelf: Shelf,
    item: Item,
) -> Result<[Value; 8], KeyRingError> {
    let (value, sealed_by) = if item.value.is_empty() {
        (Vec::new(), None)
    } else {
        let place = place(device, shelf.as_str(), &item.key);
        (sealer.seal(&item.value, &place)?, Some(sealer.id().to_owned()))
    };
    Ok([
        device.uuid().into(),
        shelf.as_str().into(),
        item.key.into(),
        value.into(),
        sealed_by.into(),
        item.due.into(),
        item.mark.into(),
        item.tag.into(),
    ])
}

/// A row as an item, opened.
pub(super) fn item(
    ring: &KeyRing,
    device: DeviceId,
    shelf: Shelf,
    row: &QueryResult,
) -> Result<Item, StoreError> {
    let key: Vec<u8> = row.try_get("", "key").map_err(store)?;
    let value: Vec<u8> = row.try_get("", "value").map_err(store)?;
    let sealed_by: Option<String> = row.try_get("", "sealed_by").map_err(store)?;
    let value = match sealed_by {
        None => value,
        Some(id) => ring
            .open_bytes(&id, &value, &place(device, shelf.as_str(), &key))
            .map_err(|error| bad_row(VALUES, format!("{device}/{shelf}"), "value", error))?,
    };
    Ok(Item {
        key,
        value: Bytes::from(value),
        due: row.try_get("", "due").map_err(store)?,
        mark: row.try_get("", "mark").map_err(store)?,
        tag: row.try_get("", "tag").map_err(store)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_only_where_it_was_put() {
        let (ring, _) = KeyRing::generate();
        let [here, other] = [1, 2].map(|id| DeviceId::from(uuid::Uuid::from_u128(id)));
        let sealed = ring.sealer().seal(b"ratchet", &place(here, "sessions", b"a|b")).unwrap();
        let open =
            |device, kind, key: &[u8]| ring.open_bytes("k1", &sealed, &place(device, kind, key));
        assert_eq!(open(here, "sessions", b"a|b").unwrap(), b"ratchet");
        for elsewhere in [
            open(other, "sessions", b"a|b"),
            open(here, "identities", b"a|b"),
            open(here, "sessions", b"a|"),
            open(here, "sessions", b"a|b\0"),
        ] {
            assert!(matches!(elsewhere, Err(KeyRingError::Broken)));
        }
        assert!(matches!(
            ring.open_bytes("k2", &sealed, &place(here, "sessions", b"a|b")),
            Err(KeyRingError::UnknownKey(_))
        ));
    }
}
