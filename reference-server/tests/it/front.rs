//! What stands before the operations: limits, origins, bodies, metrics.

use kabar::accounts::Networks;
use kabar::core::Role;
use kabar_server::AppSettings;
use kabar_server::client::Proxies;
use kabar_server::cors::{Cors, CorsSettings};
use kabar_server::limits::LimitSettings;
use kabar_server::metrics::{METRICS, MetricsAccess};
use poem::http::Method;
use serde_json::json;

use crate::bed::{Bed, Call};

fn origins(list: &[&str]) -> AppSettings {
    let origins = list.iter().map(|text| (*text).to_owned()).collect();
    AppSettings { cors: Cors::new(&CorsSettings { origins }).unwrap(), ..AppSettings::default() }
}

fn ask(origin: &str) -> Call {
    Call::new(Method::OPTIONS, "/api/v1/messages")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
}

#[tokio::test]
async fn pages_of_other_origins_may_nothing_by_default() {
    let bed = Bed::new().await;
    let answered = bed.call(ask("https://app.example")).await;
    assert_eq!(answered.header("access-control-allow-origin"), None);
    let answered = bed.call(Call::get("/api/v1/account").header("origin", "https://app.example"));
    assert_eq!(answered.await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn named_origins_may_and_others_may_not() {
    let bed = Bed::with(origins(&["https://app.example"])).await;
    let answered = bed.call(ask("https://app.example")).await;
    assert_eq!(answered.status, 204);
    assert_eq!(answered.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answered.header("access-control-allow-credentials"), None);
    assert!(answered.header("access-control-allow-headers").unwrap().contains("idempotency-key"));
    for other in ["https://app.example.evil", "http://app.example", "null"] {
        let answered = bed.call(ask(other)).await;
        assert_eq!(answered.header("access-control-allow-origin"), None, "{other}");
    }
    // An error can be read too, and no cache gives it to another origin.
    let call = Call::get("/api/v1/account").header("origin", "https://app.example");
    let answered = bed.call(call).await;
    assert_eq!(answered.status, 401);
    assert_eq!(answered.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answered.header("vary"), Some("origin"));

    let bed = Bed::with(origins(&["*"])).await;
    let answered = bed.call(ask("https://anybody.example")).await;
    assert_eq!(answered.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answered.header("access-control-allow-credentials"), None);
}

fn limited(limits: LimitSettings) -> AppSettings {
    let trusted = Networks::parse(&["127.0.0.1"]).unwrap();
    let proxies = Proxies { trusted, ..Proxies::default() };
    AppSettings { limits, proxies, ..AppSettings::default() }
}

#[tokio::test]
async fn an_account_that_asks_too_often_waits_and_others_do_not() {
    let limits = LimitSettings { account_per_second: 1, account_burst: 60, ..LimitSettings::NONE };
    let bed = Bed::with(limited(limits)).await;
    let (one, two) = (bed.tenant(1).await, bed.tenant(2).await);
    let get = |token: &str| Call::get("/api/v1/devices").bearer(token);
    let mut refused = None;
    for _ in 0..200 {
        let answered = bed.call(get(&one.token)).await;
        if answered.status != 200 {
            refused = Some(answered);
            break;
        }
    }
    let refused = refused.expect("there is a limit");
    assert_eq!(refused.problem(429)["code"], "rate_limited");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
    assert!(refused.header("ratelimit").unwrap().starts_with("\"account\";r=0"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"account\";q=60"));
    // Every credential of the account draws from the same bucket; others from their own.
    assert_eq!(bed.call(get(&one.agent)).await.status, 429);
    assert_eq!(bed.call(get(&two.token)).await.status, 200);
}

#[tokio::test]
async fn wrong_credentials_wait_and_right_ones_of_the_same_address_do_not() {
    let limits = LimitSettings { unproven_per_minute: 1, unproven_burst: 3, ..LimitSettings::NONE };
    let bed = Bed::with(limited(limits)).await;
    let wrong = || Call::get("/api/v1/accounts").bearer("kbr_nobody").forwarded("203.0.113.7");
    for _ in 0..3 {
        assert_eq!(bed.call(wrong()).await.status, 401);
    }
    bed.call(wrong()).await.problem(429);
    let right = Call::get("/api/v1/accounts").bearer(&bed.admin).forwarded("203.0.113.7");
    assert_eq!(bed.call(right).await.status, 200);
    let elsewhere = Call::get("/api/v1/accounts").bearer("kbr_nobody").forwarded("203.0.113.8");
    assert_eq!(bed.call(elsewhere).await.status, 401);
}

#[tokio::test]
async fn an_address_that_asks_too_often_waits_but_meta_never() {
    let limits = LimitSettings { address_per_second: 1, address_burst: 2, ..LimitSettings::NONE };
    let bed = Bed::with(limited(limits)).await;
    let get = || Call::get("/api/v1/openapi.json").forwarded("203.0.113.7");
    assert_eq!(bed.call(get()).await.status, 200);
    assert_eq!(bed.call(get()).await.status, 200);
    bed.call(get()).await.problem(429);
    for _ in 0..10 {
        let body = json!({ "object": "whatsapp_business_account", "entry": [] }).to_string();
        assert_eq!(bed.deliver(body.as_bytes()).await.status, 200);
    }
}

#[tokio::test]
async fn metrics_are_for_the_provider_and_say_nothing_about_people() {
    let access = MetricsAccess { token: Some("scraper".to_owned().into()), open: false };
    let bed = Bed::with(AppSettings { metrics: access, ..AppSettings::default() }).await;
    let tenant = bed.tenant(1).await;
    assert_eq!(bed.call(Call::get("/metrics")).await.status, 401);
    assert_eq!(bed.call(Call::get("/metrics").bearer("scrape")).await.status, 401);
    assert_eq!(bed.call(Call::get("/metrics").bearer(&tenant.token)).await.status, 403);
    let (_, staff) = bed.key(Role::ProviderStaff, None).await;
    assert_eq!(bed.call(Call::get("/metrics").bearer(&staff)).await.status, 200);
    bed.platform.drain().await.unwrap();
    let answered = bed.call(Call::get("/metrics").bearer("scraper")).await;
    assert_eq!(answered.status, 200);
    let text = answered.text();
    for (name, kind, _) in METRICS {
        // What happened to nobody yet is not there, and states of nothing are not either.
        if *kind == "gauge" && !name.contains("devices") && !name.contains("job_oldest") {
            assert!(
                text.contains(&format!("# TYPE {name} {kind}\n")) || !text.contains(name),
                "{name}"
            );
        }
    }
    for wanted in [
        "kabar_build_info{version=",
        "kabar_database_up 1",
        "kabar_sends_total{channel=\"cloud_api\",class=\"sent\"}",
        "kabar_http_requests_total{operation=\"createAccount\",status=\"201\"}",
        "kabar_http_request_seconds_bucket{operation=\"sendMessages\",le=",
        "kabar_intake_items_total{kind=\"message\"}",
        "kabar_transmit_seconds_count",
        "kabar_unwell{condition=\"disk_low\"}",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    for id in tenant.ids() {
        assert!(!text.contains(id), "{id}");
    }
    assert!(!text.contains("62812000"), "no numbers of people");
}

#[tokio::test]
async fn every_metric_is_in_the_manual() {
    let manual = include_str!("../../../docs/operations.md");
    let board = include_str!("../../../docs/grafana.json");
    let rules = include_str!("../../../docs/prometheus-alerts.yml");
    for (name, kind, help) in METRICS {
        let line = format!("| `{name}` | {kind} | {help} |");
        assert!(manual.contains(&line), "docs/operations.md lacks: {line}");
    }
    // What the board and the rules look at is there.
    let known = |word: &str| {
        METRICS.iter().any(|(name, ..)| {
            ["", "_bucket", "_count", "_sum"].iter().any(|end| format!("{name}{end}") == word)
        })
    };
    for text in [board, rules] {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| word.starts_with("kabar_")) {
            assert!(known(word), "{word} is no metric");
        }
    }
}

#[tokio::test]
async fn readiness_names_the_part_that_is_not_ready() {
    let bed = Bed::new().await;
    assert_eq!(bed.call(Call::get("/readyz")).await.status, 200);
    bed.platform.database().close().await;
    let gone = bed.call(Call::get("/readyz")).await;
    assert_eq!(gone.problem(503)["errors"][0]["field"], "database");
}
