//! Rows of the tables.
#![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

pub(super) mod devices {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "devices")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub name: String,
        pub channel: String,
        pub address: String,
        pub parent: Option<String>,
        pub portfolio: Option<String>,
        pub app_id: Option<Uuid>,
        pub phone: Option<String>,
        pub verified_name: Option<String>,
        pub quality: Option<String>,
        pub credential: Option<String>,
        pub proxy: Option<String>,
        pub token_hint: Option<String>,
        pub token_hash: Option<Vec<u8>>,
        pub state: String,
        pub state_reason: Option<String>,
        pub settings: Json,
        pub fence: i64,
        pub has_rules: bool,
        pub risk_accepted_at: Option<i64>,
        pub first_connected_at: Option<i64>,
        pub health: Option<String>,
        pub created_at: i64,
        pub updated_at: i64,
        pub removed_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod meta_apps {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "meta_apps")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Option<Uuid>,
        pub name: String,
        pub meta_app_id: Option<String>,
        pub app_secret: String,
        pub verify_token: String,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod meta_business_accounts {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "meta_business_accounts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub meta_id: String,
        pub portfolio: Option<String>,
        pub name: Option<String>,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
