//! One signed call.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kabar_core::{ExposeSecret as _, Secret, Timestamp};
use kabar_outbound::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use kabar_outbound::{Outbound, Post};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use url::Url;

use super::verdict::Verdict;
use super::{Inner, PATIENCE};
use crate::endpoint::EndpointSettings;
use crate::repo::Due;
use crate::secret::{Signer, SigningSecret};

/// Values shorter than this are no secrets, and would black out half an answer.
const SECRET: usize = 4;

/// An endpoint, ready to be called.
#[derive(Debug)]
pub(super) struct Target {
    url: Url,
    headers: HeaderMap,
    signer: Signer,
    timeout: Duration,
    /// What must not be kept of an answer.
    secrets: Vec<Secret>,
}

/// An attempt that came to an end.
pub(super) struct Tried {
    pub(super) due: Due,
    pub(super) at: Timestamp,
    pub(super) took: Duration,
    pub(super) verdict: Verdict,
}

impl Target {
    pub(super) fn new(settings: &EndpointSettings, secrets: &[SigningSecret]) -> Self {
        let own = settings.headers.values();
        let secrets_of = own.chain(secrets.iter().map(|one| &one.secret)).cloned().collect();
        Self {
            url: settings.url.clone(),
            headers: headers(&settings.headers),
            signer: Signer::new(secrets),
            timeout: Duration::from_secs(u64::from(settings.timeout_seconds)),
            secrets: secrets_of,
        }
    }

    fn post(&self, id: &str, payload: String, at: Timestamp) -> Post {
        let body = Bytes::from(payload);
        let signature = self.signer.sign(id, at, &body);
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let own = [
            ("webhook-id", id),
            ("webhook-timestamp", &at.timestamp().to_string()),
            ("webhook-signature", &signature),
        ];
        for (name, value) in own {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        Post { url: self.url.clone(), headers, body, timeout: self.timeout }
    }

    /// An answer without our secrets: some servers answer with what they were asked.
    fn redacted(&self, text: String) -> String {
        let secrets = self.secrets.iter().map(kabar_core::ExposeSecret::expose_secret);
        secrets
            .filter(|secret| secret.len() >= SECRET)
            .fold(text, |text, secret| text.replace(secret, "…"))
    }

    /// Posts one delivery; the hand is given back as soon as it is known to be slow.
    pub(super) async fn attempt(
        &self,
        inner: &Inner,
        due: Due,
        hand: OwnedSemaphorePermit,
    ) -> Tried {
        let (at, began) = (inner.clock.now(), Instant::now());
        let payload = due.payload.clone().unwrap_or_default();
        let post = self.post(&due.id.to_string(), payload, at);
        let result = patiently(&inner.outbound, inner, post, hand).await;
        let mut verdict = Verdict::of(result, inner.clock.now());
        verdict.response = verdict.response.map(|text| self.redacted(text));
        Tried { due, at, took: began.elapsed(), verdict }
    }
}

async fn patiently(
    outbound: &Outbound,
    inner: &Inner,
    post: Post,
    hand: OwnedSemaphorePermit,
) -> Result<kabar_outbound::Answer, kabar_outbound::OutboundError> {
    let mut call = std::pin::pin!(outbound.post(post));
    if let Ok(result) = tokio::time::timeout(PATIENCE, &mut call).await {
        return result;
    }
    let slow = inner.slow.try_acquire();
    let kept = slow.is_err().then_some(hand);
    let result = call.await;
    drop((slow, kept));
    result
}

fn headers(own: &BTreeMap<String, Secret>) -> HeaderMap {
    let readable = own.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value.expose_secret()).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    });
    readable.collect()
}
