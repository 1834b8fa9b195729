//! Ids, closed lists of words and cursors as the API reads and writes them.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use kabar::accounts::{Door, LoginOutcome};
use kabar::channel::Fallback;
use kabar::contacts::import::{Existing, ImportFormat, ImportState, RowState};
use kabar::contacts::{PreferenceChange, PreferenceSource, StopScope};
use kabar::core::{
    AccountId, AlertId, ApiKeyId, AuditId, BroadcastId, ContactId, ConversationId, Cursor,
    DeliveryId, DeviceId, EndpointId, ExportId, GroupId, ImportId, JobId, MediaId, MessageId,
    MetaAppId, Permission, Role, RuleId, SessionId, TemplateId, UserId,
};
use kabar::devices::DeviceState;
use kabar::events::{Kind, Position};
use kabar::exports::{ExportState, Format};
use kabar::insights::{By, Group};
use kabar::messaging::broadcast::{BroadcastState, RecipientState, Source};
use kabar::messaging::bulk::{BulkAction, BulkState};
use kabar::messaging::{Direction, Origin, Purpose, Status};
use kabar::operations::Condition;
use kabar::rules::{MatchKind, Words};
use kabar::webhooks::{DeliveryState, EndpointState, EventPattern, ResendState, kinds};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{
    ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A value with one text form, which the document describes.
pub trait Text: Sized + Send + Sync + 'static {
    /// A name for it.
    const NAME: &'static str;
    /// Reads it; the error names what would be right.
    fn read(text: &str) -> Result<Self, String>;
    /// Writes it.
    fn write(&self) -> String;
    /// What the document says of it.
    fn schema() -> MetaSchema;
}

/// A value of the API that is text on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word<T>(pub T);

impl<T: Text> Type for Word<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("string_{}", T::NAME).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(T::schema()))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: Text> ParseFromJSON for Word<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => T::read(&text).map(Self).map_err(ParseError::custom),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl<T: Text> ParseFromParameter for Word<T> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        T::read(text).map(Self).map_err(ParseError::custom)
    }
}

impl<T: Text> ToJSON for Word<T> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.write()))
    }
}

impl<T: Text> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.write())
    }
}

impl<'de, T: Text> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        T::read(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

fn read<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

macro_rules! ids {
    ($($id:ident),+) => {$(
        impl Text for $id {
            const NAME: &'static str = $id::PREFIX;

            fn read(text: &str) -> Result<Self, String> {
                read(text)
            }

            fn write(&self) -> String {
                self.to_string()
            }

            fn schema() -> MetaSchema {
                MetaSchema {
                    pattern: Some(format!("^{}_[0-9a-f]{{32}}$", $id::PREFIX)),
                    ..MetaSchema::new("string")
                }
            }
        }
    )+};
}

ids!(
    AccountId,
    AlertId,
    ApiKeyId,
    AuditId,
    BroadcastId,
    ContactId,
    ConversationId,
    DeliveryId,
    DeviceId,
    EndpointId,
    ExportId,
    GroupId,
    ImportId,
    JobId,
    MediaId,
    MessageId,
    MetaAppId,
    RuleId,
    SessionId,
    TemplateId,
    UserId
);

/// A closed list: its words in the document's order.
fn listed(words: impl IntoIterator<Item = &'static str>) -> MetaSchema {
    MetaSchema {
        enum_items: words.into_iter().map(Value::from).collect(),
        ..MetaSchema::new("string")
    }
}

fn known<T: Copy>(all: &[T], word: fn(T) -> &'static str, text: &str) -> Result<T, String> {
    all.iter().copied().find(|one| word(*one) == text).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
        let text: String = text.chars().take(64).collect();
        format!("`{text}` is none of {}", words.join(", "))
    })
}

macro_rules! lists {
    ($($list:ty, $name:literal, $all:expr, $word:expr;)+) => {$(
        impl Text for $list {
            const NAME: &'static str = $name;

            fn read(text: &str) -> Result<Self, String> {
                known($all, $word, text)
            }

            fn write(&self) -> String {
                let word: fn(Self) -> &'static str = $word;
                word(*self).to_owned()
            }

            fn schema() -> MetaSchema {
                let word: fn(Self) -> &'static str = $word;
                listed($all.iter().map(|one| word(*one)))
            }
        }
    )+};
}

/// The channels' downgrade in words.
const fn fallback(fallback: Fallback) -> &'static str {
    match fallback {
        Fallback::Refuse => "refuse",
        // What is added later is a kind of downgrade.
        _ => "downgrade",
    }
}

const fn words(words: Words) -> &'static str {
    match words {
        Words::Whole => "whole",
        Words::Partial => "partial",
    }
}

const MATCH_KINDS: &[MatchKind] =
    &[MatchKind::Exact, MatchKind::Contains, MatchKind::Begin, MatchKind::End];

