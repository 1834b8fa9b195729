//! A tenant's messages.

use async_trait::async_trait;
use kabar_core::{
    ConversationId, DeviceId, MediaId, MessageId, Page, PageRequest, Scope, StoreError,
};
use kabar_messaging::repo::MessageRepo;
use kabar_messaging::{Message, MessageFilter, Status};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};
use uuid::Uuid;

use super::entity::conversation;
use super::entity::message::{Column as C, Entity};
use super::row::{FRESH, blank, from_row, heard, to_fresh_row, to_heard_row, to_row};
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

/// Rows of one `INSERT`: fifty columns, below SQLite's 32,766 bound values.
pub(super) const CHUNK: usize = 500;
/// About so many bytes of a row are written.
pub(super) const BYTES: usize = 750;
/// A message that may still be sent needs its body, also while its broadcast is paused.
const WAITING: [&str; 3] = ["pending", "held", "processing"];
/// Values of one `IN` list.
const IN: usize = 5_000;

pub(super) struct SeaMessages<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

/// Whether nothing has happened to a message yet.
fn is_fresh(message: &Message) -> bool {
    message.status == Status::Pending && message.attempts == 0 && message.wire_id.is_none()
}

/// The statements that store new outgoing messages.
pub(super) fn inserts(unit: &Unit, messages: &[&Message]) -> Result<Vec<Sql>, StoreError> {
    debug_assert!(messages.iter().all(|message| is_fresh(message)), "something happened to one");
    let statement = |chunk: &[&Message]| {
        let rows = chunk.iter().map(|message| to_fresh_row(message));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(Sql::insert(unit.tx(), "messages", &FRESH, rows))
    };
    chunks(messages, unit.at_most(CHUNK, BYTES)).map(statement).collect()
}

/// A conversation's messages lie among its contact's, which have an index.
pub(super) fn in_conversation(conversation: ConversationId) -> Condition {
    let contact = Query::select()
        .column(conversation::Column::ContactId)
        .from(conversation::Entity)
        .and_where(conversation::Column::Id.eq(conversation.uuid()))
        .to_owned();
    Condition::all()
        .add(C::ConversationId.eq(conversation.uuid()))
        .add(C::ContactId.in_subquery(contact))
}

/// Messages in a status. The rare ones and those that wait have partial indexes, whose conditions a
/// planner recognises by their text only.
fn in_status(status: Status) -> Condition {
    let hint = match status {
        Status::Pending | Status::Held | Status::Processing => Some("queued"),
        Status::Failed | Status::Uncertain | Status::Cancelled | Status::Expired => {
            Some("status IN ('failed', 'uncertain', 'cancelled', 'expired')")
        }
        _ => None,
    };
    Condition::all().add(C::Status.eq(status.as_str())).add_option(hint.map(Expr::cust))
}

impl SeaMessages<'_> {
    pub(super) fn own(&self) -> Select<Entity> {
        let own = Entity::find().filter(C::AccountId.eq(self.scope.account().uuid()));
        match self.scope.device() {
            Some(device) => own.filter(C::DeviceId.eq(device.uuid())),
            None => own,
        }
    }
}

