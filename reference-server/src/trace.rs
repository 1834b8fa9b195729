//! Traces over OpenTelemetry: spans continue the caller's trace (W3C `traceparent`).
//!
//! Only with the feature `otlp`; without it the functions here do nothing.

use poem::http::HeaderMap;

/// Makes a request's span a part of the trace that its caller named.
#[cfg(feature = "otlp")]
pub fn follow(span: &tracing::Span, headers: &HeaderMap) {
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    let Some(parent) = headers.get("traceparent").and_then(|value| value.to_str().ok()) else {
        return;
    };
    if let Some(context) = context(parent) {
        // Without a layer that traces there is nothing to set.
        let _ = span.set_parent(context);
    }
}

/// Nothing is traced.
#[cfg(not(feature = "otlp"))]
pub const fn follow(_: &tracing::Span, _: &HeaderMap) {}

/// `00-<trace id>-<span id>-<flags>`
#[cfg(feature = "otlp")]
fn context(parent: &str) -> Option<opentelemetry::Context> {
    use opentelemetry::propagation::{Extractor, TextMapPropagator as _};

    struct One<'a>(&'a str);
    impl Extractor for One<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            (key == "traceparent").then_some(self.0)
        }

        fn keys(&self) -> Vec<&str> {
            vec!["traceparent"]
        }
    }

    // A caller's `tracestate` and `baggage` are its own affair, and may hold anything.
    let propagator = opentelemetry_sdk::propagation::TraceContextPropagator::new();
    Some(propagator.extract(&One(parent)))
}

#[cfg(feature = "otlp")]
pub mod otlp {
    //! Where spans go.

    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_http::{HttpClient, HttpError, Request, Response};
    use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
    use url::Url;

    /// For how long a collector may take.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Hands spans over through our own HTTP client, on our own runtime: the batches are made on a
    /// thread that has none.
    #[derive(Debug)]
    struct OurClient {
        client: reqwest::Client,
        runtime: tokio::runtime::Handle,
    }

    #[async_trait]
    impl HttpClient for OurClient {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let client = self.client.clone();
            let sent = self.runtime.spawn(async move {
                let (parts, body) = request.into_parts();
                let url: Url = parts.uri.to_string().parse()?;
                let sent = client.request(parts.method, url).headers(parts.headers).body(body);
                let answer = sent.send().await?;
                let status = answer.status();
                let bytes = answer.bytes().await?;
                Ok::<_, HttpError>(Response::builder().status(status).body(bytes)?)
            });
            sent.await?
        }
    }

    /// A provider of spans for a collector at `endpoint`, like `http://127.0.0.1:4318/v1/traces`.
    ///
    /// # Errors
    /// What the libraries say about the client or the endpoint.
    pub fn provider(
        endpoint: &Url,
        sample: f64,
    ) -> Result<(SdkTracerProvider, SdkTracer), Box<dyn std::error::Error + Send + Sync>> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let client = OurClient { client, runtime: tokio::runtime::Handle::current() };
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(endpoint.as_str())
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample))))
            .with_resource(Resource::builder().with_service_name("kabar").build())
            .build();
        let tracer = provider.tracer("kabar");
        Ok((provider, tracer))
    }
}
