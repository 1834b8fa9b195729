//! How customers speak and read.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use crate::accounts::Number;
use crate::clock::pause;
use crate::config::{DEFAULT_APP_ID, DEFAULT_PHONE_NUMBER_ID};
use crate::customers::Customer;
use crate::delivery::{copies, extra_delay};
use crate::directory::Route;
use crate::error::SandboxError;
use crate::fault_book::Place;
use crate::faults::{FaultEffect, FaultPoint};
use crate::inbound::{Inbound, InboundContent, InboundReceipt};
use crate::media::received;
use crate::messages::DeliveryStatus;
use crate::wamid;
use crate::webhooks::RawWebhook;
use crate::webhooks::courier::{Payload, Update};
use crate::webhooks::envelope::{self, StatusReport};
use crate::world::{World, lock};

/// How long a message that is to come after the next one waits for it, in milliseconds.
const HELD_BACK_MS: u64 = 500;

/// Customer messages that are to arrive after the next one.
#[derive(Debug, Default)]
pub(crate) struct HeldBack(Mutex<Vec<(String, Update)>>);

impl HeldBack {
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    fn release(&self, world: &World) {
        let held = std::mem::take(&mut *lock(&self.0));
        for (key, update) in held {
            world.courier.send(&key, update);
        }
    }
}

impl World {
    /// A customer writes: the window opens and the webhook is queued.
    pub(crate) fn customer_says(
        self: &Arc<Self>,
        inbound: Inbound,
    ) -> Result<InboundReceipt, SandboxError> {
        let ticket = self.courier.ticket();
        let number_id = inbound.phone_number_id.as_deref().unwrap_or(DEFAULT_PHONE_NUMBER_ID);
        let (waba_id, number) = self.number_anywhere(number_id)?;
        let now_ms = self.clock.now_ms();
        let customer = self.speaker(&inbound, number_id, now_ms)?;
        let quoted =
            inbound.reply_to.or_else(|| self.tapped(&inbound.content, &customer, number_id));
        let (mut message, media_id) = self.compose(inbound.content, number_id, now_ms)?;
        if let Some(quoted) = quoted {
            let context = json!({"from": number.display_phone_number, "id": quoted});
            message.insert("context".to_owned(), context);
        }
        let wamid = inbound.wamid.unwrap_or_else(|| wamid::incoming(&self.dice, &customer.wa_id));
        let payload = envelope::inbound(&number, &customer, &wamid, now_ms / 1_000, message);
        let route = Route::Number { waba_id, phone_number_id: number.id.clone() };
        let update = Update { route, payload: Payload::Change(payload), ticket };
        self.post_inbound(&customer, &number.id, inbound.copies, update);
        Ok(InboundReceipt { wamid, wa_id: customer.wa_id, user_id: customer.user_id, media_id })
    }

    fn number_anywhere(&self, id: &str) -> Result<(String, Number), SandboxError> {
        let directory = self.directory();
        let found = directory.home(id).and_then(|waba_id| {
            Some((waba_id.to_owned(), directory.number_of(waba_id, id)?.clone()))
        });
        found.ok_or_else(|| SandboxError::not_found("number", id))
    }

    fn speaker(
        &self,
        inbound: &Inbound,
        number_id: &str,
        now_ms: u64,
    ) -> Result<Customer, SandboxError> {
        let mut people = self.people();
        let patch =
            crate::CustomerPatch { name: inbound.name.clone(), ..crate::CustomerPatch::default() };
        let customer = people
            .patch(&inbound.from, patch, now_ms)
            .ok_or_else(|| SandboxError::not_found("customer", &inbound.from))?;
        people.heard(&customer.number, number_id, now_ms);
        Ok(customer)
    }

    /// A tap on a button or a row always refers to a message: the last one, unless it is named.
    fn tapped(
        &self,
        content: &InboundContent,
        customer: &Customer,
        number_id: &str,
    ) -> Option<String> {
        let tap = matches!(
            content,
            InboundContent::ButtonReply { .. }
                | InboundContent::ListReply { .. }
                | InboundContent::TemplateButton { .. }
        );
        let last = || self.messages().last_to(&customer.number, number_id);
        tap.then(|| {
            last().map_or_else(
                || wamid::outgoing(&self.dice, &customer.wa_id),
                |wamid| wamid.to_string(),
            )
        })
    }

