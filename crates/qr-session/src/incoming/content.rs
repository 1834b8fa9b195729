//! What an incoming message holds, by the part that is set.

use kabar_channel::content::{Location, Poll};
use kabar_channel::{IncomingContent, Reason};
use serde_json::json;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::ProtocolMessage;
use waproto::whatsapp::message::protocol_message::Type;

use super::answers::answer;
use super::file::file;
use super::raw::protobuf;
use super::read;
use super::scene::Scene;
use super::unknown::{kind, says_nothing};
use super::unwrap::unwrap;
use super::vote::EncryptedVote;
use crate::vcard;

/// Cards that are read from one message at most; WhatsApp's senders stop at 257.
const MOST_CARDS: usize = 257;
/// Options that are read from one poll at most; WhatsApp's senders stop at 12.
const MOST_OPTIONS: usize = 100;

/// The content of a message without its envelopes. `None` for what only devices say to each other.
pub(super) fn content(scene: &Scene<'_>, message: &wa::Message) -> Option<IncomingContent> {
    match message.protocol_message.as_option() {
        Some(protocol) => protocol_content(scene, protocol),
        None => said(scene, message),
    }
}

/// What people say. What cannot be read is kept as it came.
fn said(scene: &Scene<'_>, message: &wa::Message) -> Option<IncomingContent> {
    let found = text(message)
        .or_else(|| file(message))
        .or_else(|| place(message))
        .or_else(|| cards(message))
        .or_else(|| answer(message))
        .or_else(|| reaction(scene, message))
        .or_else(|| vote(scene, message))
        .or_else(|| poll(message))
        .or_else(|| invite(message))
        .or_else(|| placeholder(message));
    if found.is_none() && says_nothing(message) {
        return None;
    }
    Some(found.unwrap_or_else(|| unknown(message)))
}

fn unknown(message: &wa::Message) -> IncomingContent {
    IncomingContent::Unknown { kind: kind(message).to_owned(), raw: protobuf(message) }
}

fn text(message: &wa::Message) -> Option<IncomingContent> {
    let extended = || message.extended_text_message.as_option()?.text.as_deref();
    let body = read::words(message.conversation.as_deref()).or_else(|| read::words(extended()))?;
    Some(IncomingContent::Text { body })
}

/// A place, or where somebody is right now.
fn place(message: &wa::Message) -> Option<IncomingContent> {
    let still = || {
        let place = message.location_message.as_option()?;
        let (latitude, longitude) = (place.degrees_latitude?, place.degrees_longitude?);
        let name = place.name.as_deref().or(place.comment.as_deref());
        Some((latitude, longitude, name, place.address.as_deref()))
    };
    let live = || {
        let place = message.live_location_message.as_option()?;
        let (latitude, longitude) = (place.degrees_latitude?, place.degrees_longitude?);
        Some((latitude, longitude, place.caption.as_deref(), None))
    };
    let (latitude, longitude, name, address) = still().or_else(live)?;
    let on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
    on_earth.then(|| {
        let (name, address) = (read::name(name), read::name(address));
        IncomingContent::Location(Location { latitude, longitude, name, address })
    })
}

fn cards(message: &wa::Message) -> Option<IncomingContent> {
    let many = message.contacts_array_message.as_option().map(|array| array.contacts.as_slice());
    let one = message.contact_message.as_option().map(std::slice::from_ref);
    let card = |card: &wa::message::ContactMessage| {
        vcard::read(card.vcard.as_deref().unwrap_or_default(), card.display_name.as_deref())
    };
    let cards: Vec<_> = many.or(one)?.iter().take(MOST_CARDS).filter_map(card).collect();
    (!cards.is_empty()).then_some(IncomingContent::Contacts { cards })
}

/// Without an emoji the reaction is taken back.
fn reaction(scene: &Scene<'_>, message: &wa::Message) -> Option<IncomingContent> {
    let reaction = message.reaction_message.as_option()?;
    Some(IncomingContent::Reaction {
        target: scene.target(reaction.key.as_option()?)?,
        emoji: read::name(reaction.text.as_deref()),
    })
}

fn vote(scene: &Scene<'_>, message: &wa::Message) -> Option<IncomingContent> {
    EncryptedVote::read(scene, message).map(|vote| vote.marker())
}

/// A poll that somebody else asks. The content model has no such thing coming in, so it is unknown to
/// it; what is kept of it has the shape of one that goes out.
fn poll(message: &wa::Message) -> Option<IncomingContent> {
    let versions = [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
        &message.poll_creation_message_v5,
        &message.poll_creation_message_v6,
    ];
    let poll = versions.into_iter().find_map(|version| version.as_option())?;
    let options = poll.options.iter().take(MOST_OPTIONS);
    let shown = Poll {
        question: read::name(poll.name.as_deref()).unwrap_or_default(),
        options: options.filter_map(|option| read::name(option.option_name.as_deref())).collect(),
        selectable: poll.selectable_options_count.and_then(|n| n.try_into().ok()).unwrap_or(0),
    };
    Some(IncomingContent::Unknown { kind: "poll".to_owned(), raw: json!(shown) })
}

fn invite(message: &wa::Message) -> Option<IncomingContent> {
    let invite = message.group_invite_message.as_option()?;
    let raw = json!({
        "group": read::id(invite.group_jid.as_deref()),
        "name": read::name(invite.group_name.as_deref()),
        "code": read::id(invite.invite_code.as_deref()),
        "expires_at": invite.invite_expiration,
        "text": read::words(invite.caption.as_deref()),
    });
    Some(IncomingContent::Unknown { kind: "group_invite".to_owned(), raw })
}

/// What WhatsApp shows on the phone alone.
fn placeholder(message: &wa::Message) -> Option<IncomingContent> {
    message.placeholder_message.as_option()?;
    let reason = Reason::new("placeholder", "WhatsApp shows this message on the phone alone");
    Some(IncomingContent::Unsupported { reason: Some(reason) })
}

/// What concerns earlier messages or the chat. Everything else of this family is between devices.
fn protocol_content(scene: &Scene<'_>, protocol: &ProtocolMessage) -> Option<IncomingContent> {
    let target = || scene.target(protocol.key.as_option()?);
    match protocol.r#type {
        Some(Type::REVOKE) => Some(IncomingContent::Revoke { target: target()? }),
        Some(Type::MESSAGE_EDIT) => {
            let content = Box::new(edited(scene, protocol.edited_message.as_option()?)?);
            Some(IncomingContent::Edit { target: target()?, content })
        }
        Some(Type::REQUEST_WELCOME_MESSAGE) if !scene.is_ours() => Some(IncomingContent::Welcome),
        _ => None,
    }
}

/// The new content. An edit of an edit is none.
fn edited(scene: &Scene<'_>, message: &wa::Message) -> Option<IncomingContent> {
    let inner = unwrap(message);
    if inner.protocol_message.is_set() { None } else { said(scene, inner) }
}
