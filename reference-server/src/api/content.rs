//! What a message holds: one object of several, told apart by its `type`.

use std::borrow::Cow;

use kabar::channel::content::{
    Button, Buttons, ContactCard, List, ListRow, ListSection, Location, Media, Poll, Template,
};
use kabar::channel::{Content, MediaRef};
use kabar::core::MediaId;
use poem_openapi::Object;
use poem_openapi::registry::{MetaDiscriminatorObject, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;

use super::body;
use super::words::{
    AnyJson, AudioTag, ButtonsTag, CallTag, ContactsTag, DocumentTag, ImageTag, ListTag,
    LocationTag, PollTag, ReactionTag, ReplyTag, StickerTag, TemplateTag, TextTag, UrlTag,
    VideoTag, Word,
};
use crate::problem::Problem;

/// An object that is one of several, by its field `type`: how it is read, written and described.
macro_rules! one_of {
    ($(#[$doc:meta])* $name:ident ($wire:literal): $($variant:ident($body:ty) = $word:literal,)+) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {
            $(
                #[doc = concat!("`", $word, "`")]
                $variant($body),
            )+
        }

        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $wire.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Reference($wire.to_owned())
            }

            fn register(registry: &mut Registry) {
                registry.create_schema::<Self, _>($wire.to_owned(), |registry| {
                    $(<$body>::register(registry);)+
                    let place = |schema: MetaSchemaRef| match schema {
                        MetaSchemaRef::Reference(name) => format!("#/components/schemas/{name}"),
                        MetaSchemaRef::Inline(_) => String::new(),
                    };
                    MetaSchema {
                        one_of: vec![$(<$body>::schema_ref(),)+],
                        discriminator: Some(MetaDiscriminatorObject {
                            property_name: "type",
                            mapping: vec![$(($word.to_owned(), place(<$body>::schema_ref())),)+],
                        }),
                        ..MetaSchema::new("object")
                    }
                });
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                serde_json::from_value(value.unwrap_or_default()).map_err(ParseError::custom)
            }
        }

        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                match self {
                    $(Self::$variant(body) => body.to_json(),)+
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = Value::deserialize(deserializer)?;
                let words = concat!($("`", $word, "` "),+).trim_end();
                match value.get("type").map(Value::as_str) {
                    $(
                        Some(Some($word)) => {
                            body::from_value(value).map(Self::$variant).map_err(body::below)
                        }
                    )+
                    _ => Err(body::below((
                        "type".to_owned(),
                        format!("must be one of {words}"),
                    ))),
                }
            }
        }
    };
}

one_of! {
    /// Everything that can be sent.
    ContentBody("Content"):
    Text(TextBody) = "text",
    Image(ImageBody) = "image",
    Video(VideoBody) = "video",
    Audio(AudioBody) = "audio",
    Document(DocumentBody) = "document",
    Sticker(StickerBody) = "sticker",
    Location(LocationBody) = "location",
    Contacts(ContactsBody) = "contacts",
    Poll(PollBody) = "poll",
    Buttons(ButtonsBody) = "buttons",
    List(ListBody) = "list",
    Reaction(ReactionBody) = "reaction",
    Template(TemplateBody) = "template",
}

/// Words.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Text")]
#[serde(deny_unknown_fields)]
pub struct TextBody {
    /// `text`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<TextTag>,
    /// The words.
    #[oai(validator(min_length = 1, max_length = 4096))]
    pub body: String,
    /// Whether the first address in the text is shown as a preview.
    #[oai(default)]
    #[serde(default)]
    pub preview_url: bool,
}

/// A kind of file: what it holds beside its bytes.
macro_rules! files {
    ($($(#[$doc:meta])* $name:ident ($wire:literal, $tag:ty) {
        $($(#[$fdoc:meta])* $field:ident: $ty:ty,)*
    })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Object, Deserialize)]
        #[oai(rename = $wire)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// What it is.
            #[oai(rename = "type")]
            #[serde(rename = "type")]
            pub kind: Word<$tag>,
            /// A stored file; either this or `link`.
            pub media_id: Option<Word<MediaId>>,
            /// A public address that the network fetches; either this or `media_id`.
            pub link: Option<Url>,
            $($(#[$fdoc])* #[oai(default)] #[serde(default)] pub $field: $ty,)*
        }

        impl TryFrom<$name> for Media {
            type Error = FileProblem;

            fn try_from(body: $name) -> Result<Self, FileProblem> {
                Ok(Self {
                    $($field: body.$field,)*
                    ..Self::new(file(body.media_id, body.link)?)
                })
            }
        }
    )+};
}

