//! A platform with its face, on a sandbox of Meta's, with two tenants that have one of everything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use chrono::TimeDelta;
use kabar::accounts::{Networks, PasswordCost};
use kabar::cloud_api::GraphConfig;
use kabar::cloud_api::webhook::signature;
use kabar::core::{Clock, ExposeSecret as _, Permission, Role, Secret, SystemClock, Timestamp};
use kabar::devices::installation_app;
use kabar::mail::FileMailer;
use kabar::{DatabaseUrl, KeyRing, Platform};
use kabar_sandbox::{NewAccount, NewNumber, Sandbox, SandboxConfig};
use kabar_server::{AppSettings, Proxies, ProxyHeader, app};
use poem::endpoint::BoxEndpoint;
use poem::http::uri::Scheme;
use poem::http::{self, HeaderMap, Method, Uri};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint as _, EndpointExt as _, Request, RequestParts, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::dump::Rows;
use crate::operations::{broadcast, template};

/// The proxy that the face trusts.
pub const PROXY: &str = "10.9.9.9";
/// The password of every owner.
pub const PASSWORD: &str = "correct horse battery";

/// The time that it is, and some more: tests set it ahead.
#[derive(Debug, Default)]
pub struct Ahead(AtomicI64);

impl Ahead {
    pub fn advance(&self, step: TimeDelta) {
        self.0.fetch_add(step.num_seconds(), Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + TimeDelta::seconds(self.0.load(Ordering::SeqCst))
    }
}

pub const APP_SECRET: &str = "the app's secret";
pub const VERIFY_TOKEN: &str = "the verify token";
const SERVER: &str = "KABAR_TEST_POSTGRES";

/// How many databases this process made.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// An answer, read.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The answer's JSON, when it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// Checks that it is a whole problem of this status; returns it.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert!(self.header("x-request-id").is_some());
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail", "code"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        assert!(problem["errors"].is_array(), "{problem}");
        problem
    }
}

/// A request of the API.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Who connects; this machine when absent.
    pub peer: Option<IpAddr>,
}

impl Call {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Vec::new(), peer: None }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// From an address, as a trusted proxy tells.
    pub fn forwarded(self, address: &str) -> Self {
        self.header("x-forwarded-for", address)
    }

    pub fn from(mut self, peer: &str) -> Self {
        self.peer = Some(peer.parse().unwrap());
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub fn account(self, id: &str) -> Self {
        self.header("kabar-account", id)
    }

    pub fn json(self, body: &Value) -> Self {
        let mut call = self.header("content-type", "application/json");
        call.body = body.to_string().into_bytes();
        call
    }

    pub fn bytes(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    /// A form with one file.
    pub fn file(self, name: &str, mime: &str, boundary: &str, bytes: &[u8]) -> Self {
        let mut body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: {mime}\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(bytes);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        self.bytes(&format!("multipart/form-data; boundary={boundary}"), body)
    }
}

/// A tenant with one of everything.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub account: String,
    pub user: String,
    pub key: String,
    /// An API key with the role `customer`'s permissions.
    pub token: String,
    /// One with the role `agent`'s.
    pub agent: String,
    pub app: String,
    pub device: String,
    pub device_token: String,
    /// A second device of the same account.
    pub other_device: String,
    pub number: String,
    pub contact: String,
    pub conversation: String,
    /// An incoming message.
    pub message: String,
    /// An outgoing message that waits.
    pub waiting: String,
    pub media: String,
    pub rule: String,
    pub template: String,
    pub broadcast: String,
    pub bulk: String,
    pub webhook: String,
    /// A delivery that waits.
    pub delivery: String,
    pub resend: String,
    pub history: String,
    pub export: String,
    /// The owner, logged in.
    pub session: String,
    pub access: String,
    pub group: String,
    /// An import that is still to be read.
    pub import: String,
    /// An export of contacts that is still to be written.
    /// An export of everything that is known of the contact.
    pub personal: String,
}

