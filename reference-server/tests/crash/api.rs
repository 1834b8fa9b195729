//! A client that never gives up: it repeats every request under the same `Idempotency-Key`.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    base: String,
    key: String,
    account: Option<String>,
}

impl Api {
    pub(crate) fn new(base: &str, key: &str) -> Self {
        let http = Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().unwrap();
        Self { http, base: format!("{base}/api/v1"), key: key.to_owned(), account: None }
    }

    pub(crate) fn within(&self, account: &str) -> Self {
        Self { account: Some(account.to_owned()), ..self.clone() }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value, once: &str) -> Value {
        self.insist(Method::POST, path, Some(body), Some(once)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.insist(Method::GET, path, None, None).await
    }

    /// Every item of a list.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let join = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let mut page = self.get(&format!("{path}{join}limit=200{after}")).await;
            if let Value::Array(some) = page["items"].take() {
                items.extend(some);
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return items,
            }
        }
    }

    async fn insist(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: Option<&str>,
    ) -> Value {
        for _ in 0..600 {
            match self.try_once(&method, path, body, once).await {
                Ok((status, answer)) if status.is_success() => return answer,
                // In flight, away, or restarting: the same request again.
                Ok((status, _)) if status.is_server_error() || status == StatusCode::CONFLICT => {}
                Ok((status, answer)) => panic!("{method} {path}: {status} {answer}"),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{method} {path} never succeeded");
    }

    async fn try_once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        once: Option<&str>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(&self.key);
        if let Some(account) = &self.account {
            request = request.header("Kabar-Account", account);
        }
        if let Some(once) = once {
            request = request.header("Idempotency-Key", once);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}
