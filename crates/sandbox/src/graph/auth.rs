//! Who is calling.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::directory::Access;
use crate::graph_error::GraphError;
use crate::world::World;

/// A call with a valid token of an account.
pub(super) struct Caller(pub(super) Access);

impl FromRequestParts<Arc<World>> for Caller {
    type Rejection = GraphError;

    async fn from_request_parts(parts: &mut Parts, world: &Arc<World>) -> Result<Self, GraphError> {
        let token = token(parts).ok_or_else(missing)?;
        world.directory().access(&token).map(Self)
    }
}

/// A call with any valid token: of an account, or an app's `APP_ID|APP_SECRET`.
pub(super) struct AnyCaller {
    /// The app, when it is an app token.
    pub(super) app_id: Option<String>,
}

impl FromRequestParts<Arc<World>> for AnyCaller {
    type Rejection = GraphError;

    async fn from_request_parts(parts: &mut Parts, world: &Arc<World>) -> Result<Self, GraphError> {
        let token = token(parts).ok_or_else(missing)?;
        let directory = world.directory();
        if let Some((app_id, secret)) = token.split_once('|')
            && directory.app(app_id).is_some_and(|app| app.secret == secret)
        {
            return Ok(Self { app_id: Some(app_id.to_owned()) });
        }
        directory.access(&token).map(|_| Self { app_id: None })
    }
}

fn missing() -> GraphError {
    GraphError::token("An access token is required to request this resource.", None)
}

/// The token from `Authorization: Bearer` or `?access_token=`.
fn token(parts: &Parts) -> Option<String> {
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(header) = header {
        let (scheme, token) = header.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth");
        return known.then(|| token.trim().to_owned());
    }
    let query = parts.uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "access_token")
        .map(|(_, token)| token.into_owned())
}
