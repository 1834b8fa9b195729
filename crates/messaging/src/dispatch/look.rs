//! What may be claimed now, and why the rest may not: delays, caps, pauses and quiet hours are asked
//! before a lane is touched, so that a device that waits writes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;
use kabar_channel::{ChannelPorts, RetrySafety};
use kabar_core::{AccountId, DeviceId, StoreError, Timestamp};
use kabar_devices::pacing::QuietChoice;
use kabar_devices::{Device, DeviceState};

use super::outcome::places;
use super::round::Limits;
use super::{Inner, SCOPE};
use crate::message::{Message, Purpose};
use crate::pacing::pace::throughput;
use crate::pacing::repo::AccountRules;
use crate::pacing::{Guard, Hold, HoldReason, Pace, Quiet};
use crate::repo::{Line, ReadyDevice, RoadWork, after};

/// How long others wait for a reply that is in hand before they look again.
const REPLYING: Duration = Duration::from_secs(1);
/// When a device that cannot be sent from here is looked at again, if nobody says so before.
const AWAY: Duration = Duration::from_secs(5);
/// Of a device's sends in flight, the part kept for replies: one in so many.
const KEPT: usize = 8;

/// A device that can be claimed from.
pub(super) struct Candidate {
    pub(super) device: Arc<Device>,
    pub(super) limits: Limits,
    pub(super) safety: RetrySafety,
    pub(super) pace: Pace,
    pub(super) quiet: Option<Quiet>,
    /// How many replies can be claimed, and of which lines.
    pub(super) live: usize,
    pub(super) live_lines: Vec<Line>,
    /// Of which lines beside, and how many.
    pub(super) lines: Vec<Line>,
    pub(super) paced: usize,
}

/// What a look found.
#[derive(Default)]
pub(super) struct Looked {
    /// Devices to claim from.
    pub(super) candidates: Vec<Candidate>,
    /// Devices that were removed, with lanes left.
    pub(super) gone: Vec<DeviceId>,
    /// When the first of what must wait may go.
    pub(super) opens: Option<Timestamp>,
}

impl Looked {
    fn opens_at(&mut self, at: Timestamp) {
        self.opens = Some(self.opens.map_or(at, |opens| opens.min(at)));
    }
}

/// What the database knows about ready devices.
struct Known {
    devices: BTreeMap<DeviceId, Device>,
    paces: HashMap<DeviceId, Pace>,
    accounts: HashMap<AccountId, AccountRules>,
    pauses: HashMap<String, Timestamp>,
    limited: Vec<String>,
    /// Devices with a cap and a reply in somebody's hand.
    replying: HashSet<DeviceId>,
}

