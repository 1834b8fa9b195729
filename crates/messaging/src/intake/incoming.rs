//! Messages that came in.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use kabar_channel::{Author, ChannelKind, IncomingMessage, IntakeReport};
use kabar_contacts::people::{self, Person, Resolved};
use kabar_core::{
    AccountId, ContactId, ConversationId, DeviceId, MessageId, PhoneNumber, Scope, StoreError,
    Timestamp,
};
use kabar_devices::Device;
use kabar_devices::health::DayCounts;
use kabar_devices::repo::Note;
use kabar_events::{Fact, NewEvent};
use kabar_jobs::NewJob;

use super::{Road, SCOPE, by_account};
use crate::message::{Body, Direction, Lane, Message, Origin, Purpose, Status};
use crate::opt_out;
use crate::pacing::guard::is_guarded;
use crate::repo::{Chats, Touch, Wrote, after, chats};
use crate::{ANSWER_JOB, FETCH_MEDIA_JOB};

/// Meta's customer-service window: 24 hours after the customer wrote.
const WINDOW: Duration = Duration::from_hours(24);

/// How a message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A contact wrote it just now.
    Live,
    /// The business wrote it on its own phone.
    Echo,
    /// It was there before the device was connected.
    History { from_me: bool },
}

impl Way {
    const fn is_ours(self) -> bool {
        matches!(self, Self::Echo | Self::History { from_me: true })
    }
}

/// A message with the device that it came in on.
pub(super) struct Arrival {
    pub(super) device: Device,
    pub(super) message: IncomingMessage,
    pub(super) way: Way,
}

impl Arrival {
    /// The other side: the group, else the one who is not us.
    fn person(&self) -> Person {
        let namespace = self.device.namespace();
        if let Some(group) = &self.message.group {
            return Person::group(group, &namespace);
        }
        let name = self.message.profile_name.as_deref();
        match &self.message.recipient {
            Some(recipient) if self.way.is_ours() => Person::from_ids(recipient, &namespace, None),
            _ => Person::from_ids(&self.message.sender, &namespace, name),
        }
    }

    /// What makes it the same message in the chat with a contact. On the Cloud API Meta chooses the
    /// ids: they alone do. Elsewhere the sender does, who could choose that of somebody else's message:
    /// there it is the chat, in a group the sender too, and the id.
    fn dedupe_key(&self, contact: ContactId) -> String {
        if self.device.channel == ChannelKind::CLOUD_API {
            return self.message.wire_id.clone();
        }
        let sender = self.message.group.as_ref().map(|_| self.sender()).unwrap_or_default();
        format!("{contact}/{sender}/{}", self.message.wire_id)
    }

    /// The sender, as the network names them.
    fn sender(&self) -> &str {
        let sender = &self.message.sender;
        let phone = sender.phone.as_ref().map(PhoneNumber::as_str);
        sender.lid.as_deref().or(phone).or(sender.wa_id.as_deref()).unwrap_or_default()
    }

    /// Who wrote it in a group; `None` elsewhere, and when it was us.
    fn author(&self) -> Option<Author> {
        let message = &self.message;
        let by_member = message.group.is_some() && !self.way.is_ours();
        by_member.then(|| Author {
            address: message.address.clone(),
            ids: message.sender.clone(),
            name: message.profile_name.clone(),
        })
    }

    /// Whether an automatic answer may answer it: a contact wrote it just now, on a device that
    /// has something to answer, and the contact is not the device itself.
    fn wants_answer(&self, own_numbers: &HashSet<String>) -> bool {
        let from_ourselves = self
            .message
            .sender
            .phone
            .as_ref()
            .is_some_and(|phone| own_numbers.contains(phone.as_str()));
        self.way == Way::Live
            && self.device.settings.autoreply
            && (self.device.has_rules || self.device.settings.default_reply.is_some())
            && self.message.content.wants_answer()
            && (self.message.group.is_none() || self.device.settings.groups)
            && !from_ourselves
    }
}

