//! Cursors and field selection.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::graph_error::GraphError;

const DEFAULT_LIMIT: usize = 25;
const MAX_LIMIT: usize = 100;

/// One page of a list, as `limit`, `after` and `before` ask. `address` is the list's own address.
pub(super) fn page(
    items: Vec<Value>,
    query: &HashMap<String, String>,
    address: &str,
) -> Result<Value, GraphError> {
    let limit = match query.get("limit").map(|it| it.parse::<usize>()) {
        None => DEFAULT_LIMIT,
        Some(Ok(limit @ 1..)) => limit.min(MAX_LIMIT),
        Some(_) => {
            return Err(GraphError::parameter("Param limit must be a positive integer"));
        }
    };
    let total = items.len();
    let start = match (query.get("after"), query.get("before")) {
        (Some(cursor), _) => position(cursor)?.saturating_add(1).min(total),
        (None, Some(cursor)) => position(cursor)?.saturating_sub(limit),
        (None, None) => 0,
    };
    let end = match (query.get("after"), query.get("before")) {
        (None, Some(cursor)) => position(cursor)?.min(total),
        _ => start.saturating_add(limit).min(total),
    };
    let shown: Vec<_> = items.into_iter().skip(start).take(end.saturating_sub(start)).collect();
    if shown.is_empty() {
        return Ok(json!({"data": []}));
    }
    let (before, after) = (cursor(start), cursor(end - 1));
    let mut paging = json!({"cursors": {"before": before, "after": after}});
    if let Some(links) = paging.as_object_mut() {
        let link = |way: &str, at: &str| format!("{address}?limit={limit}&{way}={at}").into();
        if end < total {
            links.insert("next".to_owned(), link("after", &after));
        }
        if start > 0 {
            links.insert("previous".to_owned(), link("before", &before));
        }
    }
    Ok(json!({"data": shown, "paging": paging}))
}

fn cursor(position: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("sandbox:{position}"))
}

fn position(cursor: &str) -> Result<usize, GraphError> {
    let read = || {
        let raw = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        std::str::from_utf8(&raw).ok()?.strip_prefix("sandbox:")?.parse().ok()
    };
    read().ok_or_else(|| GraphError::parameter("Invalid cursors values"))
}

/// The asked fields of an object (`a,b{c}`), or the default ones (none given: all). The id is
/// always there.
pub(super) fn select(object: Value, fields: Option<&str>, default: &[&str]) -> Value {
    let Value::Object(all) = object else {
        return object;
    };
    let asked = fields.map(top_level);
    let wanted = |key: &str| {
        key == "id"
            || match &asked {
                Some(asked) => asked.iter().any(|it| it == key),
                None => default.is_empty() || default.contains(&key),
            }
    };
    Value::Object(all.into_iter().filter(|(key, _)| wanted(key)).collect::<Map<_, _>>())
}

/// The names before braces and dots, at the top level of a field list.
fn top_level(fields: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut depth = 0_usize;
    for character in fields.chars() {
        match character {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => {
                if let Some(name) = names.last_mut() {
                    name.push(character);
                }
            }
            _ => {}
        }
    }
    let bare = |name: String| name.split('.').next().unwrap_or_default().trim().to_owned();
    names.into_iter().map(bare).collect()
}
