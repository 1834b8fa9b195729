//! The optional ports.

use kabar_channel::ports::{DeviceFacts, MediaFile};
use kabar_channel::{ChannelKind, MessageKey, SendError};
use kabar_cloud_api::{GraphClient, GraphConfig};
use kabar_core::Secret;
use serde_json::{Value, json};

use crate::classify::word;
use crate::support::{FakeGraph, NUMBER, Reply, TOKEN, WABA, cloud, config, device, no_files};

fn ok() -> Reply {
    Reply::json(200, &json!({ "success": true }))
}

#[tokio::test]
async fn reading_is_marked_with_and_without_typing() {
    let graph = FakeGraph::start([ok(), ok(), Reply::raw(502, "")]).await;
    let ports = cloud(&graph.address, no_files()).ports();
    assert_eq!(ports.channel().kind(), ChannelKind::CLOUD_API);
    let receipts = ports.read_receipts().unwrap();
    let key = MessageKey::id("wamid.R");
    let chat = kabar_channel::Recipient::default();
    receipts.mark_read(&device(), &chat, std::slice::from_ref(&key), false).await.unwrap();
    receipts.mark_read(&device(), &chat, std::slice::from_ref(&key), true).await.unwrap();
    let error =
        receipts.mark_read(&device(), &chat, std::slice::from_ref(&key), true).await.unwrap_err();
    assert_eq!(word(&error), "retry", "marking may be repeated");

    let plain =
        json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.R" });
    let mut typing = plain.clone();
    typing["typing_indicator"] = json!({ "type": "text" });
    let asked = graph.asked();
    assert_eq!(asked[0].json(), plain);
    assert_eq!(asked[1].json(), typing);
    assert_eq!(asked[1].line(), format!("POST /v25.0/{NUMBER}/messages"));
}

fn info(graph: &FakeGraph) -> Reply {
    let url = format!("{}/bytes?sig=1", graph.address);
    let info = json!({ "id": "55", "url": url, "mime_type": "image/jpeg", "file_size": 4 });
    Reply::json(200, &info)
}

