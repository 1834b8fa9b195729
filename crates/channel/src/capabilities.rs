//! What a device can carry.

use std::collections::BTreeSet;
use std::fmt;

/// The kinds of content, by the word on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ContentKind {
    /// Words.
    Text,
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Sound, or a voice note.
    Audio,
    /// A file.
    Document,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// Persons' cards.
    Contacts,
    /// A question with options.
    Poll,
    /// A text with buttons.
    Buttons,
    /// A text with a menu.
    List,
    /// An emoji on another message.
    Reaction,
    /// A template approved by Meta.
    Template,
}

impl ContentKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Text,
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::Document,
        Self::Sticker,
        Self::Location,
        Self::Contacts,
        Self::Poll,
        Self::Buttons,
        Self::List,
        Self::Reaction,
        Self::Template,
    ];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Location => "location",
            Self::Contacts => "contacts",
            Self::Poll => "poll",
            Self::Buttons => "buttons",
            Self::List => "list",
            Self::Reaction => "reaction",
            Self::Template => "template",
        }
    }
}

impl fmt::Display for ContentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a send may be repeated when its answer never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetrySafety {
    /// The id on the wire is ours, so the recipient's device drops a second copy (QR).
    SameId,
    /// The network would deliver a second copy (Cloud API).
    Never,
}

/// The most a content may hold, in Unicode scalar values unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Body of a text.
    pub text: usize,
    /// Caption of a file.
    pub caption: usize,
    /// Body of a text with buttons.
    pub buttons_body: usize,
    /// Reply buttons in one message.
    pub reply_buttons: usize,
    /// URL buttons in one message.
    pub url_buttons: usize,
    /// Call buttons in one message.
    pub call_buttons: usize,
    /// Whether reply, URL and call buttons may stand together.
    pub mixed_buttons: bool,
    /// Title of a button.
    pub button_title: usize,
    /// Our id behind a button.
    pub button_id: usize,
    /// Header and footer of buttons and lists.
    pub header: usize,
    /// Body of a list.
    pub list_body: usize,
    /// Lines of a list over all parts.
    pub list_rows: usize,
    /// Title of a line, and of a part.
    pub row_title: usize,
    /// Second line of a line.
    pub row_description: usize,
    /// Our id behind a line.
    pub row_id: usize,
    /// Options of a poll.
    pub poll_options: usize,
    /// Name in a location, and its address.
    pub location_text: usize,
}

/// What a device can carry, and how it behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The kinds of content that travel as they are.
    pub kinds: BTreeSet<ContentKind>,
    /// The most a content may hold.
    pub limits: Limits,
    /// Whether an unanswered send may be repeated.
    pub retry: RetrySafety,
    /// Whether free-form content needs an open customer-service window.
    pub window: bool,
    /// Sends in flight at the same time, at most.
    pub in_flight: usize,
    /// Sends a second, at most, where the network keeps such a limit.
    pub per_second: Option<u32>,
    /// How fast one chat may be written to, where the network keeps such a limit.
    pub pair: Option<PairLimit>,
}

/// One message to a chat each so often, on the mean; so many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairLimit {
    /// The time between two messages.
    pub every: std::time::Duration,
    /// Messages at once.
    pub burst: u32,
}

impl Capabilities {
    /// A channel that carries nothing but words, one at a time, never repeated.
    pub fn text_only() -> Self {
        Self {
            kinds: BTreeSet::from([ContentKind::Text]),
            limits: Limits::generous(),
            retry: RetrySafety::Never,
            window: false,
            in_flight: 1,
            per_second: None,
            pair: None,
        }
    }

    /// Whether the kind travels as it is.
    pub fn carries(&self, kind: ContentKind) -> bool {
        self.kinds.contains(&kind)
    }
}

impl Limits {
    /// WhatsApp's own limits where the official channel states none that is tighter.
    pub const fn generous() -> Self {
        Self {
            text: 4096,
            caption: 1024,
            buttons_body: 1024,
            reply_buttons: 3,
            url_buttons: 1,
            call_buttons: 1,
            mixed_buttons: true,
            button_title: 20,
            button_id: 256,
            header: 60,
            list_body: 4096,
            list_rows: 10,
            row_title: 24,
            row_description: 72,
            row_id: 200,
            poll_options: 12,
            location_text: 1000,
        }
    }
}
