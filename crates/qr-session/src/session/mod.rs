//! One paired session at work.

pub(crate) mod acks;
mod again;
mod hook;
pub(crate) mod listener;
pub(crate) mod news;
mod receipts;
mod recovered;
pub(crate) mod wanted;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use kabar_channel::{ChannelKind, DeviceAddress, Fence, Intake};
use kabar_core::{AccountId, PhoneNumber};
use kabar_outbound::Proxies;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use wacore::store::DevicePropsOverride;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::{CacheConfig, Client, RawNodeLease, TokioRuntime};

use self::acks::Acks;
use self::hook::Hook;
use self::listener::{Health, Listener};
use self::news::{End, News, Told};
use crate::address::Own;
use crate::backend::{Reading, VaultBackend};
use crate::gate::Gate;
use crate::http::Http;
use crate::leases::Leases;
use crate::line::Line;
use crate::polls::Polls;
use crate::route::Route;
use crate::transport::{Dial, Engine};
use crate::version::Versions;

/// Pre-keys that a session offers. WhatsApp Web makes 812; each is a row, and the server asks for
/// more when few are left.
const PRE_KEYS: usize = 100;
/// How long a session may take to write down what it has in memory and to close its connection.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long WhatsApp may take to hear that a session logs out.
const LOGGED_OUT_WITHIN: Duration = Duration::from_secs(10);
/// Chats of a session for which the engine keeps a worker ready. Each holds about 31 KiB, as the
/// engine's source says of it; one that is at work is never let go, and a new one is a task.
const LANES: u64 = 8;
/// What the phone calls the session in its list of linked devices.
const NAME: &str = "Kabar";

/// What every session of a process shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) gate: Arc<Gate>,
    pub(crate) line: Line,
    pub(crate) versions: Versions,
    pub(crate) leases: Leases,
    pub(crate) proxies: Proxies,
    pub(crate) http: Http,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) told: UnboundedSender<Told>,
}

/// A session that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the session cannot be started: {0}")]
pub(crate) struct StartError(String);

/// One paired session at work. Dropping it ends it without a farewell.
pub(crate) struct Session {
    account: AccountId,
    fence: Fence,
    /// The number of the phone that it is to be paired with by a code to type.
    link: Option<PhoneNumber>,
    since: Instant,
    leaving: AtomicBool,
    client: Arc<Client>,
    polls: Polls,
    acks: Arc<Acks>,
    health: Arc<Health>,
    handle: Mutex<Option<BotHandle>>,
    /// The engine tells of every stanza as long as this is there.
    _stanzas: RawNodeLease,
    watch: JoinHandle<()>,
}

impl Session {
    /// Starts a session on what the vault holds of it; without a session there, it waits to be
    /// paired: by the code to scan, or with `link` by a code to type on that phone.
    pub(crate) async fn start(
        shared: &Shared,
        backend: VaultBackend,
        account: AccountId,
        link: Option<PhoneNumber>,
    ) -> Result<Self, StartError> {
        let (fence, mut fenced) = (backend.fence(), backend.fenced());
        let address = address(fence);
        let (acks, health) = (Arc::<Acks>::default(), Arc::<Health>::default());
        let (receipts, told) = unbounded_channel();
        let (recovered, given) = unbounded_channel();
        let (wishes, inbox) = wanted::wishes();
        let listener = Listener {
            fence,
            acks: Arc::clone(&acks),
            health: Arc::clone(&health),
            receipts,
            recovered,
            told: shared.told.clone(),
            reading: Arc::<Reading>::default(),
            wishes: wishes.clone(),
        };
        let intake = Arc::clone(&shared.intake);
        let (unread, asked) = unbounded_channel();
        let backend = Arc::new(backend.at_work(unread, Arc::clone(&listener.reading)));
        let hook = || Hook {
            address: address.clone(),
            account,
            intake: Arc::clone(&intake),
            polls: Polls(Arc::clone(&backend)),
            health: Arc::clone(&health),
        };
        let (at_once, afterwards) = (hook(), hook());
        let polls = Polls(Arc::clone(&backend));
        let kept = Arc::clone(&backend);
        let version = shared.versions.current().await.map_err(StartError)?;
        let route = Route { leases: shared.leases.clone(), proxies: shared.proxies.clone(), fence };
        let http = shared.http.on(route.clone());
        let engine = Engine::default();
        let dial = Dial::new(shared, route, listener.clone(), Arc::clone(&engine));
        let mut bot = Bot::builder()
            .with_backend_arc(backend)
            .with_transport_factory(dial)
            .with_version(version)
            .with_http_client(http)
            .with_runtime(TokioRuntime)
            .with_event_handler(listener)
            .with_inbound_durability_hook(at_once)
            .with_wanted_pre_key_count(PRE_KEYS)
            .with_device_props(DevicePropsOverride::new().with_os(NAME))
            .with_cache_config(caches())
            .skip_history_sync();
        if let Some(number) = &link {
            let phone_number = number.as_str().to_owned();
            bot =
                bot.with_pair_code(PairCodeOptions { phone_number, ..PairCodeOptions::default() });
        }
        let bot = bot.build().await.map_err(|error| StartError(error.to_string()))?;
        let client = bot.client();
        let _ = engine.set(Arc::downgrade(&client));
        // Before anything can come.
        let stanzas = client.acquire_raw_node_forwarding();
        let handle = bot.spawn();
        tokio::spawn(inbox.keep(Arc::clone(&kept)));
        tokio::spawn(wanted::fulfil(wishes.connections(), kept, Arc::downgrade(&client)));
        tokio::spawn(again::ask(asked, Arc::downgrade(&client)));
        // Both end with the listener, after what came in before was stored.
        tokio::spawn(recovered::store(given, Arc::downgrade(&client), afterwards));
        tokio::spawn(receipts::store(told, Arc::downgrade(&client), address, account, intake));
        let sender = shared.told.clone();
        let watch = tokio::spawn(async move {
            if fenced.wait_for(|fenced| *fenced).await.is_ok() {
                let news = News::Ended(End::Fenced);
                let _ = sender.send(Told { device: fence.device, token: fence.token, news });
            }
        });
        let handle = Mutex::new(Some(handle));
        Ok(Self {
            account,
            fence,
            link,
            since: Instant::now(),
            leaving: AtomicBool::new(false),
            client,
            polls,
            acks,
            health,
            handle,
            _stanzas: stanzas,
            watch,
        })
    }

