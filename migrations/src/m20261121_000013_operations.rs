//! Alerts, and what the watch and `/metrics` look for.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const INDEXES: &[&str] = &["messages_uncertain"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(
            manager,
            &[
                // One row for what is unwell of one subject; `subject` is empty for the installation.
                "CREATE TABLE alerts (
                    id {id} PRIMARY KEY,
                    condition text NOT NULL,
                    subject text NOT NULL,
                    account_id {id} REFERENCES accounts (id) ON DELETE CASCADE,
                    device_id {id},
                    detail text NOT NULL,
                    state text NOT NULL,
                    at bigint,
                    since bigint NOT NULL,
                    seen_at bigint NOT NULL
                )",
                "CREATE UNIQUE INDEX alerts_subject ON alerts (condition, subject)",
                "CREATE INDEX alerts_account ON alerts (account_id, id)",
                // `owner` is an account's id, or `provider`.
                "CREATE TABLE alert_settings (
                    owner text PRIMARY KEY,
                    account_id {id} REFERENCES accounts (id) ON DELETE CASCADE,
                    settings {json} NOT NULL
                )",
                // Which node looked last.
                "CREATE TABLE watches (
                    name text PRIMARY KEY,
                    checked_at bigint NOT NULL
                )",
                "CREATE INDEX messages_uncertain ON messages (account_id, updated_at)
                    WHERE status = 'uncertain'",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in INDEXES {
            ddl::run(manager, &[&format!("DROP INDEX {index}")]).await?;
        }
        ddl::drop(manager, &["alerts", "alert_settings", "watches"]).await
    }
}
