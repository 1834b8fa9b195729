//! What came in and could not be placed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_core::{AccountId, DeviceId, MessageId, StoreError};
use kabar_messaging::repo::{InboxRepo, ParkedStatus, QuarantineRow, RawRow, Receipt};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use super::entity::{parked, quarantine, receipt};
use super::message::CHUNK;
use crate::convert::{column, json, micros, time};
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

/// Ranks of statuses, so that a receipt never goes backwards.
const RANK: &str = "CASE {}.status WHEN 'sent' THEN 1 WHEN 'delivered' THEN 2 WHEN 'read' THEN 3 \
                    WHEN 'played' THEN 4 ELSE 0 END";

/// The same rank, before it gets there.
fn rank(status: &str) -> u8 {
    status.parse().map_or(0, kabar_messaging::Status::rank)
}

/// The columns of a body that is kept as it came.
const RAW: [&str; 5] = ["id", "app_id", "hash", "body", "at"];

pub(super) struct SeaInbox<'a> {
    pub(super) unit: &'a Unit,
}

#[async_trait]
impl InboxRepo for SeaInbox<'_> {
    async fn keep_raw(&mut self, bodies: &[RawRow]) -> Result<(), StoreError> {
        let mut statements = Vec::new();
        for chunk in chunks(bodies, self.unit.at_most(CHUNK, 1_500)) {
            let rows = chunk.iter().map(|body| {
                [
                    body.id.into(),
                    body.app.uuid().into(),
                    body.hash.to_vec().into(),
                    body.bytes.to_vec().into(),
                    micros(body.at).into(),
                ]
            });
            let mut sql = Sql::insert(self.unit.tx(), "raw_bodies", &RAW, rows);
            sql.push(" ON CONFLICT (app_id, hash) DO NOTHING");
            statements.push(sql);
        }
        self.unit.execute_all(statements).await.map(|_| ())
    }

    async fn quarantine(&mut self, items: &[QuarantineRow]) -> Result<(), StoreError> {
        for chunk in items.chunks(CHUNK) {
            let rows = chunk.iter().map(|item| quarantine::ActiveModel {
                id: Set(item.id),
                account_id: Set(item.account.map(AccountId::uuid)),
                device_id: Set(item.device.map(DeviceId::uuid)),
                hash: Set(item.hash.to_vec()),
                problem: Set(item.problem.clone()),
                raw: Set(item.raw.clone()),
                at: Set(micros(item.at)),
            });
            quarantine::Entity::insert_many(rows)
                .on_conflict(OnConflict::column(quarantine::Column::Hash).do_nothing().to_owned())
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn park(&mut self, statuses: &[ParkedStatus]) -> Result<(), StoreError> {
        for chunk in statuses.chunks(CHUNK) {
            let rows = chunk
                .iter()
                .map(|status| {
                    Ok(parked::ActiveModel {
                        id: Set(status.id),
                        device_id: Set(status.device.uuid()),
                        wire_id: Set(status.status.wire_id.clone()),
                        status: Set(json(&status.status)?),
                        at: Set(micros(status.at)),
                    })
                })
                .collect::<Result<Vec<_>, StoreError>>()?;
            parked::Entity::insert_many(rows)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn take_parked(
        &mut self,
        wire_ids: &[(DeviceId, String)],
    ) -> Result<Vec<ParkedStatus>, StoreError> {
        if wire_ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut devices: BTreeMap<DeviceId, Vec<&str>> = BTreeMap::new();
        for (device, wire_id) in wire_ids {
            devices.entry(*device).or_default().push(wire_id);
        }
        let any = devices.into_iter().fold(Condition::any(), |any, (device, ids)| {
            any.add(
                Condition::all()
                    .add(parked::Column::DeviceId.eq(device.uuid()))
                    .add(parked::Column::WireId.is_in(ids)),
            )
        });
        let rows = parked::Entity::delete_many()
            .filter(any)
            .exec_with_returning(self.unit.tx())
            .await
            .map_err(store)?;
        let mut taken = rows
            .into_iter()
            .map(|row| {
                Ok(ParkedStatus {
                    id: row.id,
                    device: DeviceId::from(row.device_id),
                    status: column("parked_statuses", &row.id, "status").json(row.status)?,
                    at: time(row.at),
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        taken.sort_by_key(|parked| parked.id);
        Ok(taken)
    }

    async fn parked_with_message(
        &mut self,
        limit: u16,
    ) -> Result<Vec<(DeviceId, String)>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "SELECT DISTINCT p.device_id AS device_id, p.wire_id AS wire_id \
             FROM parked_statuses p JOIN messages m \
             ON m.device_id = p.device_id AND m.wire_id = p.wire_id LIMIT ",
        )
        .bind(i64::from(limit));
        let rows = self.unit.rows(sql).await?;
        rows.iter()
            .map(|row| {
                let device: Uuid = row.try_get("", "device_id").map_err(store)?;
                let wire_id: String = row.try_get("", "wire_id").map_err(store)?;
                Ok((DeviceId::from(device), wire_id))
            })
            .collect()
    }

    async fn receipts(&mut self, receipts: &[Receipt]) -> Result<(), StoreError> {
        // One row per key in a statement, the furthest: a batch can be in any order.
        let mut furthest: BTreeMap<(Uuid, &str), &Receipt> = BTreeMap::new();
        for receipt in receipts {
            let key = (receipt.message.uuid(), receipt.participant.as_str());
            let known = furthest.entry(key).or_insert(receipt);
            if rank(&receipt.status) > rank(&known.status) {
                *known = receipt;
            }
        }
        let rows: Vec<receipt::ActiveModel> = furthest
            .into_values()
            .map(|receipt| receipt::ActiveModel {
                message_id: Set(receipt.message.uuid()),
                participant: Set(receipt.participant.clone()),
                status: Set(receipt.status.clone()),
                at: Set(micros(receipt.at)),
            })
            .collect();
        let higher =
            format!("{} > {}", RANK.replace("{}", "excluded"), RANK.replace("{}", "receipts"));
        for chunk in rows.chunks(CHUNK) {
            receipt::Entity::insert_many(chunk.to_vec())
                .on_conflict(
                    OnConflict::columns([receipt::Column::MessageId, receipt::Column::Participant])
                        .update_columns([receipt::Column::Status, receipt::Column::At])
                        .action_and_where(Expr::cust(higher.clone()))
                        .to_owned(),
                )
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn receipts_of(&mut self, message: MessageId) -> Result<Vec<Receipt>, StoreError> {
        let rows = receipt::Entity::find()
            .filter(receipt::Column::MessageId.eq(message.uuid()))
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let receipts = rows.into_iter().map(|row| Receipt {
            message: MessageId::from(row.message_id),
            participant: row.participant,
            status: row.status,
            at: time(row.at),
        });
        Ok(receipts.collect())
    }
}
