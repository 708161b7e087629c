//! Traces, at the end of a collector.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use callgate::{proto as pb, service::access::TokenHash};
use hmac::{Hmac, Mac as _};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tonic::{Code, Request, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{CUSTOMER, accept, client, fixture, pair, question};
use crate::{
    servers::{Certificates, Server},
    support::{
        collector::{Collector, attribute},
        process::{Process, SECRET},
    },
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const SERVICE: &str = "callgate.v1.CallPermissionService";
/// Longer than the end of a gate may take, with a collector that does not answer.
const PATIENCE: Duration = Duration::from_secs(6);

fn traceparent(is_sampled: bool) -> String {
    format!("00-{TRACE}-{PARENT}-0{}", u8::from(is_sampled))
}

/// As a child of a span of the caller's.
fn traced<T>(message: T, is_sampled: bool) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", traceparent(is_sampled).parse().unwrap());
    request.metadata_mut().insert("tracestate", "vendor=1".parse().unwrap());
    request
}

/// A gate that sends its spans there and its log to a file.
fn gate(store: &str, collector: &str, log: &Path, more: &[&str]) -> Process {
    let file = Stdio::from(File::create(log).unwrap());
    let arguments = [&["--otlp-endpoint", collector, "--store-timeout", "5s"], more].concat();
    Process::serve_with(store, "127.0.0.1:0", &arguments, |command| {
        command.stderr(file).env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    })
}

/// Posts a webhook that says it is a child of a span of the sender's.
async fn post(gate: &Process, body: &Value) {
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let post = reqwest::Client::new().post(format!("http://{}/webhooks/meta", gate.http));
    let post =
        post.header("X-Hub-Signature-256", signature).header("traceparent", traceparent(true));
    assert!(post.body(body).send().await.unwrap().status().is_success());
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// The name, kind and attributes of a span, but not its time.
fn shown(span: &Span) -> String {
    let mut attributes: Vec<String> = span
        .attributes
        .iter()
        .map(|of| format!("{}={}", of.key, attribute(&span.attributes, &of.key)))
        .collect();
    attributes.sort();
    let kind = SpanKind::try_from(span.kind).unwrap();
    format!("{} {} {}", span.name, kind.as_str_name(), attributes.join(" "))
}

fn children<'a>(spans: &'a [Span], of: &Span) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.parent_span_id == of.span_id).collect()
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

/// Every line of a log that is a decision.
fn decisions(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == "callgate::decision").collect()
}

