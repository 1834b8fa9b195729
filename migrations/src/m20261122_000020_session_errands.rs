//! What a paired session is to do besides running: to be paired by number, or to log out.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            "ALTER TABLE session_leases ADD COLUMN link text",
            "ALTER TABLE session_leases ADD COLUMN log_out_at bigint",
        ];
        ddl::run(manager, &columns).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            "ALTER TABLE session_leases DROP COLUMN link",
            "ALTER TABLE session_leases DROP COLUMN log_out_at",
        ];
        ddl::run(manager, &columns).await
    }
}
