//! Where Graph is, and how long to wait for it.

use std::time::Duration;

use url::Url;

/// The Graph version used unless configured otherwise. Meta keeps v25.0 until 2028-07-29.
pub const DEFAULT_VERSION: &str = "v25.0";

/// Where Graph is, and how long to wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphConfig {
    /// The address before the version, `https://graph.facebook.com` unless a sandbox or a proxy
    /// stands in for Meta. Plain `http` works.
    pub base_url: Url,
    /// The version, like `v25.0`. Empty leaves it out of the path.
    pub version: String,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long one call may take, connection included.
    pub timeout: Duration,
    /// How long an upload or a download of a file (100 MB at most) may take.
    pub media_timeout: Duration,
}

impl Default for GraphConfig {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant address")]
        let base_url = Url::parse("https://graph.facebook.com").expect("a valid address");
        Self {
            base_url,
            version: DEFAULT_VERSION.to_owned(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            media_timeout: Duration::from_mins(5),
        }
    }
}
