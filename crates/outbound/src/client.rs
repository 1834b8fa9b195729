//! The client.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Client, ClientBuilder, Response, redirect};
use url::Url;

use crate::allow::AllowList;
use crate::guard::{AddressError, Guard};
use crate::resolve::{GuardedResolver, Resolve};
use crate::tls;

/// Bytes of an answer that are read; a longer one costs its connection.
const READ: usize = 16 * 1024;
/// Bytes of an answer that are kept.
const KEPT: usize = 2 * 1024;
/// For how long the rest of an answer is read after its status.
const DRAIN: Duration = Duration::from_secs(1);
/// Idle connections are dropped sooner than a server would drop them.
const IDLE: Duration = Duration::from_secs(20);
/// Idle connections kept for one host.
const IDLE_PER_HOST: usize = 64;

/// How calls are made.
#[derive(Debug, Clone)]
pub struct OutboundSettings {
    /// What may be reached although it is private.
    pub allow: AllowList,
    /// Whether `http` is refused.
    pub https_only: bool,
    /// How long a connection may take, with its name's look-up and its handshake.
    pub connect_timeout: Duration,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self {
            allow: AllowList::default(),
            https_only: false,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// A call to make.
#[derive(Debug, Clone)]
pub struct Post {
    /// Where to.
    pub url: Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How long it may take altogether.
    pub timeout: Duration,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status; a redirect is an answer like any other.
    pub status: u16,
    /// The header `Retry-After`, as it was.
    pub retry_after: Option<String>,
    /// The beginning of the body, as text.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The address may not be reached.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody could be connected to: no such name, nobody there, no handshake.
    #[error("no connection")]
    Connect(#[source] Box<dyn StdError + Send + Sync>),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The connection broke, or what came was no HTTP.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
}

impl OutboundError {
    /// A word for it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Address(_) => "address_refused",
            Self::Connect(_) => "no_connection",
            Self::TimedOut => "timed_out",
            Self::Broken(_) => "connection_broken",
        }
    }
}

/// Makes calls to addresses that tenants named. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    http: Client,
    guard: Arc<Guard>,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Outbound {
    /// A client.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        settings: OutboundSettings,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, reqwest::Error> {
        let guard = Arc::new(Guard::new(settings.allow, settings.https_only));
        let guarded = Arc::new(GuardedResolver { resolver, guard: Arc::clone(&guard) });
        let connect_timeout = settings.connect_timeout;
        let http = tls::client(|| builder(connect_timeout).dns_resolver(Arc::clone(&guarded)))?;
        Ok(Self { http, guard })
    }

    /// Which addresses may be reached.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Makes one call.
    ///
    /// # Errors
    /// [`OutboundError`] when there is no answer. Every answer, of whatever status, is one.
    pub async fn post(&self, call: Post) -> Result<Answer, OutboundError> {
        self.guard.check(&call.url)?;
        let request = self.http.post(call.url).headers(call.headers).body(call.body);
        let response = request.timeout(call.timeout).send().await.map_err(failure)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(reqwest::header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = tokio::time::timeout(DRAIN, beginning(response)).await.unwrap_or_default();
        Ok(Answer { status, retry_after, body })
    }
}

fn builder(connect_timeout: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("kabar/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
}

/// Reads what little of a body is kept. What breaks off here changes nothing about the status.
async fn beginning(mut response: Response) -> String {
    let mut body: Vec<u8> = Vec::new();
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        let room = KEPT.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if read > READ {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn failure(error: reqwest::Error) -> OutboundError {
    let error = error.without_url();
    if let Some(refused) = cause::<AddressError>(&error) {
        return OutboundError::Address(refused.clone());
    }
    if error.is_timeout() {
        OutboundError::TimedOut
    } else if error.is_connect() {
        OutboundError::Connect(Box::new(error))
    } else {
        OutboundError::Broken(Box::new(error))
    }
}

/// The first cause of a kind.
fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