pub(super) async fn store(
    road: &Road<'_>,
    arrivals: Vec<Arrival>,
    report: &mut IntakeReport,
) -> Result<(), StoreError> {
    let grouped = by_account(arrivals.into_iter().map(|arrival| (arrival.device.account, arrival)));
    for (account, arrivals) in grouped {
        store_account(road, account, arrivals, report).await?;
    }
    Ok(())
}

async fn store_account(
    road: &Road<'_>,
    account: AccountId,
    arrivals: Vec<Arrival>,
    report: &mut IntakeReport,
) -> Result<(), StoreError> {
    let scope = SCOPE.within(account);
    let arrivals = unique(arrivals, report);
    let (resolved, mut events) = contacts(road, scope, &arrivals).await?;
    let lanes = arrivals
        .iter()
        .zip(&resolved)
        .map(|(arrival, resolved)| Lane { device: arrival.device.id, contact: resolved.contact });
    let chats = chats(road.work, scope, lanes, road.ids, road.now, Wrote::Other).await?;
    let known = referred(road, scope, &arrivals).await?;
    let messages: Vec<Message> = arrivals
        .iter()
        .zip(&resolved)
        .map(|(arrival, resolved)| message(road, arrival, resolved.contact, &chats, &known))
        .collect();
    let new = road.work.messages(scope).insert_new(&messages).await?;
    let new: HashSet<MessageId> = new.into_iter().collect();
    report.messages += new.len();
    report.repeated += messages.len() - new.len();
    let fresh: Vec<(&Arrival, &Message)> =
        arrivals.iter().zip(&messages).filter(|(_, message)| new.contains(&message.id)).collect();
    if fresh.is_empty() {
        return road.work.events().append(&events).await;
    }
    let (touches, names) = (touches(&fresh), profile_names(&fresh));
    events.extend(received(&fresh, road.now));
    let theirs = theirs(&fresh);
    let mut notes = answered(road, scope, &theirs).await?;
    road.work.conversations(scope).hear(&touches, &names, &events, road.now).await?;
    let lanes: Vec<Lane> = theirs.iter().map(|message| message.lane()).collect();
    road.work.outbox(SCOPE).known(&lanes).await?;
    let own = own_numbers(road, &fresh).await?;
    let heard: Vec<&Message> = fresh
        .iter()
        .filter(|(arrival, _)| arrival.way == Way::Live && arrival.message.group.is_none())
        .map(|(_, message)| *message)
        .collect();
    let confirmed = opt_out::heed(road.work, scope, &heard, &mut notes, road.ids, road.now).await?;
    let mut jobs = jobs(road, &fresh, &own, &opt_out::answered(&confirmed));
    jobs.extend(confirmed.into_iter().map(|(_, job)| job));
    // Last: whoever finishes sends locks these after lanes, too.
    road.work.device_days(SCOPE).add(&notes).await?;
    road.work.jobs().enqueue(&jobs).await
}

/// What contacts of guarded devices wrote: who writes is nobody new any more.
fn theirs<'a>(fresh: &[(&Arrival, &'a Message)]) -> Vec<&'a Message> {
    let theirs = fresh.iter().filter(|(arrival, message)| {
        message.direction == Direction::In && is_guarded(&arrival.device)
    });
    theirs.map(|(_, message)| *message).collect()
}

/// Counts those who were written to first and answer now, for the day on which they were.
async fn answered(
    road: &Road<'_>,
    scope: Scope,
    theirs: &[&Message],
) -> Result<Vec<Note>, StoreError> {
    let chats: BTreeMap<ConversationId, Timestamp> =
        theirs.iter().map(|message| (message.conversation, message.own_at())).collect();
    if chats.is_empty() {
        return Ok(Vec::new());
    }
    let chats: Vec<(ConversationId, Timestamp)> = chats.into_iter().collect();
    let answered = road.work.conversations(scope).answered(&chats).await?;
    let counts = DayCounts { answered: 1, ..DayCounts::default() };
    Ok(answered.into_iter().map(|(device, at)| Note::at(device, at, counts)).collect())
}

