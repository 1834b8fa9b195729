//! An endpoint: where a tenant's events go.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kabar_core::{AccountId, DeviceId, EndpointId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::kinds::EventPattern;

/// Whether an endpoint gets what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndpointState {
    /// It does.
    Active,
    /// Its tenant holds it back: what happens waits for it.
    Paused,
    /// It was switched off, by its own word or because it failed for too long: what waits stays,
    /// and what happens meanwhile is not kept for it.
    Disabled,
}

impl EndpointState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Active, Self::Paused, Self::Disabled];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is on none of this room's lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a known state")]
pub struct UnknownWord(pub(crate) String);

impl FromStr for EndpointState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let state = Self::ALL.iter().copied().find(|state| state.as_str() == text);
        state.ok_or_else(|| UnknownWord(text.chars().take(64).collect()))
    }
}

/// How an endpoint fares. Written by the node that works on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Failed attempts since the last that succeeded.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// When an attempt succeeded last.
    pub last_success_at: Option<Timestamp>,
    /// When one failed last.
    pub last_failure_at: Option<Timestamp>,
    /// What was wrong then: a status, or a word for why there was no answer.
    pub last_error: Option<String>,
    /// Until when nothing is sent to it.
    pub hold_until: Option<Timestamp>,
}

/// What a tenant sets on an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// Where to.
    pub url: Url,
    /// What the tenant calls it.
    pub description: Option<String>,
    /// What it wants to hear of.
    pub events: Vec<EventPattern>,
    /// Events of these devices only; empty means all events, those of no device included.
    pub devices: Vec<DeviceId>,
    /// Headers of its own, in lower case. Their values are secrets.
    pub headers: BTreeMap<String, Secret>,
    /// Whether messages come with what they hold.
    pub content: bool,
    /// Whether what happens in a chat arrives in that order, one at a time.
    pub ordered: bool,
    /// Deliveries under way at the same time, at most.
    pub concurrency: u16,
    /// Deliveries in a second, at most; `None` sets no limit.
    pub rate: Option<u32>,
    /// Seconds that an answer may take.
    pub timeout_seconds: u16,
}

impl EndpointSettings {
    /// Deliveries under way at the same time when nothing is said.
    pub const CONCURRENCY: u16 = 10;
    /// The most that can be asked for.
    pub const MOST_CONCURRENCY: u16 = 100;
    /// Seconds that an answer may take when nothing is said (Standard Webhooks advises 15 to 30).
    pub const TIMEOUT: u16 = 15;
    /// The longest that can be asked for.
    pub const MOST_TIMEOUT: u16 = 30;

    /// An endpoint for the given events, with everything else as usual.
    pub const fn new(url: Url, events: Vec<EventPattern>) -> Self {
        Self {
            url,
            description: None,
            events,
            devices: Vec::new(),
            headers: BTreeMap::new(),
            content: true,
            ordered: false,
            concurrency: Self::CONCURRENCY,
            rate: None,
            timeout_seconds: Self::TIMEOUT,
        }
    }
}

/// An endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Its account.
    pub account: AccountId,
    /// What the tenant set.
    pub settings: EndpointSettings,
    /// Whether it gets what happens.
    pub state: EndpointState,
    /// Why it is not active.
    pub state_reason: Option<String>,
    /// Since when it is in this state.
    pub state_since: Timestamp,
    /// How it fares.
    pub health: Health,
    /// When it was made; nothing older is delivered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// An endpoint to make.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// What the tenant sets.
    pub settings: EndpointSettings,
    /// A signing secret of the tenant's own, `whsec_…`; one is made when absent.
    pub secret: Option<Secret>,
}

/// A change; an absent field stays as it is.
#[derive(Debug, Clone, Default)]
pub struct EndpointPatch {
    /// Where to.
    pub url: Option<Url>,
    /// What the tenant calls it; `Some(None)` takes it away.
    pub description: Option<Option<String>>,
    /// What it wants to hear of.
    pub events: Option<Vec<EventPattern>>,
    /// Events of these devices only.
    pub devices: Option<Vec<DeviceId>>,
    /// Headers, replacing the present ones.
    pub headers: Option<BTreeMap<String, Secret>>,
    /// Whether messages come with what they hold.
    pub content: Option<bool>,
    /// Whether what happens in a chat arrives in that order.
    pub ordered: Option<bool>,
    /// Deliveries under way at the same time, at most.
    pub concurrency: Option<u16>,
    /// Deliveries in a second, at most; `Some(None)` takes the limit away.
    pub rate: Option<Option<u32>>,
    /// Seconds that an answer may take.
    pub timeout_seconds: Option<u16>,
    /// Whether it gets what happens: pause it, or make it active again.
    pub state: Option<EndpointState>,
}

/// How much waits for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// Deliveries that wait; counted up to [`Backlog::MOST`].
    pub waiting: u64,
    /// Deliveries that failed for good and are still kept; counted up to [`Backlog::MOST`].
    pub failed: u64,
}

impl Backlog {
    /// Where counting ends: beyond it the number is no news and the counting is.
    pub const MOST: u64 = 10_000;
}
