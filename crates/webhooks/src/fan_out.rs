//! From the event log to deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use kabar_contacts::Contact;
use kabar_core::{
    AccountId, ContactId, ConversationId, DeviceId, EndpointId, IdSource, InstallationScope,
    MessageId, Store, StoreError,
};
use kabar_devices::Device;
use kabar_events::{Position, StoredEvent};
use kabar_messaging::Message;
use serde::Deserialize;

use crate::delivery::NewDelivery;
use crate::repo::{Subscriber, WebhooksUse};
use crate::view;

const SCOPE: InstallationScope = InstallationScope::system("webhooks");
/// Events of one step.
pub(crate) const BATCH: u16 = 500;
/// Events that nobody wanted after which the position is stored all the same.
const SKIPPED: usize = 5_000;

/// Turns events into deliveries.
pub(crate) struct FanOut {
    store: Arc<dyn Store<dyn WebhooksUse>>,
    ids: Arc<dyn IdSource>,
    /// How far this node looked beyond the stored position, over events that nobody wanted.
    ahead: Mutex<Ahead>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    stored: Position,
    seen: Position,
    skipped: usize,
}

/// What a step did.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// No endpoint wants anything; nothing was read.
    pub(crate) unwanted: bool,
    /// Events that were read.
    pub(crate) events: usize,
    /// Endpoints that have something new.
    pub(crate) touched: BTreeSet<EndpointId>,
}

/// The ids that an event may hold.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names of the fields in events")]
struct Ids {
    message_id: Option<MessageId>,
    device_id: Option<DeviceId>,
    conversation_id: Option<ConversationId>,
    contact_id: Option<ContactId>,
}

impl Ids {
    fn of(event: &StoredEvent) -> Self {
        Self::deserialize(&event.data).unwrap_or_default()
    }
}

/// What events of an account speak of.
#[derive(Default)]
struct Views {
    messages: BTreeMap<MessageId, Message>,
    contacts: BTreeMap<ContactId, Contact>,
    devices: BTreeMap<DeviceId, Device>,
}

impl FanOut {
    pub(crate) fn new(store: Arc<dyn Store<dyn WebhooksUse>>, ids: Arc<dyn IdSource>) -> Self {
        Self { store, ids, ahead: Mutex::default() }
    }

    /// Reads on in the log, once. Everything slow is done before the unit of work that writes.
    pub(crate) async fn step(&self) -> Result<Step, StoreError> {
        let work = self.store.read().await?;
        if !work.fan_out(SCOPE).is_wanted().await? {
            return Ok(Step { unwanted: true, ..Step::default() });
        }
        let stored = work.fan_out(SCOPE).position().await?;
        let ahead = self.ahead(stored);
        let events = work.events().read_all(SCOPE, ahead.seen, BATCH).await?;
        let Some(last) = events.last().map(|event| event.position) else {
            return Ok(Step::default());
        };
        let deliveries = self.deliveries(&*work, &events).await?;
        drop(work);
        let skipped = ahead.skipped + events.len();
        if deliveries.is_empty() && skipped < SKIPPED {
            self.remember(Ahead { stored, seen: last, skipped });
            return Ok(Step { events: events.len(), ..Step::default() });
        }
        self.write(stored, last, &events, deliveries).await
    }

    async fn write(
        &self,
        from: Position,
        to: Position,
        events: &[StoredEvent],
        deliveries: Vec<NewDelivery>,
    ) -> Result<Step, StoreError> {
        let now = events.iter().map(|event| event.at).max().unwrap_or_default();
        let work = self.store.begin().await?;
        if !work.fan_out(SCOPE).advance(from, to).await? {
            // Another node was quicker with the same events.
            return Ok(Step::default());
        }
        work.fan_out(SCOPE).put(&deliveries, now).await?;
        work.commit().await?;
        self.remember(Ahead { stored: to, seen: to, skipped: 0 });
        let touched = deliveries.iter().map(|delivery| delivery.endpoint).collect();
        Ok(Step { events: events.len(), touched, unwanted: false })
    }

    fn ahead(&self, stored: Position) -> Ahead {
        let ahead = *self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.stored == stored { ahead } else { Ahead { stored, seen: stored, skipped: 0 } }
    }

