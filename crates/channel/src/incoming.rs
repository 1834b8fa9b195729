//! What people send, and what becomes of what we sent.

use kabar_core::{PhoneNumber, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::{ContactCard, Location};
use crate::outcome::{MessageKey, Reason};

/// The ways in which a channel knows a person. Any may be absent; at least one is there unless the
/// network told none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonIds {
    /// The number (Cloud API: `wa_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    /// Digits that name the person on the network but are no E.164 number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<String>,
    /// The business-scoped user id, unique only within its portfolio (Cloud API).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bsuid: Option<String>,
    /// The parent portfolio's id of the same person (Cloud API).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_bsuid: Option<String>,
    /// The linked id (QR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lid: Option<String>,
    /// The username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

impl PersonIds {
    /// A person known by number alone.
    pub fn phone(phone: PhoneNumber) -> Self {
        Self { phone: Some(phone), ..Self::default() }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who wrote a message in a group, where the other side is the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// As the channel names them in this group: what answers and reactions have to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Everything that the network told of who they are.
    #[serde(flatten)]
    pub ids: PersonIds,
    /// The name that they go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A file that somebody sent; its bytes are fetched later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingFile {
    /// The network's id of the file.
    pub wire_media_id: String,
    /// The media type, as the network says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// SHA-256 as the network writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Text below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Its name (documents).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// A voice note.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub voice: bool,
    /// An animated sticker.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub animated: bool,
}

/// What an incoming message holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum IncomingContent {
    /// Words.
    Text {
        /// The words.
        body: String,
    },
    /// A picture.
    Image(IncomingFile),
    /// A film.
    Video(IncomingFile),
    /// Sound, or a voice note.
    Audio(IncomingFile),
    /// A file.
    Document(IncomingFile),
    /// A sticker.
    Sticker(IncomingFile),
    /// A place.
    Location(Location),
    /// Persons' cards.
    Contacts {
        /// The cards.
        cards: Vec<ContactCard>,
    },
    /// An emoji on a message.
    Reaction {
        /// The message.
        target: MessageKey,
        /// The emoji; `None` takes it back.
        emoji: Option<String>,
    },
    /// A tap on a button, a template's quick reply or a list line.
    Choice {
        /// Our own word for the choice, or the template button's payload.
        id: String,
        /// What the person read.
        title: String,
        /// The list line's second line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// A filled form (Meta flow or address).
    Form {
        /// `flow`, `address_message`, or what the network adds.
        name: String,
        /// The answers.
        answers: Value,
    },
    /// A shopping cart.
    Order {
        /// The cart as the network has it.
        order: Value,
    },
    /// A poll answer.
    PollVote {
        /// The poll.
        target: MessageKey,
        /// The ticked options.
        options: Vec<String>,
    },
    /// A change of an earlier message.
    Edit {
        /// The message.
        target: MessageKey,
        /// Its new content.
        content: Box<IncomingContent>,
    },
    /// An earlier message taken back.
    Revoke {
        /// The message.
        target: MessageKey,
    },
    /// The network's word about the person (number or id changed).
    System {
        /// The network's word for what happened.
        kind: String,
        /// Its sentence.
        body: Option<String>,
        /// The person's new ids, where it told.
        new: PersonIds,
    },
    /// The person opened the chat for the first time.
    Welcome,
    /// Something that the network says it cannot hand over.
    Unsupported {
        /// Why.
        reason: Option<Reason>,
    },
    /// A kind that this version does not know; kept as it came.
    Unknown {
        /// The network's word for the kind.
        kind: String,
        /// All of it.
        raw: Value,
    },
}

impl IncomingContent {
    /// The words that a rule can read: text, caption, or the title of a choice.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Text { body } => Some(body),
            Self::Choice { title, .. } => Some(title),
            _ => self.file().and_then(|file| file.caption.as_deref()),
        }
    }

    /// The file, if the content is one.
    pub const fn file(&self) -> Option<&IncomingFile> {
        match self {
            Self::Image(file)
            | Self::Video(file)
            | Self::Audio(file)
            | Self::Document(file)
            | Self::Sticker(file) => Some(file),
            _ => None,
        }
    }

    /// The word for the kind, on the wire and in storage.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Image(_) => "image",
            Self::Video(_) => "video",
            Self::Audio(_) => "audio",
            Self::Document(_) => "document",
            Self::Sticker(_) => "sticker",
            Self::Location(_) => "location",
            Self::Contacts { .. } => "contacts",
            Self::Reaction { .. } => "reaction",
            Self::Choice { .. } => "choice",
            Self::Form { .. } => "form",
            Self::Order { .. } => "order",
            Self::PollVote { .. } => "poll_vote",
            Self::Edit { .. } => "edit",
            Self::Revoke { .. } => "revoke",
            Self::System { .. } => "system",
            Self::Welcome => "welcome",
            Self::Unsupported { .. } => "unsupported",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The earlier message that this one changes or points at.
    pub const fn target(&self) -> Option<&MessageKey> {
        match self {
            Self::Reaction { target, .. }
            | Self::PollVote { target, .. }
            | Self::Edit { target, .. }
            | Self::Revoke { target } => Some(target),
            _ => None,
        }
    }

    /// Whether a person said something that an automatic answer can answer.
    pub const fn wants_answer(&self) -> bool {
        !matches!(
            self,
            Self::Reaction { .. }
                | Self::Edit { .. }
                | Self::Revoke { .. }
                | Self::System { .. }
                | Self::Unsupported { .. }
                | Self::Unknown { .. }
        )
    }
}

