//! What `callgate repair` makes of a damaged store: nobody is called because of what was lost.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command as Process, Output},
    sync::Arc,
    time::Duration,
};

use callgate::{
    engine::{
        fact::{CallOutcome, CallReport, Fact, Reply as CustomerReply},
        gate::Profiles,
        pair::{Customer, Pair, PhoneNumberId},
        profile::Profile,
        pseudonym::Fingerprints,
        step::{Command, Step},
        store::Store as _,
        time::{Clock as _, ManualClock, Millis, WallClock},
        veil::Veiled,
    },
    store::embedded::{
        Embedded, Options,
        repair::{self, Concerned},
    },
};

use super::{copy, files, flip, harm};
use crate::{
    embedded::{aside, wrote},
    pseudonyms::{KEYS, keys, keys::on_disk},
    support::tally,
    twins::Dice,
};

const NUMBERS: [&str; 2] = ["4001", "4002"];
const CUSTOMERS: u64 = 60;
const DAY: Duration = Duration::from_secs(24 * 3600);
const ALLOW: u8 = 1;

fn open(dir: &Path, now: Millis) -> (Embedded, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(now));
    (Embedded::open(dir, &Options::default(), clock.clone()).unwrap(), clock)
}

fn pair(number: &str, n: u64) -> Pair {
    Pair {
        number: PhoneNumberId::parse(number, "").unwrap(),
        customer: Customer::parse(&format!("1555{n:07}"), "", "").unwrap(),
    }
}

async fn ask(store: &Embedded, pair: &Pair, command: Command) -> callgate::engine::step::Reply {
    let profile = Profile::atom();
    store.apply(Step { pair, command, profile: &profile, now: Millis::ZERO }).await.unwrap()
}

async fn tell(store: &Embedded, pair: &Pair, at: Millis, fact: Fact) {
    let (spelled, event_id) = (String::new(), String::new());
    ask(store, pair, Command::Record { at, spelled, event_id, fact }).await;
}

fn said(accept: bool) -> Fact {
    let (permanent, expires_at) = (accept, Millis::ZERO);
    let request_id = String::new();
    Fact::Reply(CustomerReply { accept, permanent, expires_at, automatic: false, request_id })
}

fn answered(n: u64) -> Fact {
    Fact::Call(CallReport {
        call_id: format!("call-{n}"),
        provider_call_id: String::new(),
        outcome: CallOutcome::Answered,
        error: 0,
        pstn: false,
        placed_at: Millis::ZERO,
        answered_at: Millis::ZERO,
        ended_at: Millis::ZERO,
    })
}

/// A closed store. A third of the customers said yes; a third said yes and, later, no; a third said
/// yes and, later, were called as often as they may be. An older copy knows only what was earlier.
struct Fixture {
    whole: tempfile::TempDir,
    older: tempfile::TempDir,
    now: Millis,
}

