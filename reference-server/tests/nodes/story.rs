//! What happens: messages go out over both nodes and come in, and one of the nodes dies.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kabar_sandbox::{
    CustomerPatch, DEFAULT_APP_SECRET, DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN,
    DEFAULT_VERIFY_TOKEN, DEFAULT_WABA_ID, Inbound, Sandbox, SandboxConfig, WebhookConfig,
};
use serde_json::{Value, json};

use crate::api::Api;
use crate::check;
use crate::database::Place;
use crate::listener::Listener;
use crate::server::Server;

/// Messages that go out.
pub(crate) const OUT: usize = 600;
/// Messages that come in.
pub(crate) const IN: usize = 150;
/// Messages of one call.
const CALL: usize = 10;
/// For how long a stream may go on after its key was revoked.
const REVOKED: Duration = Duration::from_mins(1);

/// How the nodes wake each other.
#[derive(Debug, Clone)]
pub(crate) enum Wake {
    Postgres,
    Nats(String),
    Poll,
}

/// What becomes of a message whose send was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Hold,
    Resend,
}

/// The number of a recipient of ours.
pub(crate) fn recipient(n: usize) -> String {
    format!("+62812{n:07}")
}

/// The number of a customer who writes to us.
pub(crate) fn customer(n: usize) -> String {
    format!("62813{n:07}")
}

/// Two nodes or one, with a tenant and a device.
pub(crate) struct Nodes {
    pub(crate) place: Place,
    pub(crate) sandbox: Sandbox,
    pub(crate) servers: Vec<Server>,
    pub(crate) apis: Vec<Api>,
    pub(crate) key: String,
    pub(crate) account: String,
    pub(crate) device: String,
}

impl Nodes {
    pub(crate) async fn start(place: Place, wake: &Wake, count: usize) -> Self {
        let config = SandboxConfig { seed: Some(1), ..SandboxConfig::default() };
        let sandbox = Sandbox::start(config).await.unwrap();
        let mut settings = place.settings();
        settings.extend([
            ("KABAR_GRAPH__BASE_URL", sandbox.base_url().to_owned()),
            ("KABAR_META_APP__APP_SECRET", DEFAULT_APP_SECRET.to_owned()),
            ("KABAR_META_APP__VERIFY_TOKEN", DEFAULT_VERIFY_TOKEN.to_owned()),
            ("KABAR_DISPATCH__LEASE_MS", "3000".to_owned()),
            match wake {
                Wake::Postgres => ("KABAR_WAKE", "postgres".to_owned()),
                Wake::Nats(address) => ("KABAR_WAKE", address.clone()),
                Wake::Poll => ("KABAR_WAKE", "local".to_owned()),
            },
        ]);
        let mut servers = Vec::new();
        for _ in 0..count {
            let mut server = Server::new(settings.clone());
            server.start().await;
            servers.push(server);
        }
        let key = servers[0].key.clone().expect("the first start shows it");
        let admin = Api::new(&servers[0].base_url(), &key);
        let made = admin.post("/accounts", &json!({ "name": "Nodes" }), "account").await;
        let account = made["account"]["id"].as_str().unwrap().to_owned();
        let apis: Vec<Api> = servers
            .iter()
            .map(|server| Api::new(&server.base_url(), &key).within(&account))
            .collect();
        let device = register(&apis[0]).await;
        for n in 0..OUT.max(crate::throughput::messages()) {
            let window = CustomerPatch { window_open: Some(true), ..CustomerPatch::default() };
            sandbox.put_customer(recipient(n).trim_start_matches('+'), window).unwrap();
        }
        Self { place, sandbox, servers, apis, key, account, device }
    }

    /// Lets WhatsApp's webhooks come to one of the nodes.
    pub(crate) async fn webhooks_to(&self, node: usize) {
        let path = kabar_server::webhooks::path(kabar::devices::installation_app());
        let callback = format!("{}{path}", self.servers[node].base_url());
        assert!(self.sandbox.set_webhook(WebhookConfig::new(callback)).await.unwrap().passed);
    }

    /// Messages from `from`, as the body of one call.
    pub(crate) fn messages(&self, from: usize, count: usize) -> Value {
        let message = |n| {
            json!({
                "device_id": self.device,
                "to": { "phone": recipient(n) },
                "content": { "type": "text", "body": format!("message {n}") },
            })
        };
        json!({ "messages": (from..from + count).map(message).collect::<Vec<Value>>() })
    }

    pub(crate) async fn stop(mut self) {
        for server in &mut self.servers {
            server.stop().await;
        }
        self.sandbox.stop().await;
        self.place.remove().await;
    }
}

async fn register(api: &Api) -> String {
    let body = json!({
        "name": "Nodes",
        "channel": "cloud_api",
        "address": DEFAULT_PHONE_NUMBER_ID,
        "parent": DEFAULT_WABA_ID,
        "credential": DEFAULT_TOKEN,
        "settings": { "uncertain": "hold", "settle_seconds": 2 },
    });
    let made = api.post("/devices", &body, "device").await;
    made["device"]["id"].as_str().unwrap().to_owned()
}

pub(crate) struct Story {
    nodes: Nodes,
    wake: Wake,
}

impl Story {
    pub(crate) async fn begin(place: Place, wake: Wake) -> Self {
        let nodes = Nodes::start(place, &wake, 2).await;
        let rule = json!({
            "device_id": nodes.device,
            "name": "Echo",
            "matching": { "kind": "begin", "keywords": ["question <n>"] },
            "response": { "type": "message", "content": { "type": "text", "body": "answer {n}" } },
        });
        nodes.apis[0].post("/rules", &rule, "rule").await;
        Self { nodes, wake }
    }

