//! Between a message and its row.

use kabar_channel::incoming::Pricing;
use kabar_channel::{Prepared, Reason};
use kabar_core::{
    AccountId, ContactId, ConversationId, DeviceId, MediaId, MessageId, PhoneNumber, StoreError,
};
use kabar_messaging::{Body, Message};
use sea_orm::ActiveValue::Set;
use sea_orm::Value;

use super::entity::message::{ActiveModel, Model};
use crate::convert::{
    column, json, json_opt, json_text, json_text_opt, micros, micros_opt, time, time_opt,
};

const TABLE: &str = "messages";

pub(super) fn to_row(message: &Message) -> Result<ActiveModel, StoreError> {
    let pricing = message.pricing.as_ref();
    let reason = message.reason.as_ref();
    Ok(ActiveModel {
        id: Set(message.id.uuid()),
        account_id: Set(message.account.uuid()),
        device_id: Set(message.device.uuid()),
        conversation_id: Set(message.conversation.uuid()),
        contact_id: Set(message.contact.uuid()),
        direction: Set(message.direction.to_string()),
        status: Set(message.status.to_string()),
        stage: Set(message.stage.map(|stage| stage.to_string())),
        queued: Set(message.queued),
        kind: Set(message.body.kind().to_owned()),
        content: Set(content(message)?),
        words: Set(message.body.words().map(str::to_owned)),
        purpose: Set(message.purpose.to_string()),
        origin: Set(message.origin.to_string()),
        origin_ref: Set(message.origin_ref.clone()),
        reference: Set(message.reference.clone()),
        priority: Set(message.purpose.priority()),
        own_number: Set(phone(message.own_number.as_ref())),
        recipient: Set(json_opt(message.recipient.as_ref())?),
        asked_for: Set(phone(message.asked_for.as_ref())),
        network_id: Set(message.network_id.clone()),
        wire_id: Set(message.wire_id.clone()),
        dedupe_key: Set(message.dedupe_key.clone()),
        author: Set(json_opt(message.author.as_ref())?),
        reply_to_id: Set(message.reply_to_id.map(MessageId::uuid)),
        reply_to: Set(json_opt(message.reply_to.as_ref())?),
        target_id: Set(message.target_id.map(MessageId::uuid)),
        retry_of: Set(message.retry_of.map(MessageId::uuid)),
        choices: Set(choices(message)?),
        downgraded_from: Set(message.downgraded_from.clone()),
        prepared: Set(json_opt(message.prepared.as_ref())?),
        reason_code: Set(reason.map(|reason| reason.code.clone())),
        reason_text: Set(reason.map(|reason| reason.text.clone())),
        held_until: Set(micros_opt(message.held_until)),
        attempts: Set(i32::try_from(message.attempts).unwrap_or(i32::MAX)),
        due_at: Set(micros(message.due_at)),
        next_at: Set(micros(message.next_at)),
        expires_at: Set(micros_opt(message.expires_at)),
        media_id: Set(message.media.map(MediaId::uuid)),
        forwarded: Set(message.forwarded),
        referral: Set(message.referral.clone()),
        billable: Set(pricing.and_then(|pricing| pricing.billable)),
        price_category: Set(pricing.and_then(|pricing| pricing.category.clone())),
        pricing: Set(json_opt(pricing)?),
        sender_at: Set(micros_opt(message.sender_at)),
        sent_at: Set(micros_opt(message.sent_at)),
        delivered_at: Set(micros_opt(message.delivered_at)),
        read_at: Set(micros_opt(message.read_at)),
        played_at: Set(micros_opt(message.played_at)),
        failed_at: Set(micros_opt(message.failed_at)),
        created_at: Set(micros(message.created_at)),
        updated_at: Set(micros(message.updated_at)),
    })
}

/// What a message has to which nothing has happened yet; the rest is NULL, and need not be bound.
pub(super) const FRESH: [&str; 32] = [
    "id",
    "account_id",
    "device_id",
    "conversation_id",
    "contact_id",
    "direction",
    "status",
    "queued",
    "kind",
    "content",
    "words",
    "purpose",
    "origin",
    "origin_ref",
    "reference",
    "priority",
    "own_number",
    "recipient",
    "asked_for",
    "reply_to_id",
    "reply_to",
    "target_id",
    "retry_of",
    "choices",
    "downgraded_from",
    "attempts",
    "due_at",
    "next_at",
    "expires_at",
    "forwarded",
    "created_at",
    "updated_at",
];