#[tokio::test]
async fn a_call_is_traced_from_its_caller_to_the_store() {
    let redis = Server::redis7();
    for (store, system, operation) in
        [("memory:", "callgate.embedded", "write"), (redis.url(), "redis", "shell")]
    {
        let (collector, directory) = (Collector::start().await, tempfile::tempdir().unwrap());
        let log = directory.path().join("log");
        let gate = gate(store, &collector.url, &log, &[]);
        let mut calls = client(&gate).await;
        calls.record_events(traced(accept(), true)).await.unwrap();
        calls.authorize_call(traced(question("c1", 1, 1), true)).await.unwrap();
        calls.authorize_call(traced(question("c2", 1, 1), false)).await.unwrap();
        let unpaired = pb::AuthorizeCallRequest { pair: None, ..question("c9", 1, 1) };
        let refused = calls.authorize_call(unpaired).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let watch =
            pb::WatchPermissionsRequest { pairs: vec![pair().unwrap()], ..Default::default() };
        drop(calls.watch_permissions(traced(watch, true)).await.unwrap());
        post(&gate, &fixture()).await;
        drop(calls);
        gate.terminate().await;

        let spans = collector.spans();
        let [allowed, refused] = named(&spans, &format!("{SERVICE}/AuthorizeCall"))[..] else {
            panic!("one is not sampled: {spans:?}")
        };
        assert_eq!(hex::encode(&allowed.trace_id), TRACE);
        assert_eq!(hex::encode(&allowed.parent_span_id), PARENT);
        assert_eq!(allowed.trace_state, "vendor=1");
        assert_eq!(
            shown(allowed),
            format!(
                "{SERVICE}/AuthorizeCall SPAN_KIND_SERVER callgate.decision=allow callgate.profile=atom \
                 callgate.reason=temporary_permission rpc.method={SERVICE}/AuthorizeCall \
                 rpc.response.status_code=OK rpc.system.name=grpc"
            )
        );
        let [trip] = children(&spans, allowed)[..] else { panic!("one round trip: {spans:?}") };
        assert_eq!(
            shown(trip),
            format!(
                "{operation} SPAN_KIND_CLIENT db.operation.name={operation} db.system.name={system}"
            )
        );
        assert_eq!(trip.trace_id, allowed.trace_id);
        assert!(allowed.start_time_unix_nano <= trip.start_time_unix_nano);
        assert!(trip.end_time_unix_nano <= allowed.end_time_unix_nano);
        assert_ne!(hex::encode(&refused.trace_id), TRACE);
        assert!(refused.parent_span_id.is_empty() && !is_error(refused), "{refused:?}");
        assert_eq!(attribute(&refused.attributes, "rpc.response.status_code"), "INVALID_ARGUMENT");
        let [stream] = named(&spans, &format!("{SERVICE}/WatchPermissions"))[..] else {
            panic!("the stream: {spans:?}")
        };
        assert_eq!(hex::encode(&stream.trace_id), TRACE);
        let [webhook] = named(&spans, "POST /webhooks/meta")[..] else { panic!("{spans:?}") };
        assert_ne!(hex::encode(&webhook.trace_id), TRACE, "anybody can name a parent there");
        assert!(webhook.parent_span_id.is_empty(), "{webhook:?}");
        assert!(children(&spans, webhook).iter().any(|trip| trip.name == operation), "{spans:?}");
        assert!(shown(webhook).contains("http.response.status_code=IntValue(200)"), "{webhook:?}");

        for request in collector.requests() {
            assert!(!format!("{request:?}").contains(CUSTOMER), "{request:?}");
            let resource = request.resource_spans[0].resource.clone().unwrap().attributes;
            assert_eq!(attribute(&resource, "service.name"), "callgate");
            assert_eq!(attribute(&resource, "service.version"), env!("CARGO_PKG_VERSION"));
            assert_eq!(attribute(&resource, "deployment.environment.name"), "test");
        }
        let [first, second] = &decisions(&log)[..] else { panic!("two decisions") };
        assert_eq!(first["span"]["method"], "AuthorizeCall", "{first}");
        assert_eq!(first["span"]["trace_id"], TRACE, "{first}");
        assert_eq!(first["span"]["span_id"], hex::encode(&allowed.span_id), "{first}");
        assert_eq!(second["span"]["method"], "AuthorizeCall", "{second}");
        assert_eq!(second["span"]["trace_id"], Value::Null, "it is not sampled: {second}");
    }
}

#[tokio::test]
async fn a_call_without_an_answer_is_an_error_of_the_trace() {
    let mut redis = Server::redis7();
    let (collector, directory) = (Collector::start().await, tempfile::tempdir().unwrap());
    let gate = gate(redis.url(), &collector.url, &directory.path().join("log"), &[]);
    let mut calls = client(&gate).await;
    redis.kill();
    assert!(calls.authorize_call(question("c1", 1, 1)).await.is_err());
    drop(calls);
    gate.terminate().await;
    let spans = collector.spans();
    let [call] = named(&spans, &format!("{SERVICE}/AuthorizeCall"))[..] else {
        panic!("{spans:?}")
    };
    assert!(is_error(call), "{call:?}");
    let code = attribute(&call.attributes, "rpc.response.status_code");
    assert_eq!(attribute(&call.attributes, "error.type"), code);
    assert!(["UNAVAILABLE", "DEADLINE_EXCEEDED"].contains(&code.as_str()), "{code}");
    assert!(children(&spans, call).iter().all(|trip| is_error(trip)), "{spans:?}");
}

