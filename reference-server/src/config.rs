//! Configuration: defaults, then a file, then the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use kabar::accounts::Networks;
use kabar::core::Secret;
use kabar::outbound::{AllowList, OutboundSettings, ParseAllowError};
use kabar::webhooks::DelivererSettings;
use kabar::{DatabaseUrl, Durability, KeyRing, KeyRingError, OpenError};
use kabar_server::cors::{BadOrigin, Cors, CorsSettings};
use kabar_server::limits::LimitSettings;
use kabar_server::metrics::MetricsAccess;
use kabar_server::{AppSettings, Proxies, ProxyHeader};
use serde::{Deserialize, Serialize};
use url::Url;

/// The environment's prefix: `KABAR_LISTEN`, and `KABAR_GRAPH__BASE_URL` for what is nested.
const PREFIX: &str = "KABAR_";
/// Variables with the prefix that are no settings.
const NO_SETTINGS: &[&str] =
    &["config", "test_postgres", "crash_rounds", "crash_seed", "nodes_messages"];

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A setting cannot be read.
    #[error("the configuration cannot be used: {0}")]
    Read(#[source] Box<figment::Error>),
    /// The file that was named does not exist.
    #[error("there is no configuration file {0}")]
    NoFile(PathBuf),
    /// The database's address is none.
    #[error("setting `database`: {0}")]
    Database(#[source] OpenError),
    /// Nodes cannot wake each other so.
    #[error("setting `wake`: {0}")]
    Wake(&'static str),
    /// An origin is none.
    #[error(transparent)]
    Cors(BadOrigin),
    /// Everybody could read the metrics.
    #[error("setting `metrics.listen`: {0} can be reached by others; set `metrics.token` too")]
    Metrics(SocketAddr),
    /// The keys cannot be used.
    #[error("setting `keys`: {0}")]
    Keys(#[source] KeyRingError),
    /// A version is none.
    #[cfg(feature = "qr-session")]
    #[error("setting `paired.version`: `{0}` is no version; write it like 2.3000.1030000000")]
    Version(String),
    /// Mails cannot be sent this way.
    #[error("setting `mail`: {0}")]
    Mail(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An entry of the allow-list is none.
    #[error("setting `webhooks.allow`: {0}")]
    Allow(#[source] ParseAllowError),
}

/// All settings.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the server listens.
    pub(crate) listen: SocketAddr,
    /// `sqlite:FILE` or `postgres://…`; a file in the data folder when absent.
    #[serde(skip_serializing)]
    pub(crate) database: Option<Secret>,
    /// When an answer may say that something was taken.
    pub(crate) durability: DurabilityWord,
    /// The folder for the database file, the key file and the media.
    pub(crate) data: PathBuf,
    /// Keys that secrets are sealed under, `id:base64,…`; a file in the data folder when absent.
    #[serde(skip_serializing)]
    pub(crate) keys: Option<Secret>,
    /// The mail address of the first administrator.
    pub(crate) admin_email: String,
    /// Seconds for which a stop waits for what is in flight.
    pub(crate) shutdown_seconds: u64,
    /// Meta's Graph API.
    pub(crate) graph: GraphSettings,
    /// The installation's own Meta app.
    #[serde(skip_serializing)]
    pub(crate) meta_app: Option<MetaAppConfig>,
    /// How nodes on one database wake each other: `local` (they do not, and poll), `postgres`
    /// (LISTEN/NOTIFY), or `nats://HOST:PORT/PREFIX`. When absent, `postgres` on PostgreSQL.
    #[serde(skip_serializing)]
    pub(crate) wake: Option<Secret>,
    /// Milliseconds that pass at most between two looks at the outbox, the jobs and the events when
    /// nothing wakes.
    pub(crate) poll_ms: u64,
    /// Live events.
    pub(crate) events: EventsConfig,
    /// Sending.
    pub(crate) dispatch: DispatchConfig,
    /// Webhooks to tenants' endpoints.
    pub(crate) webhooks: WebhooksConfig,
    /// Paired devices, the unofficial channel.
    pub(crate) paired: PairedConfig,
    /// Log output.
    pub(crate) log: LogConfig,
    /// Whether customers can register by themselves.
    pub(crate) registration: bool,
    /// Where this server is reached from outside, for links in mails: `https://kabar.example.com/`.
    pub(crate) public_url: Option<Url>,
    /// What the installation is called in mails and authenticator apps.
    pub(crate) name: String,
    /// E-mails.
    pub(crate) mail: MailConfig,
    /// Addresses and networks of the proxies in front, whose word about a client's address counts.
    pub(crate) trusted_proxies: Networks,
    /// The header with which they say it.
    pub(crate) proxy_header: ProxyHeader,
    /// How much one party may ask for.
    pub(crate) limits: LimitSettings,
    /// Which pages of other origins may call the API.
    pub(crate) cors: CorsSettings,
    /// `/metrics`.
    pub(crate) metrics: MetricsConfig,
    /// Traces.
    pub(crate) telemetry: TelemetryConfig,
}

/// Paired devices, the unofficial channel.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PairedConfig {
    /// Whether this installation has them.
    pub(crate) enabled: bool,
    /// The websocket's address; WhatsApp's own when absent.
    pub(crate) url: Option<Url>,
    /// Where files are loaded up and down instead of at WhatsApp's hosts, for a sandbox.
    pub(crate) media_url: Option<Url>,
    /// The version of WhatsApp Web that sessions say they are, like `2.3000.1030000000`; looked up when
    /// absent.
    pub(crate) version: Option<String>,
    /// Sessions of this process, at most.
    pub(crate) most_sessions: usize,
    /// Whether sessions that were paired on a sandbox are run. Never on WhatsApp's own servers.
    pub(crate) sandbox: bool,
}

impl Default for PairedConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            url: None,
            media_url: None,
            version: None,
            most_sessions: 2_000,
            sandbox: false,
        }
    }
}

