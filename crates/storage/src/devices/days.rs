//! What happened to devices, by day.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_channel::ChannelKind;
use kabar_core::{AccountId, DeviceId, StoreError};
use kabar_devices::HealthWord;
use kabar_devices::health::{Day, DayCounts};
use kabar_devices::repo::{DeviceDays, Note, Patient};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::convert::column;
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

/// The figures, in the order in which they are bound.
const FIGURES: [&str; 8] =
    ["sent", "failed", "refused", "contacted", "answered", "stopped", "banned", "logged_out"];

/// The days of whatever device.
pub(super) struct SeaDeviceDays<'a> {
    pub(super) unit: &'a Unit,
}

const fn figures(counts: &DayCounts) -> [u64; 8] {
    [
        counts.sent,
        counts.failed,
        counts.refused,
        counts.contacted,
        counts.answered,
        counts.stopped,
        counts.banned,
        counts.logged_out,
    ]
}

fn day(row: &QueryResult) -> Result<Day, StoreError> {
    let figure = |name: &str| {
        let count: i64 = row.try_get("", name).map_err(store)?;
        Ok::<_, StoreError>(u64::try_from(count).unwrap_or_default())
    };
    let counts = DayCounts {
        sent: figure("sent")?,
        failed: figure("failed")?,
        refused: figure("refused")?,
        contacted: figure("contacted")?,
        answered: figure("answered")?,
        stopped: figure("stopped")?,
        banned: figure("banned")?,
        logged_out: figure("logged_out")?,
    };
    Ok(Day { day: row.try_get("", "day").map_err(store)?, counts })
}

impl SeaDeviceDays<'_> {
    fn insert(&self, days: &BTreeMap<(DeviceId, i64), DayCounts>) -> Sql {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO device_days (device_id, day, ")
            .push(&FIGURES.join(", "))
            .push(") VALUES ");
        for (index, ((device, day), counts)) in days.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" });
            sql.bind(device.uuid()).push(", ").bind(*day);
            for figure in figures(counts) {
                sql.push(", ").bind(i64::try_from(figure).unwrap_or(i64::MAX));
            }
            sql.push(")");
        }
        let added = FIGURES.map(|name| format!("{name} = device_days.{name} + excluded.{name}"));
        sql.push(" ON CONFLICT (device_id, day) DO UPDATE SET ").push(&added.join(", "));
        sql
    }

    /// The days of devices from one on.
    async fn days(
        &self,
        devices: &[Uuid],
        since: i64,
    ) -> Result<BTreeMap<Uuid, Vec<Day>>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM device_days WHERE device_id IN ")
            .among(devices.to_vec())
            .push(" AND day >= ")
            .bind(since);
        let mut days: BTreeMap<Uuid, Vec<Day>> = BTreeMap::new();
        for row in self.unit.rows(sql).await? {
            let device: Uuid = row.try_get("", "device_id").map_err(store)?;
            days.entry(device).or_default().push(day(&row)?);
        }
        Ok(days)
    }
}

#[async_trait]
impl DeviceDays for SeaDeviceDays<'_> {
    async fn add(&mut self, notes: &[Note]) -> Result<(), StoreError> {
        // In the order of their keys, so that nobody waits for each other in a circle.
        let mut days: BTreeMap<(DeviceId, i64), DayCounts> = BTreeMap::new();
        for note in notes.iter().filter(|note| note.day.counts != DayCounts::default()) {
            *days.entry((note.device, note.day.day)).or_default() += note.day.counts;
        }
        if days.is_empty() {
            return Ok(());
        }
        self.unit.execute(self.insert(&days)).await.map(|_| ())
    }

    async fn since(&mut self, device: DeviceId, day: i64) -> Result<Vec<Day>, StoreError> {
        let mut days = self.days(&[device.uuid()], day).await?;
        Ok(days.remove(&device.uuid()).unwrap_or_default())
    }

    async fn patients(
        &mut self,
        active: i64,
        since: i64,
        after: Option<DeviceId>,
        limit: u16,
    ) -> Result<Vec<Patient>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT v.id AS id, v.account_id AS account_id, v.health AS health ")
            .push("FROM devices v WHERE v.channel = ")
            .bind(ChannelKind::QR_SESSION.as_str())
            .push(" AND v.removed_at IS NULL AND (v.health IN ('watch', 'poor') OR EXISTS (")
            .push("SELECT 1 FROM device_days t WHERE t.device_id = v.id AND t.day >= ")
            .bind(active)
            .push("))");
        if let Some(after) = after {
            sql.push(" AND v.id > ").bind(after.uuid());
        }
        sql.push(" ORDER BY v.id LIMIT ").bind(i64::from(limit));
        let rows = self.unit.rows(sql).await?;
        let mut patients = Vec::with_capacity(rows.len());
        for row in &rows {
            let device: Uuid = row.try_get("", "id").map_err(store)?;
            let account: Uuid = row.try_get("", "account_id").map_err(store)?;
            let word: Option<String> = row.try_get("", "health").map_err(store)?;
            let word = word.map(|word| column("devices", &device, "health").word(&word));
            patients.push(Patient {
                device: DeviceId::from(device),
                account: AccountId::from(account),
                word: word.transpose()?,
                days: Vec::new(),
            });
        }
        let ids: Vec<Uuid> = patients.iter().map(|patient| patient.device.uuid()).collect();
        if !ids.is_empty() {
            let mut days = self.days(&ids, since).await?;
            for patient in &mut patients {
                patient.days = days.remove(&patient.device.uuid()).unwrap_or_default();
            }
        }
        Ok(patients)
    }

    async fn set_health(&mut self, found: &[(DeviceId, HealthWord)]) -> Result<(), StoreError> {
        let mut found = found.to_vec();
        found.sort_unstable();
        for (device, word) in found {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("UPDATE devices SET health = ")
                .bind(word.as_str())
                .push(" WHERE id = ")
                .bind(device.uuid());
            self.unit.execute(sql).await?;
        }
        Ok(())
    }

    async fn forget(&mut self, before: i64) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("DELETE FROM device_days WHERE day < ").bind(before);
        self.unit.execute(sql).await
    }
}
