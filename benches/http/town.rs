//! A server of its own with a device on the sandbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kabar::core::Secret;
use kabar_sandbox::{
    DEFAULT_APP_SECRET, DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_VERIFY_TOKEN,
    DEFAULT_WABA_ID, Sandbox, SandboxConfig,
};
use serde_json::json;

use crate::api::Api;
use crate::database::Place;
use crate::load::{Done, Kind, Load, connection};
use crate::server::Server;

/// Numbers that are written to again and again.
const KNOWN: u64 = 1_000;
/// People who write.
const CUSTOMERS: u64 = 10_000;

/// Messages of one request.
fn messages() -> u64 {
    std::env::var("BENCH_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Who is asked, as whom, for which device.
#[derive(Clone)]
struct Target {
    address: String,
    key: String,
    account: String,
    device: String,
}

impl Target {
    /// The `n`th request of a kind.
    fn request(&self, kind: Kind, n: u64) -> String {
        if kind == Kind::Intake {
            return self.webhook(n);
        }
        let due = if kind == Kind::Now { "" } else { r#","due_at":"2099-01-01T00:00:00Z""# };
        let Self { address, key, account, device } = self;
        let each = messages();
        let message = |n: u64| {
            let to = if kind == Kind::Known { n % KNOWN } else { n };
            format!(
                r#"{{"device_id":"{device}","to":{{"phone":"+62812{to:09}"}},"content":{{"type":"text","body":"Your order is on its way and arrives tomorrow."}}{due}}}"#
            )
        };
        let all: Vec<String> = (n * each..(n + 1) * each).map(message).collect();
        let body = format!(r#"{{"messages":[{}]}}"#, all.join(","));
        format!(
            "POST /api/v1/messages HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
             Kabar-Account: {account}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// One message, as Meta posts it.
    fn webhook(&self, n: u64) -> String {
        let customer = n % CUSTOMERS;
        let body = format!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"{DEFAULT_WABA_ID}","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550001111","phone_number_id":"{DEFAULT_PHONE_NUMBER_ID}"}},"contacts":[{{"profile":{{"name":"Customer {customer}"}},"wa_id":"62813{customer:09}"}}],"messages":[{{"from":"62813{customer:09}","id":"wamid.bench.{n}","timestamp":"1790000000","type":"text","text":{{"body":"Where is my order {n}?"}}}}]}}}}]}}]}}"#
        );
        let secret = Secret::from(DEFAULT_APP_SECRET);
        let signature = kabar::cloud_api::webhook::signature(&secret, body.as_bytes());
        let path = kabar_server::webhooks::path(kabar::devices::installation_app());
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             X-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
    }
}

pub(crate) struct Town {
    place: Place,
    sandbox: Sandbox,
    server: Server,
    target: Target,
    next: Arc<AtomicU64>,
}

impl Town {
    pub(crate) async fn new(place: Place, durability: &'static str) -> Self {
        let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
        let mut settings = place.settings();
        settings.push(("KABAR_GRAPH__BASE_URL", sandbox.base_url().to_owned()));
        settings.push(("KABAR_DURABILITY", durability.to_owned()));
        // One tenant asks for all that the machine can do.
        settings.push(("KABAR_LIMITS__ACCOUNT_PER_SECOND", "0".to_owned()));
        settings.push(("KABAR_META_APP__APP_SECRET", DEFAULT_APP_SECRET.to_owned()));
        settings.push(("KABAR_META_APP__VERIFY_TOKEN", DEFAULT_VERIFY_TOKEN.to_owned()));
        let mut server = Server::new(settings);
        server.start().await;
        let key = server.key.clone().expect("the first start shows it");
        let admin = Api::new(&server.base_url(), &key);
        let made = admin.post("/accounts", &json!({ "name": "Bench" }), "account").await;
        let account = made["account"]["id"].as_str().unwrap().to_owned();
        let body = json!({
            "name": "Bench",
            "channel": "cloud_api",
            "address": DEFAULT_PHONE_NUMBER_ID,
            "parent": DEFAULT_WABA_ID,
            "credential": DEFAULT_TOKEN,
        });
        let made = admin.within(&account).post("/devices", &body, "device").await;
        let device = made["device"]["id"].as_str().unwrap().to_owned();
        let address = server.base_url().trim_start_matches("http://").to_owned();
        let target = Target { address, key, account, device };
        Self { place, sandbox, server, target, next: Arc::default() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub(crate) async fn run(&self, load: Load) -> Done {
        let begun = Instant::now();
        let until = begun + Duration::from_secs(load.seconds);
        let connections: Vec<_> = (0..load.connections)
            .map(|_| {
                let (next, target) = (Arc::clone(&self.next), self.target.clone());
                let request =
                    move || target.request(load.kind, next.fetch_add(1, Ordering::Relaxed));
                tokio::spawn(connection(self.target.address.clone(), until, request))
            })
            .collect();
        let mut waits = Vec::new();
        for connection in connections {
            waits.extend(connection.await.unwrap());
        }
        Done::of(waits, begun.elapsed())
    }

    /// Milliseconds from the start of the process until it listens, on a database that is there, and
    /// the memory that it has then, in MiB.
    pub(crate) async fn restart(&mut self) -> (u128, f64) {
        self.server.stop().await;
        let begun = Instant::now();
        self.server.start().await;
        let started = begun.elapsed().as_millis();
        tokio::time::sleep(Duration::from_secs(2)).await;
        (started, crate::cpu::memory(self.server.pid()))
    }

    pub(crate) async fn leave(mut self) {
        self.server.kill().await;
        self.sandbox.stop().await;
        self.place.remove().await;
    }
}
