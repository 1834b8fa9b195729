//! One's own profile and password.

use kabar_core::Secret;
use kabar_jobs::mail;

use super::enter::same;
use super::{LoginError, Logins, SCOPE, gone, letters};
use crate::check;
use crate::login::{Client, LoginUser, Myself};
use crate::password;
use crate::user::User;

/// Oneself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The user.
    pub user: User,
    /// Whether logging in asks for a one-time code.
    pub totp: bool,
}

impl Logins {
    /// Oneself.
    ///
    /// # Errors
    /// [`LoginError::Token`] when one is gone.
    pub async fn me(&self, me: Myself) -> Result<Profile, LoginError> {
        let work = self.store.read().await?;
        let known = work.logins(SCOPE).get(me.user).await?.ok_or_else(|| gone(me.user))?;
        let totp = work.totp(SCOPE).get(me.user).await?;
        let totp = totp.is_some_and(|totp| totp.confirmed_at.is_some());
        Ok(Profile { user: known.user, totp })
    }

    /// Changes one's own name.
    ///
    /// # Errors
    /// [`LoginError::Invalid`].
    pub async fn rename(&self, me: Myself, name: &str) -> Result<Profile, LoginError> {
        let name = check::name("name", name)?;
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let known = work.logins(SCOPE).lock(me.user).await?;
        let LoginUser { mut user, .. } = known.ok_or_else(|| gone(me.user))?;
        if user.name != name {
            user.name = name;
            user.updated_at = now;
            work.users(realm(&user)).update(&user).await?;
            self.record(&*work, &user, "user.update", now).await?;
            work.commit().await?;
        }
        self.me(me).await
    }

    /// Changes one's own password. Every other session ends.
    ///
    /// # Errors
    /// [`LoginError::Wrong`] for another present password, [`LoginError::Invalid`].
    pub async fn change_password(
        &self,
        me: Myself,
        present: &Secret,
        new: &Secret,
        from: Client,
    ) -> Result<(), LoginError> {
        let known = self.prove(me, present, &from).await?;
        let own = [known.user.email.as_str(), known.user.name.as_str()];
        password::acceptable("new_password", new, &own)?;
        let hash = self.passwords.hash(new, &*self.ids).await?;
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let still = work.logins(SCOPE).lock(me.user).await?;
        if !still.is_some_and(|still| same(&still, &known)) {
            return Err(LoginError::Wrong);
        }
        work.logins(SCOPE).set_password(me.user, &hash).await?;
        work.logins(SCOPE).drop_tokens(me.user).await?;
        work.sessions(SCOPE).end_all(me.user, me.session, now).await?;
        self.record(&*work, &known.user, "user.password", now).await?;
        let letter = letters::changed(&self.settings, &known.user);
        mail::enqueue(&*work, &*self.ids, known.user.account, vec![letter], now).await?;
        Ok(work.commit().await?)
    }
}

fn realm(user: &User) -> crate::Realm {
    user.account.map_or_else(|| SCOPE.into(), |account| SCOPE.within(account).into())
}
