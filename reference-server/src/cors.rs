//! Which pages of other origins may call the API from a browser (Fetch standard, "CORS protocol").
//!
//! None by default. Credentials of the browser (cookies) are never allowed: the API knows bearer
//! tokens only, which a page has to hold itself.

use poem::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};
use serde::{Deserialize, Serialize};
use url::{Origin, Url};

/// What a page may send.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, kabar-account, last-event-id, traceparent",
);
/// What it may read beside the body.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, idempotency-replayed, location, retry-after, ratelimit, ratelimit-policy",
);
/// Seconds for which a browser remembers it.
const AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSettings {
    /// Like `https://app.example.com`; `*` for all.
    pub origins: Vec<String>,
}

/// An origin that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "setting `cors.origins`: `{0}` is no origin; write it like https://app.example.com, or `*`"
)]
pub struct BadOrigin(String);

/// The origins, read.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    all: bool,
    origins: Vec<String>,
}

impl Cors {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`BadOrigin`].
    pub fn new(settings: &CorsSettings) -> Result<Self, BadOrigin> {
        let mut cors = Self::default();
        for text in &settings.origins {
            if text == "*" {
                cors.all = true;
                continue;
            }
            let origin =
                Url::parse(text).ok().filter(|url| url.path() == "/").map(|url| url.origin());
            match origin {
                Some(origin @ Origin::Tuple(..)) if !text.ends_with('/') => {
                    cors.origins.push(origin.ascii_serialization());
                }
                _ => return Err(BadOrigin(text.clone())),
            }
        }
        Ok(cors)
    }

    /// What to say to the page that asks, if it may.
    fn allowed(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        if self.all {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|known| known == text).then(|| origin.clone())
    }

    /// The answer to a browser that asks first; `None` for every other request.
    pub(crate) fn preflight(&self, request: &Request) -> Option<Response> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks {
            return None;
        }
        let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
        if let Some(origin) = self.allowed(request) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, AGE);
        }
        vary(&mut response);
        Some(response)
    }

    /// What an answer to this request gets.
    pub(crate) fn of(&self, request: &Request) -> Allowed {
        Allowed { on: self.all || !self.origins.is_empty(), origin: self.allowed(request) }
    }
}

/// What an answer gets.
pub(crate) struct Allowed {
    on: bool,
    origin: Option<HeaderValue>,
}

impl Allowed {
    pub(crate) fn put(self, response: &mut Response) {
        if let Some(origin) = self.origin {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        if self.on {
            vary(response);
        }
    }
}

fn vary(response: &mut Response) {
    let name: HeaderName = header::VARY;
    response.headers_mut().append(name, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> Result<Cors, BadOrigin> {
        let origins = origins.iter().map(|text| (*text).to_owned()).collect();
        Cors::new(&CorsSettings { origins })
    }

    #[test]
    fn only_origins_are_taken() {
        for text in ["https://a.example/path", "https://a.example/", "a.example", "null", ""] {
            assert!(cors(&[text]).is_err(), "{text}");
        }
        assert!(cors(&["https://a.example", "http://localhost:5173", "*"]).is_ok());
    }
}
