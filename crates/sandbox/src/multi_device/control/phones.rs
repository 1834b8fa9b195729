//! Phones: linking, sending, and what they received.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Server;
use super::reply::{Reply, read};
use crate::multi_device::error::MultiDeviceError;
use crate::multi_device::groups::MemberChange;
use crate::multi_device::mint::MintedSession;
use crate::multi_device::phone::{Content, PhoneHabits, PhoneMessage, PhoneReceipt};
use crate::multi_device::shared::Shared;
use crate::multi_device::virtual_phone::{Typing, VirtualPhone};

/// The phone of a number that exists.
fn find(shared: &Arc<Shared>, number: &str) -> Result<VirtualPhone, MultiDeviceError> {
    let number = shared.look(|state| state.account(number).map(|it| it.number.clone()))?;
    Ok(VirtualPhone::new(Arc::clone(shared), number))
}

fn overview(phone: &VirtualPhone) -> Reply<Value> {
    Ok(Json(json!({
        "number": phone.number(),
        "lid": phone.lid()?,
        "addressing": phone.addressing()?,
        "companions": phone.companions(),
        "messages": phone.messages().len(),
        "failures": phone.failures().len(),
    })))
}

pub(super) async fn phone(State(shared): Server, Path(number): Path<String>) -> Reply<Value> {
    overview(&find(&shared, &number)?)
}

pub(super) async fn open(State(shared): Server, Path(number): Path<String>) -> Reply<Value> {
    shared.change(|state| state.open_account(&number).map(|_| ()))?;
    overview(&find(&shared, &number)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mint {
    prekeys: Option<u32>,
}

pub(super) async fn mint(
    State(shared): Server,
    Path(number): Path<String>,
    body: Bytes,
) -> Reply<MintedSession> {
    let Mint { prekeys } = read(&body)?;
    let session = shared.change(|state| {
        let number = state.open_account(&number)?.number.clone();
        let prekeys = prekeys.unwrap_or(state.config.minted_prekeys);
        state.mint(&shared.keys, &number, prekeys)
    })?;
    Ok(Json(session))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scan {
    qr: String,
}

pub(super) async fn scan(
    State(shared): Server,
    Path(number): Path<String>,
    body: Bytes,
) -> Reply<Value> {
    let Scan { qr } = read(&body)?;
    Ok(Json(json!({"device": find(&shared, &number)?.scan(&qr)?})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    code: String,
}

pub(super) async fn enter_code(
    State(shared): Server,
    Path(number): Path<String>,
    body: Bytes,
) -> Reply<Value> {
    let Code { code } = read(&body)?;
    find(&shared, &number)?.enter_code(&code)?;
    Ok(Json(json!({"success": true})))
}

pub(super) async fn log_out(
    State(shared): Server,
    Path((number, device)): Path<(String, u16)>,
) -> Reply<Value> {
    find(&shared, &number)?.log_out(device)?;
    Ok(Json(json!({"success": true})))
}

fn shown(message: &PhoneMessage) -> Value {
    json!({
        "sequence": message.sequence,
        "id": message.id,
        "chat": message.chat,
        "sender": message.sender,
        "sender_device": message.sender_device,
        "from_me": message.from_me,
        "addressing": message.addressing,
        "arrivals": message.arrivals,
        "edit": message.edit,
        "at": message.at,
        "text": message.text(),
        "message": serde_json::to_value(&message.message).map(without_nulls).unwrap_or_default(),
    })
}

/// A protobuf names all of its fields, and hardly any is set.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let set = fields.into_iter().filter(|(_, value)| !value.is_null());
            set.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

pub(super) async fn messages(
    State(shared): Server,
    Path(number): Path<String>,
) -> Reply<Vec<Value>> {
    let messages = find(&shared, &number)?.messages();
    Ok(Json(messages.iter().map(shown).collect()))
}

#[derive(Deserialize)]
pub(super) struct NewMessage {
    to: String,
    content: Content,
    id: Option<String>,
}

pub(super) async fn send(
    State(shared): Server,
    Path(number): Path<String>,
    body: Bytes,
) -> Reply<Value> {
    let NewMessage { to, content, id } = read(&body)?;
    let id = find(&shared, &number)?.send_as(&to, content, id)?;
    Ok(Json(json!({"id": id})))
}

pub(super) async fn mark_read(
    State(shared): Server,
    Path((number, id)): Path<(String, String)>,
) -> Reply<Value> {
    find(&shared, &number)?.read(&id)?;
    Ok(Json(json!({"success": true})))
}

pub(super) async fn receipts(
    State(shared): Server,
    Path(number): Path<String>,
) -> Reply<Vec<PhoneReceipt>> {
    Ok(Json(find(&shared, &number)?.receipts()))
}

/// What a phone can do short of writing.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Action {
    Type { to: String, typing: Typing },
    GoOnline,
    GoOffline,
    Block { number: String },
    Unblock { number: String },
    MigrateToLid,
    Join { group: String },
    Leave { group: String },
}

pub(super) async fn act(
    State(shared): Server,
    Path(number): Path<String>,
    body: Bytes,
) -> Reply<Value> {
    let phone = find(&shared, &number)?;
    let action: Action = read(&body)?;
    match action {
        Action::Type { to, typing } => phone.type_in(&to, typing),
        Action::GoOnline => phone.set_online(true),
        Action::GoOffline => phone.set_online(false),
        Action::Block { number } => phone.set_blocked(&number, true),
        Action::Unblock { number } => phone.set_blocked(&number, false),
        Action::MigrateToLid => phone.migrate_to_lid(),
        Action::Join { group } => phone.join(&group),
        Action::Leave { group } => phone.leave(&group),
    }?;
    Ok(Json(json!({"success": true})))
}

pub(super) async fn set_habits(
    State(shared): Server,
    Path(number): Path<String>,
    body: Bytes,
) -> Reply<PhoneHabits> {
    let habits: PhoneHabits = read(&body)?;
    find(&shared, &number)?.set_habits(habits)?;
    Ok(Json(habits))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroup {
    subject: String,
    members: Vec<String>,
}

pub(super) async fn create_group(
    State(shared): Server,
    Path(number): Path<String>,
    body: Bytes,
) -> Reply<Value> {
    let NewGroup { subject, members } = read(&body)?;
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let group = find(&shared, &number)?.create_group(&subject, &members)?;
    Ok(Json(json!({"group": group})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeGroup {
    change: MemberChange,
    members: Vec<String>,
}

pub(super) async fn change_group(
    State(shared): Server,
    Path((number, group)): Path<(String, String)>,
    body: Bytes,
) -> Reply<Value> {
    let ChangeGroup { change, members } = read(&body)?;
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    find(&shared, &number)?.change_group(&group, change, &members)?;
    Ok(Json(json!({"success": true})))
}
