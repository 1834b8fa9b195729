//! How the channel reaches WhatsApp, and how much of it at once.

use std::time::Duration;

/// How long a send waits for the server's acknowledgement before its outcome counts as unknown. The
/// server answers within a round trip; a connection that is half dead is noticed by the engine's own
/// ping within 20 s, so that waiting longer tells nothing more.
pub const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(20);

/// How the channel reaches WhatsApp, and how much of it at once.
#[derive(Debug, Clone)]
pub struct QrSettings {
    /// The websocket's address; WhatsApp's own for `None`.
    pub url: Option<String>,
    /// Where files are loaded up and down instead of at WhatsApp's hosts, for a sandbox.
    pub media_url: Option<String>,
    /// The version of WhatsApp Web that sessions say they are; looked up for `None`.
    pub version: Option<(u32, u32, u32)>,
    /// Sessions of one process, at most.
    pub most_sessions: usize,
    /// Connections that are being made at the same time, at most.
    pub connecting: usize,
    /// Connections that are begun in a second, at most: those of all sessions together, so that a
    /// network that comes back is not met by all of them at once.
    pub connects_per_second: u32,
    /// How long a send waits for the server's acknowledgement.
    pub acknowledged_within: Duration,
    /// Whether sessions that were paired on a sandbox are run. Never on WhatsApp's own servers: it
    /// does not know them.
    pub sandbox: bool,
    /// Whether websockets are dialled on this machine alone, as seen on the connected socket: for
    /// builds that do not check the server's certificates.
    pub loopback_only: bool,
}

impl Default for QrSettings {
    fn default() -> Self {
        Self {
            url: None,
            media_url: None,
            version: None,
            most_sessions: 2_000,
            connecting: 16,
            connects_per_second: 40,
            acknowledged_within: ACKNOWLEDGED_WITHIN,
            sandbox: false,
            loopback_only: false,
        }
    }
}
