//! Errors as the Graph API words them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error answer. Codes and texts: Meta, "Cloud API error codes".
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    pub(crate) status: u16,
    pub(crate) code: u32,
    subcode: Option<u32>,
    kind: &'static str,
    message: String,
    details: Option<String>,
}

impl GraphError {
    /// An error with Meta's title and status for the code.
    pub(crate) fn of(code: u32) -> Self {
        Self {
            status: default_status(code),
            code,
            subcode: None,
            kind: "OAuthException",
            message: format!("(#{code}) {}", title(code)),
            details: None,
        }
    }

    /// An error with `error_data.details`.
    pub(crate) fn detailed(code: u32, details: impl Into<String>) -> Self {
        Self { details: Some(details.into()), ..Self::of(code) }
    }

    /// Code 100 with Meta's wording for one parameter.
    pub(crate) fn parameter(text: impl AsRef<str>) -> Self {
        Self { message: format!("(#100) {}", text.as_ref()), ..Self::of(100) }
    }

    /// Code 131009: a value out of its bounds.
    pub(crate) fn value(details: impl Into<String>) -> Self {
        Self::detailed(131_009, details)
    }

    /// Code 131008: something required is not there.
    pub(crate) fn missing(path: &str) -> Self {
        Self::detailed(131_008, format!("Parameter '{path}' is mandatory"))
    }

    /// Code 190: the token is missing, unknown or expired.
    pub(crate) fn token(message: &str, subcode: Option<u32>) -> Self {
        Self { message: message.to_owned(), subcode, ..Self::of(190) }
    }

    /// Code 100, subcode 33: no such object for this token.
    pub(crate) fn no_object(method: &str, id: &str) -> Self {
        Self {
            message: format!(
                "Unsupported {} request. Object with ID '{id}' does not exist, cannot be loaded \
                 due to missing permissions, or does not support this operation. Please read the \
                 Graph API documentation at https://developers.facebook.com/docs/graph-api",
                method.to_lowercase()
            ),
            subcode: Some(33),
            kind: "GraphMethodException",
            ..Self::of(100)
        }
    }

    /// Code 2500: the path is none of Meta's, or not one the sandbox serves.
    pub(crate) fn no_path(path: &str) -> Self {
        Self { message: format!("Unknown path components: {path}"), ..Self::of(2_500) }
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn body(&self) -> Value {
        let mut error = json!({
            "message": self.message,
            "type": self.kind,
            "code": self.code,
            "fbtrace_id": "AsAnDbOxTrAcEiD0000000",
        });
        if let Some(fields) = error.as_object_mut() {
            if let Some(subcode) = self.subcode {
                fields.insert("error_subcode".to_owned(), subcode.into());
            }
            if let Some(details) = &self.details {
                let data = json!({"messaging_product": "whatsapp", "details": details});
                fields.insert("error_data".to_owned(), data);
            }
            if matches!(self.code, 1 | 2 | 4) {
                fields.insert("is_transient".to_owned(), true.into());
            }
        }
        json!({ "error": error })
    }
}

impl IntoResponse for GraphError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let challenge = format!("OAuth \"Facebook Platform\" \"{}\" \"{}\"", self.kind, self.code);
        (status, [("www-authenticate", challenge)], Json(self.body())).into_response()
    }
}

/// An error object inside a webhook.
pub(crate) fn webhook_error(code: u32, details: &str) -> Value {
    json!({
        "code": code,
        "title": title(code),
        "message": title(code),
        "error_data": {"details": details},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    })
}

/// HTTP status for a code: 401 for tokens, 403 for permissions, 5xx for trouble at Meta, else 400.
fn default_status(code: u32) -> u16 {
    match code {
        0 | 104 | 190 => 401,
        3 | 10 | 200..=299 | 368 | 131_005 | 131_031 => 403,
        2 | 131_016 => 503,
        131_000 => 500,
        _ => 400,
    }
}

/// Meta's title for a code.
pub(crate) fn title(code: u32) -> &'static str {
    match code {
        0 => "AuthException",
        1 => "API Unknown",
        2 => "Service temporarily unavailable",
        3 => "API Method",
        4 => "Application request limit reached",
        10 => "Application does not have permission for this action",
        100 => "Invalid parameter",
        190 => "Access token has expired",
        368 => "Temporarily blocked for policies violations",
        2_500 => "Unknown path components",
        80_007 => "Rate limit issues",
        130_403 => "User blocked by business",
        130_429 => "Rate limit hit",
        130_472 => "User's number is part of an experiment",
        130_497 => "Business account is restricted from messaging users in this country.",
        131_000 => "Something went wrong",
        131_005 => "Access denied",
        131_008 => "Required parameter is missing",
        131_009 => "Parameter value is not valid",
        131_016 => "Service unavailable",
        131_021 => "Recipient cannot be sender",
        131_026 => "Message undeliverable",
        131_030 => "Recipient phone number not in allowed list",
        131_031 => "Account has been locked",
        131_037 => {
            "WhatsApp provided number needs display name approval before message can be sent."
        }
        131_042 => "Business eligibility payment issue",
        131_045 => "Incorrect certificate",
        131_047 => "Re-engagement message",
        131_048 => "Spam rate limit hit",
        131_049 => "This message was not delivered to maintain healthy ecosystem engagement.",
        131_050 => "User has stopped marketing messages from your business",
        131_051 => "Message type unknown",
        131_052 => "Media download error",
        131_053 => "Media upload error",
        131_056 => "(Business Account, Consumer Account) pair rate limit hit",
        131_057 => "Account in maintenance mode",
        131_062 => "Business-scoped user ID is not supported for this message",
        132_000 => "Number of parameters does not match the expected number of params",
        132_001 => "Template name does not exist in the translation",
        132_005 => "Translated text too long",
        132_007 => "Template format character policy violated",
        132_012 => "Parameter format does not match format in the created template",
        132_015 => "Template is paused",
        132_016 => "Template is disabled",
        132_068 => "Flow is blocked",
        132_069 => "Flow is throttled",
        133_000 => "Incomplete deregistration",
        133_004 => "Server temporarily unavailable",
        133_005 => "Two-step verification PIN mismatch",
        133_006 => "Phone number re-verification needed",
        133_010 => "Phone number not registered",
        133_016 => "Account register deregister rate limit exceeded",
        135_000 => "Generic user error",
        137_000 => "Identity key hash mismatch",
        _ => "An unknown error has occurred.",
    }
}
