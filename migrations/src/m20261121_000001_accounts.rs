//! Tenants, people, keys, the audit log.

crate::ddl::migration! {
    tables: ["accounts", "users", "api_keys", "audit_log", "once"],
    up: [
        "CREATE TABLE accounts (
            id {id} PRIMARY KEY,
            name text NOT NULL,
            active boolean NOT NULL,
            time_zone text NOT NULL,
            country text,
            created_at bigint NOT NULL,
            updated_at bigint NOT NULL
        )",
        "CREATE TABLE users (
            id {id} PRIMARY KEY,
            account_id {id} REFERENCES accounts (id) ON DELETE CASCADE,
            email text NOT NULL,
            name text NOT NULL,
            role text NOT NULL,
            permissions {json} NOT NULL,
            active boolean NOT NULL,
            password_hash text,
            created_at bigint NOT NULL,
            updated_at bigint NOT NULL
        )",
        "CREATE UNIQUE INDEX users_email ON users (email)",
        "CREATE INDEX users_account ON users (account_id, id)",
        // The secret itself is never stored: `hash` is the SHA-256 of its random part.
        "CREATE TABLE api_keys (
            id {id} PRIMARY KEY,
            account_id {id} REFERENCES accounts (id) ON DELETE CASCADE,
            name text NOT NULL,
            hint text NOT NULL,
            hash {bytes} NOT NULL,
            permissions {json} NOT NULL,
            created_at bigint NOT NULL,
            expires_at bigint,
            revoked_at bigint,
            last_used_at bigint
        )",
        "CREATE INDEX api_keys_account ON api_keys (account_id, id)",
        "CREATE TABLE audit_log (
            id {id} PRIMARY KEY,
            account_id {id},
            actor text NOT NULL,
            action text NOT NULL,
            subject text,
            detail {json} NOT NULL,
            at bigint NOT NULL
        )",
        "CREATE INDEX audit_log_account ON audit_log (account_id, id)",
        "CREATE TABLE once (
            principal text NOT NULL,
            operation text NOT NULL,
            key text NOT NULL,
            body_hash {bytes} NOT NULL,
            result {json},
            at bigint NOT NULL,
            PRIMARY KEY (principal, operation, key)
        )",
        "CREATE INDEX once_at ON once (at)",
    ],
}
