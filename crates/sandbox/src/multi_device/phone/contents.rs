//! What a phone can send, and how it looks as a protobuf.

use buffa::MessageField;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wacore::download::{DownloadUtils, Downloadable, MediaType};
use wacore::poll::{compute_option_hash, encrypt_poll_vote_with_secret};
use wacore::upload::encrypt_media;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as ProtocolType;
use waproto::whatsapp::message::{
    AudioMessage, DocumentMessage, ImageMessage, LocationMessage, PollCreationMessage,
    PollEncValue, PollUpdateMessage, ProtocolMessage, ReactionMessage, poll_creation_message,
};

use crate::multi_device::curve;
use crate::multi_device::error::{MultiDeviceError, Outcome};
use crate::multi_device::media::MediaStore;

/// What a phone is asked to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// A text.
    Text {
        /// The text.
        body: String,
    },
    /// A picture.
    Image {
        /// The file.
        #[serde(with = "base64_bytes")]
        data: Vec<u8>,
        /// E.g. `image/jpeg`.
        mime_type: String,
        /// Text below it.
        #[serde(default)]
        caption: Option<String>,
    },
    /// A file.
    Document {
        /// The file.
        #[serde(with = "base64_bytes")]
        data: Vec<u8>,
        /// E.g. `application/pdf`.
        mime_type: String,
        /// Its name.
        file_name: String,
    },
    /// A voice message.
    Voice {
        /// The file.
        #[serde(with = "base64_bytes")]
        data: Vec<u8>,
        /// Length in seconds.
        seconds: u32,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// Its name.
        #[serde(default)]
        name: Option<String>,
    },
    /// A question with options.
    Poll {
        /// The question.
        question: String,
        /// The options.
        options: Vec<String>,
        /// How many may be chosen; 0 = any number.
        #[serde(default)]
        selectable: u32,
    },
    /// A vote in a poll that this phone received or sent.
    PollVote {
        /// Id of the poll.
        poll: String,
        /// The chosen options, in full.
        options: Vec<String>,
    },
    /// A reaction to a message that this phone received or sent.
    Reaction {
        /// Id of the message.
        to: String,
        /// The emoji; empty takes the reaction back.
        emoji: String,
    },
    /// New text for a message that this phone sent.
    Edit {
        /// Id of the message.
        of: String,
        /// The new text.
        body: String,
    },
    /// Takes a message back for everyone.
    Revoke {
        /// Id of the message.
        of: String,
    },
}

mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

/// A message ready to be encrypted.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) message: wa::Message,
    /// `type` of the stanza.
    pub(super) kind: &'static str,
    /// `edit` of the stanza.
    pub(super) edit: Option<&'static str>,
}

impl Draft {
    pub(super) fn new(message: wa::Message, kind: &'static str) -> Self {
        Self { message, kind, edit: None }
    }
}

/// The poll that is voted on.
pub(super) struct VotedPoll<'a> {
    pub(super) key: wa::MessageKey,
    pub(super) secret: &'a [u8],
    /// Addresses without devices, both in the namespace of the chat.
    pub(super) creator: String,
    pub(super) voter: String,
}

pub(super) fn text(body: String) -> Draft {
    Draft::new(wa::Message { conversation: Some(body), ..Default::default() }, "text")
}

pub(super) fn location(latitude: f64, longitude: f64, name: Option<String>) -> Draft {
    let place = LocationMessage {
        degrees_latitude: Some(latitude),
        degrees_longitude: Some(longitude),
        name,
        ..Default::default()
    };
    let message = wa::Message { location_message: MessageField::some(place), ..Default::default() };
    Draft::new(message, "media")
}

pub(super) fn poll(question: String, options: Vec<String>, selectable: u32) -> Outcome<Draft> {
    let option =
        |name| poll_creation_message::Option { option_name: Some(name), ..Default::default() };
    let poll = PollCreationMessage {
        name: Some(question),
        options: options.into_iter().map(option).collect(),
        selectable_options_count: Some(selectable),
        ..Default::default()
    };
    let context = wa::MessageContextInfo {
        message_secret: Some(curve::random::<32>()?.to_vec()),
        ..Default::default()
    };
    let message = wa::Message {
        poll_creation_message_v3: MessageField::some(poll),
        message_context_info: MessageField::some(context),
        ..Default::default()
    };
    Ok(Draft::new(message, "poll"))
}

pub(super) fn vote(poll: VotedPoll<'_>, options: &[String], now_ms: i64) -> Outcome<Draft> {
    let hashes: Vec<Vec<u8>> =
        options.iter().map(|option| compute_option_hash(option).to_vec()).collect();
    let id = poll.key.id.clone().unwrap_or_default();
    let (payload, iv) =
        encrypt_poll_vote_with_secret(&hashes, poll.secret, &id, &poll.creator, &poll.voter)
            .map_err(MultiDeviceError::crypto)?;
    let vote = PollEncValue { enc_payload: Some(payload), enc_iv: Some(iv.to_vec()) };
    let update = PollUpdateMessage {
        poll_creation_message_key: MessageField::some(poll.key),
        vote: MessageField::some(vote),
        sender_timestamp_ms: Some(now_ms),
        ..Default::default()
    };
    let message =
        wa::Message { poll_update_message: MessageField::some(update), ..Default::default() };
    Ok(Draft::new(message, "poll"))
}

