//! What people ask the pacer: how much a device has used, why a message waits, how long it takes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono_tz::Tz;
use kabar_channel::Channels;
use kabar_core::permission::{ReadDevices, ReadMessages};
use kabar_core::{
    AccountId, Clock, DeviceId, Grant, InstallationScope, Scope, Store, StoreError, Timestamp,
};
use kabar_devices::Device;
use kabar_devices::health::{Health, MEMORY, assess, day_of};

use super::estimate::{Estimate, Sender, estimate};
use super::guard::{Blocked, Guard, WarmUpDay};
use super::hold::{Hold, HoldReason};
use super::pace::{DAY, HOUR, Pace};
use super::quiet::Quiet;
use super::repo::AccountRules;
use crate::dispatch::{places, quiet};
use crate::message::{Direction, Lane, Message, Purpose, Status};
use crate::repo::RoadWork;
use crate::send::MessageError;

const SCOPE: InstallationScope = InstallationScope::system("pacing");

/// What a device has used, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Counted sends in the last 60 minutes; nothing is counted where nothing is capped.
    pub last_hour: u64,
    /// Counted sends in the last 24 hours.
    pub last_day: u64,
    /// Messages in its lines.
    pub waiting: u64,
    /// When the next offer may go, as far as the device decides.
    pub next_offer_at: Timestamp,
    /// When the next reply may go.
    pub next_reply_at: Timestamp,
    /// Everything that it waits for now, the longest wait first.
    pub holds: Vec<Hold>,
}

/// The pacer, for those who ask.
#[derive(Clone)]
pub struct Pacing {
    store: Arc<dyn Store<dyn RoadWork>>,
    channels: Channels,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Pacing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pacing").finish_non_exhaustive()
    }
}

/// How a device meets people who never wrote to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meeting {
    /// The day of its warm-up; `None` when it has none, or it is over.
    pub warm_up: Option<WarmUpDay>,
    /// Messages to new contacts that were sent today.
    pub sent_today: u32,
    /// The network's refusal that holds now.
    pub blocked: Option<Blocked>,
    /// What keeps the next one.
    pub hold: Option<Hold>,
}

/// How likely a device is to be banned, and what its guard does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceHealth {
    /// What its days say.
    pub health: Health,
    /// How it meets new contacts; `None` where there is no guard.
    pub new_contacts: Option<Meeting>,
}

/// What a device waits for.
struct State {
    device: Device,
    pace: Pace,
    quiet: Option<Quiet>,
    paused: Option<Timestamp>,
    guard: Option<Guard>,
}

