//! A message, incoming or outgoing, with everything that later features need.

use std::collections::BTreeMap;

use kabar_channel::incoming::Pricing;
use kabar_channel::{
    Author, Choice, Content, ContentKind, Fallback, IncomingContent, MessageKey, Prepared, Reason,
    Recipient,
};
use kabar_core::{
    AccountId, BroadcastId, ContactId, ConversationId, DeviceId, MediaId, MessageId, PhoneNumber,
    Timestamp,
};
use kabar_events::MessageTraits;
use kabar_rules::Missing;
use serde_json::Value;

use crate::search::Needle;

/// A closed list of words, on the wire and in storage.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal: $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every word of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::message::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::message::UnknownWord::new(text, $what)),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(reader)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use words;

/// A word that is not on its list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a {what}")]
pub struct UnknownWord {
    word: String,
    what: &'static str,
}

impl UnknownWord {
    pub(crate) fn new(word: &str, what: &'static str) -> Self {
        Self { word: word.chars().take(64).collect(), what }
    }
}

words! {
    /// Which way a message went.
    Direction, "direction":
    /// From a contact to us.
    In = "in",
    /// From us to a contact.
    Out = "out",
}

words! {
    /// How far a message got. Incoming messages are `delivered`, then `read`.
    Status, "status":
    /// It waits for its turn.
    Pending = "pending",
    /// It waits for a reason that is shown, until a time that is shown.
    Held = "held",
    /// A node has it in hand.
    Processing = "processing",
    /// The network took it.
    Sent = "sent",
    /// It reached the recipient's device.
    Delivered = "delivered",
    /// It was read.
    Read = "read",
    /// It was played (voice notes).
    Played = "played",
    /// It will not arrive; the reason says why.
    Failed = "failed",
    /// Nobody knows whether it was sent; the reason says why.
    Uncertain = "uncertain",
    /// It was cancelled before it was sent.
    Cancelled = "cancelled",
    /// Its time ran out before it was sent.
    Expired = "expired",
}

impl Status {
    /// How far along the road of delivery: sent < delivered < read < played. 0 before all that.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Sent => 1,
            Self::Delivered => 2,
            Self::Read => 3,
            Self::Played => 4,
            _ => 0,
        }
    }

    /// Whether the message still waits in its lane when it is in this status and queued.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Pending | Self::Held)
    }
}

words! {
    /// How far a node got with a message that it has in hand.
    Stage, "stage":
    /// Nothing was sent yet; another node can take over.
    Claimed = "claimed",
    /// The one step that counts was begun; a takeover finds the message uncertain.
    Sending = "sending",
}

words! {
    /// What a message is for: drives priority, opt-out, quiet hours and pacing.
    Purpose, "purpose":
    /// A one-time password.
    Otp = "otp",
    /// An answer to somebody who wrote.
    Reply = "reply",
    /// A notice that the recipient expects.
    Service = "service",
    /// An offer.
    Marketing = "marketing",
}

impl Purpose {
    /// The place in the queue: lower goes first.
    pub const fn priority(self) -> i16 {
        match self {
            Self::Otp | Self::Reply => 0,
            Self::Service => 1,
            Self::Marketing => 2,
        }
    }
}

words! {
    /// Who made a message.
    Origin, "origin":
    /// A program, through a face.
    Api = "api",
    /// An autoreply rule.
    Rule = "rule",
    /// A flow.
    Flow = "flow",
    /// A broadcast.
    Broadcast = "broadcast",
    /// A human agent.
    Agent = "agent",
    /// The business, on its own phone.
    PhoneEcho = "phone_echo",
    /// The contact.
    Contact = "contact",
    /// It was there before the device was connected.
    History = "history",
}

/// What a message holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// What we send.
    Out(Content),
    /// What came in, or what the business wrote on its phone.
    In(IncomingContent),
    /// It was there, and was removed: its time was over, or somebody asked for it.
    Blank {
        /// The word for the kind that it was.
        kind: String,
    },
}

impl Body {
    /// The word for the kind of content.
    pub fn kind(&self) -> &str {
        match self {
            Self::Out(content) => content.kind().as_str(),
            Self::In(content) => content.kind(),
            Self::Blank { kind } => kind,
        }
    }

