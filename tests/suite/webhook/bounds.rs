//! How much may come in at once, and how slowly: whoever is slow or many does not shut the door to Meta.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callgate::{
    door::{self, Address, Incoming, Listener, serve_http},
    engine::gate::Gate,
    webhook::{self, Options, SIGNATURE_HEADER},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

use super::door::{SECRET, options, profiles, sign};
use crate::support::stub::{Behaviour, Stub};

const TEXT: &[u8] = include_bytes!("../../fixtures/meta/36_unrelated_text_nonascii.json");
/// Long enough for what is to happen, short enough to wait for.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);

/// The door as it is in the program: over our own listener.
struct Port {
    address: String,
    stub: Arc<Stub>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Port {
    async fn open(behaviour: Behaviour, options: Options, door: door::Options) -> Self {
        let stub = Arc::new(Stub::new(behaviour));
        let site = webhook::router(Gate::new(stub.clone(), profiles()), options);
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let Address::Tcp(address) = listener.address().unwrap() else { unreachable!() };
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let serving = tokio::spawn(serve_http(site, Incoming::new(listener, door), LONG, stopped));
        Self { address: address.to_string(), stub, stop: Some(stop), serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// Sends a signed webhook, of whose body a part is left out, and leaves the connection open.
    async fn begin(&self, left_out: usize) -> TcpStream {
        let mut stream = self.connect().await;
        let head = format!(
            "POST /webhooks/meta HTTP/1.1\r\nhost: gate\r\n{SIGNATURE_HEADER}: {}\r\n\
             content-length: {}\r\n\r\n",
            sign(SECRET, TEXT),
            TEXT.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&TEXT[..TEXT.len() - left_out]).await.unwrap();
        stream
    }

    /// Sends the first byte of a body of so many, as a stranger.
    async fn announce(&self, length: usize) -> TcpStream {
        let mut stream = self.connect().await;
        let head = format!(
            "POST /webhooks/meta HTTP/1.1\r\nhost: gate\r\n{SIGNATURE_HEADER}: sha256=00\r\n\
             content-length: {length}\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Asks for the end; how long it took.
    async fn stop(&mut self) -> Duration {
        let begun = Instant::now();
        drop(self.stop.take());
        tokio::time::timeout(LONG, &mut self.serving).await.expect("it ends").unwrap();
        begun.elapsed()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The first line of what is answered until the connection is closed, or of one answer.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    while !text.windows(4).any(|end| end == b"\r\n\r\n") {
        match tokio::time::timeout(LONG, stream.read(&mut buffer)).await.expect("an answer") {
            Ok(0) | Err(_) => break,
            Ok(n) => text.extend(&buffer[..n]),
        }
    }
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}

async fn is_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await;
    // A reset closes as well.
    let _ = closed.expect("it is closed");
}

fn fails() -> Behaviour {
    Behaviour::Fails(callgate::engine::Error::Unavailable("stub".to_owned()))
}

#[tokio::test]
async fn so_many_at_once_and_one_more_is_sent_away() {
    let options = Options { at_once_max: 2, ..options() };
    let port = Port::open(Behaviour::Hangs, options, door::Options::default()).await;
    let first = port.begin(0).await;
    let _second = port.begin(0).await;
    while port.stub.asked() < 2 {
        tokio::task::yield_now().await;
    }
    let mut third = port.begin(0).await;
    assert_eq!(answer(&mut third).await, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(port.stub.asked(), 2);
    // The sender goes away: its place is free.
    drop(first);
    while port.stub.asked() < 3 {
        let mut again = port.begin(0).await;
        let refused = tokio::time::timeout(SHORT, answer(&mut again)).await;
        assert!(refused.is_err() || refused.unwrap().contains("503"));
    }
}

/// Who is not Meta can be slow, and can be many: it keeps Meta's word out only by as many bytes as it takes.
#[tokio::test]
async fn strangers_who_hold_the_line_do_not_keep_meta_out() {
    let options = Options { at_once_max: 2, ..options() };
    let port = Port::open(fails(), options, door::Options::default()).await;
    // Of the longest there is room for one, and it is no short one's.
    let _long = port.announce(3 << 20).await;
    let mut second = port.announce(3 << 20).await;
    assert_eq!(answer(&mut second).await, "HTTP/1.1 503 Service Unavailable", "no room for it");
    let mut held = Vec::new();
    for announced in [60 << 10, 10] {
        for _ in 0..20 {
            held.push(port.announce(announced).await);
        }
    }
    let mut metas = port.begin(0).await;
    assert_eq!(answer(&mut metas).await, "HTTP/1.1 503 Service Unavailable");
    assert!(port.stub.asked() >= 1, "by the store: it was let in");
    // Without a signature nobody is listened to at all.
    let mut stream = port.connect().await;
    let head = "POST /webhooks/meta HTTP/1.1\r\nhost: gate\r\ncontent-length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 401 Unauthorized");
    // Nor who announces too much.
    let mut stream = port.announce((3 << 20) + 1).await;
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 413 Payload Too Large");
}

/// A connection costs something, whatever it announces: 4 KiB of the 64 that there are here.
#[tokio::test]
async fn many_short_bodies_take_room_as_well() {
    let options = Options { at_once_max: 1, body_max: 64 << 10, ..options() };
    let port = Port::open(fails(), options, door::Options::default()).await;
    let mut held = Vec::new();
    for _ in 0..17 {
        held.push(port.announce(10).await);
    }
    // Which of them was the last is not known.
    let answers = held.iter_mut().map(|stream| Box::pin(answer(stream)));
    let (first, ..) = futures_util::future::select_all(answers).await;
    assert_eq!(first, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(port.stub.asked(), 0, "by no store");
}

/// Not even Meta's.
#[tokio::test]
async fn a_body_that_does_not_say_how_long_it_is_is_cut_off() {
    let options = Options { body_max: 64 << 10, ..options() };
    let port = Port::open(fails(), options, door::Options::default()).await;
    for (more, expected) in [(0, "401 Unauthorized"), (1, "413 Payload Too Large")] {
        let mut stream = port.connect().await;
        let (length, body) = ((64 << 10) + more, vec![b' '; (64 << 10) + more]);
        let head = format!(
            "POST /webhooks/meta HTTP/1.1\r\nhost: gate\r\n{SIGNATURE_HEADER}: sha256=00\r\n\
             transfer-encoding: chunked\r\n\r\n{length:x}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // It may be closed before all is written.
        let _ = stream.write_all(&body).await;
        // What is too long is not waited for to its end.
        if more == 0 {
            stream.write_all(b"\r\n0\r\n\r\n").await.unwrap();
        }
        assert_eq!(answer(&mut stream).await, format!("HTTP/1.1 {expected}"));
    }
}

#[tokio::test]
async fn a_body_that_is_slow_is_cut_off_and_gives_its_place_back() {
    let options = Options { at_once_max: 1, time_max: SHORT, ..options() };
    let port = Port::open(fails(), options, door::Options::default()).await;
    let begun = Instant::now();
    let mut slow = port.begin(1).await;
    let mut next = port.begin(0).await;
    // Which of the two was first is not known.
    let answers = [answer(&mut slow).await, answer(&mut next).await];
    assert!(answers.contains(&"HTTP/1.1 408 Request Timeout".to_owned()), "{answers:?}");
    assert!(begun.elapsed() >= SHORT);
    is_closed(&mut slow).await;
    let mut next = port.begin(0).await;
    assert_eq!(answer(&mut next).await, "HTTP/1.1 503 Service Unavailable", "by the store");
    assert!(port.stub.asked() >= 1);
}

/// A webhook as a whole may take longer than its body.
#[tokio::test]
async fn a_body_has_five_seconds() {
    let options = Options { time_max: 10 * LONG, ..options() };
    let port = Port::open(fails(), options, door::Options::default()).await;
    let begun = Instant::now();
    let mut slow = port.begin(1).await;
    assert_eq!(answer(&mut slow).await, "HTTP/1.1 408 Request Timeout");
    assert!(begun.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn a_store_that_hangs_does_not_keep_the_place() {
    let options = Options { at_once_max: 1, time_max: SHORT, ..options() };
    let port = Port::open(Behaviour::Hangs, options, door::Options::default()).await;
    for n in 1..=3 {
        let mut one = port.begin(0).await;
        assert_eq!(answer(&mut one).await, "HTTP/1.1 408 Request Timeout");
        assert_eq!(port.stub.asked(), n);
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_and_frees_the_place() {
    let options = Options { at_once_max: 1, ..options() };
    let port = Port::open(Behaviour::Panics, options, door::Options::default()).await;
    for _ in 0..3 {
        let mut one = port.begin(0).await;
        assert_eq!(answer(&mut one).await, "HTTP/1.1 500 Internal Server Error");
    }
}

#[tokio::test]
async fn a_head_that_is_slow_or_long_is_cut_off() {
    let door = door::Options { patience: SHORT, ..door::Options::default() };
    let port = Port::open(fails(), options(), door).await;
    let silent = port.connect().await;
    let mut half = port.connect().await;
    half.write_all(b"POST /webhooks/meta HTTP/1.1\r\nhost: ga").await.unwrap();
    for mut stream in [silent, half] {
        is_closed(&mut stream).await;
    }
    let mut long = port.connect().await;
    let head = format!("POST /webhooks/meta HTTP/1.1\r\nx: {}", "x".repeat(64 << 10));
    // It may be closed before all is written.
    let _ = long.write_all(head.as_bytes()).await;
    let refused = answer(&mut long).await;
    assert!(refused.is_empty() || refused.contains("431"), "{refused}");
    assert_eq!(port.stub.asked(), 0);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let door = door::Options { connections_max: 2, ..door::Options::default() };
    let port = Port::open(fails(), options(), door).await;
    let mut first = port.begin(0).await;
    let mut second = port.begin(0).await;
    // Both are answered, and stay open.
    assert!(answer(&mut first).await.contains("503"));
    assert!(answer(&mut second).await.contains("503"));
    let mut third = port.begin(0).await;
    assert!(tokio::time::timeout(SHORT, answer(&mut third)).await.is_err(), "it has to wait");
    drop(first);
    assert!(answer(&mut third).await.contains("503"));
}

#[tokio::test]
async fn connections_that_do_nothing_do_not_hold_the_end_up() {
    let mut port = Port::open(fails(), options(), door::Options::default()).await;
    let mut kept = port.begin(0).await;
    assert!(answer(&mut kept).await.contains("503"));
    let mut silent = port.connect().await;
    // Both are taken by now: connections are taken in order.
    let mut last = port.begin(0).await;
    assert!(answer(&mut last).await.contains("503"));
    let took = port.stop().await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    is_closed(&mut kept).await;
    is_closed(&mut silent).await;
}

#[tokio::test]
async fn a_webhook_under_way_is_answered_after_the_door_has_closed() {
    let mut port = Port::open(fails(), options(), door::Options::default()).await;
    let mut under_way = port.begin(1).await;
    let mut other = port.begin(0).await;
    assert!(answer(&mut other).await.contains("503"));
    drop(port.stop.take());
    while TcpStream::connect(&port.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    under_way.write_all(&TEXT[TEXT.len() - 1..]).await.unwrap();
    assert_eq!(answer(&mut under_way).await, "HTTP/1.1 503 Service Unavailable", "by the store");
    is_closed(&mut under_way).await;
    tokio::time::timeout(LONG, &mut port.serving).await.expect("it ends").unwrap();
}
