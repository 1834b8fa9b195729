//! What came of a send is stored, whatever it takes: nobody else knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kabar_channel::{Accepted, RetrySafety, SendError};
use kabar_core::{DeviceId, MessageId, StoreError, Timestamp, Topic};
use kabar_devices::health::DayCounts;
use kabar_devices::repo::Note;
use kabar_devices::{Device, DeviceState};
use kabar_events::{Fact, NewEvent};

use super::hands::Claim;
use super::round::Limits;
use super::{Inner, SCOPE};
use crate::intake::unpark;
use crate::measure;
use crate::message::{Message, Status};
use crate::pacing::Blocked;
use crate::pacing::pace::throughput;
use crate::policy::{self, DeviceEffect};
use crate::repo::RoadWork;
use crate::send::status_event;
use crate::status;

/// The outcome of one try.
#[derive(Clone)]
pub(super) struct Finished {
    pub(super) message: MessageId,
    pub(super) claim: Claim,
    pub(super) attempt: u32,
    pub(super) device: Arc<Device>,
    pub(super) limits: Limits,
    /// Whether its recipient never wrote.
    pub(super) new_contact: bool,
    pub(super) result: Result<Accepted, SendError>,
}

/// Waits between tries to store an outcome while storage is away.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Inner {
    pub(super) async fn finish(self: &Arc<Self>, finished: Finished) {
        let mut wait = Duration::from_millis(50);
        loop {
            let inner = Arc::clone(self);
            let stored = self.finishing.submit(finished.clone(), move |batch| {
                let inner = Arc::clone(&inner);
                async move { inner.finish_all(&batch).await }
            });
            match stored.await {
                Some(Ok(())) => break,
                Some(Err(error)) if !error.is_transient() => {
                    // The message stays `sending`; its lane's next owner finds it uncertain.
                    tracing::error!(error = &*error as &dyn std::error::Error, "dispatch.finish");
                    break;
                }
                _ => {}
            }
            pause(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        self.wake.wake(Topic::Events);
    }

    async fn finish_all(&self, batch: &[Finished]) -> Vec<Result<(), Arc<StoreError>>> {
        let mut tries = 0;
        let stored = loop {
            tries += 1;
            match self.try_finish(batch).await {
                Err(StoreError::Contended(_)) if tries < 4 => {}
                stored => break stored.map_err(Arc::new),
            }
        };
        if stored.is_ok() {
            measure::finished(
                batch.iter().map(|done| (done.device.channel.as_str(), &done.result)),
            );
        }
        batch.iter().map(|_| stored.clone()).collect()
    }

    async fn try_finish(&self, batch: &[Finished]) -> Result<(), StoreError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let mut ids: Vec<MessageId> = batch.iter().map(|finished| finished.message).collect();
        ids.sort_unstable();
        let locked = work.outbox(SCOPE).lock(&ids).await?;
        let mut saved: Vec<Message> = Vec::with_capacity(batch.len());
        let mut events = Vec::new();
        let mut effects = Vec::new();
        for finished in batch {
            let current = locked.iter().find(|message| message.id == finished.message);
            let Some(mut message) = current.cloned() else {
                continue;
            };
            let before = message.standing();
            let effect = self.apply(&mut message, finished, now);
            effects.push((Arc::clone(&finished.device), effect, finished.result.is_ok()));
            if message.standing() != before {
                events.push(status_event(&message, &before, now));
            }
            saved.push(message);
        }
        work.outbox(SCOPE).save(&saved).await?;
        // Before what parked statuses tell: the log says `sent` before it says `read`.
        work.events().append(&events).await?;
        let wire_ids: Vec<(DeviceId, String)> = saved
            .iter()
            .filter_map(|message| Some((message.device, message.wire_id.clone()?)))
            .collect();
        unpark(&*work, &wire_ids, now).await?;
        let notes = notes(&*work, batch, &saved, now).await?;
        let claims: Vec<Claim> = batch.iter().map(|finished| finished.claim).collect();
        work.outbox(SCOPE).release(self.node, &claims).await?;
        let events = device_events(&*work, &effects, now).await?;
        work.events().append(&events).await?;
        self.slow_down(&*work, batch, &effects, now).await?;
        leave_alone(&*work, &effects).await?;
        work.device_days(SCOPE).add(&notes).await?;
        work.commit().await?;
        for (device, effect, _) in effects {
            if let DeviceEffect::Pause { until, .. } | DeviceEffect::Down { until, .. } = effect {
                self.pacer.pause(device.id, until);
            }
        }
        Ok(())
    }

    /// Tells every node what the network asked for: a pause of the number, of its business account
    /// or of its app, and half the speed of a number that sends too fast.
    async fn slow_down(
        &self,
        work: &(dyn RoadWork + '_),
        batch: &[Finished],
        effects: &[(Arc<Device>, DeviceEffect, bool)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (mut pauses, mut slowed) = (Vec::new(), BTreeMap::new());
        for (device, effect, _) in effects {
            if let DeviceEffect::Pause { until, code } = effect {
                pauses.push((place(device, code), *until));
                if code == TOO_FAST {
                    slowed.insert(device.id, device);
                }
            }
        }
        if pauses.is_empty() {
            return Ok(());
        }
        let ids: Vec<DeviceId> = slowed.keys().copied().collect();
        let mut paces: Vec<_> = work.pacing(SCOPE).lock(&ids).await?.into_iter().collect();
        for (id, pace) in &mut paces {
            let finished = batch.iter().find(|finished| finished.device.id == *id);
            if let Some(Finished { device, limits, .. }) = finished {
                pace.slow_down(throughput(&device.settings.pacing, limits.per_second), now);
            }
        }
        if !paces.is_empty() {
            work.pacing(SCOPE).save(&paces, &[]).await?;
        }
        work.pacing(SCOPE).pause(&pauses).await
    }

    fn apply(&self, message: &mut Message, finished: &Finished, now: Timestamp) -> DeviceEffect {
        let late = message.attempts != finished.attempt;
        match &finished.result {
            Ok(accepted) => {
                message.wire_id.get_or_insert_with(|| accepted.wire_id.clone());
                if accepted.wa_id.is_some() {
                    message.network_id.clone_from(&accepted.wa_id);
                }
                // A status may have overtaken the answer; nothing goes backwards.
                status::reach(message, Status::Sent, now, now);
                DeviceEffect::None
            }
            // Another try is under way, or a status settled it: a failure of this one says nothing
            // any more.
            Err(_) if late || message.status != Status::Processing => DeviceEffect::None,
            Err(error) => {
                let link = finished.device.link();
                let safety = self
                    .channels
                    .get(&link.channel)
                    .map_or(RetrySafety::Never, |ports| ports.channel().capabilities(&link).retry);
                let due = message.due_at;
                let settings = &finished.device.settings;
                let effect = policy::failed(message, error, settings, safety, now);
                if let (DeviceEffect::NewContacts(blocked), Some(guard)) =
                    (&effect, finished.limits.guard)
                {
                    guard.refused(*blocked).apply(message, now);
                    if finished.new_contact {
                        // The device waits, not the message: it goes as soon as its recipient writes.
                        (message.due_at, message.next_at) = (due, now);
                    }
                }
                effect
            }
        }
    }
}

/// Makes devices leave new contacts alone, on every node.
async fn leave_alone(
    work: &(dyn RoadWork + '_),
    effects: &[(Arc<Device>, DeviceEffect, bool)],
) -> Result<(), StoreError> {
    let blocked = effects.iter().filter_map(|(device, effect, _)| match effect {
        DeviceEffect::NewContacts(blocked) => Some((device.id, *blocked)),
        _ => None,
    });
    let blocked: BTreeMap<DeviceId, Blocked> = blocked.collect();
    if blocked.is_empty() {
        return Ok(());
    }
    let devices: Vec<DeviceId> = blocked.keys().copied().collect();
    let mut paces: Vec<_> = work.pacing(SCOPE).lock(&devices).await?.into_iter().collect();
    for (device, pace) in &mut paces {
        if let Some(blocked) = blocked.get(&*device) {
            pace.new.block(*blocked);
        }
    }
    work.pacing(SCOPE).save(&paces, &[]).await
}

/// What the outcomes mean for the health of guarded devices.
async fn notes(
    work: &(dyn RoadWork + '_),
    batch: &[Finished],
    saved: &[Message],
    now: Timestamp,
) -> Result<Vec<Note>, StoreError> {
    let guarded = batch.iter().filter(|finished| finished.limits.guard.is_some());
    let (mut notes, mut met) = (Vec::new(), Vec::new());
    for finished in guarded {
        let message = saved.iter().find(|message| message.id == finished.message);
        let counts = match &finished.result {
            Ok(_) => {
                let met_now = message.filter(|_| finished.new_contact);
                met.extend(met_now.map(|message| message.conversation));
                DayCounts { sent: 1, ..DayCounts::default() }
            }
            Err(SendError::NewContactsBlocked { .. }) => {
                DayCounts { refused: 1, ..DayCounts::default() }
            }
            Err(_) if message.is_some_and(|message| message.status == Status::Failed) => {
                DayCounts { failed: 1, ..DayCounts::default() }
            }
            Err(_) => continue,
        };
        notes.push(Note::at(finished.device.id, now, counts));
    }
    if met.is_empty() {
        return Ok(notes);
    }
    for device in work.outbox(SCOPE).contacted(&met, now).await? {
        let counts = DayCounts { contacted: 1, ..DayCounts::default() };
        notes.push(Note::at(device, now, counts));
    }
    Ok(notes)
}

/// The code of a number that sends faster than its throughput.
const TOO_FAST: &str = "130429";
/// The code of an app that makes too many calls: everything that goes through it waits.
const APP_LIMIT: &str = "4";
/// The code of a business account for which too many calls are made: all its numbers wait.
const BUSINESS_LIMIT: &str = "80007";

/// The places that can make a device wait, by the names under which their pauses are kept.
pub(crate) fn places(device: &Device) -> Vec<String> {
    ["", APP_LIMIT, BUSINESS_LIMIT].iter().map(|code| place(device, code)).collect()
}

/// Where the network keeps the limit behind a code.
fn place(device: &Device, code: &str) -> String {
    let channel = &device.channel;
    match (code, &device.parent) {
        (APP_LIMIT, _) => {
            let app = device.app.map_or_else(|| "installation".to_owned(), |app| app.to_string());
            format!("app:{channel}:{app}")
        }
        (BUSINESS_LIMIT, Some(parent)) => format!("business:{channel}:{parent}"),
        _ => format!("device:{}", device.id),
    }
}

/// Stores what the outcomes say about the devices themselves.
async fn device_events(
    work: &(dyn RoadWork + '_),
    effects: &[(Arc<Device>, DeviceEffect, bool)],
    now: Timestamp,
) -> Result<Vec<NewEvent>, StoreError> {
    let mut events = Vec::new();
    let mut told = BTreeSet::new();
    for (device, effect, sent) in effects {
        let (state, reason) = match effect {
            DeviceEffect::Down { why, .. } => (DeviceState::Disconnected, Some(why.as_str())),
            // A device that was down works again.
            _ if *sent && device.state == DeviceState::Disconnected => {
                (DeviceState::Connected, None)
            }
            _ => continue,
        };
        if !told.insert(device.id) {
            continue;
        }
        if work.device_registry(SCOPE).set_state(device.id, state, reason, now).await? {
            let fact = Fact::DeviceState {
                device_id: device.id,
                state: state.to_string(),
                reason: reason.map(str::to_owned),
            };
            events.push(NewEvent { account: device.account, at: now, fact });
        }
    }
    Ok(events)
}

#[expect(clippy::disallowed_methods, reason = "storage is away: there is nothing to be woken by")]
async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}
