//! Every lane and message of the installation, for the road out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use kabar_channel::ChannelKind;
use kabar_contacts::StopScope;
use kabar_core::{ContactId, ConversationId, DeviceId, MessageId, StoreError, Timestamp};
use kabar_events::NewEvent;
use kabar_messaging::Message;
use kabar_messaging::message::Lane;
use kabar_messaging::repo::{ClaimedLane, LaneClaim, LaneEntry, Line, OutboxRepo, ReadyDevice};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QueryResult, QuerySelect as _,
};
use uuid::Uuid;

use super::entity::{lane, message};
use super::message::{BYTES, CHUNK, inserts};
use super::row::{CHANGEABLE, from_row, to_changes};
use crate::convert::{column, micros, time};
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

/// Values of one `IN` list.
const IN: usize = 5_000;
/// When an empty lane is ready: never.
const NEVER: i64 = i64::MAX;
/// The head of a lane `l`: the first of its line.
const HEAD: &str = "FROM messages m WHERE m.device_id = l.device_id AND m.contact_id = l.contact_id \
                    AND m.queued ORDER BY m.due_at, m.id LIMIT 1";

/// The devices `d` that have a lane: jumps from one to the next along the index instead of reading
/// every lane.
pub(crate) const EACH_DEVICE: &str = "WITH RECURSIVE d (id) AS (\
     SELECT (SELECT device_id FROM lanes ORDER BY device_id LIMIT 1) \
     UNION ALL \
     SELECT (SELECT device_id FROM lanes WHERE device_id > d.id ORDER BY device_id LIMIT 1) \
     FROM d WHERE d.id IS NOT NULL) ";

/// Selects, after [`EACH_DEVICE`], `device_id` and `ready_at` of the first lane that fits: of each
/// device and line, along the index.
pub(crate) fn firsts<'a>(
    sql: &mut Sql,
    lines: impl IntoIterator<Item = &'a Line>,
    fits: impl Fn(&mut Sql),
) {
    for (index, line) in lines.into_iter().enumerate() {
        sql.push(if index == 0 { "" } else { " UNION ALL " })
            .push("SELECT d.id AS device_id, (SELECT ready_at FROM lanes WHERE device_id = d.id ");
        of_line(sql, *line);
        sql.push(" AND ");
        fits(sql);
        sql.push(" ORDER BY ready_at LIMIT 1) AS ready_at FROM d WHERE d.id IS NOT NULL");
    }
}

/// Appends the condition that a lane is of a line.
fn of_line(sql: &mut Sql, line: Line) {
    sql.push("AND lanes.new_contact = ")
        .bind(line.new_contact)
        .push(" AND lanes.priority = ")
        .bind(line.priority);
}

/// Whether the contact of a row never wrote to its device, on a channel where that matters. The table
/// has the columns of a lane. A group is nobody new: who is in it agreed to that.
pub(crate) fn is_new_contact(table: &str) -> String {
    format!(
        "(EXISTS (SELECT 1 FROM devices d WHERE d.id = {table}.device_id AND d.channel = '{}') \
         AND NOT EXISTS (SELECT 1 FROM conversations k WHERE k.device_id = {table}.device_id \
         AND k.contact_id = {table}.contact_id AND k.last_in_at IS NOT NULL) \
         AND NOT EXISTS (SELECT 1 FROM identities i WHERE i.account_id = {table}.account_id \
         AND i.contact_id = {table}.contact_id AND i.kind = 'group'))",
        ChannelKind::QR_SESSION.as_str()
    )
}

/// Appends lanes as a table `w` of `device` and `contact`, to begin a statement with.
fn with_lanes(sql: &mut Sql, lanes: &[Lane]) {
    let rows = lanes.iter().map(|lane| {
        let Lane { device, contact } = lane;
        [device.uuid().into(), contact.uuid().into()]
    });
    sql.push("WITH w (device, contact) AS (").values(rows).push(") ");
}

/// What a lane has from its beginning.
const LANE: [&str; 6] = ["device_id", "contact_id", "account_id", "priority", "ready_at", "fence"];