files! {
    /// A picture.
    ImageBody("Image", ImageTag) {
        /// Text below the picture.
        caption: Option<String>,
    }
    /// A film.
    VideoBody("Video", VideoTag) {
        /// Text below the film.
        caption: Option<String>,
    }
    /// Sound, or a voice note.
    AudioBody("Audio", AudioTag) {
        /// A voice note rather than an audio file.
        voice: bool,
    }
    /// A file.
    DocumentBody("Document", DocumentTag) {
        /// Text below the file.
        caption: Option<String>,
        /// The name that the recipient sees.
        filename: Option<String>,
    }
    /// A sticker (webp).
    StickerBody("Sticker", StickerTag) {}
}

/// Neither or both of `media_id` and `link`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileProblem;

fn file(media_id: Option<Word<MediaId>>, link: Option<Url>) -> Result<MediaRef, FileProblem> {
    match (media_id, link) {
        (Some(id), None) => Ok(MediaRef::Stored(id.0)),
        (None, Some(link)) => Ok(MediaRef::Link(link)),
        _ => Err(FileProblem),
    }
}

/// A place.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Location")]
#[serde(deny_unknown_fields)]
pub struct LocationBody {
    /// `location`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<LocationTag>,
    /// Degrees, -90 to 90.
    #[oai(validator(minimum(value = "-90"), maximum(value = "90")))]
    pub latitude: f64,
    /// Degrees, -180 to 180.
    #[oai(validator(minimum(value = "-180"), maximum(value = "180")))]
    pub longitude: f64,
    /// The place's name.
    pub name: Option<String>,
    /// The place's address.
    pub address: Option<String>,
}

/// A person's card.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "ContactCard")]
#[serde(deny_unknown_fields)]
pub struct CardBody {
    /// The name as it is shown.
    #[oai(validator(min_length = 1))]
    pub name: String,
    /// Phone numbers.
    #[oai(default)]
    #[serde(default)]
    pub phones: Vec<String>,
    /// Mail addresses.
    #[oai(default)]
    #[serde(default)]
    pub emails: Vec<String>,
    /// The company.
    pub organisation: Option<String>,
}

/// Persons' cards.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Contacts")]
#[serde(deny_unknown_fields)]
pub struct ContactsBody {
    /// `contacts`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<ContactsTag>,
    /// The cards.
    #[oai(validator(min_items = 1))]
    pub cards: Vec<CardBody>,
}

/// A question with options to tick.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Poll")]
#[serde(deny_unknown_fields)]
pub struct PollBody {
    /// `poll`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<PollTag>,
    /// The question.
    #[oai(validator(min_length = 1))]
    pub question: String,
    /// Two to twelve options, each different.
    #[oai(validator(min_items = 2, max_items = 12))]
    pub options: Vec<String>,
    /// How many options may be ticked.
    #[oai(default = "one")]
    #[serde(default = "one")]
    pub selectable: u8,
}

const fn one() -> u8 {
    1
}

one_of! {
    /// What a button does.
    ButtonBody("Button"):
    Reply(ReplyButton) = "reply",
    Url(UrlButton) = "url",
    Call(CallButton) = "call",
}

/// Sends its id back.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyButton {
    /// `reply`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<ReplyTag>,
    /// Your own word for the choice.
    #[oai(validator(min_length = 1))]
    pub id: String,
    /// What the recipient reads.
    #[oai(validator(min_length = 1))]
    pub title: String,
}

/// Opens a page.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlButton {
    /// `url`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<UrlTag>,
    /// What the recipient reads.
    #[oai(validator(min_length = 1))]
    pub title: String,
    /// The page.
    pub url: Url,
}

/// Starts a call.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallButton {
    /// `call`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<CallTag>,
    /// What the recipient reads.
    #[oai(validator(min_length = 1))]
    pub title: String,
    /// The number, with its country code.
    #[oai(validator(min_length = 1))]
    pub phone: String,
}

/// A text with buttons below.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Buttons")]
#[serde(deny_unknown_fields)]
pub struct ButtonsBody {
    /// `buttons`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<ButtonsTag>,
    /// A line above the body.
    pub header: Option<String>,
    /// The text.
    #[oai(validator(min_length = 1))]
    pub body: String,
    /// A small line below the body.
    pub footer: Option<String>,
    /// The buttons, in order.
    #[oai(validator(min_items = 1))]
    pub buttons: Vec<ButtonBody>,
}

/// A line of a list.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "ListRow")]
#[serde(deny_unknown_fields)]
pub struct RowBody {
    /// Your own word for the choice.
    #[oai(validator(min_length = 1))]
    pub id: String,
    /// What the recipient reads.
    #[oai(validator(min_length = 1))]
    pub title: String,
    /// A second, smaller line.
    pub description: Option<String>,
}

