//! The way out: claims lanes, asks the pacer, hands messages to their channel, stores what came of
//! it. Nothing else ever calls [`kabar_channel::Channel::transmit`].
//!
//! A message's way through a node:
//!
//! 1. its lane is **claimed** (a lease with a fence), the message becomes `processing/claimed`;
//! 2. the channel **prepares** it (uploads; repeatable);
//! 3. `sending` is **committed**, together with what was prepared, if the claim still holds;
//! 4. the channel **transmits** it;
//! 5. the **outcome** is committed, and the lane goes back.
//!
//! Steps 3 and 5 are shared by all messages that are at them at the same time (one commit for
//! many). A node that dies before 3 lost nothing; between 3 and 5 the message is uncertain.

mod deliver;
mod hands;
mod outcome;
mod pacer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kabar_channel::Channels;
use kabar_core::{
    Clock, DeviceId, IdSource, InstallationScope, Store, StoreError, Timestamp, Topic, Wake,
};
use kabar_devices::{Device, DeviceState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::batch::Batcher;
use crate::message::Message;
use crate::policy::{self, Next};
use crate::repo::{ClaimedLane, RoadWork, after};
use crate::send::status_event;
use deliver::{Ready, Started};
use hands::{Claim, Hands};
use outcome::Finished;
use pacer::Pacer;

pub(crate) const SCOPE: InstallationScope = InstallationScope::system("dispatch");

/// Lanes of a removed device that are emptied in one unit of work.
const ABANDON: u16 = 256;

/// How a dispatcher works.
#[derive(Debug, Clone, Copy)]
pub struct DispatcherSettings {
    /// For how long a claim holds without being renewed; a node that died is taken over after it.
    pub lease: Duration,
    /// The longest sleep between two looks at the lanes.
    pub poll: Duration,
    /// Messages in hand at the same time, over all devices.
    pub parallel: usize,
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self { lease: Duration::from_secs(8), poll: Duration::from_millis(500), parallel: 512 }
    }
}

/// Sends what is in the outbox. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store<dyn RoadWork>>,
    channels: Channels,
    clock: Arc<dyn Clock>,
    wake: Arc<dyn Wake>,
    settings: DispatcherSettings,
    /// Since when statuses can reach this node.
    up_since: Timestamp,
    /// This node, for as long as it lives.
    node: Uuid,
    pacer: Pacer,
    hands: Hands,
    tasks: TaskTracker,
    starting: Batcher<Ready, Started>,
    finishing: Batcher<Finished, Result<(), Arc<StoreError>>>,
}

/// A message in hand.
struct InHand {
    device: Device,
    message: Message,
    claim: Claim,
}

impl Dispatcher {
    /// A dispatcher with an identity of its own.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        channels: Channels,
        clock: Arc<dyn Clock>,
        ids: &dyn IdSource,
        wake: Arc<dyn Wake>,
        settings: DispatcherSettings,
    ) -> Self {
        let node = ids.next();
        let up_since = clock.now();
        Self {
            inner: Arc::new(Inner {
                store,
                channels,
                clock,
                wake,
                settings,
                up_since,
                node,
                pacer: Pacer::default(),
                hands: Hands::default(),
                tasks: TaskTracker::new(),
                starting: Batcher::default(),
                finishing: Batcher::default(),
            }),
        }
    }

    /// Works until `stop`; messages in hand are finished before it returns.
    pub async fn run(&self, stop: CancellationToken) {
        if let Err(error) = self.inner.repair().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "dispatch.repair");
        }
        let heart = self.beat();
        let work = async {
            while !stop.is_cancelled() {
                let claimed = match self.inner.round().await {
                    Ok(claimed) => claimed,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "dispatch.round");
                        0
                    }
                };
                if claimed == 0 {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.inner.wake.wait(Topic::Outbox, self.inner.settings.poll) => {}
                    }
                }
            }
            self.inner.tasks.close();
            self.inner.tasks.wait().await;
        };
        // The claims are renewed until the last message in hand is finished.
        tokio::select! {
            () = work => {}
            () = heart => {}
        }
    }

    /// Sends everything that may go now, until nothing is left; returns how many messages were
    /// taken in hand. For tests and for programs that run by hand.
    ///
    /// # Errors
    /// What storage says.
    pub async fn drain(&self) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let claimed = self.inner.round().await?;
            while self.inner.hands.len() > 0 {
                tokio::task::yield_now().await;
            }
            if claimed == 0 {
                return Ok(all);
            }
            all += claimed;
        }
    }

    async fn beat(&self) {
        let inner = &self.inner;
        let mut ticks = tokio::time::interval(inner.settings.lease / 4);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = inner.renew().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "dispatch.renew");
            }
        }
    }
}

