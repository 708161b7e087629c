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
const CALL_MAX: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(20);
const OUT_OF_RANGE: &str = "11";
const RESOURCE_EXHAUSTED: &str = "8";
const DEADLINE_EXCEEDED: &str = "4";

async fn routes(stub: &Arc<Stub>, request_time_max: Duration) -> Router {
    let gate = Gate::new(stub.clone(), Profiles::new(Profile::atom()));
    // One place, so that a request that keeps it is noticed by the next one.
    let limits = Limits { calls: 1, batches: 1, streams: 1 };
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
    for (method, max) in [(CALL, CALL_MAX), (BATCH, Options::REQUEST_BYTES_MAX)] {
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
    let large = vec![0; Options::REQUEST_BYTES_MAX + 1];
    let answer = unfinished(&routes, BATCH, vec![framed(true, &gzip(&large))]).await;
    assert_eq!(status(&answer), RESOURCE_EXHAUSTED);
    assert_eq!(stub.asked(), 0);
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
        let request = axum::http::Request::post("/callgate.v1.CallPermissionService/AuthorizeCall")
            .header("content-type", "application/grpc")
            .header("grpc-encoding", "gzip")
            .body(Body::from(body))
            .unwrap();
        let answer = routes.clone().oneshot(request).await.unwrap();
        assert_eq!(status(&answer), "6", "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_that_stops_halfway_gives_its_place_back() {
    let stub = stub();
    let routes = routes(&stub, Duration::from_millis(50)).await;
    let message = pb::CheckCallsRequest::default().encode_to_vec();
    for method in [CALL, BATCH, "WatchPermissions"] {
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
