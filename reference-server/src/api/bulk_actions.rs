//! Something that is done to many messages at once.

use kabar::Platform;
use kabar::core::permission::{ReadMessages, SendMessages};
use kabar::core::{BroadcastId, ContactId, Cursor, DeviceId, JobId, Timestamp};
use kabar::messaging::bulk::{Bulk, BulkAction, BulkFilter, BulkState};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Accepted, Answer, Listed, page};
use super::body::JsonBody;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// To which messages something is done; all that is given must fit.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename = "BulkFilter", default)]
#[serde(deny_unknown_fields, default)]
pub struct FilterBody {
    /// Over this device.
    pub device_id: Option<Word<DeviceId>>,
    /// With this contact.
    pub contact_id: Option<Word<ContactId>>,
    /// Of this broadcast.
    pub broadcast_id: Option<Word<BroadcastId>>,
    /// With this reference.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub reference: Option<String>,
    /// That failed for this reason, a code; for `retry`.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub reason: Option<String>,
}

impl From<BulkFilter> for FilterBody {
    fn from(filter: BulkFilter) -> Self {
        Self {
            device_id: filter.device.map(Word),
            contact_id: filter.contact.map(Word),
            broadcast_id: filter.broadcast.map(Word),
            reference: filter.reference,
            reason: filter.reason,
        }
    }
}

impl From<FilterBody> for BulkFilter {
    fn from(body: FilterBody) -> Self {
        Self {
            device: body.device_id.map(|id| id.0),
            contact: body.contact_id.map(|id| id.0),
            broadcast: body.broadcast_id.map(|id| id.0),
            reference: body.reference,
            reason: body.reason,
        }
    }
}

/// What is to be done to many messages.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewBulkAction")]
#[serde(deny_unknown_fields)]
pub struct NewBulkBody {
    /// What: `cancel` those that wait, or `retry` those that failed or expired.
    pub action: Word<BulkAction>,
    /// To which messages.
    #[oai(default)]
    #[serde(default)]
    pub filter: FilterBody,
    /// An empty filter means every message.
    #[oai(default)]
    #[serde(default)]
    pub all: bool,
}

/// Something that is done to many messages.
#[derive(Debug, Object)]
#[oai(rename = "BulkAction")]
pub struct BulkView {
    /// Its id.
    pub id: Word<JobId>,
    /// What is done.
    pub action: Word<BulkAction>,
    /// To which messages.
    pub filter: FilterBody,
    /// How far it is.
    pub state: Word<BulkState>,
    /// Messages that fitted when it was asked for.
    pub total: u64,
    /// Messages that it was done to.
    pub done: u64,
    /// Messages that could not be changed any more, or cannot be sent again.
    pub skipped: u64,
    /// When it was asked for; newer messages are left alone.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl From<Bulk> for BulkView {
    fn from(bulk: Bulk) -> Self {
        Self {
            id: Word(bulk.id),
            action: Word(bulk.action),
            filter: bulk.filter.into(),
            state: Word(bulk.state),
            total: bulk.total,
            done: bulk.done,
            skipped: bulk.skipped,
            created_at: bulk.created_at,
            updated_at: bulk.updated_at,
        }
    }
}

/// The operations.
pub struct BulkActionsApi(pub Platform);

#[OpenApi(tag = "Area::Messages")]
impl BulkActionsApi {
    /// Do something to many messages
    ///
    /// In the background; ask for its progress. Needs `messages:send`.
    #[oai(path = "/bulk-actions", method = "post", operation_id = "createBulkAction")]
    async fn create(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewBulkBody>,
    ) -> Result<Accepted<BulkView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createBulkAction", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let NewBulkBody { action, filter, all } = body.value;
        let bulks = self.0.bulks();
        let bulk = bulks.create(&may.grant, action.0, filter.into(), all, once.as_ref()).await?;
        Ok(Accepted::new(bulk.into(), replayed))
    }

    /// List what is done to many messages
    ///
    /// Needs `messages:read`.
    #[oai(path = "/bulk-actions", method = "get", operation_id = "listBulkActions")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<BulkView>> {
        Ok(Listed::of(self.0.bulks().list(&may.grant, page(limit.0, after.0)).await?))
    }

    /// Get a bulk action
    ///
    /// With its progress. Needs `messages:read`.
    #[oai(path = "/bulk-actions/:id", method = "get", operation_id = "getBulkAction")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<JobId>>,
    ) -> Answer<BulkView> {
        Ok(Json(self.0.bulks().get(&may.grant, id.0.0).await?.into()))
    }

    /// Stop a bulk action
    ///
    /// What was done stays done. Needs `messages:send`.
    #[oai(path = "/bulk-actions/:id/stop", method = "post", operation_id = "stopBulkAction")]
    async fn stop(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        id: Path<Word<JobId>>,
    ) -> Answer<BulkView> {
        Ok(Json(self.0.bulks().stop(&may.grant, id.0.0).await?.into()))
    }
}
