//! Sessions and their tokens.

use async_trait::async_trait;
use kabar_accounts::Session;
use kabar_accounts::session::{Held, SessionRepo, TokenPair};
use kabar_core::{Page, PageRequest, SessionId, StoreError, Timestamp, UserId};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::entity::{session_tokens, sessions, users};
use super::login::SeaLogins;
use super::user::user;
use super::{hash, paged};
use crate::convert::{column, micros, micros_opt, time, time_opt};
use crate::error::store;
use crate::unit::Unit;

/// The sessions of the installation.
pub(super) struct SeaSessions<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaSessions<'_> {
    async fn whole(
        &self,
        pair: session_tokens::Model,
        session: sessions::Model,
    ) -> Result<Option<Held>, StoreError> {
        let row = users::Entity::find_by_id(session.user_id).one(self.unit.tx()).await;
        let Some(row) = row.map_err(store)? else {
            return Ok(None);
        };
        let user = SeaLogins { unit: self.unit }.with_proof(user(row)?).await?;
        Ok(Some(Held { pair: token_pair(&pair)?, session: read(session)?, user }))
    }

    fn going_on(user: UserId) -> Condition {
        Condition::all()
            .add(sessions::Column::UserId.eq(user.uuid()))
            .add(sessions::Column::EndedAt.is_null())
    }

    async fn end_where(&self, filter: Condition, at: Timestamp) -> Result<u64, StoreError> {
        let done = sessions::Entity::update_many()
            .col_expr(sessions::Column::EndedAt, Expr::value(micros(at)))
            .filter(filter)
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected)
    }
}

#[async_trait]
impl SessionRepo for SeaSessions<'_> {
    async fn insert(&mut self, session: &Session) -> Result<(), StoreError> {
        let row = sessions::ActiveModel {
            id: Set(session.id.uuid()),
            user_id: Set(session.user.uuid()),
            address: Set(session.address.map(|address| address.to_string())),
            agent: Set(session.agent.clone()),
            created_at: Set(micros(session.created_at)),
            refreshed_at: Set(micros(session.refreshed_at)),
            expires_at: Set(micros(session.expires_at)),
            ended_at: Set(micros_opt(session.ended_at)),
        };
        let done = sessions::Entity::insert(row).exec_without_returning(self.unit.tx());
        done.await.map(|_| ()).map_err(store)
    }

    async fn put_pair(&mut self, pair: &TokenPair) -> Result<(), StoreError> {
        let row = session_tokens::ActiveModel {
            id: Set(pair.id),
            session_id: Set(pair.session.uuid()),
            access_hash: Set(pair.access_hash.to_vec()),
            access_expires_at: Set(micros(pair.access_expires_at)),
            refresh_hash: Set(pair.refresh_hash.to_vec()),
            refresh_expires_at: Set(micros(pair.refresh_expires_at)),
            refreshed_at: Set(micros_opt(pair.refreshed_at)),
        };
        let done = session_tokens::Entity::insert(row).exec_without_returning(self.unit.tx());
        done.await.map(|_| ()).map_err(store)
    }

    async fn held(&mut self, pair: Uuid) -> Result<Option<Held>, StoreError> {
        let found = session_tokens::Entity::find_by_id(pair)
            .find_also_related(sessions::Entity)
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        match found {
            Some((pair, Some(session))) => self.whole(pair, session).await,
            _ => Ok(None),
        }
    }

    async fn lock(&mut self, pair: Uuid) -> Result<Option<Held>, StoreError> {
        let tx = self.unit.tx();
        let found = session_tokens::Entity::find_by_id(pair).one(tx).await.map_err(store)?;
        let Some(found) = found else {
            return Ok(None);
        };
        let mut query = sessions::Entity::find_by_id(found.session_id);
        if self.unit.locks_rows() {
            query = query.lock(LockType::Update);
        }
        let session = query.one(tx).await.map_err(store)?;
        // Read again behind the lock: another unit of work may have used it.
        let found = session_tokens::Entity::find_by_id(pair).one(tx).await.map_err(store)?;
        match (found, session) {
            (Some(pair), Some(session)) => self.whole(pair, session).await,
            _ => Ok(None),
        }
    }

    async fn refreshed(&mut self, pair: &TokenPair, at: Timestamp) -> Result<(), StoreError> {
        session_tokens::Entity::update_many()
            .col_expr(session_tokens::Column::RefreshedAt, Expr::value(micros(at)))
            .filter(session_tokens::Column::Id.eq(pair.id))
            .filter(session_tokens::Column::RefreshedAt.is_null())
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        let until = micros(at + kabar_accounts::session::REFRESH);
        sessions::Entity::update_many()
            .col_expr(sessions::Column::RefreshedAt, Expr::value(micros(at)))
            .col_expr(sessions::Column::ExpiresAt, Expr::value(until))
            .filter(sessions::Column::Id.eq(pair.session.uuid()))
            .exec(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }

    async fn list(
        &mut self,
        user: UserId,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Session>, StoreError> {
        let query = sessions::Entity::find()
            .filter(Self::going_on(user))
            .filter(sessions::Column::ExpiresAt.gt(micros(now)));
        let rows = paged(query, sessions::Column::Id, page).all(self.unit.tx()).await;
        let rows: Result<Vec<_>, _> = rows.map_err(store)?.into_iter().map(read).collect();
        Ok(Page::from_rows(rows?, page, |session| session.id.uuid()))
    }

    async fn end(
        &mut self,
        user: UserId,
        id: SessionId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let one = Self::going_on(user).add(sessions::Column::Id.eq(id.uuid()));
        Ok(self.end_where(one, at).await? == 1)
    }

    async fn end_all(
        &mut self,
        user: UserId,
        but: Option<SessionId>,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut all = Self::going_on(user);
        if let Some(but) = but {
            all = all.add(sessions::Column::Id.ne(but.uuid()));
        }
        self.end_where(all, at).await
    }
}

fn read(row: sessions::Model) -> Result<Session, StoreError> {
    let cell = column("sessions", &row.id, "address");
    let address = row.address.as_deref().map(|text| cell.word(text)).transpose()?;
    Ok(Session {
        id: SessionId::from(row.id),
        user: UserId::from(row.user_id),
        address,
        agent: row.agent,
        created_at: time(row.created_at),
        refreshed_at: time(row.refreshed_at),
        expires_at: time(row.expires_at),
        ended_at: time_opt(row.ended_at),
    })
}

fn token_pair(row: &session_tokens::Model) -> Result<TokenPair, StoreError> {
    let read = |name, bytes: &[u8]| hash("session_tokens", row.id, name, bytes);
    Ok(TokenPair {
        id: row.id,
        session: SessionId::from(row.session_id),
        access_hash: read("access_hash", &row.access_hash)?,
        access_expires_at: time(row.access_expires_at),
        refresh_hash: read("refresh_hash", &row.refresh_hash)?,
        refresh_expires_at: time(row.refresh_expires_at),
        refreshed_at: time_opt(row.refreshed_at),
    })
}
