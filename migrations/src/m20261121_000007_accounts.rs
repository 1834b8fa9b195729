//! Logging in: passwords' tokens, sessions, lockouts, one-time codes, pending registrations, mails.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &[&str] = &[
    "mails",
    "registrations",
    "password_tokens",
    "sessions",
    "session_tokens",
    "login_guards",
    "login_attempts",
    "totp_secrets",
    "recovery_codes",
];

const UP: &[&str] = &[
    "ALTER TABLE accounts ADD COLUMN fallback_number text",
    "ALTER TABLE api_keys ADD COLUMN account_token boolean NOT NULL DEFAULT false",
    "ALTER TABLE api_keys ADD COLUMN allowed_addresses {json}",
    // A mail is sealed as a whole; its id is that of the job that sends it.
    "CREATE TABLE mails (
        id {id} PRIMARY KEY,
        sealed text NOT NULL,
        created_at bigint NOT NULL
    )",
    "CREATE INDEX mails_created_at ON mails (created_at)",
    // Becomes an account and its owner when the address is verified.
    "CREATE TABLE registrations (
        id {id} PRIMARY KEY,
        email text NOT NULL,
        password_hash text NOT NULL,
        details {json} NOT NULL,
        token_hash {bytes} NOT NULL,
        created_at bigint NOT NULL,
        expires_at bigint NOT NULL
    )",
    "CREATE INDEX registrations_email ON registrations (email, id)",
    "CREATE INDEX registrations_expires_at ON registrations (expires_at)",
    "CREATE TABLE password_tokens (
        id {id} PRIMARY KEY,
        user_id {id} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        hash {bytes} NOT NULL,
        created_at bigint NOT NULL,
        expires_at bigint NOT NULL
    )",
    "CREATE INDEX password_tokens_user ON password_tokens (user_id, id)",
    "CREATE INDEX password_tokens_expires_at ON password_tokens (expires_at)",
    "CREATE TABLE sessions (
        id {id} PRIMARY KEY,
        user_id {id} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        address text,
        agent text,
        created_at bigint NOT NULL,
        refreshed_at bigint NOT NULL,
        expires_at bigint NOT NULL,
        ended_at bigint
    )",
    "CREATE INDEX sessions_user ON sessions (user_id, id)",
    "CREATE INDEX sessions_expires_at ON sessions (expires_at)",
    // One row for each pair of tokens that a session got; used ones stay, to tell a thief.
    "CREATE TABLE session_tokens (
        id {id} PRIMARY KEY,
        session_id {id} NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        access_hash {bytes} NOT NULL,
        access_expires_at bigint NOT NULL,
        refresh_hash {bytes} NOT NULL,
        refresh_expires_at bigint NOT NULL,
        refreshed_at bigint
    )",
    "CREATE INDEX session_tokens_session ON session_tokens (session_id)",
    "CREATE INDEX session_tokens_refresh_expires_at ON session_tokens (refresh_expires_at)",
    // `key` is the SHA-256 of an e-mail address, known or not, or a network address.
    "CREATE TABLE login_guards (
        key text PRIMARY KEY,
        failures integer NOT NULL,
        failed_at bigint NOT NULL,
        locked_until bigint
    )",
    "CREATE INDEX login_guards_failed_at ON login_guards (failed_at)",
    "CREATE TABLE login_attempts (
        id {id} PRIMARY KEY,
        account_id {id} REFERENCES accounts (id) ON DELETE CASCADE,
        user_id {id} REFERENCES users (id) ON DELETE CASCADE,
        door text NOT NULL,
        outcome text NOT NULL,
        address text,
        at bigint NOT NULL
    )",
    "CREATE INDEX login_attempts_account ON login_attempts (account_id, id)",
    "CREATE INDEX login_attempts_user ON login_attempts (user_id, id)",
    "CREATE INDEX login_attempts_at ON login_attempts (at)",
    "CREATE TABLE totp_secrets (
        user_id {id} PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
        secret text NOT NULL,
        last_step bigint NOT NULL,
        confirmed_at bigint,
        created_at bigint NOT NULL
    )",
    "CREATE TABLE recovery_codes (
        user_id {id} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        hash {bytes} NOT NULL,
        PRIMARY KEY (user_id, hash)
    )",
];

const DOWN: &[&str] = &[
    "ALTER TABLE api_keys DROP COLUMN allowed_addresses",
    "ALTER TABLE api_keys DROP COLUMN account_token",
    "ALTER TABLE accounts DROP COLUMN fallback_number",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl::drop(manager, TABLES).await?;
        ddl::run(manager, DOWN).await
    }
}