#[cfg(feature = "qr-session")]
impl PairedConfig {
    /// As the channel is set up; `None` when the installation has no paired devices.
    pub(crate) fn settings(&self) -> Result<Option<kabar::qr_session::QrSettings>, ConfigError> {
        if !self.enabled {
            return Ok(None);
        }
        let version = self.version.as_deref().map(version).transpose()?;
        Ok(Some(kabar::qr_session::QrSettings {
            url: self.url.as_ref().map(Url::to_string),
            media_url: self.media_url.as_ref().map(Url::to_string),
            version,
            most_sessions: self.most_sessions,
            sandbox: self.sandbox,
            ..kabar::qr_session::QrSettings::default()
        }))
    }
}

/// Three numbers with dots between them.
#[cfg(feature = "qr-session")]
fn version(text: &str) -> Result<(u32, u32, u32), ConfigError> {
    let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([first, second, third]) => Ok((*first, *second, *third)),
        _ => Err(ConfigError::Version(text.to_owned())),
    }
}

/// `/metrics`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MetricsConfig {
    /// The bearer token of a scraper, beside a provider's credential with `operations:read`.
    #[serde(skip_serializing)]
    pub(crate) token: Option<Secret>,
    /// A listener of their own; it asks for nothing unless there is a token, so without one it must
    /// be an address of this machine only.
    pub(crate) listen: Option<SocketAddr>,
}

/// Traces.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TelemetryConfig {
    /// Where spans go, like `http://127.0.0.1:4318/v1/traces`; nowhere when absent. Needs the
    /// feature `otlp`.
    pub(crate) otlp_endpoint: Option<Url>,
    /// Which part of the traces that begin here is kept, 0 to 1.
    pub(crate) sample: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample: 0.1 }
    }
}

/// Meta's Graph API.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GraphSettings {
    /// Its address; the sandbox's for tests.
    pub(crate) base_url: Url,
    /// Its version.
    pub(crate) version: String,
    /// Seconds to wait for an answer.
    pub(crate) timeout_seconds: u64,
}

/// The installation's own Meta app.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetaAppConfig {
    /// Signs webhooks.
    pub(crate) app_secret: Secret,
    /// Travels in the webhook handshake.
    pub(crate) verify_token: Secret,
}

