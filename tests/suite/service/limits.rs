//! How much may be under way at once: what is beyond gets a no at once, and a place is free again
//! however its request ended.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callgate::{
    engine::{
        profile::Profile,
        scope::Scope,
        store::Store,
        time::{ManualClock, Millis},
    },
    proto as pb,
    service::{
        Limits, Options,
        access::{Access, Client, Doorkeeper, Role, TokenHash},
    },
    store::embedded::Embedded,
};
use http_body_util::BodyExt as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use prost::Message as _;
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1;
use tonic_types::StatusExt as _;

use crate::{
    overload::client::Caller,
    service::ask::{self, T},
    support::{
        server::{Server, never_understood},
        stub::{Behaviour, Stub},
    },
};

const FEW: Limits = Limits { calls: 3, batches: 2, streams: 2 };
const CLASSES: [(&str, usize); 3] = [("call", 3), ("batch", 2), ("stream", 2)];
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with few places, and what it counts. It runs on this thread.
struct Few {
    server: Server,
    metrics: PrometheusHandle,
    _guard: metrics::LocalRecorderGuard<'static>,
}

impl Few {
    async fn over(store: Arc<dyn Store>) -> Self {
        Self::with(store, Options { limits: FEW, ..Options::new(never_understood()) }).await
    }

    async fn with(store: Arc<dyn Store>, options: Options) -> Self {
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let metrics = recorder.handle();
        let guard = metrics::set_default_local_recorder(recorder);
        let server = Server::open(store, Profile::atom(), options).await;
        Self { server, metrics, _guard: guard }
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |number| number.parse().unwrap())
    }

    fn in_flight(&self, class: &str) -> f64 {
        self.metric(&format!("callgate_in_flight{{class=\"{class}\"}}"))
    }

    fn shed(&self, class: &str) -> f64 {
        self.metric(&format!("callgate_shed_total{{class=\"{class}\"}}"))
    }

    /// Waits until so many are under way.
    async fn until_in_flight(&self, class: &str, count: usize) {
        let reached = async {
            while (self.in_flight(class) - count as f64).abs() > 0.1 {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reached).await;
        waited
            .unwrap_or_else(|_| panic!("{} of class {class}, not {count}", self.in_flight(class)));
    }

    /// Asks one thing of a class, within a deadline or without one.
    fn ask(&self, class: &str, deadline: Option<Duration>) -> JoinHandle<Result<(), Status>> {
        let mut calls = self.server.calls.clone();
        fn within<T>(message: T, deadline: Option<Duration>) -> Request<T> {
            let mut request = Request::new(message);
            if let Some(deadline) = deadline {
                request.set_timeout(deadline);
            }
            request
        }
        match class {
            "call" => tokio::spawn(async move {
                calls.authorize_call(within(ask::authorize("c"), deadline)).await.map(drop)
            }),
            "batch" => tokio::spawn(async move {
                let check = pb::CheckCall { pair: ask::pair(), ..Default::default() };
                let request = pb::CheckCallsRequest { checks: vec![check] };
                calls.check_calls(within(request, deadline)).await.map(drop)
            }),
            _ => tokio::spawn(async move {
                let request = pb::WatchPermissionsRequest::default();
                calls.watch_permissions(within(request, deadline)).await.map(drop)
            }),
        }
    }

    async fn is_shed(&self, class: &str) {
        let status = self.ask(class, None).await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{class}: {status:?}");
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "TOO_MANY_AT_ONCE");
        assert!(details.retry_info().unwrap().retry_delay.is_some());
        assert!(status.message().contains("do not dial"), "{status:?}");
    }
}

fn hanging() -> Arc<Stub> {
    Arc::new(Stub::new(Behaviour::Hangs))
}

#[tokio::test]
async fn each_class_is_shed_at_one_more_than_its_limit_and_no_other_with_it() {
    let few = Few::over(hanging()).await;
    let mut under_way = Vec::new();
    for (n, (class, limit)) in CLASSES.into_iter().enumerate() {
        under_way.extend((0..limit).map(|_| few.ask(class, None)));
        few.until_in_flight(class, limit).await;
        few.is_shed(class).await;
        few.is_shed(class).await;
        assert!((few.shed(class) - 2.0).abs() < 0.1);
        for (other, _) in &CLASSES[n + 1..] {
            assert!(few.shed(other).abs() < 0.1 && few.in_flight(other).abs() < 0.1, "{other}");
        }
    }
    assert!(under_way.iter().all(|one| !one.is_finished()), "those within the limit go on");
}

