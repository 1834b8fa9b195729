//! What the tests' client of the server does not do.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

/// The server's door, for one tenant.
pub(crate) struct Door {
    http: Client,
    base: String,
    key: String,
    account: String,
}

impl Door {
    pub(crate) fn new(base: &str, key: &str, account: &str) -> Self {
        let http = Client::builder().timeout(Duration::from_mins(1)).no_proxy().build().unwrap();
        let (base, key, account) = (base.to_owned(), key.to_owned(), account.to_owned());
        Self { http, base, key, account }
    }

    /// Brings a session in.
    pub(crate) async fn bring_in(&self, device: &str, session: &Value) {
        let address = format!("{}/api/v1/devices/{device}/session", self.base);
        let request = self.http.put(address).header("Kabar-Account", &self.account);
        self.ask(request.json(session)).await;
    }

    /// What `/metrics` says.
    pub(crate) async fn metrics(&self) -> String {
        self.ask(self.http.get(format!("{}/metrics", self.base))).await
    }

    async fn ask(&self, request: RequestBuilder) -> String {
        let answer = request.bearer_auth(&self.key).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status} {text}");
        text
    }
}
