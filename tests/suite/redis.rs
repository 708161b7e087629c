//! The Redis store: each way to connect, each refusal, what a command costs, faults and recovery.

use std::{
    process::Command as Process,
    time::{Duration, Instant},
};

use callgate::{
    engine::{
        Error, Result,
        fact::{
            CallOutcome, CallReport, Fact, InboundMessage, NumberReport, Reply as PermissionReply,
            Told,
        },
        pair::{Customer, Pair, PhoneNumberId},
        profile::Profile,
        step::{Command, NumberStep, Reply, Step},
        store::{Quarantined, Store as _},
        time::Millis,
    },
    store::redis::{Options, RedisStore, StartError, Target},
};
use redis::cmd;

use crate::servers::{Cluster, Server, wait};

/// The instant at which most tests play. Far from now, so that nothing leans on the real clock.
const NOON: Millis = Millis(4_000_000_000_000);
const ALLOW: u8 = 1;
const NUMBER: &str = "800000000000001";
const WA: &str = "15550199001";

fn patient() -> Options {
    // Two cores, many servers: only the tests of deadlines mind them.
    let call_deadline = Duration::from_secs(5);
    let connect_deadline = Duration::from_secs(10);
    Options { call_deadline, connect_deadline, ..Options::default() }
}

async fn try_open(url: &str) -> std::result::Result<RedisStore, StartError> {
    RedisStore::open(Target::parse(url)?, patient()).await
}

async fn open(url: &str) -> RedisStore {
    try_open(url).await.unwrap()
}

async fn refusal(url: &str) -> String {
    try_open(url).await.unwrap_err().to_string()
}

fn pair_of(number: &str, wa: &str, user: &str) -> Pair {
    Pair::parse(number, wa, user, "pair").unwrap()
}

fn number(text: &str) -> PhoneNumberId {
    PhoneNumberId::parse(text, "number").unwrap()
}

fn customer(wa: &str, user: &str) -> Customer {
    Customer::parse(wa, user, "customer").unwrap()
}

async fn at(store: &RedisStore, now: Millis, pair: &Pair, command: Command) -> Result<Reply> {
    store.apply(Step { pair, command, profile: &Profile::atom(), now }).await
}

fn authorize(id: &str) -> Command {
    Command::AuthorizeCall { own_id: id.to_owned(), lease: 0 }
}

fn record(at: Millis, fact: Fact) -> Command {
    Command::Record { at, spelled: String::new(), fact }
}

fn accept(permanent: bool) -> Fact {
    Fact::Reply(PermissionReply {
        accept: true,
        permanent,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    })
}

fn call(id: &str, outcome: CallOutcome) -> Fact {
    Fact::Call(CallReport {
        call_id: id.to_owned(),
        provider_call_id: String::new(),
        outcome,
        error: 0,
        placed_at: Millis::ZERO,
        answered_at: Millis::ZERO,
        ended_at: Millis::ZERO,
        pstn: false,
    })
}

/// A short story: denied, permitted, allowed until the window is full.
async fn five_calls_and_no_sixth(store: &RedisStore) {
    for number in ["800000000000001", "800000000000002", "800000000000003", "800000000000004"] {
        let pair = pair_of(number, WA, "US.1000");
        let before = at(store, NOON, &pair, authorize("early")).await.unwrap();
        assert_ne!(before.decision, ALLOW);
        let recorded = at(store, NOON, &pair, record(NOON, accept(false))).await.unwrap();
        assert_eq!(recorded.result, 1);
        for id in ["one", "two", "three", "four", "five"] {
            let reply = at(store, NOON, &pair, authorize(id)).await.unwrap();
            assert_eq!((reply.decision, reply.replayed), (ALLOW, 0), "{id}");
        }
        let sixth = at(store, NOON, &pair, authorize("six")).await.unwrap();
        assert_ne!(sixth.decision, ALLOW);
        let again = at(store, NOON, &pair, authorize("five")).await.unwrap();
        assert_eq!((again.decision, again.replayed), (ALLOW, 1));
    }
    let store_now = store.now().await.unwrap();
    assert!(store_now > Millis(1_700_000_000_000));
}

