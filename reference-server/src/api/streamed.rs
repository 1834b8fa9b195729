//! Answers that are not one JSON document: a thing as it changes, and pictures.

use bytes::Bytes;
use poem::http::{HeaderValue, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload as _};
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::{ToJSON, Type};

use super::live::CONTENT_TYPE;

/// A thing as it is now, or as it changes.
pub enum Streamed<T> {
    /// Now.
    Once(Json<T>),
    /// As it changes.
    Live(Response),
}

impl<T: ToJSON + Send> IntoResponse for Streamed<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Once(thing) => thing.into_response(),
            Self::Live(response) => response,
        }
    }
}

impl<T: ToJSON + Type> ApiResponse for Streamed<T> {
    fn meta() -> MetaResponses {
        let content = vec![
            MetaMediaType { content_type: Json::<T>::CONTENT_TYPE, schema: T::schema_ref() },
            MetaMediaType {
                content_type: CONTENT_TYPE,
                schema: MetaSchemaRef::Inline(Box::new(MetaSchema {
                    description: Some("Server-sent events; `data` is the JSON answer."),
                    ..MetaSchema::new("string")
                })),
            },
        ];
        responses("As it is now, or as it changes.", content)
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A picture of something secret: nobody on the way keeps it.
pub struct Picture<const PNG: bool> {
    bytes: Bytes,
}

/// A picture as SVG.
pub type Svg = Picture<false>;
/// A picture as PNG.
pub type Png = Picture<true>;

impl<const PNG: bool> Picture<PNG> {
    const TYPE: &str = if PNG { "image/png" } else { "image/svg+xml" };

    /// A picture of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into() }
    }
}

impl<const PNG: bool> IntoResponse for Picture<PNG> {
    fn into_response(self) -> Response {
        let mut response = Response::builder().body(self.bytes);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Self::TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl<const PNG: bool> ApiResponse for Picture<PNG> {
    fn meta() -> MetaResponses {
        let schema = MetaSchema { format: Some("binary"), ..MetaSchema::new("string") };
        let schema = MetaSchemaRef::Inline(Box::new(schema));
        responses("The picture.", vec![MetaMediaType { content_type: Self::TYPE, schema }])
    }

    fn register(_: &mut Registry) {}
}

fn responses(description: &'static str, content: Vec<MetaMediaType>) -> MetaResponses {
    MetaResponses {
        responses: vec![MetaResponse {
            description,
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        }],
    }
}
