//! `/metrics`, in the text form of Prometheus.
//!
//! Rooms count where things happen, through the facade of the crate `metrics`; what is a state rather
//! than an event (queues, jobs, devices, pools) is read when somebody asks, at most every
//! [`FRESH`]. No label holds an id or anything of a person, so their number is bounded.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kabar::Platform;
use kabar::core::permission::ReadOperations;
use kabar::core::{ExposeSecret as _, InstallationScope, Secret};
use kabar::operations::Health;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use poem::http::header;
use poem::web::Data;
use poem::{Request, Response, handler};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::auth::{Admission as _, Caller, OverAll};
use crate::problem::Problem;

/// For how long the states that were read are good enough.
pub const FRESH: Duration = Duration::from_secs(10);
/// Seconds, for everything that takes time.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How many at once, for everything that is done together.
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
const SCOPE: InstallationScope = InstallationScope::system("metrics");

/// What can be measured: name, kind, what it says.
pub const METRICS: &[(&str, &str, &str)] = &[
    ("kabar_build_info", "gauge", "1, with the version as a label"),
    ("kabar_http_requests_total", "counter", "Answered requests, by operation and status"),
    ("kabar_http_request_seconds", "histogram", "Time to answer, by operation"),
    ("kabar_dispatch_claimed_total", "counter", "Lanes that this node claimed"),
    ("kabar_dispatch_batch_size", "histogram", "Outcomes of sends that one commit stored"),
    ("kabar_transmit_seconds", "histogram", "Time that the network took for a send"),
    ("kabar_sends_total", "counter", "Outcomes of sends, by channel and class"),
    ("kabar_intake_seconds", "histogram", "Time to store a batch that came in"),
    ("kabar_intake_items_total", "counter", "What came in, by kind"),
    ("kabar_jobs_total", "counter", "Jobs that ended, by name and outcome"),
    ("kabar_job_seconds", "histogram", "Time that a job took, by name"),
    ("kabar_commit_size", "histogram", "Units of work that one commit made durable (SQLite)"),
    ("kabar_outbox_messages", "gauge", "Messages in their lines, by status"),
    (
        "kabar_outbox_oldest_ready_seconds",
        "gauge",
        "Age of the longest-waiting chat that nothing holds back",
    ),
    ("kabar_uncertain_lately", "gauge", "Messages that became uncertain within the last hour"),
    ("kabar_devices_unwell", "gauge", "Devices that are down or of low quality, by state"),
    ("kabar_jobs", "gauge", "Jobs, by name and state"),
    ("kabar_job_oldest_seconds", "gauge", "How late the first waiting job is, by name"),
    ("kabar_quarantined", "gauge", "Items that came in and could not be read"),
    ("kabar_unwell", "gauge", "Findings of the watch, by condition"),
    ("kabar_database_up", "gauge", "1 when the states could be read from the database"),
    ("kabar_database_connections", "gauge", "Connections of a pool, by pool and state"),
    (
        "kabar_qr_sessions",
        "gauge",
        "Sessions of paired devices on this node, by state (`running`, `connected`)",
    ),
    ("kabar_qr_connects_total", "counter", "Connections of paired devices that this node began"),
    ("kabar_qr_undecryptable", "gauge", "Messages that running sessions could not decrypt"),
    ("kabar_disk_free_bytes", "gauge", "What is left of the disk that files are on"),
    ("kabar_disk_total_bytes", "gauge", "All of that disk"),
    ("process_*", "", "Memory, CPU time, threads and open files of the process"),
];

/// Who may read `/metrics`, beside a provider's credential with `operations:read`.
#[derive(Debug, Clone, Default)]
pub struct MetricsAccess {
    /// The bearer token of a scraper.
    pub token: Option<Secret>,
    /// Nobody is asked for a credential: for a listener that only this machine reaches.
    pub open: bool,
}

/// What `/metrics` needs.
pub(crate) struct Metrics {
    handle: &'static PrometheusHandle,
    access: MetricsAccess,
    read: Mutex<Option<(Instant, Option<Health>)>>,
}

impl Metrics {
    pub(crate) fn new(access: MetricsAccess) -> Self {
        Self { handle: recorder(), access, read: Mutex::default() }
    }

    /// Fails for who may not read.
    async fn admit(&self, request: &Request) -> Result<(), Problem> {
        if self.access.open && self.access.token.is_none() {
            return Ok(());
        }
        let given = request.header(header::AUTHORIZATION.as_str()).and_then(|text| {
            text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        });
        if let (Some(token), Some((_, given))) = (&self.access.token, given) {
            // Digests of secrets can be compared in any time.
            if Sha256::digest(token.expose_secret()) == Sha256::digest(given.trim()) {
                return Ok(());
            }
        }
        let caller = Caller::of(request).await?;
        OverAll::<ReadOperations>::admit(caller).map(|_| ()).map_err(Problem::from)
    }

    async fn text(&self, platform: &Platform) -> String {
        metrics_process::Collector::default().collect();
        let mut text = self.handle.render();
        let mut read = self.read.lock().await;
        let fresh = read.as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH);
        if !fresh {
            let health = platform.watch().health(SCOPE).await;
            let health = health.inspect_err(|error| {
                tracing::warn!(error = error as &dyn std::error::Error, "metrics.health");
            });
            *read = Some((Instant::now(), health.ok()));
        }
        let health = read.as_ref().and_then(|(_, health)| health.as_ref());
        states(&mut text, health, platform);
        text
    }
}

