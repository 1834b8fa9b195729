//! One paired session at work.

pub(crate) mod acks;
mod hook;
mod listener;
pub(crate) mod news;
mod receipts;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kabar_channel::{ChannelKind, DeviceAddress, Fence, Intake};
use kabar_core::AccountId;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::{Client, TokioRuntime};

use self::acks::Acks;
use self::hook::Hook;
use self::listener::{Health, Listener};
use self::news::{End, News, Told};
use crate::address::Own;
use crate::backend::VaultBackend;
use crate::gate::Gate;
use crate::http::Http;
use crate::polls::Polls;
use crate::settings::QrSettings;
use crate::transport::Dial;

/// Pre-keys that a session offers. WhatsApp Web makes 812; each is a row, and the server asks for
/// more when few are left.
const PRE_KEYS: usize = 100;
/// How long a session may take to write down what it has in memory and to close its connection.
const FAREWELL: Duration = Duration::from_secs(3);

/// What every session of a process shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) settings: Arc<QrSettings>,
    pub(crate) gate: Arc<Gate>,
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
    client: Arc<Client>,
    polls: Polls,
    acks: Arc<Acks>,
    health: Arc<Health>,
    handle: Mutex<Option<BotHandle>>,
    watch: JoinHandle<()>,
}

impl Session {
    /// Starts a session on what the vault holds of it; without a session there, it waits to be
    /// paired: by the code to scan, or with `link` by a code to type on that phone.
    pub(crate) async fn start(
        shared: &Shared,
        backend: VaultBackend,
        account: AccountId,
        link: Option<String>,
    ) -> Result<Self, StartError> {
        let (fence, mut fenced) = (backend.fence(), backend.fenced());
        let address = address(fence);
        let (acks, health) = (Arc::<Acks>::default(), Arc::<Health>::default());
        let (receipts, told) = unbounded_channel();
        let listener = Listener {
            fence,
            acks: Arc::clone(&acks),
            health: Arc::clone(&health),
            receipts,
            told: shared.told.clone(),
        };
        let intake = Arc::clone(&shared.intake);
        let backend = Arc::new(backend);
        let hook = Hook {
            address: address.clone(),
            account,
            intake: Arc::clone(&intake),
            polls: Polls(Arc::clone(&backend)),
        };
        let polls = Polls(Arc::clone(&backend));
        let mut bot = Bot::builder()
            .with_backend_arc(backend)
            .with_transport_factory(Dial::new(Arc::clone(&shared.gate), &shared.settings))
            .with_http_client(shared.http.clone())
            .with_runtime(TokioRuntime)
            .with_event_handler(listener)
            .with_inbound_durability_hook(hook)
            .with_wanted_pre_key_count(PRE_KEYS)
            .skip_history_sync();
        if let Some(version) = shared.settings.version {
            bot = bot.with_version(version);
        }
        if let Some(phone_number) = link {
            bot =
                bot.with_pair_code(PairCodeOptions { phone_number, ..PairCodeOptions::default() });
        }
        let bot = bot.build().await.map_err(|error| StartError(error.to_string()))?;
        let client = bot.client();
        let handle = bot.spawn();
        // It ends with the listener, after what came in before was stored.
        tokio::spawn(receipts::store(told, Arc::downgrade(&client), address, account, intake));
        let sender = shared.told.clone();
        let watch = tokio::spawn(async move {
            if fenced.wait_for(|fenced| *fenced).await.is_ok() {
                let news = News::Ended(End::Fenced);
                let _ = sender.send(Told { device: fence.device, token: fence.token, news });
            }
        });
        let handle = Mutex::new(Some(handle));
        Ok(Self { account, fence, client, polls, acks, health, handle, watch })
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

    /// Messages since the start that could not be decrypted.
    pub(crate) fn undecryptable(&self) -> u64 {
        self.health.undecryptable.load(Ordering::Relaxed)
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

/// A session's own addresses, as far as they are known.
fn own(client: &Client) -> Own {
    Own { number: client.pn(), lid: client.lid() }
}

/// How a paired device is named towards the engine of Kabar: by its own id, since its number is not
/// known before it was paired, and may change.
pub(crate) fn address(fence: Fence) -> DeviceAddress {
    DeviceAddress { channel: ChannelKind::QR_SESSION, address: fence.device.to_string() }
}
