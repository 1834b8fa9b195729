//! The handle of a running server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::config::MultiDeviceConfig;
use super::connection::listen;
use super::control;
use super::error::{MultiDeviceError, Outcome};
use super::faults::{ActiveDeviceFault, DeviceFault, Ending};
use super::keys::ServerKeys;
use super::link::Link;
use super::media::{self, MediaStore};
use super::mint::MintedSession;
use super::noise::Pattern;
use super::shared::Shared;
use super::state::State;
use super::trouble::end_link;
use super::virtual_phone::{VirtualPhone, companions};
use crate::random::Dice;

/// A live connection of a paired client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Number of the account, in digits.
    pub number: String,
    /// The companion.
    pub device: u16,
    /// How it logged in.
    pub pattern: Pattern,
}

/// A linked device as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanionState {
    /// Its id, counting from 1; ids are not used twice.
    pub device: u16,
    /// Connected and asked for what waits.
    pub online: bool,
    /// One-time pre-keys left.
    pub prekeys: usize,
    /// Stanzas that it has not acknowledged.
    pub waiting: usize,
    /// How often it has logged in.
    pub logins: u64,
}

/// A running multi-device server. Clones share it; it stops with [`MultiDevice::stop`] or when the
/// last clone is dropped.
#[derive(Clone)]
pub struct MultiDevice {
    shared: Arc<Shared>,
    socket_addr: SocketAddr,
    http_addr: SocketAddr,
    root_key: [u8; 32],
    _guard: Arc<DropGuard>,
}

impl std::fmt::Debug for MultiDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MultiDevice")
            .field("socket_addr", &self.socket_addr)
            .finish_non_exhaustive()
    }
}

