//! Reading single leaves, each of which a stranger wrote: made storable, and never without bounds.

use kabar_core::Timestamp;
use serde_json::{Map, Value};

use crate::capabilities;

/// The longest id that we take, in bytes. WhatsApp's are below 50, and an index holds no page.
const LONGEST_ID: usize = 512;
/// The most characters of a name, a title, or another single line.
const LONGEST_NAME: usize = 1_024;
/// The most bytes of JSON inside a message that are read as JSON.
const LONGEST_JSON: usize = 64 * 1024;
/// The first second of the year 10000, which no database of ours would keep.
const YEAR_10000: i64 = 253_402_300_800;

/// Words that say something, cut where WhatsApp's own senders must stop.
pub(crate) fn words(text: Option<&str>) -> Option<String> {
    let text = text.filter(|text| !text.trim().is_empty())?;
    Some(cut(text, capabilities::TEXT))
}

/// A name, a title, or another single line that says something.
pub(crate) fn name(text: Option<&str>) -> Option<String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty())?;
    Some(cut(text, LONGEST_NAME))
}

/// An id: characters that can be seen.
pub(crate) fn id(text: Option<&str>) -> Option<String> {
    let id = text?;
    let readable = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    readable.then(|| id.to_owned())
}

/// A point in time that storage keeps: after 1970 and before the year 10000.
pub(crate) fn time(at: Timestamp) -> Option<Timestamp> {
    (1..YEAR_10000).contains(&at.timestamp()).then_some(at)
}

/// JSON inside text. What is too long or no JSON stays text.
pub(crate) fn json(text: &str) -> Value {
    let parsed = (text.len() <= LONGEST_JSON).then(|| serde_json::from_str(text).ok()).flatten();
    parsed.map_or_else(|| Value::String(cut(text, LONGEST_JSON)), storable)
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).map(harmless).collect()
}

/// PostgreSQL keeps no U+0000, neither in text nor in JSON.
const fn harmless(c: char) -> char {
    if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }
}

/// The parser's own limit of 128 levels bounds the recursion.
fn storable(value: Value) -> Value {
    let clean = |text: String| text.chars().map(harmless).collect::<String>();
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => items.into_iter().map(storable).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| (clean(key), storable(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leaves_are_bounded_and_storable() {
        assert_eq!(words(Some("a\0b")).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(words(Some(" \n")), None);
        assert_eq!(words(Some(&"ä".repeat(70_000))).map(|text| text.chars().count()), Some(65_536));
        assert_eq!(name(Some(" Budi \n")).as_deref(), Some("Budi"));
        assert_eq!(id(Some("3EB0")).as_deref(), Some("3EB0"));
        for unreadable in ["", "a b", "é", "\0", &"A".repeat(513)] {
            assert_eq!(id(Some(unreadable)), None, "{unreadable}");
        }
    }

    #[test]
    fn times_that_no_database_keeps_are_unreadable() {
        let time = |seconds| Timestamp::from_timestamp(seconds, 0).and_then(time);
        assert!(time(1_760_000_000).is_some());
        assert!(time(0).is_none());
        assert!(time(-1).is_none());
        assert!(time(YEAR_10000).is_none());
    }

    #[test]
    fn json_inside_text_is_made_storable() {
        assert_eq!(json("{\"a\\u0000\":[\"\\u0000\"]}"), json!({ "a\u{fffd}": ["\u{fffd}"] }));
        assert_eq!(json("no json"), json!("no json"));
        assert_eq!(json(&"[".repeat(10_000)).as_str().map(str::len), Some(10_000));
    }
}
