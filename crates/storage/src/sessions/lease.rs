//! Leases.

use async_trait::async_trait;
use kabar_channel::{ChannelKind, Fence};
use kabar_core::{
    AccountId, DeviceId, Page, PageRequest, PhoneNumber, StoreError, Timestamp, Topic,
};
use kabar_devices::DeviceState;
use kabar_devices::lease::{Errand, Held, Lease, LeaseRepo, Release, TTL};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::limits;
use crate::convert::{micros, time};
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

/// Devices of one statement, at most.
const CHUNK: usize = 500;

/// What every answer has: the lease, its account, and whether the session is wanted in earnest.
const ANSWER: &str = "session_leases.device_id AS device_id, session_leases.node AS node, \
    session_leases.fence AS fence, session_leases.free_at AS free_at, \
    session_leases.link AS link, session_leases.log_out_at AS log_out_at, \
    (SELECT d.account_id FROM devices d WHERE d.id = session_leases.device_id) AS account_id, \
    (session_leases.wanted AND EXISTS (SELECT 1 FROM devices d JOIN accounts a \
        ON a.id = d.account_id AND a.active WHERE d.id = session_leases.device_id \
        AND d.removed_at IS NULL)) AS wanted";

/// The leases of the installation.
pub(super) struct SeaLeases<'a> {
    pub(super) unit: &'a Unit,
}

fn lease(row: &QueryResult) -> Result<Lease, StoreError> {
    let device: Uuid = row.try_get("", "device_id").map_err(store)?;
    let account: Uuid = row.try_get("", "account_id").map_err(store)?;
    let fence: i64 = row.try_get("", "fence").map_err(store)?;
    Ok(Lease {
        device: DeviceId::from(device),
        account: AccountId::from(account),
        wanted: row.try_get("", "wanted").map_err(store)?,
        node: row.try_get("", "node").map_err(store)?,
        fence: fence.unsigned_abs(),
        until: time(row.try_get("", "free_at").map_err(store)?),
        errand: errand(row)?,
    })
}

fn errand(row: &QueryResult) -> Result<Errand, StoreError> {
    let log_out: Option<i64> = row.try_get("", "log_out_at").map_err(store)?;
    let link: Option<String> = row.try_get("", "link").map_err(store)?;
    if let Some(asked) = log_out {
        return Ok(Errand::LogOut(time(asked)));
    }
    let Some(link) = link else { return Ok(Errand::None) };
    PhoneNumber::parse(&link, None).map(Errand::Link).map_err(|problem| StoreError::BadRow {
        table: "session_leases",
        row: row.try_get::<Uuid>("", "device_id").unwrap_or_default().to_string(),
        column: "link",
        problem: problem.to_string(),
    })
}

fn held(row: &QueryResult) -> Result<Held, StoreError> {
    let state: String = row.try_get("", "state").map_err(store)?;
    let lease = lease(row)?;
    let state = state.parse::<DeviceState>().map_err(|problem| StoreError::BadRow {
        table: "devices",
        row: lease.device.to_string(),
        column: "state",
        problem: problem.to_string(),
    })?;
    Ok(Held {
        lease,
        name: row.try_get("", "name").map_err(store)?,
        state,
        state_reason: row.try_get("", "state_reason").map_err(store)?,
    })
}

impl SeaLeases<'_> {
    /// From here on nobody waits for this unit of work for long, should its process freeze.
    async fn limit(&self) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        if sql.is_postgres() {
            sql.push(&limits());
            self.unit.rows(sql).await?;
        }
        Ok(())
    }

    async fn leases(&self, sql: Sql) -> Result<Vec<Lease>, StoreError> {
        self.unit.rows(sql).await?.iter().map(lease).collect()
    }

    /// Makes the leases of devices that have none.
    async fn ensure(&self, devices: &[Uuid]) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "INSERT INTO session_leases (device_id, wanted, fence, free_at) \
             SELECT id, FALSE, 0, 0 FROM devices WHERE removed_at IS NULL AND channel = ",
        )
        .bind(ChannelKind::QR_SESSION.as_str())
        .push(" AND id IN ")
        .among(devices.to_vec())
        .push(" ORDER BY id ON CONFLICT (device_id) DO NOTHING");
        self.unit.execute(sql).await.map(|_| ())
    }

    /// Takes the leases that a query picks.
    async fn take(
        &self,
        node: Uuid,
        at: Timestamp,
        pick: impl FnOnce(&mut Sql),
    ) -> Result<Vec<Lease>, StoreError> {
        self.limit().await?;
        let mut sql = Sql::new(self.unit.tx());
        sql.push("WITH picked AS (SELECT l.device_id AS device_id FROM session_leases l ");
        pick(&mut sql);
        sql.on_postgres(" FOR UPDATE OF l SKIP LOCKED")
            .push(") UPDATE session_leases SET node = ")
            .bind(node)
            .push(", fence = session_leases.fence + 1, free_at = ")
            .bind(micros(at + TTL))
            .push(" FROM picked WHERE session_leases.device_id = picked.device_id RETURNING ")
            .push(ANSWER);
        self.leases(sql).await
    }
}