/// The same message twice in one batch is one message.
fn unique(arrivals: Vec<Arrival>, report: &mut IntakeReport) -> Vec<Arrival> {
    let mut seen = HashSet::new();
    let before = arrivals.len();
    let arrivals: Vec<Arrival> = arrivals
        .into_iter()
        .filter(|arrival| {
            let message = &arrival.message;
            let chat = message.group.clone();
            let (sender, wire_id) = (arrival.sender().to_owned(), message.wire_id.clone());
            let key = (chat, sender, wire_id);
            let official = arrival.device.channel == ChannelKind::CLOUD_API;
            let key = if official { (None, String::new(), key.2) } else { key };
            seen.insert((arrival.device.id, arrival.way.is_ours(), key))
        })
        .collect();
    report.repeated += before - arrivals.len();
    arrivals
}

/// The contact of each arrival, and what the log says of those that were made.
async fn contacts(
    road: &Road<'_>,
    scope: Scope,
    arrivals: &[Arrival],
) -> Result<(Vec<Resolved>, Vec<NewEvent>), StoreError> {
    let people: Vec<Person> = arrivals.iter().map(Arrival::person).collect();
    let mut repo = road.work.people(scope);
    let resolved =
        people::resolve(&mut *repo, scope.account(), &people, road.ids, road.now).await?;
    drop(repo);
    let made: HashSet<ContactId> =
        resolved.iter().filter(|resolved| resolved.created).map(|r| r.contact).collect();
    let created = |contact_id| NewEvent {
        account: scope.account(),
        at: road.now,
        fact: Fact::ContactCreated { contact_id },
    };
    let events = made.into_iter().map(created).collect();
    Ok((resolved, events))
}

type Known = HashMap<(DeviceId, String), MessageId>;

/// The messages that the arrivals answer or point at.
async fn referred(
    road: &Road<'_>,
    scope: Scope,
    arrivals: &[Arrival],
) -> Result<Known, StoreError> {
    let mut wanted: BTreeMap<DeviceId, Vec<String>> = BTreeMap::new();
    for arrival in arrivals {
        let message = &arrival.message;
        let keys = message.reply_to.iter().chain(message.content.target());
        let keys = keys.map(|key| key.id.clone());
        wanted.entry(arrival.device.id).or_default().extend(keys);
    }
    let mut known = Known::new();
    for (device, mut wire_ids) in wanted {
        wire_ids.sort_unstable();
        wire_ids.dedup();
        if wire_ids.is_empty() {
            continue;
        }
        let found = road.work.messages(scope).by_wire_ids(device, &wire_ids).await?;
        known.extend(found.into_iter().map(|(wire_id, id)| ((device, wire_id), id)));
    }
    Ok(known)
}

fn message(
    road: &Road<'_>,
    arrival: &Arrival,
    contact: ContactId,
    chats: &Chats,
    known: &Known,
) -> Message {
    let Arrival { device, message, way } = arrival;
    let lane = Lane { device: device.id, contact };
    let find = |key: &kabar_channel::MessageKey| known.get(&(device.id, key.id.clone())).copied();
    let (direction, status) = if way.is_ours() {
        (Direction::Out, Status::Sent)
    } else {
        (Direction::In, Status::Delivered)
    };
    Message {
        id: road.ids.id(),
        account: device.account,
        device: device.id,
        conversation: chats.get(&lane).copied().unwrap_or_else(|| road.ids.id::<ConversationId>()),
        contact,
        direction,
        status,
        stage: None,
        queued: false,
        purpose: Purpose::Service,
        origin: match way {
            Way::Live => Origin::Contact,
            Way::Echo => Origin::PhoneEcho,
            Way::History { .. } => Origin::History,
        },
        origin_ref: None,
        reference: None,
        own_number: device.phone.clone(),
        recipient: None,
        asked_for: None,
        network_id: message.sender.wa_id.clone(),
        wire_id: Some(message.wire_id.clone()),
        dedupe_key: Some(arrival.dedupe_key(contact)),
        author: arrival.author(),
        reply_to_id: message.reply_to.as_ref().and_then(find),
        reply_to: message.reply_to.clone(),
        target_id: message.content.target().and_then(find),
        retry_of: None,
        choices: Vec::new(),
        downgraded_from: None,
        body: Body::In(message.content.clone()),
        prepared: None,
        reason: message.errors.first().cloned(),
        held_until: None,
        attempts: 0,
        due_at: road.now,
        next_at: road.now,
        expires_at: None,
        media: None,
        forwarded: message.forwarded,
        referral: message.referral.clone(),
        pricing: None,
        sender_at: message.sent_at,
        sent_at: if way.is_ours() { message.sent_at } else { None },
        delivered_at: None,
        read_at: None,
        played_at: None,
        failed_at: None,
        created_at: road.now,
        updated_at: road.now,
    }
}

