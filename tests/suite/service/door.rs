//! The door itself: health, reflection, the Unix socket, the end.

use std::{
    io::{Read as _, Write as _},
    net,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use callgate::{
    door::{self, Address, Incoming, Listener, serve_grpc},
    engine::{
        Error,
        gate::{Gate, Profiles},
        profile::Profile,
    },
    proto::call_permission_service_client::CallPermissionServiceClient,
    service::{Options, router},
};
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use crate::{
    service::{ask, gate::gate},
    support::{
        server::{DRAIN_MAX, Server, never_understood},
        stub::{Behaviour, Stub},
    },
};

fn stub() -> Arc<Stub> {
    Arc::new(Stub::new(Behaviour::Fails(Error::NotFound("stub".to_owned()))))
}

#[tokio::test]
async fn health_tells_of_the_server_and_of_each_service() {
    const SERVING: i32 = 1;
    const NOT_SERVING: i32 = 2;
    let server = Server::start(stub()).await;
    let mut health = HealthClient::new(server.channel.clone());
    let names = [""].into_iter().chain(LISTED);
    for (is_serving, expected) in [(true, SERVING), (false, NOT_SERVING), (true, SERVING)] {
        server.health.set(is_serving).await;
        for name in names.clone() {
            let request = HealthCheckRequest { service: name.to_owned() };
            let status = health.check(request).await.unwrap().into_inner().status;
            assert_eq!(status, expected, "{name:?}");
        }
    }
    let request = HealthCheckRequest { service: "callgate.v1.Nobody".to_owned() };
    assert_eq!(health.check(request).await.unwrap_err().code(), Code::NotFound);
}

const LISTED: [&str; 3] = [
    "callgate.v1.CallPermissionService",
    "callgate.v1.QuarantineService",
    "callgate.v1.ConfigService",
];

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    let server = Server::start(stub()).await;

    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { message_request: Some(list), ..Default::default() };
    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(server.channel.clone());
    let requests = tokio_stream::once(request);
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(LISTED.iter().all(|name| names.contains(name)), "{names:?}");

    let symbol = v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
        "google.rpc.BadRequest".to_owned(),
    );
    let request =
        v1alpha::ServerReflectionRequest { message_request: Some(symbol), ..Default::default() };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel.clone());
    let requests = tokio_stream::once(request);
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    use v1alpha::server_reflection_response::MessageResponse;
    assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{answer:?}");
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused() {
    let stub = stub();
    let mut server = Server::start(stub.clone()).await;
    let request = ask::authorize(&"c".repeat(Options::REQUEST_BYTES_MAX));
    let status = server.calls.authorize_call(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert_eq!(stub.asked(), 0);
}

#[tokio::test]
async fn the_end_lets_calls_finish_and_takes_no_more() {
    let server = Server::start(stub()).await;
    let mut calls = server.calls.clone();
    assert_eq!(calls.authorize_call(ask::authorize("c")).await.unwrap_err().code(), Code::NotFound);
    drop(calls);
    server.stop().await;
}

#[tokio::test]
async fn watchers_of_our_health_do_not_hold_the_end_up() {
    let server = Server::start(stub()).await;
    let mut health = HealthClient::new(server.channel.clone());
    let mut changes = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert!(changes.next().await.unwrap().is_ok());
    server.drain();
    let end = changes.next().await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    assert!(changes.next().await.is_none());
    server.stop().await;
}

#[tokio::test]
async fn who_connects_and_does_not_speak_is_sent_away() {
    const PATIENCE: Duration = Duration::from_millis(200);
    let gate = Gate::new(stub(), Profiles::new(Profile::atom()));
    let routes = router(gate, Options::new(never_understood())).await.routes;
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.address().unwrap().to_string();
    let door = door::Options { patience: PATIENCE, connections_max: 3, ..door::Options::default() };
    let incoming = Incoming::new(listener, door);
    let serving = tokio::spawn(serve_grpc(routes, incoming, DRAIN_MAX, std::future::pending()));
    let speaks =
        Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(speaks);
    health.check(HealthCheckRequest::default()).await.unwrap();
    // The preface but for its last byte.
    for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let begun = Instant::now();
        stream.write_all(said).await.unwrap();
        let closed = tokio::time::timeout(DRAIN_MAX, stream.read_to_end(&mut Vec::new())).await;
        closed.expect("it is closed").ok();
        assert!(begun.elapsed() >= PATIENCE - Duration::from_millis(50));
    }
    // Whoever has spoken may be silent.
    health.check(HealthCheckRequest::default()).await.unwrap();
    serving.abort();
}

