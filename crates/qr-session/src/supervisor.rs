//! Who runs which sessions.
//!
//! A process, a *node*, claims the sessions that are wanted and that nobody runs, renews its leases,
//! and ends what it lost. See [`kabar_devices::lease`] for the promise behind it.

mod deaf;
mod errands;
mod list;
mod reactions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kabar_channel::ports::MediaSource;
use kabar_channel::{Fence, Intake, SessionVault};
use kabar_core::{
    Clock, DeviceId, IdSource, InstallationScope, Store, StoreError, Timestamp, Topic, Wake,
};
use kabar_devices::DevicesUse;
use kabar_devices::lease::{Errand, Lease, RENEW_EVERY, Release};
use kabar_outbound::Proxies;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backend::VaultBackend;
use crate::channel::QrChannel;
use crate::gate::Gate;
use crate::http::Http;
use crate::leases::Leases;
use crate::line::{Line, LineError};
use crate::ownership::Ownership;
use crate::session::news::Told;
use crate::session::{Session, Shared};
use crate::sessions::Sessions;
use crate::settings::QrSettings;
use crate::version::Versions;

const SCOPE: InstallationScope = InstallationScope::system("sessions");
/// Sessions that are claimed at once: the others are left to nodes that have as much room.
const CLAIM: u16 = 100;
/// Sessions that are read from the vault at the same time.
const STARTING: usize = 8;
/// A renewal that takes longer is as good as failed.
const RENEWED_WITHIN: Duration = Duration::from_secs(2);
/// From when a session may be claimed again that could not be started here.
const START_AGAIN: chrono::TimeDelta = chrono::TimeDelta::seconds(30);

/// How long a step waits for more to become wanted: many devices are often connected at once.
const GATHER: Duration = Duration::from_millis(100);

pub use list::{SessionHealth, SessionRow};

/// What a supervisor needs.
#[derive(Clone)]
pub struct Parts {
    /// Devices and leases.
    pub store: Arc<dyn Store<dyn DevicesUse>>,
    /// Where sessions are kept.
    pub vault: Arc<dyn SessionVault>,
    /// Where what comes in goes.
    pub intake: Arc<dyn Intake>,
    /// The files that are sent.
    pub media: Arc<dyn MediaSource>,
    /// The clock of leases and bans.
    pub clock: Arc<dyn Clock>,
    /// Ids of audit entries.
    pub ids: Arc<dyn IdSource>,
    /// Wakes the dispatcher when a session is connected.
    pub wake: Arc<dyn Wake>,
    /// This process; new at every start.
    pub node: Uuid,
    /// Which proxies tenants may name.
    pub proxies: Proxies,
    /// How WhatsApp is reached.
    pub settings: QrSettings,
}

/// The channel cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// Files cannot be reached.
    #[error("the HTTP client for files cannot be made")]
    Files(#[from] reqwest::Error),
    /// WhatsApp cannot be reached.
    #[error(transparent)]
    Line(#[from] LineError),
}

/// Runs the sessions of a process. Cheap to clone.
#[derive(Clone)]
pub struct Supervisor(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    shared: Shared,
    sessions: Sessions,
    ownership: Ownership,
    starting: Mutex<HashMap<DeviceId, u64>>,
    starters: Semaphore,
    remedies: deaf::Remedies,
    told: tokio::sync::Mutex<UnboundedReceiver<Told>>,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("sessions", &self.0.sessions.len())
            .finish_non_exhaustive()
    }
}

impl Supervisor {
    /// A supervisor, and the channel over the sessions that it runs.
    ///
    /// # Errors
    /// [`SetUpError`].
    pub fn new(parts: Parts) -> Result<(Self, QrChannel), SetUpError> {
        let http = Http::new(parts.settings.media_url.as_deref())?;
        let settings = Arc::new(parts.settings.clone());
        let (sender, told) = unbounded_channel();
        let shared = Shared {
            gate: Arc::new(Gate::new(&settings)),
            line: Line::new(&settings, Arc::clone(&parts.ids))?,
            versions: Versions::new(http.clone(), &settings),
            leases: Leases(Arc::clone(&parts.store)),
            proxies: parts.proxies.clone(),
            http,
            intake: Arc::clone(&parts.intake),
            told: sender,
        };
        let (sessions, ownership) = (Sessions::default(), Ownership::default());
        let channel = QrChannel {
            sessions: sessions.clone(),
            ownership: ownership.clone(),
            media: Arc::clone(&parts.media),
            clock: Arc::clone(&parts.clock),
            ids: Arc::clone(&parts.ids),
            settings,
        };
        let inner = Inner {
            parts,
            shared,
            sessions,
            ownership,
            starting: Mutex::default(),
            starters: Semaphore::new(STARTING),
            remedies: deaf::Remedies::default(),
            told: tokio::sync::Mutex::new(told),
        };
        Ok((Self(Arc::new(inner)), channel))
    }

