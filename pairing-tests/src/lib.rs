//! A Kabar with a WhatsApp of its own, where pairing itself can be seen and tested.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use kabar::core::ExposeSecret as _;
use kabar::qr_session::QrSettings;
use kabar::{KeyRing, Platform, Running};
use kabar_sandbox::multi_device::MultiDevice;
use kabar_server::{AppSettings, app};
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

/// Whatever goes wrong.
pub type Problem = Box<dyn Error + Send + Sync>;

/// The number of a customer.
pub const CUSTOMER: &str = "6281200000002";

/// For how long each step may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a sandbox, and an account on it.
pub struct Town {
    client: Client,
    base: String,
    key: String,
    account: String,
    running: Running,
}

impl Town {
    /// Starts a server on a folder; what was there before goes on.
    pub async fn start(folder: &Path, whatsapp: &MultiDevice) -> Result<Self, Problem> {
        let platform = platform(folder, whatsapp).await?;
        // Another one at each start: only its key is of use, and that is shown once.
        let email = format!(
            "pairing-{}@localhost",
            SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos()
        );
        let key = platform.accounts().create_provider_admin(&email).await?.secret;
        let running = platform.start();
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
        let address = acceptor.local_addr().remove(0);
        let address = address.as_socket_addr().ok_or("no address")?.to_string();
        let face = app(platform, AppSettings::default());
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(face));
        let mut town = Self {
            client: Client::builder().no_proxy().build()?,
            base: format!("http://{address}/api/v1"),
            key: key.expose_secret().to_owned(),
            account: String::new(),
            running,
        };
        town.account = town.own_account().await?;
        Ok(town)
    }

    async fn own_account(&self) -> Result<String, Problem> {
        let known = self.get("/accounts").await?;
        if let Some(id) = known["items"][0]["id"].as_str() {
            return Ok(id.to_owned());
        }
        let new = json!({ "name": "Pairing", "country": "ID" });
        let made = self.post("/accounts", &new).await?;
        Ok(made["account"]["id"].as_str().ok_or("no account")?.to_owned())
    }

    /// Ends it, sessions first.
    pub async fn stop(self) {
        self.running.stop().await;
    }

    /// A device that is still to be paired.
    pub async fn device(&self) -> Result<String, Problem> {
        let new = json!({ "name": "Shop", "channel": "qr_session", "accept_risk": true });
        let made = self.post("/devices", &new).await?;
        Ok(made["device"]["id"].as_str().ok_or("no device")?.to_owned())
    }

    /// Waits until a device is in a state.
    pub async fn state(&self, device: &str, state: &str) -> Result<Value, Problem> {
        let waiting = async {
            loop {
                let now = self.get(&format!("/devices/{device}")).await?;
                if now["state"] == state {
                    return Ok::<_, Problem>(now);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await?
    }

    /// Waits until a device shows a code; answers the whole view.
    pub async fn code(&self, device: &str) -> Result<Value, Problem> {
        let waiting = async {
            loop {
                let now = self.get(&format!("/devices/{device}/pairing")).await?;
                if now["code"].is_string() {
                    return Ok::<_, Problem>(now);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await?
    }

    /// The events of a pairing, until the stream ends; `each` sees them as they come.
    pub async fn follow(
        &self,
        device: &str,
        mut each: impl FnMut(&Value),
    ) -> Result<Vec<Value>, Problem> {
        let request = self.request(Method::GET, &format!("/devices/{device}/pairing"));
        let answer = request.header("Accept", "text/event-stream").send().await?;
        let (mut chunks, mut text, mut events) = (answer.bytes_stream(), String::new(), Vec::new());
        let reading = async {
            while let Some(chunk) = chunks.next().await {
                text.push_str(std::str::from_utf8(&chunk?)?);
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let data = event.lines().find_map(|line| line.strip_prefix("data:"));
                    if let Some(data) = data {
                        let data: Value = serde_json::from_str(data.trim())?;
                        each(&data);
                        events.push(data);
                    }
                    text = rest.to_owned();
                }
            }
            Ok::<_, Problem>(events)
        };
        tokio::time::timeout(PATIENCE, reading).await?
    }

    /// A GET that must work.
    pub async fn get(&self, path: &str) -> Result<Value, Problem> {
        read(self.request(Method::GET, path).send().await?).await
    }

    /// A GET of anything.
    pub async fn raw(&self, path: &str) -> Result<Response, Problem> {
        Ok(self.request(Method::GET, path).send().await?)
    }

    /// A POST that must work.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Problem> {
        read(self.request(Method::POST, path).json(body).send().await?).await
    }

    /// A PUT that must work.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, Problem> {
        read(self.request(Method::PUT, path).json(body).send().await?).await
    }

    /// The status of a POST.
    pub async fn status(&self, path: &str, body: &Value) -> Result<u16, Problem> {
        let answer = self.request(Method::POST, path).json(body).send().await?;
        Ok(answer.status().as_u16())
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.bearer_auth(&self.key);
        if self.account.is_empty() {
            request
        } else {
            request.header("Kabar-Account", &self.account)
        }
    }
}

/// Writes both ways between the phone of a device and that of a customer, over the device.
///
/// # Panics
/// When something does not arrive, or not once.
pub async fn talks(town: &Town, whatsapp: &MultiDevice, (shop, device): (&str, &str), word: &str) {
    let customer = whatsapp.phone(CUSTOMER).expect("a phone");
    let out = format!("{word} to the customer");
    let message = json!({ "messages": [{
        "device_id": device,
        "to": { "phone": format!("+{CUSTOMER}") },
        "content": { "type": "text", "body": out },
    }] });
    town.post("/messages", &message).await.expect("it is taken");
    let got = customer.wait_for_text(&out, PATIENCE).await.expect("it arrives");
    assert_eq!((got.sender.as_str(), got.arrivals), (shop, 1));
    let back = format!("{word} to the shop");
    customer.text(shop, &back).expect("it is sent");
    let begun = std::time::Instant::now();
    loop {
        let page = town.get("/messages?limit=20").await.expect("messages");
        let items = page["items"].as_array().expect("a list");
        if items.iter().any(|message| message["content"]["body"] == back.as_str()) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "never stored: {page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(customer.failures().is_empty(), "{:?}", customer.failures());
}

async fn read(answer: Response) -> Result<Value, Problem> {
    let (status, text) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        return Err(format!("{status}: {text}").into());
    }
    Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
}

async fn platform(folder: &Path, whatsapp: &MultiDevice) -> Result<Platform, Problem> {
    let paired = QrSettings {
        url: Some(whatsapp.ws_url()),
        media_url: Some(whatsapp.media_url()),
        sandbox: true,
        loopback_only: true,
        ..QrSettings::default()
    };
    let database = format!("sqlite:{}", folder.join("kabar.db").display());
    Ok(Platform::builder()
        .database(database.parse()?)
        .keys(KeyRing::open_or_create(&folder.join("keys"))?)
        .files(folder.join("files"))
        .paired(paired)
        .build()
        .await?)
}
