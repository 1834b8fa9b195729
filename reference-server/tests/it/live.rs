//! Live events: the log as server-sent events.

use std::time::Duration;

use poem::Response;
use poem::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};

use crate::bed::{Bed, Call, Tenant, text};

/// For how long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// One event of a stream.
#[derive(Debug, PartialEq)]
struct Frame {
    id: String,
    event: String,
    data: Value,
}

type Body = Box<dyn tokio::io::AsyncRead + Send + Unpin>;

/// A client of a stream.
struct Client(Lines<BufReader<Body>>);

impl Client {
    async fn open(bed: &Bed, call: Call) -> Self {
        let response: Response = bed.open(call.header("accept", "text/event-stream")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.content_type(), Some("text/event-stream"));
        for (name, value) in [("x-accel-buffering", "no"), ("cache-control", "no-cache")] {
            assert_eq!(response.header(name), Some(value));
        }
        let body: Body = Box::new(Box::pin(response.into_body().into_async_read()));
        let mut client = Self(BufReader::new(body).lines());
        assert_eq!(client.lines().await, ["retry: 2000"]);
        client
    }

    /// The lines up to the next empty one.
    async fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, self.0.next_line()).await.expect("in time");
            match line.unwrap().expect("it goes on") {
                line if line.is_empty() => return lines,
                line => lines.push(line),
            }
        }
    }

    async fn next(&mut self) -> Frame {
        let lines = self.lines().await;
        let field = |name: &str| {
            let found = lines.iter().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no {name} in {lines:?}")).to_owned()
        };
        Frame {
            id: field("id: "),
            event: field("event: "),
            data: serde_json::from_str(&field("data: ")).unwrap(),
        }
    }

    async fn ready(&mut self) -> String {
        let ready = self.next().await;
        assert_eq!((ready.event.as_str(), &ready.data["position"]), ("ready", &json!(ready.id)));
        ready.id
    }
}

fn events(tenant: &Tenant, query: &str) -> Call {
    Call::get(format!("/api/v1/events{query}")).bearer(&tenant.token)
}

async fn contact(bed: &Bed, tenant: &Tenant, phone: &str) -> String {
    let made = bed.make("/contacts", &tenant.token, None, &json!({ "phone": phone })).await;
    text(&made["id"])
}

/// Every event of a tenant, when the last one of its making shows: on PostgreSQL what others do on the
/// same server holds it back for a moment.
async fn settled(bed: &Bed, tenant: &Tenant) -> Vec<Value> {
    until_shown(bed, tenant, "rule.changed").await
}

/// Every event of a tenant, when one of this kind shows.
async fn until_shown(bed: &Bed, tenant: &Tenant, kind: &str) -> Vec<Value> {
    loop {
        let all = listed(bed, tenant).await;
        if all.iter().any(|event| event["kind"] == kind) {
            return all;
        }
        tokio::task::yield_now().await;
    }
}

/// Every event of a tenant, as pages show them.
async fn listed(bed: &Bed, tenant: &Tenant) -> Vec<Value> {
    let mut after = "0-0".to_owned();
    let mut all = Vec::new();
    loop {
        let page = bed.call(events(tenant, &format!("?limit=7&after={after}"))).await.expect(200);
        assert_eq!(page["gap"], false);
        let items = page["items"].as_array().unwrap();
        if items.is_empty() {
            assert_eq!(page["next"], after);
            return all;
        }
        all.extend(items.iter().cloned());
        after = text(&page["next"]);
    }
}

#[tokio::test]
async fn events_arrive_and_a_stream_is_resumed() {
    Bed::each(async |bed| {
        let (tenant, other) = (bed.tenant(1).await, bed.tenant(2).await);
        let mut live = Client::open(&bed, events(&tenant, "")).await;
        live.ready().await;
        let mut whole = Client::open(&bed, events(&tenant, "?after=0-0")).await;
        assert_eq!(whole.ready().await, "0-0");
        contact(&bed, &other, "+628111000001").await;
        let made = contact(&bed, &tenant, "+628111000002").await;
        contact(&bed, &tenant, "+628111000003").await;
        // On PostgreSQL what was done just before the stream may be shown in it.
        let mut first = live.next().await;
        while first.data["data"]["contact_id"] != made.as_str() {
            first = live.next().await;
        }
        assert_eq!(first.event, "contact.created");
        assert_eq!(first.data["kind"], "contact.created");
        assert_eq!(first.data["account_id"], tenant.account.as_str());
        assert_eq!(first.data["position"], first.id.as_str());
        let second = live.next().await;
        for place in 0.. {
            let frame = whole.next().await;
            if frame == second {
                assert!(place > 5);
                break;
            }
            assert_eq!(frame.data["account_id"], tenant.account.as_str());
        }
        let listed = listed(&bed, &tenant).await;
        assert_eq!(listed.last(), Some(&second.data));
        // The header of a resumed stream is newer than the address that it was opened with.
        let call = events(&tenant, "?after=0-0").header("last-event-id", &first.id);
        let mut again = Client::open(&bed, call).await;
        assert_eq!(again.ready().await, first.id);
        assert_eq!(again.next().await, second);
        // A provider hears everybody.
        let call = Call::get(format!("/api/v1/events?after={}", first.id)).bearer(&bed.admin);
        let mut provider = Client::open(&bed, call).await;
        provider.ready().await;
        assert_eq!(provider.next().await, second);
        contact(&bed, &other, "+628111000004").await;
        assert_eq!(provider.next().await.data["account_id"], other.account.as_str());
    })
    .await;
}

