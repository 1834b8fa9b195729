//! Files: what tenants upload to send, and what people sent.

use std::fmt::Write as _;

use kabar::Platform;
use kabar::core::permission::{ReadMessages, SendMessages};
use kabar::core::{Cursor, DeviceId, MediaId, Timestamp};
use kabar::messaging::MediaRecord;
use poem::http::{HeaderValue, header};
use poem::{IntoResponse, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaResponse, MetaResponses, Registry};
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::Area;
use super::answer::{Answer, Created, Listed, NoContent, page};
use super::exports::any_file;
use super::upload::Upload;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// A stored file, without its bytes.
#[derive(Debug, Object)]
#[oai(rename = "Media")]
pub struct MediaView {
    /// Its id.
    pub id: Word<MediaId>,
    /// The device that it came in on; null for an uploaded file.
    pub device_id: Option<Word<DeviceId>>,
    /// The media type.
    pub mime: String,
    /// Its name.
    pub filename: Option<String>,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes, in hexadecimal digits.
    pub sha256: String,
    /// When it was stored.
    pub created_at: Timestamp,
}

impl From<MediaRecord> for MediaView {
    fn from(record: MediaRecord) -> Self {
        Self {
            id: Word(record.id),
            device_id: record.device.map(Word),
            mime: record.mime,
            filename: record.filename,
            size: record.size,
            sha256: hexadecimal(&record.sha256),
            created_at: record.created_at,
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of a file. They come from strangers, so a browser is told to save, not to show them.
#[derive(Debug)]
pub struct FileBytes {
    record: MediaRecord,
    bytes: bytes::Bytes,
}

impl IntoResponse for FileBytes {
    fn into_response(self) -> Response {
        let mut response = Response::builder().body(self.bytes);
        let headers = response.headers_mut();
        let kind = HeaderValue::from_str(&self.record.mime);
        let unknown = HeaderValue::from_static("application/octet-stream");
        headers.insert(header::CONTENT_TYPE, kind.unwrap_or(unknown));
        headers.insert(header::CONTENT_DISPOSITION, disposition(&self.record));
        response
    }
}

/// `attachment` with the file's name in both forms of RFC 6266.
fn disposition(record: &MediaRecord) -> HeaderValue {
    let name = record.filename.clone().unwrap_or_else(|| record.id.to_string());
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

impl ApiResponse for FileBytes {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The bytes, with the file's own media type.",
                status: Some(200),
                status_range: None,
                content: any_file(),
                headers: Vec::new(),
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// The operations.
pub struct MediaApi(pub Platform);

#[OpenApi(tag = "Area::Media")]
impl MediaApi {
    /// Upload a file
    ///
    /// To be sent later by its id. For `Idempotency-Key` the same file under the same name is the
    /// same body. Needs `messages:send`.
    #[oai(path = "/media", method = "post", operation_id = "uploadMedia")]
    async fn upload(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        upload: Upload,
    ) -> Result<Created<MediaView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "uploadMedia", upload.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let record = self.0.media().upload(&may.grant, upload.file, once.as_ref()).await?;
        Ok(Created::new(record.into(), replayed))
    }

    /// List files
    ///
    /// Needs `messages:read`.
    #[oai(path = "/media", method = "get", operation_id = "listMedia")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<MediaView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.media().list(&may.grant, page).await?))
    }

    /// Get what is known of a file
    ///
    /// Needs `messages:read`.
    #[oai(path = "/media/:id", method = "get", operation_id = "getMedia")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<MediaId>>,
    ) -> Answer<MediaView> {
        let record = self.0.media().get(&may.grant, id.0.0).await?;
        Ok(Json(record.into()))
    }

    /// Download a file
    ///
    /// Needs `messages:read`.
    #[oai(path = "/media/:id/content", method = "get", operation_id = "downloadMedia")]
    async fn content(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<MediaId>>,
    ) -> Result<FileBytes, Problem> {
        let (record, bytes) = self.0.media().open(&may.grant, id.0.0).await?;
        Ok(FileBytes { record, bytes })
    }

    /// Remove a file
    ///
    /// Messages that wait with it fail. Needs `messages:send`.
    #[oai(path = "/media/:id", method = "delete", operation_id = "removeMedia")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        id: Path<Word<MediaId>>,
    ) -> Result<NoContent, Problem> {
        self.0.media().remove(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }
}
