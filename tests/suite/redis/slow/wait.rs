//! Steps that wait for replicas: nothing is allowed or acknowledged that they do not have.

use callgate::store::redis::Wait;
use futures_util::future::join_all;

use super::{super::faults::signal, *};

const PATIENT: Duration = Duration::from_secs(10);

async fn open_waiting(url: &str, timeout: Duration) -> RedisStore {
    let options = Options { wait: Some(Wait { replicas: 1, timeout }), ..patient() };
    RedisStore::open(Target::parse(url).unwrap(), options).await.unwrap()
}

/// Each step writes one key more there, which has to be among those that the documented user may write:
/// with and without braces, and by any prefix.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_few_rights_is_enough_for_waiting() {
    let (master, _replica) = Server::with_replica();
    for prefix in ["callgate", "call:gate"] {
        let rule = ACL_RULE.replace("~callgate:*", &format!("~{prefix}:*"));
        let user = format!("ACL SETUSER gate reset on >secret {rule}");
        let words: Vec<&str> = user.split_whitespace().collect();
        cmd(words[0]).arg(&words[1..]).query::<()>(&mut master.client()).unwrap();
        let wait = Some(Wait { replicas: 1, timeout: PATIENT });
        let options = Options { wait, prefix: prefix.to_owned(), ..patient() };
        let url = format!("redis://gate:secret@127.0.0.1:{}", master.port());
        let store = RedisStore::open(Target::parse(&url).unwrap(), options).await.unwrap();
        five_calls_and_no_sixth(&store).await;
        everything_but_pairs(&store).await;
    }
}

