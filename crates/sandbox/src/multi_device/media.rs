//! The media servers: uploads are kept as they come (encrypted), downloads answer by path.
//!
//! Both clients put `https://` before the host they are told. whatsapp-rust takes an HTTP client of
//! one's own, which rewrites that to the plain [`super::MultiDevice::media_url`]; Baileys needs a
//! TLS proxy in front of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

/// Where uploads land; looks like the paths of WhatsApp's media servers.
const FOLDER: &str = "/v/sandbox";

/// Largest upload, in bytes: WhatsApp's documents end at 2 GB, tests far earlier.
const MAX_UPLOAD: usize = 128 * 1024 * 1024;

/// Uploaded files by path, in memory.
#[derive(Debug, Default)]
pub(crate) struct MediaStore {
    files: Mutex<HashMap<String, Bytes>>,
    /// `host:port` that clients are told.
    host: Mutex<String>,
}

impl MediaStore {
    pub(crate) fn set_host(&self, host: String) {
        *self.host.lock().unwrap_or_else(PoisonError::into_inner) = host;
    }

    pub(crate) fn host(&self) -> String {
        self.host.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a file and answers its path. Names are base64 of some kind: what a path cannot hold is
    /// replaced.
    pub(crate) fn put(&self, name: &str, file: Bytes) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let path = format!("{FOLDER}/{}", name.chars().map(safe).collect::<String>());
        self.files().insert(path.clone(), file);
        path
    }

    pub(crate) fn get(&self, path: &str) -> Option<Bytes> {
        self.files().get(path).cloned()
    }

    /// The address that clients are given for a path.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("https://{}{path}", self.host())
    }

    fn files(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Upload and download.
pub(crate) fn routes(store: Arc<MediaStore>) -> Router {
    Router::new()
        .route("/mms/{kind}/{token}", post(upload))
        .route("/v/sandbox/{name}", get(download))
        .layer(DefaultBodyLimit::max(MAX_UPLOAD))
        .with_state(store)
}

#[derive(Deserialize)]
struct UploadQuery {
    /// `1`: the client asks how much of an interrupted upload is here.
    resume: Option<String>,
}

async fn upload(
    State(store): State<Arc<MediaStore>>,
    Path((_kind, token)): Path<(String, String)>,
    Query(query): Query<UploadQuery>,
    body: Bytes,
) -> Response {
    if query.resume.as_deref() == Some("1") {
        return axum::Json(json!({"resume": "0"})).into_response();
    }
    let path = store.put(&token, body);
    axum::Json(json!({"url": store.address(&path), "direct_path": path})).into_response()
}

async fn download(State(store): State<Arc<MediaStore>>, Path(name): Path<String>) -> Response {
    match store.get(&format!("{FOLDER}/{name}")) {
        Some(file) => ([(header::CONTENT_TYPE, "application/octet-stream")], file).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
