//! A tenant's deliveries.

use async_trait::async_trait;
use kabar_core::{DeliveryId, EndpointId, Page, PageRequest, Scope, StoreError, Timestamp};
use kabar_events::Position;
use kabar_webhooks::repo::DeliveryRepo;
use kabar_webhooks::{Attempt, Delivery, DeliveryFilter, DeliveryState};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
};
use uuid::Uuid;

use super::entity::{attempt, delivery, payload};
use super::{NEVER, lock_lanes, make_ready, move_up};
use crate::accounts::paged;
use crate::convert::{column, micros, time, time_opt};
use crate::error::{bad_row, store};
use crate::raw::Sql;
use crate::unit::Unit;
use delivery::{Column as C, Entity, Model};

const TABLE: &str = "webhook_deliveries";

pub(super) struct SeaDeliveries<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaDeliveries<'_> {
    fn mine(&self) -> Condition {
        Condition::all().add(C::AccountId.eq(self.scope.account().uuid()))
    }

    fn of(&self, filter: &DeliveryFilter) -> Condition {
        let DeliveryFilter { endpoint, state, kind, since, until } = filter;
        self.mine()
            .add_option(endpoint.map(|id| C::EndpointId.eq(id.uuid())))
            .add_option(state.map(in_state))
            .add_option(kind.as_ref().map(|kind| C::Kind.eq(kind.as_str())))
            .add_option(since.map(|at| C::CreatedAt.gte(micros(at))))
            .add_option(until.map(|at| C::CreatedAt.lt(micros(at))))
    }

    async fn model(&self, id: DeliveryId) -> Result<Option<Model>, StoreError> {
        let found = Entity::find().filter(self.mine()).filter(C::Id.eq(id.uuid()));
        found.one(self.unit.tx()).await.map_err(store)
    }
}

/// A state, written out: a bound value would not let the partial indexes fit.
fn in_state(state: DeliveryState) -> sea_orm::sea_query::SimpleExpr {
    Expr::cust(format!("state = '{}'", state.as_str()))
}

#[async_trait]
impl DeliveryRepo for SeaDeliveries<'_> {
    async fn get(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.model(id).await?.map(from_row).transpose()
    }

    async fn payload(&mut self, id: DeliveryId) -> Result<Option<String>, StoreError> {
        if self.model(id).await?.is_none() {
            return Ok(None);
        }
        let row = payload::Entity::find_by_id(id.uuid()).one(self.unit.tx()).await;
        Ok(row.map_err(store)?.map(|row| row.body))
    }

    async fn list(
        &mut self,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, StoreError> {
        let rows = paged(Entity::find().filter(self.of(filter)), C::Id, page)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let rows = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(rows, page, |row| row.id.uuid()))
    }

    async fn attempts(
        &mut self,
        id: DeliveryId,
        page: PageRequest,
    ) -> Result<Page<Attempt>, StoreError> {
        let own = Entity::find()
            .select_only()
            .column(C::Id)
            .filter(self.mine())
            .filter(C::Id.eq(id.uuid()));
        let query = attempt::Entity::find()
            .filter(attempt::Column::DeliveryId.eq(id.uuid()))
            .filter(attempt::Column::DeliveryId.in_subquery(own.into_query()));
        let rows =
            paged(query, attempt::Column::Id, page).all(self.unit.tx()).await.map_err(store)?;
        Ok(Page::from_rows(rows, page, |row| row.id).map(attempt_from_row))
    }

    async fn slice(
        &mut self,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: u16,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let ids: Vec<Uuid> = Entity::find()
            .select_only()
            .column(C::Id)
            .filter(self.of(filter))
            .filter(Condition::all().add_option(after.map(|id| C::Id.gt(id.uuid()))))
            .order_by_asc(C::Id)
            .limit(u64::from(limit))
            .into_tuple()
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(ids.into_iter().map(DeliveryId::from).collect())
    }

    async fn requeue(&mut self, ids: &[DeliveryId], now: Timestamp) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let endpoints: Vec<Uuid> = Entity::find()
            .select_only()
            .column(C::EndpointId)
            .distinct()
            .filter(self.mine())
            .filter(C::Id.is_in(ids.iter().map(|id| id.uuid())))
            .into_tuple()
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let endpoints = lock_lanes(self.unit, &endpoints).await?;
        if endpoints.is_empty() {
            return Ok(0);
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE webhook_deliveries SET state = 'pending', attempts = 0, settled_at = NULL, due_at = ")
            .bind(micros(now))
            .push(" WHERE account_id = ")
            .bind(self.scope.account().uuid())
            .push(" AND endpoint_id IN ")
            .list(endpoints.iter().copied())
            .push(" AND id IN ")
            .list(ids.iter().map(|id| id.uuid()))
            .push(
                " AND EXISTS (SELECT 1 FROM webhook_payloads p \
                 WHERE p.delivery_id = webhook_deliveries.id)",
            );
        let requeued = self.unit.execute(sql).await?;
        make_ready(self.unit, &endpoints, now).await?;
        Ok(requeued)
    }

    async fn cancel(&mut self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        let Some(row) = self.model(id).await? else { return Ok(false) };
        lock_lanes(self.unit, &[row.endpoint_id]).await?;
        let done = Entity::update_many()
            .col_expr(C::State, Expr::value(DeliveryState::Cancelled.as_str()))
            .col_expr(C::SettledAt, Expr::value(micros(now)))
            .filter(self.mine())
            .filter(C::Id.eq(id.uuid()))
            .filter(in_state(DeliveryState::Pending))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        if done.rows_affected == 1
            && let Some(chat) = row.chat_id
        {
            move_up(self.unit, row.endpoint_id, &[chat], now).await?;
            make_ready(self.unit, &[row.endpoint_id], now).await?;
        }
        Ok(done.rows_affected == 1)
    }
}

fn from_row(row: Model) -> Result<Delivery, StoreError> {
    let id = row.id;
    let status = row.last_status.map(u16::try_from).transpose();
    let state: DeliveryState = column(TABLE, &id, "state").word(&row.state)?;
    let waits = state == DeliveryState::Pending && row.due_at != NEVER;
    Ok(Delivery {
        id: DeliveryId::from(id),
        endpoint: EndpointId::from(row.endpoint_id),
        kind: row.kind,
        event: row
            .event_transaction
            .zip(row.event_number)
            .map(|(transaction, number)| Position { transaction, number }),
        state,
        attempts: row.attempts.unsigned_abs(),
        due_at: waits.then(|| time(row.due_at)),
        last_status: status.map_err(|error| bad_row(TABLE, id, "last_status", error))?,
        last_error: row.last_error,
        created_at: time(row.created_at),
        settled_at: time_opt(row.settled_at),
    })
}

fn attempt_from_row(row: attempt::Model) -> Attempt {
    Attempt {
        id: row.id,
        delivery: DeliveryId::from(row.delivery_id),
        at: time(row.at),
        duration_ms: row.duration_ms.unsigned_abs(),
        status: row.status.and_then(|status| u16::try_from(status).ok()),
        error: row.error,
        response: row.response,
    }
}
