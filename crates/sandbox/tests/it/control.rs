//! The control API over HTTP.

use kabar_sandbox::{DEFAULT_WABA_ID as WABA, Inbound, Sandbox, SandboxConfig, TallyBy};
use serde_json::json;

use crate::bed::{Bed, CUSTOMER, code};

#[tokio::test]
async fn everything_has_its_call() {
    let bed = Bed::new().await;
    let customer = format!("customers/{CUSTOMER}");
    let calls = [
        ("GET", "state", json!({})),
        ("PATCH", "settings", json!({"batch": 3, "window": "off"})),
        (
            "POST",
            "accounts",
            json!({"waba_id": "77", "token": "t77", "numbers": [{"phone_number_id": "78"}]}),
        ),
        ("POST", "accounts/77/numbers", json!({})),
        ("POST", "accounts/77/tokens", json!({"token": "t78"})),
        ("DELETE", "tokens/t78", json!({})),
        ("POST", "accounts/77/templates", json!({"name": "mine", "components": []})),
        ("PUT", &customer, json!({"name": "Siti", "reads": false, "replies_with": ["ok"]})),
        ("GET", &customer, json!({})),
        ("GET", "customers", json!({})),
        ("POST", "inbound", json!({"from": CUSTOMER, "content": {"type": "text", "body": "hi"}})),
        (
            "POST",
            "inbound",
            json!({"from": CUSTOMER, "content": {
            "type": "media", "kind": "image", "data": "aGk=", "mime_type": "image/png"}}),
        ),
        ("POST", "media", json!({"mime_type": "image/png", "data": "aGk="})),
        ("POST", "faults", json!({"effect": {"kind": "late", "ms": 1}, "times": null})),
        ("GET", "faults", json!({})),
        ("DELETE", "faults", json!({})),
        ("POST", "webhooks/raw", json!({"json": {"object": "x", "entry": []}})),
        ("POST", "quiesce?timeout_ms=30000", json!({})),
        ("GET", "pending", json!({})),
        ("GET", "webhooks?limit=1", json!({})),
        ("GET", "messages?to=62811&limit=5", json!({})),
        ("GET", "messages/tally?by=to", json!({})),
        ("GET", "reads", json!({})),
        ("POST", "clock/advance", json!({"hours": 25})),
        ("POST", "reset", json!({"scope": "all"})),
        ("DELETE", "webhook", json!({})),
    ];
    for (method, path, body) in calls {
        let (status, answer) = bed.control(method, path, body).await;
        assert_eq!(status, 200, "{method} {path} {answer}");
    }
}

#[tokio::test]
async fn refusals_say_why() {
    let bed = Bed::new().await;
    for (method, path, body, expected) in [
        ("PATCH", "settings", json!({"no_such": 1}), 400),
        ("POST", "faults", json!({"effect": {"kind": "lose"}}), 400),
        (
            "POST",
            "inbound",
            json!({"from": "nobody", "content": {"type": "text", "body": "x"}}),
            404,
        ),
        ("POST", "accounts", json!({"waba_id": WABA}), 409),
        ("POST", "messages/wamid.X/read", json!({}), 404),
        ("GET", "no_such", json!({}), 404),
    ] {
        let (status, answer) = bed.control(method, path, body).await;
        assert_eq!(status, expected, "{method} {path} {answer}");
        assert!(answer["error"].is_string());
    }
}

#[tokio::test]
async fn the_default_is_the_documented_one() {
    let bed = Bed::new().await;
    bed.control("PUT", "customers/62811", json!({"window_open": true})).await;
    bed.send(json!({"to": "62811", "text": {"body": "a"}, "biz_opaque_callback_data": "r"})).await;
    bed.quiet().await;
    let (_, page) = bed.control("GET", "messages?reference=r", json!({})).await;
    let message = &page["data"][0];
    assert_eq!((&message["customer"], &message["status"]), (&json!("62811"), &json!("read")));
    let (_, log) = bed.control("GET", "webhooks", json!({})).await;
    assert_eq!(log["counts"]["delivered"], 3);
    assert_eq!(log["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_reset_forgets_traffic_and_keeps_the_setup() {
    let bed = Bed::new().await;
    bed.receiver.script(&[500; 1_000]);
    bed.open_window(CUSTOMER);
    bed.send_text("a").await;
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "b")).unwrap();
    bed.sandbox.expire_token("sandbox-token").unwrap();
    bed.control("POST", "reset", json!({})).await;
    bed.quiet().await;
    assert_eq!(bed.sandbox.overview().accepted, 0);
    assert_eq!(bed.sandbox.pending(), kabar_sandbox::WebhookCounts::default());
    assert_eq!(code(&bed.send_text("a").await.1), 190);
    bed.control("POST", "reset", json!({"scope": "all"})).await;
    assert_eq!(bed.send_text("a").await.0, 200);
}

#[tokio::test]
async fn the_memory_of_messages_is_bounded() {
    let config = SandboxConfig { max_messages: 3, ..SandboxConfig::default() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let bed = Bed { sandbox, ..Bed::new().await };
    for _ in 0..5 {
        bed.send_text("a").await;
    }
    let kept = bed.sandbox.messages(&kabar_sandbox::MessageFilter::default());
    assert_eq!(kept.iter().map(|it| it.sequence).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(bed.sandbox.tally(TallyBy::To).total, 3);
}

#[tokio::test]
async fn a_stopped_sandbox_is_gone() {
    let bed = Bed::new().await;
    bed.sandbox.stop().await;
    assert!(bed.try_send(json!({"text": {"body": "a"}}), 30_000).await.is_err());
}

#[test]
fn what_is_public_crosses_threads() {
    fn check<T: Send + Sync>() {}
    check::<Sandbox>();
    check::<SandboxConfig>();
    check::<kabar_sandbox::SandboxError>();
    check::<Inbound>();
    check::<kabar_sandbox::Fault>();
}