#[tokio::test]
async fn an_incoming_file_is_fetched_with_the_token() {
    let graph = FakeGraph::start([]).await;
    graph.then(info(&graph));
    graph.then(Reply::raw(404, ""));
    graph.then(info(&graph));
    graph.then(Reply::raw(200, "JPEG"));
    let ports = cloud(&graph.address, no_files()).ports();
    let media = ports.incoming_media().unwrap();
    let MediaFile { bytes, mime, .. } = media.fetch(&device(), "55").await.unwrap();
    assert_eq!((&bytes[..], mime.as_str()), (&b"JPEG"[..], "image/jpeg"));
    let look_up = format!("GET /v25.0/55?phone_number_id={NUMBER}");
    let wanted = [&look_up, "GET /bytes?sig=1", &look_up, "GET /bytes?sig=1"];
    assert_eq!(graph.lines(), wanted, "a dead address is asked for anew, once");
    let last = graph.asked().pop().unwrap();
    assert_eq!(last.headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(last.headers.contains_key("user-agent"));
}

#[tokio::test]
async fn a_file_that_is_gone_is_refused_and_says_nothing_of_the_device() {
    let gone =
        json!({ "error": { "code": 100, "error_subcode": 33, "message": "does not exist" } });
    for (replies, wanted) in [
        (vec![Reply::json(400, &gone)], "refused"),
        (vec![Reply::raw(503, "")], "retry"),
        (vec![Reply::error(401, 190)], "down"),
        (vec![Reply::json(200, &json!({ "id": "55", "url": "ftp://x" }))], "retry"),
    ] {
        let graph = FakeGraph::start(replies).await;
        let ports = cloud(&graph.address, no_files()).ports();
        let media = ports.incoming_media().unwrap();
        let error = media.fetch(&device(), "55").await.unwrap_err();
        assert_eq!(word(&error), wanted, "{error}");
    }
}

fn page(data: &Value, after: Option<&str>) -> Reply {
    let mut page = json!({ "data": data });
    if let Some(after) = after {
        page["paging"] = json!({
            "cursors": { "before": "b", "after": after },
            "next": "https://graph.facebook.com/elsewhere?access_token=secret",
        });
    }
    Reply::json(200, &page)
}

fn template(name: &str, status: &str) -> Value {
    json!({
        "id": 564_750_795_574_598_u64,
        "name": name,
        "language": "en_US",
        "status": status,
        "category": "UTILITY",
        "components": [{ "type": "BODY", "text": "Hi {{1}}" }],
    })
}

#[tokio::test]
async fn approved_templates_are_read_to_the_last_page() {
    let one = json!([template("a", "APPROVED"), template("b", "REJECTED")]);
    let two = json!([template("c", "approved"), { "id": "9" }]);
    let graph = FakeGraph::start([page(&one, Some("CUR=2")), page(&two, None)]).await;
    let ports = cloud(&graph.address, no_files()).ports();
    let templates = ports.templates().unwrap().approved(&device()).await.unwrap();
    let names: Vec<_> = templates.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(templates[0].id, "564750795574598");
    let lines = graph.lines();
    assert!(lines[0].starts_with(&format!("GET /v25.0/{WABA}/message_templates?")));
    assert!(lines[0].contains("status=APPROVED") && lines[0].contains("limit=100"));
    assert!(lines[1].contains("after=CUR%3D2"), "{}", lines[1]);
}

fn numbers(id: &Value) -> Reply {
    let number = json!({
        "id": id,
        "display_phone_number": "+1 555-0100",
        "verified_name": "Maju",
        "quality_rating": "GREEN",
    });
    page(&json!([{ "id": "1" }, number]), None)
}

fn waba() -> Reply {
    let owner = json!({ "id": "777", "name": "Maju Group" });
    Reply::json(200, &json!({ "id": WABA, "owner_business_info": owner }))
}

#[tokio::test]
async fn a_device_is_checked_and_its_account_subscribed() {
    for id in [json!(NUMBER), json!(106_540_352_242_922_u64)] {
        let graph = FakeGraph::start([numbers(&id), waba(), ok()]).await;
        let ports = cloud(&graph.address, no_files()).ports();
        let facts = ports.check().unwrap().check(&device()).await.unwrap();
        let wanted = DeviceFacts {
            display_phone: Some("+1 555-0100".into()),
            verified_name: Some("Maju".into()),
            quality: Some("GREEN".into()),
            portfolio: Some("777".into()),
        };
        assert_eq!(facts, wanted);
        let last = graph.lines().pop().unwrap();
        assert_eq!(last, format!("POST /v25.0/{WABA}/subscribed_apps"));
    }
}

#[tokio::test]
async fn a_device_that_the_token_cannot_read_is_not_subscribed() {
    let elsewhere = page(&json!([{ "id": "1" }]), None);
    for (replies, wanted) in [
        (vec![elsewhere], "refused"),
        (vec![Reply::error(401, 190)], "down"),
        (vec![Reply::error(400, 100)], "refused"),
        (vec![Reply::error(500, 2)], "retry"),
        (vec![numbers(&json!(NUMBER)), Reply::raw(503, "")], "retry"),
        (vec![numbers(&json!(NUMBER)), waba(), Reply::error(403, 200)], "down"),
    ] {
        let graph = FakeGraph::start(replies).await;
        let ports = cloud(&graph.address, no_files()).ports();
        let error = ports.check().unwrap().check(&device()).await.unwrap_err();
        assert_eq!(word(&error), wanted, "{error}");
    }
}

#[tokio::test]
async fn a_portfolio_that_the_token_may_not_see_is_left_out() {
    let graph = FakeGraph::start([numbers(&json!(NUMBER)), Reply::error(403, 200), ok()]).await;
    let ports = cloud(&graph.address, no_files()).ports();
    let facts = ports.check().unwrap().check(&device()).await.unwrap();
    assert_eq!(facts.portfolio, None);
}

#[tokio::test]
async fn a_device_without_account_cannot_be_checked() {
    let mut device = device();
    device.parent = None;
    let ports = cloud("http://127.0.0.1:9", no_files()).ports();
    let error = ports.check().unwrap().check(&device).await.unwrap_err();
    assert!(matches!(error, SendError::Refused { .. }));
}

#[tokio::test]
async fn the_remaining_calls_ask_what_they_should() {
    let apps = json!([{ "whatsapp_business_api_data": { "id": "1", "name": "Kabar" } }]);
    let graph = FakeGraph::start([
        page(&apps, None),
        ok(),
        ok(),
        Reply::json(200, &json!({ "id": NUMBER })),
    ])
    .await;
    let client = GraphClient::new(config(&graph.address)).unwrap();
    let token = Secret::from(TOKEN);
    let apps = client.subscribed_apps(&token, WABA).await.unwrap();
    assert_eq!(apps[0].whatsapp_business_api_data.id, "1");
    client.unsubscribe(&token, WABA).await.unwrap();
    client.delete_media(&token, NUMBER, "a/../b").await.unwrap();
    client.phone_number(&token, NUMBER).await.unwrap();
    let lines = graph.lines();
    assert_eq!(lines[1], format!("DELETE /v25.0/{WABA}/subscribed_apps"));
    let escaped = format!("DELETE /v25.0/a%2F..%2Fb?phone_number_id={NUMBER}");
    assert_eq!(lines[2], escaped, "an id never leaves its place");
    assert!(lines[3].starts_with(&format!("GET /v25.0/{NUMBER}?fields=")));
}

#[test]
fn a_base_url_of_another_kind_is_refused() {
    for address in ["ftp://example.com", "data:text/plain,x", "https://user:secret@example.com"] {
        let config = GraphConfig { base_url: address.parse().unwrap(), ..GraphConfig::default() };
        let error = GraphClient::new(config).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{address}");
    }
}
