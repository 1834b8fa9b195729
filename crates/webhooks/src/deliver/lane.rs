//! Working one endpoint's lane off.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kabar_core::{DeliveryId, StoreError, Timestamp};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::call::{Target, Tried};
use super::settle::{Batch, Settled};
use super::verdict::PROBED;
use super::{Held, Inner, SCOPE, pause};
use crate::delivery::{Attempt, DeliveryState};
use crate::endpoint::{Endpoint, EndpointState, Health};
use crate::repo::{Due, Outcome};

/// Deliveries that are read at once, for each that may be under way.
const AHEAD: u16 = 16;
/// Deliveries that are read at once, at most.
const MOST_AHEAD: u16 = 512;
/// Attempts that an endpoint begins with; each success adds one, up to what it allows.
const FIRST_WINDOW: usize = 2;
/// After so long an endpoint's settings are looked at again.
const FRESH: Duration = Duration::from_secs(1);
/// An idle lane is looked at so often …
const LOOK: Duration = Duration::from_millis(200);
/// … and so many times before it is given back.
const LOOKS: u32 = 5;
/// The rest of a lane whose outcomes cannot be stored.
const BROKEN: Duration = Duration::from_secs(30);

/// Whether a lane is waited on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is held for a while when nothing is due.
    Run,
    /// It is given back at once.
    Drain,
}

type Hand = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// A claimed lane at work.
pub(super) struct Lane {
    inner: Arc<Inner>,
    held: Arc<Held>,
    mode: Mode,
    /// The endpoint as it was at the last look.
    endpoint: Option<(Endpoint, Arc<Target>)>,
    looked: Instant,
    health: Health,
    /// How many may be under way: grows with success.
    window: usize,
    line: VecDeque<Due>,
    /// In the line, under way, or not stored yet.
    in_hand: HashSet<DeliveryId>,
    under_way: JoinSet<Tried>,
    asking: Option<Hand>,
    outcomes: Vec<Outcome>,
    disable: Option<&'static str>,
    saving: Option<JoinHandle<Result<Settled, StoreError>>>,
    /// Nothing more was due at the last look.
    dry: bool,
    /// Nothing new is begun.
    ending: bool,
    /// Not to be claimed before.
    rest: Timestamp,
    idle: u32,
}

impl Lane {
    pub(super) fn new(inner: Arc<Inner>, held: Arc<Held>, mode: Mode) -> Self {
        Self {
            inner,
            held,
            mode,
            endpoint: None,
            looked: Instant::now(),
            health: Health::default(),
            window: FIRST_WINDOW,
            line: VecDeque::new(),
            in_hand: HashSet::new(),
            under_way: JoinSet::new(),
            asking: None,
            outcomes: Vec::new(),
            disable: None,
            saving: None,
            dry: false,
            ending: false,
            rest: Timestamp::UNIX_EPOCH,
            idle: 0,
        }
    }

    /// Works until nothing is due, the claim is lost, or `stop`.
    pub(super) async fn work(mut self, stop: CancellationToken) {
        let lost = self.held.lost.clone();
        let ended = tokio::select! {
            () = lost.cancelled() => Ok(()),
            ended = self.work_off(&stop) => ended,
        };
        if let Err(error) = ended {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(endpoint = %self.held.claim.endpoint, error, "webhooks.lane");
            self.rest = super::after(self.inner.clock.now(), self.inner.settings.poll);
        }
        self.under_way.abort_all();
        self.inner.put_down(self.held.claim);
        if lost.is_cancelled() {
            return;
        }
        if let Err(error) = self.give_back().await {
            // The lease runs out by itself.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(endpoint = %self.held.claim.endpoint, error, "webhooks.release");
        }
    }

    async fn give_back(&mut self) -> Result<(), StoreError> {
        let work = self.inner.store.begin().await?;
        work.webhook_lanes(SCOPE).release(self.inner.node, self.held.claim, self.rest).await?;
        work.commit().await
    }

    async fn work_off(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        loop {
            if let Err(error) = self.look_if_needed().await {
                // What is under way is finished and stored first.
                let error = &error as &dyn std::error::Error;
                tracing::warn!(endpoint = %self.held.claim.endpoint, error, "webhooks.look");
                self.end();
                self.rest = super::after(self.inner.clock.now(), self.inner.settings.poll);
            }
            let free_at = self.begin_some();
            self.save_some();
            let busy = !self.under_way.is_empty() || self.saving.is_some() || self.asking.is_some();
            if !busy && !self.wait_idly(free_at, stop).await {
                return Ok(());
            }
            if busy {
                self.next(free_at, stop).await?;
            }
        }
    }

