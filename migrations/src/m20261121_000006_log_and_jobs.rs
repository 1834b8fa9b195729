//! The event log and the job queue.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// On PostgreSQL the transaction's id orders the log; SQLite has one writer, so the number does.
const POSTGRES_EVENTS: &str = "CREATE TABLE events (
    transaction bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    number bigserial,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    version smallint NOT NULL,
    data jsonb NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (transaction, number)
)";

const SQLITE_EVENTS: &str = "CREATE TABLE events (
    number integer PRIMARY KEY AUTOINCREMENT,
    \"transaction\" bigint NOT NULL DEFAULT 0,
    account_id uuid_text NOT NULL,
    kind text NOT NULL,
    version smallint NOT NULL,
    data jsonb_text NOT NULL,
    at bigint NOT NULL
)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let events = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_EVENTS,
            _ => SQLITE_EVENTS,
        };
        ddl::run(
            manager,
            &[
                events,
                "CREATE INDEX events_account ON events (account_id, \"transaction\", number)",
                "CREATE INDEX events_at ON events (at)",
                "CREATE TABLE jobs (
                    id {id} PRIMARY KEY,
                    name text NOT NULL,
                    account_id {id},
                    order_key text,
                    payload {json} NOT NULL,
                    ready_at bigint NOT NULL,
                    attempt integer NOT NULL,
                    fence bigint NOT NULL,
                    buried boolean NOT NULL,
                    error text
                )",
                "CREATE INDEX jobs_ready ON jobs (ready_at, id) WHERE NOT buried",
                "CREATE INDEX jobs_order ON jobs (order_key, id)
                    WHERE order_key IS NOT NULL AND NOT buried",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop(manager, &["events", "jobs"]).await
    }
}
