//! What storage does for accounts, users and keys.

use kabar_core::{InstallationScope, Scope};
use kabar_events::EventsWork;

use crate::account::{AccountRegistry, AccountRepo};
use crate::audit::AuditWork;
use crate::key::{KeyRegistry, KeyRepo};
use crate::realm::Realm;
use crate::user::{UserRegistry, UserRepo};

/// A unit of work with accounts, users and keys.
pub trait AccountsWork: AuditWork + EventsWork {
    /// One account's own row.
    fn account(&self, scope: Scope) -> Box<dyn AccountRepo + '_>;

    /// The accounts of the installation.
    fn account_registry(&self, scope: InstallationScope) -> Box<dyn AccountRegistry + '_>;

    /// The users of a realm.
    fn users(&self, realm: Realm) -> Box<dyn UserRepo + '_>;

    /// The users of the installation.
    fn user_registry(&self, scope: InstallationScope) -> Box<dyn UserRegistry + '_>;

    /// The API keys of a realm.
    fn keys(&self, realm: Realm) -> Box<dyn KeyRepo + '_>;

    /// The API keys of the installation, for authentication.
    fn key_registry(&self, scope: InstallationScope) -> Box<dyn KeyRegistry + '_>;
}
