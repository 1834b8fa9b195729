//! What storage does for contacts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_core::{
    AccountId, ContactId, GroupId, IdentityId, Page, PageRequest, Scope, StoreError, Timestamp,
    Work,
};

use crate::audience::AudienceRepo;
use crate::contact::{Contact, ContactKind, Identity, IdentityKey};
use crate::group::GroupRepo;
use crate::opt_out::PreferenceRepo;
use crate::tag::TagRepo;

/// A unit of work with contacts.
pub trait ContactsWork: Work {
    /// A tenant's contacts.
    fn contacts(&self, scope: Scope) -> Box<dyn ContactRepo + '_>;

    /// A tenant's identities, for the roads in and out.
    fn people(&self, scope: Scope) -> Box<dyn PeopleRepo + '_>;

    /// A tenant's groups.
    fn groups(&self, scope: Scope) -> Box<dyn GroupRepo + '_>;

    /// A tenant's tags.
    fn tags(&self, scope: Scope) -> Box<dyn TagRepo + '_>;

    /// A tenant's audiences.
    fn audiences(&self, scope: Scope) -> Box<dyn AudienceRepo + '_>;

    /// A tenant's registry of preferences.
    fn preferences(&self, scope: Scope) -> Box<dyn PreferenceRepo + '_>;
}

/// A contact to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewContactRow {
    /// Its id.
    pub id: ContactId,
    /// Its account.
    pub account: AccountId,
    /// Whether it is one person or many.
    pub kind: ContactKind,
    /// What the tenant calls it.
    pub name: Option<String>,
    /// What the person calls itself.
    pub profile_name: Option<String>,
    /// The tenant's own facts.
    pub variables: BTreeMap<String, String>,
    /// When it was made.
    pub at: Timestamp,
}

/// Which contacts are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactFilter {
    /// The one who owns this identity now.
    pub identity: Option<IdentityKey>,
    /// Those in this group.
    pub group: Option<GroupId>,
    /// Those with this tag, normalised.
    pub tag: Option<String>,
    /// Those whose shown name begins so, whatever the case.
    pub name: Option<String>,
    /// Those whose number begins so: `+` and digits.
    pub number: Option<String>,
    /// Those that stopped messages, or those that did not.
    pub opted_out: Option<bool>,
}

/// A tenant's contacts. Removed contacts are not seen.
#[async_trait]
pub trait ContactRepo: Send {
    /// Contacts by id, with their present identities; those that do not exist are left out.
    async fn by_ids(&mut self, ids: &[ContactId]) -> Result<Vec<Contact>, StoreError>;

    /// The tenant's contacts, newest first.
    async fn list(
        &mut self,
        filter: &ContactFilter,
        page: PageRequest,
    ) -> Result<Page<Contact>, StoreError>;

    /// At most `limit` ids behind `after` of those that fit, oldest first.
    async fn select(
        &mut self,
        filter: &ContactFilter,
        after: Option<ContactId>,
        limit: u32,
    ) -> Result<Vec<ContactId>, StoreError>;

    /// The contact that one went into.
    async fn merged_into(&mut self, id: ContactId) -> Result<Option<ContactId>, StoreError>;

    /// The names of at most `limit` different variables, in their order.
    async fn variable_names(&mut self, limit: u32) -> Result<Vec<String>, StoreError>;

    /// Which of the contacts there are.
    async fn existing(&mut self, ids: &[ContactId]) -> Result<Vec<ContactId>, StoreError>;

    /// Stores names and variables. `false` if there is no such contact.
    async fn update(&mut self, contact: &Contact) -> Result<bool, StoreError>;

    /// Removes a contact and ends its identities. `false` if there is no such contact.
    async fn remove(&mut self, id: ContactId, at: Timestamp) -> Result<bool, StoreError>;
}

/// A tenant's identities.
#[async_trait]
pub trait PeopleRepo: Send {
    /// Every present identity of every contact that owns one of the keys.
    async fn known(&mut self, keys: &[IdentityKey]) -> Result<Vec<Identity>, StoreError>;

    /// Takes identities that nobody owns, and returns the present owners of all the keys: somebody
    /// else may have been quicker.
    async fn claim(&mut self, identities: &[Identity]) -> Result<Vec<Identity>, StoreError>;

    /// Ends ownerships.
    async fn close(&mut self, identities: &[IdentityId], at: Timestamp) -> Result<(), StoreError>;

    /// Stores contacts. Those whose identities stopped messages as contacts that are gone, known by
    /// `stops` (`opt_out::suppression_hash`), have stopped them again; returns those.
    async fn insert(
        &mut self,
        contacts: &[NewContactRow],
        stops: &[(ContactId, [u8; 32])],
        at: Timestamp,
    ) -> Result<Vec<ContactId>, StoreError>;
}