    /// Runs sessions until it is told to stop; then ends them and gives their leases back.
    pub async fn run(&self, stop: CancellationToken) {
        // Side by side: storing what happened must not keep the leases waiting.
        tokio::join!(self.0.keep_leases(&stop), self.0.listen(&stop));
        self.0.end_all().await;
    }

    /// Sessions that run here, how many of them are connected, and connections begun so far.
    pub fn counts(&self) -> (usize, usize, u64) {
        let all = self.0.sessions.all();
        let connected = all.iter().filter(|session| session.is_connected()).count();
        (all.len(), connected, self.0.shared.gate.attempts())
    }
}

impl Inner {
    async fn keep_leases(self: &Arc<Self>, stop: &CancellationToken) {
        let period = RENEW_EVERY.to_std().unwrap_or(Duration::from_secs(2));
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut wishes = self.parts.wake.listen(Topic::Sessions);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                _ = wishes.heard(period) => tokio::time::sleep_until(tokio::time::Instant::now() + GATHER).await,
            }
            self.step().await;
        }
    }

    /// Stores what sessions tell, in its order.
    async fn listen(self: &Arc<Self>, stop: &CancellationToken) {
        let mut told = self.told.lock().await;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(told) = told.recv() => self.react(told).await,
            }
        }
    }

    /// Renews, ends what was lost or is no longer wanted, and claims what there is room for.
    async fn step(self: &Arc<Self>) {
        let begun = Instant::now();
        // A task of its own: a transaction that was begun is never broken off.
        let inner = Arc::clone(self);
        let renewing = tokio::spawn(async move { inner.renew().await });
        let renewed = tokio::time::timeout(RENEWED_WITHIN, renewing).await;
        let held = match renewed {
            Ok(Ok(Ok(held))) => held,
            failed => {
                if let Ok(Ok(Err(error))) = failed {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "sessions.renew");
                }
                if !self.ownership.is_sure() {
                    self.end(self.sessions.all()).await;
                }
                return;
            }
        };
        let lost = self.take_out(self.lost(&held));
        // From here on it is sent over what is left.
        self.ownership.confirmed(begun);
        farewell(lost).await;
        self.end_unwanted(&held).await;
        self.run_errands(&held).await;
        self.listen_for_the_deaf().await;
        self.look_for_the_stuck();
        if let Err(error) = self.claim().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "sessions.claim");
        }
        self.measure();
    }

    async fn renew(&self) -> Result<Vec<Lease>, StoreError> {
        let work = self.parts.store.begin().await?;
        let held = work.leases(SCOPE).renew(self.parts.node, self.now()).await?;
        work.commit().await?;
        Ok(held)
    }

    /// What is not among the leases any more is somebody else's.
    fn lost(&self, held: &[Lease]) -> Vec<Arc<Session>> {
        let held: HashMap<DeviceId, u64> =
            held.iter().map(|lease| (lease.device, lease.fence)).collect();
        let mut lost = self.sessions.all();
        lost.retain(|session| {
            let fence = session.fence();
            held.get(&fence.device) != Some(&fence.token)
        });
        lost
    }

    /// What is held but not to run is ended; what is held but does not run is given back.
    async fn end_unwanted(&self, held: &[Lease]) {
        let (mut ending, mut back) = (Vec::new(), Vec::new());
        for lease in held {
            let session = self.sessions.get(lease.device);
            if self.is_starting(lease.fence()) {
                continue;
            }
            if !lease.wanted || session.is_none() {
                let from = if lease.wanted { self.now() + START_AGAIN } else { self.now() };
                back.push(Release { fence: lease.fence(), from });
                ending.extend(session);
            }
        }
        self.rest(&ending).await;
        self.end(ending).await;
        self.release(&back).await;
    }

    /// What a session told between the wish that it should end and now must not be the last word.
    async fn rest(&self, ending: &[Arc<Session>]) {
        for session in ending {
            if let Err(error) = self.rested(session).await {
                let device = session.fence().device;
                tracing::warn!(%device, error = &error as &dyn std::error::Error, "sessions.rest");
            }
        }
    }

    async fn claim(self: &Arc<Self>) -> Result<(), StoreError> {
        let here = self.sessions.len() + self.starting().len();
        let room = self.parts.settings.most_sessions.saturating_sub(here);
        let room = u16::try_from(room).unwrap_or(u16::MAX).min(CLAIM);
        if room == 0 {
            return Ok(());
        }
        let work = self.parts.store.begin().await?;
        let claimed = work.leases(SCOPE).claim(self.parts.node, self.now(), room).await?;
        work.commit().await?;
        for lease in claimed {
            self.starting().insert(lease.device, lease.fence);
            let inner = Arc::clone(self);
            tokio::spawn(async move { inner.start(lease).await });
        }
        Ok(())
    }

    /// Starts the session of a lease; gives the lease back when it cannot be started.
    async fn start(self: Arc<Self>, lease: Lease) {
        let Ok(_place) = self.starters.acquire().await else { return };
        let started = self.try_start(&lease).await;
        if let Err(error) = &started {
            tracing::warn!(device = %lease.device, error, "sessions.start");
            let from = self.now() + START_AGAIN;
            self.release(&[Release { fence: lease.fence(), from }]).await;
        }
        self.starting().remove(&lease.device);
    }

    async fn try_start(&self, lease: &Lease) -> Result<(), String> {
        let vault = Arc::clone(&self.parts.vault);
        self.is_allowed(lease).await?;
        let backend = VaultBackend::new(vault, lease.fence());
        let link = match &lease.errand {
            Errand::Link(number) => Some(number.clone()),
            _ => None,
        };
        let session = Session::start(&self.shared, backend, lease.account, link).await;
        let session = Arc::new(session.map_err(|error| error.to_string())?);
        if let Some(earlier) = self.sessions.put(session) {
            earlier.stop().await;
        }
        Ok(())
    }

    /// A session from a sandbox runs only where that was asked for: WhatsApp does not know it.
    async fn is_allowed(&self, lease: &Lease) -> Result<(), String> {
        let source = crate::import::source(&*self.parts.vault, lease.device).await;
        match source.map_err(|error| error.to_string())? {
            crate::Source::Sandbox if !self.parts.settings.sandbox => {
                Err("it was paired on a sandbox, and sandbox sessions are not allowed".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Ends sessions, all at the same time.
    async fn end(&self, sessions: Vec<Arc<Session>>) {
        farewell(self.take_out(sessions)).await;
    }

    /// Takes sessions out of those that run here, so that nothing more is sent over them.
    fn take_out(&self, sessions: Vec<Arc<Session>>) -> Vec<Arc<Session>> {
        let fences = sessions.into_iter().map(|session| session.fence());
        fences.filter_map(|fence| self.sessions.take(fence.device, fence.token)).collect()
    }

    async fn end_all(&self) {
        let all = self.sessions.all();
        let from = self.now();
        let back: Vec<Release> =
            all.iter().map(|session| Release { fence: session.fence(), from }).collect();
        self.end(all).await;
        self.release(&back).await;
    }

    /// Gives leases back. If that fails they run out.
    async fn release(&self, leases: &[Release]) {
        if leases.is_empty() {
            return;
        }
        let released = async {
            let work = self.parts.store.begin().await?;
            work.leases(SCOPE).release(self.parts.node, leases).await?;
            work.commit().await
        };
        if let Err(error) = released.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "sessions.release");
        }
    }

    fn starting(&self) -> MutexGuard<'_, HashMap<DeviceId, u64>> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_starting(&self, fence: Fence) -> bool {
        self.starting().get(&fence.device) == Some(&fence.token)
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of sessions")]
    fn measure(&self) {
        let all = self.sessions.all();
        let connected = all.iter().filter(|session| session.is_connected()).count();
        let undecryptable: u64 = all.iter().map(|session| session.undecryptable()).sum();
        metrics::gauge!("kabar_qr_sessions", "state" => "running").set(all.len() as f64);
        metrics::gauge!("kabar_qr_sessions", "state" => "connected").set(connected as f64);
        metrics::gauge!("kabar_qr_undecryptable").set(undecryptable as f64);
    }
}

/// Stops sessions, all at the same time.
async fn farewell(sessions: Vec<Arc<Session>>) {
    let mut ending = JoinSet::new();
    for session in sessions {
        ending.spawn(async move { session.stop().await });
    }
    while ending.join_next().await.is_some() {}
}
