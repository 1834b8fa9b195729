//! Accounts: tenants, for the provider; one's own, for everyone.

use kabar::Platform;
use kabar::accounts::{Account, AccountPatch, CreatedAccount, NewAccount, NewOwner};
use kabar::core::permission::{
    ReadAccounts, ReadSettings, WriteAccounts, WriteKeys, WriteSettings,
};
use kabar::core::{AccountId, Cursor, Timestamp};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Created, Listed, page};
use super::body::JsonBody;
use super::keys::CreatedKeyView;
use super::users::UserView;
use super::words::Word;
use crate::auth::{Auth, InAccount, OverAll};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// A tenant's account.
#[derive(Debug, Object)]
#[oai(rename = "Account")]
pub struct AccountView {
    /// Its id.
    pub id: Word<AccountId>,
    /// What it is called.
    pub name: String,
    /// Whether it may be used. The credentials of an inactive account do not work.
    pub active: bool,
    /// The IANA name of its time zone.
    pub time_zone: String,
    /// The country in which national phone numbers are read: two letters, ISO 3166.
    pub country: Option<String>,
    /// The number that is told when something is unwell.
    pub fallback_number: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: Word(account.id),
            name: account.name,
            active: account.active,
            time_zone: account.time_zone.name().to_owned(),
            country: account.country,
            fallback_number: account.fallback_number.map(|number| number.as_str().to_owned()),
            created_at: account.created_at,
            updated_at: account.updated_at,
        }
    }
}

/// An account that was created, with its first user if one was asked for.
#[derive(Debug, Object)]
#[oai(rename = "CreatedAccount")]
pub struct CreatedAccountView {
    /// The account.
    pub account: AccountView,
    /// Its owner.
    pub owner: Option<UserView>,
}

impl From<CreatedAccount> for CreatedAccountView {
    fn from(made: CreatedAccount) -> Self {
        Self { account: made.account.into(), owner: made.owner.map(UserView::from) }
    }
}

/// An account to create.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewAccount")]
#[serde(deny_unknown_fields)]
pub struct NewAccountBody {
    /// What it is called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// The IANA name of its time zone, like `Asia/Jakarta`; UTC when absent.
    pub time_zone: Option<String>,
    /// The country in which national phone numbers are read: two letters, ISO 3166.
    pub country: Option<String>,
    /// Its first user, with the role `customer`.
    pub owner: Option<NewOwnerBody>,
}

