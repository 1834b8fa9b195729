//! What Meta posts to us: `/webhooks/cloud-api/{app}`.
//!
//! A body is verified over its raw bytes, decoded, stored, and only then acknowledged. Once the
//! signature is right the answer is 200, or 503 when it could not be stored: Meta delivers again
//! what was not acknowledged, and again, so a body that we cannot read must not be refused.

use kabar::Platform;
use kabar::cloud_api::webhook::{
    SIGNATURE_HEADER, decode, verify_handshake_query, verify_signature,
};
use kabar::core::{InstallationScope, MetaAppId};
use kabar::devices::meta::WebhookApp;
use poem::web::{Data, Path};
use poem::{Body, IntoEndpoint, Request, Response, get, handler};

use crate::api::body;
use crate::problem::Problem;

/// Bytes of a body, at most: Meta sends up to 3 MB.
pub const MOST: usize = 4 * 1024 * 1024;
const SCOPE: InstallationScope = InstallationScope::system("webhooks");

/// The address of an app's webhooks, below the server's own.
pub fn path(app: MetaAppId) -> String {
    format!("/webhooks/cloud-api/{app}")
}

/// The two operations at an app's address.
pub fn endpoint() -> impl IntoEndpoint<Endpoint: 'static> {
    get(handshake).post(receive)
}

async fn app(platform: &Platform, id: &str) -> Result<WebhookApp, Problem> {
    let absent = || Problem::not_found("no such Meta app");
    let id: MetaAppId = id.parse().map_err(|_| absent())?;
    let found = platform.meta_apps().webhook_app(SCOPE, id).await?;
    found.ok_or_else(absent)
}

#[handler]
async fn handshake(
    platform: Data<&Platform>,
    Path(id): Path<String>,
    request: &Request,
) -> poem::Result<Response> {
    let app = app(&platform, &id).await?;
    let query = request.uri().query().unwrap_or_default();
    let challenge = verify_handshake_query(query, &app.verify_token)
        .map_err(|error| Problem::forbidden(error.to_string()))?;
    Ok(Response::builder().content_type("text/plain; charset=utf-8").body(challenge))
}

#[handler]
async fn receive(
    platform: Data<&Platform>,
    Path(id): Path<String>,
    request: &Request,
    sent: Body,
) -> poem::Result<&'static str> {
    let app = app(&platform, &id).await?;
    let bytes = body::bytes(request, sent, MOST).await?;
    verify_signature(&app.app_secret, request.header(SIGNATURE_HEADER), &bytes)
        .map_err(|error| Problem::unauthorized(error.to_string()))?;
    let mut batch = decode(app.id, &bytes, platform.clock().now());
    batch.within = app.account;
    let report = platform.intake().accept(batch).await.map_err(Problem::from)?;
    tracing::debug!(?report, "webhook.stored");
    Ok("")
}
