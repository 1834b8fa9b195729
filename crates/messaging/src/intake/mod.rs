//! The way in: everything that arrives is durable before the channel acknowledges it.
//!
//! A batch is stored in one unit of work: deduplicate, find or make contacts and conversations,
//! store messages and statuses, append events, enqueue jobs. If that fails because of what an item
//! holds, the items are stored one by one and the bad ones are kept raw; if it fails because storage
//! is away, nothing was stored and the caller must not acknowledge.

mod incoming;
mod statuses;
mod storer;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use kabar_channel::{
    Batch, ChannelEvent, DeviceAddress, EventBody, Intake, IntakeError, IntakeReport, RawBody,
    StatusUpdate,
};
use kabar_contacts::people::{self, Person};
use kabar_contacts::preferences::{self, Wish};
use kabar_contacts::{PreferenceChange, PreferenceSource, StopScope};
use kabar_core::{
    AccountId, Clock, IdSource, InstallationScope, Store, StoreError, Timestamp, Wake,
};
use kabar_devices::Device;
use kabar_devices::health::day_of;
use kabar_events::{Fact, NewEvent};
use sha2::{Digest as _, Sha256};

use crate::gather::Gather;
use crate::merge;
use crate::repo::{QuarantineRow, RawRow, RoadWork};
use incoming::Arrival;
pub(crate) use statuses::unpark;
use storer::Storer;

/// Days for which a retried request is recognised: [`kabar_core::Once::KEPT_HOURS`].
const ONCE_DAYS: u32 = 1;
/// Days for which offers are counted: the longest window of a frequency cap.
const OFFER_DAYS: u32 = 30;
/// Days of which the figures of a device's health are kept: three times as long as the longest look
/// back.
const HEALTH_DAYS: i64 = 3 * kabar_devices::health::MEMORY;
/// Tries of a unit of work that met another one.
const TRIES: u32 = 5;
/// The most characters of a raw item that are kept in quarantine; the whole body is kept beside.
const RAW: usize = 64 * 1024;
/// Events of a batch that shares its unit of work with others, at most.
const SMALL: usize = 10;
/// Units of work that store batches at the same time, at most.
const WORKERS: usize = 4;
/// Events of one unit of work: a synchronisation of old messages can bring many thousands.
const MOST: usize = 1_000;
const SCOPE: InstallationScope = InstallationScope::system("intake");

/// Stores what channels hand over. Small batches that come at the same time share a unit of work.
#[derive(Clone)]
pub struct MessageIntake {
    storer: Storer,
    gather: Gather<Batch, Result<IntakeReport, StoreError>>,
}

impl MessageIntake {
    /// The intake over a store.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        let storer = Storer { store, clock, ids, wake };
        let worker = storer.clone();
        let gather = Gather::new(WORKERS, move |batches| {
            let worker = worker.clone();
            async move { worker.together(batches).await }
        });
        Self { storer, gather }
    }

    /// Applies parked statuses whose message became known meanwhile; a safety net for statuses that
    /// crossed their message's commit. Returns how many were applied.
    ///
    /// # Errors
    /// What storage says.
    pub async fn settle_parked(&self) -> Result<usize, StoreError> {
        let work = self.storer.store.begin().await?;
        let known = work.inbox(SCOPE).parked_with_message(500).await?;
        if known.is_empty() {
            return Ok(0);
        }
        let applied = statuses::unpark(&*work, &known, self.storer.clock.now()).await?;
        work.commit().await?;
        Ok(applied)
    }

    /// Removes what is remembered for a time only: answers to retried requests, sends that no limit
    /// looks at any more, days that no health does.
    ///
    /// # Errors
    /// What storage says.
    pub async fn prune(&self) -> Result<(), StoreError> {
        let now = self.storer.clock.now();
        let work = self.storer.store.begin().await?;
        let day = std::time::Duration::from_hours(24);
        let once = work.once().forget(now - day * ONCE_DAYS).await?;
        let pacing = work.pacing(SCOPE).prune(now - day, now - day * OFFER_DAYS).await?;
        let days = work.device_days(SCOPE).forget(day_of(now) - HEALTH_DAYS).await?;
        work.commit().await?;
        tracing::debug!(once, pacing, days, "intake.prune");
        Ok(())
    }
}

