//! WhatsApp business accounts.

use async_trait::async_trait;
use kabar_core::{Scope, StoreError, Timestamp};
use kabar_devices::meta::BusinessAccountRepo;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, EntityTrait as _};

use super::entity::meta_business_accounts::{ActiveModel, Column, Entity};
use crate::convert::micros;
use crate::error::store;
use crate::unit::Unit;

/// The business accounts of a scope.
pub(super) struct SeaBusinessAccounts<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

#[async_trait]
impl BusinessAccountRepo for SeaBusinessAccounts<'_> {
    async fn seen(
        &mut self,
        meta_id: &str,
        portfolio: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let row = ActiveModel {
            account_id: Set(self.scope.account().uuid()),
            meta_id: Set(meta_id.to_owned()),
            portfolio: Set(portfolio.map(str::to_owned)),
            name: Set(None),
            updated_at: Set(micros(at)),
        };
        let known = Expr::cust("coalesce(excluded.portfolio, meta_business_accounts.portfolio)");
        let update = OnConflict::columns([Column::AccountId, Column::MetaId])
            .value(Column::Portfolio, known)
            .update_column(Column::UpdatedAt)
            .to_owned();
        Entity::insert(row)
            .on_conflict(update)
            .exec_without_returning(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }
}
