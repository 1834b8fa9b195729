//! What happened: the event log and the audit log.

use kabar::Platform;
use kabar::accounts::Audits;
use kabar::accounts::audit::StoredAudit;
use kabar::core::permission::{ReadAudit, ReadEvents};
use kabar::core::{AccountId, AuditId, Cursor, DeviceId, Timestamp};
use kabar::events::{Begin, EventFilter, EventPage, Kind, Position, Reach, StoredEvent};
use poem::Request;
use poem_openapi::param::{Header, Query};
use poem_openapi::{Object, OpenApi};

use super::Area;
use super::answer::{Answer, Listed, page};
use super::live::{self, EventsAnswer};
use super::words::{AnyJson, Word};
use crate::auth::{Anywhere, Auth, Place, Standing};
use crate::problem::Problem;

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

impl From<&StoredEvent> for EventView {
    fn from(event: &StoredEvent) -> Self {
        Self {
            position: Word(event.position),
            account_id: Word(event.account),
            at: event.at,
            kind: event.kind.clone(),
            version: event.version,
            data: AnyJson(event.data.clone()),
        }
    }
}

/// A part of the event log, oldest first.
#[derive(Debug, Object)]
#[oai(rename = "Events")]
pub struct EventsView {
    /// The events.
    pub items: Vec<EventView>,
    /// What to send as `after` to go on from here, now or later. It stays the same when there is
    /// nothing behind it yet.
    pub next: Word<Position>,
    /// Whether events behind `after` were removed before they were read, because they were older than
    /// events are kept, or `after` was never a position of this log.
    pub gap: bool,
}

impl From<EventPage> for EventsView {
    fn from(page: EventPage) -> Self {
        let items = page.events.iter().map(EventView::from).collect();
        Self { items, next: Word(page.next), gap: page.gap }
    }
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
    ///
    /// With `Accept: text/event-stream` the answer is a stream of server-sent events that goes on for
    /// as long as the caller listens: `id` is the position, `event` the kind, `data` the event as
    /// JSON. It begins behind `Last-Event-ID`, else behind `after`, else now, with an event `ready`
    /// that holds the position. Where events were removed before they were read, an event `gap` says
    /// so. A comment each 15 seconds keeps the connection open. The stream ends when the credential
    /// stops working, and when the server is stopped; connect again with the last `id`.
    #[oai(path = "/events", method = "get", operation_id = "listEvents")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        request: &Request,
        Auth(may): Auth<Anywhere<ReadEvents>>,
        /// Events at most, 1 to 200; 50 when absent. Not for a stream.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the answer before; absent for the beginning of the log, and `0-0` for a stream
        /// from there.
        after: Query<Option<Word<Position>>>,
        /// Only these kinds, like `message.status`, or families of them, like `message.*`. A page may
        /// then hold fewer than `limit` while there is more.
        #[oai(validator(max_items = 32))]
        kind: Query<Option<Vec<Word<Kind>>>>,
        /// Only what is about this device.
        device: Query<Option<Word<DeviceId>>>,
        /// For a stream: the last `id` that was received.
        #[oai(name = "Last-Event-ID")]
        last: Header<Option<Word<Position>>>,
    ) -> Result<EventsAnswer, Problem> {
        let kinds = kind.0.unwrap_or_default().into_iter().map(|word| word.0).collect();
        let filter = EventFilter { kinds, device: device.0.map(|word| word.0) };
        let reach = match may.place {
            Place::Account(grant) => Reach::Account(grant),
            Place::Provider(scope) => Reach::Installation(scope),
        };
        let after = after.0.map(|word| word.0);
        if live::wanted(request) {
            let begin = last.0.map(|word| word.0).or(after).map_or(Begin::Now, Begin::After);
            let follow = self.0.follow(reach, filter, begin).await?;
            let standing = Standing::of(request, self.0.clone())?;
            return Ok(EventsAnswer::Stream(live::stream(follow, standing).await?));
        }
        let limit = page(limit.0, None).limit;
        let work = self.0.events().read().await?;
        let after = after.unwrap_or_default();
        let page = reach.page(&mut *work.events(), &filter, after, limit).await?;
        Ok(EventsAnswer::Page(page.into()))
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
