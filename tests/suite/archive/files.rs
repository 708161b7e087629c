//! What is no whole export of callgate changes nothing.

use std::sync::Arc;

use callgate::{
    archive::import::{May, check},
    engine::{
        change::Position,
        fact::{Fact, InboundCall, NumberReport, Told},
        profile::Profile,
        step::Command,
        store::{Store as _, partition_of},
        time::{Millis, WallClock},
    },
    store::embedded::{Embedded, Options},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{DAY, NAMES, NUMBERS, ask, exported, memory, now, pair, raw, reply, try_import};

/// A file with lines of every kind.
async fn file() -> Vec<u8> {
    let store = memory();
    let now = now();
    for names in [NAMES[0], NAMES[1]] {
        ask(&*store, &pair(NUMBERS[0], names), now, reply(now - 1000, true)).await;
    }
    super::keep_aside(&*store, "q", "", now, "15550199001").await;
    let number = pair(NUMBERS[0], NAMES[0]).number;
    store.learn_display("15550100", &number, Millis(now)).await.unwrap();
    let gone = pair(NUMBERS[1], ("15550199009", ""));
    ask(&*store, &gone, now, reply(now - 1000, true)).await;
    store.forget(&gone.number, &gone.customer, &Profile::atom()).await.unwrap();
    exported(&*store).await
}

fn lines(file: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(file).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn customer_at(lines: &[Value]) -> usize {
    lines.iter().position(|line| line.get("customer").is_some()).unwrap()
}

/// A file of these lines, with the checksum that fits.
fn sealed(lines: &[Value]) -> Vec<u8> {
    let (end, lines) = lines.split_last().unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut end = end.clone();
    end["end"]["sha256"] = hex::encode(Sha256::digest(&text)).into();
    (text + &format!("{end}\n")).into_bytes()
}

pub(super) fn with_header(file: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut lines = lines(file);
    change(&mut lines[0]["header"]);
    sealed(&lines)
}

fn refusal(file: &[u8]) -> String {
    check(file).unwrap_err().to_string()
}

#[tokio::test]
async fn a_file_that_is_cut_off_anywhere_is_refused() {
    let file = file().await;
    check(&*file).unwrap();
    for length in 0..file.len() {
        let error = refusal(&file[..length]);
        let is_told = error.contains("cut off") || error.contains("no header");
        assert!(is_told, "{length}: {error}");
    }
}

#[tokio::test]
async fn a_file_that_was_altered_is_refused() {
    let file = file().await;
    for at in 0..file.len() {
        let mut altered = file.clone();
        altered[at] = if altered[at] == b'3' { b'4' } else { b'3' };
        assert!(check(&*altered).is_err(), "byte {at} of {}", String::from_utf8_lossy(&altered));
    }
    let mut lines = lines(&file);
    lines.swap(1, 2);
    let swapped: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert!(refusal(swapped.as_bytes()).contains("altered"));
    lines.remove(1);
    assert!(refusal(&sealed(&lines)).contains("altered"), "the counts do not fit");
    let twice = [file.clone(), file].concat();
    assert!(refusal(&twice).contains("goes on behind its end"));
}

/// A store that changes while it is written may hand out a customer twice: the later one counts.
#[tokio::test]
async fn who_was_forgotten_twice_was_forgotten_at_the_later_time() {
    let from = memory();
    let gone = pair(NUMBERS[1], ("15550199009", ""));
    ask(&*from, &gone, 0, reply(now() - 1000, true)).await;
    let known = exported(&*from).await;
    from.forget(&gone.number, &gone.customer, &Profile::atom()).await.unwrap();
    let mut lines = lines(&exported(&*from).await);
    let at = lines.iter().position(|line| line.get("forgotten").is_some()).unwrap();
    let mut earlier = lines[at].clone();
    earlier["forgotten"]["at"] = "2026-01-01T00:00:00Z".into();
    let count = lines.last_mut().unwrap();
    count["end"]["counts"]["forgotten"] = 3.into();
    lines.insert(at, earlier.clone());
    lines.insert(at + 2, earlier);
    let dir = tempfile::tempdir().unwrap();
    let to = super::keyed(dir.path(), &known, Arc::new(WallClock::default()));
    try_import(&to, &known, May::default()).await.unwrap();
    try_import(&to, &sealed(&lines), May::default()).await.unwrap();
    assert_eq!(ask(&to, &gone, 0, super::view()).await.view.status, 1);
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_its_line() {
    let file = file().await;
    let newer = with_header(&file, |header| header["version"] = 2.into());
    assert!(refusal(&newer).contains("line 1: it is of version 2, this callgate reads 1"));
    let all = lines(&file);
    let n = customer_at(&all);
    let both = json!({
        "at": "2026-01-01T00:00:00Z", "permanent": true, "expires_at": "2026-01-02T00:00:00Z"
    });
    let call = json!({
        "outcome": "answered", "at": "2026-01-01T00:00:00Z", "first_at": "2026-01-01T00:00:00Z"
    });
    let breaks = [
        ("/nickname", json!("Ana"), "unknown field"),
        ("/records/0/nickname", json!("Ana"), "unknown field"),
        ("/records/0/id", json!("+1"), "id: "),
        ("/records/0/id", json!("5511987654321"), "is no key"),
        ("/records/0/wrote_at", json!("yesterday"), "no time"),
        ("/records/0/wrote_at", json!("1970-01-01T00:00:01Z"), "no time"),
        ("/records/0/accept", both, "is permanent and expires"),
        ("/records/0/calls", json!([call]), "calls: an id is missing"),
        ("/phone_number_id", json!("x"), "phone_number_id: "),
        ("/records", json!([]), "records: there is none"),
    ];
    for (place, value, problem) in breaks {
        let mut lines = all.clone();
        let (parent, field) = place.rsplit_once('/').unwrap();
        lines[n]["customer"].pointer_mut(parent).unwrap()[field] = value;
        let error = refusal(&sealed(&lines));
        assert!(error.contains(&format!("line {}: ", n + 1)), "{place}: {error}");
        assert!(error.contains(problem), "{place}: {error}");
    }
    let mut lines = all.clone();
    lines[n] = json!({"customers": lines[n]["customer"]});
    assert!(refusal(&sealed(&lines)).contains("unknown variant"));
    assert!(refusal(b"{\"event_id\":\"e1\"}\n").contains("line 1: "));
}

#[tokio::test]
async fn a_forgotten_of_a_partition_that_is_none_is_refused() {
    let all = lines(&file().await);
    let n = all.iter().position(|line| line.get("forgotten").is_some()).unwrap();
    for (partition, is_one) in [(63, true), (64, false), (65, false)] {
        let mut lines = all.clone();
        lines[n]["forgotten"]["partition"] = partition.into();
        match check(&*sealed(&lines)) {
            Ok(_) => assert!(is_one, "{partition}"),
            Err(error) => {
                let problem = format!("line {}: there is no such partition", n + 1);
                assert!(!is_one && error.to_string().contains(&problem), "{partition}: {error}");
            }
        }
    }
}

/// They stand among the customers in an export of Redis. A customer's call gives nothing here, and nobody
/// is told that it did.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_joined_before_customers_wherever_they_stand() {
    let (from, now) = (memory(), now());
    let number = pair(NUMBERS[0], NAMES[0]).number;
    for n in 0..100 {
        let customer = pair(NUMBERS[0], (&*format!("1555{n:07}"), ""));
        ask(&*from, &customer, now, called(now - 1000)).await;
    }
    let no = NumberReport {
        at: Millis(now - 2000),
        inbound_call_grants: Told::No,
        ..NumberReport::default()
    };
    from.report_by_display("15550100", no).await.unwrap();
    let mut lines = lines(&exported(&*from).await);
    let at = lines.iter().position(|line| line.get("display").is_some()).unwrap();
    let display = lines.remove(at);
    lines.insert(lines.len() - 1, display);
    let to = memory();
    to.learn_display("15550100", &number, Millis(now - 3000)).await.unwrap();
    let may = May { lose_forgotten: true, be_old: false };
    let joined = try_import(&*to, &sealed(&lines), may).await.unwrap();
    assert_eq!((joined.changed, joined.same), (100, 1));
    let log = to.change_log().await.unwrap();
    let told = log.read(partition_of(&number, 64), Position(0, 0), 1000).await.unwrap();
    assert_eq!(told.iter().map(|one| one.change.status).collect::<Vec<u8>>(), [0_u8; 0]);
}

fn called(at: u64) -> Command {
    let call = InboundCall { provider_call_id: String::new(), answered: false };
    let (spelled, event_id) = (String::new(), String::new());
    Command::Record { at: Millis(at), spelled, event_id, fact: Fact::InboundCall(call) }
}

/// By the store's clock, as of any event.
#[tokio::test]
async fn what_lies_ahead_is_refused_with_its_line() {
    let all = lines(&file().await);
    let n = customer_at(&all);
    let ahead = Millis(now() + 10 * 60_000).utc().to_rfc3339();
    let given = Millis(now() - DAY).utc().to_rfc3339();
    let expiry = Millis(now() + 60 * DAY).utc().to_rfc3339();
    for (field, value, problem) in [
        ("inbound_at", json!(ahead), "5 min ahead"),
        ("accept", json!({"at": given, "expires_at": expiry}), "60 d after"),
        ("callback", json!({"at": given, "expires_at": expiry}), "60 d after"),
    ] {
        let mut lines = all.clone();
        lines[n]["customer"]["records"][0][field] = value;
        let to = memory();
        let may = May { lose_forgotten: true, be_old: false };
        let error = try_import(&*to, &sealed(&lines), may).await.unwrap_err().to_string();
        assert!(error.contains(&format!("line {}: ", n + 1)), "{error}");
        assert!(error.contains(problem), "{error}");
        assert!(raw(&*to).await.is_empty(), "nothing of it is recorded");
    }
}

#[tokio::test]
async fn an_old_file_is_refused_unless_somebody_knows() {
    let file = file().await;
    let old = super::at_time(&file, now() - 8 * DAY - 60_000);
    let (to, known) = (memory(), May { lose_forgotten: true, be_old: true });
    let may = May { be_old: false, ..known };
    let error = try_import(&*to, &old, may).await.unwrap_err().to_string();
    assert!(error.contains("more than 8 d ago") && error.contains("--old"), "{error}");
    assert!(raw(&*to).await.is_empty());
    try_import(&*to, &old, known).await.unwrap();
    let just = super::at_time(&file, now() - 8 * DAY + 60_000);
    try_import(&*to, &just, may).await.unwrap();
}

/// The forgotten are known by hashes, which only a store with the same key can tell apart.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_forgotten_is_carried_to_a_new_store() {
    let file = file().await;
    let other = memory();
    let error = try_import(&*other, &file, May::default()).await.unwrap_err().to_string();
    assert!(error.contains("1 customers' ids were forgotten"), "{error}");
    assert!(error.contains("--drop-forgotten"), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let secret = Some(check(&*file).unwrap().forgotten_key().unwrap());
    let options = Options { secret, ..Options::default() };
    let new = Embedded::open(dir.path(), &options, Arc::new(WallClock::default())).unwrap();
    try_import(&new, &file, May::default()).await.unwrap();
    let gone = pair(NUMBERS[1], ("15550199009", ""));
    let again = ask(&new, &gone, now(), reply(now() - 2000, true)).await;
    assert_eq!((again.result, again.view.status), (3, 1), "what is delivered again is stale");
    let keys = [&exported(&new).await, &file]
        .map(|file| lines(file)[0]["header"]["forgotten_key"].clone());
    assert_eq!(keys[0], keys[1], "and is once more from there");
}
