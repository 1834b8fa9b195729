//! Statistics, history and retention over HTTP.

use kabar::core::Role;
use serde_json::{Value, json};

use crate::bed::{Bed, Call};

/// Counts what happened, and waits until it is counted: on PostgreSQL a transaction of another test
/// on the same server holds the log back for a moment.
async fn counted(bed: &Bed, call: Call, field: &str, wanted: u64) -> Value {
    for _ in 0..10_000 {
        bed.platform.projector().drain().await.unwrap();
        let table = bed.call(call.clone()).await.expect(200);
        if table["totals"][field] == wanted {
            return table;
        }
        tokio::task::yield_now().await;
    }
    panic!("{field} never came to {wanted}");
}

#[tokio::test]
async fn a_tenant_and_the_provider_see_their_figures() {
    Bed::each(async |bed| {
        let (one, other) = (bed.tenant(1).await, bed.tenant(2).await);
        let of = |query: &str, token: &str| {
            Call::get(format!("/api/v1/statistics/messages?{query}")).bearer(token)
        };
        // The message that came in was written on 1 January 2026.
        let whole = "from=2026-01-01&to=2035-12-31&by=total";
        let table = counted(&bed, of(whole, &one.token), "outgoing", 1).await;
        let totals = &table["totals"];
        assert_eq!((&totals["incoming"], &totals["waiting"]), (&json!(1), &json!(1)), "{table}");
        assert_eq!(totals["delivery_rate"], Value::Null);
        assert_eq!((&table["time_zone"], &table["by"]), (&json!("UTC"), &json!("total")));
        let by_device = of(&format!("{whole}&group=device"), &one.token);
        let by_device = bed.call(by_device).await.expect(200);
        assert_eq!(by_device["rows"][0]["group"], one.device);
        // One message of each tenant either way, over both.
        let all = of(&format!("{whole}&group=account"), &bed.admin);
        let all = counted(&bed, all, "outgoing", 2).await;
        assert_eq!(all["rows"].as_array().unwrap().len(), 2);
        let foreign = of(&format!("{whole}&device={}", other.device), &one.token);
        assert_eq!(bed.call(foreign).await.expect(200)["totals"]["outgoing"], 0);
        let csv = bed.call(of(&format!("{whole}&format=csv&group=direction"), &one.token)).await;
        assert_eq!(csv.status, 200);
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        assert!(csv.header("content-disposition").unwrap().contains(".csv"));
        let lines: Vec<String> = csv.text().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[3].starts_with("total,,1,1,"), "{lines:?}");
        let xlsx = bed.call(of(&format!("{whole}&format=xlsx"), &one.token)).await;
        assert!(xlsx.bytes.starts_with(b"PK"));
        for (query, field) in [
            ("from=2026-02-01&to=2026-01-01", "from"),
            ("by=hour&from=2026-01-01&to=2026-12-31", "from"),
            ("from=2026-01-01&to=2099-01-01&by=total", "from"),
            ("time_zone=Mars/Olympus", "time_zone"),
            ("group=account", "group"),
        ] {
            let problem = bed.call(of(query, &one.token)).await.problem(422);
            assert_eq!(problem["errors"][0]["field"], field, "{query}");
        }
        for query in ["by=year", "from=yesterday", "week_start=friday", "device=x"] {
            bed.call(of(query, &one.token)).await.problem(400);
        }
    })
    .await;
}

#[tokio::test]
async fn history_is_searched_and_chats_come_by_their_last_activity() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let list = async |query: &str| {
            let path = format!("/api/v1/messages?{query}");
            let found = bed.call(Call::get(path).bearer(&tenant.token)).await.expect(200);
            let ids = found["items"].as_array().unwrap().iter().map(|it| it["id"].clone());
            ids.collect::<Vec<Value>>()
        };
        let (came, goes) = (json!(tenant.message), json!(tenant.waiting));
        for (query, expected) in [
            ("text=HALO", vec![&came]),
            ("text=datang%20selamat", vec![&goes]),
            ("text=nothing", vec![]),
            ("status=pending&status=delivered", vec![&goes, &came]),
            ("status=pending", vec![&goes]),
            ("type=text&direction=in", vec![&came]),
            ("type=image", vec![]),
            ("origin=contact", vec![&came]),
            ("purpose=service&origin=api", vec![&goes]),
            ("phone=%2B628120000001", vec![&goes, &came]),
            ("phone=%2B628120000009", vec![]),
            ("from=2026-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", vec![&goes, &came]),
            ("to=2026-01-01T00:00:00Z", vec![]),
            ("broadcast=brd_000000000000000000000000000000ff", vec![]),
        ] {
            assert_eq!(list(query).await.iter().collect::<Vec<_>>(), expected, "{query}");
        }
        for (query, field) in [("text=%20", "text"), ("phone=12", "phone")] {
            let path = format!("/api/v1/messages?{query}");
            let problem = bed.call(Call::get(path).bearer(&tenant.token)).await.problem(422);
            assert_eq!(problem["errors"][0]["field"], field, "{query}");
        }
        // A second chat, then something in the first one again.
        let body = Bed::incoming(&tenant.number, "628120009999", "wamid.other", "hai");
        assert_eq!(bed.deliver(body.to_string().as_bytes()).await.status, 200);
        let new = json!({ "messages": [{
            "device_id": tenant.device,
            "to": { "phone": "+628120000001" },
            "content": { "type": "text", "body": "lagi" },
        }]});
        bed.make("/messages", &tenant.token, None, &new).await;
        let chats = Call::get("/api/v1/conversations?limit=1").bearer(&tenant.token);
        let first = bed.call(chats).await.expect(200);
        assert_eq!(first["items"][0]["id"], tenant.conversation);
        let next = format!("/api/v1/conversations?after={}", first["next"].as_str().unwrap());
        let second = bed.call(Call::get(next).bearer(&tenant.token)).await.expect(200);
        assert_eq!(second["items"].as_array().unwrap().len(), 1);
        // The cursor of another list is none of this one.
        let messages = Call::get("/api/v1/messages?limit=1").bearer(&tenant.token);
        let cursor = bed.call(messages).await.expect(200)["next"].as_str().unwrap().to_owned();
        let wrong = Call::get(format!("/api/v1/conversations?after={cursor}"));
        let problem = bed.call(wrong.bearer(&tenant.token)).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], "after");
    })
    .await;
}

