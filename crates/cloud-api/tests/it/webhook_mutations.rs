//! Valid bodies, damaged at random: nothing panics, and what was not touched is still there.

use kabar_channel::EventBody;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::support::{NUMBER, WABA};
use crate::webhook_samples::{contact, metadata, read};

/// A body with a message and a status of every shape; the first and the last element of each list
/// are never touched.
fn body() -> Value {
    let text = |id: &str| {
        json!({
            "id": id, "from": "16505551234", "timestamp": "1779999990", "type": "text",
            "text": { "body": "hello" }, "context": { "id": "wamid.Q", "from": "15550783881", "forwarded": true },
            "referral": { "source_id": "1" }, "errors": [{ "code": 1, "title": "x" }],
        })
    };
    let status = |id: &str| {
        json!({
            "id": id, "status": "failed", "timestamp": "1779999990", "recipient_id": "16505551234",
            "conversation": { "id": "c", "origin": { "type": "referral_conversion" }, "expiration_timestamp": "1780250000" },
            "pricing": { "billable": true, "pricing_model": "PMP", "category": "service", "type": "regular" },
            "errors": [{ "code": 131_026, "title": "x", "error_data": { "details": "y" } }],
        })
    };
    let mut inner = vec![text("wamid.first")];
    for (number, own) in shapes().into_iter().enumerate() {
        let mut message = text(&format!("wamid.{number}"));
        message.as_object_mut().unwrap().remove("text");
        message.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        inner.push(message);
    }
    inner.push(text("wamid.last"));
    json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": WABA, "time": 1, "changes": [{ "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": metadata(),
            "contacts": [contact()],
            "messages": inner,
            "statuses": [status("wamid.s.first"), status("wamid.s"), status("wamid.s.last")],
        } }] }],
    })
}

fn shapes() -> Vec<Value> {
    let file =
        json!({ "id": "1", "mime_type": "a/b", "sha256": "x", "caption": "c", "voice": true });
    vec![
        json!({ "type": "text", "text": { "body": "damaged" } }),
        json!({ "type": "image", "image": file }),
        json!({ "type": "audio", "audio": file }),
        json!({ "type": "location", "location": { "latitude": 1.5, "longitude": 2, "name": "n" } }),
        json!({ "type": "contacts", "contacts": [{ "name": { "formatted_name": "A B" }, "phones": [{ "phone": "1" }], "emails": [{ "email": "e" }], "org": { "company": "c" }, "vcard": "FN:x" }] }),
        json!({ "type": "reaction", "reaction": { "message_id": "m", "emoji": "👍" } }),
        json!({ "type": "button", "button": { "payload": "p", "text": "t" } }),
        json!({ "type": "interactive", "interactive": { "type": "list_reply", "list_reply": { "id": "1", "title": "t", "description": "d" } } }),
        json!({ "type": "interactive", "interactive": { "type": "nfm_reply", "nfm_reply": { "name": "flow", "response_json": "{\"a\":1}" } } }),
        json!({ "type": "order", "order": { "catalog_id": "1", "product_items": [{ "quantity": 1 }] } }),
        json!({ "type": "system", "system": { "type": "user_changed_number", "wa_id": "12195555358", "user_id": "US.1", "previous_user_id": "US.0" } }),
        json!({ "type": "unsupported", "unsupported": { "type": "poll" } }),
        json!({ "type": "edit", "edit": { "original_message_id": "m", "message": { "type": "text", "text": { "body": "b" } } } }),
        json!({ "type": "revoke", "revoke": { "original_message_id": "m" } }),
        json!({ "type": "request_welcome" }),
    ]
}

/// The same, and further changes of every other kind behind it.
fn wide_body() -> Value {
    let text = json!({ "id": "x", "from": "15550783881", "to": "16505551234", "type": "text", "text": { "body": "b" }, "history_context": { "status": "READ", "from_me": true } });
    let values = [
        (
            "smb_message_echoes",
            json!({ "metadata": metadata(), "contacts": [contact()], "message_echoes": [text] }),
        ),
        (
            "history",
            json!({ "metadata": metadata(), "history": [
            { "metadata": { "phase": 0, "progress": 5 }, "threads": [{ "id": "16505551234", "messages": [text, text] }] },
            { "errors": [{ "code": 2_593_109 }] },
        ] }),
        ),
        (
            "user_preferences",
            json!({ "metadata": metadata(), "user_preferences": [{ "wa_id": "16505551234", "category": "marketing_messages", "value": "stop" }] }),
        ),
        (
            "user_id_update",
            json!({ "metadata": metadata(), "user_id_update": [{ "wa_id": "1", "user_id": { "previous": "US.1", "current": "US.2" } }] }),
        ),
        ("account_update", json!({ "event": "PARTNER_ADDED", "waba_info": { "waba_id": "9" } })),
        ("account_settings_update", json!({ "phone_number_settings": { "phone_number_id": "5" } })),
        (
            "messages",
            json!({ "metadata": metadata(), "errors": [{ "code": 1, "title": "x" }], "user_actions": [{}], "novelty": 5 }),
        ),
        ("brand_new", json!({ "metadata": metadata() })),
    ];
    let mut body = body();
    let changes = body["entry"][0]["changes"].as_array_mut().unwrap();
    changes.extend(values.map(|(field, value)| json!({ "field": field, "value": value })));
    body
}

