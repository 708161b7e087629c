//! The change log and its deadlines where there are several servers.

use std::{collections::BTreeSet, sync::Arc};

use callgate::engine::change::{ChangeLog, Logged};

use super::*;
use crate::redis::{
    due::{due_key, everybody, takes_over},
    log::{BY_NOTICE, attend, changes_key, hears_of, partition, turn, turns},
};

/// Numbers whose partitions are on this node of a fresh cluster.
fn numbers_on(cluster: &Cluster, node: usize, count: usize) -> Vec<String> {
    let mut client = cluster.nodes[0].client();
    let mut is_there = |number: &str| {
        let slot: usize = cmd("CLUSTER")
            .arg("KEYSLOT")
            .arg(changes_key(partition(number)))
            .query(&mut client)
            .unwrap();
        (16384 * node / 3..16384 * (node + 1) / 3).contains(&slot)
    };
    let numbers = (0..).map(|n| format!("82000000000{n:04}"));
    let mut seen = BTreeSet::new();
    numbers
        .filter(|number| is_there(number) && seen.insert(partition(number)))
        .take(count)
        .collect()
}

/// What can be read after `after`, as soon as there is something.
async fn next(log: &Arc<dyn ChangeLog>, partition: u16, after: Position) -> Vec<Logged> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match log.read(partition, after, 10).await {
            Ok(logged) if !logged.is_empty() => return logged,
            Err(error @ Error::OutOfRange(_)) => panic!("{error}"),
            Ok(_) => assert!(Instant::now() < until, "there is nothing"),
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        log.news().await;
    }
}

/// Notices come again, once they were ordered where the partition is now.
async fn heard_again(store: &RedisStore, log: &Arc<dyn ChangeLog>, number: &PhoneNumberId) {
    let mut heard = Duration::MAX;
    for round in 0..3 {
        // What was on its way is not what is looked for.
        while tokio::time::timeout(Duration::from_millis(200), log.news()).await.is_ok() {}
        let customer = customer(&format!("1555019910{round}"), "");
        turn(store, &Pair { number: number.clone(), customer }, true, 0).await;
        heard = hears_of(log, vec![partition(number.as_str())]).await;
        println!("heard after {heard:?}");
    }
    assert!(heard < Duration::from_millis(500), "{heard:?}");
}

#[tokio::test]
async fn news_of_every_master_comes_at_once() {
    let cluster = Cluster::start();
    let (reader, writer) = (open(cluster.url()).await, open(cluster.url()).await);
    let log = reader.change_log().await.unwrap();
    let numbers: Vec<String> = (0..3).flat_map(|node| numbers_on(&cluster, node, 3)).collect();
    let partitions: Vec<u16> = numbers.iter().map(|number| partition(number)).collect();
    attend(&log, &partitions).await;
    let mut slowest = Duration::ZERO;
    for round in 0..5 {
        for (number, p) in std::iter::zip(&numbers, &partitions) {
            let after = log.tails(&[*p]).await.unwrap()[0];
            turn(&writer, &pair_of(number, WA, ""), round % 2 == 0, (5 - round) * 1000).await;
            slowest = slowest.max(hears_of(&log, vec![*p]).await);
            assert_eq!(log.read(*p, after, 10).await.unwrap().len(), 1);
        }
    }
    println!("news in a cluster within {slowest:?}");
    assert!(slowest < BY_NOTICE, "{slowest:?}");

    // Every connection of one master is cut, again and again.
    let mut slowest = Duration::ZERO;
    for round in 0..6 {
        let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
        cmd("CLIENT").arg(&kill).query::<usize>(&mut cluster.nodes[1].client()).unwrap();
        let begun = Instant::now();
        for (number, p) in std::iter::zip(&numbers, &partitions) {
            let after = log.tails(&[*p]).await.unwrap()[0];
            let pair = pair_of(number, "15550199002", "");
            turn(&writer, &pair, round % 2 == 0, (6 - round) * 1000).await;
            assert_eq!(next(&log, *p, after).await.len(), 1);
        }
        slowest = slowest.max(begun.elapsed());
    }
    println!("in a cluster, after a kill, all read within {slowest:?}");
}