impl Pacing {
    /// The pacer of a store.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        channels: Channels,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, channels, clock }
    }

    /// What a device has used, and what it waits for.
    ///
    /// # Errors
    /// [`MessageError::NotFound`] if there is no such device.
    pub async fn usage(
        &self,
        grant: &Grant<ReadDevices>,
        device: DeviceId,
    ) -> Result<Usage, MessageError> {
        let now = self.clock.now();
        let work = self.store.read().await?;
        let states = states(&*work, grant.scope(), &[device], now).await?;
        let state = states.get(&device).ok_or(MessageError::NotFound)?;
        let last_day = work.pacing(SCOPE).count_since(device, now - DAY).await?;
        let last_hour = work.pacing(SCOPE).count_since(device, now - HOUR).await?;
        let waiting = work.pacing(SCOPE).waiting(device).await?;
        let next = |purpose| state.hold(purpose, now).map_or(now, |hold| hold.until);
        Ok(Usage {
            last_hour,
            last_day,
            waiting,
            next_offer_at: next(Purpose::Marketing),
            next_reply_at: next(Purpose::Reply),
            holds: state.holds(now),
        })
    }

    /// Says of messages that wait why they do, and until when: those that the pacer did not look at
    /// yet, because their whole device waits, are told the device's reason as if they were held.
    ///
    /// # Errors
    /// [`MessageError::Store`].
    pub async fn explain(
        &self,
        grant: &Grant<ReadMessages>,
        mut messages: Vec<Message>,
    ) -> Result<Vec<Message>, MessageError> {
        let now = self.clock.now();
        let mut devices: Vec<DeviceId> =
            messages.iter().filter(|m| is_due(m, now)).map(|m| m.device).collect();
        devices.sort_unstable();
        devices.dedup();
        if devices.is_empty() {
            return Ok(messages);
        }
        let work = self.store.read().await?;
        let states = states(&*work, grant.scope(), &devices, now).await?;
        let new = new_contacts(&*work, &messages, &states, now).await?;
        for message in messages.iter_mut().filter(|message| is_due(message, now)) {
            let Some(state) = states.get(&message.device) else { continue };
            let met = state.meeting(now).and_then(|meeting| meeting.hold);
            let met = met.filter(|_| new.contains(&message.lane()));
            if let Some(hold) = Hold::later(met, state.hold(message.purpose, now)) {
                message.status = Status::Held;
                message.reason = Some(hold.reason());
                message.held_until = Some(hold.until);
            }
        }
        Ok(messages)
    }

    /// How likely a device is to be banned, and what its guard does about it.
    ///
    /// # Errors
    /// [`MessageError::NotFound`] if there is no such device.
    pub async fn health(
        &self,
        grant: &Grant<ReadDevices>,
        device: DeviceId,
    ) -> Result<DeviceHealth, MessageError> {
        let now = self.clock.now();
        let work = self.store.read().await?;
        let states = states(&*work, grant.scope(), &[device], now).await?;
        let state = states.get(&device).ok_or(MessageError::NotFound)?;
        let today = day_of(now);
        let days = work.device_days(SCOPE).since(device, today - MEMORY).await?;
        Ok(DeviceHealth { health: assess(&days, today), new_contacts: state.meeting(now) })
    }

    /// How long `messages` more messages, shared by these devices, will take. Devices that are not
    /// the tenant's are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forecast(
        &self,
        grant: &Grant<ReadDevices>,
        devices: &[DeviceId],
        messages: u64,
        purpose: Purpose,
    ) -> Result<Estimate, StoreError> {
        let now = self.clock.now();
        let work = self.store.read().await?;
        let devices: Vec<(DeviceId, u32)> = devices.iter().map(|device| (*device, 1)).collect();
        let senders = senders(&*work, &self.channels, grant.scope(), &devices, now).await?;
        Ok(estimate(&senders, messages, purpose, now))
    }
}

