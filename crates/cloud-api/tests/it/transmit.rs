//! Sending: what arrives, and what each failure means.

use std::time::Duration;

use kabar_channel::{Accepted, Channel as _, Content, Outgoing, Prepared, Reason, SendError};
use kabar_cloud_api::GraphConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::classify::word;
use crate::support::{
    FakeGraph, NUMBER, Reply, TOKEN, accepted, cloud, cloud_with, config, device, impatient,
    no_files, outgoing,
};

fn hello() -> Outgoing {
    outgoing(Content::text("hello"))
}

fn prepared() -> Prepared {
    json!({ "messaging_product": "whatsapp", "to": "+628123456789", "type": "text" }).into()
}

async fn transmit(config: GraphConfig) -> Result<Accepted, SendError> {
    let cloud = cloud_with(config, no_files());
    cloud.transmit(&device(), &hello(), &prepared()).await
}

async fn answered(reply: Reply) -> Result<Accepted, SendError> {
    let graph = FakeGraph::start([reply]).await;
    let result = transmit(config(&graph.address)).await;
    assert_eq!(graph.asked().len(), 1, "a send is never repeated here");
    result
}

#[tokio::test]
async fn a_send_posts_what_was_prepared() {
    let graph = FakeGraph::start([accepted()]).await;
    let cloud = cloud(&graph.address, no_files());
    let prepared = cloud.prepare(&device(), &hello()).await.unwrap();
    let sent = cloud.transmit(&device(), &hello(), &prepared).await.unwrap();
    assert_eq!(sent.wire_id, "wamid.A");
    assert_eq!(sent.wa_id.as_deref(), Some("628123456789"));
    assert_eq!(sent.user_id.as_deref(), Some("ID.1"));
    assert!(!sent.held_by_network);

    let asked = graph.asked();
    assert_eq!(asked[0].line(), format!("POST /v25.0/{NUMBER}/messages"));
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(asked[0].headers["content-type"], "application/json");
    assert_eq!(asked[0].json(), *prepared.json());
    assert_eq!(asked[0].json()["biz_opaque_callback_data"], "msg_01920000000070008000000000000001");
}

#[tokio::test]
async fn a_base_url_may_have_a_path_and_the_version_may_be_another() {
    let graph = FakeGraph::start([accepted(), accepted()]).await;
    for (path, version, line) in [
        ("/proxy/graph/", "v26.0", "POST /proxy/graph/v26.0/106540352242922/messages"),
        ("/proxy", "", "POST /proxy/106540352242922/messages"),
    ] {
        let config =
            GraphConfig { version: version.into(), ..config(&format!("{}{path}", graph.address)) };
        transmit(config).await.unwrap();
        assert_eq!(graph.lines().last().unwrap(), line);
    }
}

#[tokio::test]
async fn a_template_may_be_held_for_a_quality_check() {
    let held = json!({ "messages": [{
        "id": "wamid.H",
        "message_status": "held_for_quality_assessment",
    }] });
    let sent = answered(Reply::json(200, &held)).await.unwrap();
    assert!(sent.held_by_network);
    assert_eq!(sent.wa_id, None);
}

#[tokio::test]
async fn answers_without_a_clear_word_are_uncertain() {
    for reply in [
        Reply::raw(200, ""),
        Reply::raw(200, "<html>ok</html>"),
        Reply::raw(200, "{\"messages\":[{\"id\":\"wam"),
        Reply::raw(200, "[]"),
        Reply::json(200, &json!({ "messages": [] })),
        Reply::json(200, &json!({ "messages": [{ "id": "" }] })),
        Reply::raw(500, ""),
        Reply::raw(502, "<html>Bad gateway</html>"),
        Reply::raw(503, "{}"),
        Reply::json(500, &json!({ "error": { "message": "no code" } })),
        Reply::error(500, 987_654),
        Reply::raw(408, ""),
    ] {
        let shown = String::from_utf8_lossy(&reply.body).into_owned();
        let error = answered(reply).await.unwrap_err();
        assert_eq!(word(&error), "uncertain", "{shown}: {error}");
    }
}

#[tokio::test]
async fn answers_with_a_code_follow_the_table() {
    for (reply, wanted) in [
        (Reply::error(400, 131_047), "window"),
        (Reply::error(500, 131_000), "retry"),
        (Reply::error(200, 131_026), "refused"),
        (Reply::error(401, 190), "down"),
        (Reply::error(400, 987_654), "refused"),
        (Reply::json(400, &json!({ "error": { "code": "131047" } })), "window"),
        // Not Graph: a wrong base URL or a proxy, which is no fault of the message.
        (Reply::raw(404, "<html>"), "down"),
        (Reply::raw(302, "").with("location", "https://elsewhere.example"), "down"),
        (Reply::raw(413, ""), "refused"),
        (Reply::raw(429, ""), "slow"),
    ] {
        let error = answered(reply).await.unwrap_err();
        assert_eq!(word(&error), wanted, "{error}");
    }
}

