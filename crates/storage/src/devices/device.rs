//! A tenant's devices.

use async_trait::async_trait;
use kabar_channel::ChannelKind;
use kabar_core::{
    AccountId, DeviceId, MetaAppId, Page, PageRequest, PhoneNumber, Scope, Secret, StoreError,
    Timestamp,
};
use kabar_devices::repo::{ADDRESS_CONSTRAINT, DeviceRepo};
use kabar_devices::{Device, HealthWord, NewDevice};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _, Select,
};

use super::entity::devices::{ActiveModel, Column, Entity, Model};
use super::{open, seal};
use crate::accounts::{paged, store_naming};
use crate::convert::{column, json, micros, time};
use crate::error::store;
use crate::keyring::Place;
use crate::unit::Unit;

const TABLE: &str = "devices";

/// The devices of a scope.
pub(super) struct SeaDevices<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaDevices<'_> {
    /// What every statement of this repository starts from.
    fn mine(&self) -> Condition {
        Condition::all()
            .add(Column::AccountId.eq(self.scope.account().uuid()))
            .add(Column::RemovedAt.is_null())
            .add_option(self.scope.device().map(|device| Column::Id.eq(device.uuid())))
    }

    fn this(&self, id: DeviceId) -> Condition {
        self.mine().add(Column::Id.eq(id.uuid()))
    }

    async fn one(&self, query: Select<Entity>) -> Result<Option<Device>, StoreError> {
        let row = query.one(self.unit.tx()).await.map_err(store)?;
        row.map(|row| device(self.unit, row)).transpose()
    }
}

#[async_trait]
impl DeviceRepo for SeaDevices<'_> {
    async fn insert(&mut self, new: &NewDevice) -> Result<(), StoreError> {
        let row = ActiveModel {
            account_id: Set(self.scope.account().uuid()),
            token_hash: Set(new.token_hash.map(|hash| hash.to_vec())),
            ..active(self.unit, &new.device)?
        };
        Entity::insert(row).exec_without_returning(self.unit.tx()).await.map(|_| ()).map_err(
            |error| store_naming(error, "devices.channel, devices.address", ADDRESS_CONSTRAINT),
        )
    }

    async fn get(&mut self, id: DeviceId) -> Result<Option<Device>, StoreError> {
        self.one(Entity::find().filter(self.this(id))).await
    }

    async fn lock(&mut self, id: DeviceId) -> Result<Option<Device>, StoreError> {
        let query = Entity::find().filter(self.this(id));
        if self.unit.locks_rows() {
            self.one(query.lock(LockType::Update)).await
        } else {
            self.one(query).await
        }
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<Device>, StoreError> {
        let rows = paged(Entity::find().filter(self.mine()), Column::Id, page)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let devices: Result<Vec<Device>, StoreError> =
            rows.into_iter().map(|row| device(self.unit, row)).collect();
        Ok(Page::from_rows(devices?, page, |device| device.id.uuid()))
    }

    async fn update(&mut self, device: &Device) -> Result<bool, StoreError> {
        let values = ActiveModel {
            id: NotSet,
            channel: NotSet,
            address: NotSet,
            token_hint: NotSet,
            fence: NotSet,
            created_at: NotSet,
            ..active(self.unit, device)?
        };
        let done = Entity::update_many()
            .set(values)
            .filter(self.this(device.id))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn set_token(
        &mut self,
        id: DeviceId,
        hint: &str,
        hash: [u8; 32],
    ) -> Result<bool, StoreError> {
        let done = Entity::update_many()
            .col_expr(Column::TokenHint, Expr::value(hint))
            .col_expr(Column::TokenHash, Expr::value(hash.to_vec()))
            .filter(self.this(id))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn remove(&mut self, id: DeviceId, at: Timestamp) -> Result<bool, StoreError> {
        // A removed device keeps no secrets, and no session.
        let done = Entity::update_many()
            .col_expr(Column::RemovedAt, Expr::value(micros(at)))
            .col_expr(Column::Credential, Expr::value(None::<String>))
            .col_expr(Column::Proxy, Expr::value(None::<String>))
            .col_expr(Column::TokenHash, Expr::value(None::<Vec<u8>>))
            .filter(self.this(id))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        if done.rows_affected == 0 {
            return Ok(false);
        }
        crate::sessions::erase(self.unit, id).await?;
        Ok(true)
    }
}

/// Every column but those of account, token hash and removal.
fn active(unit: &Unit, device: &Device) -> Result<ActiveModel, StoreError> {
    let sealed = |column, secret: Option<&Secret>| {
        let place = Place { table: TABLE, row: device.id.uuid(), column };
        secret.map(|secret| seal(unit, secret, &place)).transpose()
    };
    Ok(ActiveModel {
        id: Set(device.id.uuid()),
        account_id: NotSet,
        name: Set(device.name.clone()),
        channel: Set(device.channel.as_str().to_owned()),
        address: Set(device.address.clone()),
        parent: Set(device.parent.clone()),
        portfolio: Set(device.portfolio.clone()),
        app_id: Set(device.app.map(MetaAppId::uuid)),
        phone: Set(device.phone.as_ref().map(|p| p.as_str().to_owned())),
        verified_name: Set(device.verified_name.clone()),
        quality: Set(device.quality.clone()),
        credential: Set(sealed("credential", device.credential.as_ref())?),
        proxy: Set(sealed("proxy", device.proxy.as_ref())?),
        token_hint: Set(device.token_hint.clone()),
        token_hash: NotSet,
        state: Set(device.state.as_str().to_owned()),
        state_reason: Set(device.state_reason.clone()),
        settings: Set(json(&device.settings)?),
        fence: Set(i64::try_from(device.fence).unwrap_or(i64::MAX)),
        // Written with the first rule.
        has_rules: NotSet,
        risk_accepted_at: Set(device.risk_accepted_at.map(micros)),
        // Written by the registry.
        first_connected_at: NotSet,
        health: NotSet,
        created_at: Set(micros(device.created_at)),
        updated_at: Set(micros(device.updated_at)),
        removed_at: NotSet,
    })
}

/// A row as the domain speaks of it, its secrets opened.
pub(super) fn device(unit: &Unit, row: Model) -> Result<Device, StoreError> {
    let cell = |name| column(TABLE, &row.id, name);
    let secret = |column, sealed: Option<&String>| {
        sealed.map(|sealed| open(unit, sealed, TABLE, row.id, column)).transpose()
    };
    let credential: Option<Secret> = secret("credential", row.credential.as_ref())?;
    let proxy = secret("proxy", row.proxy.as_ref())?;
    let phone = row.phone.as_deref();
    let phone = phone.map(|text| cell("phone").word::<PhoneNumber>(text));
    let health = row.health.as_deref().map(|text| cell("health").word::<HealthWord>(text));
    let health = health.transpose()?;
    Ok(Device {
        credential,
        proxy,
        phone: phone.transpose()?,
        state: cell("state").word(&row.state)?,
        settings: cell("settings").json(row.settings)?,
        id: DeviceId::from(row.id),
        account: AccountId::from(row.account_id),
        name: row.name,
        channel: ChannelKind::new(row.channel),
        address: row.address,
        parent: row.parent,
        portfolio: row.portfolio,
        app: row.app_id.map(MetaAppId::from),
        verified_name: row.verified_name,
        quality: row.quality,
        token_hint: row.token_hint,
        state_reason: row.state_reason,
        fence: u64::try_from(row.fence).unwrap_or_default(),
        has_rules: row.has_rules,
        risk_accepted_at: row.risk_accepted_at.map(time),
        first_connected_at: row.first_connected_at.map(time),
        health,
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}
