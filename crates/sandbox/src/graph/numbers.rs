//! Phone numbers: listing, registration.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use bytes::Bytes;
use serde_json::{Value, json};

use super::auth::Caller;
use super::paging::{page, select};
use super::{GraphVersion, body};
use crate::accounts::Number;
use crate::graph_error::GraphError;
use crate::world::World;

/// What Meta shows when no fields are asked for; its OpenAPI document wants `status` too.
pub(super) const DEFAULT_FIELDS: [&str; 9] = [
    "id",
    "status",
    "verified_name",
    "code_verification_status",
    "display_phone_number",
    "quality_rating",
    "platform_type",
    "throughput",
    "webhook_configuration",
];

/// Every field of a number.
pub(super) fn view(number: &Number) -> Value {
    let callback = number.override_callback_uri.as_ref();
    json!({
        "id": number.id,
        "display_phone_number": pretty(&number.display_phone_number),
        "verified_name": number.verified_name,
        "status": if number.registered { "CONNECTED" } else { "PENDING" },
        "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED",
        "name_status": "APPROVED",
        "new_name_status": "NONE",
        "platform_type": if number.registered { "CLOUD_API" } else { "NOT_APPLICABLE" },
        "throughput": {"level": "STANDARD"},
        "account_mode": "LIVE",
        "is_official_business_account": false,
        "is_pin_enabled": true,
        "is_on_biz_app": false,
        "webhook_configuration": callback.map_or_else(|| json!({}), |it| json!({"phone_number": it})),
        "health_status": {"can_send_message": "AVAILABLE", "entities": []},
        "last_onboarded_time": "2026-01-01T00:00:00+0000",
        "whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED",
        "messaging_limit_tier": "TIER_UNLIMITED",
    })
}

/// A number as Meta displays it.
fn pretty(digits: &str) -> String {
    match digits.strip_prefix('1').map(|rest| (rest.get(..3), rest.get(3..6), rest.get(6..))) {
        Some((Some(area), Some(office), Some(line))) if line.len() == 4 => {
            format!("+1 {area}-{office}-{line}")
        }
        _ => format!("+{digits}"),
    }
}

pub(super) async fn list(
    State(world): State<Arc<World>>,
    Extension(version): Extension<GraphVersion>,
    Caller(access): Caller,
    Path(waba_id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, GraphError> {
    let account = world.directory().account(&waba_id).filter(|_| waba_id == access.waba_id);
    let account = account.ok_or_else(|| GraphError::no_object("get", &waba_id))?;
    let fields = query.get("fields").map(String::as_str);
    let items = account.numbers.iter().map(|it| select(view(it), fields, &DEFAULT_FIELDS));
    let address = address(&world, &version, &format!("{waba_id}/phone_numbers"));
    page(items.collect(), &query, &address).map(Json)
}

/// The public address of a Graph path.
pub(super) fn address(world: &World, version: &GraphVersion, path: &str) -> String {
    let version = version.0.as_ref().map_or_else(String::new, |it| format!("/{it}"));
    format!("{}{version}/{path}", world.public_url)
}

/// A PIN has six digits.
pub(super) fn check_pin(pin: &Value) -> Result<(), GraphError> {
    let text = pin.as_str().map_or_else(|| pin.to_string(), ToOwned::to_owned);
    if text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(())
    } else {
        Err(GraphError::parameter("Param pin must be 6 characters long."))
    }
}

pub(super) async fn register(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    raw: Bytes,
) -> Result<Json<Value>, GraphError> {
    let request = body::read(&headers, &raw)?;
    let mut directory = world.directory();
    let number =
        directory.number_mut(&access, &id).ok_or_else(|| GraphError::no_object("post", &id))?;
    crate::validate::product(&request)?;
    let pin = request
        .get("pin")
        .ok_or_else(|| GraphError::parameter("The parameter pin is required."))?;
    check_pin(pin)?;
    number.registered = true;
    Ok(body::success())
}

pub(super) async fn deregister(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, GraphError> {
    let mut directory = world.directory();
    let number =
        directory.number_mut(&access, &id).ok_or_else(|| GraphError::no_object("post", &id))?;
    if !number.registered {
        return Err(GraphError::of(133_010));
    }
    number.registered = false;
    Ok(body::success())
}
