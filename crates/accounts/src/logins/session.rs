//! Tokens, and the ends of sessions.

use kabar_core::principal::Actor;
use kabar_core::{Page, PageRequest, SessionId, Timestamp};
use kabar_events::Fact;
use serde_json::json;

use super::{LoginError, Logins, SCOPE};
use crate::credential::{self, ACCESS_TOKEN, REFRESH_TOKEN};
use crate::journal::{Change, record};
use crate::login::{LoginAttempt, Myself};
use crate::realm::Realm;
use crate::session::{ACCESS, GRACE, Held, REFRESH, Session, TokenPair, Tokens};
use crate::work::AccountsWork;

use super::enter::LoggedIn;

impl Logins {
    /// A new pair of tokens for a session.
    pub(super) async fn pair(
        &self,
        work: &dyn AccountsWork,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Tokens, LoginError> {
        let id = self.ids.next();
        let access = credential::mint(ACCESS_TOKEN, id, &*self.ids);
        let refresh = credential::mint(REFRESH_TOKEN, id, &*self.ids);
        let pair = TokenPair {
            id,
            session,
            access_hash: *access.hash.bytes(),
            access_expires_at: now + ACCESS,
            refresh_hash: *refresh.hash.bytes(),
            refresh_expires_at: now + REFRESH,
            refreshed_at: None,
        };
        work.sessions(SCOPE).put_pair(&pair).await?;
        Ok(Tokens {
            session,
            access: access.secret,
            access_expires_at: pair.access_expires_at,
            refresh: refresh.secret,
            refresh_expires_at: pair.refresh_expires_at,
        })
    }

    /// Buys the next pair of tokens with a refresh token (`kbf_…`). One that was used more than
    /// [`GRACE`] ago ends its session.
    ///
    /// # Errors
    /// [`LoginError::Token`].
    pub async fn refresh(&self, token: &str) -> Result<LoggedIn, LoginError> {
        let (id, hash) = credential::read(REFRESH_TOKEN, token).ok_or(LoginError::Token)?;
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let held = work.sessions(SCOPE).lock(id).await?;
        let held = held
            .filter(|held| hash.proves(&held.pair.refresh_hash) && held.goes_on(now))
            .filter(|held| now < held.pair.refresh_expires_at)
            .ok_or(LoginError::Token)?;
        if held.pair.refreshed_at.is_some_and(|used| now - used > GRACE) {
            self.end_reused(&*work, &held, now).await?;
            work.commit().await?;
            return Err(LoginError::Token);
        }
        work.sessions(SCOPE).refreshed(&held.pair, now).await?;
        let tokens = self.pair(&*work, held.session.id, now).await?;
        work.commit().await?;
        Ok(LoggedIn { user: held.user.user, tokens })
    }

    async fn end_reused(
        &self,
        work: &dyn AccountsWork,
        held: &Held,
        now: Timestamp,
    ) -> Result<(), LoginError> {
        let user = &held.user.user;
        work.sessions(SCOPE).end(user.id, held.session.id, now).await?;
        tracing::warn!(user = %user.id, session = %held.session.id, "session.token_reused");
        let change = Change {
            account: user.account,
            actor: Actor::System("login"),
            action: "session.token_reused",
            subject: held.session.id.to_string(),
            detail: json!({ "user_id": user.id }),
            fact: Fact::UserChanged { user_id: user.id },
            at: now,
        };
        Ok(record(work, &*self.ids, change).await?)
    }

    /// The sessions of oneself that go on, newest first.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn sessions(
        &self,
        me: Myself,
        page: PageRequest,
    ) -> Result<Page<Session>, LoginError> {
        let work = self.store.read().await?;
        Ok(work.sessions(SCOPE).list(me.user, self.clock.now(), page).await?)
    }

    /// Ends a session of oneself at once.
    ///
    /// # Errors
    /// [`LoginError::NotFound`].
    pub async fn end_session(&self, me: Myself, id: SessionId) -> Result<(), LoginError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if !work.sessions(SCOPE).end(me.user, id, now).await? {
            return Err(LoginError::NotFound);
        }
        let user = work.logins(SCOPE).get(me.user).await?;
        let user = user.ok_or_else(|| super::gone(me.user))?.user;
        self.record(&*work, &user, "session.end", now).await?;
        Ok(work.commit().await?)
    }

    /// Ends the session that oneself asks in.
    ///
    /// # Errors
    /// [`LoginError::NotFound`] when one asks in none.
    pub async fn log_out(&self, me: Myself) -> Result<(), LoginError> {
        let session = me.session.ok_or(LoginError::NotFound)?;
        self.end_session(me, session).await
    }

    /// Ends every session of oneself, this one too; returns how many there were.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn log_out_everywhere(&self, me: Myself) -> Result<u64, LoginError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let user = work.logins(SCOPE).lock(me.user).await?;
        let user = user.ok_or_else(|| super::gone(me.user))?.user;
        let ended = work.sessions(SCOPE).end_all(me.user, None, now).await?;
        self.record(&*work, &user, "session.end_all", now).await?;
        work.commit().await?;
        Ok(ended)
    }

    /// The attempts to log in as oneself, newest first.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn own_attempts(
        &self,
        me: Myself,
        page: PageRequest,
    ) -> Result<Page<LoginAttempt>, LoginError> {
        let work = self.store.read().await?;
        Ok(work.attempts(SCOPE).of_user(me.user, page).await?)
    }

    /// The attempts to log in to a realm, newest first: for whoever may read its audit log
    /// (`audit:read`).
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn attempts(
        &self,
        realm: Realm,
        page: PageRequest,
    ) -> Result<Page<LoginAttempt>, LoginError> {
        let work = self.store.read().await?;
        Ok(work.attempts(SCOPE).of_realm(realm, page).await?)
    }
}
