//! Logging in over HTTP.

use chrono::TimeDelta;
use kabar::core::Role;
use kabar_sandbox::MessageFilter;
use serde_json::{Value, json};

use crate::bed::{Bed, Call, PASSWORD, PROXY, text};

fn post(path: &str, body: &Value) -> Call {
    Call::post(format!("/api/v1{path}")).json(body)
}

fn get(path: &str, token: &str) -> Call {
    Call::get(format!("/api/v1{path}")).bearer(token)
}

/// The token in the last mail to an address.
#[track_caller]
fn mailed(mails: &[String], email: &str) -> String {
    let mail = mails.iter().rfind(|mail| mail.contains(&format!("To: {email}"))).expect("a mail");
    let (_, rest) = mail.split_once("Token: ").expect("a token");
    rest.split_whitespace().next().expect("a word").to_owned()
}

fn registration(email: &str) -> Value {
    json!({
        "name": "Citra", "email": email, "password": PASSWORD, "account_name": "Toko Citra",
        "time_zone": "Asia/Jakarta", "country": "id",
    })
}

#[tokio::test]
async fn a_customer_registers_and_works() {
    Bed::each(async |bed| {
        let email = "citra@example.com";
        bed.call(post("/auth/register", &registration(email))).await.expect(204);
        let login = json!({ "email": email, "password": PASSWORD });
        bed.call(post("/auth/login", &login)).await.problem(401);
        let token = mailed(&bed.mails().await, email);
        let verify = json!({ "token": token, "password": PASSWORD });
        let user = bed.call(post("/auth/register/verify", &verify)).await.expect(200);
        assert_eq!(user["role"], "customer");
        let again = bed.call(post("/auth/register/verify", &verify)).await;
        assert_eq!(again.problem(401)["code"], "invalid_token");

        let logged_in = bed.call(post("/auth/login", &login)).await.expect(200);
        let access = text(&logged_in["access_token"]);
        let account = bed.call(get("/account", &access)).await.expect(200);
        assert_eq!((&account["name"], &account["country"]), (&json!("Toko Citra"), &json!("ID")));
        let me = bed.call(get("/auth/me", &access)).await.expect(200);
        assert_eq!((&me["user"]["email"], &me["totp"]), (&json!(email), &json!(false)));
        bed.call(get("/accounts", &access)).await.problem(403);
        let patch = Call::new(poem::http::Method::PATCH, "/api/v1/account").bearer(&access);
        let settings = json!({ "fallback_number": "0812-3456-789", "time_zone": "Asia/Makassar" });
        let account = bed.call(patch.clone().json(&settings)).await.expect(200);
        assert_eq!(account["fallback_number"], "+628123456789");
        let wrong = bed.call(patch.json(&json!({ "fallback_number": "x" }))).await.problem(422);
        assert_eq!(wrong["errors"][0]["field"], "fallback_number");

        let refresh = json!({ "refresh_token": logged_in["refresh_token"] });
        let next = bed.call(post("/auth/refresh", &refresh)).await.expect(200);
        bed.clock.advance(TimeDelta::seconds(31));
        bed.call(get("/auth/me", &text(&next["access_token"]))).await.expect(200);
        bed.call(post("/auth/refresh", &refresh)).await.problem(401);
        bed.call(get("/auth/me", &text(&next["access_token"]))).await.problem(401);
    })
    .await;
}

