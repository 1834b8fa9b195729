//! The business profile of a number.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::body;
use super::paging::select;
use crate::graph_error::GraphError;
use crate::validate::{self, Object};
use crate::world::World;

/// Longest values in characters. Meta, "Business profiles".
const TEXTS: [(&str, usize); 4] =
    [("about", 139), ("address", 256), ("description", 512), ("email", 128)];

const VERTICALS: [&str; 24] = [
    "UNDEFINED",
    "OTHER",
    "AUTO",
    "BEAUTY",
    "APPAREL",
    "EDU",
    "ENTERTAIN",
    "EVENT_PLAN",
    "FINANCE",
    "GROCERY",
    "GOVT",
    "HOTEL",
    "HEALTH",
    "NONPROFIT",
    "PROF_SERVICES",
    "RETAIL",
    "TRAVEL",
    "RESTAURANT",
    "ALCOHOL",
    "ONLINE_GAMBLING",
    "PHYSICAL_GAMBLING",
    "OTC_DRUGS",
    "MATRIMONY_SERVICE",
    "NOT_A_BIZ",
];

pub(super) async fn show(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, GraphError> {
    let mut directory = world.directory();
    if directory.number(&access, &id).is_none() {
        return Err(GraphError::no_object("get", &id));
    }
    let profile = Value::Object(directory.profile(&id).clone());
    let fields = query.get("fields").map(String::as_str);
    let mut shown = select(profile, fields, &[]);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("messaging_product".to_owned(), "whatsapp".into());
    }
    Ok(Json(json!({"data": [shown]})))
}

pub(super) async fn update(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    raw: Bytes,
) -> Result<Json<Value>, GraphError> {
    let request = body::read(&headers, &raw)?;
    let mut directory = world.directory();
    if directory.number(&access, &id).is_none() {
        return Err(GraphError::no_object("post", &id));
    }
    validate::product(&request)?;
    let changes = checked(request)?;
    directory.profile(&id).extend(changes);
    Ok(body::success())
}

fn checked(request: Object) -> Result<Map<String, Value>, GraphError> {
    let mut changes = Map::new();
    for (key, value) in request {
        match key.as_str() {
            "messaging_product" => continue,
            "websites" => check_websites(&value)?,
            "vertical" => {
                if !value.as_str().is_some_and(|it| VERTICALS.contains(&it)) {
                    return Err(GraphError::parameter(
                        "Param vertical is not one of the allowed values.",
                    ));
                }
            }
            "profile_picture_handle" => {
                let url = "https://pps.whatsapp.net/v/sandbox.jpg";
                changes.insert("profile_picture_url".to_owned(), url.into());
                continue;
            }
            name => check_text(name, &value)?,
        }
        changes.insert(key, value);
    }
    Ok(changes)
}

fn check_text(name: &str, value: &Value) -> Result<(), GraphError> {
    let Some((_, max)) = TEXTS.iter().find(|(key, _)| *key == name) else {
        return Err(GraphError::parameter(format!("Unexpected key \"{name}\" on param \"$\".")));
    };
    match value.as_str() {
        Some(text) if text.chars().count() <= *max => Ok(()),
        _ => Err(GraphError::parameter(format!(
            "Param {name} must be at most {max} characters long."
        ))),
    }
}

fn check_websites(value: &Value) -> Result<(), GraphError> {
    let good = value.as_array().is_some_and(|sites| {
        let short = |site: &Value| site.as_str().is_some_and(|it| it.chars().count() <= 256);
        sites.len() <= 2 && sites.iter().all(short)
    });
    let text = "Param websites must be at most 2 addresses of at most 256 characters.";
    if good { Ok(()) } else { Err(GraphError::parameter(text)) }
}
