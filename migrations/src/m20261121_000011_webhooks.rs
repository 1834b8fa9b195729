//! Webhook endpoints, what is to be delivered to them, and what came of it.

crate::ddl::migration! {
    tables: [
        "webhook_endpoints", "webhook_secrets", "webhook_lanes", "webhook_deliveries",
        "webhook_payloads", "webhook_attempts", "webhook_resends", "webhook_position",
    ],
    up: [
        "CREATE TABLE webhook_endpoints (
            id {id} PRIMARY KEY,
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            url text NOT NULL,
            description text,
            events {json} NOT NULL,
            devices {json} NOT NULL,
            headers text,
            content boolean NOT NULL,
            ordered boolean NOT NULL,
            concurrency integer NOT NULL,
            rate integer,
            timeout_seconds integer NOT NULL,
            state text NOT NULL,
            state_reason text,
            state_since bigint NOT NULL,
            created_at bigint NOT NULL,
            updated_at bigint NOT NULL,
            removed_at bigint
        )",
        "CREATE INDEX webhook_endpoints_account ON webhook_endpoints (account_id, id)",
        "CREATE TABLE webhook_secrets (
            id {id} PRIMARY KEY,
            endpoint_id {id} NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
            secret text NOT NULL,
            created_at bigint NOT NULL,
            expires_at bigint
        )",
        "CREATE INDEX webhook_secrets_endpoint ON webhook_secrets (endpoint_id, id)",
        // One row an endpoint: who works on it, and how it fares. `ready_at` is when its next
        // delivery is due, or, while a node owns the lane, when that node's claim runs out.
        "CREATE TABLE webhook_lanes (
            endpoint_id {id} PRIMARY KEY REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
            account_id {id} NOT NULL,
            active boolean NOT NULL,
            ready_at bigint NOT NULL,
            hold_until bigint NOT NULL,
            owner {id},
            fence bigint NOT NULL,
            failures integer NOT NULL,
            failing_since bigint,
            last_success_at bigint,
            last_failure_at bigint,
            last_error text
        )",
        "CREATE INDEX webhook_lanes_ready ON webhook_lanes (ready_at) WHERE active",
        "CREATE TABLE webhook_deliveries (
            id {id} PRIMARY KEY,
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            endpoint_id {id} NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
            event_transaction bigint,
            event_number bigint,
            kind text NOT NULL,
            chat_id {id},
            contact_id {id},
            state text NOT NULL,
            attempts integer NOT NULL,
            due_at bigint NOT NULL,
            last_status integer,
            last_error text,
            created_at bigint NOT NULL,
            settled_at bigint
        )",
        // An event is delivered to an endpoint under one id, whatever crashes.
        "CREATE UNIQUE INDEX webhook_deliveries_event
            ON webhook_deliveries (endpoint_id, event_transaction, event_number)",
        // The line of an endpoint: only what still waits.
        "CREATE INDEX webhook_deliveries_line ON webhook_deliveries (endpoint_id, due_at, id)
            WHERE state = 'pending'",
        // The line of a chat, at endpoints that want their chats in order.
        "CREATE INDEX webhook_deliveries_chat
            ON webhook_deliveries (endpoint_id, chat_id, event_transaction, event_number)
            WHERE state = 'pending' AND chat_id IS NOT NULL",
        "CREATE INDEX webhook_deliveries_account ON webhook_deliveries (account_id, id)",
        "CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id)",
        "CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (account_id, id)
            WHERE state = 'failed'",
        "CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at)
            WHERE settled_at IS NOT NULL",
        "CREATE TABLE webhook_payloads (
            delivery_id {id} PRIMARY KEY REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
            body text NOT NULL
        )",
        "CREATE TABLE webhook_attempts (
            id {id} PRIMARY KEY,
            delivery_id {id} NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
            at bigint NOT NULL,
            duration_ms bigint NOT NULL,
            status integer,
            error text,
            response text
        )",
        "CREATE INDEX webhook_attempts_delivery ON webhook_attempts (delivery_id, id)",
        "CREATE TABLE webhook_resends (
            id {id} PRIMARY KEY,
            account_id {id} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            filter {json} NOT NULL,
            state text NOT NULL,
            looked_at bigint NOT NULL,
            resent bigint NOT NULL,
            after_id {id},
            created_at bigint NOT NULL,
            updated_at bigint NOT NULL
        )",
        "CREATE INDEX webhook_resends_account ON webhook_resends (account_id, id)",
        // How far the event log was read.
        "CREATE TABLE webhook_position (
            id integer PRIMARY KEY,
            event_transaction bigint NOT NULL,
            event_number bigint NOT NULL
        )",
        "INSERT INTO webhook_position (id, event_transaction, event_number) VALUES (1, 0, 0)",
    ],
}
