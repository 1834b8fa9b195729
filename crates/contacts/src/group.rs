//! A tenant's own groups of contacts.

use async_trait::async_trait;
use kabar_core::{AccountId, ContactId, GroupId, Page, PageRequest, StoreError, Timestamp};

use crate::check;
use crate::service::ContactError;

/// The most characters of a group's name.
pub const NAME: usize = 100;
/// The most characters of a group's description.
pub const DESCRIPTION: usize = 500;

/// A group of contacts. Not a group of WhatsApp: those are contacts themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its account.
    pub account: AccountId,
    /// What the tenant calls it: unique in the account, whatever the case.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How many contacts are in it.
    pub members: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A group to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// Its name, 1 to [`NAME`] characters.
    pub name: String,
    /// What it is for, at most [`DESCRIPTION`] characters.
    pub description: Option<String>,
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupPatch {
    /// Its name.
    pub name: Option<String>,
    /// What it is for; an empty text takes it away.
    pub description: Option<String>,
}

/// What makes two names the same name.
pub(crate) fn name_key(name: &str) -> String {
    check::folded(name)
}

/// A name without white space around it.
pub(crate) fn checked_name(name: &str) -> Result<String, ContactError> {
    check::words("name", name, NAME)
}

pub(crate) fn checked_description(text: Option<&str>) -> Result<Option<String>, ContactError> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => check::words("description", text, DESCRIPTION).map(Some),
        None => Ok(None),
    }
}

/// A group to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// What makes its name unique.
    pub name_key: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it is made or changed.
    pub at: Timestamp,
}

/// A tenant's groups.
#[async_trait]
pub trait GroupRepo: Send {
    /// Stores a group.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the name is taken.
    async fn insert(&mut self, group: &GroupRow) -> Result<(), StoreError>;

    /// Stores name and description. `false` if there is no such group.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the name is taken.
    async fn update(&mut self, group: &GroupRow) -> Result<bool, StoreError>;

    /// Groups by id; those that do not exist are left out.
    async fn by_ids(&mut self, ids: &[GroupId]) -> Result<Vec<Group>, StoreError>;

    /// Groups by the keys of their names; those that do not exist are left out.
    async fn by_name_keys(&mut self, keys: &[String])
    -> Result<Vec<(String, GroupId)>, StoreError>;

    /// The tenant's groups, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Group>, StoreError>;

    /// Removes a group; its members stay contacts. `false` if there is no such group.
    async fn remove(&mut self, id: GroupId) -> Result<bool, StoreError>;

    /// Puts contacts into a group; returns how many were not in it.
    async fn add(
        &mut self,
        id: GroupId,
        contacts: &[ContactId],
        at: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Takes contacts out of a group; returns how many were in it.
    async fn take(&mut self, id: GroupId, contacts: &[ContactId]) -> Result<u64, StoreError>;

    /// The groups of contacts: contact, group and its name.
    async fn of_contacts(
        &mut self,
        contacts: &[ContactId],
    ) -> Result<Vec<(ContactId, GroupId, String)>, StoreError>;
}