#[tokio::test]
async fn answers_do_not_tell_who_is_there() {
    let bed = Bed::new().await;
    bed.tenant(1).await;
    for (path, body) in [
        ("/auth/register", registration("{}")),
        ("/auth/register/resend", json!({ "email": "{}" })),
        ("/auth/password/forgot", json!({ "email": "{}" })),
        ("/auth/provider/password/forgot", json!({ "email": "{}" })),
        ("/auth/login", json!({ "email": "{}", "password": "wrong password" })),
        ("/auth/provider/login", json!({ "email": "{}", "password": "wrong password" })),
    ] {
        let mut answers = Vec::new();
        for email in ["owner1@example.com", "nobody@example.com", "op@example.com"] {
            let mut body = body.clone();
            body["email"] = json!(email);
            // The sixth is locked, for everybody.
            for _ in 0..6 {
                let answered = bed.call(post(path, &body)).await;
                answers.push((answered.status, answered.bytes));
            }
        }
        let first = answers.first().unwrap().clone();
        assert!(answers.iter().all(|answer| *answer == first), "{path}");
        assert!([204, 401].contains(&first.0), "{path}");
    }
    // The right password is refused in the same words.
    let wrong = json!({ "email": "nobody@example.com", "password": PASSWORD });
    let right = json!({ "email": "owner1@example.com", "password": PASSWORD });
    let refused = bed.call(post("/auth/login", &right)).await;
    assert_eq!(refused.problem(401)["code"], "invalid_credentials");
    assert_eq!(refused.bytes, bed.call(post("/auth/login", &wrong)).await.bytes);
    bed.clock.advance(TimeDelta::minutes(15));
    bed.call(post("/auth/login", &right)).await.expect(200);
}

#[tokio::test]
async fn fields_of_logins_are_named() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let with = |field: &str, value: Value| {
        let mut body = registration("x@example.com");
        body[field] = value;
        body
    };
    for (path, body, status, field) in [
        ("/auth/register", with("email", json!("x")), 422, "email"),
        ("/auth/register", with("password", json!("short")), 422, "password"),
        ("/auth/register", with("password", json!("x@example.com")), 422, "password"),
        ("/auth/register", with("name", json!("")), 422, "name"),
        ("/auth/register", with("account_name", json!(" ")), 422, "account_name"),
        ("/auth/register", with("time_zone", json!("Mars")), 422, "time_zone"),
        ("/auth/register", with("country", json!("XX")), 422, "country"),
        ("/auth/register", with("more", json!(1)), 400, "more"),
        ("/auth/login", json!({ "email": "x" }), 400, "password"),
        (
            "/auth/password",
            json!({ "password": PASSWORD, "new_password": "x" }),
            422,
            "new_password",
        ),
        ("/auth/totp/confirm", json!({ "code": 1 }), 400, "code"),
        (
            "/keys",
            json!({ "name": "k", "permissions": ["messages:read"], "allowed_addresses": ["x"] }),
            422,
            "allowed_addresses",
        ),
    ] {
        let problem = bed.call(post(path, &body).bearer(&tenant.access)).await.problem(status);
        assert_eq!(problem["errors"][0]["field"], field, "{path} {body}");
    }
    let state =
        bed.call(post("/auth/totp/confirm", &json!({ "code": "1" })).bearer(&tenant.access));
    state.await.problem(409);
}

