//! Uploading stored files, each once per number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use chrono::TimeDelta;
use kabar_channel::content::Media;
use kabar_channel::ports::{MediaFile, Uploaded};
use kabar_channel::{ContentKind, DeviceLink, MediaRef, SendError};
use kabar_core::{DeviceId, MediaId};
use tokio::sync::{Mutex as Gate, OwnedMutexGuard};

use crate::channel::{CloudApi, token};
use crate::classify::after_read;
use crate::outgoing::{MediaObject, file};

/// Meta forgets an uploaded file after 30 days.
const LIFETIME: TimeDelta = TimeDelta::days(30);
/// An upload that expires sooner is not used: the message is sent a little later.
const MARGIN: TimeDelta = TimeDelta::minutes(10);

type Key = (DeviceId, MediaId);

/// Lets one upload of a file per number run at a time, so that a broadcast uploads its picture
/// once and not once for each send in flight.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<Key, Weak<Gate<()>>>>);

impl Uploads {
    async fn enter(&self, key: Key) -> OwnedMutexGuard<()> {
        self.gate(key).lock_owned().await
    }

    fn gate(&self, key: Key) -> Arc<Gate<()>> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = gates.get(&key).and_then(Weak::upgrade).unwrap_or_default();
        gates.insert(key, Arc::downgrade(&gate));
        gate
    }
}

impl CloudApi {
    /// The media object of a request, uploaded if need be.
    pub(crate) async fn media(
        &self,
        device: &DeviceLink,
        kind: ContentKind,
        media: &Media,
    ) -> Result<MediaObject, SendError> {
        match &media.media {
            MediaRef::Link(url) => Ok(MediaObject::Link(url.clone())),
            MediaRef::Stored(id) => {
                let _gate = self.uploads.enter((device.device, *id)).await;
                let known = self.files.uploaded(device, *id).await?;
                let fresh = |known: &Uploaded| known.expires_at - MARGIN > self.clock.now();
                match known.filter(fresh) {
                    Some(known) => Ok(MediaObject::Id(known.wire_media_id)),
                    None => self.upload(device, kind, media, *id).await,
                }
            }
            _ => Err(SendError::refused("media", "this channel sends stored files and links only")),
        }
    }

    async fn upload(
        &self,
        device: &DeviceLink,
        kind: ContentKind,
        media: &Media,
        id: MediaId,
    ) -> Result<MediaObject, SendError> {
        let stored: MediaFile = self.files.open(device, id).await?;
        let mime = file::check(kind, media.voice, &stored)?;
        let name = file::upload_name(media.filename.as_deref(), stored.filename.as_deref());
        let uploaded_at = self.clock.now();
        let uploaded = self
            .graph
            .upload_media(token(device)?, &device.address, &mime, name, stored.bytes.clone())
            .await
            .map_err(|error| after_read(&error))?;
        let uploaded = Uploaded { wire_media_id: uploaded, expires_at: uploaded_at + LIFETIME };
        self.files.remember(device, id, &uploaded).await?;
        Ok(MediaObject::Id(uploaded.wire_media_id))
    }
}
