//! Oneself: profile, password, attempts to log in.

use kabar::Platform;
use kabar::accounts::{Door, LoginAttempt, LoginOutcome, Profile};
use kabar::core::permission::ReadAudit;
use kabar::core::{AuditId, Cursor, Secret, Timestamp, UserId};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::super::Area;
use super::super::answer::{Answer, Listed, NoContent, page};
use super::super::body::JsonBody;
use super::super::users::UserView;
use super::super::words::Word;
use crate::auth::{Anywhere, Auth, Oneself, Place};
use crate::client::Whence;
use crate::problem::Problem;

/// Oneself.
#[derive(Debug, Object)]
#[oai(rename = "Profile")]
pub struct ProfileView {
    /// The user.
    pub user: UserView,
    /// Whether logging in asks for a one-time code.
    pub totp: bool,
}

impl From<Profile> for ProfileView {
    fn from(profile: Profile) -> Self {
        Self { user: profile.user.into(), totp: profile.totp }
    }
}

/// What is to change of oneself.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "ProfilePatch")]
#[serde(deny_unknown_fields)]
pub struct ProfileBody {
    /// What one is called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
}

/// The present password and the next.
#[derive(Object, Deserialize)]
#[oai(rename = "PasswordChange")]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    /// The present password.
    #[oai(validator(max_length = 128))]
    pub password: String,
    /// The next; neither the address nor the name.
    #[oai(validator(min_length = 10, max_length = 128))]
    pub new_password: String,
}

/// An attempt to log in.
#[derive(Debug, Object)]
#[oai(rename = "LoginAttempt")]
pub struct AttemptView {
    /// Its id.
    pub id: Word<AuditId>,
    /// The user, where one has the address.
    pub user_id: Option<Word<UserId>>,
    /// At which door.
    pub door: Word<Door>,
    /// What became of it.
    pub outcome: Word<LoginOutcome>,
    /// From which network address.
    pub address: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl From<LoginAttempt> for AttemptView {
    fn from(attempt: LoginAttempt) -> Self {
        Self {
            id: Word(attempt.id),
            user_id: attempt.user.map(Word),
            door: Word(attempt.door),
            outcome: Word(attempt.outcome),
            address: attempt.address.map(|address| address.to_string()),
            at: attempt.at,
        }
    }
}

/// The operations.
pub struct OwnApi(pub Platform);

#[OpenApi(tag = "Area::Auth")]
impl OwnApi {
    /// Get oneself
    ///
    /// Needs a session.
    #[oai(path = "/auth/me", method = "get", operation_id = "getMe")]
    async fn me(&self, Auth(may): Auth<Oneself>) -> Answer<ProfileView> {
        Ok(Json(self.0.logins().me(may.me).await?.into()))
    }

    /// Change oneself
    ///
    /// Needs a session.
    #[oai(path = "/auth/me", method = "patch", operation_id = "updateMe")]
    async fn update(
        &self,
        Auth(may): Auth<Oneself>,
        body: JsonBody<ProfileBody>,
    ) -> Answer<ProfileView> {
        Ok(Json(self.0.logins().rename(may.me, &body.value.name).await?.into()))
    }

    /// Change one's own password
    ///
    /// Every other session ends. Wrong present passwords are counted like tries to log in. Needs a
    /// session.
    #[oai(path = "/auth/password", method = "post", operation_id = "changePassword")]
    async fn password(
        &self,
        Auth(may): Auth<Oneself>,
        whence: Whence,
        body: JsonBody<PasswordBody>,
    ) -> Result<NoContent, Problem> {
        let (present, new) =
            (Secret::from(body.value.password), Secret::from(body.value.new_password));
        self.0.logins().change_password(may.me, &present, &new, whence.0).await?;
        Ok(NoContent)
    }

    /// List the attempts to log in as oneself
    ///
    /// Of the last 90 days. Needs a session.
    #[oai(path = "/auth/attempts", method = "get", operation_id = "listOwnLoginAttempts")]
    async fn own_attempts(
        &self,
        Auth(may): Auth<Oneself>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<AttemptView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.logins().own_attempts(may.me, page).await?))
    }

    /// List the attempts to log in
    ///
    /// Of the last 90 days, of an account's people. Needs `audit:read`. For a provider without
    /// `Kabar-Account`: of the provider's own people, and of nobody.
    #[oai(path = "/audit/logins", method = "get", operation_id = "listLoginAttempts")]
    async fn attempts(
        &self,
        Auth(may): Auth<Anywhere<ReadAudit>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<AttemptView>> {
        let page = page(limit.0, after.0);
        let realm = match &may.place {
            Place::Account(grant) => grant.into(),
            Place::Provider(scope) => (*scope).into(),
        };
        Ok(Listed::of(self.0.logins().attempts(realm, page).await?))
    }
}
