//! What devices sent and when they may send again, and what accounts set about it.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &[
    "pacing_devices",
    "pacing_sends",
    "pacing_accounts",
    "pacing_offers",
    "pacing_pauses",
    "pacing_portfolios",
    "pacing_reached",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::ddl::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::ddl::run(manager, &["DROP INDEX messages_expiry"]).await?;
        crate::ddl::drop(manager, TABLES).await
    }
}

const UP: &[&str] = &[
    "CREATE TABLE pacing_devices (
        device_id {id} PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
        seq bigint NOT NULL,
        sent_at bigint NOT NULL,
        paced_at bigint NOT NULL,
        delay_until bigint NOT NULL,
        rest_until bigint NOT NULL,
        batch bigint NOT NULL,
        hour_most bigint NOT NULL,
        hour_until bigint NOT NULL,
        day_most bigint NOT NULL,
        day_until bigint NOT NULL,
        busy_until bigint NOT NULL,
        slowed_milli bigint,
        slowed_at bigint
    )",
    // The sends of a device that has a cap, numbered: the one that decides about the next is
    // found by its number, however large the cap is.
    "CREATE TABLE pacing_sends (
        device_id {id} NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
        seq bigint NOT NULL,
        at bigint NOT NULL,
        PRIMARY KEY (device_id, seq)
    )",
    "CREATE TABLE pacing_accounts (
        account_id {id} PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
        settings {json} NOT NULL
    )",
    // Offers to a contact, where the account caps them.
    "CREATE TABLE pacing_offers (
        account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        contact_id {id} NOT NULL,
        at bigint NOT NULL,
        message_id {id} NOT NULL,
        PRIMARY KEY (account_id, contact_id, at, message_id)
    )",
    "CREATE INDEX pacing_offers_at ON pacing_offers (at)",
    // The network asked a number, a business account or an app to wait.
    "CREATE TABLE pacing_pauses (
        place text PRIMARY KEY,
        until bigint NOT NULL
    )",
    // The messaging limit of a portfolio, and whom it reached in 24 hours outside their windows.
    "CREATE TABLE pacing_portfolios (
        portfolio text PRIMARY KEY,
        most bigint,
        reached bigint NOT NULL
    )",
    "CREATE TABLE pacing_reached (
        portfolio text NOT NULL REFERENCES pacing_portfolios (portfolio) ON DELETE CASCADE,
        contact_id {id} NOT NULL,
        at bigint NOT NULL,
        PRIMARY KEY (portfolio, contact_id)
    )",
    "CREATE INDEX pacing_reached_at ON pacing_reached (portfolio, at)",
    // What expires while it waits is found without looking at its lane.
    "CREATE INDEX messages_expiry ON messages (expires_at) WHERE queued",
];
