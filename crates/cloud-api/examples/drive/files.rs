//! The stored files: the smallest bytes that say what they are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use kabar_channel::ports::{MediaFile, MediaSource, Uploaded};
use kabar_channel::{DeviceLink, SendError};
use kabar_core::MediaId;
use uuid::Uuid;

pub(crate) const IMAGE: u128 = 1;
pub(crate) const VIDEO: u128 = 2;
pub(crate) const AUDIO: u128 = 3;
pub(crate) const DOCUMENT: u128 = 4;
pub(crate) const STICKER: u128 = 5;

/// Our id of a file.
pub(crate) fn id(file: u128) -> MediaId {
    MediaId::from(Uuid::from_u128(file))
}

/// Media type, name and first bytes.
type File = (&'static str, &'static str, &'static [u8]);

fn file(media: MediaId) -> Option<File> {
    Some(match media.uuid().as_u128() {
        IMAGE => ("image/png", "picture.png", b"\x89PNG\r\n\x1a\n"),
        VIDEO => ("video/mp4", "film.mp4", b"\0\0\0\x18ftypmp42"),
        AUDIO => ("audio/ogg", "voice.ogg", b"OggS\0\x02"),
        DOCUMENT => ("application/pdf", "bill.pdf", b"%PDF-1.4\n%%EOF\n"),
        STICKER => ("image/webp", "sticker.webp", b"RIFF\x1a\0\0\0WEBPVP8L"),
        _ => return None,
    })
}

/// The files, and what was remembered of their uploads.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<HashMap<MediaId, Uploaded>>);

impl Files {
    /// Meta's id of an uploaded file.
    pub(crate) fn wire_id(&self, media: MediaId) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&media).map(|uploaded| uploaded.wire_media_id.clone())
    }
}

#[async_trait]
impl MediaSource for Files {
    async fn open(&self, _: &DeviceLink, media: MediaId) -> Result<MediaFile, SendError> {
        let (mime, name, bytes) =
            file(media).ok_or_else(|| SendError::refused("media", "there is no such file"))?;
        Ok(MediaFile {
            bytes: Bytes::from_static(bytes),
            mime: mime.to_owned(),
            filename: Some(name.to_owned()),
        })
    }

    async fn uploaded(
        &self,
        _: &DeviceLink,
        media: MediaId,
    ) -> Result<Option<Uploaded>, SendError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.get(&media).cloned())
    }

    async fn remember(
        &self,
        _: &DeviceLink,
        media: MediaId,
        uploaded: &Uploaded,
    ) -> Result<(), SendError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(media, uploaded.clone());
        Ok(())
    }
}
