//! The handle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::accounts::{Account, NewAccount, NewNumber, Number};
use crate::config::{DEFAULT_APP_ID, SandboxConfig, Settings};
use crate::customers::{Customer, CustomerPatch};
use crate::error::SandboxError;
use crate::faults::{ActiveFault, Fault};
use crate::inbound::{Inbound, InboundReceipt};
use crate::messages::{MessageFilter, ReadMark, SentMessage, Tally, TallyBy};
use crate::overview::{Overview, ResetScope};
use crate::server::serve;
use crate::webhooks::courier::Courier;
use crate::webhooks::handshake::save_webhook;
use crate::webhooks::{Handshake, RawWebhook, WebhookConfig, WebhookCounts, WebhookRecord};
use crate::world::World;

/// A running sandbox. Clones share it; it stops with [`Sandbox::stop`] or when the last clone is
/// dropped.
#[derive(Clone)]
pub struct Sandbox {
    world: Arc<World>,
    addr: SocketAddr,
    _guard: Arc<DropGuard>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Listens and starts posting webhooks. Must run inside a Tokio runtime.
    ///
    /// # Errors
    /// [`SandboxError::Bind`] if the address is not free, [`SandboxError::Invalid`] if the webhook
    /// address is none.
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let addr = config.bind;
        let bind = |source| SandboxError::Bind { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let closing = CancellationToken::new();
        let courier =
            Courier::new(config.webhook_workers, config.max_webhook_log, closing.clone())?;
        let world = World::new(config, base_url(addr), courier, closing.clone())?;
        let world = Arc::new(world);
        world.courier.start(&world);
        world.courier.tasks.spawn(serve(Arc::clone(&world), listener));
        Ok(Self { world, addr, _guard: Arc::new(closing.drop_guard()) })
    }

    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Base address of the Graph API and of the control API, without a slash at the end. A sandbox
    /// bound to every interface names the loopback address.
    pub fn base_url(&self) -> &str {
        &self.world.base_url
    }

    /// Stops listening, ends open requests within a second and drops webhooks still on their way.
    pub async fn stop(&self) {
        self.world.closing.cancel();
        self.world.courier.tasks.close();
        self.world.courier.tasks.wait().await;
    }

    /// Counts, accounts and settings.
    pub fn overview(&self) -> Overview {
        self.world.overview()
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        Settings::clone(&self.world.settings())
    }

    /// Replaces the settings.
    pub fn set_settings(&self, settings: Settings) {
        self.world.set_settings(settings);
    }

