//! A tenant's account.

use async_trait::async_trait;
use chrono_tz::Tz;
use kabar_core::{AccountId, Page, PageRequest, PhoneNumber, StoreError, Timestamp};

/// A tenant's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What it is called.
    pub name: String,
    /// Whether it may be used. The credentials of an inactive account do not work.
    pub active: bool,
    /// Where its days begin.
    pub time_zone: Tz,
    /// The country in which national phone numbers are read: two letters, ISO 3166.
    pub country: Option<String>,
    /// The number that is told when something is unwell, where a message would not arrive.
    pub fallback_number: Option<PhoneNumber>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// An account to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// What it is called: 1 to 100 characters.
    pub name: String,
    /// The IANA name of its time zone; UTC when absent.
    pub time_zone: Option<String>,
    /// The country in which national phone numbers are read: two letters, ISO 3166.
    pub country: Option<String>,
    /// Its first user, with the role `customer`.
    pub owner: Option<NewOwner>,
}

impl NewAccount {
    /// An account without an owner, in UTC.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), time_zone: None, country: None, owner: None }
    }
}

/// The first user of a new account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOwner {
    /// The e-mail address, unique in the installation.
    pub email: String,
    /// What the person is called: 1 to 100 characters.
    pub name: String,
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountPatch {
    /// What it is called.
    pub name: Option<String>,
    /// The IANA name of its time zone.
    pub time_zone: Option<String>,
    /// The country; `Some(None)` removes it.
    pub country: Option<Option<String>>,
    /// The number for notices, international or as written in the country; `Some(None)` removes it.
    pub fallback_number: Option<Option<String>>,
}

/// One account's own row: the scope's.
#[async_trait]
pub trait AccountRepo: Send {
    /// The account.
    async fn get(&mut self) -> Result<Option<Account>, StoreError>;

    /// The account, kept from others until the unit of work ends.
    async fn lock(&mut self) -> Result<Option<Account>, StoreError>;

    /// Stores everything but id and creation time. `false` if there is no such account.
    async fn update(&mut self, account: &Account) -> Result<bool, StoreError>;
}

/// The accounts of the installation.
#[async_trait]
pub trait AccountRegistry: Send {
    /// Stores a new account.
    async fn insert(&mut self, account: &Account) -> Result<(), StoreError>;

    /// Every account, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Account>, StoreError>;
}
