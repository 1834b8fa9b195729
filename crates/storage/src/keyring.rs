//! Secrets at rest: XChaCha20-Poly1305 under a ring of keys.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use kabar_core::{ExposeSecret as _, Secret};

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a nonce; long enough to be drawn at random (XChaCha20).
const NONCE: usize = 24;

/// Why keys or a sealed value cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// The text is no list of keys.
    #[error(
        "KABAR_KEYS must be `id:key` pairs separated by commas, each key 32 bytes in base64; the \
         first pair seals, all open"
    )]
    Malformed,
    /// The key file cannot be read or written.
    #[error("the key file {path} cannot be used")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others can read the key file.
    #[error("the key file {0} is readable by others; run `chmod 600` on it")]
    Exposed(String),
    /// A value was sealed under a key that is not on the ring.
    #[error("a secret is sealed under the key `{0}`, which is not on the ring")]
    UnknownKey(String),
    /// A value was not sealed by this ring, or for another place.
    #[error("a sealed secret cannot be opened: it was changed, or moved from another row")]
    Broken,
}

/// The keys. The first seals; every one opens.
///
/// A ring that was read from a file follows the file: what is sealed under a key that was added to
/// it meanwhile can be opened without a restart.
pub struct KeyRing {
    keys: RwLock<Keys>,
    file: Option<PathBuf>,
}

struct Keys {
    current: String,
    ciphers: BTreeMap<String, XChaCha20Poly1305>,
    /// When the file was changed last, of those that were read.
    read: Option<SystemTime>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys();
        f.debug_struct("KeyRing")
            .field("current", &keys.current)
            .field("keys", &keys.ciphers.keys())
            .finish()
    }
}

impl KeyRing {
    /// Reads `id:base64,id:base64`; ids are letters, digits, `_` and `-`.
    ///
    /// # Errors
    /// [`KeyRingError::Malformed`].
    pub fn parse(text: &Secret) -> Result<Self, KeyRingError> {
        Ok(Self { keys: RwLock::new(read(text)?), file: None })
    }

    /// A ring of one key made now, and its text form.
    pub fn generate() -> (Self, Secret) {
        let key = new_key();
        let text = Secret::from(format!("k1:{}", STANDARD.encode(key)));
        let keys = Keys {
            current: "k1".to_owned(),
            ciphers: BTreeMap::from([("k1".to_owned(), XChaCha20Poly1305::new(&key.into()))]),
            read: None,
        };
        (Self { keys: RwLock::new(keys), file: None }, text)
    }

    /// The text of a ring with a new key in front: it seals from now on, the old ones still open.
    /// Returns the new key's name with it.
    ///
    /// # Errors
    /// [`KeyRingError::Malformed`].
    pub fn with_new_key(text: &Secret) -> Result<(String, Secret), KeyRingError> {
        let keys = read(text)?;
        let number = |id: &String| id.strip_prefix('k').and_then(|rest| rest.parse::<u32>().ok());
        let last = keys.ciphers.keys().filter_map(number).max().unwrap_or(0);
        let id = format!("k{}", last.saturating_add(1));
        let pairs: Vec<&str> = pairs(text.expose_secret()).collect();
        let grown = format!("{id}:{},{}", STANDARD.encode(new_key()), pairs.join(","));
        Ok((id, Secret::from(grown)))
    }

    /// The text of a ring with only those keys that are in use, and the first. Returns the names of
    /// the keys that went with it.
    ///
    /// # Errors
    /// [`KeyRingError::Malformed`].
    pub fn without_unused(
        text: &Secret,
        in_use: &[String],
    ) -> Result<(Vec<String>, Secret), KeyRingError> {
        let current = read(text)?.current;
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for pair in pairs(text.expose_secret()) {
            let id = pair.split(':').next().unwrap_or_default().to_owned();
            if id == current || in_use.contains(&id) {
                kept.push(pair);
            } else {
                gone.push(id);
            }
        }
        Ok((gone, Secret::from(kept.join(","))))
    }

    /// The text of a key file.
    ///
    /// # Errors
    /// [`KeyRingError::File`], [`KeyRingError::Exposed`].
    pub fn read_file(path: &Path) -> Result<Secret, KeyRingError> {
        let wrong = |source| KeyRingError::File { path: path.display().to_string(), source };
        let text = std::fs::read_to_string(path).map_err(wrong)?;
        private(path)?;
        Ok(Secret::from(text))
    }

