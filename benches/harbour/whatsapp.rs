//! WhatsApp as the sandbox plays it, in a process of its own: this very program, started once more.

use std::process::Stdio;
use std::time::Duration;

use kabar_sandbox::multi_device::{MultiDevice, MultiDeviceConfig};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Says to this program that it is the sandbox.
const ASKED: &str = "HARBOUR_WHATSAPP";

/// A message that a phone could read.
pub(crate) struct Heard {
    pub(crate) text: String,
    /// Copies of it that came; a real phone shows one.
    pub(crate) arrivals: u64,
}

/// The sandbox's process. It ends with the handle.
pub(crate) struct Whatsapp {
    _child: Child,
    /// Where clients connect.
    pub(crate) socket: String,
    base: String,
    http: Client,
}

/// Whether this process is to be the sandbox.
pub(crate) fn is_asked() -> bool {
    std::env::var_os(ASKED).is_some()
}

/// Is the sandbox until whoever started it is gone.
pub(crate) async fn serve() {
    let sandbox = MultiDevice::start(MultiDeviceConfig::default()).await.unwrap();
    println!("{}", json!({ "socket": sandbox.ws_url(), "http": sandbox.media_url() }));
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    let _either_way = ended.await;
    sandbox.stop().await;
}

impl Whatsapp {
    pub(crate) async fn start() -> Self {
        // Clients of this process ask for a provider, though they speak plain HTTP. A second call
        // changes nothing.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(ASKED, "1").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the sandbox starts");
        let about: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| about[name].as_str().unwrap().to_owned();
        let http = Client::builder().timeout(Duration::from_mins(1)).no_proxy().build().unwrap();
        Self { _child: child, socket: text("socket"), base: text("http"), http }
    }

    /// Where files are.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let mut request = self.http.request(method, format!("{}/control{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, Some(body)).await
    }

    /// A session of a number's, as after pairing.
    pub(crate) async fn mint(&self, number: &str) -> Value {
        self.post(&format!("/phones/{number}/sessions"), &json!({})).await
    }

    /// Makes a phone.
    pub(crate) async fn open(&self, number: &str) {
        self.call(Method::PUT, &format!("/phones/{number}"), None).await;
    }

    /// Lets a phone write to a number.
    pub(crate) async fn write(&self, from: &str, to: &str, text: &str) {
        let body = json!({ "to": to, "content": { "type": "text", "body": text } });
        self.post(&format!("/phones/{from}/messages"), &body).await;
    }

    /// What a phone has received.
    pub(crate) async fn heard(&self, number: &str) -> Vec<Heard> {
        let all = self.get(&format!("/phones/{number}/messages")).await;
        let heard = |message: &Value| Heard {
            text: message["text"].as_str().unwrap_or_default().to_owned(),
            arrivals: message["arrivals"].as_u64().unwrap_or_default(),
        };
        all.as_array().unwrap().iter().map(heard).collect()
    }

    /// How many messages a phone has received.
    pub(crate) async fn heard_count(&self, number: &str) -> u64 {
        self.get(&format!("/phones/{number}")).await["messages"].as_u64().unwrap()
    }

    /// What waits for the paired device of a number: what it has not acknowledged.
    pub(crate) async fn waiting(&self, number: &str) -> u64 {
        let phone = self.get(&format!("/phones/{number}")).await;
        let companions = phone["companions"].as_array().unwrap();
        companions.iter().filter_map(|companion| companion["waiting"].as_u64()).sum()
    }

    /// Connections of paired devices that are logged in.
    pub(crate) async fn connections(&self) -> u64 {
        self.get("/state").await["connections"].as_u64().unwrap()
    }

    /// Ends or breaks the connection of a number's paired device.
    pub(crate) async fn end(&self, number: &str, ending: &Value) {
        self.post("/connections/end", &json!({ "number": number, "ending": ending })).await;
    }

    /// Adds a fault.
    pub(crate) async fn fault(&self, fault: &Value) {
        self.post("/faults", fault).await;
    }

    /// Removes all faults.
    pub(crate) async fn clear_faults(&self) {
        self.call(Method::DELETE, "/faults", None).await;
    }
}