/// A part of a list.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "ListSection")]
#[serde(deny_unknown_fields)]
pub struct SectionBody {
    /// The part's title; needed when there are several parts.
    pub title: Option<String>,
    /// The lines.
    #[oai(validator(min_items = 1))]
    pub rows: Vec<RowBody>,
}

/// A text with a menu behind one button.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "List")]
#[serde(deny_unknown_fields)]
pub struct ListBody {
    /// `list`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<ListTag>,
    /// A line above the body.
    pub header: Option<String>,
    /// The text.
    #[oai(validator(min_length = 1))]
    pub body: String,
    /// A small line below the body.
    pub footer: Option<String>,
    /// The text of the button that opens the menu.
    #[oai(validator(min_length = 1))]
    pub button: String,
    /// The parts.
    #[oai(validator(min_items = 1))]
    pub sections: Vec<SectionBody>,
}

/// An emoji on another message, which `reply_to` names.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Reaction")]
#[serde(deny_unknown_fields)]
pub struct ReactionBody {
    /// `reaction`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<ReactionTag>,
    /// The emoji; empty takes the reaction back.
    pub emoji: String,
}

/// A template approved by Meta.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Template")]
#[serde(deny_unknown_fields)]
pub struct TemplateBody {
    /// `template`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<TemplateTag>,
    /// The template's name.
    #[oai(validator(min_length = 1))]
    pub name: String,
    /// The language code, like `en_US`.
    #[oai(validator(min_length = 1))]
    pub language: String,
    /// The components with their parameters, in Meta's own shape.
    #[oai(default)]
    #[serde(default)]
    pub components: Vec<AnyJson>,
}

impl ContentBody {
    /// The content in the engine's words; `place` is where it stands in the request.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn content(self, place: &str) -> Result<Content, Problem> {
        let wrong = |_: FileProblem| {
            let problem = "give either `media_id` or `link`, and not both";
            Problem::invalid(format!("{place}.media_id"), problem)
        };
        Ok(match self {
            Self::Text(text) => Content::Text { body: text.body, preview_url: text.preview_url },
            Self::Image(file) => Content::Image(file.try_into().map_err(wrong)?),
            Self::Video(file) => Content::Video(file.try_into().map_err(wrong)?),
            Self::Audio(file) => Content::Audio(file.try_into().map_err(wrong)?),
            Self::Document(file) => Content::Document(file.try_into().map_err(wrong)?),
            Self::Sticker(file) => Content::Sticker(file.try_into().map_err(wrong)?),
            Self::Location(place) => Content::Location(Location {
                latitude: place.latitude,
                longitude: place.longitude,
                name: place.name,
                address: place.address,
            }),
            Self::Contacts(contacts) => Content::Contacts {
                cards: contacts.cards.into_iter().map(ContactCard::from).collect(),
            },
            Self::Poll(poll) => Content::Poll(Poll {
                question: poll.question,
                options: poll.options,
                selectable: poll.selectable,
            }),
            Self::Buttons(buttons) => Content::Buttons(Buttons {
                header: buttons.header,
                body: buttons.body,
                footer: buttons.footer,
                buttons: buttons.buttons.into_iter().map(Button::from).collect(),
            }),
            Self::List(list) => Content::List(List {
                header: list.header,
                body: list.body,
                footer: list.footer,
                button: list.button,
                sections: list.sections.into_iter().map(ListSection::from).collect(),
            }),
            Self::Reaction(reaction) => Content::Reaction { emoji: reaction.emoji },
            Self::Template(template) => Content::Template(Template {
                name: template.name,
                language: template.language,
                components: template.components.into_iter().map(|any| any.0).collect(),
            }),
        })
    }
}

impl From<CardBody> for ContactCard {
    fn from(card: CardBody) -> Self {
        Self {
            name: card.name,
            phones: card.phones,
            emails: card.emails,
            organisation: card.organisation,
        }
    }
}

impl From<ButtonBody> for Button {
    fn from(button: ButtonBody) -> Self {
        match button {
            ButtonBody::Reply(button) => Self::Reply { id: button.id, title: button.title },
            ButtonBody::Url(button) => Self::Url { title: button.title, url: button.url },
            ButtonBody::Call(button) => Self::Call { title: button.title, phone: button.phone },
        }
    }
}

impl From<SectionBody> for ListSection {
    fn from(section: SectionBody) -> Self {
        let row =
            |row: RowBody| ListRow { id: row.id, title: row.title, description: row.description };
        Self { title: section.title, rows: section.rows.into_iter().map(row).collect() }
    }
}

/// A content as the API shows it: the object that was sent.
pub fn shown(content: &Content) -> Value {
    content.shown()
}