/// The process' recorder; its histograms have to be looked after, see [`upkeep`].
fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets(&SECONDS).unwrap_or_default();
        let sizes = Matcher::Suffix("_size".to_owned());
        let recorder =
            builder.set_buckets_for_metric(sizes, &SIZES).unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        if ::metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("metrics.recorder: another one is set up already");
        }
        for (name, kind, help) in METRICS {
            match *kind {
                "counter" => ::metrics::describe_counter!(*name, *help),
                "histogram" => ::metrics::describe_histogram!(*name, *help),
                _ => {}
            }
        }
        metrics_process::Collector::default().describe();
        handle
    })
}

/// Puts what histograms collected in order, so that nothing piles up while nobody reads them.
pub fn upkeep() {
    recorder().run_upkeep();
}

/// The text for who may read it.
#[handler]
pub(crate) async fn show(
    platform: Data<&Platform>,
    metrics: Data<&Arc<Metrics>>,
    request: &Request,
) -> poem::Result<Response> {
    metrics.admit(request).await?;
    let text = metrics.text(platform.0).await;
    Ok(Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

/// Counts an answered request.
pub(crate) fn answered(operation: &'static str, status: u16, took: Duration) {
    #[expect(
        clippy::match_overlapping_arm,
        reason = "the usual ones by themselves, others by class"
    )]
    let status: &'static str = match status {
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        409 => "409",
        413 => "413",
        422 => "422",
        429 => "429",
        500 => "500",
        503 => "503",
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    ::metrics::counter!("kabar_http_requests_total", "operation" => operation, "status" => status)
        .increment(1);
    ::metrics::histogram!("kabar_http_request_seconds", "operation" => operation).record(took);
}

/// The states, in the same text form.
fn states(text: &mut String, health: Option<&Health>, platform: &Platform) {
    let mut out = Text { text, last: "" };
    out.line("kabar_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    for (pool, size, idle) in platform.database().pools() {
        let busy = f64::from(size.saturating_sub(idle));
        out.line("kabar_database_connections", &[("pool", pool), ("state", "busy")], busy);
        out.line("kabar_database_connections", &[("pool", pool), ("state", "idle")], idle.into());
    }
    out.line("kabar_database_up", &[], if health.is_some() { 1.0 } else { 0.0 });
    let Some(health) = health else { return };
    let (vitals, now) = (&health.vitals, platform.clock().now());
    let age = |at: kabar::core::Timestamp| seconds((now - at).num_milliseconds());
    for (status, count) in &vitals.outbox {
        out.line("kabar_outbox_messages", &[("status", status)], number(*count));
    }
    let oldest = vitals.oldest_ready.map_or(0.0, age);
    out.line("kabar_outbox_oldest_ready_seconds", &[], oldest);
    let uncertain: u64 = vitals.uncertain.iter().map(|(_, count)| count).sum();
    out.line("kabar_uncertain_lately", &[], number(uncertain));
    let mut devices = std::collections::BTreeMap::<&str, u64>::new();
    for device in vitals.devices.iter().filter(|device| device.oldest_ready.is_none()) {
        *devices.entry(&device.state).or_default() += 1;
    }
    for (state, count) in devices {
        out.line("kabar_devices_unwell", &[("state", state)], number(count));
    }
    for job in &vitals.jobs {
        for (state, count) in [("waiting", job.waiting), ("buried", job.buried)] {
            out.line("kabar_jobs", &[("name", &job.name), ("state", state)], number(count));
        }
    }
    for job in &vitals.jobs {
        let late = job.oldest_due.map_or(0.0, age).max(0.0);
        out.line("kabar_job_oldest_seconds", &[("name", &job.name)], late);
    }
    out.line("kabar_quarantined", &[], number(vitals.quarantined));
    let mut found = std::collections::BTreeMap::<&str, u64>::new();
    for finding in &health.findings {
        *found.entry(finding.condition.as_str()).or_default() += 1;
    }
    for condition in kabar::operations::Condition::ALL {
        let count = found.get(condition.as_str()).copied().unwrap_or_default();
        out.line("kabar_unwell", &[("condition", condition.as_str())], number(count));
    }
    if let Some(space) = health.space {
        out.line("kabar_disk_free_bytes", &[], number(space.free));
        out.line("kabar_disk_total_bytes", &[], number(space.total));
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of a metric have 53 bits")]
const fn number(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "numbers of a metric have 53 bits")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

/// Lines of one metric stand together under their description.
struct Text<'a> {
    text: &'a mut String,
    last: &'static str,
}

impl Text<'_> {
    fn line(&mut self, name: &'static str, labels: &[(&str, &str)], value: f64) {
        if self.last != name {
            self.last = name;
            let known = METRICS.iter().find(|(known, ..)| *known == name);
            if let Some((_, kind, help)) = known {
                let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            }
        }
        let labels: Vec<String> =
            labels.iter().map(|(label, word)| format!("{label}=\"{}\"", plain(word))).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }
}

/// Words of the database in a label.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')).collect()
}