#[tokio::test]
async fn doors_and_sessions() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let logged_in = bed.log_in_first("op@example.com", true).await;
        let admin = text(&logged_in["access_token"]);
        bed.call(get("/accounts", &admin)).await.expect(200);
        bed.call(get("/devices", &admin).account(&tenant.account)).await.expect(200);
        for (path, email) in
            [("/auth/login", "op@example.com"), ("/auth/provider/login", "owner1@example.com")]
        {
            let body = json!({ "email": email, "password": PASSWORD });
            bed.call(post(path, &body)).await.problem(401);
        }
        // An API key is no person.
        bed.call(get("/auth/me", &tenant.token)).await.problem(403);

        let body = json!({ "email": "owner1@example.com", "password": PASSWORD });
        let other = bed.call(post("/auth/login", &body).header("user-agent", "curl/8")).await;
        let other = other.expect(200);
        let list = bed.call(get("/auth/sessions", &tenant.access)).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&list["items"][0]["agent"], &list["items"][0]["address"]),
            (&json!("curl/8"), &json!("127.0.0.1"))
        );
        let end = Call::new(
            poem::http::Method::DELETE,
            format!("/api/v1/auth/sessions/{}", text(&other["session_id"])),
        );
        bed.call(end.clone().bearer(&admin)).await.problem(404);
        bed.call(end.bearer(&tenant.access)).await.expect(204);
        bed.call(get("/auth/me", &text(&other["access_token"]))).await.problem(401);
        let attempts = bed.call(get("/auth/attempts", &tenant.access)).await.expect(200);
        assert_eq!(attempts["items"][0]["outcome"], "logged_in");
        for (token, account) in [(&tenant.token, None), (&bed.admin, Some(&tenant.account))] {
            let mut call = get("/audit/logins", token);
            if let Some(account) = account {
                call = call.account(account);
            }
            let seen = bed.call(call).await.expect(200);
            assert_eq!(seen["items"], attempts["items"]);
        }
        bed.call(Call::post("/api/v1/auth/logout-everywhere").bearer(&tenant.access))
            .await
            .expect(204);
        bed.call(get("/auth/me", &tenant.access)).await.problem(401);

        // Whoever is switched off is out at once, and what was mailed is worth nothing.
        let body = json!({ "email": "owner1@example.com", "password": PASSWORD });
        let access = text(&bed.call(post("/auth/login", &body)).await.expect(200)["access_token"]);
        let off = format!("/api/v1/accounts/{}/deactivate", tenant.account);
        bed.call(Call::post(off).bearer(&admin)).await.expect(200);
        for token in [&access, &tenant.token, &tenant.device_token] {
            bed.call(get("/messages", token)).await.problem(401);
        }
        let incoming = Bed::incoming(&tenant.number, "628120009999", "wamid.off", "masih");
        assert_eq!(bed.deliver(incoming.to_string().as_bytes()).await.status, 200);
        let sent = || bed.sandbox.messages(&MessageFilter::default()).len();
        let sent_before = sent();
        bed.platform.drain().await.unwrap();
        assert_eq!(sent(), sent_before, "nothing goes out");
        let on = format!("/api/v1/accounts/{}/activate", tenant.account);
        bed.call(Call::post(on).bearer(&admin)).await.expect(200);
        let list = bed.call(get("/messages", &access)).await.expect(200);
        assert!(list.to_string().contains("masih"), "incoming messages were stored");
        bed.platform.drain().await.unwrap();
        assert!(sent() > sent_before, "what waited goes out");
    })
    .await;
}

#[tokio::test]
async fn invited_people_set_their_password() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let new = json!({ "email": "agent@example.com", "name": "Agent", "role": "agent" });
    let agent = bed.make("/users", &tenant.access, None, &new).await;
    let token = mailed(&bed.mails().await, "agent@example.com");
    let reset = json!({ "token": token, "password": PASSWORD });
    bed.call(post("/auth/password/reset", &reset)).await.expect(204);
    bed.call(post("/auth/password/reset", &reset)).await.problem(401);
    let login = json!({ "email": "agent@example.com", "password": PASSWORD });
    let access = text(&bed.call(post("/auth/login", &login)).await.expect(200)["access_token"]);
    bed.call(get("/users", &access)).await.problem(403);
    let user = format!("/api/v1/users/{}", text(&agent["id"]));
    let patch = |body: &Value| {
        Call::new(poem::http::Method::PATCH, &user).bearer(&tenant.access).json(body)
    };
    bed.call(patch(&json!({ "role": "customer" }))).await.expect(200);
    bed.call(get("/users", &access)).await.expect(200);
    bed.call(patch(&json!({ "active": false }))).await.expect(200);
    bed.call(get("/users", &access)).await.problem(401);
    let last = Call::new(poem::http::Method::PATCH, format!("/api/v1/users/{}", tenant.user));
    let refused = bed.call(last.bearer(&tenant.access).json(&json!({ "active": false }))).await;
    refused.problem(409);
}

