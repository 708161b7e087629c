//! What needs several servers to agree.

mod log;
mod wait;

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
    five_calls_and_no_sixth(&open(&user).await).await;
    let why = refusal(&user.replace("secret", "hunter2")).await;
    assert!(why.contains("refused user or password") && !why.contains("hunter2"), "{why}");
    let refused = refusal(&format!("redis://127.0.0.1:{}", cluster.nodes[0].port())).await;
    assert!(refused.contains("redis+cluster://"), "{refused}");
}

#[tokio::test]
async fn a_demoted_master_is_left_for_the_new_one() {
    let master = Server::redis7();
    let line = format!("replicaof 127.0.0.1 {}", master.port());
    let replica = Server::with(&[&line]);
    wait(|| {
        let info: String = cmd("INFO").arg("replication").query(&mut replica.client()).unwrap();
        info.contains("master_link_status:up")
    });
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
    // The sentinel would do so within ten seconds.
    let demote = format!("127.0.0.1 {}", replica.port());
    let demote: Vec<&str> = demote.split(' ').collect();
    cmd("REPLICAOF").arg(&demote).query::<()>(&mut master.client()).unwrap();

    // The connection still leads to the old one. One call finds the new one.
    assert_eq!(at(&store, NOON, &pair, authorize("one")).await.unwrap().decision, ALLOW);
    assert!(calls_of(&replica, "evalsha") + calls_of(&replica, "eval") > 0);
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

/// The record under a customer's other id is found only by what the first one says. Where its slot is
/// on the move, it may be on another node already: then nothing is known, least of all a permission.
#[tokio::test]
async fn a_record_that_has_moved_ahead_of_another_is_missed() {
    let cluster = Cluster::start();
    let store = open(cluster.url()).await;
    let both = pair_of(NUMBER, WA, "US.1000");
    at(&store, NOON, &both, record(NOON, accept(true))).await.unwrap();
    let report = NumberReport { at: NOON, pause: Told::No, ..NumberReport::default() };
    store
        .number(NumberStep { number: &both.number, report: Some(report), now: NOON })
        .await
        .unwrap();
    let reject = match accept(true) {
        Fact::Reply(reply) => Fact::Reply(PermissionReply { accept: false, ..reply }),
        _ => unreachable!(),
    };
    let later = Millis(NOON.0 + 5000);
    let by_user = pair_of(NUMBER, "", "US.1000");
    at(&store, later, &by_user, record(later, reject)).await.unwrap();
    let by_wa = pair_of(NUMBER, WA, "");
    let no = at(&store, later, &by_wa, Command::Check {}).await.unwrap();
    assert_ne!(no.decision, ALLOW, "the no is under the other id");
    let profile = Profile::atom();
    let check = || Step { pair: &by_wa, command: Command::Check {}, profile: &profile, now: later };

    move_key(&cluster, "callgate:{p60}", ":US.1000");
    let judged = store.read(vec![check()]).await.remove(0);
    let error = judged.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(_)), "{error}");
    let error = at(&store, later, &by_wa, Command::Check {}).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(_)), "{error}");
    let error = at(&store, later, &by_wa, authorize("one")).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(_)), "{error}");
}

/// Begins to move the slot of `home`, with the key that ends so.
fn move_key(cluster: &Cluster, home: &str, end: &str) {
    let ask = |server: &Server, words: &[&str]| -> redis::Value {
        cmd(words[0]).arg(&words[1..]).query(&mut server.client()).unwrap()
    };
    let word = |value| redis::from_redis_value::<String>(value).unwrap();
    let slot: u16 =
        redis::from_redis_value(ask(&cluster.nodes[0], &["CLUSTER", "KEYSLOT", home])).unwrap();
    let keys = |node: &Server| -> Vec<String> {
        let words = ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "100"];
        redis::from_redis_value(ask(node, &words)).unwrap_or_default()
    };
    let at = (0..3).find(|n| !keys(&cluster.nodes[*n]).is_empty()).unwrap();
    let (source, target) = (&cluster.nodes[at], &cluster.nodes[(at + 1) % 3]);
    let ids = [source, target].map(|node| word(ask(node, &["CLUSTER", "MYID"])));
    ask(target, &["CLUSTER", "SETSLOT", &slot.to_string(), "IMPORTING", &ids[0]]);
    ask(source, &["CLUSTER", "SETSLOT", &slot.to_string(), "MIGRATING", &ids[1]]);
    let key = keys(source).into_iter().find(|key| key.ends_with(end)).unwrap();
    let port = target.port().to_string();
    ask(source, &["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS", &key]);
}
