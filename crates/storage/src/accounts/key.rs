//! API keys.

use async_trait::async_trait;
use kabar_accounts::Realm;
use kabar_accounts::credential::CredentialHash;
use kabar_accounts::key::{ApiKey, KeyRegistry, KeyRepo, StoredKey};
use kabar_core::{AccountId, ApiKeyId, Page, PageRequest, StoreError, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, Select,
};

use super::entity::accounts;
use super::entity::api_keys::{ActiveModel, Column, Entity, Model};
use super::user::{permissions, words};
use super::{in_realm, paged};
use crate::convert::{column, json_opt, micros, micros_opt, time, time_opt};
use crate::error::{bad_row, store};
use crate::unit::Unit;

/// The keys of a realm.
pub(super) struct SeaKeys<'a> {
    pub(super) unit: &'a Unit,
    pub(super) realm: Realm,
}

/// The keys of the installation.
pub(super) struct SeaKeyRegistry<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaKeys<'_> {
    fn rows(&self) -> Select<Entity> {
        Entity::find().filter(in_realm(self.realm, Column::AccountId))
    }
}

#[async_trait]
impl KeyRepo for SeaKeys<'_> {
    async fn insert(&mut self, key: &ApiKey, hash: &CredentialHash) -> Result<(), StoreError> {
        let row = ActiveModel {
            id: Set(key.id.uuid()),
            account_id: Set(self.realm.account().map(AccountId::uuid)),
            name: Set(key.name.clone()),
            hint: Set(key.hint.clone()),
            hash: Set(hash.bytes().to_vec()),
            permissions: Set(words(&key.permissions)),
            account_token: Set(key.account_token),
            allowed_addresses: Set(json_opt(Some(&key.allowed).filter(|it| !it.is_empty()))?),
            created_at: Set(micros(key.created_at)),
            expires_at: Set(micros_opt(key.expires_at)),
            revoked_at: Set(micros_opt(key.revoked_at)),
            last_used_at: Set(micros_opt(key.last_used_at)),
        };
        Entity::insert(row).exec_without_returning(self.unit.tx()).await.map(|_| ()).map_err(store)
    }

    async fn get(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let row = self
            .rows()
            .filter(Column::Id.eq(id.uuid()))
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        row.map(api_key).transpose()
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<ApiKey>, StoreError> {
        let rows = paged(self.rows(), Column::Id, page).all(self.unit.tx()).await.map_err(store)?;
        let keys: Result<Vec<ApiKey>, StoreError> = rows.into_iter().map(api_key).collect();
        Ok(Page::from_rows(keys?, page, |key| key.id.uuid()))
    }

    async fn revoke(&mut self, id: ApiKeyId, at: Timestamp) -> Result<bool, StoreError> {
        let done = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(micros(at)))
            .filter(in_realm(self.realm, Column::AccountId))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::RevokedAt.is_null())
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn revoke_account_tokens(&mut self, at: Timestamp) -> Result<u64, StoreError> {
        let done = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(micros(at)))
            .filter(in_realm(self.realm, Column::AccountId))
            .filter(Column::AccountToken.eq(true))
            .filter(Column::RevokedAt.is_null())
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected)
    }
}

#[async_trait]
impl KeyRegistry for SeaKeyRegistry<'_> {
    async fn by_id(&mut self, id: ApiKeyId) -> Result<Option<StoredKey>, StoreError> {
        let found = Entity::find_by_id(id.uuid())
            .find_also_related(accounts::Entity)
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        let Some((row, account)) = found else {
            return Ok(None);
        };
        let hash = row
            .hash
            .as_slice()
            .try_into()
            .map_err(|_| bad_row("api_keys", row.id, "hash", "not 32 bytes"))?;
        Ok(Some(StoredKey {
            account_active: account.is_none_or(|account| account.active),
            key: api_key(row)?,
            hash,
        }))
    }

    async fn touch(
        &mut self,
        id: ApiKeyId,
        at: Timestamp,
        unless_since: Timestamp,
    ) -> Result<(), StoreError> {
        let is_old = Condition::any()
            .add(Column::LastUsedAt.is_null())
            .add(Column::LastUsedAt.lte(micros(unless_since)));
        Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(micros(at)))
            .filter(Column::Id.eq(id.uuid()))
            .filter(is_old)
            .exec(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }
}

fn api_key(row: Model) -> Result<ApiKey, StoreError> {
    let cell = |name| column("api_keys", &row.id, name);
    Ok(ApiKey {
        permissions: permissions(&cell("permissions"), row.permissions)?,
        allowed: cell("allowed_addresses").json_opt(row.allowed_addresses)?.unwrap_or_default(),
        account_token: row.account_token,
        id: ApiKeyId::from(row.id),
        account: row.account_id.map(AccountId::from),
        name: row.name,
        hint: row.hint,
        created_at: time(row.created_at),
        expires_at: time_opt(row.expires_at),
        revoked_at: time_opt(row.revoked_at),
        last_used_at: time_opt(row.last_used_at),
    })
}
