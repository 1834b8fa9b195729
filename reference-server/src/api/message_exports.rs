//! Exports of the history of messages.

use kabar::Platform;
use kabar::core::permission::ReadMessages;
use kabar::core::{
    BroadcastId, ContactId, ConversationId, Cursor, DeviceId, ExportId, Grant, Timestamp,
};
use kabar::exports::{Export, ExportError, Format, NewExport};
use kabar::insights::history::{HistoryParams, MessagesExport};
use kabar::messaging::search::{Needle, NeedleError};
use kabar::messaging::{Direction, Status};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Accepted, Answer, Listed, page};
use super::body::JsonBody;
use super::exports::FileAnswer;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Comma-separated values.
    Csv,
    /// A spreadsheet.
    Xlsx,
    /// JSON.
    Json,
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Csv => Self::Csv,
            FileFormat::Xlsx => Self::Xlsx,
            FileFormat::Json => Self::Json,
        }
    }
}

/// Which messages are exported, and into what.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewMessageExport")]
#[serde(deny_unknown_fields)]
pub struct NewMessageExportBody {
    /// The form of the file.
    pub format: FileFormat,
    /// Over this device.
    pub device_id: Option<Word<DeviceId>>,
    /// With this contact.
    pub contact_id: Option<Word<ContactId>>,
    /// In this conversation.
    pub conversation_id: Option<Word<ConversationId>>,
    /// This way.
    pub direction: Option<Word<Direction>>,
    /// In one of these statuses; in any when empty.
    #[oai(default, validator(max_items = 11))]
    #[serde(default)]
    pub statuses: Vec<Word<Status>>,
    /// Stored at this time or later.
    pub from: Option<Timestamp>,
    /// Stored before this time.
    pub to: Option<Timestamp>,
    /// With this type of content, like `text`.
    #[oai(rename = "type", validator(pattern = "^[a-z_]{1,40}$"))]
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Of this broadcast.
    pub broadcast_id: Option<Word<BroadcastId>>,
    /// That say all of these words.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub text: Option<String>,
}

impl NewMessageExportBody {
    fn params(self) -> Result<HistoryParams, Problem> {
        if let Some(text) = &self.text {
            let read: Result<Needle, NeedleError> = text.parse();
            read.map_err(|error| Problem::invalid("text", error.to_string()))?;
        }
        Ok(HistoryParams {
            device: self.device_id.map(|id| id.0),
            contact: self.contact_id.map(|id| id.0),
            conversation: self.conversation_id.map(|id| id.0),
            direction: self.direction.map(|word| word.0.to_string()),
            statuses: self.statuses.into_iter().map(|word| word.0.to_string()).collect(),
            from: self.from,
            to: self.to,
            kind: self.kind,
            broadcast: self.broadcast_id.map(|id| id.0),
            text: self.text,
        })
    }
}

/// An export of messages.
#[derive(Debug, Object)]
#[oai(rename = "MessageExport")]
pub struct MessageExportView {
    /// Its id.
    pub id: Word<ExportId>,
    /// How far it got: `pending`, `running`, `done`, `failed`, `cancelled` or `removed`.
    pub state: String,
    /// The file's name.
    pub filename: String,
    /// Messages that are written.
    pub rows: u64,
    /// Bytes that are written.
    pub size: u64,
    /// Why it failed.
    pub problem: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// Until when the file is kept.
    pub expires_at: Option<Timestamp>,
}

impl From<Export> for MessageExportView {
    fn from(export: Export) -> Self {
        Self {
            id: Word(export.id),
            state: export.state.to_string(),
            filename: export.filename,
            rows: export.rows,
            size: export.size,
            problem: export.problem,
            created_at: export.created_at,
            finished_at: export.finished_at,
            expires_at: export.expires_at,
        }
    }
}

/// The operations.
pub struct MessageExportsApi(pub Platform);

#[OpenApi(tag = "Area::Messages")]
impl MessageExportsApi {
    /// Export messages
    ///
    /// A job writes the file, newest messages first; follow it by its id. A spreadsheet takes about a
    /// million messages, the other forms any number. Files are kept for seven days. Not for device
    /// tokens. Needs `messages:read`.
    #[oai(path = "/exports/messages", method = "post", operation_id = "exportMessages")]
    async fn start(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewMessageExportBody>,
    ) -> Result<Accepted<MessageExportView>, Problem> {
        of_an_account(&may.grant)?;
        let once = key.once(may.principal.actor(), may.scope(), "exportMessages", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let format = body.value.format.into();
        let params = serde_json::to_value(body.value.params()?)
            .map_err(|error| Problem::internal(&error))?;
        let new = NewExport { format, name: "messages".to_owned(), params };
        let exports = self.0.exports();
        let export = exports.start::<MessagesExport>(&may.grant, new, once.as_ref()).await?;
        Ok(Accepted::new(export.into(), replayed))
    }

    /// List exports of messages
    ///
    /// Newest first. Needs `messages:read`.
    #[oai(path = "/exports/messages", method = "get", operation_id = "listMessageExports")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<MessageExportView>> {
        if of_an_account(&may.grant).is_err() {
            return Ok(Json(Listed { items: Vec::new(), next: None }));
        }
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.exports().list::<MessagesExport>(&may.grant, page).await?))
    }

    /// Get an export of messages
    ///
    /// Needs `messages:read`.
    #[oai(path = "/exports/messages/:id", method = "get", operation_id = "getMessageExport")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<ExportId>>,
    ) -> Answer<MessageExportView> {
        there_for(&may.grant)?;
        Ok(Json(self.0.exports().get::<MessagesExport>(&may.grant, id.0.0).await?.into()))
    }

    /// Download an export of messages
    ///
    /// 409 while it is not done. Needs `messages:read`.
    #[oai(
        path = "/exports/messages/:id/file",
        method = "get",
        operation_id = "downloadMessageExport"
    )]
    async fn file(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<ExportId>>,
    ) -> Result<FileAnswer, Problem> {
        there_for(&may.grant)?;
        let file = self.0.exports().open::<MessagesExport>(&may.grant, id.0.0).await?;
        Ok(FileAnswer::of(file))
    }

    /// Cancel an export of messages, or remove its file
    ///
    /// Needs `messages:read`.
    #[oai(path = "/exports/messages/:id", method = "delete", operation_id = "removeMessageExport")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<ExportId>>,
    ) -> Answer<MessageExportView> {
        there_for(&may.grant)?;
        Ok(Json(self.0.exports().remove::<MessagesExport>(&may.grant, id.0.0).await?.into()))
    }
}

/// Exports are the account's: a device's token has none.
fn of_an_account(grant: &Grant<ReadMessages>) -> Result<(), Problem> {
    match grant.device() {
        None => Ok(()),
        Some(_) => Err(Problem::forbidden("a device token makes no exports; use an API key")),
    }
}

fn there_for(grant: &Grant<ReadMessages>) -> Result<(), Problem> {
    match grant.device() {
        None => Ok(()),
        Some(_) => Err(ExportError::NotFound.into()),
    }
}
