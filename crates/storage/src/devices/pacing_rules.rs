//! What an account sets for the pace of all its devices.

use async_trait::async_trait;
use kabar_core::{Scope, StoreError};
use kabar_devices::pacing::AccountPacing;
use kabar_devices::repo::PacingRulesRepo;

use crate::convert::{column, json};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

/// The rules of a scope's account.
pub(super) struct SeaPacingRules<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

#[async_trait]
impl PacingRulesRepo for SeaPacingRules<'_> {
    async fn get(&mut self) -> Result<Option<AccountPacing>, StoreError> {
        let account = self.scope.account();
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT settings FROM pacing_accounts WHERE account_id = ").bind(account.uuid());
        let rows = self.unit.rows(sql).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let settings = row.try_get("", "settings").map_err(store)?;
        column("pacing_accounts", &account, "settings").json(settings).map(Some)
    }

    async fn set(&mut self, rules: &AccountPacing) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO pacing_accounts (account_id, settings) VALUES (")
            .bind(self.scope.account().uuid())
            .push(", ")
            .bind(json(rules)?)
            .push(") ON CONFLICT (account_id) DO UPDATE SET settings = excluded.settings");
        self.unit.execute(sql).await.map(|_| ())
    }
}
