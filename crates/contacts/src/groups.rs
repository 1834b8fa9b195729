//! What a tenant does with its groups.

use std::sync::Arc;

use kabar_core::permission::{ReadContacts, WriteContacts};
use kabar_core::{
    Clock, Grant, GroupId, IdSource, Once, Page, PageRequest, Scope, Store, StoreError,
};
use kabar_events::{Fact, NewEvent};

use crate::contact::Contact;
use crate::group::{
    Group, GroupPatch, GroupRow, NewGroup, checked_description, checked_name, name_key,
};
use crate::repo::ContactFilter;
use crate::selection::Selection;
use crate::service::{ContactError, ContactsUse};

/// Groups of tenants.
#[derive(Clone)]
pub struct Groups {
    store: Arc<dyn Store<dyn ContactsUse>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Groups {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn ContactsUse>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, clock, ids }
    }

    /// Makes a group.
    ///
    /// # Errors
    /// [`ContactError::GroupNameTaken`], [`ContactError::Invalid`], [`ContactError::Once`].
    pub async fn create(
        &self,
        grant: &Grant<WriteContacts>,
        new: NewGroup,
        once: Option<&Once>,
    ) -> Result<Group, ContactError> {
        let name = checked_name(&new.name)?;
        let description = checked_description(new.description.as_deref())?;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<GroupId>(&*work).await?
        {
            return one(&*work, grant.scope(), id).await;
        }
        let at = self.clock.now();
        let id: GroupId = self.ids.id();
        let row = GroupRow { id, name_key: name_key(&name), name, description, at };
        work.groups(grant.scope()).insert(&row).await.map_err(taken)?;
        changed(&*work, grant.scope(), id, at).await?;
        if let Some(once) = once {
            once.remember(&*work, &id, at).await?;
        }
        let group = one(&*work, grant.scope(), id).await?;
        work.commit().await?;
        Ok(group)
    }

    /// A group.
    ///
    /// # Errors
    /// [`ContactError::NoSuchGroup`].
    pub async fn get(
        &self,
        grant: &Grant<ReadContacts>,
        id: GroupId,
    ) -> Result<Group, ContactError> {
        let work = self.store.read().await?;
        one(&*work, grant.scope(), id).await
    }

    /// The tenant's groups, newest first.
    ///
    /// # Errors
    /// [`ContactError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadContacts>,
        page: PageRequest,
    ) -> Result<Page<Group>, ContactError> {
        let work = self.store.read().await?;
        Ok(work.groups(grant.scope()).list(page).await?)
    }

    /// Changes a group.
    ///
    /// # Errors
    /// [`ContactError::NoSuchGroup`], [`ContactError::GroupNameTaken`], [`ContactError::Invalid`].
    pub async fn update(
        &self,
        grant: &Grant<WriteContacts>,
        id: GroupId,
        patch: GroupPatch,
    ) -> Result<Group, ContactError> {
        let name = patch.name.as_deref().map(checked_name).transpose()?;
        let description = match &patch.description {
            Some(text) => Some(checked_description(Some(text))?),
            None => None,
        };
        let at = self.clock.now();
        let work = self.store.begin().await?;
        let group = one(&*work, grant.scope(), id).await?;
        let name = name.unwrap_or(group.name);
        let description = description.unwrap_or(group.description);
        let row = GroupRow { id, name_key: name_key(&name), name, description, at };
        work.groups(grant.scope()).update(&row).await.map_err(taken)?;
        changed(&*work, grant.scope(), id, at).await?;
        let group = one(&*work, grant.scope(), id).await?;
        work.commit().await?;
        Ok(group)
    }

    /// Removes a group; its members stay contacts.
    ///
    /// # Errors
    /// [`ContactError::NoSuchGroup`].
    pub async fn remove(
        &self,
        grant: &Grant<WriteContacts>,
        id: GroupId,
    ) -> Result<(), ContactError> {
        let work = self.store.begin().await?;
        if !work.groups(grant.scope()).remove(id).await? {
            return Err(ContactError::NoSuchGroup);
        }
        changed(&*work, grant.scope(), id, self.clock.now()).await?;
        Ok(work.commit().await?)
    }

    /// The members of a group, newest contact first.
    ///
    /// # Errors
    /// [`ContactError::NoSuchGroup`].
    pub async fn members(
        &self,
        grant: &Grant<ReadContacts>,
        id: GroupId,
        page: PageRequest,
    ) -> Result<Page<Contact>, ContactError> {
        let work = self.store.read().await?;
        one(&*work, grant.scope(), id).await?;
        let filter = ContactFilter { group: Some(id), ..ContactFilter::default() };
        Ok(work.contacts(grant.scope()).list(&filter, page).await?)
    }

    /// Puts contacts into a group; returns how many were not in it.
    ///
    /// # Errors
    /// [`ContactError::NoSuchGroup`], [`ContactError::Missing`], [`ContactError::Invalid`] when they
    /// are too many.
    pub async fn add(
        &self,
        grant: &Grant<WriteContacts>,
        id: GroupId,
        whom: &Selection,
        once: Option<&Once>,
    ) -> Result<u64, ContactError> {
        self.change(grant, id, whom, true, once).await
    }

    /// Takes contacts out of a group; returns how many were in it.
    ///
    /// # Errors
    /// As [`Groups::add`].
    pub async fn take(
        &self,
        grant: &Grant<WriteContacts>,
        id: GroupId,
        whom: &Selection,
        once: Option<&Once>,
    ) -> Result<u64, ContactError> {
        self.change(grant, id, whom, false, once).await
    }

    async fn change(
        &self,
        grant: &Grant<WriteContacts>,
        id: GroupId,
        whom: &Selection,
        add: bool,
        once: Option<&Once>,
    ) -> Result<u64, ContactError> {
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(count) = once.recall::<u64>(&*work).await?
        {
            return Ok(count);
        }
        let at = self.clock.now();
        one(&*work, grant.scope(), id).await?;
        let contacts = whom.contacts(&*work, grant.scope()).await?;
        let mut groups = work.groups(grant.scope());
        let count = if add {
            groups.add(id, &contacts, at).await?
        } else {
            groups.take(id, &contacts).await?
        };
        drop(groups);
        if count > 0 {
            changed(&*work, grant.scope(), id, at).await?;
        }
        if let Some(once) = once {
            once.remember(&*work, &count, at).await?;
        }
        work.commit().await?;
        Ok(count)
    }
}

fn taken(error: StoreError) -> ContactError {
    match error {
        StoreError::Conflict { .. } => ContactError::GroupNameTaken,
        error => error.into(),
    }
}

async fn one(
    work: &(dyn ContactsUse + '_),
    scope: Scope,
    id: GroupId,
) -> Result<Group, ContactError> {
    let found = work.groups(scope).by_ids(&[id]).await?;
    found.into_iter().next().ok_or(ContactError::NoSuchGroup)
}

async fn changed(
    work: &(dyn ContactsUse + '_),
    scope: Scope,
    id: GroupId,
    at: kabar_core::Timestamp,
) -> Result<(), StoreError> {
    let fact = Fact::ContactGroupChanged { group_id: id };
    work.events().append(&[NewEvent { account: scope.account(), at, fact }]).await
}