/// The first user of a new account.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewOwner")]
#[serde(deny_unknown_fields)]
pub struct NewOwnerBody {
    /// The e-mail address, unique in the installation.
    pub email: String,
    /// What the person is called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "AccountPatch")]
#[serde(deny_unknown_fields)]
pub struct AccountPatchBody {
    /// What it is called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// The IANA name of its time zone.
    pub time_zone: Option<String>,
    /// The country; null removes it.
    #[serde(default)]
    pub country: MaybeUndefined<String>,
    /// The number that is told when something is unwell: international (`+62…`), or as written in
    /// the account's country; null removes it.
    #[serde(default)]
    pub fallback_number: MaybeUndefined<String>,
}

impl From<AccountPatchBody> for AccountPatch {
    fn from(body: AccountPatchBody) -> Self {
        Self {
            name: body.name,
            time_zone: body.time_zone,
            country: undefined(body.country),
            fallback_number: undefined(body.fallback_number),
        }
    }
}

/// Absent, null or a value, in the domains' words.
pub fn undefined<T>(field: MaybeUndefined<T>) -> Option<Option<T>> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// The operations.
pub struct AccountsApi(pub Platform);

#[OpenApi(tag = "Area::Accounts")]
impl AccountsApi {
    /// List accounts
    ///
    /// The accounts of the installation. Needs `accounts:read`; for the provider.
    #[oai(path = "/accounts", method = "get", operation_id = "listAccounts")]
    async fn list(
        &self,
        Auth(may): Auth<OverAll<ReadAccounts>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<AccountView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.accounts().list(may.scope, page).await?))
    }

    /// Create an account
    ///
    /// Active from the start, with its owner if one is named. Needs `accounts:write`; for the
    /// provider.
    #[oai(path = "/accounts", method = "post", operation_id = "createAccount")]
    async fn create(
        &self,
        Auth(may): Auth<OverAll<WriteAccounts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewAccountBody>,
    ) -> Result<Created<CreatedAccountView>, Problem> {
        let once = key.once(may.scope.actor(), None, "createAccount", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let new = NewAccount {
            name: body.value.name,
            time_zone: body.value.time_zone,
            country: body.value.country,
            owner: body.value.owner.map(|owner| NewOwner { email: owner.email, name: owner.name }),
        };
        let made = self.0.accounts().create(may.scope, new, once.as_ref()).await;
        Ok(Created::new(made?.into(), replayed))
    }

    /// Get an account
    ///
    /// Needs `accounts:read`; for the provider.
    #[oai(path = "/accounts/:id", method = "get", operation_id = "getAccount")]
    async fn get(
        &self,
        Auth(may): Auth<OverAll<ReadAccounts>>,
        id: Path<Word<AccountId>>,
    ) -> Answer<AccountView> {
        let account = self.0.accounts().get(may.scope, id.0.0).await?;
        Ok(Json(account.into()))
    }

    /// Change an account
    ///
    /// Needs `accounts:write`; for the provider.
    #[oai(path = "/accounts/:id", method = "patch", operation_id = "updateAccount")]
    async fn update(
        &self,
        Auth(may): Auth<OverAll<WriteAccounts>>,
        id: Path<Word<AccountId>>,
        body: JsonBody<AccountPatchBody>,
    ) -> Answer<AccountView> {
        let patch = body.value.into();
        let account = self.0.accounts().update(may.scope, id.0.0, patch).await?;
        Ok(Json(account.into()))
    }

    /// Activate an account
    ///
    /// Its credentials work again. Needs `accounts:write`; for the provider.
    #[oai(path = "/accounts/:id/activate", method = "post", operation_id = "activateAccount")]
    async fn activate(
        &self,
        Auth(may): Auth<OverAll<WriteAccounts>>,
        id: Path<Word<AccountId>>,
    ) -> Answer<AccountView> {
        let account = self.0.accounts().set_active(may.scope, id.0.0, true).await?;
        Ok(Json(account.into()))
    }

    /// Deactivate an account
    ///
    /// Its credentials stop working at once. Needs `accounts:write`; for the provider.
    #[oai(path = "/accounts/:id/deactivate", method = "post", operation_id = "deactivateAccount")]
    async fn deactivate(
        &self,
        Auth(may): Auth<OverAll<WriteAccounts>>,
        id: Path<Word<AccountId>>,
    ) -> Answer<AccountView> {
        let account = self.0.accounts().set_active(may.scope, id.0.0, false).await?;
        Ok(Json(account.into()))
    }

    /// Get one's own account
    ///
    /// Needs `settings:read`.
    #[oai(path = "/account", method = "get", operation_id = "getOwnAccount")]
    async fn get_own(&self, Auth(may): Auth<InAccount<ReadSettings>>) -> Answer<AccountView> {
        let account = self.0.accounts().get_own(&may.grant).await?;
        Ok(Json(account.into()))
    }

    /// Change one's own account
    ///
    /// Needs `settings:write`.
    #[oai(path = "/account", method = "patch", operation_id = "updateOwnAccount")]
    async fn update_own(
        &self,
        Auth(may): Auth<InAccount<WriteSettings>>,
        body: JsonBody<AccountPatchBody>,
    ) -> Answer<AccountView> {
        let patch = body.value.into();
        let account = self.0.accounts().update_own(&may.grant, patch).await?;
        Ok(Json(account.into()))
    }

    /// Rotate the account token
    ///
    /// The account's own API key, which may do what its maker may. The one before stops working at
    /// once. The secret is shown in this answer and never again. Needs `keys:write`.
    #[oai(path = "/account/token", method = "post", operation_id = "rotateAccountToken")]
    async fn rotate_token(&self, Auth(may): Auth<InAccount<WriteKeys>>) -> Answer<CreatedKeyView> {
        let made = self.0.keys().rotate_account_token(&may.grant, &may.principal).await?;
        Ok(Json(made.into()))
    }
}
