//! The domains' errors as problems. Their enums are open, so each match ends in a fault of ours.

use kabar::accounts::password::PasswordError;
use kabar::accounts::{AccountError, AuthError, Invalid, KeyError, LoginError, UserError};
use kabar::automation::RuleError;
use kabar::channel::{FieldError, IntakeError, SendError};
use kabar::contacts::{ContactError, ImportError};
use kabar::core::work::OnceError;
use kabar::core::{Denied, StoreError};
use kabar::devices::{DeviceError, MetaAppError, PacingRulesError};
use kabar::events::FollowError;
use kabar::exports::ExportError;
use kabar::insights::{RetentionError, StatisticsError};
use kabar::messaging::{BroadcastError, BulkError, MessageError, TemplateError};
use kabar::webhooks::{DeliveryError, EndpointError};

use super::{FieldProblem, Kind, Problem};

impl From<kabar::operations::SettingsError> for Problem {
    fn from(error: kabar::operations::SettingsError) -> Self {
        use kabar::operations::SettingsError as E;
        match error {
            E::NotFound => Self::missing("Kabar-Account", error.to_string()),
            E::Invalid(invalid) => invalid.into(),
            E::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

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

impl From<FollowError> for Problem {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::TooMany(_) => Self::too_many_at_once(error.to_string()),
            FollowError::Closed => Self::unavailable(error.to_string()),
            FollowError::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoSuchAccount => Self::missing("Kabar-Account", denied.to_string()),
            Denied::AccountRequired => Self::unreadable("Kabar-Account", denied.to_string()),
            Denied::Permission(_) | Denied::ProviderOnly | Denied::PersonOnly => {
                Self::forbidden(denied.to_string())
            }
            denied => Self::internal(&denied),
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthorized => Self::unauthorized(error.to_string()),
            AuthError::Elsewhere => Self::new(Kind::Elsewhere, error.to_string()),
            AuthError::Store(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Wrong => Self::new(Kind::WrongLogin, error.to_string()),
            LoginError::Code { .. } => Self::new(Kind::CodeRequired, error.to_string()),
            LoginError::Token => Self::new(Kind::TokenUsed, error.to_string()),
            LoginError::Closed => Self::forbidden(error.to_string()),
            LoginError::Invalid(invalid) => invalid.into(),
            LoginError::NotFound => Self::not_found(error.to_string()),
            LoginError::Codes(_) => Self::conflict(error.to_string()),
            LoginError::Password(PasswordError::Busy) => Self::unavailable(error.to_string()),
            LoginError::Store(error) => error.into(),
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
            UserError::LastOne => Self::conflict(error.to_string()),
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

#[cfg(feature = "qr-session")]
impl From<kabar::qr_session::FileError> for Problem {
    fn from(error: kabar::qr_session::FileError) -> Self {
        use kabar::qr_session::{FileError, ImportError};
        match error {
            FileError::NotFound => Self::not_found(error.to_string()),
            FileError::NotPaired => Self::invalid("id", error.to_string()),
            FileError::Running => Self::conflict(error.to_string()),
            FileError::Import(ImportError::Field { field, problem }) => {
                Self::invalid(&field, problem)
            }
            FileError::Import(ImportError::Occupied | ImportError::Empty) => {
                Self::conflict(error.to_string())
            }
            FileError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

#[cfg(feature = "qr-session")]
impl From<kabar::qr_session::PairingError> for Problem {
    fn from(error: kabar::qr_session::PairingError) -> Self {
        use kabar::qr_session::PairingError as E;
        match error {
            E::NotFound => Self::not_found(error.to_string()),
            E::NotPaired => Self::invalid("id", error.to_string()),
            E::Paired => Self::conflict(error.to_string()),
            E::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<DeviceError> for Problem {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::NotFound => Self::not_found(error.to_string()),
            DeviceError::Invalid(invalid) => invalid.into(),
            DeviceError::NotPaired => Self::invalid("id", error.to_string()),
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
            ContactError::NotFound | ContactError::NoSuchGroup => {
                Self::not_found(error.to_string())
            }
            ContactError::Missing { field, problem } => Self::missing(field, problem),
            ContactError::GroupNameTaken => Self::field(Kind::Conflict, "name", error.to_string()),
            ContactError::Busy => Self::conflict(error.to_string()),
            ContactError::Invalid { field, problem } => Self::invalid(field, problem),
            ContactError::NumberTaken(_) => Self::field(Kind::Conflict, "phone", error.to_string()),
            ContactError::Once(once) => once.into(),
            ContactError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::NotFound => Self::not_found(error.to_string()),
            ImportError::Invalid { field, problem } => Self::invalid(field, problem),
            ImportError::WrongState { .. } => Self::conflict(error.to_string()),
            ImportError::Once(once) => once.into(),
            ImportError::Blob(error) => files_away(&error),
            ImportError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::NotFound => Self::not_found(error.to_string()),
            ExportError::NoFile(_) => Self::conflict(error.to_string()),
            ExportError::Once(once) => once.into(),
            ExportError::Blob(error) => files_away(&error),
            ExportError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

fn files_away(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error, "files.away");
    Problem::unavailable("the file store is away")
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

impl From<PacingRulesError> for Problem {
    fn from(error: PacingRulesError) -> Self {
        match error {
            PacingRulesError::Invalid(invalid) => invalid.into(),
            PacingRulesError::Denied(denied) => denied.into(),
            PacingRulesError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<StatisticsError> for Problem {
    fn from(error: StatisticsError) -> Self {
        match error {
            StatisticsError::Invalid { field, problem } => Self::invalid(field, problem),
            StatisticsError::NoSuchAccount => Self::missing("Kabar-Account", error.to_string()),
            StatisticsError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<RetentionError> for Problem {
    fn from(error: RetentionError) -> Self {
        match error {
            RetentionError::Days { field } => {
                Self::invalid(field, "must be a number of days from 1 to 36500, or 0 for ever")
            }
            RetentionError::Store(store) => store.into(),
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

impl From<TemplateError> for Problem {
    fn from(error: TemplateError) -> Self {
        match error {
            TemplateError::NotFound => Self::not_found(error.to_string()),
            TemplateError::Taken => Self::field(Kind::Conflict, "name", error.to_string()),
            TemplateError::InUse => Self::conflict(error.to_string()),
            TemplateError::Invalid(fields) => invalid_fields(fields),
            TemplateError::Once(once) => once.into(),
            TemplateError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<EndpointError> for Problem {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::NotFound => Self::not_found(error.to_string()),
            EndpointError::NoSuchDevice(index) => {
                Self::missing(format!("devices[{index}]"), "no such device")
            }
            EndpointError::Invalid(invalid) => Self::invalid(invalid.field, invalid.problem),
            EndpointError::TooMany => Self::conflict(error.to_string()),
            EndpointError::Once(once) => once.into(),
            EndpointError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<BroadcastError> for Problem {
    fn from(error: BroadcastError) -> Self {
        match error {
            BroadcastError::NotFound => Self::not_found(error.to_string()),
            BroadcastError::Invalid(fields) => invalid_fields(fields),
            BroadcastError::WrongState { .. } => Self::conflict(error.to_string()),
            BroadcastError::Once(once) => once.into(),
            BroadcastError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<BulkError> for Problem {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::NotFound => Self::not_found(error.to_string()),
            BulkError::Invalid(fields) => invalid_fields(fields),
            BulkError::Once(once) => once.into(),
            BulkError::Store(store) => store.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<DeliveryError> for Problem {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::NotFound => Self::not_found(error.to_string()),
            DeliveryError::NoSuchEndpoint => {
                Self::missing("endpoint_id", "no such webhook endpoint")
            }
            DeliveryError::Gone | DeliveryError::Settled(_) | DeliveryError::Ended => {
                Self::conflict(error.to_string())
            }
            DeliveryError::Once(once) => once.into(),
            DeliveryError::Store(store) => store.into(),
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
    Problem { errors, ..Problem::new(kind, words.join("; ")) }
}
