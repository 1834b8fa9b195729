//! What a tenant does with endpoints.

use std::sync::Arc;

use chrono::TimeDelta;
use kabar_accounts::audit::AuditEntry;
use kabar_accounts::journal::{Change, record};
use kabar_core::permission::{ReadWebhooks, WriteWebhooks};
use kabar_core::work::OnceError;
use kabar_core::{
    AuditId, Clock, DeliveryId, EndpointId, Grant, IdSource, Once, Page, PageRequest, Scope,
    Secret, Store, StoreError, Timestamp,
};
use kabar_events::Fact;
use kabar_outbound::Guard;
use serde_json::json;

use crate::check::{self, Invalid};
use crate::delivery::{Delivery, NewDelivery};
use crate::endpoint::{Backlog, Endpoint, EndpointPatch, EndpointState, Health, NewEndpoint};
use crate::repo::WebhooksUse;
use crate::secret::SigningSecret;
use crate::view;

/// Endpoints of an account, at most.
const MOST: u64 = 100;
/// Hours for which an old secret signs beside the new one when nothing is said.
const OVERLAP: TimeDelta = TimeDelta::hours(24);
/// The longest that can be asked for.
const LONGEST_OVERLAP: u32 = 7 * 24 * 3_600;
/// The kind of a test event.
const TEST: &str = "webhook.test";

/// Why an endpoint cannot be had, made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no such endpoint.
    #[error("no such webhook endpoint")]
    NotFound,
    /// A device that is named does not exist.
    #[error("devices[{0}]: no such device")]
    NoSuchDevice(usize),
    /// A field cannot be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The account has as many as it can have.
    #[error("an account has at most {MOST} webhook endpoints; remove one first")]
    TooMany,
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An endpoint that was made, with its secret.
#[derive(Debug, Clone)]
pub struct CreatedEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its signing secret; `None` when the request was carried out before.
    pub secret: Option<Secret>,
}

/// Endpoints of tenants.
#[derive(Clone)]
pub struct Webhooks {
    store: Arc<dyn Store<dyn WebhooksUse>>,
    guard: Guard,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Webhooks {
    /// The service over a store; the guard says which addresses can be endpoints.
    pub fn new(
        store: Arc<dyn Store<dyn WebhooksUse>>,
        guard: Guard,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, guard, clock, ids }
    }

