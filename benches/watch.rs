//! From an event to those who watch: `cargo bench --bench watch`.
//!
//! 100 subscribers on 10 connections hear every change; one writer sends an event every 5 ms. Printed
//! is how long it takes until the writer has its answer, until each subscriber has the change, and
//! how long after the answer that was: the time from commit to delivery, with the way of the answer
//! taken off. Gate, store and clients share the machine.

#![allow(clippy::unwrap_used, reason = "a benchmark that unwraps says where it failed")]

use std::{
    collections::HashMap,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use callgate::{
    door::{self, Address, Incoming, Listener, serve_grpc},
    engine::{
        gate::{Gate, Profiles},
        profile::Profile,
        store::Store,
        time::{Clock as _, Millis, WallClock},
    },
    proto::{
        Customer, Event, Pair, PermissionReply, PermissionResponse, RecordEventsRequest,
        WatchPermissionsRequest, call_permission_service_client::CallPermissionServiceClient,
        event::Fact, watch_permissions_response::Message,
    },
    service::{Options, Retried, Retry, router},
    store::{
        embedded::Embedded,
        redis::{self, RedisStore, Target},
    },
};
use prost_types::Timestamp;
use tokio::{task::JoinSet, time::sleep};
use tonic::transport::Channel;

type Client = CallPermissionServiceClient<Channel>;

const SUBSCRIBERS: usize = 100;
const CONNECTIONS: usize = 10;
const EVENTS: usize = 1000;
const PAUSE: Duration = Duration::from_millis(5);

#[tokio::main]
async fn main() {
    println!("{SUBSCRIBERS} subscribers on {CONNECTIONS} connections, {EVENTS} events; ms");
    println!("{:<10} {:<22} {:>8} {:>8} {:>8}", "store", "", "p50", "p99", "max");
    let clock = Arc::new(WallClock::default());
    measure("memory", Arc::new(Embedded::memory(clock.clone()).unwrap())).await;
    let folder = tempfile::tempdir().unwrap();
    let on_disk = Embedded::open(folder.path(), &Default::default(), clock).unwrap();
    measure("embedded", Arc::new(on_disk)).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()])
        .stdout(Stdio::null())
        .spawn();
    let Ok(server) = server else { return println!("redis      no redis-server in PATH") };
    let _server = Ended(server);
    measure("redis", Arc::new(open_redis(port).await)).await;
}

/// A process that ends with us.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn open_redis(port: u16) -> RedisStore {
    let target = Target::parse(&format!("redis://127.0.0.1:{port}")).unwrap();
    // A machine that is busy with us all must not end the measurement.
    let options =
        || redis::Options { call_deadline: Duration::from_secs(5), ..redis::Options::default() };
    loop {
        match RedisStore::open(target.clone(), options()).await {
            Ok(store) => return store,
            Err(redis::StartError::Away(_)) => sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn measure(name: &str, store: Arc<dyn Store>) {
    let address = start(store).await;
    let mut connections = Vec::new();
    for _ in 0..=CONNECTIONS {
        connections.push(Client::connect(address.clone()).await.unwrap());
    }
    let mut writer = connections.pop().unwrap();
    let heard: Arc<Mutex<Vec<(usize, Instant)>>> = Arc::default();
    let mut hearing = JoinSet::new();
    for n in 0..SUBSCRIBERS {
        let mut client = connections[n % CONNECTIONS].clone();
        let mut stream = client
            .watch_permissions(WatchPermissionsRequest::default())
            .await
            .unwrap()
            .into_inner();
        // The first message comes at once: from then on nothing is missed.
        stream.message().await.unwrap();
        let heard = Arc::clone(&heard);
        hearing.spawn(async move {
            let mut left = EVENTS;
            while left > 0 {
                let message = stream.message().await.unwrap().unwrap().message.unwrap();
                if let Message::Change(change) = message {
                    let event = change.event_id.parse().unwrap();
                    heard.lock().unwrap().push((event, Instant::now()));
                    left -= 1;
                }
            }
        });
    }
    let (mut sent, mut acknowledged) = (HashMap::new(), HashMap::new());
    for n in 0..EVENTS {
        sent.insert(n, Instant::now());
        writer.record_events(event(n)).await.unwrap();
        acknowledged.insert(n, Instant::now());
        sleep(PAUSE).await;
    }
    while hearing.join_next().await.is_some() {}
    let heard = heard.lock().unwrap();
    let since = |from: &HashMap<usize, Instant>| -> Vec<Duration> {
        heard.iter().map(|(n, at)| at.saturating_duration_since(from[n])).collect()
    };
    let answers = sent.iter().map(|(n, at)| acknowledged[n] - *at).collect();
    show(name, "sent to answered", answers);
    show(name, "sent to delivered", since(&sent));
    show(name, "answered to delivered", since(&acknowledged));
}

fn show(store: &str, what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 1000].as_secs_f64() * 1000.0;
    println!("{store:<10} {what:<22} {:>8.2} {:>8.2} {:>8.2}", at(500), at(990), at(1000));
}

/// Serves a gate over this store until the end of the process.
async fn start(store: Arc<dyn Store>) -> String {
    let gate = Gate::new(store, Profiles::new(Profile::atom()));
    let retry = Retry::new(|_, _| Box::pin(async { Ok(Retried::StillUnclear(String::new())) }));
    let router = router(gate, Options::new(retry)).await;
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Address::Tcp(address) = listener.address().unwrap() else { unreachable!() };
    tokio::spawn(serve_grpc(
        router.routes,
        Incoming::new(listener, door::Options::default()),
        Duration::ZERO,
        std::future::pending(),
    ));
    format!("http://{address}")
}

/// The `n`th customer accepts.
fn event(n: usize) -> RecordEventsRequest {
    let Millis(now) = WallClock::default().now();
    let reply = PermissionReply {
        response: PermissionResponse::Accept.into(),
        ..PermissionReply::default()
    };
    let customer = Customer { wa_id: format!("1555{n:07}"), user_id: String::new() };
    let event = Event {
        event_id: n.to_string(),
        pair: Some(Pair { phone_number_id: "4001".to_owned(), customer: Some(customer) }),
        occurred_at: Some(Timestamp { seconds: i64::try_from(now / 1000).unwrap(), nanos: 0 }),
        fact: Some(Fact::Reply(reply)),
    };
    RecordEventsRequest { events: vec![event] }
}
