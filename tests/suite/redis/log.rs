//! The change log: read from any place, trimmed, erased, lost; and who hears of news.

use std::sync::Arc;

use callgate::{
    engine::{
        change::{Change, ChangeLog, Logged, News},
        store::partition_of,
    },
    store::LogLimits,
};

use super::*;

/// Everything is looked for after four seconds, whatever notices say: what comes within this came by
/// a notice.
pub(super) const BY_NOTICE: Duration = Duration::from_secs(2);

pub(super) async fn open_with(url: &str, log: LogLimits) -> RedisStore {
    RedisStore::open(Target::parse(url).unwrap(), Options { log, ..patient() }).await.unwrap()
}

pub(super) fn partition(number: &str) -> u16 {
    partition_of(&super::number(number), 64)
}

pub(super) fn changes_key(partition: u16) -> String {
    format!("callgate:{{p{partition:02}}}:changes")
}

/// A change that a step makes: the customer accepts or rejects.
pub(super) async fn turn(store: &RedisStore, pair: &Pair, is_accepting: bool, back: u64) {
    let at_ms = Millis(store.now().await.unwrap().0 - back);
    let fact = Fact::Reply(PermissionReply {
        accept: is_accepting,
        permanent: is_accepting,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    });
    at(store, Millis::ZERO, pair, record(at_ms, fact)).await.unwrap();
}

/// As many changes, each a second after the one before in event time.
pub(super) async fn turns(store: &RedisStore, pair: &Pair, count: u64) {
    for n in 0..count {
        turn(store, pair, n % 2 == 0, (count - n) * 1000).await;
    }
}

/// An entry that no step wrote.
pub(super) fn write(server: &Server, partition: u16, id: &str, change: &Change) {
    let bytes = rmp_serde::to_vec(change).unwrap();
    let mut add = cmd("XADD");
    add.arg(changes_key(partition)).arg(id).arg("c").arg(bytes);
    add.query::<String>(&mut server.client()).unwrap();
}

pub(super) fn change(number: &str, wa: &str, revision: u64) -> Change {
    Change {
        format: Change::FORMAT,
        number: number.to_owned(),
        wa: wa.to_owned(),
        cause: 3,
        revision,
        ..Change::default()
    }
}

pub(super) fn positions(logged: &[Logged]) -> Vec<Position> {
    logged.iter().map(|logged| logged.position).collect()
}

pub(super) async fn lost(log: &Arc<dyn ChangeLog>, partition: u16, after: Position) -> String {
    match log.read(partition, after, 10).await {
        Err(Error::OutOfRange(why)) => why,
        other => panic!("after {after:?}: {other:?}"),
    }
}

const TOO_OLD: &str = "older than the change log";
const UNKNOWN: &str = "does not know this place";

#[tokio::test]
async fn a_log_is_read_from_any_place_on() {
    for server in [Server::redis7(), Server::redis62(), Server::valkey8()] {
        let store = open(server.url()).await;
        let log = store.change_log().await.unwrap();
        let (pair, p) = (pair_of(NUMBER, WA, "US.1000"), partition(NUMBER));
        assert_eq!(log.tails(&[p, 0]).await.unwrap(), [Position::START; 2]);
        assert_eq!(log.read(p, Position::START, 10).await.unwrap(), []);

        turns(&store, &pair, 5).await;
        let all = log.read(p, Position::START, 10).await.unwrap();
        assert_eq!(all.len(), 5);
        assert!(all.iter().all(|logged| logged.change.number == NUMBER && logged.change.wa == WA));
        assert!(positions(&all).is_sorted());
        let revisions: Vec<u64> = all.iter().map(|logged| logged.change.revision).collect();
        assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
        for (n, one) in all.iter().enumerate() {
            assert_eq!(log.read(p, one.position, 10).await.unwrap(), all[n + 1..]);
            let two = log.read(p, one.position, 2).await.unwrap();
            assert_eq!(two, all[n + 1..(n + 3).min(5)]);
        }
        let ends = log.tails(&[0, p]).await.unwrap();
        assert_eq!(ends, [Position::START, all[4].position]);

        let settled = at(&store, Millis::ZERO, &pair, Command::Settle {}).await.unwrap();
        assert_eq!(settled.log_end, all[4].position);
        let elsewhere = pair_of("800000000000003", WA, "");
        let settled = at(&store, Millis::ZERO, &elsewhere, Command::Settle {}).await.unwrap();
        assert_eq!(settled.log_end, Position::START);
    }
}

