//! Which app hears of an account, and where.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::auth::{AnyCaller, Caller};
use super::body;
use crate::graph_error::GraphError;
use crate::validate::Object;
use crate::webhooks::WebhookConfig;
use crate::webhooks::handshake::{save_webhook, shake};
use crate::world::World;

pub(super) async fn list(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(waba_id): Path<String>,
) -> Result<Json<Value>, GraphError> {
    let account = world.directory().account(&waba_id).filter(|_| waba_id == access.waba_id);
    let account = account.ok_or_else(|| GraphError::no_object("get", &waba_id))?;
    let mut data = Vec::new();
    if account.subscribed {
        let mut app = Map::new();
        let link = format!("https://www.facebook.com/games/?app_id={}", account.app_id);
        let description = json!({"id": account.app_id, "link": link, "name": "Sandbox"});
        app.insert("whatsapp_business_api_data".to_owned(), description);
        if let Some(callback) = account.override_callback_uri {
            app.insert("override_callback_uri".to_owned(), callback.into());
        }
        data.push(Value::Object(app));
    }
    Ok(Json(json!({"data": data})))
}

pub(super) async fn create(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(waba_id): Path<String>,
    headers: HeaderMap,
    raw: Bytes,
) -> Result<Json<Value>, GraphError> {
    if waba_id != access.waba_id {
        return Err(GraphError::no_object("post", &waba_id));
    }
    let request = body::read(&headers, &raw)?;
    let callback = checked_override(&world, &request).await?;
    if let Some(account) = world.directory().account_mut(&waba_id) {
        account.subscribed = true;
        account.override_callback_uri = callback;
    }
    Ok(body::success())
}

pub(super) async fn remove(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(waba_id): Path<String>,
) -> Result<Json<Value>, GraphError> {
    if waba_id != access.waba_id {
        return Err(GraphError::no_object("delete", &waba_id));
    }
    if let Some(account) = world.directory().account_mut(&waba_id) {
        account.subscribed = false;
        account.override_callback_uri = None;
    }
    Ok(body::success())
}

/// An override callback that passed its handshake; none or empty means no override.
pub(super) async fn checked_override(
    world: &World,
    request: &Object,
) -> Result<Option<String>, GraphError> {
    let Some(callback) = body::text(request, "override_callback_uri").filter(|it| !it.is_empty())
    else {
        return Ok(None);
    };
    if callback.chars().count() > 200 {
        let text = "Param override_callback_uri must be at most 200 characters long.";
        return Err(GraphError::parameter(text));
    }
    let token = body::text(request, "verify_token")
        .ok_or_else(|| GraphError::parameter("The parameter verify_token is required."))?;
    let handshake = shake(world, callback, token).await;
    if handshake.passed {
        Ok(Some(callback.to_owned()))
    } else {
        Err(unverified(&handshake.detail))
    }
}

/// Code 2200: the callback did not echo the challenge.
fn unverified(detail: &str) -> GraphError {
    let text = format!("Callback verification failed: {detail}");
    GraphError::detailed(2_200, text)
}

/// `POST /APP_ID/subscriptions` with the app's token: the callback of the whole app.
pub(super) async fn app_webhook(
    State(world): State<Arc<World>>,
    caller: AnyCaller,
    Path(app_id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    raw: Bytes,
) -> Result<Json<Value>, GraphError> {
    if caller.app_id.as_ref() != Some(&app_id) {
        return Err(GraphError::no_object("post", &app_id));
    }
    let mut request = body::read(&headers, &raw)?;
    request.extend(query.into_iter().map(|(key, value)| (key, Value::from(value))));
    if body::text(&request, "object") != Some("whatsapp_business_account") {
        return Err(GraphError::parameter("Param object must be whatsapp_business_account"));
    }
    let callback_url = body::text(&request, "callback_url")
        .ok_or_else(|| GraphError::parameter("The parameter callback_url is required."))?;
    let config = WebhookConfig {
        callback_url: callback_url.to_owned(),
        app_id: Some(app_id),
        verify_token: body::text(&request, "verify_token").map(ToOwned::to_owned),
        ..WebhookConfig::default()
    };
    let handshake = save_webhook(&world, config)
        .await
        .map_err(|error| GraphError::detailed(100, error.to_string()))?;
    if handshake.passed { Ok(body::success()) } else { Err(unverified(&handshake.detail)) }
}
