//! What is inserted most has the fewest indexes: those that hold only what has a value are partial,
//! and those that another one can stand in for are gone. On PostgreSQL the rows of the roads lose
//! their foreign keys to accounts and devices: each check locks the same two rows for everybody, and
//! neither table ever loses a row that something refers to (`docs/decisions/0015-lean-inserts.md`).

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    "DROP INDEX messages_dedupe",
    "CREATE UNIQUE INDEX messages_dedupe ON messages (device_id, direction, dedupe_key)
        WHERE dedupe_key IS NOT NULL",
    "DROP INDEX messages_wire",
    "CREATE INDEX messages_wire ON messages (device_id, wire_id) WHERE wire_id IS NOT NULL",
    "DROP INDEX messages_status",
    // What somebody looks for: the rare ends. What waits is found along `messages_waiting`.
    "CREATE INDEX messages_status ON messages (account_id, status, id)
        WHERE status IN ('failed', 'uncertain', 'cancelled', 'expired')",
    "CREATE INDEX messages_waiting ON messages (account_id, id) WHERE queued",
    "ALTER TABLE devices ADD COLUMN has_rules boolean NOT NULL DEFAULT FALSE",
    "UPDATE devices SET has_rules = TRUE WHERE EXISTS (
        SELECT 1 FROM rules WHERE rules.device_id = devices.id)",
    // A conversation's messages are found along its contact's.
    "DROP INDEX messages_conversation",
];

const DOWN: &[&str] = &[
    "ALTER TABLE devices DROP COLUMN has_rules",
    "DROP INDEX messages_dedupe",
    "CREATE UNIQUE INDEX messages_dedupe ON messages (device_id, direction, dedupe_key)",
    "DROP INDEX messages_wire",
    "CREATE INDEX messages_wire ON messages (device_id, wire_id)",
    "DROP INDEX messages_status",
    "CREATE INDEX messages_status ON messages (account_id, status, id)",
    "DROP INDEX messages_waiting",
    "CREATE INDEX messages_conversation ON messages (conversation_id, id)",
];

/// Tables and the columns that refer to others.
const REFERENCES: &[(&str, &str, &str)] = &[
    ("messages", "account_id", "accounts"),
    ("messages", "device_id", "devices"),
    ("conversations", "account_id", "accounts"),
    ("conversations", "device_id", "devices"),
    ("lanes", "device_id", "devices"),
    ("contacts", "account_id", "accounts"),
    ("identities", "account_id", "accounts"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, UP).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            for (table, column, _) in REFERENCES {
                let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_fkey");
                ddl::run(manager, &[&drop]).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, DOWN).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            for (table, column, to) in REFERENCES {
                let add = format!(
                    "ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_fkey
                     FOREIGN KEY ({column}) REFERENCES {to} (id) ON DELETE CASCADE"
                );
                ddl::run(manager, &[&add]).await?;
            }
        }
        Ok(())
    }
}
