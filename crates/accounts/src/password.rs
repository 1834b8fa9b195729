//! Passwords: what is taken as one, and Argon2id away from the async threads.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use kabar_core::{ExposeSecret as _, IdSource, Secret};
use tokio::sync::Semaphore;

use crate::check::Invalid;

/// Characters of a password, at least.
pub const PASSWORD_LEAST: usize = 10;
/// Characters of a password, at most: hashing must not take as long as somebody wants.
pub const PASSWORD_MOST: usize = 128;
/// Hashes that may wait for a core before callers are sent away.
const QUEUE: usize = 64;
/// Bytes of a salt (RFC 9106, section 3.1).
const SALT: usize = 16;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes of it.
    pub lanes: u32,
}

impl Default for PasswordCost {
    /// OWASP Password Storage Cheat Sheet, Argon2id: 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

/// Why no password was hashed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Too many are being hashed; the same call may succeed later.
    #[error("too many passwords are being checked at the moment; try again")]
    Busy,
    /// The hash function refused: its cost is out of bounds, or a stored hash is none.
    #[error("a password cannot be hashed: {0}")]
    Broken(String),
}

/// What a check of a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Whether it is the password.
    pub(crate) right: bool,
    /// Whether its stored hash was made at another cost.
    pub(crate) outdated: bool,
}

/// Hashes passwords on at most half of the machine's cores, so that a flood of logins leaves the
/// other half to everything else.
#[derive(Clone)]
pub struct Passwords {
    argon: Argon2<'static>,
    cores: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// Stands in for the hash of somebody who has none: finding nobody takes as long as somebody.
    nobody: Arc<str>,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    /// Passwords hashed at a cost.
    ///
    /// # Errors
    /// [`PasswordError::Broken`] for a cost that Argon2id cannot have.
    pub fn new(cost: PasswordCost, ids: &dyn IdSource) -> Result<Self, PasswordError> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(broken)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut secret = [0; SALT];
        ids.fill(&mut secret);
        let nobody = hash(&argon, &secret, &salt(ids))?.into();
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let cores = Arc::new(Semaphore::new((cores / 2).max(1)));
        Ok(Self { argon, cores, waiting: Arc::default(), nobody })
    }

    /// The hash of a password, as it is stored (PHC string).
    pub(crate) async fn hash(
        &self,
        password: &Secret,
        ids: &dyn IdSource,
    ) -> Result<Secret, PasswordError> {
        let (argon, salt, password) = (self.argon.clone(), salt(ids), password.clone());
        let text = self.run(move || hash(&argon, password.expose_secret().as_bytes(), &salt));
        text.await.map(Secret::from)
    }

    /// Whether it is the password of this hash; without a hash it is not, after the same work.
    pub(crate) async fn check(
        &self,
        password: &Secret,
        stored: Option<&Secret>,
    ) -> Result<Proof, PasswordError> {
        let known = stored.is_some();
        let stored = stored.map_or_else(|| self.nobody.to_string(), |it| it.expose_secret().into());
        let (argon, password) = (self.argon.clone(), password.clone());
        self.run(move || {
            let stored = PasswordHash::new(&stored).map_err(broken)?;
            let right = argon.verify_password(password.expose_secret().as_bytes(), &stored).is_ok();
            let cost = Params::try_from(&stored).map_err(broken)?;
            let outdated = (cost.m_cost(), cost.t_cost(), cost.p_cost())
                != (argon.params().m_cost(), argon.params().t_cost(), argon.params().p_cost());
            Ok(Proof { right: right && known, outdated })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = Place::take(&self.waiting)?;
        let core = Arc::clone(&self.cores).acquire_owned().await;
        let core = core.map_err(|_| PasswordError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            // Given back with the core still in hand when the caller has gone away.
            let _core = core;
            work()
        });
        done.await.map_err(|error| PasswordError::Broken(error.to_string()))?
    }
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, PasswordError> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) < QUEUE {
            Ok(place)
        } else {
            Err(PasswordError::Busy)
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn salt(ids: &dyn IdSource) -> [u8; SALT] {
    let mut salt = [0; SALT];
    ids.fill(&mut salt);
    salt
}

fn hash(argon: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Result<String, PasswordError> {
    let hash: PasswordHash = argon.hash_password_with_salt(password, salt).map_err(broken)?;
    Ok(hash.to_string())
}

fn broken(error: impl std::fmt::Display) -> PasswordError {
    PasswordError::Broken(error.to_string())
}

/// Whether a text may become a password: long enough, and neither of the words that belong to its
/// user (NIST SP 800-63B, section 5.1.1.2).
///
/// # Errors
/// [`Invalid`] with the given field.
pub fn acceptable(field: &'static str, password: &Secret, own: &[&str]) -> Result<(), Invalid> {
    let text = password.expose_secret();
    let count = text.chars().count();
    if !(PASSWORD_LEAST..=PASSWORD_MOST).contains(&count) {
        let problem = format!("must have {PASSWORD_LEAST} to {PASSWORD_MOST} characters");
        return Err(Invalid::new(field, problem));
    }
    let folded = text.trim().to_lowercase();
    let local = |word: &str| word.split('@').next().unwrap_or_default().to_owned();
    let taken = own.iter().map(|word| word.trim().to_lowercase());
    if taken.filter(|word| !word.is_empty()).any(|word| folded == word || folded == local(&word)) {
        return Err(Invalid::new(field, "must not be the e-mail address or the name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kabar_core::SystemIds;

    use super::*;

    const CHEAP: PasswordCost = PasswordCost { memory_kib: 8, passes: 1, lanes: 1 };

    #[tokio::test]
    async fn a_password_proves_itself_and_its_cost() {
        let ids = SystemIds::default();
        let passwords = Passwords::new(CHEAP, &ids).expect("is a cost");
        let (right, wrong) = (Secret::from("correct horse"), Secret::from("correct house"));
        let stored = passwords.hash(&right, &ids).await.expect("hashes");
        assert!(stored.expose_secret().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        let check =
            async |password, stored| passwords.check(password, stored).await.expect("checks");
        assert_eq!(check(&right, Some(&stored)).await, Proof { right: true, outdated: false });
        assert!(!check(&wrong, Some(&stored)).await.right);
        assert!(!check(&right, None).await.right);
        let dearer = Passwords::new(PasswordCost { passes: 2, ..CHEAP }, &ids).expect("is a cost");
        let proof = dearer.check(&right, Some(&stored)).await.expect("checks");
        assert_eq!(proof, Proof { right: true, outdated: true });
    }

    #[tokio::test]
    async fn a_flood_is_sent_away() {
        let ids = SystemIds::default();
        let passwords = Passwords::new(CHEAP, &ids).expect("is a cost");
        passwords.waiting.store(QUEUE, Ordering::Relaxed);
        let refused = passwords.check(&Secret::from("x"), None).await;
        assert!(matches!(refused, Err(PasswordError::Busy)), "{refused:?}");
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), QUEUE);
    }

    #[test]
    fn short_long_and_own_words_are_refused() {
        let own = ["ayu.lestari@example.com", "Ayu Lestari"];
        for wrong in [
            "",
            "ninechars",
            "Ayu.Lestari@Example.com",
            "ayu.lestari",
            "ayu lestari ",
            &"x".repeat(129),
        ] {
            let refused = acceptable("password", &Secret::from(wrong), &own);
            assert_eq!(refused.expect_err(wrong).field, "password");
        }
        for right in ["ten chars!", &"é".repeat(128), "ayu lestari 2026"] {
            assert_eq!(acceptable("password", &Secret::from(right), &own), Ok(()), "{right}");
        }
    }
}