    /// Puts another text in the place of a key file's, as a whole or not at all.
    ///
    /// # Errors
    /// [`KeyRingError::Malformed`], [`KeyRingError::File`].
    pub fn replace_file(path: &Path, text: &Secret) -> Result<(), KeyRingError> {
        read(text)?;
        let wrong = |source| KeyRingError::File { path: path.display().to_string(), source };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(wrong(error)),
            _ => {}
        }
        create(&beside, text.expose_secret()).map_err(wrong)?;
        std::fs::rename(&beside, path).map_err(wrong)?;
        // The name is durable with its folder.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(wrong)
    }

    /// The name of the key that seals.
    pub fn current(&self) -> String {
        self.refresh();
        self.keys().current.clone()
    }

    /// The names of all keys.
    pub fn ids(&self) -> Vec<String> {
        self.refresh();
        self.keys().ciphers.keys().cloned().collect()
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file again if it was changed; a file that cannot be read leaves the ring as it is.
    fn refresh(&self) {
        let Some(path) = &self.file else { return };
        let changed = modified(path);
        if changed.is_none() || changed == self.keys().read {
            return;
        }
        match Self::read_file(path).and_then(|text| read(&text)) {
            Ok(keys) => {
                let mut place = self.keys.write().unwrap_or_else(PoisonError::into_inner);
                *place = Keys { read: changed, ..keys };
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "keys.refresh");
            }
        }
    }

    /// Reads the key file, or makes it (mode 0600) when there is none. Keep it outside the backups:
    /// whoever has both has the secrets.
    ///
    /// # Errors
    /// [`KeyRingError::File`], [`KeyRingError::Exposed`], [`KeyRingError::Malformed`].
    pub fn open_or_create(path: &Path) -> Result<Self, KeyRingError> {
        let made = match Self::read_file(path) {
            Err(KeyRingError::File { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                let (_, text) = Self::generate();
                create(path, text.expose_secret()).map_err(|source| KeyRingError::File {
                    path: path.display().to_string(),
                    source,
                })?;
                text
            }
            read => read?,
        };
        let keys = Keys { read: modified(path), ..read(&made)? };
        Ok(Self { keys: RwLock::new(keys), file: Some(path.to_owned()) })
    }

    /// Seals a secret for one place: table, row and column are bound to it.
    pub(crate) fn seal(&self, secret: &Secret, place: &Place<'_>) -> Result<String, KeyRingError> {
        debug_assert!(
            crate::rotate::is_listed(place.table, place.column),
            "add {}.{} to SEALED in rotate.rs: keys could not be rotated",
            place.table,
            place.column
        );
        let sealer = self.sealer();
        let bytes = sealer.seal(secret.expose_secret().as_bytes(), place.to_string().as_bytes())?;
        Ok(format!("{}:{}", sealer.id(), STANDARD.encode(bytes)))
    }

    /// Opens what was sealed for the same place.
    pub(crate) fn open(&self, sealed: &str, place: &Place<'_>) -> Result<Secret, KeyRingError> {
        let (id, text) = sealed.split_once(':').ok_or(KeyRingError::Broken)?;
        let bytes = STANDARD.decode(text).map_err(|_| KeyRingError::Broken)?;
        let plain = self.open_bytes(id, &bytes, place.to_string().as_bytes())?;
        String::from_utf8(plain).map(Secret::from).map_err(|_| KeyRingError::Broken)
    }

    /// The first key, for as many values as there are to seal now. Do not keep it.
    pub(crate) fn sealer(&self) -> Sealer<'_> {
        self.refresh();
        Sealer(self.keys())
    }

    /// Opens bytes that a key sealed for the same place.
    pub(crate) fn open_bytes(
        &self,
        id: &str,
        sealed: &[u8],
        place: &[u8],
    ) -> Result<Vec<u8>, KeyRingError> {
        if !self.keys().ciphers.contains_key(id) {
            self.refresh();
        }
        let keys = self.keys();
        let cipher = keys.ciphers.get(id).ok_or_else(|| KeyRingError::UnknownKey(id.to_owned()))?;
        let (nonce, body) = sealed.split_at_checked(NONCE).ok_or(KeyRingError::Broken)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| KeyRingError::Broken)?;
        let payload = Payload { msg: body, aad: place };
        cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| KeyRingError::Broken)
    }
}

/// The key that seals.
pub(crate) struct Sealer<'a>(RwLockReadGuard<'a, Keys>);

