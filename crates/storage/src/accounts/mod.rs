//! Accounts, users, API keys and the audit log.

mod account;
mod audit;
mod entity;
mod key;
mod login;
mod registration;
mod session;
mod totp;
mod user;

use kabar_accounts::account::{AccountRegistry, AccountRepo};
use kabar_accounts::guard::GuardRepo;
use kabar_accounts::key::{KeyRegistry, KeyRepo};
use kabar_accounts::login::{AttemptLog, LoginRepo};
use kabar_accounts::registration::RegistrationRepo;
use kabar_accounts::session::SessionRepo;
use kabar_accounts::totp::TotpRepo;
use kabar_accounts::user::{UserRegistry, UserRepo};
use kabar_accounts::{AccountsWork, Realm};
use kabar_core::{InstallationScope, PageRequest, Scope, StoreError};
use sea_orm::sea_query::{Query, SelectStatement};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

use crate::error::store;
use crate::unit::Unit;

impl AccountsWork for Unit {
    fn account(&self, scope: Scope) -> Box<dyn AccountRepo + '_> {
        Box::new(account::SeaAccount { unit: self, scope })
    }

    fn account_registry(&self, _scope: InstallationScope) -> Box<dyn AccountRegistry + '_> {
        Box::new(account::SeaAccounts { unit: self })
    }

    fn users(&self, realm: Realm) -> Box<dyn UserRepo + '_> {
        Box::new(user::SeaUsers { unit: self, realm })
    }

    fn user_registry(&self, _scope: InstallationScope) -> Box<dyn UserRegistry + '_> {
        Box::new(user::SeaUserRegistry { unit: self })
    }

    fn keys(&self, realm: Realm) -> Box<dyn KeyRepo + '_> {
        Box::new(key::SeaKeys { unit: self, realm })
    }

    fn key_registry(&self, _scope: InstallationScope) -> Box<dyn KeyRegistry + '_> {
        Box::new(key::SeaKeyRegistry { unit: self })
    }

    fn logins(&self, _scope: InstallationScope) -> Box<dyn LoginRepo + '_> {
        Box::new(login::SeaLogins { unit: self })
    }

    fn guards(&self, _scope: InstallationScope) -> Box<dyn GuardRepo + '_> {
        Box::new(login::SeaGuards { unit: self })
    }

    fn attempts(&self, _scope: InstallationScope) -> Box<dyn AttemptLog + '_> {
        Box::new(login::SeaAttempts { unit: self })
    }

    fn registrations(&self, _scope: InstallationScope) -> Box<dyn RegistrationRepo + '_> {
        Box::new(registration::SeaRegistrations { unit: self })
    }

    fn sessions(&self, _scope: InstallationScope) -> Box<dyn SessionRepo + '_> {
        Box::new(session::SeaSessions { unit: self })
    }

    fn totp(&self, _scope: InstallationScope) -> Box<dyn TotpRepo + '_> {
        Box::new(totp::SeaTotp { unit: self })
    }
}

/// The 32 bytes of a hash.
fn hash(
    table: &'static str,
    row: uuid::Uuid,
    column: &'static str,
    bytes: &[u8],
) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| crate::error::bad_row(table, row, column, "not 32 bytes"))
}

/// Rows of a realm, by the column of their account.
pub(crate) fn in_realm<C: ColumnTrait>(realm: Realm, account: C) -> sea_orm::Condition {
    let condition = sea_orm::Condition::all();
    match realm.account() {
        Some(id) => condition.add(account.eq(id.uuid())),
        None => condition.add(account.is_null()),
    }
}

/// A page of rows, newest first, and one more to see whether there are more.
pub(crate) fn paged<E: EntityTrait>(
    query: Select<E>,
    id: E::Column,
    page: PageRequest,
) -> Select<E> {
    let query = match page.after {
        Some(after) => query.filter(id.lt(after.id())),
        None => query,
    };
    query.order_by_desc(id).limit(u64::from(page.limit).saturating_add(1))
}

/// An error whose conflict on `columns` (SQLite's words for it) is known by the index's `name`.
pub(crate) fn store_naming(error: DbErr, columns: &str, name: &str) -> StoreError {
    match store(error) {
        StoreError::Conflict { constraint } if constraint == columns => {
            StoreError::Conflict { constraint: name.to_owned() }
        }
        error => error,
    }
}

/// The ids of active accounts, for conditions.
pub(crate) fn active_accounts() -> SelectStatement {
    use entity::accounts::{Column, Entity};
    Query::select().column(Column::Id).from(Entity).and_where(Column::Active.eq(true)).to_owned()
}