pub(super) struct SeaOutbox<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaOutbox<'_> {
    /// The statements that put lanes into the queue, in their order. While somebody owns a lane,
    /// `ready_at` is the end of the claim; whoever releases the lane looks at its messages again.
    fn puts(&self, entries: &[LaneEntry]) -> Vec<Sql> {
        let mut entries = entries.to_vec();
        entries.sort_by_key(|entry| entry.lane);
        let statement = |chunk: &[LaneEntry]| {
            let rows = chunk.iter().map(|entry| {
                [
                    entry.lane.device.uuid().into(),
                    entry.lane.contact.uuid().into(),
                    entry.account.uuid().into(),
                    entry.priority.into(),
                    micros(entry.ready_at).into(),
                    0_i64.into(),
                ]
            });
            let mut sql = Sql::insert(self.unit.tx(), "lanes", &LANE, rows);
            sql.push(
                " ON CONFLICT (device_id, contact_id) DO UPDATE SET priority = CASE \
                 WHEN excluded.priority < lanes.priority THEN excluded.priority \
                 ELSE lanes.priority END, ready_at = CASE \
                 WHEN lanes.owner IS NULL AND excluded.ready_at < lanes.ready_at \
                 THEN excluded.ready_at ELSE lanes.ready_at END",
            );
            sql
        };
        let mut statements: Vec<Sql> =
            chunks(&entries, self.unit.at_most(CHUNK, 150)).map(statement).collect();
        let guarded: Vec<Lane> =
            entries.iter().filter(|entry| entry.guarded).map(|entry| entry.lane).collect();
        let asked = chunks(&guarded, self.unit.at_most(CHUNK, 60));
        statements.extend(asked.map(|lanes| self.mark_new_contacts(lanes)));
        statements
    }

    /// The statement that marks those of the lanes that are with contacts who never wrote.
    fn mark_new_contacts(&self, lanes: &[Lane]) -> Sql {
        let mut sql = Sql::new(self.unit.tx());
        with_lanes(&mut sql, lanes);
        sql.push("UPDATE lanes SET new_contact = TRUE FROM w WHERE lanes.device_id = w.device ")
            .push("AND lanes.contact_id = w.contact AND NOT lanes.new_contact AND ")
            .push(&is_new_contact("lanes"));
        sql
    }

    /// Messages, locked in the order of their ids.
    async fn locked(&self, filter: Condition) -> Result<Vec<Message>, StoreError> {
        let mut query = message::Entity::find().filter(filter).order_by_asc(message::Column::Id);
        if self.unit.locks_rows() {
            query = query.lock(LockType::Update);
        }
        let rows = query.all(self.unit.tx()).await.map_err(store)?;
        rows.into_iter().map(from_row).collect()
    }

    async fn heads(
        &self,
        device: DeviceId,
        contacts: &[Uuid],
    ) -> Result<HashMap<ContactId, Message>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM messages WHERE id IN (SELECT (SELECT m.id ")
            .push(HEAD)
            .push(") FROM lanes l WHERE l.device_id = ")
            .bind(device.uuid())
            .push(" AND l.contact_id IN ")
            .list(contacts.iter().copied())
            // Asked again of the row that is locked: it may have left the line since the snapshot.
            .push(") AND queued")
            // Somebody who changes a head now will settle its lane afterwards.
            .on_postgres(" FOR UPDATE SKIP LOCKED");
        let rows = message::Entity::find()
            .from_raw_sql(sql.done())
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let messages = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(messages.into_iter().map(|message| (message.contact, message)).collect())
    }

    /// Makes PostgreSQL claim along the index: before it has looked at a table that was filled
    /// quickly, it would gather and sort all lanes that are ready.
    async fn along_the_index(&self) -> Result<(), StoreError> {
        if self.unit.locks_rows() {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(
                "SELECT set_config('enable_sort', 'off', true), \
                 set_config('enable_bitmapscan', 'off', true)",
            );
            self.unit.rows(sql).await?;
        }
        Ok(())
    }

    /// Claims ready lanes of one line.
    async fn claim_line(
        &self,
        claim: &LaneClaim,
        line: Line,
        limit: u16,
    ) -> Result<Vec<(Uuid, i64)>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("WITH picked AS (SELECT device_id, contact_id FROM lanes WHERE device_id = ")
            .bind(claim.device.uuid())
            .push(" ");
        of_line(&mut sql, line);
        sql.push(" AND ready_at <= ")
            .bind(micros(claim.now))
            .push(" ORDER BY ready_at LIMIT ")
            .bind(i64::from(limit))
            .on_postgres(" FOR UPDATE SKIP LOCKED")
            .push(") UPDATE lanes SET owner = ")
            .bind(claim.owner)
            .push(", fence = lanes.fence + 1, ready_at = ")
            .bind(micros(claim.until))
            .push(
                " FROM picked WHERE lanes.device_id = picked.device_id \
                 AND lanes.contact_id = picked.contact_id \
                 RETURNING lanes.contact_id AS contact_id, lanes.fence AS fence",
            );
        let rows = self.unit.rows(sql).await?;
        rows.iter()
            .map(|row| {
                let contact: Uuid = row.try_get("", "contact_id").map_err(store)?;
                let fence: i64 = row.try_get("", "fence").map_err(store)?;
                Ok((contact, fence))
            })
            .collect()
    }

    /// Locks lanes in the order of their keys: what is read about their messages afterwards is
    /// newer than anything that touched the lanes before. Returns those that exist.
    async fn lock_lanes(
        &self,
        device: DeviceId,
        contacts: &[Uuid],
    ) -> Result<Vec<Uuid>, StoreError> {
        if !self.unit.locks_rows() {
            return Ok(contacts.to_vec());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT contact_id FROM lanes WHERE device_id = ")
            .bind(device.uuid())
            .push(" AND contact_id IN ")
            .list(contacts.iter().copied())
            .push(" ORDER BY contact_id FOR UPDATE");
        let rows = self.unit.rows(sql).await?;
        rows.iter().map(|row| row.try_get("", "contact_id").map_err(store)).collect()
    }

    async fn settle_device(
        &self,
        device: DeviceId,
        contacts: &[Uuid],
        mine: Option<&Mine<'_>>,
    ) -> Result<(), StoreError> {
        // A lane that appears only after the lock was put by a unit of work that knows better.
        let contacts = self.lock_lanes(device, contacts).await?;
        if contacts.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE lanes AS l SET owner = NULL, ready_at = COALESCE((SELECT ")
            .push("CASE WHEN m.next_at > m.due_at THEN m.next_at ELSE m.due_at END ")
            .push(HEAD)
            .push("), ")
            .bind(NEVER)
            .push(
                "), priority = COALESCE((SELECT MIN(m.priority) FROM messages m \
                 WHERE m.device_id = l.device_id AND m.contact_id = l.contact_id AND m.queued), \
                 l.priority) WHERE l.device_id = ",
            )
            .bind(device.uuid())
            .push(" AND l.contact_id IN ")
            .list(contacts.iter().copied())
            .push(" AND (l.owner IS NULL");
        if let Some(mine) = mine {
            sql.push(" OR ");
            mine.condition(&mut sql);
        }
        sql.push(")");
        self.unit.execute(sql).await?;
        lane::Entity::delete_many()
            .filter(lane::Column::DeviceId.eq(device.uuid()))
            .filter(lane::Column::ContactId.is_in(contacts))
            .filter(lane::Column::ReadyAt.eq(NEVER))
            .filter(lane::Column::Owner.is_null())
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }
}

/// Claims of a node on lanes of one device, each with its fence.
struct Mine<'a> {
    owner: Uuid,
    claims: &'a [(Uuid, i64)],
}

impl Mine<'_> {
    /// The node owns the lane `l`, by one of these very claims.
    fn condition(&self, sql: &mut Sql) {
        sql.push("(l.owner = ").bind(self.owner).push(" AND (l.contact_id, l.fence) IN (VALUES ");
        for (index, (contact, fence)) in self.claims.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" });
            sql.bind(*contact).push(", ").bind(*fence).push(")");
        }
        sql.push("))");
    }
}

