//! Whose rows a use case sees. Scopes have no public constructor: authorisation mints them.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::principal::Actor;
use crate::{AccountId, DeviceId};

/// One tenant's rows; repositories are opened with it. A device token's scope is narrowed further
/// to its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    account: AccountId,
    device: Option<DeviceId>,
    actor: Actor,
}

impl Scope {
    pub(crate) const fn new(account: AccountId, device: Option<DeviceId>, actor: Actor) -> Self {
        Self { account, device, actor }
    }

    /// The tenant.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The only device in reach, if the credential is a device token.
    pub const fn device(&self) -> Option<DeviceId> {
        self.device
    }

    /// Who acts, for the audit log.
    pub const fn actor(&self) -> Actor {
        self.actor
    }

    /// Whether rows of `device` are in reach.
    pub fn reaches(&self, device: DeviceId) -> bool {
        self.device.is_none_or(|only| only == device)
    }
}

/// A [`Scope`] with the proof that permission `P` was checked. Use cases demand it by type, so a
/// forgotten check does not compile.
pub struct Grant<P> {
    scope: Scope,
    permission: PhantomData<fn() -> P>,
}

impl<P> Grant<P> {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope, permission: PhantomData }
    }

    /// The scope alone.
    pub const fn scope(&self) -> Scope {
        self.scope
    }
}

impl<P> Clone for Grant<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Grant<P> {}

impl<P> fmt::Debug for Grant<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Grant").field(&self.scope).finish()
    }
}

impl<P> Deref for Grant<P> {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.scope
    }
}

/// The whole installation: the provider's own lists, claims of the dispatcher, the intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallationScope {
    actor: Actor,
}

impl InstallationScope {
    pub(crate) const fn new(actor: Actor) -> Self {
        Self { actor }
    }

    /// The scope of a part of Kabar itself, by name.
    pub const fn system(name: &'static str) -> Self {
        Self { actor: Actor::System(name) }
    }

    /// Who acts, for the audit log.
    pub const fn actor(&self) -> Actor {
        self.actor
    }

    /// One tenant's rows, for work on a row that the installation scope found.
    pub const fn within(&self, account: AccountId) -> Scope {
        Scope::new(account, None, self.actor)
    }
}
