//! The way out for events: claims lanes, posts what is due, stores what came of it.
//!
//! A node **claims** an endpoint's lane (a lease with a fence) and works it off in a task of its own:
//! it reads what is due, keeps so many attempts under way as the endpoint allows, and stores their
//! outcomes together. An outcome counts when it is stored; a node that dies before has delivered
//! what is delivered again, under the same id.
//!
//! Hands (attempts under way on this node) are handed out to lanes one at a time and in turn. One
//! that has waited for [`PATIENCE`] moves to the slow pool, so that endpoints which hang never hold
//! what the others need.

mod call;
mod lane;
mod pace;
mod settle;
mod verdict;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use kabar_core::{
    Clock, EndpointId, IdSource, InstallationScope, Store, StoreError, Timestamp, Topic, Wake,
};
use kabar_outbound::Outbound;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::fan_out::{BATCH, FanOut, Step};
use crate::repo::{LaneClaim, WebhooksUse};
use lane::{Lane, Mode};
use pace::Pace;

pub(crate) const SCOPE: InstallationScope = InstallationScope::system("webhooks");

/// After so long a hand counts as slow.
const PATIENCE: Duration = Duration::from_secs(1);
/// While there is news, how long it gathers before the next look: one unit of work for many events.
const GATHER: Duration = Duration::from_millis(20);
/// How long to leave the log alone while there is no endpoint.
const UNWANTED: Duration = Duration::from_millis(500);
/// Slow hands of a node, at most; beyond them slow ones keep their place among the others.
const SLOW: usize = 1_024;
/// Lanes that are claimed at once.
const CLAIM: u16 = 64;
/// Deliveries that are removed in one unit of work.
const PRUNE: u16 = 500;

/// How events are delivered.
#[derive(Debug, Clone)]
pub struct DelivererSettings {
    /// For how long a claim of a lane holds without being renewed.
    pub lease: Duration,
    /// The longest sleep between two looks at the log and at the lanes.
    pub poll: Duration,
    /// Attempts under way at the same time on this node, without those that are slow.
    pub parallel: usize,
    /// Waits between the attempts of a delivery, each give or take a fifth. One attempt more than
    /// there are waits.
    pub schedule: Vec<Duration>,
    /// An endpoint that has failed for so long without a success is switched off.
    pub disable_after: Duration,
    /// For how long deliveries are kept after they arrived.
    pub keep_delivered: Duration,
    /// For how long others are kept after they ended.
    pub keep_others: Duration,
}

impl Default for DelivererSettings {
    /// The schedule is the example of Standard Webhooks 1.0.0, about 75 hours.
    fn default() -> Self {
        const HOUR: u64 = 3_600;
        let schedule =
            [5, 300, 1_800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self {
            lease: Duration::from_secs(8),
            poll: Duration::from_millis(500),
            parallel: 256,
            schedule: schedule.map(Duration::from_secs).to_vec(),
            disable_after: Duration::from_hours(5 * 24),
            keep_delivered: Duration::from_hours(7 * 24),
            keep_others: Duration::from_hours(30 * 24),
        }
    }
}

/// Delivers events. Cheap to clone.
#[derive(Clone)]
pub struct Deliverer {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store<dyn WebhooksUse>>,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
    settings: DelivererSettings,
    /// This node, for as long as it lives.
    node: Uuid,
    fan_out: FanOut,
    pace: Pace,
    hands: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    held: Mutex<HashMap<EndpointId, Arc<Held>>>,
    /// Rung when a lane that nobody holds has something new.
    bell: Notify,
    tasks: TaskTracker,
}

/// A lane in this node's hands.
struct Held {
    claim: LaneClaim,
    /// Rung when it has something new.
    bell: Notify,
    /// The claim was lost: drop everything.
    lost: CancellationToken,
}

impl Deliverer {
    /// A deliverer with an identity of its own.
    pub fn new(
        store: Arc<dyn Store<dyn WebhooksUse>>,
        outbound: Outbound,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
        settings: DelivererSettings,
    ) -> Self {
        let inner = Inner {
            fan_out: FanOut::new(Arc::clone(&store), Arc::clone(&ids)),
            node: ids.next(),
            pace: Pace::default(),
            hands: Arc::new(Semaphore::new(settings.parallel)),
            slow: Arc::new(Semaphore::new(SLOW)),
            held: Mutex::default(),
            bell: Notify::new(),
            tasks: TaskTracker::new(),
            store,
            outbound,
            clock,
            ids,
            wake,
            settings,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Works until `stop`; attempts under way are finished before it returns.
    pub async fn run(&self, stop: CancellationToken) {
        let inner = &self.inner;
        let work = async {
            tokio::join!(inner.follow(&stop), inner.claim_on(&stop));
            inner.tasks.close();
            inner.tasks.wait().await;
        };
        // The claims are renewed until the last attempt is finished.
        tokio::select! {
            () = work => {}
            () = inner.beat() => {}
        }
    }

    /// Delivers everything that is due now, until nothing is; returns how many lanes were worked
    /// off. For tests and for programs that run by hand.
    ///
    /// # Errors
    /// What storage says.
    pub async fn drain(&self) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let step = self.inner.fan_out.step().await?;
            let claims = self.inner.claim().await?;
            all += claims.len();
            if step.events == 0 && claims.is_empty() {
                return Ok(all);
            }
            let mut lanes = tokio::task::JoinSet::new();
            for claim in claims {
                let lane = Lane::new(Arc::clone(&self.inner), self.inner.hold(claim), Mode::Drain);
                lanes.spawn(lane.work(CancellationToken::new()));
            }
            while lanes.join_next().await.is_some() {}
        }
    }

