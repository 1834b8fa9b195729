//! Connections, faults, and what the server knows of itself.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Server;
use super::reply::{Reply, read};
use crate::multi_device::faults::{ActiveDeviceFault, Ending};
use crate::multi_device::handle::{self, Connection};
use crate::multi_device::trouble::end_link;

pub(super) async fn state(State(shared): Server) -> Reply<Value> {
    let root = shared.keys.root_key()?;
    Ok(Json(shared.look(|state| {
        json!({
            "root_key": STANDARD.encode(root),
            "phones": state.accounts().count(),
            "companions": state.accounts().map(|account| account.companions.len()).sum::<usize>(),
            "connections": state.logins.len(),
            "pairing": state.pairings.len(),
            "groups": state.groups.len(),
            "unhandled": state.unhandled,
        })
    })))
}

pub(super) async fn connections(State(shared): Server) -> Json<Vec<Connection>> {
    Json(shared.look(handle::connections))
}

#[derive(Deserialize)]
pub(super) struct End {
    number: String,
    device: Option<u16>,
    ending: Ending,
}

pub(super) async fn end(State(shared): Server, body: Bytes) -> Reply<Value> {
    let End { number, device, ending } = read(&body)?;
    let links = shared.look(|state| state.links(&number, device));
    for link in &links {
        end_link(link, ending);
    }
    Ok(Json(json!({"ended": links.len()})))
}

pub(super) async fn faults(State(shared): Server) -> Json<Vec<ActiveDeviceFault>> {
    Json(shared.look(|state| state.faults.list()))
}

pub(super) async fn add_fault(State(shared): Server, body: Bytes) -> Reply<Value> {
    let fault = read(&body)?;
    let id = shared.change(|state| state.faults.add(fault))?;
    Ok(Json(json!({"id": id})))
}

pub(super) async fn clear_faults(State(shared): Server) -> Json<Value> {
    shared.change(|state| state.faults.clear());
    Json(json!({"success": true}))
}

pub(super) async fn set_absent(State(shared): Server, Path(number): Path<String>) -> Json<Value> {
    shared.change(|state| state.set_absent(&number));
    Json(json!({"success": true}))
}
