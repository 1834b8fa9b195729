//! Many contacts at once: named, or by a filter.

use std::collections::BTreeSet;

use kabar_core::{ContactId, Scope};

use crate::check::invalid;
use crate::repo::ContactFilter;
use crate::service::{ContactError, ContactsUse};

/// Contacts that one call names, at most.
pub const MOST_IDS: usize = 10_000;
/// Contacts that one call changes by a filter, at most: it is one unit of work.
pub const MOST_MATCHING: u32 = 50_000;

/// Many contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These, at most [`MOST_IDS`].
    Ids(Vec<ContactId>),
    /// Those that fit, at most [`MOST_MATCHING`].
    Matching(Box<ContactFilter>),
}

impl Selection {
    /// The contacts, each once.
    pub(crate) async fn contacts(
        &self,
        work: &(dyn ContactsUse + '_),
        scope: Scope,
    ) -> Result<Vec<ContactId>, ContactError> {
        match self {
            Self::Ids(ids) => named(work, scope, ids).await,
            Self::Matching(filter) => {
                let found = work.contacts(scope).select(filter, None, MOST_MATCHING + 1).await?;
                if found.len() > MOST_MATCHING as usize {
                    let problem = format!(
                        "fits more than {MOST_MATCHING} contacts; narrow it, or go group by group"
                    );
                    return Err(invalid("filter", problem));
                }
                Ok(found)
            }
        }
    }
}

async fn named(
    work: &(dyn ContactsUse + '_),
    scope: Scope,
    ids: &[ContactId],
) -> Result<Vec<ContactId>, ContactError> {
    if ids.is_empty() || ids.len() > MOST_IDS {
        return Err(invalid("contact_ids", format!("must be 1 to {MOST_IDS} contacts")));
    }
    let wanted: BTreeSet<ContactId> = ids.iter().copied().collect();
    let wanted: Vec<ContactId> = wanted.into_iter().collect();
    let found = work.contacts(scope).existing(&wanted).await?;
    if found.len() == wanted.len() {
        return Ok(wanted);
    }
    let found: BTreeSet<ContactId> = found.into_iter().collect();
    let place = ids.iter().position(|id| !found.contains(id)).unwrap_or_default();
    Err(ContactError::Missing {
        field: format!("contact_ids[{place}]"),
        problem: "no such contact".to_owned(),
    })
}