    /// Makes an endpoint. It gets what happens from now on.
    ///
    /// # Errors
    /// [`EndpointError::Invalid`], [`EndpointError::NoSuchDevice`], [`EndpointError::TooMany`].
    pub async fn create(
        &self,
        grant: &Grant<WriteWebhooks>,
        new: NewEndpoint,
        once: Option<&Once>,
    ) -> Result<CreatedEndpoint, EndpointError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<EndpointId>(&*work).await?
        {
            let endpoint = work.endpoints(scope).get(id).await?.ok_or(EndpointError::NotFound)?;
            return Ok(CreatedEndpoint { endpoint, secret: None });
        }
        let secret = self.secret(new.secret, now)?;
        let endpoint = Endpoint {
            id: self.ids.id(),
            account: scope.account(),
            settings: new.settings,
            state: EndpointState::Active,
            state_reason: None,
            state_since: now,
            health: Health::default(),
            created_at: now,
            updated_at: now,
        };
        self.check(&*work, scope, &endpoint).await?;
        if work.endpoints(scope).count().await? >= MOST {
            return Err(EndpointError::TooMany);
        }
        work.endpoints(scope).insert(&endpoint, &secret).await?;
        if let Some(once) = once {
            once.remember(&*work, &endpoint.id, now).await?;
        }
        self.record(&*work, scope, &endpoint, "webhook.create").await?;
        work.commit().await?;
        Ok(CreatedEndpoint { endpoint, secret: Some(secret.secret) })
    }

    fn secret(&self, given: Option<Secret>, now: Timestamp) -> Result<SigningSecret, Invalid> {
        match given {
            None => Ok(SigningSecret::generate(&*self.ids, now)),
            Some(secret) => SigningSecret::given(secret, &*self.ids, now)
                .map_err(|error| Invalid::new("secret", error.to_string())),
        }
    }

    /// An endpoint.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadWebhooks>,
        id: EndpointId,
    ) -> Result<Endpoint, EndpointError> {
        let work = self.store.read().await?;
        work.endpoints(grant.scope()).get(id).await?.ok_or(EndpointError::NotFound)
    }

    /// The tenant's endpoints, newest first.
    ///
    /// # Errors
    /// [`EndpointError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadWebhooks>,
        page: PageRequest,
    ) -> Result<Page<Endpoint>, EndpointError> {
        let work = self.store.read().await?;
        Ok(work.endpoints(grant.scope()).list(page).await?)
    }

    /// How much waits for an endpoint.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`].
    pub async fn backlog(
        &self,
        grant: &Grant<ReadWebhooks>,
        id: EndpointId,
    ) -> Result<(Endpoint, Backlog), EndpointError> {
        let work = self.store.read().await?;
        let mut endpoints = work.endpoints(grant.scope());
        let endpoint = endpoints.get(id).await?.ok_or(EndpointError::NotFound)?;
        let backlog = endpoints.backlog(id).await?;
        Ok((endpoint, backlog))
    }

    /// Changes an endpoint. Making it active again forgets how it failed, and what waits goes out.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`], [`EndpointError::Invalid`], [`EndpointError::NoSuchDevice`].
    pub async fn update(
        &self,
        grant: &Grant<WriteWebhooks>,
        id: EndpointId,
        patch: EndpointPatch,
    ) -> Result<Endpoint, EndpointError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let work = self.store.begin().await?;
        let found = work.endpoints(scope).lock(id).await?;
        let mut endpoint = found.ok_or(EndpointError::NotFound)?;
        let before = endpoint.state;
        apply(&mut endpoint, patch, now)?;
        endpoint.updated_at = now;
        self.check(&*work, scope, &endpoint).await?;
        work.endpoints(scope).update(&endpoint, now).await?;
        if before == EndpointState::Disabled && endpoint.state == EndpointState::Active {
            endpoint.health = Health {
                last_success_at: endpoint.health.last_success_at,
                last_failure_at: endpoint.health.last_failure_at,
                last_error: endpoint.health.last_error.take(),
                ..Health::default()
            };
            work.endpoints(scope).set_health(id, &endpoint.health).await?;
        }
        self.record(&*work, scope, &endpoint, "webhook.update").await?;
        work.commit().await?;
        Ok(endpoint)
    }

    /// Removes an endpoint, with its secrets and with what waits for it.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`].
    pub async fn remove(
        &self,
        grant: &Grant<WriteWebhooks>,
        id: EndpointId,
    ) -> Result<(), EndpointError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let work = self.store.begin().await?;
        let endpoint = work.endpoints(scope).lock(id).await?.ok_or(EndpointError::NotFound)?;
        work.endpoints(scope).remove(id, now).await?;
        self.record(&*work, scope, &endpoint, "webhook.remove").await?;
        Ok(work.commit().await?)
    }

    /// Replaces the signing secret. The old one signs beside the new for `overlap_seconds`, a day
    /// when nothing is said, so that the receiver can change in peace.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`], [`EndpointError::Invalid`].
    pub async fn rotate_secret(
        &self,
        grant: &Grant<WriteWebhooks>,
        id: EndpointId,
        given: Option<Secret>,
        overlap_seconds: Option<u32>,
        once: Option<&Once>,
    ) -> Result<CreatedEndpoint, EndpointError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let overlap = match overlap_seconds {
            Some(seconds) if seconds > LONGEST_OVERLAP => {
                let problem = format!("must be at most {LONGEST_OVERLAP}, seven days");
                return Err(Invalid::new("overlap_seconds", problem).into());
            }
            Some(seconds) => TimeDelta::seconds(i64::from(seconds)),
            None => OVERLAP,
        };
        let secret = self.secret(given, now)?;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<EndpointId>(&*work).await?
        {
            let endpoint = work.endpoints(scope).get(id).await?.ok_or(EndpointError::NotFound)?;
            return Ok(CreatedEndpoint { endpoint, secret: None });
        }
        let mut endpoint = work.endpoints(scope).lock(id).await?.ok_or(EndpointError::NotFound)?;
        endpoint.updated_at = now;
        work.endpoints(scope).rotate(id, &secret, now + overlap).await?;
        work.endpoints(scope).update(&endpoint, now).await?;
        if let Some(once) = once {
            once.remember(&*work, &id, now).await?;
        }
        self.record(&*work, scope, &endpoint, "webhook.rotate_secret").await?;
        work.commit().await?;
        Ok(CreatedEndpoint { endpoint, secret: Some(secret.secret) })
    }

    /// The secrets that sign now, newest first. That they were shown is written into the audit log.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`].
    pub async fn reveal_secrets(
        &self,
        grant: &Grant<WriteWebhooks>,
        id: EndpointId,
    ) -> Result<Vec<SigningSecret>, EndpointError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let work = self.store.begin().await?;
        let mut endpoints = work.endpoints(scope);
        endpoints.get(id).await?.ok_or(EndpointError::NotFound)?;
        let mut secrets = endpoints.secrets(id).await?;
        drop(endpoints);
        secrets.retain(|secret| secret.signs_at(now));
        let entry = AuditEntry {
            id: AuditId::from(self.ids.next()),
            account: Some(scope.account()),
            actor: scope.actor(),
            action: "webhook.reveal_secret",
            subject: Some(id.to_string()),
            detail: json!({}),
            at: now,
        };
        work.audit().write(&[entry]).await?;
        work.commit().await?;
        Ok(secrets)
    }

    /// Sends a test event to an endpoint, on the same road as every other.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`].
    pub async fn test(
        &self,
        grant: &Grant<WriteWebhooks>,
        id: EndpointId,
        once: Option<&Once>,
    ) -> Result<Delivery, EndpointError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let work = self.store.begin().await?;
        let delivery = match once {
            Some(once) => once.recall::<DeliveryId>(&*work).await?,
            None => None,
        };
        if let Some(delivery) = delivery {
            let found = work.deliveries(scope).get(delivery).await?;
            return found.ok_or(EndpointError::NotFound);
        }
        work.endpoints(scope).get(id).await?.ok_or(EndpointError::NotFound)?;
        let data = json!({ "endpoint_id": id });
        let new = NewDelivery {
            id: self.ids.id(),
            account: scope.account(),
            endpoint: id,
            event: None,
            kind: TEST.to_owned(),
            chat: None,
            contact: None,
            payload: view::payload(TEST, scope.account(), now, &data),
            at: now,
        };
        let installation = kabar_core::InstallationScope::system("webhooks");
        work.fan_out(installation).put(std::slice::from_ref(&new), now).await?;
        if let Some(once) = once {
            once.remember(&*work, &new.id, now).await?;
        }
        let made = work.deliveries(scope).get(new.id).await?.ok_or(EndpointError::NotFound)?;
        work.commit().await?;
        Ok(made)
    }

    async fn check(
        &self,
        work: &(dyn WebhooksUse + '_),
        scope: Scope,
        endpoint: &Endpoint,
    ) -> Result<(), EndpointError> {
        check::settings(&endpoint.settings, &self.guard)?;
        for (index, device) in endpoint.settings.devices.iter().enumerate() {
            if work.devices(scope).get(*device).await?.is_none() {
                return Err(EndpointError::NoSuchDevice(index));
            }
        }
        Ok(())
    }

    async fn record(
        &self,
        work: &(dyn WebhooksUse + '_),
        scope: Scope,
        endpoint: &Endpoint,
        action: &'static str,
    ) -> Result<(), StoreError> {
        let change = Change {
            account: Some(scope.account()),
            actor: scope.actor(),
            action,
            subject: endpoint.id.to_string(),
            // An address may hold a token; its host does not.
            detail: json!({
                "host": endpoint.settings.url.host_str(),
                "state": endpoint.state.as_str(),
            }),
            fact: Fact::WebhookChanged { endpoint_id: endpoint.id },
            at: self.clock.now(),
        };
        record(work, &*self.ids, change).await
    }
}

fn apply(endpoint: &mut Endpoint, patch: EndpointPatch, now: Timestamp) -> Result<(), Invalid> {
    let settings = &mut endpoint.settings;
    let EndpointPatch {
        url,
        description,
        events,
        devices,
        headers,
        content,
        ordered,
        concurrency,
        rate,
        timeout_seconds,
        state,
    } = patch;
    set(&mut settings.url, url);
    set(&mut settings.description, description);
    set(&mut settings.events, events);
    set(&mut settings.devices, devices);
    set(&mut settings.headers, headers);
    set(&mut settings.content, content);
    set(&mut settings.ordered, ordered);
    set(&mut settings.concurrency, concurrency);
    set(&mut settings.rate, rate);
    set(&mut settings.timeout_seconds, timeout_seconds);
    match state {
        Some(EndpointState::Disabled) => {
            let problem = "endpoints are disabled by their failures; pause or remove it instead";
            return Err(Invalid::new("state", problem));
        }
        Some(state) if state != endpoint.state => {
            endpoint.state = state;
            endpoint.state_reason = None;
            endpoint.state_since = now;
        }
        _ => {}
    }
    Ok(())
}

fn set<T>(field: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *field = new;
    }
}
