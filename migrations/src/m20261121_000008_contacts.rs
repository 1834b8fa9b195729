//! Groups, tags, imports, exports, the registry of opt-outs and its history.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Prefixes are found along these: SQLite compares bytes, PostgreSQL must be told to.
const POSTGRES_PREFIXES: &[&str] = &[
    "CREATE INDEX contacts_name ON contacts
        (account_id, (substr(lower(COALESCE(name, profile_name)), 1, 100)) text_pattern_ops)
        WHERE removed_at IS NULL",
    "CREATE INDEX identities_prefix ON identities (account_id, kind, value text_pattern_ops)
        WHERE valid_until IS NULL",
];

const SQLITE_PREFIXES: &[&str] = &[
    "CREATE INDEX contacts_name ON contacts
        (account_id, substr(lower(COALESCE(name, profile_name)), 1, 100))
        WHERE removed_at IS NULL",
    "CREATE INDEX identities_prefix ON identities (account_id, kind, value)
        WHERE valid_until IS NULL",
];

const UP: &[&str] = &[
    "CREATE TABLE contact_groups (
        id {id} PRIMARY KEY,
        account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        name text NOT NULL,
        name_key text NOT NULL,
        description text,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL
    )",
    "CREATE UNIQUE INDEX contact_groups_name ON contact_groups (account_id, name_key)",
    "CREATE INDEX contact_groups_account ON contact_groups (account_id, id)",
    // A member is a contact that is there: whoever removes a contact removes it here.
    "CREATE TABLE contact_group_members (
        account_id {id} NOT NULL,
        group_id {id} NOT NULL REFERENCES contact_groups (id) ON DELETE CASCADE,
        contact_id {id} NOT NULL,
        added_at bigint NOT NULL,
        PRIMARY KEY (group_id, contact_id)
    )",
    "CREATE INDEX contact_group_members_contact ON contact_group_members (account_id, contact_id)",
    "CREATE TABLE contact_tags (
        account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        tag text NOT NULL,
        contact_id {id} NOT NULL,
        added_at bigint NOT NULL,
        PRIMARY KEY (account_id, tag, contact_id)
    )",
    "CREATE INDEX contact_tags_contact ON contact_tags (account_id, contact_id)",
    // What a contact stopped, and how we know: beside `marketing_stopped_at`.
    "ALTER TABLE contacts ADD COLUMN stop_scope text",
    "ALTER TABLE contacts ADD COLUMN stop_source text",
    "UPDATE contacts SET stop_scope = 'marketing', stop_source = 'network'
        WHERE marketing_stopped_at IS NOT NULL",
    "CREATE INDEX contacts_stopped ON contacts (account_id, id)
        WHERE marketing_stopped_at IS NOT NULL",
    "CREATE INDEX contacts_merged ON contacts (merged_into) WHERE merged_into IS NOT NULL",
    // What a person wanted whose contact is gone: SHA-256 of account and identity, no number.
    "CREATE TABLE suppressions (
        account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        identity_hash {bytes} NOT NULL,
        scope text NOT NULL,
        at bigint NOT NULL,
        PRIMARY KEY (account_id, identity_hash)
    )",
    "CREATE TABLE contact_preferences (
        id {id} PRIMARY KEY,
        account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        contact_id {id} NOT NULL,
        change text NOT NULL,
        scope text,
        source text NOT NULL,
        detail text,
        message_id {id},
        actor text NOT NULL,
        at bigint NOT NULL
    )",
    "CREATE INDEX contact_preferences_account ON contact_preferences (account_id, id)",
    "CREATE INDEX contact_preferences_contact ON contact_preferences (account_id, contact_id, id)",
    "CREATE TABLE opt_out_settings (
        account_id {id} PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
        settings {json} NOT NULL,
        updated_at bigint NOT NULL
    )",
    "CREATE TABLE contact_imports (
        id {id} PRIMARY KEY,
        account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        state text NOT NULL,
        filename text,
        format text NOT NULL,
        size bigint NOT NULL,
        country text,
        options {json} NOT NULL,
        columns {json},
        parsed bigint NOT NULL,
        counts {json} NOT NULL,
        applied_row bigint NOT NULL,
        results {json} NOT NULL,
        cancelled boolean NOT NULL,
        problem text,
        actor text NOT NULL,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL,
        finished_at bigint
    )",
    "CREATE INDEX contact_imports_account ON contact_imports (account_id, id)",
    "CREATE INDEX contact_imports_created ON contact_imports (created_at)",
    "CREATE TABLE contact_import_rows (
        import_id {id} NOT NULL REFERENCES contact_imports (id) ON DELETE CASCADE,
        row_number bigint NOT NULL,
        state text NOT NULL,
        phone text,
        name text,
        fields {json} NOT NULL,
        problem_column text,
        problem text,
        contact_id {id},
        PRIMARY KEY (import_id, row_number)
    )",
    "CREATE INDEX contact_import_rows_state ON contact_import_rows (import_id, state, row_number)",
    "CREATE TABLE exports (
        id {id} PRIMARY KEY,
        account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        kind text NOT NULL,
        format text NOT NULL,
        filename text NOT NULL,
        params {json} NOT NULL,
        state text NOT NULL,
        rows_done bigint NOT NULL,
        parts bigint NOT NULL,
        size bigint NOT NULL,
        position text,
        cancelled boolean NOT NULL,
        problem text,
        actor text NOT NULL,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL,
        finished_at bigint,
        expires_at bigint
    )",
    "CREATE INDEX exports_account ON exports (account_id, kind, id)",
    "CREATE INDEX exports_expires ON exports (expires_at) WHERE expires_at IS NOT NULL",
    "ALTER TABLE contact_merges ADD COLUMN actor text",
    // All of a contact's chats, for merging and erasing.
    "CREATE INDEX conversations_contact ON conversations (contact_id)",
    "CREATE TABLE contact_erasures (
        contact_id {id} PRIMARY KEY,
        account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        state text NOT NULL,
        messages bigint NOT NULL,
        files bigint NOT NULL,
        position {id},
        actor text NOT NULL,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL,
        finished_at bigint
    )",
];

const DOWN: &[&str] = &[
    "DROP TABLE contact_erasures",
    "DROP INDEX conversations_contact",
    "ALTER TABLE contact_merges DROP COLUMN actor",
    "DROP TABLE exports",
    "DROP TABLE contact_import_rows",
    "DROP TABLE contact_imports",
    "DROP TABLE opt_out_settings",
    "DROP TABLE contact_preferences",
    "DROP TABLE suppressions",
    "DROP INDEX contacts_merged",
    "DROP INDEX contacts_stopped",
    "ALTER TABLE contacts DROP COLUMN stop_source",
    "ALTER TABLE contacts DROP COLUMN stop_scope",
    "DROP INDEX identities_prefix",
    "DROP INDEX contacts_name",
    "DROP TABLE contact_tags",
    "DROP TABLE contact_group_members",
    "DROP TABLE contact_groups",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, UP).await?;
        let prefixes = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_PREFIXES,
            _ => SQLITE_PREFIXES,
        };
        ddl::run(manager, prefixes).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, DOWN).await
    }
}
