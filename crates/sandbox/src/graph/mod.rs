//! The Graph API's side of the sandbox.

mod accounts;
mod auth;
mod body;
mod media;
mod numbers;
mod objects;
mod paging;
mod profile;
mod send;
mod subscriptions;
mod templates;
mod trouble;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::graph_error::GraphError;
use crate::world::World;

pub(crate) use trouble::Hangup;

/// Largest request body in bytes: a document of 100 MB and its form.
const MAX_BODY: usize = 101 * 1024 * 1024;

/// The version of the path, such as `v25.0`, taken off before routing.
#[derive(Debug, Clone, Default)]
pub(crate) struct GraphVersion(pub(crate) Option<String>);

/// All Graph routes, without their version.
pub(crate) fn routes(world: &Arc<World>) -> Router<Arc<World>> {
    Router::new()
        .route("/debug_token", get(accounts::debug_token))
        .route("/whatsapp_business/attachments/", get(media::download))
        .route("/{id}", get(objects::show).post(objects::update).delete(objects::remove))
        .route("/{id}/messages", post(send::messages))
        .route("/{id}/marketing_messages", post(send::messages))
        .route("/{id}/media", post(media::upload))
        .route("/{id}/register", post(numbers::register))
        .route("/{id}/deregister", post(numbers::deregister))
        .route("/{id}/whatsapp_business_profile", get(profile::show).post(profile::update))
        .route("/{id}/phone_numbers", get(numbers::list))
        .route(
            "/{id}/message_templates",
            get(templates::list).post(templates::create).delete(templates::remove),
        )
        .route(
            "/{id}/subscribed_apps",
            get(subscriptions::list).post(subscriptions::create).delete(subscriptions::remove),
        )
        .route("/{id}/subscriptions", post(subscriptions::app_webhook))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_path)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(Arc::clone(world), trouble::middleware))
}

async fn unknown_path(uri: Uri) -> GraphError {
    GraphError::no_path(uri.path())
}
