//! Webhook endpoints: where a tenant's events go.

use std::collections::BTreeMap;

use kabar::Platform;
use kabar::core::permission::{ReadWebhooks, WriteWebhooks};
use kabar::core::{Cursor, DeviceId, EndpointId, ExposeSecret as _, Secret, Timestamp};
use kabar::webhooks::{
    Backlog, CreatedEndpoint, Endpoint, EndpointPatch, EndpointSettings, EndpointState,
    EventPattern, Health, NewEndpoint, SigningSecret,
};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;
use url::Url;

use super::Area;
use super::accounts::undefined;
use super::answer::{Accepted, Answer, Created, Listed, NoContent, page};
use super::body::JsonBody;
use super::deliveries::DeliveryView;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// How an endpoint fares.
#[derive(Debug, Object)]
#[oai(rename = "WebhookHealth")]
pub struct HealthView {
    /// Failed attempts since the last that succeeded.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// When an attempt succeeded last.
    pub last_success_at: Option<Timestamp>,
    /// When one failed last.
    pub last_failure_at: Option<Timestamp>,
    /// A word for what was wrong then, like `status_500` or `timed_out`.
    pub last_error: Option<String>,
    /// Until when nothing is sent to it: it failed several times in a row, or asked for a rest.
    pub hold_until: Option<Timestamp>,
}

impl From<Health> for HealthView {
    fn from(health: Health) -> Self {
        Self {
            failures: health.failures,
            failing_since: health.failing_since,
            last_success_at: health.last_success_at,
            last_failure_at: health.last_failure_at,
            last_error: health.last_error,
            hold_until: health.hold_until,
        }
    }
}

