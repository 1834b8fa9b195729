//! The event log.

use async_trait::async_trait;
use kabar_core::{AccountId, InstallationScope, Scope, StoreError, Timestamp};
use kabar_events::{EventLog, EventsWork, Fact, NewEvent, Position, StoredEvent};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, ConnectionTrait as _, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use crate::convert::{micros, time};
use crate::error::store;
use crate::unit::Unit;

mod entity {
    #![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "events")]
    pub struct Model {
        pub transaction: i64,
        #[sea_orm(primary_key)]
        pub number: i64,
        pub account_id: Uuid,
        pub kind: String,
        pub version: i16,
        pub data: Json,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

/// Rows of one `INSERT`, kept below SQLite's 32,766 bound values.
const CHUNK: usize = 1_000;

impl EventsWork for Unit {
    fn events(&self) -> Box<dyn EventLog + '_> {
        Box::new(SeaEvents { unit: self })
    }
}

struct SeaEvents<'a> {
    unit: &'a Unit,
}

#[async_trait]
impl EventLog for SeaEvents<'_> {
    async fn append(&mut self, events: &[NewEvent]) -> Result<(), StoreError> {
        for chunk in events.chunks(CHUNK) {
            let rows = chunk.iter().map(|event| ActiveModel {
                transaction: NotSet,
                number: NotSet,
                account_id: Set(event.account.uuid()),
                kind: Set(event.fact.kind().to_owned()),
                version: Set(Fact::VERSION),
                data: Set(event.fact.data()),
                at: Set(micros(event.at)),
            });
            Entity::insert_many(rows)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn read(
        &mut self,
        scope: Scope,
        after: Position,
        limit: u16,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.after(after, Some(scope.account()), limit).await
    }

    async fn read_all(
        &mut self,
        _scope: InstallationScope,
        after: Position,
        limit: u16,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.after(after, None, limit).await
    }

    async fn prune(
        &mut self,
        _scope: InstallationScope,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        let done = Entity::delete_many()
            .filter(Column::At.lt(micros(before)))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected)
    }
}

impl SeaEvents<'_> {
    async fn after(
        &self,
        after: Position,
        account: Option<AccountId>,
        limit: u16,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut query = Entity::find().filter(
            Condition::any().add(Column::Transaction.gt(after.transaction)).add(
                Condition::all()
                    .add(Column::Transaction.eq(after.transaction))
                    .add(Column::Number.gt(after.number)),
            ),
        );
        if let Some(account) = account {
            query = query.filter(Column::AccountId.eq(account.uuid()));
        }
        if self.unit.tx().get_database_backend() == sea_orm::DbBackend::Postgres {
            // Only what no running transaction can still put something before.
            let horizon = Expr::cust("pg_snapshot_xmin(pg_current_snapshot())::text::bigint");
            query = query.filter(Expr::col(Column::Transaction).lt(horizon));
        }
        let rows = query
            .order_by_asc(Column::Transaction)
            .order_by_asc(Column::Number)
            .limit(u64::from(limit))
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(rows.into_iter().map(stored).collect())
    }
}

fn stored(row: Model) -> StoredEvent {
    StoredEvent {
        position: Position { transaction: row.transaction, number: row.number },
        account: AccountId::from(row.account_id),
        at: time(row.at),
        kind: row.kind,
        version: row.version,
        data: row.data,
    }
}