fn touches(fresh: &[(&Arrival, &Message)]) -> Vec<Touch> {
    let mut by_chat: BTreeMap<ConversationId, Touch> = BTreeMap::new();
    for (arrival, message) in fresh {
        let touch = by_chat.entry(message.conversation).or_insert_with(|| Touch {
            conversation: Some(message.conversation),
            ..Touch::default()
        });
        let at = message.sender_at.unwrap_or(message.created_at).min(message.created_at);
        if message.direction == Direction::Out {
            touch.out_at = touch.out_at.max(Some(at));
            continue;
        }
        touch.in_at = touch.in_at.max(Some(at));
        if arrival.way == Way::Live {
            touch.window_expires_at = touch.window_expires_at.max(Some(after(at, WINDOW)));
            touch.unread += u32::from(arrival.message.content.wants_answer());
        }
    }
    by_chat.into_values().collect()
}

fn profile_names(fresh: &[(&Arrival, &Message)]) -> Vec<(ContactId, String)> {
    let names: BTreeMap<ContactId, String> = fresh
        .iter()
        .filter(|(arrival, _)| arrival.message.group.is_none() && !arrival.way.is_ours())
        .filter_map(|(arrival, message)| {
            Some((message.contact, arrival.message.profile_name.clone()?))
        })
        .collect();
    names.into_iter().collect()
}

fn received(fresh: &[(&Arrival, &Message)], now: Timestamp) -> Vec<NewEvent> {
    let events = fresh.iter().map(|(_, message)| NewEvent {
        account: message.account,
        at: now,
        fact: Fact::MessageReceived {
            message_id: message.id,
            device_id: message.device,
            conversation_id: message.conversation,
            contact_id: message.contact,
            status: message.status.to_string(),
            traits: message.traits(),
        },
    });
    events.collect()
}

/// The numbers of the installation's own devices among the senders: a device that answers a device
/// would never stop.
async fn own_numbers(
    road: &Road<'_>,
    fresh: &[(&Arrival, &Message)],
) -> Result<HashSet<String>, StoreError> {
    let mut senders: Vec<String> = fresh
        .iter()
        .filter(|(arrival, _)| arrival.device.settings.autoreply && arrival.way == Way::Live)
        .filter_map(|(arrival, _)| arrival.message.sender.phone.as_ref())
        .map(|phone| phone.as_str().to_owned())
        .collect();
    senders.sort_unstable();
    senders.dedup();
    if senders.is_empty() {
        return Ok(HashSet::new());
    }
    let own = road.work.device_registry(SCOPE).own_numbers(&senders).await?;
    Ok(own.into_iter().collect())
}

fn jobs(
    road: &Road<'_>,
    fresh: &[(&Arrival, &Message)],
    own_numbers: &HashSet<String>,
    answered: &HashSet<MessageId>,
) -> Vec<NewJob> {
    let mut jobs = Vec::new();
    for (arrival, message) in fresh {
        let mut job = |name, order| {
            jobs.push(NewJob {
                id: road.ids.id(),
                name,
                account: Some(message.account),
                order,
                payload: serde_json::json!({ "message_id": message.id }),
                due_at: road.now,
            });
        };
        if arrival.message.content.file().is_some() {
            job(FETCH_MEDIA_JOB, None);
        }
        if arrival.wants_answer(own_numbers) && !answered.contains(&message.id) {
            job(ANSWER_JOB, Some(message.conversation.to_string()));
        }
    }
    jobs
}
