//! What Meta takes as a file, checked before the upload.

use kabar_channel::ports::MediaFile;
use kabar_channel::{ContentKind, SendError};

const KB: usize = 1024;
const MB: usize = 1024 * KB;

const IMAGE: &[&str] = &["image/jpeg", "image/png"];
const VIDEO: &[&str] = &["video/mp4", "video/3gpp"];
const AUDIO: &[&str] = &["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"];
const VOICE: &[&str] = &["audio/ogg"];
const STICKER: &[&str] = &["image/webp"];
const DOCUMENT: &[&str] = &[
    "text/plain",
    "application/pdf",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
];

/// Other names of types that Meta knows under one.
const ALIASES: &[(&str, &str)] = &[
    ("image/jpg", "image/jpeg"),
    ("image/pjpeg", "image/jpeg"),
    ("video/3gp", "video/3gpp"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/m4a", "audio/mp4"),
    ("audio/x-m4a", "audio/mp4"),
    ("audio/x-aac", "audio/aac"),
    ("audio/opus", "audio/ogg"),
    ("application/ogg", "audio/ogg"),
];

/// The types and the size in bytes that Meta takes for a kind of content.
fn rule(kind: ContentKind, voice: bool, file: &MediaFile) -> (&'static [&'static str], usize) {
    match kind {
        ContentKind::Image => (IMAGE, 5 * MB),
        ContentKind::Video => (VIDEO, 16 * MB),
        ContentKind::Audio if voice => (VOICE, 16 * MB),
        ContentKind::Audio => (AUDIO, 16 * MB),
        ContentKind::Sticker if animated(&file.bytes) => (STICKER, 500 * KB),
        ContentKind::Sticker => (STICKER, 100 * KB),
        _ => (DOCUMENT, 100 * MB),
    }
}

/// The media type to upload a file under.
///
/// # Errors
/// [`SendError::Refused`] when Meta would not take the file, with what it takes.
pub(crate) fn check(kind: ContentKind, voice: bool, file: &MediaFile) -> Result<String, SendError> {
    let (types, most) = rule(kind, voice, file);
    let mime = plain(&file.mime);
    if !types.contains(&mime.as_str()) {
        let what = if voice { "a voice note" } else { kind.as_str() };
        let problem =
            format!("`{mime}` cannot be sent as {what}; WhatsApp takes {}", types.join(", "));
        return Err(SendError::refused("media_type", problem));
    }
    match file.bytes.len() {
        0 => Err(SendError::refused("media_size", "the file is empty")),
        size if size > most => {
            let problem = format!("the file has {size} bytes; WhatsApp takes {most} for {kind}");
            Err(SendError::refused("media_size", problem))
        }
        _ => Ok(mime),
    }
}

/// The type without parameters, in lower case, by the name that Meta knows.
fn plain(mime: &str) -> String {
    let bare = mime.split(';').next().unwrap_or_default();
    let bare = bare.trim().to_ascii_lowercase();
    ALIASES.iter().find(|(alias, _)| *alias == bare).map_or(bare, |(_, known)| (*known).to_owned())
}

/// Whether a WebP file moves: the extended header's animation flag.
fn animated(webp: &[u8]) -> bool {
    const ANIMATION: u8 = 0b10;
    webp.get(12..16) == Some(b"VP8X") && webp.get(20).is_some_and(|flags| flags & ANIMATION != 0)
}

/// A name for the upload, which Meta wants but never shows.
pub(crate) fn upload_name<'a>(asked: Option<&'a str>, stored: Option<&'a str>) -> &'a str {
    asked.or(stored).filter(|name| !name.is_empty()).unwrap_or("file")
}