fn uuids(devices: &[DeviceId]) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = devices.iter().map(|device| device.uuid()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[async_trait]
impl LeaseRepo for SeaLeases<'_> {
    async fn want(
        &mut self,
        devices: &[DeviceId],
        from: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.limit().await?;
        for chunk in chunks(&uuids(devices), CHUNK) {
            self.ensure(chunk).await?;
            let mut sql = Sql::new(self.unit.tx());
            sql.push("UPDATE session_leases SET wanted = ").bind(from.is_some());
            if let Some(from) = from {
                sql.push(", free_at = CASE WHEN node IS NULL THEN ")
                    .bind(micros(from))
                    .push(" ELSE free_at END");
            }
            sql.push(" WHERE device_id IN ").among(chunk.to_vec());
            self.unit.execute(sql).await?;
        }
        self.unit.wakes(Topic::Sessions);
        Ok(())
    }

    async fn send_on(&mut self, device: DeviceId, errand: &Errand) -> Result<(), StoreError> {
        let (link, log_out) = match errand {
            Errand::None => (None, None),
            Errand::Link(number) => (Some(number.as_str().to_owned()), None),
            Errand::LogOut(asked) => (None, Some(micros(*asked))),
        };
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE session_leases SET link = ")
            .bind(link)
            .push(", log_out_at = ")
            .bind(log_out)
            .push(" WHERE device_id = ")
            .bind(device.uuid());
        self.unit.execute(sql).await?;
        self.unit.wakes(Topic::Sessions);
        Ok(())
    }

    async fn claim(
        &mut self,
        node: Uuid,
        at: Timestamp,
        limit: u16,
    ) -> Result<Vec<Lease>, StoreError> {
        self.take(node, at, |sql| {
            sql.push(
                "JOIN devices d ON d.id = l.device_id AND d.removed_at IS NULL \
                 JOIN accounts a ON a.id = d.account_id AND a.active \
                 WHERE l.wanted AND l.free_at <= ",
            )
            .bind(micros(at))
            .push(" ORDER BY l.free_at, l.device_id LIMIT ")
            .bind(i64::from(limit));
        })
        .await
    }

    async fn claim_one(
        &mut self,
        node: Uuid,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        self.ensure(&[device.uuid()]).await?;
        let taken = self
            .take(node, at, |sql| {
                sql.push(
                    "JOIN devices d ON d.id = l.device_id AND d.removed_at IS NULL \
                     WHERE l.device_id = ",
                )
                .bind(device.uuid())
                .push(" AND (l.node IS NULL OR l.free_at <= ")
                .bind(micros(at))
                .push(")");
            })
            .await?;
        Ok(taken.into_iter().next())
    }

    async fn renew(&mut self, node: Uuid, at: Timestamp) -> Result<Vec<Lease>, StoreError> {
        self.limit().await?;
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE session_leases SET free_at = ")
            .bind(micros(at + TTL))
            .push(" WHERE node = ")
            .bind(node)
            .push(" AND free_at > ")
            .bind(micros(at))
            .push(" RETURNING ")
            .push(ANSWER);
        self.leases(sql).await
    }

    async fn release(&mut self, node: Uuid, leases: &[Release]) -> Result<(), StoreError> {
        self.limit().await?;
        let mut leases = leases.to_vec();
        leases.sort_unstable_by_key(|release| release.fence.device);
        let statement = |chunk: &[Release]| {
            let rows = chunk.iter().map(|release| -> [Value; 3] {
                let token = i64::try_from(release.fence.token).unwrap_or(i64::MAX);
                [release.fence.device.uuid().into(), token.into(), micros(release.from).into()]
            });
            let mut sql = Sql::new(self.unit.tx());
            sql.push("WITH v(device_id, fence, free_at) AS (").values(rows).push(
                ") UPDATE session_leases SET node = NULL, free_at = v.free_at FROM v \
                 WHERE session_leases.device_id = v.device_id \
                 AND session_leases.fence = v.fence AND session_leases.node = ",
            );
            sql.bind(node);
            sql
        };
        let statements = chunks(&leases, CHUNK).map(statement).collect();
        self.unit.execute_all(statements).await.map(|_| ())
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<Held>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT ").push(ANSWER).push(
            ", d.name AS name, d.state AS state, d.state_reason AS state_reason \
             FROM session_leases JOIN devices d ON d.id = session_leases.device_id \
             AND d.removed_at IS NULL",
        );
        if let Some(after) = page.after {
            sql.push(" WHERE session_leases.device_id < ").bind(after.id());
        }
        sql.push(" ORDER BY session_leases.device_id DESC LIMIT ").bind(i64::from(page.limit) + 1);
        let rows = self.unit.rows(sql).await?;
        let held = rows.iter().map(held).collect::<Result<Vec<Held>, StoreError>>()?;
        Ok(Page::from_rows(held, page, |held| held.lease.device.uuid()))
    }

    async fn holds(&mut self, fence: Fence) -> Result<bool, StoreError> {
        self.limit().await?;
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT 1 FROM session_leases WHERE device_id = ")
            .bind(fence.device.uuid())
            .push(" AND fence = ")
            .bind(i64::try_from(fence.token).unwrap_or(i64::MAX))
            .on_postgres(" FOR KEY SHARE");
        Ok(!self.unit.rows(sql).await?.is_empty())
    }

    async fn of(&mut self, devices: &[DeviceId]) -> Result<Vec<Lease>, StoreError> {
        let mut found = Vec::with_capacity(devices.len());
        for chunk in chunks(&uuids(devices), CHUNK) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("SELECT ")
                .push(ANSWER)
                .push(" FROM session_leases WHERE device_id IN ")
                .among(chunk.to_vec())
                .push(" ORDER BY device_id");
            found.extend(self.leases(sql).await?);
        }
        Ok(found)
    }
}
