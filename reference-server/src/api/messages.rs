//! Messages, out and in.

use std::collections::BTreeMap;

use kabar::Platform;
use kabar::channel::{Author, Choice, Fallback, Reason};
use kabar::core::permission::{ReadMessages, SendMessages};
use kabar::core::{
    BroadcastId, ContactId, ConversationId, Cursor, DeviceId, MediaId, MessageId, Timestamp,
};
use kabar::messaging::search::{Needle, NeedleError};
use kabar::messaging::{
    Body, Direction, Message, MessageError, MessageFilter, NewMessage, Origin, Purpose, Settlement,
    Status, To,
};
use kabar::rules::Missing;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde::{Deserialize, Serialize, Serializer};

use super::Area;
use super::answer::{Accepted, Answer, Listed, page};
use super::body::JsonBody;
use super::broadcasts::about;
use super::contacts::phone;
use super::content::{ContentBody, shown};
use super::words::{AnyJson, Word};
use crate::auth::{Auth, InAccount};
use crate::idempotency::OnceKey;
use crate::problem::Problem;

/// Who gets a message: exactly one of the fields.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Recipient")]
#[serde(deny_unknown_fields)]
pub struct RecipientBody {
    /// A number with its country code; its contact is found or made.
    pub phone: Option<String>,
    /// A contact.
    pub contact_id: Option<Word<ContactId>>,
    /// A business-scoped user id in the device's portfolio (Cloud API).
    #[oai(validator(min_length = 1, max_length = 200))]
    pub bsuid: Option<String>,
    /// A group, by its id on the network.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub group_id: Option<String>,
}

/// A message to send.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewMessage")]
#[serde(deny_unknown_fields)]
pub struct NewMessageBody {
    /// The device to send from.
    pub device_id: Word<DeviceId>,
    /// Who gets it.
    pub to: RecipientBody,
    /// What it is.
    pub content: ContentBody,
    /// What to do when the device's channel cannot carry the content.
    #[oai(default = "downgrade")]
    #[serde(default = "downgrade")]
    pub fallback: Word<Fallback>,
    /// Fills `{variable}`s in the text, before the contact's own variables, `{name}` and `{phone}`;
    /// absent sends the text as it is.
    pub variables: Option<BTreeMap<String, String>>,
    /// What it is for: drives priority and opt-out.
    #[oai(default = "service")]
    #[serde(default = "service")]
    pub purpose: Word<Purpose>,
    /// The message that it answers, quotes or reacts to; of the same device.
    pub reply_to: Option<Word<MessageId>>,
    /// Your own word for it.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub reference: Option<String>,
    /// Not before this time.
    pub due_at: Option<Timestamp>,
    /// Not after this time; the device's setting decides when absent.
    pub expires_at: Option<Timestamp>,
}

const fn downgrade() -> Word<Fallback> {
    Word(Fallback::Downgrade)
}

const fn service() -> Word<Purpose> {
    Word(Purpose::Service)
}

/// Messages to send: all are taken or none.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "SendMessages")]
#[serde(deny_unknown_fields)]
pub struct SendBody {
    /// The messages, 1 to 1,000.
    #[oai(validator(min_items = 1, max_items = 1000))]
    pub messages: Vec<NewMessageBody>,
}

impl NewMessageBody {
    fn message(self, index: usize) -> Result<NewMessage, Problem> {
        let place = |field: &str| format!("messages[{index}].{field}");
        let to = self.to.to(&place("to"))?;
        let content = self.content.content(&place("content"))?;
        Ok(NewMessage {
            device: self.device_id.0,
            to,
            content,
            fallback: self.fallback.0,
            variables: self.variables,
            missing_variables: Missing::Error,
            purpose: self.purpose.0,
            origin: Origin::Api,
            origin_ref: None,
            reply_to: self.reply_to.map(|id| id.0),
            retry_of: None,
            reference: self.reference,
            due_at: self.due_at,
            expires_at: self.expires_at,
        })
    }
}

impl RecipientBody {
    fn to(self, place: &str) -> Result<To, Problem> {
        match (self.phone, self.contact_id, self.bsuid, self.group_id) {
            (Some(text), None, None, None) => {
                Ok(To::Phone(phone(&format!("{place}.phone"), &text)?))
            }
            (None, Some(id), None, None) => Ok(To::Contact(id.0)),
            (None, None, Some(bsuid), None) => {
                Ok(To::Bsuid(network_id(&format!("{place}.bsuid"), bsuid)?))
            }
            (None, None, None, Some(group)) => {
                Ok(To::Group(network_id(&format!("{place}.group_id"), group)?))
            }
            _ => {
                let problem = "give exactly one of phone, contact_id, bsuid and group_id";
                Err(Problem::invalid(place, problem))
            }
        }
    }
}

