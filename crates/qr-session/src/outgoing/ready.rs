//! What `prepare` makes and storage keeps: everything that a message needs beside its own content.

use kabar_channel::{Prepared, SendError};
use kabar_core::Timestamp;
use serde::{Deserialize, Serialize};
use whatsapp_rust::upload::UploadResponse;

use crate::binary::Binary;

/// The length of a poll's secret, in bytes (`MessageContextInfo.messageSecret`).
pub(crate) const SECRET: usize = 32;

/// A file on WhatsApp's servers, encrypted under its own key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadedMedia {
    /// Its address.
    pub(crate) url: String,
    /// Its path on WhatsApp's servers.
    pub(crate) direct_path: String,
    /// The key.
    pub(crate) media_key: Binary,
    /// The SHA-256 of the encrypted bytes.
    pub(crate) file_enc_sha256: Binary,
    /// The SHA-256 of the bytes.
    pub(crate) file_sha256: Binary,
    /// How many bytes, before encryption.
    pub(crate) file_length: u64,
    /// When the key was made, seconds since 1970.
    pub(crate) media_key_timestamp: i64,
    /// The media type.
    pub(crate) mime: String,
    /// Hashes that let a film or sound be played while it loads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) streaming_sidecar: Option<Binary>,
    /// A sticker that moves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) animated: bool,
}

impl UploadedMedia {
    /// An upload of a file of this media type.
    pub(crate) fn of(upload: UploadResponse, mime: impl Into<String>) -> Self {
        Self {
            url: upload.url,
            direct_path: upload.direct_path,
            media_key: Binary::from(upload.media_key.to_vec()),
            file_enc_sha256: Binary::from(upload.file_enc_sha256.to_vec()),
            file_sha256: Binary::from(upload.file_sha256.to_vec()),
            file_length: upload.file_length,
            media_key_timestamp: upload.media_key_timestamp,
            mime: mime.into(),
            streaming_sidecar: upload.streaming_sidecar.map(Binary::from),
            animated: false,
        }
    }
}

/// A message made ready. A retry of a poll or a reaction uses the same secret and the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// When it was made ready: of two reactions the phones show the later one.
    pub(crate) at: Timestamp,
    /// The file of contents that are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uploaded: Option<UploadedMedia>,
    /// A poll's secret, [`SECRET`] random bytes; without it no vote can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Binary>,
}

impl Ready {
    /// A message that needs nothing beside its content.
    pub(crate) const fn at(at: Timestamp) -> Self {
        Self { at, uploaded: None, secret: None }
    }

    /// With its file.
    #[must_use]
    pub(crate) fn with_file(mut self, uploaded: UploadedMedia) -> Self {
        self.uploaded = Some(uploaded);
        self
    }

    /// With a poll's secret.
    #[must_use]
    pub(crate) fn with_secret(mut self, secret: [u8; SECRET]) -> Self {
        self.secret = Some(Binary::from(secret.to_vec()));
        self
    }

    /// The stored form.
    ///
    /// # Errors
    /// None in practice: all of it has a JSON form.
    pub(crate) fn prepared(&self) -> Result<Prepared, SendError> {
        Prepared::of(self)
    }

    /// Out of the stored form.
    ///
    /// # Errors
    /// [`SendError::Refused`] for what another channel prepared.
    pub(crate) fn read(prepared: &Prepared) -> Result<Self, SendError> {
        serde_json::from_value(prepared.json().clone()).map_err(|_| {
            SendError::refused("prepared", "the message was made ready for another channel")
        })
    }
}