    /// Waits for whatever comes first.
    async fn next(
        &mut self,
        free_at: Option<Timestamp>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let wait = free_at.map(|at| self.until(at));
        tokio::select! {
            Some(tried) = self.under_way.join_next(), if !self.under_way.is_empty() => {
                // A task that was aborted has nothing to tell.
                if let Ok(tried) = tried {
                    self.tried(tried);
                }
            }
            saved = ended(self.saving.as_mut()) => {
                self.saving = None;
                self.saved(saved)?;
            }
            hand = ended(self.asking.as_mut()) => {
                self.asking = None;
                if let Ok(hand) = hand {
                    self.begin_with(hand);
                }
            }
            () = self.held.bell.notified() => self.dry = false,
            () = pause(wait.unwrap_or_default()), if wait.is_some() => {}
            () = stop.cancelled(), if !self.ending => self.end(),
        }
        Ok(())
    }

    /// Waits for something to do when nothing is under way; `false` when the lane goes back.
    async fn wait_idly(&mut self, free_at: Option<Timestamp>, stop: &CancellationToken) -> bool {
        if self.ending || self.is_held() {
            return false;
        }
        if !self.line.is_empty() && free_at.is_none() {
            return true;
        }
        if self.mode == Mode::Drain {
            self.rest = free_at.unwrap_or(self.rest);
            return false;
        }
        let wait = match free_at {
            Some(at) => self.until(at),
            None if self.idle >= LOOKS => return false,
            None => LOOK,
        };
        self.idle += u32::from(free_at.is_none());
        tokio::select! {
            () = self.held.bell.notified() => self.idle = 0,
            () = pause(wait) => {}
            () = stop.cancelled() => self.end(),
        }
        self.dry = false;
        true
    }

    fn until(&self, at: Timestamp) -> Duration {
        (at - self.inner.clock.now()).to_std().unwrap_or_default().max(Duration::from_millis(1))
    }

    fn end(&mut self) {
        self.ending = true;
        self.asking = None;
        for due in self.line.drain(..) {
            self.in_hand.remove(&due.id);
        }
    }

    /// Whether the endpoint is to be left alone for now.
    fn is_held(&self) -> bool {
        self.health.hold_until.is_some_and(|until| until > self.inner.clock.now())
    }

    /// Reads on when the line is nearly empty, and looks at the settings from time to time.
    async fn look_if_needed(&mut self) -> Result<(), StoreError> {
        let low = self.line.len() < self.allowed() && !self.dry;
        let old = !self.line.is_empty() && self.looked.elapsed() > FRESH;
        if self.ending || (self.endpoint.is_some() && !low && !old) {
            return Ok(());
        }
        let (id, now) = (self.held.claim.endpoint, self.inner.clock.now());
        let work = self.inner.store.read().await?;
        let scope = SCOPE.within(self.held.claim.account);
        self.looked = Instant::now();
        let found = work.endpoints(scope).get(id).await?;
        let Some(endpoint) = found.filter(|it| it.state == EndpointState::Active) else {
            self.end();
            return Ok(());
        };
        let known = self.endpoint.as_ref().map(|(endpoint, _)| endpoint.updated_at);
        if known != Some(endpoint.updated_at) {
            if known.is_none() {
                self.health = endpoint.health.clone();
                self.window = if self.health.failures > 0 { 1 } else { FIRST_WINDOW };
            }
            let secrets = work.endpoints(scope).secrets(id).await?;
            let target = Arc::new(Target::new(&endpoint.settings, &secrets));
            self.endpoint = Some((endpoint, target));
        }
        if low {
            let limit = self.ahead();
            let due = work.webhook_lanes(SCOPE).due(id, now, limit).await?;
            self.dry = due.len() < usize::from(limit);
            let new = due.into_iter().filter(|due| self.in_hand.insert(due.id));
            self.line.extend(new);
            if !self.line.is_empty() {
                self.idle = 0;
            }
        }
        Ok(())
    }

    /// How many to read, beyond those in hand.
    fn ahead(&self) -> u16 {
        let settings = self.endpoint.as_ref().map(|(endpoint, _)| &endpoint.settings);
        let parallel = settings.map_or(1, |settings| settings.concurrency);
        let rate = settings
            .and_then(|settings| settings.rate)
            .map_or(u16::MAX, |rate| u16::try_from(rate).unwrap_or(u16::MAX));
        let wanted = parallel.saturating_mul(AHEAD).min(rate.max(parallel)).min(MOST_AHEAD);
        wanted.saturating_add(u16::try_from(self.in_hand.len()).unwrap_or(u16::MAX))
    }

    /// How many may be under way now.
    fn allowed(&self) -> usize {
        let most = self.endpoint.as_ref().map_or(1, |(endpoint, _)| endpoint.settings.concurrency);
        if self.health.failures >= PROBED { 1 } else { self.window.min(usize::from(most)) }
    }

