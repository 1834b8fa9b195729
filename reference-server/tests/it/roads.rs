//! Whole roads: out, in, files, lists, logs.

use std::collections::BTreeSet;

use poem::http::Method;
use serde_json::{Value, json};

use crate::bed::{Bed, Call, rule, text};
use crate::operations::message;

#[tokio::test]
async fn a_message_goes_out_and_can_be_followed() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        bed.platform.drain().await.unwrap();
        let get = |path: String| Call::get(format!("/api/v1{path}")).bearer(&tenant.token);
        let sent = bed.call(get(format!("/messages/{}", tenant.waiting))).await.expect(200);
        assert_eq!(sent["status"], "sent", "{sent}");
        assert_eq!(sent["content"], json!({ "type": "text", "body": "selamat datang" }));
        assert!(sent["wire_id"].is_string());
        let list =
            bed.call(get("/messages?status=sent&direction=out".to_owned())).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let mut missing = BTreeSet::from([
            "device.added",
            "message.received",
            "message.queued",
            "message.status",
        ]);
        let mut next = "0-0".to_owned();
        loop {
            let page = bed.call(get(format!("/events?after={next}"))).await.expect(200);
            let items = page["items"].as_array().unwrap();
            if items.is_empty() && missing.is_empty() {
                assert_eq!(page, json!({ "items": [], "next": next, "gap": false }));
                break;
            }
            for event in items {
                missing.remove(event["kind"].as_str().unwrap());
            }
            next = text(&page["next"]);
            // What others do on the same PostgreSQL holds the log back for a moment.
            tokio::task::yield_now().await;
        }
        let read = Call::post(format!("/api/v1/conversations/{}/read", tenant.conversation));
        let read = bed.call(read.bearer(&tenant.token).json(&json!({ "typing": true }))).await;
        // The sandbox did not send this message: it refuses the mark, and here it is read anyway.
        assert_eq!(read.expect(200)["unread"], 0);
    })
    .await;
}

#[tokio::test]
async fn every_kind_of_content_is_taken_or_refused_with_its_field() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    for content in [
        json!({ "type": "text", "body": "hi {name}", "preview_url": true }),
        json!({ "type": "image", "media_id": tenant.media, "caption": "c" }),
        json!({ "type": "video", "link": "https://example.com/a.mp4" }),
        json!({ "type": "audio", "media_id": tenant.media, "voice": true }),
        json!({ "type": "document", "media_id": tenant.media, "filename": "a.txt" }),
        json!({ "type": "sticker", "link": "https://example.com/a.webp" }),
        json!({ "type": "location", "latitude": -6.2, "longitude": 106.8, "name": "Monas" }),
        json!({ "type": "contacts", "cards": [{ "name": "Ayu", "phones": ["+62811"] }] }),
        json!({ "type": "poll", "question": "?", "options": ["a", "b"] }),
        json!({ "type": "buttons", "body": "b", "buttons": [{ "type": "reply", "id": "1", "title": "x" }] }),
        json!({ "type": "list", "body": "b", "button": "open", "sections": [{ "rows": [{ "id": "1", "title": "x" }] }] }),
        json!({ "type": "template", "name": "hello_world", "language": "en_US" }),
    ] {
        let mut body = message(&tenant.device, &json!({ "contact_id": tenant.contact }));
        body["messages"][0]["content"] = content.clone();
        let made = bed.make("/messages", &tenant.token, None, &body).await;
        let shown = &made["messages"][0];
        if shown["downgraded_from"].is_null() {
            for (field, value) in content.as_object().unwrap() {
                // A voice that is false and the like is left out; what was given is there.
                assert_eq!(&shown["content"][field], value, "{shown}");
            }
        } else {
            assert_eq!(shown["downgraded_from"], content["type"]);
        }
    }
    let mut body = message(&tenant.device, &json!({ "contact_id": tenant.contact }));
    body["messages"][0]["content"] = json!({ "type": "reaction", "emoji": "👍" });
    body["messages"][0]["reply_to"] = json!(tenant.message);
    bed.make("/messages", &tenant.token, None, &body).await;
}

