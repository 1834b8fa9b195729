//! Tags: free words on contacts.

use async_trait::async_trait;
use kabar_core::{ContactId, StoreError, Timestamp};

use crate::check;
use crate::service::ContactError;

/// The most characters of a tag.
pub const LONGEST: usize = 64;
/// The most tags of one call, and of one row of an import.
pub const MOST: usize = 50;

/// A tag as it is stored: normalised, in lower case, with single spaces. Commas and semicolons
/// part tags in files, so a tag holds none.
///
/// # Errors
/// What is wrong with it and how to mend it.
pub fn normalised(text: &str) -> Result<String, String> {
    let tag = check::folded(text);
    if tag.is_empty() {
        return Err("a tag must not be empty".to_owned());
    }
    if tag.chars().count() > LONGEST {
        return Err(format!("a tag has at most {LONGEST} characters"));
    }
    if tag.chars().any(|c| c.is_control() || matches!(c, ',' | ';')) {
        return Err("a tag holds no control characters, commas and semicolons".to_owned());
    }
    Ok(tag)
}

/// The tags of a call, each once.
pub(crate) fn checked(tags: &[String]) -> Result<Vec<String>, ContactError> {
    if tags.is_empty() || tags.len() > MOST {
        return Err(check::invalid("tags", format!("must be 1 to {MOST} tags")));
    }
    let mut checked = Vec::with_capacity(tags.len());
    for (index, tag) in tags.iter().enumerate() {
        let tag = normalised(tag)
            .map_err(|problem| check::invalid(&format!("tags[{index}]"), problem))?;
        checked.push(tag);
    }
    checked.sort_unstable();
    checked.dedup();
    Ok(checked)
}

/// A tag, and how many contacts have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCount {
    /// The tag.
    pub tag: String,
    /// Contacts that have it.
    pub contacts: u64,
}

/// A tenant's tags.
#[async_trait]
pub trait TagRepo: Send {
    /// Puts tags on contacts; returns how many were not there.
    async fn add(
        &mut self,
        tags: &[String],
        contacts: &[ContactId],
        at: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Puts tags on contacts, pair by pair; returns how many were not there.
    async fn add_pairs(
        &mut self,
        pairs: &[(ContactId, String)],
        at: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Takes tags from contacts; returns how many were there.
    async fn take(&mut self, tags: &[String], contacts: &[ContactId]) -> Result<u64, StoreError>;

    /// At most `limit` tags behind `after` in the database's order, with their counts.
    async fn list(&mut self, after: Option<&str>, limit: u16) -> Result<Vec<TagCount>, StoreError>;

    /// The tags of contacts.
    async fn of_contacts(
        &mut self,
        contacts: &[ContactId],
    ) -> Result<Vec<(ContactId, String)>, StoreError>;
}
