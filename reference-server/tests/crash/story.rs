//! What happens: 1,000 messages go out, 500 come in, and the server dies again and again.

use std::time::Duration;

use kabar_sandbox::{
    CustomerPatch, DEFAULT_APP_SECRET, DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN,
    DEFAULT_VERIFY_TOKEN, DEFAULT_WABA_ID, Inbound, Sandbox, SandboxConfig, WebhookConfig,
};
use serde_json::{Value, json};

use crate::api::Api;
use crate::check;
use crate::database::Place;
use crate::server::Server;

/// Messages that go out.
pub(crate) const OUT: usize = 1_000;
/// Messages that come in.
pub(crate) const IN: usize = 500;
/// Messages of one call.
const CALL: usize = 20;
/// Seconds after which an unanswered send is repeated; longer than any webhook takes here, the
/// time that the server is down included.
const RESEND_AFTER: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Hold,
    Resend,
}

pub(crate) struct Story {
    place: Place,
    policy: Policy,
    sandbox: Sandbox,
    server: Server,
    api: Api,
    device: String,
    random: u64,
}

/// The number of a recipient of ours.
pub(crate) fn recipient(n: usize) -> String {
    format!("+62812{n:07}")
}

/// The number of a customer who writes to us.
pub(crate) fn customer(n: usize) -> String {
    format!("62813{n:07}")
}

impl Story {
    pub(crate) async fn begin(place: Place, policy: Policy, seed: u64) -> Self {
        let sandbox =
            Sandbox::start(SandboxConfig { seed: Some(seed), ..SandboxConfig::default() })
                .await
                .unwrap();
        let mut settings = place.settings();
        settings.extend([
            ("KABAR_GRAPH__BASE_URL", sandbox.base_url().to_owned()),
            ("KABAR_META_APP__APP_SECRET", DEFAULT_APP_SECRET.to_owned()),
            ("KABAR_META_APP__VERIFY_TOKEN", DEFAULT_VERIFY_TOKEN.to_owned()),
            ("KABAR_DISPATCH__LEASE_MS", "3000".to_owned()),
        ]);
        let mut server = Server::new(settings);
        server.start().await;
        let admin =
            Api::new(&server.base_url(), server.key.as_ref().expect("the first start shows it"));
        let account = admin.post("/accounts", &json!({ "name": "Crash" }), "account").await;
        let api = admin.within(account["account"]["id"].as_str().unwrap());
        let path = kabar_server::webhooks::path(kabar::devices::installation_app());
        let callback = format!("{}{path}", server.base_url());
        assert!(sandbox.set_webhook(WebhookConfig::new(callback)).await.unwrap().passed);
        let device = register(&api, policy).await;
        rule(&api, &device).await;
        Self { place, policy, sandbox, server, api, device, random: seed | 1 }
    }

    pub(crate) async fn tell(mut self, rounds: u32) {
        for n in 0..OUT {
            let window = CustomerPatch { window_open: Some(true), ..CustomerPatch::default() };
            self.sandbox.put_customer(recipient(n).trim_start_matches('+'), window).unwrap();
        }
        let out = tokio::spawn(send_all(self.api.clone(), self.device.clone()));
        let inward = tokio::spawn(say_all(self.sandbox.clone()));
        for round in 0..rounds {
            let wait = 100 + self.draw(900);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            self.server.kill().await;
            eprintln!("killed {} of {rounds} after {wait} ms", round + 1);
            // Sometimes it is back at once, sometimes Meta has to wait.
            tokio::time::sleep(Duration::from_millis(self.draw(300))).await;
            self.server.start().await;
        }
        let accepted = out.await.unwrap();
        inward.await.unwrap();
        check::until_quiet(&self.api, &self.sandbox, self.policy).await;
        check::outgoing(&self.api, &self.sandbox, self.policy, &accepted).await;
        check::incoming(&self.api, &self.sandbox, self.policy).await;
        self.server.stop().await;
        self.sandbox.stop().await;
        self.place.remove().await;
    }

    /// A number below `most`; the same seed gives the same numbers.
    fn draw(&mut self, most: u64) -> u64 {
        // xorshift64 (Marsaglia 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % most
    }
}

async fn register(api: &Api, policy: Policy) -> String {
    let settings = match policy {
        Policy::Hold => json!({ "uncertain": "hold", "settle_seconds": 2 }),
        Policy::Resend => {
            json!({ "uncertain": "resend", "resend_after_seconds": RESEND_AFTER })
        }
    };
    let body = json!({
        "name": "Crash",
        "channel": "cloud_api",
        "address": DEFAULT_PHONE_NUMBER_ID,
        "parent": DEFAULT_WABA_ID,
        "credential": DEFAULT_TOKEN,
        "settings": settings,
    });
    let made = api.post("/devices", &body, "device").await;
    made["device"]["id"].as_str().unwrap().to_owned()
}

async fn rule(api: &Api, device: &str) {
    let body = json!({
        "device_id": device,
        "name": "Echo",
        "matching": { "kind": "begin", "keywords": ["question <n>"] },
        "response": { "type": "message", "content": { "type": "text", "body": "answer {n}" } },
    });
    api.post("/rules", &body, "rule").await;
}

/// Sends everything; returns the ids that the server accepted.
async fn send_all(api: Api, device: String) -> Vec<String> {
    let mut accepted = Vec::with_capacity(OUT);
    for call in 0..OUT / CALL {
        let messages: Vec<Value> = (call * CALL..(call + 1) * CALL)
            .map(|n| {
                json!({
                    "device_id": device,
                    "to": { "phone": recipient(n) },
                    "content": { "type": "text", "body": format!("message {n}") },
                    "reference": format!("ref-{n}"),
                })
            })
            .collect();
        let body = json!({ "messages": messages });
        let made = api.post("/messages", &body, &format!("call-{call}")).await;
        let made = made["items"].as_array().or_else(|| made["messages"].as_array()).unwrap();
        accepted.extend(made.iter().map(|message| message["id"].as_str().unwrap().to_owned()));
    }
    accepted
}

/// Every customer asks one question.
async fn say_all(sandbox: Sandbox) {
    for n in 0..IN {
        sandbox.customer_says(Inbound::text(customer(n), format!("question {n}"))).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
