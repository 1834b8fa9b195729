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
//! Limits are asked twice: before a lane is claimed, so that what must wait is left alone (`look.rs`),
//! and in step 3, where the send is counted (`admit.rs`).
//!
//! Steps 3 and 5 are shared by all messages that are at them at the same time (one commit for
//! many). A node that dies before 3 lost nothing; between 3 and 5 the message is uncertain.

mod admit;
mod deliver;
mod hands;
mod look;
mod outcome;
mod pacer;
mod round;
mod shares;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::time::Duration;

use kabar_channel::Channels;
use kabar_core::{Clock, IdSource, InstallationScope, Store, StoreError, Timestamp, Topic, Wake};
use kabar_devices::Device;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::batch::Batcher;
use crate::message::{Message, Status};
use crate::repo::{RoadWork, after};
use deliver::{Ready, Started};
use hands::{Claim, Hands};
pub(crate) use look::quiet;
use outcome::Finished;
pub(crate) use outcome::places;
use pacer::Pacer;
use round::{Limits, Round};

pub(crate) const SCOPE: InstallationScope = InstallationScope::system("dispatch");

/// The shortest sleep between two looks.
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);

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
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
    settings: DispatcherSettings,
    /// Since when statuses can reach this node.
    up_since: Timestamp,
    /// This node, for as long as it lives.
    node: Uuid,
    pacer: Pacer,
    /// Rounds so far: who comes first among equals.
    turn: AtomicUsize,
    /// When expired messages were looked for last, in seconds since 1970.
    swept: AtomicI64,
    hands: Hands,
    tasks: TaskTracker,
    starting: Batcher<Ready, Started>,
    finishing: Batcher<Finished, Result<(), Arc<StoreError>>>,
}

/// A message in hand.
struct InHand {
    device: Arc<Device>,
    limits: Limits,
    message: Message,
    /// What it was before.
    was: Status,
    /// Whether it keeps the device's delay.
    paced: bool,
    /// Whether a guard keeps it: its recipient never wrote.
    new_contact: bool,
    claim: Claim,
}

impl Dispatcher {
    /// A dispatcher with an identity of its own.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        channels: Channels,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
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
                ids,
                wake,
                settings,
                up_since,
                node,
                pacer: Pacer::default(),
                turn: AtomicUsize::new(0),
                swept: AtomicI64::new(i64::MIN),
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
                let round = self.inner.round().await.unwrap_or_else(|error| {
                    tracing::warn!(error = &error as &dyn std::error::Error, "dispatch.round");
                    Round::default()
                });
                if round.taken == 0 {
                    let wait = self.inner.wait_for(round.opens);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.inner.wake.wait(Topic::Outbox, wait) => {}
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
        // What is in hand stays in hand, however slow the machine is.
        tokio::select! {
            drained = self.drain_all() => drained,
            () = self.beat() => Ok(0),
        }
    }

    async fn drain_all(&self) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let claimed = self.inner.round().await?.taken;
            while self.inner.hands.len() > 0 {
                tokio::task::yield_now().await;
            }
            if claimed == 0 {
                return Ok(all);
            }
            all += claimed;
        }
    }

    /// When something that waits may move next; `None` when nothing waits. For tests and
    /// simulations that move the clock themselves, between two calls of [`Dispatcher::drain`].
    ///
    /// # Errors
    /// What storage says.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_due().await
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
    fn spawn(self: &Arc<Self>, in_hand: InHand, leased: Instant) {
        let claim = in_hand.claim;
        self.hands.take(claim, leased);
        self.pacer.took(in_hand.device.account, claim.0, in_hand.paced);
        let inner = Arc::clone(self);
        let task = async move {
            let done = Done { inner: Arc::clone(&inner), claim };
            inner.deliver(in_hand).await;
            drop(done);
        };
        self.tasks.spawn(task);
    }

    /// How long to sleep when nothing can be done before `opens`.
    fn wait_for(&self, opens: Option<Timestamp>) -> Duration {
        let now = self.clock.now();
        let until = opens.map_or(Duration::MAX, |opens| (opens - now).to_std().unwrap_or_default());
        until.clamp(SHORTEST_SLEEP, self.settings.poll.max(SHORTEST_SLEEP))
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
        self.inner.pacer.gave_back(self.claim.0);
        self.inner.hands.put_down(self.claim);
        self.inner.wake.wake(Topic::Outbox);
    }
}
