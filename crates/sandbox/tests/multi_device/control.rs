//! The control API over HTTP.

use serde_json::{Value, json};

use crate::bed::{ALICE, BOB, PATIENCE, device, http_client, server, start, store};

struct Control(String, reqwest::Client);

impl Control {
    async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.1.request(method, format!("{}/control/{path}", self.0));
        let response = request.body(body.to_string()).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_served_without_the_handle() {
    use reqwest::Method;
    let server = server().await;
    let client = http_client();
    let control = Control(server.media_url(), client);

    let path = format!("phones/{ALICE}/sessions");
    let (status, session) = control.call(Method::POST, &path, json!({"prekeys": 7})).await;
    assert_eq!((status, session["format"].as_str()), (200, Some("kabar-session")));
    assert_eq!(session["prekeys"].as_array().unwrap().len(), 7);
    let session = serde_json::from_value(session).unwrap();
    let alice = start(&server, ALICE, 1, store(&session).await).await;
    server.wait_online(ALICE, 1, PATIENCE).await.unwrap();

    let (status, _) = control.call(Method::PUT, &format!("phones/{BOB}"), json!({})).await;
    assert_eq!(status, 200);
    let text = json!({"to": ALICE, "content": {"type": "text", "body": "by HTTP"}});
    let (status, _) = control.call(Method::POST, &format!("phones/{BOB}/messages"), text).await;
    assert_eq!(status, 200);
    alice.text("by HTTP").await;
    alice.client.send_text(crate::bed::pn(BOB), "and back").await.unwrap();
    server.phone(BOB).unwrap().wait_for_text("and back", PATIENCE).await.unwrap();
    let path = format!("phones/{BOB}/messages");
    let (_, messages) = control.call(Method::GET, &path, Value::Null).await;
    assert_eq!((&messages[0]["text"], &messages[0]["sender"]), (&json!("and back"), &json!(ALICE)));

    let (_, connections) = control.call(Method::GET, "connections", Value::Null).await;
    assert_eq!(connections, json!([{"number": ALICE, "device": 1, "pattern": "ik"}]));
    let fault = json!({"on": "login", "effect": {"kind": "failure", "reason": 503}});
    let (status, answer) = control.call(Method::POST, "faults", fault).await;
    assert_eq!((status, &answer["id"]), (200, &json!(1)));
    let (status, _) = control.call(Method::GET, "phones/999", Value::Null).await;
    assert_eq!(status, 404);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_counted() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    let client = http_client();
    let control = Control(server.media_url(), client);
    let (_, state) = control.call(reqwest::Method::GET, "state", Value::Null).await;
    assert_eq!((&state["phones"], &state["connections"]), (&json!(1), &json!(1)));
    alice.stop().await;
}
