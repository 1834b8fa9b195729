//! Values of items.

use bytes::Bytes;
use kabar_channel::vault::{Item, Shelf};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wacore::store::error::{Result, StoreError};

/// A structure as a value.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Bytes> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| StoreError::Serialization(Box::new(error)))
}

/// The structure of a value.
pub(super) fn from_json<T: DeserializeOwned>(item: &Item) -> Result<T> {
    serde_json::from_slice(&item.value).map_err(|error| StoreError::Serialization(Box::new(error)))
}

/// The structure of an item, if there is one.
pub(super) fn maybe<T: DeserializeOwned>(item: Option<&Item>) -> Result<Option<T>> {
    item.map(from_json).transpose()
}

/// A key or value that is a text.
pub(super) fn text(shelf: Shelf, bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| odd(shelf, "is no text"))
}

/// What a shelf holds is not what was put there.
pub(super) fn odd(shelf: Shelf, problem: &str) -> StoreError {
    StoreError::Validation(format!("an item of the shelf `{shelf}` {problem}"))
}