/// An id that the network gave.
fn network_id(field: &str, text: String) -> Result<String, Problem> {
    let clean = text.chars().all(|c| c.is_ascii_graphic());
    if clean && (1..=200).contains(&text.len()) {
        return Ok(text);
    }
    let problem = "must be 1 to 200 printable ASCII characters without spaces";
    Err(Problem::invalid(field, problem))
}

/// Another time.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "RescheduleMessage")]
#[serde(deny_unknown_fields)]
pub struct RescheduleBody {
    /// Not before this time; in the future.
    pub due_at: Timestamp,
}

/// How an uncertain message is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum SettleWord {
    /// It did arrive.
    Sent,
    /// It did not, and shall not.
    Failed,
    /// Send it again, at the risk of a second copy.
    Resend,
}

/// How an uncertain message is settled.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Settle")]
#[serde(deny_unknown_fields)]
pub struct SettleBody {
    /// As what.
    #[oai(rename = "as")]
    #[serde(rename = "as")]
    pub settlement: SettleWord,
}

/// Why a message is where it is.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "Reason")]
pub struct ReasonView {
    /// The network's own code, or a word of ours.
    pub code: String,
    /// A sentence.
    pub text: String,
}

impl From<Reason> for ReasonView {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code, text: reason.text }
    }
}

/// One of the choices that a message offered.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "Choice")]
pub struct ChoiceView {
    /// Its number in a numbered text, from 1.
    pub number: u16,
    /// Your own word for it.
    pub id: String,
    /// What the recipient reads.
    pub title: String,
}

impl From<Choice> for ChoiceView {
    fn from(choice: Choice) -> Self {
        Self { number: choice.number, id: choice.id, title: choice.title }
    }
}

/// The price of a message, as the network told.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "Pricing")]
pub struct PricingView {
    /// Whether it costs.
    pub billable: Option<bool>,
    /// The pricing model.
    pub model: Option<String>,
    /// The category.
    pub category: Option<String>,
    /// The type of the price.
    pub kind: Option<String>,
}

/// Who wrote a message in a group.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "Author")]
pub struct AuthorView {
    /// Their number, where the network told it.
    pub phone: Option<String>,
    /// Their linked id.
    pub lid: Option<String>,
    /// What the network names them by when that is no number.
    pub wa_id: Option<String>,
    /// The name that they go by.
    pub name: Option<String>,
}

impl From<Author> for AuthorView {
    fn from(author: Author) -> Self {
        Self {
            phone: author.ids.phone.map(|phone| phone.as_str().to_owned()),
            lid: author.ids.lid,
            wa_id: author.ids.wa_id,
            name: author.name,
        }
    }
}

