//! Subscribers that come and go, and the comparison of what they heard with the log.

use std::{collections::BTreeMap, sync::Arc};

use callgate::{
    engine::{
        change::{Change, ChangeLog, Position},
        pair::PhoneNumberId,
        store::{PARTITIONS, partition_of},
    },
    proto::{
        Pair, PermissionChange, WatchPermissionsRequest, WatchPermissionsResponse,
        watch_permissions_response::Message,
    },
};
use prost_types::{Duration as ProtoDuration, Timestamp};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tonic::{Code, Status, Streaming};

use super::world::{PATIENCE, World};
use crate::twins::Dice;

/// What one change is, for comparing: nothing of it may differ.
pub(super) fn line(change: &PermissionChange) -> String {
    let permission = change.permission.clone().unwrap();
    let pair = permission.pair.clone().unwrap();
    let ms = |at: &Option<Timestamp>| {
        at.as_ref().map_or(0, |at| at.seconds * 1000 + i64::from(at.nanos) / 1_000_000)
    };
    format!(
        "{} {} {}: {} -> {} at {} told {} until {} event {:?} revision {}",
        pair.phone_number_id,
        pair.customer.unwrap().wa_id,
        change.cause().as_str_name(),
        change.previous_status,
        permission.status,
        ms(&change.occurred_at),
        ms(&change.recorded_at),
        ms(&permission.valid_until),
        change.event_id,
        permission.revision,
    )
}

fn line_of_log(change: &Change) -> String {
    let cause = callgate::proto::ChangeCause::try_from(i32::from(change.cause)).unwrap();
    format!(
        "{} {} {}: {} -> {} at {} told {} until {} event {:?} revision {}",
        change.number,
        change.wa_id,
        cause.as_str_name(),
        change.previous_status,
        change.status,
        change.occurred_at.0,
        change.recorded_at.0,
        change.valid_until.0,
        change.event_id,
        change.revision,
    )
}

fn partition(number: &str) -> u16 {
    partition_of(&PhoneNumberId::parse(number, "number").unwrap(), PARTITIONS)
}

/// Every change of these numbers on the log, by partition, as lines.
pub(super) async fn whole_log(log: &dyn ChangeLog, numbers: &[&str]) -> BTreeMap<u16, Vec<String>> {
    let mut all = BTreeMap::new();
    for number in numbers {
        let partition = partition(number);
        let mut after = Position::START;
        let mut lines = Vec::new();
        loop {
            let read = log.read(partition, after, 500).await.unwrap();
            let Some(last) = read.last() else { break };
            after = last.position;
            lines.extend(read.iter().map(|logged| line_of_log(&logged.change)));
        }
        all.insert(partition, lines);
    }
    all
}

/// What was heard without a break: from a start on, over any number of streams.
#[derive(Debug, Default, Clone)]
pub(super) struct Chain {
    /// By partition, in the order of hearing.
    pub(super) heard: BTreeMap<u16, Vec<String>>,
    pub(super) count: usize,
    /// The last change of each pair, by its line's beginning.
    pub(super) last: BTreeMap<String, PermissionChange>,
    /// The log did not reach back any more, or had lost what was told.
    pub(super) is_broken: bool,
}

impl Chain {
    fn hear(&mut self, change: PermissionChange) {
        let line = line(&change);
        let pair = change.permission.clone().unwrap().pair.unwrap();
        let key = format!("{} {}", pair.phone_number_id, pair.customer.unwrap().wa_id);
        self.last.insert(key, change);
        self.heard.entry(partition(&pair.phone_number_id)).or_default().push(line);
        self.count += 1;
    }

    /// All of it, and nothing else, is what the log says of what `is_mine`.
    pub(super) fn must_be(&self, log: &BTreeMap<u16, Vec<String>>, is_mine: impl Fn(&str) -> bool) {
        assert!(!self.is_broken, "the log was told to be out of range");
        for (partition, lines) in log {
            let wanted: Vec<&String> = lines.iter().filter(|line| is_mine(line)).collect();
            let heard: Vec<&String> = self.heard.get(partition).into_iter().flatten().collect();
            let first = std::iter::zip(&wanted, &heard).position(|(a, b)| a != b);
            let place = first.unwrap_or(wanted.len().min(heard.len()));
            assert!(
                wanted == heard,
                "partition {partition}: {} on the log, {} heard; first difference at {place}:\n\
                 log   {:?}\nheard {:?}",
                wanted.len(),
                heard.len(),
                wanted.get(place),
                heard.get(place),
            );
        }
    }

