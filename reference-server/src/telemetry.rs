//! Log output and traces. Message bodies, phone numbers and tokens are in neither.

use std::error::Error;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

use crate::config::{LogConfig, LogFormat, TelemetryConfig};

/// Hands over what is left of the traces when the process ends.
#[derive(Debug, Default)]
#[must_use = "dropping it ends the traces"]
pub(crate) struct Traces {
    #[cfg(feature = "otlp")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Drop for Traces {
    fn drop(&mut self) {
        #[cfg(feature = "otlp")]
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown()
        {
            eprintln!("kabar: the last traces were lost: {error}");
        }
    }
}

/// Sends spans and events to standard error.
pub(crate) fn init(config: &LogConfig) {
    // A second call in the same process (tests) keeps the first one's output.
    let _ = tracing_subscriber::registry().with(lines(config)).try_init();
}

/// The same, and spans to a collector if there is one.
///
/// # Errors
/// When a collector is named that cannot be used.
pub(crate) fn init_with_traces(
    log: &LogConfig,
    telemetry: &TelemetryConfig,
) -> Result<Traces, Box<dyn Error>> {
    let Some(endpoint) = &telemetry.otlp_endpoint else {
        init(log);
        return Ok(Traces::default());
    };
    traced(log, endpoint, telemetry.sample)
}

#[cfg(feature = "otlp")]
fn traced(log: &LogConfig, endpoint: &url::Url, sample: f64) -> Result<Traces, Box<dyn Error>> {
    let (provider, tracer) = kabar_server::trace::otlp::provider(endpoint, sample)
        .map_err(|error| format!("setting `telemetry.otlp_endpoint`: {error}"))?;
    let spans = tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter(log));
    let _ = tracing_subscriber::registry().with(lines(log)).with(spans).try_init();
    Ok(Traces { provider: Some(provider) })
}

#[cfg(not(feature = "otlp"))]
fn traced(_: &LogConfig, endpoint: &url::Url, _: f64) -> Result<Traces, Box<dyn Error>> {
    Err(format!(
        "setting `telemetry.otlp_endpoint`: this binary was built without the feature `otlp`, so \
         nothing can be sent to {endpoint}"
    )
    .into())
}

fn filter(config: &LogConfig) -> EnvFilter {
    EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"))
}

fn lines(config: &LogConfig) -> Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync> {
    let output = fmt::layer().with_writer(std::io::stderr);
    match config.format {
        LogFormat::Json => output.json().with_filter(filter(config)).boxed(),
        LogFormat::Text => output.with_filter(filter(config)).boxed(),
    }
}
