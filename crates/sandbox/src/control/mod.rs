//! The control API under `/control`: everything the handle can do, over HTTP.

pub(crate) mod reply;
mod setup;
mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};

use crate::world::World;

/// Largest control request in bytes: media come as base64.
const MAX_BODY: usize = 160 * 1024 * 1024;

/// All control routes.
pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/control/state", get(setup::state))
        .route("/control/settings", get(setup::settings).patch(setup::change_settings))
        .route("/control/accounts", get(setup::accounts).post(setup::add_account))
        .route("/control/accounts/{waba}/numbers", post(setup::add_number))
        .route("/control/accounts/{waba}/tokens", post(setup::add_token))
        .route("/control/accounts/{waba}/templates", post(setup::add_template))
        .route("/control/tokens/{token}", delete(setup::expire_token))
        .route("/control/webhook", put(setup::set_webhook).delete(setup::clear_webhook))
        .route("/control/customers", get(setup::customers))
        .route("/control/customers/{number}", get(setup::customer).put(setup::put_customer))
        .route("/control/clock/advance", post(setup::advance_clock))
        .route("/control/reset", post(setup::reset))
        .route("/control/inbound", post(traffic::inbound))
        .route("/control/media", post(traffic::add_media))
        .route("/control/messages", get(traffic::messages))
        .route("/control/messages/tally", get(traffic::tally))
        .route("/control/messages/{wamid}/read", post(traffic::read_by_customer))
        .route("/control/reads", get(traffic::read_marks))
        .route(
            "/control/faults",
            get(traffic::faults).post(traffic::add_fault).delete(traffic::clear_faults),
        )
        .route("/control/webhooks", get(traffic::webhooks))
        .route("/control/webhooks/raw", post(traffic::raw_webhook))
        .route("/control/pending", get(traffic::pending))
        .route("/control/quiesce", post(traffic::quiesce))
        .route("/control/{*rest}", get(reply::unknown).post(reply::unknown).put(reply::unknown))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}