#[tokio::test]
async fn credentials_work_from_where_they_may() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let new = json!({
            "name": "Office", "permissions": ["messages:read"],
            "allowed_addresses": ["203.0.113.0/24", "2001:db8::/32"],
        });
        let made = bed.make("/keys", &tenant.token, None, &new).await;
        assert_eq!(made["key"]["allowed_addresses"], json!(["203.0.113.0/24", "2001:db8::/32"]));
        let device =
            Call::new(poem::http::Method::PATCH, format!("/api/v1/devices/{}", tenant.device));
        let settings =
            json!({ "settings": { "allowed_addresses": ["203.0.113.0/24", "2001:db8::/32"] } });
        bed.call(device.bearer(&tenant.token).json(&settings)).await.expect(200);
        for token in [&text(&made["secret"]), &tenant.device_token] {
            for (peer, forwarded, allowed) in [
                ("203.0.113.9", None, true),
                ("::ffff:203.0.113.9", None, true),
                ("2001:db8::7", None, true),
                ("198.51.100.1", None, false),
                ("2001:db9::7", None, false),
                // Whoever is no trusted proxy may say what they want.
                ("198.51.100.1", Some("203.0.113.9"), false),
                ("203.0.113.9", Some("198.51.100.1"), true),
                (PROXY, Some("203.0.113.9"), true),
                (PROXY, Some("203.0.113.9, 198.51.100.1"), false),
                (PROXY, Some("198.51.100.1, 203.0.113.9"), true),
                (PROXY, Some("198.51.100.1, 2001:db8::7, 10.9.9.9"), true),
                (PROXY, None, false),
                (PROXY, Some("garbage"), false),
            ] {
                let mut call = get("/messages", token).from(peer);
                if let Some(forwarded) = forwarded {
                    call = call.header("x-forwarded-for", forwarded);
                }
                let answered = bed.call(call.header("forwarded", "for=203.0.113.9")).await;
                if allowed {
                    assert_eq!(answered.status, 200, "{peer} {forwarded:?}");
                } else {
                    let problem = answered.problem(403);
                    assert_eq!(problem["code"], "address_not_allowed", "{peer} {forwarded:?}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_account_token_is_one() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let rotate = || Call::post("/api/v1/account/token").bearer(&tenant.access);
    let first = bed.call(rotate()).await.expect(200);
    assert_eq!(first["key"]["account_token"], true);
    let (first, second) = (text(&first["secret"]), bed.call(rotate()).await.expect(200));
    bed.call(get("/messages", &first)).await.problem(401);
    bed.call(get("/messages", &text(&second["secret"]))).await.expect(200);
    bed.call(get("/messages", &tenant.token)).await.expect(200);
    let (_, reader) = bed.key(Role::Agent, Some(&tenant.account)).await;
    bed.call(Call::post("/api/v1/account/token").bearer(&reader)).await.problem(403);
}

#[tokio::test]
async fn codes_over_http() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    let own = |path: &str, body: &Value| post(path, body).bearer(&tenant.access);
    let password = json!({ "password": PASSWORD });
    let enrolled = bed.call(own("/auth/totp", &password)).await.expect(200);
    let uri = text(&enrolled["uri"]);
    assert!(uri.starts_with("otpauth://totp/"), "{uri}");
    let wrong = bed.call(own("/auth/totp/confirm", &json!({ "code": "000000" }))).await;
    assert_eq!(wrong.problem(422)["errors"][0]["field"], "code");
    let dump = format!("{:?}", bed.rows.dump().await);
    assert!(!dump.contains(&text(&enrolled["secret"])), "sealed at rest");
    assert!(!dump.contains(PASSWORD));
}

#[tokio::test]
async fn wrong_tries_from_one_address_are_counted_together() {
    let bed = Bed::new().await;
    bed.tenant(1).await;
    let right = json!({ "email": "owner1@example.com", "password": PASSWORD });
    for number in 0..50 {
        let body = json!({ "email": format!("guess{number}@example.com"), "password": "x" });
        bed.call(post("/auth/login", &body).from("2001:db8:1:1::1")).await.problem(401);
    }
    bed.call(post("/auth/login", &right).from("2001:db8:1:1::2")).await.problem(401);
    bed.call(post("/auth/login", &right).from("2001:db8:1:2::1")).await.expect(200);
}
