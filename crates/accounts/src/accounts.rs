//! Making, changing and switching accounts.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono_tz::Tz;
use kabar_core::permission::{ReadSettings, WriteSettings};
use kabar_core::work::OnceError;
use kabar_core::{
    AccountId, Clock, Grant, IdSource, InstallationScope, Once, Page, PageRequest, Role, Scope,
    Store, StoreError, Timestamp, UserId,
};
use kabar_events::Fact;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::account::{Account, AccountPatch, NewAccount};
use crate::check::{self, Invalid};
use crate::journal::{Change, record};
use crate::logins::{LoginSettings, invitation};
use crate::recent::{Recent, RecentKeys};
use crate::user::{NewUser, User};
use crate::users::{self, UserError};
use crate::work::AccountsWork;

/// Why an account is not made, read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// There is no such account.
    #[error("no such account")]
    NotFound,
    /// A field cannot be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The owner's e-mail address is in use.
    #[error("`email` is in use by another user of this installation")]
    EmailTaken,
    /// The request repeats another one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<UserError> for AccountError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::NotFound | UserError::Denied(_) | UserError::LastOne => Self::NotFound,
            UserError::Invalid(invalid) => Self::Invalid(invalid),
            UserError::EmailTaken => Self::EmailTaken,
            UserError::Once(once) => Self::Once(once),
            UserError::Store(store) => Self::Store(store),
        }
    }
}

/// An account that was created, with its first user if one was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedAccount {
    /// The account.
    pub account: Account,
    /// Its owner.
    pub owner: Option<User>,
}

/// What a once-only request made.
#[derive(Serialize, Deserialize)]
struct Made {
    account: AccountId,
    owner: Option<UserId>,
}

