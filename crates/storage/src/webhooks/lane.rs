//! The lanes of all endpoints.

use async_trait::async_trait;
use kabar_core::{AccountId, ConversationId, DeliveryId, EndpointId, StoreError, Timestamp};
use kabar_webhooks::repo::{Due, LaneClaim, Outcome, WebhookLaneRepo};
use kabar_webhooks::{DeliveryState, Health};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryResult,
};
use uuid::Uuid;

use super::endpoint::healthy;
use super::entity::{attempt, lane};
use super::{NEVER, move_up};
use crate::convert::micros;
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

pub(super) struct SeaWebhookLanes<'a> {
    pub(super) unit: &'a Unit,
}

fn claim_of(row: &QueryResult) -> Result<LaneClaim, StoreError> {
    let endpoint: Uuid = row.try_get("", "endpoint_id").map_err(store)?;
    let account: Uuid = row.try_get("", "account_id").map_err(store)?;
    let fence: i64 = row.try_get("", "fence").map_err(store)?;
    let (endpoint, account) = (EndpointId::from(endpoint), AccountId::from(account));
    Ok(LaneClaim { endpoint, account, fence })
}

fn due_of(row: &QueryResult) -> Result<Due, StoreError> {
    let id: Uuid = row.try_get("", "id").map_err(store)?;
    let chat: Option<Uuid> = row.try_get("", "chat_id").map_err(store)?;
    let attempts: i32 = row.try_get("", "attempts").map_err(store)?;
    Ok(Due {
        id: DeliveryId::from(id),
        chat: chat.map(ConversationId::from),
        attempts: attempts.unsigned_abs(),
        payload: row.try_get("", "body").map_err(store)?,
    })
}

