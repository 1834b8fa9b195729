//! What follows the messages of all broadcasts.

use async_trait::async_trait;
use kabar_core::{MessageId, StoreError};
use kabar_events::Position;
use kabar_messaging::broadcast::{FollowRepo, Recipient};
use sea_orm::sea_query::{Expr, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::{reader, recipient};
use super::recipient::from_row;
use crate::error::store;
use crate::unit::Unit;

/// The one row of the reader.
const READER: i16 = 1;
/// Values of one `IN` list.
const IN: usize = 5_000;

pub(super) struct SeaFollowing<'a> {
    pub(super) unit: &'a Unit,
}

fn position(row: &reader::Model) -> Position {
    Position { transaction: row.transaction_id, number: row.number }
}

#[async_trait]
impl FollowRepo for SeaFollowing<'_> {
    async fn seen(&mut self) -> Result<Position, StoreError> {
        let row = reader::Entity::find_by_id(READER).one(self.unit.tx()).await.map_err(store)?;
        Ok(row.as_ref().map(position).unwrap_or_default())
    }

    async fn position(&mut self) -> Result<Option<Position>, StoreError> {
        let mut query = reader::Entity::find_by_id(READER);
        if self.unit.locks_rows() {
            query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        let row = query.one(self.unit.tx()).await.map_err(store)?;
        Ok(row.as_ref().map(position))
    }

    async fn advance(&mut self, to: Position) -> Result<(), StoreError> {
        reader::Entity::update_many()
            .col_expr(reader::Column::TransactionId, Expr::value(to.transaction))
            .col_expr(reader::Column::Number, Expr::value(to.number))
            .filter(reader::Column::Id.eq(READER))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn by_messages(&mut self, messages: &[MessageId]) -> Result<Vec<Recipient>, StoreError> {
        let mut recipients = Vec::with_capacity(messages.len());
        for chunk in messages.chunks(IN) {
            let mut query = recipient::Entity::find()
                .filter(recipient::Column::MessageId.is_in(chunk.iter().map(|id| id.uuid())))
                .order_by_asc(recipient::Column::BroadcastId)
                .order_by_asc(recipient::Column::Position);
            if self.unit.locks_rows() {
                query = query.lock(LockType::Update);
            }
            for row in query.all(self.unit.tx()).await.map_err(store)? {
                recipients.push(from_row(row)?);
            }
        }
        Ok(recipients)
    }
}
