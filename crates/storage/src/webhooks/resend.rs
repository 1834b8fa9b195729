//! A tenant's resends.

use async_trait::async_trait;
use kabar_core::{AccountId, DeliveryId, JobId, Page, PageRequest, Scope, StoreError};
use kabar_webhooks::Resend;
use kabar_webhooks::repo::ResendRepo;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};

use super::entity::resend::{ActiveModel, Column as C, Entity, Model};
use crate::accounts::paged;
use crate::convert::{column, json, micros, time};
use crate::error::store;
use crate::unit::Unit;

const TABLE: &str = "webhook_resends";

pub(super) struct SeaResends<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaResends<'_> {
    fn mine(&self) -> Condition {
        Condition::all().add(C::AccountId.eq(self.scope.account().uuid()))
    }
}

#[async_trait]
impl ResendRepo for SeaResends<'_> {
    async fn insert(&mut self, resend: &Resend) -> Result<(), StoreError> {
        let row = ActiveModel {
            id: Set(resend.id.uuid()),
            account_id: Set(self.scope.account().uuid()),
            filter: Set(json(&resend.filter)?),
            created_at: Set(micros(resend.created_at)),
            ..progress(resend)
        };
        Entity::insert(row).exec_without_returning(self.unit.tx()).await.map_err(store)?;
        Ok(())
    }

    async fn lock(&mut self, id: JobId) -> Result<Option<Resend>, StoreError> {
        let mut query = Entity::find().filter(self.mine()).filter(C::Id.eq(id.uuid()));
        if self.unit.locks_rows() {
            query = query.lock(LockType::Update);
        }
        query.one(self.unit.tx()).await.map_err(store)?.map(from_row).transpose()
    }

    async fn get(&mut self, id: JobId) -> Result<Option<Resend>, StoreError> {
        let found = Entity::find().filter(self.mine()).filter(C::Id.eq(id.uuid()));
        found.one(self.unit.tx()).await.map_err(store)?.map(from_row).transpose()
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<Resend>, StoreError> {
        let rows = paged(Entity::find().filter(self.mine()), C::Id, page)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let rows = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(rows, page, |row| row.id.uuid()))
    }

    async fn update(&mut self, resend: &Resend) -> Result<bool, StoreError> {
        let done = Entity::update_many()
            .set(progress(resend))
            .filter(self.mine())
            .filter(C::Id.eq(resend.id.uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }
}

fn progress(resend: &Resend) -> ActiveModel {
    ActiveModel {
        id: NotSet,
        account_id: NotSet,
        filter: NotSet,
        state: Set(resend.state.as_str().to_owned()),
        looked_at: Set(i64::try_from(resend.looked_at).unwrap_or(i64::MAX)),
        resent: Set(i64::try_from(resend.resent).unwrap_or(i64::MAX)),
        after_id: Set(resend.after.map(DeliveryId::uuid)),
        created_at: NotSet,
        updated_at: Set(micros(resend.updated_at)),
    }
}

fn from_row(row: Model) -> Result<Resend, StoreError> {
    let id = row.id;
    Ok(Resend {
        id: JobId::from(id),
        account: AccountId::from(row.account_id),
        filter: column(TABLE, &id, "filter").json(row.filter)?,
        state: column(TABLE, &id, "state").word(&row.state)?,
        looked_at: row.looked_at.unsigned_abs(),
        resent: row.resent.unsigned_abs(),
        after: row.after_id.map(DeliveryId::from),
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}