/// The values of [`FRESH`].
pub(super) fn to_fresh_row(message: &Message) -> Result<[Value; 32], StoreError> {
    Ok([
        message.id.uuid().into(),
        message.account.uuid().into(),
        message.device.uuid().into(),
        message.conversation.uuid().into(),
        message.contact.uuid().into(),
        message.direction.as_str().into(),
        message.status.as_str().into(),
        message.queued.into(),
        message.body.kind().to_owned().into(),
        content_text(message)?.into(),
        message.body.words().map(str::to_owned).into(),
        message.purpose.as_str().into(),
        message.origin.as_str().into(),
        message.origin_ref.clone().into(),
        message.reference.clone().into(),
        message.purpose.priority().into(),
        phone(message.own_number.as_ref()).into(),
        json_text_opt(message.recipient.as_ref())?.into(),
        phone(message.asked_for.as_ref()).into(),
        message.reply_to_id.map(MessageId::uuid).into(),
        json_text_opt(message.reply_to.as_ref())?.into(),
        message.target_id.map(MessageId::uuid).into(),
        message.retry_of.map(MessageId::uuid).into(),
        choices_text(message)?.into(),
        message.downgraded_from.clone().into(),
        i32::try_from(message.attempts).unwrap_or(i32::MAX).into(),
        micros(message.due_at).into(),
        micros(message.next_at).into(),
        micros_opt(message.expires_at).into(),
        message.forwarded.into(),
        micros(message.created_at).into(),
        micros(message.updated_at).into(),
    ])
}

/// What a message that came in has besides [`FRESH`].
const HEARD: [&str; 9] = [
    "network_id",
    "wire_id",
    "dedupe_key",
    "author",
    "reason_code",
    "reason_text",
    "referral",
    "sender_at",
    "sent_at",
];

/// The columns of a message that came in.
pub(super) fn heard() -> Vec<&'static str> {
    FRESH.into_iter().chain(HEARD).collect()
}

/// The values of [`heard`].
pub(super) fn to_heard_row(message: &Message) -> Result<Vec<Value>, StoreError> {
    let reason = message.reason.as_ref();
    let more: [Value; 9] = [
        message.network_id.clone().into(),
        message.wire_id.clone().into(),
        message.dedupe_key.clone().into(),
        json_text_opt(message.author.as_ref())?.into(),
        reason.map(|reason| reason.code.clone()).into(),
        reason.map(|reason| reason.text.clone()).into(),
        message.referral.clone().into(),
        micros_opt(message.sender_at).into(),
        micros_opt(message.sent_at).into(),
    ];
    Ok(to_fresh_row(message)?.into_iter().chain(more).collect())
}

/// What can change about a message that exists.
pub(super) const CHANGEABLE: [&str; 25] = [
    "status",
    "stage",
    "queued",
    "priority",
    "recipient",
    "network_id",
    "wire_id",
    "prepared",
    "reason_code",
    "reason_text",
    "held_until",
    "attempts",
    "due_at",
    "next_at",
    "expires_at",
    "media_id",
    "billable",
    "price_category",
    "pricing",
    "sent_at",
    "delivered_at",
    "read_at",
    "played_at",
    "failed_at",
    "updated_at",
];

/// A message's id and the values of [`CHANGEABLE`].
pub(super) fn to_changes(message: &Message) -> Result<[Value; 26], StoreError> {
    let pricing = message.pricing.as_ref();
    let reason = message.reason.as_ref();
    Ok([
        message.id.uuid().into(),
        message.status.as_str().into(),
        message.stage.map(|stage| stage.to_string()).into(),
        message.queued.into(),
        message.purpose.priority().into(),
        json_opt(message.recipient.as_ref())?.into(),
        message.network_id.clone().into(),
        message.wire_id.clone().into(),
        json_opt(message.prepared.as_ref())?.into(),
        reason.map(|reason| reason.code.clone()).into(),
        reason.map(|reason| reason.text.clone()).into(),
        micros_opt(message.held_until).into(),
        i32::try_from(message.attempts).unwrap_or(i32::MAX).into(),
        micros(message.due_at).into(),
        micros(message.next_at).into(),
        micros_opt(message.expires_at).into(),
        message.media.map(MediaId::uuid).into(),
        pricing.and_then(|pricing| pricing.billable).into(),
        pricing.and_then(|pricing| pricing.category.clone()).into(),
        json_opt(pricing)?.into(),
        micros_opt(message.sent_at).into(),
        micros_opt(message.delivered_at).into(),
        micros_opt(message.read_at).into(),
        micros_opt(message.played_at).into(),
        micros_opt(message.failed_at).into(),
        micros(message.updated_at).into(),
    ])
}