impl Sealer<'_> {
    /// Its name, which opening asks for.
    pub(crate) fn id(&self) -> &str {
        &self.0.current
    }

    /// Seals bytes for one place, which is bound to them: a nonce, and what only the key can read.
    pub(crate) fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, KeyRingError> {
        let mut nonce = [0; NONCE];
        random(&mut nonce);
        let cipher = self.0.ciphers.get(&self.0.current).ok_or(KeyRingError::Malformed)?;
        let payload = Payload { msg: plain, aad: place };
        let sealed =
            cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| KeyRingError::Broken)?;
        let mut bytes = Vec::with_capacity(NONCE + sealed.len());
        bytes.extend(nonce);
        bytes.extend(sealed);
        Ok(bytes)
    }
}

/// `id:key` pairs of a ring's text.
fn pairs(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '\n']).map(str::trim).filter(|pair| !pair.is_empty())
}

fn read(text: &Secret) -> Result<Keys, KeyRingError> {
    let (mut current, mut ciphers) = (None, BTreeMap::new());
    for pair in pairs(text.expose_secret()) {
        let (id, key) = pair.split_once(':').ok_or(KeyRingError::Malformed)?;
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if id.is_empty() || !id.chars().all(word) {
            return Err(KeyRingError::Malformed);
        }
        let bytes = STANDARD.decode(key.trim()).map_err(|_| KeyRingError::Malformed)?;
        let cipher =
            XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| KeyRingError::Malformed)?;
        current.get_or_insert_with(|| id.to_owned());
        ciphers.insert(id.to_owned(), cipher);
    }
    let current = current.ok_or(KeyRingError::Malformed)?;
    Ok(Keys { current, ciphers, read: None })
}

fn new_key() -> [u8; KEY] {
    let mut key = [0; KEY];
    random(&mut key);
    key
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|data| data.modified()).ok()
}

/// Where a secret is kept.
pub(crate) struct Place<'a> {
    pub(crate) table: &'a str,
    pub(crate) row: uuid::Uuid,
    pub(crate) column: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}", self.table, self.row.simple(), self.column)
    }
}

fn random(bytes: &mut [u8]) {
    #[expect(clippy::expect_used, reason = "without system randomness nothing can be sealed")]
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

#[cfg(unix)]
fn private(path: &Path) -> Result<(), KeyRingError> {
    use std::os::unix::fs::PermissionsExt as _;
    // The lowest six bits are what the group and others may do.
    let name = path.display().to_string();
    let data = std::fs::metadata(path)
        .map_err(|source| KeyRingError::File { path: name.clone(), source })?;
    if data.permissions().mode().trailing_zeros() >= 6 {
        Ok(())
    } else {
        Err(KeyRingError::Exposed(name))
    }
}

#[cfg(not(unix))]
fn private(_: &Path) -> Result<(), KeyRingError> {
    Ok(())
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'_> =
        Place { table: "devices", row: uuid::Uuid::nil(), column: "credential" };

    #[test]
    fn a_sealed_secret_opens_only_at_its_place() {
        let (ring, _) = KeyRing::generate();
        let sealed = ring.seal(&Secret::from("EAAG"), &HERE).expect("seals");
        assert!(!sealed.contains("EAAG"));
        assert_eq!(ring.open(&sealed, &HERE).expect("opens").expose_secret(), "EAAG");
        let there = Place { column: "app_secret", ..HERE };
        assert!(matches!(ring.open(&sealed, &there), Err(KeyRingError::Broken)));
    }

    #[test]
    fn old_keys_open_and_the_first_seals() {
        let (old, old_text) = KeyRing::generate();
        let sealed = old.seal(&Secret::from("x"), &HERE).expect("seals");
        let new_key = STANDARD.encode([7; KEY]);
        let text = Secret::from(format!("k2:{new_key},{}", old_text.expose_secret()));
        let ring = KeyRing::parse(&text).expect("parses");
        assert!(ring.open(&sealed, &HERE).is_ok());
        assert!(ring.seal(&Secret::from("x"), &HERE).expect("seals").starts_with("k2:"));
        let lost = KeyRing::parse(&Secret::from(format!("k2:{new_key}"))).expect("parses");
        assert!(matches!(lost.open(&sealed, &HERE), Err(KeyRingError::UnknownKey(_))));
    }

    #[test]
    fn sloppy_keys_are_refused() {
        for text in ["", "k1", "k1:abc", "k 1:AAAA", ":AAAA"] {
            assert!(KeyRing::parse(&Secret::from(text)).is_err(), "{text}");
        }
    }
}
