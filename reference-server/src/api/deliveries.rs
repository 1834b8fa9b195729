//! What went to webhook endpoints, and sending it again.

use kabar::Platform;
use kabar::core::permission::{ReadWebhooks, WriteWebhooks};
use kabar::core::{Cursor, DeliveryId, EndpointId, JobId, Timestamp};
use kabar::events::Position;
use kabar::webhooks::{
    Attempt, Delivery, DeliveryFilter, DeliveryState, EventPattern, Resend, ResendState,
};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Accepted, Answer, Listed, page};
use super::body::JsonBody;
use super::words::{AnyJson, Word};
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// A delivery: one event on its way to one endpoint.
#[derive(Debug, Object)]
#[oai(rename = "Delivery")]
pub struct DeliveryView {
    /// Its id, which is the `webhook-id` of every attempt.
    pub id: Word<DeliveryId>,
    /// Where it goes.
    pub endpoint_id: Word<EndpointId>,
    /// The event's kind.
    pub kind: String,
    /// The event's position in the log; null for a test.
    pub event: Option<Word<Position>>,
    /// How far it got.
    pub state: Word<DeliveryState>,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next is due; null when there is none, or it waits behind another of its chat.
    pub due_at: Option<Timestamp>,
    /// The status that the last attempt was answered with.
    pub last_status: Option<u16>,
    /// A word for why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was delivered, failed for good, or was cancelled.
    pub settled_at: Option<Timestamp>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: Word(delivery.id),
            endpoint_id: Word(delivery.endpoint),
            kind: delivery.kind,
            event: delivery.event.map(Word),
            state: Word(delivery.state),
            attempts: delivery.attempts,
            due_at: delivery.due_at,
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            created_at: delivery.created_at,
            settled_at: delivery.settled_at,
        }
    }
}

/// A delivery with what is sent.
#[derive(Debug, Object)]
#[oai(rename = "DeliveryWithPayload")]
pub struct WholeDeliveryView {
    /// The delivery.
    pub delivery: DeliveryView,
    /// What is sent; null when it is no longer kept.
    pub payload: Option<AnyJson>,
}

/// One attempt.
#[derive(Debug, Object)]
#[oai(rename = "DeliveryAttempt")]
pub struct AttemptView {
    /// When it was begun.
    pub at: Timestamp,
    /// Milliseconds until the answer, or until it was given up.
    pub duration_ms: u64,
    /// The status of the answer.
    pub status: Option<u16>,
    /// A word for why it failed; null when it did not.
    pub error: Option<String>,
    /// The beginning of the answer's body, when it failed.
    pub response: Option<String>,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: attempt.at,
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            error: attempt.error,
            response: attempt.response,
        }
    }
}

/// Deliveries to send again: all that fit every field.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewResend")]
#[serde(deny_unknown_fields)]
pub struct NewResendBody {
    /// To this endpoint.
    pub endpoint_id: Option<Word<EndpointId>>,
    /// In this state; `failed` when absent.
    pub state: Option<Word<DeliveryState>>,
    /// Of this kind.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub kind: Option<String>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Made before this time; now when absent.
    pub until: Option<Timestamp>,
}

/// A resend: many deliveries, sent again by a job.
#[derive(Debug, Object)]
#[oai(rename = "Resend")]
pub struct ResendView {
    /// Its id.
    pub id: Word<JobId>,
    /// To this endpoint.
    pub endpoint_id: Option<Word<EndpointId>>,
    /// Those in this state.
    pub of_state: Option<Word<DeliveryState>>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Made before this time.
    pub until: Option<Timestamp>,
    /// How far it got.
    pub state: Word<ResendState>,
    /// Deliveries looked at so far.
    pub looked_at: u64,
    /// Deliveries that are under way again.
    pub resent: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it went on last.
    pub updated_at: Timestamp,
}

impl From<Resend> for ResendView {
    fn from(resend: Resend) -> Self {
        Self {
            id: Word(resend.id),
            endpoint_id: resend.filter.endpoint.map(Word),
            of_state: resend.filter.state.map(Word),
            kind: resend.filter.kind,
            since: resend.filter.since,
            until: resend.filter.until,
            state: Word(resend.state),
            looked_at: resend.looked_at,
            resent: resend.resent,
            created_at: resend.created_at,
            updated_at: resend.updated_at,
        }
    }
}

/// A kind of event that exists.
fn known(kind: Option<String>) -> Result<Option<String>, Problem> {
    let Some(kind) = kind else { return Ok(None) };
    match kind.parse::<EventPattern>() {
        Ok(_) if !kind.ends_with('*') => Ok(Some(kind)),
        _ => Err(Problem::invalid("kind", "is no kind of event, like message.received")),
    }
}

/// The operations.
pub struct DeliveriesApi(pub Platform);

