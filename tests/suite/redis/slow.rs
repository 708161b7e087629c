//! What needs several servers to agree.

mod log;
mod wait;

use callgate::{engine::archive::Archive as _, store::redis::Wait};
use futures_util::future::join_all;

use super::{faults::recovers, rest::everything_but_pairs, *};

#[tokio::test]
async fn a_cluster_answers() {
    let cluster = Cluster::start();
    // Only a cluster shows a key that is in another slot than it should be.
    let beside = Options { prefix: "beside".to_owned(), ..patient() };
    let target = Target::parse(cluster.url()).unwrap();
    everything_but_pairs(&RedisStore::open(target, beside).await.unwrap()).await;
    for node in &cluster.nodes {
        let user = format!("ACL SETUSER gate on >secret {ACL_RULE}");
        let words: Vec<&str> = user.split_whitespace().collect();
        cmd(words[0]).arg(&words[1..]).query::<()>(&mut node.client()).unwrap();
    }
    let user = cluster.url().replace("cluster://", "cluster://gate:secret@");
    let store = open(&user).await;
    five_calls_and_no_sixth(&store).await;
    let mut kept = 0;
    let mut count = |_| {
        kept += 1;
        Ok(())
    };
    store.take_out(&mut count).await.unwrap();
    assert_eq!(kept, 4);
    let why = refusal(&user.replace("secret", "hunter2")).await;
    assert!(why.contains("refused user or password") && !why.contains("hunter2"), "{why}");
    let refused = refusal(&format!("redis://127.0.0.1:{}", cluster.nodes[0].port())).await;
    assert!(refused.contains("redis+cluster://"), "{refused}");
}

/// A master, its replica, and a sentinel that has made the replica the master. The old one lives.
async fn failed_over() -> (RedisStore, [Server; 3], Pair) {
    let (master, replica) = Server::with_replica();
    let sentinel = Server::sentinel_of(&master);
    let store = open(sentinel.url()).await;
    let pair = pair_of(NUMBER, WA, "");
    at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap();

    let mut watcher = sentinel.client();
    // Until it has the replica's own word, the sentinel finds it not good enough.
    wait(|| cmd("SENTINEL").arg("failover").arg("mymaster").query::<()>(&mut watcher).is_ok());
    wait(|| {
        let name = ["get-master-addr-by-name", "mymaster"];
        let address: (String, u16) = cmd("SENTINEL").arg(&name).query(&mut watcher).unwrap();
        address.1 == replica.port()
    });
    (store, [master, replica, sentinel], pair)
}

#[tokio::test]
async fn a_demoted_master_is_left_for_the_new_one() {
    let (store, [master, replica, _sentinel], pair) = failed_over().await;
    // The sentinel would do so within ten seconds.
    let demote = format!("127.0.0.1 {}", replica.port());
    let demote: Vec<&str> = demote.split(' ').collect();
    cmd("REPLICAOF").arg(&demote).query::<()>(&mut master.client()).unwrap();

    // The connection still leads to the old one. One call finds the new one.
    assert_eq!(at(&store, NOON, &pair, authorize("one")).await.unwrap().decision, ALLOW);
    assert!(scripts_of(&replica) > 0);
}

/// What it says is lost: until it is told, it takes itself for the master.
#[tokio::test]
async fn a_master_that_does_not_know_of_its_end_is_left_all_the_same() {
    let (store, [master, replica, _sentinel], pair) = failed_over().await;
    let until = Instant::now() + Duration::from_secs(5);
    while scripts_of(&replica) == 0 {
        assert!(Instant::now() < until, "still with the old master");
        // Whoever it is asked of, and also between the two, the gate has an answer.
        for _ in 0..20 {
            at(&store, NOON, &pair, Command::Check {}).await.unwrap();
        }
    }
    let info: String = cmd("INFO").arg("replication").query(&mut master.client()).unwrap();
    assert!(info.contains("role:master"), "nobody has told it: {info}");
}

#[tokio::test]
async fn a_lost_master_of_a_cluster_leaves_the_others_serving() {
    let mut cluster = Cluster::start();
    for node in &cluster.nodes {
        let require = ["SET", "cluster-require-full-coverage", "no"];
        cmd("CONFIG").arg(&require).query::<()>(&mut node.client()).unwrap();
    }
    let options = Options { call_deadline: Duration::from_millis(500), ..patient() };
    let store = RedisStore::open(Target::parse(cluster.url()).unwrap(), options).await.unwrap();
    let pairs: Vec<Pair> =
        (0..12).map(|i| pair_of(&format!("80000000000{i:04}"), WA, "")).collect();
    for pair in &pairs {
        recovers(&store, pair).await;
    }
    cluster.nodes[2].kill();
    let mut served = 0;
    for pair in &pairs {
        match at(&store, NOON, pair, Command::Check {}).await {
            Ok(_) => served += 1,
            Err(error) => assert!(
                matches!(error, Error::Unavailable(_) | Error::DeadlineExceeded(_)),
                "{error}"
            ),
        }
    }
    assert!(0 < served && served < pairs.len(), "{served} of {}", pairs.len());
    cluster.nodes[2].restart();
    for pair in &pairs {
        recovers(&store, pair).await;
    }
}

