//! The GET by which Meta makes sure that the callback address is ours.

use kabar_core::{ExposeSecret as _, Secret};
use subtle::ConstantTimeEq as _;

/// A handshake that must be answered with 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// `hub.mode` is not `subscribe`.
    #[error("hub.mode must be `subscribe`")]
    Mode,
    /// `hub.verify_token` is missing or is not ours.
    #[error("hub.verify_token is not the configured token")]
    Token,
    /// `hub.challenge` is missing.
    #[error("hub.challenge is missing")]
    Challenge,
}

/// Checks the handshake's query parameters; the challenge is to be answered as plain text, with
/// nothing around it. The token is compared in constant time; an empty configured token never
/// matches.
///
/// # Errors
/// See [`HandshakeError`]; answer 403.
pub fn verify_handshake<K: AsRef<str>, V: AsRef<str>>(
    query: impl IntoIterator<Item = (K, V)>,
    expected: &Secret,
) -> Result<String, HandshakeError> {
    let (mut mode, mut token, mut challenge) = (None, None, None);
    for (key, value) in query {
        let slot = match key.as_ref() {
            "hub.mode" => &mut mode,
            "hub.verify_token" => &mut token,
            "hub.challenge" => &mut challenge,
            _ => continue,
        };
        *slot = Some(value.as_ref().to_owned());
    }
    if mode.as_deref() != Some("subscribe") {
        return Err(HandshakeError::Mode);
    }
    let expected = expected.expose_secret().as_bytes();
    let given = token.unwrap_or_default();
    if expected.is_empty() || !bool::from(given.as_bytes().ct_eq(expected)) {
        return Err(HandshakeError::Token);
    }
    challenge.filter(|challenge| !challenge.is_empty()).ok_or(HandshakeError::Challenge)
}

/// The same for the raw query of the address (`hub.mode=subscribe&…`).
///
/// ```
/// use kabar_cloud_api::webhook::verify_handshake_query;
/// use kabar_core::Secret;
///
/// let query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=maple";
/// assert_eq!(
///     verify_handshake_query(query, &Secret::from("maple")).as_deref(),
///     Ok("1158201444")
/// );
/// ```
///
/// # Errors
/// See [`HandshakeError`]; answer 403.
pub fn verify_handshake_query(query: &str, expected: &Secret) -> Result<String, HandshakeError> {
    verify_handshake(url::form_urlencoded::parse(query.as_bytes()), expected)
}
