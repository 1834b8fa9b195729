//! The envelope: `object`, `entry[]`, `changes[]`.

use bytes::Bytes;
use kabar_channel::{Batch, ChannelEvent, EventBody, RawBody};
use kabar_core::{MetaAppId, Timestamp};
use serde_json::Value;

use super::change::{Envelope, change};
use super::json;
use super::read::{elements, id};

/// Decodes the body of a webhook whose signature was checked. Never fails; see the
/// [module](super) for what it promises.
///
/// `app` is the app whose secret signed the body. `received_at` is the time of receipt: a message
/// or status that claims to be more than a day ahead of it has no readable time.
pub fn decode(app: MetaAppId, raw: &[u8], received_at: Timestamp) -> Batch {
    let mut events = Vec::new();
    match json::parse(raw) {
        Ok(document) => entries(&mut events, &document, received_at),
        Err(problem) => {
            let problem = format!("the body is no JSON: {problem}");
            events.push(unknown("body", problem, &Value::Null));
        }
    }
    let bytes = Bytes::copy_from_slice(raw);
    let raw = Some(RawBody { app, bytes });
    Batch { events, raw, within: None }
}

/// What cannot be read, kept raw.
pub(super) fn unknown(place: &str, problem: impl Into<String>, raw: &Value) -> ChannelEvent {
    ChannelEvent {
        device: None,
        body: EventBody::Unknown { place: place.to_owned(), problem: problem.into() },
        raw: raw.clone(),
    }
}

fn entries(events: &mut Vec<ChannelEvent>, document: &Value, received_at: Timestamp) {
    if !has_list(document, "entry") {
        events.push(unknown("body", "the body has no entries", document));
        return;
    }
    for (place, entry) in elements(document, "entry") {
        if !has_list(entry, "changes") {
            events.push(unknown(&place, "the entry has no changes", entry));
            continue;
        }
        let account = id(entry, "id");
        for (below, one) in elements(entry, "changes") {
            let envelope = Envelope {
                place: format!("{place}.{below}"),
                account: account.clone(),
                received_at,
            };
            change(events, &envelope, one);
        }
    }
}

/// Whether something stands below a key.
fn has_list(value: &Value, key: &str) -> bool {
    value.get(key).is_some_and(|list| !list.is_null())
}