impl Fixture {
    async fn new() -> Self {
        let (whole, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let now = WallClock::default().now();
        let ago = |s: u64| Millis(now.0 - s * 1000);
        let (store, _) = open(whole.path(), now);
        for number in NUMBERS {
            for n in 0..CUSTOMERS {
                tell(&store, &pair(number, n), ago(600), said(true)).await;
            }
        }
        // So that a part of it lies in tables.
        for n in 0..280 {
            let change = format!("{n}").repeat(64 * 1024 / format!("{n}").len());
            store.quarantine(aside(&format!("q{n:03}"), "4001", ago(500), &change)).await.unwrap();
        }
        drop(store);
        drop(open(whole.path(), now));
        copy(whole.path(), older.path());
        let (store, _) = open(whole.path(), now);
        for number in NUMBERS {
            for n in 0..CUSTOMERS {
                match n % 3 {
                    0 => tell(&store, &pair(number, n), ago(300), wrote()).await,
                    1 => tell(&store, &pair(number, n), ago(300), said(false)).await,
                    _ => {
                        for call in 0..5 {
                            tell(&store, &pair(number, n), ago(200), answered(call)).await;
                        }
                    }
                }
            }
        }
        drop(store);
        drop(open(whole.path(), now));
        Self { whole, older, now }
    }

    fn damaged(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        copy(self.whole.path(), &dir.path().join("store"));
        dir
    }

    fn journal(dir: &Path) -> PathBuf {
        let is_journal = |file: &PathBuf| file.extension().is_some_and(|e| e == "jnl");
        files(dir).into_iter().rfind(is_journal).unwrap()
    }
}

/// Nobody is allowed who must not be called; where anything may be lost, nobody at all, until no lost
/// call counts any more, and then only by a new yes.
async fn is_safe(dir: &Path, concerned: &Concerned, now: Millis, what: &str) {
    let (store, clock) = open(dir, WallClock::default().now());
    for number in NUMBERS {
        for n in 0..CUSTOMERS {
            let pair = pair(number, n);
            let is_allowed = ask(&store, &pair, Command::Check {}).await.decision == ALLOW;
            let may = n % 3 == 0 && !concerned.has(&pair.number);
            assert_eq!(is_allowed, may, "{what}: {concerned:?}, {pair:?}");
            // What was told before comes again.
            tell(&store, &pair, Millis(now.0 - 600_000), said(true)).await;
            let is_allowed = ask(&store, &pair, Command::Check {}).await.decision == ALLOW;
            assert_eq!(is_allowed, may, "{what}: an old yes, {concerned:?}, {pair:?}");
        }
    }
    if *concerned != Concerned::Everybody {
        return;
    }
    // The last calls were counted at `now` at the latest.
    let still = now.plus(DAY);
    clock.set(still);
    for n in 0..CUSTOMERS {
        let pair = pair(NUMBERS[0], n);
        tell(&store, &pair, still, said(true)).await;
        let is_allowed = ask(&store, &pair, Command::Check {}).await.decision == ALLOW;
        // A customer of whom nothing was left is on a number that is known all the same.
        assert!(!is_allowed, "{what}: a new yes before lost calls are over, {pair:?}");
    }
    clock.advance(Duration::from_secs(600));
    for n in 0..CUSTOMERS {
        let answer = ask(&store, &pair(NUMBERS[0], n), Command::Check {}).await;
        assert_eq!(answer.decision, ALLOW, "{what}: a new yes, and nothing else counts any more");
    }
}

fn run(dir: &Path, more: &[&str]) -> Output {
    let store = format!("embedded:{}", dir.display());
    Process::new(env!("CARGO_BIN_EXE_callgate"))
        .env_clear()
        .args(["repair", "--store", &store])
        .args(more)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn bytes_of(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(dir).into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

#[tokio::test]
async fn a_store_is_repaired_beside_the_damaged_one_which_stays_as_it_was() {
    let fixture = Fixture::new().await;
    let directory = fixture.damaged();
    let dir = directory.path().join("store");

    let healthy = run(&dir, &["--yes"]);
    assert_eq!(healthy.status.code(), Some(1));
    assert!(text(&healthy.stderr).contains("is not damaged"), "{}", text(&healthy.stderr));
    let (store, _) = open(&dir, fixture.now);
    let in_use = run(&dir, &[]);
    assert_eq!(in_use.status.code(), Some(1));
    assert!(text(&in_use.stderr).contains("in use"), "{}", text(&in_use.stderr));
    drop(store);

    let journal = Fixture::journal(&dir);
    flip(&journal, super::content(&journal).len() as u64 / 2);
    let before = bytes_of(&dir);
    for more in [&[][..], &["--dry-run"]] {
        let plan = run(&dir, more);
        assert_eq!(plan.status.code(), Some(0), "{}", text(&plan.stderr));
        let plan = text(&plan.stdout);
        for wanted in ["acknowledged and are missing", "every customer", "Nothing was written"] {
            assert!(plan.contains(wanted), "{wanted}: {plan}");
        }
        let where_it_is = format!("the embedded store in {} is damaged", dir.display());
        assert!(plan.starts_with(&where_it_is) && !plan.contains('…'), "{plan}");
        assert!(!plan.contains("15550"), "a customer's number: {plan}");
        assert!(!directory.path().join("store.repaired").exists());
    }
    let done = run(&dir, &["--yes"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let told = text(&done.stdout);
    assert!(told.contains("120  records whose consent was taken back"), "{told}");
    assert!(told.contains("Calls are paused until"), "{told}");
    assert!(bytes_of(&dir) == before, "the damaged store was changed");
    let left: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "only the two stores are left: {left:?}");

    let repaired = directory.path().join("store.repaired");
    is_safe(&repaired, &Concerned::Everybody, fixture.now, "a flipped journal").await;
    let again = run(&dir, &["--yes"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is there already"), "{}", text(&again.stderr));

    let nothing = run(directory.path(), &[]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).contains("holds no embedded store"), "{}", text(&nothing.stderr));
    tally::count("repairs of a damaged store", 1);
}

/// It is repaired under its keys and no others, and is under them afterwards.
#[tokio::test]
async fn a_store_of_pseudonyms_is_repaired_under_its_keys() {
    let directory = tempfile::tempdir().unwrap();
    let (dir, key_file) = (directory.path().join("store"), directory.path().join("keys"));
    let key = &KEYS[..1];
    fs::write(&key_file, key[0]).unwrap();
    let veiled = |dir: &Path| Veiled::new(Arc::new(on_disk(dir, key).unwrap()), keys(key));
    let decided = async |store: &Veiled, pair: &Pair| {
        let (command, profile) = (Command::Check {}, Profile::atom());
        let step = Step { pair, command, profile: &profile, now: Millis::ZERO };
        store.apply(step).await.unwrap().decision
    };
    let tell = async |store: &Veiled, pair: &Pair, ago: u64, fact| {
        let (spelled, event_id, profile) = (String::new(), String::new(), Profile::atom());
        let at = Millis(WallClock::default().now().0 - ago);
        let command = Command::Record { at, spelled, event_id, fact };
        let step = Step { pair, command, profile: &profile, now: Millis::ZERO };
        store.apply(step).await.unwrap();
    };
    let store = veiled(&dir);
    for n in 0..CUSTOMERS {
        tell(&store, &pair(NUMBERS[0], n), 2000, said(true)).await;
        if n % 2 == 1 {
            tell(&store, &pair(NUMBERS[0], n), 1000, said(false)).await;
        }
    }
    assert_eq!(decided(&store, &pair(NUMBERS[0], 0)).await, ALLOW);
    drop(store);
    let journal = Fixture::journal(&dir);
    flip(&journal, super::content(&journal).len() as u64 / 2);

    let mended = |key_file: Option<&Path>| {
        let store = format!("embedded:{}", dir.display());
        let mut command = Process::new(env!("CARGO_BIN_EXE_callgate"));
        command.env_clear().args(["repair", "--store", &store, "--yes"]);
        command.envs(key_file.map(|file| ("CALLGATE_PRIVACY_KEY_FILE", file)));
        command.output().unwrap()
    };
    let refused = mended(None);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("privacy.key_file"), "{}", text(&refused.stderr));
    let done = mended(Some(&key_file));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));

    let repaired = directory.path().join("store.repaired");
    assert!(on_disk(&repaired, &[]).is_err(), "it is under its keys");
    let store = veiled(&repaired);
    for n in 0..CUSTOMERS {
        let pair = pair(NUMBERS[0], n);
        assert_ne!(decided(&store, &pair).await, ALLOW, "a no may be lost: {pair:?}");
        // What was told before comes again.
        tell(&store, &pair, 2000, said(true)).await;
        assert_ne!(decided(&store, &pair).await, ALLOW, "an old yes: {pair:?}");
    }
}

/// Records lie at the end of the largest table.
fn harm_records(dir: &Path, dice: &mut Dice) -> String {
    let size = |file: &PathBuf| fs::metadata(file).unwrap().len();
    let table = files(dir).into_iter().max_by_key(size).unwrap();
    let behind = 1 + dice.below(12_000);
    flip(&table, size(&table) - behind);
    format!("the largest table flipped {behind} bytes before its end")
}

async fn repair_at_random(trials: usize, is_over: impl Fn() -> bool) {
    let mut dice = Dice::throw();
    let fixture = Fixture::new().await;
    let (mut repaired, mut unreadable) = (0, 0);
    while repaired + unreadable < trials && !is_over() {
        let directory = fixture.damaged();
        let dir = directory.path().join("store");
        let what = if dice.below(2) == 0 {
            harm(&dir, fixture.older.path(), &mut dice)
        } else {
            harm_records(&dir, &mut dice)
        };
        let clock = Arc::new(ManualClock::at(fixture.now));
        if Embedded::open(&dir, &Options::default(), clock).is_ok() {
            continue;
        }
        match repair::examine(&dir, &Fingerprints::default()) {
            Ok(examined) => {
                let (target, concerned) = (examined.target(), examined.concerned.clone());
                println!("{what}: {concerned:?}, {:?}, {:?}", examined.missing, examined.holes());
                examined.write(DAY, &Profiles::new(Profile::atom())).await.unwrap();
                drop(examined);
                is_safe(&target, &concerned, fixture.now, &what).await;
                repaired += 1;
            }
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("can be read"), "{what}: {error}");
                unreadable += 1;
            }
        }
    }
    assert!(repaired > 0);
    tally::count("repairs of a damaged store", repaired);
    tally::count("damaged stores of which nothing can be read", unreadable);
}

