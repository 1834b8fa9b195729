//! A tenant's messages.

use async_trait::async_trait;
use kabar_core::{DeviceId, MediaId, MessageId, Page, PageRequest, Scope, StoreError};
use kabar_messaging::repo::MessageRepo;
use kabar_messaging::{Message, MessageFilter};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use uuid::Uuid;

use super::entity::message::{Column as C, Entity};
use super::row::{from_row, to_row};
use crate::error::store;
use crate::unit::Unit;

/// Rows of one `INSERT`: fifty columns, below SQLite's 32,766 bound values.
pub(super) const CHUNK: usize = 500;
/// Values of one `IN` list.
const IN: usize = 5_000;

pub(super) struct SeaMessages<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaMessages<'_> {
    fn own(&self) -> Select<Entity> {
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
        for chunk in messages.chunks(CHUNK) {
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
        for chunk in messages.chunks(CHUNK) {
            let rows = chunk.iter().map(to_row).collect::<Result<Vec<_>, _>>()?;
            let inserted: Vec<Uuid> = Entity::insert_many(rows)
                .on_conflict(
                    OnConflict::columns([C::DeviceId, C::Direction, C::DedupeKey])
                        .do_nothing()
                        .to_owned(),
                )
                .exec_with_returning_keys(self.unit.tx())
                .await
                .map_err(store)?;
            new.extend(inserted.into_iter().map(MessageId::from));
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
            query = query.filter(C::ConversationId.eq(conversation.uuid()));
        }
        if let Some(direction) = filter.direction {
            query = query.filter(C::Direction.eq(direction.as_str()));
        }
        if let Some(status) = filter.status {
            query = query.filter(C::Status.eq(status.as_str()));
        }
        if let Some(reference) = &filter.reference {
            query = query.filter(C::Reference.eq(reference.as_str()));
        }
        if let Some(after) = page.after {
            query = query.filter(C::Id.lt(after.id()));
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
}
