//! Contacts over HTTP: groups, tags, files, opt-outs.

use serde_json::{Value, json};

use crate::bed::{Bed, Call, Tenant, text};

fn get(tenant: &Tenant, path: &str) -> Call {
    Call::get(format!("/api/v1{path}")).bearer(&tenant.token)
}

fn post(tenant: &Tenant, path: &str) -> Call {
    Call::post(format!("/api/v1{path}")).bearer(&tenant.token)
}

/// A form with a file and the options of its import.
fn form(call: Call, file: &str, options: &Value) -> Call {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"options\"\r\n\r\n{options}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c.csv\"\r\n\r\n{file}\r\n--b--\r\n"
    );
    call.bytes("multipart/form-data; boundary=b", body)
}

#[tokio::test]
async fn a_file_is_imported_and_exported() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let options = json!({ "country": "id", "groups": ["Newcomers"], "columns": { "x": "skip" } });
    let file = "hp,nama,x\n081200001111,Siti,1\nnobody,,2\n";
    let call = form(post(&tenant, "/contact-imports"), file, &options);
    let import = bed.call(call.clone().header("idempotency-key", "i1")).await.expect(202);
    let again = bed.call(call.header("idempotency-key", "i1")).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.expect(202)["id"], import["id"]);
    let path = format!("/contact-imports/{}", text(&import["id"]));
    let early = post(&tenant, &format!("{path}/confirm"));
    bed.call(early).await.problem(409);
    bed.platform.drain().await.unwrap();
    let read = bed.call(get(&tenant, &path)).await.expect(200);
    assert_eq!((&read["state"], &read["counts"]["new"]), (&json!("ready"), &json!(1)), "{read}");
    assert_eq!(read["columns"][2], json!({ "name": "x", "holds": "skip" }));
    let rows = bed.call(get(&tenant, &format!("{path}/rows?limit=1"))).await.expect(200);
    assert_eq!((&rows["items"][0]["phone"], &rows["next"]), (&json!("+6281200001111"), &json!(2)));
    let rows = bed.call(get(&tenant, &format!("{path}/rows?state=invalid"))).await.expect(200);
    assert_eq!(rows["items"][0]["column"], "hp");
    let failed = bed.call(get(&tenant, &format!("{path}/failed-rows"))).await;
    assert_eq!(failed.header("content-type"), Some("text/csv; charset=utf-8"));
    bed.call(post(&tenant, &format!("{path}/confirm"))).await.expect(200);
    bed.platform.drain().await.unwrap();
    let done = bed.call(get(&tenant, &path)).await.expect(200);
    assert_eq!((&done["state"], &done["results"]["created"]), (&json!("done"), &json!(1)));

    let groups = bed.call(get(&tenant, "/groups")).await.expect(200);
    let group = &groups["items"][0];
    assert_eq!((&group["name"], &group["members"]), (&json!("Newcomers"), &json!(1)));
    let found = bed.call(get(&tenant, "/contacts?search=si")).await.expect(200);
    assert_eq!(found["items"][0]["name"], "Siti");
    let new = json!({ "format": "xlsx", "group_id": group["id"] });
    let export = bed.call(post(&tenant, "/contact-exports").json(&new)).await.expect(202);
    let path = format!("/contact-exports/{}", text(&export["id"]));
    bed.call(get(&tenant, &format!("{path}/file"))).await.problem(409);
    bed.platform.drain().await.unwrap();
    let file = bed.call(get(&tenant, &format!("{path}/file"))).await;
    assert_eq!((file.status, &file.bytes[..2]), (200, &b"PK"[..]));
    let removed = Call::new(poem::http::Method::DELETE, format!("/api/v1{path}"));
    let removed = bed.call(removed.bearer(&tenant.token)).await.expect(200);
    assert_eq!(removed["state"], "removed");
    bed.call(get(&tenant, &format!("{path}/file"))).await.problem(409);
}

#[tokio::test]
async fn bad_input_names_its_field() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    for (path, body, status, field) in [
        ("/groups", json!({ "name": " " }), 422, "name"),
        ("/groups", json!({ "name": "FRIENDS" }), 409, "name"),
        ("/tags/add", json!({ "tags": ["a,b"], "contact_ids": [tenant.contact] }), 422, "tags[0]"),
        ("/tags/add", json!({ "tags": ["a"] }), 422, "contact_ids"),
        ("/tags/add", json!({ "tags": ["a"], "contact_ids": [] }), 422, "contact_ids"),
        ("/opt-outs", json!({ "phones": ["+62812000123", "12"] }), 422, "phones[1]"),
        ("/opt-outs", json!({ "phones": ["+999123456"] }), 422, "phones[0]"),
        ("/contacts", json!({ "phone": "6.28E+12" }), 422, "phone"),
        ("/contact-exports", json!({ "format": "pdf" }), 400, "format"),
    ] {
        let problem = bed.call(post(&tenant, path).json(&body)).await.problem(status);
        assert_eq!(problem["errors"][0]["field"], field, "{path} {body}: {problem}");
    }
    for (file, options, status, field) in [
        ("", json!({}), 422, "file"),
        ("a", json!({ "columns": { "a": "fone" } }), 422, "columns.a"),
        ("a", json!({ "tags": [";"] }), 422, "tags[0]"),
        ("a", json!({ "nothing": 1 }), 400, "options.nothing"),
    ] {
        let call = form(post(&tenant, "/contact-imports"), file, &options);
        let problem = bed.call(call).await.problem(status);
        assert_eq!(problem["errors"][0]["field"], field, "{options}: {problem}");
    }
    let patch = |body: Value| {
        let call = Call::new(poem::http::Method::PATCH, "/api/v1/opt-out-settings");
        call.bearer(&tenant.token).json(&body)
    };
    for (body, field) in [
        (json!({ "stop_words": ["<x>"] }), "stop_words[0]"),
        (json!({ "start_words": ["Stop!"] }), "start_words[0]"),
    ] {
        let problem = bed.call(patch(body.clone())).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    let set = bed.call(patch(json!({ "stop_words": ["udahan"], "stop_reply": "ok" }))).await;
    assert_eq!(set.expect(200)["stop_words"], json!(["udahan"]));
}

#[tokio::test]
async fn the_registry_stops_what_is_sent() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let body = json!({ "phones": ["+6281299990000"], "scope": "everything" });
    let added = bed.call(post(&tenant, "/opt-outs").json(&body)).await.expect(200);
    assert_eq!(added["changed"], 1);
    let list = bed.call(get(&tenant, "/opt-outs")).await.expect(200);
    let out = &list["items"][0];
    assert_eq!((&out["phone"], &out["source"]), (&json!("+6281299990000"), &json!("hand")));
    let message = crate::operations::message(&tenant.device, &json!({ "phone": "+6281299990000" }));
    let problem = bed.call(post(&tenant, "/messages").json(&message)).await.problem(422);
    assert_eq!(problem["errors"][0]["field"], "messages[0].to", "{problem}");
    let path = format!("/api/v1/opt-outs/{}", text(&out["contact_id"]));
    let remove = || Call::new(poem::http::Method::DELETE, path.clone()).bearer(&tenant.token);
    assert_eq!(bed.call(remove()).await.status, 204);
    bed.call(remove()).await.problem(404);
    bed.call(post(&tenant, "/messages").json(&message)).await.expect(202);
    let contact = text(&out["contact_id"]);
    let history = get(&tenant, &format!("/preferences?contact={contact}"));
    let history = bed.call(history).await.expect(200);
    assert_eq!(history["items"].as_array().unwrap().len(), 2);
}
