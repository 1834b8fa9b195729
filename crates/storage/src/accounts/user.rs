//! Users.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kabar_accounts::user::{EMAIL_CONSTRAINT, UserRegistry, UserRepo};
use kabar_accounts::{Realm, User};
use kabar_core::{AccountId, Page, PageRequest, Permission, Role, StoreError, UserId};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Select,
};

use super::entity::users::{ActiveModel, Column, Entity, Model};
use super::{in_realm, paged, store_naming};
use crate::convert::{Column as Cell, column, micros, time};
use crate::error::store;
use crate::unit::Unit;

/// The users of a realm.
pub(super) struct SeaUsers<'a> {
    pub(super) unit: &'a Unit,
    pub(super) realm: Realm,
}

/// The users of the installation.
pub(super) struct SeaUserRegistry<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaUsers<'_> {
    fn rows(&self) -> Select<Entity> {
        Entity::find().filter(in_realm(self.realm, Column::AccountId))
    }

    async fn one(&self, query: Select<Entity>, id: UserId) -> Result<Option<User>, StoreError> {
        let row =
            query.filter(Column::Id.eq(id.uuid())).one(self.unit.tx()).await.map_err(store)?;
        row.map(user).transpose()
    }
}

#[async_trait]
impl UserRepo for SeaUsers<'_> {
    async fn insert(&mut self, user: &User) -> Result<(), StoreError> {
        Entity::insert(active(user, self.realm))
            .exec_without_returning(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(email_conflict)
    }

    async fn get(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        self.one(self.rows(), id).await
    }

    async fn lock(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        if self.unit.locks_rows() {
            self.one(self.rows().lock(LockType::Update), id).await
        } else {
            self.one(self.rows(), id).await
        }
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<User>, StoreError> {
        let rows = paged(self.rows(), Column::Id, page).all(self.unit.tx()).await.map_err(store)?;
        let users: Result<Vec<User>, StoreError> = rows.into_iter().map(user).collect();
        Ok(Page::from_rows(users?, page, |user| user.id.uuid()))
    }

    async fn lock_active(&mut self, role: Role) -> Result<Vec<UserId>, StoreError> {
        let mut query = self
            .rows()
            .filter(Column::Role.eq(role.as_str()))
            .filter(Column::Active.eq(true))
            .order_by_asc(Column::Id);
        if self.unit.locks_rows() {
            query = query.lock(LockType::Update);
        }
        let rows = query.all(self.unit.tx()).await.map_err(store)?;
        Ok(rows.into_iter().map(|row| UserId::from(row.id)).collect())
    }

    async fn update(&mut self, user: &User) -> Result<bool, StoreError> {
        let values = ActiveModel {
            id: NotSet,
            account_id: NotSet,
            created_at: NotSet,
            ..active(user, self.realm)
        };
        let done = Entity::update_many()
            .set(values)
            .filter(in_realm(self.realm, Column::AccountId))
            .filter(Column::Id.eq(user.id.uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(email_conflict)?;
        Ok(done.rows_affected == 1)
    }
}

#[async_trait]
impl UserRegistry for SeaUserRegistry<'_> {
    async fn by_email(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        let row = Entity::find()
            .filter(Column::Email.eq(email))
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        row.map(user).transpose()
    }

    async fn has_provider_admin(&mut self) -> Result<bool, StoreError> {
        let row = Entity::find()
            .filter(Column::AccountId.is_null())
            .filter(Column::Role.eq(Role::ProviderAdmin.as_str()))
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(row.is_some())
    }
}

fn email_conflict(error: DbErr) -> StoreError {
    store_naming(error, "users.email", EMAIL_CONSTRAINT)
}

fn active(user: &User, realm: Realm) -> ActiveModel {
    ActiveModel {
        id: Set(user.id.uuid()),
        account_id: Set(realm.account().map(AccountId::uuid)),
        email: Set(user.email.clone()),
        name: Set(user.name.clone()),
        role: Set(user.role.as_str().to_owned()),
        permissions: Set(words(&user.permissions)),
        active: Set(user.active),
        created_at: Set(micros(user.created_at)),
        updated_at: Set(micros(user.updated_at)),
    }
}

pub(super) fn user(row: Model) -> Result<User, StoreError> {
    let cell = |name| column("users", &row.id, name);
    Ok(User {
        role: cell("role").word(&row.role)?,
        permissions: permissions(&cell("permissions"), row.permissions)?,
        id: UserId::from(row.id),
        account: row.account_id.map(AccountId::from),
        email: row.email,
        name: row.name,
        active: row.active,
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

/// Permissions as a list of their words.
pub(super) fn words(permissions: &BTreeSet<Permission>) -> serde_json::Value {
    permissions.iter().map(|p| p.as_str()).collect()
}

/// Permissions out of a list of their words.
pub(super) fn permissions(
    cell: &Cell<'_>,
    words: serde_json::Value,
) -> Result<BTreeSet<Permission>, StoreError> {
    let words: Vec<String> = cell.json(words)?;
    words.iter().map(|word| cell.word(word)).collect()
}
