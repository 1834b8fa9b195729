//! The whole face as one endpoint.

use std::sync::Arc;

use kabar::Platform;
use kabar::core::{IdSource, SystemIds};
use poem::http::{HeaderValue, StatusCode, header};
use poem::web::Html;
use poem::{Endpoint, EndpointExt as _, IntoResponse as _, Request, Response, Route, get};
use tracing::Instrument as _;

use crate::allow::Methods;
use crate::api;
use crate::api::document;
use crate::problem::Problem;
use crate::{health, webhooks};

/// The header with the request's id, which every answer has.
pub(crate) const REQUEST_ID: &str = "X-Request-Id";

/// What the documentation page may do: show itself. Everything it needs is inside it.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; img-src data:; font-src data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What an answer of the API may do in a browser: nothing.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// How the face is set up.
#[derive(Debug, Clone, Copy)]
pub struct AppSettings {
    /// Whether `/api/docs` is there.
    pub docs: bool,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self { docs: true }
    }
}

/// The API's OpenAPI document as indented JSON, always the same for the same code.
pub fn openapi_document() -> String {
    document::pretty()
}

/// The face of a platform. Serve it with any listener of poem, or call it in tests.
pub fn app(
    platform: Platform,
    settings: AppSettings,
) -> impl Endpoint<Output = Response> + 'static {
    let mut route = Route::new()
        .nest("/api/v1", api::service(&platform))
        .at("/api/v1/openapi.json", get(poem::endpoint::make_sync(|_| openapi())))
        .at("/webhooks/cloud-api/:app", webhooks::endpoint())
        .at("/healthz", get(health::healthz))
        .at("/readyz", get(health::readyz));
    if settings.docs {
        let page = document::page();
        let show = poem::endpoint::make_sync(move |_| docs(page.clone()));
        route = route.at("/api/docs", get(show));
    }
    let around = Arc::new(Around { ids: SystemIds::default(), methods: Methods::new() });
    route
        .data(platform)
        .catch_all_error(async |error| Problem::from_http(&error).into_response())
        .around(move |endpoint, request| {
            let around = Arc::clone(&around);
            async move { Ok(around.answer(&*endpoint, request).await) }
        })
}

fn openapi() -> Response {
    Response::builder().content_type("application/json").body(document::pretty())
}

fn docs(page: String) -> Response {
    let mut response = Html(page).into_response();
    let policy = HeaderValue::from_static(DOCS_POLICY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// What every request gets.
struct Around {
    ids: SystemIds,
    methods: Methods,
}

impl Around {
    /// Gives the request an id, a span without personal data (a query may hold a phone number), and
    /// its answer the headers that every answer has.
    async fn answer<E>(&self, endpoint: &E, request: Request) -> Response
    where
        E: Endpoint<Output = Response>,
    {
        let id = self.ids.next().simple().to_string();
        let path = request.uri().path().to_owned();
        let span = tracing::info_span!(
            "http.request",
            request.id = %id,
            method = %request.method(),
            path,
        );
        let answered = async {
            let response = endpoint.get_response(request).await;
            tracing::debug!(status = response.status().as_u16(), "http.answered");
            response
        };
        let mut response = answered.instrument(span).await;
        secure(&mut response, &id);
        if response.status() == StatusCode::METHOD_NOT_ALLOWED
            && let Some(methods) = self.methods.of(&path)
        {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        response
    }
}

fn secure(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, API_POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