    /// The words, for rules, history and search.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Out(content) => content.words(),
            Self::In(content) => content.words(),
            Self::Blank { .. } => None,
        }
    }
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id; on channels that allow it, it travels with the message.
    pub id: MessageId,
    /// Its account.
    pub account: AccountId,
    /// The device it went over.
    pub device: DeviceId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The other side.
    pub contact: ContactId,
    /// Which way it went.
    pub direction: Direction,
    /// How far it got.
    pub status: Status,
    /// How far a node got with it, while processing.
    pub stage: Option<Stage>,
    /// Whether it is in its lane's line.
    pub queued: bool,
    /// What it holds.
    pub body: Body,
    /// What it is for.
    pub purpose: Purpose,
    /// Who made it.
    pub origin: Origin,
    /// The id of the rule, broadcast or agent that made it.
    pub origin_ref: Option<String>,
    /// The caller's own word for it.
    pub reference: Option<String>,
    /// Our own number, as it was then.
    pub own_number: Option<PhoneNumber>,
    /// How the recipient was addressed.
    pub recipient: Option<Recipient>,
    /// The number that we were asked for.
    pub asked_for: Option<PhoneNumber>,
    /// The number that the network answered with, digits.
    pub network_id: Option<String>,
    /// The id on the wire.
    pub wire_id: Option<String>,
    /// What makes an incoming message the same message, per device.
    pub dedupe_key: Option<String>,
    /// Who wrote it, when it came in from a group.
    pub author: Option<Author>,
    /// The message of ours that it answers or quotes.
    pub reply_to_id: Option<MessageId>,
    /// The same, as the network names it.
    pub reply_to: Option<MessageKey>,
    /// The message that a reaction, edit or revoke points at.
    pub target_id: Option<MessageId>,
    /// The failed message that this one is another try of.
    pub retry_of: Option<MessageId>,
    /// The choices that it offers.
    pub choices: Vec<Choice>,
    /// The kind that was asked for, when it was downgraded.
    pub downgraded_from: Option<String>,
    /// What the channel prepared.
    pub prepared: Option<Prepared>,
    /// Why it failed, is held, or is uncertain.
    pub reason: Option<Reason>,
    /// Until when it is held.
    pub held_until: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: u32,
    /// Its place in the line: the time from which it wants to be sent.
    pub due_at: Timestamp,
    /// When it may be tried next.
    pub next_at: Timestamp,
    /// When it is no longer worth sending.
    pub expires_at: Option<Timestamp>,
    /// The stored file of an incoming message.
    pub media: Option<MediaId>,
    /// Whether it was forwarded.
    pub forwarded: bool,
    /// The advertisement that it came from.
    pub referral: Option<Value>,
    /// The price.
    pub pricing: Option<Pricing>,
    /// When the sender sent it, by the network's clock.
    pub sender_at: Option<Timestamp>,
    /// When the network took it.
    pub sent_at: Option<Timestamp>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it was read.
    pub read_at: Option<Timestamp>,
    /// When it was played.
    pub played_at: Option<Timestamp>,
    /// When it failed.
    pub failed_at: Option<Timestamp>,
    /// When we stored it.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl Message {
    /// The lane that it stands in.
    pub const fn lane(&self) -> Lane {
        Lane { device: self.device, contact: self.contact }
    }

    /// The broadcast that made it.
    pub fn broadcast(&self) -> Option<BroadcastId> {
        let reference = self.origin_ref.as_deref().filter(|_| self.origin == Origin::Broadcast);
        reference.and_then(|id| id.parse().ok())
    }

    /// Its own time: when we took it, or, where the network told, when its sender wrote it.
    pub fn own_at(&self) -> Timestamp {
        let told = self.sender_at.unwrap_or(self.created_at);
        told.min(self.created_at).max(Timestamp::UNIX_EPOCH)
    }

    /// How it stands, for telling what changed.
    pub fn standing(&self) -> Standing {
        let ended_badly = matches!(self.status, Status::Failed | Status::Uncertain);
        let reason = self.reason.as_ref().filter(|_| ended_badly);
        Standing { status: self.status, reason: reason.map(|reason| reason.code.clone()) }
    }

    /// What it is counted by.
    pub fn traits(&self) -> MessageTraits {
        let broadcast = self.origin_ref.as_ref().filter(|_| self.origin == Origin::Broadcast);
        MessageTraits {
            direction: self.direction.as_str(),
            content: self.body.kind().to_owned(),
            purpose: self.purpose.as_str(),
            origin: self.origin.as_str(),
            broadcast_id: broadcast.cloned(),
            message_at: self.own_at(),
        }
    }

    /// Whether it is in its line and no send of it is under way: it waits, or a node has it in hand and
    /// has not begun to send. Such a node looks again before it begins.
    pub const fn can_be_withdrawn(&self) -> bool {
        let in_hand =
            matches!((self.status, self.stage), (Status::Processing, Some(Stage::Claimed)));
        self.queued && (self.status.is_waiting() || in_hand)
    }

    /// Takes it out of the line, with a final or settled status.
    pub fn leave_line(&mut self, status: Status, at: Timestamp) {
        self.status = status;
        self.stage = None;
        self.queued = false;
        self.prepared = None;
        self.held_until = None;
        self.updated_at = at;
    }
}

