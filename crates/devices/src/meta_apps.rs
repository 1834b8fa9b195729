//! Adding and removing Meta apps.

use std::sync::Arc;

use kabar_accounts::Recent;
use kabar_accounts::journal::{Change, record};
use kabar_accounts::{Invalid, Realm, check};
use kabar_core::permission::{ReadDevices, WriteDevices};
use kabar_core::work::OnceError;
use kabar_core::{
    Clock, Denied, ExposeSecret as _, Grant, IdSource, InstallationScope, MetaAppId, Once, Page,
    PageRequest, Secret, Store, StoreError, Timestamp,
};
use kabar_events::Fact;
use serde_json::json;

use crate::meta::{MetaApp, NewMetaApp, WebhookApp, installation_app};
use crate::repo::DevicesUse;

/// Characters of a secret, at most; Meta's app secrets have 32.
const SECRET_MOST: usize = 512;

/// Why a Meta app is not added, read or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetaAppError {
    /// There is no such app here.
    #[error("no such Meta app")]
    NotFound,
    /// A field cannot be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A device gets its webhooks from the app.
    #[error("a device uses this Meta app; give the device another app first")]
    InUse,
    /// The account does not exist.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The request repeats another one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The Meta apps of tenants, and the installation's own. Their secrets never come back out, except
/// to the webhook's receiver.
#[derive(Clone)]
pub struct MetaApps {
    store: Arc<dyn Store<dyn DevicesUse>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    recent: Recent<MetaAppId, WebhookApp>,
}

impl std::fmt::Debug for MetaApps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetaApps").finish_non_exhaustive()
    }
}

