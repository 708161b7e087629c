//! The same on Redis, and by real processes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use callgate::{
    archive::{export::export, line::Counts},
    engine::{
        Error,
        archive::Archive,
        profile::Profile,
        store::{PARTITIONS, Store, partition_of},
        time::{Millis, WallClock},
    },
    store::redis::{Options, RedisStore, Target},
};

use super::{
    Dice, NAMES, NUMBERS, ask, assert_same, authorize, exported, import, live, memory, now, pair,
    raw, reply, seen, tally,
};
use crate::{
    servers::{Cluster, Server, Slot},
    support::process::Process,
};

async fn redis(url: &str) -> Arc<RedisStore> {
    let patience = Duration::from_secs(20);
    let options =
        Options { call_deadline: patience, connect_deadline: patience, ..Options::default() };
    Arc::new(RedisStore::open(Target::parse(url).unwrap(), options).await.unwrap())
}

/// From an embedded store to this one, and to another embedded one.
async fn there_and_back(url: &str) {
    let mut dice = Dice::throw();
    let from = memory();
    live(&*from, &mut dice, 400, now()).await;
    let file = exported(&*from).await;
    let there = redis(url).await;
    assert!(import(&*there, &file).await.changed > 0);
    let twin = memory();
    import(&*twin, &file).await;
    assert_same(&raw(&*there).await, &raw(&*twin).await, "byte by byte as in an embedded store");
    let back = memory();
    import(&*back, &exported(&*there).await).await;
    let later = now();
    let expected = seen(&*from, later).await;
    assert_eq!(seen(&*there, later).await, expected);
    assert_eq!(seen(&*back, later).await, expected);
    let before = raw(&*there).await;
    assert_eq!(import(&*there, &file).await.changed, 0);
    assert_same(&raw(&*there).await, &before, "a second import changes nothing");
    // Joined over what has happened since, as in the twin.
    for store in [&*there as &dyn Store, &*twin] {
        live(store, &mut dice.clone(), 60, later).await;
    }
    import(&*there, &file).await;
    import(&*twin, &file).await;
    assert_same(&raw(&*there).await, &raw(&*twin).await, "over newer facts");
    tally::count("commands taken to Redis and back", 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_redis_7_and_back() {
    there_and_back(Server::redis7().url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_redis_62_and_back() {
    there_and_back(Server::redis62().url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_a_cluster_and_back() {
    let cluster = Cluster::start();
    there_and_back(cluster.url()).await;
}

/// Whatever a store lists that has to do with display numbers and the forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_hands_over_all_that_it_keeps() {
    let cluster = Cluster::start();
    let store = redis(cluster.url()).await;
    let now = store.now().await.unwrap();
    for n in 0..40 {
        let number = pair(&format!("90000000000{n:04}"), NAMES[0]);
        ask(&*store, &number, now.0, reply(now.0, true)).await;
        store.learn_display(&format!("1555020{n:04}"), &number.number, now).await.unwrap();
        if n % 4 == 0 {
            let profile = callgate::engine::profile::Profile::atom();
            store.forget(&number.number, &number.customer, &profile).await.unwrap();
        }
    }
    let file = String::from_utf8(exported(&*store).await).unwrap();
    let count = |kind: &str| file.lines().filter(|line| line.starts_with(kind)).count();
    assert_eq!(count("{\"customer\""), 30);
    assert_eq!(count("{\"display\""), 40);
    assert_eq!(count("{\"forgotten\""), 10);
    assert_eq!(count("{\"number\""), 40);
}

/// Masters are looked through one after the other: what moves from one that is still to come to one that
/// was, is found at neither. A file without it would be taken for whole.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_a_cluster_whose_slots_move_is_refused() {
    let cluster = Cluster::start();
    let store = redis(cluster.url()).await;
    let now = store.now().await.unwrap();
    let pairs: Vec<_> =
        (0..40).map(|n| pair(&format!("90000000000{n:04}"), NAMES[n % NAMES.len()])).collect();
    for pair in &pairs {
        ask(&*store, pair, now.0, reply(now.0, true)).await;
    }
    // Of the last master, to the first.
    let mut slots = pairs.iter().filter_map(|pair| {
        let key = format!("callgate:{{p{:02}}}", partition_of(&pair.number, PARTITIONS));
        Some(Slot::of(&cluster, &key)).filter(|slot| slot.source.port() == cluster.nodes[2].port())
    });
    let slot = slots.next().unwrap();
    let refused = move_meanwhile(&*store, || {
        slot.begin_to_move();
        assert!(slot.keys().len() > 1);
        slot.keys().iter().for_each(|key| slot.migrate(key));
    });
    let why = refused.await;
    assert!(why.contains("move from one master to another"), "{why}");
    let begun = store.take_out(&mut |_| panic!("nothing is whole by now")).await.unwrap_err();
    assert!(begun.to_string().contains("move from one master to another"), "{begun}");
    slot.end_the_move();
    whole(&*store, 40).await;

    // Those of a partition whose slot is not the first that the master has.
    let slot = slots.next_back().unwrap();
    let why = move_meanwhile(&*store, || slot.moves()).await;
    assert!(why.contains("export again"), "{why}");
    whole(&*store, 40).await;
}

/// What is said to an export where this happens behind its first customer.
async fn move_meanwhile(store: &dyn Archive, happens: impl Fn() + Sync) -> String {
    let (mut file, mut has_happened) = (Vec::new(), false);
    let mut seen = |counts: &Counts| {
        if counts.customers == 1 && !has_happened {
            has_happened = true;
            happens();
        }
    };
    match export(store, &mut file, &mut seen).await {
        Err(Error::Unavailable(why)) => why,
        other => panic!("it is {other:?}"),
    }
}

async fn whole(store: &dyn Archive, customers: u64) {
    let exported = export(store, &mut Vec::new(), &mut |_| {}).await.unwrap();
    assert_eq!(exported.customers, customers);
}

/// Whom a file says to be forgotten is erased on Redis, and what happened later stays there.
async fn forgotten_later(url: &str) {
    let there = redis(url).await;
    let [gone, back] = ["15550199001", "15550199002"].map(|wa| pair(NUMBERS[0], (wa, "")));
    let told = now() - 1000;
    for pair in [&gone, &back] {
        ask(&*there, pair, 0, reply(told, true)).await;
    }
    for (id, number) in [("filed before", NUMBERS[0]), ("unfiled before", "")] {
        super::keep_aside(&*there, id, number, told, "15550199002").await;
    }
    let known = exported(&*there).await;
    let dir = tempfile::tempdir().unwrap();
    let twin = super::keyed(dir.path(), &known, Arc::new(WallClock::default()));
    import(&twin, &known).await;
    for pair in [&gone, &back] {
        twin.forget(&pair.number, &pair.customer, &Profile::atom()).await.unwrap();
    }
    let forgotten = exported(&twin).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let later = there.now().await.unwrap().0;
    ask(&*there, &back, 0, reply(later, true)).await;
    for (id, number) in [("filed after", NUMBERS[0]), ("unfiled after", "")] {
        super::keep_aside(&*there, id, number, later, "15550199002").await;
    }
    for _ in 0..2 {
        import(&*there, &forgotten).await;
        assert_eq!(super::kept_aside(&*there).await, ["filed after", "unfiled after"]);
        assert_eq!(ask(&*there, &gone, 0, super::view()).await.view.status, 1);
        let view = ask(&*there, &back, 0, super::view()).await.view;
        assert_eq!((view.status, view.granted_at), (3, Millis(later)));
    }
    import(&*there, &known).await;
    let decided = [&gone, &back].map(|pair| ask(&*there, pair, 0, authorize("c1")));
    let decided = futures_util::future::join_all(decided).await;
    assert_eq!(decided.iter().map(|reply| reply.decision).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_later_is_erased_on_redis_7_as_well() {
    forgotten_later(Server::redis7().url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_later_is_erased_on_redis_62_as_well() {
    forgotten_later(Server::redis62().url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_later_is_erased_on_a_cluster_as_well() {
    forgotten_later(Cluster::start().url()).await;
}

fn callgate(args: &[&str]) -> Output {
    Command::new(Process::PROGRAM).env_clear().args(args).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn store_at(dir: &Path) -> String {
    format!("embedded:{}", dir.display())
}

async fn say_yes(dir: &Path) {
    let clock = Arc::new(callgate::engine::time::WallClock::default());
    let options = callgate::store::embedded::Options::default();
    let store = callgate::store::embedded::Embedded::open(dir, &options, clock).unwrap();
    ask(&store, &pair(NUMBERS[0], NAMES[0]), now(), reply(now() - 1000, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_moves_a_store_to_redis() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("facts.jsonl"));
    let (from, path) = (store_at(&data), file.to_str().unwrap());
    let missing = callgate(&["export", "--store", &from]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(err(&missing).contains("holds no embedded store"), "{}", err(&missing));
    assert!(!data.exists(), "nothing was made");
    say_yes(&data).await;

    let gate = Process::serve(&from, "127.0.0.1:0", &[]);
    let in_use = callgate(&["export", "--store", &from, "--output", path]);
    assert_eq!(in_use.status.code(), Some(3), "{}", err(&in_use));
    assert!(err(&in_use).contains("in use"), "{}", err(&in_use));
    assert!(!file.exists());
    drop(gate);

    let done = callgate(&["export", "--store", &from, "--output", path]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    assert!(err(&done).contains("exported 1 customers (1 records), 1 business numbers"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let to_stdout = callgate(&["export", "--store", &from]);
    assert!(to_stdout.stdout.starts_with(b"{\"header\":"), "{}", err(&to_stdout));

    let server = Server::redis7();
    let dry =
        callgate(&["import", "--store", server.url(), "--profile", "atom", path, "--dry-run"]);
    assert_eq!(dry.status.code(), Some(0), "{}", err(&dry));
    for news in ["1 lines told something new", "0 lines told something new"] {
        let done = callgate(&["import", "--store", server.url(), "--profile", "atom", path]);
        assert_eq!(done.status.code(), Some(0), "{}", err(&done));
        let told = String::from_utf8(done.stdout).unwrap();
        assert!(told.contains(news), "{told}");
    }
    let by_which = callgate(&["import", "--store", server.url(), path]);
    assert_eq!(by_which.status.code(), Some(1));
    let told = err(&by_which);
    assert!(told.contains("--config FILE, or --profile atom if they have none"), "{told}");
    let config = dir.path().join("callgate.toml");
    fs::write(&config, format!("store = \"{}\"\n", server.url())).unwrap();
    let done = callgate(&["import", "--config", config.to_str().unwrap(), path]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let gate = Process::serve(server.url(), "127.0.0.1:0", &[]);
    let check = callgate(&["check", NUMBERS[0], NAMES[0].0, "--addr", &gate.grpc]);
    assert_eq!(check.status.code(), Some(0), "{}", err(&check));

    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"revision\":1", "\"revision\":2")).unwrap();
    let altered = callgate(&["import", "--store", server.url(), "--profile", "atom", path]);
    assert_eq!(altered.status.code(), Some(1));
    assert!(err(&altered).contains("altered"), "{}", err(&altered));
    fs::write(&file, text).unwrap();
    let port = server.port();
    drop(server);
    let url = format!("redis://127.0.0.1:{port}");
    let away = callgate(&["import", "--store", &url, "--profile", "atom", path]);
    assert_eq!(away.status.code(), Some(3), "{}", err(&away));
}
