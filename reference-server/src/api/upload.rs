//! A file that is sent as `multipart/form-data`.

use bytes::Bytes;
use kabar::channel::ports::MediaFile;
use kabar::messaging::media::LARGEST;
use poem::web::Multipart;
use poem::{Body, FromRequest, Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use sha2::{Digest as _, Sha256};

use super::body;
use crate::problem::Problem;

const MULTIPART: &str = "multipart/form-data";
/// What the form adds around the file, at most.
const AROUND: usize = 64 * 1024;

/// A file, and the SHA-256 of its type, name and bytes: a retried form has another boundary, so the
/// body itself is not the same.
#[derive(Debug)]
pub struct Upload {
    /// The file.
    pub file: MediaFile,
    /// The hash.
    pub hash: [u8; 32],
}

impl Upload {
    fn of(file: MediaFile) -> Self {
        let mut hash = Sha256::new();
        let name = file.filename.as_deref().unwrap_or_default();
        for part in [file.mime.as_bytes(), name.as_bytes(), &file.bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hash = hash.finalize().into();
        Self { file, hash }
    }
}

impl<'a> ApiExtractor<'a> for Upload {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let file = MetaSchema {
            description: Some("The file, with its name and media type; at most 100 MiB."),
            ..MetaSchema::new_with_format("string", "binary")
        };
        let form = MetaSchema {
            required: vec!["file"],
            properties: vec![("file", MetaSchemaRef::Inline(Box::new(file)))],
            ..MetaSchema::new("object")
        };
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: MULTIPART,
                schema: MetaSchemaRef::Inline(Box::new(form)),
            }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let kind = request.content_type().and_then(|text| text.parse::<mime::Mime>().ok());
        if kind.is_none_or(|kind| kind.essence_str() != MULTIPART) {
            return Err(Problem::wrong_type(MULTIPART).into());
        }
        let bytes = body::bytes(request, body.take()?, LARGEST + AROUND).await?;
        let mut whole = RequestBody::new(Body::from_bytes(bytes));
        let form = <Multipart as FromRequest>::from_request(request, &mut whole).await;
        let form = form.map_err(|error| Problem::bad_request(format!("no form: {error}")))?;
        Ok(Self::of(only_file(form).await?))
    }
}

/// The form's one field.
async fn only_file(mut form: Multipart) -> Result<MediaFile, Problem> {
    let mut found = None;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "file" {
            let name = if name.is_empty() { "body".to_owned() } else { name };
            return Err(Problem::unreadable(name, "is unknown; the form has one field, `file`"));
        }
        if found.is_some() {
            return Err(Problem::unreadable("file", "must be there once"));
        }
        let filename = field.file_name().map(str::to_owned);
        let mime = field.content_type().map(str::to_owned);
        let bytes = Bytes::from(field.bytes().await.map_err(broken)?);
        found = Some(MediaFile {
            mime: mime.unwrap_or_else(|| guessed(filename.as_deref())),
            filename,
            bytes,
        });
    }
    found.ok_or_else(|| Problem::unreadable("file", "is missing from the form"))
}

fn broken(error: impl std::fmt::Display) -> Problem {
    Problem::bad_request(format!("the form cannot be read: {error}"))
}

/// The media type by the name's ending.
fn guessed(filename: Option<&str>) -> String {
    let name = filename.unwrap_or_default();
    mime_guess::from_path(name).first_or_octet_stream().essence_str().to_owned()
}