#[tokio::test]
async fn redis_7_answers() {
    let server = Server::redis7();
    five_calls_and_no_sixth(&open(server.url()).await).await;
}

#[tokio::test]
async fn redis_6_2_answers() {
    let server = Server::redis62();
    five_calls_and_no_sixth(&open(server.url()).await).await;
}

#[tokio::test]
async fn valkey_8_answers() {
    let server = Server::valkey8();
    five_calls_and_no_sixth(&open(server.url()).await).await;
}

#[tokio::test]
async fn another_database_answers() {
    let server = Server::redis7();
    five_calls_and_no_sixth(&open(&format!("{}/3", server.url())).await).await;
    let keys: usize = cmd("DBSIZE").query(&mut server.client()).unwrap();
    assert_eq!(keys, 0, "database 0 is untouched");
}

#[tokio::test]
async fn a_socket_answers() {
    let server = Server::unix();
    five_calls_and_no_sixth(&open(server.url()).await).await;
}

#[tokio::test]
async fn a_cluster_answers() {
    let cluster = Cluster::start();
    five_calls_and_no_sixth(&open(cluster.url()).await).await;
    // Only a cluster shows a key that is in another slot than it should be.
    everything_but_pairs(&open(cluster.url()).await).await;
    let refused = refusal(&format!("redis://127.0.0.1:{}", cluster.nodes[0].port())).await;
    assert!(refused.contains("redis+cluster://"), "{refused}");
}

#[tokio::test]
async fn a_sentinel_names_the_master() {
    let (_master, sentinel) = Server::sentinel();
    five_calls_and_no_sixth(&open(sentinel.url()).await).await;
    let unknown = try_open(&sentinel.url().replace("mymaster", "other")).await.unwrap_err();
    assert!(matches!(&unknown, StartError::Away(why) if why.contains("/other")), "{unknown}");
}

#[tokio::test]
async fn tls_is_checked() {
    let (server, files) = Server::tls();
    five_calls_and_no_sixth(&open(server.url()).await).await;
    let client = format!("&cert={}&key={}", files.cert.display(), files.key.display());
    open(&format!("{}{client}", server.url())).await;
    open(&format!("rediss://localhost:{}?insecure=true", server.port())).await;

    let no_authority = refusal(&format!("rediss://localhost:{}", server.port())).await;
    assert!(no_authority.contains("ca= in the store URL"), "{no_authority}");
    let no_file = refusal("rediss://localhost?ca=/nowhere/ca.pem").await;
    assert!(no_file.contains("ca=/nowhere/ca.pem: cannot read"), "{no_file}");
}

/// The rule of docs/redis.md.
const ACL_RULE: &str = "~callgate:* -@all +evalsha +eval +script|load +get +set +del +exists +sadd \
    +smembers +hget +hset +hsetnx +hmget +hdel +pexpire +zadd +zrange +zrevrange +zrangebyscore \
    +zrem +time +info +ping +select +role +cluster|slots";

