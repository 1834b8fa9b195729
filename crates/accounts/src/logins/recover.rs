//! Passwords that are forgotten, or were never there.

use kabar_core::{Secret, Timestamp};
use kabar_jobs::mail;

use super::register::tried;
use super::{LoginError, Logins, MAILED_TOKEN, SCOPE, folded, letters};
use crate::credential;
use crate::guard::email_key;
use crate::login::{Client, Door, LoginUser, PasswordToken};
use crate::password;

impl Logins {
    /// Mails a token that sets a new password, if somebody at that door has the address. Whether one
    /// has is not told. Beyond 5 mails an hour to one address, or 30 from one network address, nothing
    /// is mailed.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn forgot(&self, door: Door, email: &str, from: Client) -> Result<(), LoginError> {
        let email = folded(email);
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if !self.count(&*work, &tried(&email, &from), now).await? {
            return Ok(());
        }
        let known = work.logins(SCOPE).by_email(&email).await?;
        let known = known.filter(|known| door.is_for(&known.user) && known.works());
        if let Some(LoginUser { user, .. }) = known {
            let token = letters::password_token(&*work, &*self.ids, user.id, now).await?;
            let letter = letters::forgotten(&self.settings, &user, &token);
            mail::enqueue(&*work, &*self.ids, user.account, vec![letter], now).await?;
        }
        Ok(work.commit().await?)
    }

    /// A token that sets the password of a user, for whoever has the machine: it asks for no grant.
    /// `None` when nobody has the address.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn password_token(&self, email: &str) -> Result<Option<Secret>, LoginError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let Some(known) = work.logins(SCOPE).by_email(&folded(email)).await? else {
            return Ok(None);
        };
        let token = letters::password_token(&*work, &*self.ids, known.user.id, now).await?;
        let actor = kabar_core::principal::Actor::System("console");
        self.record_by(&*work, &known.user, actor, "user.password_token", now).await?;
        work.commit().await?;
        Ok(Some(token))
    }

    /// Sets a password with a mailed token, which is used up. Every session of the user ends, and
    /// tries before are forgotten.
    ///
    /// # Errors
    /// [`LoginError::Token`], [`LoginError::Invalid`], [`LoginError::Password`].
    pub async fn reset(&self, token: &str, password: &Secret) -> Result<(), LoginError> {
        let (id, hash) = credential::read(MAILED_TOKEN, token).ok_or(LoginError::Token)?;
        let now = self.clock.now();
        let work = self.store.read().await?;
        let found = work.logins(SCOPE).token(id).await?;
        let token = found
            .filter(|token| hash.proves(&token.hash) && now < token.expires_at)
            .ok_or(LoginError::Token)?;
        let known = work.logins(SCOPE).get(token.user).await?;
        drop(work);
        let known = known.filter(LoginUser::works).ok_or(LoginError::Token)?;
        let own = [known.user.email.as_str(), known.user.name.as_str()];
        password::acceptable("password", password, &own)?;
        let hash = self.passwords.hash(password, &*self.ids).await?;
        self.set(&token, &hash, now).await
    }

    async fn set(
        &self,
        token: &PasswordToken,
        hash: &Secret,
        now: Timestamp,
    ) -> Result<(), LoginError> {
        let work = self.store.begin().await?;
        let known = work.logins(SCOPE).lock(token.user).await?;
        let known = known.filter(LoginUser::works).ok_or(LoginError::Token)?;
        if !work.logins(SCOPE).take_token(token.id).await? {
            return Err(LoginError::Token);
        }
        work.logins(SCOPE).set_password(token.user, hash).await?;
        work.logins(SCOPE).drop_tokens(token.user).await?;
        work.sessions(SCOPE).end_all(token.user, None, now).await?;
        let key = email_key("login", &known.user.email);
        let mut guard = work.guards(SCOPE).lock(&key, now).await?;
        guard.clear();
        work.guards(SCOPE).put(&key, &guard).await?;
        self.record(&*work, &known.user, "user.password_reset", now).await?;
        let letter = letters::changed(&self.settings, &known.user);
        mail::enqueue(&*work, &*self.ids, known.user.account, vec![letter], now).await?;
        Ok(work.commit().await?)
    }
}
