//! Accounts.

use async_trait::async_trait;
use kabar_accounts::Account;
use kabar_accounts::account::{AccountRegistry, AccountRepo};
use kabar_core::{AccountId, Page, PageRequest, PhoneNumber, Scope, StoreError};
use sea_orm::ColumnTrait as _;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    EntityTrait as _, QueryFilter as _, QuerySelect as _, Select,
};

use super::entity::accounts::{ActiveModel, Column, Entity, Model};
use super::paged;
use crate::convert::{column, micros, time};
use crate::error::{bad_row, store};
use crate::unit::Unit;

/// One account's own row.
pub(super) struct SeaAccount<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

/// The accounts of the installation.
pub(super) struct SeaAccounts<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaAccount<'_> {
    fn row(&self) -> Select<Entity> {
        Entity::find().filter(Column::Id.eq(self.scope.account().uuid()))
    }

    async fn one(&self, query: Select<Entity>) -> Result<Option<Account>, StoreError> {
        let row = query.one(self.unit.tx()).await.map_err(store)?;
        row.map(account).transpose()
    }
}

#[async_trait]
impl AccountRepo for SeaAccount<'_> {
    async fn get(&mut self) -> Result<Option<Account>, StoreError> {
        self.one(self.row()).await
    }

    async fn lock(&mut self) -> Result<Option<Account>, StoreError> {
        let row = self.row();
        if self.unit.locks_rows() {
            self.one(row.lock(LockType::Update)).await
        } else {
            self.one(row).await
        }
    }

    async fn update(&mut self, account: &Account) -> Result<bool, StoreError> {
        let values = ActiveModel { id: NotSet, created_at: NotSet, ..active(account) };
        let done = Entity::update_many()
            .set(values)
            .filter(Column::Id.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }
}

#[async_trait]
impl AccountRegistry for SeaAccounts<'_> {
    async fn insert(&mut self, account: &Account) -> Result<(), StoreError> {
        Entity::insert(active(account))
            .exec_without_returning(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<Account>, StoreError> {
        let rows =
            paged(Entity::find(), Column::Id, page).all(self.unit.tx()).await.map_err(store)?;
        let accounts: Result<Vec<Account>, StoreError> = rows.into_iter().map(account).collect();
        Ok(Page::from_rows(accounts?, page, |account| account.id.uuid()))
    }
}

fn active(account: &Account) -> ActiveModel {
    ActiveModel {
        id: Set(account.id.uuid()),
        name: Set(account.name.clone()),
        active: Set(account.active),
        time_zone: Set(account.time_zone.name().to_owned()),
        country: Set(account.country.clone()),
        fallback_number: Set(account.fallback_number.as_ref().map(|it| it.as_str().to_owned())),
        created_at: Set(micros(account.created_at)),
        updated_at: Set(micros(account.updated_at)),
    }
}

fn account(row: Model) -> Result<Account, StoreError> {
    Ok(Account {
        fallback_number: phone(&row)?,
        id: AccountId::from(row.id),
        name: row.name,
        active: row.active,
        time_zone: column("accounts", &row.id, "time_zone").word(&row.time_zone)?,
        country: row.country,
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

fn phone(row: &Model) -> Result<Option<PhoneNumber>, StoreError> {
    let number = row.fallback_number.as_deref().map(|text| PhoneNumber::parse(text, None));
    let wrong = |error| bad_row("accounts", row.id, "fallback_number", error);
    number.transpose().map_err(wrong)
}
