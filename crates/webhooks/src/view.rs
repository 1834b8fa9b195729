//! What a receiver reads: messages, contacts and devices as the API shows them.

use kabar_channel::incoming::{Author, Pricing};
use kabar_contacts::Contact;
use kabar_core::{AccountId, Timestamp};
use kabar_devices::Device;
use kabar_messaging::{Body, Message};
use serde_json::{Map, Value, json};

/// The bytes of an event.
pub(crate) fn payload(kind: &str, account: AccountId, at: Timestamp, data: &Value) -> String {
    json!({ "type": kind, "timestamp": at, "account_id": account, "data": data }).to_string()
}

/// A message, with what it holds or without.
pub(crate) fn message(message: &Message, content: bool) -> Value {
    let mut view = json!({
        "id": message.id,
        "device_id": message.device,
        "conversation_id": message.conversation,
        "contact_id": message.contact,
        "direction": message.direction.as_str(),
        "status": message.status.as_str(),
        "reason": message.reason.as_ref().map(|it| json!({ "code": it.code, "text": it.text })),
        "type": message.body.kind(),
        "purpose": message.purpose.as_str(),
        "origin": message.origin.as_str(),
        "origin_ref": message.origin_ref,
        "reference": message.reference,
        "asked_for": message.asked_for.as_ref().map(kabar_core::PhoneNumber::as_str),
        "network_id": message.network_id,
        "wire_id": message.wire_id,
        "author": message.author.as_ref().map(author),
        "reply_to": message.reply_to_id,
        "target_id": message.target_id,
        "media_id": message.media,
        "forwarded": message.forwarded,
        "pricing": message.pricing.as_ref().map(pricing),
        "sender_at": message.sender_at,
        "sent_at": message.sent_at,
        "delivered_at": message.delivered_at,
        "read_at": message.read_at,
        "played_at": message.played_at,
        "failed_at": message.failed_at,
        "created_at": message.created_at,
    });
    if content && let Some(fields) = view.as_object_mut() {
        let held = match &message.body {
            Body::Out(content) => content.shown(),
            Body::In(content) => serde_json::to_value(content).unwrap_or_default(),
            Body::Blank { .. } => Value::Null,
        };
        fields.insert("content".to_owned(), held);
    }
    view
}

/// Without the channel's own word for them.
fn author(author: &Author) -> Value {
    let ids = &author.ids;
    json!({
        "phone": ids.phone.as_ref().map(kabar_core::PhoneNumber::as_str),
        "lid": ids.lid,
        "wa_id": ids.wa_id,
        "name": author.name,
    })
}

fn pricing(pricing: &Pricing) -> Value {
    json!({
        "billable": pricing.billable,
        "model": pricing.model,
        "category": pricing.category,
        "kind": pricing.kind,
    })
}

/// A contact with every way it is known.
pub(crate) fn contact(contact: &Contact) -> Value {
    let identities: Vec<Value> = contact
        .identities
        .iter()
        .map(|identity| {
            json!({
                "kind": identity.key.kind.as_str(),
                "namespace": identity.key.namespace,
                "value": identity.key.value,
            })
        })
        .collect();
    json!({
        "id": contact.id,
        "kind": contact.kind.as_str(),
        "name": contact.name,
        "profile_name": contact.profile_name,
        "phone": contact.identity(kabar_contacts::IdentityKind::Phone),
        "variables": contact.variables,
        "marketing_stopped_at": contact.marketing_stopped_at,
        "identities": identities,
    })
}

/// A device without its secrets.
pub(crate) fn device(device: &Device) -> Value {
    json!({
        "id": device.id,
        "name": device.name,
        "channel": device.channel.as_str(),
        "phone": device.phone.as_ref().map(kabar_core::PhoneNumber::as_str),
        "state": device.state.as_str(),
    })
}

/// An event's own fields, with views beside them where something was found.
pub(crate) fn data<const N: usize>(facts: &Value, views: [(&str, Option<Value>); N]) -> Value {
    let mut fields = facts.as_object().cloned().unwrap_or_else(Map::new);
    for (name, view) in views {
        if let Some(view) = view {
            fields.insert(name.to_owned(), view);
        }
    }
    Value::Object(fields)
}
