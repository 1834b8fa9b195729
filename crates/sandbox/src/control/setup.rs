//! Accounts, settings, webhook, customers, time.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{Refusal, Reply, read};
use crate::accounts::{Account, Number};
use crate::config::{DEFAULT_APP_ID, Settings};
use crate::customers::Customer;
use crate::error::SandboxError;
use crate::overview::{Overview, ResetScope};
use crate::webhooks::Handshake;
use crate::webhooks::handshake::save_webhook;
use crate::world::World;

type Shared = State<Arc<World>>;

pub(super) async fn state(State(world): Shared) -> Json<Overview> {
    Json(world.overview())
}

pub(super) async fn settings(State(world): Shared) -> Json<Settings> {
    Json(Settings::clone(&world.settings()))
}

/// Overlays the given fields on the settings in force.
pub(super) async fn change_settings(State(world): Shared, body: Bytes) -> Reply<Settings> {
    let change: serde_json::Map<String, Value> = read(&body)?;
    let mut merged = serde_json::to_value(&*world.settings()).unwrap_or_default();
    if let Some(fields) = merged.as_object_mut() {
        fields.extend(change);
    }
    let settings: Settings =
        serde_json::from_value(merged).map_err(|error| SandboxError::Invalid(error.to_string()))?;
    world.set_settings(settings.clone());
    Ok(Json(settings))
}

pub(super) async fn accounts(State(world): Shared) -> Json<Vec<Account>> {
    Json(world.directory().accounts())
}

pub(super) async fn add_account(State(world): Shared, body: Bytes) -> Reply<Account> {
    let new = read(&body)?;
    let now_ms = world.clock.now_ms();
    Ok(Json(world.directory().add_account(new, &world.dice, now_ms)?))
}

pub(super) async fn add_number(
    State(world): Shared,
    Path(waba): Path<String>,
    body: Bytes,
) -> Reply<Number> {
    let new = read(&body)?;
    Ok(Json(world.directory().add_number(&waba, new, &world.dice)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    token: Option<String>,
}

pub(super) async fn add_token(
    State(world): Shared,
    Path(waba): Path<String>,
    body: Bytes,
) -> Reply<Value> {
    let NewToken { token } = read(&body)?;
    let now_ms = world.clock.now_ms();
    let token = world.directory().add_token(&waba, token, &world.dice, now_ms)?;
    Ok(Json(json!({"token": token})))
}

pub(super) async fn expire_token(State(world): Shared, Path(token): Path<String>) -> Reply<Value> {
    world.directory().expire_token(&token)?;
    Ok(Json(json!({"success": true})))
}

pub(super) async fn add_template(
    State(world): Shared,
    Path(waba): Path<String>,
    body: Bytes,
) -> Reply<Value> {
    let template: Value = read(&body)?;
    let template = world.add_template(&waba, &template)?;
    Ok(Json(json!({"id": template.id})))
}

pub(super) async fn set_webhook(State(world): Shared, body: Bytes) -> Reply<Handshake> {
    let config = read(&body)?;
    Ok(Json(save_webhook(&world, config).await?))
}

#[derive(Deserialize)]
pub(super) struct WhichApp {
    app_id: Option<String>,
}

pub(super) async fn clear_webhook(
    State(world): Shared,
    Query(which): Query<WhichApp>,
) -> Json<Value> {
    world.directory().clear_callback(which.app_id.as_deref().unwrap_or(DEFAULT_APP_ID));
    Json(json!({"success": true}))
}

pub(super) async fn customers(State(world): Shared) -> Json<Vec<Customer>> {
    Json(world.people().all())
}

pub(super) async fn customer(State(world): Shared, Path(number): Path<String>) -> Reply<Customer> {
    let found = world.people().find(&number).cloned();
    Ok(Json(found.ok_or_else(|| SandboxError::not_found("customer", number))?))
}

pub(super) async fn put_customer(
    State(world): Shared,
    Path(number): Path<String>,
    body: Bytes,
) -> Reply<Customer> {
    let patch = read(&body)?;
    Ok(Json(world.put_customer(&number, patch)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    #[serde(default)]
    ms: u64,
    #[serde(default)]
    hours: u64,
}

pub(super) async fn advance_clock(State(world): Shared, body: Bytes) -> Reply<Value> {
    let Advance { ms, hours } = read(&body)?;
    let by = Duration::from_millis(ms.saturating_add(hours.saturating_mul(3_600_000)));
    Ok(Json(json!({"now_ms": world.advance_clock(by)})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    #[serde(default)]
    scope: ResetScope,
}

pub(super) async fn reset(State(world): Shared, body: Bytes) -> Result<Json<Value>, Refusal> {
    let Reset { scope } = read(&body)?;
    world.reset(scope)?;
    Ok(Json(json!({"success": true})))
}
