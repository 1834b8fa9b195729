//! Webhooks out: composing, signing, posting, repeating, remembering.

pub(crate) mod courier;
pub(crate) mod envelope;
pub(crate) mod handshake;
mod journal;
mod post;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use post::escaped_json;

/// Where an app's webhooks go (`PUT /control/webhook`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The callback address.
    pub callback_url: String,
    /// App it belongs to. Default: the seeded app. An unknown id creates the app.
    #[serde(default)]
    pub app_id: Option<String>,
    /// New app secret; none = as it is.
    #[serde(default)]
    pub app_secret: Option<String>,
    /// New verify token; none = as it is.
    #[serde(default)]
    pub verify_token: Option<String>,
    /// Save without the handshake. Otherwise the address is saved only if the handshake passes.
    #[serde(default)]
    pub skip_handshake: bool,
}

impl WebhookConfig {
    /// The seeded app's callback, with the seeded secret and verify token.
    pub fn new(callback_url: impl Into<String>) -> Self {
        Self { callback_url: callback_url.into(), ..Self::default() }
    }
}

/// How the `hub.challenge` handshake went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// Whether the callback is in use now.
    pub passed: bool,
    /// HTTP status of the callback, if it answered.
    pub status: Option<u16>,
    /// What was wrong, or `ok`, or `skipped`.
    pub detail: String,
}

/// A body to post as it is, signed properly (`POST /control/webhooks/raw`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawWebhook {
    /// The body as JSON (written with `\uXXXX` escapes).
    pub json: Option<Value>,
    /// The body as text, byte for byte; wins over `json`.
    pub text: Option<String>,
    /// App whose callback and secret are used. Default: the seeded one.
    pub app_id: Option<String>,
    /// How often it is posted. Default 1.
    pub copies: Option<u32>,
    /// Post it with a signature that does not fit.
    pub bad_signature: bool,
}

/// One webhook post as remembered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookRecord {
    /// Place in the order of completion, counting from 1.
    pub sequence: u64,
    /// Where it went.
    pub url: String,
    /// How many attempts it took.
    pub attempts: u32,
    /// Whether the receiver answered 200 in the end.
    pub delivered: bool,
    /// HTTP status of the last attempt, if it was answered.
    pub status: Option<u16>,
    /// The body as posted.
    pub body: String,
}

/// Counts of webhook updates since the start or the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookCounts {
    /// Updates still on their way: waiting, being posted, or being repeated; also customers'
    /// answers that are still to come.
    pub pending: u64,
    /// Posts answered with 200.
    pub delivered: u64,
    /// Posts given up on after the retry plan's total time.
    pub abandoned: u64,
    /// Attempts, repeats included.
    pub attempts: u64,
    /// Updates that had nowhere to go: no callback, or the app not subscribed.
    pub unrouted: u64,
}
