//! Messages that people send, and echoes of what the business writes on its phone.

use kabar_channel::{
    ChannelEvent, EventBody, IncomingContent, IncomingMessage, MessageKey, PersonIds,
};
use serde_json::Value;

use super::change::Scene;
use super::content::content;
use super::people::{person_at, tells_more};
use super::read::{flag, id, object, reasons, text, time};

const FROM: [&str; 3] = ["from", "from_user_id", "from_parent_user_id"];
const TO: [&str; 3] = ["to", "to_user_id", "to_parent_user_id"];

/// Somebody wrote. A system message also gives the person's new ids.
pub(super) fn incoming(
    events: &mut Vec<ChannelEvent>,
    scene: &Scene<'_>,
    place: &str,
    item: &Value,
) {
    let mut sender = person_at(item, FROM);
    let profile_name = scene.people.complete_or_only(&mut sender);
    let Some(mut message) = read(scene, item, sender) else {
        events.push(scene.unknown(place, "the message has no readable id", item));
        return;
    };
    message.profile_name = profile_name;
    let identity = identity(item, &message);
    events.push(scene.event(EventBody::Message(Box::new(message)), item));
    events.extend(identity.map(|body| scene.event(body, item)));
}

/// The business wrote on its own phone.
pub(super) fn echo(scene: &Scene<'_>, place: &str, item: &Value) -> ChannelEvent {
    match read(scene, item, person_at(item, FROM)) {
        Some(mut message) => {
            message.recipient = Some(recipient(scene, item)).filter(|ids| !ids.is_empty());
            scene.event(EventBody::Echo(Box::new(message)), item)
        }
        None => scene.unknown(place, "the message has no readable id", item),
    }
}

/// To whom a message of ours went.
pub(super) fn recipient(scene: &Scene<'_>, item: &Value) -> PersonIds {
    let mut recipient = person_at(item, TO);
    scene.people.complete_or_only(&mut recipient);
    recipient
}

/// Who sent it, as far as the message and the contacts tell.
pub(super) fn sender(scene: &Scene<'_>, item: &Value) -> (PersonIds, Option<String>) {
    let mut sender = person_at(item, FROM);
    let profile_name = scene.people.complete(&mut sender);
    (sender, profile_name)
}

/// A message with an id; everything else may be missing.
pub(super) fn read(scene: &Scene<'_>, item: &Value, sender: PersonIds) -> Option<IncomingMessage> {
    let context = object(item, "context").unwrap_or(&Value::Null);
    let forwarded = ["forwarded", "frequently_forwarded"];
    Some(IncomingMessage {
        wire_id: id(item, "id")?,
        sender,
        address: None,
        recipient: None,
        group: id(item, "group_id"),
        profile_name: None,
        sent_at: time(item, "timestamp").filter(|at| *at <= scene.latest()),
        content: content(item),
        reply_to: quoted(scene, context),
        forwarded: forwarded.iter().any(|key| flag(context, key) == Some(true)),
        referral: object(item, "referral").cloned(),
        errors: reasons(item),
    })
}

/// The message that another one answers.
fn quoted(scene: &Scene<'_>, context: &Value) -> Option<MessageKey> {
    let sender = id(context, "from").or_else(|| id(context, "from_user_id"));
    let bare = sender.as_deref().map(|from| from.trim_start_matches('+'));
    Some(MessageKey {
        from_me: bare.is_some() && bare == scene.business.as_deref(),
        sender,
        ..MessageKey::id(id(context, "id")?)
    })
}

/// The change of a person's ids that a system message tells. A changed identity key changes none.
fn identity(item: &Value, message: &IncomingMessage) -> Option<EventBody> {
    let IncomingContent::System { kind, new, .. } = &message.content else {
        return None;
    };
    let system = object(item, "system").unwrap_or(&Value::Null);
    let mut old = message.sender.clone();
    if let Some(previous) = id(system, "previous_user_id") {
        old.bsuid = Some(previous);
    }
    if let Some(previous) = id(system, "previous_parent_user_id") {
        old.parent_bsuid = Some(previous);
    }
    let keeps_ids = kind == "customer_identity_changed";
    (!keeps_ids && !old.is_empty() && tells_more(new, &old))
        .then(|| EventBody::Identity { old, new: new.clone() })
}

/// The digits of a number below a key, for comparison.
pub(super) fn bare(item: &Value, key: &str) -> Option<String> {
    let text = text(item, key)?;
    let digits = text.trim().trim_start_matches('+');
    (!digits.is_empty()).then(|| digits.to_owned())
}
