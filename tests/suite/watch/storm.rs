//! Writers write, subscribers break off and resume, replicas come and go: at the end everybody has
//! heard what the log says, no more and no less, in its order.
//!
//! The seed is printed; `CALLGATE_SEED=…` plays the same hands again, though not their timing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use callgate::{
    engine::{
        change::{Change, Position},
        pair::PhoneNumberId,
        store::{Store, partition_of},
        time::{Clock as _, Millis, WallClock},
    },
    proto::{
        self as pb, call_permission_service_client::CallPermissionServiceClient, event::Fact,
        watch_permissions_response::Message,
    },
    store::embedded::Embedded,
};
use tokio::{sync::watch, task::JoinSet};
use tonic::{Code, transport::Channel};

use crate::{service::ask, support::server::Server, twins::Dice};

type Client = CallPermissionServiceClient<Channel>;

const NUMBERS: u64 = 12;
const CUSTOMERS: u64 = 10;
const WRITERS: u64 = 4;
const EVENTS_EACH: u64 = 800;
const SUBSCRIBERS: u64 = 8;

fn number(n: u64) -> String {
    format!("8000000000000{n:02}")
}

fn wa_id(n: u64) -> String {
    format!("1555014200{n}")
}

fn now() -> u64 {
    let Millis(now) = WallClock::default().now();
    now
}

/// Whatever makes changes, and some that make none.
fn fact(dice: &mut Dice, id: &str) -> Fact {
    match dice.below(7) {
        0 => ask::accept(),
        1 => ask::reject(),
        2 | 3 => ask::sent(id),
        4 => ask::call(id, pb::CallOutcome::Answered),
        _ => ask::call(id, pb::CallOutcome::Unanswered),
    }
}

/// The replicas that are there now.
#[derive(Clone, Default)]
struct Fleet(Arc<Mutex<Vec<String>>>);

