//! The recipients of a tenant's broadcasts.

use async_trait::async_trait;
use kabar_core::{BroadcastId, ContactId, DeviceId, MessageId, PhoneNumber, Scope, StoreError};
use kabar_messaging::broadcast::{
    Counts, Recipient, RecipientFilter, RecipientRepo, RecipientState, RecipientTarget, Source,
};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};

use super::entity::count;
use super::entity::recipient::{ActiveModel, Column as C, Entity, Model};
use crate::convert::{column, json, micros, time};
use crate::error::{bad_row, store};
use crate::raw::Sql;
use crate::unit::Unit;

const TABLE: &str = "broadcast_recipients";
/// Rows of one statement: sixteen columns, below SQLite's 32,766 bound values.
const CHUNK: usize = 2_000;

pub(super) struct SeaRecipients<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaRecipients<'_> {
    fn of(&self, broadcast: BroadcastId) -> Select<Entity> {
        Entity::find()
            .filter(C::BroadcastId.eq(broadcast.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
    }

    async fn save_some(&self, recipients: &[Recipient]) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "WITH v (broadcast_id, position, contact_id, state, reason, detail, device_id, \
             message_id, previous_id, attempt, updated_at) AS (VALUES ",
        );
        for (index, recipient) in recipients.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" });
            sql.bind(recipient.broadcast.uuid()).push(", ");
            sql.bind(place(recipient.position)).push(", ");
            sql.bind(recipient.contact.map(ContactId::uuid)).push(", ");
            sql.bind(recipient.state.as_str()).push(", ");
            sql.bind(recipient.reason.clone()).push(", ");
            sql.bind(recipient.detail.clone()).push(", ");
            sql.bind(recipient.device.map(DeviceId::uuid)).push(", ");
            sql.bind(recipient.message.map(MessageId::uuid)).push(", ");
            sql.bind(recipient.previous.map(MessageId::uuid)).push(", ");
            sql.bind(attempt(recipient)).push(", ");
            sql.bind(micros(recipient.updated_at)).push(")");
        }
        sql.push(
            ") UPDATE broadcast_recipients AS r SET contact_id = v.contact_id, state = v.state, \
             reason = v.reason, detail = v.detail, device_id = v.device_id, \
             message_id = v.message_id, previous_id = v.previous_id, attempt = v.attempt, \
             updated_at = v.updated_at FROM v WHERE r.broadcast_id = v.broadcast_id \
             AND r.position = v.position AND COALESCE(r.account_id = ",
        )
        // No condition for an index: the primary key it is.
        .bind(self.scope.account().uuid())
        .push(", FALSE)");
        self.unit.execute(sql).await?;
        Ok(())
    }
}

