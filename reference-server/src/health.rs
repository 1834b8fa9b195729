//! Whether the process lives, and whether it can serve.

use kabar::Platform;
use poem::handler;
use poem::web::Data;
use poem::{IntoResponse as _, Response};

use crate::problem::Problem;

/// 200 as long as the process lives.
#[handler]
pub(crate) fn healthz() -> &'static str {
    "ok"
}

/// 200 when the database answers and its schema is up to date, else 503 with the part that is not.
#[handler]
pub(crate) async fn readyz(platform: Data<&Platform>) -> Response {
    match ready(platform.0).await {
        Ok(()) => "ok".into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn ready(platform: &Platform) -> Result<(), Problem> {
    let database = platform.database();
    if let Err(error) = database.ping().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "ready.database");
        return Err(Problem::not_ready("database", "does not answer"));
    }
    let missing = database.missing_migrations().await.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "ready.migrations");
        Problem::not_ready("schema", "cannot be read")
    })?;
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Problem::not_ready("schema", "is not up to date; run `kabar migrate`"))
    }
}
