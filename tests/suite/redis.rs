//! The Redis store: each way to connect, each refusal, what a command costs, faults and recovery.

mod due;
mod erasure;
mod faults;
mod formats;
mod log;
mod rest;
mod slow;

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use callgate::{
    engine::{
        Error, Result,
        change::Position,
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

use crate::{
    servers::{Cluster, Server, Slot, wait},
    tidy::files,
};
use rest::everything_but_pairs;

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
    Command::Record { at, spelled: String::new(), event_id: String::new(), fact }
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
    five_calls_and_no_sixth_of(store, WA).await;
}

async fn five_calls_and_no_sixth_of(store: &RedisStore, wa: &str) {
    for number in ["800000000000001", "800000000000002", "800000000000003", "800000000000004"] {
        let pair = pair_of(number, wa, &format!("US.{wa}"));
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

/// The rules of docs/redis.md.
const FUNCTIONS_RULE: &str = "+fcall +function|load";
/// See [`FUNCTIONS_RULE`].
pub(crate) const ACL_RULE: &str = "~callgate:* -@all +evalsha +eval +script|load +get +set +del +exists +scan \
    +pexpire +pttl +sadd +smembers +hget +hset +hsetnx +hmget +hdel +zadd +zrange +zrevrange \
    +zrangebyscore +zscore +zrem +zremrangebyscore +rpush +lindex +lset +lpop +xadd +xlen +xrange \
    +xdel +xtrim +xinfo|stream +client|tracking +wait +time +info +ping +select +role +cluster|slots \
    +cluster|nodes";

#[tokio::test]
async fn a_user_with_few_rights_is_enough() {
    let with_functions = format!("{ACL_RULE} {FUNCTIONS_RULE}");
    for (server, has_functions) in [
        (Server::acl(&with_functions), true),
        (Server::acl_valkey(&with_functions), true),
        (Server::acl(ACL_RULE), false),
        (Server::acl_valkey(ACL_RULE), false),
        (Server::acl(&format!("{ACL_RULE} +function|load")), false),
        (Server::acl(&format!("{ACL_RULE} +fcall")), false),
        (Server::acl62(ACL_RULE), false),
    ] {
        let store = open(server.url()).await;
        five_calls_and_no_sixth(&store).await;
        everything_but_pairs(&store).await;
        let log = store.change_log().await.unwrap();
        log::attend(&log, &[log::partition(NUMBER)]).await;
        let told = log.read(log::partition(NUMBER), Position::START, 100).await.unwrap();
        assert!(!told.is_empty());
        assert_eq!(store.due(10).await.unwrap(), []);
        assert_eq!(store.customers(&number(NUMBER), "").await.unwrap().customers.len(), 2);
        let clients: String = cmd("CLIENT").arg("LIST").query(&mut server.client()).unwrap();
        assert!(clients.contains(" flags=tB "), "notices were ordered: {clients}");
        assert_eq!(calls_of(&server, "fcall") > 10, has_functions, "{}", server.url());
    }

    let page = include_str!("../../docs/redis.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let rule = ACL_RULE.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains(&rule), "docs/redis.md must show: {rule}");
    assert!(page.contains(FUNCTIONS_RULE), "docs/redis.md must show: {FUNCTIONS_RULE}");

    for lacking in ["+info", "+xadd", "+xtrim", "+zscore", "+set", "+hget", "+smembers", "+evalsha"]
    {
        let rule = ACL_RULE.replace(&format!("{lacking} "), "");
        for denied in [
            Server::acl(&rule),
            Server::acl(&format!("{rule} {FUNCTIONS_RULE}")),
            Server::acl62(&rule),
            Server::acl_valkey(&rule),
        ] {
            let why = refusal(denied.url()).await;
            assert!(why.contains("docs/redis.md has the ACL rule"), "{lacking}: {why}");
        }
    }
}

/// What a user may leave out of the rule where a server stands alone: the rest is tried at start.
const NOT_TRIED: [&str; 6] =
    ["client|tracking", "wait", "ping", "select", "cluster|slots", "cluster|nodes"];

fn rights() -> impl Iterator<Item = &'static str> {
    ACL_RULE.split_whitespace().filter_map(|word| word.strip_prefix('+'))
}

#[tokio::test]
async fn each_right_that_is_lacking_is_told_at_start() {
    for server in
        [Server::acl(&format!("{ACL_RULE} {FUNCTIONS_RULE}")), Server::acl_valkey(ACL_RULE)]
    {
        let mut client = server.client();
        let mut set = |sign: &str, right: &str| {
            let rule = format!("{sign}{right}");
            cmd("ACL").arg(&["SETUSER", "gate", &rule]).query::<()>(&mut client).unwrap();
        };
        for right in rights() {
            set("-", right);
            let opened = try_open(server.url()).await;
            set("+", right);
            match opened {
                Ok(_) => assert!(NOT_TRIED.contains(&right), "{right} is not tried"),
                Err(error) => {
                    let why = error.to_string();
                    assert!(why.contains("docs/redis.md has the ACL rule"), "{right}: {why}");
                }
            }
            let keys: Vec<String> = cmd("KEYS").arg("*").query(&mut server.client()).unwrap();
            assert!(keys.iter().all(|key| key == "callgate:meta"), "{right} leaves {keys:?}");
        }
    }
}

/// The names in quotes behind `before`.
fn names_after(text: &str, before: &str) -> BTreeSet<String> {
    let names = text.split(before).skip(1).map(|rest| {
        rest.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_lowercase()
    });
    names.collect()
}

/// So that no step is the first to find out what a user may not do.
#[test]
fn the_rule_has_each_command_that_is_sent_and_the_probe_tries_what_scripts_call() {
    let (mut called, mut sent, mut probed) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::from(["info".to_owned()]));
    for path in files("src/store/redis", "lua") {
        let names = names_after(&fs::read_to_string(&path).unwrap(), "redis.call('");
        if path.ends_with("probe.lua") { &mut probed } else { &mut called }.extend(names);
    }
    for path in files("src/store/redis", "rs") {
        sent.extend(names_after(&fs::read_to_string(&path).unwrap(), "cmd(\""));
    }
    let missing: Vec<_> = called.difference(&probed).collect();
    assert!(missing.is_empty(), "probe.lua does not try {missing:?}");

    // Of functions, of sentinels and of the doctor, who may be refused.
    let others = ["fcall", "function", "sentinel", "config"].map(str::to_owned);
    sent.append(&mut called);
    let sent: BTreeSet<_> = &sent - &BTreeSet::from(others);
    let granted: BTreeSet<String> =
        rights().map(|right| right.split('|').next().unwrap().to_owned()).collect();
    let missing: Vec<_> = sent.difference(&granted).collect();
    assert!(missing.is_empty(), "the rule lacks {missing:?}");
    let idle: Vec<_> = granted.difference(&sent).collect();
    assert_eq!(idle, ["ping", "select"], "which the client sends by itself");
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

/// What the server has counted of a command: `calls=…,usec=…,…`, or "".
fn stats_of(server: &Server, command: &str) -> String {
    let stats: String = cmd("INFO").arg("commandstats").query(&mut server.client()).unwrap();
    let prefix = format!("cmdstat_{command}:");
    stats.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
}

/// How often clients sent what.
fn calls_of(server: &Server, command: &str) -> u64 {
    let stats = stats_of(server, command);
    let calls = stats.split(',').find_map(|part| part.strip_prefix("calls="));
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// How often clients called a script, in whatever way.
fn scripts_of(server: &Server) -> u64 {
    ["fcall", "evalsha", "eval"].iter().map(|way| calls_of(server, way)).sum()
}

#[tokio::test]
async fn a_decision_costs_one_command() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let pair = pair_of(NUMBER, WA, "");
    at(&store, Millis::ZERO, &pair, record(Millis::ZERO, accept(false))).await.unwrap();

    let mut monitor = server.monitor();
    let before = scripts_of(&server);
    let reply = at(&store, Millis::ZERO, &pair, authorize("one")).await.unwrap();
    assert_eq!(reply.decision, ALLOW);
    assert_eq!(scripts_of(&server), before + 1);

    let lines = monitor.until(|line| line.contains("commandstats"), 6);
    let (script, client): (Vec<_>, Vec<_>) = lines
        .iter()
        // And the look each second whether it is still this store.
        .filter(|line| !line.contains("commandstats") && !line.contains("\"HMGET\""))
        .partition(|l| l.contains(" lua]"));
    assert_eq!(client.len(), 1, "{client:#?}");
    assert!(client[0].to_lowercase().contains("\"fcall\""), "{client:#?}");
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
    cmd("SET").arg(&key).arg(b"\xfe").query::<()>(&mut server.client()).unwrap();

    let before = scripts_of(&server);
    let steps = pairs.iter().map(|pair| Step {
        pair,
        command: Command::Check {},
        profile: &profile,
        now: NOON,
    });
    let replies = store.read(steps.collect()).await;
    assert_eq!(scripts_of(&server), before + 2);
    assert_eq!(replies.len(), 200);
    for (index, reply) in replies.iter().enumerate() {
        match (index, reply) {
            (8, reply) => {
                assert!(matches!(reply, Err(Error::Internal(why)) if why.contains("format 254")))
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
