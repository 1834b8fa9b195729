//! What can be permitted, and which role has it.
//!
//! Every permission exists twice: as a value ([`Permission`], for keys, the matrix and error
//! texts) and as a type (`SendMessages`), which a use case demands as [`Grant<SendMessages>`].
//!
//! [`Grant<SendMessages>`]: crate::Grant

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod sealed {
    pub trait Sealed {}
}

/// A permission as a type. Sealed: the list below is the whole list.
pub trait Permit: sealed::Sealed + Send + Sync + 'static {
    /// The same permission as a value.
    const PERMISSION: Permission;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)+) => {
        /// One thing that a principal may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Permission {
            $($(#[$doc])* $name,)+
        }

        impl Permission {
            /// Every permission, in the order of the policy matrix.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word on the wire, `area:verb`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }

        impl FromStr for Permission {
            type Err = UnknownPermission;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$name),)+
                    _ => Err(UnknownPermission(text.chars().take(64).collect())),
                }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;
            impl sealed::Sealed for $name {}
            impl Permit for $name {
                const PERMISSION: Permission = Permission::$name;
            }
        )+
    };
}

permissions! {
    /// List accounts of the installation.
    ReadAccounts = "accounts:read";
    /// Create, change, activate and deactivate accounts.
    WriteAccounts = "accounts:write";
    /// Read one's own account and its settings.
    ReadSettings = "settings:read";
    /// Change one's own account's settings.
    WriteSettings = "settings:write";
    /// List users.
    ReadUsers = "users:read";
    /// Create and change users.
    WriteUsers = "users:write";
    /// List API keys (never their secrets).
    ReadKeys = "keys:read";
    /// Create and revoke API keys.
    WriteKeys = "keys:write";
    /// List devices, their state and templates.
    ReadDevices = "devices:read";
    /// Register, change and remove devices and Meta apps; rotate device tokens.
    WriteDevices = "devices:write";
    /// Read contacts.
    ReadContacts = "contacts:read";
    /// Create, change and remove contacts.
    WriteContacts = "contacts:write";
    /// Read conversations, messages and their media.
    ReadMessages = "messages:read";
    /// Send, cancel and settle messages; upload media; mark read.
    SendMessages = "messages:send";
    /// Read autoreply rules.
    ReadRules = "rules:read";
    /// Create, change and remove autoreply rules.
    WriteRules = "rules:write";
    /// Read message templates.
    ReadTemplates = "templates:read";
    /// Create, change and remove message templates.
    WriteTemplates = "templates:write";
    /// Read broadcasts and their progress.
    ReadBroadcasts = "broadcasts:read";
    /// Create, start, pause and cancel broadcasts.
    WriteBroadcasts = "broadcasts:write";
    /// Read webhook endpoints and what was delivered to them (never their secrets).
    ReadWebhooks = "webhooks:read";
    /// Create, change and remove webhook endpoints, rotate their secrets, deliver again.
    WriteWebhooks = "webhooks:write";
    /// Read statistics.
    ReadStatistics = "statistics:read";
    /// Read the event log.
    ReadEvents = "events:read";
    /// Read the audit log.
    ReadAudit = "audit:read";
    /// Read metrics, health and retention of the installation.
    ReadOperations = "operations:read";
    /// Change how the installation is run: retention, alerts.
    WriteOperations = "operations:write";
}

/// A word that names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a permission; see the list in the API documentation")]
pub struct UnknownPermission(String);

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who somebody is (ledger, "Who uses it").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// The operator: everything in the installation.
    ProviderAdmin,
    /// The operator's staff: support; no money, no secrets, plus what the admin granted.
    ProviderStaff,
    /// An account's owner: everything inside the account.
    Customer,
    /// An account's agent: conversations and contacts.
    Agent,
}

impl Role {
    /// Every role, in the order of the policy matrix.
    pub const ALL: &'static [Self] =
        &[Self::ProviderAdmin, Self::ProviderStaff, Self::Customer, Self::Agent];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProviderAdmin => "provider_admin",
            Self::ProviderStaff => "provider_staff",
            Self::Customer => "customer",
            Self::Agent => "agent",
        }
    }

    /// Whether the role belongs to the operator rather than to one account.
    pub const fn is_provider(self) -> bool {
        matches!(self, Self::ProviderAdmin | Self::ProviderStaff)
    }

    /// Whether the role has the permission without any further grant.
    pub const fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::ProviderAdmin => true,
            Self::ProviderStaff => matches!(
                permission,
                P::ReadAccounts
                    | P::ReadSettings
                    | P::ReadUsers
                    | P::ReadDevices
                    | P::ReadContacts
                    | P::ReadMessages
                    | P::ReadRules
                    | P::ReadTemplates
                    | P::ReadBroadcasts
                    | P::ReadWebhooks
                    | P::ReadStatistics
                    | P::ReadEvents
                    | P::ReadOperations
            ),
            Self::Customer => !matches!(
                permission,
                P::ReadAccounts | P::WriteAccounts | P::ReadOperations | P::WriteOperations
            ),
            Self::Agent => matches!(
                permission,
                P::ReadSettings
                    | P::ReadDevices
                    | P::ReadContacts
                    | P::WriteContacts
                    | P::ReadMessages
                    | P::SendMessages
                    | P::ReadTemplates
            ),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; use provider_admin, provider_staff, customer or agent")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
        }
    }

    #[test]
    fn staff_and_agents_never_touch_secrets() {
        for role in [Role::ProviderStaff, Role::Agent] {
            assert!(!role.allows(Permission::WriteKeys));
            assert!(!role.allows(Permission::WriteDevices));
        }
    }
}
