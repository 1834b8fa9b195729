//! The way in: everything that arrives is durable before the channel acknowledges it.
//!
//! A batch is stored in one unit of work: deduplicate, find or make contacts and conversations,
//! store messages and statuses, append events, enqueue jobs. If that fails because of what an item
//! holds, the items are stored one by one and the bad ones are kept raw; if it fails because storage
//! is away, nothing was stored and the caller must not acknowledge.

mod incoming;
mod statuses;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use kabar_channel::{
    Batch, ChannelEvent, DeviceAddress, EventBody, Intake, IntakeError, IntakeReport, RawBody,
    StatusUpdate,
};
use kabar_contacts::people::{self, Person};
use kabar_core::{
    AccountId, Clock, IdSource, InstallationScope, Store, StoreError, Timestamp, Topic, Wake,
};
use kabar_devices::Device;
use kabar_events::{Fact, NewEvent};
use sha2::{Digest as _, Sha256};

use crate::repo::{QuarantineRow, RawRow, RoadWork};
use incoming::Arrival;
pub(crate) use statuses::unpark;

/// Days for which a retried request is recognised: [`kabar_core::Once::KEPT_HOURS`].
const ONCE_DAYS: u32 = 1;
/// Days for which raw bodies are kept: as long as Meta may deliver them again.
const RAW_DAYS: u32 = 7;
/// Tries of a unit of work that met another one.
const TRIES: u32 = 5;
/// The most characters of a raw item that are kept in quarantine; the whole body is kept beside.
const RAW: usize = 64 * 1024;
/// Events of one unit of work: a synchronisation of old messages can bring many thousands.
const MOST: usize = 1_000;
const SCOPE: InstallationScope = InstallationScope::system("intake");

/// Stores what channels hand over.
#[derive(Clone)]
pub struct MessageIntake {
    store: Arc<dyn Store<dyn RoadWork>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
}

impl MessageIntake {
    /// The intake over a store.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, clock, ids, wake }
    }

    /// Applies parked statuses whose message became known meanwhile; a safety net for statuses that
    /// crossed their message's commit. Returns how many were applied.
    ///
    /// # Errors
    /// What storage says.
    pub async fn settle_parked(&self) -> Result<usize, StoreError> {
        let work = self.store.begin().await?;
        let known = work.inbox(SCOPE).parked_with_message(500).await?;
        if known.is_empty() {
            return Ok(0);
        }
        let applied = statuses::unpark(&*work, &known, self.clock.now()).await?;
        work.commit().await?;
        Ok(applied)
    }

    /// Removes what is kept for a time only: answers to retried requests, and raw bodies.
    ///
    /// # Errors
    /// What storage says.
    pub async fn prune(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let day = std::time::Duration::from_hours(24);
        let once = work.once().forget(now - day * ONCE_DAYS).await?;
        let raw = work.inbox(SCOPE).prune_raw(now - day * RAW_DAYS).await?;
        work.commit().await?;
        tracing::debug!(once, raw, "intake.prune");
        Ok(())
    }

    async fn store(
        &self,
        events: &[ChannelEvent],
        raw: Option<&RawBody>,
        within: Option<AccountId>,
    ) -> Result<IntakeReport, StoreError> {
        let mut tries = 1;
        loop {
            match self.try_store(events, raw, within).await {
                Err(StoreError::Contended(_)) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn try_store(
        &self,
        events: &[ChannelEvent],
        raw: Option<&RawBody>,
        within: Option<AccountId>,
    ) -> Result<IntakeReport, StoreError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if let Some(raw) = raw {
            work.inbox(SCOPE).keep_raw(&raw_row(raw, &*self.ids, now)).await?;
        }
        let mut sorted = Sorted::default();
        let devices = devices_of(&*work, events, within).await?;
        for event in events {
            sorted.add(event, &devices, &*self.ids, now);
        }
        let road = Road { work: &*work, ids: &*self.ids, now, within };
        let report = road.store(sorted).await?;
        work.commit().await?;
        Ok(report)
    }

    /// Stores items one by one; what cannot be stored is kept raw.
    async fn store_singly(
        &self,
        events: &[ChannelEvent],
        raw: Option<&RawBody>,
        within: Option<AccountId>,
        cause: &StoreError,
    ) -> Result<IntakeReport, StoreError> {
        tracing::warn!(error = cause as &dyn std::error::Error, "intake.singly");
        let mut report = self.store(&[], raw, None).await?;
        for event in events {
            match self.store(std::slice::from_ref(event), None, within).await {
                Ok(one) => add(&mut report, one),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    let work = self.store.begin().await?;
                    let now = self.clock.now();
                    let row = quarantine(event, &error.to_string(), None, &*self.ids, now);
                    work.inbox(SCOPE).quarantine(&[row]).await?;
                    work.commit().await?;
                    report.quarantined += 1;
                }
            }
        }
        Ok(report)
    }
}

