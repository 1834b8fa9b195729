//! Bodies, signatures and single attempts.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::directory::Target;

/// JSON as Meta writes it: everything beyond ASCII as lower-case `\uXXXX` escapes.
pub(crate) fn escaped_json(value: &Value) -> Bytes {
    let text = value.to_string();
    if text.is_ascii() {
        return Bytes::from(text);
    }
    let mut escaped = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let written = write!(escaped, "\\u{unit:04x}");
                debug_assert!(written.is_ok(), "strings take every write");
            }
        }
    }
    Bytes::from(escaped)
}

/// The value of `X-Hub-Signature-256`.
pub(super) fn signature(secret: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new(); // HMAC takes keys of any length
    };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Posts once; the HTTP status, or none if nobody answered in time.
pub(super) async fn attempt(
    client: &reqwest::Client,
    target: &Target,
    body: Bytes,
    signature: &str,
    timeout_ms: u64,
) -> Option<u16> {
    let request = client
        .post(&target.url)
        .timeout(Duration::from_millis(timeout_ms))
        .header("content-type", "application/json")
        .header("x-hub-signature-256", signature)
        .header("user-agent", "facebookexternalua")
        .body(body);
    match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            // Read to the end, so that the connection can be used again.
            let _rest = response.bytes().await;
            Some(status)
        }
        Err(error) => {
            tracing::debug!(%error, "webhook not answered");
            None
        }
    }
}
