//! What is done to many messages of a tenant.

use async_trait::async_trait;
use kabar_core::{
    AccountId, BroadcastId, DeviceId, JobId, MessageId, Page, PageRequest, Scope, StoreError,
};
use kabar_messaging::Direction;
use kabar_messaging::bulk::{Bulk, BulkAction, BulkRepo, BulksWork};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
};
use uuid::Uuid;

use super::entity::message;
use crate::convert::{column, json, micros, time};
use crate::error::store;
use crate::unit::Unit;
use entity::{ActiveModel, Column as C, Entity, Model};

mod entity {
    #![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "message_bulks")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub device_id: Option<Uuid>,
        pub action: String,
        pub filter: Json,
        pub state: String,
        pub total: i64,
        pub done: i64,
        pub skipped: i64,
        pub after: Option<Uuid>,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl BulksWork for Unit {
    fn bulks(&self, scope: Scope) -> Box<dyn BulkRepo + '_> {
        Box::new(SeaBulks { unit: self, scope })
    }
}

struct SeaBulks<'a> {
    unit: &'a Unit,
    scope: Scope,
}

impl SeaBulks<'_> {
    fn own(&self) -> Select<Entity> {
        let own = Entity::find().filter(C::AccountId.eq(self.scope.account().uuid()));
        match self.scope.device() {
            Some(device) => own.filter(C::DeviceId.eq(device.uuid())),
            None => own,
        }
    }

    /// The messages that it is done to and that were there when it was asked for.
    fn fitting(&self, bulk: &Bulk) -> Select<message::Entity> {
        use message::Column as M;
        let mut query = message::Entity::find()
            .filter(M::AccountId.eq(self.scope.account().uuid()))
            .filter(M::Direction.eq(Direction::Out.as_str()))
            .filter(M::Status.is_in(bulk.action.statuses().map(kabar_messaging::Status::as_str)))
            .filter(M::CreatedAt.lte(micros(bulk.created_at)));
        if let Some(after) = bulk.after {
            query = query.filter(M::Id.gt(after.uuid()));
        }
        let filter = &bulk.filter;
        for device in [bulk.device, filter.device].into_iter().flatten() {
            query = query.filter(M::DeviceId.eq(device.uuid()));
        }
        if let Some(contact) = filter.contact {
            query = query.filter(M::ContactId.eq(contact.uuid()));
        }
        // Planners recognise a partial index by the text of its condition only.
        query = match filter.broadcast {
            Some(broadcast) => query
                .filter(Expr::cust("messages.origin = 'broadcast'"))
                .filter(M::OriginRef.eq(BroadcastId::to_string(&broadcast))),
            None => query.filter(Expr::cust(match bulk.action {
                BulkAction::Cancel => "queued",
                _ => "status IN ('failed', 'uncertain', 'cancelled', 'expired')",
            })),
        };
        if let Some(reference) = &filter.reference {
            query = query.filter(M::Reference.eq(reference.as_str()));
        }
        if let Some(reason) = &filter.reason {
            query = query.filter(M::ReasonCode.eq(reason.as_str()));
        }
        query
    }
}

fn number(many: u64) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}

fn to_row(bulk: &Bulk) -> Result<ActiveModel, StoreError> {
    Ok(ActiveModel {
        id: Set(bulk.id.uuid()),
        account_id: Set(bulk.account.uuid()),
        device_id: Set(bulk.device.map(DeviceId::uuid)),
        action: Set(bulk.action.to_string()),
        filter: Set(json(&bulk.filter)?),
        state: Set(bulk.state.to_string()),
        total: Set(number(bulk.total)),
        done: Set(number(bulk.done)),
        skipped: Set(number(bulk.skipped)),
        after: Set(bulk.after.map(MessageId::uuid)),
        created_at: Set(micros(bulk.created_at)),
        updated_at: Set(micros(bulk.updated_at)),
    })
}

fn from_row(row: Model) -> Result<Bulk, StoreError> {
    let id = row.id;
    let at = |name| column("message_bulks", &id, name);
    Ok(Bulk {
        id: JobId::from(id),
        account: AccountId::from(row.account_id),
        device: row.device_id.map(DeviceId::from),
        action: at("action").word(&row.action)?,
        filter: at("filter").json(row.filter)?,
        state: at("state").word(&row.state)?,
        total: u64::try_from(row.total).unwrap_or_default(),
        done: u64::try_from(row.done).unwrap_or_default(),
        skipped: u64::try_from(row.skipped).unwrap_or_default(),
        after: row.after.map(MessageId::from),
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

#[async_trait]
impl BulkRepo for SeaBulks<'_> {
    async fn insert(&mut self, bulk: &Bulk) -> Result<(), StoreError> {
        let mut row = to_row(bulk)?;
        row.account_id = Set(self.scope.account().uuid());
        Entity::insert(row).exec_without_returning(self.unit.tx()).await.map_err(store)?;
        Ok(())
    }

    async fn get(&mut self, id: JobId) -> Result<Option<Bulk>, StoreError> {
        let row = self.own().filter(C::Id.eq(id.uuid())).one(self.unit.tx()).await;
        row.map_err(store)?.map(from_row).transpose()
    }

    async fn lock(&mut self, id: JobId) -> Result<Option<Bulk>, StoreError> {
        let mut query = self.own().filter(C::Id.eq(id.uuid()));
        if self.unit.locks_rows() {
            query = query.lock(LockType::Update);
        }
        let row = query.one(self.unit.tx()).await;
        row.map_err(store)?.map(from_row).transpose()
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<Bulk>, StoreError> {
        let mut query = self.own();
        if let Some(after) = page.after {
            query = query.filter(C::Id.lt(after.id()));
        }
        let rows = query
            .order_by_desc(C::Id)
            .limit(u64::from(page.limit) + 1)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let bulks = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(bulks, page, |bulk| bulk.id.uuid()))
    }

    async fn update(&mut self, bulk: &Bulk) -> Result<(), StoreError> {
        Entity::update_many()
            .col_expr(C::State, Expr::value(bulk.state.as_str()))
            .col_expr(C::Done, Expr::value(number(bulk.done)))
            .col_expr(C::Skipped, Expr::value(number(bulk.skipped)))
            .col_expr(C::After, Expr::value(bulk.after.map(MessageId::uuid)))
            .col_expr(C::UpdatedAt, Expr::value(micros(bulk.updated_at)))
            .filter(C::Id.eq(bulk.id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn count(&mut self, bulk: &Bulk) -> Result<u64, StoreError> {
        self.fitting(bulk).count(self.unit.tx()).await.map_err(store)
    }

    async fn next(&mut self, bulk: &Bulk, limit: u16) -> Result<Vec<MessageId>, StoreError> {
        let ids: Vec<Uuid> = self
            .fitting(bulk)
            .select_only()
            .column(message::Column::Id)
            .order_by_asc(message::Column::Id)
            .limit(u64::from(limit))
            .into_tuple()
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(ids.into_iter().map(MessageId::from).collect())
    }
}
