//! The signature over the raw body: HMAC-SHA256 with the app's secret.

use hmac::{Hmac, KeyInit as _, Mac as _};
use kabar_core::{ExposeSecret as _, Secret};
use sha2::Sha256;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "X-Hub-Signature-256";

const SCHEME: &str = "sha256=";

/// A body that must be answered with 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The header is not there.
    #[error("the header X-Hub-Signature-256 is missing")]
    Missing,
    /// The header is not `sha256=` and 64 hexadecimal digits.
    #[error("the header X-Hub-Signature-256 must be `sha256=` and 64 hexadecimal digits")]
    Malformed,
    /// The body was not signed with this app's secret, or was changed on its way.
    #[error("the signature does not belong to this body and this app's secret")]
    Wrong,
    /// The app has no secret, so nothing can be verified.
    #[error("this app has no secret configured")]
    NoSecret,
}

/// Checks the signature of the raw bytes, before anything reads them. Constant time.
///
/// # Errors
/// See [`SignatureError`]; answer 401.
pub fn verify_signature(
    app_secret: &Secret,
    header: Option<&str>,
    body: &[u8],
) -> Result<(), SignatureError> {
    let header = header.ok_or(SignatureError::Missing)?.trim();
    let digits = header.strip_prefix(SCHEME).ok_or(SignatureError::Malformed)?;
    let mut given = [0_u8; 32];
    hex::decode_to_slice(digits, &mut given).map_err(|_| SignatureError::Malformed)?;
    let mac = mac(app_secret, body).ok_or(SignatureError::NoSecret)?;
    mac.verify_slice(&given).map_err(|_| SignatureError::Wrong)
}

/// The header's value for a body; for tests, and for whatever stands in for Meta.
pub fn signature(app_secret: &Secret, body: &[u8]) -> String {
    let digest = mac(app_secret, body)
        .map(|mac| hex::encode(mac.finalize().into_bytes()))
        .unwrap_or_default();
    format!("{SCHEME}{digest}")
}

/// `None` without a secret: an empty key would let anybody sign.
fn mac(app_secret: &Secret, body: &[u8]) -> Option<Hmac<Sha256>> {
    let key = app_secret.expose_secret().as_bytes();
    if key.is_empty() {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(body);
    Some(mac)
}