mod slow {
    #[tokio::test]
    async fn no_repair_lets_anybody_be_called_because_of_what_was_lost() {
        super::repair_at_random(10, || false).await;
    }
}

mod soak {
    use std::time::Instant;

    #[tokio::test]
    #[ignore = "make soak"]
    async fn no_repair_lets_anybody_be_called_because_of_what_was_lost() {
        let began = Instant::now();
        let is_over = || crate::support::tally::soak() <= began.elapsed();
        super::repair_at_random(usize::MAX, is_over).await;
    }
}

/// The engine shows the older of two values then, and nothing that can be read is missing.
#[tokio::test]
async fn a_store_whose_order_is_damaged_is_about_everybody() {
    let fixture = Fixture::new().await;
    let directory = fixture.damaged();
    let dir = directory.path().join("store");
    let journal = Fixture::journal(&dir);
    // Its number in the order, of the first commit in the journal: behind a tag and a count.
    let mut bytes = fs::read(&journal).unwrap();
    bytes[5 + 2] ^= 0x10;
    fs::write(&journal, bytes).unwrap();
    let examined = repair::examine(&dir, &Fingerprints::default()).unwrap();
    assert!(examined.refusal.contains("the order of commit"), "{}", examined.refusal);
    assert_eq!(examined.concerned, Concerned::Everybody);
    assert!(examined.missing.as_ref().is_some_and(|what| what.contains("order")));
    let target = examined.target();
    examined.write(DAY, &Profiles::new(Profile::atom())).await.unwrap();
    is_safe(&target, &Concerned::Everybody, fixture.now, "the order was damaged").await;
}

