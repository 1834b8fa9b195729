//! What a caller is told when something is wrong: `application/problem+json` (RFC 9457).
//!
//! Every error of every domain becomes a [`Problem`] in `problem/map.rs` and nowhere else. A problem names the
//! field and the remedy; what went wrong inside is logged with the request's id and never told.

mod map;

use std::fmt;

use kabar::channel::FieldError;
use poem::error::ResponseError;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{ToJSON as _, Type};
use poem_openapi::{ApiResponse, Object};

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";
/// Seconds after which a caller may try again when storage is away.
const RETRY_AFTER: &str = "1";

/// A field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "FieldProblem")]
pub struct FieldProblem {
    /// The field, like `messages[2].content.buttons[0].title`, or the parameter or header.
    pub field: String,
    /// What is wrong with it and how to mend it.
    pub problem: String,
}

impl From<FieldError> for FieldProblem {
    fn from(error: FieldError) -> Self {
        Self { field: error.field, problem: error.problem }
    }
}

/// What is wrong, in the shape of RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "Problem")]
pub struct ProblemBody {
    /// A name for the kind of problem, `urn:kabar:problem:` and the code.
    #[oai(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and the remedy.
    pub detail: String,
    /// The kind for programs, like `not_found`.
    pub code: String,
    /// The fields that are wrong; empty when it is none in particular.
    pub errors: Vec<FieldProblem>,
}

/// The kinds of problem: code, status, title.
macro_rules! kinds {
    ($($name:ident = $code:literal, $status:ident, $title:literal;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Kind { $($name,)+ }

        impl Kind {
            const ALL: &'static [Self] = &[$(Self::$name,)+];

            const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

kinds! {
    BadRequest = "bad_request", BAD_REQUEST, "The request cannot be read";
    Unauthorized = "unauthorized", UNAUTHORIZED, "A working credential is needed";
    WrongLogin = "invalid_credentials", UNAUTHORIZED, "The login does not work";
    CodeRequired = "totp_required", UNAUTHORIZED, "A one-time code is needed";
    TokenUsed = "invalid_token", UNAUTHORIZED, "The token does not work";
    Elsewhere = "address_not_allowed", FORBIDDEN, "The credential does not work from this address";
    Forbidden = "forbidden", FORBIDDEN, "The credential may not do this";
    NotFound = "not_found", NOT_FOUND, "There is no such thing here";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method does not fit the address";
    Conflict = "conflict", CONFLICT, "It does not fit what is there";
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has the wrong type";
    Invalid = "invalid", UNPROCESSABLE_ENTITY, "The values cannot be taken";
    Refused = "refused_by_network", UNPROCESSABLE_ENTITY, "The network refused it";
    KeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The idempotency key belongs to another request";
    InFlight = "in_flight", CONFLICT, "The same request is being carried out";
    TooMany = "rate_limited", TOO_MANY_REQUESTS, "There were too many requests";
    TooSlow = "too_slow", REQUEST_TIMEOUT, "The body came too slowly";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something is wrong on our side";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "It can be tried again";
}

/// A problem on its way to the caller.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldProblem>,
    limit: Option<Limit>,
}

/// The bucket that is empty.
#[derive(Debug, Clone, Copy)]
struct Limit {
    name: &'static str,
    burst: u32,
    /// Seconds until there is something in it.
    wait: u64,
}

impl Problem {
    fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), limit: None }
    }

    fn field(kind: Kind, field: impl Into<String>, problem: impl Into<String>) -> Self {
        let (field, problem) = (field.into(), problem.into());
        let mut this = Self::new(kind, format!("`{field}`: {problem}"));
        this.errors.push(FieldProblem { field, problem });
        this
    }

    /// A field, parameter or header that cannot be read.
    pub fn unreadable(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::field(Kind::BadRequest, field, problem)
    }

    /// A request that cannot be read at all.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, detail)
    }

    /// A field whose value cannot be taken.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::field(Kind::Invalid, field, problem)
    }

    /// No credential, or one that does not work.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unauthorized, detail)
    }

    /// A caller that may not do it.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, detail)
    }

    /// Nothing there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    /// A field that names nothing that is there.
    pub fn missing(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::field(Kind::NotFound, field, problem)
    }

    /// Something that does not fit what is there.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// A body over its limit.
    pub fn too_large(most: usize) -> Self {
        let most = most / 1024 / 1024;
        Self::new(Kind::TooLarge, format!("a body has at most {most} MiB here"))
    }

    /// More than a bucket holds: the next request fits in it after `wait`.
    pub fn too_many(name: &'static str, burst: u32, wait: std::time::Duration) -> Self {
        let wait = wait.as_secs().saturating_add(1);
        let detail = format!("too many requests of this {name}; try again in {wait} s");
        Self { limit: Some(Limit { name, burst, wait }), ..Self::new(Kind::TooMany, detail) }
    }

    /// A body that came too slowly.
    pub fn too_slow() -> Self {
        Self::new(Kind::TooSlow, "the body did not arrive in time; send it faster, or less at once")
    }

    /// A body of another media type.
    pub fn wrong_type(wanted: &str) -> Self {
        Self::new(Kind::UnsupportedMediaType, format!("send the body as `{wanted}`"))
    }

    /// More of something than there may be at the same time.
    pub fn too_many_at_once(detail: impl Into<String>) -> Self {
        Self::new(Kind::TooMany, detail)
    }

    /// A part of the server that is not ready.
    pub fn not_ready(part: &'static str, problem: &'static str) -> Self {
        Self::field(Kind::Unavailable, part, problem)
    }

    /// Something that can be tried again soon.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, detail)
    }

    /// A fault of ours: logged, not told.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "request.failed");
        Self::new(Kind::Internal, "it was logged under the request's id; try again later")
    }

    /// The status to answer with.
    pub const fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    /// The fields that are wrong.
    pub fn fields(&self) -> &[FieldProblem] {
        &self.errors
    }

    /// The body to answer with.
    pub fn body(&self) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:kabar:problem:{}", self.kind.code()),
            title: self.kind.title().to_owned(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            code: self.kind.code().to_owned(),
            errors: self.errors.clone(),
        }
    }

    /// An error of the HTTP library, as a problem: routes, methods, bodies, parameters.
    pub fn from_http(error: &poem::Error) -> Self {
        use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError};
        if let Some(problem) = error.downcast_ref::<Self>() {
            return problem.clone();
        }
        if let Some(wrong) = error.downcast_ref::<ParseParamError>() {
            return Self::unreadable(parameter(wrong.name), plain(&wrong.reason));
        }
        if let Some(wrong) = error.downcast_ref::<ParsePathError>() {
            return Self::unreadable(parameter(wrong.name), plain(&wrong.reason));
        }
        if let Some(wrong) = error.downcast_ref::<ContentTypeError>() {
            return Self::new(Kind::UnsupportedMediaType, wrong.to_string());
        }
        match error.status() {
            StatusCode::NOT_FOUND => Self::not_found("no operation has this address"),
            StatusCode::METHOD_NOT_ALLOWED => {
                Self::new(Kind::MethodNotAllowed, "see the API documentation for the methods")
            }
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(Kind::TooLarge, "send less at once"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                Self::new(Kind::UnsupportedMediaType, error.to_string())
            }
            status if status.is_client_error() => Self::bad_request(error.to_string()),
            _ => {
                tracing::error!(%error, "request.failed");
                Self::new(Kind::Internal, "it was logged under the request's id; try again later")
            }
        }
    }
}