#[tokio::test]
async fn what_the_length_trims_is_missed_exactly() {
    for server in [Server::redis7(), Server::redis62(), Server::valkey8()] {
        let limits = LogLimits { length: 3, ..LogLimits::default() };
        let store = open_with(server.url(), limits).await;
        let log = store.change_log().await.unwrap();
        let (pair, p) = (pair_of(NUMBER, WA, ""), partition(NUMBER));
        let mut told: Vec<Position> = Vec::new();
        for n in 0..8_u64 {
            turn(&store, &pair, n % 2 == 0, (8 - n) * 1000).await;
            told.push(log.tails(&[p]).await.unwrap()[0]);
            let kept = told.len().saturating_sub(3);
            for (n, after) in told.iter().enumerate() {
                // The last one that is gone is as good as there: nothing after it is missing.
                if n + 1 >= kept {
                    let rest = log.read(p, *after, 10).await.unwrap();
                    assert_eq!(positions(&rest), told[n + 1..], "{n} of {}", told.len());
                } else {
                    assert!(lost(&log, p, *after).await.contains(TOO_OLD), "{n}");
                }
            }
            let from_start = log.read(p, Position::START, 10).await;
            assert_eq!(from_start.is_ok(), kept == 0, "{from_start:?}");
        }
    }
}

