//! Changing preferences, in whatever unit of work it happens.

use kabar_core::{ContactId, IdSource, MessageId, Scope, StoreError, Timestamp};
use kabar_events::{EventsWork, Fact, NewEvent};

use crate::opt_out::{PreferenceChange, PreferenceEntry, PreferenceSource, Stop, StopScope};
use crate::repo::ContactsWork;

/// A change of what contacts want.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Stopped or resumed.
    pub change: PreferenceChange,
    /// What is stopped.
    pub scope: StopScope,
    /// How we know.
    pub source: PreferenceSource,
    /// The word that was written.
    pub detail: Option<&'a str>,
    /// The message that held it.
    pub message: Option<MessageId>,
}

/// Carries a wish out for contacts, notes it in their history, and tells about those for whom it
/// changed something, which it returns.
///
/// # Errors
/// What storage says.
pub async fn apply<W>(
    work: &W,
    scope: Scope,
    contacts: &[ContactId],
    wish: Wish<'_>,
    ids: &dyn IdSource,
    at: Timestamp,
) -> Result<Vec<ContactId>, StoreError>
where
    W: ContactsWork + EventsWork + ?Sized,
{
    let mut contacts = contacts.to_vec();
    // In the order of their ids, so that two units of work never wait for each other in a circle.
    contacts.sort_unstable();
    contacts.dedup();
    if contacts.is_empty() {
        return Ok(Vec::new());
    }
    let stops = wish.change == PreferenceChange::Stopped;
    let mut repo = work.preferences(scope);
    let changed = if stops {
        let stop = Stop { scope: wish.scope, source: wish.source, at };
        repo.stop(&contacts, stop).await?
    } else {
        repo.resume(&contacts, at).await?
    };
    // Whoever writes a stop word twice asked twice; nothing is to be noted of what was so anyway.
    let asked = wish.source == PreferenceSource::Message && stops;
    let noted: &[ContactId] = if asked { &contacts } else { &changed };
    let entries: Vec<PreferenceEntry> = noted
        .iter()
        .map(|contact| PreferenceEntry {
            id: ids.next(),
            contact: *contact,
            change: wish.change,
            scope: stops.then_some(wish.scope),
            source: wish.source,
            detail: wish.detail.map(str::to_owned),
            message: wish.message,
            actor: scope.actor().to_string(),
            at,
        })
        .collect();
    repo.note(&entries).await?;
    drop(repo);
    let events: Vec<NewEvent> = changed
        .iter()
        .map(|contact_id| NewEvent {
            account: scope.account(),
            at,
            fact: Fact::ContactPreference { contact_id: *contact_id, marketing: !stops },
        })
        .collect();
    work.events().append(&events).await?;
    Ok(changed)
}
