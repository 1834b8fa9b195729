//! The job queue.

use std::time::Duration;

use async_trait::async_trait;
use kabar_core::{AccountId, InstallationScope, JobId, StoreError, Timestamp, Topic};
use kabar_jobs::{ClaimedJob, JobQueue, JobsWork, NewJob};
use sea_orm::sea_query::{Alias, Expr, LockBehavior, LockType, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, ExprTrait, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use crate::convert::{micros, time};
use crate::error::store;
use crate::unit::Unit;

mod entity {
    #![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "jobs")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub name: String,
        pub account_id: Option<Uuid>,
        pub order_key: Option<String>,
        pub payload: Json,
        pub ready_at: i64,
        pub attempt: i32,
        pub fence: i64,
        pub buried: bool,
        pub error: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

/// Rows of one `INSERT`, kept below SQLite's 32,766 bound values.
const CHUNK: usize = 1_000;

impl JobsWork for Unit {
    fn jobs(&self) -> Box<dyn JobQueue + '_> {
        Box::new(SeaJobs { unit: self })
    }
}

struct SeaJobs<'a> {
    unit: &'a Unit,
}

#[async_trait]
impl JobQueue for SeaJobs<'_> {
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<(), StoreError> {
        if !jobs.is_empty() {
            self.unit.wakes(Topic::Jobs);
        }
        for chunk in jobs.chunks(CHUNK) {
            let rows = chunk.iter().map(|job| ActiveModel {
                id: Set(job.id.uuid()),
                name: Set(job.name.to_owned()),
                account_id: Set(job.account.map(AccountId::uuid)),
                order_key: Set(job.order.clone()),
                payload: Set(job.payload.clone()),
                ready_at: Set(micros(job.due_at)),
                attempt: Set(0),
                fence: Set(0),
                buried: Set(false),
                error: Set(None),
            });
            Entity::insert_many(rows)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn claim(
        &mut self,
        _scope: InstallationScope,
        names: &[&str],
        now: Timestamp,
        lease: Duration,
        limit: u16,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        let ready = self.ready(names, now, limit).await?;
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        // A claim is the time until which nobody else may look at the job.
        let until =
            micros(now).saturating_add(i64::try_from(lease.as_micros()).unwrap_or(i64::MAX));
        let rows = Entity::update_many()
            .col_expr(Column::ReadyAt, Expr::value(until))
            .col_expr(Column::Attempt, Expr::col(Column::Attempt).add(1))
            .col_expr(Column::Fence, Expr::col(Column::Fence).add(1))
            .filter(Column::Id.is_in(ready))
            .exec_with_returning(self.unit.tx())
            .await
            .map_err(store)?;
        let mut jobs: Vec<ClaimedJob> = rows.into_iter().map(claimed).collect();
        jobs.sort_by_key(|job| job.id);
        Ok(jobs)
    }

    async fn complete(&mut self, job: JobId, fence: i64) -> Result<bool, StoreError> {
        let done = Entity::delete_many()
            .filter(Column::Id.eq(job.uuid()))
            .filter(Column::Fence.eq(fence))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn renew(&mut self, job: JobId, fence: i64, until: Timestamp) -> Result<(), StoreError> {
        Entity::update_many()
            .col_expr(Column::ReadyAt, Expr::value(micros(until)))
            .filter(Column::Id.eq(job.uuid()))
            .filter(Column::Fence.eq(fence))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn retry(
        &mut self,
        job: JobId,
        fence: i64,
        due_at: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        Entity::update_many()
            .col_expr(Column::ReadyAt, Expr::value(micros(due_at)))
            .col_expr(Column::Error, Expr::value(error))
            .filter(Column::Id.eq(job.uuid()))
            .filter(Column::Fence.eq(fence))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn bury(&mut self, job: JobId, fence: i64, error: &str) -> Result<(), StoreError> {
        Entity::update_many()
            .col_expr(Column::Buried, Expr::value(true))
            .col_expr(Column::Error, Expr::value(error))
            .filter(Column::Id.eq(job.uuid()))
            .filter(Column::Fence.eq(fence))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn next_due(
        &mut self,
        _scope: InstallationScope,
    ) -> Result<Option<Timestamp>, StoreError> {
        let row = Entity::find()
            .filter(Column::Buried.eq(false))
            .order_by_asc(Column::ReadyAt)
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(row.map(|row| time(row.ready_at)))
    }
}

impl SeaJobs<'_> {
    /// The ids of jobs that may run now: due, and first of their order.
    async fn ready(
        &self,
        names: &[&str],
        now: Timestamp,
        limit: u16,
    ) -> Result<Vec<uuid::Uuid>, StoreError> {
        let earlier = Alias::new("earlier");
        let jobs = Alias::new("jobs");
        let is_behind = Query::select()
            .expr(Expr::val(1))
            .from_as(Entity, earlier.clone())
            .and_where(
                Expr::col((earlier.clone(), Column::OrderKey))
                    .equals((jobs.clone(), Column::OrderKey)),
            )
            .and_where(Expr::col((earlier.clone(), Column::Buried)).eq(false))
            .and_where(Expr::col((earlier, Column::Id)).lt(Expr::col((jobs, Column::Id))))
            .to_owned();
        let mut query = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Buried.eq(false))
            .filter(Column::ReadyAt.lte(micros(now)))
            .filter(Column::Name.is_in(names.iter().copied()))
            .filter(
                Condition::any().add(Column::OrderKey.is_null()).add(Expr::exists(is_behind).not()),
            )
            .order_by_asc(Column::ReadyAt)
            .order_by_asc(Column::Id)
            .limit(u64::from(limit));
        if self.unit.locks_rows() {
            query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        query.into_tuple().all(self.unit.tx()).await.map_err(store)
    }
}

fn claimed(row: Model) -> ClaimedJob {
    ClaimedJob {
        id: JobId::from(row.id),
        name: row.name,
        account: row.account_id.map(AccountId::from),
        payload: row.payload,
        attempt: u32::try_from(row.attempt).unwrap_or(u32::MAX),
        fence: row.fence,
    }
}