#[tokio::test]
async fn what_age_trims_is_missed_exactly_also_where_nobody_writes() {
    let server = Server::redis7();
    let limits = LogLimits { age: Duration::from_secs(3600), ..LogLimits::default() };
    let store = open_with(server.url(), limits).await;
    let log = store.change_log().await.unwrap();
    let now = store.now().await.unwrap().0;
    let (over, kept) = (now - 3_600_001, now - 3_500_000);
    let quiet = 7;
    for seq in 0..100 {
        write(&server, quiet, &format!("{over}-{seq}"), &change("1", WA, seq));
    }
    write(&server, quiet, &format!("{kept}-0"), &change("1", WA, 100));
    let last_old = Position(over, 99);
    assert_eq!(log.read(quiet, Position::START, 200).await.unwrap().len(), 101);
    // A little at a time.
    let mut sizes = Vec::new();
    while sizes.last() != Some(&1) && sizes.len() < 9 {
        assert_eq!(store.due(10).await.unwrap(), []);
        let size: usize = cmd("XLEN").arg(changes_key(quiet)).query(&mut server.client()).unwrap();
        sizes.push(size);
    }
    assert_eq!(sizes, [69, 37, 5, 1]);
    assert_eq!(positions(&log.read(quiet, last_old, 9).await.unwrap()), [Position(kept, 0)]);
    assert!(lost(&log, quiet, Position(over, 98)).await.contains(TOO_OLD));
    assert!(lost(&log, quiet, Position::START).await.contains(TOO_OLD));

    // Where somebody writes, the step trims.
    let (pair, p) = (pair_of(NUMBER, WA, ""), partition(NUMBER));
    for seq in 0..40 {
        write(&server, p, &format!("{over}-{seq}"), &change("1", WA, seq));
    }
    turn(&store, &pair, true, 2000).await;
    assert!(log.read(p, Position(over, 31), 100).await.unwrap().len() == 9);
    assert!(lost(&log, p, Position(over, 30)).await.contains(TOO_OLD));
    turn(&store, &pair, false, 1000).await;
    assert_eq!(log.read(p, Position(over, 39), 100).await.unwrap().len(), 2);
    assert!(lost(&log, p, Position(over, 38)).await.contains(TOO_OLD));

    // All are gone, and the end is still known.
    for day in [1, 2] {
        write(&server, 9, &format!("{}-0", over - 9 + day), &change("1", WA, 1));
    }
    store.due(10).await.unwrap();
    let end = log.tails(&[9]).await.unwrap()[0];
    assert_eq!(end, Position(over - 7, 0));
    assert_eq!(log.read(9, end, 10).await.unwrap(), []);
    cmd("DEL").arg(changes_key(9)).query::<()>(&mut server.client()).unwrap();
    assert_eq!(log.tails(&[9]).await.unwrap(), [end], "also without the stream");
    assert_eq!(log.read(9, end, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_place_that_was_lost_is_never_passed_over_in_silence() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let log = store.change_log().await.unwrap();
    for seq in [1, 3, 5] {
        write(&server, 1, &format!("1000-{seq}"), &change("1", WA, seq));
    }
    // As by a failover that lost the newest, to a master whose clock is behind or ahead.
    for after in [Position(1000, 2), Position(1000, 4), Position(1000, 6), Position(2000, 0)] {
        assert!(lost(&log, 1, after).await.contains(UNKNOWN), "{after:?}");
    }
    write(&server, 1, "3000-0", &change("1", WA, 6));
    assert!(lost(&log, 1, Position(2000, 0)).await.contains(UNKNOWN));
    cmd("FLUSHALL").query::<()>(&mut server.client()).unwrap();
    assert!(lost(&log, 1, Position(1000, 5)).await.contains(UNKNOWN));
    assert_eq!(log.read(1, Position::START, 10).await.unwrap(), []);

    // Neither is what cannot be read.
    cmd("XADD")
        .arg(changes_key(1))
        .arg(&["5000-0", "c", "?"])
        .query::<()>(&mut server.client())
        .unwrap();
    let damaged = log.read(1, Position::START, 10).await;
    assert!(matches!(damaged, Err(Error::Internal(_))), "{damaged:?}");
}

/// News of all these, or of any.
pub(super) async fn hears_of(log: &Arc<dyn ChangeLog>, mut wanted: Vec<u16>) -> Duration {
    let begun = Instant::now();
    while !wanted.is_empty() {
        match log.news().await {
            News::Of(some) => wanted.retain(|partition| !some.contains(partition)),
            News::OfAny => wanted.clear(),
        }
    }
    begun.elapsed()
}

/// What attending itself tells is heard first.
pub(super) async fn attend(log: &Arc<dyn ChangeLog>, partitions: &[u16]) {
    log.attend(partitions).await.unwrap();
    hears_of(log, partitions.to_vec()).await;
}

async fn wakes(url: &str) {
    let (reader, writer) = (open(url).await, open(url).await);
    let log = reader.change_log().await.unwrap();
    let (pair, p) = (pair_of(NUMBER, WA, ""), partition(NUMBER));
    attend(&log, &[p]).await;
    let mut slowest = Duration::ZERO;
    let mut after = Position::START;
    for n in 0..20_u64 {
        turn(&writer, &pair, n % 2 == 0, (20 - n) * 1000).await;
        slowest = slowest.max(hears_of(&log, vec![p]).await);
        let new = log.read(p, after, 10).await.unwrap();
        assert_eq!(new.len(), 1);
        after = new[0].position;
    }
    println!("{url}: news within {slowest:?}");
    assert!(slowest < BY_NOTICE, "{slowest:?}");
}

#[tokio::test]
async fn news_comes_at_once() {
    for server in [Server::redis7(), Server::redis62(), Server::valkey8(), Server::unix()] {
        wakes(server.url()).await;
    }
    let (server, _files) = Server::tls();
    wakes(server.url()).await;
    let (_master, sentinel) = Server::sentinel();
    wakes(sentinel.url()).await;
}

/// Connections to this server but the one that asks.
fn connections(server: &Server) -> usize {
    let list: String = cmd("CLIENT").arg("LIST").query(&mut server.client()).unwrap();
    list.lines().count() - 1
}

#[tokio::test]
async fn one_connection_is_open_while_somebody_reads() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let before = connections(&server);
    let log = store.change_log().await.unwrap();
    attend(&log, &[1, 2, 3]).await;
    log.read(1, Position::START, 10).await.unwrap();
    assert_eq!(connections(&server), before + 1);
    drop(log);
    let until = Instant::now() + Duration::from_secs(20);
    while connections(&server) != before {
        assert!(Instant::now() < until, "the connection stays open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn only_what_is_attended_is_told_and_a_burst_is_told_once() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let log = store.change_log().await.unwrap();
    attend(&log, &[1, 2]).await;
    for seq in 1..=100 {
        write(&server, 3, &format!("1-{seq}"), &change("1", WA, seq));
        write(&server, 2, &format!("1-{seq}"), &change("1", WA, seq));
    }
    // The notices came before the answers to what was sent behind them.
    log.tails(&[2]).await.unwrap();
    assert_eq!(log.news().await, News::Of(vec![2]));
    let quiet = tokio::time::timeout(Duration::from_millis(300), log.news()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    attend(&log, &[3]).await;
    write(&server, 2, "2-1", &change("1", WA, 7));
    write(&server, 3, "2-1", &change("1", WA, 7));
    assert_eq!(log.news().await, News::Of(vec![3]));
    // A caller that went away in between loses nothing.
    write(&server, 3, "3-1", &change("1", WA, 7));
    for _ in 0..3 {
        let _ = tokio::time::timeout(Duration::ZERO, log.tails(&[3])).await;
    }
    log.tails(&[3]).await.unwrap();
    assert_eq!(log.news().await, News::Of(vec![3]));
    cmd("FLUSHALL").query::<()>(&mut server.client()).unwrap();
    assert_eq!(log.news().await, News::OfAny);
}

#[tokio::test]
async fn nobody_waits_for_news_longer_than_a_few_seconds() {
    let mut server = Server::redis7();
    let store = open(server.url()).await;
    let log = store.change_log().await.unwrap();
    attend(&log, &[1]).await;
    let begun = Instant::now();
    assert_eq!(log.news().await, News::Of(Vec::new()), "it was looked, there is nothing");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    server.kill();
    let begun = Instant::now();
    while log.news().await != News::OfAny {}
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

/// Reads all there is after `after`; returns the new end.
pub(super) async fn follow(
    log: &Arc<dyn ChangeLog>,
    partition: u16,
    after: Position,
    seen: &mut Vec<u64>,
) -> Position {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match log.read(partition, after, 1000).await {
            Ok(logged) => {
                seen.extend(logged.iter().map(|logged| logged.change.revision));
                return logged.last().map_or(after, |last| last.position);
            }
            Err(error @ Error::OutOfRange(_)) => panic!("{error}"),
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_connection_that_was_killed_is_opened_anew_and_misses_nothing() {
    let server = Server::redis7();
    let store = open(server.url()).await;
    let log = store.change_log().await.unwrap();
    attend(&log, &[5]).await;
    let (mut seen, mut after) = (Vec::new(), Position::START);
    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
        let killed: usize = cmd("CLIENT").arg(&kill).query(&mut server.client()).unwrap();
        assert!(killed > 0);
        // Right behind the kill, and once all is quiet again.
        for half in [1, 2] {
            let begun = Instant::now();
            let revision = round * 2 + half;
            write(&server, 5, &format!("1000-{revision}"), &change("1", WA, revision));
            while (seen.len() as u64) < revision {
                log.news().await;
                after = follow(&log, 5, after, &mut seen).await;
            }
            slowest = slowest.max(begun.elapsed());
            let quiet = Duration::from_millis(100);
            while tokio::time::timeout(quiet, log.news()).await.is_ok() {}
        }
    }
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    println!("after a kill, heard again within {slowest:?}");
    assert!(slowest < BY_NOTICE, "{slowest:?}");
}

#[tokio::test]
async fn a_user_who_may_not_be_given_notices_hears_all_the_same() {
    let rule = ACL_RULE.replace("+client|tracking ", "");
    for server in [Server::acl(&rule), Server::acl62(&rule), Server::acl_valkey(&rule)] {
        let store = open(server.url()).await;
        let log = store.change_log().await.unwrap();
        attend(&log, &[partition(NUMBER), 1]).await;
        let pair = pair_of(NUMBER, WA, "");
        for n in 0..4_u64 {
            turn(&store, &pair, n % 2 == 0, (4 - n) * 1000).await;
            let heard = hears_of(&log, vec![partition(NUMBER)]).await;
            assert!(heard < BY_NOTICE, "{heard:?} at {}", server.url());
        }
    }
}
