//! Between what columns hold and what the domain speaks.

use std::fmt::Display;
use std::str::FromStr;

use kabar_core::{StoreError, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::bad_row;

/// Microseconds since 1970, as the `_at` columns keep time.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

/// The same, where there may be none.
pub(crate) fn micros_opt(at: Option<Timestamp>) -> Option<i64> {
    at.map(micros)
}

/// A point in time from a column; a number beyond the calendar becomes its end.
pub(crate) fn time(micros: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(micros).unwrap_or(Timestamp::MAX_UTC)
}

/// The same, where there may be none.
pub(crate) fn time_opt(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(time)
}

/// JSON for a column.
pub(crate) fn json(value: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(value).map_err(|error| StoreError::Refused(Box::new(error)))
}

/// JSON for a column, where there may be none.
pub(crate) fn json_opt<T: Serialize>(value: Option<&T>) -> Result<Option<Value>, StoreError> {
    value.map(json).transpose()
}

/// JSON as a text, for the columns of [`Sql::insert`](crate::raw::Sql::insert) that hold it.
pub(crate) fn json_text(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Refused(Box::new(error)))
}

/// The same, where there may be none.
pub(crate) fn json_text_opt<T: Serialize>(value: Option<&T>) -> Result<Option<String>, StoreError> {
    value.map(json_text).transpose()
}

/// Names the place when a column cannot be read.
pub(crate) struct Column<'a> {
    pub(crate) table: &'static str,
    pub(crate) row: &'a dyn Display,
    pub(crate) name: &'static str,
}

impl Column<'_> {
    /// A word of a closed list, or a text with a strict form.
    pub(crate) fn word<T>(&self, text: &str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        text.parse().map_err(|error| bad_row(self.table, self.row, self.name, error))
    }

    /// A JSON document.
    pub(crate) fn json<T: DeserializeOwned>(&self, value: Value) -> Result<T, StoreError> {
        serde_json::from_value(value)
            .map_err(|error| bad_row(self.table, self.row, self.name, error))
    }

    /// A JSON document, where there may be none.
    pub(crate) fn json_opt<T: DeserializeOwned>(
        &self,
        value: Option<Value>,
    ) -> Result<Option<T>, StoreError> {
        value.map(|value| self.json(value)).transpose()
    }
}

/// Shorthand for a [`Column`].
pub(crate) fn column<'a>(
    table: &'static str,
    row: &'a dyn Display,
    name: &'static str,
) -> Column<'a> {
    Column { table, row, name }
}
