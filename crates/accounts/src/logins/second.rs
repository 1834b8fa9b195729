//! One-time codes: enrolling, confirming, giving up.

use kabar_core::{ExposeSecret as _, Secret};
use kabar_jobs::mail;

use super::{LoginError, Logins, SCOPE, gone, letters};
use crate::check::Invalid;
use crate::login::{Client, LoginUser, Myself};
use crate::totp::{self, Enrolment, TotpSecret};
use crate::work::AccountsWork;

/// One-time codes are asked for from now on.
#[derive(Debug)]
pub struct Confirmed {
    /// Codes for when the app is lost, each good for one login; shown once.
    pub recovery_codes: Vec<Secret>,
}

impl Logins {
    /// Makes a secret for an authenticator app. It counts once [`Logins::confirm_totp`] proved that
    /// the app has it.
    ///
    /// # Errors
    /// [`LoginError::Wrong`] for another password, [`LoginError::Codes`] when codes are asked for
    /// already.
    pub async fn enrol_totp(
        &self,
        me: Myself,
        password: &Secret,
        from: Client,
    ) -> Result<Enrolment, LoginError> {
        let known = self.prove(me, password, &from).await?;
        let now = self.clock.now();
        let secret = totp::secret(&*self.ids);
        let uri = totp::uri(secret.expose_secret(), &self.settings.name, &known.user.email)?;
        let work = self.store.begin().await?;
        self.locked(&*work, me).await?;
        let there = work.totp(SCOPE).get(me.user).await?;
        if there.is_some_and(|there| there.confirmed_at.is_some()) {
            return Err(LoginError::Codes("one-time codes are in use; give them up first"));
        }
        let stored = TotpSecret {
            secret: secret.clone(),
            last_step: 0,
            confirmed_at: None,
            created_at: now,
        };
        work.totp(SCOPE).put(me.user, &stored).await?;
        work.commit().await?;
        Ok(Enrolment { secret, uri })
    }

    /// Asks for one-time codes from now on, when the code is one of the app that was enrolled.
    ///
    /// # Errors
    /// [`LoginError::Codes`] when none was enrolled, [`LoginError::Invalid`] for a wrong code.
    pub async fn confirm_totp(&self, me: Myself, code: &Secret) -> Result<Confirmed, LoginError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let known = self.locked(&*work, me).await?;
        let there = work.totp(SCOPE).get(me.user).await?;
        let Some(mut there) = there.filter(|there| there.confirmed_at.is_none()) else {
            return Err(LoginError::Codes("enrol an authenticator app first"));
        };
        let secret = there.secret.expose_secret();
        let Some(step) = totp::step(secret, there.last_step, code.expose_secret(), now) else {
            let problem = "is no code of the app for now; check the clock of the phone";
            return Err(Invalid::new("code", problem).into());
        };
        there.last_step = step;
        there.confirmed_at = Some(now);
        work.totp(SCOPE).put(me.user, &there).await?;
        let (recovery_codes, hashes) = totp::recovery_codes(&*self.ids);
        work.totp(SCOPE).put_codes(me.user, &hashes).await?;
        self.record(&*work, &known.user, "user.totp_confirm", now).await?;
        let letter = letters::codes_on(&self.settings, &known.user);
        mail::enqueue(&*work, &*self.ids, known.user.account, vec![letter], now).await?;
        work.commit().await?;
        Ok(Confirmed { recovery_codes })
    }

    /// Makes new recovery codes; those before end to work.
    ///
    /// # Errors
    /// [`LoginError::Wrong`] for another password, [`LoginError::Codes`] when no codes are in use.
    pub async fn renew_recovery_codes(
        &self,
        me: Myself,
        password: &Secret,
        from: Client,
    ) -> Result<Confirmed, LoginError> {
        self.prove(me, password, &from).await?;
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let known = self.locked(&*work, me).await?;
        let there = work.totp(SCOPE).get(me.user).await?;
        if there.is_none_or(|there| there.confirmed_at.is_none()) {
            return Err(LoginError::Codes("one-time codes are not in use"));
        }
        let (recovery_codes, hashes) = totp::recovery_codes(&*self.ids);
        work.totp(SCOPE).put_codes(me.user, &hashes).await?;
        self.record(&*work, &known.user, "user.recovery_codes", now).await?;
        work.commit().await?;
        Ok(Confirmed { recovery_codes })
    }

    /// Asks for one-time codes no more.
    ///
    /// # Errors
    /// [`LoginError::Wrong`] for another password, [`LoginError::Codes`] when no codes are in use.
    pub async fn disable_totp(
        &self,
        me: Myself,
        password: &Secret,
        from: Client,
    ) -> Result<(), LoginError> {
        self.prove(me, password, &from).await?;
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let known = self.locked(&*work, me).await?;
        if !work.totp(SCOPE).remove(me.user).await? {
            return Err(LoginError::Codes("one-time codes are not in use"));
        }
        self.record(&*work, &known.user, "user.totp_disable", now).await?;
        let letter = letters::codes_off(&self.settings, &known.user);
        mail::enqueue(&*work, &*self.ids, known.user.account, vec![letter], now).await?;
        Ok(work.commit().await?)
    }

    async fn locked(&self, work: &dyn AccountsWork, me: Myself) -> Result<LoginUser, LoginError> {
        work.logins(SCOPE).lock(me.user).await?.ok_or_else(|| gone(me.user))
    }
}
