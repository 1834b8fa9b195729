//! What a customer can say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A message from a customer to a business number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// The customer: digits with or without `+`, or a BSUID the sandbox knows.
    pub from: String,
    /// The business number. Default: the seeded one.
    #[serde(default)]
    pub phone_number_id: Option<String>,
    /// What is said.
    pub content: InboundContent,
    /// The message this one quotes (wamid). Default: for taps on buttons and rows the last message
    /// the customer got, else none.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// New profile name of the customer.
    #[serde(default)]
    pub name: Option<String>,
    /// Message id to use instead of an invented one.
    #[serde(default)]
    pub wamid: Option<String>,
    /// How often the webhook is posted; Meta repeats itself at times. Default 1.
    #[serde(default = "one")]
    pub copies: u32,
}

fn one() -> u32 {
    1
}

impl Inbound {
    /// A message to the seeded number.
    pub fn new(from: impl Into<String>, content: InboundContent) -> Self {
        Self {
            from: from.into(),
            phone_number_id: None,
            content,
            reply_to: None,
            name: None,
            wamid: None,
            copies: 1,
        }
    }

    /// A text to the seeded number.
    pub fn text(from: impl Into<String>, body: impl Into<String>) -> Self {
        Self::new(from, InboundContent::Text { body: body.into() })
    }
}

/// The kinds of customer messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum InboundContent {
    /// Plain text.
    Text {
        /// The text.
        body: String,
    },
    /// Image, video, audio, document or sticker.
    Media {
        /// Which of them.
        kind: MediaKind,
        /// The bytes; base64 in JSON.
        #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
        data: Bytes,
        /// Media type such as `image/jpeg`.
        mime_type: String,
        /// Caption.
        #[serde(default)]
        caption: Option<String>,
        /// File name of a document.
        #[serde(default)]
        filename: Option<String>,
        /// Whether audio is a voice note.
        #[serde(default)]
        voice: bool,
    },
    /// A tap on a reply button.
    ButtonReply {
        /// Id of the button.
        id: String,
        /// Its title.
        title: String,
    },
    /// A choice from a list.
    ListReply {
        /// Id of the row.
        id: String,
        /// Its title.
        title: String,
        /// Its description.
        #[serde(default)]
        description: Option<String>,
    },
    /// A tap on a template's quick-reply button.
    TemplateButton {
        /// Payload of the button.
        payload: String,
        /// Its text.
        text: String,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// Name of the place.
        #[serde(default)]
        name: Option<String>,
        /// Its address.
        #[serde(default)]
        address: Option<String>,
    },
    /// Contact cards, in Meta's shape.
    Contacts {
        /// The cards.
        contacts: Value,
    },
    /// A reaction to a message; without an emoji the reaction is taken back.
    Reaction {
        /// The message reacted to.
        message_id: String,
        /// The emoji.
        #[serde(default)]
        emoji: Option<String>,
    },
    /// Any other kind: merged into the message object, so it must hold `type`.
    Raw {
        /// E.g. `{"type":"order","order":{…}}`.
        message: Value,
    },
}

/// Media kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A recording or voice note.
    Audio,
    /// A file.
    Document,
    /// A sticker.
    Sticker,
}

impl MediaKind {
    /// The name Meta uses for the type and for its object.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
}

/// What [`crate::Sandbox::customer_says`] answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundReceipt {
    /// Id of the customer's message.
    pub wamid: String,
    /// The customer's `wa_id`.
    pub wa_id: String,
    /// The customer's BSUID.
    pub user_id: String,
    /// Media id, when media was sent.
    pub media_id: Option<String>,
}

fn to_base64<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(data))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Bytes::from).map_err(serde::de::Error::custom)
}

/// Bytes that are base64 in JSON.
#[derive(Debug, Deserialize)]
pub(crate) struct Base64(#[serde(deserialize_with = "from_base64")] pub(crate) Bytes);
