//! Customers who register by themselves.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use kabar_core::{Role, Secret, Timestamp};
use kabar_jobs::mail;

use super::{LoginError, Logins, MAILED_TOKEN, MAILED_TOKEN_HOURS, SCOPE, Tried, folded, letters};
use crate::account::NewAccount;
use crate::accounts::{self, AccountError};
use crate::check;
use crate::credential;
use crate::guard::{MAILS_PER_ADDRESS, MAILS_PER_EMAIL};
use crate::login::Client;
use crate::password;
use crate::registration::{NewRegistration, Registration, RegistrationDetails};
use crate::user::{NewUser, User};
use crate::users::{self, UserError};

pub(super) fn tried<'a>(email: &'a str, from: &'a Client) -> Tried<'a> {
    Tried { what: "mail", email, per_email: MAILS_PER_EMAIL, from, per_address: MAILS_PER_ADDRESS }
}

impl Logins {
    /// Takes a registration, and mails a token that verifies the address. Whether somebody has the
    /// address already is told to its owner alone, by mail. Beyond 5 mails an hour to one address,
    /// or 30 from one network address, nothing is mailed.
    ///
    /// # Errors
    /// [`LoginError::Closed`], [`LoginError::Invalid`], [`LoginError::Password`].
    pub async fn register(&self, new: NewRegistration, from: Client) -> Result<(), LoginError> {
        if !self.settings.registration {
            return Err(LoginError::Closed);
        }
        let email = check::email(&new.email)?;
        let details = details(&new)?;
        password::acceptable("password", &new.password, &[&email, &details.name])?;
        if !self.counted(&email, &from).await? {
            return Ok(());
        }
        // Always made: how long the answer takes must not tell whether it is needed.
        let password_hash = self.passwords.hash(&new.password, &*self.ids).await?;
        let now = self.clock.now();
        let id = self.ids.next();
        let token = self.mint(id);
        let work = self.store.begin().await?;
        let letter = if work.logins(SCOPE).by_email(&email).await?.is_some() {
            letters::known(&self.settings, &email)
        } else {
            let registration = Registration {
                id,
                email: email.clone(),
                password_hash,
                details,
                token_hash: *token.hash.bytes(),
                created_at: now,
                expires_at: expiry(now),
            };
            work.registrations(SCOPE).put(&registration).await?;
            letters::verification(&self.settings, &email, &token.secret)
        };
        mail::enqueue(&*work, &*self.ids, None, vec![letter], now).await?;
        Ok(work.commit().await?)
    }

    /// Whether one more mail may be caused. Counted by itself, so that no hash is made in vain.
    async fn counted(&self, email: &str, from: &Client) -> Result<bool, LoginError> {
        let work = self.store.begin().await?;
        let counted = self.count(&*work, &tried(email, from), self.clock.now()).await?;
        work.commit().await?;
        Ok(counted)
    }

    /// Mails another token for the newest registration of an address, if there is one. The token
    /// before it ends to work.
    ///
    /// # Errors
    /// [`LoginError::Closed`].
    pub async fn resend_verification(&self, email: &str, from: Client) -> Result<(), LoginError> {
        if !self.settings.registration {
            return Err(LoginError::Closed);
        }
        let email = folded(email);
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if !self.count(&*work, &tried(&email, &from), now).await? {
            return Ok(());
        }
        let waiting = work.registrations(SCOPE).newest(&email).await?;
        if let Some(mut registration) = waiting.filter(|it| now < it.expires_at) {
            let token = self.mint(registration.id);
            registration.token_hash = *token.hash.bytes();
            registration.expires_at = expiry(now);
            work.registrations(SCOPE).put(&registration).await?;
            let letter = letters::verification(&self.settings, &email, &token.secret);
            mail::enqueue(&*work, &*self.ids, None, vec![letter], now).await?;
        }
        Ok(work.commit().await?)
    }

    /// Makes the account and its owner, when the mailed token and the password of the registration
    /// come together. The token alone is not enough: the mail may have reached somebody who did not
    /// register, and who must not open an account under a stranger's password by a click.
    ///
    /// # Errors
    /// [`LoginError::Token`], [`LoginError::Wrong`] for another password.
    pub async fn verify(
        &self,
        token: &str,
        password: &Secret,
        from: Client,
    ) -> Result<User, LoginError> {
        let (id, hash) = credential::read(MAILED_TOKEN, token).ok_or(LoginError::Token)?;
        let registration = self.waiting(id, &hash).await?;
        let tried = super::enter::tried(&registration.email, &from);
        let work = self.store.begin().await?;
        let counted = self.count(&*work, &tried, self.clock.now()).await?;
        work.commit().await?;
        if !counted {
            return Err(LoginError::Wrong);
        }
        let proof = self.passwords.check(password, Some(&registration.password_hash)).await?;
        if !proof.right {
            return Err(LoginError::Wrong);
        }
        self.admit(&registration, &tried).await
    }

    async fn waiting(
        &self,
        id: uuid::Uuid,
        hash: &credential::CredentialHash,
    ) -> Result<Registration, LoginError> {
        let now = self.clock.now();
        let work = self.store.read().await?;
        let found = work.registrations(SCOPE).get(id).await?;
        found
            .filter(|it| hash.proves(&it.token_hash) && now < it.expires_at)
            .ok_or(LoginError::Token)
    }

    async fn admit(
        &self,
        registration: &Registration,
        tried: &Tried<'_>,
    ) -> Result<User, LoginError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if !work.registrations(SCOPE).take(registration.id).await? {
            return Err(LoginError::Token);
        }
        let details = registration.details.clone();
        let account = NewAccount {
            name: details.account_name,
            time_zone: details.time_zone,
            country: details.country,
            owner: None,
        };
        let account = accounts::insert(&*work, &*self.ids, SCOPE, &account, now).await;
        let account = account.map_err(of_account)?;
        let owner = NewUser {
            email: registration.email.clone(),
            name: details.name,
            role: Role::Customer,
            permissions: BTreeSet::new(),
        };
        let realm = SCOPE.within(account.id).into();
        let user = users::insert(&*work, &*self.ids, realm, owner, now).await.map_err(of_user)?;
        work.logins(SCOPE).set_password(user.id, &registration.password_hash).await?;
        work.registrations(SCOPE).drop_of(&registration.email).await?;
        self.take_back(&*work, tried, true, now).await?;
        work.commit().await?;
        Ok(user)
    }
}

fn expiry(now: Timestamp) -> Timestamp {
    now + TimeDelta::hours(MAILED_TOKEN_HOURS)
}

fn details(new: &NewRegistration) -> Result<RegistrationDetails, LoginError> {
    if let Some(zone) = &new.time_zone {
        check::time_zone(zone)?;
    }
    Ok(RegistrationDetails {
        name: check::name("name", &new.name)?,
        account_name: check::name("account_name", &new.account_name)?,
        time_zone: new.time_zone.clone(),
        country: new.country.as_deref().map(check::country).transpose()?,
    })
}

fn of_account(error: AccountError) -> LoginError {
    match error {
        AccountError::Invalid(invalid) => LoginError::Invalid(invalid),
        AccountError::Store(store) => LoginError::Store(store),
        _ => LoginError::Token,
    }
}

/// Somebody else may have got the address in the meantime.
fn of_user(error: UserError) -> LoginError {
    match error {
        UserError::Invalid(invalid) => LoginError::Invalid(invalid),
        UserError::Store(store) => LoginError::Store(store),
        _ => LoginError::Token,
    }
}
