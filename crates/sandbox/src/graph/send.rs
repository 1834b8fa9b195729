//! `POST /P/messages`: sending, and marking as read.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::auth::Caller;
use super::{body, trouble};
use crate::accounts::Number;
use crate::config::WindowMode;
use crate::customers::Customer;
use crate::delivery::{Journey, depart};
use crate::directory::Access;
use crate::fault_book::Place;
use crate::faults::{FaultEffect, FaultPoint};
use crate::graph_error::GraphError;
use crate::media::check_kind;
use crate::message_log::Accepted;
use crate::messages::{DeliveryStatus, ReadMark};
use crate::validate::{self, Draft, Object, Recipient};
use crate::wamid;
use crate::world::World;

pub(super) async fn messages(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    match handle(&world, &access, &id, &headers, &raw).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn handle(
    world: &Arc<World>,
    access: &Access,
    id: &str,
    headers: &HeaderMap,
    raw: &[u8],
) -> Result<Response, GraphError> {
    let number = world.directory().number(access, id).cloned();
    let number = number.ok_or_else(|| GraphError::no_object("post", id))?;
    let request = body::read(headers, raw)?;
    validate::product(&request)?;
    if request.contains_key("status") {
        let effect = trouble::strike(world, FaultPoint::Call, Some(id), &[]);
        let run = async { mark_read(world, &number, &request).into_response() };
        return Ok(trouble::under(world, effect, run).await);
    }
    let send = check(world, access, number, request)?;
    let customer = &send.customer;
    let names = [customer.number.as_str(), customer.wa_id.as_str(), customer.user_id.as_str()];
    let effect = trouble::strike(world, FaultPoint::Send, Some(id), &names);
    let run = accept(world, send, effect.as_ref());
    Ok(trouble::under(world, effect.clone(), run).await)
}

/// A message that passed every check.
struct Send {
    waba_id: String,
    number: Number,
    customer: Customer,
    recipient: Recipient,
    draft: Draft,
    window_open: bool,
    failure: Option<u32>,
    request: Object,
}

fn check(
    world: &World,
    access: &Access,
    number: Number,
    request: Object,
) -> Result<Send, GraphError> {
    let recipient = validate::recipient(&request)?;
    let draft = {
        let directory = world.directory();
        validate::message(&request, directory.templates(&access.waba_id))?
    };
    if !number.registered {
        return Err(GraphError::of(133_010));
    }
    let customer = world.people().meet(&recipient.input);
    let customer = customer.ok_or_else(|| GraphError::value("recipient is not a known user id"))?;
    if customer.number == number.display_phone_number {
        return Err(GraphError::of(131_021));
    }
    let now_ms = world.clock.now_ms();
    throttle(world, &number, &customer, now_ms)?;
    let media_failure = attachments(world, &draft, now_ms)?;
    let window_open = world.people().window_open(&customer.number, &number.id, now_ms);
    let outside = !window_open && draft.template_category.is_none();
    let window_failure = match world.settings().window {
        WindowMode::Sync if outside => {
            let details = "Message failed to send because more than 24 hours have passed since \
                           the customer last replied to this number.";
            return Err(GraphError::detailed(131_047, details));
        }
        WindowMode::Async if outside => Some(131_047),
        _ => None,
    };
    let absent = (!customer.on_whatsapp).then_some(131_026);
    let failure = media_failure.or(absent).or(window_failure);
    let waba_id = access.waba_id.clone();
    Ok(Send { waba_id, number, customer, recipient, draft, window_open, failure, request })
}

fn throttle(
    world: &World,
    number: &Number,
    customer: &Customer,
    now_ms: u64,
) -> Result<(), GraphError> {
    let settings = world.settings();
    if let Some(limit) = settings.throughput_per_second
        && !world.limits().within_throughput(&number.id, now_ms, limit)
    {
        let details = "Message failed to send because there were too many messages sent from this \
                       phone number in a short period of time";
        return Err(GraphError::detailed(130_429, details));
    }
    if settings.pair_limit
        && !world.limits().within_pair_limit(&number.id, &customer.number, now_ms)
    {
        let details = "Message failed to send because there were too many messages sent from this \
                       phone number to the same user in a short period of time";
        return Err(GraphError::detailed(131_056, details));
    }
    Ok(())
}

/// Media ids must exist (refused at once) and fit the kind (fails later, 131053).
fn attachments(world: &World, draft: &Draft, now_ms: u64) -> Result<Option<u32>, GraphError> {
    let mut failure = None;
    for (kind, id) in &draft.media {
        let file = world.media().get(id, now_ms).ok_or_else(|| {
            GraphError::parameter(format!(
                "Param {}['id'] is not a valid whatsapp business account media attachment ID",
                kind.name()
            ))
        })?;
        if check_kind(*kind, &file.mime_type, file.data.len()).is_err() {
            failure = Some(131_053);
        }
    }
    Ok(failure)
}

/// The moment of acceptance: the message is remembered and sets out.
async fn accept(world: &Arc<World>, send: Send, effect: Option<&FaultEffect>) -> Response {
    let Send { waba_id, number, customer, recipient, draft, window_open, failure, request } = send;
    let wamid: Arc<str> = wamid::outgoing(&world.dice, &customer.wa_id).into();
    let reference: Option<Arc<str>> = draft.reference.as_deref().map(Arc::from);
    world.messages().accept(Accepted {
        sequence: 0,
        wamid: Arc::clone(&wamid),
        phone_number_id: number.id.as_str().into(),
        to: recipient.input.as_str().into(),
        customer: customer.number.as_str().into(),
        kind: draft.kind.as_str().into(),
        reference: reference.clone(),
        at_ms: world.clock.now_ms(),
        status: DeliveryStatus::Accepted,
        body: Value::Object(request).to_string().into(),
    });
    let answer = answer(&recipient, &customer, &wamid);
    let names = [customer.number.as_str(), customer.wa_id.as_str(), customer.user_id.as_str()];
    let place =
        Place { point: FaultPoint::Statuses, phone_number_id: Some(&number.id), customer: &names };
    let faults = world.faults().strike_all(place, &world.dice);
    let scripted = if let Some(FaultEffect::Fail { code }) = effect { Some(*code) } else { None };
    let at_once = matches!(effect, Some(FaultEffect::StatusFirst));
    let (witness, mut arrived) = mpsc::channel(1);
    let journey = Journey {
        waba_id,
        number,
        customer,
        wamid,
        kind: draft.kind,
        reference,
        template_category: draft.template_category,
        window_open,
        failure: scripted.or(failure),
        text: draft.text,
        faults,
        at_once,
    };
    depart(world, journey, at_once.then_some(witness));
    if at_once {
        // Ends when the last status was delivered and its sender dropped.
        let _none: Option<()> = arrived.recv().await;
    }
    answer
}

fn answer(recipient: &Recipient, customer: &Customer, wamid: &str) -> Response {
    let mut contact = json!({"input": recipient.input});
    if let Some(fields) = contact.as_object_mut() {
        if recipient.by_user_id {
            fields.insert("user_id".to_owned(), customer.user_id.as_str().into());
        } else {
            fields.insert("wa_id".to_owned(), customer.wa_id.as_str().into());
        }
    }
    Json(json!({
        "messaging_product": "whatsapp",
        "contacts": [contact],
        "messages": [{"id": wamid, "message_status": "accepted"}],
    }))
    .into_response()
}

fn mark_read(world: &World, number: &Number, request: &Object) -> Result<Response, GraphError> {
    if body::text(request, "status") != Some("read") {
        return Err(GraphError::parameter("Param status must be one of {READ}"));
    }
    let message_id = body::text(request, "message_id")
        .ok_or_else(|| GraphError::parameter("The parameter message_id is required."))?;
    if !message_id.starts_with("wamid.") {
        return Err(GraphError::value("message_id is not a message id"));
    }
    let typing = match request.get("typing_indicator") {
        None => false,
        Some(indicator) if indicator.get("type").and_then(Value::as_str) == Some("text") => true,
        Some(_) => {
            return Err(GraphError::parameter("Param typing_indicator['type'] must be text"));
        }
    };
    world.messages().mark_read(ReadMark {
        wamid: message_id.to_owned(),
        phone_number_id: number.id.clone(),
        typing,
        at_ms: world.clock.now_ms(),
    });
    Ok(body::success().into_response())
}