#[async_trait]
impl Intake for MessageIntake {
    async fn accept(&self, batch: Batch) -> Result<IntakeReport, IntakeError> {
        let mut report = IntakeReport::default();
        if batch.events.is_empty() {
            report = self.store(&[], batch.raw.as_ref(), batch.within).await?;
        }
        // Every chunk repeats safely, so a batch that breaks off half-way is simply delivered again.
        for (index, events) in batch.events.chunks(MOST).enumerate() {
            let raw = batch.raw.as_ref().filter(|_| index == 0);
            let stored = match self.store(events, raw, batch.within).await {
                Err(error) if !error.is_transient() => {
                    self.store_singly(events, raw, batch.within, &error).await
                }
                stored => stored,
            };
            add(&mut report, stored?);
        }
        for topic in [Topic::Jobs, Topic::Outbox, Topic::Events] {
            self.wake.wake(topic);
        }
        Ok(report)
    }
}

fn add(report: &mut IntakeReport, one: IntakeReport) {
    report.messages += one.messages;
    report.statuses += one.statuses;
    report.repeated += one.repeated;
    report.parked += one.parked;
    report.quarantined += one.quarantined;
}

fn raw_row(raw: &RawBody, ids: &dyn IdSource, now: Timestamp) -> RawRow {
    RawRow {
        id: ids.next(),
        app: raw.app,
        hash: Sha256::digest(&raw.bytes).into(),
        bytes: raw.bytes.clone(),
        at: now,
    }
}

fn quarantine(
    event: &ChannelEvent,
    problem: &str,
    device: Option<&Device>,
    ids: &dyn IdSource,
    now: Timestamp,
) -> QuarantineRow {
    let raw: String = event.raw.to_string().chars().take(RAW).collect();
    let mut hash = Sha256::new();
    hash.update(&raw);
    if let EventBody::Unknown { place, .. } = &event.body {
        hash.update(place);
    }
    QuarantineRow {
        id: ids.next(),
        account: device.map(|device| device.account),
        device: device.map(|device| device.id),
        hash: hash.finalize().into(),
        problem: problem.chars().filter(|c| *c != '\0').take(1_000).collect(),
        raw: raw.replace('\0', "\u{fffd}"),
        at: now,
    }
}

type Devices = HashMap<DeviceAddress, Device>;

async fn devices_of(
    work: &(dyn RoadWork + '_),
    events: &[ChannelEvent],
    within: Option<AccountId>,
) -> Result<Devices, StoreError> {
    let mut addresses: Vec<DeviceAddress> =
        events.iter().filter_map(|event| event.device.clone()).collect();
    addresses.sort_by(|a, b| (&a.channel, &a.address).cmp(&(&b.channel, &b.address)));
    addresses.dedup();
    if addresses.is_empty() {
        return Ok(Devices::new());
    }
    let found = work.device_registry(SCOPE).by_addresses(&addresses).await?;
    Ok(found
        .into_iter()
        .filter(|device| within.is_none_or(|account| account == device.account))
        .map(|device| {
            let (channel, address) = (device.channel.clone(), device.address.clone());
            (DeviceAddress { channel, address }, device)
        })
        .collect())
}

/// A batch by what has to be done with it.
#[derive(Default)]
struct Sorted {
    arrivals: Vec<Arrival>,
    statuses: Vec<(Device, StatusUpdate)>,
    identities: Vec<(Device, Person)>,
    preferences: Vec<(Device, Person, bool)>,
    notices: Vec<(Option<Device>, Option<String>, String)>,
    quarantined: Vec<QuarantineRow>,
}

impl Sorted {
    fn add(&mut self, event: &ChannelEvent, devices: &Devices, ids: &dyn IdSource, now: Timestamp) {
        let device = event.device.as_ref().and_then(|address| devices.get(address));
        if let EventBody::Notice { field, account, .. } = &event.body {
            self.notices.push((device.cloned(), account.clone(), field.clone()));
            return;
        }
        if let EventBody::Unknown { problem, .. } = &event.body {
            self.quarantined.push(quarantine(event, problem, device, ids, now));
            return;
        }
        let Some(device) = device else {
            let problem = "no device of this installation has this address";
            self.quarantined.push(quarantine(event, problem, None, ids, now));
            return;
        };
        self.place(event, device, ids, now);
    }

    fn place(&mut self, event: &ChannelEvent, device: &Device, ids: &dyn IdSource, now: Timestamp) {
        let arrival = |message: &kabar_channel::IncomingMessage, way| Arrival {
            device: device.clone(),
            message: message.clone(),
            way,
        };
        let namespace = device.namespace();
        match &event.body {
            EventBody::Message(message) => {
                self.arrivals.push(arrival(message, incoming::Way::Live));
            }
            EventBody::Echo(message) => self.arrivals.push(arrival(message, incoming::Way::Echo)),
            EventBody::History { message, from_me } => {
                let way = incoming::Way::History { from_me: *from_me };
                self.arrivals.push(arrival(message, way));
            }
            EventBody::Status(status) => self.statuses.push((device.clone(), (**status).clone())),
            EventBody::Identity { old, new } => {
                let mut person = Person::from_ids(old, &namespace, None);
                let further = Person::from_ids(new, &namespace, None);
                person.keys.extend(further.keys);
                self.identities.push((device.clone(), person));
            }
            EventBody::Preference { person, wanted } => {
                let person = Person::from_ids(person, &namespace, None);
                self.preferences.push((device.clone(), person, *wanted));
            }
            _ => {
                let problem = "this version cannot place it";
                self.quarantined.push(quarantine(event, problem, Some(device), ids, now));
            }
        }
    }
}

/// One unit of work of the intake.
struct Road<'a> {
    work: &'a dyn RoadWork,
    ids: &'a dyn IdSource,
    now: Timestamp,
    within: Option<AccountId>,
}