#[async_trait]
impl Intake for MessageIntake {
    async fn accept(&self, batch: Batch) -> Result<IntakeReport, IntakeError> {
        if batch.events.len() > SMALL {
            return Ok(self.storer.one(&batch).await?);
        }
        let stored = self.gather.submit(batch).await;
        let lost = || Err(StoreError::Unavailable("the unit of work ended half-way".into()));
        Ok(stored.unwrap_or_else(lost)?)
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
    events: &[&ChannelEvent],
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
    reaches: Vec<(Option<Device>, Option<String>, Option<u32>)>,
    quarantined: Vec<QuarantineRow>,
}

impl Sorted {
    fn add(&mut self, event: &ChannelEvent, devices: &Devices, ids: &dyn IdSource, now: Timestamp) {
        let device = event.device.as_ref().and_then(|address| devices.get(address));
        if let EventBody::Notice { field, account, .. } = &event.body {
            self.notices.push((device.cloned(), account.clone(), field.clone()));
            return;
        }
        if let EventBody::Reach { account, most } = &event.body {
            self.reaches.push((device.cloned(), account.clone(), *most));
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
        self.reaches(sorted.reaches).await?;
        Ok(report)
    }

    async fn identities(&self, changes: Vec<(Device, Person)>) -> Result<(), StoreError> {
        for (account, people) in by_account(changes.into_iter().map(|(d, p)| (d.account, p))) {
            let scope = SCOPE.within(account);
            let mut repo = self.work.people(scope);
            let resolved =
                people::resolve(&mut *repo, account, &people, self.ids, self.now).await?;
            drop(repo);
            for (person, resolved) in people.iter().zip(resolved) {
                let (ids, now) = (self.ids, self.now);
                let contact = resolved.contact;
                let jobs =
                    merge::found_to_be_one(self.work, scope, person, contact, ids, now).await?;
                self.work.jobs().enqueue(&jobs).await?;
            }
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
            let wish = Wish {
                change: if wanted { PreferenceChange::Resumed } else { PreferenceChange::Stopped },
                scope: StopScope::Marketing,
                source: PreferenceSource::Network,
                detail: None,
                message: None,
            };
            preferences::apply(self.work, scope, &ids, wish, self.ids, self.now).await?;
        }
        Ok(())
    }

    async fn notices(
        &self,
        notices: Vec<(Option<Device>, Option<String>, String)>,
    ) -> Result<(), StoreError> {
        for (device, parent, field) in notices {
            for device in self.about(device, parent).await? {
                let fact = Fact::DeviceNotice { device_id: Some(device.id), field: field.clone() };
                self.append(device.account, fact).await?;
            }
        }
        Ok(())
    }

    /// Messaging limits, kept for the portfolios that the devices belong to.
    async fn reaches(
        &self,
        reaches: Vec<(Option<Device>, Option<String>, Option<u32>)>,
    ) -> Result<(), StoreError> {
        for (device, parent, most) in reaches {
            let devices = self.about(device, parent).await?;
            let portfolios: BTreeSet<String> = devices.iter().map(Device::namespace).collect();
            for portfolio in portfolios {
                self.work.pacing(SCOPE).set_reach(&portfolio, most).await?;
            }
        }
        Ok(())
    }

    /// The devices that news of a device or of its account are about.
    async fn about(
        &self,
        device: Option<Device>,
        parent: Option<String>,
    ) -> Result<Vec<Device>, StoreError> {
        let mut about = match (device, parent) {
            (Some(device), _) => vec![device],
            (None, Some(parent)) => self.work.device_registry(SCOPE).by_parent(&parent).await?,
            (None, None) => Vec::new(),
        };
        about.retain(|device| self.within.is_none_or(|account| account == device.account));
        Ok(about)
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
