//! Statistics, who follows the log, retention, and conversations by their last activity.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Messages by everything that they are counted by. `bucket` is the beginning of a quarter of an
/// hour, UTC; `broadcast` and `reason` are empty where there is none.
const COUNTS: &str = "CREATE TABLE message_counts (
    account_id {id} NOT NULL,
    bucket bigint NOT NULL,
    device_id {id} NOT NULL,
    direction text NOT NULL,
    kind text NOT NULL,
    purpose text NOT NULL,
    origin text NOT NULL,
    broadcast text NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (account_id, bucket, device_id, direction, kind, purpose, origin, broadcast,
        status, reason)
)";

/// Existing conversations get the place that their last message gives them.
const LAST_AT: &str = "UPDATE conversations SET last_at = CASE
    WHEN COALESCE(last_in_at, 0) > last_at AND COALESCE(last_in_at, 0) >= COALESCE(last_out_at, 0)
        THEN last_in_at
    WHEN COALESCE(last_out_at, 0) > last_at THEN last_out_at
    ELSE last_at END";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The key is nearly the whole row: on SQLite it is the row.
        let counts = match manager.get_database_backend() {
            DbBackend::Postgres => COUNTS.to_owned(),
            _ => format!("{COUNTS} WITHOUT ROWID"),
        };
        ddl::run(
            manager,
            &[
                &counts,
                "CREATE INDEX message_counts_bucket ON message_counts (bucket)",
                "CREATE INDEX message_counts_broadcast
                    ON message_counts (account_id, broadcast, bucket) WHERE broadcast <> ''",
                "CREATE TABLE log_readers (
                    reader text PRIMARY KEY,
                    \"transaction\" bigint NOT NULL,
                    number bigint NOT NULL,
                    seen text
                )",
                "CREATE TABLE retention_settings (
                    account_id {id} PRIMARY KEY,
                    settings {json} NOT NULL,
                    updated_at bigint NOT NULL
                )",
                "CREATE TABLE retention_marks (
                    account_id {id} PRIMARY KEY,
                    message_id {id} NOT NULL
                )",
                "CREATE TABLE retention_removed (
                    what text PRIMARY KEY,
                    count bigint NOT NULL,
                    at bigint NOT NULL
                )",
                "CREATE INDEX quarantine_at ON quarantine (at)",
                LAST_AT,
                "DROP INDEX conversations_account",
                "CREATE INDEX conversations_account ON conversations (account_id, last_at, id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(
            manager,
            &[
                "DROP INDEX conversations_account",
                "CREATE INDEX conversations_account ON conversations (account_id, id)",
                "DROP INDEX quarantine_at",
            ],
        )
        .await?;
        let tables = [
            "message_counts",
            "log_readers",
            "retention_settings",
            "retention_marks",
            "retention_removed",
        ];
        ddl::drop(manager, &tables).await
    }
}
