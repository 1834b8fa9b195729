//! The version of WhatsApp Web that sessions say they are: looked up once for all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use wacore::net::HttpClient;
use whatsapp_rust::anyhow;
use whatsapp_rust::version::fetch_latest_app_version;

use crate::http::Http;
use crate::settings::QrSettings;

/// A version, as WhatsApp Web counts.
pub(crate) type Version = (u32, u32, u32);

/// How long a version that was looked up is taken for the newest: WhatsApp puts out a few a day and
/// takes old ones for weeks.
const FRESH: Duration = Duration::from_hours(6);
/// How long a failure is taken for the answer, so that a thousand sessions do not ask one after the
/// other.
const FAILED: Duration = Duration::from_secs(10);
/// What sessions of a sandbox say, which takes any.
const SANDBOX: Version = (2, 3000, 1_040_000_000);

/// When it was looked up, and what came of it.
type Found = (Instant, Result<Version, String>);

/// The version for all sessions of a process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Versions {
    http: Arc<dyn HttpClient>,
    /// One that was set: nothing is looked up.
    set: Option<Version>,
    found: Arc<Mutex<Option<Found>>>,
}

impl Versions {
    pub(crate) fn new(http: Http, settings: &QrSettings) -> Self {
        let sandbox = settings.url.is_some().then_some(SANDBOX);
        Self { http: Arc::new(http), set: settings.version.or(sandbox), found: Arc::default() }
    }

    /// The version; looked up by the first who asks, while the others wait for it.
    pub(crate) async fn current(&self) -> Result<Version, String> {
        if let Some(version) = self.set {
            return Ok(version);
        }
        let mut found = self.found.lock().await;
        if let Some((at, answer)) = &*found {
            let holds = if answer.is_ok() { FRESH } else { FAILED };
            if at.elapsed() < holds {
                return answer.clone();
            }
        }
        let answer = fetch_latest_app_version(&self.http).await.map_err(|error| explained(&error));
        *found = Some((Instant::now(), answer.clone()));
        answer
    }

    /// WhatsApp does not take the version any more: the next who asks looks it up.
    pub(crate) async fn forget(&self) {
        *self.found.lock().await = None;
    }
}

fn explained(error: &anyhow::Error) -> String {
    format!("the version of WhatsApp Web cannot be looked up: {error:#}")
}
