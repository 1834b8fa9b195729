//! Message templates, broadcasts with their recipients, and what is done to many messages at once.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Nothing before this migration is about broadcasts: the reader begins at the log's end.
const READER_STARTS: &str = "INSERT INTO broadcast_reader (id, transaction_id, number)
    SELECT 1, COALESCE(MAX(\"transaction\"), 0), COALESCE(MAX(number), 0) FROM events";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(
            manager,
            &[
                "CREATE TABLE templates (
                    id {id} PRIMARY KEY,
                    account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
                    name text NOT NULL,
                    language text NOT NULL,
                    content {json} NOT NULL,
                    created_at bigint NOT NULL,
                    updated_at bigint NOT NULL
                )",
                "CREATE UNIQUE INDEX templates_name ON templates (account_id, name, language)",
                "CREATE INDEX templates_account ON templates (account_id, id)",
                // `plan` is what the tenant wants, `course` is how far it got.
                "CREATE TABLE broadcasts (
                    id {id} PRIMARY KEY,
                    account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
                    name text NOT NULL,
                    state text NOT NULL,
                    reason text,
                    template_id {id},
                    plan {json} NOT NULL,
                    course {json} NOT NULL,
                    schedule {json},
                    attempt integer NOT NULL,
                    run bigint NOT NULL,
                    started_at bigint,
                    ended_at bigint,
                    created_at bigint NOT NULL,
                    updated_at bigint NOT NULL
                )",
                "CREATE INDEX broadcasts_account ON broadcasts (account_id, id)",
                "CREATE INDEX broadcasts_template ON broadcasts (template_id)
                    WHERE template_id IS NOT NULL",
                "CREATE TABLE broadcast_recipients (
                    broadcast_id {id} NOT NULL REFERENCES broadcasts (id) ON DELETE CASCADE,
                    position bigint NOT NULL,
                    source text NOT NULL,
                    account_id {id} NOT NULL,
                    recipient_key text,
                    contact_id {id},
                    phone text,
                    variables {json},
                    state text NOT NULL,
                    reason text,
                    detail text,
                    device_id {id},
                    message_id {id},
                    previous_id {id},
                    attempt integer NOT NULL,
                    updated_at bigint NOT NULL,
                    PRIMARY KEY (broadcast_id, position)
                )",
                // The promise: one recipient, once. Rows that are nobody have no key.
                "CREATE UNIQUE INDEX broadcast_recipients_key
                    ON broadcast_recipients (broadcast_id, recipient_key)",
                "CREATE INDEX broadcast_recipients_state
                    ON broadcast_recipients (broadcast_id, state, position)",
                "CREATE UNIQUE INDEX broadcast_recipients_message
                    ON broadcast_recipients (message_id) WHERE message_id IS NOT NULL",
                "CREATE TABLE broadcast_counts (
                    broadcast_id {id} NOT NULL REFERENCES broadcasts (id) ON DELETE CASCADE,
                    state text NOT NULL,
                    reason text NOT NULL,
                    count bigint NOT NULL,
                    PRIMARY KEY (broadcast_id, state, reason)
                )",
                "CREATE TABLE broadcast_reader (
                    id smallint PRIMARY KEY,
                    transaction_id bigint NOT NULL,
                    number bigint NOT NULL
                )",
                READER_STARTS,
                "CREATE TABLE message_bulks (
                    id {id} PRIMARY KEY,
                    account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
                    device_id {id},
                    action text NOT NULL,
                    filter {json} NOT NULL,
                    state text NOT NULL,
                    total bigint NOT NULL,
                    done bigint NOT NULL,
                    skipped bigint NOT NULL,
                    after {id},
                    created_at bigint NOT NULL,
                    updated_at bigint NOT NULL
                )",
                "CREATE INDEX message_bulks_account ON message_bulks (account_id, id)",
                "ALTER TABLE messages ADD COLUMN retry_of {id}",
                "CREATE INDEX messages_broadcast ON messages (origin_ref, status, id)
                    WHERE origin = 'broadcast'",
                "CREATE INDEX messages_retry ON messages (retry_of) WHERE retry_of IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "DROP INDEX messages_retry",
            "DROP INDEX messages_broadcast",
            "ALTER TABLE messages DROP COLUMN retry_of",
        ];
        ddl::run(manager, &statements).await?;
        ddl::drop(
            manager,
            &[
                "templates",
                "broadcasts",
                "broadcast_recipients",
                "broadcast_counts",
                "broadcast_reader",
                "message_bulks",
            ],
        )
        .await
    }
}
