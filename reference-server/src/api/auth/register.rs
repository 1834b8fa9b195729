//! Registration, and passwords that are forgotten.

use kabar::Platform;
use kabar::accounts::{Door, NewRegistration};
use kabar::core::Secret;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::super::Area;
use super::super::answer::{Answer, NoContent};
use super::super::body::JsonBody;
use super::super::users::UserView;
use crate::client::Whence;
use crate::problem::Problem;

/// Somebody who registers.
#[derive(Object, Deserialize)]
#[oai(rename = "NewRegistration")]
#[serde(deny_unknown_fields)]
pub struct RegistrationBody {
    /// What the person is called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// The e-mail address.
    #[oai(validator(max_length = 254))]
    pub email: String,
    /// The password; neither the address nor the name.
    #[oai(validator(min_length = 10, max_length = 128))]
    pub password: String,
    /// What the account is to be called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub account_name: String,
    /// The IANA name of its time zone, like `Asia/Jakarta`; UTC when absent.
    pub time_zone: Option<String>,
    /// Its country: two letters, ISO 3166.
    pub country: Option<String>,
}

/// An e-mail address.
#[derive(Object, Deserialize)]
#[oai(rename = "EmailAddress")]
#[serde(deny_unknown_fields)]
pub struct EmailBody {
    /// The e-mail address.
    #[oai(validator(max_length = 254))]
    pub email: String,
}

/// A token that was mailed, and the password that was chosen.
#[derive(Object, Deserialize)]
#[oai(rename = "Verification")]
#[serde(deny_unknown_fields)]
pub struct VerificationBody {
    /// The token (`kbt_…`).
    #[oai(validator(max_length = 200))]
    pub token: String,
    /// The password of the registration.
    #[oai(validator(max_length = 128))]
    pub password: String,
}

/// A token that was mailed, and a new password.
#[derive(Object, Deserialize)]
#[oai(rename = "PasswordReset")]
#[serde(deny_unknown_fields)]
pub struct ResetBody {
    /// The token (`kbt_…`).
    #[oai(validator(max_length = 200))]
    pub token: String,
    /// The new password; neither the address nor the name.
    #[oai(validator(min_length = 10, max_length = 128))]
    pub password: String,
}

/// The operations.
pub struct RegisterApi(pub Platform);

#[OpenApi(tag = "Area::Auth")]
impl RegisterApi {
    /// Register
    ///
    /// Mails a token that verifies the address. The answer is the same whether somebody has the
    /// address or not. Needs nothing.
    #[oai(path = "/auth/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        whence: Whence,
        body: JsonBody<RegistrationBody>,
    ) -> Result<NoContent, Problem> {
        let RegistrationBody { name, email, password, account_name, time_zone, country } =
            body.value;
        let password = Secret::from(password);
        let new = NewRegistration { email, name, password, account_name, time_zone, country };
        self.0.logins().register(new, whence.0).await?;
        Ok(NoContent)
    }

    /// Mail the token of a registration again
    ///
    /// The one before ends to work. The answer is the same whether somebody waits or not. Needs
    /// nothing.
    #[oai(path = "/auth/register/resend", method = "post", operation_id = "resendVerification")]
    async fn resend(
        &self,
        whence: Whence,
        body: JsonBody<EmailBody>,
    ) -> Result<NoContent, Problem> {
        self.0.logins().resend_verification(&body.value.email, whence.0).await?;
        Ok(NoContent)
    }

    /// Verify an address
    ///
    /// Makes the account and its owner. The password of the registration is asked for again: a mail
    /// may reach somebody who did not register. Log in afterwards. Needs nothing.
    #[oai(path = "/auth/register/verify", method = "post", operation_id = "verifyAddress")]
    async fn verify(&self, whence: Whence, body: JsonBody<VerificationBody>) -> Answer<UserView> {
        let VerificationBody { token, password } = body.value;
        let user = self.0.logins().verify(&token, &Secret::from(password), whence.0).await?;
        Ok(Json(user.into()))
    }

    /// Ask for a new password
    ///
    /// Mails a token to a customer or an agent. The answer is the same whether somebody has the
    /// address or not. Needs nothing.
    #[oai(path = "/auth/password/forgot", method = "post", operation_id = "forgotPassword")]
    async fn forgot(
        &self,
        whence: Whence,
        body: JsonBody<EmailBody>,
    ) -> Result<NoContent, Problem> {
        self.0.logins().forgot(Door::Customer, &body.value.email, whence.0).await?;
        Ok(NoContent)
    }

    /// Ask for a new password, as one of the provider's people
    ///
    /// Mails a token. The answer is the same whether somebody has the address or not. Needs nothing.
    #[oai(
        path = "/auth/provider/password/forgot",
        method = "post",
        operation_id = "forgotProviderPassword"
    )]
    async fn forgot_provider(
        &self,
        whence: Whence,
        body: JsonBody<EmailBody>,
    ) -> Result<NoContent, Problem> {
        self.0.logins().forgot(Door::Provider, &body.value.email, whence.0).await?;
        Ok(NoContent)
    }

    /// Set a password with a mailed token
    ///
    /// For who forgot the old one, and for who was invited. Every session ends. Needs nothing.
    #[oai(path = "/auth/password/reset", method = "post", operation_id = "resetPassword")]
    async fn reset(&self, body: JsonBody<ResetBody>) -> Result<NoContent, Problem> {
        let ResetBody { token, password } = body.value;
        self.0.logins().reset(&token, &Secret::from(password)).await?;
        Ok(NoContent)
    }
}
