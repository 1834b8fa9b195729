//! Every type of message: what is accepted, what is refused and how.

use kabar_sandbox::{DEFAULT_PHONE_NUMBER_ID, MessageFilter, TallyBy};
use serde_json::{Value, json};

use crate::bed::{Bed, CUSTOMER, code, message, wamid};

fn x(count: usize) -> String {
    "x".repeat(count)
}

fn buttons(titles: &[&str]) -> Value {
    let buttons: Vec<_> = titles
        .iter()
        .enumerate()
        .map(
            |(i, title)| json!({"type": "reply", "reply": {"id": format!("b{i}"), "title": title}}),
        )
        .collect();
    interactive(json!({"type": "button", "body": {"text": "?"}, "action": {"buttons": buttons}}))
}

fn interactive(content: Value) -> Value {
    json!({"type": "interactive", "interactive": content})
}

fn list(sections: &Value) -> Value {
    interactive(json!({
        "type": "list", "header": {"type": "text", "text": "Menu"}, "body": {"text": x(4096)},
        "action": {"button": "Choose", "sections": sections},
    }))
}

fn rows(from: usize, count: usize) -> Value {
    (from..from + count)
        .map(|i| json!({"id": format!("r{i}"), "title": format!("Row {i}")}))
        .collect()
}

fn template(name: &str, language: &str, components: &Value) -> Value {
    json!({"type": "template", "template": {
        "name": name, "language": {"code": language}, "components": components,
    }})
}

fn body_texts(texts: &[&str]) -> Value {
    let parameters: Vec<_> =
        texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
    json!({"type": "body", "parameters": parameters})
}

fn media(kind: &str, content: Value) -> Value {
    let mut message = json!({"type": kind});
    message[kind] = content;
    message
}

const LINK: &str = "https://files.example/a";

fn good() -> Vec<Value> {
    let action = |name: &str| json!({"name": name});
    vec![
        json!({"type": "text", "text": {"body": x(4096), "preview_url": true}}),
        json!({"text": {"body": "type defaults to text"}}),
        json!({"type": "text", "text": {"body": "reply"}, "context": {"message_id": "wamid.X"}}),
        media("image", json!({"link": LINK, "caption": x(1024)})),
        media("video", json!({"link": LINK, "caption": "v"})),
        media("audio", json!({"link": LINK, "voice": true})),
        media("document", json!({"link": LINK, "caption": "d", "filename": "a.pdf"})),
        media("sticker", json!({"link": LINK})),
        media("location", json!({"latitude": -6.2, "longitude": "106.8", "name": "n"})),
        media(
            "contacts",
            json!([{
                "name": {"formatted_name": "A B", "first_name": "A"},
                "phones": [{"phone": "+62811", "type": "CELL"}], "birthday": "1990-12-31",
            }]),
        ),
        media("reaction", json!({"message_id": "wamid.X", "emoji": "\u{1F44D}"})),
        media("reaction", json!({"message_id": "wamid.X", "emoji": ""})),
        buttons(&["Yes"]),
        buttons(&["12345678901234567890", "No", "Maybe"]),
        list(&json!([{"rows": rows(0, 10)}])),
        list(&json!([{"title": "A", "rows": rows(0, 5)}, {"title": "B", "rows": rows(5, 5)}])),
        interactive(json!({"type": "cta_url", "body": {"text": "b"}, "footer": {"text": x(60)},
            "action": {"name": "cta_url", "parameters": {"display_text": "Go", "url": LINK}}})),
        interactive(json!({"type": "flow", "body": {"text": "b"}, "action": {"name": "flow",
            "parameters": {"flow_message_version": "3", "flow_id": "1", "flow_cta": "Book"}}})),
        interactive(json!({"type": "location_request_message", "body": {"text": "where?"},
            "action": action("send_location")})),
        interactive(json!({"type": "request_contact_info", "body": {"text": "who?"},
            "action": action("request_contact_info")})),
        interactive(json!({"type": "call_permission_request", "body": {"text": "may we?"},
            "action": action("call_permission_request")})),
        interactive(json!({"type": "address_message", "body": {"text": "b"},
            "action": {"name": "address_message", "parameters": {"country": "SG"}}})),
        interactive(json!({"type": "product",
            "action": {"catalog_id": "1", "product_retailer_id": "p"}})),
        interactive(json!({"type": "product_list", "header": {"type": "text", "text": "h"},
            "body": {"text": "b"}, "action": {"catalog_id": "1", "sections": [
                {"title": "s", "product_items": [{"product_retailer_id": "p"}]}]}})),
        interactive(json!({"type": "catalog_message", "body": {"text": "b"},
            "action": {"name": "catalog_message"}})),
        interactive(json!({"type": "carousel", "body": {"text": "b"}, "action": {"cards": [
            {"card_index": 0, "type": "cta_url", "action": {},
             "header": {"type": "image", "image": {"link": LINK}}},
            {"card_index": 1, "type": "cta_url", "action": {},
             "header": {"type": "image", "image": {"link": LINK}}}]}})),
        template("hello_world", "en_US", &json!([])),
        template("order_confirmation", "id", &json!([body_texts(&["Budi", "42"])])),
        template(
            "appointment_named",
            "en_US",
            &json!([{"type": "body", "parameters": [
            {"type": "text", "parameter_name": "first_name", "text": "A"},
            {"type": "text", "parameter_name": "day", "text": "B"}]}]),
        ),
        template(
            "promo_banner",
            "en_US",
            &json!([
            {"type": "header", "parameters": [{"type": "image", "image": {"link": LINK}}]},
            body_texts(&["Budi"]),
            {"type": "button", "sub_type": "quick_reply", "index": "0",
             "parameters": [{"type": "payload", "payload": "P"}]},
            {"type": "button", "sub_type": "url", "index": 1,
             "parameters": [{"type": "text", "text": "s"}]}]),
        ),
    ]
}

