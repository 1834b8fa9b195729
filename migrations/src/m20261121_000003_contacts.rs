//! Contacts, how they are known, and what was merged.

crate::ddl::migration! {
    tables: ["contacts", "identities", "contact_merges"],
    up: [
        "CREATE TABLE contacts (
            id {id} PRIMARY KEY,
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            kind text NOT NULL,
            name text,
            profile_name text,
            variables {json} NOT NULL,
            marketing_stopped_at bigint,
            consented_at bigint,
            consent_source text,
            merged_into {id},
            created_at bigint NOT NULL,
            updated_at bigint NOT NULL,
            removed_at bigint
        )",
        "CREATE INDEX contacts_account ON contacts (account_id, id)",
        // Numbers change hands: an identity has a time, and only the present one is unique. There
        // is no foreign key to contacts, because whoever wins the identity makes the contact.
        "CREATE TABLE identities (
            id {id} PRIMARY KEY,
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            contact_id {id} NOT NULL,
            kind text NOT NULL,
            namespace text NOT NULL,
            value text NOT NULL,
            valid_from bigint NOT NULL,
            valid_until bigint
        )",
        "CREATE UNIQUE INDEX identities_present ON identities (account_id, kind, namespace, value)
            WHERE valid_until IS NULL",
        // Begins with the account, so that no planner prefers to read all of the account's identities.
        "CREATE INDEX identities_contact ON identities (account_id, contact_id)",
        "CREATE TABLE contact_merges (
            id {id} PRIMARY KEY,
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            kept_id {id} NOT NULL,
            merged_id {id} NOT NULL,
            reason text NOT NULL,
            at bigint NOT NULL
        )",
        "CREATE INDEX contact_merges_account ON contact_merges (account_id, id)",
    ],
}
