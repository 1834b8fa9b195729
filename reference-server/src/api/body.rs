//! JSON bodies: bounded, read strictly, with the field of every mistake.

use std::time::Duration;

use bytes::Bytes;
use poem::error::ReadBodyError;
use poem::{Body, Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// Bytes of a JSON body, at most.
pub const MOST: usize = 2 * 1024 * 1024;
/// Seconds that every body may take …
const GRACE: u64 = 30;
/// … and beyond them, bytes that must arrive in a second.
const SLOWEST: usize = 64 * 1024;
const JSON: &str = "application/json";
/// How JSON writes U+0000; as it is it may not stand in a text.
const NUL: &[u8] = br"\u0000";

/// A JSON body and the SHA-256 of its bytes.
#[derive(Debug)]
pub struct JsonBody<T> {
    /// What it says.
    pub value: T,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for JsonBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        if !is_json(request.content_type()) {
            return Err(Problem::wrong_type(JSON).into());
        }
        let bytes = bytes(request, body.take()?, MOST).await?;
        let value = read(&bytes)?;
        let hash = Sha256::digest(&bytes).into();
        Ok(Self { value, hash })
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let mime = content_type.and_then(|text| text.parse::<mime::Mime>().ok());
    mime.is_some_and(|mime| mime.essence_str() == JSON)
}

/// The bytes of a body, at most `most` of them.
///
/// # Errors
/// 413 when there are more, 400 when they do not all arrive.
pub async fn bytes(request: &Request, body: Body, most: usize) -> Result<Bytes, Problem> {
    let announced = request.header("content-length").and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(Problem::too_large(most));
    }
    let whole =
        tokio::time::timeout(patience(announced.unwrap_or(most)), body.into_bytes_limit(most));
    let whole = whole.await.map_err(|_| Problem::too_slow())?;
    whole.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => Problem::too_large(most),
        error => Problem::bad_request(format!("the body did not arrive: {error}")),
    })
}

/// How long a body of so many bytes may take: a slow sender holds a connection, and the memory of
/// what came so far.
const fn patience(bytes: usize) -> Duration {
    let seconds = bytes / SLOWEST;
    Duration::from_secs(GRACE.saturating_add(seconds as u64))
}

/// Reads a document: at once where nothing is wrong with it, and by steps to say what is.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if !bytes.windows(NUL.len()).any(|six| six == NUL)
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return Ok(value);
    }
    by_steps(bytes)
}

fn by_steps<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let document: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is no JSON: {error}")))?;
    if let Some(field) = nul(&document) {
        let problem = "must not contain the character U+0000; remove it";
        return Err(Problem::unreadable(field, problem));
    }
    from_value(document).map_err(|(field, problem)| Problem::unreadable(field, problem))
}

/// Reads a value; of a mistake, its field and what is wrong.
///
/// # Errors
/// The path of the field, and the problem.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner().to_string();
        let (below, problem) =
            match problem.strip_prefix(BELOW).and_then(|rest| rest.split_once(BELOW)) {
                Some((below, problem)) => (below.to_owned(), problem.to_owned()),
                None => (named(&problem).unwrap_or_default(), problem),
            };
        (join(&path, &below), problem)
    })
}

/// Stands around a path inside an error's text, where a value is read in two steps.
const BELOW: char = '\u{1f}';

/// The error of a value that is read in two steps, with the path below it.
pub fn below<E: serde::de::Error>((field, problem): (String, String)) -> E {
    E::custom(format!("{BELOW}{field}{BELOW}{problem}"))
}

fn join(path: &str, below: &str) -> String {
    match (path, below) {
        ("." | "", "") => "body".to_owned(),
        ("." | "", below) => below.to_owned(),
        (path, "") => path.to_owned(),
        (path, below) if below.starts_with('[') => format!("{path}{below}"),
        // A field that must not be there is already at the end of its path.
        (path, below) if path == below || path.ends_with(&format!(".{below}")) => path.to_owned(),
        (path, below) => format!("{path}.{below}"),
    }
}

/// The field that a missing-field error speaks of.
fn named(problem: &str) -> Option<String> {
    let rest = problem.strip_prefix("missing field `")?;
    rest.split_once('`').map(|(field, _)| field.to_owned())
}

/// The path of the first text that holds U+0000, which PostgreSQL cannot store.
fn nul(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            nul(item).map(|below| join_place(&format!("[{index}]"), &below))
        }),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            if name.contains('\0') {
                return Some(name.replace('\0', "\u{fffd}"));
            }
            nul(field).map(|below| join_place(name, &below))
        }),
        _ => None,
    }
}

fn join_place(place: &str, below: &str) -> String {
    if below.is_empty() || below.starts_with('[') {
        format!("{place}{below}")
    } else {
        format!("{place}.{below}")
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Item {
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct List {
        items: Vec<Item>,
    }

    #[test]
    fn mistakes_name_their_field() {
        for (document, field) in [
            (json!({"items": [{"name": "a"}, {}]}), "items[1].name"),
            (json!({"items": [{"name": 1}]}), "items[0].name"),
            (json!({"items": [{"name": "a", "more": 1}]}), "items[0].more"),
            (json!({}), "items"),
            (json!([]), "body"),
            (json!({"items": "x"}), "items"),
        ] {
            let (found, _) = from_value::<List>(document.clone()).unwrap_err();
            assert_eq!(found, field, "{document}");
        }
    }

    #[test]
    fn a_document_is_read_alike_at_once_and_by_steps() {
        assert!(read::<List>(br#"{"items": [{"name": "a"}]}"#).is_ok());
        // A backslash and digits, no U+0000: only the steps can tell.
        assert!(read::<List>(br#"{"items": [{"name": "a\\u0000"}]}"#).is_ok());
        for wrong in [
            &br#"{"items": [{"name": "a\u0000"}]}"#[..],
            br#"{"items": [{"name": 1}]}"#,
            br#"{"items": []} more"#,
            br#"{"items": [{"name": "a", "b": 1}]}"#,
        ] {
            assert!(read::<List>(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn nul_is_found_wherever_it_is() {
        assert_eq!(nul(&json!({"a": [{"b": "x\0"}]})).as_deref(), Some("a[0].b"));
        assert_eq!(nul(&json!({"a\0": 1})).as_deref(), Some("a\u{fffd}"));
        assert_eq!(nul(&json!({"a": "b"})), None);
    }
}
