//! Broadcasts: one content to many recipients.

pub mod body;
pub mod view;

use kabar::Platform;
use kabar::core::permission::{ReadBroadcasts, WriteBroadcasts};
use kabar::core::{BroadcastId, Cursor, Grant};
use kabar::messaging::broadcast::{
    BroadcastFilter, BroadcastState, NewBroadcast, RecipientFilter, RecipientState, Start,
};
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use self::body::{
    AddRecipientsBody, BroadcastPatchBody, NewBroadcastBody, ScheduleBody, StartBody, WhenWord,
    recipients,
};
use self::view::{BroadcastView, PreflightView, RecipientView, SampleView, SamplesView};
use super::Area;
use super::answer::{Answer, Created, Listed, NoContent, page};
use super::body::JsonBody;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// The operations.
pub struct BroadcastsApi(pub Platform);

impl BroadcastsApi {
    async fn start_of(
        &self,
        grant: &Grant<WriteBroadcasts>,
        body: StartBody,
    ) -> Result<Start, Problem> {
        let local = match body.when {
            WhenWord::Draft => return Ok(Start::No),
            WhenWord::Prepare => return Ok(Start::Prepare),
            WhenWord::Now => return Ok(Start::Now),
            WhenWord::At => body.local_time.unwrap_or_default(),
        };
        let broadcasts = self.0.broadcasts();
        Ok(Start::At(broadcasts.local_time(grant, &local, body.time_zone.as_deref()).await?))
    }
}

