//! How the installation is, and its alerts.

mod alerts;
mod vitals;

use async_trait::async_trait;
use kabar_core::{AccountId, AlertId, InstallationScope, Scope, StoreError, Timestamp};
use kabar_operations::{Alert, AlertRepo, OperationsRepo, OperationsWork, Vitals};
use serde_json::Value;

use crate::convert::micros;
use crate::raw::Sql;
use crate::unit::Unit;

/// The owner of the provider's settings.
const PROVIDER: &str = "provider";

impl OperationsWork for Unit {
    fn operations(&self, _scope: InstallationScope) -> Box<dyn OperationsRepo + '_> {
        Box::new(SeaOperations { unit: self })
    }

    fn alerts(&self, scope: Scope) -> Box<dyn AlertRepo + '_> {
        Box::new(alerts::SeaAlerts { unit: self, scope })
    }
}

struct SeaOperations<'a> {
    unit: &'a Unit,
}

#[async_trait]
impl OperationsRepo for SeaOperations<'_> {
    async fn vitals(&mut self, now: Timestamp) -> Result<Vitals, StoreError> {
        vitals::read(self.unit, now).await
    }

    async fn take_turn(
        &mut self,
        watch: &'static str,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO watches (name, checked_at) VALUES (")
            .bind(watch)
            .push(", ")
            .bind(micros(now))
            .push(
                ") ON CONFLICT (name) DO UPDATE SET checked_at = excluded.checked_at \
                 WHERE watches.checked_at <= ",
            )
            .bind(micros(before));
        Ok(self.unit.execute(sql).await? == 1)
    }

    async fn alerts(&mut self) -> Result<Vec<Alert>, StoreError> {
        alerts::all(self.unit).await
    }

    async fn save(&mut self, alerts: &[Alert]) -> Result<(), StoreError> {
        alerts::save(self.unit, alerts).await
    }

    async fn forget(&mut self, ids: &[AlertId]) -> Result<(), StoreError> {
        alerts::forget(self.unit, ids).await
    }

    async fn settings(&mut self) -> Result<Vec<(Option<AccountId>, Value)>, StoreError> {
        alerts::settings(self.unit).await
    }

    async fn set(&mut self, settings: &Value) -> Result<(), StoreError> {
        alerts::set(self.unit, PROVIDER.to_owned(), None, settings).await
    }
}
