//! Reading control requests and wording refusals.

use axum::Json;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::SandboxError;

/// A refusal: `{"error":"…"}`.
pub(crate) struct Refusal(StatusCode, String);

impl Refusal {
    pub(crate) const fn new(status: StatusCode, text: String) -> Self {
        Self(status, text)
    }
}

impl From<SandboxError> for Refusal {
    fn from(error: SandboxError) -> Self {
        let status = match error {
            SandboxError::NotFound { .. } => StatusCode::NOT_FOUND,
            SandboxError::Exists { .. } => StatusCode::CONFLICT,
            SandboxError::Busy(_) => StatusCode::REQUEST_TIMEOUT,
            SandboxError::Invalid(_) => StatusCode::BAD_REQUEST,
            SandboxError::Bind { .. } | SandboxError::Client(_) | SandboxError::Seed(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

pub(crate) type Reply<T> = Result<Json<T>, Refusal>;

/// Reads a JSON body whatever its content type; an empty body is an empty object.
pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text)
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))
}

pub(crate) async fn unknown(uri: Uri) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("no control call {}", uri.path()))
}
