//! Meta apps: whose secret signs the webhooks that come in.

use kabar::Platform;
use kabar::core::permission::{ReadDevices, WriteDevices};
use kabar::core::{Cursor, MetaAppId, Secret, Timestamp};
use kabar::devices::meta::{MetaApp, NewMetaApp};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Created, Listed, NoContent, page};
use super::body::JsonBody;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;
use crate::webhooks;

/// A Meta app. Its secrets are never shown.
#[derive(Debug, Object)]
#[oai(rename = "MetaApp")]
pub struct MetaAppView {
    /// Its id.
    pub id: Word<MetaAppId>,
    /// What it is called.
    pub name: String,
    /// Meta's id of it.
    pub meta_app_id: Option<String>,
    /// The path of its webhooks on this server; Meta's dashboard wants the whole address.
    pub webhook_path: String,
    /// When it was created.
    pub created_at: Timestamp,
}

impl From<MetaApp> for MetaAppView {
    fn from(app: MetaApp) -> Self {
        Self {
            id: Word(app.id),
            name: app.name,
            meta_app_id: app.meta_app_id,
            webhook_path: webhooks::path(app.id),
            created_at: app.created_at,
        }
    }
}

/// A Meta app to add.
#[derive(Object, Deserialize)]
#[oai(rename = "NewMetaApp")]
#[serde(deny_unknown_fields)]
pub struct NewMetaAppBody {
    /// What it is called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// Meta's id of it: digits.
    #[oai(validator(min_length = 1, max_length = 32, pattern = "^[0-9]+$"))]
    pub meta_app_id: Option<String>,
    /// The app secret, which signs its webhooks. It is never shown.
    #[oai(validator(min_length = 1, max_length = 512))]
    pub app_secret: String,
    /// The word that Meta shows when the webhook address is verified. It is never shown.
    #[oai(validator(min_length = 1, max_length = 512))]
    pub verify_token: String,
}

/// The operations.
pub struct MetaAppsApi(pub Platform);

#[OpenApi(tag = "Area::MetaApps")]
impl MetaAppsApi {
    /// List Meta apps
    ///
    /// Needs `devices:read`.
    #[oai(path = "/meta-apps", method = "get", operation_id = "listMetaApps")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadDevices>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<MetaAppView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.meta_apps().list(&may.grant, page).await?))
    }

    /// Add a Meta app
    ///
    /// The answer shows the path of its webhooks. Needs `devices:write`.
    #[oai(path = "/meta-apps", method = "post", operation_id = "addMetaApp")]
    async fn create(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewMetaAppBody>,
    ) -> Result<Created<MetaAppView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "addMetaApp", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let new = NewMetaApp {
            name: body.value.name,
            meta_app_id: body.value.meta_app_id,
            app_secret: Secret::from(body.value.app_secret),
            verify_token: Secret::from(body.value.verify_token),
        };
        let app = self.0.meta_apps().create(&may.grant, new, once.as_ref()).await?;
        Ok(Created::new(app.into(), replayed))
    }

    /// Get a Meta app
    ///
    /// Needs `devices:read`.
    #[oai(path = "/meta-apps/:id", method = "get", operation_id = "getMetaApp")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadDevices>>,
        id: Path<Word<MetaAppId>>,
    ) -> Answer<MetaAppView> {
        let app = self.0.meta_apps().get(&may.grant, id.0.0).await?;
        Ok(Json(app.into()))
    }

    /// Remove a Meta app
    ///
    /// Refused with 409 while a device uses it. Needs `devices:write`.
    #[oai(path = "/meta-apps/:id", method = "delete", operation_id = "removeMetaApp")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<MetaAppId>>,
    ) -> Result<NoContent, Problem> {
        self.0.meta_apps().remove(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }
}
