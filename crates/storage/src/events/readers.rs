//! Who follows the log, and where they stand.

use async_trait::async_trait;
use kabar_core::StoreError;
use kabar_events::{LogReaders, Position, StoredEvent};
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait as _, DbBackend, QueryFilter as _};

use super::{following, stored};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

pub(super) struct SeaReaders<'a> {
    pub(super) unit: &'a Unit,
}

/// A reader's row.
struct Place {
    position: Position,
    /// A snapshot of PostgreSQL: the reader knows already what was visible in it.
    seen: Option<String>,
}

impl SeaReaders<'_> {
    async fn place(&self, reader: &str) -> Result<Option<Place>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT \"transaction\", number, seen FROM log_readers WHERE reader = ")
            .bind(reader.to_owned());
        let rows = self.unit.rows(sql).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let position = Position {
            transaction: row.try_get("", "transaction").map_err(store)?,
            number: row.try_get("", "number").map_err(store)?,
        };
        Ok(Some(Place { position, seen: row.try_get("", "seen").map_err(store)? }))
    }
}

#[async_trait]
impl LogReaders for SeaReaders<'_> {
    async fn position(&mut self, reader: &str) -> Result<Option<Position>, StoreError> {
        Ok(self.place(reader).await?.map(|place| place.position))
    }

    async fn join(&mut self, reader: &str, at: Position) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO log_readers (reader, \"transaction\", number) VALUES (")
            .bind(reader.to_owned())
            .push(", ")
            .bind(at.transaction)
            .push(", ")
            .bind(at.number)
            .push(") ON CONFLICT (reader) DO NOTHING");
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn read(&mut self, reader: &str, limit: u16) -> Result<Vec<StoredEvent>, StoreError> {
        let Some(place) = self.place(reader).await? else {
            return Ok(Vec::new());
        };
        let mut query = following(self.unit, place.position, limit);
        if let Some(seen) = place.seen {
            let unseen = "NOT pg_visible_in_snapshot(\"transaction\"::text::xid8, $1::pg_snapshot)";
            query = query.filter(Expr::cust_with_values(unseen, [seen]));
        }
        let rows = query.all(self.unit.tx()).await.map_err(store)?;
        Ok(rows.into_iter().map(stored).collect())
    }

    async fn advance(
        &mut self,
        reader: &str,
        from: Position,
        to: Position,
    ) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE log_readers SET \"transaction\" = ")
            .bind(to.transaction)
            .push(", number = ")
            .bind(to.number);
        if self.unit.tx().get_database_backend() == DbBackend::Postgres {
            // Beyond the snapshot's end nothing was visible in it.
            sql.push(", seen = CASE WHEN pg_snapshot_xmax(seen::pg_snapshot)::text::bigint <= ")
                .bind(to.transaction)
                .push(" THEN NULL ELSE seen END");
        }
        sql.push(" WHERE reader = ")
            .bind(reader.to_owned())
            .push(" AND \"transaction\" = ")
            .bind(from.transaction)
            .push(" AND number = ")
            .bind(from.number);
        Ok(self.unit.execute(sql).await? == 1)
    }
}

/// Every reader's place, the slowest first. Webhooks and broadcasts keep theirs in tables of their
/// own, which count as soon as there is somebody to read for.
const SLOWEST: &str = "SELECT \"transaction\", number FROM (\
     SELECT \"transaction\", number FROM log_readers \
     UNION ALL SELECT event_transaction, event_number FROM webhook_position \
     WHERE EXISTS (SELECT 1 FROM webhook_endpoints WHERE removed_at IS NULL) \
     UNION ALL SELECT transaction_id, number FROM broadcast_reader \
     WHERE EXISTS (SELECT 1 FROM broadcasts)) readers \
     ORDER BY \"transaction\", number LIMIT 1";

/// Where the slowest of all readers stands; `None` if nobody reads.
pub(super) async fn slowest(unit: &Unit) -> Result<Option<Position>, StoreError> {
    let mut sql = Sql::new(unit.tx());
    sql.push(SLOWEST);
    let rows = unit.rows(sql).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Position {
        transaction: row.try_get("", "transaction").map_err(store)?,
        number: row.try_get("", "number").map_err(store)?,
    }))
}
