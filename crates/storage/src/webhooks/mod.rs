//! Webhook endpoints, deliveries and lanes.

mod delivery;
mod endpoint;
mod entity;
mod fan_out;
mod lane;
mod resend;

use kabar_core::{InstallationScope, Scope, StoreError, Timestamp};
use kabar_webhooks::repo::{
    DeliveryRepo, EndpointRepo, FanOutRepo, ResendRepo, WebhookLaneRepo, WebhooksWork,
};
use uuid::Uuid;

use crate::convert::micros;
use crate::raw::Sql;
use crate::unit::Unit;

/// When a delivery is due that waits behind another, and when an empty lane is ready: never.
const NEVER: i64 = i64::MAX;
/// Rows of one `INSERT`, kept below SQLite's 32,766 bound values.
const CHUNK: usize = 1_000;

impl WebhooksWork for Unit {
    fn endpoints(&self, scope: Scope) -> Box<dyn EndpointRepo + '_> {
        Box::new(endpoint::SeaEndpoints { unit: self, scope })
    }

    fn deliveries(&self, scope: Scope) -> Box<dyn DeliveryRepo + '_> {
        Box::new(delivery::SeaDeliveries { unit: self, scope })
    }

    fn resends(&self, scope: Scope) -> Box<dyn ResendRepo + '_> {
        Box::new(resend::SeaResends { unit: self, scope })
    }

    fn fan_out(&self, _scope: InstallationScope) -> Box<dyn FanOutRepo + '_> {
        Box::new(fan_out::SeaFanOut { unit: self })
    }

    fn webhook_lanes(&self, _scope: InstallationScope) -> Box<dyn WebhookLaneRepo + '_> {
        Box::new(lane::SeaWebhookLanes { unit: self })
    }
}

/// Locks the lanes of endpoints in the order of their keys, so that what is decided about their
/// deliveries afterwards is decided by one at a time. Returns those that exist.
async fn lock_lanes(unit: &Unit, endpoints: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    if endpoints.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(unit.tx());
    sql.push("SELECT endpoint_id FROM webhook_lanes WHERE endpoint_id IN ")
        .list(endpoints.iter().copied())
        .push(" ORDER BY endpoint_id")
        .on_postgres(" FOR UPDATE");
    let rows = unit.rows(sql).await?;
    rows.iter().map(|row| row.try_get("", "endpoint_id").map_err(crate::error::store)).collect()
}

/// Makes lanes ready that have something due now; claimed lanes look by themselves.
async fn make_ready(unit: &Unit, endpoints: &[Uuid], now: Timestamp) -> Result<(), StoreError> {
    let now = micros(now);
    let mut sql = Sql::new(unit.tx());
    sql.push("UPDATE webhook_lanes SET ready_at = CASE WHEN hold_until > ")
        .bind(now)
        .push(" THEN hold_until ELSE ")
        .bind(now)
        .push(" END WHERE owner IS NULL AND ready_at > ")
        .bind(now)
        .push(" AND endpoint_id IN ")
        .list(endpoints.iter().copied());
    unit.execute(sql).await.map(|_| ())
}

/// Makes the first delivery of each chat due that waits behind nobody any more.
async fn move_up(
    unit: &Unit,
    endpoint: Uuid,
    chats: &[Uuid],
    now: Timestamp,
) -> Result<(), StoreError> {
    if chats.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new(unit.tx());
    sql.push("WITH chats(chat_id) AS (VALUES ");
    for (index, chat) in chats.iter().enumerate() {
        sql.push(if index == 0 { "(" } else { ", (" }).bind(*chat).push(")");
    }
    sql.push(") UPDATE webhook_deliveries SET due_at = ")
        .bind(micros(now))
        .push(" WHERE due_at = ")
        .bind(NEVER)
        .push(" AND id IN (SELECT (SELECT d.id FROM webhook_deliveries d WHERE d.endpoint_id = ")
        .bind(endpoint)
        .push(
            " AND d.chat_id = chats.chat_id AND d.state = 'pending' \
         ORDER BY d.event_transaction, d.event_number LIMIT 1) FROM chats)",
        );
    unit.execute(sql).await.map(|_| ())
}
