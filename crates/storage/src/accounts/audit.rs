//! The audit log.

use async_trait::async_trait;
use kabar_accounts::audit::StoredAudit;
use kabar_accounts::{AuditEntry, AuditLog, AuditWork, Realm};
use kabar_core::{AccountId, AuditId, InstallationScope, Page, PageRequest, Scope, StoreError};
use sea_orm::{ActiveValue::Set, EntityTrait as _, QueryFilter as _};

use super::entity::audit_log::{ActiveModel, Column, Entity, Model};
use super::{in_realm, paged};
use crate::convert::{micros, time};
use crate::error::store;
use crate::unit::Unit;

/// Rows of one `INSERT`, kept below SQLite's 32,766 bound values.
const CHUNK: usize = 1_000;

impl AuditWork for Unit {
    fn audit(&self) -> Box<dyn AuditLog + '_> {
        Box::new(SeaAudit { unit: self })
    }
}

struct SeaAudit<'a> {
    unit: &'a Unit,
}

impl SeaAudit<'_> {
    async fn page(&self, realm: Realm, page: PageRequest) -> Result<Page<StoredAudit>, StoreError> {
        let query = Entity::find().filter(in_realm(realm, Column::AccountId));
        let rows = paged(query, Column::Id, page).all(self.unit.tx()).await.map_err(store)?;
        Ok(Page::from_rows(rows, page, |row| row.id).map(stored))
    }
}

#[async_trait]
impl AuditLog for SeaAudit<'_> {
    async fn write(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        for chunk in entries.chunks(CHUNK) {
            let rows = chunk.iter().map(|entry| ActiveModel {
                id: Set(entry.id.uuid()),
                account_id: Set(entry.account.map(AccountId::uuid)),
                actor: Set(entry.actor.to_string()),
                action: Set(entry.action.to_owned()),
                subject: Set(entry.subject.clone()),
                detail: Set(entry.detail.clone()),
                at: Set(micros(entry.at)),
            });
            Entity::insert_many(rows)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn list(
        &mut self,
        scope: Scope,
        page: PageRequest,
    ) -> Result<Page<StoredAudit>, StoreError> {
        self.page(scope.into(), page).await
    }

    async fn list_installation(
        &mut self,
        scope: InstallationScope,
        page: PageRequest,
    ) -> Result<Page<StoredAudit>, StoreError> {
        self.page(scope.into(), page).await
    }
}

fn stored(row: Model) -> StoredAudit {
    StoredAudit {
        id: AuditId::from(row.id),
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        detail: row.detail,
        at: time(row.at),
    }
}
