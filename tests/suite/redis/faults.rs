//! Servers that die, hang, forget or are full.

use std::process::Command as Process;

use super::{rest::everything_but_pairs, *};

#[tokio::test]
async fn the_scripts_come_back_after_a_flush() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    cmd("SCRIPT").arg("FLUSH").query::<()>(&mut server.client()).unwrap();
    five_calls_and_no_sixth(&store).await;
    everything_but_pairs(&store).await;
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
