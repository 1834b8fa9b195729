//! WhatsApp Business Accounts and tokens.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use super::auth::AnyCaller;
use crate::accounts::Account;
use crate::config::DEFAULT_APP_ID;
use crate::graph_error::GraphError;
use crate::world::World;

/// What Meta shows when no fields are asked for.
pub(super) const DEFAULT_FIELDS: [&str; 4] =
    ["id", "name", "timezone_id", "message_template_namespace"];

/// Every field of an account.
pub(super) fn view(account: &Account) -> Value {
    json!({
        "id": account.waba_id,
        "name": account.name,
        "currency": "USD",
        "timezone_id": "1",
        "message_template_namespace": "5ba2d2f1_9d51_4b9f_a0a5_sandbox00000",
        "account_review_status": "APPROVED",
        "business_verification_status": "verified",
        "ownership_type": "SELF",
        "country": "US",
        "status": "ACTIVE",
        "health_status": {"can_send_message": "AVAILABLE", "entities": []},
        "owner_business_info": {"id": account.business_id, "name": account.name},
    })
}

/// `GET /debug_token?input_token=…`
pub(super) async fn debug_token(
    State(world): State<Arc<World>>,
    _caller: AnyCaller,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, GraphError> {
    let token = query
        .get("input_token")
        .ok_or_else(|| GraphError::parameter("The parameter input_token is required."))?;
    let directory = world.directory();
    let Some(grant) = directory.grant(token) else {
        let error = json!({"code": 190, "message": "Invalid OAuth access token."});
        return Ok(Json(json!({"data": {"error": error, "is_valid": false, "scopes": []}})));
    };
    let account = directory.account(grant.waba_id());
    let app_id = account.map_or_else(|| DEFAULT_APP_ID.to_owned(), |account| account.app_id);
    let scopes = ["whatsapp_business_management", "whatsapp_business_messaging"];
    let granular = scopes.map(|scope| json!({"scope": scope, "target_ids": [grant.waba_id()]}));
    Ok(Json(json!({"data": {
        "app_id": app_id,
        "type": "SYSTEM_USER",
        "application": "Sandbox",
        "data_access_expires_at": 0,
        "expires_at": 0,
        "is_valid": !grant.expired,
        "issued_at": grant.issued_at_ms / 1_000,
        "scopes": scopes,
        "granular_scopes": granular,
        "user_id": "122094502384000001",
    }})))
}