    /// Changes some settings.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings();
        change(&mut settings);
        self.world.set_settings(settings);
    }

    /// All accounts with numbers and valid tokens.
    pub fn accounts(&self) -> Vec<Account> {
        self.world.directory().accounts()
    }

    /// Creates an account with app, number, token and the seeded templates.
    ///
    /// # Errors
    /// [`SandboxError::Exists`] if a given id or token is taken.
    pub fn add_account(&self, new: NewAccount) -> Result<Account, SandboxError> {
        let now_ms = self.world.clock.now_ms();
        self.world.directory().add_account(new, &self.world.dice, now_ms)
    }

    /// Adds a number to an account.
    ///
    /// # Errors
    /// [`SandboxError::NotFound`] or [`SandboxError::Exists`].
    pub fn add_number(&self, waba_id: &str, new: NewNumber) -> Result<Number, SandboxError> {
        self.world.directory().add_number(waba_id, new, &self.world.dice)
    }

    /// Adds a token to an account, or revives an expired one; none = an invented token.
    ///
    /// # Errors
    /// [`SandboxError::NotFound`].
    pub fn add_token(&self, waba_id: &str, token: Option<String>) -> Result<String, SandboxError> {
        let now_ms = self.world.clock.now_ms();
        self.world.directory().add_token(waba_id, token, &self.world.dice, now_ms)
    }

    /// Expires a token: from now on 190 with subcode 463.
    ///
    /// # Errors
    /// [`SandboxError::NotFound`].
    pub fn expire_token(&self, token: &str) -> Result<(), SandboxError> {
        self.world.directory().expire_token(token)
    }

    /// Adds a template in Meta's shape, replacing one of the same name and language; approved
    /// unless its `status` says otherwise. Answers its id.
    ///
    /// # Errors
    /// [`SandboxError::NotFound`] for the account, [`SandboxError::Invalid`] without a name.
    pub fn add_template(&self, waba_id: &str, template: &Value) -> Result<String, SandboxError> {
        self.world.add_template(waba_id, template).map(|template| template.id)
    }

    /// Sets where an app's webhooks go, after the handshake. A callback that fails the handshake
    /// is not saved.
    ///
    /// # Errors
    /// [`SandboxError::Invalid`] if the address is none.
    pub async fn set_webhook(&self, config: WebhookConfig) -> Result<Handshake, SandboxError> {
        save_webhook(&self.world, config).await
    }

    /// Takes the seeded app's callback away.
    pub fn clear_webhook(&self) {
        self.world.directory().clear_callback(DEFAULT_APP_ID);
    }

    /// Everyone the sandbox has met.
    pub fn customers(&self) -> Vec<Customer> {
        self.world.people().all()
    }

    /// Meets or changes a customer.
    ///
    /// # Errors
    /// [`SandboxError::NotFound`] if it is neither a number nor a known BSUID.
    pub fn put_customer(
        &self,
        number: &str,
        patch: CustomerPatch,
    ) -> Result<Customer, SandboxError> {
        self.world.put_customer(number, patch)
    }

    /// A customer writes. The webhook is queued when this returns.
    ///
    /// # Errors
    /// [`SandboxError::NotFound`] for the number or the customer, [`SandboxError::Invalid`] for a
    /// raw message that is no object.
    pub fn customer_says(&self, inbound: Inbound) -> Result<InboundReceipt, SandboxError> {
        self.world.customer_says(inbound)
    }

    /// The recipient of a message reads it.
    ///
    /// # Errors
    /// [`SandboxError::NotFound`].
    pub fn customer_reads(&self, wamid: &str) -> Result<(), SandboxError> {
        self.world.customer_reads(wamid)
    }

    /// Posts a body as it is, signed; answers how many posts were queued.
    ///
    /// # Errors
    /// [`SandboxError::Invalid`] without a body, [`SandboxError::NotFound`] for the app.
    pub fn post_webhook(&self, raw: RawWebhook) -> Result<u32, SandboxError> {
        self.world.post_raw(raw)
    }

    /// Stores a file as if the business had uploaded it; answers the media id.
    ///
    /// # Errors
    /// [`SandboxError::NotFound`] for the number.
    pub fn store_media(
        &self,
        phone_number_id: &str,
        mime_type: &str,
        data: impl Into<Bytes>,
    ) -> Result<String, SandboxError> {
        self.world.store_media(phone_number_id, mime_type, data.into())
    }

    /// Adds a fault; answers its id.
    ///
    /// # Errors
    /// [`SandboxError::Invalid`] if the effect cannot strike there.
    pub fn add_fault(&self, fault: Fault) -> Result<u64, SandboxError> {
        self.world.faults().add(fault)
    }

    /// Faults that may still strike.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.world.faults().list()
    }

    /// Drops all faults.
    pub fn clear_faults(&self) {
        self.world.faults().clear();
    }

    /// Accepted messages, oldest first.
    pub fn messages(&self, filter: &MessageFilter) -> Vec<SentMessage> {
        self.world.list_messages(filter)
    }

    /// One accepted message.
    pub fn message(&self, wamid: &str) -> Option<SentMessage> {
        self.world.messages().get(wamid)
    }

    /// How often each recipient or reference occurs.
    pub fn tally(&self, by: TallyBy) -> Tally {
        self.world.messages().tally(by)
    }

    /// Customers' messages that the business marked as read.
    pub fn read_marks(&self) -> Vec<ReadMark> {
        self.world.messages().read_marks()
    }

    /// The last webhook posts, oldest first.
    pub fn webhooks(&self, limit: usize) -> Vec<WebhookRecord> {
        self.world.courier.newest(limit)
    }

    /// Webhook counts; `pending` is 0 when all is quiet.
    pub fn pending(&self) -> WebhookCounts {
        self.world.courier.counts()
    }

    /// Waits until no webhook is on its way and no customer is about to answer.
    ///
    /// # Errors
    /// [`SandboxError::Busy`] when the patience runs out.
    pub async fn quiesce(&self, patience: Duration) -> Result<WebhookCounts, SandboxError> {
        self.world.courier.quiesce(patience).await
    }

    /// Sandbox time, milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.world.clock.now_ms()
    }

    /// Pushes the sandbox's clock forward, so that windows close and addresses expire.
    pub fn advance_clock(&self, by: Duration) {
        self.world.advance_clock(by);
    }

    /// Clears traffic, or everything.
    ///
    /// # Errors
    /// [`SandboxError::Invalid`] if the configured webhook address is none.
    pub fn reset(&self, scope: ResetScope) -> Result<(), SandboxError> {
        self.world.reset(scope)
    }
}

fn base_url(addr: SocketAddr) -> String {
    let mut reachable = addr;
    if addr.ip().is_unspecified() {
        reachable.set_ip(match addr {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{reachable}")
}