/// A customer who said yes under one id, and later no under the other: what is known of that is two
/// records, of which the second is found only by what the first one says.
async fn a_no_under_the_other_id(store: &RedisStore) -> (Pair, Millis) {
    let both = pair_of(NUMBER, WA, "US.1000");
    at(store, NOON, &both, record(NOON, accept(true))).await.unwrap();
    let report = NumberReport { at: NOON, pause: Told::No, ..NumberReport::default() };
    let step = NumberStep { number: &both.number, report: Some(report), now: NOON };
    store.number(step).await.unwrap();
    let Fact::Reply(yes) = accept(true) else { unreachable!() };
    let (no, later) = (PermissionReply { accept: false, ..yes }, Millis(NOON.0 + 5000));
    let by_user = pair_of(NUMBER, "", "US.1000");
    at(store, later, &by_user, record(later, Fact::Reply(no))).await.unwrap();
    let by_wa = pair_of(NUMBER, WA, "");
    let denied = at(store, later, &by_wa, Command::Check {}).await.unwrap();
    assert_ne!(denied.decision, ALLOW, "the no is under the other id");
    (by_wa, later)
}

/// Where one of the two records has moved to another node and the other has not, nothing is known,
/// least of all a permission: on neither node.
#[tokio::test]
async fn a_slot_on_the_move_gives_no_permission() {
    for moves_first in ["", ":US.1000"] {
        let cluster = Cluster::start();
        let store = open(cluster.url()).await;
        let (by_wa, later) = a_no_under_the_other_id(&store).await;
        let slot = Slot::of(&cluster, "callgate:{p60}");
        // What a long life leaves behind.
        for (key, command) in [
            ("log", "HSET k trimmed 1-1"),
            ("erased", "ZADD k 1 1-1"),
            ("due", "ZADD k 9000000000000 1:15550199009"),
        ] {
            let key = format!("callgate:{{p60}}:{key}");
            let words: Vec<&str> = command
                .split(' ')
                .map(|word| if word == "k" { key.as_str() } else { word })
                .collect();
            slot.ask(slot.source, &words);
        }
        slot.begin_to_move();
        let is_first = |key: &String| match moves_first {
            "" => !key.ends_with(":US.1000"),
            end => key.ends_with(end),
        };
        slot.keys().into_iter().filter(is_first).for_each(|key| slot.migrate(&key));

        let profile = Profile::atom();
        let check =
            Step { pair: &by_wa, command: Command::Check {}, profile: &profile, now: later };
        let answers = [
            store.read(vec![check]).await.remove(0),
            at(&store, later, &by_wa, Command::Check {}).await,
            at(&store, later, &by_wa, authorize("one")).await,
        ];
        for answer in answers.into_iter().rev() {
            let error = answer.expect_err("half of what is known is not enough");
            assert!(matches!(&error, Error::Unavailable(_)), "{error}");
        }
        let log = store.customers(&by_wa.number, "").await;
        assert!(matches!(&log, Err(Error::Unavailable(_))), "{log:?}");
        let forgotten = store.forget(&by_wa.number, &by_wa.customer, &profile).await;
        assert!(matches!(&forgotten, Err(Error::Unavailable(_))), "{forgotten:?}");

        slot.keys().iter().for_each(|key| slot.migrate(key));
        slot.end_the_move();
        recovers(&store, &by_wa).await;
        let denied = at(&store, later, &by_wa, authorize("one")).await.unwrap();
        assert_ne!(denied.decision, ALLOW);
    }
}

