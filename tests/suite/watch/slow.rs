//! Many at once: subscribers of one replica, and replicas that settle the same deadlines.

use std::{
    collections::HashMap,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use callgate::{
    engine::{
        code::change_cause,
        gate::{Gate, Profiles},
        profile::Profile,
        store::Store,
        time::{Clock as _, Millis, WallClock},
    },
    proto::{
        self as pb, call_permission_service_client::CallPermissionServiceClient,
        watch_permissions_response::Message,
    },
    store::embedded::Embedded,
    watch::sweep,
};
use tokio::task::JoinSet;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

use crate::{cli, service::ask, support::server::Server};

type Client = CallPermissionServiceClient<Channel>;
type Stream = Streaming<pb::WatchPermissionsResponse>;

const SUBSCRIBERS: usize = 1000;
const CONNECTIONS: usize = 10;
const IDLE_KIB_MAX: u64 = 40;

/// Resident memory of a process. KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn open(client: &Client) -> Stream {
    open_for(client, pb::WatchPermissionsRequest::default()).await
}

async fn open_for(client: &Client, request: pb::WatchPermissionsRequest) -> Stream {
    let mut stream = client.clone().watch_permissions(request).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.message, Some(Message::Progress(pb::Progress {})));
    stream
}

/// The event id of the next change.
async fn next(stream: &mut Stream) -> String {
    loop {
        match stream.message().await.unwrap().unwrap().message.unwrap() {
            Message::Change(change) => return change.event_id,
            Message::Progress(_) => {}
            Message::Snapshot(_) => panic!(),
        }
    }
}

/// Two changes of a pair of its own.
async fn write(client: &mut Client, n: usize) {
    let Millis(now) = WallClock::default().now();
    let mut sent = ask::event(&format!("sent-{n}"), now - 2000, ask::sent("request"));
    let mut accepted = ask::event(&format!("accepted-{n}"), now - 1000, ask::accept());
    for event in [&mut sent, &mut accepted] {
        event.pair = ask::pair_of(&format!("80000000000{n:04}"), "15550142001");
    }
    client.record_events(ask::events(vec![sent, accepted])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_subscribers_hear_everything_and_are_small() {
    const PAIRS: usize = 20;
    let gate = cli::Gate::memory();
    let pid = gate.child.id();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(format!("http://{}", gate.grpc)).await.unwrap());
    }
    write(&mut clients[0], 999).await;
    let before = resident(pid);
    let mut streams = Vec::new();
    for n in 0..SUBSCRIBERS {
        streams.push(open(&clients[n % CONNECTIONS]).await);
    }
    let idle = (resident(pid) - before) * 1024 / SUBSCRIBERS as u64;
    println!("{SUBSCRIBERS} idle subscribers: {idle} bytes each");

    let began = Instant::now();
    let mut hearing = JoinSet::new();
    for mut stream in streams {
        hearing.spawn(async move {
            let mut heard: HashMap<String, usize> = HashMap::new();
            for _ in 0..2 * PAIRS {
                *heard.entry(next(&mut stream).await).or_default() += 1;
            }
            (heard, stream)
        });
    }
    for n in 0..PAIRS {
        write(&mut clients[0], n).await;
    }
    let mut streams = Vec::new();
    while let Some(heard) = hearing.join_next().await {
        let (heard, stream) = heard.unwrap();
        for n in 0..PAIRS {
            assert_eq!(heard[&format!("sent-{n}")], 1);
            assert_eq!(heard[&format!("accepted-{n}")], 1);
        }
        streams.push(stream);
    }
    let after = (resident(pid) - before) * 1024 / SUBSCRIBERS as u64;
    println!("{} changes to each in {:?}; {after} bytes each", 2 * PAIRS, began.elapsed());
    assert!(idle <= IDLE_KIB_MAX * 1024, "{idle} bytes");
}

/// Streams that name pairs, and numbers, with the longest ids there are: they take more places under the
/// limits (`service/limits.rs`), each of which costs no more than a stream without any.
#[tokio::test(flavor = "multi_thread")]
async fn subscribers_to_many_pairs_cost_what_their_places_do() {
    for (streams, names, places) in [(1000, 5, 1), (500, 21, 2), (500, 37, 3), (60, 1000, 64)] {
        for are_pairs in [true, false] {
            let gate = cli::Gate::memory();
            let client = Client::connect(format!("http://{}", gate.grpc)).await.unwrap();
            // All that there is once for all streams.
            let _first = open_for(&client, pb::WatchPermissionsRequest::default()).await;
            let before = resident(gate.child.id());
            let mut open = Vec::new();
            for n in 0..streams {
                let number = |name| format!("{:032}", n * names + name);
                let pair = |name| pb::Pair {
                    phone_number_id: number(name),
                    customer: Some(pb::Customer {
                        wa_id: format!("1{:014}", n * names + name),
                        user_id: format!("US.{:0128}", n * names + name),
                    }),
                };
                let request = if are_pairs {
                    let pairs = (0..names).map(pair).collect();
                    pb::WatchPermissionsRequest { pairs, ..Default::default() }
                } else {
                    let phone_number_ids = (0..names).map(number).collect();
                    pb::WatchPermissionsRequest { phone_number_ids, ..Default::default() }
                };
                open.push(open_for(&client, request).await);
            }
            let each = (resident(gate.child.id()) - before) / streams as u64;
            println!("{names} names (pairs: {are_pairs}): {each} KiB each");
            assert!(
                each <= IDLE_KIB_MAX * places,
                "{names} names (pairs: {are_pairs}): {each} KiB"
            );
        }
    }
}

