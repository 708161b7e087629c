//! The change log of the embedded store: what it keeps, and which places it still knows.

use std::time::Duration;

use callgate::{
    engine::{
        Error,
        change::{ChangeLog, Position},
        fact::{Fact, Reply as CustomerReply},
        profile::Profile,
        store::{PARTITIONS, Store, partition_of},
        time::{ManualClock, Millis},
    },
    store::{
        LogLimits,
        embedded::{Embedded, Options},
    },
};

use super::{NUMBER, clock, number, record};

const ANA: &str = "15550199001";

fn partition() -> u16 {
    partition_of(&number(NUMBER), PARTITIONS)
}

/// A permission is given and taken back, in turns: a change each.
async fn turns(store: &Embedded, clock: &ManualClock, count: u64) {
    turns_of(store, clock, ANA, count).await;
}

async fn turns_of(store: &Embedded, clock: &ManualClock, wa: &str, count: u64) {
    for n in 0..count {
        clock.advance(Duration::from_secs(1));
        let reply = CustomerReply {
            accept: n % 2 == 0,
            permanent: n % 2 == 0,
            expires_at: Millis::ZERO,
            automatic: false,
            request_id: String::new(),
        };
        record(store, wa, "", store.now().await.unwrap(), Fact::Reply(reply)).await;
    }
}

async fn read(log: &dyn ChangeLog, after: Position) -> Vec<Position> {
    let entries = log.read(partition(), after, 10_000).await.unwrap();
    entries.iter().map(|entry| entry.position).collect()
}

async fn lost(log: &dyn ChangeLog, after: Position) -> String {
    match log.read(partition(), after, 1).await {
        Err(Error::OutOfRange(why)) => why,
        other => panic!("{after:?}: {other:?}"),
    }
}

#[tokio::test]
async fn a_place_before_what_is_kept_is_too_old() {
    let limits = LogLimits { length: 3, ..LogLimits::default() };
    let clock = clock();
    let store = Embedded::memory_with(limits, clock.clone()).unwrap();
    let log = store.change_log().await.unwrap();
    turns(&store, &clock, 3).await;
    let first = read(&*log, Position::START).await;
    assert_eq!(first.len(), 3);
    turns(&store, &clock, 2).await;
    // The second was trimmed, and nothing after it.
    let kept = read(&*log, first[1]).await;
    assert_eq!((kept.len(), kept[0]), (3, first[2]));
    for old in [Position::START, first[0]] {
        assert!(lost(&*log, old).await.contains("not in the change log any more"));
    }
    let tails = log.tails(&[partition()]).await.unwrap();
    assert_eq!(tails, [kept[2]]);
    assert!(read(&*log, tails[0]).await.is_empty());
}

#[tokio::test]
async fn what_is_too_old_goes_where_nothing_is_written() {
    let limits = LogLimits { age: Duration::from_secs(3600), ..LogLimits::default() };
    let clock = clock();
    let store = Embedded::memory_with(limits, clock.clone()).unwrap();
    let log = store.change_log().await.unwrap();
    turns(&store, &clock, 900).await;
    let all = read(&*log, Position::START).await;
    assert_eq!(all.len(), 900);
    clock.advance(Duration::from_secs(3600 - 3));
    let looks = async {
        // The first 897 are older than the log keeps.
        while log.read(partition(), all[896 - 1], 1).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looks).await.expect("it keeps up");
    assert_eq!(read(&*log, all[896]).await, all[897..]);
}

/// What was erased is no part of what may go at once.
#[tokio::test]
async fn what_is_too_old_goes_behind_what_was_erased() {
    let limits = LogLimits { age: Duration::from_secs(3600), ..LogLimits::default() };
    let clock = clock();
    let store = Embedded::memory_with(limits, clock.clone()).unwrap();
    let log = store.change_log().await.unwrap();
    turns(&store, &clock, 10).await;
    let ana = super::customer(ANA, "");
    assert!(store.forget(&number(NUMBER), &ana, &Profile::atom()).await.unwrap());
    turns_of(&store, &clock, "15550199002", 600).await;
    let all = read(&*log, Position::START).await;
    let [.., last_but_one, last] = all[..] else { panic!("{all:?}") };
    clock.advance(Duration::from_secs(3601));
    let looks = async {
        while log.read(partition(), last_but_one, 1).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looks).await.expect("it keeps up");
    assert!(lost(&*log, last_but_one).await.contains("not in the change log any more"));
    assert!(read(&*log, last).await.is_empty());
}

/// They are gone because somebody was forgotten, and nothing else is.
#[tokio::test]
async fn nobody_misses_what_was_erased_at_the_begin_of_the_log() {
    let limits = LogLimits { length: 3, ..LogLimits::default() };
    let clock = clock();
    let store = Embedded::memory_with(limits, clock.clone()).unwrap();
    let log = store.change_log().await.unwrap();
    turns(&store, &clock, 2).await;
    let ana = super::customer(ANA, "");
    assert!(store.forget(&number(NUMBER), &ana, &Profile::atom()).await.unwrap());
    let told = read(&*log, Position::START).await;
    assert_eq!(told.len(), 1, "that she was forgotten");
    clock.advance(Duration::from_secs(1));
    // The log has as many as it may, the erased not counted.
    turns(&store, &clock, 2).await;
    assert_eq!(read(&*log, Position::START).await[..1], told);
    assert_eq!(read(&*log, told[0]).await.len(), 2);
    // The first that is trimmed is missed.
    turns(&store, &clock, 1).await;
    assert!(lost(&*log, Position::START).await.contains("not in the change log any more"));
    assert_eq!(read(&*log, told[0]).await.len(), 3);
}

/// The numbers of what was lost are given anew.
#[tokio::test]
async fn a_place_that_a_restored_backup_does_not_have_is_not_taken_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let (backup, used) = (dir.path().join("backup"), dir.path().join("used"));
    let clock = clock();
    let open = |dir| Embedded::open(dir, &Options::default(), clock.clone()).unwrap();
    let store = open(&backup);
    turns(&store, &clock, 4).await;
    let log = store.change_log().await.unwrap();
    let before = *read(&*log, Position::START).await.last().unwrap();
    drop((store, log));
    let copied = std::process::Command::new("cp").arg("-r").args([&backup, &used]).status();
    assert!(copied.unwrap().success());

    let store = open(&used);
    turns(&store, &clock, 2).await;
    let log = store.change_log().await.unwrap();
    let [lost_first, lost_last] = read(&*log, before).await[..] else { panic!() };
    drop((store, log));

    let store = open(&backup);
    let log = store.change_log().await.unwrap();
    for count in 0..4 {
        assert_eq!(read(&*log, before).await.len(), count, "what it has is known");
        for place in [lost_first, lost_last] {
            let why = lost(&*log, place).await;
            assert!(why.contains("lost its newest changes"), "{count}: {why}");
        }
        clock.advance(Duration::from_secs(1));
        turns(&store, &clock, 1).await;
    }
}