    /// The account of its device.
    pub(crate) const fn account(&self) -> AccountId {
        self.account
    }

    /// The device, and the token that it writes with.
    pub(crate) const fn fence(&self) -> Fence {
        self.fence
    }

    /// The engine.
    pub(crate) const fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Its polls.
    pub(crate) const fn polls(&self) -> &Polls {
        &self.polls
    }

    /// Its own addresses.
    pub(crate) fn own(&self) -> Own {
        own(&self.client)
    }

    /// Who waits for acknowledgements.
    pub(crate) fn acks(&self) -> &Acks {
        &self.acks
    }

    /// Whether it is logged in and receives.
    pub(crate) fn is_connected(&self) -> bool {
        self.health.connected.load(Ordering::Acquire)
    }

    /// Whether it was paired. Another one waits for its code to be scanned or typed.
    pub(crate) fn is_paired(&self) -> bool {
        self.client.pn().is_some()
    }

    /// The phone that it is to be paired with by a code to type.
    pub(crate) const fn link(&self) -> Option<&PhoneNumber> {
        self.link.as_ref()
    }

    /// For how long it has run.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Tells WhatsApp that it logs out; the news follow. Only the first call does anything.
    pub(crate) async fn leave(&self) {
        if self.leaving.swap(true, Ordering::AcqRel) {
            return;
        }
        if tokio::time::timeout(LOGGED_OUT_WITHIN, self.client.logout()).await.is_err() {
            tracing::warn!(device = %self.fence.device, "session.leave");
        }
    }

    /// Whether it logs out on purpose.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Messages since the start that could not be decrypted.
    pub(crate) fn undecryptable(&self) -> u64 {
        self.health.undecryptable.load(Ordering::Relaxed)
    }

    /// Those of them since the last message that it could.
    pub(crate) fn undecryptable_in_a_row(&self) -> u64 {
        self.health.in_a_row.load(Ordering::Relaxed)
    }

    /// For how long its connection has been open without being logged in, or getting on with it.
    pub(crate) fn waits_for_login(&self) -> Option<Duration> {
        let opened = *self.health.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = !self.is_connected() && self.client.is_connected() && self.is_paired();
        opened.filter(|_| waits).map(|opened| opened.elapsed())
    }

    /// Ends its connection, so that another one is made.
    pub(crate) fn connect_anew(&self) {
        *self.health.opened.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let client = Arc::clone(&self.client);
        tokio::spawn(async move { client.reconnect().await });
    }

    /// Whether it decrypted a message since it was started.
    pub(crate) fn has_understood(&self) -> bool {
        self.health.understood.load(Ordering::Relaxed)
    }

    /// Ends the session: what it has in memory is written down, and its connection is closed. It may
    /// go on elsewhere afterwards.
    pub(crate) async fn stop(&self) {
        self.health.connected.store(false, Ordering::Release);
        let Some(handle) = self.handle.lock().await.take() else { return };
        if tokio::time::timeout(FAREWELL, handle.shutdown()).await.is_err() {
            tracing::warn!(device = %self.fence.device, "session.farewell");
        }
        self.acks.lost();
        self.watch.abort();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.client.signal_shutdown_sync();
        self.watch.abort();
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("fence", &self.fence).finish_non_exhaustive()
    }
}

fn caches() -> CacheConfig {
    CacheConfig { chat_lanes_capacity: LANES, ..CacheConfig::default() }
}

/// A session's own addresses, as far as they are known.
fn own(client: &Client) -> Own {
    Own { number: client.pn(), lid: client.lid() }
}

/// How a paired device is named towards the engine of Kabar: by its own id, since its number is not
/// known before it was paired, and may change.
pub(crate) fn address(fence: Fence) -> DeviceAddress {
    DeviceAddress { channel: ChannelKind::QR_SESSION, address: fence.device.to_string() }
}
