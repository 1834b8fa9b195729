//! What happened: the event log and the audit log.

use kabar::Platform;
use kabar::accounts::Audits;
use kabar::accounts::audit::StoredAudit;
use kabar::core::permission::{ReadAudit, ReadEvents};
use kabar::core::{AccountId, AuditId, Cursor, Timestamp};
use kabar::events::{Position, StoredEvent};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Area;
use super::answer::{Answer, Listed, page};
use super::words::{AnyJson, Word};
use crate::auth::{Anywhere, Auth, Place};

/// Something that happened.
#[derive(Debug, Object)]
#[oai(rename = "Event")]
pub struct EventView {
    /// Its place in the log.
    pub position: Word<Position>,
    /// Whose event it is.
    pub account_id: Word<AccountId>,
    /// When it happened.
    pub at: Timestamp,
    /// The word for what happened, like `message.received`.
    pub kind: String,
    /// The version of its fields.
    pub version: i16,
    /// The fields: ids and facts.
    pub data: AnyJson,
}

impl From<StoredEvent> for EventView {
    fn from(event: StoredEvent) -> Self {
        Self {
            position: Word(event.position),
            account_id: Word(event.account),
            at: event.at,
            kind: event.kind,
            version: event.version,
            data: AnyJson(event.data),
        }
    }
}

/// A part of the event log, oldest first.
#[derive(Debug, Object)]
#[oai(rename = "Events")]
pub struct EventsView {
    /// The events.
    pub items: Vec<EventView>,
    /// What to send as `after` to go on from here, now or later.
    pub next: Word<Position>,
}

/// An entry of the audit log.
#[derive(Debug, Object)]
#[oai(rename = "AuditEntry")]
pub struct AuditView {
    /// Its id.
    pub id: Word<AuditId>,
    /// Who did it: a user, an API key, a device, or a part of the system.
    pub actor: String,
    /// What was done, like `device.register`.
    pub action: String,
    /// The id of what it was done to.
    pub subject: Option<String>,
    /// Facts about it.
    pub detail: AnyJson,
    /// When.
    pub at: Timestamp,
}

impl From<StoredAudit> for AuditView {
    fn from(entry: StoredAudit) -> Self {
        Self {
            id: Word(entry.id),
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            detail: AnyJson(entry.detail),
            at: entry.at,
        }
    }
}

/// The operations.
pub struct EventsApi(pub Platform);

#[OpenApi(tag = "Area::Events")]
impl EventsApi {
    /// Read the event log
    ///
    /// Oldest first, in the order of the commits: who goes on from `next` misses nothing. Needs
    /// `events:read`. For a provider without `Kabar-Account`: the events of every account.
    #[oai(path = "/events", method = "get", operation_id = "listEvents")]
    async fn list(
        &self,
        Auth(may): Auth<Anywhere<ReadEvents>>,
        /// Events at most, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the answer before; absent for the beginning of the log.
        after: Query<Option<Word<Position>>>,
    ) -> Answer<EventsView> {
        let after = after.0.map(|word| word.0).unwrap_or_default();
        let limit = page(limit.0, None).limit;
        let work = self.0.events().read().await?;
        let events = match &may.place {
            Place::Account(grant) => work.events().read(grant.scope(), after, limit).await?,
            Place::Provider(scope) => work.events().read_all(*scope, after, limit).await?,
        };
        let next = events.last().map_or(after, |event| event.position);
        let items = events.into_iter().map(EventView::from).collect();
        Ok(Json(EventsView { items, next: Word(next) }))
    }

    /// Read the audit log
    ///
    /// Who changed what, newest first. Needs `audit:read`. For a provider without
    /// `Kabar-Account`: the entries of the installation itself.
    #[oai(path = "/audit", method = "get", operation_id = "listAudit")]
    async fn audit(
        &self,
        Auth(may): Auth<Anywhere<ReadAudit>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<AuditView>> {
        let page = page(limit.0, after.0);
        let audits = Audits::new(std::sync::Arc::new(self.0.database().clone()));
        Ok(Listed::of(match &may.place {
            Place::Account(grant) => audits.list(grant, page).await?,
            Place::Provider(scope) => audits.list_installation(*scope, page).await?,
        }))
    }
}
