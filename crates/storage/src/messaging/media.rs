//! A tenant's files.

use async_trait::async_trait;
use kabar_channel::ports::Uploaded;
use kabar_core::{AccountId, DeviceId, MediaId, Page, PageRequest, Scope, StoreError, Timestamp};
use kabar_messaging::MediaRecord;
use kabar_messaging::repo::MediaRepo;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};

use super::entity::media::{ActiveModel, Column as C, Entity, Model};
use super::entity::upload;
use crate::convert::{micros, time};
use crate::error::{bad_row, store};
use crate::unit::Unit;

pub(super) struct SeaMedia<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaMedia<'_> {
    /// A device token sees what came in on its device, and what the account uploaded.
    fn own(&self) -> Select<Entity> {
        let own = Entity::find()
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .filter(C::RemovedAt.is_null());
        match self.scope.device() {
            Some(device) => own.filter(C::DeviceId.is_null().or(C::DeviceId.eq(device.uuid()))),
            None => own,
        }
    }
}

fn from_row(row: Model) -> Result<MediaRecord, StoreError> {
    let wrong = |column, problem: &str| bad_row("media", row.id, column, problem);
    Ok(MediaRecord {
        id: MediaId::from(row.id),
        account: AccountId::from(row.account_id),
        device: row.device_id.map(DeviceId::from),
        sha256: row.sha256.clone().try_into().map_err(|_| wrong("sha256", "not 32 bytes"))?,
        size: u64::try_from(row.size).map_err(|_| wrong("size", "negative"))?,
        mime: row.mime,
        filename: row.filename,
        created_at: time(row.created_at),
    })
}

#[async_trait]
impl MediaRepo for SeaMedia<'_> {
    async fn insert(&mut self, media: &MediaRecord) -> Result<(), StoreError> {
        let row = ActiveModel {
            id: Set(media.id.uuid()),
            account_id: Set(self.scope.account().uuid()),
            device_id: Set(media.device.map(DeviceId::uuid)),
            mime: Set(media.mime.clone()),
            filename: Set(media.filename.clone()),
            size: Set(i64::try_from(media.size).unwrap_or(i64::MAX)),
            sha256: Set(media.sha256.to_vec()),
            state: Set("stored".to_owned()),
            problem: Set(None),
            created_at: Set(micros(media.created_at)),
            removed_at: Set(None),
        };
        Entity::insert(row).exec_without_returning(self.unit.tx()).await.map_err(store)?;
        Ok(())
    }

    async fn get(&mut self, id: MediaId) -> Result<Option<MediaRecord>, StoreError> {
        let row = self.own().filter(C::Id.eq(id.uuid())).one(self.unit.tx()).await;
        row.map_err(store)?.map(from_row).transpose()
    }

    async fn existing(&mut self, ids: &[MediaId]) -> Result<Vec<MediaId>, StoreError> {
        let found: Vec<uuid::Uuid> = self
            .own()
            .select_only()
            .column(C::Id)
            .filter(C::Id.is_in(ids.iter().map(|id| id.uuid())))
            .into_tuple()
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(found.into_iter().map(MediaId::from).collect())
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<MediaRecord>, StoreError> {
        let mut query = self.own();
        if let Some(after) = page.after {
            query = query.filter(C::Id.lt(after.id()));
        }
        let rows = query
            .order_by_desc(C::Id)
            .limit(u64::from(page.limit) + 1)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let media = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(media, page, |media| media.id.uuid()))
    }

    async fn remove(&mut self, id: MediaId, at: Timestamp) -> Result<bool, StoreError> {
        let done = Entity::update_many()
            .col_expr(C::RemovedAt, Expr::value(micros(at)))
            .filter(C::Id.eq(id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .filter(C::RemovedAt.is_null())
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn uploaded(
        &mut self,
        device: DeviceId,
        media: MediaId,
        now: Timestamp,
    ) -> Result<Option<Uploaded>, StoreError> {
        let row = upload::Entity::find_by_id((device.uuid(), media.uuid()))
            .filter(upload::Column::ExpiresAt.gt(micros(now)))
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(row.map(|row| Uploaded {
            wire_media_id: row.wire_media_id,
            expires_at: time(row.expires_at),
        }))
    }

    async fn remember_upload(
        &mut self,
        device: DeviceId,
        media: MediaId,
        uploaded: &Uploaded,
    ) -> Result<(), StoreError> {
        let row = upload::ActiveModel {
            device_id: Set(device.uuid()),
            media_id: Set(media.uuid()),
            wire_media_id: Set(uploaded.wire_media_id.clone()),
            expires_at: Set(micros(uploaded.expires_at)),
        };
        upload::Entity::insert(row)
            .on_conflict(
                OnConflict::columns([upload::Column::DeviceId, upload::Column::MediaId])
                    .update_columns([upload::Column::WireMediaId, upload::Column::ExpiresAt])
                    .to_owned(),
            )
            .exec_without_returning(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }
}
