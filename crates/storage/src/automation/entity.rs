//! Rows of rules and answers.
#![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

pub(super) mod rule {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rules")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub device_id: Uuid,
        pub name: String,
        pub active: bool,
        pub priority: i32,
        pub matching: Json,
        pub response: Json,
        pub limitation: Option<Json>,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod answer {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "auto_answers")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub message_id: Uuid,
        pub account_id: Uuid,
        pub device_id: Uuid,
        pub contact_id: Uuid,
        pub rule_id: Option<Uuid>,
        pub answer_id: Option<Uuid>,
        pub trace: Json,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
