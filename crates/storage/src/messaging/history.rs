//! Looking through messages by what no index holds, a bounded number at a time.

use kabar_core::{Cursor, Page, PageRequest, StoreError, Timestamp};
use kabar_messaging::search::LOOK;
use kabar_messaging::{Message, MessageFilter};
use sea_orm::{
    ColumnTrait as _, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use uuid::Uuid;

use super::entity::message::{Column as C, Entity};
use super::message::SeaMessages;
use super::row::from_row;
use crate::convert::micros;
use crate::error::store;

/// Ids grow with time, but clocks of nodes differ, and units of work take their time.
const SLACK: chrono::TimeDelta = chrono::TimeDelta::hours(1);
/// Ids closer together than this were made at the same moment: a millisecond of UUID version 7.
const MOMENT: u128 = 1 << 80;

/// What a look at a message needs.
type Seen = (Uuid, String, String, String, String, Option<String>, Option<String>);

impl SeaMessages<'_> {
    /// Cuts a query down to a stretch of time, along the ids.
    pub(super) async fn between(
        &self,
        mut query: Select<Entity>,
        filter: &MessageFilter,
    ) -> Result<Select<Entity>, StoreError> {
        if let Some(from) = filter.from {
            query = query.filter(C::CreatedAt.gte(micros(from)));
            let id = self.id_at(from.checked_sub_signed(SLACK).unwrap_or(from)).await?;
            query = query.filter(C::Id.gte(id));
        }
        if let Some(to) = filter.to {
            query = query.filter(C::CreatedAt.lt(micros(to)));
            let id = self.id_at(to.checked_add_signed(SLACK).unwrap_or(to)).await?;
            query = query.filter(C::Id.lt(id));
        }
        Ok(query)
    }

    /// The smallest id from which on messages were stored at `at` or later: found by halving, because
    /// ids grow with time and no index holds the time itself.
    async fn id_at(&self, at: Timestamp) -> Result<Uuid, StoreError> {
        let (mut low, mut high) = (0_u128, u128::MAX);
        if let Some((first, _)) = self.first_from(Uuid::nil()).await? {
            low = first.as_u128();
        }
        while high - low > MOMENT {
            let middle = low + (high - low) / 2;
            match self.first_from(Uuid::from_u128(middle)).await? {
                Some((id, stored)) if stored < micros(at) => low = id.as_u128() + 1,
                _ => high = middle,
            }
        }
        Ok(Uuid::from_u128(low))
    }

    async fn first_from(&self, id: Uuid) -> Result<Option<(Uuid, i64)>, StoreError> {
        self.own()
            .select_only()
            .columns([C::Id, C::CreatedAt])
            .filter(C::Id.gte(id))
            .order_by_asc(C::Id)
            .limit(1)
            .into_tuple()
            .one(self.unit.tx())
            .await
            .map_err(store)
    }

    /// A page of messages that have to be looked at one by one.
    pub(super) async fn look(
        &self,
        query: Select<Entity>,
        filter: &MessageFilter,
        page: PageRequest,
    ) -> Result<Page<Message>, StoreError> {
        let seen: Vec<Seen> = query
            .select_only()
            .columns([C::Id, C::Kind, C::Purpose, C::Origin, C::Status, C::OriginRef, C::Words])
            .order_by_desc(C::Id)
            .limit(u64::from(LOOK))
            .into_tuple()
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let broken_off = seen.len() == usize::from(LOOK);
        let last = seen.last().map(|seen| seen.0);
        let limit = usize::from(page.limit);
        let mut found: Vec<Uuid> = seen
            .iter()
            .filter(|seen| fits(filter, seen))
            .map(|seen| seen.0)
            .take(limit + 1)
            .collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let next = match (more, broken_off) {
            (true, _) => found.last().copied(),
            (false, true) => last,
            (false, false) => None,
        };
        let rows = Entity::find()
            .filter(C::Id.is_in(found))
            .order_by_desc(C::Id)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let items = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page { items, next: next.map(Cursor::after) })
    }
}

fn fits(filter: &MessageFilter, seen: &Seen) -> bool {
    let (_, kind, purpose, origin, status, origin_ref, words) = seen;
    let is = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted == found);
    let broadcast = filter.broadcast.map(|id| id.to_string());
    let statuses = &filter.statuses;
    is(filter.kind.as_deref(), kind)
        && is(filter.purpose.map(kabar_messaging::Purpose::as_str), purpose)
        && is(filter.origin.map(kabar_messaging::Origin::as_str), origin)
        && (statuses.is_empty() || statuses.iter().any(|one| one.as_str() == status))
        && broadcast.is_none_or(|id| origin == "broadcast" && origin_ref.as_deref() == Some(&id))
        && filter
            .words
            .as_ref()
            .is_none_or(|needle| words.as_deref().is_some_and(|words| needle.is_in(words)))
}
