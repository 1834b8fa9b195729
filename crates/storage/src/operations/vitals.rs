//! Counting. Every query goes along an index that holds only what waits or is unwell.

use chrono::TimeDelta;
use kabar_core::{AccountId, DeviceId, StoreError, Timestamp};
use kabar_messaging::repo::Line;
use kabar_operations::{DeviceVitals, JobVitals, Vitals};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::convert::{column, micros, time_opt};
use crate::error::store;
use crate::messaging::{EACH_DEVICE, firsts};
use crate::raw::Sql;
use crate::unit::Unit;

pub(super) async fn read(unit: &Unit, now: Timestamp) -> Result<Vitals, StoreError> {
    let lately = micros(now - TimeDelta::seconds(i64::from(Vitals::LATELY)));
    let devices = devices(unit, now).await?;
    Ok(Vitals {
        outbox: outbox(unit).await?,
        oldest_ready: devices.iter().filter_map(|device| device.oldest_ready).min(),
        devices,
        uncertain: uncertain(unit, lately).await?,
        jobs: jobs(unit).await?,
        quarantined: quarantined(unit, 0).await?,
        quarantined_lately: quarantined(unit, lately).await?,
    })
}

fn count(row: &QueryResult, name: &str) -> Result<u64, StoreError> {
    let count: i64 = row.try_get("", name).map_err(store)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

async fn outbox(unit: &Unit) -> Result<Vec<(String, u64)>, StoreError> {
    let mut sql = Sql::new(unit.tx());
    sql.push("SELECT status, COUNT(*) AS found FROM messages WHERE queued GROUP BY status");
    let rows = unit.rows(sql).await?;
    let read =
        |row: &QueryResult| Ok((row.try_get("", "status").map_err(store)?, count(row, "found")?));
    rows.iter().map(read).collect()
}

async fn uncertain(unit: &Unit, since: i64) -> Result<Vec<(AccountId, u64)>, StoreError> {
    let mut sql = Sql::new(unit.tx());
    sql.push(
        "SELECT account_id, COUNT(*) AS found FROM messages WHERE status = 'uncertain' \
         AND updated_at >= ",
    )
    .bind(since)
    .push(" GROUP BY account_id");
    let rows = unit.rows(sql).await?;
    let read = |row: &QueryResult| {
        let account: Uuid = row.try_get("", "account_id").map_err(store)?;
        Ok((AccountId::from(account), count(row, "found")?))
    };
    rows.iter().map(read).collect()
}

async fn jobs(unit: &Unit) -> Result<Vec<JobVitals>, StoreError> {
    let mut sql = Sql::new(unit.tx());
    sql.push(
        "SELECT name, SUM(CASE WHEN buried THEN 0 ELSE 1 END) AS waiting, \
         SUM(CASE WHEN buried THEN 1 ELSE 0 END) AS buried, \
         MIN(CASE WHEN buried THEN NULL ELSE ready_at END) AS oldest \
         FROM jobs GROUP BY name ORDER BY name",
    );
    let rows = unit.rows(sql).await?;
    let read = |row: &QueryResult| {
        Ok(JobVitals {
            name: row.try_get("", "name").map_err(store)?,
            waiting: count(row, "waiting")?,
            buried: count(row, "buried")?,
            oldest_due: time_opt(row.try_get("", "oldest").map_err(store)?),
        })
    };
    rows.iter().map(read).collect()
}

async fn quarantined(unit: &Unit, since: i64) -> Result<u64, StoreError> {
    let mut sql = Sql::new(unit.tx());
    sql.push("SELECT COUNT(*) AS found FROM quarantine WHERE at >= ").bind(since);
    let rows = unit.rows(sql).await?;
    rows.first().map_or(Ok(0), |row| count(row, "found"))
}

/// A lane that nobody owns is ready when its head may go: what is held, paused or scheduled is
/// ready later. What is for new contacts may wait for the ban guard, for days.
async fn devices(unit: &Unit, now: Timestamp) -> Result<Vec<DeviceVitals>, StoreError> {
    let mut sql = Sql::new(unit.tx());
    sql.push(EACH_DEVICE).push(
        "SELECT v.id AS id, v.account_id AS account_id, v.name AS name, v.state AS state, \
         v.quality AS quality, v.health AS health, l.oldest AS oldest FROM devices v \
         LEFT JOIN (SELECT device_id, MIN(ready_at) AS oldest FROM (",
    );
    let known = Line::ALL.iter().filter(|line| !line.new_contact);
    firsts(&mut sql, known, |sql| {
        sql.push("ready_at <= ").bind(micros(now)).push(" AND owner IS NULL");
    });
    sql.push(
        ") firsts GROUP BY device_id) l ON l.device_id = v.id \
         WHERE v.removed_at IS NULL AND (l.oldest IS NOT NULL \
         OR v.state IN ('disconnected', 'banned') OR v.health = 'poor' \
         OR UPPER(COALESCE(v.quality, '')) NOT IN ('', 'GREEN', 'UNKNOWN', 'NA')) \
         ORDER BY v.id LIMIT ",
    )
    .bind(i64::try_from(Vitals::MOST_DEVICES).unwrap_or(i64::MAX));
    let rows = unit.rows(sql).await?;
    let read = |row: &QueryResult| {
        let (id, account): (Uuid, Uuid) =
            (row.try_get("", "id").map_err(store)?, row.try_get("", "account_id").map_err(store)?);
        let health: Option<String> = row.try_get("", "health").map_err(store)?;
        Ok(DeviceVitals {
            device: DeviceId::from(id),
            account: AccountId::from(account),
            name: row.try_get("", "name").map_err(store)?,
            state: row.try_get("", "state").map_err(store)?,
            quality: row.try_get("", "quality").map_err(store)?,
            health: health.map(|word| column("devices", &id, "health").word(&word)).transpose()?,
            oldest_ready: time_opt(row.try_get("", "oldest").map_err(store)?),
        })
    };
    rows.iter().map(read).collect()
}
