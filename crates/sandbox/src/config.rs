//! What a sandbox starts with, and what may change while it runs.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::webhooks::WebhookConfig;

/// Access token of the seeded account.
pub const DEFAULT_TOKEN: &str = "sandbox-token";
/// WhatsApp Business Account id of the seeded account.
pub const DEFAULT_WABA_ID: &str = "102290129340398";
/// Phone number id of the seeded number.
pub const DEFAULT_PHONE_NUMBER_ID: &str = "106540352242922";
/// Digits of the seeded business number.
pub const DEFAULT_DISPLAY_PHONE_NUMBER: &str = "15550783881";
/// Business portfolio id of the seeded account.
pub const DEFAULT_BUSINESS_ID: &str = "506914307656634";
/// App id of the seeded app.
pub const DEFAULT_APP_ID: &str = "670843887433847";
/// Secret of the seeded app: it signs webhooks.
pub const DEFAULT_APP_SECRET: &str = "sandbox-app-secret";
/// Verify token of the seeded app: it travels in the webhook handshake.
pub const DEFAULT_VERIFY_TOKEN: &str = "sandbox-verify-token";

/// Everything [`crate::Sandbox::start`] needs.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Address to listen on; port 0 takes a free one. Default `127.0.0.1:0`.
    pub bind: SocketAddr,
    /// How others reach the sandbox, used in media addresses, e.g. `http://sandbox:4040`.
    /// Default: `http://` and the bound address.
    pub public_url: Option<String>,
    /// Seed of ids, delays and fault probabilities. Default: from the operating system, so that
    /// ids differ between runs.
    pub seed: Option<u64>,
    /// How many accepted messages are remembered; the oldest go first. Default 1,000,000.
    pub max_messages: usize,
    /// How many webhook posts are remembered with their body. Default 10,000.
    pub max_webhook_log: usize,
    /// How many webhooks are posted at once. Updates about one customer keep their order. Default 16.
    pub webhook_workers: usize,
    /// Where the seeded app's webhooks go, taken as it is: no handshake at start.
    pub webhook: Option<WebhookConfig>,
    /// What may change later through [`crate::Sandbox::set_settings`].
    pub settings: Settings,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            seed: None,
            max_messages: 1_000_000,
            max_webhook_log: 10_000,
            webhook_workers: 16,
            webhook: None,
            settings: Settings::default(),
        }
    }
}

/// Behaviour that may change while the sandbox runs (`GET`/`PATCH /control/settings`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What happens to a free-form message outside the 24-hour customer window.
    pub window: WindowMode,
    /// Whether customers read what they get, unless a customer says otherwise. Default true.
    pub reads: bool,
    /// Wait before each of `sent` and `delivered`.
    pub delivery_delay_ms: DelayRange,
    /// Wait between `delivered` and `read`.
    pub read_delay_ms: DelayRange,
    /// How many updates may share one webhook post, if they wait at the same time. Default 1.
    pub batch: usize,
    /// How long a webhook receiver may take, in milliseconds. Default 10,000.
    pub webhook_timeout_ms: u64,
    /// How refused webhooks are repeated.
    pub retry: RetryPlan,
    /// Messages a number may send per second (80 or 1,000 at Meta); above it 130429.
    /// Default: no limit.
    pub throughput_per_second: Option<u32>,
    /// Whether the pair limit holds (bursts of 45, then one message per 6 s to one customer);
    /// above it 131056. Default false.
    pub pair_limit: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: WindowMode::default(),
            reads: true,
            delivery_delay_ms: DelayRange { min: 0, max: 20 },
            read_delay_ms: DelayRange { min: 0, max: 20 },
            batch: 1,
            webhook_timeout_ms: 10_000,
            retry: RetryPlan::default(),
            throughput_per_second: None,
            pair_limit: false,
        }
    }
}

/// How the 24-hour customer window is enforced (code 131047).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowMode {
    /// Accepted with 200, then a `failed` status: what Meta does in practice.
    #[default]
    Async,
    /// Refused at once with HTTP 400.
    Sync,
    /// Not enforced.
    Off,
}

/// A wait drawn evenly from `min..=max` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelayRange {
    /// Shortest wait, in milliseconds.
    pub min: u64,
    /// Longest wait, in milliseconds.
    pub max: u64,
}

impl DelayRange {
    /// No wait at all.
    pub const NONE: Self = Self { min: 0, max: 0 };
}

/// How a webhook that was not answered with 200 is repeated: at once, then with doubling gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPlan {
    /// Gap before the second repeat, in milliseconds; the first follows at once. Default 50.
    pub gap_ms: u64,
    /// Longest gap, in milliseconds. Default 2,000.
    pub max_gap_ms: u64,
    /// For how long a webhook is repeated, in milliseconds. Default one day; Meta: 36 hours to 7
    /// days.
    pub total_ms: u64,
}

impl Default for RetryPlan {
    fn default() -> Self {
        Self { gap_ms: 50, max_gap_ms: 2_000, total_ms: 86_400_000 }
    }
}