#[OpenApi(tag = "Area::Webhooks")]
impl DeliveriesApi {
    /// List deliveries
    ///
    /// With `state=failed` the failed list. Needs `webhooks:read`.
    #[oai(path = "/deliveries", method = "get", operation_id = "listDeliveries")]
    #[expect(clippy::too_many_arguments, reason = "one argument a parameter")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadWebhooks>>,
        /// To this endpoint.
        endpoint: Query<Option<Word<EndpointId>>>,
        /// In this state.
        state: Query<Option<Word<DeliveryState>>>,
        /// Of this kind.
        #[oai(validator(min_length = 1, max_length = 100, pattern = "^[^\\x00]+$"))]
        kind: Query<Option<String>>,
        /// Made at this time or later.
        since: Query<Option<Timestamp>>,
        /// Made before this time.
        until: Query<Option<Timestamp>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<DeliveryView>> {
        let filter = DeliveryFilter {
            endpoint: endpoint.0.map(|word| word.0),
            state: state.0.map(|word| word.0),
            kind: known(kind.0)?,
            since: since.0,
            until: until.0,
        };
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.deliveries().list(&may.grant, &filter, page).await?))
    }

    /// Get a delivery
    ///
    /// With what is sent, while that is kept. Needs `webhooks:read`.
    #[oai(path = "/deliveries/:id", method = "get", operation_id = "getDelivery")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadWebhooks>>,
        id: Path<Word<DeliveryId>>,
    ) -> Answer<WholeDeliveryView> {
        let (delivery, payload) = self.0.deliveries().get(&may.grant, id.0.0).await?;
        let payload = payload.and_then(|text| serde_json::from_str(&text).ok());
        Ok(Json(WholeDeliveryView { delivery: delivery.into(), payload: payload.map(AnyJson) }))
    }

    /// List the attempts of a delivery
    ///
    /// Needs `webhooks:read`.
    #[oai(path = "/deliveries/:id/attempts", method = "get", operation_id = "listDeliveryAttempts")]
    async fn attempts(
        &self,
        Auth(may): Auth<InAccount<ReadWebhooks>>,
        id: Path<Word<DeliveryId>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<AttemptView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.deliveries().attempts(&may.grant, id.0.0, page).await?))
    }

    /// Send a delivery again
    ///
    /// Now, under the same `webhook-id`, from the beginning of its schedule. 409 when what it held is
    /// no longer kept. Needs `webhooks:write`.
    #[oai(path = "/deliveries/:id/retry", method = "post", operation_id = "retryDelivery")]
    async fn retry(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        id: Path<Word<DeliveryId>>,
    ) -> Answer<DeliveryView> {
        let delivery = self.0.deliveries().retry(&may.grant, id.0.0).await?;
        Ok(Json(delivery.into()))
    }

    /// Cancel a delivery
    ///
    /// 409 unless it waits. Needs `webhooks:write`.
    #[oai(path = "/deliveries/:id/cancel", method = "post", operation_id = "cancelDelivery")]
    async fn cancel(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        id: Path<Word<DeliveryId>>,
    ) -> Answer<DeliveryView> {
        let delivery = self.0.deliveries().cancel(&may.grant, id.0.0).await?;
        Ok(Json(delivery.into()))
    }

    /// List resends
    ///
    /// Needs `webhooks:read`.
    #[oai(path = "/resends", method = "get", operation_id = "listResends")]
    async fn list_resends(
        &self,
        Auth(may): Auth<InAccount<ReadWebhooks>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<ResendView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.deliveries().list_resends(&may.grant, page).await?))
    }

    /// Send many deliveries again
    ///
    /// As a job: all that fit the body, the failed ones when it names no state. Follow it by
    /// `GET /resends/{id}`. Needs `webhooks:write`.
    #[oai(path = "/resends", method = "post", operation_id = "createResend")]
    async fn resend(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewResendBody>,
    ) -> Result<Accepted<ResendView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createResend", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let filter = DeliveryFilter {
            endpoint: body.value.endpoint_id.map(|word| word.0),
            state: body.value.state.map(|word| word.0),
            kind: known(body.value.kind)?,
            since: body.value.since,
            until: body.value.until,
        };
        let resend = self.0.deliveries().resend(&may.grant, filter, once.as_ref()).await?;
        Ok(Accepted::new(resend.into(), replayed))
    }

    /// Get a resend
    ///
    /// Needs `webhooks:read`.
    #[oai(path = "/resends/:id", method = "get", operation_id = "getResend")]
    async fn get_resend(
        &self,
        Auth(may): Auth<InAccount<ReadWebhooks>>,
        id: Path<Word<JobId>>,
    ) -> Answer<ResendView> {
        let resend = self.0.deliveries().get_resend(&may.grant, id.0.0).await?;
        Ok(Json(resend.into()))
    }

    /// Stop a resend
    ///
    /// What it resent so far is under way. 409 when it has ended. Needs `webhooks:write`.
    #[oai(path = "/resends/:id/cancel", method = "post", operation_id = "cancelResend")]
    async fn cancel_resend(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        id: Path<Word<JobId>>,
    ) -> Answer<ResendView> {
        let resend = self.0.deliveries().cancel_resend(&may.grant, id.0.0).await?;
        Ok(Json(resend.into()))
    }
}