/// Claims by device, in the order of the lanes' keys.
fn claims_by_device(claims: &[(Lane, i64)]) -> BTreeMap<DeviceId, Vec<(Uuid, i64)>> {
    let mut devices: BTreeMap<DeviceId, Vec<(Uuid, i64)>> = BTreeMap::new();
    for (lane, fence) in claims {
        let claims = devices.entry(lane.device).or_default();
        claims.push((lane.contact.uuid(), *fence));
    }
    for claims in devices.values_mut() {
        claims.sort_unstable();
        claims.dedup();
    }
    devices
}

/// The contacts of sorted claims, each once.
fn contacts_of(claims: &[(Uuid, i64)]) -> Vec<Uuid> {
    let mut contacts: Vec<Uuid> = claims.iter().map(|(contact, _)| *contact).collect();
    contacts.dedup();
    contacts
}

fn by_device(lanes: impl IntoIterator<Item = Lane>) -> BTreeMap<DeviceId, Vec<Uuid>> {
    let mut devices: BTreeMap<DeviceId, Vec<Uuid>> = BTreeMap::new();
    for lane in lanes {
        devices.entry(lane.device).or_default().push(lane.contact.uuid());
    }
    for contacts in devices.values_mut() {
        contacts.sort_unstable();
        contacts.dedup();
    }
    devices
}