/// Live events.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EventsConfig {
    /// Streams of one account at the same time on this node.
    pub(crate) streams: usize,
}

/// How nodes wake each other.
#[derive(Debug)]
pub(crate) enum WakeChoice {
    /// Within this process.
    Local,
    /// Over PostgreSQL.
    Postgres(Secret),
    /// Over NATS.
    Nats {
        /// The server.
        address: Secret,
        /// What the subjects begin with.
        prefix: String,
    },
}

/// Sending.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DispatchConfig {
    /// Milliseconds for which a claim holds; a node that died is taken over after it.
    pub(crate) lease_ms: u64,
    /// Messages in hand at the same time.
    pub(crate) parallel: usize,
}

/// When an answer may say that something was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DurabilityWord {
    /// When it is on the disk.
    Full,
    /// When the operating system has it: a power cut may take the last moments with it.
    Relaxed,
}

impl From<DurabilityWord> for Durability {
    fn from(word: DurabilityWord) -> Self {
        match word {
            DurabilityWord::Full => Self::Full,
            DurabilityWord::Relaxed => Self::Relaxed,
        }
    }
}

/// E-mails.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MailConfig {
    /// Where they go.
    pub(crate) to: MailKind,
    /// Who they are from: `kabar@example.com` or `Kabar <kabar@example.com>`.
    pub(crate) from: String,
    /// The folder of `file`; `mails` in the data folder when absent.
    pub(crate) folder: Option<PathBuf>,
    /// The mail server of `smtp`.
    pub(crate) host: Option<String>,
    /// Its port; 587, 465 or 25 by its security when absent.
    pub(crate) port: Option<u16>,
    /// How the connection to it is kept from others.
    pub(crate) security: MailSecurity,
    /// User name, if it wants one.
    pub(crate) user: Option<String>,
    /// Password.
    #[serde(skip_serializing)]
    pub(crate) password: Option<Secret>,
    /// A file with further certificates to trust (PEM).
    pub(crate) ca_file: Option<PathBuf>,
    /// Seconds for which one step of a conversation with it may take.
    pub(crate) timeout_seconds: u64,
}

/// Where e-mails go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MailKind {
    /// Into a folder, one file each.
    File,
    /// To standard output, with the one-time links in them.
    Console,
    /// To a mail server.
    Smtp,
}

/// How the connection to a mail server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MailSecurity {
    /// By STARTTLS.
    Starttls,
    /// By TLS from the first byte.
    Tls,
    /// Not at all.
    None,
}

/// Webhooks to tenants' endpoints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebhooksConfig {
    /// What may be reached although it is not on the public internet: networks (`10.1.0.0/16`),
    /// addresses, and hosts (`n8n.internal`, `*.svc.cluster.local`).
    pub(crate) allow: Vec<String>,
    /// Whether endpoints must be https.
    pub(crate) https_only: bool,
    /// Attempts under way at the same time.
    pub(crate) parallel: usize,
    /// Hours of nothing but failures after which an endpoint is switched off.
    pub(crate) disable_after_hours: u64,
    /// Days for which deliveries are kept after they arrived.
    pub(crate) keep_delivered_days: u64,
    /// Days for which others are kept after they ended.
    pub(crate) keep_others_days: u64,
}

/// Log output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// What is logged, in the words of `tracing`: `info`, `kabar_messaging=debug` …
    pub(crate) level: String,
    /// Its form.
    pub(crate) format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            database: None,
            durability: DurabilityWord::Full,
            data: PathBuf::from("data"),
            keys: None,
            admin_email: "admin@localhost".to_owned(),
            shutdown_seconds: 30,
            graph: GraphSettings::default(),
            meta_app: None,
            wake: None,
            poll_ms: 500,
            events: EventsConfig::default(),
            dispatch: DispatchConfig::default(),
            webhooks: WebhooksConfig::default(),
            paired: PairedConfig::default(),
            log: LogConfig::default(),
            limits: LimitSettings::default(),
            cors: CorsSettings::default(),
            metrics: MetricsConfig::default(),
            telemetry: TelemetryConfig::default(),
            registration: true,
            public_url: None,
            name: "Kabar".to_owned(),
            mail: MailConfig::default(),
            trusted_proxies: Networks::default(),
            proxy_header: ProxyHeader::default(),
        }
    }
}

