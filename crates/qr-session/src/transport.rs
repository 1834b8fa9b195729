//! The connections of a session: dialled through the gate, at the session's pace.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use wacore::net::{Transport, TransportEvent, TransportFactory};
use wacore::stats::TransportResourceReport;
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust::{Client, anyhow};

use crate::gate::Gate;
use crate::line::Line;
use crate::pace::Pace;
use crate::route::{Route, RouteError};
use crate::session::Shared;
use crate::session::listener::{Health, Listener};
use crate::session::wanted::Wishes;

/// The longest wait in here: the engine gives up a connection that is not made within 20 s, and asks
/// again after a wait of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// Frames below carry no message: what acknowledges has some 100 bytes, the shortest text 250.
const SMALL: usize = 200;
/// Between the two tries to write ratchets down: what is being decrypted has its ratchet in hand for as
/// long as the computing takes.
const IN_HAND: Duration = Duration::from_millis(2);
/// How long a message waits for its ratchets.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);

/// The engine of a session, once there is one.
pub(crate) type Engine = Arc<OnceLock<Weak<Client>>>;

/// Dials WhatsApp, or what stands in for it, for one session.
pub(crate) struct Dial {
    gate: Arc<Gate>,
    line: Line,
    route: Route,
    listener: Listener,
    engine: Engine,
    pace: Mutex<Pace>,
}

impl Dial {
    pub(crate) fn new(shared: &Shared, route: Route, listener: Listener, engine: Engine) -> Self {
        Self {
            gate: Arc::clone(&shared.gate),
            line: shared.line.clone(),
            route,
            listener,
            engine,
            pace: Mutex::default(),
        }
    }

    /// Waits until this session may connect again.
    async fn pause(&self) -> anyhow::Result<()> {
        let now = Instant::now();
        let due = self.pace().over(now);
        tokio::time::sleep_until(due.min(now + PATIENCE)).await;
        anyhow::ensure!(due <= now + PATIENCE, "its connections ended too soon lately");
        Ok(())
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TransportFactory for Dial {
    /// WhatsApp throws out whoever is connected when the same session connects again. A process that
    /// was frozen finds its connections dead and dials before it knows that others run its sessions by
    /// now; so whose the session is is looked up first, every time.
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        self.listener.dials();
        self.pause().await?;
        let Some(passage) = self.gate.pass().await else {
            anyhow::bail!("no more connections are made");
        };
        let proxy = match self.route.proxy().await {
            Err(RouteError::Proxy(error)) => {
                self.listener.waits(&format!("its proxy {error}"));
                Err(RouteError::Proxy(error))
            }
            known => known,
        }?;
        self.pace().begun(Instant::now());
        let proxied = proxy.is_some();
        let made = self.line.dial(proxy).await;
        passage.ended(made.is_ok());
        if made.is_err() && proxied {
            self.listener.waits("WhatsApp cannot be reached through its proxy");
        }
        let (line, events) = made?;
        self.listener.opened();
        let (wishes, health) = (self.listener.wishes.clone(), Arc::clone(&self.listener.health));
        Ok((Arc::new(Way { line, wishes, health, engine: Arc::clone(&self.engine) }), events))
    }
}

/// The way out. Nothing leaves before what others want again is written down, since what leaves may
/// acknowledge that they want it; and no message before the ratchets that it moved on: a process that
/// dies in between would go on from older ones, which its reader has left behind.
struct Way {
    line: Arc<dyn Transport>,
    wishes: Wishes,
    health: Arc<Health>,
    engine: Engine,
}

impl Way {
    /// Has the engine write its ratchets down. It does so itself before it sends, but leaves out what
    /// is being decrypted at that moment; so it is asked twice. While it takes in what waited for it,
    /// nothing is decrypted beside a write.
    async fn ratchets_written(&self) {
        let engine = self.engine.get().and_then(Weak::upgrade);
        let Some(engine) = engine.filter(|_| self.health.connected.load(Ordering::Acquire)) else {
            return;
        };
        // A task of its own: a write that was begun is never broken off.
        let twice = tokio::spawn(async move {
            engine.flush_pending_signal_state().await?;
            tokio::time::sleep_until(Instant::now() + IN_HAND).await;
            engine.flush_pending_signal_state().await
        });
        if !matches!(tokio::time::timeout(WRITTEN_WITHIN, twice).await, Ok(Ok(Ok(())))) {
            tracing::debug!("session.ratchets");
        }
    }
}

#[async_trait]
impl Transport for Way {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        self.wishes.written().await?;
        if data.len() >= SMALL {
            self.ratchets_written().await;
        }
        self.line.send(data).await
    }

    async fn disconnect(&self) {
        self.line.disconnect().await;
    }

    fn resource_report(&self) -> Option<TransportResourceReport> {
        self.line.resource_report()
    }
}
