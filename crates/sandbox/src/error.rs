//! What the handle and the control API can refuse.

use std::net::SocketAddr;

use crate::webhooks::WebhookCounts;

/// Why a sandbox could not start or do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The address is taken or not ours.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client that posts webhooks could not be built.
    #[error("cannot build the webhook client")]
    Client(#[source] reqwest::Error),
    /// The operating system gave no randomness for a seed.
    #[error("no randomness for a seed")]
    Seed(#[source] getrandom::Error),
    /// Nothing of this kind has this id.
    #[error("no {kind} {id}")]
    NotFound {
        /// What was looked for: `account`, `number`, `message`, `customer`, `token`, `app`.
        kind: &'static str,
        /// The id that was given.
        id: String,
    },
    /// The id is taken.
    #[error("{kind} {id} exists already")]
    Exists {
        /// What would be doubled.
        kind: &'static str,
        /// The id that was given.
        id: String,
    },
    /// Webhooks were still on their way when the patience ran out.
    #[error("{} webhooks still pending", .0.pending)]
    Busy(WebhookCounts),
    /// The request contradicts itself.
    #[error("{0}")]
    Invalid(String),
}

impl SandboxError {
    pub(crate) fn not_found(kind: &'static str, id: impl Into<String>) -> Self {
        Self::NotFound { kind, id: id.into() }
    }
}
