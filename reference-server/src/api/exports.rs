//! Exports: files that a job writes, and their download.

use futures_util::stream;
use kabar::Platform;
use kabar::contacts::{ContactsExport, ContactsExportFilter};
use kabar::core::permission::{ReadContacts, ReadMessages};
use kabar::core::{ContactId, Cursor, ExportId, GroupId, Timestamp};
use kabar::exports::{Export, ExportFile, ExportState, Format, NewExport};
use kabar::messaging::PersonalData;
use poem::http::{HeaderValue, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::Area;
use super::answer::{Accepted, Answer, Listed, page};
use super::body::JsonBody;
use super::groups::read_tag;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// An export.
#[derive(Debug, Object)]
#[oai(rename = "Export")]
pub struct ExportView {
    /// Its id.
    pub id: Word<ExportId>,
    /// How far it got.
    pub state: Word<ExportState>,
    /// The form of the file.
    pub format: Word<Format>,
    /// The file's name.
    pub filename: String,
    /// Rows that are written.
    pub rows: u64,
    /// Bytes that are written.
    pub size: u64,
    /// Why it failed.
    pub problem: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// Until when the file is kept.
    pub expires_at: Option<Timestamp>,
}

impl From<Export> for ExportView {
    fn from(export: Export) -> Self {
        Self {
            id: Word(export.id),
            state: Word(export.state),
            format: Word(export.format),
            filename: export.filename,
            rows: export.rows,
            size: export.size,
            problem: export.problem,
            created_at: export.created_at,
            updated_at: export.updated_at,
            finished_at: export.finished_at,
            expires_at: export.expires_at,
        }
    }
}

/// A file to download. A browser is told to save, not to show it.
#[derive(Debug)]
pub struct FileAnswer(Response);

impl FileAnswer {
    /// A body with a name of printable ASCII and a media type.
    pub fn new(mut response: Response, name: &str, mime: &'static str) -> Self {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
        let attachment = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
        let plain = HeaderValue::from_static("attachment");
        headers.insert(header::CONTENT_DISPOSITION, attachment.unwrap_or(plain));
        Self(response)
    }

    /// The file of an export, part by part.
    pub fn of(file: ExportFile) -> Self {
        let (name, mime) = (file.export.filename.clone(), file.export.format.mime());
        let parts = stream::try_unfold(file, async |mut file| {
            let part = file.next_part().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(part.map(|bytes| (bytes, file)))
        });
        Self::new(Body::from_bytes_stream(parts).into_response(), &name, mime)
    }
}

impl IntoResponse for FileAnswer {
    fn into_response(self) -> Response {
        self.0
    }
}

/// What a file of any media type is: bytes, but whoever looks at JSON finds values in it.
pub(super) fn any_file() -> Vec<MetaMediaType> {
    let media = |content_type, schema| MetaMediaType {
        content_type,
        schema: MetaSchemaRef::Inline(Box::new(schema)),
    };
    let binary = MetaSchema::new_with_format("string", "binary");
    vec![media("*/*", binary), media("application/json", MetaSchema::ANY)]
}

impl ApiResponse for FileAnswer {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The file.",
                status: Some(200),
                status_range: None,
                content: any_file(),
                headers: Vec::new(),
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// Contacts to export.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewContactExport")]
#[serde(deny_unknown_fields)]
pub struct NewContactExportBody {
    /// The form of the file; a spreadsheet has at most 100,000 rows.
    pub format: Word<Format>,
    /// Only those in this group.
    pub group_id: Option<Word<GroupId>>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those that stopped messages, or those that did not.
    pub opted_out: Option<bool>,
}

/// The operations.
pub struct ExportsApi(pub Platform);

#[OpenApi(tag = "Area::Contacts")]
impl ExportsApi {
    /// Export contacts
    ///
    /// A job writes the file, which is kept for 7 days. It can be imported again. Needs
    /// `contacts:read`.
    #[oai(path = "/contact-exports", method = "post", operation_id = "startContactExport")]
    async fn start(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewContactExportBody>,
    ) -> Result<Accepted<ExportView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "startContactExport", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let body = body.value;
        let group = body.group_id.map(|id| id.0);
        if let Some(group) = group {
            let found = self.0.groups().get(&may.grant, group).await;
            found.map_err(|_| Problem::missing("group_id", "no such group"))?;
        }
        let filter = ContactsExportFilter {
            group,
            tag: body.tag.map(|tag| read_tag("tag", &tag)).transpose()?,
            opted_out: body.opted_out,
        };
        let new = NewExport {
            format: body.format.0,
            name: "contacts".to_owned(),
            params: serde_json::to_value(filter).unwrap_or_default(),
        };
        let export =
            self.0.exports().start::<ContactsExport>(&may.grant, new, once.as_ref()).await?;
        Ok(Accepted::new(export.into(), replayed))
    }

    /// List exports of contacts
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/contact-exports", method = "get", operation_id = "listContactExports")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<ExportView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.exports().list::<ContactsExport>(&may.grant, page).await?))
    }

    /// Get an export of contacts
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/contact-exports/:id", method = "get", operation_id = "getContactExport")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<ExportId>>,
    ) -> Answer<ExportView> {
        Ok(Json(self.0.exports().get::<ContactsExport>(&may.grant, id.0.0).await?.into()))
    }

    /// Download exported contacts
    ///
    /// Needs `contacts:read`.
    #[oai(
        path = "/contact-exports/:id/file",
        method = "get",
        operation_id = "downloadContactExport"
    )]
    async fn file(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<ExportId>>,
    ) -> Result<FileAnswer, Problem> {
        let file = self.0.exports().open::<ContactsExport>(&may.grant, id.0.0).await?;
        Ok(FileAnswer::of(file))
    }

    /// Remove an export of contacts
    ///
    /// Cancels it while it is written, removes its file when it is done. Needs `contacts:read`.
    #[oai(path = "/contact-exports/:id", method = "delete", operation_id = "removeContactExport")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<ExportId>>,
    ) -> Answer<ExportView> {
        Ok(Json(self.0.exports().remove::<ContactsExport>(&may.grant, id.0.0).await?.into()))
    }

    /// Export everything that is known of a contact
    ///
    /// For somebody who asks what is stored: a JSON file with identities, names, variables, groups,
    /// tags, preferences and messages. A job writes it; it is kept for 7 days. Needs
    /// `messages:read`.
    #[oai(path = "/contacts/:id/export", method = "post", operation_id = "exportContact")]
    async fn contact(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<ContactId>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
    ) -> Result<Accepted<ExportView>, Problem> {
        let contact = id.0.0;
        // There is no body: what is asked for is the contact.
        let hash = Sha256::digest(contact.uuid().as_bytes()).into();
        let once = key.once(may.principal.actor(), may.scope(), "exportContact", hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let export = self.0.personal_data().start(&may.grant, contact, once.as_ref()).await?;
        Ok(Accepted::new(export.into(), replayed))
    }

    /// Get an export of everything that is known of a contact
    ///
    /// Needs `messages:read`.
    #[oai(path = "/personal-data/:id", method = "get", operation_id = "getPersonalData")]
    async fn personal(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<ExportId>>,
    ) -> Answer<ExportView> {
        Ok(Json(self.0.exports().get::<PersonalData>(&may.grant, id.0.0).await?.into()))
    }

    /// Download everything that is known of a contact
    ///
    /// Needs `messages:read`.
    #[oai(path = "/personal-data/:id/file", method = "get", operation_id = "downloadPersonalData")]
    async fn personal_file(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<ExportId>>,
    ) -> Result<FileAnswer, Problem> {
        let file = self.0.exports().open::<PersonalData>(&may.grant, id.0.0).await?;
        Ok(FileAnswer::of(file))
    }
}