#[tokio::test]
async fn meta_says_how_long_to_wait() {
    let usage = json!({ "102290129340398": [{
        "type": "messages",
        "call_count": 100,
        "estimated_time_to_regain_access": 3,
    }] });
    for (name, value, seconds) in [
        ("retry-after", "30".to_owned(), Some(30)),
        ("x-business-use-case-usage", usage.to_string(), Some(180)),
        ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT".to_owned(), None),
        ("x-app-usage", "{".to_owned(), None),
    ] {
        let reply = Reply::error(400, 130_429).with(name, value);
        let error = answered(reply).await.unwrap_err();
        let SendError::SlowDown { after, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(after, seconds.map(Duration::from_secs), "{name}");
    }
}

#[tokio::test]
async fn the_pair_limit_waits_longer_with_each_try() {
    for (attempt, seconds) in [(1, 1), (2, 4), (4, 64), (7, 3600), (u32::MAX, 3600)] {
        let graph = FakeGraph::start([Reply::error(400, 131_056)]).await;
        let cloud = cloud(&graph.address, no_files());
        let message = Outgoing { attempt, ..hello() };
        let error = cloud.transmit(&device(), &message, &prepared()).await.unwrap_err();
        let after = match error {
            SendError::Retry { after, .. } => after,
            other => panic!("{other}"),
        };
        assert_eq!(after, Some(Duration::from_secs(seconds)), "try {attempt}");
    }
}

/// A server that does something to its first connection.
async fn broken<F: Future<Output = ()> + Send>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    address
}

async fn read_request(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    assert_ne!(stream.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = transmit(config(&address)).await.unwrap_err();
    assert_eq!(word(&error), "retry", "{error}");
    assert_eq!(error.reason().code, "no_connection");
}

/// A handshake that fails comes before the request: nothing was sent either.
#[tokio::test]
async fn without_tls_nothing_was_sent() {
    let graph = FakeGraph::start([]).await;
    let address = graph.address.replace("http://", "https://");
    let error = transmit(config(&address)).await.unwrap_err();
    assert_eq!(word(&error), "retry", "{error}");
    assert!(graph.asked().is_empty());
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_the_outcome_open() {
    let closed = broken(|mut stream| async move { read_request(&mut stream).await }).await;
    let cut_off = broken(|mut stream| async move {
        read_request(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"messages\":";
        stream.write_all(head).await.unwrap();
    })
    .await;
    let no_http = broken(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
    })
    .await;
    for address in [closed, cut_off, no_http] {
        let error = transmit(config(&address)).await.unwrap_err();
        assert_eq!(word(&error), "uncertain", "{error}");
        assert_eq!(error.reason().code, "connection_lost");
    }
}

#[tokio::test]
async fn silence_leaves_the_outcome_open() {
    let (release, wait) = tokio::sync::oneshot::channel::<()>();
    let address = broken(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = wait.await;
    })
    .await;
    let error = transmit(impatient(&address)).await.unwrap_err();
    assert_eq!(word(&error), "uncertain", "{error}");
    assert_eq!(error.reason().code, "timeout");
    drop(release);
}

#[tokio::test]
async fn a_device_without_token_is_down_and_is_not_asked_for() {
    let graph = FakeGraph::start([]).await;
    let cloud = cloud(&graph.address, no_files());
    let mut device = device();
    device.token = None;
    let error = cloud.transmit(&device, &hello(), &prepared()).await.unwrap_err();
    assert_eq!(word(&error), "down");
    assert!(graph.asked().is_empty());
}

#[tokio::test]
async fn the_token_is_in_no_error_and_no_debug_text() {
    let message = format!("Malformed access token {TOKEN}");
    let body = json!({ "error": {
        "message": message,
        "code": 190,
        "error_data": { "details": message },
    } });
    let graph = FakeGraph::start([Reply::json(401, &body)]).await;
    let cloud = cloud(&graph.address, no_files());
    let error = cloud.transmit(&device(), &hello(), &prepared()).await.unwrap_err();
    assert_eq!(*error.reason(), Reason::new("190", "Malformed access token …"));
    assert!(!format!("{cloud:?} {:?}", device()).contains(TOKEN));
}
