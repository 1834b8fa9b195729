//! What a caller is told when something is wrong: `application/problem+json` (RFC 9457).
//!
//! Every error of every domain becomes a [`Problem`] here and nowhere else. A problem names the
//! field and the remedy; what went wrong inside is logged with the request's id and never told.

use std::fmt;

use kabar::accounts::{AccountError, AuthError, Invalid, KeyError, UserError};
use kabar::automation::RuleError;
use kabar::channel::{FieldError, IntakeError, SendError};
use kabar::contacts::ContactError;
use kabar::core::work::OnceError;
use kabar::core::{Denied, StoreError};
use kabar::devices::{DeviceError, MetaAppError};
use kabar::messaging::MessageError;
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
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something is wrong on our side";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "It can be tried again";
}

/// A problem on its way to the caller.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldProblem>,
}

impl Problem {
    fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new() }
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

    /// A body of another media type.
    pub fn wrong_type(wanted: &str) -> Self {
        Self::new(Kind::UnsupportedMediaType, format!("send the body as `{wanted}`"))
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
        match self.kind {
            Kind::Unauthorized => {
                let scheme = HeaderValue::from_static("Bearer realm=\"kabar\"");
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            Kind::Unavailable | Kind::InFlight => {
                let seconds = HeaderValue::from_static(RETRY_AFTER);
                headers.insert(header::RETRY_AFTER, seconds);
            }
            _ => {}
        }
        response
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

// --- the map ------------------------------------------------------------------------------------
// The domains' enums are open, so each match ends in a fault of ours.

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) | StoreError::Contended(_) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "storage.away");
                Self::unavailable("the database is busy or away")
            }
            _ => Self::internal(&error),
        }
    }
}