#[tokio::test]
async fn only_what_was_asked_for() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        let all = settled(&bed, &tenant).await;
        for (query, wanted) in [
            ("kind=device.added".to_owned(), 2),
            ("kind=device.*&kind=rule.changed".to_owned(), 3),
            (format!("device={}&kind=device.added", tenant.device), 1),
            (format!("device={}&kind=message.queued", tenant.other_device), 0),
        ] {
            let page = bed.call(events(&tenant, &format!("?limit=200&{query}"))).await.expect(200);
            let items = page["items"].as_array().unwrap();
            assert_eq!(items.len(), wanted, "{query}: {page}");
            assert_eq!(page["next"], all.last().unwrap()["position"], "{query}");
            let mut live =
                Client::open(&bed, events(&tenant, &format!("?after=0-0&{query}"))).await;
            live.ready().await;
            for item in items {
                assert_eq!(live.next().await.data, *item, "{query}");
            }
        }
        for query in ["kind=Message", "kind=*", "device=dev_1", "after=x", "after=1"] {
            let problem = bed.call(events(&tenant, &format!("?{query}"))).await.problem(400);
            let (field, _) = query.split_once('=').unwrap();
            assert_eq!(problem["errors"][0]["field"], field, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_is_what_is_answered_otherwise() {
    let bed = Bed::new().await;
    let tenant = bed.tenant(1).await;
    for accept in ["application/json", "*/*", "text/html", "text/event-stream;q=0"] {
        let call = events(&tenant, "").header("accept", accept);
        assert!(bed.call(call).await.expect(200)["items"].is_array(), "{accept}");
    }
    for accept in ["text/event-stream", "application/json, Text/Event-Stream;q=0.9"] {
        let response = bed.open(events(&tenant, "").header("accept", accept)).await;
        assert_eq!(response.content_type(), Some("text/event-stream"), "{accept}");
    }
}

#[tokio::test]
async fn a_stream_is_a_permission_and_there_are_few() {
    let bed = Bed::new().await;
    let (tenant, other) = (bed.tenant(1).await, bed.tenant(2).await);
    let stream = |token: &str| {
        let call = Call::get("/api/v1/events").header("accept", "text/event-stream");
        if token.is_empty() { call } else { call.bearer(token) }
    };
    bed.call(stream("")).await.problem(401);
    bed.call(stream(&tenant.agent)).await.problem(403);
    bed.call(stream(&tenant.device_token)).await.problem(403);
    bed.call(stream(&tenant.token).account(&other.account)).await.problem(404);
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(Client::open(&bed, events(&tenant, "")).await);
    }
    let refused = bed.call(stream(&tenant.token)).await;
    assert_eq!(refused.problem(429)["code"], "rate_limited");
    assert!(refused.header("retry-after").is_some());
    Client::open(&bed, events(&other, "")).await.ready().await;
    open.pop();
    Client::open(&bed, events(&tenant, "")).await.ready().await;
    bed.platform.tail().close();
    for client in &mut open {
        client.ready().await;
        let end = tokio::time::timeout(PATIENCE, client.0.next_line()).await.expect("in time");
        assert_eq!(end.unwrap(), None, "a stop ends it");
    }
    bed.call(stream(&tenant.token)).await.problem(503);
}

#[tokio::test]
async fn removed_events_are_told() {
    Bed::each(async |bed| {
        let tenant = bed.tenant(1).await;
        // Whoever reads the log for them would keep what they have not read.
        for path in
            [format!("webhooks/{}", tenant.webhook), format!("broadcasts/{}", tenant.broadcast)]
        {
            let call = Call::new(Method::DELETE, format!("/api/v1/{path}")).bearer(&tenant.token);
            assert_eq!(bed.call(call).await.status, 204);
        }
        let all = until_shown(&bed, &tenant, "broadcast.removed").await;
        let (first, last) = (text(&all[0]["position"]), text(&all.last().unwrap()["position"]));
        let work = bed.platform.events().begin().await.unwrap();
        let later = bed.platform.clock().now() + chrono::TimeDelta::days(1);
        let scope = kabar::core::InstallationScope::system("test");
        work.events().prune(scope, later, 10_000).await.unwrap();
        work.commit().await.unwrap();
        let call = events(&tenant, "").header("last-event-id", &first);
        let mut live = Client::open(&bed, call).await;
        live.ready().await;
        let gap = live.next().await;
        let data = json!({ "after": first, "resumed": last });
        assert_eq!((gap.event.as_str(), &gap.id, &gap.data), ("gap", &last, &data));
        let made = contact(&bed, &tenant, "+628111000009").await;
        assert_eq!(live.next().await.data["data"]["contact_id"], made.as_str());
        for (after, gap) in [(first.as_str(), true), (last.as_str(), false), ("0-0", false)] {
            let page = bed.call(events(&tenant, &format!("?after={after}"))).await.expect(200);
            assert_eq!(page["gap"], gap, "{after}");
            assert_eq!(page["items"].as_array().unwrap().len(), 1, "{after}");
        }
    })
    .await;
}
