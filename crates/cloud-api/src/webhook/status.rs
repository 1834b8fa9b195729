//! News of messages that we sent.

use kabar_channel::incoming::{Delivery, Pricing};
use kabar_channel::{ChannelEvent, EventBody, PersonIds, Reason, StatusUpdate};
use serde_json::Value;

use super::change::Scene;
use super::people::person_at;
use super::read::{filled, flag, id, object, reasons, text, time};

/// The words for a free entry point, in a conversation's origin, a price's type or its category.
const ENTRY_POINT: [&str; 3] =
    ["free_entry_point", "referral_conversion", "service_conversation_free_entry_point"];

pub(super) fn status(scene: &Scene<'_>, place: &str, item: &Value) -> ChannelEvent {
    match read(scene, item) {
        Some(status) => scene.event(EventBody::Status(Box::new(status)), item),
        None => scene.unknown(place, "the status has no readable id or no word", item),
    }
}

fn read(scene: &Scene<'_>, item: &Value) -> Option<StatusUpdate> {
    let pricing = pricing(item);
    Some(StatusUpdate {
        wire_id: id(item, "id")?,
        callback: filled(item, "biz_opaque_callback_data"),
        delivery: delivery(item)?,
        at: time(item, "timestamp").filter(|at| *at <= scene.latest()),
        recipient: recipient(scene, item),
        participant: participant(scene, item),
        entry_point_expires_at: entry_point(item, pricing.as_ref()),
        pricing,
    })
}

fn delivery(item: &Value) -> Option<Delivery> {
    let word = filled(item, "status")?;
    Some(match word.as_str() {
        "sent" => Delivery::Sent,
        "delivered" => Delivery::Delivered,
        "read" => Delivery::Read,
        "played" => Delivery::Played,
        "failed" => {
            let untold = || Reason::new("failed", "Meta gave no reason");
            Delivery::Failed(reasons(item).into_iter().next().unwrap_or_else(untold))
        }
        _ => Delivery::Other(word),
    })
}

/// In groups `recipient_id` is the group's id, which names no person.
fn recipient(scene: &Scene<'_>, item: &Value) -> PersonIds {
    if text(item, "recipient_type").as_deref() == Some("group") {
        return PersonIds::default();
    }
    let keys = ["recipient_id", "recipient_user_id", "recipient_parent_user_id"];
    let mut recipient = person_at(item, keys);
    scene.people.complete_or_only(&mut recipient);
    recipient
}

/// Meta's own examples name the participant in two ways.
fn participant(scene: &Scene<'_>, item: &Value) -> Option<PersonIds> {
    let number = ["recipient_participant_id", "participant_recipient_id"]
        .into_iter()
        .find(|key| id(item, key).is_some())
        .unwrap_or_default();
    let keys = [number, "recipient_participant_user_id", "recipient_participant_parent_user_id"];
    let mut participant = person_at(item, keys);
    scene.people.complete(&mut participant);
    Some(participant).filter(|ids| !ids.is_empty())
}

/// The price; group examples nest it inside the conversation.
fn pricing(item: &Value) -> Option<Pricing> {
    let nested = || object(object(item, "conversation")?, "pricing");
    let pricing = object(item, "pricing").or_else(nested)?;
    let pricing = Pricing {
        billable: flag(pricing, "billable"),
        model: filled(pricing, "pricing_model"),
        category: filled(pricing, "category"),
        kind: filled(pricing, "type"),
    };
    Some(pricing).filter(|pricing| *pricing != Pricing::default())
}

/// The end of a free entry point. Other conversations carry an expiry too (before Graph v24), and
/// theirs says nothing of the kind.
fn entry_point(item: &Value, pricing: Option<&Pricing>) -> Option<kabar_core::Timestamp> {
    let conversation = object(item, "conversation")?;
    let origin = object(conversation, "origin").and_then(|origin| filled(origin, "type"));
    let words = [
        origin.as_deref(),
        pricing.and_then(|pricing| pricing.kind.as_deref()),
        pricing.and_then(|pricing| pricing.category.as_deref()),
    ];
    let free = words.iter().flatten().any(|word| ENTRY_POINT.contains(word));
    free.then(|| time(conversation, "expiration_timestamp"))?
}