fn content(message: &Message) -> Result<serde_json::Value, StoreError> {
    match &message.body {
        Body::Out(content) => json(content),
        Body::In(content) => json(content),
        Body::Blank { .. } => Ok(blank()),
    }
}

fn content_text(message: &Message) -> Result<String, StoreError> {
    match &message.body {
        Body::Out(content) => json_text(content),
        Body::In(content) => json_text(content),
        Body::Blank { .. } => json_text(&blank()),
    }
}

fn phone(phone: Option<&PhoneNumber>) -> Option<String> {
    phone.map(|phone| phone.as_str().to_owned())
}

fn choices(message: &Message) -> Result<Option<serde_json::Value>, StoreError> {
    json_opt(Some(&message.choices).filter(|choices| !choices.is_empty()))
}

fn choices_text(message: &Message) -> Result<Option<String>, StoreError> {
    json_text_opt(Some(&message.choices).filter(|choices| !choices.is_empty()))
}

pub(super) fn from_row(row: Model) -> Result<Message, StoreError> {
    let id = row.id;
    let at = |name| column(TABLE, &id, name);
    let phone = |name, text: Option<String>| {
        text.map(|text| at(name).word::<PhoneNumber>(&text)).transpose()
    };
    let direction = at("direction").word(&row.direction)?;
    let origin = at("origin").word(&row.origin)?;
    Ok(Message {
        id: MessageId::from(id),
        account: AccountId::from(row.account_id),
        device: DeviceId::from(row.device_id),
        conversation: ConversationId::from(row.conversation_id),
        contact: ContactId::from(row.contact_id),
        direction,
        status: at("status").word(&row.status)?,
        stage: row.stage.map(|stage| at("stage").word(&stage)).transpose()?,
        queued: row.queued,
        body: body(&at("content"), origin, row.kind, row.content)?,
        purpose: at("purpose").word(&row.purpose)?,
        origin,
        origin_ref: row.origin_ref,
        reference: row.reference,
        own_number: phone("own_number", row.own_number)?,
        recipient: at("recipient").json_opt(row.recipient)?,
        asked_for: phone("asked_for", row.asked_for)?,
        network_id: row.network_id,
        wire_id: row.wire_id,
        dedupe_key: row.dedupe_key,
        author: at("author").json_opt(row.author)?,
        reply_to_id: row.reply_to_id.map(MessageId::from),
        reply_to: at("reply_to").json_opt(row.reply_to)?,
        target_id: row.target_id.map(MessageId::from),
        retry_of: row.retry_of.map(MessageId::from),
        choices: at("choices").json_opt(row.choices)?.unwrap_or_default(),
        downgraded_from: row.downgraded_from,
        prepared: row.prepared.map(Prepared::from),
        reason: row.reason_code.map(|code| Reason::new(code, row.reason_text.unwrap_or_default())),
        held_until: time_opt(row.held_until),
        attempts: u32::try_from(row.attempts).unwrap_or_default(),
        due_at: time(row.due_at),
        next_at: time(row.next_at),
        expires_at: time_opt(row.expires_at),
        media: row.media_id.map(MediaId::from),
        forwarded: row.forwarded,
        referral: row.referral,
        pricing: at("pricing").json_opt::<Pricing>(row.pricing)?,
        sender_at: time_opt(row.sender_at),
        sent_at: time_opt(row.sent_at),
        delivered_at: time_opt(row.delivered_at),
        read_at: time_opt(row.read_at),
        played_at: time_opt(row.played_at),
        failed_at: time_opt(row.failed_at),
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

/// What stands where a body was removed. No content is an empty object.
pub(super) fn blank() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// What the network told us, also about what the business wrote on its phone, is kept in the
/// network's form; what we made is kept in ours.
fn body(
    column: &crate::convert::Column<'_>,
    origin: kabar_messaging::Origin,
    kind: String,
    content: serde_json::Value,
) -> Result<Body, StoreError> {
    use kabar_messaging::Origin as O;
    if content == blank() {
        return Ok(Body::Blank { kind });
    }
    match origin {
        O::Contact | O::PhoneEcho | O::History => column.json(content).map(Body::In),
        _ => column.json(content).map(Body::Out),
    }
}
