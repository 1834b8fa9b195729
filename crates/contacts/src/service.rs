//! What a tenant does with contacts.

use std::collections::BTreeMap;
use std::sync::Arc;

use kabar_core::permission::{ReadContacts, WriteContacts};
use kabar_core::work::OnceError;
use kabar_core::{
    Clock, ContactId, Grant, IdSource, Once, Page, PageRequest, PhoneNumber, Scope, Store,
    StoreError, Timestamp,
};
use kabar_events::{EventsWork, Fact, NewEvent};

use crate::check::{check_name, check_variables};
use crate::contact::{Contact, ContactKind, ContactPatch, Identity, IdentityKey};
use crate::opt_out::{self, PreferenceChange, PreferenceSource, StopScope};
use crate::people;
use crate::preferences::{self, Wish};
use crate::repo::{ContactFilter, ContactsWork, NewContactRow};

/// What a use case of contacts needs.
pub trait ContactsUse: ContactsWork + EventsWork {}
impl<T: ContactsWork + EventsWork + ?Sized> ContactsUse for T {}

/// Why a contact cannot be had, made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContactError {
    /// There is no such contact.
    #[error("no such contact")]
    NotFound,
    /// A field cannot be stored.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field.
        field: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// There is no such group.
    #[error("no such group")]
    NoSuchGroup,
    /// A field names what is not there.
    #[error("{field}: {problem}")]
    Missing {
        /// The field.
        field: String,
        /// What is not there.
        problem: String,
    },
    /// Another group of the tenant has the name.
    #[error("another group has this name")]
    GroupNameTaken,
    /// A message to the contact is being sent.
    #[error("a message to the contact is being sent right now; try again in a moment")]
    Busy,
    /// Another contact has the number.
    #[error("the contact {0} has this number already")]
    NumberTaken(ContactId),
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A contact to make.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateContact {
    /// Its number.
    pub phone: PhoneNumber,
    /// What the tenant calls it.
    pub name: Option<String>,
    /// The tenant's own facts.
    pub variables: BTreeMap<String, String>,
}

