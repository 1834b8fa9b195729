//! A tenant's conversations.

use async_trait::async_trait;
use kabar_core::{
    AccountId, ContactId, ConversationId, Cursor, DeviceId, Page, PageRequest, Scope, StoreError,
    Timestamp,
};
use kabar_events::NewEvent;
use kabar_messaging::message::Lane;
use kabar_messaging::repo::{ConversationRepo, Touch, Wrote};
use kabar_messaging::{Conversation, Direction, Status};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QueryResult,
    QuerySelect as _, Select,
};
use uuid::Uuid;

use super::entity::conversation::{Column as C, Entity, Model};
use super::entity::message;
use super::message::in_conversation;
use crate::contacts::profile_names;
use crate::convert::{micros, micros_opt, time, time_opt};
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

/// Rows of one `INSERT`, kept below SQLite's 32,766 bound values.
const CHUNK: usize = 2_000;

/// What a conversation has from its beginning.
const NEW: [&str; 7] =
    ["id", "account_id", "device_id", "contact_id", "last_at", "unread", "created_at"];

pub(super) struct SeaConversations<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaConversations<'_> {
    fn own(&self) -> Select<Entity> {
        let own = Entity::find().filter(C::AccountId.eq(self.scope.account().uuid()));
        match self.scope.device() {
            Some(device) => own.filter(C::DeviceId.eq(device.uuid())),
            None => own,
        }
    }
}

/// One condition per device, so that it stays flat for any number of lanes.
fn from_row(row: &Model) -> Conversation {
    Conversation {
        id: ConversationId::from(row.id),
        account: AccountId::from(row.account_id),
        device: DeviceId::from(row.device_id),
        contact: ContactId::from(row.contact_id),
        last_in_at: time_opt(row.last_in_at),
        last_out_at: time_opt(row.last_out_at),
        unread: u64::try_from(row.unread).unwrap_or_default(),
        window_expires_at: time_opt(row.window_expires_at),
        entry_point_expires_at: time_opt(row.entry_point_expires_at),
        last_at: time(row.last_at),
        created_at: time(row.created_at),
    }
}

