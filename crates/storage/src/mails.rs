//! The mails that wait, sealed as a whole: address, subject and text.

use async_trait::async_trait;
use kabar_core::{
    ExposeSecret as _, InstallationScope, JobId, Mail, Secret, StoreError, Timestamp,
};
use kabar_jobs::{MailOutbox, MailsWork};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde::{Deserialize, Serialize};

use crate::convert::micros;
use crate::error::{bad_row, store};
use crate::keyring::Place;
use crate::unit::Unit;

mod entity {
    #![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "mails")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub sealed: String,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity};

/// Rows of one `INSERT`, kept below SQLite's 32,766 bound values.
const CHUNK: usize = 1_000;

impl MailsWork for Unit {
    fn mails(&self) -> Box<dyn MailOutbox + '_> {
        Box::new(SeaMails { unit: self })
    }
}

struct SeaMails<'a> {
    unit: &'a Unit,
}

/// A mail as it is sealed.
#[derive(Serialize, Deserialize)]
struct Letter {
    to: String,
    subject: String,
    text: String,
}

const fn place(id: JobId) -> Place<'static> {
    Place { table: "mails", row: id.uuid(), column: "sealed" }
}

impl SeaMails<'_> {
    fn seal(&self, id: JobId, mail: &Mail) -> Result<String, StoreError> {
        let Mail { to, subject, text } = mail.clone();
        let refused = |error| StoreError::Refused(error);
        let letter = serde_json::to_string(&Letter { to, subject, text });
        let letter = Secret::from(letter.map_err(|error| refused(Box::new(error)))?);
        self.unit.ring().seal(&letter, &place(id)).map_err(|error| refused(Box::new(error)))
    }

    fn open(&self, id: JobId, sealed: &str) -> Result<Mail, StoreError> {
        let wrong = |problem: &dyn std::fmt::Display| bad_row("mails", id, "sealed", problem);
        let text = self.unit.ring().open(sealed, &place(id)).map_err(|error| wrong(&error))?;
        let letter: Letter =
            serde_json::from_str(text.expose_secret()).map_err(|error| wrong(&error))?;
        Ok(Mail { to: letter.to, subject: letter.subject, text: letter.text })
    }
}

#[async_trait]
impl MailOutbox for SeaMails<'_> {
    async fn put(&mut self, mails: &[(JobId, Mail)], at: Timestamp) -> Result<(), StoreError> {
        for chunk in mails.chunks(CHUNK) {
            let mut rows = Vec::with_capacity(chunk.len());
            for (id, mail) in chunk {
                rows.push(ActiveModel {
                    id: Set(id.uuid()),
                    sealed: Set(self.seal(*id, mail)?),
                    created_at: Set(micros(at)),
                });
            }
            Entity::insert_many(rows)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn get(
        &mut self,
        _scope: InstallationScope,
        job: JobId,
    ) -> Result<Option<Mail>, StoreError> {
        let row = Entity::find_by_id(job.uuid()).one(self.unit.tx()).await.map_err(store)?;
        row.map(|row| self.open(job, &row.sealed)).transpose()
    }

    async fn remove(&mut self, _scope: InstallationScope, job: JobId) -> Result<(), StoreError> {
        let done = Entity::delete_by_id(job.uuid()).exec(self.unit.tx()).await;
        done.map(|_| ()).map_err(store)
    }

    async fn prune(
        &mut self,
        _scope: InstallationScope,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        let done = Entity::delete_many()
            .filter(Column::CreatedAt.lt(micros(before)))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected)
    }
}
