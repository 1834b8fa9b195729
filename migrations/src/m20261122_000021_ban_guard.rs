//! The ban guard of paired devices: whose lanes wait for new contacts, what a device may still do
//! towards them, and what happened to it, by day (`docs/decisions/0018-ban-guard.md`).

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// A day's figures of a device; `day` counts days of UTC since 1970.
const DAYS: &str = "CREATE TABLE device_days (
    device_id {id} NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    day bigint NOT NULL,
    sent bigint NOT NULL,
    failed bigint NOT NULL,
    refused bigint NOT NULL,
    contacted bigint NOT NULL,
    answered bigint NOT NULL,
    stopped bigint NOT NULL,
    banned bigint NOT NULL,
    logged_out bigint NOT NULL,
    PRIMARY KEY (device_id, day)
)";

const UP: &[&str] = &[
    // What is too old to be kept.
    "CREATE INDEX device_days_day ON device_days (day)",
    "ALTER TABLE devices ADD COLUMN first_connected_at bigint",
    "ALTER TABLE devices ADD COLUMN health text",
    "UPDATE devices SET first_connected_at = created_at WHERE channel = 'qr_session'",
    // When we first wrote to somebody who had never written to the device.
    "ALTER TABLE conversations ADD COLUMN contacted_at bigint",
    "ALTER TABLE pacing_devices ADD COLUMN new_day bigint NOT NULL DEFAULT 0",
    "ALTER TABLE pacing_devices ADD COLUMN new_sent bigint NOT NULL DEFAULT 0",
    "ALTER TABLE pacing_devices ADD COLUMN blocked_until bigint",
    "ALTER TABLE pacing_devices ADD COLUMN blocked_assumed boolean NOT NULL DEFAULT FALSE",
    "ALTER TABLE pacing_devices ADD COLUMN blocked_code bigint",
    "ALTER TABLE lanes ADD COLUMN new_contact boolean NOT NULL DEFAULT FALSE",
    "UPDATE lanes SET new_contact = TRUE WHERE EXISTS (
        SELECT 1 FROM devices d WHERE d.id = lanes.device_id AND d.channel = 'qr_session')
        AND NOT EXISTS (SELECT 1 FROM conversations k WHERE k.device_id = lanes.device_id
            AND k.contact_id = lanes.contact_id AND k.last_in_at IS NOT NULL)
        AND NOT EXISTS (SELECT 1 FROM identities i WHERE i.account_id = lanes.account_id
            AND i.contact_id = lanes.contact_id AND i.kind = 'group')",
    // A device that leaves new contacts alone passes over them, however many wait.
    "DROP INDEX lanes_ready",
    "CREATE INDEX lanes_ready ON lanes (device_id, new_contact, priority, ready_at)",
];

const DOWN: &[&str] = &[
    "DROP INDEX lanes_ready",
    "ALTER TABLE lanes DROP COLUMN new_contact",
    "CREATE INDEX lanes_ready ON lanes (device_id, priority, ready_at)",
    "ALTER TABLE pacing_devices DROP COLUMN blocked_code",
    "ALTER TABLE pacing_devices DROP COLUMN blocked_assumed",
    "ALTER TABLE pacing_devices DROP COLUMN blocked_until",
    "ALTER TABLE pacing_devices DROP COLUMN new_sent",
    "ALTER TABLE pacing_devices DROP COLUMN new_day",
    "ALTER TABLE conversations DROP COLUMN contacted_at",
    "ALTER TABLE devices DROP COLUMN health",
    "ALTER TABLE devices DROP COLUMN first_connected_at",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let small = match manager.get_database_backend() {
            DbBackend::Postgres => "",
            _ => " WITHOUT ROWID",
        };
        ddl::run(manager, &[&format!("{DAYS}{small}")]).await?;
        ddl::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, DOWN).await?;
        ddl::drop(manager, &["device_days"]).await
    }
}