#[test]
fn addresses_read_as_they_are_shown() {
    for text in ["127.0.0.1:50051", "[::1]:0", "unix:/run/callgate.sock"] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    let as_clients_write = "unix:///run/callgate.sock".parse::<Address>().unwrap();
    assert_eq!(as_clients_write.to_string(), "unix:/run/callgate.sock");
    let long = format!("unix:/{}", "p".repeat(107));
    for bad in ["", "localhost", "50051", "unix:", "127.0.0.1:99999", &long] {
        assert!(bad.parse::<Address>().is_err(), "{bad:?}");
    }
    assert!(long[..long.len() - 1].parse::<Address>().is_ok());
}

#[tokio::test]
async fn a_unix_socket_is_made_served_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gate.sock");
    let address = Address::Unix(path.clone());
    // A crashed process left its socket behind: nobody answers on it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    let listener = Listener::bind(&address).await.unwrap();
    assert_eq!(listener.address().unwrap(), address);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let taken = Listener::bind(&address).await.unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse, "{taken}");

    let gate = Gate::new(stub(), Profiles::new(Profile::atom()));
    let routes = router(gate, Options::new(never_understood())).await.routes;
    let (shutdown, asked) = oneshot::channel::<()>();
    let asked = async {
        let _ = asked.await;
    };
    let serving = tokio::spawn(serve_grpc(
        routes,
        Incoming::new(listener, door::Options::default()),
        DRAIN_MAX,
        asked,
    ));
    let channel =
        tonic::transport::Endpoint::try_from(address.to_string()).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    health.check(HealthCheckRequest::default()).await.unwrap();
    drop((health, shutdown));
    serving.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_socket_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gate.sock");
    std::fs::write(&path, "precious").unwrap();
    let refused = Listener::bind(&Address::Unix(path.clone())).await.unwrap_err();
    assert!(refused.to_string().contains("is not a socket"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

/// A way to the server for one connection, and how many pieces came back on it so far.
fn counting(server: &str) -> (String, Arc<AtomicUsize>) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (way, pieces) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let (server, counted) = (server.trim_start_matches("http://").to_owned(), Arc::clone(&pieces));
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = net::TcpStream::connect(server).unwrap();
        // Pieces pass as they come.
        [&client, &server].into_iter().for_each(|end| end.set_nodelay(true).unwrap());
        let mut up = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut up.0, &mut up.1));
        let mut piece = [0; 16_384];
        while let Ok(bytes @ 1..) = server.read(&mut piece) {
            counted.fetch_add(1, Ordering::Relaxed);
            client.write_all(&piece[..bytes]).unwrap();
        }
    });
    (format!("http://{way}"), pieces)
}

#[tokio::test]
async fn an_answer_comes_in_one_piece() {
    const ANSWERS: usize = 50;
    let gate = gate().await;
    gate.tell(ask::accept()).await;
    let (way, pieces) = counting(&gate.server.url);
    let channel = Endpoint::from_shared(way).unwrap().connect().await.unwrap();
    let mut calls = CallPermissionServiceClient::new(channel);
    // With the first come the settings of the connection.
    calls.authorize_call(ask::authorize("c1")).await.unwrap();
    let before = pieces.load(Ordering::Relaxed);
    for _ in 0..ANSWERS {
        let answer = calls.authorize_call(ask::authorize("c1")).await.unwrap().into_inner();
        assert!((257..1024).contains(&answer.encoded_len()), "as long as most: {answer:?}");
    }
    assert_eq!(pieces.load(Ordering::Relaxed) - before, ANSWERS);
}
