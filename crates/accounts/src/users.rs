//! Making and changing users.

use std::collections::BTreeSet;
use std::sync::Arc;

use kabar_core::permission::{ReadUsers, WriteUsers};
use kabar_core::work::OnceError;
use kabar_core::{
    Clock, Denied, Grant, IdSource, InstallationScope, Once, Page, PageRequest, Permission, Role,
    Store, StoreError, Timestamp, UserId,
};
use kabar_events::Fact;
use serde_json::json;

use crate::check::{self, Invalid};
use crate::journal::{Change, record};
use crate::logins::{LoginSettings, invitation};
use crate::realm::Realm;
use crate::user::{EMAIL_CONSTRAINT, NewUser, User, UserPatch};
use crate::work::AccountsWork;

const SCOPE: InstallationScope = InstallationScope::system("users");

/// Why a user is not made, read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// There is no such user here.
    #[error("no such user")]
    NotFound,
    /// A field cannot be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The e-mail address is in use.
    #[error("`email` is in use by another user of this installation")]
    EmailTaken,
    /// It is the last active owner, or the provider's last active administrator: nobody could let
    /// others in again.
    #[error("this is the last active owner or administrator; make another one first")]
    LastOne,
    /// The account does not exist.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The request repeats another one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for UserError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { constraint } if constraint == EMAIL_CONSTRAINT => {
                Self::EmailTaken
            }
            error => Self::Store(error),
        }
    }
}

/// The people who can log in. `users:write` is the power over every role of its realm.
#[derive(Clone)]
pub struct Users {
    store: Arc<dyn Store<dyn AccountsWork>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    settings: Arc<LoginSettings>,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").finish_non_exhaustive()
    }
}

impl Users {
    /// Users in a store.
    pub fn new(
        store: Arc<dyn Store<dyn AccountsWork>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, clock, ids, settings: Arc::default() }
    }

    /// The same, with what people are told in their invitations.
    #[must_use]
    pub fn with_settings(mut self, settings: Arc<LoginSettings>) -> Self {
        self.settings = settings;
        self
    }

    /// Creates a user of an account, with the role `customer` or `agent`, and mails an invitation to
    /// set a password.
    ///
    /// # Errors
    /// [`UserError::Invalid`], [`UserError::EmailTaken`].
    pub async fn create(
        &self,
        grant: &Grant<WriteUsers>,
        new: NewUser,
        once: Option<&Once>,
    ) -> Result<User, UserError> {
        self.create_in(grant.into(), new, once).await
    }

    /// Creates one of the provider's people. The scope comes from
    /// `grant_installation::<WriteUsers>`.
    ///
    /// # Errors
    /// As [`Users::create`].
    pub async fn create_provider(
        &self,
        scope: InstallationScope,
        new: NewUser,
        once: Option<&Once>,
    ) -> Result<User, UserError> {
        self.create_in(scope.into(), new, once).await
    }

    /// A user of an account.
    ///
    /// # Errors
    /// [`UserError::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadUsers>, id: UserId) -> Result<User, UserError> {
        self.get_in(grant.into(), id).await
    }

    /// One of the provider's people.
    ///
    /// # Errors
    /// [`UserError::NotFound`].
    pub async fn get_provider(
        &self,
        scope: InstallationScope,
        id: UserId,
    ) -> Result<User, UserError> {
        self.get_in(scope.into(), id).await
    }

    /// The users of an account, newest first.
    ///
    /// # Errors
    /// [`UserError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadUsers>,
        page: PageRequest,
    ) -> Result<Page<User>, UserError> {
        let work = self.store.read().await?;
        Ok(work.users(grant.into()).list(page).await?)
    }

    /// The provider's people, newest first.
    ///
    /// # Errors
    /// [`UserError::Store`].
    pub async fn list_provider(
        &self,
        scope: InstallationScope,
        page: PageRequest,
    ) -> Result<Page<User>, UserError> {
        let work = self.store.read().await?;
        Ok(work.users(scope.into()).list(page).await?)
    }

    /// Changes a user of an account. One who is not active any more is logged out at once; another
    /// role counts from the next request on.
    ///
    /// # Errors
    /// [`UserError::NotFound`], [`UserError::Invalid`], [`UserError::EmailTaken`],
    /// [`UserError::LastOne`].
    pub async fn update(
        &self,
        grant: &Grant<WriteUsers>,
        id: UserId,
        patch: UserPatch,
    ) -> Result<User, UserError> {
        self.update_in(grant.into(), id, patch).await
    }

    /// Changes one of the provider's people.
    ///
    /// # Errors
    /// As [`Users::update`].
    pub async fn update_provider(
        &self,
        scope: InstallationScope,
        id: UserId,
        patch: UserPatch,
    ) -> Result<User, UserError> {
        self.update_in(scope.into(), id, patch).await
    }

    async fn create_in(
        &self,
        realm: Realm,
        new: NewUser,
        once: Option<&Once>,
    ) -> Result<User, UserError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<UserId>(&*work).await?
        {
            let user = work.users(realm).get(id).await?;
            return user.ok_or(UserError::NotFound);
        }
        if !realm.exists(&*work).await? {
            return Err(Denied::NoSuchAccount.into());
        }
        let user = insert(&*work, &*self.ids, realm, new, now).await?;
        invitation(&*work, &*self.ids, &self.settings, &user, now).await?;
        if let Some(once) = once {
            once.remember(&*work, &user.id, now).await?;
        }
        work.commit().await?;
        Ok(user)
    }

    async fn get_in(&self, realm: Realm, id: UserId) -> Result<User, UserError> {
        let work = self.store.read().await?;
        let user = work.users(realm).get(id).await?;
        user.ok_or(UserError::NotFound)
    }

    async fn update_in(
        &self,
        realm: Realm,
        id: UserId,
        patch: UserPatch,
    ) -> Result<User, UserError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        // Before the user itself, in the same order for everybody: two who dismiss each other wait.
        let strongest = if patch.role.is_some() || patch.active.is_some() {
            work.users(realm).lock_active(realm.strongest_role()).await?
        } else {
            Vec::new()
        };
        let before = work.users(realm).lock(id).await?;
        let before = before.ok_or(UserError::NotFound)?;
        let mut user = before.clone();
        apply(&mut user, realm, patch)?;
        if user == before {
            return Ok(user);
        }
        let rules = |user: &User| user.active && user.role == realm.strongest_role();
        if rules(&before) && !rules(&user) && strongest.iter().all(|other| *other == id) {
            return Err(UserError::LastOne);
        }
        user.updated_at = now;
        work.users(realm).update(&user).await?;
        if !user.active {
            work.sessions(SCOPE).end_all(id, None, now).await?;
        }
        if !user.active || user.email != before.email {
            // What was mailed to the address before must not open the door now.
            work.logins(SCOPE).drop_tokens(id).await?;
        }
        record(&*work, &*self.ids, change(realm, &user, "user.update", now)).await?;
        work.commit().await?;
        Ok(user)
    }
}