/// What can happen to a value.
fn damage() -> impl Strategy<Value = Option<Value>> {
    let leaves = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, { "id": "x" }, 5])),
        Just(json!({ "id": { "id": [] }, "type": "text" })),
    ];
    proptest::option::weighted(0.8, leaves)
}

/// The pointers of everything inside.
fn pointers(value: &Value, here: &str, into: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        let pointer = format!("{here}/{key}");
        pointers(value, &pointer, into);
        into.push(pointer);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                below(&index.to_string(), value);
            }
        }
        _ => {}
    }
}

/// Replaces, or removes, what a pointer names.
fn strike(document: &mut Value, pointer: &str, damage: Option<Value>) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match (document.pointer_mut(parent), damage) {
        (Some(parent), Some(damage)) => {
            if let Some(value) = parent.pointer_mut(&format!("/{key}")) {
                *value = damage;
            }
        }
        (Some(Value::Object(fields)), None) => {
            fields.remove(key);
        }
        _ => {}
    }
}

/// Everything inside the touched elements: neither the way to the lists nor the first and last.
fn touchable(document: &Value) -> Vec<String> {
    let mut all = Vec::new();
    pointers(document, "", &mut all);
    let value = "/entry/0/changes/0/value";
    let last = shapes().len() + 1;
    let spared = [
        format!("{value}/messages/0"),
        format!("{value}/messages/{last}"),
        format!("{value}/statuses/0"),
        format!("{value}/statuses/2"),
    ];
    let inside = |pointer: &String| {
        let lists = ["messages/", "statuses/", "contacts/"].map(|list| format!("{value}/{list}"));
        lists.iter().any(|list| pointer.starts_with(list.as_str()))
            && !spared
                .iter()
                .any(|spared| pointer == spared || pointer.starts_with(&format!("{spared}/")))
    };
    let beside = ["/object", "/entry/0/id", "/entry/0/time"].map(str::to_owned);
    let field = [format!("{value}/messaging_product"), format!("{value}/contacts")];
    all.retain(inside);
    all.extend(beside);
    all.extend(field);
    all
}

/// The wire ids of messages and statuses that were read.
fn known(raw: &[u8]) -> Vec<String> {
    let id = |body: EventBody| match body {
        EventBody::Message(message) => Some(message.wire_id),
        EventBody::Status(status) => Some(status.wire_id),
        _ => None,
    };
    let events = read(raw).events;
    assert!(!events.is_empty());
    events.into_iter().filter_map(|event| id(event.body)).collect()
}

#[test]
fn undamaged_everything_is_read() {
    let known = known(body().to_string().as_bytes());
    assert_eq!(known.len(), shapes().len() + 2 + 3);
    assert!(!NUMBER.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_not_touched_is_still_there(
        strikes in proptest::collection::vec((any::<Index>(), damage()), 1..12),
    ) {
        let mut document = body();
        let touchable = touchable(&document);
        for (at, damage) in strikes {
            strike(&mut document, at.get::<String>(&touchable), damage);
        }
        let known = known(document.to_string().as_bytes());
        for id in ["wamid.first", "wamid.last", "wamid.s.first", "wamid.s.last"] {
            prop_assert!(known.iter().any(|known| known == id), "{id} of {known:?}");
        }
        // Every element gave an event: read or kept raw, none is lost.
        let events = read(document.to_string().as_bytes()).events.len();
        prop_assert!(events >= shapes().len() + 2 + 3);
    }

    /// One bad change never blocks its siblings.
    #[test]
    fn a_change_survives_the_damage_of_others(
        strikes in proptest::collection::vec((any::<Index>(), damage()), 1..12),
    ) {
        let mut document = wide_body();
        let mut others = Vec::new();
        pointers(&document, "", &mut others);
        let changes = "/entry/0/changes/";
        let first = format!("{changes}0");
        others.retain(|pointer| pointer.starts_with(changes) && !pointer.starts_with(&first));
        for (at, damage) in strikes {
            strike(&mut document, at.get::<String>(&others), damage);
        }
        let whole = known(body().to_string().as_bytes());
        let known = known(document.to_string().as_bytes());
        prop_assert_eq!(&known[..whole.len()], &whole[..]);
    }

    #[test]
    fn any_damage_gives_a_batch(
        strikes in proptest::collection::vec((any::<Index>(), damage()), 1..6),
    ) {
        let mut document = wide_body();
        let mut all = Vec::new();
        pointers(&document, "", &mut all);
        for (at, damage) in strikes {
            strike(&mut document, at.get::<String>(&all), damage);
        }
        read(document.to_string().as_bytes());
    }

    #[test]
    fn a_body_cut_off_or_with_flipped_bytes_gives_a_batch(
        cut in any::<Index>(),
        flips in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..5),
    ) {
        let mut raw = body().to_string().into_bytes();
        for (at, byte) in flips {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        prop_assert!(!read(&raw).events.is_empty());
        raw.truncate(cut.index(raw.len()));
        prop_assert!(!read(&raw).events.is_empty());
    }
}
