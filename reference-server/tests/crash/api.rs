//! A client that never gives up: it repeats every request under the same `Idempotency-Key`.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// Where the API begins.
const ROOT: &str = "/api/v1";

#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    base: String,
    key: String,
    account: Option<String>,
}

impl Api {
    pub(crate) fn new(base: &str, key: &str) -> Self {
        // Whoever came first has chosen.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().unwrap();
        Self { http, base: format!("{base}{ROOT}"), key: key.to_owned(), account: None }
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

    /// One try of a command that takes no key. Whether it was carried out is for its caller to see.
    pub(crate) async fn attempt(&self, path: &str, body: Option<&Value>) {
        match self.try_once(&Method::POST, path, body, None).await {
            Ok((status, answer)) => assert!(is_no_refusal(status), "{path}: {status} {answer}"),
            Err(error) => eprintln!("{path}: {error}"),
        }
    }

    /// Puts something in its place, while nothing is killed.
    pub(crate) async fn put(&self, path: &str, body: &Value) {
        let answer = self.request(&Method::PUT, path).json(body).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{path}: {status} {}", answer.text().await.unwrap());
    }

    /// A count that the server shows, by the beginning of its line; `None` while it is away.
    pub(crate) async fn measured(&self, line: &str) -> Option<u64> {
        let address = format!("{}/metrics", self.base.trim_end_matches(ROOT));
        let answer = self.http.get(address).bearer_auth(&self.key).send().await.ok()?;
        let text = answer.error_for_status().ok()?.text().await.ok()?;
        let found = text.lines().find_map(|found| found.strip_prefix(line))?;
        Some(found.trim().parse().unwrap())
    }

    /// Uploads a file of a form, while nothing is killed.
    pub(crate) async fn upload(&self, path: &str, name: &str, text: String) -> Value {
        let part = Part::text(text).file_name(name.to_owned()).mime_str("text/csv").unwrap();
        let form = Form::new().part("file", part);
        let answer = self.request(&Method::POST, path).multipart(form).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
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
                Ok((status, _)) if is_no_refusal(status) => {}
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
        let mut request = self.request(method, path);
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

    fn request(&self, method: &Method, path: &str) -> RequestBuilder {
        let address = format!("{}{path}", self.base);
        let request = self.http.request(method.clone(), address).bearer_auth(&self.key);
        match &self.account {
            Some(account) => request.header("Kabar-Account", account),
            None => request,
        }
    }
}

/// Whether the same request may still be carried out, or was.
fn is_no_refusal(status: StatusCode) -> bool {
    status.is_success() || status.is_server_error() || status == StatusCode::CONFLICT
}
