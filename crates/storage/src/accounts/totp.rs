//! The secrets of one-time codes, sealed, and the hashes of recovery codes.

use async_trait::async_trait;
use kabar_accounts::totp::{TotpRepo, TotpSecret};
use kabar_core::{StoreError, UserId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::entity::{recovery_codes, totp_secrets};
use crate::convert::{micros, micros_opt, time, time_opt};
use crate::error::{bad_row, store};
use crate::keyring::Place;
use crate::unit::Unit;

/// The secrets of one-time codes.
pub(super) struct SeaTotp<'a> {
    pub(super) unit: &'a Unit,
}

const fn place(user: UserId) -> Place<'static> {
    Place { table: "totp_secrets", row: user.uuid(), column: "secret" }
}

impl SeaTotp<'_> {
    async fn drop_codes(&self, user: UserId) -> Result<(), StoreError> {
        recovery_codes::Entity::delete_many()
            .filter(recovery_codes::Column::UserId.eq(user.uuid()))
            .exec(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }
}

#[async_trait]
impl TotpRepo for SeaTotp<'_> {
    async fn get(&mut self, user: UserId) -> Result<Option<TotpSecret>, StoreError> {
        let row = totp_secrets::Entity::find_by_id(user.uuid()).one(self.unit.tx()).await;
        let Some(row) = row.map_err(store)? else {
            return Ok(None);
        };
        let secret = self.unit.ring().open(&row.secret, &place(user));
        let secret = secret.map_err(|error| bad_row("totp_secrets", user, "secret", error))?;
        Ok(Some(TotpSecret {
            secret,
            last_step: u64::try_from(row.last_step).unwrap_or_default(),
            confirmed_at: time_opt(row.confirmed_at),
            created_at: time(row.created_at),
        }))
    }

    async fn put(&mut self, user: UserId, secret: &TotpSecret) -> Result<(), StoreError> {
        use totp_secrets::{ActiveModel, Column, Entity};
        let sealed = self.unit.ring().seal(&secret.secret, &place(user));
        let row = ActiveModel {
            user_id: Set(user.uuid()),
            secret: Set(sealed.map_err(|error| StoreError::Refused(Box::new(error)))?),
            last_step: Set(i64::try_from(secret.last_step).unwrap_or(i64::MAX)),
            confirmed_at: Set(micros_opt(secret.confirmed_at)),
            created_at: Set(micros(secret.created_at)),
        };
        let again = OnConflict::column(Column::UserId)
            .update_columns([
                Column::Secret,
                Column::LastStep,
                Column::ConfirmedAt,
                Column::CreatedAt,
            ])
            .to_owned();
        let done = Entity::insert(row).on_conflict(again).exec_without_returning(self.unit.tx());
        done.await.map(|_| ()).map_err(store)
    }

    async fn remove(&mut self, user: UserId) -> Result<bool, StoreError> {
        self.drop_codes(user).await?;
        let done = totp_secrets::Entity::delete_by_id(user.uuid()).exec(self.unit.tx()).await;
        Ok(done.map_err(store)?.rows_affected == 1)
    }

    async fn put_codes(&mut self, user: UserId, hashes: &[[u8; 32]]) -> Result<(), StoreError> {
        self.drop_codes(user).await?;
        let rows = hashes.iter().map(|hash| recovery_codes::ActiveModel {
            user_id: Set(user.uuid()),
            hash: Set(hash.to_vec()),
        });
        recovery_codes::Entity::insert_many(rows)
            .exec_without_returning(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }

    async fn take_code(&mut self, user: UserId, hash: [u8; 32]) -> Result<bool, StoreError> {
        let done = recovery_codes::Entity::delete_many()
            .filter(recovery_codes::Column::UserId.eq(user.uuid()))
            .filter(recovery_codes::Column::Hash.eq(hash.to_vec()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }
}
