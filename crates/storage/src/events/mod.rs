//! The event log.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_core::{AccountId, InstallationScope, Scope, StoreError, Timestamp, Topic};
use kabar_events::{EventLog, EventsWork, Fact, LogReaders, NewEvent, Position, StoredEvent};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QueryResult, QuerySelect as _, Select,
};
use uuid::Uuid;

use crate::convert::{micros, time};
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

mod readers;

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

use entity::{Column, Entity, Model};

/// Rows of one `INSERT`, kept below SQLite's 32,766 bound values.
const CHUNK: usize = 1_000;
/// What an event is given; its place in the log it gets from the database.
const COLUMNS: [&str; 5] = ["account_id", "kind", "version", "data", "at"];

impl EventsWork for Unit {
    fn events(&self) -> Box<dyn EventLog + '_> {
        Box::new(SeaEvents { unit: self })
    }

    fn log_readers(&self, _scope: InstallationScope) -> Box<dyn LogReaders + '_> {
        Box::new(readers::SeaReaders { unit: self })
    }
}

/// The statements that append events; who waits for events is woken after the commit.
pub(crate) fn appends(unit: &Unit, events: &[NewEvent]) -> Vec<Sql> {
    if !events.is_empty() {
        unit.wakes(Topic::Events);
    }
    let statement = |chunk: &[NewEvent]| {
        let rows = chunk.iter().map(|event| {
            [
                event.account.uuid().into(),
                event.fact.kind().into(),
                Fact::VERSION.into(),
                event.fact.text().into(),
                micros(event.at).into(),
            ]
        });
        Sql::insert(unit.tx(), "events", &COLUMNS, rows)
    };
    chunks(events, unit.at_most(CHUNK, 500)).map(statement).collect()
}

struct SeaEvents<'a> {
    unit: &'a Unit,
}

#[async_trait]
impl EventLog for SeaEvents<'_> {
    async fn append(&mut self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.unit.execute_all(appends(self.unit, events)).await.map(|_| ())
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

    async fn read_kind(
        &mut self,
        _scope: InstallationScope,
        kind: &str,
        (after, until): (Position, Position),
        limit: u16,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = following(self.unit, after, limit)
            .filter(up_to(self.unit, until))
            .filter(Column::Kind.eq(kind))
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(rows.into_iter().map(stored).collect())
    }

    async fn end(&mut self, scope: InstallationScope) -> Result<Position, StoreError> {
        let mut query = readable(self.unit);
        if is_postgres(self.unit) {
            query = query.order_by_desc(Column::Transaction);
        }
        let last = query
            .order_by_desc(Column::Number)
            .limit(1)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let removed = self.removed_all(scope).await?;
        Ok(last.iter().map(place).fold(removed, Position::max))
    }

    async fn removed(&mut self, scope: Scope) -> Result<Position, StoreError> {
        self.removed_of(Some(scope.account())).await
    }

    async fn removed_all(&mut self, _scope: InstallationScope) -> Result<Position, StoreError> {
        self.removed_of(None).await
    }

    async fn prune(
        &mut self,
        _scope: InstallationScope,
        before: Timestamp,
        limit: u16,
    ) -> Result<u64, StoreError> {
        let passed = readers::slowest(self.unit).await?;
        let mut sql = Sql::new(self.unit.tx());
        // From the beginning of the log: what is there first is oldest.
        let (key, columns) = if is_postgres(self.unit) {
            ("(\"transaction\", number)", "\"transaction\", number")
        } else {
            ("number", "number")
        };
        sql.push(&format!("DELETE FROM events WHERE {key} IN (SELECT {columns} FROM events"));
        if let Some(passed) = passed {
            sql.push(" WHERE ");
            if is_postgres(self.unit) {
                sql.push(key).push(" <= (").bind(passed.transaction).push(", ");
                sql.bind(passed.number).push(")");
            } else {
                sql.push("number <= ").bind(passed.number);
            }
        }
        sql.push(&format!(" ORDER BY {columns} LIMIT "))
            .bind(i64::from(limit))
            .push(") AND at < ")
            .bind(micros(before))
            .push(" RETURNING account_id, \"transaction\", number");
        let gone = self.unit.rows(sql).await?;
        self.remember_removed(&gone).await?;
        Ok(gone.len() as u64)
    }
}

