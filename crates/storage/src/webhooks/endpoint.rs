//! A tenant's endpoints.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_core::{
    AccountId, EndpointId, ExposeSecret as _, Page, PageRequest, Scope, Secret, StoreError,
    Timestamp,
};
use kabar_webhooks::repo::EndpointRepo;
use kabar_webhooks::{Backlog, Endpoint, EndpointSettings, EndpointState, Health, SigningSecret};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
};
use uuid::Uuid;

use super::entity::{endpoint, lane, secret};
use super::{NEVER, make_ready};
use crate::accounts::paged;
use crate::convert::{column, json, micros, micros_opt, time, time_opt};
use crate::devices::{open, seal};
use crate::error::{bad_row, store};
use crate::keyring::Place;
use crate::raw::Sql;
use crate::unit::Unit;
use endpoint::{ActiveModel, Column as C, Entity, Model};

const TABLE: &str = "webhook_endpoints";
const SECRETS: &str = "webhook_secrets";

pub(super) struct SeaEndpoints<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaEndpoints<'_> {
    fn mine(&self) -> Condition {
        Condition::all()
            .add(C::AccountId.eq(self.scope.account().uuid()))
            .add(C::RemovedAt.is_null())
    }

    fn this(&self, id: EndpointId) -> Condition {
        self.mine().add(C::Id.eq(id.uuid()))
    }

    /// Endpoints with how they fare.
    async fn whole(&self, rows: Vec<Model>) -> Result<Vec<Endpoint>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let lanes = lane::Entity::find()
            .filter(lane::Column::EndpointId.is_in(rows.iter().map(|row| row.id)))
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let mut health: BTreeMap<Uuid, Health> =
            lanes.into_iter().map(|lane| (lane.endpoint_id, health_of(lane))).collect();
        let whole = rows.into_iter().map(|row| {
            let health = health.remove(&row.id).unwrap_or_default();
            from_row(self.unit, row, health)
        });
        whole.collect()
    }

    async fn insert_secret(&self, id: EndpointId, new: &SigningSecret) -> Result<(), StoreError> {
        let place = Place { table: SECRETS, row: new.id, column: "secret" };
        let row = secret::ActiveModel {
            id: Set(new.id),
            endpoint_id: Set(id.uuid()),
            secret: Set(seal(self.unit, &new.secret, &place)?),
            created_at: Set(micros(new.created_at)),
            expires_at: Set(micros_opt(new.expires_at)),
        };
        secret::Entity::insert(row)
            .exec_without_returning(self.unit.tx())
            .await
            .map(|_| ())
            .map_err(store)
    }
}