impl Default for GraphSettings {
    fn default() -> Self {
        let graph = kabar::cloud_api::GraphConfig::default();
        Self {
            base_url: graph.base_url,
            version: graph.version,
            timeout_seconds: graph.timeout.as_secs(),
        }
    }
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { streams: kabar::events::TailSettings::default().followers }
    }
}

impl Default for DispatchConfig {
    fn default() -> Self {
        let settings = kabar::messaging::DispatcherSettings::default();
        Self {
            lease_ms: u64::try_from(settings.lease.as_millis()).unwrap_or(u64::MAX),
            parallel: settings.parallel,
        }
    }
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            to: MailKind::File,
            from: "Kabar <kabar@localhost>".to_owned(),
            folder: None,
            host: None,
            port: None,
            security: MailSecurity::Starttls,
            user: None,
            password: None,
            ca_file: None,
            timeout_seconds: 20,
        }
    }
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        let settings = DelivererSettings::default();
        let hours = |time: Duration| time.as_secs() / 3_600;
        Self {
            allow: Vec::new(),
            https_only: false,
            parallel: settings.parallel,
            disable_after_hours: hours(settings.disable_after),
            keep_delivered_days: hours(settings.keep_delivered) / 24,
            keep_others_days: hours(settings.keep_others) / 24,
        }
    }
}

impl WebhooksConfig {
    /// How webhooks are delivered.
    pub(crate) fn deliverer(&self) -> DelivererSettings {
        let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3_600));
        DelivererSettings {
            parallel: self.parallel,
            disable_after: hours(self.disable_after_hours),
            keep_delivered: hours(self.keep_delivered_days.saturating_mul(24)),
            keep_others: hours(self.keep_others_days.saturating_mul(24)),
            ..DelivererSettings::default()
        }
    }

    /// Where webhooks may go.
    ///
    /// # Errors
    /// [`ConfigError::Allow`].
    pub(crate) fn outbound(&self) -> Result<OutboundSettings, ConfigError> {
        let allow = AllowList::parse(self.allow.iter().map(String::as_str));
        Ok(OutboundSettings {
            allow: allow.map_err(ConfigError::Allow)?,
            https_only: self.https_only,
            ..OutboundSettings::default()
        })
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Config {
    /// Reads the file, if there is one, and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] naming the setting and where it was read.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        match file {
            Some(file) if !file.exists() => return Err(ConfigError::NoFile(file.to_owned())),
            Some(file) => figment = figment.merge(Toml::file_exact(file)),
            None => figment = figment.merge(Toml::file("kabar.toml")),
        }
        figment
            .merge(Env::prefixed(PREFIX).ignore(NO_SETTINGS).split("__"))
            .extract()
            .map_err(|error| ConfigError::Read(Box::new(error)))
    }

    /// The database's address.
    ///
    /// # Errors
    /// [`ConfigError::Database`].
    pub(crate) fn database(&self) -> Result<DatabaseUrl, ConfigError> {
        use kabar::core::ExposeSecret as _;
        match &self.database {
            Some(url) => url.expose_secret().parse().map_err(ConfigError::Database),
            None => Ok(DatabaseUrl::Sqlite(self.data.join("kabar.db"))),
        }
    }

    /// Whose word about a client's address counts.
    pub(crate) fn proxies(&self) -> Proxies {
        Proxies { trusted: self.trusted_proxies.clone(), header: self.proxy_header }
    }

    /// How nodes wake each other.
    ///
    /// # Errors
    /// [`ConfigError::Wake`], [`ConfigError::Database`].
    pub(crate) fn wake(&self) -> Result<WakeChoice, ConfigError> {
        use kabar::core::ExposeSecret;
        let database = match self.database()? {
            DatabaseUrl::Postgres(url) => Some(Secret::from(url)),
            _ => None,
        };
        let wanted = self.wake.as_ref().map(ExposeSecret::expose_secret);
        match (wanted, database) {
            (Some("local"), _) | (None, None) => Ok(WakeChoice::Local),
            (Some("postgres") | None, Some(url)) => Ok(WakeChoice::Postgres(url)),
            (Some("postgres"), None) => {
                Err(ConfigError::Wake("`postgres` needs a PostgreSQL database; leave it out"))
            }
            (Some(address), _) => nats(address),
        }
    }

    /// How the face is set up.
    ///
    /// # Errors
    /// [`ConfigError::Cors`], [`ConfigError::Metrics`].
    pub(crate) fn face(&self) -> Result<AppSettings, ConfigError> {
        if let (Some(listen), None) = (self.metrics.listen, &self.metrics.token)
            && !listen.ip().is_loopback()
        {
            return Err(ConfigError::Metrics(listen));
        }
        Ok(AppSettings {
            proxies: self.proxies(),
            limits: self.limits.clone(),
            cors: Cors::new(&self.cors).map_err(ConfigError::Cors)?,
            metrics: MetricsAccess { token: self.metrics.token.clone(), open: false },
            ..AppSettings::default()
        })
    }

    /// The keys that secrets are sealed under.
    ///
    /// # Errors
    /// [`ConfigError::Keys`].
    pub(crate) fn key_ring(&self) -> Result<KeyRing, ConfigError> {
        match &self.keys {
            Some(keys) => KeyRing::parse(keys),
            None => KeyRing::open_or_create(&self.key_file()),
        }
        .map_err(ConfigError::Keys)
    }

    /// The key file, where no keys are set.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.data.join("keys")
    }
}