impl Tenant {
    /// Every id that another tenant must never see.
    pub fn ids(&self) -> Vec<&str> {
        vec![
            &self.account,
            &self.user,
            &self.key,
            &self.app,
            &self.device,
            &self.other_device,
            &self.contact,
            &self.conversation,
            &self.message,
            &self.waiting,
            &self.media,
            &self.rule,
            &self.template,
            &self.broadcast,
            &self.bulk,
            &self.webhook,
            &self.delivery,
            &self.resend,
            &self.history,
            &self.session,
            &self.group,
            &self.import,
            &self.export,
            &self.personal,
        ]
    }
}

pub struct Bed {
    pub platform: Platform,
    pub sandbox: Sandbox,
    pub rows: Rows,
    /// The provider's administrator.
    pub admin: String,
    pub clock: Arc<Ahead>,
    face: BoxEndpoint<'static, Response>,
    folder: TempDir,
}

impl Bed {
    /// On SQLite.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("kabar.db").display());
        Self::on(&url, folder).await
    }

    /// On SQLite, with a face of its own.
    pub async fn with(settings: AppSettings) -> Self {
        let bed = Self::new().await;
        let face = app(bed.platform.clone(), settings).boxed();
        Self { face, ..bed }
    }

    /// Runs a test on every database that there is: SQLite, and PostgreSQL where it is named.
    pub async fn each(test: impl AsyncFn(Self)) {
        test(Self::new().await).await;
        let Some(server) = postgres() else {
            eprintln!("{SERVER} is not set: not tested on PostgreSQL");
            return;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("kabar_face_{}_{number}", std::process::id());
        let url = Rows::create(&server, &name).await;
        test(Self::on(&url, tempfile::tempdir().unwrap()).await).await;
        Rows::remove(&server, &name).await;
    }

    async fn on(url: &str, folder: TempDir) -> Self {
        let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
        let graph =
            GraphConfig { base_url: sandbox.base_url().parse().unwrap(), ..GraphConfig::default() };
        let (_, keys) = KeyRing::generate();
        let clock = Arc::new(Ahead::default());
        let platform = Platform::builder()
            .database(url.parse::<DatabaseUrl>().unwrap())
            .keys(KeyRing::parse(&keys).unwrap())
            .files(folder.path().join("files"))
            .graph(graph)
            .clock(clock.clone())
            .mailer(Arc::new(FileMailer::open(folder.path().join("mails"), "k@localhost").unwrap()))
            .password_cost(PasswordCost { memory_kib: 8, passes: 1, lanes: 1 })
            .build()
            .await
            .unwrap();
        platform
            .meta_apps()
            .ensure_installation_app(&Secret::from(APP_SECRET), &Secret::from(VERIFY_TOKEN))
            .await
            .unwrap();
        let first = platform.accounts().ensure_provider("op@example.com").await.unwrap();
        let admin = first.unwrap().secret.expose_secret().to_owned();
        let proxies = Proxies {
            trusted: Networks::parse(&[PROXY]).unwrap(),
            header: ProxyHeader::XForwardedFor,
        };
        let settings = AppSettings { proxies, ..AppSettings::default() };
        let face = app(platform.clone(), settings).boxed();
        Self { rows: Rows::open(url).await, platform, sandbox, admin, clock, face, folder }
    }

    /// Calls; the body of the answer is still to come.
    pub async fn open(&self, call: Call) -> Response {
        let mut request =
            http::Request::builder().method(call.method).uri(call.path.parse::<Uri>().unwrap());
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let peer = SocketAddr::from((call.peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), 4711));
        let peer = RemoteAddr(Addr::SocketAddr(peer));
        let parts = RequestParts::from((parts, LocalAddr::default(), peer, Scheme::HTTP));
        let request = Request::from_parts(parts, call.body.into());
        self.face.call(request).await.unwrap()
    }

    pub async fn call(&self, call: Call) -> Answered {
        let response = self.open(call).await;
        let (parts, body) = response.into_parts();
        Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes: body.into_vec().await.unwrap(),
        }
    }

    /// A POST below `/api/v1` that makes something.
    pub async fn make(
        &self,
        path: &str,
        token: &str,
        account: Option<&str>,
        body: &Value,
    ) -> Value {
        let mut call = Call::post(format!("/api/v1{path}")).bearer(token).json(body);
        if let Some(account) = account {
            call = call.account(account);
        }
        let answered = self.call(call).await;
        assert!((200..300).contains(&answered.status), "{path}: {}", answered.text());
        answered.json()
    }

    /// A key with a role's own permissions; of the provider when no account is named.
    pub async fn key(&self, role: Role, account: Option<&str>) -> (String, String) {
        let permissions: Vec<&str> = Permission::ALL
            .iter()
            .filter(|permission| role.allows(**permission))
            .map(|permission| permission.as_str())
            .collect();
        let body = json!({ "name": role.as_str(), "permissions": permissions });
        let made = self.make("/keys", &self.admin, account, &body).await;
        (text(&made["key"]["id"]), text(&made["secret"]))
    }

    /// A WhatsApp business account with two numbers in the sandbox: its id, its token, the numbers.
    pub fn business(&self, seed: u32) -> (String, String, [String; 2]) {
        let number = |place: u32| NewNumber {
            phone_number_id: Some(format!("90{seed:04}{place:04}")),
            display_phone_number: Some(format!("1555{seed:03}{place:04}")),
            ..NewNumber::default()
        };
        let token = format!("token-{seed}");
        let made = self.sandbox.add_account(NewAccount {
            token: Some(token.clone()),
            numbers: vec![number(1), number(2)],
            ..NewAccount::default()
        });
        let made = made.unwrap();
        let ids = [made.numbers[0].id.clone(), made.numbers[1].id.clone()];
        (made.waba_id, token, ids)
    }

    /// The body of a registration.
    pub fn registration(waba: &str, token: &str, number: &str) -> Value {
        json!({
            "name": "Shop",
            "channel": "cloud_api",
            "address": number,
            "parent": waba,
            "credential": token,
        })
    }

    /// A body that Meta would post: somebody wrote to a number.
    pub fn incoming(number: &str, from: &str, wamid: &str, words: &str) -> Value {
        json!({
            "object": "whatsapp_business_account",
            "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": {
                "messaging_product": "whatsapp",
                "metadata": { "display_phone_number": "15550001", "phone_number_id": number },
                "contacts": [{ "profile": { "name": "Ayu" }, "wa_id": from }],
                "messages": [{
                    "from": from, "id": wamid, "timestamp": "1767225600", "type": "text",
                    "text": { "body": words },
                }],
            }}]}],
        })
    }

    /// Posts a signed body to the installation's app.
    pub async fn deliver(&self, body: &[u8]) -> Answered {
        let path = format!("/webhooks/cloud-api/{}", installation_app());
        let sign = signature(&Secret::from(APP_SECRET), body);
        let call = Call::post(path).header("x-hub-signature-256", sign);
        self.call(call.bytes("application/json", body)).await
    }

    /// Sets somebody's first password, and logs in with it.
    pub async fn log_in_first(&self, email: &str, provider: bool) -> Value {
        let token = self.platform.logins().password_token(email).await.unwrap().unwrap();
        let body = json!({ "token": token.expose_secret(), "password": PASSWORD });
        self.call(Call::post("/api/v1/auth/password/reset").json(&body)).await.expect(204);
        let path = if provider { "/api/v1/auth/provider/login" } else { "/api/v1/auth/login" };
        let body = json!({ "email": email, "password": PASSWORD });
        self.call(Call::post(path).json(&body)).await.expect(200)
    }

    /// Sends the mails that wait; returns all that were ever sent, as text.
    pub async fn mails(&self) -> Vec<String> {
        self.platform.drain().await.unwrap();
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("mails")) else {
            return Vec::new();
        };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let soft = "=\r\n";
        let read = |path| std::fs::read_to_string(path).unwrap().replace(soft, "");
        files.into_iter().map(read).collect()
    }

    /// A tenant with one of everything.
    pub async fn tenant(&self, seed: u32) -> Tenant {
        let new = json!({
            "name": format!("Tenant {seed}"),
            "owner": { "email": format!("owner{seed}@example.com"), "name": "Owner" },
        });
        let made = self.make("/accounts", &self.admin, None, &new).await;
        let account = text(&made["account"]["id"]);
        let user = text(&made["owner"]["id"]);
        let logged_in = self.log_in_first(&format!("owner{seed}@example.com"), false).await;
        let (key, token) = self.key(Role::Customer, Some(&account)).await;
        let (_, agent) = self.key(Role::Agent, Some(&account)).await;
        let new = json!({ "name": "App", "app_secret": "s", "verify_token": "v" });
        let app = text(&self.make("/meta-apps", &token, None, &new).await["id"]);
        let (waba, credential, numbers) = self.business(seed);
        let new = Self::registration(&waba, &credential, &numbers[0]);
        let device = self.make("/devices", &token, None, &new).await;
        let new = Self::registration(&waba, &credential, &numbers[1]);
        let other = self.make("/devices", &token, None, &new).await;
        let device_id = text(&device["device"]["id"]);
        let from = format!("62812000{seed:04}");
        let body = Self::incoming(&numbers[0], &from, &format!("wamid.{seed}"), "halo");
        assert_eq!(self.deliver(body.to_string().as_bytes()).await.status, 200);
        let list = self.call(Call::get("/api/v1/messages").bearer(&token)).await.expect(200);
        let message = &list["items"][0];
        let new = json!({ "messages": [{
            "device_id": device_id,
            "to": { "contact_id": message["contact_id"] },
            "content": { "type": "text", "body": "selamat datang" },
        }]});
        let sent = self.make("/messages", &token, None, &new).await;
        let upload = Call::post("/api/v1/media").bearer(&token);
        let upload = upload.file("a.txt", "text/plain", "b", b"hello");
        let media = self.call(upload).await.expect(201);
        let rule = self.make("/rules", &token, None, &rule(&device_id)).await;
        let template = self.make("/templates", &token, None, &template("greeting")).await;
        let broadcast = self.make("/broadcasts", &token, None, &broadcast(&device_id)).await;
        let none = json!({ "action": "cancel", "filter": { "reference": "none" } });
        let bulk = self.make("/bulk-actions", &token, None, &none).await;
        let new = json!({ "url": "https://hooks.example.com/", "events": ["webhook.*"] });
        let webhook = text(&self.make("/webhooks", &token, None, &new).await["webhook"]["id"]);
        let path = format!("/webhooks/{webhook}/test");
        let delivery = text(&self.make(&path, &token, None, &json!({})).await["id"]);
        let resend = text(&self.make("/resends", &token, None, &json!({})).await["id"]);
        let new = json!({ "format": "csv" });
        let history = self.make("/exports/messages", &token, None, &new).await;
        let group = self.make("/groups", &token, None, &json!({ "name": "Friends" })).await;
        let upload = Call::post("/api/v1/contact-imports").bearer(&token);
        let upload = upload.file("a.csv", "text/csv", "b", b"phone\n+628111222333");
        let import = self.call(upload).await.expect(202);
        let export = json!({ "format": "csv" });
        let export = self.make("/contact-exports", &token, None, &export).await;
        let path = format!("/contacts/{}/export", text(&message["contact_id"]));
        let personal = self.make(&path, &token, None, &json!({})).await;
        Tenant {
            template: text(&template["id"]),
            broadcast: text(&broadcast["id"]),
            bulk: text(&bulk["id"]),
            webhook,
            delivery,
            resend,
            user,
            key,
            agent,
            app,
            device_token: text(&device["token"]),
            other_device: text(&other["device"]["id"]),
            number: numbers[0].clone(),
            contact: text(&message["contact_id"]),
            conversation: text(&message["conversation_id"]),
            message: text(&message["id"]),
            waiting: text(&sent["messages"][0]["id"]),
            media: text(&media["id"]),
            rule: text(&rule["id"]),
            history: text(&history["id"]),
            session: text(&logged_in["session_id"]),
            access: text(&logged_in["access_token"]),
            group: text(&group["id"]),
            import: text(&import["id"]),
            export: text(&export["id"]),
            personal: text(&personal["id"]),
            device: device_id,
            account,
            token,
        }
    }
}

/// A rule of a device.
pub fn rule(device: &str) -> Value {
    json!({
        "device_id": device,
        "name": "Prices",
        "matching": { "kind": "contains", "keywords": ["price <item>"] },
        "response": { "type": "message", "content": { "type": "text", "body": "{item}: 10" } },
    })
}

#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
fn postgres() -> Option<String> {
    std::env::var(SERVER).ok()
}
