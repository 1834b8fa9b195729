//! The history of messages as an export.

use std::sync::Arc;

use async_trait::async_trait;
use kabar_core::permission::ReadMessages;
use kabar_core::{
    BroadcastId, ContactId, ConversationId, Cursor, DeviceId, PageRequest, Scope, Store, Timestamp,
};
use kabar_exports::{Cell, Kind, Rows, Source, SourceError};
use kabar_messaging::{Body, Message, MessageFilter, RoadWork};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kind of export: messages, out and in, newest first.
#[derive(Debug)]
pub struct MessagesExport;

impl Kind for MessagesExport {
    const NAME: &'static str = "messages";
    type Needs = ReadMessages;
}

/// Which messages are exported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryParams {
    /// Over this device.
    pub device: Option<DeviceId>,
    /// With this contact.
    pub contact: Option<ContactId>,
    /// In this conversation.
    pub conversation: Option<ConversationId>,
    /// This way: `in` or `out`.
    pub direction: Option<String>,
    /// In one of these statuses; in any when empty.
    pub statuses: Vec<String>,
    /// Stored at this time or later.
    pub from: Option<Timestamp>,
    /// Stored before this time.
    pub to: Option<Timestamp>,
    /// With this word for the content.
    pub kind: Option<String>,
    /// Of this broadcast.
    pub broadcast: Option<BroadcastId>,
    /// That say this.
    pub text: Option<String>,
}

impl HistoryParams {
    fn filter(self) -> Result<MessageFilter, SourceError> {
        fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
            text: &str,
        ) -> Result<T, SourceError> {
            text.parse().map_err(|error: T::Err| SourceError::Refused(error.to_string()))
        }
        Ok(MessageFilter {
            device: self.device,
            contact: self.contact,
            conversation: self.conversation,
            direction: self.direction.as_deref().map(read).transpose()?,
            statuses: self.statuses.iter().map(|word| read(word)).collect::<Result<_, _>>()?,
            from: self.from,
            to: self.to,
            kind: self.kind,
            broadcast: self.broadcast,
            words: self.text.as_deref().map(read).transpose()?,
            ..MessageFilter::default()
        })
    }
}

/// The columns of the file.
const COLUMNS: [&str; 20] = [
    "id",
    "created_at",
    "direction",
    "status",
    "type",
    "text",
    "device_id",
    "conversation_id",
    "contact_id",
    "number",
    "purpose",
    "origin",
    "origin_ref",
    "reference",
    "reason_code",
    "reason",
    "sent_at",
    "delivered_at",
    "read_at",
    "failed_at",
];

/// Messages, a page at a time.
pub struct HistorySource {
    store: Arc<dyn Store<dyn RoadWork>>,
}

impl HistorySource {
    /// The source over a store.
    pub fn new(store: Arc<dyn Store<dyn RoadWork>>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Source for HistorySource {
    fn kind(&self) -> &'static str {
        MessagesExport::NAME
    }

    async fn columns(&self, _: Scope, _: &Value) -> Result<Vec<String>, SourceError> {
        Ok(COLUMNS.map(str::to_owned).to_vec())
    }

    async fn rows(
        &self,
        scope: Scope,
        params: &Value,
        _columns: &[String],
        after: Option<&str>,
    ) -> Result<Rows, SourceError> {
        let refused = |error: &dyn std::fmt::Display| SourceError::Refused(error.to_string());
        let params = HistoryParams::deserialize(params).map_err(|error| refused(&error))?;
        let after = after.map(str::parse::<Cursor>).transpose().map_err(|error| refused(&error))?;
        let page = PageRequest { limit: PageRequest::MOST, after };
        let work = self.store.read().await?;
        let found = work.messages(scope).list(&params.filter()?, page).await?;
        Ok(Rows {
            rows: found.items.iter().map(row).collect(),
            next: found.next.map(|next| next.to_string()),
        })
    }
}

fn row(message: &Message) -> Vec<Cell> {
    let plain = |text: &str| Cell::Plain(text.to_owned());
    let maybe = |text: Option<&str>| text.map_or(Cell::Empty, |text| Cell::Text(text.to_owned()));
    let at = |at: Option<Timestamp>| at.map_or(Cell::Empty, |at| Cell::Plain(at.to_rfc3339()));
    let number = message.recipient.as_ref().and_then(|to| to.phone.as_ref());
    let number = number.map(kabar_core::PhoneNumber::as_str).or(message.network_id.as_deref());
    let reason = message.reason.as_ref();
    let said = match &message.body {
        Body::Blank { .. } => None,
        body => body.words(),
    };
    vec![
        plain(&message.id.to_string()),
        at(Some(message.created_at)),
        plain(message.direction.as_str()),
        plain(message.status.as_str()),
        plain(message.body.kind()),
        maybe(said),
        plain(&message.device.to_string()),
        plain(&message.conversation.to_string()),
        plain(&message.contact.to_string()),
        maybe(number),
        plain(message.purpose.as_str()),
        plain(message.origin.as_str()),
        maybe(message.origin_ref.as_deref()),
        maybe(message.reference.as_deref()),
        maybe(reason.map(|reason| reason.code.as_str())),
        maybe(reason.map(|reason| reason.text.as_str())),
        at(message.sent_at),
        at(message.delivered_at),
        at(message.read_at),
        at(message.failed_at),
    ]
}