impl From<OnceError> for Problem {
    fn from(error: OnceError) -> Self {
        match error {
            OnceError::OtherBody => {
                let mut problem = Self::field(
                    Kind::KeyReused,
                    "Idempotency-Key",
                    "was used with another request body; use a new key",
                );
                problem.detail = error.to_string();
                problem
            }
            OnceError::Store(StoreError::Contended(_)) => Self::new(
                Kind::InFlight,
                "a request with this Idempotency-Key is being carried out; ask again",
            ),
            OnceError::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoSuchAccount => Self::missing("Kabar-Account", denied.to_string()),
            Denied::AccountRequired => Self::unreadable("Kabar-Account", denied.to_string()),
            Denied::Permission(_) | Denied::ProviderOnly => Self::forbidden(denied.to_string()),
            denied => Self::internal(&denied),
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthorized => Self::unauthorized(error.to_string()),
            AuthError::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        // A foreign app is no app.
        if invalid.field == "app_id" {
            return Self::missing(invalid.field, invalid.problem);
        }
        Self::invalid(invalid.field, invalid.problem)
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotFound => Self::not_found(error.to_string()),
            AccountError::Invalid(invalid) => invalid.into(),
            AccountError::EmailTaken => email_taken(),
            AccountError::Once(once) => once.into(),
            AccountError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        match error {
            UserError::NotFound => Self::not_found(error.to_string()),
            UserError::Invalid(invalid) => invalid.into(),
            UserError::EmailTaken => email_taken(),
            UserError::Denied(denied) => denied.into(),
            UserError::Once(once) => once.into(),
            UserError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

fn email_taken() -> Problem {
    Problem::field(
        Kind::Conflict,
        "email",
        "is in use by another user of this installation; use another address",
    )
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotFound => Self::not_found(error.to_string()),
            KeyError::Invalid(invalid) => invalid.into(),
            KeyError::Denied(denied) => denied.into(),
            KeyError::Once(once) => once.into(),
            KeyError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<DeviceError> for Problem {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::NotFound => Self::not_found(error.to_string()),
            DeviceError::Invalid(invalid) => invalid.into(),
            DeviceError::NoSuchChannel(_) => Self::invalid("channel", error.to_string()),
            DeviceError::AddressTaken => Self::field(
                Kind::Conflict,
                "address",
                "is registered already; remove that device first",
            ),
            DeviceError::Check(error) => error.into(),
            DeviceError::Denied(denied) => denied.into(),
            DeviceError::Once(once) => once.into(),
            DeviceError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<MetaAppError> for Problem {
    fn from(error: MetaAppError) -> Self {
        match error {
            MetaAppError::NotFound => Self::not_found(error.to_string()),
            MetaAppError::Invalid(invalid) => invalid.into(),
            MetaAppError::InUse => Self::conflict(error.to_string()),
            MetaAppError::Denied(denied) => denied.into(),
            MetaAppError::Once(once) => once.into(),
            MetaAppError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Refused { .. }
            | SendError::DeviceDown { .. }
            | SendError::OutsideWindow { .. }
            | SendError::NewContactsBlocked { .. } => {
                Self::new(Kind::Refused, error.reason().to_string())
            }
            SendError::Retry { .. } | SendError::SlowDown { .. } | SendError::Uncertain { .. } => {
                Self::unavailable(format!("the network could not be asked: {}", error.reason()))
            }
            error => Self::internal(&error),
        }
    }
}

impl From<ContactError> for Problem {
    fn from(error: ContactError) -> Self {
        match error {
            ContactError::NotFound => Self::not_found(error.to_string()),
            ContactError::Invalid { field, problem } => Self::invalid(field, problem),
            ContactError::NumberTaken(_) => Self::field(Kind::Conflict, "phone", error.to_string()),
            ContactError::Once(once) => once.into(),
            ContactError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<RuleError> for Problem {
    fn from(error: RuleError) -> Self {
        match error {
            RuleError::NotFound => Self::not_found(error.to_string()),
            RuleError::NoSuchDevice => Self::missing("device_id", "no such device"),
            RuleError::Invalid(fields) => invalid_fields(fields),
            RuleError::Once(once) => once.into(),
            RuleError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<MessageError> for Problem {
    fn from(error: MessageError) -> Self {
        match error {
            MessageError::NotFound | MessageError::NoSuchConversation => {
                Self::not_found(error.to_string())
            }
            MessageError::Invalid(messages) => {
                invalid_fields(messages.into_iter().flat_map(|message| {
                    let index = message.index;
                    let place = move |error| under_message(index, error);
                    message.fields.into_iter().map(place)
                }))
            }
            MessageError::BadCall { field, problem } => Self::invalid(field, problem),
            MessageError::TooLate { .. } => Self::conflict(error.to_string()),
            MessageError::Once(once) => once.into(),
            MessageError::Channel(error) => error.into(),
            MessageError::Blob(error) => {
                tracing::error!(error = &*error as &dyn std::error::Error, "files.away");
                Self::unavailable("the file store is away")
            }
            MessageError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "intake.failed");
        Self::unavailable("the body could not be stored; deliver it again")
    }
}

/// Fields of a message that stand beside its content.
const BESIDE_CONTENT: &[&str] =
    &["device_id", "to", "reply_to", "reference", "due_at", "expires_at"];

/// Where the API has a field that the domain calls by its place in the message.
fn under_message(index: usize, error: FieldError) -> FieldError {
    let beside = BESIDE_CONTENT.contains(&error.field.as_str());
    let middle = if beside { "" } else { "content." };
    FieldError::new(format!("messages[{index}].{middle}{}", error.field), error.problem)
}

/// Values that cannot be taken; when all of them name what is not there, nothing is there.
fn invalid_fields(fields: impl IntoIterator<Item = FieldError>) -> Problem {
    let errors: Vec<FieldProblem> = fields
        .into_iter()
        .map(|error| FieldProblem { field: error.field, problem: error.problem })
        .collect();
    let absent = |error: &FieldProblem| error.problem.starts_with("no such ");
    let kind = if errors.iter().any(absent) { Kind::NotFound } else { Kind::Invalid };
    let words: Vec<String> = errors
        .iter()
        .take(5)
        .map(|error| format!("`{}`: {}", error.field, error.problem))
        .collect();
    Problem { kind, detail: words.join("; "), errors }
}
