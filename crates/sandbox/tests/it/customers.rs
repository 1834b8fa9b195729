//! Customers: what they say, how they show themselves, how they answer.

use kabar_sandbox::{CustomerPatch, Inbound, InboundContent, MessageFilter};
use serde_json::{Value, json};

use crate::bed::{Bed, CUSTOMER, wamid};

fn kinds() -> Vec<(InboundContent, Value)> {
    vec![
        (
            InboundContent::Text { body: "hi".into() },
            json!({"type": "text", "text": {"body": "hi"}}),
        ),
        (
            InboundContent::ButtonReply { id: "b1".into(), title: "Yes".into() },
            json!({"type": "interactive", "interactive": {
                "type": "button_reply", "button_reply": {"id": "b1", "title": "Yes"}}}),
        ),
        (
            InboundContent::ListReply { id: "r".into(), title: "T".into(), description: None },
            json!({"type": "interactive", "interactive": {
                "type": "list_reply", "list_reply": {"id": "r", "title": "T"}}}),
        ),
        (
            InboundContent::TemplateButton { payload: "P".into(), text: "Stop".into() },
            json!({"type": "button", "button": {"payload": "P", "text": "Stop"}}),
        ),
        (
            InboundContent::Location {
                latitude: -6.2,
                longitude: 106.8,
                name: Some("Monas".into()),
                address: None,
            },
            json!({"type": "location", "location": {
                "latitude": -6.2, "longitude": 106.8, "name": "Monas"}}),
        ),
        (
            InboundContent::Contacts { contacts: json!([{"phones": []}]) },
            json!({"type": "contacts", "contacts": [{"phones": []}]}),
        ),
        (
            InboundContent::Reaction { message_id: "wamid.X".into(), emoji: None },
            json!({"type": "reaction", "reaction": {"message_id": "wamid.X"}}),
        ),
        (
            InboundContent::Raw { message: json!({"type": "order", "order": {"catalog_id": "1"}}) },
            json!({"type": "order", "order": {"catalog_id": "1"}}),
        ),
    ]
}

#[tokio::test]
async fn customers_say_all_kinds_of_things() {
    let bed = Bed::new().await;
    for (content, expected) in kinds() {
        let mut inbound = Inbound::new(CUSTOMER, content);
        inbound.name = Some("Siti".to_owned());
        inbound.reply_to = Some("wamid.Q".to_owned());
        let receipt = bed.sandbox.customer_says(inbound).unwrap();
        bed.quiet().await;
        let value = bed.receiver.values().pop().unwrap();
        let message = &value["messages"][0];
        assert_eq!(message["id"], receipt.wamid.as_str());
        assert_eq!(message["from"], CUSTOMER);
        assert_eq!(message["context"]["id"], "wamid.Q");
        assert_eq!(value["contacts"][0]["profile"]["name"], "Siti");
        assert_eq!(value["contacts"][0]["wa_id"], CUSTOMER);
        for (key, part) in expected.as_object().unwrap() {
            assert_eq!(&message[key], part);
        }
    }
}

#[tokio::test]
async fn a_customer_may_hide_the_number() {
    let bed = Bed::new().await;
    let patch = CustomerPatch {
        hides_phone: Some(true),
        username: Some("siti".to_owned()),
        user_id: Some("ID.123".to_owned()),
        ..CustomerPatch::default()
    };
    bed.sandbox.put_customer(CUSTOMER, patch).unwrap();
    bed.sandbox.customer_says(Inbound::text("ID.123", "guess who")).unwrap();
    bed.quiet().await;
    let value = bed.receiver.values().remove(0);
    assert_eq!(value["contacts"][0]["user_id"], "ID.123");
    assert_eq!(value["contacts"][0]["profile"]["username"], "siti");
    assert!(value["contacts"][0].get("wa_id").is_none());
    assert!(value["messages"][0].get("from").is_none());
    assert_eq!(value["messages"][0]["from_user_id"], "ID.123");
    bed.send_text("hello").await;
    bed.quiet().await;
    let status = bed.receiver.statuses().remove(0);
    assert!(status.get("recipient_id").is_none());
    assert_eq!(status["recipient_user_id"], "ID.123");
}

#[tokio::test]
async fn a_wa_id_may_differ_from_the_number() {
    let bed = Bed::new().await;
    let patch = CustomerPatch {
        wa_id: Some("551187654321".to_owned()),
        window_open: Some(true),
        ..CustomerPatch::default()
    };
    bed.sandbox.put_customer("5511987654321", patch).unwrap();
    for to in ["5511987654321", "551187654321"] {
        let (_, answer) = bed.send(json!({"to": to, "text": {"body": "oi"}})).await;
        assert_eq!(answer["contacts"][0], json!({"input": to, "wa_id": "551187654321"}));
    }
    assert_eq!(bed.sandbox.messages(&MessageFilter::to("5511987654321")).len(), 2);
}

#[tokio::test]
async fn a_customer_answers_in_turns() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    let patch = CustomerPatch {
        replies_with: Some(vec!["you said {text}".to_owned(), "bye, {name}".to_owned()]),
        name: Some("Budi".to_owned()),
        reads: Some(false),
        ..CustomerPatch::default()
    };
    bed.sandbox.put_customer(CUSTOMER, patch).unwrap();
    for text in ["one", "two"] {
        bed.send_text(text).await;
        bed.quiet().await;
    }
    let texts: Vec<_> =
        bed.receiver.messages().iter().map(|it| it["text"]["body"].clone()).collect();
    assert_eq!(texts, ["you said one", "bye, Budi"]);
    assert!(!bed.receiver.status_names().contains(&"read".to_owned()));
}

#[tokio::test]
async fn a_customer_reads_when_told_to() {
    let bed = Bed::new().await;
    bed.sandbox.change_settings(|it| it.reads = false);
    bed.open_window(CUSTOMER);
    let (_, answer) = bed.send_text("read me").await;
    bed.quiet().await;
    assert_eq!(bed.receiver.status_names(), ["sent", "delivered"]);
    bed.sandbox.customer_reads(&wamid(&answer)).unwrap();
    bed.quiet().await;
    assert_eq!(bed.receiver.status_names(), ["sent", "delivered", "read"]);
}

#[tokio::test]
async fn who_is_not_on_whatsapp_gets_nothing() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    let patch = CustomerPatch { on_whatsapp: Some(false), ..CustomerPatch::default() };
    bed.sandbox.put_customer(CUSTOMER, patch).unwrap();
    assert_eq!(bed.send_text("hello?").await.0, 200);
    bed.quiet().await;
    assert_eq!(bed.receiver.statuses()[0]["errors"][0]["code"], 131_026);
}

#[tokio::test]
async fn a_reaction_is_only_sent() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    bed.send(
        json!({"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "\u{1F44D}"}}),
    )
    .await;
    bed.quiet().await;
    assert_eq!(bed.receiver.status_names(), ["sent"]);
}

#[tokio::test]
async fn a_tap_refers_to_the_last_message() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    bed.send_text("one").await;
    let (_, answer) = bed.send_text("two").await;
    let tap = InboundContent::ButtonReply { id: "b".into(), title: "B".into() };
    bed.sandbox.customer_says(Inbound::new(CUSTOMER, tap)).unwrap();
    bed.quiet().await;
    assert_eq!(bed.receiver.messages()[0]["context"]["id"], wamid(&answer).as_str());
}