#[tokio::test]
async fn all_are_taken_or_none() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let good = message(&tenant.device, &json!({ "phone": "+628123456789" }));
    let good = &good["messages"][0];
    let mut bad = good.clone();
    bad["content"]["body"] = json!("");
    let before = bed.rows.dump().await;
    let body = json!({ "messages": [good, bad] });
    let call = Call::post("/api/v1/messages").bearer(&tenant.token).json(&body);
    let problem = bed.call(call).await.problem(422);
    assert_eq!(problem["errors"][0]["field"], "messages[1].content.body");
    assert_eq!(bed.rows.dump().await, before);
}

#[tokio::test]
async fn pages_hold_everything_once() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let mut made = BTreeSet::new();
        for number in 0..7 {
            let body = json!({ "phone": format!("+62811100{number}") });
            made.insert(text(&bed.make("/contacts", &tenant.token, None, &body).await["id"]));
        }
        made.insert(tenant.contact.clone());
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/api/v1/contacts?limit=3{after}");
            let page = bed.call(Call::get(path).bearer(&tenant.token)).await.expect(200);
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 3);
            seen.extend(items.iter().map(|item| text(&item["id"])));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert!(seen.is_sorted_by(|one, other| one > other), "newest first");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), made);
    })
    .await;
}

#[tokio::test]
async fn files_come_back_as_they_were() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let upload = Call::post("/api/v1/media").bearer(&tenant.token);
        let upload = upload.file("héllo \u{1f600}.html", "text/html", "b", &bytes);
        let made = bed.call(upload).await.expect(201);
        assert_eq!(made["size"], 200_000);
        let path = format!("/api/v1/media/{}", text(&made["id"]));
        let file = bed.call(Call::get(format!("{path}/content")).bearer(&tenant.token)).await;
        assert_eq!(file.status, 200);
        assert_eq!(file.bytes, bytes);
        assert_eq!(file.header("content-type"), Some("text/html"));
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        assert!(file.header("content-disposition").is_some_and(|it| it.starts_with("attachment;")));
        let remove = || Call::new(Method::DELETE, path.clone()).bearer(&tenant.token);
        assert_eq!(bed.call(remove()).await.status, 204);
        bed.call(remove()).await.problem(404);
        bed.call(Call::get(format!("{path}/content")).bearer(&tenant.token)).await.problem(404);
    })
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one change after the other")]
async fn changes_are_read_back_and_written_down() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let patch = |path: String, body: Value| {
            Call::new(Method::PATCH, format!("/api/v1{path}"))
                .bearer(&tenant.token)
                .json(&body)
        };
        let account = bed
            .call(patch(
                "/account".to_owned(),
                json!({ "time_zone": "Asia/Jakarta", "country": "id" }),
            ))
            .await
            .expect(200);
        assert_eq!(
            (&account["time_zone"], &account["country"]),
            (&json!("Asia/Jakarta"), &json!("ID"))
        );
        let account = bed
            .call(patch("/account".to_owned(), json!({ "country": null })))
            .await
            .expect(200);
        assert_eq!(
            (&account["time_zone"], &account["country"]),
            (&json!("Asia/Jakarta"), &Value::Null)
        );
        let device = patch(
            format!("/devices/{}", tenant.device),
            json!({ "app_id": tenant.app, "settings": { "uncertain": "resend", "resend_after_seconds": 60, "default_reply": "later" } }),
        );
        let device = bed.call(device).await.expect(200);
        assert_eq!(device["app_id"], tenant.app);
        assert_eq!(device["settings"]["resend_after_seconds"], 60);
        assert_eq!(device["settings"]["settle_seconds"], 30);
        let remove = Call::new(Method::DELETE, format!("/api/v1/meta-apps/{}", tenant.app));
        bed.call(remove.bearer(&tenant.token)).await.problem(409);
        let back = patch(
            format!("/devices/{}", tenant.device),
            json!({ "app_id": null }),
        );
        assert_eq!(bed.call(back).await.expect(200)["app_id"], Value::Null);
        // The last owner stays one.
        let new = json!({ "email": "second@example.com", "name": "Second", "role": "customer" });
        bed.make("/users", &tenant.token, None, &new).await;
        let user = patch(
            format!("/users/{}", tenant.user),
            json!({ "role": "agent", "permissions": ["rules:read"] }),
        );
        let user = bed.call(user).await.expect(200);
        assert_eq!(
            (&user["role"], &user["permissions"]),
            (&json!("agent"), &json!(["rules:read"]))
        );
        let contact = patch(
            format!("/contacts/{}", tenant.contact),
            json!({ "name": "Ayu", "variables": { "city": "Solo" }, "marketing": false }),
        );
        let contact = bed.call(contact).await.expect(200);
        assert_eq!(
            (&contact["name"], &contact["variables"]["city"]),
            (&json!("Ayu"), &json!("Solo"))
        );
        assert!(contact["marketing_stopped_at"].is_string());
        let changed = patch(
            format!("/rules/{}", tenant.rule),
            json!({ "limitation": { "times": 1, "seconds": 60 }, "priority": 5 }),
        );
        let changed = bed.call(changed).await.expect(200);
        assert_eq!(
            (&changed["limitation"]["times"], &changed["priority"]),
            (&json!(1), &json!(5))
        );
        assert_eq!(
            changed["response"]["content"],
            rule(&tenant.device)["response"]["content"]
        );
        let changed = bed
            .call(patch(
                format!("/rules/{}", tenant.rule),
                json!({ "limitation": null }),
            ))
            .await
            .expect(200);
        assert_eq!(changed["limitation"], Value::Null);
        let audit = bed
            .call(Call::get("/api/v1/audit").bearer(&tenant.token))
            .await
            .expect(200);
        let actions: BTreeSet<&str> = audit["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|e| e["action"].as_str())
            .collect();
        for action in [
            "account.update",
            "device.update",
            "user.update",
            "rule.update",
        ] {
            assert!(actions.contains(action), "{actions:?}");
        }
        let own = bed
            .call(Call::get("/api/v1/audit").bearer(&bed.admin))
            .await
            .expect(200);
        assert!(
            own["items"]
                .as_array()
                .unwrap()
                .iter()
                .all(|entry| entry["action"] != "device.update")
        );
    })
    .await;
}

