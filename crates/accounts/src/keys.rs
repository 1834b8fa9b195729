//! Making and revoking API keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use kabar_core::permission::{ReadKeys, WriteKeys};
use kabar_core::work::OnceError;
use kabar_core::{
    ApiKeyId, Clock, Denied, Grant, IdSource, InstallationScope, Once, Page, PageRequest,
    Permission, Principal, Store, StoreError, Timestamp,
};
use kabar_events::Fact;
use serde_json::json;

use crate::check::{self, Invalid};
use crate::credential::{self, API_KEY, CredentialHash, Minted};
use crate::journal::{Change, record};
use crate::key::{ApiKey, CreatedKey, NewKey};
use crate::networks::Networks;
use crate::realm::Realm;
use crate::recent::RecentKeys;
use crate::work::AccountsWork;

/// Why a key is not made, read or revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no such key here.
    #[error("no such API key")]
    NotFound,
    /// A field cannot be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The key would be able to do what its creator cannot, the creator is not the one who was
    /// granted the right to make keys, or the account does not exist.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The request repeats another one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// API keys. Their secrets are shown once and never stored.
#[derive(Clone)]
pub struct Keys {
    store: Arc<dyn Store<dyn AccountsWork>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    recent: RecentKeys,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Keys in a store; `recent` is the authenticator's.
    pub fn new(
        store: Arc<dyn Store<dyn AccountsWork>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        recent: RecentKeys,
    ) -> Self {
        Self { store, clock, ids, recent }
    }

    /// Creates a key of an account. `creator` is the principal that the grant came from: the key
    /// can hold nothing that it lacks.
    ///
    /// # Errors
    /// [`KeyError::Invalid`]; [`KeyError::Denied`] names a permission that the creator lacks.
    pub async fn create(
        &self,
        grant: &Grant<WriteKeys>,
        creator: &Principal,
        new: NewKey,
        once: Option<&Once>,
    ) -> Result<CreatedKey, KeyError> {
        self.create_in(grant.into(), creator, new, once).await
    }

    /// Creates a key of the provider. The scope comes from `grant_installation::<WriteKeys>`.
    ///
    /// # Errors
    /// As [`Keys::create`].
    pub async fn create_provider(
        &self,
        scope: InstallationScope,
        creator: &Principal,
        new: NewKey,
        once: Option<&Once>,
    ) -> Result<CreatedKey, KeyError> {
        self.create_in(scope.into(), creator, new, once).await
    }

    /// A key of an account.
    ///
    /// # Errors
    /// [`KeyError::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadKeys>, id: ApiKeyId) -> Result<ApiKey, KeyError> {
        self.get_in(grant.into(), id).await
    }

    /// A key of the provider.
    ///
    /// # Errors
    /// [`KeyError::NotFound`].
    pub async fn get_provider(
        &self,
        scope: InstallationScope,
        id: ApiKeyId,
    ) -> Result<ApiKey, KeyError> {
        self.get_in(scope.into(), id).await
    }

    /// The keys of an account, newest first, revoked ones included.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadKeys>,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, KeyError> {
        let work = self.store.read().await?;
        Ok(work.keys(grant.into()).list(page).await?)
    }

    /// The keys of the provider, newest first, revoked ones included.
    ///
    /// # Errors
    /// [`KeyError::Store`].
    pub async fn list_provider(
        &self,
        scope: InstallationScope,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, KeyError> {
        let work = self.store.read().await?;
        Ok(work.keys(scope.into()).list(page).await?)
    }

    /// Revokes a key of an account: it stops working at once and for good. Revoking it again
    /// changes nothing.
    ///
    /// # Errors
    /// [`KeyError::NotFound`].
    pub async fn revoke(&self, grant: &Grant<WriteKeys>, id: ApiKeyId) -> Result<ApiKey, KeyError> {
        self.revoke_in(grant.into(), id).await
    }

    /// Revokes a key of the provider.
    ///
    /// # Errors
    /// [`KeyError::NotFound`].
    pub async fn revoke_provider(
        &self,
        scope: InstallationScope,
        id: ApiKeyId,
    ) -> Result<ApiKey, KeyError> {
        self.revoke_in(scope.into(), id).await
    }

    /// Replaces the account's own token: an API key that may do what its maker may. The one before
    /// stops working at once.
    ///
    /// # Errors
    /// [`KeyError::Denied`] when the account does not exist.
    pub async fn rotate_account_token(
        &self,
        grant: &Grant<WriteKeys>,
        creator: &Principal,
    ) -> Result<CreatedKey, KeyError> {
        let realm = Realm::from(grant);
        let now = self.clock.now();
        let held = creator.permissions().filter(|p| realm.strongest_role().allows(*p)).collect();
        holds(creator, realm, &held)?;
        let work = self.store.begin().await?;
        // Two who rotate at the same time wait for each other.
        if work.account(grant.scope()).lock().await?.is_none() {
            return Err(Denied::NoSuchAccount.into());
        }
        work.keys(realm).revoke_account_tokens(now).await?;
        let new = NewKey {
            name: "Account token".to_owned(),
            permissions: held,
            allowed: Networks::default(),
            expires_at: None,
        };
        let (mut key, minted) = draft(&*self.ids, realm, new, now)?;
        key.account_token = true;
        insert(&*work, &*self.ids, realm, &key, &minted.hash).await?;
        work.commit().await?;
        self.recent.forget();
        Ok(CreatedKey { key, secret: Some(minted.secret) })
    }

    async fn create_in(
        &self,
        realm: Realm,
        creator: &Principal,
        new: NewKey,
        once: Option<&Once>,
    ) -> Result<CreatedKey, KeyError> {
        let now = self.clock.now();
        holds(creator, realm, &new.permissions)?;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<ApiKeyId>(&*work).await?
        {
            let key = work.keys(realm).get(id).await?;
            let key = key.ok_or(KeyError::NotFound)?;
            return Ok(CreatedKey { key, secret: None });
        }
        if !realm.exists(&*work).await? {
            return Err(Denied::NoSuchAccount.into());
        }
        let (key, minted) = draft(&*self.ids, realm, new, now)?;
        insert(&*work, &*self.ids, realm, &key, &minted.hash).await?;
        if let Some(once) = once {
            once.remember(&*work, &key.id, now).await?;
        }
        work.commit().await?;
        self.recent.forget();
        Ok(CreatedKey { key, secret: Some(minted.secret) })
    }

    async fn get_in(&self, realm: Realm, id: ApiKeyId) -> Result<ApiKey, KeyError> {
        let work = self.store.read().await?;
        let key = work.keys(realm).get(id).await?;
        key.ok_or(KeyError::NotFound)
    }

    async fn revoke_in(&self, realm: Realm, id: ApiKeyId) -> Result<ApiKey, KeyError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let revoked = work.keys(realm).revoke(id, now).await?;
        let key = work.keys(realm).get(id).await?;
        let key = key.ok_or(KeyError::NotFound)?;
        if revoked {
            record(&*work, &*self.ids, change(realm, &key, "key.revoke", now)).await?;
            work.commit().await?;
            self.recent.forget();
        }
        Ok(key)
    }
}