#[tokio::test]
async fn a_user_with_few_rights_is_enough() {
    let server = Server::acl(ACL_RULE);
    let store = open(server.url()).await;
    five_calls_and_no_sixth(&store).await;
    everything_but_pairs(&store).await;

    let page = include_str!("../../docs/redis.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let rule = ACL_RULE.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains(&rule), "docs/redis.md must show: {rule}");

    let denied = Server::acl(&ACL_RULE.replace("+info", ""));
    let why = refusal(denied.url()).await;
    assert!(why.contains("docs/redis.md has the ACL rule"), "{why}");
}

#[tokio::test]
async fn a_wrong_password_is_told_without_showing_it() {
    let server = Server::with(&["requirepass hunter2"]);
    let port = server.port();
    let wrong = try_open(&format!("redis://:hunter3@127.0.0.1:{port}")).await.unwrap_err();
    assert!(matches!(wrong, StartError::Refused(_)));
    assert!(wrong.to_string().contains("refused user or password"), "{wrong}");
    assert!(!wrong.to_string().contains("hunter"));
    let none = refusal(&format!("redis://127.0.0.1:{port}")).await;
    assert!(none.contains("the server wants a password"), "{none}");
    five_calls_and_no_sixth(&open(&format!("redis://:hunter2@127.0.0.1:{port}")).await).await;
}

#[tokio::test]
async fn an_unfit_store_is_refused_with_the_mend() {
    let evicting = Server::with(&["maxmemory 100mb", "maxmemory-policy allkeys-lru"]);
    let why = refusal(evicting.url()).await;
    assert!(why.contains("CONFIG SET maxmemory-policy noeviction"), "{why}");

    let server = Server::redis7();
    open(server.url()).await;
    let target = Target::parse(server.url()).unwrap();
    let other = Options { partitions: 16, ..patient() };
    let why = RedisStore::open(target, other).await.unwrap_err().to_string();
    assert!(why.contains("has 64 partitions, 16 are configured"), "{why}");

    cmd("HSET")
        .arg("callgate:meta")
        .arg("schema")
        .arg(7)
        .query::<()>(&mut server.client())
        .unwrap();
    let why = refusal(server.url()).await;
    assert!(why.contains("has schema version 7, this callgate has 1"), "{why}");

    let no_cluster = refusal(&server.url().replace("redis://", "redis+cluster://")).await;
    assert!(no_cluster.contains("is no cluster"), "{no_cluster}");

    let line = format!("replicaof 127.0.0.1 {}", server.port());
    let replica = Server::with(&[&line]);
    let why = try_open(replica.url()).await.unwrap_err();
    assert!(matches!(&why, StartError::Away(why) if why.contains("read-only replica")), "{why}");
}

#[tokio::test]
async fn a_server_that_is_away_says_so() {
    let mut server = Server::redis7();
    server.kill();
    let error = try_open(server.url()).await.unwrap_err();
    assert!(matches!(error, StartError::Away(_)), "{error}");
}

#[tokio::test]
async fn the_scripts_come_back_after_a_flush() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    cmd("SCRIPT").arg("FLUSH").query::<()>(&mut server.client()).unwrap();
    five_calls_and_no_sixth(&store).await;
    everything_but_pairs(&store).await;
}

/// How often clients sent what.
fn calls_of(server: &Server, command: &str) -> u64 {
    let stats: String = cmd("INFO").arg("commandstats").query(&mut server.client()).unwrap();
    let prefix = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&prefix));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_decision_costs_one_command() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let pair = pair_of(NUMBER, WA, "");
    at(&store, Millis::ZERO, &pair, record(Millis::ZERO, accept(false))).await.unwrap();

    let mut monitor = server.monitor();
    let before = calls_of(&server, "evalsha");
    let reply = at(&store, Millis::ZERO, &pair, authorize("one")).await.unwrap();
    assert_eq!(reply.decision, ALLOW);
    assert_eq!(calls_of(&server, "evalsha"), before + 1);

    let lines = monitor.until(|line| line.contains("commandstats"), 2);
    let (script, client): (Vec<_>, Vec<_>) = lines
        .iter()
        .filter(|line| !line.contains("commandstats"))
        .partition(|l| l.contains(" lua]"));
    assert_eq!(client.len(), 1, "{client:#?}");
    assert!(client[0].to_lowercase().contains("\"evalsha\""), "{client:#?}");
    // The clock, the record, the number, and the record's new state.
    assert!(script.len() <= 4, "{script:#?}");
}

#[tokio::test]
async fn many_pairs_cost_one_command_per_partition() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let (one, other) = ("800000000000001", "800000000000003");
    let profile = Profile::atom();
    let pairs: Vec<Pair> = (0..200)
        .map(|i| pair_of(if i % 2 == 0 { one } else { other }, &format!("15550{i:06}"), ""))
        .collect();
    at(&store, NOON, &pairs[7], record(NOON, accept(true))).await.unwrap();
    let key: String = pair_key(&server, &pairs[8]);
    cmd("SET").arg(&key).arg(b"\x07").query::<()>(&mut server.client()).unwrap();

    let before = calls_of(&server, "evalsha");
    let steps = pairs.iter().map(|pair| Step {
        pair,
        command: Command::Check {},
        profile: &profile,
        now: NOON,
    });
    let replies = store.read(steps.collect()).await;
    assert_eq!(calls_of(&server, "evalsha"), before + 2);
    assert_eq!(replies.len(), 200);
    for (index, reply) in replies.iter().enumerate() {
        match (index, reply) {
            (8, reply) => {
                assert!(matches!(reply, Err(Error::Internal(why)) if why.contains("format 7")))
            }
            (index, reply) => {
                assert_eq!(reply.as_ref().unwrap().decision == ALLOW, index == 7, "{index}");
            }
        }
    }
}

