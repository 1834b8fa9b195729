//! The control API of the multi-device server: JSON over HTTP, beside the media servers.

mod phones;
mod reply;
mod server;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{delete, get, post, put};

use super::shared::Shared;

/// Largest body: a media file in base64.
const MAX_BODY: usize = 64 * 1024 * 1024;

type Server = State<Arc<Shared>>;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/control/state", get(server::state))
        .route("/control/connections", get(server::connections))
        .route("/control/connections/end", post(server::end))
        .route(
            "/control/faults",
            get(server::faults).post(server::add_fault).delete(server::clear_faults),
        )
        .route("/control/absent/{number}", put(server::set_absent))
        .route("/control/phones/{number}", get(phones::phone).put(phones::open))
        .route("/control/phones/{number}/sessions", post(phones::mint))
        .route("/control/phones/{number}/scan", post(phones::scan))
        .route("/control/phones/{number}/code", post(phones::enter_code))
        .route("/control/phones/{number}/companions/{device}", delete(phones::log_out))
        .route("/control/phones/{number}/messages", get(phones::messages).post(phones::send))
        .route("/control/phones/{number}/messages/{id}/read", post(phones::mark_read))
        .route("/control/phones/{number}/receipts", get(phones::receipts))
        .route("/control/phones/{number}/act", post(phones::act))
        .route("/control/phones/{number}/habits", put(phones::set_habits))
        .route("/control/phones/{number}/groups", post(phones::create_group))
        .route("/control/phones/{number}/groups/{group}", post(phones::change_group))
        .route("/control/{*rest}", get(reply::unknown).post(reply::unknown).put(reply::unknown))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}
