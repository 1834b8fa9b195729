//! What storage does for webhooks.

use async_trait::async_trait;
use kabar_accounts::AccountsWork;
use kabar_core::{
    AccountId, ConversationId, DeliveryId, DeviceId, EndpointId, InstallationScope, JobId, Page,
    PageRequest, Scope, StoreError, Timestamp, Work,
};
use kabar_events::Position;
use kabar_messaging::RoadWork;
use uuid::Uuid;

use crate::delivery::{Attempt, Delivery, DeliveryFilter, DeliveryState, NewDelivery, Resend};
use crate::endpoint::{Backlog, Endpoint, Health};
use crate::kinds::EventPattern;
use crate::secret::SigningSecret;

/// A unit of work with webhooks.
pub trait WebhooksWork: Work {
    /// A tenant's endpoints.
    fn endpoints(&self, scope: Scope) -> Box<dyn EndpointRepo + '_>;

    /// A tenant's deliveries.
    fn deliveries(&self, scope: Scope) -> Box<dyn DeliveryRepo + '_>;

    /// A tenant's resends.
    fn resends(&self, scope: Scope) -> Box<dyn ResendRepo + '_>;

    /// From the event log to deliveries, over the whole installation.
    fn fan_out(&self, scope: InstallationScope) -> Box<dyn FanOutRepo + '_>;

    /// The lanes of all endpoints, for those who deliver.
    fn webhook_lanes(&self, scope: InstallationScope) -> Box<dyn WebhookLaneRepo + '_>;
}

/// What the use cases of this crate need of one unit of work.
pub trait WebhooksUse: WebhooksWork + RoadWork + AccountsWork {}
impl<T: WebhooksWork + RoadWork + AccountsWork + ?Sized> WebhooksUse for T {}

/// A tenant's endpoints. Removed ones are not seen.
#[async_trait]
pub trait EndpointRepo: Send {
    /// Stores an endpoint with its secret.
    async fn insert(
        &mut self,
        endpoint: &Endpoint,
        secret: &SigningSecret,
    ) -> Result<(), StoreError>;