#[async_trait]
impl OutboxRepo for SeaOutbox<'_> {
    async fn take(
        &mut self,
        messages: &[&Message],
        entries: &[LaneEntry],
        events: &[NewEvent],
    ) -> Result<(), StoreError> {
        let mut statements = inserts(self.unit, messages)?;
        statements.extend(self.puts(entries));
        statements.extend(crate::events::appends(self.unit, events));
        self.unit.execute_all(statements).await.map(|_| ())
    }

    async fn put(&mut self, entries: &[LaneEntry]) -> Result<(), StoreError> {
        self.unit.execute_all(self.puts(entries)).await.map(|_| ())
    }

    async fn ready_devices(&mut self, now: Timestamp) -> Result<Vec<ReadyDevice>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(EACH_DEVICE).push("SELECT d.id AS id");
        for (place, line) in Line::ALL.iter().enumerate() {
            // For `EXISTS`, PostgreSQL may read every ready lane of all devices.
            sql.push(", (SELECT 1 FROM lanes WHERE lanes.device_id = d.id ");
            of_line(&mut sql, *line);
            sql.push(" AND lanes.ready_at <= ")
                .bind(micros(now))
                .push(&format!(" LIMIT 1) IS NOT NULL AS line{place}"));
        }
        // What an account that is switched off wants to send, waits.
        sql.push(
            " FROM d WHERE d.id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM devices v \
             JOIN accounts a ON a.id = v.account_id WHERE v.id = d.id AND NOT a.active)",
        );
        let rows = self.unit.rows(sql).await?;
        let mut ready = Vec::with_capacity(rows.len());
        for row in rows {
            let mut lines = Vec::new();
            for (place, line) in Line::ALL.iter().enumerate() {
                if row.try_get("", &format!("line{place}")).map_err(store)? {
                    lines.push(*line);
                }
            }
            if !lines.is_empty() {
                let device: Uuid = row.try_get("", "id").map_err(store)?;
                ready.push(ReadyDevice { device: device.into(), lines });
            }
        }
        Ok(ready)
    }

    async fn replying(
        &mut self,
        devices: &[DeviceId],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<DeviceId>, StoreError> {
        if devices.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT DISTINCT device_id FROM lanes WHERE device_id IN ")
            .list(devices.iter().map(|device| device.uuid()))
            .push(" AND new_contact = FALSE AND priority = 0 AND ready_at > ")
            .bind(micros(now))
            .push(" AND ready_at <= ")
            .bind(micros(until))
            .push(" AND owner IS NOT NULL");
        let rows = self.unit.rows(sql).await?;
        let id = |row: &QueryResult| row.try_get::<Uuid>("", "device_id").map_err(store);
        rows.iter().map(|row| id(row).map(DeviceId::from)).collect()
    }

    async fn next_ready(&mut self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(EACH_DEVICE).push("SELECT MIN(ready_at) AS next FROM (");
        firsts(&mut sql, Line::ALL, |sql| {
            sql.push("ready_at > ").bind(micros(now));
        });
        sql.push(") firsts");
        let rows = self.unit.rows(sql).await?;
        let next = rows.first().map(|row| row.try_get::<Option<i64>>("", "next").map_err(store));
        Ok(next.transpose()?.flatten().filter(|next| *next < NEVER).map(time))
    }

    async fn next_expiry(&mut self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT expires_at FROM messages WHERE queued AND expires_at > ")
            .bind(micros(after))
            .push(" ORDER BY expires_at LIMIT 1");
        let rows = self.unit.rows(sql).await?;
        let next = rows.first().map(|row| row.try_get::<i64>("", "expires_at").map_err(store));
        Ok(next.transpose()?.map(time))
    }

    async fn expired(&mut self, now: Timestamp, limit: u16) -> Result<Vec<Message>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT id FROM messages WHERE queued AND expires_at <= ")
            .bind(micros(now))
            .push(" AND status IN ('pending', 'held') ORDER BY expires_at LIMIT ")
            .bind(i64::from(limit));
        let rows = self.unit.rows(sql).await?;
        let ids: Result<Vec<MessageId>, StoreError> = rows
            .iter()
            .map(|row| row.try_get::<Uuid>("", "id").map(MessageId::from).map_err(store))
            .collect();
        let found = self.lock(&ids?).await?;
        // Looked at again once they are locked.
        let waits = |message: &Message| {
            message.queued
                && message.status.is_waiting()
                && message.expires_at.is_some_and(|expiry| expiry <= now)
        };
        Ok(found.into_iter().filter(waits).collect())
    }

    async fn claim(
        &mut self,
        claim: LaneClaim,
        lines: &[Line],
        limit: u16,
    ) -> Result<Vec<ClaimedLane>, StoreError> {
        let device = claim.device;
        self.along_the_index().await?;
        let mut claimed = Vec::new();
        for line in lines {
            let taken = u16::try_from(claimed.len()).unwrap_or(u16::MAX);
            let rest = limit.saturating_sub(taken);
            if rest > 0 {
                let of_line = self.claim_line(&claim, *line, rest).await?;
                claimed.extend(of_line.into_iter().map(|lane| (lane, line.new_contact)));
            }
        }
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let contacts: Vec<Uuid> = claimed.iter().map(|((contact, _), _)| *contact).collect();
        let mut heads = self.heads(device, &contacts).await?;
        Ok(claimed
            .into_iter()
            .map(|((contact, fence), new_contact)| {
                let contact = ContactId::from(contact);
                let head = heads.remove(&contact);
                ClaimedLane { lane: Lane { device, contact }, fence, new_contact, head }
            })
            .collect())
    }

    async fn renew(
        &mut self,
        owner: Uuid,
        claims: &[(Lane, i64)],
        until: Timestamp,
    ) -> Result<Vec<(Lane, i64)>, StoreError> {
        let mut renewed = Vec::with_capacity(claims.len());
        for (device, claims) in claims_by_device(claims) {
            for claims in claims.chunks(IN) {
                self.lock_lanes(device, &contacts_of(claims)).await?;
                let mut sql = Sql::new(self.unit.tx());
                sql.push("UPDATE lanes AS l SET ready_at = ")
                    .bind(micros(until))
                    .push(" WHERE l.device_id = ")
                    .bind(device.uuid())
                    .push(" AND ");
                Mine { owner, claims }.condition(&mut sql);
                sql.push(" RETURNING contact_id, fence");
                for row in self.unit.rows(sql).await? {
                    let contact: Uuid = row.try_get("", "contact_id").map_err(store)?;
                    let fence: i64 = row.try_get("", "fence").map_err(store)?;
                    let contact = contact.into();
                    renewed.push((Lane { device, contact }, fence));
                }
            }
        }
        Ok(renewed)
    }

    async fn lock(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        let mut messages = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IN) {
            let ids = chunk.iter().map(|id| id.uuid());
            let filter = Condition::all().add(message::Column::Id.is_in(ids));
            messages.extend(self.locked(filter).await?);
        }
        Ok(messages)
    }

    async fn lock_by_wire_ids(
        &mut self,
        wire_ids: &[(DeviceId, String)],
    ) -> Result<Vec<Message>, StoreError> {
        let mut messages = Vec::new();
        for chunk in wire_ids.chunks(IN) {
            let mut devices: BTreeMap<DeviceId, Vec<&str>> = BTreeMap::new();
            for (device, wire_id) in chunk {
                devices.entry(*device).or_default().push(wire_id);
            }
            let any = devices.into_iter().fold(Condition::any(), |any, (device, ids)| {
                any.add(
                    Condition::all()
                        .add(message::Column::DeviceId.eq(device.uuid()))
                        .add(message::Column::WireId.is_in(ids)),
                )
            });
            messages.extend(self.locked(any).await?);
        }
        Ok(messages)
    }

    async fn save(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        let set = CHANGEABLE.map(|column| format!("{column} = v.{column}")).join(", ");
        let mut statements = Vec::new();
        for chunk in chunks(messages, self.unit.at_most(CHUNK, BYTES)) {
            let rows = chunk.iter().map(to_changes).collect::<Result<Vec<_>, _>>()?;
            let mut sql = Sql::new(self.unit.tx());
            sql.push("WITH v (id, ").push(&CHANGEABLE.join(", ")).push(") AS (").values(rows);
            sql.push(") UPDATE messages SET ").push(&set).push(" FROM v WHERE messages.id = v.id");
            statements.push(sql);
        }
        self.unit.execute_all(statements).await.map(|_| ())
    }

    async fn still_mine(
        &mut self,
        owner: Uuid,
        claims: &[(Lane, i64)],
    ) -> Result<Vec<(Lane, i64)>, StoreError> {
        let claimed: HashSet<(Lane, i64)> = claims.iter().copied().collect();
        let mut mine = Vec::with_capacity(claims.len());
        for (device, contacts) in by_device(claims.iter().map(|(lane, _)| *lane)) {
            let mut query = lane::Entity::find()
                .filter(lane::Column::DeviceId.eq(device.uuid()))
                .filter(lane::Column::ContactId.is_in(contacts))
                .filter(lane::Column::Owner.eq(owner))
                .order_by_asc(lane::Column::ContactId);
            if self.unit.locks_rows() {
                query = query.lock(LockType::Update);
            }
            let rows = query.all(self.unit.tx()).await.map_err(store)?;
            let present = rows.into_iter().map(|row| {
                let contact = row.contact_id.into();
                (Lane { device, contact }, row.fence)
            });
            mine.extend(present.filter(|claim| claimed.contains(claim)));
        }
        Ok(mine)
    }

    async fn settle(&mut self, lanes: &[Lane]) -> Result<(), StoreError> {
        for (device, contacts) in by_device(lanes.iter().copied()) {
            for chunk in contacts.chunks(IN) {
                self.settle_device(device, chunk, None).await?;
            }
        }
        Ok(())
    }

    async fn release(&mut self, owner: Uuid, claims: &[(Lane, i64)]) -> Result<(), StoreError> {
        for (device, claims) in claims_by_device(claims) {
            for claims in claims.chunks(IN) {
                let mine = Mine { owner, claims };
                self.settle_device(device, &contacts_of(claims), Some(&mine)).await?;
            }
        }
        Ok(())
    }

    async fn stopped(
        &mut self,
        contacts: &[ContactId],
    ) -> Result<Vec<(ContactId, StopScope)>, StoreError> {
        let mut stopped = Vec::new();
        for chunk in contacts.chunks(IN) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("SELECT id, stop_scope FROM contacts WHERE marketing_stopped_at IS NOT NULL")
                .push(" AND id IN ")
                .list(chunk.iter().map(|contact| contact.uuid()));
            for row in self.unit.rows(sql).await? {
                let id: Uuid = row.try_get("", "id").map_err(store)?;
                let scope: Option<String> = row.try_get("", "stop_scope").map_err(store)?;
                let scope = match scope {
                    Some(scope) => column("contacts", &id, "stop_scope").word(&scope)?,
                    None => StopScope::Marketing,
                };
                stopped.push((ContactId::from(id), scope));
            }
        }
        Ok(stopped)
    }

    async fn new_contacts(&mut self, lanes: &[Lane]) -> Result<Vec<Lane>, StoreError> {
        let mut found = Vec::new();
        for chunk in chunks(lanes, CHUNK) {
            let mut sql = Sql::new(self.unit.tx());
            with_lanes(&mut sql, chunk);
            sql.push(if sql.is_postgres() {
                "SELECT l.device_id, l.contact_id FROM w CROSS JOIN LATERAL (\
                 SELECT device_id, contact_id FROM lanes WHERE device_id = w.device \
                 AND contact_id = w.contact AND new_contact LIMIT 1) l"
            } else {
                "SELECT l.device_id, l.contact_id FROM w CROSS JOIN lanes l \
                 WHERE l.device_id = w.device AND l.contact_id = w.contact AND l.new_contact"
            });
            for row in self.unit.rows(sql).await? {
                let device: Uuid = row.try_get("", "device_id").map_err(store)?;
                let contact: Uuid = row.try_get("", "contact_id").map_err(store)?;
                found.push(Lane { device: device.into(), contact: contact.into() });
            }
        }
        Ok(found)
    }

    async fn known(&mut self, lanes: &[Lane]) -> Result<(), StoreError> {
        // In the order of their keys, as everybody locks lanes.
        let lanes: BTreeSet<Lane> = lanes.iter().copied().collect();
        let statement = |lane: &Lane| {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("UPDATE lanes SET new_contact = FALSE WHERE device_id = ")
                .bind(lane.device.uuid())
                .push(" AND contact_id = ")
                .bind(lane.contact.uuid())
                .push(" AND new_contact");
            sql
        };
        self.unit.execute_all(lanes.iter().map(statement).collect()).await.map(|_| ())
    }

    async fn contacted(
        &mut self,
        conversations: &[ConversationId],
        at: Timestamp,
    ) -> Result<Vec<DeviceId>, StoreError> {
        let mut devices = Vec::new();
        for chunk in conversations.chunks(IN) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("UPDATE conversations SET contacted_at = ")
                .bind(micros(at))
                .push(" WHERE contacted_at IS NULL AND last_in_at IS NULL AND id IN ");
            if sql.is_postgres() {
                // Locked in the order of their lanes, as whoever hears or writes does.
                sql.push("(SELECT id FROM conversations WHERE id IN ")
                    .among(chunk.iter().map(|id| id.uuid()))
                    .push(" ORDER BY device_id, contact_id FOR UPDATE)");
            } else {
                sql.among(chunk.iter().map(|id| id.uuid()));
            }
            sql.push(" RETURNING device_id");
            for row in self.unit.rows(sql).await? {
                let device: Uuid = row.try_get("", "device_id").map_err(store)?;
                devices.push(DeviceId::from(device));
            }
        }
        Ok(devices)
    }

    async fn waiting(&mut self) -> Result<u64, StoreError> {
        message::Entity::find()
            .filter(message::Column::Queued.eq(true))
            .count(self.unit.tx())
            .await
            .map_err(store)
    }

    async fn repair(&mut self) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "INSERT INTO lanes (device_id, contact_id, account_id, priority, ready_at, fence, \
             new_contact) \
             SELECT m.device_id, m.contact_id, m.account_id, MIN(m.priority), MIN(m.due_at), 0, ",
        )
        .push(&is_new_contact("m"))
        .push(
            " FROM messages m WHERE m.queued AND NOT EXISTS (SELECT 1 FROM lanes l \
             WHERE l.device_id = m.device_id AND l.contact_id = m.contact_id) \
             GROUP BY m.device_id, m.contact_id, m.account_id ON CONFLICT DO NOTHING",
        );
        self.unit.execute(sql).await
    }
}
