//! Of gates in processes of their own.

mod traces;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use callgate::{
    engine::time::{Clock as _, WallClock},
    proto::{self as pb, call_permission_service_client::CallPermissionServiceClient, event::Fact},
};
use serde_json::Value;
use tonic::{Code, Request, transport::Channel};

use super::table::{Series, late, rows, series, strangers};
use crate::{servers::Server, support::process::Process};

const NUMBER: &str = "800000000000001";
const CUSTOMER: &str = "15550199001";

type Client = CallPermissionServiceClient<Channel>;

async fn client(gate: &Process) -> Client {
    Client::connect(format!("http://{}", gate.grpc)).await.unwrap()
}

fn pair() -> Option<pb::Pair> {
    let customer = pb::Customer { wa_id: CUSTOMER.to_owned(), user_id: String::new() };
    Some(pb::Pair { phone_number_id: NUMBER.to_owned(), customer: Some(customer) })
}

fn accept() -> pb::RecordEventsRequest {
    let seconds = (WallClock::default().now().0 / 1000).try_into().unwrap();
    let now = prost_types::Timestamp { seconds, nanos: 0 };
    let fact = Fact::Reply(pb::PermissionReply { response: 1, ..Default::default() });
    let event = pb::Event {
        event_id: "e1".to_owned(),
        pair: pair(),
        occurred_at: Some(now),
        fact: Some(fact),
    };
    pb::RecordEventsRequest { events: vec![event] }
}

fn question(id: &str, kind: i32, channel: i32) -> pb::AuthorizeCallRequest {
    pb::AuthorizeCallRequest {
        pair: pair(),
        call_id: id.to_owned(),
        agent: Some(pb::Agent { kind, id: "bot".to_owned() }),
        channel,
        ..Default::default()
    }
}