    /// What was heard stands on the log in one piece, but for an end that a failover lost; and if
    /// there was such an end, the chain broke there.
    pub(super) fn must_be_a_piece(
        &self,
        log: &BTreeMap<u16, Vec<String>>,
        is_mine: impl Fn(&str) -> bool,
    ) -> usize {
        let mut lost = 0;
        for (partition, heard) in &self.heard {
            let wanted: Vec<&String> =
                log.get(partition).into_iter().flatten().filter(|line| is_mine(line)).collect();
            let Some(start) = wanted.iter().position(|line| **line == heard[0]) else {
                lost += heard.len();
                continue;
            };
            let same = std::iter::zip(&wanted[start..], heard).take_while(|(a, b)| **a == *b);
            lost += heard.len() - same.count();
        }
        assert!(lost == 0 || self.is_broken, "{lost} changes were heard that are not on the log");
        lost
    }
}

/// A subscriber in the background.
pub(super) struct Subscriber {
    chains: watch::Receiver<Vec<Chain>>,
    task: JoinHandle<()>,
    _stop: mpsc::Sender<()>,
}

impl Subscriber {
    /// Subscribes, and is known to be before it returns. `fickle`: one in so many messages it goes
    /// and comes back with its token, to any gate.
    pub(super) async fn start(
        world: &Arc<World>,
        pairs: Vec<Pair>,
        numbers: &[&str],
        fickle: u64,
        seed: u64,
    ) -> Self {
        let (publish, chains) = watch::channel(vec![Chain::default()]);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (stop, stopped) = mpsc::channel(1);
        let request = WatchPermissionsRequest {
            phone_number_ids: numbers.iter().map(|n| (*n).to_owned()).collect(),
            pairs,
            progress_interval: Some(ProtoDuration { seconds: 1, nanos: 0 }),
            ..WatchPermissionsRequest::default()
        };
        let world = Arc::clone(world);
        let mut life = Life { world, request, fickle, dice: Dice(seed), publish };
        let task = tokio::spawn(async move { life.live(started, stopped).await });
        timeout(PATIENCE, has_started).await.unwrap().unwrap();
        Self { chains, task, _stop: stop }
    }

    /// Waits until the last chain has heard so much, and another second of nothing more.
    pub(super) async fn hears(&mut self, count: usize) -> Vec<Chain> {
        let enough = self.chains.wait_for(|chains| chains.last().unwrap().count >= count);
        let has_enough = timeout(PATIENCE, enough).await.is_ok();
        if has_enough {
            tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        }
        self.chains.borrow().clone()
    }

    /// As [`Subscriber::hears`] where a part may have been lost: waits until nothing more comes.
    pub(super) async fn hears_all_that_is_left(&mut self, count: usize) -> Vec<Chain> {
        let is_whole = |chains: &Vec<Chain>| chains.len() == 1 && chains[0].count >= count;
        let quiet = std::time::Duration::from_secs(3);
        while !is_whole(&self.chains.borrow_and_update()) {
            if timeout(quiet, self.chains.changed()).await.is_err() {
                break;
            }
        }
        self.chains.borrow().clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Life {
    world: Arc<World>,
    request: WatchPermissionsRequest,
    fickle: u64,
    dice: Dice,
    publish: watch::Sender<Vec<Chain>>,
}

impl Life {
    async fn live(
        &mut self,
        started: tokio::sync::oneshot::Sender<()>,
        mut stopped: mpsc::Receiver<()>,
    ) {
        let mut started = Some(started);
        loop {
            let ended = tokio::select! {
                ended = self.one_stream(&mut started) => ended,
                _ = stopped.recv() => return,
            };
            match ended.code() {
                Code::Ok => {}
                Code::OutOfRange => {
                    self.request.resume_token.clear();
                    self.request.snapshot = !self.request.pairs.is_empty();
                    self.publish.send_modify(|chains| {
                        chains.last_mut().unwrap().is_broken = true;
                        chains.push(Chain::default());
                    });
                }
                // The gate is gone, or drains.
                Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                _ => panic!("the stream ended with {ended:?}"),
            }
        }
    }

    /// Reads until it ends or is left.
    async fn one_stream(
        &mut self,
        started: &mut Option<tokio::sync::oneshot::Sender<()>>,
    ) -> Status {
        let mut client = self.world.client(&mut self.dice);
        let mut stream: Streaming<WatchPermissionsResponse> =
            match client.watch_permissions(self.request.clone()).await {
                Ok(stream) => stream.into_inner(),
                Err(status) => return status,
            };
        loop {
            let message = match stream.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Status::unavailable("the stream ended"),
                Err(status) => return status,
            };
            assert!(!message.resume_token.is_empty(), "every message has a token");
            self.request.resume_token = message.resume_token;
            match message.message {
                Some(Message::Change(change)) => {
                    self.publish.send_modify(|chains| chains.last_mut().unwrap().hear(change));
                }
                Some(Message::Progress(_) | Message::Snapshot(_)) => {}
                None => panic!("an empty message"),
            }
            if let Some(started) = started.take() {
                let _ = started.send(());
            }
            if self.fickle > 0 && self.dice.below(self.fickle) == 0 {
                return Status::ok("left");
            }
        }
    }
}
