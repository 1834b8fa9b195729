//! The sandbox at a glance.

use serde::{Deserialize, Serialize};

use crate::accounts::Account;
use crate::config::Settings;
use crate::webhooks::WebhookCounts;

/// What `GET /control/state` answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overview {
    /// Base address of the Graph API and the control API.
    pub base_url: String,
    /// Sandbox time, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Messages accepted since the start or the last reset.
    pub accepted: u64,
    /// Customers known.
    pub customers: usize,
    /// Media stored.
    pub media: usize,
    /// Webhook counts.
    pub webhooks: WebhookCounts,
    /// Faults that may still strike.
    pub faults: usize,
    /// Accounts with their numbers and tokens.
    pub accounts: Vec<Account>,
    /// The seeded app's callback.
    pub callback_url: Option<String>,
    /// Settings in force.
    pub settings: Settings,
}

/// How much a reset clears.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetScope {
    /// Messages, media, customers, windows, faults, pending and remembered webhooks, the clock's
    /// offset. Accounts, templates, callbacks and settings stay.
    #[default]
    Traffic,
    /// Everything: back to the state after start.
    All,
}