impl Inner {
    /// Looks once at every device that has something to send; returns how many messages were taken
    /// in hand.
    async fn round(self: &Arc<Self>) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let work = self.store.read().await?;
        let ready = work.outbox(SCOPE).ready_devices(now).await?;
        let ready: Vec<DeviceId> =
            ready.into_iter().filter(|device| self.pacer.may_send(*device, now)).collect();
        if ready.is_empty() {
            return Ok(0);
        }
        let devices = work.device_registry(SCOPE).by_ids(&ready).await?;
        drop(work);
        let devices: BTreeMap<DeviceId, Device> =
            devices.into_iter().map(|device| (device.id, device)).collect();
        let mut taken = 0;
        for gone in ready.iter().filter(|device| !devices.contains_key(device)) {
            taken += self.abandon(*gone, now).await?;
        }
        for device in devices.values() {
            let slots = self.slots(device);
            if slots == 0 {
                continue;
            }
            match self.take(device, slots, now).await {
                Ok(count) => taken += count,
                Err(error) if error.is_transient() => return Err(error),
                // What is wrong with one device's rows does not stop the others.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(device = %device.id, error, "dispatch.take");
                }
            }
        }
        Ok(taken)
    }

    /// Ends what waits on a device that was removed: nobody will ever send it. Returns how many
    /// messages were ended.
    async fn abandon(&self, device: DeviceId, now: Timestamp) -> Result<usize, StoreError> {
        let until = after(now, self.settings.lease);
        let work = self.store.begin().await?;
        let claimed = work.outbox(SCOPE).claim(device, self.node, now, until, ABANDON).await?;
        let back: Vec<Claim> = claimed.iter().map(|lane| (lane.lane, lane.fence)).collect();
        let mut ended: Vec<Message> = claimed.into_iter().filter_map(|lane| lane.head).collect();
        for message in &mut ended {
            policy::abandon(message, now);
        }
        work.outbox(SCOPE).save(&ended).await?;
        let events: Vec<_> = ended.iter().map(|message| status_event(message, now)).collect();
        work.events().append(&events).await?;
        work.outbox(SCOPE).release(self.node, &back).await?;
        work.commit().await?;
        Ok(ended.len())
    }

    /// How many more messages of the device may be in hand: what its channel allows, and a fair
    /// share of what the node can do.
    fn slots(&self, device: &Device) -> u16 {
        let link = device.link();
        let most = match device.state {
            // One message finds out whether it works again.
            DeviceState::Disconnected => 1,
            _ => self
                .channels
                .get(&link.channel)
                .map_or(1, |ports| ports.channel().capabilities(&link).in_flight),
        };
        let free = self.settings.parallel.saturating_sub(self.hands.len());
        let slots = most.saturating_sub(self.pacer.in_hand(device.id)).min(free.div_ceil(2));
        u16::try_from(slots).unwrap_or(u16::MAX)
    }

    /// Claims lanes of a device and takes their heads in hand; returns in how many something moved.
    async fn take(
        self: &Arc<Self>,
        device: &Device,
        slots: u16,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let until = after(now, self.settings.lease);
        let leased = Instant::now() + self.settings.lease;
        let work = self.store.begin().await?;
        let claimed = work.outbox(SCOPE).claim(device.id, self.node, now, until, slots).await?;
        if claimed.is_empty() {
            return Ok(0);
        }
        // A head that somebody else changes right now moves when they are done, and they wake us.
        let moved = claimed.iter().filter(|lane| lane.head.is_some()).count();
        let (send, settled, back) = self.sort(device, claimed, now);
        let changed: Vec<Message> =
            send.iter().map(|in_hand| &in_hand.message).chain(&settled).cloned().collect();
        work.outbox(SCOPE).save(&changed).await?;
        let events: Vec<_> = changed.iter().map(|message| status_event(message, now)).collect();
        work.events().append(&events).await?;
        work.outbox(SCOPE).release(self.node, &back).await?;
        work.commit().await?;
        for in_hand in send {
            self.spawn(in_hand, leased);
        }
        Ok(moved)
    }

    /// What can be sent, the heads about which something else was decided, and the lanes that go
    /// back at once.
    fn sort(
        &self,
        device: &Device,
        claimed: Vec<ClaimedLane>,
        now: Timestamp,
    ) -> (Vec<InHand>, Vec<Message>, Vec<Claim>) {
        let link = device.link();
        let safety =
            self.channels.get(&link.channel).map_or(kabar_channel::RetrySafety::Never, |ports| {
                ports.channel().capabilities(&link).retry
            });
        let (mut send, mut settled, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for ClaimedLane { lane, fence, head } in claimed {
            let claim = (lane, fence);
            let Some(mut message) = head else {
                back.push(claim);
                continue;
            };
            if let Some(until) = policy::unheard(&message, &device.settings, self.up_since)
                && until > now
                && safety == kabar_channel::RetrySafety::Never
            {
                message.next_at = until;
                message.held_until = Some(until);
                settled.push(message);
                back.push(claim);
                continue;
            }
            match policy::next(&mut message, &device.settings, safety, now) {
                Next::Send => send.push(InHand { device: device.clone(), message, claim }),
                Next::Settled => {
                    settled.push(message);
                    back.push(claim);
                }
                Next::Wait => back.push(claim),
            }
        }
        (send, settled, back)
    }

    fn spawn(self: &Arc<Self>, in_hand: InHand, leased: Instant) {
        let claim = in_hand.claim;
        self.hands.take(claim, leased);
        self.pacer.took(claim.0.device);
        let inner = Arc::clone(self);
        let task = async move {
            let done = Done { inner: Arc::clone(&inner), claim };
            inner.deliver(in_hand).await;
            drop(done);
        };
        self.tasks.spawn(task);
    }

    async fn repair(&self) -> Result<(), StoreError> {
        let work = self.store.begin().await?;
        let repaired = work.outbox(SCOPE).repair().await?;
        if repaired > 0 {
            tracing::warn!(repaired, "dispatch.repair");
        }
        work.commit().await
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let claims = self.hands.claims();
        if claims.is_empty() {
            return Ok(());
        }
        let leased = Instant::now() + self.settings.lease;
        let until = after(self.clock.now(), self.settings.lease);
        let work = self.store.begin().await?;
        let renewed = work.outbox(SCOPE).renew(self.node, &claims, until).await?;
        work.commit().await?;
        self.hands.renewed(&renewed, leased);
        Ok(())
    }

    /// Whether the node may still begin a send: with a quarter of the lease to spare.
    fn lease_holds(&self, claim: Claim) -> bool {
        self.hands.holds(claim, self.settings.lease / 4)
    }
}

/// Counts a message out of hand, however its task ended.
struct Done {
    inner: Arc<Inner>,
    claim: Claim,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.inner.pacer.gave_back(self.claim.0.device);
        self.inner.hands.put_down(self.claim);
        self.inner.wake.wake(Topic::Outbox);
    }
}