/// A "yes" counts at once although it is stamped a little ahead of the clock.
#[tokio::test]
async fn a_yes_stamped_ahead_of_the_clock_is_taken_back_as_well() {
    let fixture = Fixture::new().await;
    let directory = fixture.damaged();
    let dir = directory.path().join("store");
    let ahead = fixture.now.plus(Duration::from_secs(299));
    let (store, _) = open(&dir, fixture.now);
    let pair = pair(NUMBERS[0], 0);
    tell(&store, &pair, ahead, said(true)).await;
    drop(store);
    fs::remove_file(dir.join("callgate.seal")).unwrap();
    let examined = repair::examine(&dir, &Fingerprints::default()).unwrap();
    let target = examined.target();
    examined.write(DAY, &Profiles::new(Profile::atom())).await.unwrap();
    let (store, _) = open(&target, ahead);
    let view = ask(&store, &pair, Command::View { as_of: Millis::ZERO }).await.view;
    assert_eq!(view.grant_kind, 0, "{view:?}");
}

/// Where the first value of a batch is whose place is so far along a journal; see `torn.rs`.
fn value_at(journal: &[u8], part: f64) -> usize {
    let ends = journal.windows(4).enumerate().filter(|(_, bytes)| bytes == b"FJL\x03");
    let items: Vec<usize> = ends.map(|(end, _)| end + 4 + 13).collect();
    let is_value = |item: &usize| {
        matches!(journal.get(item + 3..item + 34), Some(head) if head[14] > 32)
            && journal[*item..item + 3] == [2, 0, 0]
    };
    let items: Vec<usize> = items.into_iter().filter(is_value).collect();
    let item = items[(items.len() as f64 * part) as usize];
    item + 21 + usize::from(journal[item + 11]) + 16
}

/// Most of a journal is values, for one of which the engine refuses all of it.
#[tokio::test]
async fn a_value_damaged_in_a_journal_costs_what_stands_behind_it() {
    let fixture = Fixture::new().await;
    let mut kept = Vec::new();
    // Our own checksum shows the damage; only the engine's does.
    for (part, is_ours) in [(0.2, true), (0.8, true), (0.95, true), (0.95, false)] {
        let directory = fixture.damaged();
        let dir = directory.path().join("store");
        let journal = Fixture::journal(&dir);
        let mut bytes = fs::read(&journal).unwrap();
        let mut at = value_at(&bytes, part);
        if !is_ours {
            let end = bytes[at..].windows(4).position(|bytes| bytes == b"FJL\x03").unwrap();
            at += end - 4;
        }
        bytes[at] ^= 0x55;
        fs::write(&journal, bytes).unwrap();
        let examined = repair::examine(&dir, &Fingerprints::default())
            .unwrap_or_else(|why| panic!("{part}: {why}"));
        assert_eq!(examined.concerned, Concerned::Everybody);
        kept.push(examined.kept().changes);
        let target = examined.target();
        examined.write(DAY, &Profiles::new(Profile::atom())).await.unwrap();
        is_safe(&target, &Concerned::Everybody, fixture.now, &format!("a value at {part}")).await;
    }
    println!("changes on the log that are kept: {kept:?}");
    // All that was in tables; and of the journal all that stands before.
    assert!(kept[0] <= kept[1] && kept[1] < kept[2], "{kept:?}");
    // Where the place is not known, the search for it gives up no more than twice as much.
    assert!(kept[0] <= kept[3] && kept[3] <= kept[2], "{kept:?}");
}