#[tokio::test]
async fn every_type_is_accepted_and_remembered() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    let mut ids = Vec::new();
    for content in good() {
        let (status, answer) = bed.send(content.clone()).await;
        assert_eq!(status, 200, "{content} {answer}");
        assert_eq!(answer["messaging_product"], "whatsapp");
        assert_eq!(answer["contacts"], json!([{"input": CUSTOMER, "wa_id": CUSTOMER}]));
        ids.push(wamid(&answer));
    }
    let kept = bed.sandbox.messages(&MessageFilter::to(CUSTOMER));
    assert_eq!(kept.iter().map(|it| it.wamid.clone()).collect::<Vec<_>>(), ids);
    assert_eq!(kept[0].body, message(good()[0].clone()));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), good().len());
    assert!(ids.iter().all(|id| id.starts_with("wamid.HB")));
}

fn bad() -> Vec<(u64, Value)> {
    let text = |body: Value| json!({"type": "text", "text": body});
    vec![
        (100, text(json!({"body": x(4097)}))),
        (100, text(json!({"body": " "}))),
        (100, text(json!({}))),
        (100, json!({"type": "text"})),
        (100, json!({"type": "text", "text": "words"})),
        (131_051, json!({"type": "poll", "poll": {}})),
        (131_009, json!({"type": "text", "text": {"body": "a"}, "to": "nobody"})),
        (131_021, json!({"type": "text", "text": {"body": "a"}, "to": "15550783881"})),
        (
            131_009,
            json!({"type": "text", "text": {"body": "a"}, "biz_opaque_callback_data": x(513)}),
        ),
        (100, json!({"type": "text", "text": {"body": "a"}, "messaging_product": "sms"})),
        (131_009, media("image", json!({"link": LINK, "caption": x(1025)}))),
        (100, media("image", json!({}))),
        (100, media("image", json!({"link": "ftp://x/y"}))),
        (100, media("image", json!({"id": "1", "link": LINK}))),
        (100, media("image", json!({"id": "999"}))),
        (100, media("audio", json!({"link": LINK, "caption": "no"}))),
        (131_008, json!({"type": "document"})),
        (131_009, media("location", json!({"latitude": 91, "longitude": 0}))),
        (131_008, media("location", json!({"latitude": 1}))),
        (131_009, media("contacts", json!([{"name": {"formatted_name": "A"}}]))),
        (131_008, media("reaction", json!({"message_id": "wamid.X"}))),
        (131_009, buttons(&[])),
        (131_009, buttons(&["1", "2", "3", "4"])),
        (131_009, buttons(&["same", "same"])),
        (131_009, buttons(&["123456789012345678901"])),
        (131_009, list(&json!([{"rows": rows(0, 11)}]))),
        (
            131_009,
            list(&json!([{"title": "A", "rows": rows(0, 6)}, {"title": "B", "rows": rows(6, 5)}])),
        ),
        (131_008, list(&json!([{"rows": rows(0, 1)}, {"rows": rows(1, 1)}]))),
        (131_009, list(&json!([{"rows": [{"id": "r", "title": x(25)}]}]))),
        (131_009, list(&json!([{"rows": [{"id": "r", "title": "t", "description": x(73)}]}]))),
        (131_009, interactive(json!({"type": "cta_url", "body": {"text": x(1025)}, "action": {}}))),
        (100, interactive(json!({"type": "riddle", "body": {"text": "b"}, "action": {}}))),
        (132_001, template("hello_world", "de", &json!([]))),
        (132_001, template("no_such", "en_US", &json!([]))),
        (132_001, template("under_review", "en_US", &json!([]))),
        (132_000, template("order_confirmation", "en_US", &json!([]))),
        (132_000, template("order_confirmation", "en_US", &json!([body_texts(&["1", "2", "3"])]))),
        (132_012, template("promo_banner", "en_US", &json!([body_texts(&["1"])]))),
        (100, template("appointment_named", "en_US", &json!([body_texts(&["1", "2"])]))),
    ]
}

