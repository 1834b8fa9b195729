//! Rows of conversations, messages, lanes and files.
#![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

pub(super) mod conversation {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "conversations")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub device_id: Uuid,
        pub contact_id: Uuid,
        pub last_in_at: Option<i64>,
        pub last_out_at: Option<i64>,
        pub last_at: i64,
        pub unread: i64,
        pub window_expires_at: Option<i64>,
        pub entry_point_expires_at: Option<i64>,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod message {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "messages")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub device_id: Uuid,
        pub conversation_id: Uuid,
        pub contact_id: Uuid,
        pub direction: String,
        pub status: String,
        pub stage: Option<String>,
        pub queued: bool,
        pub kind: String,
        pub content: Json,
        pub words: Option<String>,
        pub purpose: String,
        pub origin: String,
        pub origin_ref: Option<String>,
        pub reference: Option<String>,
        pub priority: i16,
        pub own_number: Option<String>,
        pub recipient: Option<Json>,
        pub asked_for: Option<String>,
        pub network_id: Option<String>,
        pub wire_id: Option<String>,
        pub dedupe_key: Option<String>,
        pub author: Option<Json>,
        pub reply_to_id: Option<Uuid>,
        pub reply_to: Option<Json>,
        pub target_id: Option<Uuid>,
        pub retry_of: Option<Uuid>,
        pub choices: Option<Json>,
        pub downgraded_from: Option<String>,
        pub prepared: Option<Json>,
        pub reason_code: Option<String>,
        pub reason_text: Option<String>,
        pub held_until: Option<i64>,
        pub attempts: i32,
        pub due_at: i64,
        pub next_at: i64,
        pub expires_at: Option<i64>,
        pub media_id: Option<Uuid>,
        pub forwarded: bool,
        pub referral: Option<Json>,
        pub billable: Option<bool>,
        pub price_category: Option<String>,
        pub pricing: Option<Json>,
        pub sender_at: Option<i64>,
        pub sent_at: Option<i64>,
        pub delivered_at: Option<i64>,
        pub read_at: Option<i64>,
        pub played_at: Option<i64>,
        pub failed_at: Option<i64>,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod receipt {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "receipts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub message_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub participant: String,
        pub status: String,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod lane {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "lanes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub device_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub contact_id: Uuid,
        pub account_id: Uuid,
        pub priority: i16,
        pub ready_at: i64,
        pub owner: Option<Uuid>,
        pub fence: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod parked {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "parked_statuses")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub device_id: Uuid,
        pub wire_id: String,
        pub status: Json,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod quarantine {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "quarantine")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Option<Uuid>,
        pub device_id: Option<Uuid>,
        pub hash: Vec<u8>,
        pub problem: String,
        pub raw: String,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod media {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "media")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub device_id: Option<Uuid>,
        pub mime: String,
        pub filename: Option<String>,
        pub size: i64,
        pub sha256: Vec<u8>,
        pub state: String,
        pub problem: Option<String>,
        pub created_at: i64,
        pub removed_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod upload {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "media_uploads")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub device_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub media_id: Uuid,
        pub wire_media_id: String,
        pub expires_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod pacing_device {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "pacing_devices")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub device_id: Uuid,
        pub seq: i64,
        pub sent_at: i64,
        pub paced_at: i64,
        pub delay_until: i64,
        pub rest_until: i64,
        pub batch: i64,
        pub hour_most: i64,
        pub hour_until: i64,
        pub day_most: i64,
        pub day_until: i64,
        pub busy_until: i64,
        pub slowed_milli: Option<i64>,
        pub slowed_at: Option<i64>,
        pub new_day: i64,
        pub new_sent: i64,
        pub blocked_until: Option<i64>,
        pub blocked_assumed: bool,
        pub blocked_code: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
