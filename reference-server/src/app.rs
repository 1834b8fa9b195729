//! The whole face as one endpoint.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use kabar::Platform;
use kabar::core::{IdSource, SystemIds};
use poem::http::{HeaderValue, StatusCode, header};
use poem::middleware::{CatchPanic, PanicHandler};
use poem::{Endpoint, EndpointExt as _, IntoResponse as _, Request, Response, Route, get};
use tracing::Instrument as _;

use crate::allow::Methods;
use crate::api;
use crate::api::document;
use crate::client::ClientAddress;
use crate::client::Proxies;
use crate::cors::Cors;
use crate::limits::{LimitSettings, Limits};
use crate::metrics::{self, Metrics, MetricsAccess};
use crate::problem::Problem;
use crate::trace;
use crate::{health, webhooks};

/// The header with the request's id, which every answer has.
pub(crate) const REQUEST_ID: &str = "X-Request-Id";

/// What the documentation page may do: show itself. Everything it needs is inside it.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; img-src data:; font-src data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What an answer of the API may do in a browser: nothing.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Operations that ask for no credential because they give one.
const UNPROVEN: &[&str] = &["/api/v1/auth/"];

/// How the face is set up.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Whether `/api/docs` is there.
    pub docs: bool,
    /// Whose word about a client's address counts.
    pub proxies: Proxies,
    /// How much one party may ask for.
    pub limits: LimitSettings,
    /// Which pages of other origins may call.
    pub cors: Cors,
    /// Who may read `/metrics`.
    pub metrics: MetricsAccess,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self {
            docs: true,
            proxies: Proxies::default(),
            limits: LimitSettings::NONE,
            cors: Cors::default(),
            metrics: MetricsAccess::default(),
        }
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
        .at("/readyz", get(health::readyz))
        .at("/metrics", get(metrics::show));
    if settings.docs {
        route = route.at("/api/docs", get(poem::endpoint::make_sync(|_| docs())));
    }
    let limits = Arc::new(Limits::new(&settings.limits));
    let around = Arc::new(Around {
        ids: SystemIds::default(),
        methods: Methods::default(),
        proxies: settings.proxies,
        limits: Arc::clone(&limits),
        cors: settings.cors,
    });
    route
        .data(platform)
        .data(limits)
        .data(Arc::new(Metrics::new(settings.metrics)))
        .catch_all_error(async |error| problem(&error))
        // A fault of ours is answered like any other; it must not end the connection.
        .with(CatchPanic::new().with_handler(Panicked))
        .around(move |endpoint, request| {
            let around = Arc::clone(&around);
            async move { Ok(around.answer(&*endpoint, request).await) }
        })
}

/// `/metrics` alone, for a listener of its own.
pub fn metrics_app(
    platform: Platform,
    access: MetricsAccess,
) -> impl Endpoint<Output = Response> + 'static {
    Route::new()
        .at("/metrics", get(metrics::show))
        .data(platform)
        .data(Arc::new(Metrics::new(access)))
        .catch_all_error(async |error| Problem::from_http(&error).into_response())
}

/// The answer when the code itself failed; what happened is in the log, by the panic's hook.
#[derive(Clone)]
struct Panicked;

impl PanicHandler for Panicked {
    type Response = Response;

    fn get_response(&self, _: Box<dyn Any + Send + 'static>) -> Response {
        Problem::internal(&std::io::Error::other("the request ended in a panic")).into_response()
    }
}

/// An error as an answer, which still knows its operation.
fn problem(error: &poem::Error) -> Response {
    let mut response = Problem::from_http(error).into_response();
    if let Some(operation) = error.data::<poem_openapi::OperationId>() {
        response.set_data(*operation);
    }
    response
}

fn openapi() -> Response {
    Response::builder().content_type("application/json").body(document::bytes())
}

fn docs() -> Response {
    let content_type = "text/html; charset=utf-8";
    let mut response = Response::builder().content_type(content_type).body(document::page());
    let policy = HeaderValue::from_static(DOCS_POLICY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// What every request gets.
struct Around {
    ids: SystemIds,
    methods: Methods,
    proxies: Proxies,
    limits: Arc<Limits>,
    cors: Cors,
}

impl Around {
    /// Gives the request an id, a span without personal data (a query may hold a phone number), and
    /// its answer the headers that every answer has.
    async fn answer<E>(&self, endpoint: &E, mut request: Request) -> Response
    where
        E: Endpoint<Output = Response>,
    {
        let id = self.ids.next().simple().to_string();
        let client = self.proxies.client(&request);
        request.set_data(client);
        let path = request.uri().path().to_owned();
        let span = tracing::info_span!(
            "http.request",
            request.id = %id,
            method = %request.method(),
            path,
        );
        trace::follow(&span, request.headers());
        let (began, allowed) = (Instant::now(), self.cors.of(&request));
        let answered = async {
            let response = match self.refused(&request, &path) {
                Some(response) => response,
                None => endpoint.get_response(request).await,
            };
            tracing::debug!(status = response.status().as_u16(), "http.answered");
            response
        };
        let mut response = answered.instrument(span).await;
        let operation = operation(&response, &path);
        metrics::answered(operation, response.status().as_u16(), began.elapsed());
        allowed.put(&mut response);
        secure(&mut response, &id);
        if response.status() == StatusCode::METHOD_NOT_ALLOWED
            && let Some(methods) = self.methods.of(&path)
        {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        response
    }
}

impl Around {
    /// The answer to what needs no endpoint: a browser that asks first, an address that asks too often.
    fn refused(&self, request: &Request, path: &str) -> Option<Response> {
        if !path.starts_with("/api/") {
            return None;
        }
        if let Some(response) = self.cors.preflight(request) {
            return Some(response);
        }
        let address = ClientAddress::of(request).0;
        let mut taken = self.limits.address(address);
        if taken.is_ok() && UNPROVEN.iter().any(|start| path.starts_with(start)) {
            taken = self.limits.unproven(address);
        }
        taken.err().map(Problem::into_response)
    }
}

/// The word for what was asked for; never a path, which anybody can make up.
fn operation(response: &Response, path: &str) -> &'static str {
    if let Some(id) = response.data::<poem_openapi::OperationId>() {
        return id.0;
    }
    match path {
        "/healthz" => "healthz",
        "/readyz" => "readyz",
        "/metrics" => "metrics",
        path if path.starts_with("/webhooks/") => "webhooks",
        path if path.starts_with("/api/") => "api",
        _ => "other",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_as_a_problem() {
        let fails = poem::endpoint::make_sync(|_| -> Response { panic!("on purpose") });
        let face = Route::new().at("/", get(fails)).with(CatchPanic::new().with_handler(Panicked));
        let response = face.get_response(Request::default()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.content_type(), Some(crate::problem::CONTENT_TYPE));
    }
}