/// Its stream is never read; the others, on the same connection and on another one, are not held up.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_subscriber_delays_nobody_and_costs_little() {
    const PAIRS: usize = 400;
    let gate = cli::Gate::memory();
    let pid = gate.child.id();
    // A client takes 64 KiB per stream unread, as most do, and enough for all of them together.
    let endpoint = Endpoint::from_shared(format!("http://{}", gate.grpc)).unwrap();
    let endpoint =
        endpoint.initial_stream_window_size(65_535).initial_connection_window_size(1 << 20);
    let client = async || Client::new(endpoint.connect().await.unwrap());
    let (shared, other, mut writer) = (client().await, client().await, client().await);
    let mut stalled = Vec::new();
    for _ in 0..2 {
        stalled.push(open(&shared).await);
    }
    let mut quick = [open(&shared).await, open(&other).await];
    write(&mut writer, 9999).await;
    for stream in &mut quick {
        next(stream).await;
        next(stream).await;
    }
    let before = resident(pid);
    let mut slowest = Duration::ZERO;
    for n in 0..PAIRS {
        let began = Instant::now();
        write(&mut writer, n).await;
        for stream in &mut quick {
            assert_eq!(next(stream).await, format!("sent-{n}"));
            assert_eq!(next(stream).await, format!("accepted-{n}"));
        }
        slowest = slowest.max(began.elapsed());
    }
    let grown = resident(pid).saturating_sub(before);
    println!("slowest of {PAIRS} round trips: {slowest:?}; grown by {grown} KiB");
    assert!(slowest < Duration::from_secs(5));
    let metrics = reqwest::get(format!("http://{}/metrics", gate.admin)).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    // Both lost their places, and nothing is kept for them.
    assert!(metrics.contains("callgate_watch_lagging_total 2"), "{metrics}");
    assert!(metrics.contains("callgate_watchers 4"), "{metrics}");
    for mut stream in stalled {
        // Business numbers may overtake each other, the changes of a pair may not.
        let mut heard: HashMap<String, usize> = HashMap::new();
        for place in 0..2 * (PAIRS + 1) {
            assert_eq!(heard.insert(next(&mut stream).await, place), None, "twice");
        }
        for n in (0..PAIRS).chain([9999]) {
            assert!(heard[&format!("sent-{n}")] < heard[&format!("accepted-{n}")], "{n}");
        }
    }
}

/// Grants that end in the same second, three sweepers on one store: each end is told once.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_together_is_told_once_by_all_sweepers_together() {
    const PAIRS: usize = 200;
    let profile = Profile { temporary_permission: 3000, expiring_soon: 1000, ..Profile::atom() };
    let store: Arc<dyn Store> = Arc::new(Embedded::memory(Arc::new(WallClock::default())).unwrap());
    let server = Server::start_with(
        store.clone(),
        profile.clone(),
        crate::support::server::never_understood(),
    )
    .await;
    let mut sweepers = JoinSet::new();
    for _ in 0..3 {
        sweepers.spawn(sweep(Gate::new(store.clone(), Profiles::new(profile.clone()))));
    }
    let mut stream = open(&server.calls).await;
    let Millis(now) = WallClock::default().now();
    let mut events = Vec::new();
    for n in 0..PAIRS {
        let mut event = ask::event(&format!("accepted-{n}"), now, ask::accept());
        event.pair = ask::pair_of(&format!("8000000000{:02}", n % 20), &format!("1555{n:07}"));
        events.push(event);
    }
    server.calls.clone().record_events(ask::events(events)).await.unwrap();
    let mut ends: HashMap<(String, String), Vec<i32>> = HashMap::new();
    let mut late = Vec::new();
    let millis = |at: Option<prost_types::Timestamp>| {
        let at = at.unwrap();
        at.seconds * 1000 + i64::from(at.nanos / 1_000_000)
    };
    for _ in 0..3 * PAIRS {
        let change = loop {
            match stream.message().await.unwrap().unwrap().message.unwrap() {
                Message::Change(change) => break change,
                Message::Progress(_) => {}
                Message::Snapshot(_) => panic!(),
            }
        };
        let pair = change.permission.unwrap().pair.unwrap();
        let pair = (pair.phone_number_id, pair.customer.unwrap().wa_id);
        ends.entry(pair).or_default().push(change.cause);
        if change.event_id.is_empty() {
            late.push(millis(change.recorded_at) - millis(change.occurred_at));
        }
    }
    assert_eq!(ends.len(), PAIRS);
    let expected = [change_cause::ACCEPTED, change_cause::EXPIRING_SOON, change_cause::EXPIRED];
    for (pair, causes) in ends {
        assert_eq!(causes, expected.map(i32::from), "{pair:?}");
    }
    late.sort_unstable();
    println!("late: median {} ms, worst {} ms", late[late.len() / 2], late[late.len() - 1]);
    assert!(late[late.len() - 1] < 10_000);
    // And nothing more.
    let quiet = tokio::time::timeout(Duration::from_secs(1), stream.message()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}
