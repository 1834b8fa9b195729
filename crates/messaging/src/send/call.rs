//! One call of `send_many` inside its unit of work.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use kabar_channel::{Channels, ContentKind, FieldError, Fit, MessageKey, fit};
use kabar_contacts::Contact;
use kabar_contacts::contact::{IdentityKey, IdentityKind};
use kabar_contacts::people::{self, Person};
use kabar_core::{
    ContactId, ConversationId, DeviceId, IdSource, InstallationScope, MediaId, MessageId, Scope,
    StoreError, Timestamp,
};
use kabar_devices::{Device, RecentDevices};
use kabar_events::{Fact, NewEvent};

use crate::message::{Body, Direction, Lane, Message, NewMessage, Status, To, downgraded};
use crate::opt_out::{refusal, refuses};
use crate::pacing::guard::is_guarded;
use crate::repo::{Chats, LaneEntry, RoadWork, Wrote, after, chats};

use super::render::render;
use super::{InvalidMessage, MessageError, REFERENCE, WIRE_ID, lane_entry};

/// One call of `send_many` inside its unit of work.
pub(super) struct Call<'a> {
    pub(super) work: &'a dyn RoadWork,
    pub(super) scope: Scope,
    pub(super) channels: &'a Channels,
    pub(super) ids: &'a dyn IdSource,
    pub(super) recent: &'a RecentDevices,
}

/// What the messages of a call refer to, as far as it is there.
#[derive(Clone, Copy)]
struct Known<'a> {
    devices: &'a HashMap<DeviceId, Device>,
    contacts: &'a [Option<Contact>],
    targets: &'a HashMap<MessageId, Message>,
    files: &'a HashSet<MediaId>,
}

/// What became of the messages of a call.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Those that were taken, each with its place in the call.
    pub(crate) messages: Vec<(usize, Message)>,
    /// Those that cannot be sent.
    pub(crate) refused: Vec<InvalidMessage>,
}

/// The messages of a call, by whether they can be sent.
pub(super) struct Sorted {
    /// The places of those that can, in the order of what was planned.
    pub(super) places: Vec<usize>,
    /// Those that cannot.
    pub(super) refused: Vec<InvalidMessage>,
}

/// A message of a call whose recipient is known.
struct Addressed<'a> {
    new: &'a NewMessage,
    device: &'a Device,
    contact: &'a Contact,
}

/// Messages of calls in one scope, ready to be stored.
pub(super) struct Planned {
    pub(super) scope: Scope,
    pub(super) messages: Vec<Message>,
    /// The contacts that were made for them.
    pub(super) made: BTreeSet<ContactId>,
    /// Their devices that have a ban guard.
    pub(super) guarded: BTreeSet<DeviceId>,
}

/// Stores what was planned, of any number of scopes.
pub(super) async fn store(
    work: &dyn RoadWork,
    planned: &[Planned],
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut messages, mut lanes, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for plan in planned {
        messages.extend(&plan.messages);
        lanes.extend(lane_entries(plan));
        events.extend(plan.made.iter().map(|contact| made_event(plan.scope, *contact, now)));
        events.extend(plan.messages.iter().map(|message| queued_event(message, now)));
    }
    work.outbox(InstallationScope::system("send")).take(&messages, &lanes, &events).await
}

/// Which call is to blame for what: the messages of calls of these sizes were checked in one row.
pub(super) fn by_call(
    invalid: Vec<InvalidMessage>,
    sizes: impl Iterator<Item = usize>,
) -> Vec<Vec<InvalidMessage>> {
    let mut invalid = invalid.into_iter().peekable();
    let mut start = 0;
    let mut blamed = Vec::new();
    for size in sizes {
        let mut own = Vec::new();
        while let Some(mut message) = invalid.next_if(|message| message.index < start + size) {
            message.index -= start;
            own.push(message);
        }
        start += size;
        blamed.push(own);
    }
    blamed
}

