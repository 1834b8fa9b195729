//! Delivers webhooks: a few workers side by side, each in order; what is refused is repeated
//! beside them until the receiver takes it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use super::journal::{Era, Ticket};

use super::journal::Journal;
use super::{WebhookCounts, WebhookRecord, envelope, post};
use crate::clock::pause;
use crate::directory::Route;
use crate::error::SandboxError;
use crate::random::fingerprint;
use crate::world::{World, lock};

/// One thing to tell a receiver.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    pub(crate) route: Route,
    pub(crate) payload: Payload,
    pub(crate) ticket: Ticket,
}

/// What is told.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// One entry of `changes[]`, wrapped when posted.
    Change(Value),
    /// A body as it is.
    Raw {
        /// The bytes.
        body: Bytes,
        /// Whether the signature is to be wrong.
        bad_signature: bool,
    },
}

/// Takes updates and sees to their delivery.
pub(crate) struct Courier {
    workers: Vec<mpsc::UnboundedSender<Update>>,
    queues: Mutex<Vec<mpsc::UnboundedReceiver<Update>>>,
    era: Mutex<Arc<Era>>,
    journal: Mutex<Journal>,
    client: reqwest::Client,
    /// Bounds the attempts that run beside the workers.
    repeats: Arc<Semaphore>,
    closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Courier {
    pub(crate) fn new(
        workers: usize,
        log: usize,
        closing: CancellationToken,
    ) -> Result<Self, SandboxError> {
        let workers = workers.max(1);
        let (senders, queues) = (0..workers).map(|_| mpsc::unbounded_channel()).unzip();
        Ok(Self {
            workers: senders,
            queues: Mutex::new(queues),
            era: Mutex::default(),
            journal: Mutex::new(Journal::new(log)),
            client: client()?,
            repeats: Arc::new(Semaphore::new(workers)),
            closing,
            tasks: TaskTracker::new(),
        })
    }

    /// Starts the workers.
    pub(crate) fn start(&self, world: &Arc<World>) {
        for queue in lock(&self.queues).drain(..) {
            let world = Arc::clone(world);
            self.tasks.spawn(async move {
                let closing = world.courier.closing.clone();
                let () = closing.run_until_cancelled(work(world, queue)).await.unwrap_or_default();
            });
        }
    }

    /// Announces work, so that the sandbox is not quiet until the ticket is gone.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket::new(Arc::clone(&lock(&self.era)))
    }

    pub(crate) fn era(&self) -> Arc<Era> {
        Arc::clone(&lock(&self.era))
    }

    /// Queues an update. Updates with the same key are posted in this order.
    pub(crate) fn send(&self, key: &str, update: Update) {
        let worker = usize::try_from(fingerprint(key) % self.workers.len() as u64).unwrap_or(0);
        if let Some(queue) = self.workers.get(worker) {
            let _stopped = queue.send(update);
        }
    }

    /// Runs work in the background until it is done, a reset, or the end of the sandbox.
    pub(crate) fn spawn<F>(&self, era: &Era, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (ended, closing) = (era.ended.clone(), self.closing.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = ended.cancelled() => {}
                () = closing.cancelled() => {}
            }
        });
    }

    pub(crate) fn counts(&self) -> WebhookCounts {
        lock(&self.era).counts()
    }

    pub(crate) fn newest(&self, limit: usize) -> Vec<WebhookRecord> {
        lock(&self.journal).newest(limit)
    }

    /// Waits until nothing is pending, at most this long.
    pub(crate) async fn quiesce(&self, patience: Duration) -> Result<WebhookCounts, SandboxError> {
        let era = Arc::clone(&lock(&self.era));
        match tokio::time::timeout(patience, era.quiet()).await {
            Ok(()) => Ok(era.counts()),
            Err(_) => Err(SandboxError::Busy(era.counts())),
        }
    }

    /// Forgets everything on its way.
    pub(crate) fn reset(&self) {
        let old = std::mem::take(&mut *lock(&self.era));
        old.ended.cancel();
        lock(&self.journal).clear();
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }
}

/// The client for webhooks: no proxy, no redirects.
fn client() -> Result<reqwest::Client, SandboxError> {
    // A second installation is refused and harmless: someone chose a provider already.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let settings = || {
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
    };
    // A bare container has no trust anchors, and without any the client does not build.
    settings()
        .build()
        .or_else(|_| settings().tls_certs_merge(public_roots()).build())
        .map_err(SandboxError::Client)
}

/// The public trust anchors.
fn public_roots() -> impl Iterator<Item = reqwest::Certificate> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots.filter_map(|root| reqwest::Certificate::from_der(root).ok())
}

async fn work(world: Arc<World>, mut queue: mpsc::UnboundedReceiver<Update>) {
    let mut waiting: Option<Update> = None;
    loop {
        let next = waiting.take();
        let Some(first) = (if next.is_some() { next } else { queue.recv().await }) else {
            return;
        };
        let mut bundle = vec![first];
        let most = world.settings().batch.max(1);
        while bundle.len() < most {
            let Ok(update) = queue.try_recv() else { break };
            if bundle.first().is_some_and(|first| together(&world, first, &update)) {
                bundle.push(update);
            } else {
                waiting = Some(update);
                break;
            }
        }
        deliver(&world, bundle).await;
    }
}