/// The key of a pair that was never recorded, by one that was.
fn pair_key(server: &Server, pair: &Pair) -> String {
    let keys: Vec<String> =
        cmd("KEYS").arg("callgate:*:pair:*").query(&mut server.client()).unwrap();
    let known = keys.iter().find(|key| key.contains(pair.number.as_str()));
    let home = match known {
        Some(key) => key.rsplit_once(':').unwrap().0.to_owned(),
        None => {
            let partition = callgate::engine::store::partition_of(&pair.number, 64);
            format!("callgate:{{p{partition:02}}}:pair:{}", pair.number)
        }
    };
    format!("{home}:{}", pair.customer.wa().unwrap().key())
}

#[tokio::test]
async fn every_key_has_an_end_but_facts_without_one() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let now = store.now().await.unwrap();
    let temporary = pair_of(NUMBER, WA, "");
    let permanent = pair_of(NUMBER, "15550199002", "");
    at(&store, Millis::ZERO, &temporary, record(now, accept(false))).await.unwrap();
    at(&store, Millis::ZERO, &permanent, record(now, accept(true))).await.unwrap();
    everything_but_pairs(&store).await;
    let mut client = server.client();
    let keys: Vec<String> = cmd("KEYS").arg("*").query(&mut client).unwrap();
    let mut endless: Vec<String> = keys
        .into_iter()
        .filter(|key| cmd("PTTL").arg(key).query::<i64>(&mut client).unwrap() < 0)
        .collect();
    endless.sort();
    insta::assert_snapshot!(endless.join("\n"), @r#"
    callgate:meta
    callgate:{p07}:number:900000000000001
    callgate:{p07}:numbers
    callgate:{p45}:numbers
    callgate:{p60}:numbers
    callgate:{p60}:pair:800000000000001:15550199002
    "#);
}

fn paused(at: Millis) -> NumberReport {
    NumberReport { at, pause: Told::Yes, ..NumberReport::default() }
}

fn kept_aside(id: &str, number: &str, received_at: u64, change: &str) -> Quarantined {
    Quarantined {
        id: id.to_owned(),
        reason: "unknown shape".to_owned(),
        received_at: Millis(received_at),
        field: "messages".to_owned(),
        phone_number_id: number.to_owned(),
        change: change.to_owned(),
    }
}

/// Numbers, display numbers, quarantine and erasure: each script but the shell.
async fn everything_but_pairs(store: &RedisStore) {
    numbers_and_displays(store).await;
    quarantine_and_erasure(store).await;
}

async fn numbers_and_displays(store: &RedisStore) {
    let now = store.now().await.unwrap();
    let (id, display) = (number("900000000000001"), "15550100100");
    let unknown = store.number(NumberStep { number: &id, report: None, now }).await.unwrap();
    assert_eq!(unknown.changed, 0);
    assert_eq!(store.report_by_display(display, paused(now)).await.unwrap(), None);
    assert_eq!(store.report_by_display(display, paused(now)).await.unwrap(), None);
    for _ in 0..2 {
        store.learn_display(display, &id, Millis(now.0 - 1)).await.unwrap();
        let known = store.number(NumberStep { number: &id, report: None, now }).await.unwrap();
        assert_eq!((known.number.pause, known.number.pause_at), (2, now));
    }
    // An older telling does not win.
    store.learn_display(display, &number("900000000000002"), Millis(now.0 - 2)).await.unwrap();
    let report = NumberReport { at: now, calling: Told::No, ..NumberReport::default() };
    assert_eq!(store.report_by_display(display, report).await.unwrap(), Some(id.clone()));
    let known = store.number(NumberStep { number: &id, report: None, now }).await.unwrap();
    assert_eq!((known.number.calling, known.number.pause), (1, 2));

    let mut found = Vec::new();
    for partition in 0..store.partitions() {
        found.extend(store.numbers(partition).await.unwrap());
    }
    assert!(found.contains(&id) && !found.contains(&number("900000000000002")), "{found:?}");
}

