//! What is wrong is said, with its field and remedy, and nothing else.

use poem::http::Method;
use serde_json::{Value, json};

use crate::bed::{Bed, Call, rule};

#[tokio::test]
async fn addresses_methods_and_bodies() {
    let bed = Bed::new().await;
    let token = bed.admin.clone();
    for path in ["/", "/nothing", "/api/v1/nothing", "/api/v1", "/api/v1/devices/a/b/c"] {
        bed.call(Call::get(path)).await.problem(404);
    }
    for (path, methods) in [
        ("/healthz", "GET"),
        ("/api/v1/openapi.json", "GET"),
        ("/api/v1/devices", "GET, POST"),
        ("/api/v1/devices/x", "DELETE, GET, PATCH"),
        ("/webhooks/cloud-api/x", "GET, POST"),
        ("/api/docs", "GET"),
    ] {
        let answered = bed.call(Call::new(Method::PUT, path).bearer(&token)).await;
        answered.problem(405);
        assert_eq!(answered.header("allow"), Some(methods), "{path}");
    }
    let post = || Call::post("/api/v1/accounts").bearer(&token);
    bed.call(post()).await.problem(415);
    bed.call(post().bytes("text/plain", "{}")).await.problem(415);
    bed.call(post().bytes("multipart/form-data; boundary=x", "{}")).await.problem(415);
    for body in ["", "{", "nul", "{\"name\":\"\u{1}\"}", "{\"name\":\"\\ud800\"}"] {
        bed.call(post().bytes("application/json", body)).await.problem(400);
    }
    bed.call(post().bytes("application/json", b"\"\xff\"".as_slice())).await.problem(400);
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    bed.call(post().bytes("application/json", large.clone())).await.problem(413);
    let announced = post().header("content-length", large.len().to_string());
    bed.call(announced.bytes("application/json", large)).await.problem(413);
    let deep = "[".repeat(1_000);
    bed.call(post().bytes("application/json", deep)).await.problem(400);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn fields_are_named() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let message = |change: &dyn Fn(&mut Value)| {
        let mut one = json!({
            "device_id": tenant.device,
            "to": { "phone": "+628123456789" },
            "content": { "type": "text", "body": "hi" },
        });
        change(&mut one);
        json!({ "messages": [one] })
    };
    let buttons = json!({ "type": "buttons", "body": "b", "buttons": [
        { "type": "reply", "id": "1", "title": "x" }, { "type": "reply", "id": 2, "title": "y" },
    ]});
    let changed_rule = |change: &dyn Fn(&mut Value)| {
        let mut one = rule(&tenant.device);
        change(&mut one);
        one
    };
    let cases: Vec<(&str, Value, u16, &str)> = vec![
        ("/contacts", json!({}), 400, "phone"),
        ("/contacts", json!({ "phone": 1 }), 400, "phone"),
        ("/contacts", json!({ "phone": "+62812", "more": 1 }), 400, "more"),
        ("/contacts", json!({ "phone": "abc" }), 422, "phone"),
        ("/contacts", json!({ "phone": "08123456789" }), 422, "phone"),
        ("/contacts", json!({ "phone": "+628123456789", "name": "a\0" }), 400, "name"),
        ("/contacts", json!({ "phone": "+628123456789", "name": "a\n" }), 422, "name"),
        (
            "/contacts",
            json!({ "phone": "+628123456789", "variables": { "a b": "x" } }),
            422,
            "variables.a b",
        ),
        ("/keys", json!({ "name": "k", "permissions": [] }), 422, "permissions"),
        ("/keys", json!({ "name": "k", "permissions": ["x:y"] }), 400, "permissions[0]"),
        ("/keys", json!({ "name": "", "permissions": ["messages:send"] }), 422, "name"),
        (
            "/keys",
            json!({ "name": "k", "permissions": ["messages:send"], "expires_at": "2020-01-01T00:00:00Z" }),
            422,
            "expires_at",
        ),
        (
            "/keys",
            json!({ "name": "k", "permissions": ["messages:send"], "expires_at": "soon" }),
            400,
            "expires_at",
        ),
        ("/users", json!({ "email": "x", "name": "n", "role": "agent" }), 422, "email"),
        ("/users", json!({ "email": "x@y.z", "name": "n", "role": "boss" }), 400, "role"),
        ("/users", json!({ "email": "x@y.z", "name": "n", "role": "provider_admin" }), 422, "role"),
        (
            "/meta-apps",
            json!({ "name": "n", "app_secret": "", "verify_token": "v" }),
            422,
            "app_secret",
        ),
        (
            "/meta-apps",
            json!({ "name": "n", "app_secret": "s", "verify_token": "v", "meta_app_id": "x" }),
            422,
            "meta_app_id",
        ),
        ("/devices", json!({ "name": "n", "channel": "pigeon", "address": "1" }), 422, "channel"),
        (
            "/devices",
            json!({ "name": "n", "channel": "cloud_api", "address": "x", "parent": "1", "credential": "c" }),
            422,
            "address",
        ),
        (
            "/devices",
            json!({ "name": "n", "channel": "cloud_api", "address": "1", "parent": "1", "credential": "c", "settings": { "uncertain": "resend" } }),
            422,
            "settings.resend_after_seconds",
        ),
        (
            "/devices",
            json!({ "name": "n", "channel": "cloud_api", "address": "1", "parent": "1", "credential": "c", "settings": { "expire_seconds": 0 } }),
            422,
            "settings.expire_seconds",
        ),
        (
            "/devices",
            json!({ "name": "n", "channel": "cloud_api", "address": "1", "parent": "1", "credential": "c", "settings": { "expire_seconds": -1 } }),
            400,
            "settings.expire_seconds",
        ),
        ("/messages", json!({ "messages": [] }), 422, "messages"),
        ("/messages", message(&|m| m["device_id"] = json!("x")), 400, "messages[0].device_id"),
        ("/messages", message(&|m| m["to"] = json!({})), 422, "messages[0].to"),
        (
            "/messages",
            message(&|m| m["to"] = json!({ "phone": "+628123456789", "bsuid": "x" })),
            422,
            "messages[0].to",
        ),
        ("/messages", message(&|m| m["to"]["phone"] = json!("12")), 422, "messages[0].to.phone"),
        (
            "/messages",
            message(&|m| m["to"] = json!({ "bsuid": "a b" })),
            422,
            "messages[0].to.bsuid",
        ),
        (
            "/messages",
            message(&|m| m["content"]["type"] = json!("smell")),
            400,
            "messages[0].content.type",
        ),
        ("/messages", message(&|m| m["content"] = json!("hi")), 400, "messages[0].content.type"),
        (
            "/messages",
            message(&|m| m["content"]["more"] = json!(1)),
            400,
            "messages[0].content.more",
        ),
        (
            "/messages",
            message(&|m| m["content"] = json!({ "type": "text" })),
            400,
            "messages[0].content.body",
        ),
        (
            "/messages",
            message(&|m| m["content"]["body"] = json!("")),
            422,
            "messages[0].content.body",
        ),
        (
            "/messages",
            message(&|m| m["content"]["body"] = json!("a\0b")),
            400,
            "messages[0].content.body",
        ),
        (
            "/messages",
            message(&|m| m["content"]["body"] = json!("x".repeat(4097))),
            422,
            "messages[0].content.body",
        ),
        (
            "/messages",
            message(&|m| m["content"] = buttons.clone()),
            400,
            "messages[0].content.buttons[1].id",
        ),
        (
            "/messages",
            message(&|m| m["content"] = json!({ "type": "image" })),
            422,
            "messages[0].content.media_id",
        ),
        (
            "/messages",
            message(&|m| m["content"] = json!({ "type": "image", "link": "x" })),
            400,
            "messages[0].content.link",
        ),
        (
            "/messages",
            message(&|m| m["content"] = json!({ "type": "reaction", "emoji": "👍" })),
            422,
            "messages[0].reply_to",
        ),
        ("/messages", message(&|m| m["fallback"] = json!("maybe")), 400, "messages[0].fallback"),
        ("/messages", message(&|m| m["purpose"] = json!("fun")), 400, "messages[0].purpose"),
        ("/messages", message(&|m| m["reference"] = json!("")), 422, "messages[0].reference"),
        (
            "/messages",
            message(&|m| m["expires_at"] = json!("2020-01-01T00:00:00Z")),
            422,
            "messages[0].expires_at",
        ),
        (
            "/messages",
            message(&|m| m["device_id"] = json!("dev_00000000000000000000000000000001")),
            404,
            "messages[0].device_id",
        ),
        (
            "/messages",
            message(&|m| m["to"] = json!({ "contact_id": "con_00000000000000000000000000000001" })),
            404,
            "messages[0].to",
        ),
        (
            "/messages",
            message(&|m| m["reply_to"] = json!("msg_00000000000000000000000000000001")),
            404,
            "messages[0].reply_to",
        ),
        (
            "/rules",
            changed_rule(&|r| r["device_id"] = json!("dev_00000000000000000000000000000001")),
            404,
            "device_id",
        ),
        ("/rules", changed_rule(&|r| r["name"] = json!("")), 422, "name"),
        ("/rules", changed_rule(&|r| r["matching"]["kind"] = json!("like")), 400, "matching.kind"),
        (
            "/rules",
            changed_rule(&|r| r["matching"]["keywords"] = json!([])),
            422,
            "matching.keywords",
        ),
        (
            "/rules",
            changed_rule(&|r| r["matching"]["folding"] = json!({ "x": true })),
            400,
            "matching.folding.x",
        ),
        ("/rules", changed_rule(&|r| r["response"]["type"] = json!("x")), 400, "response.type"),
        (
            "/rules",
            changed_rule(&|r| r["limitation"] = json!({ "times": 0, "seconds": 1 })),
            422,
            "limitation",
        ),
    ];
    let before = bed.rows.dump().await;
    for (path, body, status, field) in cases {
        let call = Call::post(format!("/api/v1{path}")).bearer(&tenant.token).json(&body);
        let answered = bed.call(call).await;
        assert_eq!(answered.status, status, "{path} {body}: {}", answered.text());
        let problem = answered.problem(status);
        let fields: Vec<&str> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|e| e["field"].as_str())
            .collect();
        assert!(fields.contains(&field), "{path} {body}: {problem}");
    }
    assert_eq!(bed.rows.dump().await, before);
}