/// How a message stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How far it got.
    pub status: Status,
    /// The code of the reason, if it failed or is uncertain.
    pub reason: Option<String>,
}

/// A chat's line: one device, one contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The device.
    pub device: DeviceId,
    /// The contact.
    pub contact: ContactId,
}

/// Who is to get a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum To {
    /// A number; its contact is found or made.
    Phone(PhoneNumber),
    /// A contact.
    Contact(ContactId),
    /// A business-scoped user id in the device's portfolio.
    Bsuid(String),
    /// A group, by its id on the network.
    Group(String),
}

/// A message to send.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The device to send from.
    pub device: DeviceId,
    /// Who gets it.
    pub to: To,
    /// What it is.
    pub content: Content,
    /// What to do when the channel cannot carry it.
    pub fallback: Fallback,
    /// Fills `{variable}`s in the text, before the contact's own variables, `{name}` and `{phone}`;
    /// `None` sends the text as it is.
    pub variables: Option<BTreeMap<String, String>>,
    /// What becomes of a `{variable}` without value and default.
    pub missing_variables: Missing,
    /// What it is for.
    pub purpose: Purpose,
    /// Who made it.
    pub origin: Origin,
    /// The id of the rule, broadcast or agent that made it.
    pub origin_ref: Option<String>,
    /// The message of ours that it answers, quotes or reacts to.
    pub reply_to: Option<MessageId>,
    /// The failed message that this one is another try of.
    pub retry_of: Option<MessageId>,
    /// The caller's own word for it, at most 200 characters.
    pub reference: Option<String>,
    /// Not before this time.
    pub due_at: Option<Timestamp>,
    /// Not after this time; the device's setting decides when absent.
    pub expires_at: Option<Timestamp>,
}

impl NewMessage {
    /// A service message made by a program, with the usual fallback.
    pub const fn new(device: DeviceId, to: To, content: Content) -> Self {
        Self {
            device,
            to,
            content,
            fallback: Fallback::Downgrade,
            variables: None,
            missing_variables: Missing::Error,
            purpose: Purpose::Service,
            origin: Origin::Api,
            origin_ref: None,
            reply_to: None,
            retry_of: None,
            reference: None,
            due_at: None,
            expires_at: None,
        }
    }
}

/// Which messages are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Over this device.
    pub device: Option<DeviceId>,
    /// With this contact.
    pub contact: Option<ContactId>,
    /// In this conversation.
    pub conversation: Option<ConversationId>,
    /// This way.
    pub direction: Option<Direction>,
    /// In one of these statuses; in any when empty.
    pub statuses: Vec<Status>,
    /// With this reference.
    pub reference: Option<String>,
    /// Stored at this time or later.
    pub from: Option<Timestamp>,
    /// Stored before this time.
    pub to: Option<Timestamp>,
    /// With the person or group that has this number now.
    pub phone: Option<PhoneNumber>,
    /// With this word for the content.
    pub kind: Option<String>,
    /// For this.
    pub purpose: Option<Purpose>,
    /// Made by this.
    pub origin: Option<Origin>,
    /// Of this broadcast.
    pub broadcast: Option<BroadcastId>,
    /// That say this.
    pub words: Option<Needle>,
}

impl MessageFilter {
    /// Whether every message has to be looked at: then a page looks at so many messages only
    /// ([`crate::search::LOOK`]), may have fewer rows than asked for, even none, and still a next.
    pub const fn looks_at_each(&self) -> bool {
        self.statuses.len() > 1
            || self.kind.is_some()
            || self.purpose.is_some()
            || self.origin.is_some()
            || self.words.is_some()
    }
}

/// The kind that a message was downgraded from, for storage.
pub(crate) fn downgraded(kind: Option<ContentKind>) -> Option<String> {
    kind.map(|kind| kind.as_str().to_owned())
}
