//! What an account sets for the pace of all its devices.

use std::sync::Arc;

use kabar_accounts::journal::{Change, record};
use kabar_accounts::{Invalid, Realm};
use kabar_core::permission::{ReadSettings, WriteSettings};
use kabar_core::{Clock, Denied, Grant, IdSource, Store, StoreError};
use kabar_events::Fact;
use serde_json::json;

use crate::pacing::AccountPacing;
use crate::repo::DevicesUse;

/// Why the rules of an account cannot be had or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PacingRulesError {
    /// A field cannot be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The account does not exist.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Quiet hours and frequency caps of accounts.
#[derive(Clone)]
pub struct PacingRules {
    store: Arc<dyn Store<dyn DevicesUse>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl std::fmt::Debug for PacingRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacingRules").finish_non_exhaustive()
    }
}

impl PacingRules {
    /// The rules in a store.
    pub fn new(
        store: Arc<dyn Store<dyn DevicesUse>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, clock, ids }
    }

    /// What the account set; nothing when it set nothing.
    ///
    /// # Errors
    /// [`PacingRulesError::Store`].
    pub async fn get(
        &self,
        grant: &Grant<ReadSettings>,
    ) -> Result<AccountPacing, PacingRulesError> {
        let work = self.store.read().await?;
        Ok(work.pacing_rules(grant.scope()).get().await?.unwrap_or_default())
    }

    /// Replaces what the account set. What waits already is looked at anew.
    ///
    /// # Errors
    /// [`PacingRulesError::Invalid`].
    pub async fn set(
        &self,
        grant: &Grant<WriteSettings>,
        rules: AccountPacing,
    ) -> Result<AccountPacing, PacingRulesError> {
        rules.check()?;
        let (scope, now) = (grant.scope(), self.clock.now());
        let work = self.store.begin().await?;
        if !Realm::from(scope).exists(&*work).await? {
            return Err(Denied::NoSuchAccount.into());
        }
        work.pacing_rules(scope).set(&rules).await?;
        let change = Change {
            account: Some(scope.account()),
            actor: scope.actor(),
            action: "account.pacing",
            subject: scope.account().to_string(),
            detail: json!({}),
            fact: Fact::AccountChanged,
            at: now,
        };
        record(&*work, &*self.ids, change).await?;
        work.commit().await?;
        Ok(rules)
    }
}
