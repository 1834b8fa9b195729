//! What every store of contacts, conversations, messages, lanes and rules must do.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a contract suite fails by panicking"
)]

mod broadcasts;
mod groups;
mod guard;
mod inbox;
mod lanes;
mod messages;
mod people;
mod rules;
mod webhooks;

use std::sync::Arc;

use kabar_accounts::AccountsWork;
use kabar_automation::AutomationUse;
use kabar_channel::{Content, IncomingContent};
use kabar_core::permission::ReadMessages;
use kabar_core::{
    AccountId, Clock as _, ContactId, ConversationId, DeviceId, IdSource, Principal, Scope, Store,
    Timestamp,
};
use kabar_devices::DevicesUse;
use kabar_messaging::message::Lane;
use kabar_messaging::{Body, Direction, Message, Origin, Purpose, Status};
use kabar_webhooks::WebhooksUse;

use crate::accounts::provider;
use crate::devices::Fleet;

/// A unit of work of the suite.
type Unit = Box<dyn AutomationUse>;

/// A store of both roads, with two tenants.
#[derive(Clone)]
pub struct Road {
    /// Accounts and devices on the same store.
    pub fleet: Fleet,
    /// The store.
    pub store: Arc<dyn Store<dyn AutomationUse>>,
    /// A tenant.
    pub account: AccountId,
    /// Its device.
    pub device: DeviceId,
    /// Its second device.
    pub second: DeviceId,
    /// Another tenant.
    pub other: AccountId,
}

impl std::fmt::Debug for Road {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Road").finish_non_exhaustive()
    }
}

impl Road {
    /// Two tenants, and two devices of the first, on an empty store.
    ///
    /// # Panics
    /// When the store refuses them.
    pub async fn new(
        accounts: Arc<dyn Store<dyn AccountsWork>>,
        devices: Arc<dyn Store<dyn DevicesUse>>,
        store: Arc<dyn Store<dyn AutomationUse>>,
    ) -> Self {
        let fleet = Fleet::new(accounts, devices);
        let account = fleet.tenancy.account("Road").await;
        let other = fleet.tenancy.account("Other road").await;
        let device = fleet.device(account, "7001").await.device.id;
        let second = fleet.device(account, "7002").await.device.id;
        Self { fleet, store, account, device, second, other }
    }

    /// A unit of work.
    ///
    /// # Panics
    /// When the store opens none.
    pub async fn begin(&self) -> Unit {
        self.store.begin().await.expect("a unit of work")
    }

    /// The tenant's scope.
    pub fn scope(&self) -> Scope {
        provider().within(self.account)
    }

    /// The scope of the second device's token.
    ///
    /// # Panics
    /// Never: a device may read its messages.
    pub fn token_scope(&self) -> Scope {
        let device = Principal::device(self.account, self.second);
        let grant = device.grant::<ReadMessages>(None);
        grant.expect("a device may read").scope()
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.fleet.tenancy.clock.now()
    }

    /// A new id.
    pub fn id<T: From<uuid::Uuid>>(&self) -> T {
        T::from(self.fleet.tenancy.ids.next())
    }

    /// A message that waits in its lane.
    pub fn waiting(&self, lane: Lane) -> Message {
        let now = self.now();
        Message {
            id: self.id(),
            account: self.account,
            device: lane.device,
            conversation: self.id::<ConversationId>(),
            contact: lane.contact,
            direction: Direction::Out,
            status: Status::Pending,
            stage: None,
            queued: true,
            body: Body::Out(Content::text("halo")),
            purpose: Purpose::Service,
            origin: Origin::Api,
            origin_ref: None,
            reference: None,
            own_number: None,
            recipient: None,
            asked_for: None,
            network_id: None,
            wire_id: None,
            dedupe_key: None,
            author: None,
            reply_to_id: None,
            reply_to: None,
            target_id: None,
            retry_of: None,
            choices: Vec::new(),
            downgraded_from: None,
            prepared: None,
            reason: None,
            held_until: None,
            attempts: 0,
            due_at: now,
            next_at: now,
            expires_at: None,
            media: None,
            forwarded: false,
            referral: None,
            pricing: None,
            sender_at: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            played_at: None,
            failed_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// A message that came in.
    pub fn incoming(&self, lane: Lane, wire_id: &str) -> Message {
        let body = "halo".to_owned();
        Message {
            direction: Direction::In,
            status: Status::Delivered,
            queued: false,
            body: Body::In(IncomingContent::Text { body }),
            origin: Origin::Contact,
            wire_id: Some(wire_id.to_owned()),
            dedupe_key: Some(wire_id.to_owned()),
            ..self.waiting(lane)
        }
    }

    /// A lane of a new contact on the first device.
    pub fn lane(&self) -> Lane {
        Lane { device: self.device, contact: self.id::<ContactId>() }
    }
}

/// Runs the suite on an empty store; all three are the same database.
///
/// # Panics
/// Where the store breaks its word.
pub async fn road_contract(
    accounts: Arc<dyn Store<dyn AccountsWork>>,
    devices: Arc<dyn Store<dyn DevicesUse>>,
    store: Arc<dyn Store<dyn AutomationUse>>,
) {
    let road = Road::new(accounts, devices, store).await;
    people::contract(&road).await;
    groups::contract(&road).await;
    messages::contract(&road).await;
    lanes::contract(&road).await;
    inbox::contract(&road).await;
    rules::contract(&road).await;
    broadcasts::contract(&road).await;
    guard::contract(&road).await;
}

/// A store of webhooks, on the same database as a [`Road`].
pub struct Hooks(Arc<dyn Store<dyn WebhooksUse>>);

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

impl Hooks {
    async fn begin(&self) -> Box<dyn WebhooksUse> {
        self.0.begin().await.expect("a unit of work")
    }
}

/// Runs the suite of webhooks on an empty store; all four are the same database.
///
/// # Panics
/// Where the store breaks its word.
pub async fn webhooks_contract(
    accounts: Arc<dyn Store<dyn AccountsWork>>,
    devices: Arc<dyn Store<dyn DevicesUse>>,
    store: Arc<dyn Store<dyn AutomationUse>>,
    hooks: Arc<dyn Store<dyn WebhooksUse>>,
) {
    let road = Road::new(accounts, devices, store).await;
    webhooks::contract(&road, &Hooks(hooks)).await;
}
