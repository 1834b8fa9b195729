//! Kabar's tenants, users, roles, permissions, API keys and audit log.
//!
//! # Overview
//!
//! * [`Accounts`]: the provider makes, changes and switches tenants; a tenant reads and changes its
//!   own row. [`Accounts::ensure_provider`] is the first start of an installation.
//! * [`Users`]: people, of a tenant or of the provider. [`Keys`]: API keys, shown once.
//! * [`Logins`]: registration, logging in by two doors, sessions, passwords, one-time codes; [`guard`]
//!   counts tries, [`password`] hashes away from the async threads.
//! * [`KeyAuthenticator`]: the text of an API key or an access token to a [`Principal`](kabar_core::Principal).
//! * [`audit`] and [`Audits`]: who changed what; [`journal`]: audit entry and event of a change in one call.
//! * [`work`]: what storage does for all of it; [`Realm`]: whose users and keys are meant.
//! * [`credential`]: the text form that API keys and device tokens share; [`check`]: the rules for
//!   names, e-mail addresses, time zones and countries.
//!
//! Every change is written with its audit entry and its event in one unit of work. Every create
//! takes an optional [`Once`](kabar_core::Once), so that a retried request makes nothing twice.

pub mod account;
mod accounts;
pub mod audit;
mod audits;
mod authenticator;
pub mod check;
pub mod credential;
mod first_start;
pub mod guard;
pub mod journal;
pub mod key;
mod keys;
pub mod login;
pub mod logins;
mod networks;
pub mod password;
mod realm;
mod recent;
pub mod registration;
pub mod session;
pub mod totp;
pub mod user;
mod users;
pub mod work;

pub use account::{Account, AccountPatch, NewAccount, NewOwner};
pub use accounts::{AccountError, Accounts, CreatedAccount};
pub use audit::{AuditEntry, AuditLog, AuditWork, StoredAudit};
pub use audits::Audits;
pub use authenticator::{Admitted, AuthError, KeyAuthenticator};
pub use check::Invalid;
pub use first_start::FirstAccess;
pub use key::{ApiKey, CreatedKey, NewKey};
pub use keys::{KeyError, Keys};
pub use login::{Client, Door, LoginAttempt, LoginOutcome, Myself};
pub use logins::{Credentials, LoggedIn, LoginError, LoginSettings, Logins, Profile};
pub use networks::{BadNetwork, NETWORKS_MOST, Networks};
pub use password::{PasswordCost, Passwords};
pub use realm::Realm;
pub use recent::{Recent, RecentKeys};
pub use registration::NewRegistration;
pub use session::{Session, Tokens};
pub use user::{NewUser, User, UserPatch};
pub use users::{UserError, Users};
pub use work::AccountsWork;
