//! Bytes to JSON, with everything that storage could not keep made harmless.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::mend::mend;

/// Reads JSON strictly, and when that fails once more after mending what Meta is known to get
/// wrong (see [`mend`]).
///
/// # Errors
/// What keeps the text from being JSON.
pub(super) fn parse(raw: &[u8]) -> Result<Value, String> {
    let strict = serde_json::from_slice::<Clean>(raw);
    let clean = strict.or_else(|_| serde_json::from_str(&mend(&String::from_utf8_lossy(raw))));
    match clean {
        Ok(Clean(value)) => Ok(value),
        Err(error) => Err(error.to_string()),
    }
}

/// JSON without U+0000, and with repeated keys united instead of dropped.
struct Clean(Value);

impl<'de> Deserialize<'de> for Clean {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CleanVisitor).map(Self)
    }
}

struct CleanVisitor;

impl<'de> Visitor<'de> for CleanVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(storable(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Clean(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Clean(value))) = fields.next_entry::<String, Clean>()? {
            unite(&mut object, storable(&key), value);
        }
        Ok(Value::Object(object))
    }
}

/// PostgreSQL keeps no U+0000, neither in text nor in JSON.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A key that comes twice: arrays are joined and objects united, so that no message is lost;
/// otherwise the last value that is not null counts.
fn unite(object: &mut Map<String, Value>, key: String, value: Value) {
    match object.entry(key) {
        Entry::Vacant(slot) => {
            slot.insert(value);
        }
        Entry::Occupied(mut slot) => match (slot.get_mut(), value) {
            (Value::Array(old), Value::Array(new)) => old.extend(new),
            (_, Value::Null) => {}
            (Value::Array(old), new) => old.push(new),
            (Value::Object(old), Value::Object(new)) => {
                for (key, value) in new {
                    unite(old, key, value);
                }
            }
            (old, new) => *old = new,
        },
    }
}
