//! What a tenant does with tags.

use std::sync::Arc;

use kabar_core::permission::{ReadContacts, WriteContacts};
use kabar_core::{Clock, ContactId, Grant, GroupId, Once, Store};

use crate::selection::Selection;
use crate::service::{ContactError, ContactsUse, one};
use crate::tag::{self, TagCount};

/// Tags of tenants.
#[derive(Clone)]
pub struct Tags {
    store: Arc<dyn Store<dyn ContactsUse>>,
    clock: Arc<dyn Clock>,
}

impl Tags {
    /// The service over a store.
    pub fn new(store: Arc<dyn Store<dyn ContactsUse>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// At most `limit` tags behind `after`, with how many contacts have them.
    ///
    /// # Errors
    /// [`ContactError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadContacts>,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Vec<TagCount>, ContactError> {
        let work = self.store.read().await?;
        Ok(work.tags(grant.scope()).list(after, limit).await?)
    }

    /// The groups, with their names, and the tags of a contact.
    ///
    /// # Errors
    /// [`ContactError::NotFound`].
    pub async fn memberships(
        &self,
        grant: &Grant<ReadContacts>,
        contact: ContactId,
    ) -> Result<(Vec<(GroupId, String)>, Vec<String>), ContactError> {
        let work = self.store.read().await?;
        one(&*work, grant.scope(), contact).await?;
        let groups = work.groups(grant.scope()).of_contacts(&[contact]).await?;
        let tags = work.tags(grant.scope()).of_contacts(&[contact]).await?;
        let groups = groups.into_iter().map(|(_, id, name)| (id, name)).collect();
        Ok((groups, tags.into_iter().map(|(_, tag)| tag).collect()))
    }

    /// Puts tags on contacts; returns how many were not there.
    ///
    /// # Errors
    /// [`ContactError::Missing`], [`ContactError::Invalid`].
    pub async fn add(
        &self,
        grant: &Grant<WriteContacts>,
        tags: &[String],
        whom: &Selection,
        once: Option<&Once>,
    ) -> Result<u64, ContactError> {
        self.change(grant, tags, whom, true, once).await
    }

    /// Takes tags from contacts; returns how many were there.
    ///
    /// # Errors
    /// As [`Tags::add`].
    pub async fn take(
        &self,
        grant: &Grant<WriteContacts>,
        tags: &[String],
        whom: &Selection,
        once: Option<&Once>,
    ) -> Result<u64, ContactError> {
        self.change(grant, tags, whom, false, once).await
    }

    async fn change(
        &self,
        grant: &Grant<WriteContacts>,
        tags: &[String],
        whom: &Selection,
        add: bool,
        once: Option<&Once>,
    ) -> Result<u64, ContactError> {
        let tags = tag::checked(tags)?;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(count) = once.recall::<u64>(&*work).await?
        {
            return Ok(count);
        }
        let contacts = whom.contacts(&*work, grant.scope()).await?;
        let at = self.clock.now();
        let mut repo = work.tags(grant.scope());
        let count = if add {
            repo.add(&tags, &contacts, at).await?
        } else {
            repo.take(&tags, &contacts).await?
        };
        drop(repo);
        if let Some(once) = once {
            once.remember(&*work, &count, at).await?;
        }
        work.commit().await?;
        Ok(count)
    }
}
