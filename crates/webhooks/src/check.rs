//! The rules for what tenants set.

use std::collections::BTreeMap;

use kabar_core::{ExposeSecret as _, Secret};
use kabar_outbound::Guard;
use kabar_outbound::header::{HeaderName, HeaderValue};

use crate::endpoint::EndpointSettings;

/// Characters of an address, at most.
const URL: usize = 2_000;
/// Characters of a description, at most.
const DESCRIPTION: usize = 200;
/// Headers of an endpoint's own, at most.
const HEADERS: usize = 20;
/// Bytes of a header's value, at most.
const VALUE: usize = 2_000;
/// Patterns of events, at most.
const EVENTS: usize = 50;
/// Devices, at most.
const DEVICES: usize = 200;
/// Deliveries in a second, at most.
const RATE: u32 = 10_000;

/// Headers that are ours, the connection's, or would change where a request goes.
const OURS: [&str; 20] = [
    "accept-encoding",
    "connection",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];
/// Beginnings of such headers.
const OUR_KINDS: [&str; 5] = ["webhook-", "content-", "proxy-", "sec-", "svix-"];

/// A field whose value cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct Invalid {
    /// The field, as the API calls it.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Invalid {
    /// A field and what is wrong with it.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Checks what a tenant sets.
pub(crate) fn settings(settings: &EndpointSettings, guard: &Guard) -> Result<(), Invalid> {
    let url = &settings.url;
    if url.as_str().len() > URL {
        return Err(Invalid::new("url", format!("must have at most {URL} characters")));
    }
    guard.check(url).map_err(|error| Invalid::new("url", error.to_string()))?;
    let description = settings.description.as_deref().unwrap_or("x");
    if !(1..=DESCRIPTION).contains(&description.chars().count())
        || description.chars().any(char::is_control)
    {
        let problem = format!("must have 1 to {DESCRIPTION} characters, none of them control");
        return Err(Invalid::new("description", problem));
    }
    between("events", settings.events.len(), 1, EVENTS)?;
    between("devices", settings.devices.len(), 0, DEVICES)?;
    let most = usize::from(EndpointSettings::MOST_CONCURRENCY);
    between("concurrency", usize::from(settings.concurrency), 1, most)?;
    let most = usize::from(EndpointSettings::MOST_TIMEOUT);
    between("timeout_seconds", usize::from(settings.timeout_seconds), 1, most)?;
    if settings.rate.is_some_and(|rate| !(1..=RATE).contains(&rate)) {
        return Err(Invalid::new("rate", format!("must be 1 to {RATE}; null sets no limit")));
    }
    headers(&settings.headers)
}

fn between(field: &str, value: usize, least: usize, most: usize) -> Result<(), Invalid> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(field, format!("must be {least} to {most}")))
}

fn headers(headers: &BTreeMap<String, Secret>) -> Result<(), Invalid> {
    between("headers", headers.len(), 0, HEADERS)?;
    for (name, value) in headers {
        let field = format!("headers.{}", name.chars().take(64).collect::<String>());
        let wrong = |problem: &str| Err(Invalid::new(field.clone(), problem));
        if name.len() > 100 || HeaderName::from_bytes(name.as_bytes()).is_err() {
            return wrong("is not the name of a header");
        }
        if OURS.contains(&name.as_str()) || OUR_KINDS.iter().any(|kind| name.starts_with(kind)) {
            return wrong("is set by us; use another name");
        }
        let value = value.expose_secret();
        let visible = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if value.is_empty()
            || value.len() > VALUE
            || !visible
            || HeaderValue::from_str(value).is_err()
        {
            return wrong("must have 1 to 2000 printable ASCII characters");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::EventPattern;

    fn with(change: impl FnOnce(&mut EndpointSettings)) -> Result<(), String> {
        let url = "https://example.com/hook".parse().expect("a URL");
        let mut new = EndpointSettings::new(url, vec![EventPattern::all()]);
        change(&mut new);
        settings(&new, &Guard::default()).map_err(|invalid| invalid.field)
    }

    #[test]
    fn mistakes_name_their_field() {
        let header = |name: &str, value: &str| {
            let (name, value) = (name.to_owned(), Secret::from(value));
            with(|it| it.headers = BTreeMap::from([(name, value)]))
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(header("authorization", "Bearer x"), Ok(()));
        for name in [
            "webhook-signature",
            "webhook-id",
            "content-type",
            "content-length",
            "host",
            "connection",
            "transfer-encoding",
            "user-agent",
            "a b",
            "",
        ] {
            assert_eq!(header(name, "x"), Err(format!("headers.{name}")));
        }
        assert_eq!(header("x-a", "a\r\nb: c"), Err("headers.x-a".to_owned()));
        let url = |text: &str| with(|it| it.url = text.parse().expect("a URL"));
        for text in
            ["http://127.0.0.1/", "http://[::1]/", "ftp://example.com/", "https://a:b@example.com/"]
        {
            assert_eq!(url(text), Err("url".to_owned()), "{text}");
        }
        assert_eq!(with(|it| it.events.clear()), Err("events".to_owned()));
        assert_eq!(with(|it| it.concurrency = 0), Err("concurrency".to_owned()));
        assert_eq!(with(|it| it.concurrency = 101), Err("concurrency".to_owned()));
        assert_eq!(with(|it| it.timeout_seconds = 31), Err("timeout_seconds".to_owned()));
        assert_eq!(with(|it| it.rate = Some(0)), Err("rate".to_owned()));
        assert_eq!(with(|it| it.description = Some(String::new())), Err("description".to_owned()));
    }
}
