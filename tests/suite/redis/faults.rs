//! Servers that die, hang, forget or are full.

use std::process::Command as Process;

use super::{rest::everything_but_pairs, *};

const STALE: u8 = 3;

#[tokio::test]
async fn the_scripts_come_back_after_a_flush() {
    for (server, has_functions) in [(Server::redis7(), true), (Server::redis62(), false)] {
        let store = open(server.url()).await;
        cmd("SCRIPT").arg("FLUSH").query::<()>(&mut server.client()).unwrap();
        let _ = cmd("FUNCTION").arg("FLUSH").query::<()>(&mut server.client());
        five_calls_and_no_sixth(&store).await;
        everything_but_pairs(&store).await;
        let again = (calls_of(&server, "eval"), calls_of(&server, "fcall"));
        five_calls_and_no_sixth_of(&store, "15550199002").await;
        assert_eq!(calls_of(&server, "eval"), again.0, "they are sent once");
        assert_eq!(calls_of(&server, "fcall") > again.1, has_functions);
    }
}

/// What another gate has brought is not brought once more, and each version has its own.
#[tokio::test]
async fn the_functions_are_loaded_once() {
    let server = Server::redis7();
    let (_one, other) = (open(server.url()).await, open(server.url()).await);
    let loads = stats_of(&server, "function|load");
    assert!(loads.contains("calls=2,") && loads.ends_with("failed_calls=1"), "{loads}");
    five_calls_and_no_sixth(&other).await;
}

#[tokio::test]
async fn an_unreadable_record_is_refused_and_left_alone() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let pair = pair_of(NUMBER, WA, "");
    let key = pair_key(&server, &pair);
    cmd("SET").arg(&key).arg(b"\xfe").query::<()>(&mut server.client()).unwrap();
    let error = at(&store, NOON, &pair, authorize("one")).await.unwrap_err();
    assert!(matches!(&error, Error::Internal(why) if why.contains("format 254")), "{error}");
    let message = InboundMessage { provider_message_id: String::new() };
    let write = record(NOON, Fact::InboundMessage(message));
    assert!(matches!(at(&store, NOON, &pair, write).await, Err(Error::Internal(_))));
    let raw = store.raw(&pair.number, &pair.customer).await.unwrap();
    assert_eq!(raw, (Some(b"\xfe".to_vec()), None));
}