#[tokio::test]
async fn devices_are_checked_and_their_tokens_rotated() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let post = |path: &str| {
        Call::post(format!("/api/v1/devices/{}/{path}", tenant.device)).bearer(&tenant.token)
    };
    assert_eq!(bed.call(post("check")).await.expect(200)["state"], "connected");
    let templates = Call::get(format!("/api/v1/devices/{}/templates", tenant.device));
    let templates = bed.call(templates.bearer(&tenant.token)).await.expect(200);
    assert!(templates["items"].is_array());
    let rotated = bed.call(post("token")).await.expect(200);
    let call = |token: &str| Call::get("/api/v1/devices").bearer(token);
    bed.call(call(&tenant.device_token)).await.problem(401);
    bed.call(call(&text(&rotated["token"]))).await.expect(200);
    bed.sandbox.expire_token("token-1").unwrap();
    bed.call(post("check")).await.problem(422);
    let device = Call::get(format!("/api/v1/devices/{}", tenant.device)).bearer(&tenant.token);
    let device = bed.call(device).await.expect(200);
    assert_eq!(device["state"], "disconnected", "{device}");
    let remove = Call::new(Method::DELETE, format!("/api/v1/devices/{}", tenant.device));
    assert_eq!(bed.call(remove.bearer(&tenant.token)).await.status, 204);
    bed.call(call(&text(&rotated["token"]))).await.problem(401);
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    for path in ["/devices", "/meta-apps", "/keys", "/users", "/audit", "/events"] {
        let call = Call::get(format!("/api/v1{path}")).bearer(&tenant.token);
        let shown = bed.call(call).await.expect(200).to_string();
        for secret in ["token-1", &tenant.token, &tenant.device_token, "app_secret", "verify_token"]
        {
            assert!(!shown.contains(secret), "{path} shows a secret");
        }
    }
}
