//! The embedded store's own promises: one process, nothing acknowledged is lost, what is over is
//! gone. Damage is in `damage`. What it shares with the other stores is in the conformance tests.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command as Process, Stdio},
    sync::Arc,
    time::Duration,
};

use callgate::{
    engine::{
        Error,
        code::change_cause,
        fact::{Fact, InboundMessage, NumberReport, Reply as CustomerReply, Told},
        pair::{Customer, Pair, PhoneNumberId},
        profile::Profile,
        step::{Command, NumberStep, Reply, Step},
        store::{PARTITIONS, QUARANTINE_AGE_MAX, QUARANTINE_COUNT_MAX, Quarantined, Store},
        time::{ManualClock, Millis, WallClock},
    },
    store::{
        codec::decode_change,
        embedded::{Durability, Embedded, Options},
    },
};

mod log;

pub(crate) const NUMBER: &str = "436666719526789";
pub(crate) const NOW: Millis = Millis(1_790_000_000_000);
const DAY: u64 = 24 * 3600 * 1000;
pub(crate) const RECORDED: u8 = 1;
const STALE: u8 = 3;

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

pub(crate) fn open(dir: &Path) -> Result<Embedded, Error> {
    Embedded::open(dir, &Options::default(), clock())
}

fn memory() -> (Embedded, Arc<ManualClock>) {
    let clock = clock();
    (Embedded::memory(clock.clone()).unwrap(), clock)
}

pub(crate) fn number(text: &str) -> PhoneNumberId {
    PhoneNumberId::parse(text, "").unwrap()
}

fn customer(wa: &str, user: &str) -> Customer {
    Customer::parse(wa, user, "").unwrap()
}

async fn apply(store: &Embedded, wa: &str, user: &str, command: Command) -> Reply {
    let pair = Pair { number: number(NUMBER), customer: customer(wa, user) };
    let profile = Profile::atom();
    let step = Step { pair: &pair, command, profile: &profile, now: Millis::ZERO };
    store.apply(step).await.unwrap()
}

pub(crate) async fn record(store: &Embedded, wa: &str, user: &str, at: Millis, fact: Fact) -> u8 {
    apply(
        store,
        wa,
        user,
        Command::Record { at, spelled: String::new(), event_id: String::new(), fact },
    )
    .await
    .result
}

pub(crate) fn wrote() -> Fact {
    Fact::InboundMessage(InboundMessage { provider_message_id: String::new() })
}

fn accepted() -> Fact {
    Fact::Reply(CustomerReply {
        accept: true,
        permanent: false,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    })
}

async fn view(store: &Embedded, wa: &str) -> callgate::engine::step::View {
    apply(store, wa, "", Command::View { as_of: Millis::ZERO }).await.view
}

pub(crate) fn aside(id: &str, number: &str, received_at: Millis, change: &str) -> Quarantined {
    Quarantined {
        id: id.to_owned(),
        reason: "unknown shape".to_owned(),
        received_at,
        field: "messages".to_owned(),
        phone_number_id: number.to_owned(),
        change: change.to_owned(),
    }
}

#[test]
fn nobody_else_looks_into_a_directory_that_is_made_for_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("var/callgate");
    drop(Embedded::open(&dir, &Options::default(), clock()).unwrap());
    let mode = |dir: &Path| std::fs::metadata(dir).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    // One that is there is as its owner made it.
    let open = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(&dir, open).unwrap();
    drop(Embedded::open(&dir, &Options::default(), clock()).unwrap());
    assert_eq!(mode(&dir), 0o750);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory_it_is_a_store_as_all_are() {
    let store = Embedded::memory(Arc::new(WallClock::default())).unwrap();
    crate::conformance::all(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_disk_it_is_a_store_as_all_are() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(WallClock::default());
    let store = Embedded::open(dir.path(), &Options::default(), clock).unwrap();
    crate::conformance::all(Arc::new(store)).await;
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let refusal = open(dir.path()).unwrap_err().to_string();
    assert!(refusal.contains("in use by another callgate"), "{refusal}");
    drop(first);
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    for durability in [Durability::Sync, Durability::Os] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { durability, ..Options::default() };
        let store = Embedded::open(dir.path(), &options, clock()).unwrap();
        assert_eq!(record(&store, "15550199001", "", NOW, accepted()).await, RECORDED);
        let report = NumberReport { at: NOW, calling: Told::No, ..NumberReport::default() };
        let id = number(NUMBER);
        let step = NumberStep { number: &id, report: Some(report), now: Millis::ZERO };
        assert_eq!(store.number(step).await.unwrap().changed, 1);
        store.quarantine(aside("q1", NUMBER, NOW, "{}")).await.unwrap();
        let before = store.entries().await.unwrap();
        assert_eq!(store.kind(), "embedded");
        drop(store);

        let store = Embedded::open(dir.path(), &options, clock()).unwrap();
        assert_eq!(view(&store, "15550199001").await.granted_at, NOW);
        let step = NumberStep { number: &id, report: None, now: Millis::ZERO };
        assert_eq!(store.number(step).await.unwrap().number.calling, 1);
        assert_eq!(store.quarantined_by_id("q1").await.unwrap().unwrap().change, "{}");
        let lasting = |entries: Vec<(Vec<u8>, Vec<u8>)>| -> Vec<_> {
            entries.into_iter().filter(|(key, _)| key[0] != 0).collect()
        };
        assert_eq!(lasting(store.entries().await.unwrap()), lasting(before));
    }
}

