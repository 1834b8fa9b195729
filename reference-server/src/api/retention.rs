//! For how long things are kept.

use kabar::Platform;
use kabar::core::Timestamp;
use kabar::core::permission::{ReadOperations, ReadSettings, WriteOperations, WriteSettings};
use kabar::insights::repo::Removed;
use kabar::insights::{Keep, KeepPatch};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::Answer;
use super::body::JsonBody;
use crate::auth::{Auth, InAccount, OverAll};

/// For how many days the installation keeps things; 0 is for ever.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Keep")]
#[serde(deny_unknown_fields)]
pub struct KeepBody {
    /// Bodies of messages and the files that came with them, where the account says nothing. Ids,
    /// statuses and statistics stay.
    #[oai(validator(maximum(value = "36500")))]
    pub message_bodies: u16,
    /// Bodies of the networks' webhooks as they came. Meta delivers again for seven days.
    #[oai(validator(maximum(value = "36500")))]
    pub raw_bodies: u16,
    /// The event log; what a reader of ours has not passed stays.
    #[oai(validator(maximum(value = "36500")))]
    pub events: u16,
    /// What came in and could not be placed.
    #[oai(validator(maximum(value = "36500")))]
    pub quarantine: u16,
    /// Statuses whose message never became known.
    #[oai(validator(maximum(value = "36500")))]
    pub parked_statuses: u16,
}

impl From<Keep> for KeepBody {
    fn from(keep: Keep) -> Self {
        Self {
            message_bodies: keep.message_bodies,
            raw_bodies: keep.raw_bodies,
            events: keep.events,
            quarantine: keep.quarantine,
            parked_statuses: keep.parked_statuses,
        }
    }
}

impl From<KeepBody> for Keep {
    fn from(body: KeepBody) -> Self {
        Self {
            message_bodies: body.message_bodies,
            raw_bodies: body.raw_bodies,
            events: body.events,
            quarantine: body.quarantine,
            parked_statuses: body.parked_statuses,
        }
    }
}

/// What was removed since the beginning.
#[derive(Debug, Object)]
#[oai(rename = "Removed")]
pub struct RemovedView {
    /// Of what: the name of its setting.
    pub what: String,
    /// How many.
    pub count: u64,
    /// When last.
    pub at: Timestamp,
}

impl From<Removed> for RemovedView {
    fn from(removed: Removed) -> Self {
        Self { what: removed.what.as_str().to_owned(), count: removed.count, at: removed.at }
    }
}

/// What the installation keeps, and what it removed.
#[derive(Debug, Object)]
#[oai(rename = "Retention")]
pub struct RetentionView {
    /// For how many days; 0 is for ever.
    pub keep: KeepBody,
    /// What was removed since the beginning.
    pub removed: Vec<RemovedView>,
}

/// What an account says for itself.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "AccountKeep")]
#[serde(deny_unknown_fields)]
pub struct AccountKeepBody {
    /// For how many days bodies of messages and the files that came with them are kept; 0 is for
    /// ever, absent or null as the installation says.
    #[oai(validator(maximum(value = "36500")))]
    pub message_bodies: Option<u16>,
}

/// What is kept for an account.
#[derive(Debug, Object)]
#[oai(rename = "AccountRetention")]
pub struct AccountRetentionView {
    /// What the account says.
    pub own: AccountKeepBody,
    /// What the installation says.
    pub installation: KeepBody,
}

impl From<(KeepPatch, Keep)> for AccountRetentionView {
    fn from((patch, keep): (KeepPatch, Keep)) -> Self {
        let own = AccountKeepBody { message_bodies: patch.message_bodies };
        Self { own, installation: keep.into() }
    }
}

/// The operations.
pub struct RetentionApi(pub Platform);

#[OpenApi(tag = "Area::Operations")]
impl RetentionApi {
    /// Get what the installation keeps
    ///
    /// Needs `operations:read`, for the provider.
    #[oai(path = "/operations/retention", method = "get", operation_id = "getRetention")]
    async fn get(&self, Auth(may): Auth<OverAll<ReadOperations>>) -> Answer<RetentionView> {
        let (keep, removed) = self.0.retention().get(may.scope).await?;
        let removed = removed.into_iter().map(RemovedView::from).collect();
        Ok(Json(RetentionView { keep: keep.into(), removed }))
    }

    /// Say what the installation keeps
    ///
    /// What is older is removed within the hour, in small steps. Needs `operations:write`, for the
    /// provider.
    #[oai(path = "/operations/retention", method = "put", operation_id = "setRetention")]
    async fn set(
        &self,
        Auth(may): Auth<OverAll<WriteOperations>>,
        body: JsonBody<KeepBody>,
    ) -> Answer<RetentionView> {
        self.0.retention().set(may.scope, body.value.into()).await?;
        let (keep, removed) = self.0.retention().get(may.scope).await?;
        let removed = removed.into_iter().map(RemovedView::from).collect();
        Ok(Json(RetentionView { keep: keep.into(), removed }))
    }

    /// Get what is kept for an account
    ///
    /// Needs `settings:read`.
    #[oai(path = "/retention", method = "get", operation_id = "getAccountRetention")]
    async fn get_account(
        &self,
        Auth(may): Auth<InAccount<ReadSettings>>,
    ) -> Answer<AccountRetentionView> {
        Ok(Json(self.0.retention().account(&may.grant).await?.into()))
    }

    /// Say what is kept for an account
    ///
    /// What it says stands in place of what the installation says. Needs `settings:write`.
    #[oai(path = "/retention", method = "put", operation_id = "setAccountRetention")]
    async fn set_account(
        &self,
        Auth(may): Auth<InAccount<WriteSettings>>,
        body: JsonBody<AccountKeepBody>,
    ) -> Answer<AccountRetentionView> {
        let patch = KeepPatch { message_bodies: body.value.message_bodies };
        let said = self.0.retention().set_account(&may.grant, patch).await?;
        Ok(Json(said.into()))
    }
}
