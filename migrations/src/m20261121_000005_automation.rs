//! Autoreply rules and what they answered.

crate::ddl::migration! {
    tables: ["rules", "auto_answers"],
    up: [
        "CREATE TABLE rules (
            id {id} PRIMARY KEY,
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            device_id {id} NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
            name text NOT NULL,
            active boolean NOT NULL,
            priority integer NOT NULL,
            matching {json} NOT NULL,
            response {json} NOT NULL,
            limitation {json},
            created_at bigint NOT NULL,
            updated_at bigint NOT NULL
        )",
        "CREATE INDEX rules_device ON rules (device_id, id)",
        "CREATE INDEX rules_account ON rules (account_id, id)",
        // One automatic answer per incoming message, whatever engine gives it.
        "CREATE TABLE auto_answers (
            message_id {id} PRIMARY KEY,
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            device_id {id} NOT NULL,
            contact_id {id} NOT NULL,
            rule_id {id},
            answer_id {id},
            trace {json} NOT NULL,
            at bigint NOT NULL
        )",
        "CREATE INDEX auto_answers_limit ON auto_answers (contact_id, rule_id, at)",
    ],
}
