//! WatchPermissions over a real connection: what its messages say, what is refused, how it ends.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use axum::body::HttpBody as _;
use callgate::{
    engine::{
        Error,
        store::Store,
        time::{Clock as _, Millis, WallClock},
    },
    proto::{self as pb, watch_permissions_response::Message},
    service::{Options, router},
    store::embedded::Embedded,
};
use prost_types::Duration as ProtoDuration;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use super::double::Double;
use crate::{
    service::ask::{self, CUSTOMER, NUMBER},
    support::server::{Server, never_understood},
};

type Stream = Streaming<pb::WatchPermissionsResponse>;

fn memory() -> Arc<dyn Store> {
    Arc::new(Embedded::memory(Arc::new(WallClock::default())).unwrap())
}

fn now() -> u64 {
    let Millis(now) = WallClock::default().now();
    now
}

async fn open(server: &Server, request: pb::WatchPermissionsRequest) -> Stream {
    server.calls.clone().watch_permissions(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Stream) -> Result<pb::WatchPermissionsResponse, Status> {
    let message = tokio::time::timeout(Duration::from_secs(10), stream.message()).await;
    message.expect("nothing is told").map(|message| message.expect("the stream ended well"))
}

async fn change(stream: &mut Stream) -> pb::PermissionChange {
    match next(stream).await.unwrap().message.unwrap() {
        Message::Change(change) => change,
        other => panic!("{other:?}"),
    }
}

async fn progress(stream: &mut Stream) {
    let message = next(stream).await.unwrap();
    assert_eq!(message.message, Some(Message::Progress(pb::Progress {})));
    assert!(!message.resume_token.is_empty());
}

fn of_pair() -> pb::WatchPermissionsRequest {
    pb::WatchPermissionsRequest { pairs: vec![ask::pair().unwrap()], ..Default::default() }
}

async fn record(server: &Server, id: &str, at: u64, fact: pb::event::Fact) {
    let request = ask::events(vec![ask::event(id, at, fact)]);
    let results = server.calls.clone().record_events(request).await.unwrap().into_inner().results;
    assert_eq!(results[0].status(), pb::EventStatus::Recorded, "{id}");
}

/// The state as GetPermission shows it, without what the stream does not tell.
async fn shown(server: &Server) -> pb::Permission {
    let request = pb::GetPermissionRequest { pair: ask::pair(), as_of: None };
    let answer = server.calls.clone().get_permission(request).await.unwrap().into_inner();
    bare(answer.permission.unwrap())
}

fn bare(mut permission: pb::Permission) -> pb::Permission {
    permission.judged_at = None;
    for quota in &mut permission.quotas {
        quota.entries.clear();
    }
    permission
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_tells_all_there_is_to_know() {
    let server = Server::start(memory()).await;
    let mut stream = open(&server, of_pair()).await;
    progress(&mut stream).await;
    let asked = now() - 60_000;
    record(&server, "asked", asked, ask::sent("request-1")).await;
    let told = change(&mut stream).await;
    assert_eq!(told.cause(), pb::ChangeCause::RequestSent);
    assert_eq!(told.previous_status(), pb::PermissionStatus::None);
    assert_eq!((told.event_id.as_str(), told.occurred_at), ("asked", ask::at(asked)));
    let recorded = told.recorded_at.unwrap();
    assert!(asked / 1000 + 59 <= u64::try_from(recorded.seconds).unwrap());
    let permission = told.permission.unwrap();
    assert!(permission.judged_at.is_some());
    assert_eq!(bare(permission), shown(&server).await);

    record(&server, "accepted", asked + 1000, ask::accept()).await;
    let told = change(&mut stream).await;
    assert_eq!(told.cause(), pb::ChangeCause::Accepted);
    assert_eq!(told.previous_status(), pb::PermissionStatus::Pending);
    let permission = bare(told.permission.unwrap());
    assert_eq!(permission.status(), pb::PermissionStatus::Granted);
    assert_eq!(permission, shown(&server).await);
    assert_eq!(permission.profile, "atom");
    assert_eq!(permission.unanswered.unwrap().revokes_at, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_what_get_permission_shows() {
    let server = Server::start(memory()).await;
    record(&server, "accepted", now() - 60_000, ask::accept()).await;
    let request = pb::WatchPermissionsRequest { snapshot: true, ..of_pair() };
    let mut stream = open(&server, request).await;
    let Some(Message::Snapshot(snapshot)) = next(&mut stream).await.unwrap().message else {
        panic!()
    };
    assert!(snapshot.judged_at.is_some());
    assert_eq!(bare(snapshot), shown(&server).await);
    record(&server, "rejected", now() - 1000, ask::reject()).await;
    assert_eq!(change(&mut stream).await.cause(), pb::ChangeCause::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_named() {
    let server = Server::start(memory()).await;
    let token = {
        let mut stream = open(&server, of_pair()).await;
        next(&mut stream).await.unwrap().resume_token
    };
    let other = Server::start(memory()).await;
    let foreign = {
        let mut stream = open(&other, pb::WatchPermissionsRequest::default()).await;
        next(&mut stream).await.unwrap().resume_token
    };
    let all = pb::WatchPermissionsRequest::default;
    let seconds = |seconds, nanos| Some(ProtoDuration { seconds, nanos });
    let interval = |interval| pb::WatchPermissionsRequest { progress_interval: interval, ..all() };
    let with_token =
        |token: &[u8]| pb::WatchPermissionsRequest { resume_token: token.to_vec(), ..all() };
    let pairs = |pairs| pb::WatchPermissionsRequest { pairs, ..all() };
    let bad_pair = pb::Pair { phone_number_id: "x".to_owned(), ..ask::pair().unwrap() };
    let table = [
        (
            pb::WatchPermissionsRequest {
                phone_number_ids: vec![NUMBER.to_owned(), "+1".to_owned()],
                ..all()
            },
            "phone_number_ids[1]",
        ),
        (
            pb::WatchPermissionsRequest {
                phone_number_ids: (0..1001).map(|n| format!("8{n}")).collect(),
                ..all()
            },
            "phone_number_ids",
        ),
        (pairs(vec![ask::pair().unwrap(), bad_pair]), "pairs[1].phone_number_id"),
        (pairs(vec![pb::Pair::default()]), "pairs[0].phone_number_id"),
        (
            pairs(
                (0..1001).map(|n| ask::pair_of(NUMBER, &format!("1555{n:07}")).unwrap()).collect(),
            ),
            "pairs",
        ),
        (
            pb::WatchPermissionsRequest {
                phone_number_ids: vec!["800000000000002".to_owned()],
                ..of_pair()
            },
            "pairs[0].phone_number_id",
        ),
        (pb::WatchPermissionsRequest { snapshot: true, ..all() }, "snapshot"),
        (with_token(b"no token"), "resume_token"),
        (with_token(&token[..token.len() - 1]), "resume_token"),
        (with_token(&foreign), "resume_token"),
        // It says nothing of all the other business numbers.
        (with_token(&token), "resume_token"),
        (interval(seconds(0, 999_999_999)), "progress_interval"),
        (interval(seconds(300, 1)), "progress_interval"),
        (interval(seconds(-1, 0)), "progress_interval"),
    ];
    for (index, (request, field)) in table.into_iter().enumerate() {
        let refused = server.calls.clone().watch_permissions(request).await;
        let status = refused.err().unwrap_or_else(|| panic!("request {index} was taken"));
        assert_eq!(status.code(), Code::InvalidArgument, "{index}: {status:?}");
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, field, "{index}");
        assert!(!status.message().contains(CUSTOMER), "{status:?}");
    }
    for good in [seconds(1, 0), seconds(300, 0), None] {
        progress(&mut open(&server, interval(good)).await).await;
    }
    let resumed = pb::WatchPermissionsRequest { resume_token: token, ..of_pair() };
    progress(&mut open(&server, resumed).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_comes_after_the_interval_that_was_asked_for() {
    let server = Server::start(memory()).await;
    let second = Some(ProtoDuration { seconds: 1, nanos: 0 });
    let request = pb::WatchPermissionsRequest { progress_interval: second, ..Default::default() };
    let mut stream = open(&server, request).await;
    progress(&mut stream).await;
    let began = std::time::Instant::now();
    progress(&mut stream).await;
    assert!(Duration::from_millis(950) < began.elapsed(), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_tells_what_another_wrote() {
    let store = memory();
    let (reader, writer) = (Server::start(store.clone()).await, Server::start(store).await);
    let mut stream = open(&reader, of_pair()).await;
    progress(&mut stream).await;
    record(&writer, "accepted", now() - 5000, ask::accept()).await;
    let message = next(&mut stream).await.unwrap();
    let Some(Message::Change(change)) = message.message else { panic!() };
    assert_eq!(change.event_id, "accepted");
    // And a token of one is good at the other.
    let request = pb::WatchPermissionsRequest { resume_token: message.resume_token, ..of_pair() };
    let mut stream = open(&writer, request).await;
    record(&reader, "rejected", now() - 500, ask::reject()).await;
    let mut causes = Vec::new();
    while causes.is_empty() {
        if let Some(Message::Change(change)) = next(&mut stream).await.unwrap().message {
            causes.push(change.cause());
        }
    }
    assert_eq!(causes, [pb::ChangeCause::Revoked]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_forgotten_is_told_of_once_and_nothing_else_is_left() {
    let server = Server::start(memory()).await;
    let mut stream = open(&server, of_pair()).await;
    let start = next(&mut stream).await.unwrap().resume_token;
    // Another customer's change stays.
    let mut other = ask::event("other", now() - 2000, ask::accept());
    other.pair = ask::pair_of(NUMBER, "15550142009");
    server.calls.clone().record_events(ask::events(vec![other])).await.unwrap();
    record(&server, "accepted", now() - 2000, ask::accept()).await;
    assert_eq!(change(&mut stream).await.cause(), pb::ChangeCause::Accepted);
    let forget = pb::ForgetCustomerRequest {
        customer: ask::pair().unwrap().customer,
        phone_number_id: NUMBER.to_owned(),
    };
    server.calls.clone().forget_customer(forget).await.unwrap();
    let told = change(&mut stream).await;
    assert_eq!(told.cause(), pb::ChangeCause::Forgotten);
    assert_eq!(told.permission.unwrap().status(), pb::PermissionStatus::None);
    let request = pb::WatchPermissionsRequest { resume_token: start, ..of_pair() };
    let mut resumed = open(&server, request).await;
    assert_eq!(change(&mut resumed).await.cause(), pb::ChangeCause::Forgotten);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drains_says_how_to_go_on() {
    let store = memory();
    let server = Server::start(store.clone()).await;
    let mut stream = open(&server, of_pair()).await;
    let token = next(&mut stream).await.unwrap().resume_token;
    server.drain();
    let mut statuses = vec![next(&mut stream).await.unwrap_err()];
    // A stream that is opened now is told the same.
    statuses.push(server.calls.clone().watch_permissions(of_pair()).await.unwrap_err());
    for status in statuses {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains("with your token, the resume_token of"), "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "DRAINING");
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    }
    record(&server, "accepted", now() - 1000, ask::accept()).await;
    drop(stream);
    server.stop().await;
    let server = Server::start(store).await;
    let request = pb::WatchPermissionsRequest { resume_token: token, ..of_pair() };
    assert_eq!(change(&mut open(&server, request).await).await.event_id, "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_does_not_wait_for_streams() {
    let server = Server::start(memory()).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = open(&server, pb::WatchPermissionsRequest::default()).await;
        progress(&mut stream).await;
        streams.push(stream);
    }
    let ending = tokio::time::timeout(Duration::from_secs(5), server.stop());
    let ended = async {
        for stream in &mut streams {
            assert_eq!(next(stream).await.unwrap_err().code(), Code::Unavailable);
        }
        drop(streams);
    };
    let (stopped, ()) = tokio::join!(ending, ended);
    stopped.expect("it waits for its streams");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_store_are_told_as_of_any_call() {
    let store = Double::new();
    let server = Server::start(store.clone()).await;
    store.be_away(Some(Error::Unavailable("10.0.0.7 is away".to_owned())));
    let status = server.calls.clone().watch_permissions(of_pair()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "STORE_UNAVAILABLE");
    assert!(!status.message().contains("10.0.0.7"), "{status:?}");
    store.be_away(None);

    let mut stream = open(&server, of_pair()).await;
    let token = next(&mut stream).await.unwrap().resume_token;
    store.push(NUMBER, CUSTOMER, "a");
    store.push(NUMBER, CUSTOMER, "b");
    assert_eq!(
        [change(&mut stream).await.event_id, change(&mut stream).await.event_id],
        ["a", "b"]
    );
    store.trim(NUMBER, 1);
    let old = pb::WatchPermissionsRequest { resume_token: token.clone(), ..of_pair() };
    let status = next(&mut open(&server, old.clone()).await).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert_eq!(status.get_details_error_info().unwrap().reason, "LOG_OUT_OF_RANGE");
    assert!(status.message().contains("empty resume_token"), "{status:?}");

    // A panic costs one stream.
    store.panic_once();
    let status = next(&mut open(&server, old).await).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    store.push(NUMBER, CUSTOMER, "c");
    assert_eq!(change(&mut stream).await.event_id, "c");
}

/// What the routes themselves send; the client's own timer must not answer in their place.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_deadline_and_not_before() {
    let store = Double::new();
    let gate = store.gate();
    let routes = router(gate, Options::new(never_understood())).await.routes;
    let message = prost::Message::encode_to_vec(&of_pair());
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let request = axum::http::Request::post("/callgate.v1.CallPermissionService/WatchPermissions")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "300m")
        .body(axum::body::Body::from(body))
        .unwrap();
    let began = std::time::Instant::now();
    let response = routes.into_axum_router().oneshot(request).await.unwrap();
    assert!(response.headers().get("grpc-status").is_none(), "it has begun");
    let mut frames = response.into_body();
    let mut data = 0;
    let trailers = loop {
        let frame = poll_fn(|cx| Pin::new(&mut frames).poll_frame(cx));
        let frame = tokio::time::timeout(Duration::from_secs(5), frame).await;
        let frame = frame.expect("it goes on").unwrap().unwrap();
        match frame.into_trailers() {
            Ok(trailers) => break trailers,
            Err(_) => data += 1,
        }
    };
    assert!(Duration::from_millis(290) < began.elapsed(), "{:?}", began.elapsed());
    assert_eq!((trailers["grpc-status"].to_str().unwrap(), data), ("4", 1));
    let message = trailers["grpc-message"].to_str().unwrap().replace("%20", " ");
    assert!(message.contains("reconnect with your token, the resume_token"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_deadline_gets_its_messages_until_then() {
    let server = Server::start(memory()).await;
    let mut request = Request::new(of_pair());
    request.set_timeout(Duration::from_millis(500));
    let mut stream = server.calls.clone().watch_permissions(request).await.unwrap().into_inner();
    progress(&mut stream).await;
    record(&server, "accepted", now() - 1000, ask::accept()).await;
    assert_eq!(change(&mut stream).await.event_id, "accepted");
    let status = next(&mut stream).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}
