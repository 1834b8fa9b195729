//! Requests that are sent again.

use serde_json::{Value, json};

use crate::bed::{Bed, Call, rule};

fn keyed(path: &str, token: &str, key: &str, body: &Value) -> Call {
    Call::post(format!("/api/v1{path}")).bearer(token).header("idempotency-key", key).json(body)
}

#[tokio::test]
async fn a_repeated_request_makes_nothing_new() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let (waba, credential, numbers) = bed.business(7);
        let message = json!({ "messages": [{
            "device_id": tenant.device,
            "to": { "phone": "+628123456789" },
            "content": { "type": "text", "body": "hi" },
        }]});
        for (path, status, body) in [
            ("/users", 201, json!({ "email": "a@example.com", "name": "A", "role": "agent" })),
            ("/keys", 201, json!({ "name": "K", "permissions": ["messages:send"] })),
            ("/devices", 201, Bed::registration(&waba, &credential, &numbers[0])),
            ("/meta-apps", 201, json!({ "name": "A", "app_secret": "x", "verify_token": "y" })),
            ("/contacts", 201, json!({ "phone": "+628111222333" })),
            ("/messages", 202, message),
            ("/rules", 201, rule(&tenant.device)),
        ] {
            let first = bed.call(keyed(path, &tenant.token, "k 1", &body)).await;
            assert_eq!(first.header("idempotency-replayed"), None, "{path}");
            let mut first = first.expect(status);
            let before = bed.rows.dump().await;
            let again = bed.call(keyed(path, &tenant.token, "k 1", &body)).await;
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{path}");
            let again = again.expect(status);
            for secret in ["secret", "token"] {
                if let Some(shown) = first.get_mut(secret) {
                    assert!(shown.is_string(), "{path}");
                    *shown = Value::Null;
                }
            }
            assert_eq!(first, again, "{path}");
            assert_eq!(bed.rows.dump().await, before, "{path}");
            let mut other = body.clone();
            other["name"] = json!("Another");
            if path == "/messages" {
                other = json!({ "messages": [body["messages"][0], body["messages"][0]] });
            }
            let problem = bed.call(keyed(path, &tenant.token, "k 1", &other)).await.problem(422);
            assert_eq!(problem["code"], "idempotency_key_reused", "{path}");
            // The same key of somebody else, or without the key, is another request.
            assert_eq!(bed.rows.dump().await, before, "{path}");
        }
        let body = json!({ "phone": "+628111222444" });
        bed.call(keyed("/contacts", &tenant.token, "k 2", &body)).await.expect(201);
        let agent = bed.call(keyed("/contacts", &tenant.agent, "k 2", &body)).await;
        agent.problem(409);
    })
    .await;
}

#[tokio::test]
async fn the_provider_repeats_itself_too() {
    let bed = Bed::new().await;
    let body = json!({ "name": "T", "owner": { "email": "o@example.com", "name": "O" } });
    let first = bed.call(keyed("/accounts", &bed.admin, "a", &body)).await.expect(201);
    let again = bed.call(keyed("/accounts", &bed.admin, "a", &body)).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.expect(201), first);
}

#[tokio::test]
async fn a_file_is_the_same_under_another_boundary() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let upload = |boundary: &str, bytes: &[u8]| {
        let call = Call::post("/api/v1/media").bearer(&tenant.token).header("idempotency-key", "f");
        call.file("a.png", "image/png", boundary, bytes)
    };
    let first = bed.call(upload("one", b"png")).await.expect(201);
    let again = bed.call(upload("two", b"png")).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.expect(201), first);
    bed.call(upload("three", b"other")).await.problem(422);
}

#[tokio::test]
async fn a_key_must_be_printable() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let body = json!({ "phone": "+628111222333" });
    let long = "k".repeat(256);
    for key in ["", long.as_str(), "é", "a\tb"] {
        let problem = bed.call(keyed("/contacts", &tenant.token, key, &body)).await.problem(400);
        assert_eq!(problem["errors"][0]["field"], "Idempotency-Key", "{key:?}");
    }
    let most = "k".repeat(255);
    bed.call(keyed("/contacts", &tenant.token, &most, &body)).await.expect(201);
}

#[tokio::test]
async fn of_requests_at_once_one_makes_it() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let body = json!({ "phone": "+628111222333" });
        let calls = (0..8).map(|_| bed.call(keyed("/contacts", &tenant.token, "same", &body)));
        let answers = futures_util::future::join_all(calls).await;
        let mut ids = std::collections::BTreeSet::new();
        for answer in answers {
            match answer.status {
                201 => {
                    ids.insert(answer.json()["id"].to_string());
                }
                _ => assert_eq!(answer.problem(409)["code"], "in_flight"),
            }
        }
        assert_eq!(ids.len(), 1);
    })
    .await;
}
