//! Broadcasts, their recipients, and what follows their messages.

mod entity;
mod follow;
mod recipient;

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_core::{
    AccountId, BroadcastId, DeviceId, InstallationScope, MessageId, Page, PageRequest, Scope,
    StoreError, TemplateId,
};
use kabar_messaging::Broadcast;
use kabar_messaging::broadcast::{
    BroadcastFilter, BroadcastRepo, BroadcastState, BroadcastsWork, Counts, FollowRepo,
    RecipientRepo,
};
use sea_orm::sea_query::{Expr, LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
};
use uuid::Uuid;

use crate::convert::{column, json, json_opt, micros, micros_opt, time, time_opt};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;
use entity::broadcast::{ActiveModel, Column as C, Entity, Model};
use entity::count;

const TABLE: &str = "broadcasts";
/// What a number is about.
const KEY: [count::Column; 3] =
    [count::Column::BroadcastId, count::Column::State, count::Column::Reason];
/// The messages of one broadcast, along their own index.
const OF_BROADCAST: &str = " FROM messages WHERE origin = 'broadcast' AND origin_ref = ";

impl BroadcastsWork for Unit {
    fn broadcasts(&self, scope: Scope) -> Box<dyn BroadcastRepo + '_> {
        Box::new(SeaBroadcasts { unit: self, scope })
    }

    fn recipients(&self, scope: Scope) -> Box<dyn RecipientRepo + '_> {
        Box::new(recipient::SeaRecipients { unit: self, scope })
    }

    fn following(&self, _scope: InstallationScope) -> Box<dyn FollowRepo + '_> {
        Box::new(follow::SeaFollowing { unit: self })
    }
}

struct SeaBroadcasts<'a> {
    unit: &'a Unit,
    scope: Scope,
}

impl SeaBroadcasts<'_> {
    fn own(&self) -> Select<Entity> {
        Entity::find().filter(C::AccountId.eq(self.scope.account().uuid()))
    }

    /// The ids of a broadcast's messages that a condition holds for.
    async fn messages(
        &self,
        id: BroadcastId,
        condition: &str,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT id").push(OF_BROADCAST).bind(id.to_string());
        sql.push(" AND account_id = ").bind(self.scope.account().uuid());
        sql.push(condition).push(" ORDER BY id LIMIT ").bind(i64::from(limit));
        let rows = self.unit.rows(sql).await?;
        rows.iter()
            .map(|row| row.try_get::<Uuid>("", "id").map(MessageId::from).map_err(store))
            .collect()
    }
}

fn to_row(broadcast: &Broadcast) -> Result<ActiveModel, StoreError> {
    Ok(ActiveModel {
        id: Set(broadcast.id.uuid()),
        account_id: Set(broadcast.account.uuid()),
        name: Set(broadcast.name.clone()),
        state: Set(broadcast.state.to_string()),
        reason: Set(broadcast.reason.clone()),
        template_id: Set(broadcast.plan.template().map(TemplateId::uuid)),
        plan: Set(json(&broadcast.plan)?),
        course: Set(json(&broadcast.course)?),
        schedule: Set(json_opt(broadcast.schedule.as_ref())?),
        attempt: Set(i32::try_from(broadcast.attempt).unwrap_or(i32::MAX)),
        run: Set(i64::try_from(broadcast.run).unwrap_or(i64::MAX)),
        started_at: Set(micros_opt(broadcast.started_at)),
        ended_at: Set(micros_opt(broadcast.ended_at)),
        created_at: Set(micros(broadcast.created_at)),
        updated_at: Set(micros(broadcast.updated_at)),
    })
}

