//! Whom a broadcast or an export is for: groups, tags and single contacts together.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kabar_core::{ContactId, GroupId, StoreError};
use serde::{Deserialize, Serialize};

/// Contacts that are in any of the groups, have any of the tags, or are named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Audience {
    /// Every contact of the tenant.
    pub everyone: bool,
    /// The members of these groups.
    pub groups: Vec<GroupId>,
    /// The contacts with these tags, normalised.
    pub tags: Vec<String>,
    /// These contacts.
    pub contacts: BTreeSet<ContactId>,
}

impl Audience {
    /// Whether nobody can be in it.
    pub fn is_empty(&self) -> bool {
        !self.everyone && self.groups.is_empty() && self.tags.is_empty() && self.contacts.is_empty()
    }
}

/// Some contacts of an audience, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AudiencePage {
    /// The contacts.
    pub contacts: Vec<ContactId>,
    /// Where to go on; `None` at the end. A page can be short, even empty, before the end.
    pub next: Option<ContactId>,
}

/// Walks through audiences.
#[async_trait]
pub trait AudienceRepo: Send {
    /// At most `limit` people of an audience behind `after`, in the order of their ids, each once,
    /// along indexes at any size. Removed contacts and groups of WhatsApp are left out.
    async fn page(
        &mut self,
        audience: &Audience,
        after: Option<ContactId>,
        limit: u16,
    ) -> Result<AudiencePage, StoreError>;
}