/// A parameter as the document calls it: the library numbers those of a path, and ours have one.
fn parameter(name: &'static str) -> &'static str {
    match name {
        "param0" => "id",
        name => name,
    }
}

/// The reason without the name of the type that was read.
fn plain(reason: &str) -> &str {
    match reason.strip_prefix("failed to parse \"") {
        Some(rest) => rest.split_once("\": ").map_or(reason, |(_, reason)| reason),
        None => reason,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.kind.status()
    }

    fn as_response(&self) -> Response {
        self.clone().into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .status(self.kind.status())
            .content_type(CONTENT_TYPE)
            .body(self.body().to_json_string());
        let headers = response.headers_mut();
        if self.kind.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"kabar\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        match self.kind {
            Kind::Unavailable | Kind::InFlight | Kind::TooMany => {
                let seconds = HeaderValue::from_static(RETRY_AFTER);
                headers.insert(header::RETRY_AFTER, seconds);
            }
            _ => {}
        }
        if let Some(limit) = self.limit {
            limit.tell(headers);
        }
        response
    }
}

impl Limit {
    /// `Retry-After`, and the fields of draft-ietf-httpapi-ratelimit-headers-10.
    fn tell(self, headers: &mut poem::http::HeaderMap) {
        let Self { name, burst, wait } = self;
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        for (field, value) in [
            ("ratelimit-policy", format!("\"{name}\";q={burst}")),
            ("ratelimit", format!("\"{name}\";r=0;t={wait}")),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(field, value);
            }
        }
    }
}

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        let mut statuses: Vec<StatusCode> = Kind::ALL.iter().map(|kind| kind.status()).collect();
        statuses.sort_unstable();
        statuses.dedup();
        let responses =
            statuses.into_iter().filter(|status| *status != StatusCode::METHOD_NOT_ALLOWED);
        MetaResponses { responses: responses.map(described).collect() }
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}

fn described(status: StatusCode) -> MetaResponse {
    let description = match status {
        StatusCode::BAD_REQUEST => "The request cannot be read; `errors` names the field.",
        StatusCode::UNAUTHORIZED => "No credential, or one that does not work.",
        StatusCode::FORBIDDEN => "The credential lacks the permission.",
        StatusCode::NOT_FOUND => "There is no such thing in this account.",
        StatusCode::CONFLICT => "It does not fit what is there, or the same request is in flight.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is too large.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The body has the wrong media type.",
        StatusCode::UNPROCESSABLE_ENTITY => {
            "The values cannot be taken; `errors` names the fields."
        }
        StatusCode::TOO_MANY_REQUESTS => {
            "There are more requests, or more of something at the same time, than there may be; try \
             again after `Retry-After` seconds."
        }
        StatusCode::REQUEST_TIMEOUT => "The body did not arrive in time.",
        StatusCode::SERVICE_UNAVAILABLE => {
            "Storage or the network is away; try again after `Retry-After` seconds."
        }
        _ => "A fault of ours, logged under the request's id.",
    };
    MetaResponse {
        description,
        status: Some(status.as_u16()),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: CONTENT_TYPE,
            schema: ProblemBody::schema_ref(),
        }],
        headers: Vec::new(),
    }
}