#[tokio::test]
async fn as_many_calls_are_sampled_as_the_configuration_says() {
    for (ratio, is_sampled) in [("0", false), ("1", true)] {
        let (collector, directory) = (Collector::start().await, tempfile::tempdir().unwrap());
        let log = directory.path().join("log");
        let gate = gate("memory:", &collector.url, &log, &["--otlp-sample-ratio", ratio]);
        let mut calls = client(&gate).await;
        calls.authorize_call(question("c1", 1, 1)).await.unwrap();
        drop(calls);
        gate.terminate().await;
        assert_eq!(collector.spans().is_empty(), !is_sampled);
        let decision = &decisions(&log)[0];
        assert_eq!(decision["span"]["trace_id"].is_string(), is_sampled, "{decision}");
    }
}

/// Who named a parent that is sampled would decide what is sent to the collector.
#[tokio::test]
async fn nobody_but_a_client_names_a_parent() {
    let (collector, directory) = (Collector::start().await, tempfile::tempdir().unwrap());
    let path = directory.path().join("callgate.toml");
    let hash = TokenHash::of("known");
    let bot = format!("[clients.bot]\nroles = [\"caller\"]\ntoken_sha256 = [\"{hash}\"]\n");
    fs::write(&path, bot).unwrap();
    let arguments = ["--otlp-sample-ratio", "0", "--config", path.to_str().unwrap()];
    let gate = gate("memory:", &collector.url, &directory.path().join("log"), &arguments);
    let mut calls = client(&gate).await;
    for token in ["unknown", "known"] {
        let mut request = traced(question("c1", 1, 1), true);
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        assert_eq!(calls.authorize_call(request).await.is_ok(), token == "known");
    }
    let channel = Endpoint::from_shared(format!("http://{}", gate.grpc)).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    health.check(traced(HealthCheckRequest::default(), true)).await.unwrap();
    post(&gate, &fixture()).await;
    drop((calls, health));
    gate.terminate().await;
    let spans = collector.spans();
    let calls = named(&spans, &format!("{SERVICE}/AuthorizeCall"));
    let [call] = calls[..] else { panic!("one is a client's: {spans:?}") };
    assert_eq!(attribute(&call.attributes, "rpc.response.status_code"), "OK");
    assert!(spans.iter().all(|span| hex::encode(&span.trace_id) == TRACE), "{spans:?}");
}

#[tokio::test]
async fn a_collector_behind_tls_is_known_by_its_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let files = Certificates::make(directory.path());
    let read = |path| fs::read(path).unwrap();
    let collector = Collector::tls(&read(&files.cert), &read(&files.key)).await;
    for (authority, is_known) in [(&files.ca, true), (&files.key, false)] {
        let arguments = ["--otlp-endpoint", &collector.url];
        let gate = Process::serve_with("memory:", "127.0.0.1:0", &arguments, |command| {
            command.env("SSL_CERT_FILE", authority);
        });
        client(&gate).await.authorize_call(question("c1", 1, 1)).await.unwrap();
        let before = collector.spans().len();
        gate.terminate().await;
        assert_eq!(before < collector.spans().len(), is_known);
    }
}

/// One to which nobody listens, and one that takes everything and never answers.
#[tokio::test]
async fn a_collector_that_is_away_costs_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for collector in [silent.local_addr().unwrap(), gone] {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let gate = gate("memory:", &format!("http://{collector}"), &log, &[]);
        let mut calls = client(&gate).await;
        calls.record_events(accept()).await.unwrap();
        let begun = Instant::now();
        // More than wait for the collector, with their round trips.
        for n in 0..3000 {
            let answer = calls.authorize_call(question(&format!("c{}", n % 5), 1, 1)).await;
            assert_eq!(answer.unwrap().into_inner().decision, 1);
        }
        println!("3000 calls in {:?}", begun.elapsed());
        drop(calls);
        let ending = Instant::now();
        gate.terminate().await;
        assert!(ending.elapsed() < PATIENCE, "it took {:?} to end", ending.elapsed());
        let text = fs::read_to_string(&log).unwrap();
        let complaints = text.lines().filter(|line| line.contains("spans are lost")).count();
        assert!(complaints <= 1, "at most once a minute: {complaints}");
        assert!(complaints == 1 || text.contains("the last spans were not sent"), "{text}");
    }
}
