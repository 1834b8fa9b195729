//! Every device of the installation.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_accounts::credential;
use kabar_channel::DeviceAddress;
use kabar_core::{DeviceId, PhoneNumber, StoreError, Timestamp};
use kabar_devices::{Device, DeviceRegistry, DeviceState};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _, Select,
};

use super::device::device;
use super::entity::devices::{Column, Entity};
use crate::accounts::active_accounts;
use crate::convert::micros;
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

/// Devices of whatever tenant.
pub(super) struct SeaDeviceRegistry<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaDeviceRegistry<'_> {
    async fn all(&self, query: Select<Entity>) -> Result<Vec<Device>, StoreError> {
        let rows = query.all(self.unit.tx()).await.map_err(store)?;
        rows.into_iter().map(|row| device(self.unit, row)).collect()
    }
}

/// What every query of the registry starts from: devices that were not removed.
fn present() -> Select<Entity> {
    Entity::find().filter(Column::RemovedAt.is_null())
}

#[async_trait]
impl DeviceRegistry for SeaDeviceRegistry<'_> {
    async fn by_ids(&mut self, ids: &[DeviceId]) -> Result<Vec<Device>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = ids.iter().map(|id| id.uuid());
        self.all(present().filter(Column::Id.is_in(ids))).await
    }

    async fn by_addresses(
        &mut self,
        addresses: &[DeviceAddress],
    ) -> Result<Vec<Device>, StoreError> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        // One condition per channel, so that it stays flat for any number of addresses.
        let mut channels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for address in addresses {
            channels.entry(address.channel.as_str()).or_default().push(&address.address);
        }
        let any = channels.into_iter().fold(Condition::any(), |any, (channel, addresses)| {
            any.add(
                Condition::all()
                    .add(Column::Channel.eq(channel))
                    .add(Column::Address.is_in(addresses)),
            )
        });
        self.all(present().filter(any)).await
    }

    async fn by_token(
        &mut self,
        id: DeviceId,
        hash: &[u8; 32],
    ) -> Result<Option<Device>, StoreError> {
        let row = present()
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::AccountId.in_subquery(active_accounts()))
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        let row = row.filter(|row| {
            let stored = row.token_hash.as_deref();
            stored.is_some_and(|stored| credential::same(stored, hash))
        });
        row.map(|row| device(self.unit, row)).transpose()
    }

    async fn by_parent(&mut self, parent: &str) -> Result<Vec<Device>, StoreError> {
        self.all(present().filter(Column::Parent.eq(parent))).await
    }

    async fn own_numbers(&mut self, numbers: &[String]) -> Result<Vec<String>, StoreError> {
        let known: Vec<Option<String>> = present()
            .select_only()
            .column(Column::Phone)
            .filter(Column::Phone.is_in(numbers.iter().map(String::as_str)))
            .into_tuple()
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(known.into_iter().flatten().collect())
    }

    async fn set_owner(
        &mut self,
        id: DeviceId,
        phone: &PhoneNumber,
        name: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE devices SET first_connected_at = CASE WHEN phone IS NULL OR phone = ")
            .bind(phone.as_str())
            .push(" THEN first_connected_at ELSE NULL END, phone = ")
            .bind(phone.as_str())
            .push(", verified_name = ")
            .bind(name.map(str::to_owned))
            .push(", updated_at = ")
            .bind(micros(at))
            .push(" WHERE removed_at IS NULL AND id = ")
            .bind(id.uuid());
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn set_state(
        &mut self,
        id: DeviceId,
        state: DeviceState,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE devices SET ");
        if state == DeviceState::Connected {
            sql.push("first_connected_at = COALESCE(first_connected_at, ")
                .bind(micros(at))
                .push("), ");
        }
        sql.push("state = ")
            .bind(state.as_str())
            .push(", state_reason = ")
            .bind(reason.map(str::to_owned))
            .push(", updated_at = ")
            .bind(micros(at))
            .push(" WHERE removed_at IS NULL AND (state <> ")
            .bind(state.as_str());
        match reason {
            Some(reason) => {
                sql.push(" OR state_reason IS NULL OR state_reason <> ").bind(reason.to_owned())
            }
            None => sql.push(" OR state_reason IS NOT NULL"),
        };
        sql.push(") AND id = ").bind(id.uuid());
        Ok(self.unit.execute(sql).await? == 1)
    }
}
