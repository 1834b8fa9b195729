//! From the text of an API key or an access token to a principal.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use kabar_core::{
    ApiKeyId, Clock, InstallationScope, Principal, SessionId, Store, StoreError, Timestamp,
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::credential::{self, ACCESS_TOKEN, API_KEY, CredentialHash};
use crate::key::StoredKey;
use crate::recent::RecentKeys;
use crate::user::User;
use crate::work::AccountsWork;

/// Seconds between two notes of a key's last use.
const USE_NOTED_EVERY: TimeDelta = TimeDelta::seconds(60);
const SCOPE: InstallationScope = InstallationScope::system("authentication");

/// Why nobody is let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The credential does not work. Whether it is unknown, revoked, expired or of an inactive
    /// account is not told.
    #[error("this credential does not work")]
    Unauthorized,
    /// The credential works, but not from this network address.
    #[error("this credential does not work from your network address; its owner limited it")]
    Elsewhere,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who.
    pub principal: Principal,
    /// The session, for an access token.
    pub session: Option<SessionId>,
}

impl From<Principal> for Admitted {
    fn from(principal: Principal) -> Self {
        Self { principal, session: None }
    }
}

/// Lets the holders of API keys and access tokens in: a key is looked up once a second, a token each
/// time.
#[derive(Clone)]
pub struct KeyAuthenticator {
    store: Arc<dyn Store<dyn AccountsWork>>,
    clock: Arc<dyn Clock>,
    recent: RecentKeys,
    uses: Uses,
}

impl std::fmt::Debug for KeyAuthenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyAuthenticator").finish_non_exhaustive()
    }
}

impl KeyAuthenticator {
    /// An authenticator of the keys in a store. Needs a tokio runtime when it is used.
    pub fn new(
        store: Arc<dyn Store<dyn AccountsWork>>,
        clock: Arc<dyn Clock>,
        recent: RecentKeys,
    ) -> Self {
        Self { store, clock, recent, uses: Uses::default() }
    }

    /// The principal behind the text of a key (`kbr_…`), from a network address that is not known.
    ///
    /// # Errors
    /// As [`KeyAuthenticator::admit`].
    pub async fn authenticate(&self, text: &str) -> Result<Principal, AuthError> {
        Ok(self.admit(text, None).await?.principal)
    }

    /// Who is behind the text of a key (`kbr_…`) or an access token (`kbs_…`), which came from a
    /// network address.
    ///
    /// # Errors
    /// [`AuthError::Unauthorized`] whatever is wrong with it, [`AuthError::Elsewhere`] for a key
    /// that does not work from there.
    pub async fn admit(&self, text: &str, from: Option<IpAddr>) -> Result<Admitted, AuthError> {
        match credential::read(ACCESS_TOKEN, text) {
            Some((id, hash)) => self.session(id, &hash).await,
            None => Ok(self.key(text, from).await?.into()),
        }
    }

    /// Two indexed queries; what they find counts at once: a session that was ended, a user or an
    /// account that was switched off, another role.
    async fn session(&self, id: Uuid, hash: &CredentialHash) -> Result<Admitted, AuthError> {
        let now = self.clock.now();
        let work = self.store.read().await?;
        let held = work.sessions(SCOPE).held(id).await?;
        let held = held
            .filter(|held| hash.proves(&held.pair.access_hash))
            .filter(|held| now < held.pair.access_expires_at && held.goes_on(now))
            .ok_or(AuthError::Unauthorized)?;
        let User { id, role, account, permissions, .. } = held.user.user;
        Ok(Admitted {
            principal: Principal::user(id, role, account, permissions),
            session: Some(held.session.id),
        })
    }

    async fn key(&self, text: &str, from: Option<IpAddr>) -> Result<Principal, AuthError> {
        let (id, hash) = credential::read(API_KEY, text).ok_or(AuthError::Unauthorized)?;
        let id = ApiKeyId::from(id);
        let now = self.clock.now();
        let stored = self.stored(id, now).await?;
        let StoredKey { key, .. } = stored
            .filter(|stored| hash.proves(&stored.hash))
            .filter(|stored| stored.account_active && stored.key.works_at(now))
            .ok_or(AuthError::Unauthorized)?;
        if !key.allowed.allows(from) {
            return Err(AuthError::Elsewhere);
        }
        if is_stale(key.last_used_at, now) {
            self.uses.note(Arc::clone(&self.store), id, now);
        }
        Ok(Principal::api_key(key.id, key.account, key.permissions))
    }

    async fn stored(&self, id: ApiKeyId, now: Timestamp) -> Result<Option<StoredKey>, StoreError> {
        if let Some(recent) = self.recent.get(&id, now) {
            return Ok(Some(recent));
        }
        let work = self.store.read().await?;
        let stored = work.key_registry(SCOPE).by_id(id).await?;
        if let Some(stored) = &stored {
            self.recent.put(id, stored, now);
        }
        Ok(stored)
    }

    /// Returns when every use seen so far is noted; for a stop in good order.
    pub async fn settled(&self) {
        self.uses.tasks.wait().await;
    }
}

fn is_stale(last_used: Option<Timestamp>, now: Timestamp) -> bool {
    last_used.is_none_or(|at| now.signed_duration_since(at) >= USE_NOTED_EVERY)
}

/// Notes last uses beside the request: it neither waits for the note nor fails with it.
#[derive(Clone)]
struct Uses {
    tasks: TaskTracker,
    noting: Arc<Mutex<HashSet<ApiKeyId>>>,
}

impl Default for Uses {
    fn default() -> Self {
        let tasks = TaskTracker::new();
        // A closed tracker still takes tasks; it only lets `wait` return.
        tasks.close();
        Self { tasks, noting: Arc::default() }
    }
}

impl Uses {
    fn note(&self, store: Arc<dyn Store<dyn AccountsWork>>, id: ApiKeyId, at: Timestamp) {
        if !set(&self.noting).insert(id) {
            return;
        }
        let noting = Arc::clone(&self.noting);
        self.tasks.spawn(async move {
            if let Err(error) = touch(&*store, id, at).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "key.touch");
            }
            set(&noting).remove(&id);
        });
    }
}

async fn touch(
    store: &dyn Store<dyn AccountsWork>,
    id: ApiKeyId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let work = store.begin().await?;
    // Another node may have noted it in the meantime.
    let since = at - USE_NOTED_EVERY;
    work.key_registry(SCOPE).touch(id, at, since).await?;
    work.commit().await
}

fn set(noting: &Mutex<HashSet<ApiKeyId>>) -> std::sync::MutexGuard<'_, HashSet<ApiKeyId>> {
    // A poisoned set is still a set.
    noting.lock().unwrap_or_else(PoisonError::into_inner)
}