async fn quarantine_and_erasure(store: &RedisStore) {
    let now = store.now().await.unwrap().0;
    let (id, other) = (number("900000000000003"), "900000000000004");
    let named = r#"{"from": "15550199777"}"#;
    let by_user = r#"{"user_id": "US.7777"}"#;
    for entry in [
        kept_aside("aa", id.as_str(), now - 3, named),
        kept_aside("bb", id.as_str(), now - 2, by_user),
        kept_aside("cc", id.as_str(), now - 1, "{}"),
        kept_aside("dd", other, now, named),
        kept_aside("ee", "", now + 1, named),
        kept_aside("aa", id.as_str(), now + 2, named),
    ] {
        store.quarantine(entry).await.unwrap();
    }
    let listed = |entries: Vec<Quarantined>| entries.into_iter().map(|e| e.id).collect::<Vec<_>>();
    assert_eq!(listed(store.quarantined(3).await.unwrap()), ["aa", "bb", "cc"]);
    assert_eq!(store.quarantined_by_id("ee").await.unwrap().unwrap().change, named);
    store.release_quarantined("cc").await.unwrap();
    assert_eq!(store.quarantined_by_id("cc").await.unwrap(), None);

    // Known by both ids, erased by one.
    let both = pair_of(id.as_str(), "15550199777", "US.7777");
    let told = Millis(now - 1000);
    at(store, Millis::ZERO, &both, record(told, accept(true))).await.unwrap();
    let asked = customer("15550199777", "");
    assert!(store.forget(&id, &asked).await.unwrap());
    assert_eq!(store.raw(&id, &both.customer).await.unwrap(), (None, None));
    assert_eq!(listed(store.quarantined(9).await.unwrap()), ["dd", "ee"]);
    store.forget_unfiled(&asked).await.unwrap();
    assert_eq!(listed(store.quarantined(9).await.unwrap()), ["dd"]);
    assert!(!store.forget(&id, &asked).await.unwrap(), "there is nothing left");

    // Redelivered, under either id: from before the erasure. A new fact counts.
    for pair in [&both, &pair_of(id.as_str(), "", "US.7777")] {
        let reply = at(store, Millis::ZERO, pair, record(told, accept(true))).await.unwrap();
        assert_eq!(reply.result, 3, "stale");
    }
    assert_eq!(store.raw(&id, &both.customer).await.unwrap(), (None, None));
    let fresh = record(Millis(now + 60_000), accept(false));
    assert_eq!(at(store, Millis::ZERO, &both, fresh).await.unwrap().result, 1);
}

#[tokio::test]
async fn the_quarantine_is_bounded_by_count_and_age() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let now = store.now().await.unwrap().0;
    let month = callgate::engine::store::QUARANTINE_AGE_MAX;
    store.quarantine(kept_aside("old", NUMBER, now - month - 1, "{}")).await.unwrap();
    for i in 0..1001 {
        store.quarantine(kept_aside(&format!("{i:04}"), NUMBER, now + i, "{}")).await.unwrap();
    }
    let kept = store.quarantined(usize::MAX).await.unwrap();
    assert_eq!(kept.len(), 1000);
    assert_eq!((kept[0].id.as_str(), kept[999].id.as_str()), ("0001", "1000"));
    assert!(store.quarantined(0).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unreadable_record_is_refused_and_left_alone() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let pair = pair_of(NUMBER, WA, "");
    let key = pair_key(&server, &pair);
    cmd("SET").arg(&key).arg(b"\x07").query::<()>(&mut server.client()).unwrap();
    let error = at(&store, NOON, &pair, authorize("one")).await.unwrap_err();
    assert!(matches!(&error, Error::Internal(why) if why.contains("format 7")), "{error}");
    let message = InboundMessage { provider_message_id: String::new() };
    let write = record(NOON, Fact::InboundMessage(message));
    assert!(matches!(at(&store, NOON, &pair, write).await, Err(Error::Internal(_))));
    let raw = store.raw(&pair.number, &pair.customer).await.unwrap();
    assert_eq!(raw, (Some(b"\x07".to_vec()), None));
}