impl Inner {
    /// Looks at devices with lanes that are ready.
    pub(super) async fn look(
        &self,
        work: &(dyn RoadWork + '_),
        ready: Vec<ReadyDevice>,
        now: Timestamp,
    ) -> Result<Looked, StoreError> {
        let mut looked = Looked::default();
        let mut known = self.known(work, &ready, now).await?;
        for ready in ready {
            match known.devices.remove(&ready.device) {
                Some(device) => self.look_at(device, &ready.lines, &known, &mut looked, now),
                None => looked.gone.push(ready.device),
            }
        }
        Ok(looked)
    }

    async fn known(
        &self,
        work: &(dyn RoadWork + '_),
        ready: &[ReadyDevice],
        now: Timestamp,
    ) -> Result<Known, StoreError> {
        let ids: Vec<DeviceId> = ready.iter().map(|ready| ready.device).collect();
        let devices = work.device_registry(SCOPE).by_ids(&ids).await?;
        let mut accounts: Vec<AccountId> = devices.iter().map(|device| device.account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let mut pauses: Vec<String> = devices.iter().flat_map(places).collect();
        pauses.sort_unstable();
        pauses.dedup();
        let windowed = |device: &&Device| {
            let ports = self.channels.get(&device.channel);
            ports.is_some_and(|ports| ports.channel().capabilities(&device.link()).window)
        };
        let mut portfolios: Vec<String> =
            devices.iter().filter(windowed).map(Device::namespace).collect();
        portfolios.sort_unstable();
        portfolios.dedup();
        let capped: Vec<DeviceId> =
            devices.iter().filter(|device| is_capped(device)).map(|device| device.id).collect();
        let longest = after(now, self.settings.lease * 2);
        let replying = work.outbox(SCOPE).replying(&capped, now, longest).await?;
        let mut pacing = work.pacing(SCOPE);
        Ok(Known {
            replying: replying.into_iter().collect(),
            paces: pacing.paces(&ids).await?,
            accounts: pacing.accounts(&accounts).await?,
            pauses: pacing.pauses(&pauses, now).await?,
            limited: pacing.limited(&portfolios).await?,
            devices: devices.into_iter().map(|device| (device.id, device)).collect(),
        })
    }

    fn look_at(
        &self,
        device: Device,
        ready: &[Line],
        known: &Known,
        looked: &mut Looked,
        now: Timestamp,
    ) {
        let paused = places(&device).iter().filter_map(|place| known.pauses.get(place)).max();
        let paused = paused.copied().max(self.pacer.paused(device.id, now));
        if let Some(until) = paused {
            return looked.opens_at(until);
        }
        let rules = known.accounts.get(&device.account);
        let pace = known.paces.get(&device.id).copied().unwrap_or_default();
        let link = device.link();
        let channel = self.channels.get(&device.channel).map(ChannelPorts::channel);
        if channel.is_some_and(|channel| !channel.is_here(&link)) {
            return looked.opens_at(after(now, AWAY));
        }
        let capabilities = channel.map(|channel| channel.capabilities(&link));
        let pacing = &device.settings.pacing;
        let per_second = capabilities.as_ref().and_then(|capabilities| capabilities.per_second);
        let rate = pace.rate(throughput(pacing, per_second), now);
        let knobs = pacing.delay.is_some() || pacing.batch.is_some();
        let caps = is_capped(&device);
        let guard = Guard::of(&device, rules.map_or(Tz::UTC, |rules| rules.zone));
        let limits = Limits {
            per_second,
            pair: capabilities.as_ref().and_then(|capabilities| capabilities.pair),
            counted: knobs || caps || rate.is_some() || guard.is_some(),
            frequency: rules.and_then(|rules| rules.pacing.frequency_cap),
            reach: known.limited.contains(&device.namespace()),
            guard,
        };
        let in_flight = match device.state {
            // One message finds out whether it works again.
            DeviceState::Disconnected => 1,
            _ => capabilities.as_ref().map_or(1, |capabilities| capabilities.in_flight),
        };
        let in_hand = self.pacer.in_hand(device.id);
        let mut room = in_flight.saturating_sub(in_hand.all);
        let mut paced = room.saturating_sub(in_flight / KEPT);
        if let Some(free) = pace.free(rate, now) {
            let free = free.saturating_sub(in_hand.unstarted);
            if free == 0
                && in_hand.unstarted == 0
                && let Some(hold) = pace.too_fast(rate, now)
            {
                looked.opens_at(hold.until);
            }
            (room, paced) = (room.min(free), paced.min(free));
        }
        let quiet = quiet(&device, rules);
        let open = |line: Line| -> Result<(), Timestamp> {
            let live = line.is_live();
            let hold = pace.hold(pacing, live, now).map(|hold| hold.until);
            let purpose = if line.priority == 1 { Purpose::Service } else { Purpose::Marketing };
            let silent = quiet.filter(|quiet| !live && quiet.concerns(purpose));
            let silent = silent.and_then(|quiet| quiet.until(now));
            let guarded = guard.filter(|_| line.new_contact);
            let guarded = guarded.and_then(|guard| guard.hold(&pace.new, now));
            hold.max(silent).max(guarded.map(|hold| hold.until)).map_or(Ok(()), Err)
        };
        let (mut live_lines, mut lines) = (Vec::new(), Vec::new());
        for line in ready {
            match open(*line) {
                Ok(()) if line.is_live() => live_lines.push(*line),
                Ok(()) => lines.push(*line),
                Err(until) => looked.opens_at(until),
            }
        }
        let live = if live_lines.is_empty() { 0 } else { room };
        if caps && (live > 0 || known.replying.contains(&device.id)) && !lines.is_empty() {
            // Where a cap leaves room for one only, it is the reply's, whoever has it in hand.
            lines.clear();
            looked.opens_at(after(now, REPLYING));
        }
        if pacing.delay.is_some() {
            paced = paced.min(1_usize.saturating_sub(in_hand.paced));
        }
        if let Some(batch) = pacing.batch {
            let left = batch.size.saturating_sub(pace.batch).max(1);
            paced = paced.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if lines.is_empty() {
            paced = 0;
        }
        if live.max(paced) == 0 {
            return;
        }
        let safety =
            capabilities.as_ref().map_or(RetrySafety::Never, |capabilities| capabilities.retry);
        let device = Arc::new(device);
        looked.candidates.push(Candidate {
            device,
            limits,
            safety,
            pace,
            quiet,
            live,
            live_lines,
            lines,
            paced,
        });
    }

    /// What keeps a message that was claimed although its lane was: its lane was claimed for the
    /// reply behind it, or its recipient gets too much.
    pub(super) fn hold(
        &self,
        candidate: &Candidate,
        message: &Message,
        room: bool,
        now: Timestamp,
    ) -> Option<Hold> {
        let pacing = &candidate.device.settings.pacing;
        let live = message.purpose.priority() == 0;
        let quiet = candidate.quiet.filter(|quiet| quiet.concerns(message.purpose));
        let quiet = quiet.and_then(|quiet| quiet.until(now));
        let quiet = quiet.map(|until| Hold::new(HoldReason::QuietHours, until));
        let mut hold = Hold::later(quiet, candidate.pace.hold(pacing, live, now));
        if let Some(delay) = pacing.delay.filter(|_| !live && !room) {
            let wait = delay.max_seconds.saturating_add(delay.jitter_seconds).max(1);
            let until = now + TimeDelta::seconds(i64::from(wait));
            hold = Hold::later(hold, Some(Hold::new(HoldReason::PacingDelay, until)));
        }
        let pair = candidate.limits.pair;
        let pair = pair.and_then(|pair| self.pacer.pair_hold(message.lane(), pair, now));
        Hold::later(hold, pair)
    }
}

/// Whether there is a number of messages that the device may not exceed.
const fn is_capped(device: &Device) -> bool {
    device.settings.pacing.hourly.is_some() || device.settings.pacing.daily.is_some()
}

/// The quiet hours that a device keeps.
pub(crate) fn quiet(device: &Device, rules: Option<&AccountRules>) -> Option<Quiet> {
    let rules = rules?;
    let hours = match device.settings.pacing.quiet {
        QuietChoice::Own(hours) => hours,
        QuietChoice::Account => rules.pacing.quiet_hours?,
        _ => return None,
    };
    Some(Quiet { hours, zone: rules.zone })
}
