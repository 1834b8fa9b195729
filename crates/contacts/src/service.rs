//! What a tenant does with contacts.

use std::collections::BTreeMap;
use std::sync::Arc;

use kabar_core::permission::{ReadContacts, WriteContacts};
use kabar_core::work::OnceError;
use kabar_core::{
    Clock, ContactId, Grant, IdSource, Once, Page, PageRequest, PhoneNumber, Store, StoreError,
};
use kabar_events::{EventsWork, Fact, NewEvent};

use crate::contact::{Contact, ContactKind, ContactPatch, Identity, IdentityKey};
use crate::repo::{ContactFilter, ContactsWork, NewContactRow};

/// The most characters of a name.
const NAME: usize = 200;
/// The most variables of a contact.
const VARIABLES: usize = 100;
/// The most characters of a variable's value.
const VALUE: usize = 1_000;

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
            return one(&*work, grant, id).await;
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
        work.people(grant.scope()).insert(&[row]).await?;
        let fact = Fact::ContactCreated { contact_id: id };
        work.events().append(&[NewEvent { account: grant.account(), at, fact }]).await?;
        if let Some(once) = once {
            once.remember(&*work, &id, at).await?;
        }
        let contact = one(&*work, grant, id).await?;
        work.commit().await?;
        Ok(contact)
    }

    /// A contact.
    ///
    /// # Errors
    /// [`ContactError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadContacts>,
        id: ContactId,
    ) -> Result<Contact, ContactError> {
        let work = self.store.read().await?;
        one(&*work, grant, id).await
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
        let mut contact = one(&*work, grant, id).await?;
        if let Some(name) = patch.name {
            contact.name = Some(name).filter(|name| !name.is_empty());
        }
        contact.variables.extend(patch.variables);
        contact.variables.retain(|_, value| !value.is_empty());
        check_variables(&contact.variables)?;
        if let Some(wanted) = patch.marketing {
            contact.marketing_stopped_at = (!wanted).then_some(at);
        }
        contact.updated_at = at;
        work.contacts(grant.scope()).update(&contact).await?;
        let fact = Fact::ContactChanged { contact_id: id };
        work.events().append(&[NewEvent { account: grant.account(), at, fact }]).await?;
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
        if !work.contacts(grant.scope()).remove(id, at).await? {
            return Err(ContactError::NotFound);
        }
        let fact = Fact::ContactRemoved { contact_id: id };
        work.events().append(&[NewEvent { account: grant.account(), at, fact }]).await?;
        Ok(work.commit().await?)
    }
}

async fn one<P>(
    work: &(dyn ContactsUse + '_),
    grant: &Grant<P>,
    id: ContactId,
) -> Result<Contact, ContactError> {
    let found = work.contacts(grant.scope()).by_ids(&[id]).await?;
    found.into_iter().next().ok_or(ContactError::NotFound)
}

fn invalid(field: &str, problem: impl Into<String>) -> ContactError {
    ContactError::Invalid { field: field.to_owned(), problem: problem.into() }
}

fn check_name(name: Option<&str>) -> Result<(), ContactError> {
    let Some(name) = name else { return Ok(()) };
    if name.chars().count() > NAME {
        return Err(invalid("name", format!("is too long; {NAME} characters are allowed")));
    }
    if name.chars().any(char::is_control) {
        return Err(invalid("name", "must not hold control characters"));
    }
    Ok(())
}

fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), ContactError> {
    if variables.len() > VARIABLES {
        return Err(invalid("variables", format!("a contact has at most {VARIABLES} variables")));
    }
    for (name, value) in variables {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if name.is_empty() || name.chars().count() > 64 || !name.chars().all(word) {
            let problem = "a name has 1 to 64 letters, digits and `_`";
            return Err(invalid(&format!("variables.{name}"), problem));
        }
        if value.chars().count() > VALUE || value.contains('\0') {
            let problem = format!("a value has at most {VALUE} characters and no NUL");
            return Err(invalid(&format!("variables.{name}"), problem));
        }
    }
    Ok(())
}
