//! Uploaded and received media, with Meta's limits.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::inbound::MediaKind;
use crate::random::Dice;

/// An upload lives 30 days.
const UPLOAD_LIFE_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Media from a customer live 7 days.
const INBOUND_LIFE_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// A download address is good for 5 minutes.
pub(crate) const URL_LIFE_MS: u64 = 5 * 60 * 1_000;

const MB: usize = 1024 * 1024;

/// Supported media types with the kind they can be sent as and their size limit in bytes.
/// Meta, "Supported media types".
const TYPES: [(&str, MediaKind, usize); 18] = [
    ("audio/aac", MediaKind::Audio, 16 * MB),
    ("audio/amr", MediaKind::Audio, 16 * MB),
    ("audio/mpeg", MediaKind::Audio, 16 * MB),
    ("audio/mp4", MediaKind::Audio, 16 * MB),
    ("audio/ogg", MediaKind::Audio, 16 * MB),
    ("image/jpeg", MediaKind::Image, 5 * MB),
    ("image/png", MediaKind::Image, 5 * MB),
    ("image/webp", MediaKind::Sticker, 500 * 1024),
    ("video/mp4", MediaKind::Video, 16 * MB),
    ("video/3gpp", MediaKind::Video, 16 * MB),
    ("text/plain", MediaKind::Document, 100 * MB),
    ("application/pdf", MediaKind::Document, 100 * MB),
    ("application/msword", MediaKind::Document, 100 * MB),
    ("application/vnd.ms-excel", MediaKind::Document, 100 * MB),
    ("application/vnd.ms-powerpoint", MediaKind::Document, 100 * MB),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        MediaKind::Document,
        100 * MB,
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        MediaKind::Document,
        100 * MB,
    ),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        MediaKind::Document,
        100 * MB,
    ),
];

/// Why a file is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaFlaw {
    /// Not one of Meta's types.
    Type,
    /// Larger than its type may be.
    Size(usize),
}

/// Checks a file before it is stored.
pub(crate) fn check_upload(mime_type: &str, size: usize) -> Result<(), MediaFlaw> {
    let bare = bare(mime_type);
    let (.., limit) = TYPES.iter().find(|(name, ..)| *name == bare).ok_or(MediaFlaw::Type)?;
    if size == 0 || size > *limit { Err(MediaFlaw::Size(*limit)) } else { Ok(()) }
}

/// Checks a stored file against the kind of message it is sent as.
pub(crate) fn check_kind(kind: MediaKind, mime_type: &str, size: usize) -> Result<(), MediaFlaw> {
    if kind == MediaKind::Document {
        return Ok(());
    }
    let bare = bare(mime_type);
    let found = TYPES.iter().find(|(name, fits, _)| *name == bare && *fits == kind);
    let (.., limit) = found.ok_or(MediaFlaw::Type)?;
    if size > *limit { Err(MediaFlaw::Size(*limit)) } else { Ok(()) }
}

/// All supported types, for the error text.
pub(crate) fn supported_types() -> String {
    TYPES.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
}

fn bare(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A stored file.
#[derive(Debug, Clone)]
pub(crate) struct StoredMedia {
    pub(crate) data: Bytes,
    pub(crate) mime_type: String,
    pub(crate) phone_number_id: String,
    expires_at_ms: u64,
    digest: [u8; 32],
}

impl StoredMedia {
    /// SHA-256 as `GET /MEDIA_ID` shows it.
    pub(crate) fn sha256_hex(&self) -> String {
        hex::encode(self.digest)
    }

    /// SHA-256 as webhooks show it.
    pub(crate) fn sha256_base64(&self) -> String {
        STANDARD.encode(self.digest)
    }
}

/// All files by media id.
#[derive(Debug, Default)]
pub(crate) struct MediaStore {
    files: HashMap<String, StoredMedia>,
}

impl MediaStore {
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Keeps a file; the hash is taken by the caller, outside the lock.
    pub(crate) fn put(&mut self, file: StoredMedia, dice: &Dice) -> String {
        let id = dice.graph_id();
        self.files.insert(id.clone(), file);
        id
    }

    pub(crate) fn get(&self, id: &str, now_ms: u64) -> Option<StoredMedia> {
        self.files.get(id).filter(|file| file.expires_at_ms > now_ms).cloned()
    }

    pub(crate) fn delete(&mut self, id: &str) -> bool {
        self.files.remove(id).is_some()
    }
}

/// A file uploaded by the business.
pub(crate) fn uploaded(number: &str, mime_type: &str, data: Bytes, now_ms: u64) -> StoredMedia {
    file(number, mime_type, data, now_ms + UPLOAD_LIFE_MS)
}

/// A file sent by a customer.
pub(crate) fn received(number: &str, mime_type: &str, data: Bytes, now_ms: u64) -> StoredMedia {
    file(number, mime_type, data, now_ms + INBOUND_LIFE_MS)
}

fn file(number: &str, mime_type: &str, data: Bytes, expires_at_ms: u64) -> StoredMedia {
    StoredMedia {
        digest: Sha256::digest(&data).into(),
        data,
        mime_type: mime_type.to_owned(),
        phone_number_id: number.to_owned(),
        expires_at_ms,
    }
}
