//! What every story plays on: the server as a process, and the sandbox that is Meta and everybody.

use std::time::Duration;

use kabar_sandbox::{
    DEFAULT_APP_SECRET, DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_VERIFY_TOKEN,
    DEFAULT_WABA_ID, Sandbox, SandboxConfig, WebhookConfig,
};
use serde_json::{Value, json};

use crate::api::Api;
use crate::database::Place;
use crate::random::Random;
use crate::server::Server;

pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) api: Api,
    /// The device that sends.
    pub(crate) device: String,
    pub(crate) random: Random,
    place: Place,
    server: Server,
}

impl Stage {
    /// A running server with one account and one device of these settings.
    pub(crate) async fn set(place: Place, seed: u64, device: Value) -> Self {
        let config = SandboxConfig { seed: Some(seed), ..SandboxConfig::default() };
        let sandbox = Sandbox::start(config).await.unwrap();
        let mut settings = place.settings();
        settings.extend([
            ("KABAR_GRAPH__BASE_URL", sandbox.base_url().to_owned()),
            ("KABAR_META_APP__APP_SECRET", DEFAULT_APP_SECRET.to_owned()),
            ("KABAR_META_APP__VERIFY_TOKEN", DEFAULT_VERIFY_TOKEN.to_owned()),
            ("KABAR_DISPATCH__LEASE_MS", "3000".to_owned()),
            // Receivers of webhooks are in this process.
            ("KABAR_WEBHOOKS__ALLOW", r#"["127.0.0.1"]"#.to_owned()),
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
        let device = register(&api, device).await;
        Self { sandbox, api, device, random: Random::new(seed), place, server }
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self, when: &str) {
        let process = self.server.pid();
        self.server.kill().await;
        eprintln!("killed process {process}, {when}");
    }

    /// Starts the server again. Sometimes it is back at once, sometimes everybody has to wait.
    pub(crate) async fn revive(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.random.draw(300))).await;
        self.server.start().await;
    }

    /// Everything ends in good order.
    pub(crate) async fn clear(mut self) {
        self.server.stop().await;
        self.sandbox.stop().await;
        self.place.remove().await;
    }
}

async fn register(api: &Api, settings: Value) -> String {
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