    /// The message object of some content; media are stored first.
    fn compose(
        &self,
        content: InboundContent,
        number_id: &str,
        now_ms: u64,
    ) -> Result<(Map<String, Value>, Option<String>), SandboxError> {
        let message = match content {
            InboundContent::Media { kind, data, mime_type, caption, filename, voice } => {
                let file = received(number_id, &mime_type, data, now_ms);
                let sha256 = file.sha256_base64();
                let id = self.media().put(file, &self.dice);
                let mut object = Map::new();
                object.insert("id".to_owned(), id.clone().into());
                object.insert("mime_type".to_owned(), mime_type.into());
                object.insert("sha256".to_owned(), sha256.into());
                object.insert("url".to_owned(), self.media_url(&id).into());
                let extras = [("caption", caption), ("filename", filename)];
                object.extend(
                    extras.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.into()))),
                );
                if kind == crate::MediaKind::Audio {
                    object.insert("voice".to_owned(), voice.into());
                }
                let name = kind.name();
                return Ok((typed(name, json!(object)), Some(id)));
            }
            InboundContent::Text { body } => typed("text", json!({"body": body})),
            InboundContent::ButtonReply { id, title } => {
                let reply = json!({"id": id, "title": title});
                typed("interactive", json!({"type": "button_reply", "button_reply": reply}))
            }
            InboundContent::ListReply { id, title, description } => {
                let mut reply = json!({"id": id, "title": title});
                if let (Some(fields), Some(text)) = (reply.as_object_mut(), description) {
                    fields.insert("description".to_owned(), text.into());
                }
                typed("interactive", json!({"type": "list_reply", "list_reply": reply}))
            }
            InboundContent::TemplateButton { payload, text } => {
                typed("button", json!({"payload": payload, "text": text}))
            }
            InboundContent::Location { latitude, longitude, name, address } => {
                let mut place = json!({"latitude": latitude, "longitude": longitude});
                if let Some(fields) = place.as_object_mut() {
                    let extras = [("name", name), ("address", address)];
                    fields.extend(
                        extras.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.into()))),
                    );
                }
                typed("location", place)
            }
            InboundContent::Contacts { contacts } => typed("contacts", contacts),
            InboundContent::Reaction { message_id, emoji } => {
                let mut reaction = json!({"message_id": message_id});
                if let (Some(fields), Some(emoji)) = (reaction.as_object_mut(), emoji) {
                    fields.insert("emoji".to_owned(), emoji.into());
                }
                typed("reaction", reaction)
            }
            InboundContent::Raw { message: Value::Object(message) } => message,
            InboundContent::Raw { .. } => {
                return Err(SandboxError::Invalid("a raw message is an object".to_owned()));
            }
        };
        Ok((message, None))
    }

    fn post_inbound(
        self: &Arc<Self>,
        customer: &Customer,
        number: &str,
        times: u32,
        update: Update,
    ) {
        let names = [customer.number.as_str(), customer.wa_id.as_str(), customer.user_id.as_str()];
        let place =
            Place { point: FaultPoint::Inbound, phone_number_id: Some(number), customer: &names };
        let faults = self.faults().strike_all(place, &self.dice);
        let has = |wanted: fn(&FaultEffect) -> bool| faults.iter().any(wanted);
        if has(|fault| matches!(fault, FaultEffect::Lose)) {
            return;
        }
        let key = customer.number.clone();
        if has(|fault| matches!(fault, FaultEffect::Reorder)) {
            return self.hold_back(key, update);
        }
        let times = times.max(1).max(copies(&faults));
        let send = move |world: &World| {
            for _ in 0..times {
                world.courier.send(&key, update.clone());
            }
            world.held_back.release(world);
        };
        match extra_delay(&faults) {
            0 => send(self),
            wait => {
                let world = Arc::clone(self);
                // The update keeps its ticket while it waits.
                let era = self.courier.era();
                self.courier.spawn(&era, async move {
                    pause(wait).await;
                    send(&world);
                });
            }
        }
    }

    fn hold_back(self: &Arc<Self>, key: String, update: Update) {
        lock(&self.held_back.0).push((key, update));
        let world = Arc::clone(self);
        self.courier.spawn(&self.courier.era(), async move {
            pause(HELD_BACK_MS).await;
            world.held_back.release(&world);
        });
    }

    /// The customer reads a message the business sent.
    pub(crate) fn customer_reads(&self, wamid: &str) -> Result<(), SandboxError> {
        let message = self.messages().get(wamid);
        let message = message.ok_or_else(|| SandboxError::not_found("message", wamid))?;
        let (waba_id, number) = self.number_anywhere(&message.phone_number_id)?;
        let customer = self.people().meet(&message.customer);
        let customer =
            customer.ok_or_else(|| SandboxError::not_found("customer", &message.customer))?;
        self.messages().advance(wamid, DeliveryStatus::Read);
        let report = StatusReport {
            wamid,
            status: DeliveryStatus::Read,
            now_secs: self.clock.now_secs(),
            reference: message.reference.as_deref(),
            pricing: None,
            error: None,
        };
        let change = envelope::status(&number, &customer, report);
        let update = Update {
            route: Route::Number { waba_id, phone_number_id: number.id },
            payload: Payload::Change(change),
            ticket: self.courier.ticket(),
        };
        self.courier.send(&customer.number, update);
        Ok(())
    }

    /// Queues a body as it is; answers how many posts.
    pub(crate) fn post_raw(&self, raw: RawWebhook) -> Result<u32, SandboxError> {
        let body = match (raw.text, raw.json) {
            (Some(text), _) => text.into(),
            (None, Some(json)) => crate::webhooks::escaped_json(&json),
            (None, None) => return Err(SandboxError::Invalid("json or text is needed".to_owned())),
        };
        let app_id = raw.app_id.unwrap_or_else(|| DEFAULT_APP_ID.to_owned());
        if self.directory().app(&app_id).is_none() {
            return Err(SandboxError::not_found("app", app_id));
        }
        let copies = raw.copies.unwrap_or(1);
        for _ in 0..copies {
            let update = Update {
                route: Route::App(app_id.clone()),
                payload: Payload::Raw { body: body.clone(), bad_signature: raw.bad_signature },
                ticket: self.courier.ticket(),
            };
            self.courier.send(&app_id, update);
        }
        Ok(copies)
    }

    /// A download address, good for five minutes.
    pub(crate) fn media_url(&self, id: &str) -> String {
        let until = self.clock.now_ms() + crate::media::URL_LIFE_MS;
        format!("{}/whatsapp_business/attachments/?mid={id}&ext={until}", self.public_url)
    }
}

/// A message object: `type` and the object named like it.
fn typed(kind: &str, object: Value) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), kind.into()), (kind.to_owned(), object)])
}