pub(super) fn reaction(key: wa::MessageKey, emoji: String, now_ms: i64) -> Draft {
    let reaction = ReactionMessage {
        key: MessageField::some(key),
        text: Some(emoji),
        sender_timestamp_ms: Some(now_ms),
        ..Default::default()
    };
    let message =
        wa::Message { reaction_message: MessageField::some(reaction), ..Default::default() };
    Draft::new(message, "reaction")
}

pub(super) fn edit(key: wa::MessageKey, body: String, now_ms: i64) -> Draft {
    let protocol = ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(ProtocolType::MESSAGE_EDIT),
        edited_message: MessageField::some(text(body).message),
        timestamp_ms: Some(now_ms),
        ..Default::default()
    };
    Draft { message: protocol_message(protocol), kind: "text", edit: Some("1") }
}

pub(super) fn revoke(key: wa::MessageKey) -> Draft {
    let protocol = ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(ProtocolType::REVOKE),
        ..Default::default()
    };
    Draft { message: protocol_message(protocol), kind: "text", edit: Some("7") }
}

/// A message of the protocol itself.
pub(super) fn protocol_message(protocol: ProtocolMessage) -> wa::Message {
    wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() }
}

/// Where an encrypted file lies.
pub(super) struct MediaPlace {
    url: String,
    path: String,
    length: u64,
    key: Vec<u8>,
    plain_hash: Vec<u8>,
    sealed_hash: Vec<u8>,
}

impl MediaPlace {
    /// Encrypts a file and puts it on the media server.
    pub(super) fn upload(
        store: &MediaStore,
        name: &str,
        data: &[u8],
        kind: MediaType,
    ) -> Outcome<Self> {
        let sealed = encrypt_media(data, kind).map_err(MultiDeviceError::crypto)?;
        let path = store.put(name, Bytes::from(sealed.data_to_upload));
        Ok(Self {
            url: store.address(&path),
            path,
            length: data.len() as u64,
            key: sealed.media_key.to_vec(),
            plain_hash: sealed.file_sha256.to_vec(),
            sealed_hash: sealed.file_enc_sha256.to_vec(),
        })
    }
}

/// Fetches and decrypts the file of a message.
pub(crate) fn open_file(store: &MediaStore, id: &str, message: &wa::Message) -> Outcome<Vec<u8>> {
    let file: &dyn Downloadable = if let Some(image) = message.image_message.as_option() {
        image
    } else if let Some(video) = message.video_message.as_option() {
        video
    } else if let Some(audio) = message.audio_message.as_option() {
        audio
    } else if let Some(document) = message.document_message.as_option() {
        document
    } else if let Some(sticker) = message.sticker_message.as_option() {
        sticker
    } else {
        return Err(MultiDeviceError::Invalid(format!("{id} has no file")));
    };
    let path = file.direct_path().unwrap_or_default();
    let sealed = store.get(path).ok_or_else(|| MultiDeviceError::not_found("file", path))?;
    let key = file.media_key().unwrap_or_default();
    DownloadUtils::verify_and_decrypt(&sealed, key, file.app_info())
        .map_err(MultiDeviceError::crypto)
}

pub(super) fn image(place: MediaPlace, mime_type: String, caption: Option<String>) -> Draft {
    let image = ImageMessage {
        url: Some(place.url),
        direct_path: Some(place.path),
        mimetype: Some(mime_type),
        caption,
        file_length: Some(place.length),
        media_key: Some(place.key),
        file_sha256: Some(place.plain_hash),
        file_enc_sha256: Some(place.sealed_hash),
        ..Default::default()
    };
    let message = wa::Message { image_message: MessageField::some(image), ..Default::default() };
    Draft::new(message, "media")
}

pub(super) fn document(place: MediaPlace, mime_type: String, file_name: String) -> Draft {
    let document = DocumentMessage {
        url: Some(place.url),
        direct_path: Some(place.path),
        mimetype: Some(mime_type),
        file_name: Some(file_name),
        file_length: Some(place.length),
        media_key: Some(place.key),
        file_sha256: Some(place.plain_hash),
        file_enc_sha256: Some(place.sealed_hash),
        ..Default::default()
    };
    let message =
        wa::Message { document_message: MessageField::some(document), ..Default::default() };
    Draft::new(message, "media")
}

pub(super) fn voice(place: MediaPlace, seconds: u32) -> Draft {
    let audio = AudioMessage {
        url: Some(place.url),
        direct_path: Some(place.path),
        mimetype: Some("audio/ogg; codecs=opus".to_owned()),
        ptt: Some(true),
        seconds: Some(seconds),
        file_length: Some(place.length),
        media_key: Some(place.key),
        file_sha256: Some(place.plain_hash),
        file_enc_sha256: Some(place.sealed_hash),
        ..Default::default()
    };
    let message = wa::Message { audio_message: MessageField::some(audio), ..Default::default() };
    Draft::new(message, "media")
}