/// A message that came in.
#[derive(Debug, Clone, PartialEq)]
pub struct IncomingMessage {
    /// The id on the wire.
    pub wire_id: String,
    /// Who sent it.
    pub sender: PersonIds,
    /// The sender as the channel names them in this chat, where answers and reactions have to.
    pub address: Option<String>,
    /// To whom it went, when it is an echo of what the business wrote on its phone.
    pub recipient: Option<PersonIds>,
    /// The group that it was sent in.
    pub group: Option<String>,
    /// The name that the sender goes by.
    pub profile_name: Option<String>,
    /// When it was sent, as the network says; `None` when it said nothing readable.
    pub sent_at: Option<Timestamp>,
    /// What it holds.
    pub content: IncomingContent,
    /// The message that it answers.
    pub reply_to: Option<MessageKey>,
    /// Whether it was forwarded.
    pub forwarded: bool,
    /// The advertisement that it came from, as the network has it.
    pub referral: Option<Value>,
    /// What the network reported as wrong with it.
    pub errors: Vec<Reason>,
}

/// How far a message got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delivery {
    /// The network sent it on.
    Sent,
    /// It reached the recipient's device.
    Delivered,
    /// It was read.
    Read,
    /// It was played (voice notes).
    Played,
    /// It will not arrive.
    Failed(Reason),
    /// A word that this version does not know.
    Other(String),
}

/// The price of a message, as the network told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pricing {
    /// Whether it costs.
    pub billable: Option<bool>,
    /// `PMP`, `CBP`, or what Meta adds.
    pub model: Option<String>,
    /// `marketing`, `utility`, `service` …
    pub category: Option<String>,
    /// `regular`, `free_customer_service`, `free_entry_point` …
    pub kind: Option<String>,
}

/// News of a message that we sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// The id on the wire.
    pub wire_id: String,
    /// What we sent along with the message: our own id.
    pub callback: Option<String>,
    /// How far it got.
    pub delivery: Delivery,
    /// When, as the network says.
    pub at: Option<Timestamp>,
    /// Who the recipient is.
    pub recipient: PersonIds,
    /// In groups: whose device reports.
    pub participant: Option<PersonIds>,
    /// The price.
    pub pricing: Option<Pricing>,
    /// Until when messages in this conversation are free (free entry point).
    pub entry_point_expires_at: Option<Timestamp>,
}