/// The accounts of an installation.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) store: Arc<dyn Store<dyn AccountsWork>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    settings: Arc<LoginSettings>,
    recent: RecentKeys,
    seen: Recent<AccountId, Account>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    /// Accounts in a store.
    pub fn new(
        store: Arc<dyn Store<dyn AccountsWork>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        let (recent, seen) = (RecentKeys::default(), Recent::default());
        Self { store, clock, ids, settings: Arc::default(), recent, seen }
    }

    /// The same, beside an authenticator that remembers keys: an account that is switched off takes
    /// its keys along at once.
    #[must_use]
    pub fn with_recent(mut self, recent: RecentKeys) -> Self {
        self.recent = recent;
        self
    }

    /// The same, with what owners are told in their invitations.
    #[must_use]
    pub fn with_settings(mut self, settings: Arc<LoginSettings>) -> Self {
        self.settings = settings;
        self
    }

    /// Creates an active account, and its owner if one is named, in one unit of work. The scope
    /// comes from `grant_installation::<WriteAccounts>`.
    ///
    /// # Errors
    /// [`AccountError::Invalid`], [`AccountError::EmailTaken`].
    pub async fn create(
        &self,
        scope: InstallationScope,
        new: NewAccount,
        once: Option<&Once>,
    ) -> Result<CreatedAccount, AccountError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(made) = once.recall::<Made>(&*work).await?
        {
            return replayed(&*work, scope, made).await;
        }
        let account = insert(&*work, &*self.ids, scope, &new, now).await?;
        let owner = match new.owner {
            None => None,
            Some(owner) => {
                let owner = NewUser {
                    email: owner.email,
                    name: owner.name,
                    role: Role::Customer,
                    permissions: BTreeSet::new(),
                };
                let realm = scope.within(account.id).into();
                let owner = users::insert(&*work, &*self.ids, realm, owner, now).await?;
                invitation(&*work, &*self.ids, &self.settings, &owner, now).await?;
                Some(owner)
            }
        };
        if let Some(once) = once {
            let made = Made { account: account.id, owner: owner.as_ref().map(|owner| owner.id) };
            once.remember(&*work, &made, now).await?;
        }
        work.commit().await?;
        Ok(CreatedAccount { account, owner })
    }

    /// An account of the installation.
    ///
    /// # Errors
    /// [`AccountError::NotFound`].
    pub async fn get(
        &self,
        scope: InstallationScope,
        id: AccountId,
    ) -> Result<Account, AccountError> {
        self.find(scope.within(id)).await
    }

    /// One's own account.
    ///
    /// # Errors
    /// [`AccountError::NotFound`].
    pub async fn get_own(&self, grant: &Grant<ReadSettings>) -> Result<Account, AccountError> {
        self.find(grant.scope()).await
    }

    /// The country in which the tenant's national numbers are read, for those who may do something
    /// with numbers.
    ///
    /// # Errors
    /// [`AccountError::NotFound`].
    pub async fn country(&self, scope: Scope) -> Result<Option<String>, AccountError> {
        Ok(self.seen(scope).await?.country)
    }

    /// Whether there is such an account; asked with each request that names one.
    ///
    /// # Errors
    /// [`AccountError::Store`].
    pub async fn exists(
        &self,
        scope: InstallationScope,
        id: AccountId,
    ) -> Result<bool, AccountError> {
        match self.seen(scope.within(id)).await {
            Ok(_) => Ok(true),
            Err(AccountError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The accounts of the installation, newest first.
    ///
    /// # Errors
    /// [`AccountError::Store`].
    pub async fn list(
        &self,
        scope: InstallationScope,
        page: PageRequest,
    ) -> Result<Page<Account>, AccountError> {
        let work = self.store.read().await?;
        Ok(work.account_registry(scope).list(page).await?)
    }

    /// Changes name, time zone or country of an account.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Invalid`].
    pub async fn update(
        &self,
        scope: InstallationScope,
        id: AccountId,
        patch: AccountPatch,
    ) -> Result<Account, AccountError> {
        self.edit(scope.within(id), "account.update", |account| apply(account, &patch)).await
    }

    /// Changes name, time zone or country of one's own account.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Invalid`].
    pub async fn update_own(
        &self,
        grant: &Grant<WriteSettings>,
        patch: AccountPatch,
    ) -> Result<Account, AccountError> {
        self.edit(grant.scope(), "account.update", |account| apply(account, &patch)).await
    }

    /// Switches an account on or off. The credentials of an account that is off stop working at
    /// once, and work again when it is on.
    ///
    /// # Errors
    /// [`AccountError::NotFound`].
    pub async fn set_active(
        &self,
        scope: InstallationScope,
        id: AccountId,
        active: bool,
    ) -> Result<Account, AccountError> {
        let action = if active { "account.activate" } else { "account.deactivate" };
        self.edit(scope.within(id), action, |account| {
            account.active = active;
            Ok(())
        })
        .await
    }

    async fn find(&self, scope: Scope) -> Result<Account, AccountError> {
        let work = self.store.read().await?;
        let account = work.account(scope).get().await?;
        account.ok_or(AccountError::NotFound)
    }

    /// An account as it was a second ago at most.
    async fn seen(&self, scope: Scope) -> Result<Account, AccountError> {
        let now = self.clock.now();
        if let Some(account) = self.seen.get(&scope.account(), now) {
            return Ok(account);
        }
        let account = self.find(scope).await?;
        self.seen.put(account.id, &account, now);
        Ok(account)
    }

    async fn edit(
        &self,
        scope: Scope,
        action: &'static str,
        edit: impl FnOnce(&mut Account) -> Result<(), Invalid> + Send,
    ) -> Result<Account, AccountError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let before = work.account(scope).lock().await?;
        let before = before.ok_or(AccountError::NotFound)?;
        let mut account = before.clone();
        edit(&mut account)?;
        if account == before {
            return Ok(account);
        }
        account.updated_at = now;
        work.account(scope).update(&account).await?;
        record(&*work, &*self.ids, change(scope, action, now)).await?;
        work.commit().await?;
        self.recent.forget();
        self.seen.forget();
        Ok(account)
    }
}

/// Checks and stores an account with its records, in a unit of work of somebody else.
pub(crate) async fn insert(
    work: &dyn AccountsWork,
    ids: &dyn IdSource,
    scope: InstallationScope,
    new: &NewAccount,
    now: Timestamp,
) -> Result<Account, AccountError> {
    let account = draft(ids, new, now)?;
    work.account_registry(scope).insert(&account).await?;
    let change = change(scope.within(account.id), "account.create", now);
    record(work, ids, change).await?;
    Ok(account)
}

fn draft(ids: &dyn IdSource, new: &NewAccount, now: Timestamp) -> Result<Account, Invalid> {
    Ok(Account {
        id: AccountId::from(ids.next()),
        name: check::name("name", &new.name)?,
        active: true,
        time_zone: match &new.time_zone {
            Some(zone) => check::time_zone(zone)?,
            None => Tz::UTC,
        },
        country: new.country.as_deref().map(check::country).transpose()?,
        fallback_number: None,
        created_at: now,
        updated_at: now,
    })
}

fn apply(account: &mut Account, patch: &AccountPatch) -> Result<(), Invalid> {
    if let Some(name) = &patch.name {
        account.name = check::name("name", name)?;
    }
    if let Some(zone) = &patch.time_zone {
        account.time_zone = check::time_zone(zone)?;
    }
    if let Some(country) = &patch.country {
        account.country = country.as_deref().map(check::country).transpose()?;
    }
    if let Some(number) = &patch.fallback_number {
        let country = account.country.as_deref();
        account.fallback_number = match number {
            Some(number) => Some(check::phone("fallback_number", number, country)?),
            None => None,
        };
    }
    Ok(())
}

fn change(scope: Scope, action: &'static str, at: Timestamp) -> Change {
    Change {
        account: Some(scope.account()),
        actor: scope.actor(),
        action,
        subject: scope.account().to_string(),
        detail: json!({}),
        fact: Fact::AccountChanged,
        at,
    }
}

async fn replayed(
    work: &dyn AccountsWork,
    scope: InstallationScope,
    made: Made,
) -> Result<CreatedAccount, AccountError> {
    let tenant = scope.within(made.account);
    let account = work.account(tenant).get().await?;
    let owner = match made.owner {
        Some(owner) => work.users(tenant.into()).get(owner).await?,
        None => None,
    };
    Ok(CreatedAccount { account: account.ok_or(AccountError::NotFound)?, owner })
}
