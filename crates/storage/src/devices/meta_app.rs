//! Meta apps.

use async_trait::async_trait;
use kabar_accounts::Realm;
use kabar_core::{AccountId, MetaAppId, Page, PageRequest, Secret, StoreError};
use kabar_devices::meta::{MetaApp, MetaAppRegistry, MetaAppRepo, WebhookApp};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _};

use super::entity::devices;
use super::entity::meta_apps::{ActiveModel, Column, Entity, Model};
use super::{open, seal};
use crate::accounts::{in_realm, paged};
use crate::convert::{micros, time};
use crate::error::store;
use crate::keyring::Place;
use crate::unit::Unit;

const TABLE: &str = "meta_apps";

/// The apps of a realm.
pub(super) struct SeaMetaApps<'a> {
    pub(super) unit: &'a Unit,
    pub(super) realm: Realm,
}

/// The apps of the installation.
pub(super) struct SeaMetaAppRegistry<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaMetaApps<'_> {
    fn mine(&self) -> Condition {
        in_realm(self.realm, Column::AccountId)
    }

    fn sealed(
        &self,
        id: MetaAppId,
        secret: &Secret,
        column: &'static str,
    ) -> Result<String, StoreError> {
        let place = Place { table: TABLE, row: id.uuid(), column };
        seal(self.unit, secret, &place)
    }
}

#[async_trait]
impl MetaAppRepo for SeaMetaApps<'_> {
    async fn put(
        &mut self,
        app: &MetaApp,
        app_secret: &Secret,
        verify_token: &Secret,
    ) -> Result<(), StoreError> {
        let row = ActiveModel {
            id: Set(app.id.uuid()),
            account_id: Set(self.realm.account().map(AccountId::uuid)),
            name: Set(app.name.clone()),
            meta_app_id: Set(app.meta_app_id.clone()),
            app_secret: Set(self.sealed(app.id, app_secret, "app_secret")?),
            verify_token: Set(self.sealed(app.id, verify_token, "verify_token")?),
            created_at: Set(micros(app.created_at)),
        };
        let replace = OnConflict::column(Column::Id)
            .update_columns([
                Column::Name,
                Column::MetaAppId,
                Column::AppSecret,
                Column::VerifyToken,
            ])
            .action_cond_where(self.mine())
            .to_owned();
        let stored = Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(self.unit.tx())
            .await
            .map_err(store)?;
        if stored == 1 {
            return Ok(());
        }
        // The id belongs to another realm.
        Err(StoreError::Conflict { constraint: "meta_apps_pkey".to_owned() })
    }

    async fn get(&mut self, id: MetaAppId) -> Result<Option<MetaApp>, StoreError> {
        let row = Entity::find_by_id(id.uuid())
            .filter(self.mine())
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(row.map(meta_app))
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<MetaApp>, StoreError> {
        let rows = paged(Entity::find().filter(self.mine()), Column::Id, page)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(Page::from_rows(rows, page, |row| row.id).map(meta_app))
    }

    async fn in_use(&mut self, id: MetaAppId) -> Result<bool, StoreError> {
        let device = devices::Entity::find()
            .filter(in_realm(self.realm, devices::Column::AccountId))
            .filter(devices::Column::AppId.eq(id.uuid()))
            .filter(devices::Column::RemovedAt.is_null())
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(device.is_some())
    }

    async fn remove(&mut self, id: MetaAppId) -> Result<bool, StoreError> {
        let done = Entity::delete_many()
            .filter(self.mine())
            .filter(Column::Id.eq(id.uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }
}

#[async_trait]
impl MetaAppRegistry for SeaMetaAppRegistry<'_> {
    async fn by_id(&mut self, id: MetaAppId) -> Result<Option<WebhookApp>, StoreError> {
        let row = Entity::find_by_id(id.uuid()).one(self.unit.tx()).await.map_err(store)?;
        let Some(row) = row else { return Ok(None) };
        let secret = |sealed: &str, column| open(self.unit, sealed, TABLE, row.id, column);
        Ok(Some(WebhookApp {
            id,
            account: row.account_id.map(AccountId::from),
            app_secret: secret(&row.app_secret, "app_secret")?,
            verify_token: secret(&row.verify_token, "verify_token")?,
        }))
    }
}

fn meta_app(row: Model) -> MetaApp {
    MetaApp {
        id: MetaAppId::from(row.id),
        account: row.account_id.map(AccountId::from),
        name: row.name,
        meta_app_id: row.meta_app_id,
        created_at: time(row.created_at),
    }
}