impl Road<'_> {
    async fn store(&self, sorted: Sorted) -> Result<IntakeReport, StoreError> {
        let mut report = IntakeReport::default();
        report.quarantined = sorted.quarantined.len();
        if !sorted.quarantined.is_empty() {
            self.work.inbox(SCOPE).quarantine(&sorted.quarantined).await?;
        }
        // What is told about people first, so that their messages find them.
        self.identities(sorted.identities).await?;
        incoming::store(self, sorted.arrivals, &mut report).await?;
        statuses::store(self, sorted.statuses, &mut report).await?;
        self.preferences(sorted.preferences).await?;
        self.notices(sorted.notices).await?;
        Ok(report)
    }

    async fn identities(&self, changes: Vec<(Device, Person)>) -> Result<(), StoreError> {
        for (account, people) in by_account(changes.into_iter().map(|(d, p)| (d.account, p))) {
            let mut repo = self.work.people(SCOPE.within(account));
            people::resolve(&mut *repo, account, &people, self.ids, self.now).await?;
        }
        Ok(())
    }

    async fn preferences(&self, changes: Vec<(Device, Person, bool)>) -> Result<(), StoreError> {
        for (device, person, wanted) in changes {
            let scope = SCOPE.within(device.account);
            let mut repo = self.work.people(scope);
            let resolved =
                people::resolve(&mut *repo, device.account, &[person], self.ids, self.now).await?;
            drop(repo);
            let ids: Vec<_> = resolved.iter().map(|resolved| resolved.contact).collect();
            let mut contacts = self.work.contacts(scope);
            for mut contact in contacts.by_ids(&ids).await? {
                contact.marketing_stopped_at = (!wanted).then_some(self.now);
                contact.updated_at = self.now;
                contacts.update(&contact).await?;
                let fact = Fact::ContactPreference { contact_id: contact.id, marketing: wanted };
                self.append(device.account, fact).await?;
            }
        }
        Ok(())
    }

    async fn notices(
        &self,
        notices: Vec<(Option<Device>, Option<String>, String)>,
    ) -> Result<(), StoreError> {
        for (device, parent, field) in notices {
            let about = match (device, parent) {
                (Some(device), _) => vec![device],
                (None, Some(parent)) => self.work.device_registry(SCOPE).by_parent(&parent).await?,
                (None, None) => Vec::new(),
            };
            let told = about
                .into_iter()
                .filter(|device| self.within.is_none_or(|account| account == device.account));
            for device in told {
                let fact = Fact::DeviceNotice { device_id: Some(device.id), field: field.clone() };
                self.append(device.account, fact).await?;
            }
        }
        Ok(())
    }

    async fn append(&self, account: AccountId, fact: Fact) -> Result<(), StoreError> {
        self.work.events().append(&[NewEvent { account, at: self.now, fact }]).await
    }
}

/// Items by account, in their order.
fn by_account<T>(items: impl IntoIterator<Item = (AccountId, T)>) -> Vec<(AccountId, Vec<T>)> {
    let mut groups: Vec<(AccountId, Vec<T>)> = Vec::new();
    for (account, item) in items {
        match groups.iter_mut().find(|(known, _)| *known == account) {
            Some((_, group)) => group.push(item),
            None => groups.push((account, vec![item])),
        }
    }
    groups
}
