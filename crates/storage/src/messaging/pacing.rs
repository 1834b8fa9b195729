//! What devices, accounts, contacts and portfolios sent.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use kabar_core::{AccountId, ContactId, ConversationId, DeviceId, StoreError, Timestamp};
use kabar_messaging::pacing::pace::{CapState, Slowed};
use kabar_messaging::pacing::repo::{AccountRules, CountedSend, Offer, PacingRepo, Reach};
use kabar_messaging::pacing::{Blocked, Ledger, NewContacts, Pace};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QueryResult, QuerySelect as _,
};
use uuid::Uuid;

use super::entity::pacing_device::{ActiveModel, Column as C, Entity, Model};
use crate::convert::{column, micros, time};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

/// Values of one list.
const IN: usize = 5_000;
/// Old sends of a device that go with a save, at most.
const FORGET: i64 = 64;
/// For how long a counted send is looked at: the window of the daily cap.
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

pub(super) struct SeaPacing<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaPacing<'_> {
    async fn found(
        &self,
        devices: &[DeviceId],
        lock: bool,
    ) -> Result<HashMap<DeviceId, Pace>, StoreError> {
        let mut found = HashMap::with_capacity(devices.len());
        for chunk in devices.chunks(IN) {
            let mut query = Entity::find()
                .filter(C::DeviceId.is_in(chunk.iter().map(|id| id.uuid())))
                .order_by_asc(C::DeviceId);
            if lock && self.unit.locks_rows() {
                query = query.lock(LockType::Update);
            }
            let rows = query.all(self.unit.tx()).await.map_err(store)?;
            found.extend(rows.into_iter().map(|row| (DeviceId::from(row.device_id), pace(&row))));
        }
        Ok(found)
    }

    async fn make(&self, devices: &[DeviceId]) -> Result<(), StoreError> {
        let rows = devices.iter().map(|device| row(*device, &Pace::default()));
        Entity::insert_many(rows)
            .on_conflict(OnConflict::column(C::DeviceId).do_nothing().to_owned())
            .exec_without_returning(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    /// The oldest sends of the devices that are beyond every window.
    async fn forget(&self, device: DeviceId, before: i64) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("DELETE FROM pacing_sends WHERE device_id = ")
            .bind(device.uuid())
            .push(
                " AND seq IN (SELECT seq FROM (SELECT seq, at FROM pacing_sends WHERE device_id = ",
            )
            .bind(device.uuid())
            .push(" ORDER BY seq LIMIT ")
            .bind(FORGET)
            .push(") oldest WHERE at <= ")
            .bind(before)
            .push(")");
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn count(&self, sql: Sql, name: &str) -> Result<u64, StoreError> {
        let rows = self.unit.rows(sql).await?;
        let count = rows.first().map(|row| row.try_get::<i64>("", name).map_err(store));
        Ok(u64::try_from(count.transpose()?.unwrap_or_default()).unwrap_or_default())
    }

    async fn numbered(&self, sql: Sql) -> Result<Ledger, StoreError> {
        let rows = self.unit.rows(sql).await?;
        let read = |row: &QueryResult| {
            let seq: i64 = row.try_get("", "seq").map_err(store)?;
            let at: i64 = row.try_get("", "at").map_err(store)?;
            Ok((seq, time(at)))
        };
        rows.iter().map(read).collect()
    }
}

fn row(device: DeviceId, pace: &Pace) -> ActiveModel {
    ActiveModel {
        device_id: Set(device.uuid()),
        seq: Set(pace.seq),
        sent_at: Set(micros(pace.sent_at)),
        paced_at: Set(micros(pace.paced_at)),
        delay_until: Set(micros(pace.delay_until)),
        rest_until: Set(micros(pace.rest_until)),
        batch: Set(i64::from(pace.batch)),
        hour_most: Set(i64::from(pace.hour.most)),
        hour_until: Set(micros(pace.hour.until)),
        day_most: Set(i64::from(pace.day.most)),
        day_until: Set(micros(pace.day.until)),
        busy_until: Set(micros(pace.busy_until)),
        slowed_milli: Set(pace.slowed.map(|slowed| i64::from(slowed.milli))),
        slowed_at: Set(pace.slowed.map(|slowed| micros(slowed.since))),
        new_day: Set(i64::from(pace.new.day)),
        new_sent: Set(i64::from(pace.new.sent)),
        blocked_until: Set(pace.new.blocked.map(|blocked| micros(blocked.until))),
        blocked_assumed: Set(pace.new.blocked.is_some_and(|blocked| blocked.assumed)),
        blocked_code: Set(pace.new.blocked.and_then(|blocked| blocked.code).map(i64::from)),
    }
}

fn number(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

fn pace(row: &Model) -> Pace {
    let slowed = row.slowed_milli.zip(row.slowed_at);
    Pace {
        seq: row.seq,
        sent_at: time(row.sent_at),
        paced_at: time(row.paced_at),
        delay_until: time(row.delay_until),
        rest_until: time(row.rest_until),
        batch: number(row.batch),
        hour: CapState { most: number(row.hour_most), until: time(row.hour_until) },
        day: CapState { most: number(row.day_most), until: time(row.day_until) },
        busy_until: time(row.busy_until),
        slowed: slowed.map(|(milli, at)| Slowed { milli: number(milli), since: time(at) }),
        new: new_contacts(row),
    }
}

fn new_contacts(row: &Model) -> NewContacts {
    let code = row.blocked_code.and_then(|code| u16::try_from(code).ok());
    let blocked = row.blocked_until.map(|until| Blocked {
        until: time(until),
        assumed: row.blocked_assumed,
        code,
    });
    let day = i32::try_from(row.new_day).unwrap_or_default();
    NewContacts { day, sent: number(row.new_sent), blocked }
}

/// Everything that a save changes.
const CHANGEABLE: [C; 18] = [
    C::Seq,
    C::SentAt,
    C::PacedAt,
    C::DelayUntil,
    C::RestUntil,
    C::Batch,
    C::HourMost,
    C::HourUntil,
    C::DayMost,
    C::DayUntil,
    C::BusyUntil,
    C::SlowedMilli,
    C::SlowedAt,
    C::NewDay,
    C::NewSent,
    C::BlockedUntil,
    C::BlockedAssumed,
    C::BlockedCode,
];

#[async_trait]
impl PacingRepo for SeaPacing<'_> {
    async fn paces(&mut self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Pace>, StoreError> {
        self.found(devices, false).await
    }

    async fn lock(&mut self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Pace>, StoreError> {
        let devices: Vec<DeviceId> =
            devices.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let found = self.found(&devices, true).await?;
        let new: Vec<DeviceId> =
            devices.iter().copied().filter(|device| !found.contains_key(device)).collect();
        if new.is_empty() {
            return Ok(found);
        }
        self.make(&new).await?;
        self.found(&devices, true).await
    }

    async fn save(
        &mut self,
        paces: &[(DeviceId, Pace)],
        sends: &[CountedSend],
    ) -> Result<(), StoreError> {
        for chunk in paces.chunks(1_000) {
            let rows = chunk.iter().map(|(device, pace)| row(*device, pace));
            Entity::insert_many(rows)
                .on_conflict(OnConflict::column(C::DeviceId).update_columns(CHANGEABLE).to_owned())
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        for chunk in sends.chunks(1_000) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("INSERT INTO pacing_sends (device_id, seq, at) VALUES ");
            for (index, send) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "(" } else { ", (" });
                sql.bind(send.device.uuid()).push(", ").bind(send.seq).push(", ");
                sql.bind(micros(send.at)).push(")");
            }
            self.unit.execute(sql).await?;
        }
        let newest: HashMap<DeviceId, i64> =
            sends.iter().map(|send| (send.device, micros(send.at))).collect();
        for (device, at) in newest {
            self.forget(device, at - DAY_MICROS).await?;
        }
        Ok(())
    }

    async fn ledger(
        &mut self,
        device: DeviceId,
        ranges: &[(i64, i64)],
    ) -> Result<Ledger, StoreError> {
        if ranges.is_empty() {
            return Ok(Ledger::new());
        }
        let mut sql = Sql::new(self.unit.tx());
        for (index, (first, last)) in ranges.iter().enumerate() {
            sql.push(if index == 0 { "" } else { " UNION ALL " });
            sql.push("SELECT seq, at FROM pacing_sends WHERE device_id = ").bind(device.uuid());
            sql.push(" AND seq BETWEEN ").bind(*first).push(" AND ").bind(*last);
        }
        self.numbered(sql).await
    }

    async fn sends_since(
        &mut self,
        device: DeviceId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Ledger, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT seq, at FROM (SELECT seq, at FROM pacing_sends WHERE device_id = ")
            .bind(device.uuid())
            .push(" ORDER BY seq DESC LIMIT ")
            .bind(i64::from(limit))
            .push(") newest WHERE at > ")
            .bind(micros(since));
        self.numbered(sql).await
    }

    async fn count_since(&mut self, device: DeviceId, since: Timestamp) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT COUNT(*) AS sends FROM pacing_sends WHERE device_id = ")
            .bind(device.uuid())
            .push(" AND at > ")
            .bind(micros(since));
        self.count(sql, "sends").await
    }

    async fn waiting(&mut self, device: DeviceId) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT COUNT(*) AS waiting FROM messages WHERE queued AND device_id = ")
            .bind(device.uuid());
        self.count(sql, "waiting").await
    }

    async fn accounts(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, AccountRules>, StoreError> {
        if accounts.is_empty() {
            return Ok(HashMap::new());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "SELECT a.id AS id, a.time_zone AS time_zone, p.settings AS settings FROM accounts a \
             LEFT JOIN pacing_accounts p ON p.account_id = a.id WHERE a.id IN ",
        )
        .list(accounts.iter().map(|id| id.uuid()));
        let rows = self.unit.rows(sql).await?;
        let read = |row: &QueryResult| {
            let id: Uuid = row.try_get("", "id").map_err(store)?;
            let zone: String = row.try_get("", "time_zone").map_err(store)?;
            let settings: Option<serde_json::Value> = row.try_get("", "settings").map_err(store)?;
            let rules = AccountRules {
                zone: column("accounts", &id, "time_zone").word(&zone)?,
                pacing: column("pacing_accounts", &id, "settings")
                    .json_opt(settings)?
                    .unwrap_or_default(),
            };
            Ok((AccountId::from(id), rules))
        };
        rows.iter().map(read).collect()
    }

    async fn lock_offers(
        &mut self,
        account: AccountId,
        contacts: &[ContactId],
        since: Timestamp,
    ) -> Result<Vec<(ContactId, Timestamp)>, StoreError> {
        if self.unit.locks_rows() {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("SELECT account_id FROM pacing_accounts WHERE account_id = ")
                .bind(account.uuid())
                .push(" FOR UPDATE");
            self.unit.rows(sql).await?;
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT contact_id, at FROM pacing_offers WHERE account_id = ")
            .bind(account.uuid())
            .push(" AND contact_id IN ")
            .list(contacts.iter().map(|id| id.uuid()))
            .push(" AND at > ")
            .bind(micros(since))
            .push(" ORDER BY at");
        let rows = self.unit.rows(sql).await?;
        let read = |row: &QueryResult| {
            let contact: Uuid = row.try_get("", "contact_id").map_err(store)?;
            let at: i64 = row.try_get("", "at").map_err(store)?;
            Ok((ContactId::from(contact), time(at)))
        };
        rows.iter().map(read).collect()
    }

    async fn note_offers(
        &mut self,
        account: AccountId,
        offers: &[Offer],
    ) -> Result<(), StoreError> {
        for chunk in offers.chunks(1_000) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("INSERT INTO pacing_offers (account_id, contact_id, at, message_id) VALUES ");
            for (index, offer) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "(" } else { ", (" });
                sql.bind(account.uuid()).push(", ").bind(offer.contact.uuid()).push(", ");
                sql.bind(micros(offer.at)).push(", ").bind(offer.message.uuid()).push(")");
            }
            sql.push(" ON CONFLICT DO NOTHING");
            self.unit.execute(sql).await?;
        }
        Ok(())
    }

    async fn pauses(
        &mut self,
        places: &[String],
        now: Timestamp,
    ) -> Result<HashMap<String, Timestamp>, StoreError> {
        if places.is_empty() {
            return Ok(HashMap::new());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT place, until FROM pacing_pauses WHERE until > ")
            .bind(micros(now))
            .push(" AND place IN ")
            .list(places.iter().map(String::as_str));
        let rows = self.unit.rows(sql).await?;
        let read = |row: &QueryResult| {
            let place: String = row.try_get("", "place").map_err(store)?;
            let until: i64 = row.try_get("", "until").map_err(store)?;
            Ok((place, time(until)))
        };
        rows.iter().map(read).collect()
    }

    async fn pause(&mut self, pauses: &[(String, Timestamp)]) -> Result<(), StoreError> {
        let mut pauses = pauses.to_vec();
        pauses.sort_unstable();
        for (place, until) in pauses {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("INSERT INTO pacing_pauses (place, until) VALUES (")
                .bind(place)
                .push(", ")
                .bind(micros(until))
                .push(
                    ") ON CONFLICT (place) DO UPDATE SET until = CASE WHEN excluded.until > \
                     pacing_pauses.until THEN excluded.until ELSE pacing_pauses.until END",
                );
            self.unit.execute(sql).await?;
        }
        Ok(())
    }

    async fn set_reach(&mut self, portfolio: &str, most: Option<u32>) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO pacing_portfolios (portfolio, most, reached) VALUES (")
            .bind(portfolio)
            .push(", ")
            .bind(most.map(i64::from))
            .push(", 0) ON CONFLICT (portfolio) DO UPDATE SET most = excluded.most");
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn limited(&mut self, portfolios: &[String]) -> Result<Vec<String>, StoreError> {
        if portfolios.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "SELECT portfolio FROM pacing_portfolios WHERE most IS NOT NULL AND portfolio IN ",
        )
        .list(portfolios.iter().map(String::as_str));
        let rows = self.unit.rows(sql).await?;
        rows.iter().map(|row| row.try_get("", "portfolio").map_err(store)).collect()
    }

    async fn outside_windows(
        &mut self,
        conversations: &[ConversationId],
        now: Timestamp,
    ) -> Result<Vec<ConversationId>, StoreError> {
        if conversations.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT id FROM conversations WHERE id IN ")
            .list(conversations.iter().map(|id| id.uuid()))
            .push(" AND (window_expires_at IS NULL OR window_expires_at <= ")
            .bind(micros(now))
            .push(")");
        let rows = self.unit.rows(sql).await?;
        rows.iter()
            .map(|row| row.try_get::<Uuid>("", "id").map(ConversationId::from).map_err(store))
            .collect()
    }

    async fn lock_reach(
        &mut self,
        portfolios: &[String],
        since: Timestamp,
    ) -> Result<HashMap<String, Reach>, StoreError> {
        let mut found = HashMap::new();
        if portfolios.is_empty() {
            return Ok(found);
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT portfolio, most, reached FROM pacing_portfolios WHERE portfolio IN ")
            .list(portfolios.iter().map(String::as_str))
            .push(" ORDER BY portfolio")
            .on_postgres(" FOR UPDATE");
        for row in self.unit.rows(sql).await? {
            let portfolio: String = row.try_get("", "portfolio").map_err(store)?;
            let most: Option<i64> = row.try_get("", "most").map_err(store)?;
            let reached: i64 = row.try_get("", "reached").map_err(store)?;
            let gone = self.forget_reached(&portfolio, since).await?;
            let oldest = self.oldest_reached(&portfolio).await?;
            let reached = number(reached - i64::try_from(gone).unwrap_or_default());
            found.insert(portfolio, Reach { most: most.map(number), reached, oldest });
        }
        Ok(found)
    }

    async fn reached(
        &mut self,
        portfolio: &str,
        contacts: &[ContactId],
    ) -> Result<Vec<ContactId>, StoreError> {
        if contacts.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT contact_id FROM pacing_reached WHERE portfolio = ")
            .bind(portfolio)
            .push(" AND contact_id IN ")
            .list(contacts.iter().map(|id| id.uuid()));
        let rows = self.unit.rows(sql).await?;
        rows.iter()
            .map(|row| row.try_get::<Uuid>("", "contact_id").map(ContactId::from).map_err(store))
            .collect()
    }

    async fn note_reached(
        &mut self,
        portfolio: &str,
        contacts: &[ContactId],
        new: u32,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if contacts.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO pacing_reached (portfolio, contact_id, at) VALUES ");
        for (index, contact) in contacts.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" }).bind(portfolio);
            sql.push(", ").bind(contact.uuid()).push(", ").bind(micros(at)).push(")");
        }
        sql.push(" ON CONFLICT (portfolio, contact_id) DO UPDATE SET at = excluded.at");
        self.unit.execute(sql).await?;
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE pacing_portfolios SET reached = reached + ")
            .bind(i64::from(new))
            .push(" WHERE portfolio = ")
            .bind(portfolio);
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn prune(&mut self, sends: Timestamp, offers: Timestamp) -> Result<u64, StoreError> {
        let mut gone = 0;
        for (text, before) in [
            ("DELETE FROM pacing_sends WHERE at <= ", sends),
            ("DELETE FROM pacing_offers WHERE at <= ", offers),
            ("DELETE FROM pacing_pauses WHERE until <= ", sends),
        ] {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(text).bind(micros(before));
            gone += self.unit.execute(sql).await?;
        }
        Ok(gone)
    }
}

impl SeaPacing<'_> {
    async fn forget_reached(&self, portfolio: &str, since: Timestamp) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("DELETE FROM pacing_reached WHERE portfolio = ")
            .bind(portfolio)
            .push(" AND at <= ")
            .bind(micros(since));
        let gone = self.unit.execute(sql).await?;
        if gone > 0 {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("UPDATE pacing_portfolios SET reached = reached - ")
                .bind(i64::try_from(gone).unwrap_or_default())
                .push(" WHERE portfolio = ")
                .bind(portfolio);
            self.unit.execute(sql).await?;
        }
        Ok(gone)
    }

    async fn oldest_reached(&self, portfolio: &str) -> Result<Option<Timestamp>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT at FROM pacing_reached WHERE portfolio = ")
            .bind(portfolio)
            .push(" ORDER BY at LIMIT 1");
        let rows = self.unit.rows(sql).await?;
        let at = rows.first().map(|row| row.try_get::<i64>("", "at").map_err(store));
        Ok(at.transpose()?.map(time))
    }
}
