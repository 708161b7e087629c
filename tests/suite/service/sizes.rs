//! How large and how slow a request may be: what is too large is refused before it is read, compressed
//! or not, and what stops halfway does not keep its place.

use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::Response,
};
use callgate::{
    engine::{
        gate::{Gate, Profiles},
        profile::Profile,
    },
    proto as pb,
    service::{Limits, Options, router},
};
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use prost::Message as _;
use tower::ServiceExt as _;

use crate::{
    service::ask,
    support::{
        server::never_understood,
        stub::{Behaviour, Stub},
    },
};

const CALL: &str = "AuthorizeCall";
const BATCH: &str = "CheckCalls";
const STREAM: &str = "WatchPermissions";
const CALL_MAX: usize = 64 << 10;
const STREAM_MAX: usize = 320 << 10;
const PATIENCE: Duration = Duration::from_secs(20);
const OUT_OF_RANGE: &str = "11";
const RESOURCE_EXHAUSTED: &str = "8";
const DEADLINE_EXCEEDED: &str = "4";

async fn routes(stub: &Arc<Stub>, request_time_max: Duration) -> Router {
    // One place, so that a request that keeps it is noticed by the next one.
    routes_for(stub, request_time_max, 1).await
}

async fn routes_for(stub: &Arc<Stub>, request_time_max: Duration, streams: usize) -> Router {
    let gate = Gate::new(stub.clone(), Profiles::new(Profile::atom()));
    let limits = Limits { calls: 1, batches: 1, streams };
    let options = Options { limits, request_time_max, ..Options::new(never_understood()) };
    router(gate, options).await.routes.into_axum_router()
}

/// Sends these pieces and then nothing more, without an end.
async fn unfinished(routes: &Router, method: &str, pieces: Vec<Vec<u8>>) -> Response<Body> {
    let pieces = stream::iter(pieces.into_iter().map(|piece| Ok::<_, String>(Bytes::from(piece))));
    let request = axum::http::Request::post(format!("/callgate.v1.CallPermissionService/{method}"))
        .header("content-type", "application/grpc")
        .header("grpc-encoding", "gzip")
        .body(Body::from_stream(pieces.chain(stream::pending())))
        .unwrap();
    let answer = routes.clone().oneshot(request);
    tokio::time::timeout(PATIENCE, answer).await.expect("it is refused before its end").unwrap()
}

fn status(response: &Response<Body>) -> &str {
    response.headers()["grpc-status"].to_str().unwrap()
}

/// A head that announces a message of this length.
fn head(is_compressed: bool, len: usize) -> Vec<u8> {
    let mut head = vec![u8::from(is_compressed)];
    head.extend(u32::try_from(len).unwrap().to_be_bytes());
    head
}

