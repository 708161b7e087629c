//! Slots of a cluster on the move, as redis-cli does it, a few keys at a time.

use std::time::Duration;

use callgate::engine::{pair::PhoneNumberId, store::partition_of};
use redis::cmd;
use tokio::time::sleep;

use crate::servers::{Cluster, Server};

/// So many keys go at once.
const KEYS_AT_ONCE: usize = 2;

fn ask<T: redis::FromRedisValue>(server: &Server, words: &[&str]) -> T {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]).query(&mut server.client()).unwrap()
}

/// The slot of everything that is kept of a business number.
pub(super) fn slot_of(cluster: &Cluster, number: &str) -> u16 {
    let number = PhoneNumberId::parse(number, "number").unwrap();
    let key = format!("callgate:{{p{:02}}}", partition_of(&number, 64));
    ask(&cluster.nodes[0], &["CLUSTER", "KEYSLOT", &key])
}

/// Where a slot is.
fn owner(cluster: &Cluster, slot: u16) -> usize {
    let slots: Vec<(u16, u16, (String, u16, String))> =
        redis_slots(&cluster.nodes[0]).into_iter().collect();
    let (_, _, (_, port, _)) =
        slots.iter().find(|(from, to, _)| (*from..=*to).contains(&slot)).unwrap();
    cluster.nodes.iter().position(|node| node.port() == *port).unwrap()
}

/// From, to, and the master's host, port and id.
fn redis_slots(server: &Server) -> Vec<(u16, u16, (String, u16, String))> {
    let ranges: Vec<Vec<redis::Value>> = ask(server, &["CLUSTER", "SLOTS"]);
    let read = |range: Vec<redis::Value>| {
        let mut words = range.into_iter();
        let mut next = || words.next().unwrap();
        let (from, to) = (next(), next());
        let redis::Value::Array(master) = next() else { panic!("a master") };
        let mut master = master.into_iter();
        let mut word = || master.next().unwrap();
        let host = redis::from_redis_value(word()).unwrap();
        let port = redis::from_redis_value(word()).unwrap();
        let id = redis::from_redis_value(word()).unwrap();
        let number = |value| redis::from_redis_value(value).unwrap();
        (number(from), number(to), (host, port, id))
    };
    ranges.into_iter().map(read).collect()
}

/// Moves a slot so many nodes on; returns how many keys went.
pub(super) async fn move_slot(cluster: &Cluster, slot: u16, by: usize) -> usize {
    let from = owner(cluster, slot);
    let to = (from + by) % cluster.nodes.len();
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[to]);
    let id = |node: &Server| ask::<String>(node, &["CLUSTER", "MYID"]);
    let (source_id, target_id) = (id(source), id(target));
    let name = slot.to_string();
    ask::<()>(target, &["CLUSTER", "SETSLOT", &name, "IMPORTING", &source_id]);
    ask::<()>(source, &["CLUSTER", "SETSLOT", &name, "MIGRATING", &target_id]);
    let mut moved = 0;
    loop {
        let count = KEYS_AT_ONCE.to_string();
        let keys: Vec<String> = ask(source, &["CLUSTER", "GETKEYSINSLOT", &name, &count]);
        if keys.is_empty() {
            break;
        }
        let port = target.port().to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        migrate.extend(keys.iter().map(String::as_str));
        ask::<redis::Value>(source, &migrate);
        moved += keys.len();
        sleep(Duration::from_millis(30)).await;
    }
    for node in [target, source].into_iter().chain(&cluster.nodes) {
        ask::<()>(node, &["CLUSTER", "SETSLOT", &name, "NODE", &target_id]);
    }
    moved
}
