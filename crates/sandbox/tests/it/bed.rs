//! A sandbox, a client, and a receiver of webhooks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use hmac::{Hmac, KeyInit, Mac};
use kabar_sandbox::{
    CustomerPatch, DEFAULT_APP_SECRET, DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN,
    DEFAULT_VERIFY_TOKEN, DelayRange, Sandbox, SandboxConfig, Settings, WebhookConfig,
};
use serde_json::{Value, json};
use sha2::Sha256;

pub const CUSTOMER: &str = "6281234567890";
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Bed {
    pub sandbox: Sandbox,
    pub client: reqwest::Client,
    pub receiver: Arc<Receiver>,
}

/// What arrived, and what to answer next (200 when nothing is scripted).
#[derive(Default)]
pub struct Receiver {
    pub posts: Mutex<Vec<(HeaderMap, Bytes)>>,
    pub answers: Mutex<VecDeque<u16>>,
    pub url: Mutex<String>,
    pub verify_token: Mutex<String>,
}

impl Receiver {
    pub fn bodies(&self) -> Vec<Value> {
        let posts = self.posts.lock().unwrap();
        posts.iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }

    /// Every `value` of every change, in order of arrival.
    pub fn values(&self) -> Vec<Value> {
        let entries =
            self.bodies().into_iter().flat_map(|it| it["entry"].as_array().unwrap().clone());
        entries
            .flat_map(|entry| entry["changes"].as_array().unwrap().clone())
            .map(|change| change["value"].clone())
            .collect()
    }

    pub fn statuses(&self) -> Vec<Value> {
        self.values().iter().filter_map(|it| it["statuses"].get(0).cloned()).collect()
    }

    pub fn status_names(&self) -> Vec<String> {
        self.statuses().iter().map(|it| it["status"].as_str().unwrap().to_owned()).collect()
    }

    pub fn messages(&self) -> Vec<Value> {
        self.values().iter().filter_map(|it| it["messages"].get(0).cloned()).collect()
    }

    pub fn script(&self, answers: &[u16]) {
        self.answers.lock().unwrap().extend(answers);
    }
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let answer = receiver.answers.lock().unwrap().pop_front().unwrap_or(200);
    if answer == 200 {
        receiver.posts.lock().unwrap().push((headers, body));
    }
    StatusCode::from_u16(answer).unwrap()
}

async fn handshake(
    State(receiver): State<Arc<Receiver>>,
    Query(query): Query<Vec<(String, String)>>,
) -> (StatusCode, String) {
    let get = |key: &str| query.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()).unwrap();
    if get("hub.mode") == "subscribe"
        && get("hub.verify_token") == *receiver.verify_token.lock().unwrap()
    {
        (StatusCode::OK, get("hub.challenge"))
    } else {
        (StatusCode::FORBIDDEN, String::new())
    }
}

pub async fn receiver() -> Arc<Receiver> {
    let receiver = Arc::new(Receiver::default());
    DEFAULT_VERIFY_TOKEN.clone_into(&mut receiver.verify_token.lock().unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    *receiver.url.lock().unwrap() = format!("http://{addr}/hook");
    let router = axum::Router::new()
        .route("/hook", get(handshake).post(receive))
        .with_state(Arc::clone(&receiver));
    tokio::spawn(async move { axum_serve(listener, router).await });
    receiver
}

/// Serves with hyper directly, as the sandbox itself does.
async fn axum_serve(listener: tokio::net::TcpListener, router: axum::Router) {
    use hyper_util::rt::TokioIo;
    use hyper_util::service::TowerToHyperService;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _ended = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Bed {
    pub async fn new() -> Self {
        Self::with(Settings {
            delivery_delay_ms: DelayRange::NONE,
            read_delay_ms: DelayRange::NONE,
            ..Settings::default()
        })
        .await
    }

    pub async fn with(settings: Settings) -> Self {
        let receiver = receiver().await;
        let webhook = WebhookConfig::new(receiver.url.lock().unwrap().clone());
        let config = SandboxConfig {
            seed: Some(7),
            webhook: Some(webhook),
            settings,
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(config).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { sandbox, client, receiver }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.sandbox.base_url())
    }

    pub fn graph(&self, path: &str) -> String {
        self.url(&format!("v25.0/{path}"))
    }

    pub fn open_window(&self, customer: &str) {
        let patch = CustomerPatch { window_open: Some(true), ..CustomerPatch::default() };
        self.sandbox.put_customer(customer, patch).unwrap();
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(self.graph(path)).bearer_auth(DEFAULT_TOKEN).json(body);
        answer(request).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.client.get(self.graph(path)).bearer_auth(DEFAULT_TOKEN)).await
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.client.delete(self.graph(path)).bearer_auth(DEFAULT_TOKEN)).await
    }

    pub async fn control(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = method.parse().unwrap();
        let request = self.client.request(method, self.url(&format!("control/{path}")));
        answer(request.json(&body)).await
    }

    /// Posts a message to the customer of these tests.
    pub async fn send(&self, content: Value) -> (u16, Value) {
        let path = format!("{DEFAULT_PHONE_NUMBER_ID}/messages");
        self.post(&path, &message(content)).await
    }

    pub async fn send_text(&self, text: &str) -> (u16, Value) {
        self.send(json!({"type": "text", "text": {"body": text}})).await
    }

    /// Sends for as long as the patience lasts; what comes back may be no answer at all.
    pub async fn try_send(
        &self,
        content: Value,
        patience_ms: u64,
    ) -> Result<reqwest::Response, reqwest::Error> {
        self.client
            .post(self.graph(&format!("{DEFAULT_PHONE_NUMBER_ID}/messages")))
            .bearer_auth(DEFAULT_TOKEN)
            .json(&message(content))
            .timeout(Duration::from_millis(patience_ms))
            .send()
            .await
    }

    pub async fn quiet(&self) {
        self.sandbox.quiesce(PATIENCE).await.unwrap();
    }
}

pub fn message(content: Value) -> Value {
    let mut message = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": CUSTOMER,
    });
    let fields = message.as_object_mut().unwrap();
    fields.extend(content.as_object().unwrap().clone());
    message
}

pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn wamid(answer: &Value) -> String {
    answer["messages"][0]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

pub fn code(answer: &Value) -> u64 {
    answer["error"]["code"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

/// Whether `X-Hub-Signature-256` fits the raw body.
pub fn signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(DEFAULT_APP_SECRET.as_bytes()).unwrap();
    mac.update(body);
    let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    headers["x-hub-signature-256"].to_str().unwrap() == expected
}