/// Checks and stores a user with its records, in a unit of work of somebody else.
pub(crate) async fn insert(
    work: &dyn AccountsWork,
    ids: &dyn IdSource,
    realm: Realm,
    new: NewUser,
    now: Timestamp,
) -> Result<User, UserError> {
    let user = User {
        id: UserId::from(ids.next()),
        account: realm.account(),
        email: check::email(&new.email)?,
        name: check::name("name", &new.name)?,
        role: role(realm, new.role)?,
        permissions: permissions(realm, new.permissions)?,
        active: true,
        created_at: now,
        updated_at: now,
    };
    work.users(realm).insert(&user).await?;
    record(work, ids, change(realm, &user, "user.create", now)).await?;
    Ok(user)
}

fn apply(user: &mut User, realm: Realm, patch: UserPatch) -> Result<(), Invalid> {
    if let Some(email) = patch.email {
        user.email = check::email(&email)?;
    }
    if let Some(name) = patch.name {
        user.name = check::name("name", &name)?;
    }
    if let Some(wanted) = patch.role {
        user.role = role(realm, wanted)?;
    }
    if let Some(wanted) = patch.permissions {
        user.permissions = permissions(realm, wanted)?;
    }
    if let Some(active) = patch.active {
        user.active = active;
    }
    Ok(())
}

fn role(realm: Realm, role: Role) -> Result<Role, Invalid> {
    if role.is_provider() == realm.account().is_none() {
        return Ok(role);
    }
    let problem = match realm {
        Realm::Account(_) => "must be customer or agent inside an account",
        Realm::Provider(_) => "must be provider_admin or provider_staff for the provider's people",
    };
    Err(Invalid::new("role", problem))
}

fn permissions(
    realm: Realm,
    wanted: BTreeSet<Permission>,
) -> Result<BTreeSet<Permission>, Invalid> {
    match wanted.iter().find(|p| !realm.strongest_role().allows(**p)) {
        Some(foreign) => Err(Invalid::new(
            "permissions",
            format!("must not contain `{foreign}`, which only the provider can hold"),
        )),
        None => Ok(wanted),
    }
}

fn change(realm: Realm, user: &User, action: &'static str, at: Timestamp) -> Change {
    Change {
        account: realm.account(),
        actor: realm.actor(),
        action,
        subject: user.id.to_string(),
        detail: json!({ "role": user.role.as_str(), "active": user.active }),
        fact: Fact::UserChanged { user_id: user.id },
        at,
    }
}
