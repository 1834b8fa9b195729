//! What came of a send is stored, whatever it takes: nobody else knows it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kabar_channel::{Accepted, RetrySafety, SendError};
use kabar_core::{DeviceId, MessageId, StoreError, Timestamp, Topic};
use kabar_devices::{Device, DeviceState};
use kabar_events::{Fact, NewEvent};

use super::hands::Claim;
use super::{Inner, SCOPE};
use crate::intake::unpark;
use crate::message::{Message, Status};
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
    pub(super) device: Device,
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
            let before = message.status;
            let effect = self.apply(&mut message, finished, now);
            effects.push((finished.device.clone(), effect, finished.result.is_ok()));
            if message.status != before {
                events.push(status_event(&message, now));
            }
            saved.push(message);
        }
        work.outbox(SCOPE).save(&saved).await?;
        let wire_ids: Vec<(DeviceId, String)> = saved
            .iter()
            .filter_map(|message| Some((message.device, message.wire_id.clone()?)))
            .collect();
        unpark(&*work, &wire_ids, now).await?;
        let claims: Vec<Claim> = batch.iter().map(|finished| finished.claim).collect();
        work.outbox(SCOPE).release(self.node, &claims).await?;
        events.extend(device_events(&*work, &effects, now).await?);
        work.events().append(&events).await?;
        work.commit().await?;
        for (device, effect, _) in effects {
            if let DeviceEffect::Pause { until, .. } | DeviceEffect::Down { until, .. } = effect {
                self.pacer.pause(device.id, until);
            }
        }
        Ok(())
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
                policy::failed(message, error, &finished.device.settings, safety, now)
            }
        }
    }
}

/// Stores what the outcomes say about the devices themselves.
async fn device_events(
    work: &(dyn RoadWork + '_),
    effects: &[(Device, DeviceEffect, bool)],
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
