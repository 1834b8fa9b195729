//! From the text of an API key to a principal.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use kabar_core::{ApiKeyId, Clock, InstallationScope, Principal, Store, StoreError, Timestamp};
use tokio_util::task::TaskTracker;

use crate::credential::{self, API_KEY};
use crate::key::StoredKey;
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
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets the holders of API keys in: one indexed query each.
#[derive(Clone)]
pub struct KeyAuthenticator {
    store: Arc<dyn Store<dyn AccountsWork>>,
    clock: Arc<dyn Clock>,
    uses: Uses,
}

impl std::fmt::Debug for KeyAuthenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyAuthenticator").finish_non_exhaustive()
    }
}

impl KeyAuthenticator {
    /// An authenticator of the keys in a store. Needs a tokio runtime when it is used.
    pub fn new(store: Arc<dyn Store<dyn AccountsWork>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, uses: Uses::default() }
    }

    /// The principal behind the text of a key (`kbr_…`).
    ///
    /// # Errors
    /// [`AuthError::Unauthorized`] whatever is wrong with the key.
    pub async fn authenticate(&self, text: &str) -> Result<Principal, AuthError> {
        let (id, hash) = credential::read(API_KEY, text).ok_or(AuthError::Unauthorized)?;
        let id = ApiKeyId::from(id);
        let now = self.clock.now();
        let work = self.store.read().await?;
        let stored = work.key_registry(SCOPE).by_id(id).await?;
        drop(work);
        let StoredKey { key, .. } = stored
            .filter(|stored| hash.proves(&stored.hash))
            .filter(|stored| stored.account_active && stored.key.works_at(now))
            .ok_or(AuthError::Unauthorized)?;
        if is_stale(key.last_used_at, now) {
            self.uses.note(Arc::clone(&self.store), id, now);
        }
        Ok(Principal::api_key(key.id, key.account, key.permissions))
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
