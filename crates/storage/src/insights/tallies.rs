//! The counts, as the projector writes them.

use async_trait::async_trait;
use kabar_core::{AccountId, DeviceId, StoreError};
use kabar_insights::repo::TallyRepo;
use kabar_insights::tally::{BUCKET, Key, Mark};
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult};
use uuid::Uuid;

use crate::convert::column;
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

/// Rows of one `INSERT`: eleven columns, below SQLite's 32,766 bound values.
const CHUNK: usize = 2_000;
const KEY: &str = "account_id, bucket, device_id, direction, kind, purpose, origin, broadcast, \
                   status, reason";

pub(super) struct SeaTallies<'a> {
    pub(super) unit: &'a Unit,
}

/// Every message by what it counts as: `Message::own_at`, `Message::traits` and `Mark::of` once more,
/// over all rows at once.
fn counted() -> String {
    let own = "CASE WHEN sender_at < 0 THEN 0 WHEN sender_at < created_at THEN sender_at \
               ELSE created_at END";
    let broadcast = "CASE WHEN origin = 'broadcast' THEN COALESCE(origin_ref, '') ELSE '' END";
    let status = "CASE WHEN direction = 'in' THEN 'received' \
                  WHEN status IN ('pending', 'held', 'processing') THEN 'waiting' ELSE status END";
    let reason = "CASE WHEN direction = 'out' AND status IN ('failed', 'uncertain') \
                  THEN COALESCE(reason_code, '') ELSE '' END";
    format!(
        "INSERT INTO message_counts ({KEY}, count) \
         SELECT account_id, ({own}) - (({own}) % {BUCKET}), device_id, direction, kind, purpose, \
         origin, {broadcast}, {status}, {reason}, COUNT(*) FROM messages \
         GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    )
}

#[async_trait]
impl TallyRepo for SeaTallies<'_> {
    async fn add(&mut self, deltas: &[(Key, i64)]) -> Result<(), StoreError> {
        for chunk in deltas.chunks(CHUNK) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(&format!("INSERT INTO message_counts ({KEY}, count) VALUES "));
            for (index, (key, delta)) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "(" } else { ", (" });
                sql.bind(key.account.uuid()).push(", ");
                sql.bind(key.bucket).push(", ");
                sql.bind(key.device.uuid());
                let words = [&key.direction, &key.kind, &key.purpose, &key.origin, &key.broadcast];
                for word in words {
                    sql.push(", ").bind(word.as_str());
                }
                sql.push(", ").bind(key.mark.as_str());
                sql.push(", ").bind(key.reason.as_str());
                sql.push(", ").bind(*delta).push(")");
            }
            sql.push(&format!(
                " ON CONFLICT ({KEY}) DO UPDATE SET count = message_counts.count + excluded.count"
            ));
            self.unit.execute(sql).await?;
        }
        Ok(())
    }

    async fn rebuild(&mut self, reader: &str) -> Result<u64, StoreError> {
        // The reader's row keeps other nodes' projectors out until the unit of work ends.
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO log_readers (reader, \"transaction\", number) VALUES (")
            .bind(reader.to_owned())
            .push(", 0, 0) ON CONFLICT (reader) DO UPDATE SET number = log_readers.number");
        self.unit.execute(sql).await?;
        let mut sql = Sql::new(self.unit.tx());
        sql.push("DELETE FROM message_counts");
        self.unit.execute(sql).await?;
        match self.unit.tx().get_database_backend() {
            DbBackend::Postgres => self.rebuild_beside_others(reader).await,
            _ => self.rebuild_alone(reader).await,
        }
    }

    async fn sweep(&mut self, limit: u16) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(&format!(
            "DELETE FROM message_counts WHERE ({KEY}) IN \
             (SELECT {KEY} FROM message_counts WHERE count = 0 LIMIT "
        ))
        .bind(i64::from(limit))
        .push(")");
        self.unit.execute(sql).await
    }

    async fn all(&mut self) -> Result<Vec<(Key, i64)>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(&format!("SELECT {KEY}, count FROM message_counts WHERE count <> 0"));
        self.unit.rows(sql).await?.iter().map(from_row).collect()
    }
}

impl SeaTallies<'_> {
    /// Nobody else writes on SQLite: what is counted is all that the log tells.
    async fn rebuild_alone(&self, reader: &str) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(&counted());
        let counts = self.unit.execute(sql).await?;
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "UPDATE log_readers SET number = (SELECT COALESCE(MAX(number), 0) FROM events) \
             WHERE reader = ",
        )
        .bind(reader.to_owned());
        self.unit.execute(sql).await?;
        Ok(counts)
    }

    /// One statement has one snapshot: the messages that it counts are those whose events are visible
    /// in it, so the snapshot itself is kept, and those events are left out later on.
    async fn rebuild_beside_others(&self, reader: &str) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("WITH counted AS (")
            .push(&counted())
            .push(" RETURNING 1), moved AS (UPDATE log_readers SET ")
            .push("\"transaction\" = pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, ")
            .push(&format!("number = {}, seen = pg_current_snapshot()::text ", i64::MAX))
            .push("WHERE reader = ")
            .bind(reader.to_owned())
            .push(" RETURNING 1) SELECT COUNT(*) AS counts FROM counted, moved");
        let rows = self.unit.rows(sql).await?;
        let counts: i64 = match rows.first() {
            Some(row) => row.try_get("", "counts").map_err(store)?,
            None => 0,
        };
        Ok(u64::try_from(counts).unwrap_or_default())
    }
}

fn from_row(row: &QueryResult) -> Result<(Key, i64), StoreError> {
    let word = |name: &str| row.try_get::<String>("", name).map_err(store);
    let id = |name: &str| row.try_get::<Uuid>("", name).map_err(store);
    let bucket: i64 = row.try_get("", "bucket").map_err(store)?;
    let key = Key {
        account: AccountId::from(id("account_id")?),
        bucket,
        device: DeviceId::from(id("device_id")?),
        direction: word("direction")?,
        kind: word("kind")?,
        purpose: word("purpose")?,
        origin: word("origin")?,
        broadcast: word("broadcast")?,
        mark: column("message_counts", &bucket, "status").word::<Mark>(&word("status")?)?,
        reason: word("reason")?,
    };
    Ok((key, row.try_get("", "count").map_err(store)?))
}