/// A retry is no way around the wait: its answer, too, would rest on a single server. Where replicas
/// answer, they are waited for with patience, since the machine may be busy.
async fn nothing_stands_without_a_replica(url: &str, replicas: &[Server], number: &str) {
    let (patient, hasty) =
        (open_waiting(url, PATIENT).await, open_waiting(url, Duration::from_millis(100)).await);
    let pair = pair_of(number, WA, "");
    let yes = || record(NOON, accept(true));
    assert_eq!(at(&patient, NOON, &pair, yes()).await.unwrap().result, 1);
    let first = at(&patient, NOON, &pair, authorize("one")).await.unwrap();
    assert_eq!((first.decision, first.replayed), (ALLOW, 0));

    replicas.iter().for_each(|replica| signal(replica, "STOP"));
    let message = || {
        let fact = Fact::InboundMessage(InboundMessage { provider_message_id: String::new() });
        record(Millis(NOON.0 + 1), fact)
    };
    let request = || Command::AuthorizeRequest { own_id: "asked".to_owned(), replace: 1 };
    let steps: [&dyn Fn() -> Command; 8] = [
        &request,
        &request,
        &|| authorize("two"),
        &|| authorize("two"),
        &message,
        &message,
        &|| authorize("one"),
        &yes,
    ];
    for step in steps {
        let error = at(&hasty, NOON, &pair, step()).await.unwrap_err();
        assert!(
            matches!(&error, Error::Unavailable(why) if why.contains("0 of 1 replicas")),
            "{:?}: {error}",
            step()
        );
    }
    let check = at(&hasty, NOON, &pair, Command::Check {}).await.unwrap();
    assert_eq!(check.decision, ALLOW, "questions are answered");
    let seen = hasty.number(NumberStep { number: &pair.number, report: None, now: NOON }).await;
    assert_eq!(seen.unwrap().changed, 0);
    let report = NumberReport { at: NOON, pause: Told::No, ..NumberReport::default() };
    let told = NumberStep { number: &pair.number, report: Some(report), now: NOON };
    assert!(matches!(hasty.number(told).await, Err(Error::Unavailable(_))));

    replicas.iter().for_each(|replica| signal(replica, "CONT"));
    let until = Instant::now() + PATIENT;
    let again = loop {
        match at(&patient, NOON, &pair, authorize("two")).await {
            Ok(reply) => break reply,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    };
    assert_eq!((again.decision, again.replayed), (ALLOW, 1), "it was held all along");
    assert_eq!(at(&patient, NOON, &pair, message()).await.unwrap().result, 2, "a duplicate");
}

#[tokio::test]
async fn nothing_is_allowed_or_acknowledged_while_the_replica_hangs() {
    let (master, replica) = Server::with_replica();
    nothing_stands_without_a_replica(master.url(), &[replica], NUMBER).await;
}

#[tokio::test]
async fn nor_in_a_cluster_while_the_replicas_of_one_master_hang() {
    let cluster = Cluster::start();
    let replicas = [0, 1, 2].map(|master| cluster.replica_of(master));
    let numbers = ["800000000000001", "800000000000002", "800000000000003", "800000000000004"];
    for number in numbers {
        nothing_stands_without_a_replica(cluster.url(), &replicas, number).await;
    }
    // With the replica of one master gone, the others serve.
    let store = open_waiting(cluster.url(), Duration::from_millis(500)).await;
    signal(&replicas[0], "STOP");
    let (mut allowed, mut refused) = (0, 0);
    for n in 0..24 {
        let pair = pair_of(&format!("81000000000{n:04}"), WA, "");
        match at(&store, NOON, &pair, record(NOON, accept(true))).await {
            Ok(reply) => allowed += usize::from(reply.result == 1),
            Err(Error::Unavailable(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    signal(&replicas[0], "CONT");
    assert!(allowed > 0 && refused > 0, "{allowed} and {refused}");
    assert_eq!(allowed + refused, 24);
}

/// How long connecting may take is another matter.
#[tokio::test]
async fn a_slow_master_is_waited_for_as_long_as_is_said() {
    let (master, _replica) = Server::with_replica();
    // The wait itself is short, or it would be patience enough.
    let wait = Wait { replicas: 1, timeout: Duration::from_millis(200) };
    let store = open_slow(master.url(), Some(wait)).await;
    let pair = pair_of(NUMBER, WA, "");
    let begun = pause([&master], "2700");
    let told = at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap();
    assert_eq!(told.result, 1);
    took_long(begun);
}

/// One wait covers all that came before it, whoever brought it.
#[tokio::test]
async fn steps_share_their_waits() {
    const STEPS: usize = 400;
    let (master, _replica) = Server::with_replica();
    let store = open_waiting(master.url(), PATIENT).await;
    let before = (calls_of(&master, "wait"), scripts_of(&master));
    let pairs: Vec<Pair> =
        (0..STEPS).map(|n| pair_of(NUMBER, &format!("1555019{n:04}"), "")).collect();
    let steps = pairs.iter().map(|pair| at(&store, NOON, pair, record(NOON, accept(true))));
    for reply in join_all(steps).await {
        assert_eq!(reply.unwrap().result, 1);
    }
    let waits = calls_of(&master, "wait") - before.0;
    let scripts = scripts_of(&master) - before.1;
    assert_eq!(scripts, STEPS as u64, "each happens once");
    assert!((1..=STEPS as u64 / 4).contains(&waits), "{waits} waits");
    println!("{waits} waits for {STEPS} steps");
}

/// What was given up while it waited for its turn does not happen later.
#[tokio::test]
async fn who_gave_up_in_the_queue_is_not_sent() {
    let (master, replica) = Server::with_replica();
    let store = open_waiting(master.url(), Duration::from_millis(500)).await;
    let pair = pair_of(NUMBER, WA, "");
    at(&store, NOON, &pair, record(NOON, accept(true))).await.unwrap();
    signal(&replica, "STOP");
    let before = scripts_of(&master);
    let first = async { at(&store, NOON, &pair, authorize("one")).await.unwrap_err() };
    let second = async {
        while scripts_of(&master) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The first waits for the replica. In the queue behind it.
        let step = at(&store, NOON, &pair, authorize("two"));
        tokio::time::timeout(Duration::from_millis(100), step).await.unwrap_err()
    };
    tokio::join!(first, second);
    signal(&replica, "CONT");
    let view = at(&store, NOON, &pair, Command::Check {}).await.unwrap();
    assert_eq!(view.view.quota_held[0], 1, "of the two only the first was held");
    let two = at(&store, NOON, &pair, authorize("two")).await.unwrap();
    assert_eq!((two.decision, two.replayed), (ALLOW, 0));
}

#[tokio::test]
async fn waiting_is_a_right_of_its_own() {
    let rule = ACL_RULE.replace("+wait ", "");
    let denied = Server::acl(&rule);
    let options = Options {
        wait: Some(Wait { replicas: 1, timeout: Duration::from_millis(100) }),
        ..patient()
    };
    let target = || Target::parse(denied.url()).unwrap();
    let why = RedisStore::open(target(), options).await.unwrap_err().to_string();
    assert!(why.contains("docs/redis.md has the ACL rule"), "{why}");
    RedisStore::open(target(), patient()).await.unwrap();
}