#[tokio::test]
async fn parameters_are_named() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    for (path, field) in [
        ("/devices?limit=0", "limit"),
        ("/devices?limit=201", "limit"),
        ("/devices?limit=x", "limit"),
        ("/devices?limit=-1", "limit"),
        ("/devices?after=x", "after"),
        ("/devices?after=", "after"),
        ("/events?after=1", "after"),
        ("/messages?device=x", "device"),
        ("/messages?status=gone", "status"),
        ("/messages?direction=up", "direction"),
        ("/messages?reference=", "reference"),
        ("/messages?reference=%00", "reference"),
        ("/contacts?phone=x", "phone"),
        ("/contacts?phone=%00", "phone"),
        ("/devices/x", "id"),
        ("/devices/dev_0", "id"),
        ("/messages/dev_00000000000000000000000000000001", "id"),
        ("/contacts/%00", "id"),
    ] {
        let call = Call::get(format!("/api/v1{path}")).bearer(&tenant.token);
        let problem = bed.call(call).await.problem(400);
        assert_eq!(problem["errors"][0]["field"], field, "{path}: {problem}");
    }
    let call = Call::get("/api/v1/devices").bearer(&bed.admin).account("x");
    assert_eq!(bed.call(call).await.problem(400)["errors"][0]["field"], "Kabar-Account");
    let call = Call::get("/api/v1/devices").bearer(&bed.admin);
    assert_eq!(bed.call(call).await.problem(400)["errors"][0]["field"], "Kabar-Account");
}