/// One that was cut off together with its master names it still; it has seen no failover since.
#[tokio::test]
async fn the_sentinel_that_has_seen_the_newest_failover_is_believed() {
    let (old, new) = (Server::redis7(), Server::redis7());
    let cut_off = Server::sentinel_of(&old);
    let mut knows = Server::sentinel_since(&new, 5);
    let both = format!(",127.0.0.1:{}/mymaster", knows.port());
    let url = cut_off.url().replace("/mymaster", &both);
    knows.kill();
    let store = open(&url).await;
    let pair = pair_of(NUMBER, WA, "");
    at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap();
    assert_eq!(scripts_of(&new), 0);

    knows.restart();
    let until = Instant::now() + Duration::from_secs(20);
    while scripts_of(&new) == 0 {
        assert!(Instant::now() < until, "still with the old master");
        // Refused while it connects anew.
        let _ = at(&store, NOON, &pair, Command::Check {}).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Who comes now goes there at once.
    let before = scripts_of(&old);
    let other = open(&url).await;
    at(&other, NOON, &pair, Command::Check {}).await.unwrap();
    assert_eq!(scripts_of(&old), before);
}

#[tokio::test]
async fn a_cluster_that_is_emptied_under_two_gates_is_one_store_afterwards() {
    let cluster = Cluster::start();
    let flush = || {
        for node in &cluster.nodes {
            // A replica refuses.
            let _ = cmd("FLUSHALL").query::<()>(&mut node.client());
        }
    };
    super::faults::is_one_store_after(cluster.url(), flush).await;
}

/// Connecting may take less time than the servers are about to take for an answer, calls more.
async fn open_slow(url: &str, wait: Option<Wait>) -> RedisStore {
    let connect_deadline = Duration::from_secs(2);
    let options = Options { connect_deadline, wait, ..patient() };
    RedisStore::open(Target::parse(url).unwrap(), options).await.unwrap()
}

/// Servers that answer nobody for so many ms.
fn pause<'a>(servers: impl IntoIterator<Item = &'a Server>, ms: &str) -> Instant {
    for server in servers {
        cmd("CLIENT").arg(&["PAUSE", ms, "ALL"]).query::<()>(&mut server.client()).unwrap();
    }
    Instant::now()
}

fn took_long(begun: Instant) {
    assert!(Duration::from_secs(2) < begun.elapsed(), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_slow_answer_of_a_cluster_is_waited_for_as_long_as_is_said() {
    let cluster = Cluster::start();
    let store = open_slow(cluster.url(), None).await;
    let pair = pair_of(NUMBER, WA, "");
    at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap();
    let begun = pause(&cluster.nodes, "2700");
    let reply = at(&store, NOON, &pair, authorize("one")).await.unwrap();
    // Asked twice, it would find its own hold.
    assert_eq!((reply.decision, reply.replayed), (ALLOW, 0));
    took_long(begun);
}

/// The change log has connections of its own. Who asks while others wait waits as well.
#[tokio::test]
async fn and_so_is_one_of_its_change_log() {
    let cluster = Cluster::start();
    let options = Options { connect_deadline: Duration::from_millis(500), ..patient() };
    let target = || Target::parse(cluster.url()).unwrap();
    let log = loop {
        // It may take longer on a busy machine.
        let Ok(store) = RedisStore::open(target(), options.clone()).await else { continue };
        at(&store, NOON, &pair_of(NUMBER, WA, ""), record(NOON, accept(true))).await.unwrap();
        if let Ok(log) = store.change_log().await {
            break log;
        }
    };
    let begun = pause(&cluster.nodes, "4000");
    let reads = (0..8).map(|n| {
        let log = &log;
        async move {
            tokio::time::sleep(Duration::from_millis(450 * n)).await;
            log.read(super::log::partition(NUMBER), Position::START, 100).await
        }
    });
    for told in join_all(reads).await {
        assert_eq!(told.unwrap().len(), 1);
    }
    took_long(begun);
}

/// Clients are not disconnected when a server becomes a replica, and one that may be written would go on.
#[tokio::test]
async fn a_master_that_became_a_writable_replica_is_left() {
    let (other, ours) = Server::with_replica();
    let become_of = |server: &Server, of: &[&str]| {
        cmd("REPLICAOF").arg(of).query::<()>(&mut server.client()).unwrap();
    };
    become_of(&ours, &["NO", "ONE"]);
    cmd("CONFIG").arg(&["SET", "replica-read-only", "no"]).query::<()>(&mut ours.client()).unwrap();
    let store = open(ours.url()).await;
    let pair = pair_of(NUMBER, WA, "");
    at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap();
    let port = ours.port().to_string();
    become_of(&other, &["127.0.0.1", &port]);
    other.follows();
    become_of(&other, &["NO", "ONE"]);
    let port = other.port().to_string();
    become_of(&ours, &["127.0.0.1", &port]);
    ours.follows();
    let again = || record(NOON, accept(true));
    let mut refused = String::new();
    for _ in 0..400 {
        match at(&store, NOON, &pair, again()).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => {
                refused = error.to_string();
                break;
            }
        }
    }
    assert!(refused.contains("replica"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_set_to_evict_is_left_until_it_does_not() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let pair = pair_of(NUMBER, WA, "");
    let told = |policy: &str| {
        let set = ["SET", "maxmemory-policy", policy];
        cmd("CONFIG").arg(&set).query::<()>(&mut server.client()).unwrap();
    };
    for (policy, serves) in [("volatile-ttl", false), ("noeviction", true)] {
        told(policy);
        let mut answer = at(&store, NOON, &pair, record(NOON, accept(true))).await;
        for _ in 0..400 {
            if answer.is_ok() == serves {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = at(&store, NOON, &pair, record(NOON, accept(true))).await;
        }
        match answer {
            Ok(_) => assert!(serves, "it goes on where keys may be dropped"),
            Err(error) => {
                assert!(!serves && error.to_string().contains(policy), "{error}");
            }
        }
    }
}