/// Tells which pairs are acknowledged, until it is killed. Only the next test runs this.
#[tokio::test]
#[ignore = "runs inside another test"]
async fn writes_until_it_is_killed() {
    let dir = std::env::var("CALLGATE_TEST_DIR").expect("set by the test that starts this");
    let options = match std::env::var("CALLGATE_TEST_DURABILITY").as_deref() {
        Ok(text) => Options { durability: text.parse().unwrap(), ..Options::default() },
        Err(_) => Options::default(),
    };
    let store = Embedded::open(Path::new(&dir), &options, Arc::new(WallClock::default())).unwrap();
    let store = &store;
    let write = |caller: u64| async move {
        for n in 0.. {
            let wa = format!("1555{:09}", caller * 1_000_000 + n);
            assert_eq!(record(store, &wa, "", Millis::ZERO, wrote()).await, RECORDED);
            // One write per line, so that a line is whole or absent.
            std::io::stdout().write_all(format!("\nacknowledged {wa}\n").as_bytes()).unwrap();
        }
    };
    futures_util::future::join_all((0..32).map(write)).await;
}

async fn kill_under_load(dir: &Path, durability: &str, acknowledged: usize) -> BTreeSet<String> {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env("CALLGATE_TEST_DIR", dir)
        .env("CALLGATE_TEST_DURABILITY", durability)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = BTreeSet::new();
    for line in lines {
        if let Some(wa) = line.unwrap().strip_prefix("acknowledged ") {
            told.insert(wa.to_owned());
        }
        if told.len() == acknowledged {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(told.len() >= acknowledged, "the child died by itself");
    told
}

#[tokio::test]
async fn killed_at_any_instant_it_loses_nothing_that_was_answered() {
    for durability in ["sync", "os"] {
        let dir = tempfile::tempdir().unwrap();
        let mut told = BTreeSet::new();
        for acknowledged in [1, 700] {
            let fresh = tempfile::tempdir_in(dir.path()).unwrap();
            let killed = kill_under_load(fresh.path(), durability, acknowledged).await;
            let clock = Arc::new(WallClock::default());
            let store = Embedded::open(fresh.path(), &Options::default(), clock).unwrap();
            for wa in &killed {
                let (found, _) = store.raw(&number(NUMBER), &customer(wa, "")).await.unwrap();
                assert!(found.is_some(), "{wa} was acknowledged and is lost");
            }
            told.extend(killed);
        }
        assert!(told.len() >= 700);
    }
}

#[tokio::test]
async fn what_has_expired_reads_as_missing_and_is_swept() {
    let (store, clock) = memory();
    assert_eq!(store.kind(), "memory");
    record(&store, "15550199001", "", NOW, wrote()).await;
    let (number, customer) = (number(NUMBER), customer("15550199001", ""));
    clock.advance(Duration::from_millis(400 * DAY - 1));
    assert!(store.raw(&number, &customer).await.unwrap().0.is_some());
    clock.advance(Duration::from_millis(1));
    assert!(store.raw(&number, &customer).await.unwrap().0.is_none());
    store.sweep().await.unwrap();
    let entries = store.entries().await.unwrap();
    assert!(!entries.iter().any(|(key, _)| holds(key, "15550199001")));
}

#[tokio::test]
async fn quarantine_keeps_the_newest_of_a_partition_and_nothing_old() {
    let (store, clock) = memory();
    for n in 0..=QUARANTINE_COUNT_MAX {
        let entry = aside(&format!("q{n:04}"), NUMBER, Millis(NOW.0 + n as u64), "{}");
        store.quarantine(entry.clone()).await.unwrap();
        // A redelivery.
        store.quarantine(entry).await.unwrap();
    }
    store.quarantine(aside("unfiled", "", NOW, "{}")).await.unwrap();
    let kept = store.quarantined(usize::MAX).await.unwrap();
    assert_eq!(kept.len(), QUARANTINE_COUNT_MAX + 1);
    assert_eq!((kept[0].id.as_str(), kept[1].id.as_str()), ("unfiled", "q0001"));
    assert_eq!(store.quarantined(2).await.unwrap(), kept[..2]);
    assert!(store.quarantined_by_id("q0000").await.unwrap().is_none());

    store.release_quarantined("q0001").await.unwrap();
    assert_eq!(store.quarantined(2).await.unwrap()[1].id, "q0002");

    clock.advance(Duration::from_millis(QUARANTINE_AGE_MAX));
    assert!(store.quarantined_by_id("unfiled").await.unwrap().is_none());
    assert_eq!(store.quarantined(1).await.unwrap()[0].id, "q0002");
    clock.advance(Duration::from_millis(DAY));
    assert!(store.quarantined(1).await.unwrap().is_empty());
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn forgetting_leaves_nothing_to_read_and_nothing_to_come_back() {
    let (store, clock) = memory();
    let number = number(NUMBER);
    // Two spellings of one Brazilian number, and a user id.
    let (long, short, user) = ("5511987654321", "551187654321", "BR.1000200030");
    record(&store, long, user, NOW, accepted()).await;
    record(&store, "15550199001", "", NOW, accepted()).await;
    let mention = |text: &str| format!(r#"{{"field":"messages","value":{{"from":"{text}"}}}}"#);
    store.quarantine(aside("mine", NUMBER, NOW, &mention(long))).await.unwrap();
    store.quarantine(aside("unfiled", "", NOW, &mention(user))).await.unwrap();
    store.quarantine(aside("theirs", NUMBER, NOW, &mention("15550199001"))).await.unwrap();
    clock.advance(Duration::from_secs(60));

    // By the other spelling alone: what is linked goes, too.
    assert!(store.forget(&number, &customer(short, ""), &Profile::atom()).await.unwrap());
    // The log tells subscribers who is to be forgotten, until it is trimmed; nothing else names them.
    let is_notice = |payload: &[u8]| {
        decode_change(payload).is_ok_and(|change| change.cause == change_cause::FORGOTTEN)
    };
    let entries = store.entries().await.unwrap();
    assert_eq!(entries.iter().filter(|(_, payload)| is_notice(payload)).count(), 1);
    for (key, payload) in entries.into_iter().filter(|(_, payload)| !is_notice(payload)) {
        for id in [long, short, user] {
            assert!(!holds(&key, id) && !holds(&payload, id), "{key:?} still names {id}");
        }
    }
    assert_eq!(store.quarantined(9).await.unwrap().len(), 1);
    assert_eq!(view(&store, "15550199001").await.granted_at, NOW);

    assert_eq!(record(&store, long, user, NOW, accepted()).await, STALE);
    assert_eq!(record(&store, "", user, NOW, accepted()).await, STALE);
    assert!(!store.forget(&number, &customer(short, ""), &Profile::atom()).await.unwrap());
    let later = Millis(NOW.0 + 120_000);
    assert_eq!(record(&store, long, user, later, accepted()).await, RECORDED);
}

#[tokio::test]
async fn a_display_number_tells_what_it_heard_whatever_comes_first() {
    let paused = NumberReport {
        at: NOW,
        pause: Told::Yes,
        paused_until: Millis(NOW.0 + DAY),
        ..NumberReport::default()
    };
    let disabled = NumberReport { at: NOW, calling: Told::No, ..NumberReport::default() };
    let id = number(NUMBER);
    for learns_after in 0..3 {
        let (store, _) = memory();
        for (n, report) in [&paused, &disabled].into_iter().enumerate() {
            if n == learns_after {
                store.learn_display("15550100", &id, NOW).await.unwrap();
            }
            let owner = store.report_by_display("15550100", report.clone()).await.unwrap();
            assert_eq!(owner.is_some(), learns_after <= n);
        }
        store.learn_display("15550100", &id, NOW).await.unwrap();
        let step = NumberStep { number: &id, report: None, now: Millis::ZERO };
        let facts = store.number(step).await.unwrap().number;
        assert_eq!((facts.pause, facts.paused_until), (2, Millis(NOW.0 + DAY)));
        assert_eq!((facts.calling, facts.calling_at), (1, NOW));
        let mut known = Vec::new();
        for partition in 0..PARTITIONS {
            known.extend(store.numbers(partition).await.unwrap());
        }
        assert_eq!(known, std::slice::from_ref(&id));
    }
}
