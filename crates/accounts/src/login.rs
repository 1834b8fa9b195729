//! What logging in is made of: who, through which door, with what outcome, for which session.

use std::net::IpAddr;
use std::str::FromStr;

use async_trait::async_trait;
use kabar_core::principal::Actor;
use kabar_core::{
    AccountId, AuditId, Page, PageRequest, Principal, Secret, SessionId, StoreError, Timestamp,
    UserId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::realm::Realm;
use crate::user::User;

/// A user with what proves the person.
#[derive(Debug, Clone)]
pub struct LoginUser {
    /// The user.
    pub user: User,
    /// The hash of the password, if there is one yet.
    pub password_hash: Option<Secret>,
    /// Whether the user's account is active; the provider's people have none and are.
    pub account_active: bool,
}

impl LoginUser {
    /// Whether the user may be here at all.
    pub const fn works(&self) -> bool {
        self.user.active && self.account_active
    }
}

/// A closed list of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$one:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name { $($(#[$one])* $variant,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the wire and in storage.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().copied().find(|one| one.as_str() == text);
                found.ok_or_else(|| format!(concat!("`{}` is no ", $what), text))
            }
        }
    };
}

words! {
    /// Where somebody logs in. Nobody gets in at the other door.
    Door, "door" {
        /// The customers' and their agents'.
        Customer = "customer",
        /// The provider's people's.
        Provider = "provider",
    }
}

words! {
    /// What became of an attempt to log in.
    LoginOutcome, "outcome" {
        /// Logged in.
        LoggedIn = "logged_in",
        /// The password was wrong, or there is none yet.
        WrongPassword = "wrong_password",
        /// No user of this door has the address.
        UnknownUser = "unknown_user",
        /// Too many tries before.
        Locked = "locked",
        /// The user or the account is not active.
        Inactive = "inactive",
        /// The password was right, and a one-time code was not sent.
        CodeRequired = "code_required",
        /// The password was right, the one-time code wrong or used before.
        WrongCode = "wrong_code",
    }
}

impl Door {
    /// Whether a user may come in here.
    pub(crate) const fn is_for(self, user: &User) -> bool {
        matches!((self, user.account.is_some()), (Self::Customer, true) | (Self::Provider, false))
    }
}

/// From where somebody asks, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The network address.
    pub address: Option<IpAddr>,
    /// The program, in its own words (`User-Agent`).
    pub agent: Option<String>,
}

/// An attempt to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAttempt {
    /// Its id.
    pub id: AuditId,
    /// The account, where the user has one.
    pub account: Option<AccountId>,
    /// The user, where one has the address.
    pub user: Option<UserId>,
    /// At which door.
    pub door: Door,
    /// What became of it.
    pub outcome: LoginOutcome,
    /// From which network address.
    pub address: Option<IpAddr>,
    /// When.
    pub at: Timestamp,
}

/// A user with the session in which it asks: the proof that somebody acts for oneself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Myself {
    pub(crate) user: UserId,
    pub(crate) session: Option<SessionId>,
}

impl Myself {
    /// The user behind a principal; `None` for keys and device tokens. `session` is that of the
    /// access token, where there is one.
    pub fn of(principal: &Principal, session: Option<SessionId>) -> Option<Self> {
        match principal.actor() {
            Actor::User(user) => Some(Self { user, session }),
            _ => None,
        }
    }

    /// The user.
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// The session.
    pub const fn session(&self) -> Option<SessionId> {
        self.session
    }
}

/// A token that was mailed, and is good for one password.
#[derive(Debug, Clone)]
pub struct PasswordToken {
    /// Its id.
    pub id: Uuid,
    /// Whose password it sets.
    pub user: UserId,
    /// SHA-256 of its random part.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends to work.
    pub expires_at: Timestamp,
}

/// Passwords and their tokens, over the whole installation: nobody has a scope before logging in.
#[async_trait]
pub trait LoginRepo: Send {
    /// The user with an address (in lower case).
    async fn by_email(&mut self, email: &str) -> Result<Option<LoginUser>, StoreError>;

    /// A user.
    async fn get(&mut self, id: UserId) -> Result<Option<LoginUser>, StoreError>;

    /// A user, kept from others until the unit of work ends.
    async fn lock(&mut self, id: UserId) -> Result<Option<LoginUser>, StoreError>;

    /// Stores the hash of a password.
    async fn set_password(&mut self, id: UserId, hash: &Secret) -> Result<(), StoreError>;

    /// Stores a token.
    async fn put_token(&mut self, token: &PasswordToken) -> Result<(), StoreError>;

    /// A token, by its id.
    async fn token(&mut self, id: Uuid) -> Result<Option<PasswordToken>, StoreError>;

    /// Removes a token; `false` if another unit of work was quicker.
    async fn take_token(&mut self, id: Uuid) -> Result<bool, StoreError>;

    /// Removes every token of a user.
    async fn drop_tokens(&mut self, user: UserId) -> Result<(), StoreError>;

    /// Removes what nobody can use any more: tokens, registrations and sessions that ended before
    /// `now`, guards untouched since `guards`, attempts before `attempts`. Returns how many rows.
    async fn prune(
        &mut self,
        now: Timestamp,
        guards: Timestamp,
        attempts: Timestamp,
    ) -> Result<u64, StoreError>;
}

/// The attempts to log in.
#[async_trait]
pub trait AttemptLog: Send {
    /// Writes an attempt down.
    async fn add(&mut self, attempt: &LoginAttempt) -> Result<(), StoreError>;

    /// Those of one user, newest first.
    async fn of_user(
        &mut self,
        user: UserId,
        page: PageRequest,
    ) -> Result<Page<LoginAttempt>, StoreError>;

    /// Those of a realm, newest first; the provider's hold those of nobody, too.
    async fn of_realm(
        &mut self,
        realm: Realm,
        page: PageRequest,
    ) -> Result<Page<LoginAttempt>, StoreError>;
}