impl SeaConversations<'_> {
    /// The statements that note in conversations what was written in them.
    fn touches(&self, touches: &[Touch]) -> Vec<Sql> {
        let later = |column: &str, value: &str| {
            format!(
                "{column} = CASE WHEN v.{value} IS NULL THEN c.{column} \
                 WHEN c.{column} IS NULL OR v.{value} > c.{column} THEN v.{value} \
                 ELSE c.{column} END"
            )
        };
        let set = [
            later("last_in_at", "in_at"),
            later("last_out_at", "out_at"),
            later("window_expires_at", "window_at"),
            later("entry_point_expires_at", "entry_at"),
            "last_at = CASE WHEN v.in_at > c.last_at AND v.in_at >= COALESCE(v.out_at, v.in_at) \
             THEN v.in_at WHEN v.out_at > c.last_at THEN v.out_at ELSE c.last_at END"
                .to_owned(),
            "unread = c.unread + v.unread".to_owned(),
        ]
        .join(", ");
        let statement = |chunk: &[Touch]| {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("WITH v (id, in_at, out_at, window_at, entry_at, unread) AS (VALUES ");
            for (index, touch) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "(" } else { ", (" });
                sql.bind(touch.conversation.map(ConversationId::uuid)).push(", ");
                sql.bind(micros_opt(touch.in_at)).push(", ");
                sql.bind(micros_opt(touch.out_at)).push(", ");
                sql.bind(micros_opt(touch.window_expires_at)).push(", ");
                sql.bind(micros_opt(touch.entry_point_expires_at)).push(", ");
                sql.bind(i64::from(touch.unread)).push(")");
            }
            // Locked in the order of their lanes, as `ensure` does, so that nobody waits for each other in a circle.
            sql.push(")")
                .on_postgres(
                    ", locked AS (SELECT id FROM conversations WHERE id IN (SELECT id FROM v) \
                     ORDER BY device_id, contact_id FOR UPDATE)",
                )
                .push(" UPDATE conversations AS c SET ")
                .push(&set)
                .push(" FROM v")
                .on_postgres(" JOIN locked ON locked.id = v.id")
                // No condition for an index: a PostgreSQL that does not know the table yet would
                // read all conversations of the account.
                .push(" WHERE c.id = v.id AND COALESCE(c.account_id = ")
                .bind(self.scope.account().uuid())
                .push(", FALSE)");
            sql
        };
        chunks(touches, self.unit.at_most(CHUNK, 120)).map(statement).collect()
    }

    /// The statement that makes conversations, or notes in those that are there that we wrote.
    fn upsert(&self, wanted: &[(ConversationId, Lane)], at: Timestamp) -> Sql {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "INSERT INTO conversations AS c (id, account_id, device_id, contact_id, last_out_at, \
             last_at, unread, created_at) VALUES ",
        );
        for (index, (id, lane)) in wanted.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" });
            sql.bind(id.uuid()).push(", ");
            sql.bind(self.scope.account().uuid()).push(", ");
            sql.bind(lane.device.uuid()).push(", ");
            sql.bind(lane.contact.uuid()).push(", ");
            sql.bind(micros(at)).push(", ");
            sql.bind(micros(at)).push(", 0, ");
            sql.bind(micros(at)).push(")");
        }
        sql.push(
            " ON CONFLICT (device_id, contact_id) DO UPDATE SET last_out_at = CASE \
             WHEN c.last_out_at > excluded.last_out_at THEN c.last_out_at \
             ELSE excluded.last_out_at END, last_at = CASE \
             WHEN c.last_at > excluded.last_at THEN c.last_at ELSE excluded.last_at END \
             RETURNING id, device_id, contact_id",
        );
        sql
    }

    /// Makes the conversations that are not there.
    fn make(&self, wanted: &[(ConversationId, Lane)], at: Timestamp) -> Sql {
        let rows = wanted.iter().map(|(id, lane)| {
            [
                id.uuid().into(),
                self.scope.account().uuid().into(),
                lane.device.uuid().into(),
                lane.contact.uuid().into(),
                micros(at).into(),
                0_i64.into(),
                micros(at).into(),
            ]
        });
        let mut sql = Sql::insert(self.unit.tx(), "conversations", &NEW, rows);
        sql.push(" ON CONFLICT (device_id, contact_id) DO NOTHING");
        sql
    }

    /// The conversations of lanes. For each of them along the index: as one condition, a PostgreSQL
    /// that does not know the table yet reads all conversations of the device.
    fn by_lanes(&self, wanted: &[(ConversationId, Lane)]) -> Sql {
        let mut sql = Sql::new(self.unit.tx());
        let lanes = wanted.iter().map(|(_, lane)| {
            let Lane { device, contact } = lane;
            [device.uuid().into(), contact.uuid().into()]
        });
        sql.push("WITH w (device, contact) AS (").values(lanes).push(")");
        sql.push(if sql.is_postgres() {
            " SELECT c.* FROM w CROSS JOIN LATERAL (SELECT id, device_id, contact_id \
             FROM conversations WHERE device_id = w.device AND contact_id = w.contact LIMIT 1) c"
        } else {
            " SELECT c.id, c.device_id, c.contact_id FROM w CROSS JOIN conversations c \
             WHERE c.device_id = w.device AND c.contact_id = w.contact"
        });
        sql
    }
}

/// A conversation's id and its lane.
fn by_lane(row: &QueryResult) -> Result<(ConversationId, Lane), StoreError> {
    let id: Uuid = row.try_get("", "id").map_err(store)?;
    let device: Uuid = row.try_get("", "device_id").map_err(store)?;
    let contact: Uuid = row.try_get("", "contact_id").map_err(store)?;
    Ok((ConversationId::from(id), Lane { device: device.into(), contact: contact.into() }))
}