#[tokio::test]
async fn limits_are_metas() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    for (expected, content) in bad() {
        let (status, answer) = bed.send(content.clone()).await;
        assert_eq!((status, code(&answer)), (400, expected), "{content} {answer}");
        let error = &answer["error"];
        assert_eq!(error["type"], "OAuthException");
        assert!(error["fbtrace_id"].is_string());
        assert!(error["message"].as_str().unwrap().starts_with(&format!("(#{expected})")));
        if let Some(data) = error.get("error_data") {
            assert_eq!(data["messaging_product"], "whatsapp");
            assert!(data["details"].is_string());
        }
    }
    assert_eq!(bed.sandbox.overview().accepted, 0);
}

#[tokio::test]
async fn recipients_are_written_in_many_ways() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    let user_id = bed.sandbox.customers()[0].user_id.clone();
    let path = format!("{DEFAULT_PHONE_NUMBER_ID}/messages");
    for (key, input) in [
        ("to", "+62 812-3456-7890".to_owned()),
        ("to", CUSTOMER.to_owned()),
        ("recipient", user_id.clone()),
    ] {
        let mut body = json!({"messaging_product": "whatsapp", "text": {"body": "a"}});
        body[key] = input.clone().into();
        let (status, answer) = bed.post(&path, &body).await;
        assert_eq!(status, 200, "{answer}");
        let contact = &answer["contacts"][0];
        assert_eq!(contact["input"], input);
        let id = if key == "to" { "wa_id" } else { "user_id" };
        assert_eq!(contact[id], if key == "to" { CUSTOMER } else { user_id.as_str() });
    }
    assert_eq!(bed.sandbox.messages(&MessageFilter::to(format!("+{CUSTOMER}"))).len(), 3);
    assert_eq!(bed.sandbox.messages(&MessageFilter::to(user_id)).len(), 3);
}

#[tokio::test]
async fn references_are_counted() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    for reference in ["one", "two", "two"] {
        bed.send(json!({"text": {"body": "a"}, "biz_opaque_callback_data": reference})).await;
    }
    let tally = bed.sandbox.tally(TallyBy::Reference);
    assert_eq!((tally.total, tally.distinct), (3, 2));
    assert_eq!(tally.repeated, [("two".to_owned(), 2)].into());
    assert_eq!(bed.sandbox.messages(&MessageFilter::reference("two")).len(), 2);
}

#[tokio::test]
async fn forms_are_read_like_json() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    let form =
        [("messaging_product", "whatsapp"), ("to", CUSTOMER), ("text", r#"{"body":"form"}"#)];
    let url = bed.graph(&format!("{DEFAULT_PHONE_NUMBER_ID}/messages"));
    let request = bed.client.post(url).bearer_auth("sandbox-token").form(&form);
    let (status, answer) = crate::bed::answer(request).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(bed.sandbox.messages(&MessageFilter::default())[0].body["text"]["body"], "form");
}