#[tokio::test]
async fn health_and_reflection_are_answered_when_all_places_are_taken() {
    let few = Few::over(hanging()).await;
    for (class, limit) in CLASSES {
        (0..limit).for_each(|_| drop(few.ask(class, None)));
        few.until_in_flight(class, limit).await;
    }
    let mut health = HealthClient::new(few.server.channel.clone());
    health.check(HealthCheckRequest::default()).await.unwrap();
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { message_request: Some(list), ..Default::default() };
    let channel = few.server.channel.clone();
    let mut reflection = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = reflection.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    answers.into_inner().message().await.unwrap().unwrap();
}

/// Anybody may ask for health, so it has a limit that nobody can set.
#[tokio::test]
async fn watches_on_health_are_no_way_to_fill_the_gate() {
    const PROBES_MAX: usize = 1024;
    let few = Few::over(hanging()).await;
    // One connection has 1024 streams at most, a probe among them.
    let mut watches = Vec::new();
    for count in [PROBES_MAX / 2, PROBES_MAX / 2] {
        let channel =
            Channel::from_shared(few.server.url.clone()).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel);
        for _ in 0..count {
            let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
            watch.message().await.unwrap().unwrap();
            watches.push(watch);
        }
    }
    few.until_in_flight("other", PROBES_MAX).await;
    let mut health = HealthClient::new(few.server.channel.clone());
    let beyond = health.watch(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(beyond.code(), Code::ResourceExhausted, "{beyond:?}");
    // Probes are answered all the same.
    health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(few.shed("other"), 1.0);
    watches.pop();
    few.until_in_flight("other", PROBES_MAX - 1).await;
    health.watch(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn questions_of_health_that_never_end_are_no_way_to_fill_the_gate() {
    const PROBES_MAX: usize = 1024;
    let few = Few::over(hanging()).await;
    for _ in 0..2 {
        let caller = Caller::connect(few.server.url.trim_start_matches("http://")).await;
        for _ in 0..PROBES_MAX / 2 {
            let caller = caller.clone();
            tokio::spawn(async move { caller.unfinished_health().await });
        }
    }
    few.until_in_flight("probe", PROBES_MAX).await;
    let mut health = HealthClient::new(few.server.channel.clone());
    let beyond = health.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(beyond.code(), Code::ResourceExhausted, "{beyond:?}");
    // They have five seconds.
    few.until_in_flight("probe", 0).await;
    health.check(HealthCheckRequest::default()).await.unwrap();
}

/// A service's name is short: nobody may keep megabytes here without being known.
#[tokio::test]
async fn a_question_for_health_is_small() {
    let few = Few::over(hanging()).await;
    let mut health = HealthClient::new(few.server.channel.clone());
    let ask = |len| HealthCheckRequest { service: "s".repeat(len) };
    assert_eq!(health.check(ask(1000)).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(health.check(ask(1100)).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(health.watch(ask(1100)).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_place_is_free_again_when_the_client_goes_away() {
    let few = Few::over(hanging()).await;
    for (class, limit) in CLASSES {
        let mut under_way: Vec<_> = (0..limit).map(|_| few.ask(class, None)).collect();
        few.until_in_flight(class, limit).await;
        few.is_shed(class).await;
        under_way.pop().unwrap().abort();
        few.until_in_flight(class, limit - 1).await;
        let next = few.ask(class, None);
        few.until_in_flight(class, limit).await;
        assert!(!next.is_finished(), "{class}: it has the place");
        few.is_shed(class).await;
        under_way.iter().for_each(JoinHandle::abort);
        next.abort();
        few.until_in_flight(class, 0).await;
    }
}

#[tokio::test]
async fn a_place_is_free_again_when_the_deadline_passes() {
    let few = Few::over(hanging()).await;
    // These clients have no timers of their own: it is the gate that ends their calls.
    let caller = Caller::connect(few.server.url.trim_start_matches("http://")).await;
    for _ in 0..2 {
        let under_way: Vec<_> = (0..FEW.calls)
            .map(|_| {
                let caller = caller.clone();
                tokio::spawn(async move { caller.authorize("c", Duration::from_millis(200)).await })
            })
            .collect();
        few.until_in_flight("call", FEW.calls).await;
        for one in under_way {
            assert_eq!(one.await.unwrap(), i32::from(Code::DeadlineExceeded));
        }
        few.until_in_flight("call", 0).await;
    }
    // And these have.
    for (class, limit) in CLASSES {
        let deadline = Some(Duration::from_millis(100));
        let under_way: Vec<_> = (0..limit).map(|_| few.ask(class, deadline)).collect();
        for one in under_way {
            let code = one.await.unwrap().unwrap_err().code();
            assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&code), "{class}: {code:?}");
        }
        few.until_in_flight(class, 0).await;
        assert!(few.shed(class).abs() < 0.1);
    }
}

#[tokio::test]
async fn a_panic_is_counted_and_frees_its_place() {
    callgate::telemetry::withhold_panics();
    let few = Few::over(Arc::new(Stub::new(Behaviour::Panics))).await;
    for (class, limit) in CLASSES {
        let before = few.metric("callgate_panics_total");
        for n in 1..=2 * limit {
            let status = few.ask(class, None).await.unwrap().unwrap_err();
            assert_eq!(status.code(), Code::Internal, "{class}: {status:?}");
            let panics = few.metric("callgate_panics_total") - before;
            assert!((panics - n as f64).abs() < 0.1, "{class}: {panics}, not {n}");
        }
        few.until_in_flight(class, 0).await;
    }
}

#[tokio::test]
async fn a_stream_holds_its_place_until_it_ends() {
    let store = Arc::new(Embedded::memory(Arc::new(ManualClock::at(Millis(T)))).unwrap());
    let few = Few::over(store).await;
    let open = async || {
        let mut calls = few.server.calls.clone();
        let request = pb::WatchPermissionsRequest::default();
        let mut stream = calls.watch_permissions(request).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        stream
    };
    let (first, second) = (open().await, open().await);
    few.until_in_flight("stream", 2).await;
    few.is_shed("stream").await;
    drop(first);
    few.until_in_flight("stream", 1).await;
    let mut third = open().await;
    few.is_shed("stream").await;
    drop(second);
    few.server.drain();
    assert_eq!(third.message().await.unwrap_err().code(), Code::Unavailable);
    few.until_in_flight("stream", 0).await;
}

/// So long is it in memory.
#[tokio::test]
async fn a_batch_keeps_its_place_until_its_answer_is_read() {
    let store = Arc::new(Embedded::memory(Arc::new(ManualClock::at(Millis(T)))).unwrap());
    let few = Few::over(store).await;
    let caller = Caller::narrow(few.server.url.trim_start_matches("http://"), 16 << 10).await;
    // An error each, of some words.
    let request = pb::CheckCallsRequest { checks: vec![pb::CheckCall::default(); 1000] };
    let mut unread = Vec::new();
    for _ in 0..FEW.batches {
        unread.push(caller.unread("CheckCalls", &request).await);
    }
    few.until_in_flight("batch", FEW.batches).await;
    few.is_shed("batch").await;
    let read = unread.pop().unwrap().into_body().collect().await.unwrap();
    assert_eq!(read.trailers().unwrap()["grpc-status"], "0");
    let answer = read.to_bytes();
    assert!(answer.len() > 64 << 10, "{} bytes", answer.len());
    let answer = pb::CheckCallsResponse::decode(&answer[5..]).unwrap();
    assert_eq!(answer.results.len(), 1000);
    few.until_in_flight("batch", FEW.batches - 1).await;
    few.ask("batch", None).await.unwrap().unwrap();
    drop(unread);
    few.until_in_flight("batch", 0).await;
}

/// A client that does not read keeps nobody out for longer than it waits, or than a request may take.
#[tokio::test]
async fn an_answer_that_is_never_read_gives_its_place_back() {
    let store = Arc::new(Embedded::memory(Arc::new(ManualClock::at(Millis(T)))).unwrap());
    let request_time_max = Duration::from_millis(300);
    let options = Options { limits: FEW, request_time_max, ..Options::new(never_understood()) };
    let few = Few::with(store, options).await;
    let caller = Caller::narrow(few.server.url.trim_start_matches("http://"), 16 << 10).await;
    let request = pb::CheckCallsRequest { checks: vec![pb::CheckCall::default(); 1000] };
    let begun = Instant::now();
    let unread = caller.unread("CheckCalls", &request).await;
    assert!(few.in_flight("batch") > 0.5);
    few.until_in_flight("batch", 0).await;
    assert!(begun.elapsed() >= request_time_max);
    // Whoever reads it then is told that it was too late.
    let rest = unread.into_body().collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "4");
    few.ask("batch", None).await.unwrap().unwrap();
}

/// The same of a stream: its client keeps nobody out when its time is over, or when it was shut out itself.
#[tokio::test]
async fn a_stream_that_is_never_read_gives_its_place_back() {
    let store = Arc::new(Embedded::memory(Arc::new(ManualClock::at(Millis(T)))).unwrap());
    let doorkeeper = Doorkeeper::default();
    let options =
        Options { limits: FEW, doorkeeper: doorkeeper.clone(), ..Options::new(never_understood()) };
    let few = Few::with(store, options).await;
    let caller = Caller::narrow(few.server.url.trim_start_matches("http://"), 0).await;
    let request = pb::WatchPermissionsRequest::default();
    let deadline = Duration::from_millis(300);
    let begun = Instant::now();
    let _late = caller.unread_within("WatchPermissions", &request, Some(deadline)).await;
    let _shut_out = caller.unread("WatchPermissions", &request).await;
    few.is_shed("stream").await;
    few.until_in_flight("stream", 1).await;
    assert!(begun.elapsed() >= deadline);
    let client = Client {
        name: "another".to_owned(),
        roles: vec![Role::Caller],
        tokens: vec![TokenHash::of("known")],
        certificate_names: Vec::new(),
        scope: Scope::All,
    };
    doorkeeper.replace(Access::new(vec![client]));
    // Of our health strangers may hear for as long as they like.
    let mut health = HealthClient::new(few.server.channel.clone());
    let watched = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    watched.message().await.unwrap().unwrap();
    few.until_in_flight("stream", 0).await;
    assert!(few.in_flight("other") > 0.5);
    few.server.drain();
    assert_eq!(watched.message().await.unwrap_err().code(), Code::Unavailable);
}

/// Else a client could have a thousand pairs on each of ten thousand streams.
#[tokio::test]
async fn a_stream_of_many_pairs_takes_several_places() {
    let store = Arc::new(Embedded::memory(Arc::new(ManualClock::at(Millis(T)))).unwrap());
    let limits = Limits { streams: 65, ..FEW };
    let few = Few::with(store, Options { limits, ..Options::new(never_understood()) }).await;
    let open = async |pairs: usize, numbers: usize| {
        let pair = |n| ask::pair_of(ask::NUMBER, &format!("1555{n:07}")).unwrap();
        let request = pb::WatchPermissionsRequest {
            pairs: (0..pairs).map(pair).collect(),
            phone_number_ids: vec![ask::NUMBER.to_owned(); numbers],
            ..Default::default()
        };
        let mut stream = few.server.calls.clone().watch_permissions(request).await?.into_inner();
        stream.message().await?;
        Ok::<_, Status>(stream)
    };
    let many = open(1000, 0).await.unwrap();
    few.until_in_flight("stream", 64).await;
    for (pairs, numbers) in [(6, 0), (0, 6), (3, 3)] {
        let refused = open(pairs, numbers).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    }
    few.until_in_flight("stream", 64).await;
    assert!((few.shed("stream") - 3.0).abs() < 0.1);
    // With whatever else: it is no use to come again.
    let refused = open(1000, 40).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert!(refused.message().contains("raise limits.streams"), "{refused:?}");
    let refused = open(1001, 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "it is wrong on any gate: {refused:?}");
    let few_pairs = open(3, 2).await.unwrap();
    few.until_in_flight("stream", 65).await;
    drop(many);
    few.until_in_flight("stream", 1).await;
    let _again = open(21, 0).await.unwrap();
    few.until_in_flight("stream", 3).await;
    drop(few_pairs);
    few.until_in_flight("stream", 2).await;
}

/// A gate with one client and one place of each class.
async fn guarded(store: Arc<dyn Store>) -> Few {
    let client = Client {
        name: "bot".to_owned(),
        roles: vec![Role::Caller],
        tokens: vec![TokenHash::of("known")],
        certificate_names: Vec::new(),
        scope: Scope::All,
    };
    let options = Options {
        limits: Limits { calls: 1, batches: 1, streams: 1 },
        doorkeeper: Doorkeeper::new(Access::new(vec![client])),
        ..Options::new(never_understood())
    };
    Few::with(store, options).await
}

#[tokio::test]
async fn strangers_take_nobodys_place() {
    let few = guarded(hanging()).await;
    for (class, _) in CLASSES {
        for _ in 0..5 {
            let status = few.ask(class, None).await.unwrap().unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{class}: {status:?}");
        }
    }
    // One that never ends its request is turned away before anything of it is read.
    let body =
        tonic::body::Body::new(http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<hyper::body::Frame<axum::body::Bytes>, Status>,
        >()));
    let request = axum::http::Request::post(format!(
        "{}/callgate.v1.CallPermissionService/AuthorizeCall",
        few.server.url
    ))
    .header("content-type", "application/grpc")
    .body(body)
    .unwrap();
    let mut channel = few.server.channel.clone();
    std::future::poll_fn(|cx| tower::Service::poll_ready(&mut channel, cx)).await.unwrap();
    let response = tower::Service::call(&mut channel, request).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "16");
    assert!(few.in_flight("call").abs() < 0.1 && few.shed("call").abs() < 0.1);
    let mut known = Request::new(ask::authorize("c"));
    known.metadata_mut().insert("authorization", "Bearer known".parse().unwrap());
    let mut calls = few.server.calls.clone();
    let known = tokio::spawn(async move { calls.authorize_call(known).await });
    few.until_in_flight("call", 1).await;
    // A full house is not told to strangers either.
    let status = few.ask("call", None).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    known.abort();
    few.until_in_flight("call", 0).await;
}