impl SeaEvents<'_> {
    async fn after(
        &self,
        after: Position,
        account: Option<AccountId>,
        limit: u16,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut query = following(self.unit, after, limit);
        if let Some(account) = account {
            query = query.filter(Column::AccountId.eq(account.uuid()));
            if !is_postgres(self.unit) {
                query = query.filter(Column::Transaction.eq(0));
            }
        }
        let rows = query.all(self.unit.tx()).await.map_err(store)?;
        Ok(rows.into_iter().map(stored).collect())
    }

    async fn removed_of(&self, account: Option<AccountId>) -> Result<Position, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT \"transaction\", number FROM events_removed");
        if let Some(account) = account {
            sql.push(" WHERE account_id = ").bind(account.uuid());
        }
        sql.push(" ORDER BY \"transaction\" DESC, number DESC LIMIT 1");
        let rows = self.unit.rows(sql).await?;
        let Some(row) = rows.first() else { return Ok(Position::default()) };
        let column = |index| row.try_get_by_index(index).map_err(store);
        Ok(Position { transaction: column(0)?, number: column(1)? })
    }

    /// Notes each tenant's last event of those that went.
    async fn remember_removed(&self, gone: &[QueryResult]) -> Result<(), StoreError> {
        let mut last: BTreeMap<Uuid, Position> = BTreeMap::new();
        for row in gone {
            let account = row.try_get("", "account_id").map_err(store)?;
            let transaction = row.try_get("", "transaction").map_err(store)?;
            let number = row.try_get("", "number").map_err(store)?;
            let known = last.entry(account).or_default();
            *known = Position { transaction, number }.max(*known);
        }
        if last.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO events_removed (account_id, \"transaction\", number) VALUES ");
        for (index, (account, position)) in last.into_iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" });
            sql.bind(account).push(", ");
            sql.bind(position.transaction).push(", ");
            sql.bind(position.number).push(")");
        }
        sql.push(
            " ON CONFLICT (account_id) DO UPDATE
             SET \"transaction\" = excluded.\"transaction\", number = excluded.number
             WHERE (events_removed.\"transaction\", events_removed.number)
                 < (excluded.\"transaction\", excluded.number)",
        );
        self.unit.execute(sql).await.map(|_| ())
    }
}

const fn place(row: &Model) -> Position {
    Position { transaction: row.transaction, number: row.number }
}

fn is_postgres(unit: &Unit) -> bool {
    unit.tx().get_database_backend() == sea_orm::DbBackend::Postgres
}

/// The rows that may be read.
fn readable(unit: &Unit) -> Select<Entity> {
    if is_postgres(unit) {
        // Only what no running transaction can still put something before.
        let horizon = Expr::cust("pg_snapshot_xmin(pg_current_snapshot())::text::bigint");
        return Entity::find().filter(Expr::col(Column::Transaction).lt(horizon));
    }
    Entity::find()
}

/// What follows a position, in the order of the log.
fn following(unit: &Unit, after: Position, limit: u16) -> Select<Entity> {
    // Said so that each database begins at the position in its index, and never before it.
    let query = if is_postgres(unit) {
        let row = Expr::tuple([Expr::col(Column::Transaction), Expr::col(Column::Number)]);
        let bound = Expr::tuple([after.transaction.into(), after.number.into()]);
        readable(unit).filter(row.gt(bound)).order_by_asc(Column::Transaction)
    } else {
        readable(unit).filter(Column::Number.gt(after.number))
    };
    query.order_by_asc(Column::Number).limit(u64::from(limit))
}

/// Not behind a position.
fn up_to(unit: &Unit, until: Position) -> sea_orm::sea_query::SimpleExpr {
    if is_postgres(unit) {
        let row = Expr::tuple([Expr::col(Column::Transaction), Expr::col(Column::Number)]);
        return row.lte(Expr::tuple([until.transaction.into(), until.number.into()]));
    }
    Column::Number.lte(until.number)
}

fn stored(row: Model) -> StoredEvent {
    StoredEvent {
        position: place(&row),
        account: AccountId::from(row.account_id),
        at: time(row.at),
        kind: row.kind,
        version: row.version,
        data: row.data,
    }
}
