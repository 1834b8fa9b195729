//! What storage does for accounts, users and keys.

use kabar_core::{InstallationScope, Scope};
use kabar_events::EventsWork;
use kabar_jobs::MailsWork;

use crate::account::{AccountRegistry, AccountRepo};
use crate::audit::AuditWork;
use crate::guard::GuardRepo;
use crate::key::{KeyRegistry, KeyRepo};
use crate::login::{AttemptLog, LoginRepo};
use crate::realm::Realm;
use crate::registration::RegistrationRepo;
use crate::session::SessionRepo;
use crate::totp::TotpRepo;
use crate::user::{UserRegistry, UserRepo};

/// A unit of work with accounts, users and keys.
pub trait AccountsWork: AuditWork + EventsWork + MailsWork {
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

    /// Passwords and their tokens.
    fn logins(&self, scope: InstallationScope) -> Box<dyn LoginRepo + '_>;

    /// The counted tries.
    fn guards(&self, scope: InstallationScope) -> Box<dyn GuardRepo + '_>;

    /// The attempts to log in.
    fn attempts(&self, scope: InstallationScope) -> Box<dyn AttemptLog + '_>;

    /// The registrations that wait.
    fn registrations(&self, scope: InstallationScope) -> Box<dyn RegistrationRepo + '_>;

    /// The sessions of the installation.
    fn sessions(&self, scope: InstallationScope) -> Box<dyn SessionRepo + '_>;

    /// The secrets of one-time codes.
    fn totp(&self, scope: InstallationScope) -> Box<dyn TotpRepo + '_>;
}
