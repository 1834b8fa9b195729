//! Files that people send.

use kabar_channel::incoming::IncomingFile;
use kabar_channel::{ContentKind, IncomingContent};
use waproto::whatsapp as wa;

use super::read;
use super::token::{FileKind, FileToken, is_path};
use crate::binary::Binary;

/// The longest hash, or key, that we take, in bytes; all are 32 long.
const LONGEST_HASH: usize = 64;
/// Where WhatsApp's files lie.
const HOSTS: &str = ".whatsapp.net";

/// The path of a file, told as such or as the end of its address.
fn path(direct: Option<&str>, url: Option<&str>) -> Option<String> {
    let of_address = || {
        let rest = url?.strip_prefix("https://")?;
        let (host, _) = rest.split_once('/')?;
        host.ends_with(HOSTS).then(|| rest.get(host.len()..))?
    };
    direct
        .filter(|path| is_path(path))
        .or_else(of_address)
        .filter(|path| is_path(path))
        .map(Into::into)
}

/// The fields that every kind of file has under the same names.
struct Parts<'a> {
    kind: FileKind,
    url: Option<&'a str>,
    direct_path: Option<&'a str>,
    media_key: Option<&'a [u8]>,
    file_enc_sha256: Option<&'a [u8]>,
    file_sha256: Option<&'a [u8]>,
    file_length: Option<u64>,
    mime: Option<&'a str>,
}

macro_rules! parts {
    ($part:ident, $kind:ident) => {
        Parts {
            kind: FileKind::$kind,
            url: $part.url.as_deref(),
            direct_path: $part.direct_path.as_deref(),
            media_key: $part.media_key.as_deref(),
            file_enc_sha256: $part.file_enc_sha256.as_deref(),
            file_sha256: $part.file_sha256.as_deref(),
            file_length: $part.file_length,
            mime: $part.mimetype.as_deref(),
        }
    };
}

impl Parts<'_> {
    fn file(self) -> Option<IncomingFile> {
        let short = |bytes: Option<&[u8]>| {
            bytes.filter(|bytes| (1..=LONGEST_HASH).contains(&bytes.len())).map(Binary::from)
        };
        let token = FileToken {
            kind: self.kind,
            direct_path: path(self.direct_path, self.url)?,
            media_key: short(self.media_key),
            file_enc_sha256: short(self.file_enc_sha256),
            file_sha256: short(self.file_sha256),
            file_length: self.file_length,
            mime: read::name(self.mime),
        };
        Some(IncomingFile {
            wire_media_id: token.encode(),
            sha256: token.file_sha256.as_deref().map(Binary::text),
            mime: token.mime,
            caption: None,
            filename: None,
            voice: false,
            animated: false,
        })
    }
}

/// A file, whatever its kind. Of one that nobody could fetch the caption stays, as words.
pub(super) fn file(message: &wa::Message) -> Option<IncomingContent> {
    let found = image(message)
        .or_else(|| video(message))
        .or_else(|| audio(message))
        .or_else(|| document(message))
        .or_else(|| sticker(message))?;
    let Found { kind, file, caption } = found;
    let Some(file) = file else {
        return caption.map(|body| IncomingContent::Text { body });
    };
    let file = IncomingFile { caption, ..file };
    Some(match kind {
        ContentKind::Image => IncomingContent::Image(file),
        ContentKind::Video => IncomingContent::Video(file),
        ContentKind::Audio => IncomingContent::Audio(file),
        ContentKind::Sticker => IncomingContent::Sticker(file),
        _ => IncomingContent::Document(file),
    })
}

struct Found {
    kind: ContentKind,
    file: Option<IncomingFile>,
    caption: Option<String>,
}

fn image(message: &wa::Message) -> Option<Found> {
    let image = message.image_message.as_option()?;
    let caption = read::words(image.caption.as_deref());
    Some(Found { kind: ContentKind::Image, file: parts!(image, Image).file(), caption })
}

/// Round video notes are films as well.
fn video(message: &wa::Message) -> Option<Found> {
    let video = message.video_message.as_option().or(message.ptv_message.as_option())?;
    let caption = read::words(video.caption.as_deref());
    Some(Found { kind: ContentKind::Video, file: parts!(video, Video).file(), caption })
}

fn audio(message: &wa::Message) -> Option<Found> {
    let audio = message.audio_message.as_option()?;
    let voice = audio.ptt == Some(true);
    let file = parts!(audio, Audio).file().map(|file| IncomingFile { voice, ..file });
    Some(Found { kind: ContentKind::Audio, file, caption: None })
}

fn document(message: &wa::Message) -> Option<Found> {
    let document = message.document_message.as_option()?;
    let name = document.file_name.as_deref().or(document.title.as_deref());
    let filename = read::name(name);
    let file = parts!(document, Document).file().map(|file| IncomingFile { filename, ..file });
    let caption = read::words(document.caption.as_deref());
    Some(Found { kind: ContentKind::Document, file, caption })
}

fn sticker(message: &wa::Message) -> Option<Found> {
    let sticker = message.sticker_message.as_option()?;
    let animated = sticker.is_animated == Some(true) || sticker.is_lottie == Some(true);
    let file = parts!(sticker, Sticker).file().map(|file| IncomingFile { animated, ..file });
    Some(Found { kind: ContentKind::Sticker, file, caption: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_or_taken_from_the_address() {
        let address = Some("https://mmg.whatsapp.net/v/1?x=2");
        for (direct, url, wanted) in [
            (Some("/v/3"), address, Some("/v/3")),
            (None, address, Some("/v/1?x=2")),
            (Some("@evil"), address, Some("/v/1?x=2")),
            (None, Some("https://example.com/v/1"), None),
            (None, Some("https://mmg.whatsapp.net@example.com/v/1"), None),
            (None, Some("https://web.whatsapp.net"), None),
            (None, None, None),
        ] {
            assert_eq!(path(direct, url).as_deref(), wanted, "{direct:?} {url:?}");
        }
    }
}