impl MetaApps {
    /// Meta apps in a store.
    pub fn new(
        store: Arc<dyn Store<dyn DevicesUse>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, clock, ids, recent: Recent::default() }
    }

    /// Adds an app of a tenant.
    ///
    /// # Errors
    /// [`MetaAppError::Invalid`].
    pub async fn create(
        &self,
        grant: &Grant<WriteDevices>,
        new: NewMetaApp,
        once: Option<&Once>,
    ) -> Result<MetaApp, MetaAppError> {
        let (realm, now) = (Realm::from(grant), self.clock.now());
        let app = MetaApp {
            id: MetaAppId::from(self.ids.next()),
            account: realm.account(),
            name: check::name("name", &new.name)?,
            meta_app_id: new.meta_app_id.map(meta_id).transpose()?,
            created_at: now,
        };
        secret("app_secret", &new.app_secret)?;
        secret("verify_token", &new.verify_token)?;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<MetaAppId>(&*work).await?
        {
            let app = work.meta_apps(realm).get(id).await?;
            return app.ok_or(MetaAppError::NotFound);
        }
        if !realm.exists(&*work).await? {
            return Err(Denied::NoSuchAccount.into());
        }
        let mut apps = work.meta_apps(realm);
        apps.put(&app, &new.app_secret, &new.verify_token).await?;
        drop(apps);
        let change = change(realm, app.id, "meta_app.create", now);
        record(&*work, &*self.ids, change).await?;
        if let Some(once) = once {
            once.remember(&*work, &app.id, now).await?;
        }
        work.commit().await?;
        Ok(app)
    }

    /// An app of a tenant.
    ///
    /// # Errors
    /// [`MetaAppError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadDevices>,
        id: MetaAppId,
    ) -> Result<MetaApp, MetaAppError> {
        let work = self.store.read().await?;
        let app = work.meta_apps(grant.into()).get(id).await?;
        app.ok_or(MetaAppError::NotFound)
    }

    /// The apps of a tenant, newest first.
    ///
    /// # Errors
    /// [`MetaAppError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadDevices>,
        page: PageRequest,
    ) -> Result<Page<MetaApp>, MetaAppError> {
        let work = self.store.read().await?;
        Ok(work.meta_apps(grant.into()).list(page).await?)
    }

    /// Removes an app of a tenant that no device uses.
    ///
    /// # Errors
    /// [`MetaAppError::NotFound`], [`MetaAppError::InUse`].
    pub async fn remove(
        &self,
        grant: &Grant<WriteDevices>,
        id: MetaAppId,
    ) -> Result<(), MetaAppError> {
        let realm = Realm::from(grant);
        let work = self.store.begin().await?;
        if !work.meta_apps(realm).remove(id).await? {
            return Err(MetaAppError::NotFound);
        }
        if work.meta_apps(realm).in_use(id).await? {
            return Err(MetaAppError::InUse);
        }
        let change = change(realm, id, "meta_app.remove", self.clock.now());
        record(&*work, &*self.ids, change).await?;
        work.commit().await?;
        self.recent.forget();
        Ok(())
    }

    /// Brings the installation's own app in line with the configuration. Its id, and with it its
    /// webhook address, is always [`installation_app`].
    ///
    /// # Errors
    /// [`MetaAppError::Invalid`].
    pub async fn ensure_installation_app(
        &self,
        app_secret: &Secret,
        verify_token: &Secret,
    ) -> Result<MetaApp, MetaAppError> {
        secret("app_secret", app_secret)?;
        secret("verify_token", verify_token)?;
        let scope = InstallationScope::system("configuration");
        let (realm, now) = (Realm::from(scope), self.clock.now());
        let work = self.store.begin().await?;
        let present = work.meta_apps(realm).get(installation_app()).await?;
        let stored = work.meta_app_registry(scope).by_id(installation_app()).await?;
        if let (Some(app), Some(stored)) = (&present, &stored)
            && same(&stored.app_secret, app_secret)
            && same(&stored.verify_token, verify_token)
        {
            return Ok(app.clone());
        }
        let app = present.unwrap_or_else(|| MetaApp {
            id: installation_app(),
            account: None,
            name: "Installation".to_owned(),
            meta_app_id: None,
            created_at: now,
        });
        let mut apps = work.meta_apps(realm);
        apps.put(&app, app_secret, verify_token).await?;
        drop(apps);
        let change = change(realm, app.id, "meta_app.configure", now);
        record(&*work, &*self.ids, change).await?;
        work.commit().await?;
        self.recent.forget();
        Ok(app)
    }

    /// An app with its secrets, for the receiver of its webhooks.
    ///
    /// # Errors
    /// [`MetaAppError::Store`].
    pub async fn webhook_app(
        &self,
        scope: InstallationScope,
        id: MetaAppId,
    ) -> Result<Option<WebhookApp>, MetaAppError> {
        let now = self.clock.now();
        if let Some(recent) = self.recent.get(&id, now) {
            return Ok(Some(recent));
        }
        let work = self.store.read().await?;
        let found = work.meta_app_registry(scope).by_id(id).await?;
        if let Some(found) = &found {
            self.recent.put(id, found, now);
        }
        Ok(found)
    }
}

fn same(one: &Secret, other: &Secret) -> bool {
    one.expose_secret() == other.expose_secret()
}

fn secret(field: &'static str, secret: &Secret) -> Result<(), Invalid> {
    let text = secret.expose_secret();
    if text.is_empty() || text.len() > SECRET_MOST || text.chars().any(char::is_control) {
        let problem = format!("must have 1 to {SECRET_MOST} characters");
        return Err(Invalid::new(field, problem));
    }
    Ok(())
}

fn meta_id(text: String) -> Result<String, Invalid> {
    if (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(Invalid::new("meta_app_id", "must be the digits of Meta's app id"))
    }
}

fn change(realm: Realm, id: MetaAppId, action: &'static str, at: Timestamp) -> Change {
    Change {
        account: realm.account(),
        actor: realm.actor(),
        action,
        subject: id.to_string(),
        detail: json!({}),
        fact: Fact::MetaAppChanged { app_id: id },
        at,
    }
}