/// Contacts of tenants.
#[derive(Clone)]
pub struct Contacts {
    store: Arc<dyn Store<dyn ContactsUse>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Contacts {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn ContactsUse>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, clock, ids }
    }

    /// Makes a contact.
    ///
    /// # Errors
    /// [`ContactError::NumberTaken`], [`ContactError::Invalid`], [`ContactError::Once`].
    pub async fn create(
        &self,
        grant: &Grant<WriteContacts>,
        new: CreateContact,
        once: Option<&Once>,
    ) -> Result<Contact, ContactError> {
        check_name(new.name.as_deref())?;
        check_variables(&new.variables)?;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<ContactId>(&*work).await?
        {
            return one(&*work, grant.scope(), id).await;
        }
        let id: ContactId = self.ids.id();
        let at = self.clock.now();
        let identity = Identity {
            id: self.ids.id(),
            contact: id,
            key: IdentityKey::phone(&new.phone),
            valid_from: at,
            valid_until: None,
        };
        let owners = work.people(grant.scope()).claim(std::slice::from_ref(&identity)).await?;
        if let Some(owner) = owners.iter().find(|owner| owner.contact != id) {
            return Err(ContactError::NumberTaken(owner.contact));
        }
        let row = NewContactRow {
            id,
            account: grant.account(),
            kind: ContactKind::Person,
            name: new.name,
            profile_name: None,
            variables: new.variables,
            at,
        };
        let stops = people::stops(grant.account(), std::iter::once(&identity));
        work.people(grant.scope()).insert(&[row], &stops, at).await?;
        let fact = Fact::ContactCreated { contact_id: id };
        work.events().append(&[NewEvent { account: grant.account(), at, fact }]).await?;
        if let Some(once) = once {
            once.remember(&*work, &id, at).await?;
        }
        let contact = one(&*work, grant.scope(), id).await?;
        work.commit().await?;
        Ok(contact)
    }

    /// A contact. One that was merged answers as the contact that it went into.
    ///
    /// # Errors
    /// [`ContactError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadContacts>,
        id: ContactId,
    ) -> Result<Contact, ContactError> {
        let work = self.store.read().await?;
        let kept = work.contacts(grant.scope()).merged_into(id).await?;
        one(&*work, grant.scope(), kept.unwrap_or(id)).await
    }

    /// The tenant's contacts, newest first.
    ///
    /// # Errors
    /// [`ContactError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadContacts>,
        filter: &ContactFilter,
        page: PageRequest,
    ) -> Result<Page<Contact>, ContactError> {
        let work = self.store.read().await?;
        Ok(work.contacts(grant.scope()).list(filter, page).await?)
    }

    /// Changes a contact.
    ///
    /// # Errors
    /// [`ContactError::NotFound`], [`ContactError::Invalid`].
    pub async fn update(
        &self,
        grant: &Grant<WriteContacts>,
        id: ContactId,
        patch: ContactPatch,
    ) -> Result<Contact, ContactError> {
        check_name(patch.name.as_deref())?;
        let at = self.clock.now();
        let work = self.store.begin().await?;
        let mut contact = one(&*work, grant.scope(), id).await?;
        if let Some(name) = patch.name {
            contact.name = Some(name).filter(|name| !name.is_empty());
        }
        contact.variables.extend(patch.variables);
        contact.variables.retain(|_, value| !value.is_empty());
        check_variables(&contact.variables)?;
        contact.updated_at = at;
        work.contacts(grant.scope()).update(&contact).await?;
        let fact = Fact::ContactChanged { contact_id: id };
        work.events().append(&[NewEvent { account: grant.account(), at, fact }]).await?;
        if let Some(wanted) = patch.marketing {
            let wish = by_hand(wanted);
            preferences::apply(&*work, grant.scope(), &[id], wish, &*self.ids, at).await?;
        }
        let contact = one(&*work, grant.scope(), id).await?;
        work.commit().await?;
        Ok(contact)
    }

    /// Removes a contact. Its messages stay; a new message from the same person makes a new
    /// contact.
    ///
    /// # Errors
    /// [`ContactError::NotFound`].
    pub async fn remove(
        &self,
        grant: &Grant<WriteContacts>,
        id: ContactId,
    ) -> Result<(), ContactError> {
        let at = self.clock.now();
        let work = self.store.begin().await?;
        let contact = one(&*work, grant.scope(), id).await?;
        keep_stop(&*work, grant.scope(), &contact, at).await?;
        work.contacts(grant.scope()).remove(id, at).await?;
        let fact = Fact::ContactRemoved { contact_id: id };
        work.events().append(&[NewEvent { account: grant.account(), at, fact }]).await?;
        Ok(work.commit().await?)
    }
}

const fn by_hand(wanted: bool) -> Wish<'static> {
    Wish {
        change: if wanted { PreferenceChange::Resumed } else { PreferenceChange::Stopped },
        scope: StopScope::Marketing,
        source: PreferenceSource::Hand,
        detail: None,
        message: None,
    }
}

/// Keeps a stop beyond its contact.
///
/// # Errors
/// What storage says.
pub async fn keep_stop(
    work: &(impl ContactsWork + ?Sized),
    scope: Scope,
    contact: &Contact,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(stop) = contact.stop() else { return Ok(()) };
    let keys = contact.identities.iter().map(|identity| &identity.key);
    let hashes: Vec<[u8; 32]> = keys
        .filter(|key| opt_out::outlives(key.kind))
        .map(|key| opt_out::suppression_hash(scope.account(), key))
        .collect();
    work.preferences(scope).suppress(&hashes, stop, at).await
}

pub(crate) async fn one(
    work: &(dyn ContactsUse + '_),
    scope: Scope,
    id: ContactId,
) -> Result<Contact, ContactError> {
    let found = work.contacts(scope).by_ids(&[id]).await?;
    found.into_iter().next().ok_or(ContactError::NotFound)
}
