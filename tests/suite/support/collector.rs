//! An OpenTelemetry collector: takes spans over OTLP on gRPC, and keeps them.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig},
};

type Kept = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// A running collector. Ends when it is dropped.
pub struct Collector {
    /// For `--otlp-endpoint`.
    pub url: String,
    kept: Kept,
    serving: JoinHandle<()>,
}

struct Intake(Kept);

#[tonic::async_trait]
impl TraceService for Intake {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub async fn start() -> Self {
        Self::on("http://127.0.0.1", Server::builder()).await
    }

    /// One that speaks TLS, as this address.
    pub async fn tls(certificate: &[u8], key: &[u8]) -> Self {
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        Self::on("https://127.0.0.1", Server::builder().tls_config(tls).unwrap()).await
    }

    async fn on(host: &str, mut server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{host}:{}", listener.local_addr().unwrap().port());
        let kept = Kept::default();
        let service = TraceServiceServer::new(Intake(Arc::clone(&kept)));
        let serving = server.add_service(service);
        let serving = serving.serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async { serving.await.unwrap() });
        Self { url, kept, serving }
    }

    /// All that came, as it came.
    pub fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.kept.lock().unwrap().clone()
    }

    /// The spans in it.
    pub fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An attribute as text; "" where it is not there.
pub fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
