//! What can be sent. One model for every channel; [`mod@crate::fit`] says what becomes of a content
//! that a channel cannot carry.

use serde::{Deserialize, Serialize};
use url::Url;

use kabar_core::MediaId;

use crate::capabilities::ContentKind;

/// A field of a content that cannot be sent, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The path inside the content, like `buttons[2].title`.
    pub field: String,
    /// What is wrong and how to mend it, a sentence.
    pub problem: String,
}

impl FieldError {
    /// A field and its problem.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Where the bytes of an outgoing file are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaRef {
    /// A file stored in Kabar; the channel uploads it while preparing.
    Stored(MediaId),
    /// A public address that the channel's network fetches.
    Link(Url),
}

/// A file with an optional caption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// The bytes.
    pub media: MediaRef,
    /// Text below the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// The name that the recipient sees (documents).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// A voice note rather than an audio file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub voice: bool,
}

impl Media {
    /// A file without caption or name.
    pub const fn new(media: MediaRef) -> Self {
        Self { media, caption: None, filename: None, voice: false }
    }
}

/// A place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees, -90 to 90.
    pub latitude: f64,
    /// Degrees, -180 to 180.
    pub longitude: f64,
    /// The place's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The place's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A person's card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    /// The name as it is shown.
    pub name: String,
    /// Phone numbers as the sender wrote them.
    #[serde(default)]
    pub phones: Vec<String>,
    /// Mail addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
    /// The company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
}

/// A question with options to tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The question.
    pub question: String,
    /// Two to twelve options, each different.
    pub options: Vec<String>,
    /// How many options may be ticked; 1 unless said otherwise.
    #[serde(default = "one")]
    pub selectable: u8,
}

const fn one() -> u8 {
    1
}

/// What a button does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Button {
    /// Sends `id` back to us.
    Reply {
        /// Our own word for the choice.
        id: String,
        /// What the recipient reads.
        title: String,
    },
    /// Opens a page.
    Url {
        /// What the recipient reads.
        title: String,
        /// The page.
        url: Url,
    },
    /// Starts a call.
    Call {
        /// What the recipient reads.
        title: String,
        /// The number, international form.
        phone: String,
    },
}

impl Button {
    /// What the recipient reads.
    pub fn title(&self) -> &str {
        match self {
            Self::Reply { title, .. } | Self::Url { title, .. } | Self::Call { title, .. } => title,
        }
    }
}

/// A text with buttons below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buttons {
    /// A line above the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The text.
    pub body: String,
    /// A small line below the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// The buttons, in order.
    pub buttons: Vec<Button>,
}

/// A line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRow {
    /// Our own word for the choice.
    pub id: String,
    /// What the recipient reads.
    pub title: String,
    /// A second, smaller line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSection {
    /// The part's title; needed when there are several parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The lines.
    pub rows: Vec<ListRow>,
}

/// A text with a menu behind one button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// A line above the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The text.
    pub body: String,
    /// A small line below the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// The text of the button that opens the menu.
    pub button: String,
    /// The parts.
    pub sections: Vec<ListSection>,
}

impl List {
    /// All lines, over all parts.
    pub fn rows(&self) -> impl Iterator<Item = &ListRow> {
        self.sections.iter().flat_map(|section| &section.rows)
    }
}

/// A message that Meta approved beforehand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// The template's name.
    pub name: String,
    /// The language code, like `en_US`.
    pub language: String,
    /// The components with their parameters, in Meta's own shape (header, body, button …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<serde_json::Value>,
}

/// Everything that can be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// Words.
    Text {
        /// The words.
        body: String,
        /// Whether the first address in the text is shown as a preview.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        preview_url: bool,
    },
    /// A picture.
    Image(Media),
    /// A film.
    Video(Media),
    /// Sound, or a voice note.
    Audio(Media),
    /// A file.
    Document(Media),
    /// A sticker (webp).
    Sticker(Media),
    /// A place.
    Location(Location),
    /// One or more persons' cards.
    Contacts {
        /// The cards.
        cards: Vec<ContactCard>,
    },
    /// A question with options to tick.
    Poll(Poll),
    /// A text with buttons.
    Buttons(Buttons),
    /// A text with a menu.
    List(List),
    /// An emoji on another message; the message is named by [`crate::Outgoing::reply_to`].
    Reaction {
        /// The emoji; empty takes the reaction back.
        emoji: String,
    },
    /// A template approved by Meta.
    Template(Template),
}

impl Content {
    /// Plain words without preview.
    pub fn text(body: impl Into<String>) -> Self {
        Self::Text { body: body.into(), preview_url: false }
    }

    /// Which kind of content this is.
    pub const fn kind(&self) -> ContentKind {
        match self {
            Self::Text { .. } => ContentKind::Text,
            Self::Image(_) => ContentKind::Image,
            Self::Video(_) => ContentKind::Video,
            Self::Audio(_) => ContentKind::Audio,
            Self::Document(_) => ContentKind::Document,
            Self::Sticker(_) => ContentKind::Sticker,
            Self::Location(_) => ContentKind::Location,
            Self::Contacts { .. } => ContentKind::Contacts,
            Self::Poll(_) => ContentKind::Poll,
            Self::Buttons(_) => ContentKind::Buttons,
            Self::List(_) => ContentKind::List,
            Self::Reaction { .. } => ContentKind::Reaction,
            Self::Template(_) => ContentKind::Template,
        }
    }

    /// The file, if the content is one.
    pub const fn media(&self) -> Option<&Media> {
        match self {
            Self::Image(media)
            | Self::Video(media)
            | Self::Audio(media)
            | Self::Document(media)
            | Self::Sticker(media) => Some(media),
            _ => None,
        }
    }

    /// The stored file that is to be sent, if there is one.
    pub const fn stored(&self) -> Option<MediaId> {
        match self.media() {
            Some(Media { media: MediaRef::Stored(id), .. }) => Some(*id),
            _ => None,
        }
    }

    /// The content as faces and webhooks show it: a file's place is not one level deeper.
    pub fn shown(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = value.as_object_mut()
            && let Some(media) = fields.remove("media")
        {
            let at = |name: &str| media.get(name).cloned();
            if let Some(id) = at("stored") {
                fields.insert("media_id".to_owned(), id);
            } else if let Some(link) = at("link") {
                fields.insert("link".to_owned(), link);
            }
        }
        value
    }

    /// The words of the content, for history and search.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Text { body, .. } => Some(body),
            Self::Buttons(buttons) => Some(&buttons.body),
            Self::List(list) => Some(&list.body),
            Self::Poll(poll) => Some(&poll.question),
            Self::Reaction { emoji } => Some(emoji),
            _ => self.media().and_then(|media| media.caption.as_deref()),
        }
    }
}
