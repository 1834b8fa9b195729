//! What people send: WhatsApp's protobuf into [`ChannelEvent`]s.
//!
//! Everything in a message was written by a stranger. What cannot be read is kept as it came, texts have
//! bounds, ids are ids, and nothing here can fail: a batch that failed would never be acknowledged.

pub(crate) mod read;

mod answers;
mod content;
mod context;
mod file;
mod raw;
mod scene;
mod token;
mod unknown;
mod unwrap;
mod vote;

#[cfg(test)]
mod tests;

use kabar_channel::{
    ChannelEvent, DeviceAddress, EventBody, IncomingContent, IncomingMessage, MessageKey,
};
use wacore::types::message::{MessageCategory, MessageInfo};
use wacore_binary::JidExt as _;
use waproto::whatsapp as wa;

#[cfg(test)]
pub(crate) use self::token::FileKind;
pub(crate) use self::token::FileToken;
pub(crate) use self::vote::{EncryptedVote, chosen, poll_vote};

use self::scene::Scene;
use crate::address::Own;

/// What a message tells, if it tells anything: a message of somebody else, or an echo of what the
/// business wrote on its own phone. `None` for what devices say to each other, and for stories,
/// channels and our own broadcast lists, which are no conversations.
///
/// A vote in a poll comes as a marker; see [`EncryptedVote`].
pub(crate) fn event(
    device: &DeviceAddress,
    own: &Own,
    message: &wa::Message,
    info: &MessageInfo,
) -> Option<ChannelEvent> {
    if !is_conversation(info) {
        return None;
    }
    let scene = Scene { own, info };
    let inner = unwrap::unwrap(message);
    let content = content::content(&scene, inner)?;
    let body = match read::id(Some(&info.id)) {
        Some(wire_id) => body(&scene, inner, wire_id, content),
        None => EventBody::Unknown {
            place: "message".to_owned(),
            problem: "the message has no readable id".to_owned(),
        },
    };
    Some(ChannelEvent { device: Some(device.clone()), body, raw: raw::raw(message, info) })
}

fn is_conversation(info: &MessageInfo) -> bool {
    let source = &info.source;
    let between_devices = info.category == MessageCategory::Peer;
    let published = source.chat.is_status_broadcast() || source.chat.is_newsletter();
    let sent_to_many = source.is_from_me && source.chat.is_broadcast_list();
    !(between_devices || published || sent_to_many)
}

fn body(
    scene: &Scene<'_>,
    message: &wa::Message,
    wire_id: String,
    content: IncomingContent,
) -> EventBody {
    let context = context::context(message);
    let incoming = Box::new(IncomingMessage {
        wire_id,
        sender: scene.sender(),
        address: scene.address(),
        recipient: scene.recipient(),
        group: scene.group(),
        profile_name: profile_name(scene),
        sent_at: read::time(scene.info.timestamp),
        reply_to: reply_to(scene, context, &content),
        forwarded: context.is_some_and(context::is_forwarded),
        referral: context.and_then(context::referral),
        content,
        errors: Vec::new(),
    });
    if scene.is_ours() { EventBody::Echo(incoming) } else { EventBody::Message(incoming) }
}

/// What points at an earlier message by itself answers none.
fn reply_to(
    scene: &Scene<'_>,
    context: Option<&wa::ContextInfo>,
    content: &IncomingContent,
) -> Option<MessageKey> {
    content.target().is_none().then(|| context::reply_to(scene, context)).flatten()
}

/// The name that the sender goes by, which is of no interest when that is us.
fn profile_name(scene: &Scene<'_>) -> Option<String> {
    if scene.is_ours() {
        return None;
    }
    let info = scene.info;
    let verified = info.verified_name.as_ref().and_then(|name| name.name.as_deref());
    read::name(Some(&info.push_name)).or_else(|| read::name(verified))
}