#[tokio::test]
async fn a_cluster_shares_work_finds_customers_and_forgets() {
    let cluster = Cluster::start();
    let (one, other) = (open(cluster.url()).await, open(cluster.url()).await);
    let log = one.change_log().await.unwrap();
    for node in 0..3 {
        let number_text = &numbers_on(&cluster, node, 1)[0];
        let p = partition(number_text);
        let mut expected = BTreeSet::new();
        for n in 0..700_u32 {
            let pair = pair_of(number_text, &format!("1555{n:07}"), "");
            expected.extend(pair.customer.keys());
            at(&one, Millis::ZERO, &pair, record(Millis::ZERO, accept(true))).await.unwrap();
        }
        assert_eq!(everybody(&one, number_text).await.0, expected);

        let id = number(number_text);
        let report = NumberReport { inbound_call_grants: Told::No, ..NumberReport::default() };
        let step = NumberStep { number: &id, report: Some(report), now: Millis::ZERO };
        assert_eq!(one.number(step).await.unwrap().changed, 1);
        let due = one.due(10).await.unwrap();
        assert_eq!((due.len(), &due[0].number), (1, &id));
        assert_eq!(other.due(10).await.unwrap(), []);
        one.settled(&due[0]).await.unwrap();
        assert_eq!(one.due(10).await.unwrap(), []);

        let forgotten = customer("15550000007", "");
        assert!(one.forget(&id, &forgotten, &Profile::atom()).await.unwrap());
        let (mut rest, mut after) = (Vec::new(), Position::START);
        while after < log.tails(&[p]).await.unwrap()[0] {
            rest.extend(log.read(p, after, 300).await.unwrap());
            after = rest.last().map_or(after, |last: &Logged| last.position);
        }
        assert_eq!(rest.len(), 700);
        assert_eq!(rest.iter().filter(|l| l.change.wa == "15550000007").count(), 1);
    }
    let id = numbers_on(&cluster, 2, 1).remove(0);
    drop(one);
    let mut add = cmd("ZADD");
    add.arg(due_key(&id)).arg(1).arg(format!("{id}:{WA}"));
    add.query::<()>(&mut cluster.nodes[2].client()).unwrap();
    assert_eq!(takes_over(&other, Duration::from_secs(10)).await.len(), 1);
}

#[tokio::test]
async fn a_master_that_lost_its_log_says_so_and_the_others_go_on() {
    let mut cluster = Cluster::start();
    for node in &cluster.nodes {
        let require = ["SET", "cluster-require-full-coverage", "no"];
        cmd("CONFIG").arg(&require).query::<()>(&mut node.client()).unwrap();
    }
    let store = open(cluster.url()).await;
    let log = store.change_log().await.unwrap();
    let [there, lost] = [0, 2].map(|node| numbers_on(&cluster, node, 1).remove(0));
    let [p, q] = [&there, &lost].map(|number| partition(number));
    for number in [&there, &lost] {
        turns(&store, &pair_of(number, WA, ""), 2).await;
    }
    attend(&log, &[p, q]).await;
    let ends = log.tails(&[p, q]).await.unwrap();
    cluster.nodes[2].kill();
    turn(&store, &pair_of(&there, WA, ""), true, 0).await;
    assert_eq!(next(&log, p, ends[0]).await.len(), 1);
    assert!(log.tails(&[p, q]).await.is_err(), "an end that nobody knows is not made up");
    let mut add = cmd("ZADD");
    add.arg(due_key(&there)).arg(1).arg(format!("{there}:{WA}"));
    add.query::<()>(&mut cluster.nodes[0].client()).unwrap();
    assert_eq!(takes_over(&store, Duration::from_secs(10)).await.len(), 1);
    let settled = pair_of(&there, WA, "");
    at(&store, Millis::ZERO, &settled, Command::Settle {}).await.unwrap();
    assert_eq!(store.due(10).await.unwrap(), [], "what is there is not made late");
    cluster.nodes[2].restart();
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match log.read(q, ends[1], 10).await {
            Err(Error::OutOfRange(why)) => break assert!(why.contains("lost its newest"), "{why}"),
            Err(_) => assert!(Instant::now() < until),
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    recovers(&store, &pair_of(&lost, WA, "")).await;
    turn(&store, &pair_of(&lost, WA, ""), true, 0).await;
    assert_eq!(next(&log, q, Position::START).await.len(), 1);
}

/// Kills a master of a cluster whose replica has all of it.
#[tokio::test]
async fn a_failover_in_a_cluster_leaves_no_gap() {
    let mut cluster = Cluster::start();
    let replica = cluster.replica_of(1);
    let store = open(cluster.url()).await;
    let log = store.change_log().await.unwrap();
    let number_text = numbers_on(&cluster, 1, 1).remove(0);
    let (pair, p) = (pair_of(&number_text, WA, ""), partition(&number_text));
    attend(&log, &[p]).await;
    turns(&store, &pair, 3).await;
    let before = log.read(p, Position::START, 10).await.unwrap();
    let wait_for = |client: &mut redis::Connection| {
        cmd("WAIT").arg(1).arg(5000).query::<u32>(client).unwrap() >= 1
    };
    // An offset counts that was there when a client wrote: this one has to write itself.
    let mut client = cluster.nodes[1].client();
    cmd("SET").arg(format!("callgate:{{p{p:02}}}:probe")).arg(1).query::<()>(&mut client).unwrap();
    assert!(wait_for(&mut client));
    cluster.nodes[1].kill();
    recovers(&store, &pair).await;
    let role: Vec<redis::Value> = cmd("ROLE").query(&mut replica.client()).unwrap();
    assert_eq!(role[0], redis::Value::BulkString(b"master".to_vec()));
    let after = before[1].position;
    assert_eq!(next(&log, p, after).await, before[2..]);

    let begun = Instant::now();
    turn(&store, &pair, true, 0).await;
    assert_eq!(next(&log, p, before[2].position).await.len(), 1);
    println!("after a failover, read within {:?}", begun.elapsed());
    heard_again(&store, &log, &pair.number).await;
}

/// Moves the slot of a partition from one master to another.
fn reshard(cluster: &Cluster, key: &str, from: usize, to: usize) {
    let (mut a, mut b) = (cluster.nodes[from].client(), cluster.nodes[to].client());
    let slot: u16 = cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut a).unwrap();
    let [a_id, b_id]: [String; 2] =
        [&mut a, &mut b].map(|client| cmd("CLUSTER").arg("MYID").query(client).unwrap());
    let set = |client: &mut redis::Connection, state: &str, id: &str| {
        cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(state).arg(id).query::<()>(client).unwrap();
    };
    set(&mut b, "IMPORTING", &a_id);
    set(&mut a, "MIGRATING", &b_id);
    let keys: Vec<String> =
        cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(10_000).query(&mut a).unwrap();
    let mut migrate = cmd("MIGRATE");
    migrate.arg("127.0.0.1").arg(cluster.nodes[to].port()).arg("").arg(0).arg(5000).arg("KEYS");
    migrate.arg(&keys).query::<String>(&mut a).unwrap();
    set(&mut b, "NODE", &b_id);
    set(&mut a, "NODE", &b_id);
    set(&mut cluster.nodes[3 - from - to].client(), "NODE", &b_id);
}

