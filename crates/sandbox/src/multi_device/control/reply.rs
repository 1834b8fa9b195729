//! Reading control requests and wording refusals.

use axum::Json;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::multi_device::error::MultiDeviceError;

/// A refusal: `{"error":"…"}`.
pub(super) struct Refusal(StatusCode, String);

impl From<MultiDeviceError> for Refusal {
    fn from(error: MultiDeviceError) -> Self {
        let status = match error {
            MultiDeviceError::NotFound { .. } => StatusCode::NOT_FOUND,
            MultiDeviceError::TimedOut(_) => StatusCode::REQUEST_TIMEOUT,
            MultiDeviceError::Invalid(_) | MultiDeviceError::Malformed(_) => {
                StatusCode::BAD_REQUEST
            }
            MultiDeviceError::Bind { .. }
            | MultiDeviceError::KeyFile { .. }
            | MultiDeviceError::Randomness(_)
            | MultiDeviceError::Crypto(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

pub(super) type Reply<T> = Result<Json<T>, Refusal>;

/// Reads a JSON body whatever its content type; an empty body is an empty object.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text)
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))
}

pub(super) async fn unknown(uri: Uri) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("no control call {}", uri.path()))
}