/// A key that was checked and not stored yet. Whether the creator may give the permissions is the
/// caller's to check.
pub(crate) fn draft(
    ids: &dyn IdSource,
    realm: Realm,
    new: NewKey,
    now: Timestamp,
) -> Result<(ApiKey, Minted), Invalid> {
    let id = ApiKeyId::from(ids.next());
    let minted = credential::mint(API_KEY, id.uuid(), ids);
    let key = ApiKey {
        id,
        account: realm.account(),
        name: check::name("name", &new.name)?,
        hint: minted.hint.clone(),
        permissions: permissions(realm, new.permissions)?,
        allowed: new.allowed,
        account_token: false,
        created_at: now,
        expires_at: expiry(new.expires_at, now)?,
        revoked_at: None,
        last_used_at: None,
    };
    Ok((key, minted))
}

/// Stores a key with its records.
pub(crate) async fn insert(
    work: &dyn AccountsWork,
    ids: &dyn IdSource,
    realm: Realm,
    key: &ApiKey,
    hash: &CredentialHash,
) -> Result<(), StoreError> {
    work.keys(realm).insert(key, hash).await?;
    let change = change(realm, key, "key.create", key.created_at);
    record(work, ids, change).await
}

/// The creator is the one who was granted the right, and has what it gives away.
fn holds(creator: &Principal, realm: Realm, wanted: &BTreeSet<Permission>) -> Result<(), Denied> {
    let held: BTreeSet<Permission> = creator.permissions().collect();
    if creator.actor() != realm.actor() {
        return Err(Denied::Permission(Permission::WriteKeys));
    }
    match wanted.difference(&held).next() {
        Some(lacking) => Err(Denied::Permission(*lacking)),
        None => Ok(()),
    }
}

fn permissions(
    realm: Realm,
    wanted: BTreeSet<Permission>,
) -> Result<BTreeSet<Permission>, Invalid> {
    if wanted.is_empty() {
        return Err(Invalid::new("permissions", "must name at least one permission"));
    }
    match wanted.iter().find(|p| !realm.strongest_role().allows(**p)) {
        Some(foreign) => Err(Invalid::new(
            "permissions",
            format!("must not contain `{foreign}`, which only a provider's key can hold"),
        )),
        None => Ok(wanted),
    }
}

fn expiry(at: Option<Timestamp>, now: Timestamp) -> Result<Option<Timestamp>, Invalid> {
    match at {
        Some(at) if at <= now => Err(Invalid::new("expires_at", "must be in the future")),
        // Storage keeps microseconds.
        at => Ok(at.map(|at| chrono::SubsecRound::trunc_subsecs(at, 6))),
    }
}

fn change(realm: Realm, key: &ApiKey, action: &'static str, at: Timestamp) -> Change {
    let words: Vec<&str> = key.permissions.iter().map(|p| p.as_str()).collect();
    Change {
        account: realm.account(),
        actor: realm.actor(),
        action,
        subject: key.id.to_string(),
        detail: json!({ "name": key.name, "permissions": words }),
        fact: Fact::KeyChanged { key_id: key.id },
        at,
    }
}
