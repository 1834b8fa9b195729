//! One message: prepare, commit `sending`, transmit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use kabar_channel::{Accepted, Channel, DeviceLink, Outgoing, Prepared, Reason, SendError};
use kabar_core::{MessageId, StoreError};
use kabar_devices::Device;

use super::admit::put_back;
use super::hands::Claim;
use super::outcome::Finished;
use super::round::Limits;
use super::{InHand, Inner, SCOPE};
use crate::measure;
use crate::message::{Body, Message, Stage, Status};
use crate::pacing::Hold;
use crate::send::status_event;

/// A message that is prepared and wants to be sent.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) device: Arc<Device>,
    pub(super) limits: Limits,
    pub(super) message: Message,
    /// What it was before it was taken in hand.
    pub(super) was: Status,
    /// Whether its recipient never wrote.
    pub(super) new_contact: bool,
    pub(super) claim: Claim,
    pub(super) prepared: Prepared,
    /// The id that it is sent under, where we choose it.
    pub(super) wire_id: Option<String>,
}

/// Whether the send may begin.
pub(super) enum Started {
    /// `sending` is committed.
    Yes,
    /// The claim was lost, the message was cancelled, a limit leaves no room, or storage is away:
    /// nothing was sent, and whoever claims the lane next finds the message as it is.
    No,
}

impl Inner {
    pub(super) async fn deliver(self: &Arc<Self>, in_hand: InHand) {
        let claim = in_hand.claim;
        let link = DeviceLink {
            fence: u64::try_from(claim.1).unwrap_or_default(),
            ..in_hand.device.link()
        };
        let Some(result) = self.send(&link, &in_hand).await else {
            return self.give_back(claim).await;
        };
        let InHand { device, limits, message, new_contact, .. } = in_hand;
        let (message, attempt) = (message.id, message.attempts);
        let finished = Finished { message, claim, attempt, device, limits, new_contact, result };
        self.finish(finished).await;
    }

    /// Gives a lane back in which nothing was done. If that fails its claim runs out.
    async fn give_back(&self, claim: Claim) {
        let released = async {
            let work = self.store.begin().await?;
            work.outbox(SCOPE).release(self.node, &[claim]).await?;
            work.commit().await
        };
        if let Err(error) = released.await {
            let error: &StoreError = &error;
            tracing::warn!(error = error as &dyn std::error::Error, "dispatch.give_back");
        }
    }

    /// `None` if nothing was sent and nothing has to be stored.
    async fn send(
        self: &Arc<Self>,
        link: &DeviceLink,
        in_hand: &InHand,
    ) -> Option<Result<Accepted, SendError>> {
        let (message, claim) = (&in_hand.message, in_hand.claim);
        let channel = match self.channels.of(link) {
            Ok(ports) => Arc::clone(ports.channel()),
            Err(error) => return Some(Err(error)),
        };
        let Some(mut outgoing) = outgoing(message) else {
            let text = "an incoming message cannot be sent";
            return Some(Err(SendError::refused("not_outgoing", text)));
        };
        if outgoing.wire_id.is_none() {
            outgoing.wire_id = channel.wire_id(message.id);
        }
        let prepared = match prepare(&*channel, link, message, &outgoing).await {
            Ok(prepared) => prepared,
            Err(error) => return Some(Err(error)),
        };
        let ready = Ready {
            device: Arc::clone(&in_hand.device),
            limits: in_hand.limits,
            message: message.clone(),
            was: in_hand.was,
            new_contact: in_hand.new_contact,
            claim,
            prepared: prepared.clone(),
            wire_id: outgoing.wire_id.clone(),
        };
        let started = self.start(ready).await;
        self.pacer.started(claim.0);
        match started {
            Started::Yes => {}
            Started::No => return None,
        }
        if !self.lease_holds(claim) {
            // The commit took so long that another node may own the lane by now. Nothing was sent.
            let reason = Reason::new("lease", "the node was too slow to begin the send");
            return Some(Err(SendError::Retry { after: None, reason }));
        }
        if let Some(pair) = in_hand.limits.pair {
            self.pacer.pair_sent(claim.0, pair, self.clock.now());
        }
        let began = Instant::now();
        let sent = channel.transmit(link, &outgoing, &prepared).await;
        measure::transmitted(began.elapsed());
        Some(sent)
    }

