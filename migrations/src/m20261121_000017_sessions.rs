//! Paired sessions: who runs which, and what each keeps.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `free_at` changes with each renewal, every two seconds for each device: it is in no index, so that
/// PostgreSQL can write the row anew in its own page.
const LEASES: &str = "CREATE TABLE session_leases (
    device_id {id} PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    wanted boolean NOT NULL,
    node {id},
    fence bigint NOT NULL,
    free_at bigint NOT NULL
)";

/// Values are sealed, each under the key that `sealed_by` names; an empty one is not.
const VALUES: &str = "CREATE TABLE session_values (
    device_id {id} NOT NULL REFERENCES session_leases (device_id) ON DELETE CASCADE,
    kind text NOT NULL,
    key {bytes} NOT NULL,
    value {bytes} NOT NULL,
    sealed_by text,
    due bigint,
    mark bigint,
    tag {bytes},
    PRIMARY KEY (device_id, kind, key)
)";

const INDEXES: &[&str] = &[
    "CREATE INDEX session_leases_node ON session_leases (node) WHERE node IS NOT NULL",
    "CREATE INDEX session_leases_wanted ON session_leases (device_id) WHERE wanted",
    "CREATE INDEX session_values_due ON session_values (device_id, kind, due)
        WHERE due IS NOT NULL",
    "CREATE INDEX session_values_tag ON session_values (device_id, kind, tag)
        WHERE tag IS NOT NULL",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (leases, values) = match manager.get_database_backend() {
            DbBackend::Postgres => (" WITH (fillfactor = 50)", ""),
            _ => (" WITHOUT ROWID", " WITHOUT ROWID"),
        };
        let tables = [format!("{LEASES}{leases}"), format!("{VALUES}{values}")];
        for table in &tables {
            ddl::run(manager, &[table]).await?;
        }
        ddl::run(manager, INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop(manager, &["session_leases", "session_values"]).await
    }
}
