//! Sends spans to a collector by OTLP over HTTP, if one is set. Only our own spans go out, with the fields that they name
//! themselves: no log lines, nothing of libraries.

use std::time::Duration;

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::FilterFn, registry::LookupSpan};

use crate::{
    config::Trace,
    failure::{Failure, with_causes},
};

/// Spans that wait for the collector; more than these are dropped and counted in the log.
const QUEUE_MAX: usize = 4096;
const BATCH_MAX: usize = 512;
/// How long spans are gathered before they are sent.
const PAUSE: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a stop waits for what was not sent yet.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// The way to the collector.
pub(crate) struct Collector(SdkTracerProvider);

impl Collector {
    /// None, if none is set. Whether it answers is found out when the first spans are sent.
    pub(crate) fn new(trace: &Trace) -> Result<Option<Self>, Failure> {
        let Some(endpoint) = &trace.endpoint else { return Ok(None) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint.as_str())
            .with_timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| Failure::No(format!("trace.otlp_url: {}", with_causes(&error))))?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(PAUSE)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder_empty()
            .with_service_name("cardea")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Some(Self(SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource).build())))
    }

    /// What takes spans from the program.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_tracer(self.0.tracer("cardea"))
            .with_filter(ours())
    }

    /// Sends what waits, within a limit.
    pub(crate) async fn close(self) {
        let closed = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH_MAX)).await;
        if let Ok(Err(error)) = closed {
            tracing::warn!(%error, "The last spans did not reach the collector (trace.otlp_url)");
        }
    }
}

fn ours() -> FilterFn {
    let ours: fn(&Metadata<'_>) -> bool =
        |meta| meta.is_span() && meta.target().starts_with("cardea") && *meta.level() <= Level::INFO;
    FilterFn::new(ours).with_max_level_hint(LevelFilter::INFO)
}
