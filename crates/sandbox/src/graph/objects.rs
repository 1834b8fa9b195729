//! `/{id}`: a number, an account, a template or a file, whatever the id names.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Value;

use super::auth::Caller;
use super::paging::select;
use super::{accounts, body, media, numbers, subscriptions};
use crate::graph_error::GraphError;
use crate::world::World;

pub(super) async fn show(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, GraphError> {
    let fields = query.get("fields").map(String::as_str);
    if let Some(file) = media::find(&world, &access, &id) {
        let wanted = query.get("phone_number_id");
        if wanted.is_some_and(|number| *number != file.phone_number_id) {
            return Err(GraphError::no_object("get", &id));
        }
        return Ok(Json(media::view(&world, &id, &file)));
    }
    let directory = world.directory();
    let found = if id == access.waba_id {
        directory
            .account(&id)
            .map(|account| select(accounts::view(&account), fields, &accounts::DEFAULT_FIELDS))
    } else if let Some(number) = directory.number(&access, &id) {
        Some(select(numbers::view(number), fields, &numbers::DEFAULT_FIELDS))
    } else {
        let template = directory.templates(&access.waba_id).iter().find(|it| it.id == id);
        template.map(|template| select(template.view(), fields, &[]))
    };
    found.map(Json).ok_or_else(|| GraphError::no_object("get", &id))
}

/// `POST /P`: a PIN, or a callback for this number alone.
pub(super) async fn update(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    raw: Bytes,
) -> Result<Json<Value>, GraphError> {
    if world.directory().number(&access, &id).is_none() {
        return Err(GraphError::no_object("post", &id));
    }
    let request = body::read(&headers, &raw)?;
    if let Some(pin) = request.get("pin") {
        numbers::check_pin(pin)?;
    }
    if let Some(configuration) = request.get("webhook_configuration") {
        let configuration = configuration.as_object().cloned().unwrap_or_default();
        let callback = subscriptions::checked_override(&world, &configuration).await?;
        if let Some(number) = world.directory().number_mut(&access, &id) {
            number.override_callback_uri = callback;
        }
    }
    Ok(body::success())
}

/// `DELETE /MEDIA_ID`.
pub(super) async fn remove(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, GraphError> {
    if media::find(&world, &access, &id).is_none() {
        return Err(GraphError::no_object("delete", &id));
    }
    world.media().delete(&id);
    Ok(body::success())
}
