//! What a tenant does with its registry of opt-outs.

use std::sync::Arc;

use kabar_core::permission::{ReadContacts, WriteContacts, WriteSettings};
use kabar_core::{Clock, ContactId, Grant, IdSource, Once, Page, PageRequest, PhoneNumber, Store};
use kabar_events::{Fact, NewEvent};

use crate::check::{self, invalid};
use crate::contact::{Contact, IdentityKey};
use crate::opt_out::{
    OptOutSettings, PreferenceChange, PreferenceEntry, PreferenceSource, StopScope,
};
use crate::people::{self, Person};
use crate::preferences::{self, Wish};
use crate::repo::ContactFilter;
use crate::selection::Selection;
use crate::service::{ContactError, ContactsUse, one};

/// Numbers that one call stops, at most.
pub const MOST_NUMBERS: usize = 10_000;
/// The most characters of where a contact agreed.
const SOURCE: usize = 200;

/// Whose messages are to be stopped.
#[derive(Debug, Clone, PartialEq)]
pub enum Whom {
    /// Contacts that there are.
    Contacts(Selection),
    /// Numbers; those that are no contact yet become one.
    Numbers(Vec<PhoneNumber>),
}

/// The registry of opt-outs of tenants.
#[derive(Clone)]
pub struct OptOuts {
    store: Arc<dyn Store<dyn ContactsUse>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl OptOuts {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn ContactsUse>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, clock, ids }
    }

    /// The contacts that stopped messages, newest contact first.
    ///
    /// # Errors
    /// [`ContactError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadContacts>,
        page: PageRequest,
    ) -> Result<Page<Contact>, ContactError> {
        let filter = ContactFilter { opted_out: Some(true), ..ContactFilter::default() };
        let work = self.store.read().await?;
        Ok(work.contacts(grant.scope()).list(&filter, page).await?)
    }

    /// Stops messages; returns the contacts to whom they went until now.
    ///
    /// # Errors
    /// [`ContactError::Missing`], [`ContactError::Invalid`] when they are too many.
    pub async fn stop(
        &self,
        grant: &Grant<WriteContacts>,
        whom: &Whom,
        what: StopScope,
        once: Option<&Once>,
    ) -> Result<Vec<ContactId>, ContactError> {
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(ids) = once.recall::<Vec<ContactId>>(&*work).await?
        {
            return Ok(ids);
        }
        let at = self.clock.now();
        let contacts = match whom {
            Whom::Contacts(selection) => selection.contacts(&*work, grant.scope()).await?,
            Whom::Numbers(numbers) => self.known(&*work, grant, numbers).await?,
        };
        let wish = Wish {
            change: PreferenceChange::Stopped,
            scope: what,
            source: PreferenceSource::Hand,
            detail: None,
            message: None,
        };
        let stopped =
            preferences::apply(&*work, grant.scope(), &contacts, wish, &*self.ids, at).await?;
        if let Some(once) = once {
            once.remember(&*work, &stopped, at).await?;
        }
        work.commit().await?;
        Ok(stopped)
    }

    async fn known(
        &self,
        work: &(dyn ContactsUse + '_),
        grant: &Grant<WriteContacts>,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<ContactId>, ContactError> {
        if numbers.is_empty() || numbers.len() > MOST_NUMBERS {
            return Err(invalid("phones", format!("must be 1 to {MOST_NUMBERS} numbers")));
        }
        let people: Vec<Person> =
            numbers.iter().map(|number| Person::of(IdentityKey::phone(number))).collect();
        let at = self.clock.now();
        let mut repo = work.people(grant.scope());
        let resolved =
            people::resolve(&mut *repo, grant.account(), &people, &*self.ids, at).await?;
        drop(repo);
        let mut made: Vec<ContactId> =
            resolved.iter().filter(|one| one.created).map(|one| one.contact).collect();
        made.sort_unstable();
        made.dedup();
        let events: Vec<NewEvent> = made
            .into_iter()
            .map(|contact_id| NewEvent {
                account: grant.account(),
                at,
                fact: Fact::ContactCreated { contact_id },
            })
            .collect();
        work.events().append(&events).await?;
        Ok(resolved.into_iter().map(|one| one.contact).collect())
    }

    /// Takes a contact out of the registry.
    ///
    /// # Errors
    /// [`ContactError::NotFound`] when it is no contact, or not in the registry.
    pub async fn resume(
        &self,
        grant: &Grant<WriteContacts>,
        id: ContactId,
    ) -> Result<(), ContactError> {
        let work = self.store.begin().await?;
        let wish = Wish {
            change: PreferenceChange::Resumed,
            scope: StopScope::Marketing,
            source: PreferenceSource::Hand,
            detail: None,
            message: None,
        };
        let at = self.clock.now();
        let scope = grant.scope();
        if preferences::apply(&*work, scope, &[id], wish, &*self.ids, at).await?.is_empty() {
            return Err(ContactError::NotFound);
        }
        Ok(work.commit().await?)
    }

    /// Notes that a contact agreed to messages, and where (`Some`), or took that back (`None`).
    ///
    /// # Errors
    /// [`ContactError::NotFound`], [`ContactError::Invalid`].
    pub async fn consent(
        &self,
        grant: &Grant<WriteContacts>,
        id: ContactId,
        source: Option<&str>,
    ) -> Result<Contact, ContactError> {
        let source = source.map(|text| check::words("source", text, SOURCE)).transpose()?;
        let at = self.clock.now();
        let work = self.store.begin().await?;
        one(&*work, grant.scope(), id).await?;
        let mut repo = work.preferences(grant.scope());
        repo.consent(&[id], source.as_deref(), at).await?;
        let change = match &source {
            Some(_) => PreferenceChange::Consented,
            None => PreferenceChange::Withdrawn,
        };
        let entry = PreferenceEntry {
            id: self.ids.next(),
            contact: id,
            change,
            scope: None,
            source: PreferenceSource::Hand,
            detail: source,
            message: None,
            actor: grant.actor().to_string(),
            at,
        };
        repo.note(&[entry]).await?;
        drop(repo);
        let fact = Fact::ContactChanged { contact_id: id };
        work.events().append(&[NewEvent { account: grant.account(), at, fact }]).await?;
        let contact = one(&*work, grant.scope(), id).await?;
        work.commit().await?;
        Ok(contact)
    }

    /// What contacts wanted when, newest first: of one contact, or of all.
    ///
    /// # Errors
    /// [`ContactError::NotFound`].
    pub async fn history(
        &self,
        grant: &Grant<ReadContacts>,
        contact: Option<ContactId>,
        page: PageRequest,
    ) -> Result<Page<PreferenceEntry>, ContactError> {
        let work = self.store.read().await?;
        if let Some(contact) = contact {
            one(&*work, grant.scope(), contact).await?;
        }
        Ok(work.preferences(grant.scope()).history(contact, page).await?)
    }

    /// How the account listens for stop words.
    ///
    /// # Errors
    /// [`ContactError::Store`].
    pub async fn settings(
        &self,
        grant: &Grant<ReadContacts>,
    ) -> Result<OptOutSettings, ContactError> {
        let work = self.store.read().await?;
        Ok(work.preferences(grant.scope()).settings().await?.unwrap_or_default())
    }

    /// Changes how the account listens for stop words.
    ///
    /// # Errors
    /// [`ContactError::Invalid`].
    pub async fn change_settings(
        &self,
        grant: &Grant<WriteSettings>,
        change: impl FnOnce(&mut OptOutSettings),
    ) -> Result<OptOutSettings, ContactError> {
        let at = self.clock.now();
        let work = self.store.begin().await?;
        let mut preferences = work.preferences(grant.scope());
        let mut settings = preferences.settings().await?.unwrap_or_default();
        change(&mut settings);
        settings.check()?;
        preferences.save_settings(&settings, at).await?;
        drop(preferences);
        let fact = Fact::AccountChanged;
        work.events().append(&[NewEvent { account: grant.account(), at, fact }]).await?;
        work.commit().await?;
        Ok(settings)
    }
}
