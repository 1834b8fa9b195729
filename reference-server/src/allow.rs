//! `Allow`: which methods an address has, for those who used another (RFC 9110, section 15.5.6).

use std::sync::OnceLock;

use poem::http::HeaderValue;
use serde_json::Value;

use crate::api::document;

/// An address, part by part; `None` stands for any part.
type Parts = Vec<Option<String>>;

/// The methods of every address; looked up in the document when somebody is wrong for the first time.
#[derive(Debug, Default)]
pub(crate) struct Methods(OnceLock<Vec<(Parts, HeaderValue)>>);

impl Methods {
    /// Those of the document, and of what stands beside it.
    fn read() -> Vec<(Parts, HeaderValue)> {
        let document: Value = serde_json::from_slice(&document::bytes()).unwrap_or_default();
        let paths = document.get("paths").and_then(Value::as_object);
        let paths = paths.into_iter().flatten();
        let described = paths.map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            let words: Vec<String> = methods.map(|(word, _)| word.to_uppercase()).collect();
            (parts(&format!("/api/v1{path}")), words.join(", "))
        });
        let beside = [
            ("/webhooks/cloud-api/{app}", "GET, POST"),
            ("/api/v1/openapi.json", "GET"),
            ("/api/docs", "GET"),
            ("/healthz", "GET"),
            ("/readyz", "GET"),
            ("/metrics", "GET"),
        ];
        let beside = beside.map(|(path, words)| (parts(path), words.to_owned()));
        let all = described.chain(beside);
        all.filter_map(|(parts, words)| Some((parts, HeaderValue::try_from(words).ok()?))).collect()
    }

    /// The methods of an address.
    pub(crate) fn of(&self, path: &str) -> Option<HeaderValue> {
        let asked: Vec<&str> = path.split('/').collect();
        let fits = |parts: &Parts| {
            parts.len() == asked.len()
                && parts
                    .iter()
                    .zip(&asked)
                    .all(|(part, asked)| part.as_deref().is_none_or(|part| part == *asked))
        };
        let found = self.0.get_or_init(Self::read).iter().find(|(parts, _)| fits(parts));
        found.map(|(_, methods)| methods.clone())
    }
}

fn parts(path: &str) -> Parts {
    path.split('/').map(|part| (!part.starts_with('{')).then(|| part.to_owned())).collect()
}
