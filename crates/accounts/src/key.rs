//! An API key.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kabar_core::{
    AccountId, ApiKeyId, Page, PageRequest, Permission, Secret, StoreError, Timestamp,
};

use crate::credential::CredentialHash;
use crate::networks::Networks;

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The account; `None` for a key of the provider.
    pub account: Option<AccountId>,
    /// What it is called.
    pub name: String,
    /// The first characters of its random part, for recognition.
    pub hint: String,
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
    /// From where it works; from everywhere when empty.
    pub allowed: Networks,
    /// Whether it is the account's own token: there is one at most, and rotating replaces it.
    pub account_token: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends to work.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it is neither revoked nor expired.
    pub fn works_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// An API key to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it is called: 1 to 100 characters.
    pub name: String,
    /// What it may do: at least one permission, none that its creator lacks.
    pub permissions: BTreeSet<Permission>,
    /// From where it works; from everywhere when empty.
    pub allowed: Networks,
    /// When it ends to work; in the future.
    pub expires_at: Option<Timestamp>,
}

/// An API key that was created.
#[derive(Debug)]
pub struct CreatedKey {
    /// The key.
    pub key: ApiKey,
    /// Its secret, which is shown once: `None` when a retried request finds the key made by the
    /// first.
    pub secret: Option<Secret>,
}

/// A key with what is needed to let somebody in.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// The key.
    pub key: ApiKey,
    /// SHA-256 of its random part.
    pub hash: [u8; 32],
    /// Whether its account is active; a provider's key has none and is.
    pub account_active: bool,
}

/// The API keys of one realm.
#[async_trait]
pub trait KeyRepo: Send {
    /// Stores a new key of the realm.
    async fn insert(&mut self, key: &ApiKey, hash: &CredentialHash) -> Result<(), StoreError>;

    /// A key, revoked or not.
    async fn get(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;

    /// The keys, newest first, revoked ones included.
    async fn list(&mut self, page: PageRequest) -> Result<Page<ApiKey>, StoreError>;

    /// Revokes a key. `false` if there is none, or if it was revoked before.
    async fn revoke(&mut self, id: ApiKeyId, at: Timestamp) -> Result<bool, StoreError>;

    /// Revokes the account's own tokens; returns how many there were.
    async fn revoke_account_tokens(&mut self, at: Timestamp) -> Result<u64, StoreError>;
}

/// The API keys of the installation.
#[async_trait]
pub trait KeyRegistry: Send {
    /// A key by its id, with its hash and the state of its account, in one query.
    async fn by_id(&mut self, id: ApiKeyId) -> Result<Option<StoredKey>, StoreError>;

    /// Stores that the key was used, unless it was used after `unless_since`.
    async fn touch(
        &mut self,
        id: ApiKeyId,
        at: Timestamp,
        unless_since: Timestamp,
    ) -> Result<(), StoreError>;
}