    pub(crate) async fn tell(mut self) {
        let urls: Vec<String> = self.nodes.servers.iter().map(Server::base_url).collect();
        let back: Vec<String> = urls.iter().rev().cloned().collect();
        let listen =
            |nodes: &[String]| Listener::start(nodes, &self.nodes.key, &self.nodes.account);
        let listeners = [listen(&urls), listen(&back)];
        self.latency(&listeners).await;
        let revoked = self.revoke(&urls[1]).await;
        // The node that lives takes the webhooks; the other one is killed.
        self.nodes.webhooks_to(1).await;
        let accepted = self.send().await;
        check::until_quiet(&self.nodes.apis[1], &self.nodes.sandbox, Policy::Hold).await;
        let (api, sandbox) = (&self.nodes.apis[1], &self.nodes.sandbox);
        check::outgoing(api, sandbox, Policy::Hold, &accepted).await;
        check::incoming(api, sandbox, Policy::Hold).await;
        self.compare(&listeners).await;
        revoked.await.unwrap();
        listeners.iter().for_each(Listener::stop);
        // The second node stops in good order although somebody listens.
        let open = Listener::start(&back, &self.nodes.key, &self.nodes.account);
        self.nodes.servers[0].start().await;
        self.nodes.stop().await;
        open.stop();
    }

    /// Half of the calls over each node, questions meanwhile, and the first node dies in the middle.
    async fn send(&mut self) -> Vec<String> {
        let questions = self.nodes.sandbox.clone();
        let asking = tokio::spawn(async move {
            for n in 0..IN {
                questions
                    .customer_says(Inbound::text(customer(n), format!("question {n}")))
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let mut accepted = Vec::new();
        for call in 0..OUT / CALL {
            if call == OUT / CALL / 2 {
                self.nodes.servers[0].kill().await;
            }
            let alive = if call < OUT / CALL / 2 { call % 2 } else { 1 };
            let body = self.nodes.messages(call * CALL, CALL);
            let made =
                self.nodes.apis[alive].post("/messages", &body, &format!("call-{call}")).await;
            let made = made["messages"].as_array().unwrap();
            accepted.extend(made.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        }
        asking.await.unwrap();
        accepted
    }

    /// How long an event takes from the answer on one node to the listener on the other. Shown, not
    /// judged.
    async fn latency(&self, listeners: &[Listener; 2]) {
        let mut took = Vec::new();
        for n in 0..20 {
            let body = json!({ "phone": format!("+62814{n:07}") });
            let made = self.nodes.apis[0].post("/contacts", &body, &format!("contact-{n}")).await;
            let began = Instant::now();
            let id = made["id"].as_str().unwrap();
            for listener in listeners {
                let found = until(|| {
                    let heard = listener.heard();
                    heard.into_iter().find(|heard| heard.data["data"]["contact_id"] == id)
                });
                let found = found.await;
                assert_eq!(found.kind, "contact.created");
                took.push(found.at.saturating_duration_since(began));
            }
        }
        // Those of the other node.
        let mut took: Vec<Duration> = took.into_iter().skip(1).step_by(2).collect();
        took.sort_unstable();
        eprintln!(
            "{:?}: an event of one node reaches a listener of the other in {:?} (median), {:?} (most)",
            self.wake,
            took[took.len() / 2],
            took[took.len() - 1]
        );
    }

    /// Opens a stream under a key, revokes the key, and waits until the stream ends.
    async fn revoke(&self, node: &str) -> tokio::task::JoinHandle<()> {
        let body = json!({ "name": "Short", "permissions": ["events:read"] });
        let made = self.nodes.apis[0].post("/keys", &body, "key").await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let stream = http
            .get(format!("{node}/api/v1/events"))
            .bearer_auth(made["secret"].as_str().unwrap())
            .header("accept", "text/event-stream");
        let stream = stream.send().await.unwrap().error_for_status().unwrap();
        let id = made["key"]["id"].as_str().unwrap();
        let revoked = http
            .delete(format!("{node}/api/v1/keys/{id}"))
            .bearer_auth(&self.nodes.key)
            .header("kabar-account", &self.nodes.account);
        assert!(revoked.send().await.unwrap().status().is_success());
        tokio::spawn(async move {
            let ended = tokio::time::timeout(REVOKED, stream.bytes()).await;
            ended.expect("the stream of a revoked key ends").expect("in good order");
        })
    }

    /// Both listeners heard the whole log, once and in its order.
    async fn compare(&self, listeners: &[Listener; 2]) {
        let mut log = Vec::new();
        let mut after = "0-0".to_owned();
        loop {
            let page = self.nodes.apis[1].get(&format!("/events?limit=200&after={after}")).await;
            let Some(last) = page["items"].as_array().unwrap().last() else { break };
            last["position"].as_str().unwrap().clone_into(&mut after);
            log.extend(page["items"].as_array().unwrap().clone());
        }
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &log {
            *kinds.entry(event["kind"].as_str().unwrap()).or_default() += 1;
        }
        assert!(log.len() > OUT * 3, "{kinds:?}");
        for listener in listeners {
            until(|| (listener.heard().len() >= log.len()).then_some(())).await;
            let heard: Vec<Value> = listener.heard().into_iter().map(|one| one.data).collect();
            let ids: Vec<String> = listener.heard().into_iter().map(|one| one.id).collect();
            assert!(heard == log, "heard {} of {}", heard.len(), log.len());
            assert!(ids.iter().zip(&log).all(|(id, event)| event["position"] == id.as_str()));
        }
        eprintln!(
            "{:?}: each of two listeners heard {} events, all and once",
            self.wake,
            log.len()
        );
    }
}

async fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_mins(2), "it never comes");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
