//! What can go wrong with a call, and what Graph says about it.

use std::time::Duration;

/// A call to Graph that did not succeed. No variant holds a token or an address with secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The configuration cannot work.
    #[error("the Graph client cannot be built: {0}")]
    Config(String),
    /// No connection: nothing was written.
    #[error("no connection to Graph")]
    NotSent(#[source] Source),
    /// The time ran out; the request may have been read.
    #[error("Graph did not answer in time")]
    TimedOut(#[source] Source),
    /// The connection broke after the request was on its way.
    #[error("the connection to Graph broke")]
    NoAnswer(#[source] Source),
    /// Graph answered with an error object.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// Something that is not Graph answered, or Graph without an error object.
    #[error("HTTP status {status} without an error object")]
    Http {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header.
        retry_after: Option<Duration>,
    },
    /// A success whose body cannot be read.
    #[error("Graph's answer cannot be read: {0}")]
    Unreadable(String),
    /// A body larger than we take.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The most we take, in bytes.
        limit: usize,
    },
}

/// The cause below a [`GraphError`], stripped of addresses.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Graph's `error` object. Decide on `code` and `details`, as Meta says, not on the texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("Graph error {code}: {}", self.text())]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status that it came with; 0 when it came in a webhook.
    pub status: u16,
    /// `error.code`.
    pub code: i64,
    /// `error.error_subcode`.
    pub subcode: Option<i64>,
    /// `error.is_transient`.
    pub is_transient: bool,
    /// `error.message`.
    pub message: String,
    /// `error.error_data.details`, else `error_user_msg`.
    pub details: Option<String>,
    /// `error.fbtrace_id`, what Meta's support asks for.
    pub trace: Option<String>,
    /// How long Meta asks us to wait, from `Retry-After` or the usage headers.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// An error as a test or a table needs it.
    pub fn new(status: u16, code: i64) -> Self {
        Self { status, code, ..Self::default() }
    }

    /// The more telling of Meta's texts.
    pub fn text(&self) -> &str {
        let details = self.details.as_deref().filter(|text| !text.is_empty());
        match details {
            Some(details) => details,
            None if self.message.is_empty() => "Graph gave no reason",
            None => &self.message,
        }
    }
}
