//! What is inserted most carries still fewer indexes: those whose work another one does are gone. On
//! SQLite the small rows of the roads are stored in the tree of their key, instead of in one of row
//! numbers with a second one for the key, and lose their foreign keys as they did on PostgreSQL
//! (`docs/decisions/0015-lean-inserts.md`).

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// For both databases.
const UP: &[&str] = &[
    // The log is cleared from its beginning.
    "DROP INDEX events_at",
    // The next lane of a device is found by priority.
    "DROP INDEX lanes_ready_at",
    // A contact's chats are looked for on each of the account's devices.
    "DROP INDEX conversations_contact",
    "DROP INDEX contacts_name",
    // Its columns in another order serve those who look for the beginning of a value, too.
    "DROP INDEX identities_present",
    "DROP INDEX identities_prefix",
];

const DOWN: &[&str] = &["DROP INDEX identities_present", "DROP INDEX contacts_name"];

/// After the tables are what they were.
const DOWN_AFTER: &[&str] = &[
    "CREATE INDEX events_at ON events (at)",
    "CREATE INDEX lanes_ready_at ON lanes (device_id, ready_at)",
    "CREATE INDEX conversations_contact ON conversations (contact_id)",
    "CREATE UNIQUE INDEX identities_present ON identities (account_id, kind, namespace, value)
        WHERE valid_until IS NULL",
];

/// Prefixes are found along these: PostgreSQL must be told to compare bytes.
const POSTGRES_UP: &[&str] = &[
    "CREATE INDEX contacts_name ON contacts
        (account_id, (substr(lower(COALESCE(name, profile_name)), 1, 100)) text_pattern_ops)
        WHERE removed_at IS NULL AND COALESCE(name, profile_name) IS NOT NULL",
    "CREATE UNIQUE INDEX identities_present
        ON identities (account_id, kind, value text_pattern_ops, namespace)
        WHERE valid_until IS NULL",
];

const SQLITE_UP: &[&str] = &[
    "CREATE INDEX contacts_name ON contacts
        (account_id, substr(lower(COALESCE(name, profile_name)), 1, 100))
        WHERE removed_at IS NULL AND COALESCE(name, profile_name) IS NOT NULL",
    "CREATE UNIQUE INDEX identities_present ON identities (account_id, kind, value, namespace)
        WHERE valid_until IS NULL",
];

const POSTGRES_DOWN: &[&str] = &[
    "CREATE INDEX contacts_name ON contacts
        (account_id, (substr(lower(COALESCE(name, profile_name)), 1, 100)) text_pattern_ops)
        WHERE removed_at IS NULL",
    "CREATE INDEX identities_prefix ON identities (account_id, kind, value text_pattern_ops)
        WHERE valid_until IS NULL",
];

const SQLITE_DOWN: &[&str] = &[
    "CREATE INDEX contacts_name ON contacts
        (account_id, substr(lower(COALESCE(name, profile_name)), 1, 100))
        WHERE removed_at IS NULL",
    "CREATE INDEX identities_prefix ON identities (account_id, kind, value)
        WHERE valid_until IS NULL",
];

/// A table of SQLite that is written anew.
struct Table {
    name: &'static str,
    /// Its columns before and after; `{account}` and `{device}` stand for foreign keys that it had.
    columns: &'static str,
    indexes: &'static [&'static str],
}

const TABLES: &[Table] = &[
    Table {
        name: "lanes",
        columns: "device_id uuid_text NOT NULL{device},
            contact_id uuid_text NOT NULL,
            account_id uuid_text NOT NULL,
            priority smallint NOT NULL,
            ready_at bigint NOT NULL,
            owner uuid_text,
            fence bigint NOT NULL,
            PRIMARY KEY (device_id, contact_id)",
        indexes: &[
            "CREATE INDEX lanes_ready ON lanes (device_id, priority, ready_at)",
            "CREATE INDEX lanes_owner ON lanes (owner) WHERE owner IS NOT NULL",
        ],
    },
    Table {
        name: "conversations",
        columns: "id uuid_text PRIMARY KEY,
            account_id uuid_text NOT NULL{account},
            device_id uuid_text NOT NULL{device},
            contact_id uuid_text NOT NULL,
            last_in_at bigint,
            last_out_at bigint,
            last_at bigint NOT NULL,
            unread bigint NOT NULL,
            window_expires_at bigint,
            entry_point_expires_at bigint,
            created_at bigint NOT NULL",
        indexes: &[
            "CREATE UNIQUE INDEX conversations_chat ON conversations (device_id, contact_id)",
            "CREATE INDEX conversations_account ON conversations (account_id, last_at, id)",
        ],
    },
    Table {
        name: "identities",
        columns: "id uuid_text PRIMARY KEY,
            account_id uuid_text NOT NULL{account},
            contact_id uuid_text NOT NULL,
            kind text NOT NULL,
            namespace text NOT NULL,
            value text NOT NULL,
            valid_from bigint NOT NULL,
            valid_until bigint",
        indexes: &["CREATE INDEX identities_contact ON identities (account_id, contact_id)"],
    },
];

impl Table {
    /// Writes the table anew, with or without a tree of row numbers and foreign keys.
    async fn rewrite(&self, manager: &SchemaManager<'_>, lean: bool) -> Result<(), DbErr> {
        const ACCOUNT: &str = " REFERENCES accounts (id) ON DELETE CASCADE";
        const DEVICE: &str = " REFERENCES devices (id) ON DELETE CASCADE";
        let Self { name, columns, indexes } = self;
        let (account, device, rest) =
            if lean { ("", "", " WITHOUT ROWID") } else { (ACCOUNT, DEVICE, "") };
        let columns = columns.replace("{account}", account).replace("{device}", device);
        let copy = [
            format!("CREATE TABLE {name}_new ({columns}){rest}"),
            format!("INSERT INTO {name}_new SELECT * FROM {name}"),
            format!("DROP TABLE {name}"),
            format!("ALTER TABLE {name}_new RENAME TO {name}"),
        ];
        let connection = manager.get_connection();
        for statement in copy.iter().map(String::as_str).chain(indexes.iter().copied()) {
            connection.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, UP).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            return ddl::run(manager, POSTGRES_UP).await;
        }
        for table in TABLES {
            table.rewrite(manager, true).await?;
        }
        ddl::run(manager, SQLITE_UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, DOWN).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            ddl::run(manager, DOWN_AFTER).await?;
            return ddl::run(manager, POSTGRES_DOWN).await;
        }
        for table in TABLES {
            table.rewrite(manager, false).await?;
        }
        ddl::run(manager, DOWN_AFTER).await?;
        ddl::run(manager, SQLITE_DOWN).await
    }
}
