//! The token by which a file's bytes are fetched later.

use kabar_channel::SendError;
use serde::{Deserialize, Serialize};
use wacore::download::{Downloadable, MediaType};

use crate::binary::Binary;

/// The longest path that we take, in bytes. WhatsApp's are below 300.
const LONGEST_PATH: usize = 2_048;

/// What a file is, for its keys and its place on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// A file.
    Document,
    /// A sticker.
    Sticker,
}

/// Everything that fetches a file's bytes: the `wire_media_id` of this channel is its JSON. It holds
/// the file's key, so it is as secret as the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileToken {
    /// What it is.
    pub(crate) kind: FileKind,
    /// Its path on WhatsApp's servers.
    pub(crate) direct_path: String,
    /// Its key; a file without one is not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_key: Option<Binary>,
    /// The SHA-256 of the encrypted bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_enc_sha256: Option<Binary>,
    /// The SHA-256 of the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_sha256: Option<Binary>,
    /// How many bytes, as the sender says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_length: Option<u64>,
    /// The media type, as the sender says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mime: Option<String>,
}

impl FileToken {
    /// The token as text.
    pub(crate) fn encode(&self) -> String {
        // Strings, numbers and bytes have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The token out of its text.
    ///
    /// # Errors
    /// [`SendError::Refused`] for what is no token of ours.
    pub(crate) fn decode(text: &str) -> Result<Self, SendError> {
        let token = serde_json::from_str::<Self>(text).ok();
        token
            .filter(|token| is_path(&token.direct_path))
            .ok_or_else(|| SendError::refused("media_id", "this is no file of a paired session"))
    }
}

impl Downloadable for FileToken {
    fn direct_path(&self) -> Option<&str> {
        Some(&self.direct_path)
    }

    fn media_key(&self) -> Option<&[u8]> {
        self.media_key.as_deref()
    }

    fn file_enc_sha256(&self) -> Option<&[u8]> {
        self.file_enc_sha256.as_deref()
    }

    fn file_sha256(&self) -> Option<&[u8]> {
        self.file_sha256.as_deref()
    }

    fn file_length(&self) -> Option<u64> {
        self.file_length
    }

    fn app_info(&self) -> MediaType {
        match self.kind {
            FileKind::Image => MediaType::Image,
            FileKind::Video => MediaType::Video,
            FileKind::Audio => MediaType::Audio,
            FileKind::Document => MediaType::Document,
            FileKind::Sticker => MediaType::Sticker,
        }
    }
}

/// A path comes right after the host's name: anything else would lead to another host.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= LONGEST_PATH
        && path.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> FileToken {
        FileToken {
            kind: FileKind::Audio,
            direct_path: "/v/t62.7117-24/1_n.enc?ccb=11-4".into(),
            media_key: Some(vec![7; 32].into()),
            file_enc_sha256: Some(vec![8; 32].into()),
            file_sha256: None,
            file_length: Some(12),
            mime: Some("audio/ogg; codecs=opus".into()),
        }
    }

    #[test]
    fn a_token_is_kept_as_text() {
        // Stored messages carry this text: what is read today must be read for good.
        let wanted = concat!(
            r#"{"kind":"audio","direct_path":"/v/t62.7117-24/1_n.enc?ccb=11-4","#,
            r#""media_key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","#,
            r#""file_enc_sha256":"CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=","#,
            r#""file_length":12,"mime":"audio/ogg; codecs=opus"}"#,
        );
        assert_eq!(token().encode(), wanted);
        assert_eq!(FileToken::decode(&token().encode()), Ok(token()));
        let oldest = r#"{"kind":"image","direct_path":"/v/1"}"#;
        assert!(FileToken::decode(oldest).is_ok());
        assert!(!format!("{:?}", token()).contains("BwcH"));
    }

    #[test]
    fn what_leads_to_another_host_is_no_token() {
        for path in ["@example.com/x", ".example.com/x", "", "v/1", "/a b", "/\n", "https://x/y"] {
            let token = FileToken { direct_path: path.into(), ..token() };
            assert!(FileToken::decode(&token.encode()).is_err(), "{path}");
        }
        for text in ["", "{}", "null", "3EB0", "{\"kind\":\"pet\",\"direct_path\":\"/v\"}"] {
            assert!(FileToken::decode(text).is_err(), "{text}");
        }
    }
}
