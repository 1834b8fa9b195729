//! Meta apps, business accounts and devices.

crate::ddl::migration! {
    tables: ["meta_apps", "meta_business_accounts", "devices"],
    up: [
        // account_id is null for the installation's own app. Secrets are sealed.
        "CREATE TABLE meta_apps (
            id {id} PRIMARY KEY,
            account_id {id} REFERENCES accounts (id) ON DELETE CASCADE,
            name text NOT NULL,
            meta_app_id text,
            app_secret text NOT NULL,
            verify_token text NOT NULL,
            created_at bigint NOT NULL
        )",
        "CREATE INDEX meta_apps_account ON meta_apps (account_id, id)",
        // Limits and templates live at the business account, business-scoped user ids at its
        // portfolio.
        "CREATE TABLE meta_business_accounts (
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            meta_id text NOT NULL,
            portfolio text,
            name text,
            updated_at bigint NOT NULL,
            PRIMARY KEY (account_id, meta_id)
        )",
        "CREATE INDEX meta_business_accounts_meta_id ON meta_business_accounts (meta_id)",
        "CREATE TABLE devices (
            id {id} PRIMARY KEY,
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            name text NOT NULL,
            channel text NOT NULL,
            address text NOT NULL,
            parent text,
            portfolio text,
            app_id {id},
            phone text,
            verified_name text,
            quality text,
            credential text,
            token_hint text,
            token_hash {bytes},
            state text NOT NULL,
            state_reason text,
            settings {json} NOT NULL,
            fence bigint NOT NULL,
            created_at bigint NOT NULL,
            updated_at bigint NOT NULL,
            removed_at bigint
        )",
        // A number belongs to one tenant per installation.
        "CREATE UNIQUE INDEX devices_address ON devices (channel, address) WHERE removed_at IS NULL",
        "CREATE INDEX devices_account ON devices (account_id, id)",
        "CREATE INDEX devices_phone ON devices (phone)",
        "CREATE INDEX devices_parent ON devices (parent)",
    ],
}