fn place(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn attempt(recipient: &Recipient) -> i32 {
    i32::try_from(recipient.attempt).unwrap_or(i32::MAX)
}

fn to_row(recipient: &Recipient, scope: Scope) -> Result<ActiveModel, StoreError> {
    let phone = match &recipient.target {
        RecipientTarget::Phone(phone) => Some(phone.as_str().to_owned()),
        RecipientTarget::Nobody(written) => Some(written.clone()),
        RecipientTarget::Contact(_) => None,
    };
    let variables = Some(&recipient.variables).filter(|variables| !variables.is_empty());
    Ok(ActiveModel {
        broadcast_id: Set(recipient.broadcast.uuid()),
        position: Set(place(recipient.position)),
        source: Set(recipient.source.to_string()),
        account_id: Set(scope.account().uuid()),
        recipient_key: Set(recipient.key()),
        contact_id: Set(recipient.contact.map(ContactId::uuid)),
        phone: Set(phone),
        variables: Set(variables.map(json).transpose()?),
        state: Set(recipient.state.to_string()),
        reason: Set(recipient.reason.clone()),
        detail: Set(recipient.detail.clone()),
        device_id: Set(recipient.device.map(DeviceId::uuid)),
        message_id: Set(recipient.message.map(MessageId::uuid)),
        previous_id: Set(recipient.previous.map(MessageId::uuid)),
        attempt: Set(attempt(recipient)),
        updated_at: Set(micros(recipient.updated_at)),
    })
}

pub(super) fn from_row(row: Model) -> Result<Recipient, StoreError> {
    let id = format!("{}/{}", row.broadcast_id, row.position);
    let at = |name| column(TABLE, &id, name);
    let state: RecipientState = at("state").word(&row.state)?;
    let target = match (row.phone, row.contact_id) {
        (Some(written), _) if state == RecipientState::Invalid => RecipientTarget::Nobody(written),
        (Some(phone), _) => RecipientTarget::Phone(at("phone").word::<PhoneNumber>(&phone)?),
        (None, Some(contact)) => RecipientTarget::Contact(contact.into()),
        (None, None) => return Err(bad_row(TABLE, &id, "phone", "neither number nor contact")),
    };
    Ok(Recipient {
        broadcast: row.broadcast_id.into(),
        position: u64::try_from(row.position).unwrap_or_default(),
        source: at("source").word(&row.source)?,
        target,
        contact: row.contact_id.map(ContactId::from),
        variables: at("variables").json_opt(row.variables)?.unwrap_or_default(),
        state,
        reason: row.reason,
        detail: row.detail,
        device: row.device_id.map(DeviceId::from),
        message: row.message_id.map(MessageId::from),
        previous: row.previous_id.map(MessageId::from),
        attempt: u32::try_from(row.attempt).unwrap_or_default(),
        updated_at: time(row.updated_at),
    })
}

#[async_trait]
impl RecipientRepo for SeaRecipients<'_> {
    async fn insert(&mut self, recipients: &[Recipient]) -> Result<(), StoreError> {
        for chunk in recipients.chunks(self.unit.at_most(CHUNK, 400)) {
            let rows =
                chunk.iter().map(|one| to_row(one, self.scope)).collect::<Result<Vec<_>, _>>()?;
            Entity::insert_many(rows)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn taken(
        &mut self,
        broadcast: BroadcastId,
        keys: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let mut taken = Vec::new();
        for chunk in keys.chunks(CHUNK) {
            let found: Vec<Option<String>> = self
                .of(broadcast)
                .select_only()
                .column(C::RecipientKey)
                .filter(C::RecipientKey.is_in(chunk.iter().map(String::as_str)))
                .into_tuple()
                .all(self.unit.tx())
                .await
                .map_err(store)?;
            taken.extend(found.into_iter().flatten());
        }
        Ok(taken)
    }

    async fn from(
        &mut self,
        broadcast: BroadcastId,
        filter: RecipientFilter<'_>,
        position: u64,
        limit: u16,
    ) -> Result<Vec<Recipient>, StoreError> {
        let mut query = self.of(broadcast).filter(C::Position.gte(place(position)));
        if let Some(state) = filter.state {
            query = query.filter(C::State.eq(state.as_str()));
        }
        if let Some(reason) = filter.reason {
            query = query.filter(C::Reason.eq(reason));
        }
        let rows = query
            .order_by_asc(C::Position)
            .limit(u64::from(limit))
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        rows.into_iter().map(from_row).collect()
    }

    async fn next(
        &mut self,
        broadcast: BroadcastId,
        attempt: u32,
        limit: u16,
    ) -> Result<Vec<Recipient>, StoreError> {
        let attempt = i32::try_from(attempt).unwrap_or(i32::MAX);
        let again = RecipientState::ALL.iter().filter(|state| state.can_be_retried());
        let mut recipients: Vec<Recipient> = Vec::new();
        for state in std::iter::once(&RecipientState::Waiting).chain(again) {
            let rest = usize::from(limit).saturating_sub(recipients.len());
            if rest == 0 {
                break;
            }
            let mut query = self
                .of(broadcast)
                .filter(C::State.eq(state.as_str()))
                .filter(C::Attempt.lt(attempt))
                .order_by_asc(C::Position)
                .limit(rest as u64);
            if self.unit.locks_rows() {
                query = query.lock(LockType::Update);
            }
            for row in query.all(self.unit.tx()).await.map_err(store)? {
                recipients.push(from_row(row)?);
            }
        }
        Ok(recipients)
    }

    async fn save(&mut self, recipients: &[Recipient]) -> Result<(), StoreError> {
        for chunk in recipients.chunks(self.unit.at_most(CHUNK, 200)) {
            self.save_some(chunk).await?;
        }
        Ok(())
    }

    async fn clear(
        &mut self,
        broadcast: BroadcastId,
        sources: &[Source],
    ) -> Result<Counts, StoreError> {
        Entity::delete_many()
            .filter(C::BroadcastId.eq(broadcast.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .filter(C::Source.is_in(sources.iter().map(|source| source.as_str())))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        let left: Vec<(String, Option<String>, i64)> = self
            .of(broadcast)
            .select_only()
            .columns([C::State, C::Reason])
            .column_as(C::Position.count(), "many")
            .group_by(C::State)
            .group_by(C::Reason)
            .into_tuple()
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let mut counts = Counts::default();
        for (state, reason, many) in left {
            let state = column(TABLE, &broadcast, "state").word(&state)?;
            counts.add(state, reason.as_deref(), many);
        }
        count::Entity::delete_many()
            .filter(count::Column::BroadcastId.eq(broadcast.uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        let mut broadcasts = super::SeaBroadcasts { unit: self.unit, scope: self.scope };
        kabar_messaging::broadcast::BroadcastRepo::count(&mut broadcasts, broadcast, &counts)
            .await?;
        Ok(counts)
    }
}
