//! Logging in, and everything that leads there: registration, passwords, one-time codes, sessions.

mod enter;
mod letters;
mod own;
mod recover;
mod register;
mod second;
mod session;

use std::sync::Arc;

use kabar_core::principal::Actor;
use kabar_core::{
    AuditId, Clock, IdSource, InstallationScope, Store, StoreError, Timestamp, UserId,
};
use kabar_events::Fact;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::check::Invalid;
use crate::credential::{self, Minted};
use crate::guard::{Limit, address_key, email_key};
use crate::journal::{Change, record};
use crate::login::{Client, Door, LoginAttempt, LoginOutcome};
use crate::password::{PasswordError, Passwords};
use crate::user::User;
use crate::work::AccountsWork;

pub use enter::{Credentials, LoggedIn};
pub(crate) use letters::invitation;
pub use own::Profile;
pub use second::Confirmed;

/// The word of one-time tokens that are mailed.
pub const MAILED_TOKEN: &str = "kbt";
/// For how long a mailed token works.
pub const MAILED_TOKEN_HOURS: i64 = 24;

const SCOPE: InstallationScope = InstallationScope::system("login");

/// How people get in.
#[derive(Debug, Clone)]
pub struct LoginSettings {
    /// Whether customers can register by themselves.
    pub registration: bool,
    /// Where the installation's pages are, for links in mails; mails hold the token alone without.
    pub public_url: Option<Url>,
    /// What the installation is called, in mails and authenticator apps.
    pub name: String,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self { registration: true, public_url: None, name: "Kabar".to_owned() }
    }
}

/// Why somebody does not get in, or does not get what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// Wrong address or password, a user that is not active, or too many tries: which is not told.
    #[error(
        "the e-mail address or the password is wrong, or there were too many tries; after 5 wrong \
         ones wait for 15 minutes"
    )]
    Wrong,
    /// The password is right; a one-time code is missing, wrong, or was used before.
    #[error("{}", code_problem(*.wrong))]
    Code {
        /// Whether one was sent.
        wrong: bool,
    },
    /// A token is unknown, used or expired, or its session ended.
    #[error("this token does not work: it is unknown, used, or expired")]
    Token,
    /// Nobody can register here.
    #[error("registration is switched off; ask the provider for an account")]
    Closed,
    /// A field cannot be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such session.
    #[error("no such session")]
    NotFound,
    /// One-time codes are in another state than this needs.
    #[error("{0}")]
    Codes(&'static str),
    /// A password could not be checked.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const fn code_problem(wrong: bool) -> &'static str {
    if wrong {
        "the one-time code is wrong or was used before; wait for the next one"
    } else {
        "send a one-time code of your authenticator app, or a recovery code, as `totp`"
    }
}

/// Logging in.
#[derive(Clone)]
pub struct Logins {
    store: Arc<dyn Store<dyn AccountsWork>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    passwords: Passwords,
    settings: Arc<LoginSettings>,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

impl Logins {
    /// Logins over a store.
    pub fn new(
        store: Arc<dyn Store<dyn AccountsWork>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        passwords: Passwords,
        settings: Arc<LoginSettings>,
    ) -> Self {
        Self { store, clock, ids, passwords, settings }
    }

    /// Removes what nobody can use any more, and attempts older than 90 days; returns how many rows.
    ///
    /// # Errors
    /// What storage says.
    pub async fn prune(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let ago = |days| now - chrono::TimeDelta::days(days);
        let work = self.store.begin().await?;
        let rows = work.logins(SCOPE).prune(now, ago(1), ago(90)).await?;
        let mails = work.mails().prune(SCOPE, ago(7)).await?;
        work.commit().await?;
        Ok(rows + mails)
    }

    /// A mailed token of the row `id`.
    fn mint(&self, id: Uuid) -> Minted {
        credential::mint(MAILED_TOKEN, id, &*self.ids)
    }

    /// Counts a try with an address from a network address; `false` when there is none left. The
    /// order of the two is always the same, so that nobody waits for each other.
    async fn count(
        &self,
        work: &dyn AccountsWork,
        what: &Tried<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut counted = Vec::new();
        for (key, limit) in what.keys() {
            let mut guard = work.guards(SCOPE).lock(&key, now).await?;
            if !guard.count(limit, now) {
                return Ok(false);
            }
            counted.push((key, guard));
        }
        for (key, guard) in &counted {
            work.guards(SCOPE).put(key, guard).await?;
        }
        Ok(true)
    }

    /// Takes a counted try back; a whole login forgets those before it, too.
    async fn take_back(
        &self,
        work: &dyn AccountsWork,
        what: &Tried<'_>,
        forget: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for (place, (key, limit)) in what.keys().into_iter().enumerate() {
            let mut guard = work.guards(SCOPE).lock(&key, now).await?;
            if forget && place == 0 {
                guard.clear();
            } else {
                guard.take_back(limit);
            }
            work.guards(SCOPE).put(&key, &guard).await?;
        }
        Ok(())
    }

    async fn note(
        &self,
        work: &dyn AccountsWork,
        user: Option<&User>,
        door: Door,
        outcome: LoginOutcome,
        from: &Client,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let attempt = LoginAttempt {
            id: AuditId::from(self.ids.next()),
            account: user.and_then(|user| user.account),
            user: user.map(|user| user.id),
            door,
            outcome,
            address: from.address,
            at: now,
        };
        work.attempts(SCOPE).add(&attempt).await
    }

    /// Writes down what somebody changed of oneself.
    async fn record(
        &self,
        work: &dyn AccountsWork,
        user: &User,
        action: &'static str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.record_by(work, user, Actor::User(user.id), action, now).await
    }

    async fn record_by(
        &self,
        work: &dyn AccountsWork,
        user: &User,
        actor: Actor,
        action: &'static str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let change = Change {
            account: user.account,
            actor,
            action,
            subject: user.id.to_string(),
            detail: json!({}),
            fact: Fact::UserChanged { user_id: user.id },
            at: now,
        };
        record(work, &*self.ids, change).await
    }
}

/// What tries are counted by.
struct Tried<'a> {
    what: &'static str,
    email: &'a str,
    per_email: Limit,
    from: &'a Client,
    per_address: Limit,
}

impl Tried<'_> {
    fn keys(&self) -> Vec<(String, Limit)> {
        let mut keys = vec![(email_key(self.what, self.email), self.per_email)];
        if let Some(address) = self.from.address {
            keys.push((address_key(self.what, address), self.per_address));
        }
        keys
    }
}

/// An address as it is looked up: nobody has one that is no address.
fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Why oneself is not there: gone since the token was made.
fn gone(_: UserId) -> LoginError {
    LoginError::Token
}
