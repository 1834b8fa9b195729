//! Through a door, with a password and perhaps a one-time code.

use kabar_core::{ExposeSecret as _, Secret, SessionId, Timestamp};

use super::{LoginError, Logins, SCOPE, Tried, folded};
use crate::guard::{PER_ADDRESS, PER_EMAIL};
use crate::login::{Client, Door, LoginOutcome, LoginUser, Myself};
use crate::session::{REFRESH, Session, Tokens};
use crate::totp;
use crate::user::User;
use crate::work::AccountsWork;

/// Who somebody says to be.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: Secret,
    /// A code of the authenticator app, or a recovery code.
    pub totp: Option<Secret>,
}

/// Somebody who is logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// Who.
    pub user: User,
    /// With which tokens.
    pub tokens: Tokens,
}

pub(super) fn tried<'a>(email: &'a str, from: &'a Client) -> Tried<'a> {
    Tried { what: "login", email, per_email: PER_EMAIL, from, per_address: PER_ADDRESS }
}

impl Logins {
    /// Logs somebody in through a door. Finding nobody costs what finding somebody costs, and is
    /// told in the same words.
    ///
    /// # Errors
    /// [`LoginError::Wrong`], [`LoginError::Code`], [`LoginError::Password`] when too many try at
    /// the same time.
    pub async fn log_in(
        &self,
        door: Door,
        who: &Credentials,
        from: Client,
    ) -> Result<LoggedIn, LoginError> {
        let email = folded(&who.email);
        let tried = tried(&email, &from);
        let known = self.begin_try(door, &tried).await?;
        let stored = known.as_ref().and_then(|known| known.password_hash.as_ref());
        let proof = match self.passwords.check(&who.password, stored).await {
            Ok(proof) => proof,
            Err(error) => {
                self.undo(&tried).await?;
                return Err(error.into());
            }
        };
        let outcome = match &known {
            None => LoginOutcome::UnknownUser,
            Some(_) if !proof.right => LoginOutcome::WrongPassword,
            Some(known) if !known.works() => LoginOutcome::Inactive,
            Some(_) => LoginOutcome::LoggedIn,
        };
        let Some(known) = known.as_ref().filter(|_| outcome == LoginOutcome::LoggedIn) else {
            let user = known.as_ref().map(|known| &known.user);
            return self.refuse(user, door, outcome, &tried).await;
        };
        let renewed = if proof.outdated {
            Some(self.passwords.hash(&who.password, &*self.ids).await?)
        } else {
            None
        };
        self.let_in(door, known, who, renewed.as_ref(), &tried).await
    }

