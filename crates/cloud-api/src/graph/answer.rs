//! Reading Graph's `error` object and the headers that ask us to wait.

use std::time::Duration;

use kabar_core::{ExposeSecret as _, Secret};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::client::http_error;
use super::{ApiError, GraphError};

/// Usage of a business account, by its id; the wait is in minutes.
const BUSINESS_USAGE: &str = "x-business-use-case-usage";
/// Usage of the app.
const APP_USAGE: &str = "x-app-usage";
/// The longest text of Meta's that we keep, in characters.
const MAX_TEXT: usize = 1000;
/// The longest wait that we believe a header.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// What is wrong with an answer, if anything. Graph may send an error with status 200.
pub(super) fn problem(
    status: StatusCode,
    wait: Option<Duration>,
    body: &[u8],
    token: &Secret,
) -> Option<GraphError> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let error = json.as_ref().and_then(|json| api_error(json.get("error")?, status.as_u16()));
    match error {
        Some(mut error) => {
            error.retry_after = wait;
            redact(&mut error, token);
            Some(GraphError::Api(Box::new(error)))
        }
        None if status.is_success() => None,
        None => Some(http_error(status, wait)),
    }
}

/// An error object of an answer or of a webhook (which says `title` where answers say `type`).
/// `None` when it has no code.
pub(crate) fn api_error(error: &Value, status: u16) -> Option<ApiError> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(clip);
    let message = text(error.get("message")).or_else(|| text(error.get("title")));
    let details = text(error.pointer("/error_data/details"));
    Some(ApiError {
        status,
        code: code(error.get("code")?)?,
        subcode: error.get("error_subcode").and_then(code),
        is_transient: error.get("is_transient").and_then(Value::as_bool) == Some(true),
        message: message.unwrap_or_default(),
        details: details.or_else(|| text(error.get("error_user_msg"))),
        trace: text(error.get("fbtrace_id")),
        retry_after: None,
    })
}

/// An error code, a number or its digits.
fn code(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn clip(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// Meta quotes a malformed token in its message.
fn redact(error: &mut ApiError, token: &Secret) {
    let token = token.expose_secret();
    if token.is_empty() {
        return;
    }
    error.message = error.message.replace(token, "…");
    if let Some(details) = &mut error.details {
        *details = details.replace(token, "…");
    }
}

/// How long to wait, from `Retry-After` in seconds, else from the usage headers in minutes.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = text(RETRY_AFTER.as_str()).and_then(|value| value.trim().parse().ok());
    let usage = || {
        [BUSINESS_USAGE, APP_USAGE]
            .iter()
            .filter_map(|name| serde_json::from_str::<Value>(text(name)?).ok())
            .filter_map(|usage| longest_minutes(&usage))
            .max()
    };
    seconds
        .or_else(|| usage().map(|minutes| minutes.saturating_mul(60)))
        .filter(|seconds| *seconds > 0)
        .map(|seconds: u64| Duration::from_secs(seconds).min(MAX_WAIT))
}

/// The longest `estimated_time_to_regain_access` at any depth.
fn longest_minutes(usage: &Value) -> Option<u64> {
    match usage {
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(key, value)| match key.as_str() {
                "estimated_time_to_regain_access" => value.as_u64(),
                _ => longest_minutes(value),
            })
            .max(),
        Value::Array(items) => items.iter().filter_map(longest_minutes).max(),
        _ => None,
    }
}