#[async_trait]
impl MessageRepo for SeaMessages<'_> {
    async fn insert(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        for chunk in chunks(messages, self.unit.at_most(CHUNK, BYTES)) {
            let rows = chunk.iter().map(to_row).collect::<Result<Vec<_>, _>>()?;
            Entity::insert_many(rows)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn insert_new(&mut self, messages: &[Message]) -> Result<Vec<MessageId>, StoreError> {
        let mut new = Vec::with_capacity(messages.len());
        let columns = heard();
        for chunk in chunks(messages, self.unit.at_most(CHUNK, BYTES)) {
            let rows = chunk.iter().map(to_heard_row).collect::<Result<Vec<_>, _>>()?;
            let mut sql = Sql::insert(self.unit.tx(), "messages", &columns, rows);
            sql.push(" ON CONFLICT DO NOTHING RETURNING id");
            for row in self.unit.rows(sql).await? {
                let id: Uuid = row.try_get("", "id").map_err(store)?;
                new.push(MessageId::from(id));
            }
        }
        Ok(new)
    }

    async fn by_ids(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        let mut messages = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IN) {
            let rows = self
                .own()
                .filter(C::Id.is_in(chunk.iter().map(|id| id.uuid())))
                .all(self.unit.tx())
                .await
                .map_err(store)?;
            for row in rows {
                messages.push(from_row(row)?);
            }
        }
        Ok(messages)
    }

    async fn by_wire_ids(
        &mut self,
        device: DeviceId,
        wire_ids: &[String],
    ) -> Result<Vec<(String, MessageId)>, StoreError> {
        let mut found = Vec::with_capacity(wire_ids.len());
        for chunk in wire_ids.chunks(IN) {
            let rows: Vec<(Option<String>, Uuid)> = self
                .own()
                .select_only()
                .column(C::WireId)
                .column(C::Id)
                .filter(C::DeviceId.eq(device.uuid()))
                .filter(C::WireId.is_in(chunk.iter().map(String::as_str)))
                .into_tuple()
                .all(self.unit.tx())
                .await
                .map_err(store)?;
            let known =
                rows.into_iter().filter_map(|(wire, id)| Some((wire?, MessageId::from(id))));
            found.extend(known);
        }
        Ok(found)
    }

    async fn list(
        &mut self,
        filter: &MessageFilter,
        page: PageRequest,
    ) -> Result<Page<Message>, StoreError> {
        let mut query = self.own();
        if let Some(device) = filter.device {
            query = query.filter(C::DeviceId.eq(device.uuid()));
        }
        if let Some(contact) = filter.contact {
            query = query.filter(C::ContactId.eq(contact.uuid()));
        }
        if let Some(conversation) = filter.conversation {
            query = query.filter(in_conversation(conversation));
        }
        if let Some(direction) = filter.direction {
            query = query.filter(C::Direction.eq(direction.as_str()));
        }
        if let [status] = filter.statuses.as_slice() {
            query = match filter.broadcast {
                // A broadcast's messages have an index of their own, with their status.
                Some(_) => query.filter(C::Status.eq(status.as_str())),
                None => query.filter(in_status(*status)),
            };
        }
        if let Some(reference) = &filter.reference {
            query = query.filter(C::Reference.eq(reference.as_str()));
        }
        if let Some(broadcast) = filter.broadcast {
            // Written out, so that the index of broadcasts' messages is seen to fit.
            query = query
                .filter(Expr::cust("messages.origin = 'broadcast'"))
                .filter(C::OriginRef.eq(broadcast.to_string()));
        }
        if let Some(after) = page.after {
            query = query.filter(C::Id.lt(after.id()));
        }
        query = self.between(query, filter).await?;
        if filter.looks_at_each() {
            return self.look(query, filter, page).await;
        }
        let rows = query
            .order_by_desc(C::Id)
            .limit(u64::from(page.limit) + 1)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let messages = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(messages, page, |message| message.id.uuid()))
    }

    async fn retried(&mut self, ids: &[MessageId]) -> Result<Vec<MessageId>, StoreError> {
        let mut retried = Vec::new();
        for chunk in ids.chunks(IN) {
            let found: Vec<Option<Uuid>> = self
                .own()
                .select_only()
                .column(C::RetryOf)
                .filter(C::RetryOf.is_in(chunk.iter().map(|id| id.uuid())))
                .into_tuple()
                .all(self.unit.tx())
                .await
                .map_err(store)?;
            retried.extend(found.into_iter().flatten().map(MessageId::from));
        }
        Ok(retried)
    }

    async fn set_media(&mut self, id: MessageId, media: MediaId) -> Result<(), StoreError> {
        Entity::update_many()
            .col_expr(C::MediaId, Expr::value(media.uuid()))
            .filter(C::Id.eq(id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn blank(&mut self, ids: &[MessageId]) -> Result<u64, StoreError> {
        let mut blanked = 0;
        for chunk in ids.chunks(IN) {
            let nothing = || Expr::value(None::<serde_json::Value>);
            let done = Entity::update_many()
                .col_expr(C::Content, Expr::value(blank()))
                .col_expr(C::Words, Expr::value(None::<String>))
                .col_expr(C::Choices, nothing())
                .col_expr(C::Referral, nothing())
                .col_expr(C::Prepared, nothing())
                .filter(C::AccountId.eq(self.scope.account().uuid()))
                .filter(C::Id.is_in(chunk.iter().map(|id| id.uuid())))
                .filter(C::Queued.eq(false))
                .filter(C::Status.is_not_in(WAITING))
                .filter(C::Content.ne(blank()))
                .exec(self.unit.tx())
                .await
                .map_err(store)?;
            blanked += done.rows_affected;
        }
        Ok(blanked)
    }
}
