//! What should not come, and what becomes of it.

use bytes::Bytes;
use kabar_channel::incoming::Delivery;
use kabar_channel::{ChannelEvent, EventBody, IncomingContent};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::webhook_samples::{app, change, envelope, metadata, read, read_json, received_at};

fn with_messages(messages: &Value) -> Value {
    change("messages", &json!({ "metadata": metadata(), "messages": messages }))
}

fn text(id: &str, body: &str) -> Value {
    json!({ "id": id, "from": "16505551234", "timestamp": "1779999990", "type": "text", "text": { "body": body } })
}

/// The wire ids of messages, `?` for what is unknown.
fn ids(events: &[ChannelEvent]) -> Vec<&str> {
    events
        .iter()
        .map(|event| match &event.body {
            EventBody::Message(message) => message.wire_id.as_str(),
            EventBody::Status(status) => status.wire_id.as_str(),
            _ => "?",
        })
        .collect()
}

fn bodies(raw: &[u8]) -> Vec<String> {
    let words = |event: ChannelEvent| match event.body {
        EventBody::Message(message) => message.content.words().unwrap_or("-").to_owned(),
        other => panic!("{other:?}"),
    };
    read(raw).events.into_iter().map(words).collect()
}

/// A body with a placeholder replaced by what `serde_json` would not write.
fn spliced(with: &str) -> Vec<u8> {
    let document = with_messages(&json!([text("a", "<here>"), text("b", "fine")])).to_string();
    document.replace("<here>", with).into_bytes()
}

#[test]
fn the_raw_bytes_are_kept_as_they_came() {
    let raw = br#"{"entry":[]} "#;
    let batch = read(raw);
    assert!(batch.events.is_empty());
    let kept = batch.raw.unwrap();
    assert_eq!((kept.app, kept.bytes), (app(), Bytes::from_static(raw)));
}

#[test]
fn what_is_no_json_is_one_unknown_event() {
    for raw in [&b""[..], b"hello", b"{\"entry\":[", b"\xff\xfe", b"[1,2", b"{}{}"] {
        let batch = read(raw);
        assert_eq!(batch.events.len(), 1, "{raw:?}");
        let event = &batch.events[0];
        assert!(matches!(event.body, EventBody::Unknown { .. }), "{raw:?}");
        assert_eq!(&batch.raw.unwrap().bytes[..], raw);
    }
}

#[test]
fn envelopes_that_say_nothing_are_kept() {
    for document in [
        json!(null),
        json!(7),
        json!([]),
        json!({ "object": "page" }),
        json!({ "entry": null }),
        json!({ "entry": "x" }),
        json!({ "entry": [null] }),
        json!({ "entry": [{ "id": "1", "changes": null }] }),
        json!({ "entry": [{ "changes": ["x"] }] }),
        envelope(&json!([{ "field": "messages" }])),
        envelope(&json!([{ "field": "messages", "value": [] }])),
        change("messages", &json!({ "metadata": metadata() })),
        change("messages", &json!({ "metadata": metadata(), "messages": [], "statuses": null })),
        change("brand_new", &json!({ "metadata": metadata() })),
        change("messages", &json!({ "messages": [text("a", "whose?")] })),
        change(
            "messages",
            &json!({ "metadata": { "display_phone_number": "15550783881" }, "messages": [text("a", "x")] }),
        ),
    ] {
        let events = read_json(&document);
        assert_eq!(ids(&events), ["?"], "{document}");
    }
}

#[test]
fn strange_text_is_made_storable() {
    for (with, wanted) in [
        (r"nul \u0000.", "nul \u{fffd}."),
        (r"half \ud800.", "half \u{fffd}."),
        (r"half \udc00.", "half \u{fffd}."),
        (r"half \ud83dx", "half \u{fffd}x"),
        (r"two halves \ud800\ud83d\udc4b", "two halves \u{fffd}👋"),
        (r"whole \ud83d\udc4b and \udfff", "whole 👋 and \u{fffd}"),
        (r"half \ud800\n", "half \u{fffd}\n"),
        (r"bad \uzz", "bad \u{fffd}zz"),
        (r"\x41", r"\x41"),
        ("raw \u{1} \n \0 control", "raw \u{1} \n \u{fffd} control"),
    ] {
        assert_eq!(bodies(&spliced(with)), [wanted, "fine"], "{with}");
    }
    let mut latin = spliced("caf?");
    let at = latin.windows(4).position(|w| w == b"caf?").unwrap() + 3;
    latin[at] = 0xe9;
    assert_eq!(bodies(&latin), ["caf\u{fffd}", "fine"]);
    let bom = [b"\xef\xbb\xbf", &spliced("bom")[..]].concat();
    assert_eq!(bodies(&bom), ["bom", "fine"]);
}