async fn bind(addr: SocketAddr) -> Outcome<(TcpListener, SocketAddr)> {
    let refused = |source| MultiDeviceError::Bind { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

/// An address that can be connected to: every interface means loopback.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    addr
}

impl MultiDevice {
    /// Listens for clients. Must run inside a Tokio runtime.
    ///
    /// # Errors
    /// [`MultiDeviceError::Bind`] if an address is not free, [`MultiDeviceError::KeyFile`] if the
    /// key folder cannot be used.
    pub async fn start(config: MultiDeviceConfig) -> Result<Self, MultiDeviceError> {
        let keys = ServerKeys::open(config.key_folder.as_deref())?;
        let root_key = keys.root_key()?;
        let (sockets, socket_addr) = bind(config.bind).await?;
        let (http, http_addr) = bind(config.http_bind).await?;
        let (socket_addr, http_addr) = (reachable(socket_addr), reachable(http_addr));
        let host = config.media_host.clone().unwrap_or_else(|| http_addr.to_string());
        let media = Arc::new(MediaStore::default());
        media.set_host(host);
        let seed = config.seed.map_or_else(getrandom::u64, Ok);
        let dice = Dice::seeded(seed.map_err(MultiDeviceError::Randomness)?);
        let closing = CancellationToken::new();
        let state = State::new(config, dice, Arc::clone(&media));
        let shared = Arc::new(Shared::new(keys, Arc::clone(&media), state, closing.clone()));
        shared.tasks.spawn(listen(Arc::clone(&shared), sockets));
        let routes = media::routes(media).merge(control::routes(Arc::clone(&shared)));
        let stopping = closing.clone().cancelled_owned();
        shared.tasks.spawn(async move {
            // Serving ends only with the server itself.
            let _ended = axum::serve(http, routes).with_graceful_shutdown(stopping).await;
        });
        let guard = Arc::new(closing.drop_guard());
        Ok(Self { shared, socket_addr, http_addr, root_key, _guard: guard })
    }

    /// Where clients connect.
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws/chat", self.socket_addr)
    }

    /// Where media and the control API are served, without a slash at the end. Clients are told the
    /// same host and put `https://` before it; an HTTP client of one's own replaces
    /// `https://host:port` by this.
    pub fn media_url(&self) -> String {
        format!("http://{}", self.http_addr)
    }

    /// Public key at the root of the server's certificates, for clients that can be told to trust it.
    pub fn root_key(&self) -> [u8; 32] {
        self.root_key
    }

    /// Stops listening and drops all connections.
    pub async fn stop(&self) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// The phone of a number, made up if there is none.
    ///
    /// # Errors
    /// [`MultiDeviceError::Invalid`] if that is not a number in digits.
    pub fn phone(&self, number: &str) -> Result<VirtualPhone, MultiDeviceError> {
        let number = self
            .shared
            .change(|state| state.open_account(number).map(|account| account.number.clone()))?;
        Ok(VirtualPhone::new(Arc::clone(&self.shared), number))
    }

    /// Says that a number is not on WhatsApp, unless it has a phone already.
    pub fn set_absent(&self, number: &str) {
        self.shared.change(|state| state.set_absent(number));
    }

    /// Links a new companion to a phone without pairing; see [`MintedSession`].
    ///
    /// # Errors
    /// [`MultiDeviceError::Invalid`] if that is not a number in digits.
    pub fn mint(&self, number: &str) -> Result<MintedSession, MultiDeviceError> {
        let prekeys = self.shared.look(|state| state.config.minted_prekeys);
        self.mint_with(number, prekeys)
    }

    /// The same with a number of one-time pre-keys of one's own.
    ///
    /// # Errors
    /// [`MultiDeviceError::Invalid`] if that is not a number in digits.
    pub fn mint_with(&self, number: &str, prekeys: u32) -> Result<MintedSession, MultiDeviceError> {
        self.shared.change(|state| {
            let number = state.open_account(number)?.number.clone();
            state.mint(&self.shared.keys, &number, prekeys)
        })
    }

    /// Adds a fault and answers its id.
    ///
    /// # Errors
    /// [`MultiDeviceError::Invalid`] if the effect does not fit where it should strike.
    pub fn add_fault(&self, fault: DeviceFault) -> Result<u64, MultiDeviceError> {
        self.shared.change(|state| state.faults.add(fault))
    }

    /// The faults that may still strike.
    pub fn faults(&self) -> Vec<ActiveDeviceFault> {
        self.shared.look(|state| state.faults.list())
    }

    /// Removes all faults. What they did to a connection stays.
    pub fn clear_faults(&self) {
        self.shared.change(|state| state.faults.clear());
    }

    /// The connections of paired clients, by number and device.
    pub fn connections(&self) -> Vec<Connection> {
        self.shared.look(connections)
    }

    /// Waits until a companion is connected and has got what waited for it.
    ///
    /// # Errors
    /// [`MultiDeviceError::TimedOut`].
    pub async fn wait_online(
        &self,
        number: &str,
        device: u16,
        patience: Duration,
    ) -> Result<(), MultiDeviceError> {
        self.wait_for_companion(number, device, "it to be online", patience, |it| it.online)
            .await
            .map(|_| ())
    }

    /// Waits until a companion is as wanted.
    ///
    /// # Errors
    /// [`MultiDeviceError::TimedOut`].
    pub async fn wait_for_companion(
        &self,
        number: &str,
        device: u16,
        what: &str,
        patience: Duration,
        suits: impl Fn(&CompanionState) -> bool,
    ) -> Result<CompanionState, MultiDeviceError> {
        let find = |state: &State| {
            let all = companions(state, number);
            all.into_iter().find(|it| it.device == device && suits(it))
        };
        self.shared.wait_until(&format!("{number}:{device}: {what}"), patience, find).await
    }

    /// Ends or breaks the connections of an account, or of one companion of it; answers how many.
    pub fn end(&self, number: &str, device: Option<u16>, ending: Ending) -> usize {
        let links = self.links(number, device);
        for link in &links {
            end_link(link, ending);
        }
        links.len()
    }

    /// Waits this long (in milliseconds) before each stanza to a companion, or to all of an account;
    /// holds until the connection ends.
    pub fn slow_down(&self, number: &str, device: Option<u16>, ms: u64) {
        for link in self.links(number, device) {
            link.weather.set_delay_ms(ms);
        }
    }

    /// Brings half-open connections back to life.
    pub fn thaw(&self, number: &str, device: Option<u16>) {
        for link in self.links(number, device) {
            link.weather.set_frozen(false);
        }
    }

    fn links(&self, number: &str, device: Option<u16>) -> Vec<Link> {
        self.shared.look(|state| state.links(number, device))
    }

    /// Stanzas and requests that the server did not know, with counts.
    pub fn unhandled(&self) -> Vec<(String, u64)> {
        self.shared.look(|state| state.unhandled.clone().into_iter().collect())
    }

    /// Pushes the server's clock forward and answers its time, in Unix milliseconds.
    pub fn advance_clock(&self, by: Duration) -> u64 {
        self.shared.change(|state| {
            state.clock.advance(by);
            state.clock.now_ms()
        })
    }
}

pub(super) fn connections(state: &State) -> Vec<Connection> {
    let mut found: Vec<Connection> = state
        .logins
        .values()
        .map(|login| Connection {
            number: login.who.number.to_string(),
            device: login.who.device,
            pattern: login.pattern,
        })
        .collect();
    found.sort_by(|left, right| (&left.number, left.device).cmp(&(&right.number, right.device)));
    found
}
