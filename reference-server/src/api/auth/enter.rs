//! Logging in and out, and sessions.

use kabar::Platform;
use kabar::accounts::{Credentials, Door, LoggedIn, Session};
use kabar::core::{Cursor, ExposeSecret as _, Secret, SessionId, Timestamp};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::super::Area;
use super::super::answer::{Answer, Listed, NoContent, page};
use super::super::body::JsonBody;
use super::super::users::UserView;
use super::super::words::Word;
use crate::auth::{Auth, Oneself};
use crate::client::Whence;
use crate::problem::Problem;

/// Who somebody says to be.
#[derive(Object, Deserialize)]
#[oai(rename = "Login")]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    /// The e-mail address.
    #[oai(validator(max_length = 254))]
    pub email: String,
    /// The password.
    #[oai(validator(max_length = 128))]
    pub password: String,
    /// A code of the authenticator app, or a recovery code; where one is needed and absent, the
    /// answer's code is `totp_required`.
    #[oai(validator(max_length = 40))]
    pub totp: Option<String>,
}

/// A refresh token.
#[derive(Object, Deserialize)]
#[oai(rename = "Refresh")]
#[serde(deny_unknown_fields)]
pub struct RefreshBody {
    /// The refresh token (`kbf_…`).
    #[oai(validator(max_length = 200))]
    pub refresh_token: String,
}

/// Somebody who is logged in, with tokens that are shown once.
#[derive(Object)]
#[oai(rename = "LoggedIn")]
pub struct LoggedInView {
    /// Who.
    pub user: UserView,
    /// The session.
    pub session_id: Word<SessionId>,
    /// The access token (`kbs_…`): send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// When the access token ends to work.
    pub access_expires_at: Timestamp,
    /// The refresh token (`kbf_…`), which buys the next pair of tokens, once.
    pub refresh_token: String,
    /// When the refresh token ends to work.
    pub refresh_expires_at: Timestamp,
}

impl From<LoggedIn> for LoggedInView {
    fn from(LoggedIn { user, tokens }: LoggedIn) -> Self {
        Self {
            user: user.into(),
            session_id: Word(tokens.session),
            access_token: tokens.access.expose_secret().to_owned(),
            access_expires_at: tokens.access_expires_at,
            refresh_token: tokens.refresh.expose_secret().to_owned(),
            refresh_expires_at: tokens.refresh_expires_at,
        }
    }
}

/// A session that goes on.
#[derive(Debug, Object)]
#[oai(rename = "Session")]
pub struct SessionView {
    /// Its id.
    pub id: Word<SessionId>,
    /// The network address from which it was begun.
    pub address: Option<String>,
    /// The program, in its own words.
    pub agent: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
    /// When it got its last pair of tokens.
    pub refreshed_at: Timestamp,
    /// When it ends, unless it is refreshed.
    pub expires_at: Timestamp,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self {
            id: Word(session.id),
            address: session.address.map(|address| address.to_string()),
            agent: session.agent,
            created_at: session.created_at,
            refreshed_at: session.refreshed_at,
            expires_at: session.expires_at,
        }
    }
}

/// The operations.
pub struct EnterApi(pub Platform);

impl EnterApi {
    async fn enter(&self, door: Door, body: LoginBody, whence: Whence) -> Answer<LoggedInView> {
        let who = Credentials {
            email: body.email,
            password: Secret::from(body.password),
            totp: body.totp.map(Secret::from),
        };
        Ok(Json(self.0.logins().log_in(door, &who, whence.0).await?.into()))
    }
}

#[OpenApi(tag = "Area::Auth")]
impl EnterApi {
    /// Log in as a customer or an agent
    ///
    /// After 5 wrong tries the address is locked for 15 minutes, whether somebody has it or not;
    /// the right password is refused, too, in the same words. Needs nothing.
    #[oai(path = "/auth/login", method = "post", operation_id = "logIn")]
    async fn log_in(&self, whence: Whence, body: JsonBody<LoginBody>) -> Answer<LoggedInView> {
        self.enter(Door::Customer, body.value, whence).await
    }

    /// Log in as one of the provider's people
    ///
    /// As for customers, who do not get in here. Needs nothing.
    #[oai(path = "/auth/provider/login", method = "post", operation_id = "logInProvider")]
    async fn log_in_provider(
        &self,
        whence: Whence,
        body: JsonBody<LoginBody>,
    ) -> Answer<LoggedInView> {
        self.enter(Door::Provider, body.value, whence).await
    }

    /// Get the next pair of tokens
    ///
    /// The refresh token is used up. For 30 seconds it buys once more, since answers get lost; shown
    /// later than that, it ends its session for whoever has it. Needs nothing.
    #[oai(path = "/auth/refresh", method = "post", operation_id = "refreshSession")]
    async fn refresh(&self, body: JsonBody<RefreshBody>) -> Answer<LoggedInView> {
        Ok(Json(self.0.logins().refresh(&body.value.refresh_token).await?.into()))
    }

    /// Log out
    ///
    /// This session ends at once. Needs a session.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logOut")]
    async fn log_out(&self, Auth(may): Auth<Oneself>) -> Result<NoContent, Problem> {
        self.0.logins().log_out(may.me).await?;
        Ok(NoContent)
    }

    /// Log out everywhere
    ///
    /// Every session of oneself ends at once, this one too. Needs a session.
    #[oai(path = "/auth/logout-everywhere", method = "post", operation_id = "logOutEverywhere")]
    async fn log_out_everywhere(&self, Auth(may): Auth<Oneself>) -> Result<NoContent, Problem> {
        self.0.logins().log_out_everywhere(may.me).await?;
        Ok(NoContent)
    }

    /// List one's own sessions
    ///
    /// Those that go on. Needs a session.
    #[oai(path = "/auth/sessions", method = "get", operation_id = "listSessions")]
    async fn sessions(
        &self,
        Auth(may): Auth<Oneself>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<SessionView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.logins().sessions(may.me, page).await?))
    }

    /// End one of one's own sessions
    ///
    /// At once. Needs a session.
    #[oai(path = "/auth/sessions/:id", method = "delete", operation_id = "endSession")]
    async fn end_session(
        &self,
        Auth(may): Auth<Oneself>,
        id: Path<Word<SessionId>>,
    ) -> Result<NoContent, Problem> {
        self.0.logins().end_session(may.me, id.0.0).await?;
        Ok(NoContent)
    }
}