impl Call<'_> {
    /// Checks and addresses messages, all or none; makes the contacts and conversations that they
    /// need.
    pub(super) async fn plan(
        &self,
        new: &[&NewMessage],
        now: Timestamp,
    ) -> Result<Planned, MessageError> {
        let (planned, sorted) = self.plan_those(new, true, now).await?;
        if sorted.refused.is_empty() {
            return Ok(planned);
        }
        Err(MessageError::Invalid(sorted.refused))
    }

    /// The same for those that can be sent.
    pub(super) async fn plan_some(
        &self,
        new: &[&NewMessage],
        now: Timestamp,
    ) -> Result<(Planned, Sorted), MessageError> {
        self.plan_those(new, false, now).await
    }

    async fn plan_those(
        &self,
        new: &[&NewMessage],
        all: bool,
        now: Timestamp,
    ) -> Result<(Planned, Sorted), MessageError> {
        let devices = self.devices(new, now).await?;
        let (contacts, made) = self.contacts(new, &devices, now).await?;
        let targets = self.targets(new).await?;
        let files = self.files(new).await?;
        let known =
            Known { devices: &devices, contacts: &contacts, targets: &targets, files: &files };
        let mut refused = Vec::new();
        let mut places = Vec::with_capacity(new.len());
        let mut addressed = Vec::with_capacity(new.len());
        let mut fits = Vec::with_capacity(new.len());
        for (index, message) in new.iter().enumerate() {
            match self.check(message, index, known, now) {
                Ok((to, fitted)) => {
                    places.push(index);
                    addressed.push(to);
                    fits.push(fitted);
                }
                Err(fields) => refused.push(InvalidMessage { index, fields }),
            }
        }
        let sorted = Sorted { places, refused };
        if all && !sorted.refused.is_empty() {
            let (messages, guarded) = (Vec::new(), BTreeSet::new());
            let nothing = Planned { scope: self.scope, messages, made, guarded };
            return Ok((nothing, sorted));
        }
        let lanes =
            addressed.iter().map(|to| Lane { device: to.device.id, contact: to.contact.id });
        let chats = chats(self.work, self.scope, lanes, self.ids, now, Wrote::Us).await?;
        let messages: Vec<Message> = addressed
            .into_iter()
            .zip(fits)
            .map(|(to, fitted)| self.message(&to, fitted, &chats, &targets, now))
            .collect();
        let guarded = devices.values().filter(|device| is_guarded(device));
        let guarded = guarded.map(|device| device.id).collect();
        Ok((Planned { scope: self.scope, messages, made, guarded }, sorted))
    }

    /// The devices of the call that the scope reaches.
    async fn devices(
        &self,
        new: &[&NewMessage],
        now: Timestamp,
    ) -> Result<HashMap<DeviceId, Device>, StoreError> {
        let mut wanted: Vec<DeviceId> = new.iter().map(|message| message.device).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|device| self.scope.reaches(*device));
        let mut found = Vec::with_capacity(wanted.len());
        wanted.retain(|device| match self.recent.get(device, now) {
            Some(device) => {
                found.push(device);
                false
            }
            None => true,
        });
        if !wanted.is_empty() {
            let scope = InstallationScope::system("send");
            for device in self.work.device_registry(scope).by_ids(&wanted).await? {
                self.recent.put(device.id, &device, now);
                found.push(device);
            }
        }
        let own = found.into_iter().filter(|device| device.account == self.scope.account());
        Ok(own.map(|device| (device.id, device)).collect())
    }

    /// The contact of each message; `None` where there is no such contact.
    async fn contacts(
        &self,
        new: &[&NewMessage],
        devices: &HashMap<DeviceId, Device>,
        now: Timestamp,
    ) -> Result<(Vec<Option<Contact>>, BTreeSet<ContactId>), StoreError> {
        let mut people = Vec::new();
        let mut places = Vec::with_capacity(new.len());
        for message in new {
            let namespace = devices.get(&message.device).map(Device::namespace);
            places.push(match person(&message.to, namespace.as_deref()) {
                // Nothing is made for a message that cannot be sent anyway.
                _ if namespace.is_none() => Place::Nowhere,
                Some(person) => {
                    people.push(person);
                    Place::Person(people.len() - 1)
                }
                None => match message.to {
                    To::Contact(id) => Place::Contact(id),
                    _ => Place::Nowhere,
                },
            });
        }
        let mut repo = self.work.people(self.scope);
        let met = people::meet(&mut *repo, self.scope.account(), &people, self.ids, now).await?;
        drop(repo);
        let made: BTreeSet<ContactId> =
            met.people.iter().filter(|met| met.created).map(|met| met.contact).collect();
        let mut by_id: HashMap<ContactId, Contact> =
            met.made.into_iter().map(|contact| (contact.id, contact)).collect();
        let ids: Vec<Option<ContactId>> = places
            .into_iter()
            .map(|place| match place {
                Place::Contact(id) => Some(id),
                Place::Person(index) => met.people.get(index).map(|resolved| resolved.contact),
                Place::Nowhere => None,
            })
            .collect();
        let wanted: BTreeSet<ContactId> =
            ids.iter().copied().flatten().filter(|id| !by_id.contains_key(id)).collect();
        if !wanted.is_empty() {
            let wanted: Vec<ContactId> = wanted.into_iter().collect();
            let found = self.work.contacts(self.scope).by_ids(&wanted).await?;
            by_id.extend(found.into_iter().map(|contact| (contact.id, contact)));
        }
        let contacts = ids.into_iter().map(|id| id.and_then(|id| by_id.get(&id).cloned()));
        Ok((contacts.collect(), made))
    }

    /// The stored files that the call's messages send.
    async fn files(&self, new: &[&NewMessage]) -> Result<HashSet<MediaId>, StoreError> {
        let wanted: HashSet<MediaId> = new.iter().filter_map(|new| new.content.stored()).collect();
        if wanted.is_empty() {
            return Ok(wanted);
        }
        let wanted: Vec<MediaId> = wanted.into_iter().collect();
        let found = self.work.media(self.scope).existing(&wanted).await?;
        Ok(found.into_iter().collect())
    }

    /// The messages that the call's messages answer or react to.
    async fn targets(
        &self,
        new: &[&NewMessage],
    ) -> Result<HashMap<MessageId, Message>, StoreError> {
        let mut wanted: Vec<MessageId> =
            new.iter().filter_map(|message| message.reply_to).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.work.messages(self.scope).by_ids(&wanted).await?;
        Ok(found.into_iter().map(|message| (message.id, message)).collect())
    }

    fn check<'b>(
        &self,
        new: &'b NewMessage,
        index: usize,
        known: Known<'b>,
        now: Timestamp,
    ) -> Result<(Addressed<'b>, Fit), Vec<FieldError>> {
        let no = |field: &str, problem: &str| vec![FieldError::new(field, problem)];
        let device =
            known.devices.get(&new.device).ok_or_else(|| no("device_id", "no such device"))?;
        let contact = known
            .contacts
            .get(index)
            .and_then(Option::as_ref)
            .ok_or_else(|| no("to", "no such contact"))?;
        if let Some(stop) = contact.stop().filter(|stop| refuses(Some(*stop), new.purpose)) {
            return Err(no("to", &refusal(stop)));
        }
        check_fields(new, known.targets, now)?;
        if new.content.stored().is_some_and(|id| !known.files.contains(&id)) {
            return Err(no("media_id", "no such file"));
        }
        let channel = self
            .channels
            .get(&device.channel)
            .ok_or_else(|| no("device_id", "this installation lacks the device's channel"))?;
        let capabilities = channel.channel().capabilities(&device.link());
        let content = render(new, contact)?;
        let fitted = fit(content, &capabilities, new.fallback)?;
        Ok((Addressed { new, device, contact }, fitted))
    }

    fn message(
        &self,
        to: &Addressed<'_>,
        fitted: Fit,
        chats: &Chats,
        targets: &HashMap<MessageId, Message>,
        now: Timestamp,
    ) -> Message {
        let Addressed { new, device, contact } = to;
        let lane = Lane { device: device.id, contact: contact.id };
        let target = new.reply_to.and_then(|id| targets.get(&id));
        let reacts = fitted.content.kind() == ContentKind::Reaction;
        let due_at = new.due_at.map_or(now, |due| due.max(now));
        let expires = Duration::from_secs(u64::from(device.settings.expire_seconds));
        let asked_for = match &new.to {
            To::Phone(phone) => Some(phone.clone()),
            _ => None,
        };
        let mut recipient = contact.recipient(&device.namespace());
        if let Some(phone) = &asked_for {
            recipient.phone = Some(phone.clone());
        }
        Message {
            id: self.ids.id(),
            account: self.scope.account(),
            device: device.id,
            // `chats` was made from these very lanes.
            conversation: chats
                .get(&lane)
                .copied()
                .unwrap_or_else(|| self.ids.id::<ConversationId>()),
            contact: contact.id,
            direction: Direction::Out,
            status: Status::Pending,
            stage: None,
            queued: true,
            purpose: new.purpose,
            origin: new.origin,
            origin_ref: new.origin_ref.clone(),
            reference: new.reference.clone(),
            own_number: device.phone.clone(),
            recipient: Some(recipient),
            asked_for,
            network_id: None,
            wire_id: None,
            dedupe_key: None,
            author: None,
            reply_to_id: new.reply_to,
            reply_to: target.and_then(message_key),
            target_id: new.reply_to.filter(|_| reacts),
            retry_of: new.retry_of,
            choices: fitted.choices,
            downgraded_from: downgraded(fitted.downgraded_from),
            body: Body::Out(fitted.content),
            prepared: None,
            reason: None,
            held_until: None,
            attempts: 0,
            due_at,
            next_at: due_at,
            expires_at: Some(new.expires_at.unwrap_or_else(|| after(due_at, expires))),
            media: None,
            forwarded: false,
            referral: None,
            pricing: None,
            sender_at: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            played_at: None,
            failed_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}

enum Place {
    Person(usize),
    Contact(ContactId),
    Nowhere,
}

fn person(to: &To, namespace: Option<&str>) -> Option<Person> {
    let namespace = namespace.unwrap_or_default();
    match to {
        To::Phone(phone) => Some(Person::of(IdentityKey::phone(phone))),
        To::Bsuid(value) => Some(Person::of(IdentityKey {
            kind: IdentityKind::Bsuid,
            namespace: namespace.to_owned(),
            value: value.clone(),
        })),
        To::Group(id) => Some(Person::group(id, namespace)),
        To::Contact(_) => None,
    }
}

/// How the network names a message of ours or theirs. A group's members are told apart by their
/// addresses; where two talk, whose message it is says it all.
fn message_key(message: &Message) -> Option<MessageKey> {
    Some(MessageKey {
        chat: None,
        sender: message.author.as_ref().and_then(|author| author.address.clone()),
        from_me: message.direction == Direction::Out,
        id: message.wire_id.clone()?,
    })
}

fn check_fields(
    new: &NewMessage,
    targets: &HashMap<MessageId, Message>,
    now: Timestamp,
) -> Result<(), Vec<FieldError>> {
    let mut problems = Vec::new();
    if let Some(reference) = &new.reference
        && (reference.is_empty()
            || reference.chars().count() > REFERENCE
            || reference.chars().any(char::is_control))
    {
        let problem = format!("must have 1 to {REFERENCE} characters, none of them control");
        problems.push(FieldError::new("reference", problem));
    }
    if let To::Bsuid(id) | To::Group(id) = &new.to
        && !((1..=WIRE_ID).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic()))
    {
        let problem = format!("must be an id of 1 to {WIRE_ID} printable ASCII characters");
        problems.push(FieldError::new("to", problem));
    }
    let due = new.due_at.unwrap_or(now);
    if new.expires_at.is_some_and(|expiry| expiry <= due || expiry <= now) {
        let problem = "must be later than now, and later than the time of sending";
        problems.push(FieldError::new("expires_at", problem));
    }
    let target = new.reply_to.map(|id| targets.get(&id));
    match target {
        Some(None) => problems.push(FieldError::new("reply_to", "no such message")),
        Some(Some(target)) if target.device != new.device => {
            let problem = "must be a message of the same device";
            problems.push(FieldError::new("reply_to", problem));
        }
        Some(Some(target)) if target.wire_id.is_none() => {
            let problem = "that message was not sent yet; wait until it is";
            problems.push(FieldError::new("reply_to", problem));
        }
        None if new.content.kind() == ContentKind::Reaction => {
            let problem = "a reaction needs the message that it reacts to";
            problems.push(FieldError::new("reply_to", problem));
        }
        _ => {}
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn lane_entries(plan: &Planned) -> Vec<LaneEntry> {
    let mut by_lane: BTreeMap<Lane, LaneEntry> = BTreeMap::new();
    for message in &plan.messages {
        let guarded = plan.guarded.contains(&message.device);
        let entry = LaneEntry { guarded, ..lane_entry(message) };
        let lane = by_lane.entry(entry.lane).or_insert(entry);
        lane.priority = lane.priority.min(entry.priority);
        lane.ready_at = lane.ready_at.min(entry.ready_at);
    }
    by_lane.into_values().collect()
}

fn made_event(scope: Scope, contact_id: ContactId, at: Timestamp) -> NewEvent {
    NewEvent { account: scope.account(), at, fact: Fact::ContactCreated { contact_id } }
}

fn queued_event(message: &Message, at: Timestamp) -> NewEvent {
    NewEvent {
        account: message.account,
        at,
        fact: Fact::MessageQueued {
            message_id: message.id,
            device_id: message.device,
            conversation_id: message.conversation,
            contact_id: message.contact,
            traits: message.traits(),
        },
    }
}
