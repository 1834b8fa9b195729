//! One-time codes of an authenticator app.

use kabar::Platform;
use kabar::accounts::logins::Confirmed;
use kabar::core::{ExposeSecret as _, Secret};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::super::Area;
use super::super::answer::{Answer, NoContent};
use super::super::body::JsonBody;
use crate::auth::{Auth, Oneself};
use crate::client::Whence;
use crate::problem::Problem;

/// The present password.
#[derive(Object, Deserialize)]
#[oai(rename = "PresentPassword")]
#[serde(deny_unknown_fields)]
pub struct PresentPasswordBody {
    /// The present password.
    #[oai(validator(max_length = 128))]
    pub password: String,
}

/// A code of the authenticator app.
#[derive(Object, Deserialize)]
#[oai(rename = "TotpCode")]
#[serde(deny_unknown_fields)]
pub struct CodeBody {
    /// Six digits.
    #[oai(validator(max_length = 40))]
    pub code: String,
}

/// A secret for an authenticator app, shown once.
#[derive(Object)]
#[oai(rename = "TotpEnrolment")]
pub struct EnrolmentView {
    /// The secret in base32, to be typed.
    pub secret: String,
    /// The same as an `otpauth:` address, to be shown as a QR code.
    pub uri: String,
}

/// Codes for when the app is lost, shown once.
#[derive(Object)]
#[oai(rename = "RecoveryCodes")]
pub struct RecoveryCodesView {
    /// The codes; each is good for one login.
    pub recovery_codes: Vec<String>,
}

impl From<Confirmed> for RecoveryCodesView {
    fn from(confirmed: Confirmed) -> Self {
        let codes = confirmed.recovery_codes.iter();
        Self { recovery_codes: codes.map(|code| code.expose_secret().to_owned()).collect() }
    }
}

/// The operations.
pub struct TotpApi(pub Platform);

#[OpenApi(tag = "Area::Auth")]
impl TotpApi {
    /// Enrol an authenticator app
    ///
    /// Codes are asked for once the app is confirmed. Needs a session.
    #[oai(path = "/auth/totp", method = "post", operation_id = "enrolTotp")]
    async fn enrol(
        &self,
        Auth(may): Auth<Oneself>,
        whence: Whence,
        body: JsonBody<PresentPasswordBody>,
    ) -> Answer<EnrolmentView> {
        let password = Secret::from(body.value.password);
        let made = self.0.logins().enrol_totp(may.me, &password, whence.0).await?;
        Ok(Json(EnrolmentView {
            secret: made.secret.expose_secret().to_owned(),
            uri: made.uri.expose_secret().to_owned(),
        }))
    }

    /// Confirm an authenticator app
    ///
    /// Logging in asks for a code from now on. Needs a session.
    #[oai(path = "/auth/totp/confirm", method = "post", operation_id = "confirmTotp")]
    async fn confirm(
        &self,
        Auth(may): Auth<Oneself>,
        body: JsonBody<CodeBody>,
    ) -> Answer<RecoveryCodesView> {
        let code = Secret::from(body.value.code);
        Ok(Json(self.0.logins().confirm_totp(may.me, &code).await?.into()))
    }

    /// Make new recovery codes
    ///
    /// Those before end to work. Needs a session.
    #[oai(path = "/auth/totp/recovery-codes", method = "post", operation_id = "renewRecoveryCodes")]
    async fn renew(
        &self,
        Auth(may): Auth<Oneself>,
        whence: Whence,
        body: JsonBody<PresentPasswordBody>,
    ) -> Answer<RecoveryCodesView> {
        let password = Secret::from(body.value.password);
        let made = self.0.logins().renew_recovery_codes(may.me, &password, whence.0).await?;
        Ok(Json(made.into()))
    }

    /// Give one-time codes up
    ///
    /// Logging in asks for the password alone. Needs a session.
    #[oai(path = "/auth/totp/disable", method = "post", operation_id = "disableTotp")]
    async fn disable(
        &self,
        Auth(may): Auth<Oneself>,
        whence: Whence,
        body: JsonBody<PresentPasswordBody>,
    ) -> Result<NoContent, Problem> {
        let password = Secret::from(body.value.password);
        self.0.logins().disable_totp(may.me, &password, whence.0).await?;
        Ok(NoContent)
    }
}