#[tokio::test]
async fn what_does_not_fit_is_a_conflict() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let (waba, credential, _) = bed.business(8);
    let post = |path: &str, body: &Value| {
        Call::post(format!("/api/v1{path}")).bearer(&tenant.token).json(body)
    };
    let phone = json!({ "phone": "+628111222333" });
    bed.call(post("/contacts", &phone)).await.expect(201);
    let problem = bed.call(post("/contacts", &phone)).await.problem(409);
    assert_eq!(problem["errors"][0]["field"], "phone");
    let user = json!({ "email": "OWNER1@example.com", "name": "x", "role": "agent" });
    assert_eq!(bed.call(post("/users", &user)).await.problem(409)["errors"][0]["field"], "email");
    let settle = json!({ "as": "sent" });
    bed.call(post(&format!("/messages/{}/settle", tenant.waiting), &settle)).await.problem(409);
    bed.call(post(&format!("/messages/{}/cancel", tenant.message), &json!({}))).await.problem(409);
    // The network refuses a number that the credential cannot read.
    let foreign = Bed::registration(&waba, &credential, &tenant.number);
    let problem = bed.call(post("/devices", &foreign)).await.problem(422);
    assert_eq!(problem["code"], "refused_by_network");
    let wrong = Bed::registration(&waba, "wrong", &tenant.number);
    assert_eq!(bed.call(post("/devices", &wrong)).await.problem(422)["code"], "refused_by_network");
}