/// `nats://HOST:PORT/PREFIX`; the prefix tells installations on one server apart.
fn nats(address: &str) -> Result<WakeChoice, ConfigError> {
    let wrong = ConfigError::Wake("use `local`, `postgres` or `nats://HOST:PORT/PREFIX`");
    let Ok(mut url) = Url::parse(address) else { return Err(wrong) };
    if !matches!(url.scheme(), "nats" | "tls") {
        return Err(wrong);
    }
    let prefix = match url.path().trim_matches('/') {
        "" => "kabar.wake".to_owned(),
        path => path.replace('/', "."),
    };
    url.set_path("");
    Ok(WakeChoice::Nats { address: Secret::from(url.as_str()), prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_need_nothing() {
        let config = Config::default();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.graph.version, "v25.0");
        assert_eq!(
            config.database().expect("is an address"),
            DatabaseUrl::Sqlite("data/kabar.db".into())
        );
    }

    #[test]
    fn nodes_wake_each_other_as_the_database_can() {
        let wake = |database: &str, wake: Option<&str>| {
            let config = Config {
                database: Some(Secret::from(database)),
                wake: wake.map(Secret::from),
                ..Config::default()
            };
            config.wake()
        };
        let (sqlite, postgres) = ("sqlite:a.db", "postgres://u@h/d");
        assert!(matches!(wake(sqlite, None), Ok(WakeChoice::Local)));
        assert!(matches!(wake(postgres, None), Ok(WakeChoice::Postgres(_))));
        assert!(matches!(wake(postgres, Some("local")), Ok(WakeChoice::Local)));
        assert!(wake(sqlite, Some("postgres")).is_err());
        for (address, wanted) in
            [("nats://h:4222", "kabar.wake"), ("tls://h:4222/shop/one", "shop.one")]
        {
            let Ok(WakeChoice::Nats { prefix, .. }) = wake(sqlite, Some(address)) else {
                panic!("{address}");
            };
            assert_eq!(prefix, wanted);
        }
        for wrong in ["redis://h", "yes", ""] {
            assert!(wake(postgres, Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let read: Result<Config, _> = Figment::from(Serialized::defaults(Config::default()))
            .merge(Toml::string("lissten = '0.0.0.0:80'"))
            .extract();
        assert!(read.expect_err("is unknown").to_string().contains("lissten"));
    }
}