/// A message.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "Message")]
pub struct MessageView {
    /// Its id.
    pub id: Word<MessageId>,
    /// The device it went over.
    pub device_id: Word<DeviceId>,
    /// Its conversation.
    pub conversation_id: Word<ConversationId>,
    /// The other side.
    pub contact_id: Word<ContactId>,
    /// Which way it went.
    pub direction: Word<Direction>,
    /// How far it got.
    pub status: Word<Status>,
    /// Why it failed, is held, or is uncertain.
    pub reason: Option<ReasonView>,
    /// The kind of its content, like `text`.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    /// What it holds: an object with a `type`. Of outgoing messages as it was sent. Where it was
    /// removed after its time, `blank` is true and nothing else is left.
    pub content: AnyJson,
    /// What it is for.
    pub purpose: Word<Purpose>,
    /// Who made it.
    pub origin: Word<Origin>,
    /// The id of the rule, broadcast or agent that made it.
    pub origin_ref: Option<String>,
    /// The caller's own word for it.
    pub reference: Option<String>,
    /// The number that we were asked for.
    pub asked_for: Option<String>,
    /// The number that the network answered with.
    pub network_id: Option<String>,
    /// Its id on the network.
    pub wire_id: Option<String>,
    /// Who wrote it, when it came in from a group.
    pub author: Option<AuthorView>,
    /// The message of ours that it answers or quotes.
    pub reply_to: Option<Word<MessageId>>,
    /// The message that it changes or reacts to.
    pub target_id: Option<Word<MessageId>>,
    /// The failed message that this one is another try of.
    pub retry_of: Option<Word<MessageId>>,
    /// The choices that it offers.
    pub choices: Vec<ChoiceView>,
    /// The kind that was asked for, when it was downgraded.
    pub downgraded_from: Option<String>,
    /// The stored file of an incoming message.
    pub media_id: Option<Word<MediaId>>,
    /// Whether it was forwarded.
    pub forwarded: bool,
    /// The price.
    pub pricing: Option<PricingView>,
    /// How often it was tried.
    pub attempts: u32,
    /// The time from which it wants to be sent.
    #[serde(serialize_with = "time")]
    pub due_at: Timestamp,
    /// Until when it is held.
    #[serde(serialize_with = "time_opt")]
    pub held_until: Option<Timestamp>,
    /// When it is no longer worth sending.
    #[serde(serialize_with = "time_opt")]
    pub expires_at: Option<Timestamp>,
    /// When its sender sent it, by the network's clock.
    #[serde(serialize_with = "time_opt")]
    pub sender_at: Option<Timestamp>,
    /// When the network took it.
    #[serde(serialize_with = "time_opt")]
    pub sent_at: Option<Timestamp>,
    /// When it was delivered.
    #[serde(serialize_with = "time_opt")]
    pub delivered_at: Option<Timestamp>,
    /// When it was read.
    #[serde(serialize_with = "time_opt")]
    pub read_at: Option<Timestamp>,
    /// When it was played.
    #[serde(serialize_with = "time_opt")]
    pub played_at: Option<Timestamp>,
    /// When it failed.
    #[serde(serialize_with = "time_opt")]
    pub failed_at: Option<Timestamp>,
    /// When we stored it.
    #[serde(serialize_with = "time")]
    pub created_at: Timestamp,
    /// When it changed last.
    #[serde(serialize_with = "time")]
    pub updated_at: Timestamp,
}

/// A time as the API writes it.
fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339())
}

#[expect(clippy::ref_option, reason = "serde hands fields over like this")]
fn time_opt<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        let kind = message.body.kind().to_owned();
        let content = match &message.body {
            Body::Out(content) => shown(content),
            Body::In(content) => serde_json::to_value(content).unwrap_or_default(),
            Body::Blank { kind } => serde_json::json!({ "type": kind, "blank": true }),
        };
        Self {
            id: Word(message.id),
            device_id: Word(message.device),
            conversation_id: Word(message.conversation),
            contact_id: Word(message.contact),
            direction: Word(message.direction),
            status: Word(message.status),
            reason: message.reason.map(ReasonView::from),
            kind,
            content: AnyJson(content),
            purpose: Word(message.purpose),
            origin: Word(message.origin),
            origin_ref: message.origin_ref,
            reference: message.reference,
            asked_for: message.asked_for.map(|phone| phone.as_str().to_owned()),
            network_id: message.network_id,
            wire_id: message.wire_id,
            author: message.author.map(AuthorView::from),
            reply_to: message.reply_to_id.map(Word),
            target_id: message.target_id.map(Word),
            retry_of: message.retry_of.map(Word),
            choices: message.choices.into_iter().map(ChoiceView::from).collect(),
            downgraded_from: message.downgraded_from,
            media_id: message.media.map(Word),
            forwarded: message.forwarded,
            pricing: message.pricing.map(|pricing| PricingView {
                billable: pricing.billable,
                model: pricing.model,
                category: pricing.category,
                kind: pricing.kind,
            }),
            attempts: message.attempts,
            due_at: message.due_at,
            held_until: message.held_until,
            expires_at: message.expires_at,
            sender_at: message.sender_at,
            sent_at: message.sent_at,
            delivered_at: message.delivered_at,
            read_at: message.read_at,
            played_at: message.played_at,
            failed_at: message.failed_at,
            created_at: message.created_at,
            updated_at: message.updated_at,
        }
    }
}

/// What is looked for.
fn needle(text: &str) -> Result<Needle, Problem> {
    text.parse().map_err(|error: NeedleError| Problem::invalid("text", error.to_string()))
}

/// Messages that were taken.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "SentMessages")]
pub struct SentView {
    /// The messages, in the order of the request.
    pub messages: Vec<MessageView>,
}

/// The operations.
pub struct MessagesApi(pub Platform);

