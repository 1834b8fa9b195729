//! Users: people who can log in.

use std::collections::BTreeSet;

use kabar::Platform;
use kabar::accounts::{NewUser, User, UserPatch};
use kabar::core::permission::{ReadUsers, WriteUsers};
use kabar::core::{AccountId, Cursor, Permission, Role, Timestamp, UserId};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Created, Listed, page};
use super::body::JsonBody;
use super::words::Word;
use crate::auth::{Anywhere, Auth, Place};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// A person who can log in.
#[derive(Debug, Object)]
#[oai(rename = "User")]
pub struct UserView {
    /// The id.
    pub id: Word<UserId>,
    /// The account; null for the provider's people.
    pub account_id: Option<Word<AccountId>>,
    /// The e-mail address.
    pub email: String,
    /// What the person is called.
    pub name: String,
    /// What the person is.
    pub role: Word<Role>,
    /// Permissions beyond those of the role.
    pub permissions: Vec<Word<Permission>>,
    /// Whether the person may use the installation.
    pub active: bool,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the user changed last.
    pub updated_at: Timestamp,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: Word(user.id),
            account_id: user.account.map(Word),
            email: user.email,
            name: user.name,
            role: Word(user.role),
            permissions: user.permissions.into_iter().map(Word).collect(),
            active: user.active,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// A user to create.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewUser")]
#[serde(deny_unknown_fields)]
pub struct NewUserBody {
    /// The e-mail address, unique in the installation.
    pub email: String,
    /// What the person is called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// `customer` or `agent` in an account; `provider_admin` or `provider_staff` for the provider's
    /// people.
    pub role: Word<Role>,
    /// Permissions beyond those of the role.
    #[oai(default)]
    #[serde(default)]
    pub permissions: Vec<Word<Permission>>,
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "UserPatch")]
#[serde(deny_unknown_fields)]
pub struct UserPatchBody {
    /// The e-mail address.
    pub email: Option<String>,
    /// What the person is called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// What the person is.
    pub role: Option<Word<Role>>,
    /// Permissions beyond those of the role, replacing the present ones.
    pub permissions: Option<Vec<Word<Permission>>>,
    /// Whether the person may use the installation.
    pub active: Option<bool>,
}

/// Permissions in the domain's words.
pub fn permissions(words: Vec<Word<Permission>>) -> BTreeSet<Permission> {
    words.into_iter().map(|word| word.0).collect()
}

/// The operations. A provider that names no account means the provider's own people.
pub struct UsersApi(pub Platform);

#[OpenApi(tag = "Area::Users")]
impl UsersApi {
    /// List users
    ///
    /// Needs `users:read`. For a provider without `Kabar-Account`: the provider's own people.
    #[oai(path = "/users", method = "get", operation_id = "listUsers")]
    async fn list(
        &self,
        Auth(may): Auth<Anywhere<ReadUsers>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<UserView>> {
        let page = page(limit.0, after.0);
        let users = self.0.users();
        Ok(Listed::of(match &may.place {
            Place::Account(grant) => users.list(grant, page).await?,
            Place::Provider(scope) => users.list_provider(*scope, page).await?,
        }))
    }

    /// Create a user
    ///
    /// Needs `users:write`. For a provider without `Kabar-Account`: one of the provider's own
    /// people.
    #[oai(path = "/users", method = "post", operation_id = "createUser")]
    async fn create(
        &self,
        Auth(may): Auth<Anywhere<WriteUsers>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewUserBody>,
    ) -> Result<Created<UserView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createUser", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let new = NewUser {
            email: body.value.email,
            name: body.value.name,
            role: body.value.role.0,
            permissions: permissions(body.value.permissions),
        };
        let users = self.0.users();
        let user = match &may.place {
            Place::Account(grant) => users.create(grant, new, once.as_ref()).await?,
            Place::Provider(scope) => users.create_provider(*scope, new, once.as_ref()).await?,
        };
        Ok(Created::new(user.into(), replayed))
    }

    /// Get a user
    ///
    /// Needs `users:read`.
    #[oai(path = "/users/:id", method = "get", operation_id = "getUser")]
    async fn get(
        &self,
        Auth(may): Auth<Anywhere<ReadUsers>>,
        id: Path<Word<UserId>>,
    ) -> Answer<UserView> {
        let users = self.0.users();
        let user = match &may.place {
            Place::Account(grant) => users.get(grant, id.0.0).await?,
            Place::Provider(scope) => users.get_provider(*scope, id.0.0).await?,
        };
        Ok(Json(user.into()))
    }

    /// Change a user
    ///
    /// Needs `users:write`.
    #[oai(path = "/users/:id", method = "patch", operation_id = "updateUser")]
    async fn update(
        &self,
        Auth(may): Auth<Anywhere<WriteUsers>>,
        id: Path<Word<UserId>>,
        body: JsonBody<UserPatchBody>,
    ) -> Answer<UserView> {
        let patch = UserPatch {
            email: body.value.email,
            name: body.value.name,
            role: body.value.role.map(|role| role.0),
            permissions: body.value.permissions.map(permissions),
            active: body.value.active,
        };
        let users = self.0.users();
        let user = match &may.place {
            Place::Account(grant) => users.update(grant, id.0.0, patch).await?,
            Place::Provider(scope) => users.update_provider(*scope, id.0.0, patch).await?,
        };
        Ok(Json(user.into()))
    }
}
