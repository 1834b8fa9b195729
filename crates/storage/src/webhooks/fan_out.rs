//! From the event log to deliveries.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use kabar_core::{AccountId, ContactId, ConversationId, EndpointId, StoreError, Timestamp};
use kabar_events::Position;
use kabar_webhooks::delivery::NewDelivery;
use kabar_webhooks::repo::{FanOutRepo, Subscriber};
use kabar_webhooks::{DeliveryState, EndpointState};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::entity::{delivery, endpoint, payload, position};
use super::{CHUNK, NEVER, lock_lanes, make_ready};
use crate::convert::{column, micros, time};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;
use endpoint::Column as C;

/// The one row of the position.
const ROW: i32 = 1;

pub(super) struct SeaFanOut<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaFanOut<'_> {
    /// The chats of these endpoints in which something waits.
    async fn waiting(
        &self,
        deliveries: &[&NewDelivery],
    ) -> Result<HashSet<(Uuid, Uuid)>, StoreError> {
        let wanted: BTreeSet<(Uuid, Uuid)> = deliveries
            .iter()
            .filter_map(|new| Some((new.endpoint.uuid(), new.chat?.uuid())))
            .collect();
        let mut waiting = HashSet::new();
        for chunk in wanted.into_iter().collect::<Vec<_>>().chunks(CHUNK) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("WITH wanted(endpoint_id, chat_id) AS (VALUES ");
            for (index, (endpoint, chat)) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "(" } else { ", (" });
                sql.bind(*endpoint).push(", ").bind(*chat).push(")");
            }
            sql.push(
                ") SELECT endpoint_id, chat_id FROM wanted w WHERE EXISTS \
                 (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = w.endpoint_id \
                 AND d.chat_id = w.chat_id AND d.state = 'pending')",
            );
            for row in self.unit.rows(sql).await? {
                let endpoint: Uuid = row.try_get("", "endpoint_id").map_err(store)?;
                let chat: Uuid = row.try_get("", "chat_id").map_err(store)?;
                waiting.insert((endpoint, chat));
            }
        }
        Ok(waiting)
    }
}

#[async_trait]
impl FanOutRepo for SeaFanOut<'_> {
    async fn is_wanted(&mut self) -> Result<bool, StoreError> {
        let found = endpoint::Entity::find()
            .select_only()
            .column(C::Id)
            .filter(C::RemovedAt.is_null())
            .filter(C::State.ne(EndpointState::Disabled.as_str()))
            .limit(1)
            .into_tuple::<Uuid>()
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(found.is_some())
    }

    async fn position(&mut self) -> Result<Position, StoreError> {
        let row = position::Entity::find_by_id(ROW).one(self.unit.tx()).await.map_err(store)?;
        Ok(row.map_or(Position::default(), |row| Position {
            transaction: row.event_transaction,
            number: row.event_number,
        }))
    }

    async fn subscribers(&mut self, accounts: &[AccountId]) -> Result<Vec<Subscriber>, StoreError> {
        let rows = endpoint::Entity::find()
            .filter(C::AccountId.is_in(accounts.iter().map(|id| id.uuid())))
            .filter(C::RemovedAt.is_null())
            .filter(C::State.ne(EndpointState::Disabled.as_str()))
            .order_by_asc(C::Id)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let table = "webhook_endpoints";
        let subscribers = rows.into_iter().map(|row| {
            let id = row.id;
            Ok(Subscriber {
                endpoint: EndpointId::from(id),
                account: AccountId::from(row.account_id),
                events: column(table, &id, "events").json(row.events)?,
                devices: column(table, &id, "devices").json(row.devices)?,
                content: row.content,
                ordered: row.ordered,
                since: time(row.created_at),
            })
        });
        subscribers.collect()
    }

    async fn advance(&mut self, from: Position, to: Position) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE webhook_position SET event_transaction = ")
            .bind(to.transaction)
            .push(", event_number = ")
            .bind(to.number)
            .push(" WHERE event_transaction = ")
            .bind(from.transaction)
            .push(" AND event_number = ")
            .bind(from.number);
        Ok(self.unit.execute(sql).await? == 1)
    }

    async fn put(&mut self, deliveries: &[NewDelivery], now: Timestamp) -> Result<(), StoreError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let endpoints: BTreeSet<Uuid> = deliveries.iter().map(|new| new.endpoint.uuid()).collect();
        let endpoints: Vec<Uuid> = endpoints.into_iter().collect();
        let endpoints = lock_lanes(self.unit, &endpoints).await?;
        let there = |new: &&NewDelivery| endpoints.contains(&new.endpoint.uuid());
        let deliveries: Vec<&NewDelivery> = deliveries.iter().filter(there).collect();
        let mut waiting = self.waiting(&deliveries).await?;
        for chunk in deliveries.chunks(self.unit.at_most(CHUNK, 600)) {
            let rows: Vec<delivery::ActiveModel> =
                chunk.iter().map(|new| row(new, &mut waiting, now)).collect();
            delivery::Entity::insert_many(rows)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
            let bodies = chunk.iter().map(|new| payload::ActiveModel {
                delivery_id: Set(new.id.uuid()),
                body: Set(new.payload.clone()),
            });
            payload::Entity::insert_many(bodies)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        if endpoints.is_empty() {
            return Ok(());
        }
        make_ready(self.unit, &endpoints, now).await
    }
}

/// A new row; the first of its chat is due, the others wait behind it.
fn row(
    new: &NewDelivery,
    waiting: &mut HashSet<(Uuid, Uuid)>,
    now: Timestamp,
) -> delivery::ActiveModel {
    let chat = new.chat.map(ConversationId::uuid);
    let behind = chat.is_some_and(|chat| !waiting.insert((new.endpoint.uuid(), chat)));
    delivery::ActiveModel {
        id: Set(new.id.uuid()),
        account_id: Set(new.account.uuid()),
        endpoint_id: Set(new.endpoint.uuid()),
        event_transaction: Set(new.event.map(|event| event.transaction)),
        event_number: Set(new.event.map(|event| event.number)),
        kind: Set(new.kind.clone()),
        chat_id: Set(chat),
        contact_id: Set(new.contact.map(ContactId::uuid)),
        state: Set(DeliveryState::Pending.as_str().to_owned()),
        attempts: Set(0),
        due_at: Set(if behind { NEVER } else { micros(now) }),
        last_status: Set(None),
        last_error: Set(None),
        created_at: Set(micros(new.at)),
        settled_at: Set(None),
    }
}
