//! Meta apps and business accounts: where webhooks come from, where limits and templates live.

use async_trait::async_trait;
use kabar_accounts::Realm;
use kabar_core::{
    AccountId, InstallationScope, MetaAppId, Page, PageRequest, Scope, Secret, StoreError,
    Timestamp, Work,
};
use uuid::Uuid;

/// A Meta app, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaApp {
    /// Its id; part of its webhook address.
    pub id: MetaAppId,
    /// The tenant; `None` for the installation's own app.
    pub account: Option<AccountId>,
    /// What it is called.
    pub name: String,
    /// Meta's id of it.
    pub meta_app_id: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A Meta app to create.
#[derive(Debug, Clone)]
pub struct NewMetaApp {
    /// What it is called: 1 to 100 characters.
    pub name: String,
    /// Meta's id of it: digits.
    pub meta_app_id: Option<String>,
    /// The app secret, which signs its webhooks.
    pub app_secret: Secret,
    /// The word that Meta shows when the webhook address is verified.
    pub verify_token: Secret,
}

/// A Meta app as the webhook's receiver needs it.
#[derive(Debug, Clone)]
pub struct WebhookApp {
    /// Its id.
    pub id: MetaAppId,
    /// The tenant; `None` for the installation's own app.
    pub account: Option<AccountId>,
    /// The app secret, which signs its webhooks.
    pub app_secret: Secret,
    /// The word that Meta shows when the webhook address is verified.
    pub verify_token: Secret,
}

/// The id of the installation's own app: always the same, so that its webhook address is too.
pub fn installation_app() -> MetaAppId {
    MetaAppId::from(Uuid::from_u128(0x7000_8000_0000_0000_0001))
}

/// A unit of work with Meta apps and business accounts.
pub trait MetaWork: Work {
    /// The Meta apps of a realm.
    fn meta_apps(&self, realm: Realm) -> Box<dyn MetaAppRepo + '_>;

    /// Every Meta app of the installation, for webhooks.
    fn meta_app_registry(&self, scope: InstallationScope) -> Box<dyn MetaAppRegistry + '_>;

    /// A tenant's business accounts.
    fn business_accounts(&self, scope: Scope) -> Box<dyn BusinessAccountRepo + '_>;
}

/// The Meta apps of one realm.
#[async_trait]
pub trait MetaAppRepo: Send {
    /// Stores an app of the realm with its secrets, sealed; an app of the realm with the same id is
    /// replaced.
    async fn put(
        &mut self,
        app: &MetaApp,
        app_secret: &Secret,
        verify_token: &Secret,
    ) -> Result<(), StoreError>;

    /// An app.
    async fn get(&mut self, id: MetaAppId) -> Result<Option<MetaApp>, StoreError>;

    /// The apps, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<MetaApp>, StoreError>;

    /// Whether a device gets its webhooks from the app.
    async fn in_use(&mut self, id: MetaAppId) -> Result<bool, StoreError>;

    /// Removes an app. `false` if there is none.
    async fn remove(&mut self, id: MetaAppId) -> Result<bool, StoreError>;
}

/// Every Meta app of the installation.
#[async_trait]
pub trait MetaAppRegistry: Send {
    /// An app with its secrets.
    async fn by_id(&mut self, id: MetaAppId) -> Result<Option<WebhookApp>, StoreError>;
}

/// A tenant's WhatsApp business accounts.
#[async_trait]
pub trait BusinessAccountRepo: Send {
    /// Stores that the tenant has a number in the business account; a portfolio that is not told
    /// stays as it was.
    async fn seen(
        &mut self,
        meta_id: &str,
        portfolio: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
