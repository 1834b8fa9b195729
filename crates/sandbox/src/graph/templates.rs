//! Message templates of an account.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use bytes::Bytes;
use serde_json::{Value, json};

use super::auth::Caller;
use super::numbers::address;
use super::paging::{page, select};
use super::{GraphVersion, body};
use crate::directory::Access;
use crate::graph_error::GraphError;
use crate::templates::Template;
use crate::world::World;

/// What Meta shows when no fields are asked for.
const DEFAULT_FIELDS: [&str; 7] =
    ["id", "name", "parameter_format", "components", "language", "status", "category"];

fn own(access: &Access, waba_id: &str, method: &str) -> Result<(), GraphError> {
    if access.waba_id == waba_id { Ok(()) } else { Err(GraphError::no_object(method, waba_id)) }
}

pub(super) async fn list(
    State(world): State<Arc<World>>,
    Extension(version): Extension<GraphVersion>,
    Caller(access): Caller,
    Path(waba_id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, GraphError> {
    own(&access, &waba_id, "get")?;
    let fields = query.get("fields").map(String::as_str);
    let items: Vec<_> = {
        let directory = world.directory();
        let fitting = directory.templates(&waba_id).iter().filter(|it| fits(it, &query));
        fitting.map(|it| select(it.view(), fields, &DEFAULT_FIELDS)).collect()
    };
    let total = items.len();
    let address = address(&world, &version, &format!("{waba_id}/message_templates"));
    let mut page = page(items, &query, &address)?;
    if let (Some(fields), Some(page)) = (query.get("summary"), page.as_object_mut()) {
        page.insert("summary".to_owned(), summary(total, fields));
    }
    Ok(Json(page))
}

/// The counts asked for with `summary=a,b`. The limit is an unverified portfolio's.
fn summary(total: usize, fields: &str) -> Value {
    let counts = json!({
        "total_count": total,
        "message_template_count": total,
        "message_template_limit": 250,
        "are_translations_complete": true,
    });
    select(counts, Some(fields), &[])
}

fn fits(template: &Template, query: &HashMap<String, String>) -> bool {
    let equal = |key: &str, value: &str| {
        query.get(key).is_none_or(|wanted| {
            // Meta takes one value or a JSON list.
            let listed = serde_json::from_str::<Vec<String>>(wanted);
            listed
                .unwrap_or_else(|_| vec![wanted.clone()])
                .iter()
                .any(|it| it.eq_ignore_ascii_case(value))
        })
    };
    let named = |wanted: &String| template.name.contains(wanted.as_str());
    query.get("name").is_none_or(named)
        && query.get("name_or_content").is_none_or(named)
        && equal("status", &template.status)
        && equal("language", &template.language)
        && equal("category", &template.category)
}

pub(super) async fn create(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(waba_id): Path<String>,
    headers: HeaderMap,
    raw: Bytes,
) -> Result<Json<Value>, GraphError> {
    own(&access, &waba_id, "post")?;
    let request = body::read(&headers, &raw)?;
    for key in ["name", "language", "category"] {
        if body::text(&request, key).is_none() {
            return Err(GraphError::parameter(format!("The parameter {key} is required.")));
        }
    }
    let name = body::text(&request, "name").unwrap_or_default();
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if name.is_empty() || name.len() > 512 || !name.bytes().all(letters) {
        return Err(GraphError::parameter(
            "Param name must be at most 512 lower-case letters, digits and underscores.",
        ));
    }
    // Whoever creates through Graph does not choose the status.
    let mut request = request;
    request.remove("status");
    let template = world
        .add_template(&waba_id, &Value::Object(request))
        .map_err(|error| GraphError::detailed(100, error.to_string()))?;
    Ok(Json(json!({
        "id": template.id, "status": template.status, "category": template.category,
    })))
}

pub(super) async fn remove(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(waba_id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, GraphError> {
    own(&access, &waba_id, "delete")?;
    let name = query
        .get("name")
        .ok_or_else(|| GraphError::parameter("The parameter name is required."))?;
    let mut directory = world.directory();
    let templates = directory.templates_mut(&waba_id);
    let before = templates.len();
    let id = query.get("hsm_id");
    templates.retain(|it| it.name != *name || id.is_some_and(|id| *id != it.id));
    if templates.len() == before {
        return Err(GraphError::detailed(100, "Message template not found").with_status(404));
    }
    Ok(body::success())
}
