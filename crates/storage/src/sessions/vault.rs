//! The vault over a database.

use async_trait::async_trait;
use kabar_channel::vault::{Change, Fence, Item, SessionVault, Shelf, VaultError};
use kabar_core::{DeviceId, StoreError, Work};

use super::change::{begins, on_shelf, statements};
use super::limits;
use super::row::{READ, item};
use crate::Database;
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

/// Keys of one statement that reads, at most.
const KEYS: usize = 500;

impl Database {
    /// A unit of work that writes to a device's shelves, if the fence still holds: nobody takes the
    /// device over before the unit ends.
    pub(crate) async fn fenced(&self, fence: Fence) -> Result<Unit, VaultError> {
        let unit = self.writing().await?;
        let mut sql = Sql::new(unit.tx());
        if sql.is_postgres() {
            // In one statement, so that no time passes between the lock and its limits.
            sql.push(&limits());
        } else {
            sql.push("SELECT 1");
        }
        sql.push(" FROM session_leases WHERE device_id = ")
            .bind(fence.device.uuid())
            .push(" AND fence = ")
            .bind(i64::try_from(fence.token).unwrap_or(i64::MAX))
            .on_postgres(" FOR KEY SHARE");
        if unit.rows(sql).await?.is_empty() {
            return Err(VaultError::Fenced(fence.device));
        }
        Ok(unit)
    }

    /// The items that a query finds.
    async fn items(
        &self,
        device: DeviceId,
        shelf: Shelf,
        sql: Sql,
    ) -> Result<Vec<Item>, StoreError> {
        let rows = self.look(sql).await?;
        rows.iter().map(|row| item(self.ring(), device, shelf, row)).collect()
    }
}

async fn commit(unit: Unit) -> Result<(), VaultError> {
    Ok(Work::commit(Box::new(unit)).await?)
}

#[async_trait]
impl SessionVault for Database {
    async fn get(
        &self,
        device: DeviceId,
        shelf: Shelf,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Item>, VaultError> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        let mut items = Vec::with_capacity(keys.len());
        for chunk in chunks(&keys, KEYS) {
            let mut sql = self.sql();
            sql.push(READ);
            on_shelf(&mut sql, device, shelf);
            sql.push(" AND key IN ").among(chunk.to_vec());
            items.extend(self.items(device, shelf, sql).await?);
        }
        Ok(items)
    }

    async fn list(
        &self,
        device: DeviceId,
        shelf: Shelf,
        prefix: &[u8],
    ) -> Result<Vec<Item>, VaultError> {
        let mut sql = self.sql();
        sql.push(READ);
        on_shelf(&mut sql, device, shelf);
        begins(&mut sql, prefix);
        sql.push(" ORDER BY key");
        Ok(self.items(device, shelf, sql).await?)
    }

    async fn any(
        &self,
        device: DeviceId,
        beginnings: &[(Shelf, &[u8])],
    ) -> Result<bool, VaultError> {
        if beginnings.is_empty() {
            return Ok(false);
        }
        let mut sql = self.sql();
        for (index, (shelf, prefix)) in beginnings.iter().enumerate() {
            sql.push(if index == 0 { "SELECT 1 AS one WHERE " } else { " OR " });
            sql.push("EXISTS (SELECT 1 FROM session_values");
            on_shelf(&mut sql, device, *shelf);
            begins(&mut sql, prefix);
            sql.push(")");
        }
        Ok(!self.look(sql).await?.is_empty())
    }

    async fn count(&self, device: DeviceId, shelf: Shelf) -> Result<u64, VaultError> {
        let mut sql = self.sql();
        sql.push("SELECT COUNT(*) AS items FROM session_values");
        on_shelf(&mut sql, device, shelf);
        let rows = self.look(sql).await?;
        let count = rows.first().map_or(Ok(0_i64), |row| row.try_get("", "items"));
        Ok(count.map_err(store)?.unsigned_abs())
    }

    async fn write(&self, fence: Fence, changes: Vec<Change>) -> Result<(), VaultError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut all = Vec::new();
        for change in changes {
            all.extend(statements(self, fence.device, change)?);
        }
        let unit = self.fenced(fence).await?;
        unit.execute_all(all).await?;
        commit(unit).await
    }

    async fn take(
        &self,
        fence: Fence,
        shelf: Shelf,
        key: &[u8],
    ) -> Result<Option<Item>, VaultError> {
        let unit = self.fenced(fence).await?;
        let mut sql = Sql::new(unit.tx());
        sql.push("DELETE FROM session_values");
        on_shelf(&mut sql, fence.device, shelf);
        sql.push(" AND key = ")
            .bind(key.to_vec())
            .push(" RETURNING key, value, sealed_by, due, mark, tag");
        let rows = unit.rows(sql).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let taken = item(unit.ring(), fence.device, shelf, row)?;
        commit(unit).await?;
        Ok(Some(taken))
    }

    async fn sweep(&self, fence: Fence, shelf: Shelf, before: i64) -> Result<u64, VaultError> {
        let unit = self.fenced(fence).await?;
        let mut sql = Sql::new(unit.tx());
        sql.push("DELETE FROM session_values");
        on_shelf(&mut sql, fence.device, shelf);
        sql.push(" AND due < ").bind(before);
        let gone = unit.execute(sql).await?;
        commit(unit).await?;
        Ok(gone)
    }
}
