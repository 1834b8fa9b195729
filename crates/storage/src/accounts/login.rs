//! Passwords, their tokens, counted tries and attempts.

use async_trait::async_trait;
use kabar_accounts::guard::{Guard, GuardRepo};
use kabar_accounts::login::{AttemptLog, LoginAttempt, LoginRepo, LoginUser, PasswordToken};
use kabar_accounts::{Realm, User};
use kabar_core::{
    AccountId, AuditId, ExposeSecret as _, Page, PageRequest, Secret, StoreError, Timestamp, UserId,
};
use sea_orm::sea_query::{Expr, LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use uuid::Uuid;

use super::entity::{
    accounts, login_attempts, login_guards, password_tokens, registrations, session_tokens,
    sessions, user_passwords, users,
};
use super::user::user;
use super::{hash, in_realm, paged};
use crate::convert::{column, micros, micros_opt, time, time_opt};
use crate::error::store;
use crate::unit::Unit;

/// Passwords and their tokens.
pub(super) struct SeaLogins<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaLogins<'_> {
    /// A user of the installation, with what proves the person.
    async fn one(
        &self,
        filter: sea_orm::Condition,
        lock: bool,
    ) -> Result<Option<LoginUser>, StoreError> {
        let mut query = users::Entity::find().filter(filter);
        if lock && self.unit.locks_rows() {
            query = query.lock(LockType::Update);
        }
        let row = query.one(self.unit.tx()).await.map_err(store)?;
        match row {
            Some(row) => self.with_proof(user(row)?).await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn with_proof(&self, user: User) -> Result<LoginUser, StoreError> {
        let tx = self.unit.tx();
        let row = user_passwords::Entity::find_by_id(user.id.uuid()).one(tx).await;
        let password_hash = row.map_err(store)?.and_then(|row| row.password_hash);
        let account_active = match user.account {
            None => true,
            Some(account) => {
                let row = accounts::Entity::find_by_id(account.uuid()).one(tx).await;
                row.map_err(store)?.is_some_and(|account| account.active)
            }
        };
        Ok(LoginUser { user, password_hash: password_hash.map(Secret::from), account_active })
    }
}

fn by_id(id: UserId) -> sea_orm::Condition {
    sea_orm::Condition::all().add(users::Column::Id.eq(id.uuid()))
}

#[async_trait]
impl LoginRepo for SeaLogins<'_> {
    async fn by_email(&mut self, email: &str) -> Result<Option<LoginUser>, StoreError> {
        let filter = sea_orm::Condition::all().add(users::Column::Email.eq(email));
        self.one(filter, false).await
    }

    async fn get(&mut self, id: UserId) -> Result<Option<LoginUser>, StoreError> {
        self.one(by_id(id), false).await
    }

    async fn lock(&mut self, id: UserId) -> Result<Option<LoginUser>, StoreError> {
        self.one(by_id(id), true).await
    }

    async fn set_password(&mut self, id: UserId, hash: &Secret) -> Result<(), StoreError> {
        user_passwords::Entity::update_many()
            .col_expr(user_passwords::Column::PasswordHash, Expr::value(hash.expose_secret()))
            .filter(user_passwords::Column::Id.eq(id.uuid()))
            .exec(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }

    async fn put_token(&mut self, token: &PasswordToken) -> Result<(), StoreError> {
        let row = password_tokens::ActiveModel {
            id: Set(token.id),
            user_id: Set(token.user.uuid()),
            hash: Set(token.hash.to_vec()),
            created_at: Set(micros(token.created_at)),
            expires_at: Set(micros(token.expires_at)),
        };
        let done = password_tokens::Entity::insert(row).exec_without_returning(self.unit.tx());
        done.await.map(|_| ()).map_err(store)
    }

    async fn token(&mut self, id: Uuid) -> Result<Option<PasswordToken>, StoreError> {
        let row = password_tokens::Entity::find_by_id(id).one(self.unit.tx()).await;
        let Some(row) = row.map_err(store)? else {
            return Ok(None);
        };
        Ok(Some(PasswordToken {
            id,
            user: UserId::from(row.user_id),
            hash: hash("password_tokens", id, "hash", &row.hash)?,
            created_at: time(row.created_at),
            expires_at: time(row.expires_at),
        }))
    }

    async fn take_token(&mut self, id: Uuid) -> Result<bool, StoreError> {
        let done = password_tokens::Entity::delete_by_id(id).exec(self.unit.tx()).await;
        Ok(done.map_err(store)?.rows_affected == 1)
    }

    async fn drop_tokens(&mut self, user: UserId) -> Result<(), StoreError> {
        let filter = password_tokens::Column::UserId.eq(user.uuid());
        let done = password_tokens::Entity::delete_many().filter(filter).exec(self.unit.tx()).await;
        done.map(|_| ()).map_err(store)
    }

    async fn prune(
        &mut self,
        now: Timestamp,
        guards: Timestamp,
        attempts: Timestamp,
    ) -> Result<u64, StoreError> {
        macro_rules! delete {
            ($entity:ident, $column:ident, $before:expr) => {
                $entity::Entity::delete_many()
                    .filter($entity::Column::$column.lt(micros($before)))
                    .exec(self.unit.tx())
                    .await
                    .map_err(store)?
                    .rows_affected
            };
        }
        // A session's pairs go with it.
        Ok(delete!(password_tokens, ExpiresAt, now)
            + delete!(registrations, ExpiresAt, now)
            + delete!(session_tokens, RefreshExpiresAt, now)
            + delete!(sessions, ExpiresAt, now)
            + delete!(login_guards, FailedAt, guards)
            + delete!(login_attempts, At, attempts))
    }
}

/// The counted tries.
pub(super) struct SeaGuards<'a> {
    pub(super) unit: &'a Unit,
}

#[async_trait]
impl GuardRepo for SeaGuards<'_> {
    async fn lock(&mut self, key: &str, now: Timestamp) -> Result<Guard, StoreError> {
        use login_guards::{ActiveModel, Column, Entity};
        // A row that others can wait for, before anything is read from it.
        let fresh = ActiveModel {
            key: Set(key.to_owned()),
            failures: Set(0),
            failed_at: Set(micros(now)),
            locked_until: Set(None),
        };
        Entity::insert(fresh)
            .on_conflict(OnConflict::column(Column::Key).do_nothing().to_owned())
            .exec_without_returning(self.unit.tx())
            .await
            .map_err(store)?;
        let mut query = Entity::find_by_id(key);
        if self.unit.locks_rows() {
            query = query.lock(LockType::Update);
        }
        let row = query.one(self.unit.tx()).await.map_err(store)?;
        Ok(match row {
            Some(row) => Guard {
                failures: u32::try_from(row.failures).unwrap_or_default(),
                failed_at: time(row.failed_at),
                locked_until: time_opt(row.locked_until),
            },
            None => Guard { failures: 0, failed_at: now, locked_until: None },
        })
    }

    async fn put(&mut self, key: &str, guard: &Guard) -> Result<(), StoreError> {
        use login_guards::{ActiveModel, Column, Entity};
        let row = ActiveModel {
            key: Set(key.to_owned()),
            failures: Set(i32::try_from(guard.failures).unwrap_or(i32::MAX)),
            failed_at: Set(micros(guard.failed_at)),
            locked_until: Set(micros_opt(guard.locked_until)),
        };
        let done =
            Entity::update_many().set(row).filter(Column::Key.eq(key)).exec(self.unit.tx()).await;
        done.map(|_| ()).map_err(store)
    }
}