#[tokio::test]
async fn a_partition_that_moves_to_another_master_leaves_no_gap() {
    let cluster = Cluster::start();
    let store = open(cluster.url()).await;
    let log = store.change_log().await.unwrap();
    let number_text = numbers_on(&cluster, 0, 1).remove(0);
    let (pair, p) = (pair_of(&number_text, WA, ""), partition(&number_text));
    attend(&log, &[p]).await;
    turns(&store, &pair, 3).await;
    let before = log.read(p, Position::START, 10).await.unwrap();
    let from = store.customers(&pair.number, "").await.unwrap();
    assert_eq!((from.customers.len(), from.next), (1, None));
    reshard(&cluster, &changes_key(p), 0, 2);
    assert_eq!(log.read(p, before[0].position, 10).await.unwrap(), before[1..]);
    assert_eq!(everybody(&store, &number_text).await.0.len(), 1);
    turn(&store, &pair, true, 0).await;
    assert_eq!(next(&log, p, before[2].position).await.len(), 1);
    heard_again(&store, &log, &pair.number).await;
    let after = log.tails(&[p]).await.unwrap()[0];
    turn(&store, &pair_of(&number_text, "15550199002", ""), true, 0).await;
    assert_eq!(next(&log, p, after).await.len(), 1);
}

/// The log goes on at the new master, from where it was.
#[tokio::test]
async fn a_failover_behind_a_sentinel_leaves_no_gap() {
    let (master, replica) = Server::with_replica();
    let sentinel = Server::sentinel_of(&master);
    let store = open(sentinel.url()).await;
    let log = store.change_log().await.unwrap();
    let (pair, p) = (pair_of(NUMBER, WA, ""), partition(NUMBER));
    attend(&log, &[p]).await;
    turns(&store, &pair, 3).await;
    let before = log.read(p, Position::START, 10).await.unwrap();
    let mut watcher = sentinel.client();
    wait(|| cmd("SENTINEL").arg("failover").arg("mymaster").query::<()>(&mut watcher).is_ok());
    wait(|| {
        let name = ["get-master-addr-by-name", "mymaster"];
        let address: (String, u16) = cmd("SENTINEL").arg(&name).query(&mut watcher).unwrap();
        address.1 == replica.port()
    });
    // The old one keeps its connections, and what it has: nothing new reaches it.
    let nowhere = ["127.0.0.1", "1"];
    wait(|| {
        let role: Vec<redis::Value> = cmd("ROLE").query(&mut replica.client()).unwrap();
        role[0] == redis::Value::BulkString(b"master".to_vec())
    });
    cmd("REPLICAOF").arg(&nowhere).query::<()>(&mut master.client()).unwrap();

    turn(&store, &pair, true, 0).await;
    let begun = Instant::now();
    let new = next(&log, p, before[2].position).await;
    println!("after a failover, read within {:?}", begun.elapsed());
    assert_eq!(new.len(), 1);
    heard_again(&store, &log, &pair.number).await;
}