lists! {
    Role, "role", Role::ALL, Role::as_str;
    Door, "door", Door::ALL, Door::as_str;
    LoginOutcome, "login_outcome", LoginOutcome::ALL, LoginOutcome::as_str;
    Permission, "permission", Permission::ALL, Permission::as_str;
    DeviceState, "device_state", DeviceState::ALL, DeviceState::as_str;
    Direction, "direction", Direction::ALL, Direction::as_str;
    Condition, "condition", Condition::ALL, Condition::as_str;
    Status, "status", Status::ALL, Status::as_str;
    Purpose, "purpose", Purpose::ALL, Purpose::as_str;
    Origin, "origin", Origin::ALL, Origin::as_str;
    BroadcastState, "broadcast_state", BroadcastState::ALL, BroadcastState::as_str;
    RecipientState, "recipient_state", RecipientState::ALL, RecipientState::as_str;
    Source, "recipient_source", Source::ALL, Source::as_str;
    BulkAction, "bulk_action", BulkAction::ALL, BulkAction::as_str;
    BulkState, "bulk_state", BulkState::ALL, BulkState::as_str;
    EndpointState, "endpoint_state", EndpointState::ALL, EndpointState::as_str;
    DeliveryState, "delivery_state", DeliveryState::ALL, DeliveryState::as_str;
    ResendState, "resend_state", ResendState::ALL, ResendState::as_str;
    By, "by", By::ALL, By::as_str;
    Group, "group", Group::ALL, Group::as_str;
    StopScope, "stop_scope", StopScope::ALL, StopScope::as_str;
    PreferenceChange, "preference_change", PreferenceChange::ALL, PreferenceChange::as_str;
    PreferenceSource, "preference_source", PreferenceSource::ALL, PreferenceSource::as_str;
    Existing, "existing", Existing::ALL, Existing::as_str;
    ImportFormat, "import_format", ImportFormat::ALL, ImportFormat::as_str;
    ImportState, "import_state", ImportState::ALL, ImportState::as_str;
    RowState, "row_state", RowState::ALL, RowState::as_str;
    ExportState, "export_state", ExportState::ALL, ExportState::as_str;
    Format, "export_format", Format::ALL, Format::as_str;
    MatchKind, "match_kind", MATCH_KINDS, MatchKind::as_str;
    Words, "words", &[Words::Whole, Words::Partial], words;
    Fallback, "fallback", &[Fallback::Downgrade, Fallback::Refuse], fallback;
}

/// A list of one word: the `type` of an object that is one of several.
macro_rules! tags {
    ($($(#[$doc:meta])* $tag:ident = $word:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $tag;

        impl Text for $tag {
            const NAME: &'static str = $word;

            fn read(text: &str) -> Result<Self, String> {
                known(&[Self], |_| $word, text)
            }

            fn write(&self) -> String {
                $word.to_owned()
            }

            fn schema() -> MetaSchema {
                listed([$word])
            }
        }
    )+};
}

tags! {
    /// `text`
    TextTag = "text";
    /// `image`
    ImageTag = "image";
    /// `video`
    VideoTag = "video";
    /// `audio`
    AudioTag = "audio";
    /// `document`
    DocumentTag = "document";
    /// `sticker`
    StickerTag = "sticker";
    /// `location`
    LocationTag = "location";
    /// `contacts`
    ContactsTag = "contacts";
    /// `poll`
    PollTag = "poll";
    /// `buttons`
    ButtonsTag = "buttons";
    /// `list`
    ListTag = "list";
    /// `reaction`
    ReactionTag = "reaction";
    /// `template`
    TemplateTag = "template";
    /// `message`
    MessageTag = "message";
    /// `reply`
    ReplyTag = "reply";
    /// `url`
    UrlTag = "url";
    /// `call`
    CallTag = "call";
}

impl Text for Cursor {
    const NAME: &'static str = "cursor";

    fn read(text: &str) -> Result<Self, String> {
        read(text)
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^([A-Za-z0-9_-]{21}[AQgw]|[A-Za-z0-9_-]{32})$".to_owned()),
            ..MetaSchema::new("string")
        }
    }
}

/// Any JSON value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnyJson(pub Value);

impl Type for AnyJson {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "any_json".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::ANY))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for AnyJson {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(Self(value.unwrap_or_default()))
    }
}

impl ToJSON for AnyJson {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

impl Text for Kind {
    const NAME: &'static str = "event_kind";

    fn read(text: &str) -> Result<Self, String> {
        read(text)
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some(r"^[a-z_]+\.([a-z_]+|\*)$".to_owned()),
            ..MetaSchema::new("string")
        }
    }
}

impl Text for Position {
    const NAME: &'static str = "position";

    fn read(text: &str) -> Result<Self, String> {
        read(text)
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn schema() -> MetaSchema {
        MetaSchema {
            pattern: Some("^[0-9]{1,18}-[0-9]{1,18}$".to_owned()),
            ..MetaSchema::new("string")
        }
    }
}

impl Text for EventPattern {
    const NAME: &'static str = "event_pattern";

    fn read(text: &str) -> Result<Self, String> {
        read(text)
    }

    fn write(&self) -> String {
        self.as_str().to_owned()
    }

    fn schema() -> MetaSchema {
        let kinds: Vec<&str> = kinds::KINDS.iter().map(|(kind, _)| *kind).collect();
        let mut words: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let areas = kinds.iter().filter_map(|kind| kind.split_once('.'));
        words.extend(areas.map(|(area, _)| format!("{area}.*")));
        words.push("*".to_owned());
        words.sort();
        words.dedup();
        MetaSchema {
            enum_items: words.into_iter().map(Value::from).collect(),
            ..MetaSchema::new("string")
        }
    }
}