fn from_row(row: Model) -> Result<Broadcast, StoreError> {
    let id = row.id;
    let at = |name| column(TABLE, &id, name);
    Ok(Broadcast {
        id: BroadcastId::from(id),
        account: AccountId::from(row.account_id),
        name: row.name,
        state: at("state").word(&row.state)?,
        reason: row.reason,
        plan: at("plan").json(row.plan)?,
        schedule: at("schedule").json_opt(row.schedule)?,
        course: at("course").json(row.course)?,
        attempt: u32::try_from(row.attempt).unwrap_or_default(),
        run: u64::try_from(row.run).unwrap_or_default(),
        started_at: time_opt(row.started_at),
        ended_at: time_opt(row.ended_at),
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

#[async_trait]
impl BroadcastRepo for SeaBroadcasts<'_> {
    async fn insert(&mut self, broadcast: &Broadcast) -> Result<(), StoreError> {
        let mut row = to_row(broadcast)?;
        row.account_id = Set(self.scope.account().uuid());
        Entity::insert(row).exec_without_returning(self.unit.tx()).await.map_err(store)?;
        Ok(())
    }

    async fn get(&mut self, id: BroadcastId) -> Result<Option<Broadcast>, StoreError> {
        let row = self.own().filter(C::Id.eq(id.uuid())).one(self.unit.tx()).await;
        row.map_err(store)?.map(from_row).transpose()
    }

    async fn lock(&mut self, id: BroadcastId) -> Result<Option<Broadcast>, StoreError> {
        let mut query = self.own().filter(C::Id.eq(id.uuid()));
        if self.unit.locks_rows() {
            query = query.lock(LockType::Update);
        }
        let row = query.one(self.unit.tx()).await;
        row.map_err(store)?.map(from_row).transpose()
    }

    async fn list(
        &mut self,
        filter: BroadcastFilter,
        page: PageRequest,
    ) -> Result<Page<Broadcast>, StoreError> {
        let mut query = self.own();
        if let Some(state) = filter.state {
            query = query.filter(C::State.eq(state.as_str()));
        }
        if let Some(after) = page.after {
            query = query.filter(C::Id.lt(after.id()));
        }
        let rows = query
            .order_by_desc(C::Id)
            .limit(u64::from(page.limit) + 1)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let broadcasts = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(broadcasts, page, |broadcast| broadcast.id.uuid()))
    }

    async fn update(&mut self, broadcast: &Broadcast) -> Result<bool, StoreError> {
        let mut row = to_row(broadcast)?;
        row.id = sea_orm::ActiveValue::NotSet;
        row.account_id = sea_orm::ActiveValue::NotSet;
        let done = Entity::update_many()
            .set(row)
            .filter(C::Id.eq(broadcast.id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn remove(&mut self, id: BroadcastId) -> Result<bool, StoreError> {
        let done = Entity::delete_many()
            .filter(C::Id.eq(id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn uses(&mut self, template: TemplateId) -> Result<bool, StoreError> {
        let ended = BroadcastState::ALL.iter().filter(|state| state.is_final());
        let using = self
            .own()
            .filter(C::TemplateId.eq(template.uuid()))
            .filter(C::State.is_not_in(ended.map(|state| state.as_str())))
            .count(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(using > 0)
    }

    async fn counts(
        &mut self,
        ids: &[BroadcastId],
    ) -> Result<Vec<(BroadcastId, Counts)>, StoreError> {
        let rows = count::Entity::find()
            .filter(count::Column::BroadcastId.is_in(ids.iter().map(|id| id.uuid())))
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let mut counts: BTreeMap<BroadcastId, Counts> = BTreeMap::new();
        for row in rows {
            let state = column("broadcast_counts", &row.broadcast_id, "state").word(&row.state)?;
            let own = counts.entry(row.broadcast_id.into()).or_default();
            own.add(state, Some(&row.reason), row.count);
        }
        Ok(counts.into_iter().collect())
    }

    async fn count(&mut self, id: BroadcastId, change: &Counts) -> Result<(), StoreError> {
        // In the order of the keys, so that nobody waits for each other in a circle.
        let rows: Vec<count::ActiveModel> = change
            .iter()
            .map(|(state, reason, many)| count::ActiveModel {
                broadcast_id: Set(id.uuid()),
                state: Set(state.to_string()),
                reason: Set(reason.to_owned()),
                count: Set(many),
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let add = OnConflict::columns(KEY)
            .value(count::Column::Count, Expr::cust("broadcast_counts.count + excluded.count"))
            .to_owned();
        count::Entity::insert_many(rows)
            .on_conflict(add)
            .exec_without_returning(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn in_line(&mut self, id: BroadcastId) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT device_id, COUNT(*) AS many").push(OF_BROADCAST).bind(id.to_string());
        sql.push(" AND account_id = ").bind(self.scope.account().uuid());
        sql.push(
            " AND status IN ('pending', 'held', 'processing', 'uncertain') AND queued \
             GROUP BY device_id",
        );
        let rows = self.unit.rows(sql).await?;
        rows.iter()
            .map(|row| {
                let device: Uuid = row.try_get("", "device_id").map_err(store)?;
                let many: i64 = row.try_get("", "many").map_err(store)?;
                Ok((DeviceId::from(device), u64::try_from(many).unwrap_or_default()))
            })
            .collect()
    }

    async fn waiting(&mut self, id: BroadcastId, limit: u32) -> Result<Vec<MessageId>, StoreError> {
        let unsent = " AND queued AND (status IN ('pending', 'held') \
                      OR (status = 'processing' AND stage = 'claimed'))";
        self.messages(id, unsent, limit).await
    }

    async fn withdrawn(
        &mut self,
        id: BroadcastId,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        self.messages(id, " AND status = 'held' AND NOT queued", limit).await
    }
}
