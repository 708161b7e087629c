//! Sends spans to an OpenTelemetry collector, over OTLP on gRPC. Beside the calls: what waits is bounded,
//! what is more is dropped, and a collector that is away is noticed in the log alone.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::{Key, KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
    },
};
use tokio::{runtime::Handle, sync::oneshot, time::timeout};
use tonic::transport::ClientTlsConfig;

use crate::trace;

/// Spans that wait for the collector at most; further ones are dropped. About 1 KiB each.
const QUEUE_MAX: usize = 4096;
/// Spans that are sent at once.
const BATCH_MAX: usize = 512;
/// How long spans may wait for company.
const SENT_EVERY: Duration = Duration::from_secs(2);
/// How long the collector may take.
const COLLECTOR_WITHIN: Duration = Duration::from_secs(3);
/// How often it is said that the collector is away.
const COMPLAINS_EVERY: Duration = Duration::from_secs(60);

/// Spans on their way to a collector.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// From now on the share `sample_ratio` of calls has spans, and every call whose caller says that it
    /// is sampled; none where the caller says that it is not.
    ///
    /// # Errors
    /// The endpoint is no address.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn begin(endpoint: &str, sample_ratio: f64) -> Result<Self, String> {
        let mut otlp =
            Otlp::builder().with_tonic().with_endpoint(endpoint).with_timeout(COLLECTOR_WITHIN);
        if endpoint.starts_with("https:") {
            otlp = otlp.with_tls_config(ClientTlsConfig::new().with_native_roots());
        }
        let exporter = Exporter::new(otlp.build().map_err(|error| error.to_string())?);
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(SENT_EVERY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(sampler)
            .with_resource(resource())
            .build();
        trace::begin(provider.tracer("callgate"));
        Ok(Self(provider))
    }

    /// Sends what still waits, for at most so long.
    pub async fn end(self, within: Duration) {
        let (done, is_done) = oneshot::channel();
        let Self(provider) = self;
        // It blocks, and needs the runtime meanwhile. A thread of its own holds nobody up: the process
        // ends without it.
        std::thread::spawn(move || {
            let _ = done.send(provider.shutdown_with_timeout(within));
        });
        if !matches!(timeout(within, is_done).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the last spans were not sent");
        }
    }
}

/// Who sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` have the last word.
fn resource() -> Resource {
    const NAME: Key = Key::from_static_str("service.name");
    const VERSION: Key = Key::from_static_str("service.version");
    let told = Resource::builder().build();
    let is_named =
        told.get(&NAME).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let mut resource = Resource::builder();
    if !is_named {
        resource = resource.with_service_name("callgate");
    }
    if told.get(&VERSION).is_none() {
        resource = resource.with_attribute(KeyValue::new(VERSION, env!("CARGO_PKG_VERSION")));
    }
    resource.build()
}

/// Says in the log, now and then, that the collector is away.
#[derive(Debug)]
struct Exporter {
    otlp: Arc<Otlp>,
    runtime: Handle,
    /// When it was said last.
    said: Mutex<Option<Instant>>,
    /// Not said yet.
    lost: AtomicU64,
}

impl Exporter {
    fn new(otlp: Otlp) -> Self {
        Self {
            otlp: Arc::new(otlp),
            runtime: Handle::current(),
            said: Mutex::new(None),
            lost: AtomicU64::new(0),
        }
    }

    fn lose(&self, count: usize, error: &OTelSdkError) {
        self.lost.fetch_add(count as u64, Ordering::Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_some_and(|at| at.elapsed() < COMPLAINS_EVERY) {
            return;
        }
        *said = Some(Instant::now());
        drop(said);
        let spans = self.lost.swap(0, Ordering::Relaxed);
        tracing::warn!(spans, %error, "spans are lost: the collector does not take them; calls go on");
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        let count = spans.len();
        let otlp = Arc::clone(&self.otlp);
        // The thread that calls this has no timers.
        let sent = self.runtime.spawn(async move {
            let sent = timeout(COLLECTOR_WITHIN, otlp.export(spans)).await;
            sent.unwrap_or(Err(OTelSdkError::Timeout(COLLECTOR_WITHIN)))
        });
        let sent = sent.await.unwrap_or_else(|gone| {
            Err(OTelSdkError::InternalFailure(format!("the runtime has ended: {gone}")))
        });
        if let Err(error) = &sent {
            self.lose(count, error);
        }
        sent
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Nobody else has it yet.
        if let Some(otlp) = Arc::get_mut(&mut self.otlp) {
            otlp.set_resource(resource);
        }
    }
}