fn framed(is_compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut frame = head(is_compressed, message.len());
    frame.extend(message);
    frame
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn stub() -> Arc<Stub> {
    Arc::new(Stub::new(Behaviour::Hangs))
}

#[tokio::test]
async fn what_announces_too_much_is_refused_by_its_first_bytes() {
    let stub = stub();
    let routes = routes(&stub, PATIENCE).await;
    for (method, max) in
        [(CALL, CALL_MAX), (STREAM, STREAM_MAX), (BATCH, Options::REQUEST_BYTES_MAX)]
    {
        for pieces in [
            vec![head(false, max + 1)],
            vec![head(true, max + 1)],
            vec![head(false, u32::MAX as usize)],
            // A head in pieces.
            vec![head(false, max + 1)[..3].to_vec(), head(false, max + 1)[3..].to_vec()],
        ] {
            let answer = unfinished(&routes, method, pieces).await;
            assert_eq!(status(&answer), OUT_OF_RANGE, "{method}");
        }
    }
    assert_eq!(stub.asked(), 0);
}

#[tokio::test]
async fn more_than_the_limit_is_not_read_in_however_many_messages_it_comes() {
    let stub = stub();
    let routes = routes(&stub, PATIENCE).await;
    // A call has one message; these are good, and without end.
    let one = framed(false, &ask::authorize(&"c".repeat(1000)).encode_to_vec());
    let answer = unfinished(&routes, CALL, vec![one; 100]).await;
    assert_eq!(status(&answer), OUT_OF_RANGE);
    assert_eq!(stub.asked(), 0);
}

#[tokio::test]
async fn a_gzip_bomb_is_refused_before_it_is_as_large_as_it_wants() {
    let stub = stub();
    let routes = routes(&stub, PATIENCE).await;
    let mut large = ask::authorize("");
    large.call_id = "0".repeat(CALL_MAX + 1);
    let bomb = gzip(&large.encode_to_vec());
    assert!(bomb.len() < 1000, "{} bytes", bomb.len());
    let answer = unfinished(&routes, CALL, vec![framed(true, &bomb)]).await;
    assert_eq!(status(&answer), RESOURCE_EXHAUSTED);
    for (method, max) in [(STREAM, STREAM_MAX), (BATCH, Options::REQUEST_BYTES_MAX)] {
        let large = gzip(&vec![0; max + 1]);
        let answer = unfinished(&routes, method, vec![framed(true, &large)]).await;
        assert_eq!(status(&answer), RESOURCE_EXHAUSTED);
    }
    assert_eq!(stub.asked(), 0);
}

async fn whole(routes: &Router, method: &str, body: Vec<u8>) -> String {
    let request = axum::http::Request::post(format!("/callgate.v1.CallPermissionService/{method}"))
        .header("content-type", "application/grpc")
        .header("grpc-encoding", "gzip")
        .body(Body::from(body))
        .unwrap();
    status(&routes.clone().oneshot(request).await.unwrap()).to_owned()
}

/// An item takes two bytes on the wire and some hundred in memory.
#[tokio::test]
async fn a_message_of_more_parts_than_any_has_is_not_unfolded() {
    let stub = stub();
    let routes = routes(&stub, PATIENCE).await;
    for (count, expected) in [(4096, "3"), (4097, OUT_OF_RANGE), (2_000_000, OUT_OF_RANGE)] {
        let empty = [0x0a, 0x00].repeat(count);
        for method in ["RecordEvents", BATCH] {
            for body in [framed(false, &empty), framed(true, &gzip(&empty))] {
                assert_eq!(whole(&routes, method, body).await, expected, "{count} for {method}");
            }
        }
    }
    assert_eq!(stub.asked(), 0);
}

/// As many pairs and numbers as there may be, with the longest ids.
#[test]
fn the_largest_request_for_a_stream_is_small_enough() {
    let number = "9".repeat(32);
    let customer = pb::Customer {
        wa_id: format!("+{}", "1".repeat(15)),
        user_id: format!("US.{}", "x".repeat(128)),
    };
    let pair = pb::Pair { phone_number_id: number.clone(), customer: Some(customer) };
    let request = pb::WatchPermissionsRequest {
        phone_number_ids: vec![number; 1000],
        pairs: vec![pair; 1000],
        resume_token: vec![0; 4096],
        ..Default::default()
    };
    assert!(request.encoded_len() < STREAM_MAX, "{}", request.encoded_len());
}

/// A stream may last, and so there are many places; what comes of their requests has less room.
#[tokio::test]
async fn requests_for_streams_have_some_megabytes_together() {
    let stub = stub();
    let routes = routes_for(&stub, Duration::from_secs(1), 1000).await;
    let large = || vec![head(false, STREAM_MAX), vec![0; STREAM_MAX - 1]];
    let answers = (0..30).map(|_| unfinished(&routes, STREAM, large()));
    let answers = futures_util::future::join_all(answers).await;
    let count = |code| answers.iter().filter(|answer| status(answer) == code).count();
    assert_eq!((count(DEADLINE_EXCEEDED), count(RESOURCE_EXHAUSTED)), (25, 5));
    // The room is free again.
    assert_eq!(status(&unfinished(&routes, STREAM, large()).await), DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn what_is_just_small_enough_is_taken() {
    let fails = callgate::engine::Error::AlreadyExists("it was asked".to_owned());
    let stub = Arc::new(Stub::new(Behaviour::Fails(fails)));
    let routes = routes(&stub, PATIENCE).await;
    let mut message = ask::authorize("c").encode_to_vec();
    // A field of bytes that nobody knows, as long as it takes: number 2047, and a length of three bytes.
    message.extend([0xfa, 0x7f]);
    let filler = CALL_MAX - message.len() - 3;
    prost::encoding::encode_varint(u64::try_from(filler).unwrap(), &mut message);
    message.resize(CALL_MAX, 0);
    for body in [framed(false, &message), framed(true, &gzip(&message))] {
        assert_eq!(whole(&routes, CALL, body).await, "6");
    }
}

#[tokio::test]
async fn a_request_that_stops_halfway_gives_its_place_back() {
    let stub = stub();
    let routes = routes(&stub, Duration::from_millis(50)).await;
    let message = pb::CheckCallsRequest::default().encode_to_vec();
    for method in [CALL, BATCH, STREAM] {
        for pieces in [vec![], vec![head(false, 1000)], vec![framed(false, &message)]] {
            let begun = Instant::now();
            let answer = unfinished(&routes, method, pieces).await;
            assert_eq!(status(&answer), DEADLINE_EXCEEDED, "{method}");
            let reason = format!("{:?}", answer.headers().get("grpc-message"));
            assert!(reason.contains("not%20arrive"), "{reason}");
            assert!(begun.elapsed() >= Duration::from_millis(50));
            answer.into_body().collect().await.unwrap();
        }
    }
    assert_eq!(stub.asked(), 0);
}
