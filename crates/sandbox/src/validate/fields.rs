//! Reading one field of a request, with Meta's words when it is wrong.

use serde_json::{Map, Value};

use crate::graph_error::GraphError;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

pub(super) type Checked<T = ()> = Result<T, GraphError>;

/// A required object.
pub(super) fn object<'a>(from: &'a Object, key: &str, path: &str) -> Checked<&'a Object> {
    match from.get(key) {
        Some(Value::Object(found)) => Ok(found),
        None | Some(Value::Null) => Err(GraphError::missing(path)),
        Some(_) => Err(GraphError::parameter(format!("Param {path} must be a JSON object."))),
    }
}

/// A required array with a number of items within bounds.
pub(super) fn array<'a>(
    from: &'a Object,
    key: &str,
    path: &str,
    (min, max): (usize, usize),
) -> Checked<&'a [Value]> {
    let found = match from.get(key) {
        Some(Value::Array(found)) => found,
        None | Some(Value::Null) => return Err(GraphError::missing(path)),
        Some(_) => {
            return Err(GraphError::parameter(format!("Param {path} must be an array.")));
        }
    };
    if !(min..=max).contains(&found.len()) {
        let text =
            format!("Invalid {path} count. Min allowed {path}: {min}, Max allowed {path}: {max}");
        return Err(GraphError::value(text));
    }
    Ok(found)
}

/// An array item that must be an object.
pub(super) fn item<'a>(value: &'a Value, path: &str) -> Checked<&'a Object> {
    let text = || GraphError::parameter(format!("Param {path} must be a JSON object."));
    value.as_object().ok_or_else(text)
}

/// A required text of 1 to `max` characters.
pub(super) fn text<'a>(from: &'a Object, key: &str, path: &str, max: usize) -> Checked<&'a str> {
    optional_text(from, key, path, max)?.ok_or_else(|| GraphError::missing(path))
}

/// An optional text of 1 to `max` characters.
pub(super) fn optional_text<'a>(
    from: &'a Object,
    key: &str,
    path: &str,
    max: usize,
) -> Checked<Option<&'a str>> {
    let found = match from.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(found)) => found,
        Some(_) => {
            return Err(GraphError::parameter(format!("Param {path} must be a string.")));
        }
    };
    if found.trim().is_empty() || found.chars().count() > max {
        let text = format!("{path} length invalid. Min length: 1, Max length: {max}");
        return Err(GraphError::value(text));
    }
    Ok(Some(found))
}

/// A required number, or text that holds one.
pub(super) fn number(from: &Object, key: &str, path: &str, most: f64) -> Checked {
    let found = match from.get(key) {
        Some(Value::Number(found)) => found.as_f64(),
        Some(Value::String(found)) => found.parse().ok(),
        _ => return Err(GraphError::missing(path)),
    };
    if found.is_some_and(|found| found.abs() <= most) {
        Ok(())
    } else {
        Err(GraphError::value(format!("{path} must be a number from -{most} to {most}")))
    }
}

/// Texts that may not repeat.
pub(super) fn distinct<'a>(texts: &[&'a str], what: &str) -> Checked {
    let mut seen: Vec<&'a str> = Vec::with_capacity(texts.len());
    for text in texts {
        if seen.contains(text) {
            return Err(GraphError::value(format!("Duplicated {what}: {text}")));
        }
        seen.push(text);
    }
    Ok(())
}

/// An address Meta would fetch.
pub(super) fn web_address(found: &str, path: &str) -> Checked {
    let good = url::Url::parse(found).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if good {
        Ok(())
    } else {
        Err(GraphError::parameter(format!("Param {path} is not a valid URI.")))
    }
}
