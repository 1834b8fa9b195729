//! Registrations that wait for their address to be verified.

use async_trait::async_trait;
use kabar_accounts::registration::{Registration, RegistrationRepo};
use kabar_core::{ExposeSecret as _, Secret, StoreError};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};
use uuid::Uuid;

use super::entity::registrations::{ActiveModel, Column, Entity, Model};
use super::hash;
use crate::convert::{column, json, micros, time};
use crate::error::store;
use crate::unit::Unit;

/// The registrations that wait.
pub(super) struct SeaRegistrations<'a> {
    pub(super) unit: &'a Unit,
}

#[async_trait]
impl RegistrationRepo for SeaRegistrations<'_> {
    async fn put(&mut self, registration: &Registration) -> Result<(), StoreError> {
        let row = ActiveModel {
            id: Set(registration.id),
            email: Set(registration.email.clone()),
            password_hash: Set(registration.password_hash.expose_secret().to_owned()),
            details: Set(json(&registration.details)?),
            token_hash: Set(registration.token_hash.to_vec()),
            created_at: Set(micros(registration.created_at)),
            expires_at: Set(micros(registration.expires_at)),
        };
        let again = OnConflict::column(Column::Id)
            .update_columns([Column::TokenHash, Column::ExpiresAt])
            .to_owned();
        let done = Entity::insert(row).on_conflict(again).exec_without_returning(self.unit.tx());
        done.await.map(|_| ()).map_err(store)
    }

    async fn get(&mut self, id: Uuid) -> Result<Option<Registration>, StoreError> {
        let row = Entity::find_by_id(id).one(self.unit.tx()).await.map_err(store)?;
        row.map(registration).transpose()
    }

    async fn newest(&mut self, email: &str) -> Result<Option<Registration>, StoreError> {
        let row = Entity::find()
            .filter(Column::Email.eq(email))
            .order_by_desc(Column::Id)
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        row.map(registration).transpose()
    }

    async fn take(&mut self, id: Uuid) -> Result<bool, StoreError> {
        let done = Entity::delete_by_id(id).exec(self.unit.tx()).await.map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn drop_of(&mut self, email: &str) -> Result<(), StoreError> {
        let all = Entity::delete_many().filter(Column::Email.eq(email));
        all.exec(self.unit.tx()).await.map(|_| ()).map_err(store)
    }
}

fn registration(row: Model) -> Result<Registration, StoreError> {
    Ok(Registration {
        details: column("registrations", &row.id, "details").json(row.details)?,
        token_hash: hash("registrations", row.id, "token_hash", &row.token_hash)?,
        id: row.id,
        email: row.email,
        password_hash: Secret::from(row.password_hash),
        created_at: time(row.created_at),
        expires_at: time(row.expires_at),
    })
}
