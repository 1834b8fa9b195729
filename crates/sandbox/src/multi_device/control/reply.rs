//! Wording refusals; requests are read as everywhere under `/control`.

use axum::http::StatusCode;

use crate::control::reply::Refusal;
use crate::multi_device::error::MultiDeviceError;

pub(super) use crate::control::reply::{Reply, read, unknown};

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
        Self::new(status, error.to_string())
    }
}