fn fixture() -> Value {
    let path = "tests/fixtures/meta/01_reply_accept_temporary.json";
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Everything a little.
async fn exercise(gate: &Process) {
    // It is old, and so comes first.
    assert!(gate.webhook(&fixture()).await);
    let mut calls = client(gate).await;
    let watch = pb::WatchPermissionsRequest { pairs: vec![pair().unwrap()], ..Default::default() };
    let mut stream = calls.watch_permissions(watch).await.unwrap().into_inner();
    stream.message().await.unwrap();
    calls.record_events(accept()).await.unwrap();
    stream.message().await.unwrap();
    drop(stream);
    for (id, kind, channel) in
        [("c1", 1, 1), ("c1", 1, 1), ("c2", 2, 1), ("c3", 2, 1), ("c4", 1, 2)]
    {
        calls.authorize_call(question(id, kind, channel)).await.unwrap();
    }
    let unpaired = pb::AuthorizeCallRequest { pair: None, ..question("c9", 1, 1) };
    assert_eq!(calls.authorize_call(unpaired).await.unwrap_err().code(), Code::InvalidArgument);
    let by = |agent| pb::CheckCall { pair: pair(), agent, ..Default::default() };
    let checks = vec![by(None), by(Some(pb::Agent { kind: 2, id: "a".to_owned() }))];
    calls.check_calls(pb::CheckCallsRequest { checks }).await.unwrap();
    let forget = pb::ForgetCustomerRequest {
        customer: pair().unwrap().customer,
        phone_number_id: NUMBER.to_owned(),
    };
    calls.forget_customer(forget).await.unwrap();
    let unsigned = reqwest::Client::new().post(format!("http://{}/webhooks/meta", gate.http));
    assert_eq!(unsigned.body("{}").send().await.unwrap().status(), 401);
    let channel = Channel::from_shared(format!("http://{}", gate.grpc)).unwrap();
    let mut any = tonic::client::Grpc::new(channel.connect().await.unwrap());
    any.ready().await.unwrap();
    let path = format!("/no.such.Service/{CUSTOMER}").parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let other = any.unary(Request::new(()), path, codec).await;
    assert_eq!(other.unwrap_err().code(), Code::Unimplemented);
}

async fn page(gate: &Process) -> String {
    let page = reqwest::get(format!("http://{}/metrics", gate.admin)).await.unwrap();
    page.text().await.unwrap()
}

/// The sum of all series of this name that have these labels.
fn sum(all: &[Series], name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |one: &Series| {
        labels.iter().all(|(label, value)| one.labels.get(*label).is_some_and(|has| has == value))
    };
    all.iter().filter(|one| one.name == name && has(one)).map(|one| one.value).sum()
}

#[tokio::test]
async fn all_that_a_gate_shows_is_in_the_table() {
    let server = Server::redis7();
    for store in ["memory:", server.url()] {
        let gate = Process::serve(store, "127.0.0.1:0", &["--store-timeout", "5s"]);
        let first = page(&gate).await;
        for there in [
            "callgate_calls_lapsed_total 0",
            "callgate_panics_total 0",
            "callgate_changes_total{cause=\"forgotten\"} 0",
            "callgate_store_errors_total{kind=\"deadline_exceeded\"} 0",
            "callgate_clock_steps_total{direction=\"back\"} 0",
            "callgate_rpc_streams_ended_total{method=\"WatchPermissions\",code=\"OUT_OF_RANGE\"} 0",
            "callgate_webhook_events_total{field=\"calls\",event=\"call_terminate\",result=\"recorded\"} 0",
            "callgate_watchers 0",
        ] {
            assert!(first.lines().any(|line| line == there), "from the start: {there}\n{first}");
        }
        let shown: BTreeSet<String> =
            series(&first).iter().map(|one| one.metric().to_owned()).collect();
        let may_be_late = late();
        let missing: Vec<String> = rows()
            .into_keys()
            .filter(|name| !shown.contains(name) && !may_be_late.contains(name))
            .collect();
        assert_eq!(missing, [""; 0], "are to be there from the start");
        exercise(&gate).await;
        // The end of a stream is noticed by itself.
        let mut page = page(&gate).await;
        let ended =
            "callgate_rpc_streams_ended_total{method=\"WatchPermissions\",code=\"CANCELLED\"} 1";
        while !page.contains(ended) {
            page = self::page(&gate).await;
        }
        assert!(!page.contains(CUSTOMER) && !page.contains(NUMBER), "{page}");
        let all = series(&page);
        assert_eq!(strangers(&all), [""; 0], "{page}");
        let sum = |name, labels: &[(&str, &str)]| sum(&all, name, labels);
        let call = |kind, channel| {
            sum(
                "callgate_decisions_total",
                &[("agent_kind", kind), ("channel", channel), ("mode", "call")],
            )
        };
        assert_eq!(
            [
                call("voice_agent", "whatsapp"),
                call("human_agent", "whatsapp"),
                call("none", "whatsapp")
            ],
            [2.0, 2.0, 0.0],
        );
        for kind in ["none", "human_agent"] {
            let checked = [("agent_kind", kind), ("channel", "whatsapp"), ("mode", "check")];
            assert_eq!(sum("callgate_decisions_total", &checked), 1.0, "{kind}");
        }
        assert_eq!(call("voice_agent", "pstn"), 1.0);
        assert_eq!(sum("callgate_calls_held_total", &[]), 3.0, "c1 once, and nothing on telephony");
        let count = "callgate_rpc_duration_seconds_count";
        assert_eq!(sum(count, &[("method", "AuthorizeCall"), ("code", "OK")]), 5.0);
        assert_eq!(sum(count, &[("code", "INVALID_ARGUMENT")]), 1.0);
        assert_eq!(sum(count, &[("method", "other"), ("code", "UNIMPLEMENTED")]), 1.0);
        assert_eq!(sum(count, &[("method", "WatchPermissions")]), 0.0, "it is a stream");
        let ended = [("method", "WatchPermissions"), ("code", "CANCELLED")];
        assert_eq!(sum("callgate_rpc_streams_ended_total", &ended), 1.0);
        for cause in ["accepted", "forgotten"] {
            assert!(sum("callgate_changes_total", &[("cause", cause)]) >= 1.0, "{cause}");
        }
        assert_eq!(sum("callgate_watch_delivery_seconds_count", &[]), 1.0, "{page}");
        assert_eq!(sum("callgate_webhook_lag_seconds_count", &[]), 1.0);
        let op = if store == "memory:" { "write" } else { "shell" };
        assert!(sum("callgate_store_round_trips_total", &[("op", op)]) >= 5.0, "{page}");
        assert!(all.iter().any(|one| one.name == "callgate_quarantined"), "{page}");
    }
}

/// The lines of a gate on this store, until it says that it listens or has run for two seconds.
fn lines(store: &str, format: &str, filter: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let arguments = ["--log-format", format, "--log-filter", filter];
    let mut gate =
        Process::command(env!("CARGO_BIN_EXE_callgate"), store, "127.0.0.1:0", &arguments);
    let mut gate = gate.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    gate.kill().unwrap();
    gate.wait().unwrap();
    fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn lines_of_libraries_look_as_ours_do() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", directory.path().join("store").display());
    let all = lines(&store, "json", "info,fjall=debug");
    let objects: Vec<Value> = all.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let targets = |object: &Value| object["target"].as_str().unwrap().to_owned();
    assert!(objects.iter().any(|object| targets(object).starts_with("callgate")), "{all:?}");
    let theirs: Vec<_> = objects.iter().filter(|it| targets(it).starts_with("fjall")).collect();
    assert!(!theirs.is_empty(), "{all:?}");
    for object in theirs {
        let keys: Vec<&String> = object.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["level", "message", "target", "timestamp"], "{object}");
    }
    let all = lines(&store, "text", "info,fjall=debug");
    assert!(all.iter().any(|line| line.contains(" fjall::")), "{all:?}");
    assert!(!all.iter().any(|line| line.contains("log.") || line.contains(".rs")), "{all:?}");
}

/// Of a store that is away the gate says so, and the library nothing unless it is asked to.
#[test]
fn the_client_of_redis_does_not_speak_beside_the_gate() {
    let store = "redis+cluster://127.0.0.1:1";
    let is_theirs = |line: &String| line.contains("\"target\":\"redis::");
    let quiet = lines(store, "json", "info");
    assert!(quiet.iter().any(|line| line.contains("store")), "{quiet:?}");
    assert!(!quiet.iter().any(is_theirs), "{quiet:?}");
    let named = lines(store, "json", "info,redis=warn");
    assert!(named.iter().any(is_theirs), "{named:?}");
}