#[tokio::test]
async fn a_dead_server_is_told_at_once_and_a_living_one_found_again() {
    let mut server = Server::redis7();
    let options = Options { call_deadline: Duration::from_millis(200), ..patient() };
    let store = RedisStore::open(Target::parse(server.url()).unwrap(), options).await.unwrap();
    let pair = pair_of(NUMBER, WA, "");
    assert_eq!(at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap().result, 1);

    server.kill();
    for id in ["one", "two", "three"] {
        let begun = Instant::now();
        let error = at(&store, NOON, &pair, authorize(id)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    }
    let refused = at(&store, NOON, &pair, authorize("four")).await.unwrap_err();
    assert!(refused.to_string().contains("reconnecting"), "{refused}");

    server.restart();
    recovers(&store, &pair).await;
}

async fn recovers(store: &RedisStore, pair: &Pair) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match at(store, NOON, pair, Command::Check {}).await {
            Ok(_) => return,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_restart_between_two_calls_is_not_noticed() {
    let mut server = Server::redis7();
    let store = open(server.url()).await;
    five_calls_and_no_sixth(&store).await;
    server.restart();
    five_calls_and_no_sixth(&store).await;
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_deadline() {
    let server = Server::redis7();
    let options = Options { call_deadline: Duration::from_millis(100), ..patient() };
    let store = RedisStore::open(Target::parse(server.url()).unwrap(), options).await.unwrap();
    let pair = pair_of(NUMBER, WA, "");
    signal(&server, "STOP");
    let mut errors = Vec::new();
    for id in ["one", "two", "three", "four", "five"] {
        let begun = Instant::now();
        errors.push(at(&store, NOON, &pair, authorize(id)).await.unwrap_err());
        assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    }
    assert!(matches!(errors[0], Error::DeadlineExceeded(_)), "{:?}", errors[0]);
    assert!(matches!(errors[4], Error::Unavailable(_)), "{:?}", errors[4]);
    signal(&server, "CONT");
    recovers(&store, &pair).await;
}

fn signal(server: &Server, name: &str) {
    let status =
        Process::new("kill").arg(format!("-{name}")).arg(server.pid().to_string()).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_demoted_master_is_left_for_the_new_one() {
    let (master, sentinel) = Server::sentinel();
    let line = format!("replicaof 127.0.0.1 {}", master.port());
    let replica = Server::with(&[&line]);
    let store = open(sentinel.url()).await;
    let pair = pair_of(NUMBER, WA, "");
    at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap();
    let mut watcher = sentinel.client();
    wait(|| {
        let known: Vec<redis::Value> =
            cmd("SENTINEL").arg("replicas").arg("mymaster").query(&mut watcher).unwrap();
        let info: String = cmd("INFO").arg("replication").query(&mut replica.client()).unwrap();
        known.len() == 1 && info.contains("master_link_status:up")
    });
    // Until it has the replica's own word, the sentinel finds it not good enough.
    wait(|| cmd("SENTINEL").arg("failover").arg("mymaster").query::<()>(&mut watcher).is_ok());
    wait(|| {
        let info: String = cmd("INFO").arg("replication").query(&mut master.client()).unwrap();
        info.contains("role:slave")
    });
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

#[tokio::test]
async fn a_full_server_refuses_writes_and_still_answers_questions() {
    for server in [Server::redis7(), Server::redis62()] {
        let store = open(server.url()).await;
        let pair = pair_of(NUMBER, WA, "");
        at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap();
        let mut client = server.client();
        cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).query::<()>(&mut client).unwrap();
        let error = at(&store, NOON, &pair, authorize("one")).await.unwrap_err();
        assert!(matches!(&error, Error::Unavailable(why) if why.contains("OOM")), "{error}");
        let check = at(&store, NOON, &pair, Command::Check {}).await.unwrap();
        assert_eq!(check.decision, ALLOW);
        cmd("CONFIG").arg(&["SET", "maxmemory", "0"]).query::<()>(&mut client).unwrap();
        let report = record(NOON, call("one", CallOutcome::Answered));
        assert_eq!(at(&store, NOON, &pair, report).await.unwrap().result, 1);
    }
}
