//! Sums of the counts.

use async_trait::async_trait;
use kabar_core::{AccountId, BroadcastId, DeviceId, StoreError};
use kabar_insights::repo::{CountFilter, Reach, Sum, SumRepo};
use kabar_insights::tally::Mark;
use kabar_insights::{Group, Period};
use kabar_messaging::Direction;
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::convert::{column, micros};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

pub(super) struct SeaSums<'a> {
    pub(super) unit: &'a Unit,
    pub(super) reach: Reach,
}

/// The column that a group is.
const fn group_column(group: Group) -> &'static str {
    match group {
        Group::Device => "c.device_id",
        Group::Type => "c.kind",
        Group::Direction => "c.direction",
        Group::Broadcast => "c.broadcast",
        Group::Origin => "c.origin",
        Group::Purpose => "c.purpose",
        Group::Reason => "c.reason",
        Group::Account => "c.account_id",
        _ => "c.status",
    }
}

#[async_trait]
impl SumRepo for SeaSums<'_> {
    async fn sums(
        &mut self,
        filter: &CountFilter,
        periods: &[Period],
        group: Option<Group>,
        limit: u32,
    ) -> Result<Vec<Sum>, StoreError> {
        if periods.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("WITH p (n, start, stop) AS (VALUES ");
        for (n, period) in (0_i64..).zip(periods) {
            sql.push(if n == 0 { "(" } else { ", (" });
            sql.bind(n).push(", ");
            sql.bind(micros(period.start)).push(", ");
            sql.bind(micros(period.end)).push(")");
        }
        let key = group.map_or("''", group_column);
        sql.push(&format!(
            ") SELECT p.n AS n, {key} AS grouped, c.direction AS direction, c.status AS status, \
             CAST(SUM(c.count) AS bigint) AS count FROM p JOIN message_counts c \
             ON c.bucket >= p.start AND c.bucket < p.stop WHERE c.count <> 0"
        ));
        self.reach(&mut sql);
        filtered(&mut sql, filter);
        match group {
            Some(Group::Broadcast) => {
                sql.push(" AND c.broadcast <> ''");
            }
            Some(Group::Reason) => {
                sql.push(" AND c.status IN ('failed', 'uncertain')");
            }
            _ => {}
        }
        sql.push(" GROUP BY 1, 2, 3, 4 LIMIT ").bind(i64::from(limit));
        let rows = self.unit.rows(sql).await?;
        rows.iter().map(|row| from_row(row, group)).collect()
    }
}

impl SeaSums<'_> {
    fn reach(&self, sql: &mut Sql) {
        if let Reach::Account(scope) = self.reach {
            sql.push(" AND c.account_id = ").bind(scope.account().uuid());
            if let Some(device) = scope.device() {
                sql.push(" AND c.device_id = ").bind(device.uuid());
            }
        }
    }
}

fn filtered(sql: &mut Sql, filter: &CountFilter) {
    if let Some(device) = filter.device {
        sql.push(" AND c.device_id = ").bind(device.uuid());
    }
    let words = [
        ("direction", filter.direction.map(|word| word.to_string())),
        ("kind", filter.kind.clone()),
        ("purpose", filter.purpose.map(|word| word.to_string())),
        ("origin", filter.origin.map(|word| word.to_string())),
        ("broadcast", filter.broadcast.map(|id: BroadcastId| id.to_string())),
        ("status", filter.mark.map(|mark| mark.as_str().to_owned())),
    ];
    for (name, word) in words {
        if let Some(word) = word {
            sql.push(&format!(" AND c.{name} = ")).bind(word);
        }
    }
}

fn from_row(row: &QueryResult, group: Option<Group>) -> Result<Sum, StoreError> {
    let word = |name: &str| row.try_get::<String>("", name).map_err(store);
    let id = || row.try_get::<Uuid>("", "grouped").map_err(store);
    let period: i64 = row.try_get("", "n").map_err(store)?;
    let at = |name| column("message_counts", &period, name);
    Ok(Sum {
        period: usize::try_from(period).unwrap_or_default(),
        group: match group {
            Some(Group::Device) => DeviceId::from(id()?).to_string(),
            Some(Group::Account) => AccountId::from(id()?).to_string(),
            _ => word("grouped")?,
        },
        direction: at("direction").word::<Direction>(&word("direction")?)?,
        mark: at("status").word::<Mark>(&word("status")?)?,
        count: row.try_get("", "count").map_err(store)?,
    })
}