/// The senders that a tenant's devices are, with their weights. Others are left out.
pub(crate) async fn senders(
    work: &(dyn RoadWork + '_),
    channels: &Channels,
    scope: Scope,
    devices: &[(DeviceId, u32)],
    now: Timestamp,
) -> Result<Vec<Sender>, StoreError> {
    let ids: Vec<DeviceId> = devices.iter().map(|(device, _)| *device).collect();
    let states = states(work, scope, &ids, now).await?;
    let mut senders = Vec::with_capacity(devices.len());
    for (device, weight) in devices {
        if let Some(state) = states.get(device) {
            senders.push(sender(work, channels, state, *weight, now).await?);
        }
    }
    Ok(senders)
}

async fn sender(
    work: &(dyn RoadWork + '_),
    channels: &Channels,
    state: &State,
    weight: u32,
    now: Timestamp,
) -> Result<Sender, StoreError> {
    let device = &state.device;
    let pacing = device.settings.pacing.clone();
    let most = pacing.hourly.max(pacing.daily).unwrap_or_default();
    let ledger = work.pacing(SCOPE).sends_since(device.id, now - DAY, most).await?;
    let capabilities = channels.get(&device.channel);
    let capabilities = capabilities.map(|ports| ports.channel().capabilities(&device.link()));
    Ok(Sender {
        pacing,
        per_second: capabilities.and_then(|capabilities| capabilities.per_second),
        quiet: state.quiet,
        pace: state.pace,
        ledger,
        ahead: work.pacing(SCOPE).waiting(device.id).await?,
        weight,
    })
}

impl State {
    /// How it meets new contacts.
    fn meeting(&self, now: Timestamp) -> Option<Meeting> {
        let (guard, met) = (self.guard?, &self.pace.new);
        Some(Meeting {
            warm_up: guard.warm_up(now),
            sent_today: guard.sent_today(met, now),
            blocked: met.blocked.filter(|blocked| blocked.until > now),
            hold: guard.hold(met, now),
        })
    }

    /// What keeps a message of this purpose, as far as the device decides.
    fn hold(&self, purpose: Purpose, now: Timestamp) -> Option<Hold> {
        let live = purpose.priority() == 0;
        let quiet = self.quiet.filter(|quiet| quiet.concerns(purpose));
        let quiet = quiet.and_then(|quiet| quiet.until(now));
        let quiet = quiet.map(|until| Hold::new(HoldReason::QuietHours, until));
        let paused = self.paused.map(|until| Hold::new(HoldReason::SlowedDown, until));
        let pace = self.pace.hold(&self.device.settings.pacing, live, now);
        Hold::later(Hold::later(paused, quiet), pace)
    }

    /// Everything that keeps an offer, the longest wait first.
    fn holds(&self, now: Timestamp) -> Vec<Hold> {
        let mut holds = self.pace.holds(&self.device.settings.pacing);
        holds.extend(self.paused.map(|until| Hold::new(HoldReason::SlowedDown, until)));
        let quiet = self.quiet.and_then(|quiet| quiet.until(now));
        holds.extend(quiet.map(|until| Hold::new(HoldReason::QuietHours, until)));
        holds.retain(|hold| hold.until > now);
        holds.sort_by_key(|hold| std::cmp::Reverse(hold.until));
        holds
    }
}

/// The lanes of messages that are with new contacts, as far as that matters now.
async fn new_contacts(
    work: &(dyn RoadWork + '_),
    messages: &[Message],
    states: &HashMap<DeviceId, State>,
    now: Timestamp,
) -> Result<HashSet<Lane>, StoreError> {
    let keeps = |device: &DeviceId| {
        let meeting = states.get(device).and_then(|state| state.meeting(now));
        meeting.is_some_and(|meeting| meeting.hold.is_some())
    };
    let asked = messages.iter().filter(|message| is_due(message, now) && keeps(&message.device));
    let lanes: HashSet<Lane> = asked.map(Message::lane).collect();
    if lanes.is_empty() {
        return Ok(lanes);
    }
    let lanes: Vec<Lane> = lanes.into_iter().collect();
    Ok(work.outbox(SCOPE).new_contacts(&lanes).await?.into_iter().collect())
}

/// Whether nothing but the pacer can keep the message.
fn is_due(message: &Message, now: Timestamp) -> bool {
    message.direction == Direction::Out
        && message.queued
        && message.status.is_waiting()
        && message.due_at.max(message.next_at) <= now
}

async fn states(
    work: &(dyn RoadWork + '_),
    scope: Scope,
    ids: &[DeviceId],
    now: Timestamp,
) -> Result<HashMap<DeviceId, State>, StoreError> {
    let mut wanted = ids.to_vec();
    wanted.retain(|device| scope.reaches(*device));
    let mut devices = work.device_registry(SCOPE).by_ids(&wanted).await?;
    devices.retain(|device| device.account == scope.account());
    let all: Vec<String> = devices.iter().flat_map(places).collect();
    let pauses = work.pacing(SCOPE).pauses(&all, now).await?;
    let paces = work.pacing(SCOPE).paces(&wanted).await?;
    let rules: HashMap<AccountId, AccountRules> =
        work.pacing(SCOPE).accounts(&[scope.account()]).await?;
    let state = |device: Device| {
        let quiet = quiet(&device, rules.get(&device.account));
        let paused = places(&device).iter().filter_map(|place| pauses.get(place)).max().copied();
        let pace = paces.get(&device.id).copied().unwrap_or_default();
        let zone = rules.get(&device.account).map_or(Tz::UTC, |rules| rules.zone);
        let guard = Guard::of(&device, zone);
        (device.id, State { device, pace, quiet, paused, guard })
    };
    Ok(devices.into_iter().map(state).collect())
}