#[tokio::test]
async fn a_dead_server_is_told_at_once_and_a_living_one_found_again() {
    let mut server = Server::redis7();
    let call_deadline = Duration::from_secs(2);
    let options = Options { call_deadline, ..patient() };
    let store = RedisStore::open(Target::parse(server.url()).unwrap(), options).await.unwrap();
    let pair = pair_of(NUMBER, WA, "");
    assert_eq!(at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap().result, 1);

    server.kill();
    // It finds the connection broken, and has hope as long as it may.
    let error = at(&store, NOON, &pair, authorize("one")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    // An attempt to mend it has failed by now.
    for id in ["two", "three", "four"] {
        let begun = Instant::now();
        let error = at(&store, NOON, &pair, authorize(id)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("reconnecting"), "{error}");
        assert!(begun.elapsed() < call_deadline / 2, "{:?}", begun.elapsed());
    }

    server.restart();
    recovers(&store, &pair).await;
}

pub(super) async fn recovers(store: &RedisStore, pair: &Pair) {
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
    let mut server = Server::with(&["appendonly yes", "appendfsync always"]);
    let store = open(server.url()).await;
    five_calls_and_no_sixth(&store).await;
    server.restart();
    let pair = pair_of("800000000000001", WA, &format!("US.{WA}"));
    let again = at(&store, NOON, &pair, authorize("five")).await.unwrap();
    assert_eq!((again.decision, again.replayed), (ALLOW, 1));
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

pub(super) fn signal(server: &Server, name: &str) {
    let status =
        Process::new("kill").arg(format!("-{name}")).arg(server.pid().to_string()).status();
    assert!(status.unwrap().success());
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

/// A master that somebody has made a replica goes on answering what needs no write, from what it knew.
/// Its successor may know another story: what it has on file is no ground for an ALLOW.
#[tokio::test]
async fn a_demoted_master_confirms_nothing_that_it_knew() {
    for server in [Server::redis7(), Server::redis62(), Server::valkey8()] {
        let options = Options { call_deadline: Duration::from_millis(500), ..patient() };
        let store = RedisStore::open(Target::parse(server.url()).unwrap(), options).await.unwrap();
        let pair = pair_of(NUMBER, WA, "");
        let yes = || record(NOON, accept(true));
        assert_eq!(at(&store, NOON, &pair, yes()).await.unwrap().result, 1);
        assert_eq!(at(&store, NOON, &pair, authorize("one")).await.unwrap().decision, ALLOW);
        let report = || NumberReport { at: NOON, pause: Told::No, ..NumberReport::default() };
        let told = || NumberStep { number: &pair.number, report: Some(report()), now: NOON };
        assert_eq!(store.number(told()).await.unwrap().changed, 1);
        assert_eq!(store.number(told()).await.unwrap().changed, 0);
        assert_eq!(at(&store, NOON, &pair, authorize("one")).await.unwrap().replayed, 1);
        assert_eq!(at(&store, NOON, &pair, yes()).await.unwrap().result, 2);

        // Nobody is there to follow.
        let nobody = ["127.0.0.1", "1"];
        cmd("REPLICAOF").arg(&nobody).query::<()>(&mut server.client()).unwrap();
        assert_eq!(at(&store, NOON, &pair, Command::Check {}).await.unwrap().decision, ALLOW);
        let error = at(&store, NOON, &pair, authorize("one")).await.unwrap_err();
        assert!(matches!(&error, Error::Unavailable(_)), "{error}");
        assert!(at(&store, NOON, &pair, yes()).await.is_err());
        assert!(store.number(told()).await.is_err());
        cmd("REPLICAOF").arg(&["NO", "ONE"]).query::<()>(&mut server.client()).unwrap();
        recovers(&store, &pair).await;
        assert_eq!(at(&store, NOON, &pair, authorize("one")).await.unwrap().replayed, 1);
    }
}

#[tokio::test]
async fn a_store_that_is_emptied_under_two_gates_is_one_store_afterwards() {
    let server = Server::redis7();
    let flush = || cmd("FLUSHALL").query::<()>(&mut server.client()).unwrap();
    is_one_store_after(server.url(), flush).await;
}

/// No connection ends, and yet what names the tombstones must be the same for both soon: or what one
/// was asked to forget could be told to the other again.
pub(super) async fn is_one_store_after(url: &str, flush: impl Fn()) {
    let (one, two) = (open(url).await, open(url).await);
    flush();
    let until = Instant::now() + Duration::from_secs(20);
    let mut last = String::new();
    for n in 0_u64.. {
        assert!(Instant::now() < until, "what one gate has forgotten the other records: {last}");
        // Before anything is refused without waiting: the gates must come to mend.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let pair = pair_of(NUMBER, &format!("1555{n:07}"), "");
        let Ok(now) = one.now().await else { continue };
        let yes = || record(Millis(now.0 - 5000), accept(true));
        let profile = Profile::atom();
        let told = at(&one, Millis::ZERO, &pair, yes()).await.map(|reply| reply.result);
        let forgotten = one.forget(&pair.number, &pair.customer, &profile).await;
        let again = at(&two, Millis::ZERO, &pair, yes()).await.map(|reply| reply.result);
        // Both have noticed, and a new gate agrees with them.
        let third = open(url).await;
        let anew = at(&third, Millis::ZERO, &pair, yes()).await.map(|reply| reply.result);
        last = format!("{told:?}, forgotten {forgotten:?}, then {again:?} and {anew:?}");
        if told.is_ok() && forgotten.is_ok() && again == Ok(STALE) && anew == Ok(STALE) {
            break;
        }
    }
}

/// Its first step since then is sent again on a new connection, with what it knew of the old store.
#[tokio::test]
async fn a_gate_that_finds_its_store_emptied_records_nothing_of_the_forgotten() {
    let mut server = Server::redis7();
    let idle = open(server.url()).await;
    server.restart();
    let other = open(server.url()).await;
    let now = other.now().await.unwrap();
    let pair = pair_of(NUMBER, WA, "");
    let yes = || record(Millis(now.0 - 5000), accept(true));
    assert_eq!(at(&other, Millis::ZERO, &pair, yes()).await.unwrap().result, 1);
    assert!(other.forget(&pair.number, &pair.customer, &Profile::atom()).await.unwrap());
    let first = at(&idle, Millis::ZERO, &pair, yes()).await.map(|reply| reply.result);
    assert!(matches!(&first, Err(Error::Unavailable(_)) | Ok(STALE)), "{first:?}");
    assert_eq!(at(&idle, Millis::ZERO, &pair, yes()).await.unwrap().result, STALE);
}
