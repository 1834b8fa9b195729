//! One look at all devices: what expired ends, what may go is taken in hand, fairly.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kabar_channel::{PairLimit, RetrySafety};
use kabar_core::{DeviceId, StoreError, Timestamp};
use kabar_devices::pacing::FrequencyCap;
use tokio::time::Instant;

use super::hands::Claim;
use super::look::{Candidate, Looked};
use super::shares::{Want, shares};
use super::{InHand, Inner, SCOPE};
use crate::message::{Message, Status};
use crate::pacing::Guard;
use crate::policy::{self, Next};
use crate::repo::{ClaimedLane, LaneClaim, Line, RoadWork, after};
use crate::send::Before;
use crate::{measure, opt_out};

/// Lanes of a removed device that are emptied in one unit of work.
const ABANDON: u16 = 256;
/// Expired messages that end in one unit of work.
const EXPIRE: u16 = 256;
/// Devices that are claimed from in one unit of work.
const TOGETHER: usize = 16;

/// What bounds a device's sends, beside its settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The throughput that its channel says.
    pub(super) per_second: Option<u32>,
    /// How fast one chat may be written to.
    pub(super) pair: Option<PairLimit>,
    /// Whether its sends are counted at all.
    pub(super) counted: bool,
    /// How often one contact of the account gets offers.
    pub(super) frequency: Option<FrequencyCap>,
    /// Whether its portfolio's messaging limit is known.
    pub(super) reach: bool,
    /// What guards its messages to new contacts.
    pub(super) guard: Option<Guard>,
}

/// What came of a look at all devices.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round {
    /// In how many lanes something moved.
    pub(super) taken: usize,
    /// When the first of what must wait may go, as far as it is due.
    pub(super) opens: Option<Timestamp>,
}

