//! Messages, customers' words, faults, webhooks.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{Reply, read};
use crate::config::DEFAULT_PHONE_NUMBER_ID;
use crate::faults::ActiveFault;
use crate::inbound::{Base64, InboundReceipt};
use crate::messages::{MessageFilter, ReadMark, Tally, TallyBy};
use crate::webhooks::WebhookCounts;
use crate::world::World;

/// Most messages one listing shows unless asked for more.
const DEFAULT_MESSAGES: usize = 1_000;
const DEFAULT_WEBHOOKS: usize = 100;
const DEFAULT_PATIENCE_MS: u64 = 30_000;

type Shared = State<Arc<World>>;

pub(super) async fn inbound(State(world): Shared, body: Bytes) -> Reply<InboundReceipt> {
    Ok(Json(world.customer_says(read(&body)?)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMedia {
    phone_number_id: Option<String>,
    mime_type: String,
    data: Base64,
}

pub(super) async fn add_media(State(world): Shared, body: Bytes) -> Reply<Value> {
    let NewMedia { phone_number_id, mime_type, data } = read(&body)?;
    let number = phone_number_id.as_deref().unwrap_or(DEFAULT_PHONE_NUMBER_ID);
    let id = world.store_media(number, &mime_type, data.0)?;
    Ok(Json(json!({"id": id})))
}

pub(super) async fn messages(
    State(world): Shared,
    Query(mut filter): Query<MessageFilter>,
) -> Json<Value> {
    filter.limit = Some(filter.limit.unwrap_or(DEFAULT_MESSAGES));
    let data = world.list_messages(&filter);
    Json(json!({"data": data}))
}

#[derive(Deserialize)]
pub(super) struct Counting {
    by: TallyBy,
}

pub(super) async fn tally(State(world): Shared, Query(counting): Query<Counting>) -> Json<Tally> {
    Json(world.messages().tally(counting.by))
}

pub(super) async fn read_marks(State(world): Shared) -> Json<Vec<ReadMark>> {
    Json(world.messages().read_marks())
}

pub(super) async fn faults(State(world): Shared) -> Json<Vec<ActiveFault>> {
    Json(world.faults().list())
}

pub(super) async fn add_fault(State(world): Shared, body: Bytes) -> Reply<Value> {
    let fault = read(&body)?;
    let id = world.faults().add(fault)?;
    Ok(Json(json!({"id": id})))
}

pub(super) async fn clear_faults(State(world): Shared) -> Json<Value> {
    world.faults().clear();
    Json(json!({"success": true}))
}

#[derive(Deserialize)]
pub(super) struct Newest {
    limit: Option<usize>,
}

pub(super) async fn webhooks(State(world): Shared, Query(newest): Query<Newest>) -> Json<Value> {
    let data = world.courier.newest(newest.limit.unwrap_or(DEFAULT_WEBHOOKS));
    Json(json!({"counts": world.courier.counts(), "data": data}))
}

pub(super) async fn raw_webhook(State(world): Shared, body: Bytes) -> Reply<Value> {
    let queued = world.post_raw(read(&body)?)?;
    Ok(Json(json!({"queued": queued})))
}

pub(super) async fn pending(State(world): Shared) -> Json<WebhookCounts> {
    Json(world.courier.counts())
}

#[derive(Deserialize)]
pub(super) struct Patience {
    timeout_ms: Option<u64>,
}

pub(super) async fn quiesce(
    State(world): Shared,
    Query(patience): Query<Patience>,
) -> Reply<WebhookCounts> {
    let patience = Duration::from_millis(patience.timeout_ms.unwrap_or(DEFAULT_PATIENCE_MS));
    Ok(Json(world.courier.quiesce(patience).await?))
}

/// The customer reads a message.
pub(super) async fn read_by_customer(
    State(world): Shared,
    Path(wamid): Path<String>,
) -> Reply<Value> {
    world.customer_reads(&wamid)?;
    Ok(Json(json!({"success": true})))
}
