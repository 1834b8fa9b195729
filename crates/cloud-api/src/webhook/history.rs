//! Messages from before the device was connected (coexistence).

use kabar_channel::{ChannelEvent, EventBody, IncomingMessage};
use serde_json::{Value, json};

use super::change::Scene;
use super::message::{bare, read, recipient, sender};
use super::people::person;
use super::read::{elements, flag, id, object};

/// A chunk of history: threads of messages, how far the transfer is, or why there is none.
pub(super) fn chunk(events: &mut Vec<ChannelEvent>, scene: &Scene<'_>, place: &str, chunk: &Value) {
    let before = events.len();
    for (below, thread) in elements(chunk, "threads") {
        let other = id(thread, "id");
        let place = format!("{place}.{below}");
        let counted = events.len();
        for (below, item) in elements(thread, "messages") {
            let place = format!("{place}.{below}");
            events.push(message(scene, &place, other.as_deref(), item));
        }
        if events.len() == counted {
            events.push(scene.unknown(&place, "the thread has no messages", thread));
        }
    }
    events.extend(progress(scene, chunk));
    if events.len() == before {
        events.push(scene.unknown(place, "the chunk has no threads", chunk));
    }
}

/// Everything of a chunk but its messages.
fn progress(scene: &Scene<'_>, chunk: &Value) -> Option<ChannelEvent> {
    let mut rest = chunk.as_object()?.clone();
    rest.remove("threads");
    if rest.values().all(Value::is_null) {
        return None;
    }
    let rest = Value::Object(rest);
    let body = EventBody::Notice {
        field: "history".to_owned(),
        account: scene.envelope.account.clone(),
        value: json!({ "history": [rest] }),
    };
    Some(scene.event(body, &rest))
}

/// One old message. `other` is the thread's id: the person whom the business talked with.
pub(super) fn message(
    scene: &Scene<'_>,
    place: &str,
    other: Option<&str>,
    item: &Value,
) -> ChannelEvent {
    let from_me = from_me(scene, other, item);
    match old(scene, other, item, from_me) {
        Some(message) => {
            let message = Box::new(message);
            scene.event(EventBody::History { message, from_me }, item)
        }
        None => scene.unknown(place, "the message has no readable id", item),
    }
}

fn old(
    scene: &Scene<'_>,
    other: Option<&str>,
    item: &Value,
    from_me: bool,
) -> Option<IncomingMessage> {
    let (mut sender, mut profile_name) = sender(scene, item);
    let thread = || {
        let mut person = person(other.map(str::to_owned), None, None);
        let profile_name = scene.people.complete(&mut person);
        (person, profile_name)
    };
    if !from_me && sender.is_empty() {
        (sender, profile_name) = thread();
    }
    let mut message = read(scene, item, sender)?;
    if from_me {
        let to = recipient(scene, item);
        let to = if to.is_empty() { thread().0 } else { to };
        message.recipient = Some(to).filter(|to| !to.is_empty());
    } else {
        message.profile_name = profile_name;
    }
    Some(message)
}

/// Whether the business wrote it: as the message says, else by comparing its sender with the
/// thread and with the business's own number; only our own messages name a recipient.
fn from_me(scene: &Scene<'_>, other: Option<&str>, item: &Value) -> bool {
    let told = object(item, "history_context").and_then(|context| flag(context, "from_me"));
    let from = bare(item, "from");
    let by_number = || match from.as_deref() {
        None => None,
        from if from == other.map(|other| other.trim_start_matches('+')) => Some(false),
        from if from == scene.business.as_deref() => Some(true),
        Some(_) => None,
    };
    let names_recipient = || bare(item, "to").or_else(|| id(item, "to_user_id")).is_some();
    told.or_else(by_number).unwrap_or_else(names_recipient)
}