/// Leaves what recipients opted out of behind, ended; returns the lanes that go on.
async fn wanted(
    work: &(dyn RoadWork + '_),
    claimed: Vec<ClaimedLane>,
    sorted: &mut Sorted,
    now: Timestamp,
) -> Result<Vec<ClaimedLane>, StoreError> {
    measure::claimed(claimed.len());
    sorted.before.note(claimed.iter().filter_map(|lane| lane.head.as_ref()));
    let (claimed, unwanted) = opt_out::sift(work, claimed, now).await?;
    sorted.moved += unwanted.len();
    sorted.back.extend(unwanted.iter().map(|lane| (lane.lane, lane.fence)));
    sorted.settled.extend(unwanted.into_iter().filter_map(|lane| lane.head));
    Ok(claimed)
}

/// What becomes of claimed lanes.
#[derive(Default)]
struct Sorted {
    send: Vec<InHand>,
    settled: Vec<Message>,
    back: Vec<Claim>,
    /// In how many lanes something moves: a head that somebody else changes right now moves when
    /// they are done, and they wake us.
    moved: usize,
    /// How the heads stood.
    before: Before,
}

impl Inner {
    /// Looks once at every device that has something to send.
    pub(super) async fn round(self: &Arc<Self>) -> Result<Round, StoreError> {
        let now = self.clock.now();
        let mut taken = self.expire(now).await?;
        let work = self.store.read().await?;
        let ready = work.outbox(SCOPE).ready_devices(now).await?;
        if ready.is_empty() {
            return Ok(Round { taken, opens: None });
        }
        let Looked { candidates, gone, opens } = self.look(&*work, ready, now).await?;
        drop(work);
        for gone in gone {
            taken += self.abandon(gone, now).await?;
        }
        let granted = self.grant(candidates);
        for together in granted.chunks(TOGETHER) {
            taken += self.take(together, now).await?;
        }
        Ok(Round { taken, opens })
    }

    /// How many lanes may be claimed from each, fairly.
    fn grant(&self, candidates: Vec<Candidate>) -> Vec<(Candidate, usize)> {
        let wants: Vec<Want> = candidates
            .iter()
            .map(|candidate| Want {
                account: candidate.device.account,
                in_hand: self.pacer.in_hand(candidate.device.id).all,
                more: candidate.live.max(candidate.paced),
            })
            .collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let given = shares(&wants, &self.pacer.by_account(), self.settings.parallel, turn);
        candidates.into_iter().zip(given).filter(|(_, given)| *given > 0).collect()
    }

    /// When something that waits may move next.
    pub(super) async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let now = self.clock.now();
        let work = self.store.read().await?;
        let ready = work.outbox(SCOPE).ready_devices(now).await?;
        let looked = self.look(&*work, ready, now).await?;
        if !looked.candidates.is_empty() || !looked.gone.is_empty() {
            return Ok(Some(now));
        }
        let mut outbox = work.outbox(SCOPE);
        let times = [looked.opens, outbox.next_ready(now).await?, outbox.next_expiry(now).await?];
        Ok(times.into_iter().flatten().min())
    }

    /// Ends what waited until its time ran out, at most once a second.
    async fn expire(&self, now: Timestamp) -> Result<usize, StoreError> {
        if self.swept.swap(now.timestamp(), Ordering::Relaxed) == now.timestamp() {
            return Ok(0);
        }
        let mut ended = 0;
        loop {
            let found =
                self.store.read().await?.outbox(SCOPE).next_expiry(Timestamp::MIN_UTC).await?;
            if found.is_none_or(|expiry| expiry > now) {
                return Ok(ended);
            }
            let count = self.expire_some(now).await?;
            ended += count;
            // What is left has its node, which ends it.
            if count == 0 {
                return Ok(ended);
            }
        }
    }

    async fn expire_some(&self, now: Timestamp) -> Result<usize, StoreError> {
        let work = self.store.begin().await?;
        let mut expired = work.outbox(SCOPE).expired(now, EXPIRE).await?;
        let before = Before::of(&expired);
        for message in &mut expired {
            message.leave_line(Status::Expired, now);
        }
        work.outbox(SCOPE).save(&expired).await?;
        let lanes: Vec<_> = expired.iter().map(Message::lane).collect();
        work.outbox(SCOPE).settle(&lanes).await?;
        work.events().append(&before.events(&expired, now)).await?;
        work.commit().await?;
        Ok(expired.len())
    }

    /// Ends what waits on a device that was removed: nobody will ever send it. Returns how many
    /// messages were ended.
    async fn abandon(&self, device: DeviceId, now: Timestamp) -> Result<usize, StoreError> {
        let claim = self.claim_of(device, now);
        let work = self.store.begin().await?;
        let claimed = work.outbox(SCOPE).claim(claim, Line::ALL, ABANDON).await?;
        let back: Vec<Claim> = claimed.iter().map(|lane| (lane.lane, lane.fence)).collect();
        let mut ended: Vec<Message> = claimed.into_iter().filter_map(|lane| lane.head).collect();
        let before = Before::of(&ended);
        for message in &mut ended {
            policy::abandon(message, now);
        }
        work.outbox(SCOPE).save(&ended).await?;
        work.events().append(&before.events(&ended, now)).await?;
        work.outbox(SCOPE).release(self.node, &back).await?;
        work.commit().await?;
        Ok(ended.len())
    }

    fn claim_of(&self, device: DeviceId, now: Timestamp) -> LaneClaim {
        LaneClaim { device, owner: self.node, now, until: after(now, self.settings.lease) }
    }

    /// Claims lanes of several devices in one unit of work and takes their heads in hand; returns
    /// in how many something moved.
    async fn take(
        self: &Arc<Self>,
        granted: &[(Candidate, usize)],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        match self.try_take(granted, now).await {
            Err(error) if !error.is_transient() => {}
            done => return done,
        }
        // What is wrong with one device's rows does not stop the others.
        let mut moved = 0;
        for one in granted {
            match self.try_take(std::slice::from_ref(one), now).await {
                Ok(count) => moved += count,
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(device = %one.0.device.id, error, "dispatch.take");
                }
            }
        }
        Ok(moved)
    }

    async fn try_take(
        self: &Arc<Self>,
        granted: &[(Candidate, usize)],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let leased = Instant::now() + self.settings.lease;
        let work = self.store.begin().await?;
        let mut sorted = Sorted::default();
        for (candidate, given) in granted {
            self.take_from(&*work, candidate, *given, &mut sorted, now).await?;
        }
        let Sorted { send, settled, back, moved, before } = sorted;
        if moved == 0 && back.is_empty() {
            return Ok(0);
        }
        let changed: Vec<Message> =
            send.iter().map(|in_hand| &in_hand.message).chain(&settled).cloned().collect();
        work.outbox(SCOPE).save(&changed).await?;
        work.events().append(&before.events(&changed, now)).await?;
        work.outbox(SCOPE).release(self.node, &back).await?;
        work.commit().await?;
        for in_hand in send {
            self.spawn(in_hand, leased);
        }
        Ok(moved)
    }

    /// Replies first, then the others as far as they have room.
    async fn take_from(
        &self,
        work: &(dyn RoadWork + '_),
        candidate: &Candidate,
        given: usize,
        sorted: &mut Sorted,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let claim = self.claim_of(candidate.device.id, now);
        let number = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        let mut paced = candidate.paced;
        let live = given.min(candidate.live);
        if live > 0 {
            let lines = &candidate.live_lines;
            let claimed = work.outbox(SCOPE).claim(claim, lines, number(live)).await?;
            let claimed = wanted(work, claimed, sorted, now).await?;
            self.sort(candidate, claimed, &mut paced, sorted, now);
        }
        let taken = sorted.send.iter().filter(|one| one.device.id == candidate.device.id).count();
        let rest = given.saturating_sub(taken).min(paced);
        if rest > 0 && !candidate.lines.is_empty() {
            let lines = &candidate.lines;
            let claimed = work.outbox(SCOPE).claim(claim, lines, number(rest)).await?;
            let claimed = wanted(work, claimed, sorted, now).await?;
            self.sort(candidate, claimed, &mut paced, sorted, now);
        }
        Ok(())
    }

    /// What can be sent, the heads about which something else was decided, and the lanes that go
    /// back at once. `paced`: how many more that keep the device's delay.
    fn sort(
        &self,
        candidate: &Candidate,
        claimed: Vec<ClaimedLane>,
        paced: &mut usize,
        sorted: &mut Sorted,
        now: Timestamp,
    ) {
        let settings = &candidate.device.settings;
        for ClaimedLane { lane, fence, new_contact, head } in claimed {
            let claim = (lane, fence);
            let Some(mut message) = head else {
                sorted.back.push(claim);
                continue;
            };
            sorted.moved += 1;
            let unheard = policy::unheard(&message, settings, self.up_since);
            if let Some(until) = unheard.filter(|until| *until > now)
                && candidate.safety == RetrySafety::Never
            {
                message.next_at = until;
                message.held_until = Some(until);
                sorted.settled.push(message);
                sorted.back.push(claim);
                continue;
            }
            if waits(&message, now)
                && let Some(hold) = self.hold(candidate, &message, *paced > 0, now)
            {
                hold.apply(&mut message, now);
                sorted.settled.push(message);
                sorted.back.push(claim);
                continue;
            }
            let was = message.status;
            match policy::next(&mut message, settings, candidate.safety, now) {
                Next::Send => {
                    let keeps = message.purpose.priority() != 0;
                    *paced = paced.saturating_sub(usize::from(keeps));
                    sorted.send.push(InHand {
                        device: Arc::clone(&candidate.device),
                        limits: candidate.limits,
                        message,
                        was,
                        paced: keeps,
                        new_contact,
                        claim,
                    });
                }
                Next::Settled => {
                    sorted.settled.push(message);
                    sorted.back.push(claim);
                }
                Next::Wait => sorted.back.push(claim),
            }
        }
    }
}

/// Whether the message is due, and nothing but a limit can keep it.
fn waits(message: &Message, now: Timestamp) -> bool {
    message.queued
        && message.status.is_waiting()
        && message.due_at.max(message.next_at) <= now
        && message.expires_at.is_none_or(|expiry| expiry > now)
}