    async fn start(self: &Arc<Self>, ready: Ready) -> Started {
        let inner = Arc::clone(self);
        let started = self.starting.submit(ready, move |batch| {
            let inner = Arc::clone(&inner);
            async move { inner.start_all(batch).await }
        });
        started.await.unwrap_or(Started::No)
    }

    async fn start_all(&self, batch: Vec<Ready>) -> Vec<Started> {
        let count = batch.len();
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_start(&batch).await {
                Ok(started) => return started,
                Err(StoreError::Contended(_)) if tries < 4 => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "dispatch.start");
                    return (0..count).map(|_| Started::No).collect();
                }
            }
        }
    }

    async fn try_start(&self, batch: &[Ready]) -> Result<Vec<Started>, StoreError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let mut ids: Vec<_> = batch.iter().map(|ready| ready.message.id).collect();
        ids.sort_unstable();
        let locked = work.outbox(SCOPE).lock(&ids).await?;
        let claims: Vec<Claim> = batch.iter().map(|ready| ready.claim).collect();
        let mine: HashSet<Claim> =
            work.outbox(SCOPE).still_mine(self.node, &claims).await?.into_iter().collect();
        let current = |ready: &Ready| {
            let found = locked.iter().find(|message| message.id == ready.message.id);
            found.filter(|message| is_claimed(message, ready) && mine.contains(&ready.claim))
        };
        let ready: Vec<&Ready> = batch.iter().filter(|ready| current(ready).is_some()).collect();
        let holds = self.admit(&*work, &ready, now).await?;
        let holds: HashMap<MessageId, Option<Hold>> =
            ready.iter().map(|ready| ready.message.id).zip(holds).collect();
        let (mut saved, mut events) = (Vec::with_capacity(ready.len()), Vec::new());
        let started = batch
            .iter()
            .map(|ready| {
                let (Some(current), Some(hold)) = (current(ready), holds.get(&ready.message.id))
                else {
                    return Started::No;
                };
                let mut message = current.clone();
                message.prepared = Some(ready.prepared.clone());
                let Some(hold) = *hold else {
                    message.stage = Some(Stage::Sending);
                    message.wire_id.clone_from(&ready.wire_id);
                    message.updated_at = now;
                    saved.push(message);
                    return Started::Yes;
                };
                put_back(&mut message, ready.was, hold, now);
                events.push(status_event(&message, &current.standing(), now));
                saved.push(message);
                Started::No
            })
            .collect();
        work.events().append(&events).await?;
        work.outbox(SCOPE).save(&saved).await?;
        work.commit().await?;
        Ok(started)
    }
}

fn is_claimed(message: &Message, ready: &Ready) -> bool {
    message.status == Status::Processing
        && message.stage == Some(Stage::Claimed)
        && message.attempts == ready.message.attempts
}

async fn prepare(
    channel: &dyn Channel,
    link: &DeviceLink,
    message: &Message,
    outgoing: &Outgoing,
) -> Result<Prepared, SendError> {
    // What an earlier try prepared still holds for text; uploads may have expired since.
    match (&message.prepared, outgoing.content.media()) {
        (Some(prepared), None) => Ok(prepared.clone()),
        _ => channel.prepare(link, outgoing).await,
    }
}

fn outgoing(message: &Message) -> Option<Outgoing> {
    let Body::Out(content) = &message.body else {
        return None;
    };
    Some(Outgoing {
        id: message.id,
        attempt: message.attempts,
        to: message.recipient.clone()?,
        content: content.clone(),
        reply_to: message.reply_to.clone(),
        wire_id: message.wire_id.clone(),
    })
}
