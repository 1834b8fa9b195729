//! Reading single leaves, each of which may be absent or of another type than promised.

use chrono::DateTime;
use kabar_channel::Reason;
use kabar_core::Timestamp;
use serde_json::{Number, Value};

use crate::graph::api_error;

/// The longest id that we take, in bytes. Meta's are below 150, and an index holds no page.
const LONGEST_ID: usize = 512;

/// The first second of the year 10000, which no database of ours would keep.
const YEAR_10000: i64 = 253_402_300_800;

/// An object below a key.
pub(super) fn object<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.get(key).filter(|value| value.is_object())
}

/// Text below a key, maybe empty; a number is read as its digits.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(digits(number)),
        _ => None,
    }
}

/// Text below a key that says something.
pub(super) fn filled(value: &Value, key: &str) -> Option<String> {
    text(value, key).filter(|text| !text.trim().is_empty())
}

/// An id below a key, text or a number.
pub(super) fn id(value: &Value, key: &str) -> Option<String> {
    let id = filled(value, key)?;
    let id = id.trim();
    (id.len() <= LONGEST_ID).then(|| id.to_owned())
}

/// Whole numbers without a point, however they were written.
fn digits(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

/// A yes or no below a key.
pub(super) fn flag(value: &Value, key: &str) -> Option<bool> {
    match value.get(key)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A finite number below a key, maybe written as text.
pub(super) fn float(value: &Value, key: &str) -> Option<f64> {
    let number = match value.get(key)? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A point in time below a key: seconds since 1970 as text or number, whole or not. What lies
/// before 1970 or after the year 9999 is unreadable.
pub(super) fn time(value: &Value, key: &str) -> Option<Timestamp> {
    let seconds = match value.get(key)? {
        Value::Number(number) if number.is_i64() => number.as_i64()?,
        Value::String(text) if text.trim().parse::<i64>().is_ok() => text.trim().parse().ok()?,
        _ => format!("{:.0}", float(value, key)?.trunc()).parse().ok()?,
    };
    (1..YEAR_10000).contains(&seconds).then_some(())?;
    DateTime::from_timestamp(seconds, 0)
}

/// A reason from an element of `errors`.
pub(super) fn reason(error: &Value) -> Option<Reason> {
    match api_error(error, 0) {
        Some(error) => Some(Reason::new(error.code.to_string(), error.text())),
        None => filled(error, "title")
            .or_else(|| filled(error, "message"))
            .map(|text| Reason::new("unknown", text)),
    }
}

/// The reasons in `errors`.
pub(super) fn reasons(value: &Value) -> Vec<Reason> {
    elements(value, "errors").map(|(_, error)| error).filter_map(reason).collect()
}

/// The elements below a key with their places, like `messages[2]`. Absent and null are an empty
/// list; anything else that is no list is a list of one.
pub(super) fn elements<'a>(
    value: &'a Value,
    key: &str,
) -> impl Iterator<Item = (String, &'a Value)> {
    let list = match value.get(key) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    list.iter().enumerate().map(move |(index, element)| (format!("{key}[{index}]"), element))
}
