//! Media: upload, look-up, download, deletion.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use crate::directory::Access;
use crate::graph_error::GraphError;
use crate::media::{MediaFlaw, StoredMedia, check_upload, supported_types, uploaded};
use crate::world::World;

#[derive(Default)]
struct Form {
    product: bool,
    kind: Option<String>,
    file: Option<(Bytes, Option<String>)>,
}

pub(super) async fn upload(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Path(id): Path<String>,
    form: Multipart,
) -> Result<Json<Value>, GraphError> {
    if world.directory().number(&access, &id).is_none() {
        return Err(GraphError::no_object("post", &id));
    }
    let form = read(form).await?;
    if !form.product {
        return Err(GraphError::parameter("The parameter messaging_product is required."));
    }
    let Some((data, file_type)) = form.file else {
        return Err(GraphError::parameter("The parameter file is required."));
    };
    // The file's own type says what it is; `type` stands in where it says nothing.
    let mime_type = file_type
        .filter(|it| it != "application/octet-stream")
        .or(form.kind)
        .ok_or_else(|| GraphError::parameter("The parameter type is required."))?;
    check_upload(&mime_type, data.len()).map_err(|flaw| refused(flaw, &mime_type))?;
    let file = uploaded(&id, &mime_type, data, world.clock.now_ms());
    let media_id = world.media().put(file, &world.dice);
    Ok(Json(json!({"id": media_id})))
}

async fn read(mut parts: Multipart) -> Result<Form, GraphError> {
    let broken = |_| GraphError::parameter("Invalid parameter: the form cannot be read.");
    let mut form = Form::default();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        match part.name().unwrap_or_default() {
            "messaging_product" => {
                form.product = part.text().await.map_err(broken)? == "whatsapp";
            }
            "type" => form.kind = Some(part.text().await.map_err(broken)?),
            "file" => {
                let kind = part.content_type().map(ToOwned::to_owned);
                form.file = Some((part.bytes().await.map_err(broken)?, kind));
            }
            _ => {}
        }
    }
    Ok(form)
}

fn refused(flaw: MediaFlaw, mime_type: &str) -> GraphError {
    match flaw {
        MediaFlaw::Type => GraphError::parameter(format!(
            "Param file must be a file with one of the following types: {}. Received file of type \
             '{mime_type}'.",
            supported_types()
        )),
        MediaFlaw::Size(limit) => GraphError::detailed(
            131_053,
            format!("The file must not be empty nor larger than {limit} bytes for {mime_type}"),
        ),
    }
}

/// A file, if the caller's account owns it.
pub(super) fn find(world: &World, access: &Access, id: &str) -> Option<StoredMedia> {
    let file = world.media().get(id, world.clock.now_ms())?;
    let own = world.directory().number(access, &file.phone_number_id).is_some();
    own.then_some(file)
}

/// The answer of `GET /MEDIA_ID`.
pub(super) fn view(world: &World, id: &str, file: &StoredMedia) -> Value {
    json!({
        "messaging_product": "whatsapp",
        "url": world.media_url(id),
        "mime_type": file.mime_type,
        "sha256": file.sha256_hex(),
        "file_size": file.data.len(),
        "id": id,
    })
}

/// The query of a download address.
#[derive(Debug, Deserialize)]
pub(super) struct Ticket {
    mid: String,
    ext: u64,
}

pub(super) async fn download(
    State(world): State<Arc<World>>,
    Caller(access): Caller,
    Query(ticket): Query<Ticket>,
) -> Result<Response<Body>, GraphError> {
    let gone = || GraphError::no_object("get", &ticket.mid).with_status(404);
    if ticket.ext < world.clock.now_ms() {
        return Err(gone());
    }
    let file = find(&world, &access, &ticket.mid).ok_or_else(gone)?;
    Response::builder()
        .status(StatusCode::OK)
        .header(CONTENT_TYPE, file.mime_type)
        .header(CONTENT_LENGTH, file.data.len())
        .body(Body::from(file.data))
        .map_err(|_| GraphError::of(131_000))
}
