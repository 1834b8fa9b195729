//! A person who can log in.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kabar_core::{AccountId, Page, PageRequest, Permission, Role, StoreError, Timestamp, UserId};

/// A person who can log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The account; `None` for the provider's people.
    pub account: Option<AccountId>,
    /// The e-mail address in lower case, unique in the installation.
    pub email: String,
    /// What the person is called.
    pub name: String,
    /// What the person is.
    pub role: Role,
    /// Permissions beyond those of the role.
    pub permissions: BTreeSet<Permission>,
    /// Whether the person may use the installation.
    pub active: bool,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the user changed last.
    pub updated_at: Timestamp,
}

/// A user to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The e-mail address, unique in the installation.
    pub email: String,
    /// What the person is called: 1 to 100 characters.
    pub name: String,
    /// What the person is.
    pub role: Role,
    /// Permissions beyond those of the role.
    pub permissions: BTreeSet<Permission>,
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPatch {
    /// The e-mail address.
    pub email: Option<String>,
    /// What the person is called.
    pub name: Option<String>,
    /// What the person is.
    pub role: Option<Role>,
    /// Permissions beyond those of the role, replacing the present ones.
    pub permissions: Option<BTreeSet<Permission>>,
    /// Whether the person may use the installation.
    pub active: Option<bool>,
}

/// The name under which storage reports an e-mail address that is in use.
pub const EMAIL_CONSTRAINT: &str = "users_email";

/// The users of one realm.
#[async_trait]
pub trait UserRepo: Send {
    /// Stores a new user of the realm. [`StoreError::Conflict`] on [`EMAIL_CONSTRAINT`] when the
    /// address is in use anywhere in the installation.
    async fn insert(&mut self, user: &User) -> Result<(), StoreError>;

    /// A user.
    async fn get(&mut self, id: UserId) -> Result<Option<User>, StoreError>;

    /// A user, kept from others until the unit of work ends.
    async fn lock(&mut self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The users, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<User>, StoreError>;

    /// The active users with a role, kept from others until the unit of work ends.
    async fn lock_active(&mut self, role: Role) -> Result<Vec<UserId>, StoreError>;

    /// Stores everything but id, account and creation time. `false` if there is no such user;
    /// conflicts as [`UserRepo::insert`] does.
    async fn update(&mut self, user: &User) -> Result<bool, StoreError>;
}

/// The users of the installation.
#[async_trait]
pub trait UserRegistry: Send {
    /// The user with an address (in lower case).
    async fn by_email(&mut self, email: &str) -> Result<Option<User>, StoreError>;

    /// Whether the provider has an administrator, active or not.
    async fn has_provider_admin(&mut self) -> Result<bool, StoreError>;
}
