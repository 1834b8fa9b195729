//! API keys.

use kabar::Platform;
use kabar::accounts::{ApiKey, CreatedKey, Networks, NewKey};
use kabar::core::permission::{ReadKeys, WriteKeys};
use kabar::core::{AccountId, ApiKeyId, Cursor, ExposeSecret as _, Permission, Timestamp};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Created, Listed, NoContent, page};
use super::body::JsonBody;
use super::users::permissions;
use super::words::Word;
use crate::auth::{Anywhere, Auth, Place};
use crate::idempotency::OnceKey;
use crate::problem::Problem;

/// An API key, without its secret.
#[derive(Debug, Object)]
#[oai(rename = "ApiKey")]
pub struct KeyView {
    /// Its id.
    pub id: Word<ApiKeyId>,
    /// The account; null for a key of the provider.
    pub account_id: Option<Word<AccountId>>,
    /// What it is called.
    pub name: String,
    /// The first characters of its random part, for recognition.
    pub hint: String,
    /// What it may do.
    pub permissions: Vec<Word<Permission>>,
    /// From where it works, addresses and networks; from everywhere when empty.
    pub allowed_addresses: Vec<String>,
    /// Whether it is the account's own token.
    pub account_token: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends to work.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: Word(key.id),
            account_id: key.account.map(Word),
            name: key.name,
            hint: key.hint,
            permissions: key.permissions.into_iter().map(Word).collect(),
            allowed_addresses: key.allowed.texts(),
            account_token: key.account_token,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A key that was created.
#[derive(Object)]
#[oai(rename = "CreatedApiKey")]
pub struct CreatedKeyView {
    /// The key.
    pub key: KeyView,
    /// Its secret, which is shown once; null when the request was sent again.
    pub secret: Option<String>,
}

impl From<CreatedKey> for CreatedKeyView {
    fn from(made: CreatedKey) -> Self {
        Self {
            key: made.key.into(),
            secret: made.secret.map(|secret| secret.expose_secret().to_owned()),
        }
    }
}

/// A key to create.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewApiKey")]
#[serde(deny_unknown_fields)]
pub struct NewKeyBody {
    /// What it is called.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// What it may do: at least one permission, none that its creator lacks.
    #[oai(validator(min_items = 1))]
    pub permissions: Vec<Word<Permission>>,
    /// From where it works: up to 100 addresses and networks, like `203.0.113.7` or
    /// `2001:db8::/32`; from everywhere when empty.
    #[serde(default)]
    #[oai(default, validator(max_items = 100))]
    pub allowed_addresses: Vec<String>,
    /// When it ends to work; in the future.
    pub expires_at: Option<Timestamp>,
}

/// The operations. A provider that names no account means the provider's own keys.
pub struct KeysApi(pub Platform);

#[OpenApi(tag = "Area::Keys")]
impl KeysApi {
    /// List API keys
    ///
    /// Revoked ones included. Needs `keys:read`. For a provider without `Kabar-Account`: the
    /// provider's own keys.
    #[oai(path = "/keys", method = "get", operation_id = "listKeys")]
    async fn list(
        &self,
        Auth(may): Auth<Anywhere<ReadKeys>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<KeyView>> {
        let page = page(limit.0, after.0);
        let keys = self.0.keys();
        Ok(Listed::of(match &may.place {
            Place::Account(grant) => keys.list(grant, page).await?,
            Place::Provider(scope) => keys.list_provider(*scope, page).await?,
        }))
    }

    /// Create an API key
    ///
    /// The secret is shown in this answer and never again. Needs `keys:write`. For a provider
    /// without `Kabar-Account`: a key of the provider.
    #[oai(path = "/keys", method = "post", operation_id = "createKey")]
    async fn create(
        &self,
        Auth(may): Auth<Anywhere<WriteKeys>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewKeyBody>,
    ) -> Result<Created<CreatedKeyView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createKey", body.hash);
        let new = NewKey {
            name: body.value.name,
            permissions: permissions(body.value.permissions),
            allowed: Networks::checked("allowed_addresses", &body.value.allowed_addresses)?,
            expires_at: body.value.expires_at,
        };
        let (keys, creator, once) = (self.0.keys(), &may.principal, once.as_ref());
        let made = match &may.place {
            Place::Account(grant) => keys.create(grant, creator, new, once).await?,
            Place::Provider(scope) => keys.create_provider(*scope, creator, new, once).await?,
        };
        let replayed = made.secret.is_none();
        Ok(Created::new(made.into(), replayed))
    }

    /// Get an API key
    ///
    /// Needs `keys:read`.
    #[oai(path = "/keys/:id", method = "get", operation_id = "getKey")]
    async fn get(
        &self,
        Auth(may): Auth<Anywhere<ReadKeys>>,
        id: Path<Word<ApiKeyId>>,
    ) -> Answer<KeyView> {
        let keys = self.0.keys();
        let key = match &may.place {
            Place::Account(grant) => keys.get(grant, id.0.0).await?,
            Place::Provider(scope) => keys.get_provider(*scope, id.0.0).await?,
        };
        Ok(Json(key.into()))
    }

    /// Revoke an API key
    ///
    /// It stops working at once and for good; it stays in the list. Needs `keys:write`.
    #[oai(path = "/keys/:id", method = "delete", operation_id = "revokeKey")]
    async fn revoke(
        &self,
        Auth(may): Auth<Anywhere<WriteKeys>>,
        id: Path<Word<ApiKeyId>>,
    ) -> Result<NoContent, Problem> {
        let keys = self.0.keys();
        match &may.place {
            Place::Account(grant) => keys.revoke(grant, id.0.0).await?,
            Place::Provider(scope) => keys.revoke_provider(*scope, id.0.0).await?,
        };
        Ok(NoContent)
    }
}