#[OpenApi(tag = "Area::Broadcasts")]
impl BroadcastsApi {
    /// List broadcasts
    ///
    /// Needs `broadcasts:read`.
    #[oai(path = "/broadcasts", method = "get", operation_id = "listBroadcasts")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadBroadcasts>>,
        /// In this state.
        state: Query<Option<Word<BroadcastState>>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<BroadcastView>> {
        let filter = BroadcastFilter { state: state.0.map(|word| word.0) };
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.broadcasts().list(&may.grant, filter, page).await?))
    }

    /// Create a broadcast
    ///
    /// It stays a draft unless `start` says otherwise. Needs `broadcasts:write`.
    #[oai(path = "/broadcasts", method = "post", operation_id = "createBroadcast")]
    async fn create(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewBroadcastBody>,
    ) -> Result<Created<BroadcastView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createBroadcast", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let (name, plan, recipients, start) = body.value.parts()?;
        let start = self.start_of(&may.grant, start).await?;
        let new = NewBroadcast { name, plan, recipients, start };
        let made = self.0.broadcasts().create(&may.grant, new, once.as_ref()).await?;
        Ok(Created::new(made.into(), replayed))
    }

    /// Get a broadcast
    ///
    /// With its progress. Needs `broadcasts:read`.
    #[oai(path = "/broadcasts/:id", method = "get", operation_id = "getBroadcast")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadBroadcasts>>,
        id: Path<Word<BroadcastId>>,
    ) -> Answer<BroadcastView> {
        Ok(Json(self.0.broadcasts().get(&may.grant, id.0.0).await?.into()))
    }

    /// Change a broadcast
    ///
    /// Only before it starts; it becomes a draft again, and its audience is gathered and checked
    /// anew. Needs `broadcasts:write`.
    #[oai(path = "/broadcasts/:id", method = "patch", operation_id = "updateBroadcast")]
    async fn update(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        id: Path<Word<BroadcastId>>,
        body: JsonBody<BroadcastPatchBody>,
    ) -> Answer<BroadcastView> {
        let patch = body.value.try_into()?;
        Ok(Json(self.0.broadcasts().update(&may.grant, id.0.0, patch).await?.into()))
    }

    /// Remove a broadcast
    ///
    /// Only one that does not run; its messages stay. Needs `broadcasts:write`.
    #[oai(path = "/broadcasts/:id", method = "delete", operation_id = "removeBroadcast")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        id: Path<Word<BroadcastId>>,
    ) -> Result<NoContent, Problem> {
        self.0.broadcasts().remove(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }

    /// List a broadcast's recipients
    ///
    /// In their order, each with its state, reason and message. Needs `broadcasts:read`.
    #[oai(
        path = "/broadcasts/:id/recipients",
        method = "get",
        operation_id = "listBroadcastRecipients"
    )]
    async fn recipients(
        &self,
        Auth(may): Auth<InAccount<ReadBroadcasts>>,
        id: Path<Word<BroadcastId>>,
        /// In this state.
        state: Query<Option<Word<RecipientState>>>,
        /// For this reason, a code.
        #[oai(validator(min_length = 1, max_length = 200, pattern = "^[^\\x00]+$"))]
        reason: Query<Option<String>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<RecipientView>> {
        let state = state.0.map(|word| word.0);
        let filter = RecipientFilter { state, reason: reason.0.as_deref() };
        let page = page(limit.0, after.0);
        let broadcasts = self.0.broadcasts();
        Ok(Listed::of(broadcasts.recipients(&may.grant, id.0.0, filter, page).await?))
    }

    /// Add recipients to a draft
    ///
    /// Those that cannot be read or are there already become rows that say so. Needs
    /// `broadcasts:write`.
    #[oai(
        path = "/broadcasts/:id/recipients",
        method = "post",
        operation_id = "addBroadcastRecipients"
    )]
    async fn add_recipients(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        id: Path<Word<BroadcastId>>,
        body: JsonBody<AddRecipientsBody>,
    ) -> Answer<BroadcastView> {
        let operation = "addBroadcastRecipients";
        let once = key.once(may.principal.actor(), may.scope(), operation, body.hash);
        let new = recipients(body.value.recipients)?;
        let broadcasts = self.0.broadcasts();
        let standing = broadcasts.add_recipients(&may.grant, id.0.0, &new, once.as_ref()).await?;
        Ok(Json(standing.into()))
    }

    /// Check a broadcast before it starts
    ///
    /// What would happen, and what makes it look like spam. Changes nothing. Needs
    /// `broadcasts:read`.
    #[oai(path = "/broadcasts/:id/preflight", method = "get", operation_id = "preflightBroadcast")]
    async fn preflight(
        &self,
        Auth(may): Auth<InAccount<ReadBroadcasts>>,
        id: Path<Word<BroadcastId>>,
    ) -> Answer<PreflightView> {
        Ok(Json(self.0.broadcasts().preflight(&may.grant, id.0.0).await?.into()))
    }

    /// See messages of a broadcast as they would be
    ///
    /// Needs `broadcasts:read`.
    #[oai(path = "/broadcasts/:id/samples", method = "get", operation_id = "sampleBroadcast")]
    async fn samples(
        &self,
        Auth(may): Auth<InAccount<ReadBroadcasts>>,
        id: Path<Word<BroadcastId>>,
        /// How many, 1 to 50; 5 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "50")))]
        count: Query<Option<u16>>,
    ) -> Answer<SamplesView> {
        let count = count.0.unwrap_or(5);
        let samples = self.0.broadcasts().samples(&may.grant, id.0.0, count).await?;
        Ok(Json(SamplesView { samples: samples.into_iter().map(SampleView::from).collect() }))
    }

    /// Prepare a broadcast
    ///
    /// Gathers and checks its recipients in the background; then it is `ready`. Needs
    /// `broadcasts:write`.
    #[oai(path = "/broadcasts/:id/prepare", method = "post", operation_id = "prepareBroadcast")]
    async fn prepare(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        id: Path<Word<BroadcastId>>,
    ) -> Answer<BroadcastView> {
        Ok(Json(self.0.broadcasts().prepare(&may.grant, id.0.0).await?.into()))
    }

    /// Start a broadcast
    ///
    /// Now; a draft is prepared first. Needs `broadcasts:write`.
    #[oai(path = "/broadcasts/:id/start", method = "post", operation_id = "startBroadcast")]
    async fn start(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        id: Path<Word<BroadcastId>>,
    ) -> Answer<BroadcastView> {
        Ok(Json(self.0.broadcasts().start(&may.grant, id.0.0).await?.into()))
    }

    /// Schedule a broadcast
    ///
    /// Or give it another time. Needs `broadcasts:write`.
    #[oai(path = "/broadcasts/:id/schedule", method = "post", operation_id = "scheduleBroadcast")]
    async fn schedule(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        id: Path<Word<BroadcastId>>,
        body: JsonBody<ScheduleBody>,
    ) -> Answer<BroadcastView> {
        let ScheduleBody { local_time, time_zone } = body.value;
        let broadcasts = self.0.broadcasts();
        let schedule = broadcasts.local_time(&may.grant, &local_time, time_zone.as_deref()).await?;
        Ok(Json(broadcasts.schedule(&may.grant, id.0.0, schedule).await?.into()))
    }

    /// Pause a broadcast
    ///
    /// Nothing is sent until it is resumed, but for what is being sent right now. Needs
    /// `broadcasts:write`.
    #[oai(path = "/broadcasts/:id/pause", method = "post", operation_id = "pauseBroadcast")]
    async fn pause(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        id: Path<Word<BroadcastId>>,
    ) -> Answer<BroadcastView> {
        Ok(Json(self.0.broadcasts().pause(&may.grant, id.0.0).await?.into()))
    }

    /// Resume a broadcast
    ///
    /// Needs `broadcasts:write`.
    #[oai(path = "/broadcasts/:id/resume", method = "post", operation_id = "resumeBroadcast")]
    async fn resume(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        id: Path<Word<BroadcastId>>,
    ) -> Answer<BroadcastView> {
        Ok(Json(self.0.broadcasts().resume(&may.grant, id.0.0).await?.into()))
    }

    /// Cancel a broadcast
    ///
    /// Whoever has no message yet gets none. Needs `broadcasts:write`.
    #[oai(path = "/broadcasts/:id/cancel", method = "post", operation_id = "cancelBroadcast")]
    async fn cancel(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        id: Path<Word<BroadcastId>>,
    ) -> Answer<BroadcastView> {
        Ok(Json(self.0.broadcasts().cancel(&may.grant, id.0.0).await?.into()))
    }

    /// Retry a broadcast
    ///
    /// Sends again to those whose message failed or expired. Needs `broadcasts:write`.
    #[oai(path = "/broadcasts/:id/retry", method = "post", operation_id = "retryBroadcast")]
    async fn retry(
        &self,
        Auth(may): Auth<InAccount<WriteBroadcasts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        id: Path<Word<BroadcastId>>,
    ) -> Answer<BroadcastView> {
        // The operation has no body: what it is about is what makes it the same request.
        let about = about(id.0.0);
        let once = key.once(may.principal.actor(), may.scope(), "retryBroadcast", about);
        Ok(Json(self.0.broadcasts().retry(&may.grant, id.0.0, once.as_ref()).await?.into()))
    }
}

/// What stands for the body of a request without one.
pub(super) fn about(id: impl std::fmt::Display) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(id.to_string().as_bytes()).into()
}
