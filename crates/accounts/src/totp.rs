//! One-time codes of an authenticator app (RFC 6238), and codes for when it is lost.

use async_trait::async_trait;
use kabar_core::{IdSource, Secret, StoreError, Timestamp, UserId};
use sha2::{Digest as _, Sha256};
use totp_rs::{Algorithm, Builder, Totp};

use crate::check::Invalid;

/// Bytes of a secret: as many as SHA-1 gives (RFC 4226, section 4, R6).
const SECRET: usize = 20;
/// Digits of a code.
const DIGITS: u8 = 6;
/// Seconds for which one code stands.
const STEP: u64 = 30;
/// Steps before and after the present one that are taken, for clocks that differ (RFC 6238,
/// section 5.2).
const SKEW: u16 = 1;
/// Recovery codes of one user.
const CODES: usize = 10;
/// Random bytes of a recovery code: too many to try against its hash.
const CODE: usize = 10;
/// Crockford's letters: none is taken for another.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Somebody's secret, as it is stored.
#[derive(Debug, Clone)]
pub struct TotpSecret {
    /// The secret in base32.
    pub secret: Secret,
    /// The step of the last code that was taken; no code of it or of an earlier one is taken again.
    pub last_step: u64,
    /// When a first code proved that the app has it; codes are asked for from then on.
    pub confirmed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The secrets of the installation. They are sealed at rest.
#[async_trait]
pub trait TotpRepo: Send {
    /// A user's secret. To change it, keep the user from others first.
    async fn get(&mut self, user: UserId) -> Result<Option<TotpSecret>, StoreError>;

    /// Stores a user's secret.
    async fn put(&mut self, user: UserId, secret: &TotpSecret) -> Result<(), StoreError>;

    /// Removes a user's secret and recovery codes; `false` if there was none.
    async fn remove(&mut self, user: UserId) -> Result<bool, StoreError>;

    /// Replaces a user's recovery codes by their hashes.
    async fn put_codes(&mut self, user: UserId, hashes: &[[u8; 32]]) -> Result<(), StoreError>;

    /// Uses a recovery code up; `false` if there is none such.
    async fn take_code(&mut self, user: UserId, hash: [u8; 32]) -> Result<bool, StoreError>;
}

/// A secret made now, to be put into an app.
#[derive(Debug)]
pub struct Enrolment {
    /// The secret in base32, to be typed.
    pub secret: Secret,
    /// The same as an `otpauth:` address, to be shown as a QR code.
    pub uri: Secret,
}

/// A random secret in base32.
pub(crate) fn secret(ids: &dyn IdSource) -> Secret {
    let mut bytes = [0; SECRET];
    ids.fill(&mut bytes);
    Secret::from(totp_rs::Secret::from(bytes).to_base32())
}

fn app(secret: &str, issuer: &str, email: &str) -> Result<Totp, Invalid> {
    let wrong = |problem: String| Invalid::new("totp", problem);
    let secret = totp_rs::Secret::try_from_base32(secret);
    // A colon would end the issuer (Google's key URI format).
    let plain = |text: &str| text.replace(':', " ");
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_step_duration(STEP)
        .with_skew(SKEW)
        .with_secret(secret.map_err(|error| wrong(error.to_string()))?)
        .with_account_name(plain(email))
        .with_issuer(Some(plain(issuer)))
        .build()
        .map_err(|error| wrong(error.to_string()))
}

/// The `otpauth:` address of a secret.
pub(crate) fn uri(secret: &str, issuer: &str, email: &str) -> Result<Secret, Invalid> {
    let uri = app(secret, issuer, email)?.to_url();
    uri.map(Secret::from).map_err(|error| Invalid::new("totp", error.to_string()))
}

/// The step of a code, if it is one of now and later than the last that was taken.
pub(crate) fn step(secret: &str, last_step: u64, code: &str, now: Timestamp) -> Option<u64> {
    let seconds = u64::try_from(now.timestamp()).ok()?;
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let step = app(secret, "-", "-").ok()?.check(&code, seconds)?;
    (step > last_step).then_some(step)
}

/// Recovery codes to show once, and their hashes.
pub(crate) fn recovery_codes(ids: &dyn IdSource) -> (Vec<Secret>, Vec<[u8; 32]>) {
    let codes: Vec<String> = (0..CODES).map(|_| recovery_code(ids)).collect();
    let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
    (codes.into_iter().map(Secret::from).collect(), hashes)
}

/// `xxxx-xxxx-xxxx-xxxx`
fn recovery_code(ids: &dyn IdSource) -> String {
    let mut bytes = [0; CODE];
    ids.fill(&mut bytes);
    let bits = bytes.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let letters = (0..CODE * 8 / 5).map(|place| {
        let index = usize::try_from(bits >> (place * 5) & 31).unwrap_or_default();
        char::from(LETTERS.get(index).copied().unwrap_or(b'0'))
    });
    let letters: Vec<char> = letters.collect();
    let parts: Vec<String> = letters.chunks(4).map(|part| part.iter().collect()).collect();
    parts.join("-")
}

/// The hash of a recovery code, however it was typed.
pub(crate) fn recovery_hash(code: &str) -> [u8; 32] {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    Sha256::digest(plain.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use kabar_core::{ExposeSecret as _, SystemIds};

    use super::*;

    /// RFC 6238, appendix B: the key of the test vectors, `12345678901234567890`.
    const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("is a time")
    }

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        // The last six of the eight digits that the appendix shows.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let step = step(KEY, 0, code, at(seconds));
            assert_eq!(step, Some(u64::try_from(seconds).unwrap() / STEP), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_taken_once_and_near_its_time() {
        assert_eq!(step(KEY, 1, "287082", at(59)), None, "its step was used");
        assert_eq!(step(KEY, 0, "287 082", at(59 + 30)), Some(1));
        assert_eq!(step(KEY, 0, "287082", at(59 + 61)), None);
        for wrong in ["", "28708", "2870820", "28708x", "éééééé", "000000"] {
            assert_eq!(step(KEY, 0, wrong, at(59)), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_reads_the_address() {
        let uri = uri(KEY, "Kabar: test", "ayu@example.com").expect("is an address");
        let uri = uri.expose_secret();
        assert!(uri.starts_with("otpauth://totp/"), "{uri}");
        assert!(uri.contains(&format!("secret={KEY}")), "{uri}");
        let ids = SystemIds::default();
        let made = secret(&ids);
        assert_eq!(made.expose_secret().len(), 32);
        assert_ne!(secret(&ids).expose_secret(), made.expose_secret());
    }

    #[test]
    fn recovery_codes_are_read_as_they_are_typed() {
        let ids = SystemIds::default();
        let (codes, hashes) = recovery_codes(&ids);
        assert_eq!((codes.len(), hashes.len()), (CODES, CODES));
        for (code, hash) in codes.iter().zip(hashes) {
            let code = code.expose_secret();
            assert_eq!(code.len(), 19, "{code}");
            assert_eq!(recovery_hash(&code.to_uppercase().replace('-', " ")), hash);
        }
    }
}