#[OpenApi(tag = "Area::Messages")]
impl MessagesApi {
    /// Send messages
    ///
    /// Takes one message or many into the outbox, all or none; when it answers they are durable.
    /// They are sent in the order of each chat. Follow them by `GET /messages/{id}` or the event
    /// log. Needs `messages:send`.
    #[oai(path = "/messages", method = "post", operation_id = "sendMessages")]
    async fn send(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<SendBody>,
    ) -> Result<Accepted<SentView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "sendMessages", body.hash);
        let messages = body.value.messages.into_iter().enumerate();
        let new = messages
            .map(|(index, message)| message.message(index))
            .collect::<Result<Vec<NewMessage>, Problem>>()?;
        let queued = self.0.messages().send_many(&may.grant, new, once.as_ref()).await?;
        let messages = queued.messages.into_iter().map(MessageView::from).collect();
        Ok(Accepted::written(&SentView { messages }, queued.repeated))
    }

    /// List messages
    ///
    /// A message that waits with its whole device is shown as `held`, with the reason and until
    /// when; the filter finds it as `pending`. Needs `messages:read`.
    /// Newest first. With `text`, `type`, `purpose`, `origin`, `broadcast` or several `status`es a
    /// page looks at 5,000 messages at most: it may have fewer rows than its limit, even none, and
    /// still a `next` that goes on where it stopped. Needs `messages:read`.
    #[oai(path = "/messages", method = "get", operation_id = "listMessages")]
    #[expect(clippy::too_many_arguments, reason = "one argument a parameter")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        /// Over this device.
        device: Query<Option<Word<DeviceId>>>,
        /// With this contact.
        contact: Query<Option<Word<ContactId>>>,
        /// In this conversation.
        conversation: Query<Option<Word<ConversationId>>>,
        /// This way.
        direction: Query<Option<Word<Direction>>>,
        /// In one of these statuses; the parameter may be repeated.
        #[oai(default, validator(max_items = 11))]
        status: Query<Vec<Word<Status>>>,
        /// With this reference.
        #[oai(validator(min_length = 1, max_length = 200, pattern = "^[^\\x00]+$"))]
        reference: Query<Option<String>>,
        /// Stored at this time or later.
        from: Query<Option<Timestamp>>,
        /// Stored before this time.
        to: Query<Option<Timestamp>>,
        /// With whom has this number now, with its country code.
        #[oai(name = "phone", validator(min_length = 1, max_length = 40))]
        number: Query<Option<String>>,
        /// With this type of content, like `text`.
        #[oai(name = "type", validator(pattern = "^[a-z_]{1,40}$"))]
        kind: Query<Option<String>>,
        /// For this.
        purpose: Query<Option<Word<Purpose>>>,
        /// Made by this.
        origin: Query<Option<Word<Origin>>>,
        /// Of this broadcast.
        broadcast: Query<Option<Word<BroadcastId>>>,
        /// That say all of these words, whole or as a part, whatever their case.
        #[oai(validator(min_length = 1, max_length = 200))]
        text: Query<Option<String>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<MessageView>> {
        let filter = MessageFilter {
            device: device.0.map(|word| word.0),
            contact: contact.0.map(|word| word.0),
            conversation: conversation.0.map(|word| word.0),
            direction: direction.0.map(|word| word.0),
            statuses: status.0.into_iter().map(|word| word.0).collect(),
            reference: reference.0,
            from: from.0,
            to: to.0,
            phone: number.0.map(|text| phone("phone", &text)).transpose()?,
            kind: kind.0,
            purpose: purpose.0.map(|word| word.0),
            origin: origin.0.map(|word| word.0),
            broadcast: broadcast.0.map(|word| word.0),
            words: text.0.map(|text| needle(&text)).transpose()?,
        };
        let page = page(limit.0, after.0);
        let mut messages = self.0.messages().list(&may.grant, &filter, page).await?;
        messages.items = self.0.pacing().explain(&may.grant, messages.items).await?;
        Ok(Listed::of(messages))
    }

    /// Get a message
    ///
    /// Needs `messages:read`.
    #[oai(path = "/messages/:id", method = "get", operation_id = "getMessage")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<MessageId>>,
    ) -> Answer<MessageView> {
        let message = self.0.messages().get(&may.grant, id.0.0).await?;
        let explained = self.0.pacing().explain(&may.grant, vec![message]).await?;
        explained
            .into_iter()
            .next()
            .map(|message| Json(message.into()))
            .ok_or_else(|| Problem::from(MessageError::NotFound))
    }

    /// Cancel a message
    ///
    /// Only a message that waits can be cancelled; else 409. Needs `messages:send`.
    #[oai(path = "/messages/:id/cancel", method = "post", operation_id = "cancelMessage")]
    async fn cancel(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        id: Path<Word<MessageId>>,
    ) -> Answer<MessageView> {
        let message = self.0.messages().cancel(&may.grant, id.0.0).await?;
        Ok(Json(message.into()))
    }

    /// Give a message another time
    ///
    /// Only a message that waits; else 409. It stays worth sending for as long as before. Needs
    /// `messages:send`.
    #[oai(path = "/messages/:id/reschedule", method = "post", operation_id = "rescheduleMessage")]
    async fn reschedule(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        id: Path<Word<MessageId>>,
        body: JsonBody<RescheduleBody>,
    ) -> Answer<MessageView> {
        let messages = self.0.messages();
        Ok(Json(messages.reschedule(&may.grant, id.0.0, body.value.due_at).await?.into()))
    }

    /// Send a failed message once more
    ///
    /// A new message with the same content, recipient and reference; `retry_of` names the old one.
    /// Only one that failed or expired, and once; else 409. Needs `messages:send`.
    #[oai(path = "/messages/:id/retry", method = "post", operation_id = "retryMessage")]
    async fn retry(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        id: Path<Word<MessageId>>,
    ) -> Answer<MessageView> {
        // The operation has no body: what it is about is what makes it the same request.
        let about = about(id.0.0);
        let once = key.once(may.principal.actor(), may.scope(), "retryMessage", about);
        Ok(Json(self.0.messages().retry(&may.grant, id.0.0, once.as_ref()).await?.into()))
    }

    /// Settle an uncertain message
    ///
    /// By hand, when nobody knows whether it was sent; a message in another status answers 409.
    /// Needs `messages:send`.
    #[oai(path = "/messages/:id/settle", method = "post", operation_id = "settleMessage")]
    async fn settle(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        id: Path<Word<MessageId>>,
        body: JsonBody<SettleBody>,
    ) -> Answer<MessageView> {
        let settlement = match body.value.settlement {
            SettleWord::Sent => Settlement::Sent,
            SettleWord::Failed => Settlement::Failed,
            SettleWord::Resend => Settlement::Resend,
        };
        let message = self.0.messages().settle(&may.grant, id.0.0, settlement).await?;
        Ok(Json(message.into()))
    }
}

