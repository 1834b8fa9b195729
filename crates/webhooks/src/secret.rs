//! Signing secrets in the form of Standard Webhooks, and the signatures made with them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kabar_core::{ExposeSecret as _, IdSource, Secret, Timestamp};
use sha2::Sha256;
use uuid::Uuid;

/// What stands before a symmetric secret (Standard Webhooks 1.0.0, "Symmetric").
const PREFIX: &str = "whsec_";
/// Bytes of a secret that we make. The specification wants 24 to 64.
const MADE: usize = 32;
/// Bytes that a secret may have, ibidem.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that does not have the form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `whsec_` and 24 to 64 random bytes in base64; leave it out to have one made")]
pub struct SecretError;

/// A secret of an endpoint.
#[derive(Debug, Clone)]
pub struct SigningSecret {
    /// Its id; newer ones are higher.
    pub id: Uuid,
    /// The secret, `whsec_…`.
    pub secret: Secret,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it no longer signs; `None` for the present one.
    pub expires_at: Option<Timestamp>,
}

impl SigningSecret {
    /// A new one.
    pub fn generate(ids: &dyn IdSource, at: Timestamp) -> Self {
        let mut bytes = [0; MADE];
        ids.fill(&mut bytes);
        let secret = Secret::from(format!("{PREFIX}{}", STANDARD.encode(bytes)));
        Self { id: ids.next(), secret, created_at: at, expires_at: None }
    }

    /// One that the tenant brings along.
    ///
    /// # Errors
    /// [`SecretError`] when it does not have the form.
    pub fn given(secret: Secret, ids: &dyn IdSource, at: Timestamp) -> Result<Self, SecretError> {
        key(&secret).ok_or(SecretError)?;
        Ok(Self { id: ids.next(), secret, created_at: at, expires_at: None })
    }

    /// Whether it signs at a time.
    pub fn signs_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

fn key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose_secret().strip_prefix(PREFIX)?;
    STANDARD.decode(text).ok().filter(|bytes| BYTES.contains(&bytes.len()))
}

/// Signs with the secrets of an endpoint.
#[derive(Clone)]
pub(crate) struct Signer(Vec<(Hmac<Sha256>, Option<Timestamp>)>);

impl Signer {
    /// A signer; secrets that cannot be read sign nothing.
    pub(crate) fn new(secrets: &[SigningSecret]) -> Self {
        let ready = |one: &SigningSecret| {
            let key = key(&one.secret)?;
            Some((Hmac::new_from_slice(&key).ok()?, one.expires_at))
        };
        Self(secrets.iter().filter_map(ready).collect())
    }

    /// The header `webhook-signature`: one `v1,…` for each secret that signs now.
    pub(crate) fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let stamp = at.timestamp().to_string();
        let signs = |end: &Option<Timestamp>| end.is_none_or(|end| end > at);
        let signatures = self.0.iter().filter(|(_, end)| signs(end)).map(|(mac, _)| {
            let mut mac = mac.clone();
            for part in [id.as_bytes(), b".", stamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signer").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8, expires_at: Option<Timestamp>) -> SigningSecret {
        let secret = Secret::from(format!("{PREFIX}{}", STANDARD.encode([byte; 32])));
        let id = Uuid::nil();
        SigningSecret { id, secret, created_at: Timestamp::UNIX_EPOCH, expires_at }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("a time")
    }

    #[test]
    fn a_receivers_library_takes_the_signature() {
        let key = secret(7, None);
        let body = br#"{"type":"message.received"}"#;
        let now = 1_767_225_600;
        let theirs = standardwebhooks::Webhook::new(key.secret.expose_secret()).expect("a secret");
        let expected = theirs.sign("del_1", now, body).expect("signs");
        assert_eq!(Signer::new(&[key]).sign("del_1", at(now), body), expected);
    }

    #[test]
    fn an_old_secret_signs_until_it_ends() {
        let signer = Signer::new(&[secret(1, None), secret(2, Some(at(100)))]);
        assert_eq!(signer.sign("a", at(99), b"x").split(' ').count(), 2);
        assert_eq!(signer.sign("a", at(100), b"x").split(' ').count(), 1);
    }

    #[test]
    fn sloppy_secrets_are_refused() {
        let short = format!("{PREFIX}{}", STANDARD.encode([1; 23]));
        let long = format!("{PREFIX}{}", STANDARD.encode([1; 65]));
        for text in ["", "whsec_", "whsec_???", &short, &long, &STANDARD.encode([1; 32])] {
            assert!(
                SigningSecret::given(Secret::from(text), &kabar_core::SystemIds::default(), at(0))
                    .is_err(),
                "{text}"
            );
        }
    }
}
