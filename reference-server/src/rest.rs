//! A small client of our own API: what an integrator would write.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null where there is nothing; it never panics"
)]

use std::error::Error;
use std::time::Duration;

use kabar::core::{ExposeSecret as _, Secret};
use reqwest::{Client, Method};
use serde_json::Value;

/// A running server, and who asks it.
#[cfg(feature = "qr-session")]
#[derive(Debug, clap::Args)]
pub(crate) struct Remote {
    /// The server's address.
    #[arg(long, env = "KABAR_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An API key of the server.
    #[arg(long, env = "KABAR_API_KEY", hide_env_values = true)]
    key: Secret,
    /// With a provider's key: the account that the device belongs to.
    #[arg(long, env = "KABAR_ACCOUNT")]
    account: Option<String>,
}

#[cfg(feature = "qr-session")]
impl Remote {
    /// A client for it.
    pub(crate) fn api(&self) -> Result<Api, Box<dyn Error>> {
        let api = Api::new(self.url.trim_end_matches('/'), self.key.clone())?;
        Ok(match &self.account {
            Some(account) => api.within(account),
            None => api,
        })
    }
}

/// A client with one credential.
pub(crate) struct Api {
    http: Client,
    base: String,
    key: Secret,
    account: Option<String>,
}

impl Api {
    pub(crate) fn new(base: &str, key: Secret) -> Result<Self, Box<dyn Error>> {
        let http = Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { http, base: format!("{base}/api/v1"), key, account: None })
    }

    /// The same, acting in an account.
    pub(crate) fn within(&self, account: &str) -> Self {
        Self {
            http: self.http.clone(),
            base: self.base.clone(),
            key: self.key.clone(),
            account: Some(account.to_owned()),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        self.call(Method::POST, path, Some(body)).await
    }

    #[cfg(feature = "qr-session")]
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// Every item of a list, page by page.
    pub(crate) async fn all(&self, path: &str) -> Result<Vec<Value>, Box<dyn Error>> {
        let mut items = Vec::new();
        let join = if path.contains('?') { '&' } else { '?' };
        let mut page = self.get(&format!("{path}{join}limit=200")).await?;
        loop {
            let next = page["next"].as_str().map(str::to_owned);
            if let Value::Array(some) = page["items"].take() {
                items.extend(some);
            }
            let Some(after) = next else { return Ok(items) };
            page = self.get(&format!("{path}{join}limit=200&after={after}")).await?;
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Box<dyn Error>> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(self.key.expose_secret());
        if let Some(account) = &self.account {
            request = request.header("Kabar-Account", account);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{method} {path} answered {status}: {text}").into());
        }
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }
}
