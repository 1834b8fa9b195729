//! One call for the two records of a change: its audit entry and its event.

use kabar_core::principal::Actor;
use kabar_core::{AccountId, AuditId, IdSource, StoreError, Timestamp};
use kabar_events::{EventsWork, Fact, NewEvent};
use serde_json::Value;

use crate::audit::{AuditEntry, AuditWork};

/// A change that was made.
#[derive(Debug, Clone)]
pub struct Change {
    /// The tenant; `None` for the installation itself, which has no event log.
    pub account: Option<AccountId>,
    /// Who did it.
    pub actor: Actor,
    /// What was done, `entity.verb`.
    pub action: &'static str,
    /// The id of what it was done to.
    pub subject: String,
    /// Facts about it; never secrets, numbers or texts of messages.
    pub detail: Value,
    /// The event for those who follow the tenant's log.
    pub fact: Fact,
    /// When.
    pub at: Timestamp,
}

/// Writes a change down, in the unit of work that made it.
///
/// # Errors
/// What storage says.
pub async fn record<W>(work: &W, ids: &dyn IdSource, change: Change) -> Result<(), StoreError>
where
    W: AuditWork + EventsWork + ?Sized,
{
    if let Some(account) = change.account {
        let event = NewEvent { account, at: change.at, fact: change.fact };
        work.events().append(&[event]).await?;
    }
    let entry = AuditEntry {
        id: AuditId::from(ids.next()),
        account: change.account,
        actor: change.actor,
        action: change.action,
        subject: Some(change.subject),
        detail: change.detail,
        at: change.at,
    };
    work.audit().write(&[entry]).await
}