impl Fleet {
    async fn any(&self, dice: &mut Dice) -> Client {
        loop {
            let url = dice.pick(&self.0.lock().unwrap()).clone();
            // One that has just gone refuses.
            if let Ok(client) = Client::connect(url).await {
                return client;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn write(fleet: Fleet, mut dice: Dice, writer: u64) {
    for n in 0..EVENTS_EACH {
        let id = format!("w{writer}-{n}");
        let mut event = ask::event(&id, now() - dice.below(5000), fact(&mut dice, &id));
        event.pair = ask::pair_of(&number(dice.below(NUMBERS)), &wa_id(dice.below(CUSTOMERS)));
        loop {
            let mut client = fleet.any(&mut dice).await;
            let request = ask::events(vec![event.clone()]);
            match client.record_events(request).await {
                Ok(_) => break,
                // The replica went away meanwhile: what was done already is not done twice.
                Err(status) => assert_ne!(status.code(), Code::InvalidArgument, "{status:?}"),
            }
        }
    }
}

/// What is compared of a change: all that a stream shows of it.
type Heard = (String, String, i32, i32, Option<prost_types::Timestamp>, String, u64);

fn heard(change: &pb::PermissionChange) -> Heard {
    let permission = change.permission.clone().unwrap();
    let pair = permission.pair.unwrap();
    (
        pair.phone_number_id,
        pair.customer.unwrap().wa_id,
        change.cause,
        change.previous_status,
        change.occurred_at,
        change.event_id.clone(),
        permission.revision,
    )
}

fn logged(change: &Change) -> Heard {
    (
        change.number.clone(),
        change.wa.clone(),
        i32::from(change.cause),
        i32::from(change.previous_status),
        ask::at(change.occurred_at.0),
        change.event_id.clone(),
        change.revision,
    )
}

fn filter(dice: &mut Dice, subscriber: u64) -> pb::WatchPermissionsRequest {
    let second = prost_types::Duration { seconds: 1, nanos: 0 };
    let mut request =
        pb::WatchPermissionsRequest { progress_interval: Some(second), ..Default::default() };
    match subscriber % 4 {
        0 => {}
        1 => request.phone_number_ids = (0..3).map(|_| number(dice.below(NUMBERS))).collect(),
        _ => {
            let pair = |dice: &mut Dice| {
                let (number, wa) = (number(dice.below(NUMBERS)), wa_id(dice.below(CUSTOMERS)));
                ask::pair_of(&number, &wa).unwrap()
            };
            request.pairs = (0..30).map(|_| pair(dice)).collect();
        }
    }
    request
}

fn is_for(request: &pb::WatchPermissionsRequest, (number, wa, ..): &Heard) -> bool {
    let is_pair = |pair: &pb::Pair| {
        pair.phone_number_id == *number && pair.customer.as_ref().unwrap().wa_id == *wa
    };
    if request.pairs.is_empty() {
        request.phone_number_ids.is_empty() || request.phone_number_ids.contains(number)
    } else {
        request.pairs.iter().any(is_pair)
    }
}

struct Subscriber {
    request: pb::WatchPermissionsRequest,
    heard: Vec<Heard>,
    streams: u32,
    /// It began with the states of its pairs.
    snapshots: Vec<pb::Permission>,
}

impl Subscriber {
    /// Listens now here, now there. After all was written it stays until it was told, twice, that
    /// there is nothing more.
    async fn listen(
        mut self,
        fleet: Fleet,
        mut dice: Dice,
        is_over: watch::Receiver<bool>,
    ) -> Self {
        loop {
            self.streams += 1;
            let mut client = fleet.any(&mut dice).await;
            let mut left = 1 + dice.below(60);
            let Ok(stream) = client.watch_permissions(self.request.clone()).await else { continue };
            let mut stream = stream.into_inner();
            let is_slow = dice.below(4) == 0;
            let mut is_last = 0;
            while 0 < left || *is_over.borrow() {
                let message = match stream.message().await {
                    Ok(message) => message.expect("a stream ends with a status"),
                    Err(status) => {
                        // Connections of a replica that ends break as well.
                        let ends =
                            [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled];
                        assert!(ends.contains(&status.code()), "{status:?}");
                        break;
                    }
                };
                if *is_over.borrow() && matches!(message.message, Some(Message::Progress(_))) {
                    is_last += 1;
                }
                self.take(message);
                if is_last == 2 {
                    return self;
                }
                left = left.saturating_sub(1);
                if is_slow {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
    }

    fn take(&mut self, message: pb::WatchPermissionsResponse) {
        self.request.resume_token = message.resume_token;
        match message.message.unwrap() {
            Message::Change(change) => self.heard.push(heard(&change)),
            Message::Snapshot(snapshot) => self.snapshots.push(snapshot),
            Message::Progress(_) => {}
        }
    }
}

/// The whole log, by partition.
async fn log(store: &Arc<dyn Store>) -> BTreeMap<u16, Vec<Heard>> {
    let log = store.change_log().await.unwrap();
    let mut all = BTreeMap::new();
    for partition in 0..store.partitions() {
        let mut after = Position::START;
        let mut entries = Vec::new();
        loop {
            let page = log.read(partition, after, 100).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position;
            entries.extend(page.iter().map(|entry| logged(&entry.change)));
        }
        all.insert(partition, entries);
    }
    all
}

fn by_partition(heard: &[Heard]) -> BTreeMap<u16, Vec<Heard>> {
    let mut all: BTreeMap<u16, Vec<Heard>> = BTreeMap::new();
    for heard in heard {
        let number = PhoneNumberId::parse(&heard.0, "").unwrap();
        all.entry(partition_of(&number, 64)).or_default().push(heard.clone());
    }
    all
}

/// Replicas end and others begin, until told.
async fn churn(store: Arc<dyn Store>, fleet: Fleet, mut is_over: watch::Receiver<bool>) {
    let mut replicas = Vec::new();
    let mut ended = JoinSet::new();
    loop {
        let server = Server::start(store.clone()).await;
        fleet.0.lock().unwrap().push(server.url.clone());
        replicas.push(server);
        if replicas.len() == 4 {
            let oldest = replicas.remove(0);
            fleet.0.lock().unwrap().remove(0);
            ended.spawn(oldest.stop());
        }
        let pause = tokio::time::sleep(Duration::from_millis(150));
        tokio::select! {
            () = pause => {}
            _ = is_over.wait_for(|is_over| *is_over) => break,
        }
    }
    // The last ones stay until nobody listens any more.
    is_over.changed().await.unwrap_err();
    drop(replicas);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_hears_what_the_log_says() {
    let mut dice = Dice::throw();
    let store: Arc<dyn Store> = Arc::new(Embedded::memory(Arc::new(WallClock::default())).unwrap());
    let fleet = Fleet::default();
    let (over, is_over) = watch::channel(false);
    let churning = tokio::spawn(churn(store.clone(), fleet.clone(), is_over.clone()));
    while fleet.0.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Each has a token from before the first change.
    let mut subscribers = JoinSet::new();
    for n in 0..SUBSCRIBERS {
        let mut request = filter(&mut dice, n);
        let mut client = fleet.any(&mut dice).await;
        let mut stream = client.watch_permissions(request.clone()).await.unwrap().into_inner();
        request.resume_token = stream.message().await.unwrap().unwrap().resume_token;
        let subscriber =
            Subscriber { request, heard: Vec::new(), streams: 0, snapshots: Vec::new() };
        let dice = Dice(dice.below(u64::MAX));
        subscribers.spawn(subscriber.listen(fleet.clone(), dice, is_over.clone()));
    }
    let writers = (0..WRITERS).map(|n| write(fleet.clone(), Dice(dice.below(u64::MAX)), n));
    let writers: Vec<_> = writers.map(tokio::spawn).collect();
    // These begin in the middle of it, with a snapshot.
    let mut late = JoinSet::new();
    for n in 0..4 {
        tokio::time::sleep(Duration::from_millis(100 * n)).await;
        let mut request = filter(&mut dice, 2);
        request.snapshot = true;
        let subscriber =
            Subscriber { request, heard: Vec::new(), streams: 0, snapshots: Vec::new() };
        let dice = Dice(dice.below(u64::MAX));
        late.spawn(subscriber.listen(fleet.clone(), dice, is_over.clone()));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    over.send(true).unwrap();
    let subscribers = subscribers.join_all().await;
    let late = late.join_all().await;
    drop((over, is_over));
    churning.await.unwrap();

    let log = log(&store).await;
    let changes: usize = log.values().map(Vec::len).sum();
    let streams: u32 = subscribers.iter().map(|subscriber| subscriber.streams).sum();
    println!("{changes} changes, {} subscribers, {streams} streams", subscribers.len());
    assert!(500 < changes && 50 < streams, "too little happened");
    for subscriber in &subscribers {
        let heard = by_partition(&subscriber.heard);
        for (partition, entries) in &log {
            let meant: Vec<&Heard> =
                entries.iter().filter(|entry| is_for(&subscriber.request, entry)).collect();
            let heard: Vec<&Heard> = heard.get(partition).into_iter().flatten().collect();
            assert_eq!(heard, meant, "partition {partition}");
        }
    }
    for subscriber in &late {
        agrees(subscriber, &log);
    }
}

/// Of each pair it heard the end of the log, from the change on that follows its newest snapshot.
fn agrees(subscriber: &Subscriber, log: &BTreeMap<u16, Vec<Heard>>) {
    assert!(!subscriber.snapshots.is_empty());
    let entries: Vec<&Heard> = log.values().flatten().collect();
    for snapshot in &subscriber.snapshots {
        let pair = snapshot.pair.clone().unwrap();
        let wa = pair.customer.unwrap().wa_id;
        let is_theirs = |(number, id, ..): &&Heard| *number == pair.phone_number_id && *id == wa;
        let all: Vec<&Heard> = entries.iter().copied().filter(|heard| is_theirs(heard)).collect();
        let heard: Vec<&Heard> = subscriber.heard.iter().filter(is_theirs).collect();
        assert_eq!(heard, all[all.len() - heard.len()..], "{wa} on {}", pair.phone_number_id);
        let newest = subscriber.snapshots.iter().rev().find(|other| other.pair == snapshot.pair);
        let before = all[..all.len() - heard.len()].last().map_or(0, |heard| heard.6);
        let after = heard.first().map_or(u64::MAX, |heard| heard.6);
        // The revision grows with every fact, whether or not it changed anything that is told.
        let revision = newest.unwrap().revision;
        assert!(before <= revision && revision < after, "{before} <= {revision} < {after}");
    }
}