#[tokio::test]
async fn forms_must_be_forms() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let post = || Call::post("/api/v1/media").bearer(&tenant.token);
    bed.call(post().json(&json!({}))).await.problem(415);
    bed.call(post().bytes("multipart/form-data", "x")).await.problem(400);
    bed.call(post().bytes("multipart/form-data; boundary=b", "x")).await.problem(400);
    let empty = "--b--\r\n";
    let problem =
        bed.call(post().bytes("multipart/form-data; boundary=b", empty)).await.problem(400);
    assert_eq!(problem["errors"][0]["field"], "file");
    let other = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n--b--\r\n";
    let problem =
        bed.call(post().bytes("multipart/form-data; boundary=b", other)).await.problem(400);
    assert_eq!(problem["errors"][0]["field"], "x");
    let problem = bed.call(post().file("a", "text/plain", "b", b"")).await.problem(422);
    assert_eq!(problem["errors"][0]["field"], "file");
    let announced = post().header("content-length", "200000000");
    bed.call(announced.bytes("multipart/form-data; boundary=b", "")).await.problem(413);
}

#[tokio::test]
async fn credentials() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    for header in ["", "Bearer", "Bearer ", "Basic x", "Bearer kbr_x", "kbr_x"] {
        let call = Call::get("/api/v1/devices").header("authorization", header);
        let answered = bed.call(call).await;
        answered.problem(401);
        assert!(answered.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer")));
    }
    let lower =
        Call::get("/api/v1/devices").header("authorization", format!("bearer {}", tenant.token));
    assert_eq!(bed.call(lower).await.status, 200);
    // An inactive account's credentials do not work, until it is active again.
    let switch = |word: &str| {
        Call::post(format!("/api/v1/accounts/{}/{word}", tenant.account)).bearer(&bed.admin)
    };
    bed.call(switch("deactivate")).await.expect(200);
    for token in [&tenant.token, &tenant.device_token] {
        bed.call(Call::get("/api/v1/devices").bearer(token)).await.problem(401);
    }
    bed.call(switch("activate")).await.expect(200);
    bed.call(Call::get("/api/v1/devices").bearer(&tenant.token)).await.expect(200);
    let revoke =
        Call::new(Method::DELETE, format!("/api/v1/keys/{}", tenant.key)).bearer(&bed.admin);
    assert_eq!(bed.call(revoke.account(&tenant.account)).await.status, 204);
    bed.call(Call::get("/api/v1/devices").bearer(&tenant.token)).await.problem(401);
}
