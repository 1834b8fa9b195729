//! A tenant's message templates.

use async_trait::async_trait;
use kabar_core::{AccountId, Page, PageRequest, Scope, StoreError, TemplateId};
use kabar_messaging::template::{MessageTemplate, TemplateFilter, TemplateRepo, TemplatesWork};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};

use crate::convert::{column, json, micros, time};
use crate::error::store;
use crate::unit::Unit;
use entity::{ActiveModel, Column as C, Entity, Model};

mod entity {
    #![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "templates")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub name: String,
        pub language: String,
        pub content: Json,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl TemplatesWork for Unit {
    fn templates(&self, scope: Scope) -> Box<dyn TemplateRepo + '_> {
        Box::new(SeaTemplates { unit: self, scope })
    }
}

struct SeaTemplates<'a> {
    unit: &'a Unit,
    scope: Scope,
}

impl SeaTemplates<'_> {
    fn own(&self) -> Select<Entity> {
        Entity::find().filter(C::AccountId.eq(self.scope.account().uuid()))
    }
}

fn from_row(row: Model) -> Result<MessageTemplate, StoreError> {
    Ok(MessageTemplate {
        id: TemplateId::from(row.id),
        account: AccountId::from(row.account_id),
        name: row.name,
        language: row.language,
        content: column("templates", &row.id, "content").json(row.content)?,
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

#[async_trait]
impl TemplateRepo for SeaTemplates<'_> {
    async fn insert(&mut self, template: &MessageTemplate) -> Result<(), StoreError> {
        let row = ActiveModel {
            id: Set(template.id.uuid()),
            account_id: Set(self.scope.account().uuid()),
            name: Set(template.name.clone()),
            language: Set(template.language.clone()),
            content: Set(json(&template.content)?),
            created_at: Set(micros(template.created_at)),
            updated_at: Set(micros(template.updated_at)),
        };
        Entity::insert(row).exec_without_returning(self.unit.tx()).await.map_err(store)?;
        Ok(())
    }

    async fn get(&mut self, id: TemplateId) -> Result<Option<MessageTemplate>, StoreError> {
        let row = self.own().filter(C::Id.eq(id.uuid())).one(self.unit.tx()).await;
        row.map_err(store)?.map(from_row).transpose()
    }

    async fn list(
        &mut self,
        filter: &TemplateFilter,
        page: PageRequest,
    ) -> Result<Page<MessageTemplate>, StoreError> {
        let mut query = self.own();
        if let Some(name) = &filter.name {
            query = query.filter(C::Name.eq(name.as_str()));
        }
        if let Some(language) = &filter.language {
            query = query.filter(C::Language.eq(language.as_str()));
        }
        if let Some(after) = page.after {
            query = query.filter(C::Id.lt(after.id()));
        }
        let rows = query
            .order_by_desc(C::Id)
            .limit(u64::from(page.limit) + 1)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let templates = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(templates, page, |template| template.id.uuid()))
    }

    async fn update(&mut self, template: &MessageTemplate) -> Result<bool, StoreError> {
        let done = Entity::update_many()
            .col_expr(C::Name, Expr::value(template.name.clone()))
            .col_expr(C::Language, Expr::value(template.language.clone()))
            .col_expr(C::Content, Expr::value(json(&template.content)?))
            .col_expr(C::UpdatedAt, Expr::value(micros(template.updated_at)))
            .filter(C::Id.eq(template.id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn remove(&mut self, id: TemplateId) -> Result<bool, StoreError> {
        let done = Entity::delete_many()
            .filter(C::Id.eq(id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }
}