#[cfg(test)]
mod tests {
    use kabar::core::{IdSource as _, SystemIds};
    use poem_openapi::types::ToJSON as _;

    use super::*;

    fn a_view() -> MessageView {
        let ids = SystemIds::default();
        let at: Timestamp = "2026-11-21T10:00:00.000123Z".parse().expect("a time");
        MessageView {
            id: Word(ids.next().into()),
            device_id: Word(ids.next().into()),
            conversation_id: Word(ids.next().into()),
            contact_id: Word(ids.next().into()),
            direction: Word(Direction::Out),
            status: Word(Status::Held),
            reason: Some(Reason::new("quiet_hours", "until 8").into()),
            kind: "text".to_owned(),
            content: AnyJson(serde_json::json!({ "type": "text", "body": "Hai \u{1f600}" })),
            purpose: Word(Purpose::Service),
            origin: Word(Origin::Api),
            origin_ref: None,
            reference: Some("order \"7\"".to_owned()),
            asked_for: Some("+62812".to_owned()),
            network_id: None,
            wire_id: None,
            author: Some(AuthorView {
                phone: None,
                lid: Some("77".to_owned()),
                wa_id: None,
                name: Some("Ani".to_owned()),
            }),
            reply_to: Some(Word(ids.next().into())),
            target_id: None,
            retry_of: None,
            choices: vec![ChoiceView { number: 1, id: "a".to_owned(), title: "A".to_owned() }],
            downgraded_from: None,
            media_id: None,
            forwarded: false,
            pricing: Some(PricingView {
                billable: Some(true),
                model: None,
                category: Some("service".to_owned()),
                kind: None,
            }),
            attempts: 2,
            due_at: at,
            held_until: Some(at),
            expires_at: None,
            sender_at: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            played_at: None,
            failed_at: None,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn a_message_is_written_alike_on_both_ways() {
        let sent = SentView { messages: vec![a_view()] };
        let written = serde_json::to_value(&sent).expect("is written");
        assert_eq!(Some(written), sent.to_json());
    }
}
