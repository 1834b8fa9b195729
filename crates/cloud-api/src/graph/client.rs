//! The client: addresses, the token, and what becomes of an answer.

use std::fmt;
use std::time::Duration;

use kabar_core::{ExposeSecret as _, Secret};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::answer::{self, retry_after};
use super::error::Source;
use super::{GraphConfig, GraphError, tls};

/// The largest JSON answer that we take, in bytes. A page of 100 templates is far below.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// A client of Graph for every number and token; cheap to clone.
#[derive(Clone)]
pub struct GraphClient {
    pub(super) config: GraphConfig,
    http: Client,
}

impl GraphClient {
    /// A client.
    ///
    /// # Errors
    /// [`GraphError::Config`] when the address is not `http` or `https` or holds credentials, or
    /// when TLS cannot be set up.
    pub fn new(config: GraphConfig) -> Result<Self, GraphError> {
        if !matches!(config.base_url.scheme(), "http" | "https") {
            let scheme = config.base_url.scheme();
            let problem = format!("the base URL must be http or https, not `{scheme}`");
            return Err(GraphError::Config(problem));
        }
        if !config.base_url.username().is_empty() || config.base_url.password().is_some() {
            let problem = "the base URL must not hold a user name or password";
            return Err(GraphError::Config(problem.to_owned()));
        }
        let http = tls::client(&config)?;
        Ok(Self { config, http })
    }

    /// Where it talks to.
    pub const fn config(&self) -> &GraphConfig {
        &self.config
    }

    /// `{base}/{version}/{parts…}`; each part is escaped, so no id can leave its place.
    pub(super) fn address(&self, parts: &[&str]) -> Result<Url, GraphError> {
        let mut url = self.config.base_url.clone();
        url.set_query(None);
        url.path_segments_mut()
            .map_err(|()| GraphError::Config("the base URL has no path".to_owned()))?
            .pop_if_empty()
            .extend(Some(self.config.version.as_str()).filter(|version| !version.is_empty()))
            .extend(parts);
        Ok(url)
    }

    pub(super) fn request(&self, method: Method, url: Url, token: &Secret) -> RequestBuilder {
        self.http.request(method, url).bearer_auth(token.expose_secret())
    }

    /// Sends, and reads JSON from a success.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        token: &Secret,
    ) -> Result<T, GraphError> {
        let response = send(request).await?;
        let body = success_body(response, token).await?;
        serde_json::from_slice(&body).map_err(|error| GraphError::Unreadable(error.to_string()))
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        token: &Secret,
        parts: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, GraphError> {
        let request = self.request(Method::GET, self.address(parts)?, token);
        self.json(request.query(query), token).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        token: &Secret,
        parts: &[&str],
        body: &Value,
    ) -> Result<T, GraphError> {
        let request = self.request(Method::POST, self.address(parts)?, token);
        self.json(request.json(body), token).await
    }

    pub(super) async fn delete(
        &self,
        token: &Secret,
        parts: &[&str],
        query: &[(&str, &str)],
    ) -> Result<(), GraphError> {
        let request = self.request(Method::DELETE, self.address(parts)?, token);
        self.json::<Value>(request.query(query), token).await?;
        Ok(())
    }
}

/// Shows where it talks to; tokens are never kept.
impl fmt::Debug for GraphClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphClient")
            .field("host", &self.config.base_url.host_str())
            .field("version", &self.config.version)
            .finish_non_exhaustive()
    }
}

pub(super) async fn send(request: RequestBuilder) -> Result<Response, GraphError> {
    request.send().await.map_err(transport)
}

/// Whether the request can have reached Graph is all that matters of a transport error.
pub(super) fn transport(error: reqwest::Error) -> GraphError {
    let never_written = error.is_connect() || error.is_builder();
    let timed_out = error.is_timeout();
    let source: Source = Box::new(error.without_url());
    match (never_written, timed_out) {
        (true, _) => GraphError::NotSent(source),
        (false, true) => GraphError::TimedOut(source),
        (false, false) => GraphError::NoAnswer(source),
    }
}

/// The body of a success; anything else becomes an error.
async fn success_body(response: Response, token: &Secret) -> Result<Vec<u8>, GraphError> {
    let status = response.status();
    let wait = retry_after(response.headers());
    let body = read(response, MAX_ANSWER).await?;
    match answer::problem(status, wait, &body, token) {
        Some(error) => Err(error),
        None => Ok(body),
    }
}

/// The error of a response that is no success, for calls whose success is not JSON.
pub(super) async fn failure(response: Response, token: &Secret) -> GraphError {
    let status = response.status();
    match success_body(response, token).await {
        Err(error) => error,
        Ok(_) => http_error(status, None),
    }
}

pub(super) fn http_error(status: StatusCode, retry_after: Option<Duration>) -> GraphError {
    GraphError::Http { status: status.as_u16(), retry_after }
}

/// A body of `limit` bytes at most.
pub(super) async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, GraphError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > limit {
            return Err(GraphError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
