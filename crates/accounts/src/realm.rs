//! Whose users and keys are meant.

use kabar_core::principal::Actor;
use kabar_core::{AccountId, Grant, InstallationScope, Role, Scope, StoreError};

use crate::work::AccountsWork;

/// Whose users and keys are meant: a tenant's, or the provider's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// Those of one account.
    Account(Scope),
    /// Those of the provider, which belong to no account.
    Provider(InstallationScope),
}

impl Realm {
    /// The account; `None` for the provider.
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account(scope) => Some(scope.account()),
            Self::Provider(_) => None,
        }
    }

    /// Who acts.
    pub const fn actor(&self) -> Actor {
        match self {
            Self::Account(scope) => scope.actor(),
            Self::Provider(scope) => scope.actor(),
        }
    }

    /// Whether its account exists. A provider can name one that does not.
    ///
    /// # Errors
    /// What storage says.
    pub async fn exists<W: AccountsWork + ?Sized>(&self, work: &W) -> Result<bool, StoreError> {
        match self {
            Self::Account(scope) => Ok(work.account(*scope).get().await?.is_some()),
            Self::Provider(_) => Ok(true),
        }
    }

    /// The role that has every permission which can be held here.
    pub const fn strongest_role(&self) -> Role {
        match self {
            Self::Account(_) => Role::Customer,
            Self::Provider(_) => Role::ProviderAdmin,
        }
    }
}

impl From<Scope> for Realm {
    fn from(scope: Scope) -> Self {
        Self::Account(scope)
    }
}

impl From<InstallationScope> for Realm {
    fn from(scope: InstallationScope) -> Self {
        Self::Provider(scope)
    }
}

impl<P> From<&Grant<P>> for Realm {
    fn from(grant: &Grant<P>) -> Self {
        Self::Account(grant.scope())
    }
}
