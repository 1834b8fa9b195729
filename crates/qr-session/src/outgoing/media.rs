//! Files, by kind.

use kabar_channel::SendError;
use kabar_channel::content::Media;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::{
    AudioMessage, DocumentMessage, FutureProofMessage, ImageMessage, StickerMessage, VideoMessage,
};

use super::ready::UploadedMedia;

/// What phones play as a voice note.
const VOICE: &str = "audio/ogg; codecs=opus";

type Context = MessageField<wa::ContextInfo>;

/// The fields that every kind of file has under the same names, and the rest.
macro_rules! file {
    ($kind:ident, $uploaded:ident, $context:ident, $($field:ident: $value:expr),* $(,)?) => {
        MessageField::some($kind {
            url: Some($uploaded.url.clone()),
            direct_path: Some($uploaded.direct_path.clone()),
            media_key: Some($uploaded.media_key.to_vec()),
            media_key_timestamp: Some($uploaded.media_key_timestamp),
            file_enc_sha256: Some($uploaded.file_enc_sha256.to_vec()),
            file_sha256: Some($uploaded.file_sha256.to_vec()),
            file_length: Some($uploaded.file_length),
            context_info: $context,
            $($field: $value,)*
            ..$kind::default()
        })
    };
}

pub(super) fn image(media: &Media, file: &UploadedMedia, context: Context) -> wa::Message {
    let image = file!(ImageMessage, file, context,
        mimetype: Some(file.mime.clone()),
        caption: caption(media),
    );
    wa::Message { image_message: image, ..wa::Message::default() }
}

pub(super) fn video(media: &Media, file: &UploadedMedia, context: Context) -> wa::Message {
    let video = file!(VideoMessage, file, context,
        mimetype: Some(file.mime.clone()),
        caption: caption(media),
        streaming_sidecar: file.streaming_sidecar.as_deref().map(<[u8]>::to_vec),
    );
    wa::Message { video_message: video, ..wa::Message::default() }
}

pub(super) fn audio(
    media: &Media,
    file: &UploadedMedia,
    context: Context,
) -> Result<wa::Message, SendError> {
    uncaptioned(media)?;
    let audio = file!(AudioMessage, file, context,
        mimetype: Some(if media.voice { voice(&file.mime) } else { file.mime.clone() }),
        ptt: Some(media.voice),
        streaming_sidecar: file.streaming_sidecar.as_deref().map(<[u8]>::to_vec),
    );
    Ok(wa::Message { audio_message: audio, ..wa::Message::default() })
}

/// A document with words travels in an envelope of its own.
pub(super) fn document(media: &Media, file: &UploadedMedia, context: Context) -> wa::Message {
    let name = filled(media.filename.as_deref()).unwrap_or_else(|| "file".to_owned());
    let caption = caption(media);
    let in_envelope = caption.is_some();
    let document = file!(DocumentMessage, file, context,
        mimetype: Some(file.mime.clone()),
        title: Some(name.clone()),
        file_name: Some(name),
        caption: caption,
    );
    let message = wa::Message { document_message: document, ..wa::Message::default() };
    if !in_envelope {
        return message;
    }
    let envelope = FutureProofMessage { message: MessageField::some(message) };
    wa::Message {
        document_with_caption_message: MessageField::some(envelope),
        ..wa::Message::default()
    }
}

pub(super) fn sticker(
    media: &Media,
    file: &UploadedMedia,
    context: Context,
) -> Result<wa::Message, SendError> {
    uncaptioned(media)?;
    let sticker = file!(StickerMessage, file, context,
        mimetype: Some(file.mime.clone()),
        is_animated: Some(file.animated),
    );
    Ok(wa::Message { sticker_message: sticker, ..wa::Message::default() })
}

fn caption(media: &Media) -> Option<String> {
    filled(media.caption.as_deref())
}

fn filled(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Without the codec phones show a file instead of a voice note.
fn voice(mime: &str) -> String {
    let bare = mime.split(';').next().unwrap_or_default().trim();
    let ogg = ["audio/ogg", "audio/opus", "application/ogg"];
    if ogg.iter().any(|known| bare.eq_ignore_ascii_case(known)) { VOICE } else { mime }.to_owned()
}

/// Dropping the sender's words silently would be worse than refusing.
fn uncaptioned(media: &Media) -> Result<(), SendError> {
    match caption(media) {
        None => Ok(()),
        Some(_) => Err(SendError::refused(
            "caption",
            "audio and stickers carry no caption; send the words as a text",
        )),
    }
}