#[async_trait]
impl ConversationRepo for SeaConversations<'_> {
    async fn ensure(
        &mut self,
        wanted: &[(ConversationId, Lane)],
        at: Timestamp,
        wrote: Wrote,
    ) -> Result<Vec<(ConversationId, Lane)>, StoreError> {
        // In the order of the lanes, so that nobody waits for each other in a circle.
        let mut wanted = wanted.to_vec();
        wanted.sort_by_key(|(_, lane)| *lane);
        let chunks = chunks(&wanted, self.unit.at_most(CHUNK, 180));
        let statements: Vec<Sql> = match wrote {
            Wrote::Us => chunks.map(|chunk| self.upsert(chunk, at)).collect(),
            Wrote::Other => {
                chunks.flat_map(|chunk| [self.make(chunk, at), self.by_lanes(chunk)]).collect()
            }
        };
        self.unit.rows_all(statements).await?.iter().map(by_lane).collect()
    }

    async fn answered(
        &mut self,
        heard: &[(ConversationId, Timestamp)],
    ) -> Result<Vec<(DeviceId, Timestamp)>, StoreError> {
        let mut answered = Vec::new();
        for chunk in chunks(heard, CHUNK) {
            let rows = chunk.iter().map(|(id, at)| [id.uuid().into(), micros(*at).into()]);
            let mut sql = Sql::new(self.unit.tx());
            sql.push("WITH v (id, in_at) AS (").values(rows).push(")");
            // Locked in the order of their lanes, as `touches` does.
            sql.on_postgres(
                ", locked AS (SELECT id FROM conversations WHERE id IN (SELECT id FROM v) \
                 ORDER BY device_id, contact_id FOR UPDATE)",
            )
            .push(" UPDATE conversations AS c SET last_in_at = v.in_at FROM v")
            .on_postgres(" JOIN locked ON locked.id = v.id")
            .push(" WHERE c.id = v.id AND c.last_in_at IS NULL AND c.contacted_at IS NOT NULL ")
            .push("AND COALESCE(c.account_id = ")
            .bind(self.scope.account().uuid())
            .push(", FALSE) RETURNING device_id, contacted_at");
            for row in self.unit.rows(sql).await? {
                let device: Uuid = row.try_get("", "device_id").map_err(store)?;
                let at: i64 = row.try_get("", "contacted_at").map_err(store)?;
                answered.push((DeviceId::from(device), time(at)));
            }
        }
        Ok(answered)
    }

    async fn hear(
        &mut self,
        touches: &[Touch],
        names: &[(ContactId, String)],
        events: &[NewEvent],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut statements = self.touches(touches);
        statements.extend(profile_names(self.unit, self.scope, names, at));
        statements.extend(crate::events::appends(self.unit, events));
        self.unit.execute_all(statements).await.map(|_| ())
    }

    async fn touch(&mut self, touches: &[Touch]) -> Result<(), StoreError> {
        self.unit.execute_all(self.touches(touches)).await.map(|_| ())
    }

    async fn get(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        let row = self.own().filter(C::Id.eq(id.uuid())).one(self.unit.tx()).await;
        Ok(row.map_err(store)?.as_ref().map(from_row))
    }

    async fn list(
        &mut self,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> Result<Page<Conversation>, StoreError> {
        let mut query = self.own();
        if let Some(device) = device {
            query = query.filter(C::DeviceId.eq(device.uuid()));
        }
        if let Some(after) = page.after {
            let key = after.key().unwrap_or(i64::MAX);
            let same = Condition::all().add(C::LastAt.eq(key)).add(C::Id.lt(after.id()));
            query = query.filter(Condition::any().add(C::LastAt.lt(key)).add(same));
            // Said once more, so that the index is entered at the right place.
            query = query.filter(C::LastAt.lte(key));
        }
        let rows = query
            .order_by_desc(C::LastAt)
            .order_by_desc(C::Id)
            .limit(u64::from(page.limit) + 1)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let conversations = rows.iter().map(from_row).collect();
        Ok(Page::from_ordered(conversations, page, |conversation: &Conversation| {
            Cursor::after_key(micros(conversation.last_at), conversation.id.uuid())
        }))
    }

    async fn with_contacts(
        &mut self,
        devices: &[DeviceId],
        contacts: &[ContactId],
    ) -> Result<Vec<Conversation>, StoreError> {
        let mut conversations = Vec::new();
        for chunk in contacts.chunks(CHUNK) {
            for device in devices {
                let rows = self
                    .own()
                    .filter(C::DeviceId.eq(device.uuid()))
                    .filter(C::ContactId.is_in(chunk.iter().map(|contact| contact.uuid())))
                    .all(self.unit.tx())
                    .await
                    .map_err(store)?;
                conversations.extend(rows.iter().map(from_row));
            }
        }
        Ok(conversations)
    }

    async fn mark_read(&mut self, id: ConversationId, at: Timestamp) -> Result<(), StoreError> {
        Entity::update_many()
            .col_expr(C::Unread, Expr::value(0_i64))
            .filter(C::Id.eq(id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        message::Entity::update_many()
            .col_expr(message::Column::Status, Expr::value(Status::Read.as_str()))
            .col_expr(message::Column::ReadAt, Expr::value(micros(at)))
            .col_expr(message::Column::UpdatedAt, Expr::value(micros(at)))
            .filter(in_conversation(id))
            .filter(message::Column::AccountId.eq(self.scope.account().uuid()))
            .filter(message::Column::Direction.eq(Direction::In.as_str()))
            .filter(message::Column::Status.eq(Status::Delivered.as_str()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }
}