/// A webhook endpoint. Its signing secret and its headers' values are not shown.
#[derive(Debug, Object)]
#[oai(rename = "Webhook")]
pub struct WebhookView {
    /// Its id.
    pub id: Word<EndpointId>,
    /// Where events go.
    pub url: String,
    /// What the tenant calls it.
    pub description: Option<String>,
    /// What it wants to hear of.
    pub events: Vec<Word<EventPattern>>,
    /// Events of these devices only; empty means all.
    pub devices: Vec<Word<DeviceId>>,
    /// The names of its own headers.
    pub headers: Vec<String>,
    /// Whether messages come with what they hold.
    pub content: bool,
    /// Whether what happens in a chat arrives in that order, one at a time.
    pub ordered: bool,
    /// Deliveries under way at the same time, at most.
    pub concurrency: u16,
    /// Deliveries in a second, at most; null sets no limit.
    pub rate: Option<u32>,
    /// Seconds that an answer may take.
    pub timeout_seconds: u16,
    /// Whether it gets what happens.
    pub state: Word<EndpointState>,
    /// Why it is disabled: `gone` or `failing`.
    pub state_reason: Option<String>,
    /// Since when it is in this state.
    pub state_since: Timestamp,
    /// How it fares.
    pub health: HealthView,
    /// When it was made; nothing older is delivered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl From<Endpoint> for WebhookView {
    fn from(endpoint: Endpoint) -> Self {
        let settings = endpoint.settings;
        Self {
            id: Word(endpoint.id),
            url: settings.url.to_string(),
            description: settings.description,
            events: settings.events.into_iter().map(Word).collect(),
            devices: settings.devices.into_iter().map(Word).collect(),
            headers: settings.headers.into_keys().collect(),
            content: settings.content,
            ordered: settings.ordered,
            concurrency: settings.concurrency,
            rate: settings.rate,
            timeout_seconds: settings.timeout_seconds,
            state: Word(endpoint.state),
            state_reason: endpoint.state_reason,
            state_since: endpoint.state_since,
            health: endpoint.health.into(),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// An endpoint with its signing secret.
#[derive(Object)]
#[oai(rename = "WebhookWithSecret")]
pub struct CreatedWebhookView {
    /// The endpoint.
    pub webhook: WebhookView,
    /// Its signing secret, `whsec_…`; null when the request was sent again.
    pub secret: Option<String>,
}

impl From<CreatedEndpoint> for CreatedWebhookView {
    fn from(made: CreatedEndpoint) -> Self {
        Self {
            webhook: made.endpoint.into(),
            secret: made.secret.map(|secret| secret.expose_secret().to_owned()),
        }
    }
}

/// A signing secret.
#[derive(Object)]
#[oai(rename = "WebhookSecret")]
pub struct SecretView {
    /// The secret, `whsec_…`.
    pub secret: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it no longer signs; null for the present one.
    pub expires_at: Option<Timestamp>,
}

impl From<SigningSecret> for SecretView {
    fn from(secret: SigningSecret) -> Self {
        Self {
            secret: secret.secret.expose_secret().to_owned(),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
        }
    }
}

/// The secrets that sign now.
#[derive(Object)]
#[oai(rename = "WebhookSecrets")]
pub struct SecretsView {
    /// The secrets, newest first.
    pub secrets: Vec<SecretView>,
}

/// How much waits for an endpoint, and how it fares.
#[derive(Debug, Object)]
#[oai(rename = "WebhookStatistics")]
pub struct StatisticsView {
    /// Deliveries that wait; counted up to 10,000.
    pub waiting: u64,
    /// Deliveries that failed for good and are still kept; counted up to 10,000.
    pub failed: u64,
    /// How it fares.
    pub health: HealthView,
}

impl From<(Endpoint, Backlog)> for StatisticsView {
    fn from((endpoint, backlog): (Endpoint, Backlog)) -> Self {
        let Backlog { waiting, failed } = backlog;
        Self { waiting, failed, health: endpoint.health.into() }
    }
}

/// An endpoint to make.
#[derive(Object, Deserialize)]
#[oai(rename = "NewWebhook")]
#[serde(deny_unknown_fields)]
pub struct NewWebhookBody {
    /// Where events go: https, or http, on the public internet.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub url: String,
    /// What you call it.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub description: Option<String>,
    /// What it wants to hear of: kinds like `message.received`, areas like `message.*`, or `*`.
    #[oai(validator(min_items = 1, max_items = 50))]
    pub events: Vec<Word<EventPattern>>,
    /// Events of these devices only; empty means all events, those of no device included.
    #[oai(default, validator(max_items = 200))]
    #[serde(default)]
    pub devices: Vec<Word<DeviceId>>,
    /// Headers of your own. Their values are never shown.
    #[oai(default)]
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether messages come with what they hold.
    #[oai(default = "yes")]
    #[serde(default = "yes")]
    pub content: bool,
    /// Whether what happens in a chat arrives in that order, one at a time.
    #[oai(default)]
    #[serde(default)]
    pub ordered: bool,
    /// Deliveries under way at the same time, at most.
    #[oai(default = "concurrency", validator(minimum(value = "1"), maximum(value = "100")))]
    #[serde(default = "concurrency")]
    pub concurrency: u16,
    /// Deliveries in a second, at most; absent sets no limit.
    #[oai(validator(minimum(value = "1"), maximum(value = "10000")))]
    pub rate: Option<u32>,
    /// Seconds that an answer may take.
    #[oai(default = "timeout", validator(minimum(value = "1"), maximum(value = "30")))]
    #[serde(default = "timeout")]
    pub timeout_seconds: u16,
    /// A signing secret of your own: `whsec_` and 24 to 64 random bytes in base64. One is made when
    /// absent.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub secret: Option<String>,
}

const fn yes() -> bool {
    true
}

const fn concurrency() -> u16 {
    EndpointSettings::CONCURRENCY
}

const fn timeout() -> u16 {
    EndpointSettings::TIMEOUT
}

impl NewWebhookBody {
    fn endpoint(self) -> Result<NewEndpoint, Problem> {
        let settings = EndpointSettings {
            url: address(&self.url)?,
            description: self.description,
            events: self.events.into_iter().map(|word| word.0).collect(),
            devices: self.devices.into_iter().map(|word| word.0).collect(),
            headers: headers(self.headers),
            content: self.content,
            ordered: self.ordered,
            concurrency: self.concurrency,
            rate: self.rate,
            timeout_seconds: self.timeout_seconds,
        };
        Ok(NewEndpoint { settings, secret: self.secret.map(Secret::from) })
    }
}

fn address(text: &str) -> Result<Url, Problem> {
    text.parse().map_err(|error: url::ParseError| {
        Problem::invalid("url", format!("is no address like https://example.com/hook: {error}"))
    })
}

fn headers(headers: BTreeMap<String, String>) -> BTreeMap<String, Secret> {
    let lower = headers.into_iter();
    lower.map(|(name, value)| (name.to_ascii_lowercase(), Secret::from(value))).collect()
}

/// What is to change; an absent field stays as it is.
#[derive(Object, Deserialize)]
#[oai(rename = "WebhookPatch")]
#[serde(deny_unknown_fields)]
pub struct WebhookPatchBody {
    /// Where events go.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub url: Option<String>,
    /// What you call it; null takes it away.
    #[serde(default)]
    pub description: MaybeUndefined<String>,
    /// What it wants to hear of.
    #[oai(validator(min_items = 1, max_items = 50))]
    pub events: Option<Vec<Word<EventPattern>>>,
    /// Events of these devices only.
    #[oai(validator(max_items = 200))]
    pub devices: Option<Vec<Word<DeviceId>>>,
    /// Headers of your own, replacing the present ones.
    pub headers: Option<BTreeMap<String, String>>,
    /// Whether messages come with what they hold.
    pub content: Option<bool>,
    /// Whether what happens in a chat arrives in that order.
    pub ordered: Option<bool>,
    /// Deliveries under way at the same time, at most.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub concurrency: Option<u16>,
    /// Deliveries in a second, at most; null takes the limit away.
    #[serde(default)]
    pub rate: MaybeUndefined<u32>,
    /// Seconds that an answer may take.
    #[oai(validator(minimum(value = "1"), maximum(value = "30")))]
    pub timeout_seconds: Option<u16>,
    /// `paused` keeps what happens until it is `active` again; `active` switches a disabled one on.
    pub state: Option<Word<EndpointState>>,
}

impl WebhookPatchBody {
    fn patch(self) -> Result<EndpointPatch, Problem> {
        let plain = |words: Vec<Word<EventPattern>>| words.into_iter().map(|word| word.0).collect();
        Ok(EndpointPatch {
            url: self.url.as_deref().map(address).transpose()?,
            description: undefined(self.description),
            events: self.events.map(plain),
            devices: self.devices.map(|ids| ids.into_iter().map(|id| id.0).collect()),
            headers: self.headers.map(headers),
            content: self.content,
            ordered: self.ordered,
            concurrency: self.concurrency,
            rate: undefined(self.rate),
            timeout_seconds: self.timeout_seconds,
            state: self.state.map(|word| word.0),
        })
    }
}

/// A new signing secret.
#[derive(Object, Deserialize)]
#[oai(rename = "RotateSecret")]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// A secret of your own; one is made when absent.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub secret: Option<String>,
    /// Seconds for which the old secret signs beside the new one: a day when absent, seven days at
    /// most, 0 when the old one is lost.
    #[oai(validator(maximum(value = "604800")))]
    pub overlap_seconds: Option<u32>,
}

/// The operations.
pub struct WebhooksApi(pub Platform);

#[OpenApi(tag = "Area::Webhooks")]
impl WebhooksApi {
    /// List webhook endpoints
    ///
    /// Needs `webhooks:read`.
    #[oai(path = "/webhooks", method = "get", operation_id = "listWebhooks")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadWebhooks>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<WebhookView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.webhooks().list(&may.grant, page).await?))
    }

    /// Make a webhook endpoint
    ///
    /// It gets what happens from now on, signed after Standard Webhooks. The signing secret is in
    /// this answer. Needs `webhooks:write`.
    #[oai(path = "/webhooks", method = "post", operation_id = "createWebhook")]
    async fn create(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewWebhookBody>,
    ) -> Result<Created<CreatedWebhookView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createWebhook", body.hash);
        let new = body.value.endpoint()?;
        let made = self.0.webhooks().create(&may.grant, new, once.as_ref()).await?;
        let replayed = made.secret.is_none();
        Ok(Created::new(made.into(), replayed))
    }

