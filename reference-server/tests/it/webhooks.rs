//! What Meta posts.

use kabar::cloud_api::webhook::signature;
use kabar::core::Secret;
use kabar::devices::installation_app;
use serde_json::{Value, json};

use crate::bed::{APP_SECRET, Bed, Call, VERIFY_TOKEN};

fn path() -> String {
    format!("/webhooks/cloud-api/{}", installation_app())
}

async fn messages(bed: &Bed, token: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/messages?direction=in&limit=200{after}");
        let page = bed.call(Call::get(path).bearer(token)).await.expect(200);
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn the_handshake_answers_the_challenge() {
    let bed = Bed::new().await;
    let ask = |token: &str| {
        let query = format!("hub.mode=subscribe&hub.challenge=42&hub.verify_token={token}");
        Call::get(format!("{}?{query}", path()))
    };
    let answered = bed.call(ask(&VERIFY_TOKEN.replace(' ', "+"))).await;
    assert_eq!((answered.status, answered.text().as_str()), (200, "42"));
    assert_eq!(answered.header("content-type"), Some("text/plain; charset=utf-8"));
    bed.call(ask("wrong")).await.problem(403);
    bed.call(Call::get(path())).await.problem(403);
    let absent = "/webhooks/cloud-api/app_00000000000000000000000000000009";
    for unknown in [absent, "/webhooks/cloud-api/x", "/webhooks/cloud-api/%00"] {
        bed.call(Call::get(unknown)).await.problem(404);
        bed.call(Call::post(unknown)).await.problem(404);
    }
}

#[tokio::test]
async fn a_body_without_its_signature_is_refused() {
    let bed = Bed::new().await;
    let before = bed.rows.dump().await;
    let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
    let other = signature(&Secret::from("another"), body);
    let right = signature(&Secret::from(APP_SECRET), body);
    for header in [None, Some(""), Some("sha256=00"), Some("sha1=x"), Some(other.as_str())] {
        let mut call = Call::post(path()).bytes("application/json", *body);
        if let Some(header) = header {
            call = call.header("x-hub-signature-256", header);
        }
        bed.call(call).await.problem(401);
    }
    let changed = Call::post(path()).header("x-hub-signature-256", right);
    bed.call(changed.bytes("application/json", b"{}".as_slice())).await.problem(401);
    assert_eq!(bed.rows.dump().await, before);
    let large = vec![b' '; 5 * 1024 * 1024];
    assert_eq!(bed.deliver(&large).await.status, 413);
}

#[tokio::test]
async fn a_signed_body_is_never_refused() {
    let bed = Bed::new().await;
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"no json".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{\"entry\":[{\"changes\":[{\"field\":7,\"value\":[]}]}]}".to_vec(),
        b"{\"entry\":\"x\\u0000\"}".to_vec(),
        vec![b'['; 100_000],
        Bed::incoming("unknown", "62812", "wamid.1", "hi").to_string().into_bytes(),
        vec![b' '; 3 * 1024 * 1024],
    ];
    for body in bodies {
        assert_eq!(bed.deliver(&body).await.status, 200);
    }
}

#[tokio::test]
async fn the_same_body_three_times_is_one_message() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let body = Bed::incoming(&tenant.number, "6281299", "wamid.same", "again").to_string();
        for _ in 0..3 {
            assert_eq!(bed.deliver(body.as_bytes()).await.status, 200);
        }
        assert_eq!(messages(&bed, &tenant.token).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_thousand_updates_in_one_body() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let mut body = Bed::incoming(&tenant.number, "6281299", "wamid.0", "x");
        let pattern = body["entry"][0]["changes"][0]["value"]["messages"][0].clone();
        let many: Vec<Value> = (0..1_000)
            .map(|number| {
                let mut one = pattern.clone();
                one["id"] = json!(format!("wamid.many.{number}"));
                one["text"]["body"] = json!("x".repeat(3_000));
                one
            })
            .collect();
        body["entry"][0]["changes"][0]["value"]["messages"] = Value::Array(many);
        let body = body.to_string();
        assert!(body.len() > 3_000_000);
        assert_eq!(bed.deliver(body.as_bytes()).await.status, 200);
        assert_eq!(messages(&bed, &tenant.token).await.len(), 1_001);
    })
    .await;
}

#[tokio::test]
async fn a_tenants_app_has_no_say_in_another_tenants_device() {
    let bed = Bed::new().await;
    let (one, other) = (bed.tenant(1).await, bed.tenant(2).await);
    let body = Bed::incoming(&other.number, "6281299", "wamid.foreign", "hi").to_string();
    let sign = signature(&Secret::from("s"), body.as_bytes());
    let call = Call::post(format!("/webhooks/cloud-api/{}", one.app));
    let call = call.header("x-hub-signature-256", sign);
    assert_eq!(bed.call(call.bytes("application/json", body)).await.status, 200);
    assert_eq!(messages(&bed, &other.token).await.len(), 1);
    let body = Bed::incoming(&one.number, "6281299", "wamid.own", "hi").to_string();
    let sign = signature(&Secret::from("s"), body.as_bytes());
    let call = Call::post(format!("/webhooks/cloud-api/{}", one.app));
    let call = call.header("x-hub-signature-256", sign);
    assert_eq!(bed.call(call.bytes("application/json", body)).await.status, 200);
    assert_eq!(messages(&bed, &one.token).await.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged() {
    let bed = Bed::new().await;
    bed.platform.database().close().await;
    assert_eq!(bed.deliver(b"{}").await.status, 503);
}