#[async_trait]
impl EndpointRepo for SeaEndpoints<'_> {
    async fn insert(
        &mut self,
        endpoint: &Endpoint,
        secret: &SigningSecret,
    ) -> Result<(), StoreError> {
        let row = ActiveModel {
            account_id: Set(self.scope.account().uuid()),
            ..active(self.unit, endpoint)?
        };
        Entity::insert(row).exec_without_returning(self.unit.tx()).await.map_err(store)?;
        let row = lane::ActiveModel {
            endpoint_id: Set(endpoint.id.uuid()),
            account_id: Set(self.scope.account().uuid()),
            active: Set(endpoint.state == EndpointState::Active),
            ready_at: Set(NEVER),
            hold_until: Set(0),
            owner: Set(None),
            fence: Set(0),
            failures: Set(0),
            failing_since: Set(None),
            last_success_at: Set(None),
            last_failure_at: Set(None),
            last_error: Set(None),
        };
        lane::Entity::insert(row).exec_without_returning(self.unit.tx()).await.map_err(store)?;
        self.insert_secret(endpoint.id, secret).await
    }

    async fn get(&mut self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let row = Entity::find().filter(self.this(id)).one(self.unit.tx()).await.map_err(store)?;
        Ok(self.whole(row.into_iter().collect()).await?.pop())
    }

    async fn lock(&mut self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let mut query = Entity::find().filter(self.this(id));
        if self.unit.locks_rows() {
            query = query.lock(LockType::Update);
        }
        let row = query.one(self.unit.tx()).await.map_err(store)?;
        Ok(self.whole(row.into_iter().collect()).await?.pop())
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<Endpoint>, StoreError> {
        let rows = paged(Entity::find().filter(self.mine()), C::Id, page)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let whole = self.whole(rows).await?;
        Ok(Page::from_rows(whole, page, |endpoint| endpoint.id.uuid()))
    }

    async fn count(&mut self) -> Result<u64, StoreError> {
        Entity::find().filter(self.mine()).count(self.unit.tx()).await.map_err(store)
    }

    async fn update(&mut self, endpoint: &Endpoint, now: Timestamp) -> Result<bool, StoreError> {
        let values = ActiveModel {
            id: NotSet,
            created_at: NotSet,
            removed_at: NotSet,
            ..active(self.unit, endpoint)?
        };
        let done = Entity::update_many()
            .set(values)
            .filter(self.this(endpoint.id))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        if done.rows_affected == 0 {
            return Ok(false);
        }
        let (id, active) = (endpoint.id.uuid(), endpoint.state == EndpointState::Active);
        lane::Entity::update_many()
            .col_expr(lane::Column::Active, Expr::value(active))
            .filter(lane::Column::EndpointId.eq(id))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        if !endpoint.settings.ordered {
            // Who waited behind another waits no longer.
            let mut sql = Sql::new(self.unit.tx());
            sql.push("UPDATE webhook_deliveries SET chat_id = NULL, due_at = CASE WHEN due_at = ")
                .bind(NEVER)
                .push(" THEN ")
                .bind(micros(now))
                .push(" ELSE due_at END WHERE state = 'pending' AND chat_id IS NOT NULL AND endpoint_id = ")
                .bind(id);
            self.unit.execute(sql).await?;
        }
        if active {
            make_ready(self.unit, &[id], now).await?;
        }
        Ok(true)
    }

    async fn set_health(&mut self, id: EndpointId, health: &Health) -> Result<(), StoreError> {
        lane::Entity::update_many()
            .set(healthy(health))
            .filter(lane::Column::EndpointId.eq(id.uuid()))
            .filter(lane::Column::AccountId.eq(self.scope.account().uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn remove(&mut self, id: EndpointId, at: Timestamp) -> Result<bool, StoreError> {
        // A removed endpoint keeps no secrets, and nobody works on it. Its address may be one.
        let done = Entity::update_many()
            .col_expr(C::RemovedAt, Expr::value(micros(at)))
            .col_expr(C::Url, Expr::value("https://removed.invalid/"))
            .col_expr(C::Headers, Expr::value(None::<String>))
            .filter(self.this(id))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        if done.rows_affected == 0 {
            return Ok(false);
        }
        secret::Entity::delete_many()
            .filter(secret::Column::EndpointId.eq(id.uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        lane::Entity::delete_many()
            .filter(lane::Column::EndpointId.eq(id.uuid()))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(true)
    }

    async fn secrets(&mut self, id: EndpointId) -> Result<Vec<SigningSecret>, StoreError> {
        let own = Entity::find().select_only().column(C::Id).filter(self.this(id));
        let rows = secret::Entity::find()
            .filter(secret::Column::EndpointId.eq(id.uuid()))
            .filter(secret::Column::EndpointId.in_subquery(own.into_query()))
            .order_by_desc(secret::Column::Id)
            .all(self.unit.tx())
            .await
            .map_err(store)?;
        let secrets = rows.into_iter().map(|row| {
            Ok(SigningSecret {
                id: row.id,
                secret: open(self.unit, &row.secret, SECRETS, row.id, "secret")?,
                created_at: time(row.created_at),
                expires_at: time_opt(row.expires_at),
            })
        });
        secrets.collect()
    }

    async fn rotate(
        &mut self,
        id: EndpointId,
        new: &SigningSecret,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let (now, until) = (micros(new.created_at), micros(until));
        secret::Entity::delete_many()
            .filter(secret::Column::EndpointId.eq(id.uuid()))
            .filter(secret::Column::ExpiresAt.lte(now))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE webhook_secrets SET expires_at = ")
            .bind(until)
            .push(" WHERE (expires_at IS NULL OR expires_at > ")
            .bind(until)
            .push(") AND endpoint_id = ")
            .bind(id.uuid());
        self.unit.execute(sql).await?;
        self.insert_secret(id, new).await
    }

    async fn backlog(&mut self, id: EndpointId) -> Result<Backlog, StoreError> {
        let count = async |state: &str| -> Result<u64, StoreError> {
            let mut sql = Sql::new(self.unit.tx());
            // Written out, so that the partial indexes fit.
            sql.push(
                "SELECT COUNT(*) AS n FROM (SELECT 1 FROM webhook_deliveries WHERE endpoint_id = ",
            )
            .bind(id.uuid())
            .push(" AND account_id = ")
            .bind(self.scope.account().uuid())
            .push(state)
            .push(" LIMIT ")
            .bind(i64::try_from(Backlog::MOST).unwrap_or(i64::MAX))
            .push(") AS counted");
            let rows = self.unit.rows(sql).await?;
            let count: i64 = match rows.first() {
                Some(row) => row.try_get("", "n").map_err(store)?,
                None => 0,
            };
            Ok(u64::try_from(count).unwrap_or_default())
        };
        Ok(Backlog {
            waiting: count(" AND state = 'pending'").await?,
            failed: count(" AND state = 'failed'").await?,
        })
    }
}

/// Every column but that of the account.
fn active(unit: &Unit, endpoint: &Endpoint) -> Result<ActiveModel, StoreError> {
    let settings = &endpoint.settings;
    Ok(ActiveModel {
        id: Set(endpoint.id.uuid()),
        account_id: NotSet,
        url: Set(settings.url.to_string()),
        description: Set(settings.description.clone()),
        events: Set(json(&settings.events)?),
        devices: Set(json(&settings.devices)?),
        headers: Set(sealed_headers(unit, endpoint)?),
        content: Set(settings.content),
        ordered: Set(settings.ordered),
        concurrency: Set(i32::from(settings.concurrency)),
        rate: Set(settings.rate.map(|rate| i32::try_from(rate).unwrap_or(i32::MAX))),
        timeout_seconds: Set(i32::from(settings.timeout_seconds)),
        state: Set(endpoint.state.as_str().to_owned()),
        state_reason: Set(endpoint.state_reason.clone()),
        state_since: Set(micros(endpoint.state_since)),
        created_at: Set(micros(endpoint.created_at)),
        updated_at: Set(micros(endpoint.updated_at)),
        removed_at: NotSet,
    })
}

fn sealed_headers(unit: &Unit, endpoint: &Endpoint) -> Result<Option<String>, StoreError> {
    if endpoint.settings.headers.is_empty() {
        return Ok(None);
    }
    let plain: BTreeMap<&str, &str> = endpoint
        .settings
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose_secret()))
        .collect();
    let text = Secret::from(json(&plain)?.to_string());
    let place = Place { table: TABLE, row: endpoint.id.uuid(), column: "headers" };
    seal(unit, &text, &place).map(Some)
}

fn from_row(unit: &Unit, row: Model, health: Health) -> Result<Endpoint, StoreError> {
    let id = row.id;
    let number =
        |value: i32, name| u16::try_from(value).map_err(|error| bad_row(TABLE, id, name, error));
    let headers = match row.headers {
        None => BTreeMap::new(),
        Some(sealed) => {
            let text = open(unit, &sealed, TABLE, id, "headers")?;
            let plain: BTreeMap<String, String> = serde_json::from_str(text.expose_secret())
                .map_err(|error| bad_row(TABLE, id, "headers", error))?;
            plain.into_iter().map(|(name, value)| (name, Secret::from(value))).collect()
        }
    };
    Ok(Endpoint {
        id: EndpointId::from(id),
        account: AccountId::from(row.account_id),
        settings: EndpointSettings {
            url: column(TABLE, &id, "url").word(&row.url)?,
            description: row.description,
            events: column(TABLE, &id, "events").json(row.events)?,
            devices: column(TABLE, &id, "devices").json(row.devices)?,
            headers,
            content: row.content,
            ordered: row.ordered,
            concurrency: number(row.concurrency, "concurrency")?,
            rate: row.rate.map(i32::unsigned_abs),
            timeout_seconds: number(row.timeout_seconds, "timeout_seconds")?,
        },
        state: column(TABLE, &id, "state").word(&row.state)?,
        state_reason: row.state_reason,
        state_since: time(row.state_since),
        health,
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

fn health_of(lane: lane::Model) -> Health {
    Health {
        failures: lane.failures.unsigned_abs(),
        failing_since: time_opt(lane.failing_since),
        last_success_at: time_opt(lane.last_success_at),
        last_failure_at: time_opt(lane.last_failure_at),
        last_error: lane.last_error,
        hold_until: Some(lane.hold_until).filter(|until| *until > 0).map(time),
    }
}

/// The columns of an endpoint's health.
pub(super) fn healthy(health: &Health) -> lane::ActiveModel {
    lane::ActiveModel {
        failures: Set(i32::try_from(health.failures).unwrap_or(i32::MAX)),
        failing_since: Set(micros_opt(health.failing_since)),
        last_success_at: Set(micros_opt(health.last_success_at)),
        last_failure_at: Set(micros_opt(health.last_failure_at)),
        last_error: Set(health.last_error.clone()),
        hold_until: Set(micros_opt(health.hold_until).unwrap_or_default()),
        ..Default::default()
    }
}