    /// Get a webhook endpoint
    ///
    /// Needs `webhooks:read`.
    #[oai(path = "/webhooks/:id", method = "get", operation_id = "getWebhook")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadWebhooks>>,
        id: Path<Word<EndpointId>>,
    ) -> Answer<WebhookView> {
        let endpoint = self.0.webhooks().get(&may.grant, id.0.0).await?;
        Ok(Json(endpoint.into()))
    }

    /// How much waits for a webhook endpoint
    ///
    /// Needs `webhooks:read`.
    #[oai(path = "/webhooks/:id/statistics", method = "get", operation_id = "getWebhookStatistics")]
    async fn statistics(
        &self,
        Auth(may): Auth<InAccount<ReadWebhooks>>,
        id: Path<Word<EndpointId>>,
    ) -> Answer<StatisticsView> {
        let backlog = self.0.webhooks().backlog(&may.grant, id.0.0).await?;
        Ok(Json(backlog.into()))
    }

    /// Change a webhook endpoint
    ///
    /// Needs `webhooks:write`.
    #[oai(path = "/webhooks/:id", method = "patch", operation_id = "updateWebhook")]
    async fn update(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        id: Path<Word<EndpointId>>,
        body: JsonBody<WebhookPatchBody>,
    ) -> Answer<WebhookView> {
        let patch = body.value.patch()?;
        let endpoint = self.0.webhooks().update(&may.grant, id.0.0, patch).await?;
        Ok(Json(endpoint.into()))
    }

    /// Remove a webhook endpoint
    ///
    /// With its secrets, and with what waits for it. Needs `webhooks:write`.
    #[oai(path = "/webhooks/:id", method = "delete", operation_id = "removeWebhook")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        id: Path<Word<EndpointId>>,
    ) -> Result<NoContent, Problem> {
        self.0.webhooks().remove(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }

    /// Show the signing secrets
    ///
    /// Those that sign now. That they were shown is written into the audit log. Needs
    /// `webhooks:write`.
    #[oai(path = "/webhooks/:id/secrets", method = "get", operation_id = "revealWebhookSecrets")]
    async fn secrets(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        id: Path<Word<EndpointId>>,
    ) -> Answer<SecretsView> {
        let secrets = self.0.webhooks().reveal_secrets(&may.grant, id.0.0).await?;
        Ok(Json(SecretsView { secrets: secrets.into_iter().map(SecretView::from).collect() }))
    }

    /// Replace the signing secret
    ///
    /// For a while both secrets sign, so that the receiver can change in peace. Needs
    /// `webhooks:write`.
    #[oai(path = "/webhooks/:id/secrets", method = "post", operation_id = "rotateWebhookSecret")]
    async fn rotate(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        id: Path<Word<EndpointId>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<RotateBody>,
    ) -> Result<Created<CreatedWebhookView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "rotateWebhookSecret", body.hash);
        let RotateBody { secret, overlap_seconds } = body.value;
        let (secret, once) = (secret.map(Secret::from), once.as_ref());
        let webhooks = self.0.webhooks();
        let rotated =
            webhooks.rotate_secret(&may.grant, id.0.0, secret, overlap_seconds, once).await?;
        let replayed = rotated.secret.is_none();
        Ok(Created::new(rotated.into(), replayed))
    }

    /// Send a test event
    ///
    /// A `webhook.test`, on the same road as every event, to endpoints of any state; it waits while
    /// the endpoint is not active. Needs `webhooks:write`.
    #[oai(path = "/webhooks/:id/test", method = "post", operation_id = "testWebhook")]
    async fn test(
        &self,
        Auth(may): Auth<InAccount<WriteWebhooks>>,
        id: Path<Word<EndpointId>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
    ) -> Result<Accepted<DeliveryView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "testWebhook", [0; 32]);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let made = self.0.webhooks().test(&may.grant, id.0.0, once.as_ref()).await?;
        Ok(Accepted::new(made.into(), replayed))
    }
}
