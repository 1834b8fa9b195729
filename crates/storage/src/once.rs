//! Requests that were carried out before.

use async_trait::async_trait;
use kabar_core::work::Remembered;
use kabar_core::{Once, OnceRepo, StoreError, Timestamp};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde_json::Value;

use crate::convert::micros;
use crate::error::{bad_row, store};
use crate::unit::Unit;

mod entity {
    #![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "once")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub principal: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub operation: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        pub body_hash: Vec<u8>,
        pub result: Option<Json>,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// [`OnceRepo`] over a unit of work.
pub(crate) struct SeaOnce<'a> {
    unit: &'a Unit,
}

impl<'a> SeaOnce<'a> {
    pub(crate) const fn new(unit: &'a Unit) -> Self {
        Self { unit }
    }
}

#[async_trait]
impl OnceRepo for SeaOnce<'_> {
    async fn recall(&mut self, once: &Once) -> Result<Option<Remembered>, StoreError> {
        // The row is written first: on PostgreSQL a second unit with the same key waits here until
        // the first ends, or gives up after the lock timeout (the request is in flight).
        let row = entity::ActiveModel {
            principal: Set(once.principal.clone()),
            operation: Set(once.operation.to_owned()),
            key: Set(once.key.clone()),
            body_hash: Set(once.body_hash.to_vec()),
            result: Set(None),
            at: Set(0),
        };
        let inserted = entity::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(self.unit.tx())
            .await
            .map_err(store)?;
        if inserted == 1 {
            return Ok(None);
        }
        let id = (once.principal.clone(), once.operation.to_owned(), once.key.clone());
        let row = entity::Entity::find_by_id(id).one(self.unit.tx()).await.map_err(store)?;
        let Some(row) = row else { return Ok(None) };
        let wrong = |column, problem: &str| bad_row("once", &once.key, column, problem);
        Ok(Some(Remembered {
            body_hash: row.body_hash.try_into().map_err(|_| wrong("body_hash", "not 32 bytes"))?,
            result: row.result.ok_or_else(|| wrong("result", "absent"))?,
        }))
    }

    async fn remember(
        &mut self,
        once: &Once,
        result: &Value,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let row = entity::ActiveModel {
            principal: Set(once.principal.clone()),
            operation: Set(once.operation.to_owned()),
            key: Set(once.key.clone()),
            result: Set(Some(result.clone())),
            at: Set(micros(at)),
            ..Default::default()
        };
        entity::Entity::update(row).exec(self.unit.tx()).await.map_err(store)?;
        Ok(())
    }

    async fn forget(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let done = entity::Entity::delete_many()
            .filter(entity::Column::At.lt(micros(before)))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected)
    }
}
