//! A server that stands in for Graph, and the ports that the channel asks for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use kabar_channel::ports::{MediaFile, MediaSource, Uploaded};
use kabar_channel::{ChannelKind, Content, DeviceLink, Outgoing, Recipient, SendError};
use kabar_cloud_api::{CloudApi, GraphConfig};
use kabar_core::{AccountId, Clock, DeviceId, MediaId, MessageId, PhoneNumber, Secret, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

pub const TOKEN: &str = "EAAGsecrettoken";
pub const NUMBER: &str = "106540352242922";
pub const WABA: &str = "102290129340398";

/// What the server answers.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, body.to_string())
    }

    pub fn raw(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn error(status: u16, code: i64) -> Self {
        let error =
            json!({ "error": { "message": "(#1) no", "type": "OAuthException", "code": code } });
        Self::json(status, &error)
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What the server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.uri)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Debug, Default)]
struct Script {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
}

/// A server that answers from a script, in order, and remembers what it was asked.
#[derive(Debug, Clone)]
pub struct FakeGraph {
    script: Arc<Mutex<Script>>,
    pub address: String,
}

impl FakeGraph {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Arc::new(Mutex::new(Script {
            replies: replies.into_iter().collect(),
            asked: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { script, address }
    }

    pub fn then(&self, reply: Reply) {
        self.script.lock().unwrap().replies.push_back(reply);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut script = script.lock().unwrap();
    script.asked.push(Asked { method, uri, headers, body });
    let reply = script.replies.pop_front().unwrap_or_else(|| Reply::raw(599, "the script is over"));
    let status = StatusCode::from_u16(reply.status).unwrap();
    let mut response = (status, reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

#[derive(Debug)]
pub struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_timestamp(1_780_000_000, 0).unwrap()
    }
}

/// One stored file, and what was remembered of its uploads.
#[derive(Debug)]
pub struct Files {
    pub file: Mutex<MediaFile>,
    pub known: Mutex<Option<Uploaded>>,
}

impl Files {
    pub fn of(mime: &str, bytes: impl Into<Bytes>) -> Arc<Self> {
        Arc::new(Self {
            file: Mutex::new(MediaFile {
                bytes: bytes.into(),
                mime: mime.to_owned(),
                filename: Some("stored.bin".to_owned()),
            }),
            known: Mutex::default(),
        })
    }
}

#[async_trait]
impl MediaSource for Files {
    async fn open(&self, _: &DeviceLink, _: MediaId) -> Result<MediaFile, SendError> {
        Ok(self.file.lock().unwrap().clone())
    }

    async fn uploaded(&self, _: &DeviceLink, _: MediaId) -> Result<Option<Uploaded>, SendError> {
        Ok(self.known.lock().unwrap().clone())
    }

    async fn remember(
        &self,
        _: &DeviceLink,
        _: MediaId,
        uploaded: &Uploaded,
    ) -> Result<(), SendError> {
        *self.known.lock().unwrap() = Some(uploaded.clone());
        Ok(())
    }
}

pub fn config(address: &str) -> GraphConfig {
    GraphConfig { base_url: address.parse().unwrap(), ..GraphConfig::default() }
}

pub fn cloud(address: &str, files: Arc<Files>) -> Arc<CloudApi> {
    cloud_with(config(address), files)
}

pub fn cloud_with(config: GraphConfig, files: Arc<Files>) -> Arc<CloudApi> {
    Arc::new(CloudApi::new(config, files, Arc::new(FixedClock)).unwrap())
}

pub fn impatient(address: &str) -> GraphConfig {
    GraphConfig { timeout: Duration::from_millis(300), ..config(address) }
}

pub fn no_files() -> Arc<Files> {
    Files::of("image/png", "bytes")
}

pub fn device() -> DeviceLink {
    DeviceLink {
        device: DeviceId::from(Uuid::from_u128(1)),
        account: AccountId::from(Uuid::from_u128(2)),
        channel: ChannelKind::CLOUD_API,
        address: NUMBER.to_owned(),
        parent: Some(WABA.to_owned()),
        token: Some(Secret::from(TOKEN)),
        fence: 1,
    }
}

pub fn media_id() -> MediaId {
    MediaId::from(Uuid::from_u128(3))
}

pub fn to_phone() -> Recipient {
    Recipient {
        phone: Some(PhoneNumber::parse("+628123456789", None).unwrap()),
        ..Recipient::default()
    }
}

pub fn outgoing(content: Content) -> Outgoing {
    Outgoing {
        id: MessageId::from(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001)),
        attempt: 1,
        to: to_phone(),
        content,
        reply_to: None,
        wire_id: None,
    }
}

pub fn accepted() -> Reply {
    Reply::json(
        200,
        &json!({
            "messaging_product": "whatsapp",
            "contacts": [{ "input": "+628123456789", "wa_id": "628123456789", "user_id": "ID.1" }],
            "messages": [{ "id": "wamid.A", "message_status": "accepted" }],
        }),
    )
}