    /// Removes what has been kept for long enough; returns how many deliveries.
    ///
    /// # Errors
    /// What storage says.
    pub async fn prune(&self) -> Result<u64, StoreError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let delivered = before(now, inner.settings.keep_delivered);
        let others = before(now, inner.settings.keep_others);
        let mut all = 0;
        loop {
            let work = inner.store.begin().await?;
            let removed = work.webhook_lanes(SCOPE).prune(delivered, others, PRUNE).await?;
            work.commit().await?;
            all += removed;
            if removed < u64::from(PRUNE) {
                return Ok(all);
            }
        }
    }
}

impl Inner {
    /// Follows the event log.
    async fn follow(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let step = self.fan_out.step().await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "webhooks.fan_out");
                Step::default()
            });
            self.ring(&step.touched);
            let rest = async {
                match step.events {
                    _ if step.unwanted => pause(UNWANTED).await,
                    0 => self.wake.wait(Topic::Events, self.settings.poll).await,
                    events if events < usize::from(BATCH) => pause(GATHER).await,
                    _ => {}
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = rest => {}
            }
        }
    }

    fn ring(&self, endpoints: &BTreeSet<EndpointId>) {
        let held = self.held();
        for endpoint in endpoints {
            match held.get(endpoint) {
                Some(lane) => lane.bell.notify_one(),
                None => self.bell.notify_one(),
            }
        }
    }

    /// Claims lanes and works them off.
    async fn claim_on(self: &Arc<Self>, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let claims = self.claim().await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "webhooks.claim");
                Vec::new()
            });
            if claims.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.bell.notified() => {}
                    () = pause(self.settings.poll) => {}
                }
            }
            for claim in claims {
                let lane = Lane::new(Arc::clone(self), self.hold(claim), Mode::Run);
                self.tasks.spawn(lane.work(stop.clone()));
            }
        }
    }

    async fn claim(&self) -> Result<Vec<LaneClaim>, StoreError> {
        let now = self.clock.now();
        self.pace.forget(now);
        let work = self.store.read().await?;
        if !work.webhook_lanes(SCOPE).any_ready(now).await? {
            return Ok(Vec::new());
        }
        drop(work);
        let until = after(now, self.settings.lease);
        let work = self.store.begin().await?;
        let claims = work.webhook_lanes(SCOPE).claim(self.node, now, until, CLAIM).await?;
        work.commit().await?;
        Ok(claims)
    }

    fn hold(&self, claim: LaneClaim) -> Arc<Held> {
        let lost = CancellationToken::new();
        let held = Arc::new(Held { claim, bell: Notify::new(), lost });
        let before = self.held().insert(claim.endpoint, Arc::clone(&held));
        if let Some(before) = before {
            // The lease ran out while we held it, and we were the next to come.
            before.lost.cancel();
        }
        held
    }

    fn put_down(&self, claim: LaneClaim) {
        let mut held = self.held();
        if held.get(&claim.endpoint).is_some_and(|lane| lane.claim == claim) {
            held.remove(&claim.endpoint);
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<EndpointId, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn beat(&self) {
        let mut ticks = tokio::time::interval(self.settings.lease / 4);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.renew().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "webhooks.renew");
            }
        }
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let claims: Vec<LaneClaim> = self.held().values().map(|lane| lane.claim).collect();
        if claims.is_empty() {
            return Ok(());
        }
        let until = after(self.clock.now(), self.settings.lease);
        let work = self.store.begin().await?;
        let renewed = work.webhook_lanes(SCOPE).renew(self.node, &claims, until).await?;
        work.commit().await?;
        for lost in claims.iter().filter(|claim| !renewed.contains(claim)) {
            // It may have been given back meanwhile, which is no loss.
            let lane = self.held().get(&lost.endpoint).cloned();
            if let Some(lane) = lane.filter(|lane| lane.claim == *lost) {
                lane.lost.cancel();
            }
        }
        Ok(())
    }
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait)).unwrap_or(now)
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    TimeDelta::from_std(age)
        .ok()
        .and_then(|age| now.checked_sub_signed(age))
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Waits where there is nothing to be woken by.
#[expect(clippy::disallowed_methods, reason = "a rest that is measured in the node's own time")]
async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}
