//! Alerts and their settings.

use async_trait::async_trait;
use kabar_core::{AccountId, AlertId, DeviceId, Page, PageRequest, Scope, StoreError};
use kabar_operations::{Alert, AlertRepo, AlertState, Subject};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use serde_json::Value;

use crate::convert::{column, micros, micros_opt, time, time_opt};
use crate::error::{bad_row, store};
use crate::unit::Unit;

mod alert {
    #![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "alerts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub condition: String,
        pub subject: String,
        pub account_id: Option<Uuid>,
        pub device_id: Option<Uuid>,
        pub detail: String,
        pub state: String,
        pub at: Option<i64>,
        pub since: i64,
        pub seen_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod setting {
    #![expect(unreachable_pub, reason = "the types that sea-orm derives beside a model are `pub`")]

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "alert_settings")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub owner: String,
        pub account_id: Option<Uuid>,
        pub settings: Json,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use alert::Column as C;

const TABLE: &str = "alerts";
/// Rows of one statement.
const CHUNK: usize = 1_000;

fn subject(alert: &Alert) -> String {
    match alert.subject {
        Subject::Account(account) => account.to_string(),
        Subject::Device(_, device) => device.to_string(),
        Subject::Installation => String::new(),
    }
}

fn to_row(alert: &Alert) -> alert::ActiveModel {
    let (state, at) = match alert.state {
        AlertState::Pending { quiet_until } => ("pending", quiet_until),
        AlertState::Raised { at } => ("raised", Some(at)),
        AlertState::Over { at } => ("over", Some(at)),
    };
    alert::ActiveModel {
        id: Set(alert.id.uuid()),
        condition: Set(alert.condition.to_string()),
        subject: Set(subject(alert)),
        account_id: Set(alert.subject.account().map(AccountId::uuid)),
        device_id: Set(alert.subject.device().map(DeviceId::uuid)),
        detail: Set(alert.detail.clone()),
        state: Set(state.to_owned()),
        at: Set(micros_opt(at)),
        since: Set(micros(alert.since)),
        seen_at: Set(micros(alert.seen_at)),
    }
}

fn from_row(row: alert::Model) -> Result<Alert, StoreError> {
    let id = row.id;
    let wrong = |problem| bad_row(TABLE, id, "state", problem);
    let at = time_opt(row.at);
    let state = match (row.state.as_str(), at) {
        ("pending", quiet_until) => AlertState::Pending { quiet_until },
        ("raised", Some(at)) => AlertState::Raised { at },
        ("over", Some(at)) => AlertState::Over { at },
        _ => return Err(wrong("is no state of an alert")),
    };
    let subject = match (row.account_id, row.device_id) {
        (Some(account), Some(device)) => Subject::Device(account.into(), device.into()),
        (Some(account), None) => Subject::Account(account.into()),
        (None, _) => Subject::Installation,
    };
    Ok(Alert {
        id: AlertId::from(id),
        condition: column(TABLE, &id, "condition").word(&row.condition)?,
        subject,
        detail: row.detail,
        state,
        since: time(row.since),
        seen_at: time(row.seen_at),
    })
}

pub(super) async fn all(unit: &Unit) -> Result<Vec<Alert>, StoreError> {
    let rows = alert::Entity::find().all(unit.tx()).await.map_err(store)?;
    rows.into_iter().map(from_row).collect()
}

pub(super) async fn save(unit: &Unit, alerts: &[Alert]) -> Result<(), StoreError> {
    for chunk in alerts.chunks(CHUNK) {
        let changed = [C::Detail, C::State, C::At, C::Since, C::SeenAt];
        alert::Entity::insert_many(chunk.iter().map(to_row))
            .on_conflict(OnConflict::column(C::Id).update_columns(changed).to_owned())
            .exec_without_returning(unit.tx())
            .await
            .map_err(store)?;
    }
    Ok(())
}

pub(super) async fn forget(unit: &Unit, ids: &[AlertId]) -> Result<(), StoreError> {
    for chunk in ids.chunks(CHUNK) {
        alert::Entity::delete_many()
            .filter(C::Id.is_in(chunk.iter().map(|id| id.uuid())))
            .exec(unit.tx())
            .await
            .map_err(store)?;
    }
    Ok(())
}

pub(super) async fn settings(unit: &Unit) -> Result<Vec<(Option<AccountId>, Value)>, StoreError> {
    let rows = setting::Entity::find().all(unit.tx()).await.map_err(store)?;
    Ok(rows.into_iter().map(|row| (row.account_id.map(AccountId::from), row.settings)).collect())
}

pub(super) async fn set(
    unit: &Unit,
    owner: String,
    account: Option<AccountId>,
    settings: &Value,
) -> Result<(), StoreError> {
    let row = setting::ActiveModel {
        owner: Set(owner),
        account_id: Set(account.map(AccountId::uuid)),
        settings: Set(settings.clone()),
    };
    setting::Entity::insert(row)
        .on_conflict(
            OnConflict::column(setting::Column::Owner)
                .update_column(setting::Column::Settings)
                .to_owned(),
        )
        .exec_without_returning(unit.tx())
        .await
        .map_err(store)?;
    Ok(())
}

pub(super) struct SeaAlerts<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

#[async_trait]
impl AlertRepo for SeaAlerts<'_> {
    async fn list(&mut self, page: PageRequest) -> Result<Page<Alert>, StoreError> {
        let mut query = alert::Entity::find()
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .filter(C::State.eq("raised"));
        if let Some(device) = self.scope.device() {
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
        let alerts = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(alerts, page, |alert| alert.id.uuid()))
    }

    async fn settings(&mut self) -> Result<Option<Value>, StoreError> {
        let row = setting::Entity::find()
            .filter(setting::Column::AccountId.eq(self.scope.account().uuid()))
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(row.map(|row| row.settings))
    }

    async fn set(&mut self, settings: &Value) -> Result<(), StoreError> {
        let account = self.scope.account();
        set(self.unit, account.to_string(), Some(account), settings).await
    }
}