/// The attempts to log in.
pub(super) struct SeaAttempts<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaAttempts<'_> {
    async fn page(
        &self,
        filter: sea_orm::Condition,
        page: PageRequest,
    ) -> Result<Page<LoginAttempt>, StoreError> {
        use login_attempts::{Column, Entity};
        let rows = paged(Entity::find().filter(filter), Column::Id, page).all(self.unit.tx()).await;
        let rows: Result<Vec<_>, _> = rows.map_err(store)?.iter().map(attempt).collect();
        Ok(Page::from_rows(rows?, page, |attempt| attempt.id.uuid()))
    }
}

#[async_trait]
impl AttemptLog for SeaAttempts<'_> {
    async fn add(&mut self, attempt: &LoginAttempt) -> Result<(), StoreError> {
        let row = login_attempts::ActiveModel {
            id: Set(attempt.id.uuid()),
            account_id: Set(attempt.account.map(AccountId::uuid)),
            user_id: Set(attempt.user.map(UserId::uuid)),
            door: Set(attempt.door.as_str().to_owned()),
            outcome: Set(attempt.outcome.as_str().to_owned()),
            address: Set(attempt.address.map(|address| address.to_string())),
            at: Set(micros(attempt.at)),
        };
        let done = login_attempts::Entity::insert(row).exec_without_returning(self.unit.tx());
        done.await.map(|_| ()).map_err(store)
    }

    async fn of_user(
        &mut self,
        user: UserId,
        page: PageRequest,
    ) -> Result<Page<LoginAttempt>, StoreError> {
        let mine = login_attempts::Column::UserId.eq(user.uuid());
        self.page(sea_orm::Condition::all().add(mine), page).await
    }

    async fn of_realm(
        &mut self,
        realm: Realm,
        page: PageRequest,
    ) -> Result<Page<LoginAttempt>, StoreError> {
        self.page(in_realm(realm, login_attempts::Column::AccountId), page).await
    }
}

fn attempt(row: &login_attempts::Model) -> Result<LoginAttempt, StoreError> {
    let cell = |name| column("login_attempts", &row.id, name);
    let address = row.address.as_deref().map(|text| cell("address").word(text)).transpose()?;
    Ok(LoginAttempt {
        id: AuditId::from(row.id),
        account: row.account_id.map(AccountId::from),
        user: row.user_id.map(UserId::from),
        door: cell("door").word(&row.door)?,
        outcome: cell("outcome").word(&row.outcome)?,
        address,
        at: time(row.at),
    })
}
