//! The shapes of answers: pages, things that were made, nothing.

use std::marker::PhantomData;

use kabar::core::{Cursor, Page, PageRequest};
use poem::http::{HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use poem_openapi::payload::{Json, Payload as _};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use super::words::Word;
use crate::idempotency::REPLAYED;
use crate::problem::Problem;

/// What an operation answers.
pub type Answer<T> = Result<Json<T>, Problem>;

/// One page of a list, newest first.
#[derive(Debug, Object)]
#[oai(rename = "Page")]
pub struct Listed<T: ParseFromJSON + ToJSON> {
    /// The rows.
    pub items: Vec<T>,
    /// What to send as `after` for the next page; null on the last one.
    pub next: Option<Word<Cursor>>,
}

impl<T: ParseFromJSON + ToJSON> Listed<T> {
    /// A page of what the domain listed.
    pub fn of<D>(page: Page<D>) -> Json<Self>
    where
        T: From<D>,
    {
        Json(Self {
            items: page.items.into_iter().map(T::from).collect(),
            next: page.next.map(Word),
        })
    }
}

/// Which page is wanted. The limit was checked by the parameter's own bounds.
pub fn page(limit: Option<u16>, after: Option<Word<Cursor>>) -> PageRequest {
    PageRequest::new(limit, after.map(|cursor| cursor.0))
}

/// Something that was made, with its status.
#[derive(Debug)]
pub struct Made<T, const STATUS: u16> {
    body: Vec<u8>,
    replayed: bool,
    shown: PhantomData<fn() -> T>,
}

/// Made and there: 201.
pub type Created<T> = Made<T, 201>;
/// Taken, to be carried out: 202.
pub type Accepted<T> = Made<T, 202>;

impl<T: ToJSON, const STATUS: u16> Made<T, STATUS> {
    /// What was made, now or by an earlier request with the same key.
    pub fn new(body: T, replayed: bool) -> Self {
        Self::of(&body.to_json(), replayed)
    }

    /// The same, written without a tree of values in between: for what is asked for most. Says what
    /// [`new`](Self::new) would.
    pub fn written(body: &T, replayed: bool) -> Self
    where
        T: Serialize,
    {
        Self::of(body, replayed)
    }

    fn of(body: &impl Serialize, replayed: bool) -> Self {
        // Only a map with keys that are no text, or an own `Serialize` that fails, could fail.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { body, replayed, shown: PhantomData }
    }
}

impl<T: ToJSON, const STATUS: u16> IntoResponse for Made<T, STATUS> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK);
        let mut response = Response::builder()
            .status(status)
            .content_type(Json::<T>::CONTENT_TYPE)
            .body(self.body);
        if self.replayed {
            let told = HeaderValue::from_static("true");
            response.headers_mut().insert(REPLAYED, told);
        }
        response
    }
}

impl<T: ToJSON, const STATUS: u16> ApiResponse for Made<T, STATUS> {
    fn meta() -> MetaResponses {
        let description = match STATUS {
            202 => "It was taken and will be carried out.",
            _ => "It was made.",
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description,
                status: Some(STATUS),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Json::<T>::CONTENT_TYPE,
                    schema: T::schema_ref(),
                }],
                headers: vec![MetaHeader {
                    name: REPLAYED.to_owned(),
                    description: Some(
                        "`true` when an earlier request with the same key made it.".to_owned(),
                    ),
                    required: false,
                    deprecated: false,
                    schema: bool::schema_ref(),
                }],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// Done, and nothing to say: 204.
#[derive(Debug)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "It was done.",
                status: Some(204),
                status_range: None,
                content: Vec::new(),
                headers: Vec::new(),
            }],
        }
    }

    fn register(_: &mut Registry) {}
}
