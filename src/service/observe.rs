//! What operators see of each RPC: how long it took and how it ended, a span for traces, and its method on
//! its log lines. The outermost of the layers, so that what the others answer is seen as well.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue},
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use opentelemetry::KeyValue;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;
use tracing::Instrument as _;

use crate::{proto::DESCRIPTOR_SET, service::access::Doorkeeper, trace};

/// An RPC that is served here.
#[derive(Debug, PartialEq, Eq)]
struct Method {
    /// `AuthorizeCall`; of services that are not ours with the service: `Health/Check`.
    label: String,
    /// `callgate.v1.CallPermissionService/AuthorizeCall`.
    name: String,
    /// Whether it answers with a stream.
    is_stream: bool,
}

/// What is asked for and is not served: one name for all, whatever it is called.
static OTHER: LazyLock<Method> = LazyLock::new(|| Method {
    label: "other".to_owned(),
    name: "_OTHER".to_owned(),
    is_stream: false,
});

/// By path.
static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let sets = [
        DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    sets.into_iter().flat_map(methods).collect()
});

/// Package of the contract, whose methods need no service beside them.
const OURS: &str = "callgate.v1";

fn methods(set: &[u8]) -> Vec<(String, Method)> {
    let files = FileDescriptorSet::decode(set).expect("descriptors are well-formed").file;
    let mut found = Vec::new();
    for file in files {
        let package = file.package().to_owned();
        for service in &file.service {
            for method in &service.method {
                let (service, short) = (service.name(), method.name());
                let label =
                    if package == OURS { short.to_owned() } else { format!("{service}/{short}") };
                let name = format!("{package}.{service}/{short}");
                let is_stream = method.server_streaming();
                found.push((format!("/{name}"), Method { label, name, is_stream }));
            }
        }
    }
    found
}

/// Each way in which a stream of ours may end: its method and the code, as metrics call them.
pub(crate) fn stream_ends() -> impl Iterator<Item = (&'static str, &'static str)> {
    let ours = |method: &&Method| method.is_stream && method.name.starts_with(OURS);
    let streams = METHODS.values().filter(ours).map(|method| method.label.as_str());
    streams.flat_map(|stream| (0..=LAST_CODE).map(move |code| (stream, name(Code::from_i32(code)))))
}

/// The last of gRPC's codes, UNAUTHENTICATED; they begin with 0, OK.
const LAST_CODE: i32 = 16;

/// Sees to everything that this file is about.
pub(super) async fn observe(
    State(doorkeeper): State<Doorkeeper>,
    request: Request,
    next: Next,
) -> Response {
    let method = METHODS.get(request.uri().path()).unwrap_or(&OTHER);
    let headers = request.headers();
    let has_parent = trace::is_on() && doorkeeper.knows(headers, request.extensions());
    let mut rpc = Rpc::begin(method, headers, has_parent);
    let answer = next.run(request).instrument(rpc.line.clone());
    let response = match &rpc.call {
        Some(call) => call.run(answer).await,
        None => answer.await,
    };
    match status(response.headers()) {
        // Whatever ends before it has begun says how at once.
        Some(code) => rpc.end(code),
        // No answer of gRPC at all, e.g. to a request of another kind.
        None if !response.status().is_success() => rpc.end(Code::Unknown),
        None if method.is_stream => {
            return response.map(|body| Body::new(Streamed { body, rpc }));
        }
        None => rpc.end(Code::Ok),
    }
    response
}

fn status(headers: &HeaderMap<HeaderValue>) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

/// An RPC under way. Dropped before it has ended, it was cancelled by the caller.
struct Rpc {
    method: &'static Method,
    begun: Instant,
    line: tracing::Span,
    call: Option<trace::Call>,
    is_over: bool,
}

impl Rpc {
    /// `has_parent`: whether the headers may name one.
    fn begin(method: &'static Method, headers: &HeaderMap, has_parent: bool) -> Self {
        // At this level, so that whatever is logged of a call has it.
        let line = tracing::error_span!(
            "rpc",
            method = method.label,
            trace_id = tracing::field::Empty,
            span_id = tracing::field::Empty
        );
        let call = trace::Call::open(
            method.name.as_str(),
            |name| headers.get(name).filter(|_| has_parent)?.to_str().ok(),
            || {
                vec![
                    KeyValue::new("rpc.system.name", "grpc"),
                    KeyValue::new("rpc.method", method.name.as_str()),
                ]
            },
        );
        if let Some(call) = &call {
            call.name_in(&line);
        }
        Self { method, begun: Instant::now(), line, call, is_over: false }
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let (method, code_name) = (self.method.label.as_str(), name(code));
        if self.method.is_stream {
            metrics::counter!(
                "callgate_rpc_streams_ended_total", "method" => method, "code" => code_name
            )
            .increment(1);
        } else {
            metrics::histogram!(
                "callgate_rpc_duration_seconds", "method" => method, "code" => code_name
            )
            .record(self.begun.elapsed().as_secs_f64());
        }
        if let Some(call) = self.call.take() {
            call.note("rpc.response.status_code", code_name);
            if is_our_fault(code) {
                call.failed(code_name);
            }
        }
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// What a server's span calls an error, by the conventions: what the caller did wrong is none.
fn is_our_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// As the gRPC specification writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The body of a stream, which says in its trailers how it ended.
struct Streamed {
    body: Body,
    rpc: Rpc,
}

impl HttpBody for Streamed {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Self { body, rpc } = self.get_mut();
        let poll = || Pin::new(body).poll_frame(cx);
        let line = rpc.line.clone();
        let frame = line.in_scope(|| match &rpc.call {
            Some(call) => call.within(poll),
            None => poll(),
        });
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(code) = frame.trailers_ref().and_then(status) {
                    rpc.end(code);
                }
            }
            Poll::Ready(Some(Err(_))) => rpc.end(Code::Unknown),
            Poll::Ready(None) => rpc.end(Code::Ok),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(path: &str) -> &'static str {
        METHODS.get(path).unwrap_or(&OTHER).label.as_str()
    }

    #[test]
    fn each_end_of_a_stream_of_ours_is_known_once() {
        let mut ends: Vec<_> = stream_ends().collect();
        ends.sort_unstable();
        ends.dedup();
        assert_eq!(ends.len(), 17, "{ends:?}");
        assert!(ends.iter().all(|(method, _)| *method == "WatchPermissions"), "{ends:?}");
    }

    #[test]
    fn every_method_that_is_served_has_a_label_of_its_own() {
        assert_eq!(label("/callgate.v1.CallPermissionService/AuthorizeCall"), "AuthorizeCall");
        assert_eq!(label("/callgate.v1.QuarantineService/GetQuarantined"), "GetQuarantined");
        assert_eq!(label("/grpc.health.v1.Health/Check"), "Health/Check");
        assert_eq!(label("/callgate.v1.CallPermissionService/15550199001"), "other");
        assert_eq!(label("/metrics"), "other");
        let watch = &METHODS["/callgate.v1.CallPermissionService/WatchPermissions"];
        assert!(watch.is_stream, "{watch:?}");
        let mut labels: Vec<_> = METHODS.values().map(|method| &method.label).collect();
        labels.sort_unstable();
        labels.dedup();
        // The two versions of reflection share theirs.
        assert_eq!(labels.len(), METHODS.len() - 1, "{labels:?}");
    }
}
