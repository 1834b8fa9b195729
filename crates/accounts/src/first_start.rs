//! The first start of an installation: its provider and the provider's key.

use std::collections::BTreeSet;

use kabar_core::{InstallationScope, Once, Permission, Role, Secret};

use crate::accounts::{AccountError, Accounts};
use crate::key::{ApiKey, NewKey};
use crate::keys;
use crate::networks::Networks;
use crate::realm::Realm;
use crate::user::{NewUser, User};
use crate::users;
use crate::work::AccountsWork;

/// The row that decides which of several nodes starting at once makes the provider.
const OPERATION: &str = "provider.ensure";

/// A provider's administrator with a key that may do everything.
#[derive(Debug)]
pub struct FirstAccess {
    /// The administrator.
    pub user: User,
    /// The key.
    pub key: ApiKey,
    /// The key's secret, which is shown once.
    pub secret: Secret,
}

impl Accounts {
    /// Makes the provider's first administrator and a key with every permission, unless the
    /// installation has an administrator; then it returns `None`. Of several nodes that start at
    /// once, one makes it.
    ///
    /// # Errors
    /// [`AccountError::Invalid`] for a bad address, [`AccountError::EmailTaken`].
    pub async fn ensure_provider(&self, email: &str) -> Result<Option<FirstAccess>, AccountError> {
        let scope = InstallationScope::system("first_start");
        let once = Once {
            principal: scope.actor().to_string(),
            operation: OPERATION,
            key: String::new(),
            body_hash: [0; 32],
        };
        let work = self.store.begin().await?;
        // Waits for a node that is at it now; one that was forgotten shows in the users.
        if once.recall::<()>(&*work).await?.is_some()
            || work.user_registry(scope).has_provider_admin().await?
        {
            return Ok(None);
        }
        let made = self.make_admin(&*work, scope, email).await?;
        once.remember(&*work, &(), self.clock.now()).await?;
        work.commit().await?;
        Ok(Some(made))
    }

    /// Makes a further administrator of the provider and a key with every permission. For whoever
    /// has the machine: it asks for no grant.
    ///
    /// # Errors
    /// As [`Accounts::ensure_provider`].
    pub async fn create_provider_admin(&self, email: &str) -> Result<FirstAccess, AccountError> {
        let work = self.store.begin().await?;
        let scope = InstallationScope::system("console");
        let made = self.make_admin(&*work, scope, email).await?;
        work.commit().await?;
        Ok(made)
    }

    async fn make_admin(
        &self,
        work: &dyn AccountsWork,
        scope: InstallationScope,
        email: &str,
    ) -> Result<FirstAccess, AccountError> {
        let now = self.clock.now();
        let realm = Realm::from(scope);
        let user = NewUser {
            email: email.to_owned(),
            name: "Administrator".to_owned(),
            role: Role::ProviderAdmin,
            permissions: BTreeSet::new(),
        };
        let user = users::insert(work, &*self.ids, realm, user, now).await?;
        let key = NewKey {
            name: "Administrator".to_owned(),
            permissions: Permission::ALL.iter().copied().collect(),
            allowed: Networks::default(),
            expires_at: None,
        };
        let (key, minted) = keys::draft(&*self.ids, realm, key, now)?;
        keys::insert(work, &*self.ids, realm, &key, &minted.hash).await?;
        Ok(FirstAccess { user, key, secret: minted.secret })
    }
}
