//! Log output. Message bodies, phone numbers and tokens are never logged.

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Sends spans and events to standard error.
pub(crate) fn init(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let output = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call in the same process (tests) keeps the first one's output.
    let _ = match config.format {
        LogFormat::Json => output.json().try_init(),
        LogFormat::Text => output.try_init(),
    };
}
