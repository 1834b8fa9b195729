//! Rows of webhooks.
#![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

macro_rules! entity {
    ($name:ident, $table:literal, { $($(#[$attr:meta])* $field:ident: $type:ty,)+ }) => {
        pub(super) mod $name {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                $($(#[$attr])* pub $field: $type,)+
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

entity!(endpoint, "webhook_endpoints", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    account_id: Uuid,
    url: String,
    description: Option<String>,
    events: Json,
    devices: Json,
    headers: Option<String>,
    content: bool,
    ordered: bool,
    concurrency: i32,
    rate: Option<i32>,
    timeout_seconds: i32,
    state: String,
    state_reason: Option<String>,
    state_since: i64,
    created_at: i64,
    updated_at: i64,
    removed_at: Option<i64>,
});

entity!(secret, "webhook_secrets", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    endpoint_id: Uuid,
    secret: String,
    created_at: i64,
    expires_at: Option<i64>,
});

entity!(lane, "webhook_lanes", {
    #[sea_orm(primary_key, auto_increment = false)]
    endpoint_id: Uuid,
    account_id: Uuid,
    active: bool,
    ready_at: i64,
    hold_until: i64,
    owner: Option<Uuid>,
    fence: i64,
    failures: i32,
    failing_since: Option<i64>,
    last_success_at: Option<i64>,
    last_failure_at: Option<i64>,
    last_error: Option<String>,
});

entity!(delivery, "webhook_deliveries", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    account_id: Uuid,
    endpoint_id: Uuid,
    event_transaction: Option<i64>,
    event_number: Option<i64>,
    kind: String,
    chat_id: Option<Uuid>,
    contact_id: Option<Uuid>,
    state: String,
    attempts: i32,
    due_at: i64,
    last_status: Option<i32>,
    last_error: Option<String>,
    created_at: i64,
    settled_at: Option<i64>,
});

entity!(payload, "webhook_payloads", {
    #[sea_orm(primary_key, auto_increment = false)]
    delivery_id: Uuid,
    body: String,
});

entity!(attempt, "webhook_attempts", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    delivery_id: Uuid,
    at: i64,
    duration_ms: i64,
    status: Option<i32>,
    error: Option<String>,
    response: Option<String>,
});

entity!(resend, "webhook_resends", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    account_id: Uuid,
    filter: Json,
    state: String,
    looked_at: i64,
    resent: i64,
    after_id: Option<Uuid>,
    created_at: i64,
    updated_at: i64,
});

entity!(position, "webhook_position", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: i32,
    event_transaction: i64,
    event_number: i64,
});
