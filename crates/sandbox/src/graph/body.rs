//! Request bodies: JSON, or a form whose values may be JSON.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::graph_error::GraphError;
use crate::validate::Object;

/// Reads the body of a call into an object; an empty body is an empty object.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Object, GraphError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(form(body));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(GraphError::parameter(
            "Invalid parameter: the request body is not a valid JSON object.",
        )),
    }
}

fn form(body: &[u8]) -> Object {
    let pairs = url::form_urlencoded::parse(body).map(|(key, text)| {
        let nested = text.starts_with(['{', '[']).then(|| serde_json::from_str(&text).ok());
        (key.into_owned(), nested.flatten().unwrap_or_else(|| Value::from(text.as_ref())))
    });
    pairs.collect()
}

/// A text value, if it is there.
pub(super) fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// `{"success":true}`.
pub(super) fn success() -> axum::Json<Value> {
    axum::Json(json!({"success": true}))
}
