//! A file of contacts with the options of its import, as `multipart/form-data`.

use bytes::Bytes;
use kabar::contacts::import::file::LARGEST;
use poem::web::Multipart;
use poem::{Body, FromRequest, Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use sha2::{Digest as _, Sha256};

use super::body;
use super::imports::ImportOptionsBody;
use crate::problem::Problem;

const MULTIPART: &str = "multipart/form-data";
/// What the form adds around the file, at most.
const AROUND: usize = 256 * 1024;

/// A file of contacts, its options, and a hash of both.
#[derive(Debug)]
pub struct ImportUpload {
    /// The file's bytes.
    pub bytes: Bytes,
    /// The file's name.
    pub filename: Option<String>,
    /// What is wanted.
    pub options: ImportOptionsBody,
    /// SHA-256 of name, options and bytes: a retried form has another boundary.
    pub hash: [u8; 32],
}

impl<'a> ApiExtractor<'a> for ImportUpload {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        ImportOptionsBody::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let file = MetaSchema {
            description: Some("The file, CSV or XLSX; at most 32 MiB."),
            ..MetaSchema::new_with_format("string", "binary")
        };
        let form = MetaSchema {
            required: vec!["file"],
            properties: vec![
                ("file", MetaSchemaRef::Inline(Box::new(file))),
                ("options", ImportOptionsBody::schema_ref()),
            ],
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
        Ok(read(form).await?)
    }
}

fn broken(error: impl std::fmt::Display) -> Problem {
    Problem::bad_request(format!("the form cannot be read: {error}"))
}

async fn read(mut form: Multipart) -> Result<ImportUpload, Problem> {
    let mut file: Option<(Option<String>, Bytes)> = None;
    let mut options = None;
    let mut hash = Sha256::new();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        let filename = field.file_name().map(str::to_owned);
        let bytes = Bytes::from(field.bytes().await.map_err(broken)?);
        for part in [name.as_bytes(), filename.as_deref().unwrap_or_default().as_bytes(), &bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        match name.as_str() {
            "file" if file.is_none() => file = Some((filename, bytes)),
            "options" if options.is_none() => options = Some(read_options(&bytes)?),
            "file" | "options" => return Err(Problem::unreadable(name, "must be there once")),
            _ => {
                let name = if name.is_empty() { "body".to_owned() } else { name };
                let problem = "is unknown; the form has the fields `file` and `options`";
                return Err(Problem::unreadable(name, problem));
            }
        }
    }
    let missing = || Problem::unreadable("file", "is missing from the form");
    let (filename, bytes) = file.ok_or_else(missing)?;
    Ok(ImportUpload {
        bytes,
        filename: filename.map(|name| clean(&name)),
        options: options.unwrap_or_default(),
        hash: hash.finalize().into(),
    })
}

/// A name that can be shown: without control characters, not too long.
fn clean(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn read_options(bytes: &[u8]) -> Result<ImportOptionsBody, Problem> {
    let document = serde_json::from_slice(bytes)
        .map_err(|error| Problem::unreadable("options", format!("is no JSON: {error}")))?;
    body::from_value(document).map_err(|(field, problem)| {
        let field = if field == "body" { "options".to_owned() } else { format!("options.{field}") };
        Problem::unreadable(field, problem)
    })
}