#[test]
fn no_nul_is_left_in_the_raw_form() {
    let document =
        with_messages(&json!([text("a", "x"), { "id": "b", "type": "odd\0", "k\0": "v\0" }]));
    for event in read_json(&document) {
        assert!(!event.raw.to_string().contains("\\u0000"));
        assert!(!format!("{:?}", event.body).contains("\\0"));
    }
}

#[test]
fn numbers_out_of_range_and_deep_nesting_take_nobody_along() {
    let deep = format!("{}\"]}}[\\\"\"{}", "[{\"k\":".repeat(5_000), "}]".repeat(5_000));
    for odd in ["1e999", "-1e999", "NaN", "01", "123456789012345678901234567890", &deep] {
        let document = with_messages(&json!([text("a", "x"), text("b", "y")])).to_string();
        let document =
            document.replace("\"type\":\"text\"", &format!("\"extra\":{odd},\"type\":\"text\""));
        assert_eq!(bodies(document.as_bytes()), ["x", "y"]);
    }
}

#[test]
fn keys_that_come_twice_lose_no_message() {
    let (a, b) = (text("a", "x"), text("b", "y"));
    let value = format!(
        r#"{{"messages":[{a}],"metadata":{},"messages":[{b}],"messages":null}}"#,
        metadata()
    );
    let document =
        format!(r#"{{"entry":[{{"changes":[{{"field":"messages","value":{value}}}]}}]}}"#);
    assert_eq!(bodies(document.as_bytes()), ["x", "y"]);
}

#[test]
fn a_malformed_element_never_takes_its_siblings_along() {
    let long = "x".repeat(600);
    for odd in [
        json!(null),
        json!(5),
        json!("message"),
        json!([]),
        json!({}),
        json!({ "id": null, "type": "text" }),
        json!({ "id": "", "type": "text" }),
        json!({ "id": {}, "type": "text" }),
        json!({ "id": long, "type": "text" }),
    ] {
        let document = with_messages(&json!([text("a", "x"), odd, text("c", "y")]));
        assert_eq!(ids(&read_json(&document)), ["a", "?", "c"], "{odd}");
        let statuses =
            json!([{ "id": "a", "status": "sent" }, odd, { "id": "c", "status": "read" }]);
        let document = change("messages", &json!({ "metadata": metadata(), "statuses": statuses }));
        assert_eq!(ids(&read_json(&document)), ["a", "?", "c"], "{odd}");
    }
}

#[test]
fn a_message_whose_content_is_unreadable_is_still_a_message() {
    let location = |latitude: Value| json!({ "type": "location", "location": { "latitude": latitude, "longitude": 0 } });
    for odd in [
        json!({}),
        json!({ "type": 7 }),
        json!({ "type": "text" }),
        json!({ "type": "text", "text": "plain" }),
        json!({ "type": "text", "text": { "body": null } }),
        json!({ "type": "image", "image": { "caption": "no id" } }),
        json!({ "type": "contacts", "contacts": [] }),
        json!({ "type": "reaction", "reaction": {} }),
        json!({ "type": "button", "button": {} }),
        json!({ "type": "edit", "edit": { "original_message_id": "x" } }),
        json!({ "type": "revoke", "revoke": {} }),
        json!({ "type": "system", "system": null }),
        location(json!(91)),
        location(json!("north")),
        location(json!("NaN")),
    ] {
        let mut message = odd.clone();
        message["id"] = json!("a");
        let events = read_json(&with_messages(&json!([message])));
        let [ChannelEvent { body: EventBody::Message(read), raw, .. }] = &events[..] else {
            panic!("{odd}: {events:?}");
        };
        assert!(matches!(read.content, IncomingContent::Unknown { .. }), "{odd}");
        assert_eq!(*raw, message);
    }
}

#[test]
fn a_type_that_is_missing_is_known_by_its_object() {
    let mut message = text("a", "x");
    message["type"] = json!(null);
    let document = with_messages(&json!([message])).to_string();
    assert_eq!(bodies(document.as_bytes()), ["x"]);
}

#[test]
fn a_field_that_is_missing_is_known_by_its_lists() {
    let value = json!({ "metadata": metadata(), "messages": [text("a", "x")] });
    let document = envelope(&json!([{ "field": null, "value": value }]));
    assert_eq!(ids(&read_json(&document)), ["a"]);
}

#[test]
fn lists_may_be_single_objects() {
    let value = json!({ "metadata": metadata(), "messages": text("a", "x") });
    let document = json!({ "entry": { "changes": { "field": "messages", "value": value } } });
    assert_eq!(ids(&read_json(&document)), ["a"]);
}

#[test]
fn times_are_read_or_absent() {
    let seconds = 1_779_999_990;
    for (timestamp, wanted) in [
        (json!("1779999990"), Some(seconds)),
        (json!(" 1779999990 "), Some(seconds)),
        (json!(1_779_999_990), Some(seconds)),
        (json!(1_779_999_990.75), Some(seconds)),
        (json!("1779999990.9"), Some(seconds)),
        (json!("1.77999999e9"), Some(seconds)),
        (json!(1_780_086_400), Some(1_780_086_400)),
        (json!(1_780_086_401), None),
        (json!("yesterday"), None),
        (json!(""), None),
        (json!(null), None),
        (json!([]), None),
        (json!(0), None),
        (json!(-1), None),
        (json!("-5"), None),
        (json!(i64::MAX), None),
        (json!(u64::MAX), None),
        (json!(1e300), None),
        (json!("99999999999999999999999"), None),
        (json!("inf"), None),
    ] {
        let mut message = text("a", "x");
        message["timestamp"] = timestamp.clone();
        let status = json!({ "id": "b", "status": "read", "timestamp": timestamp });
        let value = json!({ "metadata": metadata(), "messages": [message], "statuses": [status] });
        let events = read_json(&change("messages", &value));
        let [EventBody::Message(message), EventBody::Status(status)] =
            [&events[0].body, &events[1].body]
        else {
            panic!("{events:?}");
        };
        assert_eq!(message.sent_at.map(|at| at.timestamp()), wanted, "{timestamp}");
        assert_eq!(status.at, message.sent_at);
        assert_eq!(status.delivery, Delivery::Read);
    }
    assert_eq!(received_at().timestamp(), 1_780_000_000);
}

#[test]
fn several_accounts_may_share_a_body() {
    let entry = |waba: &str, number: &str, id: &str| {
        let value =
            json!({ "metadata": { "phone_number_id": number }, "messages": [text(id, "x")] });
        json!({ "id": waba, "changes": [{ "field": "messages", "value": value }, 5] })
    };
    let events =
        read_json(&json!({ "entry": [entry("1", "11", "a"), "odd", entry("2", "22", "b")] }));
    assert_eq!(ids(&events), ["a", "?", "?", "b", "?"]);
    let addresses: Vec<_> =
        events.iter().filter_map(|event| Some(event.device.as_ref()?.address.as_str())).collect();
    assert_eq!(addresses, ["11", "22"]);
    let EventBody::Unknown { place, .. } = &events[4].body else {
        panic!();
    };
    assert_eq!(place, "entry[1].changes[1]".replace("entry[1]", "entry[2]").as_str());
}

#[test]
fn a_full_body_is_decoded() {
    let messages: Vec<Value> = (0..1000).map(|n| text(&format!("wamid.{n}"), "x")).collect();
    let events = read_json(&with_messages(&json!(messages)));
    assert_eq!(events.len(), 1000);
    assert_eq!(ids(&events)[999], "wamid.999");
}

proptest! {
    #[test]
    fn any_bytes_give_a_batch(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
        let batch = read(&raw);
        prop_assert_eq!(&batch.raw.unwrap().bytes[..], &raw[..]);
    }

    #[test]
    fn any_text_of_json_marks_gives_a_batch(raw in r#"[{}\[\]",:\\u0-9d8eE+.\-a-ntrflsu \x00]{0,200}"#) {
        read(raw.as_bytes());
    }

    /// What is valid needs no mending and is not changed by reading, and mending what is broken in
    /// one place leaves the rest as it was.
    #[test]
    fn text_survives(body in any::<String>()) {
        let wanted = body.replace('\0', "\u{fffd}");
        let message = text("a", &body);
        let whole = with_messages(&json!([message])).to_string();
        prop_assert_eq!(bodies(whole.as_bytes()), std::slice::from_ref(&wanted));
        let broken = with_messages(&json!([message, text("b", "<here>")])).to_string();
        let broken = broken.replace("<here>", r"\ud800");
        prop_assert_eq!(bodies(broken.as_bytes()), [wanted.as_str(), "\u{fffd}"]);
    }
}