    /// Begins what may begin; returns when the rate allows the next.
    fn begin_some(&mut self) -> Option<Timestamp> {
        while !self.ending && !self.is_held() && self.asking.is_none() {
            if self.line.is_empty() || self.under_way.len() >= self.allowed() {
                return None;
            }
            if let Err(free_at) = self.take_pace() {
                return Some(free_at);
            }
            match Arc::clone(&self.inner.hands).try_acquire_owned() {
                Ok(hand) => self.begin_with(hand),
                Err(_) => {
                    self.asking = Some(Box::pin(Arc::clone(&self.inner.hands).acquire_owned()));
                }
            }
        }
        None
    }

    fn take_pace(&self) -> Result<(), Timestamp> {
        let rate = self.endpoint.as_ref().and_then(|(endpoint, _)| endpoint.settings.rate);
        let Some(rate) = rate else { return Ok(()) };
        self.inner.pace.take(self.held.claim.endpoint, rate, self.inner.clock.now())
    }

    fn begin_with(&mut self, hand: OwnedSemaphorePermit) {
        let Some((_, target)) = &self.endpoint else { return };
        let Some(due) = self.line.pop_front() else { return };
        if due.payload.is_none() {
            self.outcomes.push(gone(&due, self.inner.clock.now()));
            return;
        }
        let (inner, target) = (Arc::clone(&self.inner), Arc::clone(target));
        self.under_way.spawn(async move { target.attempt(&inner, due, hand).await });
    }

    /// Notes what came of an attempt.
    fn tried(&mut self, tried: Tried) {
        let now = self.inner.clock.now();
        let Tried { due, at, took, verdict } = tried;
        verdict.note(&mut self.health, at, now);
        self.window = if verdict.is_good() { self.window + 1 } else { (self.window / 2).max(1) };
        let attempts = due.attempts.saturating_add(1);
        let (schedule, ids) = (&self.inner.settings.schedule, &*self.inner.ids);
        let (state, due_at) = match verdict.next(attempts, schedule, ids, now) {
            _ if verdict.is_good() => (DeliveryState::Delivered, now),
            Some(next) => (DeliveryState::Pending, next),
            None => (DeliveryState::Failed, now),
        };
        self.disable = self.disable.or_else(|| self.hopeless(&verdict, now));
        let good = verdict.is_good();
        let attempt = Attempt {
            id: self.inner.ids.next(),
            delivery: due.id,
            at,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status: verdict.status,
            error: verdict.error,
            response: verdict.response.filter(|_| !good),
        };
        let (delivery, chat) = (due.id, due.chat);
        self.outcomes.push(Outcome { delivery, chat, state, due_at, attempt: Some(attempt) });
        if self.is_held() || self.disable.is_some() {
            // What is under way is finished; the rest waits for a probe.
            for due in self.line.drain(..) {
                self.in_hand.remove(&due.id);
            }
        }
    }

    /// Why the endpoint is to be switched off, if it is.
    fn hopeless(&self, verdict: &super::verdict::Verdict, now: Timestamp) -> Option<&'static str> {
        if verdict.is_gone() {
            return Some("gone");
        }
        let since = self.health.failing_since?;
        let long = super::after(since, self.inner.settings.disable_after) <= now;
        (long && self.health.failures >= PROBED).then_some("failing")
    }

    /// Stores outcomes, all that there are, unless some are being stored.
    fn save_some(&mut self) {
        if self.saving.is_some() || self.outcomes.is_empty() {
            return;
        }
        let disable = self.disable.take();
        if disable.is_some() {
            self.end();
        }
        let batch = Batch {
            claim: self.held.claim,
            outcomes: std::mem::take(&mut self.outcomes),
            health: self.health.clone(),
            disable,
        };
        let inner = Arc::clone(&self.inner);
        self.saving = Some(tokio::spawn(async move { inner.settle(batch).await }));
    }

    fn saved(
        &mut self,
        saved: Result<Result<Settled, StoreError>, tokio::task::JoinError>,
    ) -> Result<(), StoreError> {
        match saved {
            Ok(Ok(settled)) => {
                let ordered =
                    self.endpoint.as_ref().is_some_and(|(endpoint, _)| endpoint.settings.ordered);
                if ordered {
                    self.dry = false;
                }
                for id in settled.deliveries {
                    self.in_hand.remove(&id);
                }
                Ok(())
            }
            failed => {
                self.end();
                self.rest = super::after(self.inner.clock.now(), BROKEN);
                let error = match failed {
                    Ok(Err(error)) => error,
                    Err(error) => StoreError::Unavailable(Box::new(error)),
                    Ok(Ok(_)) => return Ok(()),
                };
                Err(error)
            }
        }
    }
}

/// The outcome of a delivery whose payload is no longer there.
fn gone(due: &Due, now: Timestamp) -> Outcome {
    Outcome {
        delivery: due.id,
        chat: due.chat,
        state: DeliveryState::Cancelled,
        due_at: now,
        attempt: None,
    }
}

/// The end of something that may not be there: then it never comes.
async fn ended<F: Future + Unpin>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