impl SeaWebhookLanes<'_> {
    /// Locks a lane, if the claim still holds.
    async fn lock(&self, owner: Uuid, claim: LaneClaim) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT endpoint_id FROM webhook_lanes WHERE endpoint_id = ")
            .bind(claim.endpoint.uuid())
            .push(" AND owner = ")
            .bind(owner)
            .push(" AND fence = ")
            .bind(claim.fence)
            .on_postgres(" FOR UPDATE");
        Ok(!self.unit.rows(sql).await?.is_empty())
    }

    async fn store_outcomes(&self, outcomes: &[Outcome], now: Timestamp) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("WITH v(id, state, tried, due_at, status, error, settled_at) AS (VALUES ");
        for (index, outcome) in outcomes.iter().enumerate() {
            let waits = outcome.state == DeliveryState::Pending;
            let attempt = outcome.attempt.as_ref();
            sql.push(if index == 0 { "(" } else { ", (" })
                .bind(outcome.delivery.uuid())
                .push(", ")
                .bind(outcome.state.as_str())
                .push(", ")
                .bind(i32::from(attempt.is_some()))
                .push(", ")
                .bind(micros(outcome.due_at))
                .push(", ")
                .bind(attempt.and_then(|attempt| attempt.status).map(i32::from))
                .push(", ")
                .bind(attempt.and_then(|attempt| attempt.error.clone()))
                .push(", ")
                .bind((!waits).then(|| micros(now)))
                .push(")");
        }
        sql.push(
            ") UPDATE webhook_deliveries SET state = v.state, \
             attempts = webhook_deliveries.attempts + v.tried, due_at = v.due_at, \
             last_status = v.status, last_error = v.error, settled_at = v.settled_at \
             FROM v WHERE webhook_deliveries.id = v.id \
             AND COALESCE(webhook_deliveries.state = 'pending', FALSE)",
        );
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn store_attempts(&self, outcomes: &[Outcome]) -> Result<(), StoreError> {
        let rows: Vec<attempt::ActiveModel> = outcomes
            .iter()
            .filter_map(|outcome| outcome.attempt.as_ref())
            .map(|attempt| attempt::ActiveModel {
                id: Set(attempt.id),
                delivery_id: Set(attempt.delivery.uuid()),
                at: Set(micros(attempt.at)),
                duration_ms: Set(i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX)),
                status: Set(attempt.status.map(i32::from)),
                error: Set(attempt.error.clone()),
                response: Set(attempt.response.clone()),
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        attempt::Entity::insert_many(rows)
            .exec_without_returning(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }
}

#[async_trait]
impl WebhookLaneRepo for SeaWebhookLanes<'_> {
    async fn any_ready(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT 1 AS one FROM webhook_lanes WHERE active AND ready_at <= ")
            .bind(micros(now))
            .push(" LIMIT 1");
        Ok(!self.unit.rows(sql).await?.is_empty())
    }

    async fn claim(
        &mut self,
        owner: Uuid,
        now: Timestamp,
        until: Timestamp,
        limit: u16,
    ) -> Result<Vec<LaneClaim>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "WITH picked AS (SELECT endpoint_id FROM webhook_lanes WHERE active AND ready_at <= ",
        )
        .bind(micros(now))
        .push(" ORDER BY ready_at LIMIT ")
        .bind(i64::from(limit))
        .on_postgres(" FOR UPDATE SKIP LOCKED")
        .push(") UPDATE webhook_lanes SET owner = ")
        .bind(owner)
        .push(", fence = webhook_lanes.fence + 1, ready_at = ")
        .bind(micros(until))
        .push(
            " FROM picked WHERE webhook_lanes.endpoint_id = picked.endpoint_id \
                 RETURNING webhook_lanes.endpoint_id AS endpoint_id, \
                 webhook_lanes.account_id AS account_id, webhook_lanes.fence AS fence",
        );
        let rows = self.unit.rows(sql).await?;
        rows.iter().map(claim_of).collect()
    }

    async fn renew(
        &mut self,
        owner: Uuid,
        claims: &[LaneClaim],
        until: Timestamp,
    ) -> Result<Vec<LaneClaim>, StoreError> {
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let mut claims = claims.to_vec();
        claims.sort_unstable_by_key(|claim| claim.endpoint);
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE webhook_lanes SET ready_at = ")
            .bind(micros(until))
            .push(" WHERE owner = ")
            .bind(owner)
            .push(" AND (endpoint_id, fence) IN (VALUES ");
        for (index, claim) in claims.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" })
                .bind(claim.endpoint.uuid())
                .push(", ")
                .bind(claim.fence)
                .push(")");
        }
        sql.push(") RETURNING endpoint_id, account_id, fence");
        let rows = self.unit.rows(sql).await?;
        rows.iter().map(claim_of).collect()
    }

    async fn due(
        &mut self,
        endpoint: EndpointId,
        now: Timestamp,
        limit: u16,
    ) -> Result<Vec<Due>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "SELECT d.id AS id, d.chat_id AS chat_id, d.attempts AS attempts, p.body AS body \
             FROM webhook_deliveries d LEFT JOIN webhook_payloads p ON p.delivery_id = d.id \
             WHERE d.state = 'pending' AND d.endpoint_id = ",
        )
        .bind(endpoint.uuid())
        .push(" AND d.due_at <= ")
        .bind(micros(now))
        .push(" ORDER BY d.due_at, d.id LIMIT ")
        .bind(i64::from(limit));
        let rows = self.unit.rows(sql).await?;
        rows.iter().map(due_of).collect()
    }

    async fn settle(
        &mut self,
        owner: Uuid,
        claim: LaneClaim,
        outcomes: &[Outcome],
        health: &Health,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mine = self.lock(owner, claim).await?;
        for chunk in outcomes.chunks(super::CHUNK) {
            self.store_outcomes(chunk, now).await?;
            self.store_attempts(chunk).await?;
        }
        let ended = |outcome: &&Outcome| outcome.state != DeliveryState::Pending;
        let mut chats: Vec<Uuid> = outcomes
            .iter()
            .filter(ended)
            .filter_map(|outcome| outcome.chat.map(ConversationId::uuid))
            .collect();
        chats.sort_unstable();
        chats.dedup();
        move_up(self.unit, claim.endpoint.uuid(), &chats, now).await?;
        if !mine {
            return Ok(());
        }
        lane::Entity::update_many()
            .set(healthy(health))
            .filter(lane::Column::EndpointId.eq(claim.endpoint.uuid()))
            .exec(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }

    async fn release(
        &mut self,
        owner: Uuid,
        claim: LaneClaim,
        rest: Timestamp,
    ) -> Result<(), StoreError> {
        // What is read about its deliveries below is newer than whoever touched the lane before.
        if !self.lock(owner, claim).await? {
            return Ok(());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("WITH next(due_at) AS (SELECT COALESCE((SELECT due_at FROM webhook_deliveries WHERE state = 'pending' AND endpoint_id = ")
            .bind(claim.endpoint.uuid())
            .push(" ORDER BY due_at LIMIT 1), ")
            .bind(NEVER)
            .push(")), rested(at) AS (SELECT CASE WHEN due_at > ")
            .bind(micros(rest))
            .push(" THEN due_at ELSE ")
            .bind(micros(rest))
            .push(
                " END FROM next) UPDATE webhook_lanes SET owner = NULL, ready_at = \
                 CASE WHEN webhook_lanes.hold_until > rested.at THEN webhook_lanes.hold_until \
                 ELSE rested.at END FROM rested WHERE webhook_lanes.endpoint_id = ",
            )
            .bind(claim.endpoint.uuid());
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn prune(
        &mut self,
        delivered: Timestamp,
        others: Timestamp,
        limit: u16,
    ) -> Result<u64, StoreError> {
        let parts: [(&str, Option<Timestamp>, &str); 4] = [
            ("state = 'delivered' AND settled_at < ", Some(delivered), ""),
            ("settled_at < ", Some(others), ""),
            (
                "state = 'pending' AND created_at < ",
                Some(others),
                " AND endpoint_id IN (SELECT endpoint_id FROM webhook_lanes WHERE NOT active)",
            ),
            (
                "endpoint_id IN (SELECT id FROM webhook_endpoints WHERE removed_at IS NOT NULL)",
                None,
                "",
            ),
        ];
        let mut removed = 0;
        for (condition, before, rest) in parts {
            let room = i64::from(limit) - i64::try_from(removed).unwrap_or(i64::MAX);
            if room <= 0 {
                break;
            }
            let mut sql = Sql::new(self.unit.tx());
            sql.push("DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE ")
                .push(condition);
            if let Some(before) = before {
                sql.bind(micros(before));
            }
            sql.push(rest).push(" LIMIT ").bind(room).push(")");
            removed += self.unit.execute(sql).await?;
        }
        Ok(removed)
    }
}
