//! Files that people sent: fetched from WhatsApp's servers and opened.

use async_trait::async_trait;
use kabar_channel::ports::{IncomingMedia, MediaFile};
use kabar_channel::{DeviceLink, Reason, SendError};
use whatsapp_rust::ErrorChainExt as _;

use crate::channel::QrChannel;
use crate::incoming::FileToken;

/// The largest file that is fetched, in bytes: what WhatsApp lets people send as a document at most
/// is 2 GB, but it is held in memory here until it is stored.
const LARGEST: u64 = 100 * 1024 * 1024;

#[async_trait]
impl IncomingMedia for QrChannel {
    async fn fetch(
        &self,
        device: &DeviceLink,
        wire_media_id: &str,
    ) -> Result<MediaFile, SendError> {
        let token = FileToken::decode(wire_media_id)?;
        if token.file_length.is_some_and(|length| length > LARGEST) {
            let problem = format!("the file is larger than {} MiB", LARGEST / 1024 / 1024);
            return Err(SendError::refused("too_large", problem));
        }
        let session = self.session(device)?;
        let bytes = session.client().download(&token).await.map_err(|error| {
            let cause: &(dyn std::error::Error + 'static) = error.as_ref();
            let reason = Reason::new("download", error.to_string());
            match cause.http_status() {
                // WhatsApp keeps files for some weeks.
                Some(404 | 410) => SendError::Refused { reason },
                _ => SendError::Retry { after: None, reason },
            }
        })?;
        let mime = token.mime.unwrap_or_else(|| "application/octet-stream".to_owned());
        Ok(MediaFile { bytes: bytes.into(), mime, filename: None })
    }
}