#[tokio::test]
async fn retention_is_set_by_the_provider_and_by_the_account() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let path = "/api/v1/operations/retention";
        let there = bed.call(Call::get(path).bearer(&bed.admin)).await.expect(200);
        assert_eq!(there["keep"]["raw_bodies"], 7);
        assert_eq!(there["removed"], json!([]));
        let put = |path: &str, token: &str, body: &Value| {
            Call::new(poem::http::Method::PUT, path).bearer(token).json(body)
        };
        let mut keep = there["keep"].clone();
        keep["events"] = json!(90);
        let set = bed.call(put(path, &bed.admin, &keep)).await.expect(200);
        assert_eq!(set["keep"], keep);
        keep["events"] = json!(40_000);
        let problem = bed.call(put(path, &bed.admin, &keep)).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], "events");
        let path = "/api/v1/retention";
        let set = bed.call(put(path, &tenant.token, &json!({ "message_bodies": 30 }))).await;
        let set = set.expect(200);
        assert_eq!(set["own"]["message_bodies"], 30);
        assert_eq!(set["installation"]["events"], 90);
        let (_, agent) = bed.key(Role::Agent, Some(&tenant.account)).await;
        bed.call(put(path, &agent, &json!({ "message_bodies": 1 }))).await.problem(403);
        let there = bed.call(Call::get(path).bearer(&agent)).await.expect(200);
        assert_eq!(there, set);
        bed.call(put(path, &tenant.token, &json!({}))).await.expect(200);
        let audit = bed.call(Call::get("/api/v1/audit").bearer(&tenant.token)).await.expect(200);
        assert_eq!(audit["items"][0]["action"], "retention.update");
    })
    .await;
}

#[tokio::test]
async fn history_is_exported() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let export = async |body: Value| {
            let made = bed.make("/exports/messages", &tenant.token, None, &body).await;
            format!("/api/v1/exports/messages/{}", made["id"].as_str().unwrap())
        };
        let csv = export(json!({ "format": "csv" })).await;
        let some = json!({ "format": "json", "text": "halo", "direction": "in" });
        let some = export(some).await;
        let xlsx = export(json!({ "format": "xlsx", "statuses": ["pending"] })).await;
        let get = |path: &str| Call::get(path).bearer(&tenant.token);
        bed.call(get(&format!("{csv}/file"))).await.problem(409);
        bed.platform.drain().await.unwrap();
        let done = bed.call(get(&csv)).await.expect(200);
        assert_eq!((&done["state"], &done["rows"]), (&json!("done"), &json!(2)), "{done}");
        let file = bed.call(get(&format!("{csv}/file"))).await;
        assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
        let text = file.text();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("halo") && text.contains(&tenant.message), "{text}");
        let rows = bed.call(get(&format!("{some}/file"))).await.expect(200);
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
        assert!(rows.to_string().contains(&tenant.message), "{rows}");
        assert!(bed.call(get(&format!("{xlsx}/file"))).await.bytes.starts_with(b"PK"));
        // A device's token neither makes nor sees what is the account's.
        let call = Call::post("/api/v1/exports/messages").bearer(&tenant.device_token);
        bed.call(call.json(&json!({ "format": "csv" }))).await.problem(403);
        bed.call(Call::get(&csv).bearer(&tenant.device_token)).await.problem(404);
        let gone = Call::new(poem::http::Method::DELETE, &csv).bearer(&tenant.token);
        assert_eq!(bed.call(gone).await.expect(200)["state"], "removed");
        bed.call(get(&format!("{csv}/file"))).await.problem(409);
    })
    .await;
}