    /// An endpoint.
    async fn get(&mut self, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// An endpoint, kept from others until the unit of work ends.
    async fn lock(&mut self, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// Endpoints, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Endpoint>, StoreError>;

    /// How many there are.
    async fn count(&mut self) -> Result<u64, StoreError>;

    /// Stores settings and state; what waits becomes due at `now` when it is active, and is held
    /// when it is not. `false` if there is no such endpoint.
    async fn update(&mut self, endpoint: &Endpoint, now: Timestamp) -> Result<bool, StoreError>;

    /// Stores how it fares. For endpoints that nobody works on.
    async fn set_health(&mut self, id: EndpointId, health: &Health) -> Result<(), StoreError>;

    /// Removes an endpoint with its secrets; what was delivered goes by and by. `false` if there is
    /// no such endpoint.
    async fn remove(&mut self, id: EndpointId, at: Timestamp) -> Result<bool, StoreError>;

    /// Its secrets, newest first.
    async fn secrets(&mut self, id: EndpointId) -> Result<Vec<SigningSecret>, StoreError>;

    /// Replaces its secret; those before sign until `until` at the latest.
    async fn rotate(
        &mut self,
        id: EndpointId,
        secret: &SigningSecret,
        until: Timestamp,
    ) -> Result<(), StoreError>;

    /// How much waits for it.
    async fn backlog(&mut self, id: EndpointId) -> Result<Backlog, StoreError>;
}

/// A tenant's deliveries.
#[async_trait]
pub trait DeliveryRepo: Send {
    /// A delivery.
    async fn get(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// Its payload, while it is kept.
    async fn payload(&mut self, id: DeliveryId) -> Result<Option<String>, StoreError>;

    /// Deliveries, newest first.
    async fn list(
        &mut self,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, StoreError>;

    /// Attempts of a delivery, newest first.
    async fn attempts(
        &mut self,
        id: DeliveryId,
        page: PageRequest,
    ) -> Result<Page<Attempt>, StoreError>;

    /// The next deliveries of a filter after one, oldest first.
    async fn slice(
        &mut self,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u16,
    ) -> Result<Vec<DeliveryId>, StoreError>;

    /// Makes deliveries due again, at the beginning of their schedule, if what they hold is still
    /// there and their endpoint is; returns how many were.
    async fn requeue(&mut self, ids: &[DeliveryId], now: Timestamp) -> Result<u64, StoreError>;

    /// Takes a delivery back that still waits. `false` if it does not.
    async fn cancel(&mut self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError>;
}

/// A tenant's resends.
#[async_trait]
pub trait ResendRepo: Send {
    /// Stores a resend.
    async fn insert(&mut self, resend: &Resend) -> Result<(), StoreError>;

    /// A resend, kept from others until the unit of work ends.
    async fn lock(&mut self, id: JobId) -> Result<Option<Resend>, StoreError>;

    /// A resend.
    async fn get(&mut self, id: JobId) -> Result<Option<Resend>, StoreError>;

    /// Resends, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Resend>, StoreError>;

    /// Stores state and progress.
    async fn update(&mut self, resend: &Resend) -> Result<bool, StoreError>;
}

/// Somebody who wants events.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its account.
    pub account: AccountId,
    /// What it wants to hear of.
    pub events: Vec<EventPattern>,
    /// Events of these devices only; empty means all.
    pub devices: Vec<DeviceId>,
    /// Whether messages come with what they hold.
    pub content: bool,
    /// Whether chats are kept in order.
    pub ordered: bool,
    /// Since when it is there.
    pub since: Timestamp,
}

/// From the event log to deliveries.
#[async_trait]
pub trait FanOutRepo: Send {
    /// Whether anybody wants events.
    async fn is_wanted(&mut self) -> Result<bool, StoreError>;

    /// How far the log was read.
    async fn position(&mut self) -> Result<Position, StoreError>;

    /// Those of these accounts who want events.
    async fn subscribers(&mut self, accounts: &[AccountId]) -> Result<Vec<Subscriber>, StoreError>;

    /// Notes that the log was read. `false` when somebody else did meanwhile: then the caller must
    /// roll back.
    async fn advance(&mut self, from: Position, to: Position) -> Result<bool, StoreError>;

    /// Stores deliveries to endpoints that still exist, in their order, and makes them due; of a
    /// chat that is kept in order only the first.
    async fn put(&mut self, deliveries: &[NewDelivery], now: Timestamp) -> Result<(), StoreError>;
}

/// A lane in a node's hands: all that is due for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneClaim {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its account.
    pub account: AccountId,
    /// Proves the claim: grows with every claim of the lane.
    pub fence: i64,
}

/// A delivery that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The delivery.
    pub id: DeliveryId,
    /// The chat whose order it keeps.
    pub chat: Option<ConversationId>,
    /// Attempts so far.
    pub attempts: u32,
    /// What is sent; `None` when it is gone.
    pub payload: Option<String>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The chat whose order it keeps.
    pub chat: Option<ConversationId>,
    /// How far the delivery is now.
    pub state: DeliveryState,
    /// When the next attempt is due, while it is pending.
    pub due_at: Timestamp,
    /// The attempt; `None` when there was nothing to send.
    pub attempt: Option<Attempt>,
}

/// The lanes of all endpoints.
#[async_trait]
pub trait WebhookLaneRepo: Send {
    /// Whether a lane can be claimed now.
    async fn any_ready(&mut self, now: Timestamp) -> Result<bool, StoreError>;

    /// Claims lanes that are ready, the longest waiting first.
    async fn claim(
        &mut self,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: u16,
    ) -> Result<Vec<LaneClaim>, StoreError>;

    /// Prolongs claims of a node; returns those that still held.
    async fn renew(
        &mut self,
        owner: Uuid,
        claims: &[LaneClaim],
        until: Timestamp,
    ) -> Result<Vec<LaneClaim>, StoreError>;

    /// The first deliveries that are due.
    async fn due(
        &mut self,
        endpoint: EndpointId,
        now: Timestamp,
        limit: u16,
    ) -> Result<Vec<Due>, StoreError>;

    /// Stores what came of attempts, if their deliveries still wait for it, and how the endpoint
    /// fares, if the claim still holds; the next of each chat becomes due.
    async fn settle(
        &mut self,
        owner: Uuid,
        claim: LaneClaim,
        outcomes: &[Outcome],
        health: &Health,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Gives a lane back; it is ready again when its next delivery is due, but not before `rest`.
    async fn release(
        &mut self,
        owner: Uuid,
        claim: LaneClaim,
        rest: Timestamp,
    ) -> Result<(), StoreError>;

    /// Removes deliveries: delivered before `delivered`, settled otherwise before `others`, made
    /// before `others` and still waiting at an endpoint that is not active, and those of removed
    /// endpoints; at most `limit`. Returns how many.
    async fn prune(
        &mut self,
        delivered: Timestamp,
        others: Timestamp,
        limit: u16,
    ) -> Result<u64, StoreError>;
}