    fn remember(&self, ahead: Ahead) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
    }

    async fn deliveries(
        &self,
        work: &(dyn WebhooksUse + '_),
        events: &[StoredEvent],
    ) -> Result<Vec<NewDelivery>, StoreError> {
        let accounts: BTreeSet<AccountId> = events.iter().map(|event| event.account).collect();
        let accounts: Vec<AccountId> = accounts.into_iter().collect();
        let subscribers = work.fan_out(SCOPE).subscribers(&accounts).await?;
        let wanted: Vec<(&StoredEvent, Ids, Vec<&Subscriber>)> = events
            .iter()
            .map(|event| {
                let ids = Ids::of(event);
                let wants = |one: &&Subscriber| wants(one, event, ids);
                (event, ids, subscribers.iter().filter(wants).collect::<Vec<_>>())
            })
            .filter(|(_, _, subscribers)| !subscribers.is_empty())
            .collect();
        let mut views: BTreeMap<AccountId, Views> = BTreeMap::new();
        for account in accounts {
            let ids: Vec<Ids> = wanted
                .iter()
                .filter(|(event, _, _)| event.account == account)
                .map(|(_, ids, _)| *ids)
                .collect();
            if !ids.is_empty() {
                views.insert(account, seen(work, account, &ids).await?);
            }
        }
        let none = Views::default();
        let made = wanted.iter().flat_map(|(event, ids, subscribers)| {
            let views = views.get(&event.account).unwrap_or(&none);
            self.of_event(event, *ids, subscribers, views)
        });
        Ok(made.collect())
    }

    /// The deliveries of one event; what is sent is rendered at most twice.
    fn of_event(
        &self,
        event: &StoredEvent,
        ids: Ids,
        subscribers: &[&Subscriber],
        views: &Views,
    ) -> Vec<NewDelivery> {
        let message = ids.message_id.and_then(|id| views.messages.get(&id));
        let chat = ids.conversation_id.or_else(|| message.map(|message| message.conversation));
        let contact = ids.contact_id.or_else(|| message.map(|message| message.contact));
        let mut rendered: [Option<String>; 2] = [None, None];
        let mut made = Vec::with_capacity(subscribers.len());
        for subscriber in subscribers {
            let [without, with] = &mut rendered;
            let slot = if subscriber.content { with } else { without };
            let payload = slot.get_or_insert_with(|| render(event, ids, views, subscriber.content));
            made.push(NewDelivery {
                id: self.ids.id(),
                account: event.account,
                endpoint: subscriber.endpoint,
                event: Some(event.position),
                kind: event.kind.clone(),
                chat: chat.filter(|_| subscriber.ordered),
                contact,
                payload: payload.clone(),
                at: event.at,
            });
        }
        made
    }
}

fn wants(subscriber: &Subscriber, event: &StoredEvent, ids: Ids) -> bool {
    subscriber.account == event.account
        && event.at >= subscriber.since
        && subscriber.events.iter().any(|pattern| pattern.fits(&event.kind))
        && (subscriber.devices.is_empty()
            || ids.device_id.is_some_and(|device| subscriber.devices.contains(&device)))
}

fn render(event: &StoredEvent, ids: Ids, views: &Views, content: bool) -> String {
    let message = ids.message_id.and_then(|id| views.messages.get(&id));
    let contact = ids.contact_id.or_else(|| message.map(|message| message.contact));
    let device = ids.device_id.or_else(|| message.map(|message| message.device));
    let data = view::data(
        &event.data,
        [
            ("message", message.map(|message| view::message(message, content))),
            ("contact", contact.and_then(|id| views.contacts.get(&id)).map(view::contact)),
            ("device", device.and_then(|id| views.devices.get(&id)).map(view::device)),
        ],
    );
    view::payload(&event.kind, event.account, event.at, &data)
}

/// What events of an account speak of. Rows that cannot be read leave their events without views;
/// they stop nobody.
async fn seen(
    work: &(dyn WebhooksUse + '_),
    account: AccountId,
    ids: &[Ids],
) -> Result<Views, StoreError> {
    match try_seen(work, account, ids).await {
        Err(error) if !error.is_transient() => {
            tracing::error!(%account, error = &error as &dyn std::error::Error, "webhooks.view");
            Ok(Views::default())
        }
        views => views,
    }
}

async fn try_seen(
    work: &(dyn WebhooksUse + '_),
    account: AccountId,
    ids: &[Ids],
) -> Result<Views, StoreError> {
    let scope = SCOPE.within(account);
    let messages: BTreeSet<MessageId> = ids.iter().filter_map(|ids| ids.message_id).collect();
    let messages: Vec<MessageId> = messages.into_iter().collect();
    let messages = work.messages(scope).by_ids(&messages).await?;
    let mut contacts: BTreeSet<ContactId> = ids.iter().filter_map(|ids| ids.contact_id).collect();
    contacts.extend(messages.iter().map(|message| message.contact));
    let contacts: Vec<ContactId> = contacts.into_iter().collect();
    let contacts = work.contacts(scope).by_ids(&contacts).await?;
    let mut devices: BTreeSet<DeviceId> = ids.iter().filter_map(|ids| ids.device_id).collect();
    devices.extend(messages.iter().map(|message| message.device));
    let devices: Vec<DeviceId> = devices.into_iter().collect();
    let devices = work.device_registry(SCOPE).by_ids(&devices).await?;
    let own = devices.into_iter().filter(|device| device.account == account);
    Ok(Views {
        messages: messages.into_iter().map(|message| (message.id, message)).collect(),
        contacts: contacts.into_iter().map(|contact| (contact.id, contact)).collect(),
        devices: own.map(|device| (device.id, device)).collect(),
    })
}
