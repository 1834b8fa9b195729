//! Configuration: defaults, then a file, then the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use kabar::core::Secret;
use kabar::{DatabaseUrl, KeyRing, KeyRingError, OpenError};
use serde::{Deserialize, Serialize};
use url::Url;

/// The environment's prefix: `KABAR_LISTEN`, and `KABAR_GRAPH__BASE_URL` for what is nested.
const PREFIX: &str = "KABAR_";
/// Variables with the prefix that are no settings.
const NO_SETTINGS: &[&str] = &["config", "test_postgres", "crash_rounds", "crash_seed"];

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
    /// The keys cannot be used.
    #[error("setting `keys`: {0}")]
    Keys(#[source] KeyRingError),
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
    /// Sending.
    pub(crate) dispatch: DispatchConfig,
    /// Log output.
    pub(crate) log: LogConfig,
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

/// Sending.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DispatchConfig {
    /// Milliseconds for which a claim holds; a node that died is taken over after it.
    pub(crate) lease_ms: u64,
    /// Messages in hand at the same time.
    pub(crate) parallel: usize,
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
            data: PathBuf::from("data"),
            keys: None,
            admin_email: "admin@localhost".to_owned(),
            shutdown_seconds: 30,
            graph: GraphSettings::default(),
            meta_app: None,
            dispatch: DispatchConfig::default(),
            log: LogConfig::default(),
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

impl Default for DispatchConfig {
    fn default() -> Self {
        let settings = kabar::messaging::DispatcherSettings::default();
        Self {
            lease_ms: u64::try_from(settings.lease.as_millis()).unwrap_or(u64::MAX),
            parallel: settings.parallel,
        }
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

    /// The keys that secrets are sealed under.
    ///
    /// # Errors
    /// [`ConfigError::Keys`].
    pub(crate) fn key_ring(&self) -> Result<KeyRing, ConfigError> {
        match &self.keys {
            Some(keys) => KeyRing::parse(keys),
            None => KeyRing::open_or_create(&self.data.join("keys")),
        }
        .map_err(ConfigError::Keys)
    }
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
    fn an_unknown_setting_is_named() {
        let read: Result<Config, _> = Figment::from(Serialized::defaults(Config::default()))
            .merge(Toml::string("lissten = '0.0.0.0:80'"))
            .extract();
        assert!(read.expect_err("is unknown").to_string().contains("lissten"));
    }
}
