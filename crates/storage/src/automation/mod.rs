//! Rules, and what they answered.

mod entity;

use async_trait::async_trait;
use kabar_automation::{AnswerNote, AutomationWork, Rule, RuleRepo};
use kabar_core::{
    AccountId, ContactId, DeviceId, MessageId, Page, PageRequest, RuleId, Scope, StoreError,
    Timestamp,
};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};
use uuid::Uuid;

use crate::convert::{column, json, json_opt, micros, time};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;
use entity::rule::Column as C;
use entity::{answer, rule};

impl AutomationWork for Unit {
    fn rules(&self, scope: Scope) -> Box<dyn RuleRepo + '_> {
        Box::new(SeaRules { unit: self, scope })
    }
}

struct SeaRules<'a> {
    unit: &'a Unit,
    scope: Scope,
}

impl SeaRules<'_> {
    fn own(&self) -> Select<rule::Entity> {
        let own = rule::Entity::find().filter(C::AccountId.eq(self.scope.account().uuid()));
        match self.scope.device() {
            Some(device) => own.filter(C::DeviceId.eq(device.uuid())),
            None => own,
        }
    }
}

fn from_row(row: rule::Model) -> Result<Rule, StoreError> {
    let id = row.id;
    Ok(Rule {
        id: RuleId::from(id),
        account: AccountId::from(row.account_id),
        device: DeviceId::from(row.device_id),
        name: row.name,
        active: row.active,
        priority: row.priority,
        matching: column("rules", &id, "matching").json(row.matching)?,
        response: column("rules", &id, "response").json(row.response)?,
        limitation: column("rules", &id, "limitation").json_opt(row.limitation)?,
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

fn note_from_row(row: answer::Model) -> AnswerNote {
    AnswerNote {
        message: MessageId::from(row.message_id),
        account: AccountId::from(row.account_id),
        device: DeviceId::from(row.device_id),
        contact: ContactId::from(row.contact_id),
        rule: row.rule_id.map(RuleId::from),
        answer: row.answer_id.map(MessageId::from),
        trace: row.trace,
        at: time(row.at),
    }
}

#[async_trait]
impl RuleRepo for SeaRules<'_> {
    async fn insert(&mut self, rule: &Rule) -> Result<(), StoreError> {
        let row = rule::ActiveModel {
            id: Set(rule.id.uuid()),
            account_id: Set(self.scope.account().uuid()),
            device_id: Set(rule.device.uuid()),
            name: Set(rule.name.clone()),
            active: Set(rule.active),
            priority: Set(rule.priority),
            matching: Set(json(&rule.matching)?),
            response: Set(json(&rule.response)?),
            limitation: Set(json_opt(rule.limitation.as_ref())?),
            created_at: Set(micros(rule.created_at)),
            updated_at: Set(micros(rule.updated_at)),
        };
        rule::Entity::insert(row).exec_without_returning(self.unit.tx()).await.map_err(store)?;
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE devices SET has_rules = TRUE WHERE NOT has_rules AND id = ")
            .bind(rule.device.uuid())
            .push(" AND account_id = ")
            .bind(self.scope.account().uuid());
        self.unit.execute(sql).await?;
        Ok(())
    }

    async fn get(&mut self, id: RuleId) -> Result<Option<Rule>, StoreError> {
        let row = self.own().filter(C::Id.eq(id.uuid())).one(self.unit.tx()).await;
        row.map_err(store)?.map(from_row).transpose()
    }

    async fn list(
        &mut self,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> Result<Page<Rule>, StoreError> {
        let mut query = self.own();
        if let Some(device) = device {
            query = query.filter(C::DeviceId.eq(device.uuid()));
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
        let rules = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(rules, page, |rule| rule.id.uuid()))
    }

    async fn active(&mut self, device: DeviceId) -> Result<Vec<Rule>, StoreError> {
        let rows = self
            .own()
            .filter(C::DeviceId.eq(device.uuid()))
            .filter(C::Active.eq(true))
            .order_by_asc(C::Id)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        rows.into_iter().map(from_row).collect()
    }

    async fn update(&mut self, rule: &Rule) -> Result<bool, StoreError> {
        let done = rule::Entity::update_many()
            .col_expr(C::Name, Expr::value(rule.name.clone()))
            .col_expr(C::Active, Expr::value(rule.active))
            .col_expr(C::Priority, Expr::value(rule.priority))
            .col_expr(C::Matching, Expr::value(json(&rule.matching)?))
            .col_expr(C::Response, Expr::value(json(&rule.response)?))
            .col_expr(C::Limitation, Expr::value(json_opt(rule.limitation.as_ref())?))
            .col_expr(C::UpdatedAt, Expr::value(micros(rule.updated_at)))
            .filter(C::Id.eq(rule.id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn remove(&mut self, id: RuleId) -> Result<bool, StoreError> {
        let done = rule::Entity::delete_many()
            .filter(C::Id.eq(id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn note(&mut self, note: &AnswerNote) -> Result<bool, StoreError> {
        let row = answer::ActiveModel {
            message_id: Set(note.message.uuid()),
            account_id: Set(self.scope.account().uuid()),
            device_id: Set(note.device.uuid()),
            contact_id: Set(note.contact.uuid()),
            rule_id: Set(note.rule.map(RuleId::uuid)),
            answer_id: Set(note.answer.map(MessageId::uuid)),
            trace: Set(note.trace.clone()),
            at: Set(micros(note.at)),
        };
        let inserted = answer::Entity::insert(row)
            .on_conflict(OnConflict::column(answer::Column::MessageId).do_nothing().to_owned())
            .exec_without_returning(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(inserted == 1)
    }

    async fn answers_since(
        &mut self,
        contact: ContactId,
        since: Timestamp,
    ) -> Result<Vec<(Option<RuleId>, Timestamp)>, StoreError> {
        let rows: Vec<(Option<Uuid>, i64)> = answer::Entity::find()
            .select_only()
            .columns([answer::Column::RuleId, answer::Column::At])
            .filter(answer::Column::AccountId.eq(self.scope.account().uuid()))
            .filter(answer::Column::ContactId.eq(contact.uuid()))
            .filter(answer::Column::At.gt(micros(since)))
            .filter(answer::Column::AnswerId.is_not_null())
            .into_tuple()
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(rows.into_iter().map(|(rule, at)| (rule.map(RuleId::from), time(at))).collect())
    }

    async fn answer_to(&mut self, message: MessageId) -> Result<Option<AnswerNote>, StoreError> {
        let row = answer::Entity::find_by_id(message.uuid())
            .filter(answer::Column::AccountId.eq(self.scope.account().uuid()))
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(row.map(note_from_row))
    }
}
