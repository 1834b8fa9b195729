//! The paired sessions of the installation, for whoever runs it.

use kabar::Platform;
use kabar::core::permission::ReadOperations;
use kabar::core::{AccountId, Cursor, DeviceId, Page, Timestamp};
use kabar::devices::DeviceState;
use kabar::qr_session::{SessionHealth, SessionRow};
use poem_openapi::param::Query;
use poem_openapi::{Object, OpenApi};

use super::Area;
use super::answer::{Answer, Listed, page};
use super::words::Word;
use crate::auth::{Auth, OverAll};

/// A paired session of the installation.
#[derive(Debug, Object)]
#[oai(rename = "PairedSession")]
pub struct SessionView {
    /// Its device.
    pub device_id: Word<DeviceId>,
    /// The device's account.
    pub account_id: Word<AccountId>,
    /// What the tenant calls the device.
    pub name: String,
    /// The device's state.
    pub state: Word<DeviceState>,
    /// Why, where there is something to say.
    pub state_reason: Option<String>,
    /// Whether it is to be connected.
    pub wanted: bool,
    /// The node that runs it; null while nobody does.
    pub node: Option<String>,
    /// Until when that node may run it without renewing.
    pub leased_until: Option<Timestamp>,
    /// How it does; null for sessions that run on another node than the one that answers.
    pub here: Option<HealthView>,
}

/// How a session does on the node that answers.
#[derive(Debug, Object)]
#[oai(rename = "PairedSessionHealth")]
pub struct HealthView {
    /// Whether it is logged in and receives.
    pub connected: bool,
    /// Seconds for which it has run on this node.
    pub seconds: u64,
    /// Messages that it could not decrypt in that time.
    pub undecryptable: u64,
    /// Bytes that its caches and queues hold, estimated.
    pub memory_bytes: u64,
}

impl From<SessionHealth> for HealthView {
    fn from(health: SessionHealth) -> Self {
        Self {
            connected: health.connected,
            seconds: health.age.as_secs(),
            undecryptable: health.undecryptable,
            memory_bytes: health.memory,
        }
    }
}

impl From<SessionRow> for SessionView {
    fn from(row: SessionRow) -> Self {
        let lease = row.held.lease;
        Self {
            device_id: Word(lease.device),
            account_id: Word(lease.account),
            name: row.held.name,
            state: Word(row.held.state),
            state_reason: row.held.state_reason,
            wanted: lease.wanted,
            node: lease.node.filter(|_| row.is_held).map(|node| node.to_string()),
            leased_until: row.is_held.then_some(lease.until),
            here: row.here.map(HealthView::from),
        }
    }
}

/// The operations.
pub struct SessionListApi(pub Platform);

#[OpenApi(tag = "Area::Operations")]
impl SessionListApi {
    /// List paired sessions
    ///
    /// Those of every account, newest device first: who runs which, and how they do. Needs
    /// `operations:read`; for the provider.
    #[oai(path = "/operations/sessions", method = "get", operation_id = "listPairedSessions")]
    async fn list(
        &self,
        Auth(may): Auth<OverAll<ReadOperations>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<SessionView>> {
        let sessions = match self.0.sessions() {
            Some(sessions) => sessions.list(may.scope, page(limit.0, after.0)).await?,
            None => Page { items: Vec::new(), next: None },
        };
        Ok(Listed::of(sessions))
    }
}
