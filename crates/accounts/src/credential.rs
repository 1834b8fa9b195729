//! The text form that API keys, device tokens and the tokens of sessions and mails share:
//! `<word>_<32 hex digits of the id>_<43 characters of base64url>`.
//!
//! The id finds the row; the 32 random bytes prove the holder. Only their SHA-256 is stored: they
//! are random, so nothing slower is needed against guessing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kabar_core::{IdSource, Secret};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// The word of API keys.
pub const API_KEY: &str = "kbr";
/// The word of device tokens.
pub const DEVICE_TOKEN: &str = "kbd";

/// The word of a session's access tokens.
pub const ACCESS_TOKEN: &str = "kbs";
/// The word of a session's refresh tokens.
pub const REFRESH_TOKEN: &str = "kbf";

/// Random bytes of a credential.
const RANDOM: usize = 32;
/// Characters of their base64url form.
const RANDOM_TEXT: usize = 43;
/// Characters of the random part that are kept for recognition.
const HINT: usize = 4;

/// The SHA-256 of a credential's random part.
#[derive(Clone, Copy)]
pub struct CredentialHash([u8; 32]);

impl CredentialHash {
    /// The 32 bytes, as storage keeps them.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are of the same credential, in constant time.
    pub fn proves(&self, stored: &[u8; 32]) -> bool {
        same(&self.0, stored)
    }

    fn of(random: &[u8; RANDOM]) -> Self {
        Self(Sha256::digest(random).into())
    }
}

impl std::fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialHash(…)")
    }
}

/// Whether two hashes are the same, in constant time.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// A credential made now.
#[derive(Debug)]
pub struct Minted {
    /// The text to show once.
    pub secret: Secret,
    /// What is stored instead of it.
    pub hash: CredentialHash,
    /// The first characters of its random part, for recognition in lists.
    pub hint: String,
}

/// Makes a credential for the row `id`.
pub fn mint(word: &str, id: Uuid, ids: &dyn IdSource) -> Minted {
    let mut random = [0; RANDOM];
    ids.fill(&mut random);
    let text = URL_SAFE_NO_PAD.encode(random);
    Minted {
        secret: Secret::from(format!("{word}_{}_{text}", id.simple())),
        hash: CredentialHash::of(&random),
        hint: text.chars().take(HINT).collect(),
    }
}

/// The row's id and the hash out of a credential's text, if it is one of that word.
pub fn read(word: &str, text: &str) -> Option<(Uuid, CredentialHash)> {
    let rest = text.strip_prefix(word)?.strip_prefix('_')?;
    let (id, random) = rest.split_once('_')?;
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if id.len() != 32 || !id.bytes().all(hex) || random.len() != RANDOM_TEXT {
        return None;
    }
    let id = Uuid::try_parse(id).ok()?;
    let random: [u8; RANDOM] = URL_SAFE_NO_PAD.decode(random).ok()?.try_into().ok()?;
    Some((id, CredentialHash::of(&random)))
}

#[cfg(test)]
mod tests {
    use kabar_core::{ExposeSecret as _, SystemIds};

    use super::*;

    #[test]
    fn what_is_minted_can_be_read() {
        let ids = SystemIds::default();
        let id = ids.next();
        let minted = mint(API_KEY, id, &ids);
        let text = minted.secret.expose_secret();
        assert_eq!(text.len(), 3 + 1 + 32 + 1 + 43);
        let (read_id, hash) = read(API_KEY, text).expect("is a key");
        assert_eq!(read_id, id);
        assert!(hash.proves(minted.hash.bytes()));
        assert!(text.contains(&format!("_{}", minted.hint)));
        let (_, other) = read(API_KEY, mint(API_KEY, id, &ids).secret.expose_secret()).unwrap();
        assert!(!other.proves(minted.hash.bytes()));
    }

    #[test]
    fn other_texts_are_no_credentials() {
        let ids = SystemIds::default();
        let minted = mint(API_KEY, ids.next(), &ids);
        let text = minted.secret.expose_secret();
        assert!(read(DEVICE_TOKEN, text).is_none());
        for text in [
            "",
            "kbr",
            "kbr_",
            "kbr__",
            &text.to_uppercase(),
            &format!("{text}A"),
            &text[..text.len() - 1],
            &format!("{}é", &text[..text.len() - 2]),
        ] {
            assert!(read(API_KEY, text).is_none(), "{text}");
        }
    }
}