    /// Counts the try, and looks who it is about; nobody at the other door.
    async fn begin_try(
        &self,
        door: Door,
        tried: &Tried<'_>,
    ) -> Result<Option<LoginUser>, LoginError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let known = work.logins(SCOPE).by_email(tried.email).await?;
        let known = known.filter(|known| door.is_for(&known.user));
        let counted = self.count(&*work, tried, now).await?;
        if !counted {
            let user = known.as_ref().map(|known| &known.user);
            self.note(&*work, user, door, LoginOutcome::Locked, tried.from, now).await?;
        }
        work.commit().await?;
        if counted { Ok(known) } else { Err(LoginError::Wrong) }
    }

    async fn undo(&self, tried: &Tried<'_>) -> Result<(), LoginError> {
        let work = self.store.begin().await?;
        self.take_back(&*work, tried, false, self.clock.now()).await?;
        Ok(work.commit().await?)
    }

    async fn refuse(
        &self,
        user: Option<&User>,
        door: Door,
        outcome: LoginOutcome,
        tried: &Tried<'_>,
    ) -> Result<LoggedIn, LoginError> {
        let work = self.store.begin().await?;
        self.note(&*work, user, door, outcome, tried.from, self.clock.now()).await?;
        work.commit().await?;
        Err(LoginError::Wrong)
    }

    /// The password was right. What it was right for is looked at again, with the user kept from
    /// others: it may have changed while it was hashed.
    async fn let_in(
        &self,
        door: Door,
        known: &LoginUser,
        who: &Credentials,
        renewed: Option<&Secret>,
        tried: &Tried<'_>,
    ) -> Result<LoggedIn, LoginError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let user = work.logins(SCOPE).lock(known.user.id).await?;
        let Some(user) = user.filter(|user| user.works() && same(user, known)) else {
            drop(work);
            return self.refuse(Some(&known.user), door, LoginOutcome::Inactive, tried).await;
        };
        if let Err(wrong) = self.second(&*work, &user.user, who.totp.as_ref(), now).await? {
            let outcome = if wrong {
                LoginOutcome::WrongCode
            } else {
                // Programs send the password alone first, to see whether a code is asked for.
                self.take_back(&*work, tried, false, now).await?;
                LoginOutcome::CodeRequired
            };
            self.note(&*work, Some(&user.user), door, outcome, tried.from, now).await?;
            work.commit().await?;
            return Err(LoginError::Code { wrong });
        }
        if let Some(hash) = renewed {
            work.logins(SCOPE).set_password(user.user.id, hash).await?;
        }
        self.take_back(&*work, tried, true, now).await?;
        self.note(&*work, Some(&user.user), door, LoginOutcome::LoggedIn, tried.from, now).await?;
        let tokens = self.open(&*work, &user.user, tried.from, now).await?;
        work.commit().await?;
        Ok(LoggedIn { user: user.user, tokens })
    }

    /// Whether the one-time code is right, or none is asked for; else whether one was sent.
    async fn second(
        &self,
        work: &dyn AccountsWork,
        user: &User,
        code: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Result<(), bool>, LoginError> {
        let totp = work.totp(SCOPE).get(user.id).await?;
        let Some(mut totp) = totp.filter(|totp| totp.confirmed_at.is_some()) else {
            return Ok(Ok(()));
        };
        let Some(code) = code else {
            return Ok(Err(false));
        };
        let code = code.expose_secret();
        if let Some(step) = totp::step(totp.secret.expose_secret(), totp.last_step, code, now) {
            totp.last_step = step;
            work.totp(SCOPE).put(user.id, &totp).await?;
            return Ok(Ok(()));
        }
        let hash = totp::recovery_hash(code);
        let taken = work.totp(SCOPE).take_code(user.id, hash).await?;
        if taken {
            self.record(work, user, "user.recovery_code", now).await?;
        }
        Ok(if taken { Ok(()) } else { Err(true) })
    }

    /// A new session.
    async fn open(
        &self,
        work: &dyn AccountsWork,
        user: &User,
        from: &Client,
        now: Timestamp,
    ) -> Result<Tokens, LoginError> {
        /// Characters of a program's words about itself that are kept.
        const AGENT: usize = 200;
        let agent = from.agent.as_ref().map(|agent| agent.chars().take(AGENT).collect());
        let session = Session {
            id: SessionId::from(self.ids.next()),
            user: user.id,
            address: from.address,
            agent,
            created_at: now,
            refreshed_at: now,
            expires_at: now + REFRESH,
            ended_at: None,
        };
        work.sessions(SCOPE).insert(&session).await?;
        self.pair(work, session.id, now).await
    }

    /// Whether the password is that of oneself, counted like a try to log in.
    ///
    /// # Errors
    /// [`LoginError::Wrong`].
    pub(super) async fn prove(
        &self,
        me: Myself,
        password: &Secret,
        from: &Client,
    ) -> Result<LoginUser, LoginError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let known = work.logins(SCOPE).get(me.user).await?.ok_or_else(|| super::gone(me.user))?;
        let email = known.user.email.clone();
        let tried = tried(&email, from);
        let counted = self.count(&*work, &tried, now).await?;
        work.commit().await?;
        if !counted {
            return Err(LoginError::Wrong);
        }
        let proof = self.passwords.check(password, known.password_hash.as_ref()).await;
        if proof.as_ref().is_ok_and(|proof| !proof.right) {
            return Err(LoginError::Wrong);
        }
        self.undo(&tried).await?;
        proof?;
        Ok(known)
    }
}

/// Whether the password is still the one that was checked.
pub(super) fn same(now: &LoginUser, before: &LoginUser) -> bool {
    let text =
        |user: &LoginUser| user.password_hash.as_ref().map(|it| it.expose_secret().to_owned());
    text(now) == text(before)
}
