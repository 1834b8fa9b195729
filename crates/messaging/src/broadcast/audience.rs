//! The contacts of an audience, in pages.

use kabar_contacts::Contact;
use kabar_core::{ContactId, Scope, StoreError};

use super::{Audience, BroadcastUse};

/// At most `limit` contacts behind `after`, in the order of their ids, and where to go on.
pub(super) async fn page(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    audience: &Audience,
    after: Option<ContactId>,
    limit: u16,
) -> Result<(Vec<Contact>, Option<ContactId>), StoreError> {
    let wanted = kabar_contacts::Audience {
        everyone: audience.everyone,
        groups: audience.groups.clone(),
        tags: audience.tags.clone(),
        contacts: audience.contacts.iter().copied().collect(),
    };
    let page = work.audiences(scope).page(&wanted, after, limit).await?;
    let mut contacts = work.contacts(scope).by_ids(&page.contacts).await?;
    contacts.sort_by_key(|contact| contact.id);
    Ok((contacts, page.next))
}
