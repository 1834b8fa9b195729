//! What the multi-device half can refuse.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the server could not start or a virtual phone could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MultiDeviceError {
    /// The address is taken or not ours.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A key file could not be read or written.
    #[error("key file {path}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The operating system gave no randomness.
    #[error("no randomness")]
    Randomness(#[source] getrandom::Error),
    /// Encryption, decryption or a signature failed.
    #[error("cryptography: {0}")]
    Crypto(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A client sent something that WhatsApp's protocol does not know.
    #[error("malformed: {0}")]
    Malformed(String),
    /// Nothing of this kind has this id.
    #[error("no {kind} {id}")]
    NotFound {
        /// What was looked for: `phone`, `companion`, `group`, `message`, `code`, `QR code`.
        kind: &'static str,
        /// The id that was given.
        id: String,
    },
    /// The request contradicts itself or the state.
    #[error("{0}")]
    Invalid(String),
    /// What was waited for did not happen.
    #[error("still waiting for {0}")]
    TimedOut(String),
}

/// Results inside the multi-device half.
pub(crate) type Outcome<T = ()> = Result<T, MultiDeviceError>;

impl MultiDeviceError {
    /// Wraps an error of the cryptographic crates.
    pub(crate) fn crypto(
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> MultiDeviceError {
        Self::Crypto(error.into())
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    pub(crate) fn not_found(kind: &'static str, id: impl Into<String>) -> Self {
        Self::NotFound { kind, id: id.into() }
    }
}