/// Whether two updates may share a post: both changes, same receiver.
fn together(world: &World, one: &Update, other: &Update) -> bool {
    let changes =
        matches!((&one.payload, &other.payload), (Payload::Change(_), Payload::Change(_)));
    let directory = world.directory();
    changes
        && Arc::ptr_eq(&one.ticket.era, &other.ticket.era)
        && directory.resolve(&one.route) == directory.resolve(&other.route)
}

/// Posts a bundle once; if that fails, the rest happens beside the worker.
async fn deliver(world: &Arc<World>, bundle: Vec<Update>) {
    let Some(parcel) = Parcel::pack(world, bundle) else {
        return;
    };
    let ended = parcel.ticket().era.ended.clone();
    let tried = ended.run_until_cancelled(try_once(world, &parcel)).await;
    match tried {
        None | Some(Attempt::Unroutable) => {}
        Some(Attempt::Delivered(url, status)) => finish(world, &parcel, 1, url, Some(status)),
        Some(Attempt::Refused(..)) => {
            let era = Arc::clone(&parcel.ticket().era);
            let world = Arc::clone(world);
            let courier = Arc::clone(&world);
            courier.courier.spawn(&era, async move { repeat(&world, parcel).await });
        }
    }
}

/// Updates packed for the road.
struct Parcel {
    route: Route,
    body: Bytes,
    bad_signature: bool,
    updates: Vec<Ticket>,
    first: Ticket,
}

impl Parcel {
    fn pack(world: &World, bundle: Vec<Update>) -> Option<Self> {
        let mut tickets = Vec::with_capacity(bundle.len());
        let mut changes = Vec::with_capacity(bundle.len());
        let mut raw = None;
        let mut route = None;
        for update in bundle {
            tickets.push(update.ticket);
            match update.payload {
                Payload::Change(change) => {
                    if let Route::Number { waba_id, .. } = &update.route {
                        changes.push((waba_id.clone(), change));
                    }
                }
                Payload::Raw { body, bad_signature } => raw = Some((body, bad_signature)),
            }
            route = Some(update.route);
        }
        let first = tickets.pop()?;
        if first.era.ended.is_cancelled() {
            return None;
        }
        let (body, bad_signature) = raw.unwrap_or_else(|| {
            (post::escaped_json(&envelope::wrap(changes, world.clock.now_secs())), false)
        });
        Some(Self { route: route?, body, bad_signature, updates: tickets, first })
    }

    fn ticket(&self) -> &Ticket {
        &self.first
    }
}

enum Attempt {
    Delivered(String, u16),
    Refused(String, Option<u16>),
    Unroutable,
}

async fn try_once(world: &World, parcel: &Parcel) -> Attempt {
    let target = world.directory().resolve(&parcel.route);
    let Some(target) = target else {
        parcel.ticket().era.count_unrouted(parcel.updates.len() + 1);
        return Attempt::Unroutable;
    };
    let secret = if parcel.bad_signature { "not the secret" } else { &target.secret };
    let signature = post::signature(secret, &parcel.body);
    parcel.ticket().era.count_attempt();
    let patience = world.settings().webhook_timeout_ms;
    let client = world.courier.client();
    match post::attempt(client, &target, parcel.body.clone(), &signature, patience).await {
        Some(200) => Attempt::Delivered(target.url, 200),
        status => Attempt::Refused(target.url, status),
    }
}

/// Repeats at once, then with doubling gaps, until delivered or out of time.
async fn repeat(world: &Arc<World>, parcel: Parcel) {
    let plan = world.settings().retry;
    let (mut attempts, mut gap, mut waited) = (1, 0, 0_u64);
    loop {
        pause(gap).await;
        waited = waited.saturating_add(gap);
        let Ok(permit) = world.courier.repeats.acquire().await else {
            return;
        };
        let tried = try_once(world, &parcel).await;
        drop(permit);
        attempts += 1;
        match tried {
            Attempt::Unroutable => return,
            Attempt::Delivered(url, status) => {
                return finish(world, &parcel, attempts, url, Some(status));
            }
            Attempt::Refused(url, status) if waited >= plan.total_ms => {
                return finish(world, &parcel, attempts, url, status);
            }
            Attempt::Refused(..) => {
                gap = (gap * 2).max(plan.gap_ms.max(1)).min(plan.max_gap_ms.max(1));
            }
        }
    }
}

fn finish(world: &World, parcel: &Parcel, attempts: u32, url: String, status: Option<u16>) {
    let delivered = status == Some(200);
    parcel.ticket().era.count_end(delivered);
    let body = String::from_utf8_lossy(&parcel.body).into_owned();
    let record = WebhookRecord { sequence: 0, url, attempts, delivered, status, body };
    lock(&world.courier.journal).write(record);
}
