//! Who acts.

use std::collections::BTreeSet;
use std::fmt;

use crate::permission::{Permission, Permit, Role};
use crate::scope::{Grant, InstallationScope, Scope};
use crate::{AccountId, ApiKeyId, DeviceId, UserId};

/// The acting party, as it is written into the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Actor {
    /// A person.
    User(UserId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// A device's own token.
    Device(DeviceId),
    /// A part of Kabar itself, by name (`intake`, `automation`).
    System(&'static str),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::ApiKey(id) => id.fmt(f),
            Self::Device(id) => id.fmt(f),
            Self::System(name) => write!(f, "system:{name}"),
        }
    }
}

/// Why a principal may not do what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The principal lacks the permission.
    #[error("this credential lacks the permission `{0}`")]
    Permission(Permission),
    /// The account does not exist for this principal.
    #[error("no such account")]
    NoSuchAccount,
    /// A provider's credential must say which account it acts in.
    #[error(
        "a provider credential must name the account it acts in: send the header `Kabar-Account`"
    )]
    AccountRequired,
    /// Only the provider can do this.
    #[error("only the provider of this installation can do this")]
    ProviderOnly,
    /// Only a person who is logged in can do this, for oneself.
    #[error("only a person who is logged in can do this: send the access token of a session")]
    PersonOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Installation,
    Account(AccountId),
    Device(AccountId, DeviceId),
}

/// An authenticated party with its permissions. Made by `kabar-accounts` from a credential, or by
/// an embedding program that vouches for its own users.
#[derive(Debug, Clone)]
pub struct Principal {
    actor: Actor,
    reach: Reach,
    permissions: BTreeSet<Permission>,
}

impl Principal {
    /// A logged-in user: the role's permissions plus those granted by name. `account` is `None`
    /// for the provider's people.
    pub fn user(
        id: UserId,
        role: Role,
        account: Option<AccountId>,
        granted: impl IntoIterator<Item = Permission>,
    ) -> Self {
        let permissions = role_permissions(role).chain(granted).collect();
        Self { actor: Actor::User(id), reach: reach(account), permissions }
    }

    /// An API key with exactly the named permissions, cut to what its account can have.
    pub fn api_key(
        id: ApiKeyId,
        account: Option<AccountId>,
        permissions: impl IntoIterator<Item = Permission>,
    ) -> Self {
        let most = if account.is_some() { Role::Customer } else { Role::ProviderAdmin };
        let permissions = permissions.into_iter().filter(|p| most.allows(*p)).collect();
        Self { actor: Actor::ApiKey(id), reach: reach(account), permissions }
    }

    /// A device token: sends and reads for its one device.
    pub fn device(account: AccountId, device: DeviceId) -> Self {
        let permissions =
            [Permission::ReadDevices, Permission::ReadMessages, Permission::SendMessages];
        Self {
            actor: Actor::Device(device),
            reach: Reach::Device(account, device),
            permissions: permissions.into(),
        }
    }

    /// A part of Kabar itself.
    pub fn system(name: &'static str) -> Self {
        Self {
            actor: Actor::System(name),
            reach: Reach::Installation,
            permissions: Permission::ALL.iter().copied().collect(),
        }
    }

    /// Who acts.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The account that the principal belongs to; `None` for the provider.
    pub fn account(&self) -> Option<AccountId> {
        match self.reach {
            Reach::Installation => None,
            Reach::Account(account) | Reach::Device(account, _) => Some(account),
        }
    }

    /// The permissions.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> + '_ {
        self.permissions.iter().copied()
    }

    /// Proof that the principal may do `P` in an account: its own, or, for a provider, the one
    /// that it names.
    ///
    /// # Errors
    /// [`Denied::Permission`] without the permission, [`Denied::NoSuchAccount`] when another
    /// account than its own is named, [`Denied::AccountRequired`] when a provider names none.
    pub fn grant<P: Permit>(&self, account: Option<AccountId>) -> Result<Grant<P>, Denied> {
        self.require(P::PERMISSION)?;
        let (own, device) = match self.reach {
            Reach::Installation => (account.ok_or(Denied::AccountRequired)?, None),
            Reach::Account(own) => (own, None),
            Reach::Device(own, device) => (own, Some(device)),
        };
        if account.is_some_and(|named| named != own) {
            return Err(Denied::NoSuchAccount);
        }
        Ok(Grant::new(Scope::new(own, device, self.actor)))
    }

    /// Proof that the principal may do `P` over the whole installation.
    ///
    /// # Errors
    /// [`Denied::ProviderOnly`] for a principal of an account, [`Denied::Permission`] without the
    /// permission.
    pub fn grant_installation<P: Permit>(&self) -> Result<InstallationScope, Denied> {
        self.require(P::PERMISSION)?;
        match self.reach {
            Reach::Installation => Ok(InstallationScope::new(self.actor)),
            Reach::Account(_) | Reach::Device(..) => Err(Denied::ProviderOnly),
        }
    }

    fn require(&self, permission: Permission) -> Result<(), Denied> {
        if self.permissions.contains(&permission) {
            Ok(())
        } else {
            Err(Denied::Permission(permission))
        }
    }
}

fn role_permissions(role: Role) -> impl Iterator<Item = Permission> {
    Permission::ALL.iter().copied().filter(move |permission| role.allows(*permission))
}

fn reach(account: Option<AccountId>) -> Reach {
    account.map_or(Reach::Installation, Reach::Account)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::permission::{ReadAccounts, ReadMessages, WriteKeys};

    fn account(n: u128) -> AccountId {
        AccountId::from(Uuid::from_u128(n))
    }

    #[test]
    fn an_owner_reaches_only_its_own_account() {
        let owner =
            Principal::user(UserId::from(Uuid::nil()), Role::Customer, Some(account(1)), []);
        assert!(owner.grant::<ReadMessages>(None).is_ok());
        assert!(owner.grant::<ReadMessages>(Some(account(1))).is_ok());
        assert_eq!(
            owner.grant::<ReadMessages>(Some(account(2))).err(),
            Some(Denied::NoSuchAccount)
        );
        assert!(owner.grant_installation::<ReadMessages>().is_err());
    }

    #[test]
    fn an_account_key_never_holds_provider_permissions() {
        let id = ApiKeyId::from(Uuid::nil());
        let key = Principal::api_key(id, Some(account(1)), Permission::ALL.iter().copied());
        assert_eq!(
            key.grant_installation::<ReadAccounts>().err(),
            Some(Denied::Permission(Permission::ReadAccounts))
        );
    }

    #[test]
    fn a_device_token_is_confined_to_its_device() {
        let device = DeviceId::from(Uuid::from_u128(7));
        let token = Principal::device(account(1), device);
        let grant = token.grant::<ReadMessages>(None).expect("may read");
        assert_eq!(grant.device(), Some(device));
        assert!(token.grant::<WriteKeys>(None).is_err());
    }

    #[test]
    fn a_provider_names_the_account() {
        let admin = Principal::user(UserId::from(Uuid::nil()), Role::ProviderAdmin, None, []);
        assert_eq!(admin.grant::<ReadMessages>(None).err(), Some(Denied::AccountRequired));
        assert!(admin.grant::<ReadMessages>(Some(account(3))).is_ok());
    }
}
