//! Every fixture gives what its manifest says: Meta's (`tests/fixtures/meta`) and those made from the
//! traps of its pages (`tests/fixtures/own`). Each is posted to a gate of its own, over a pair with
//! one miss and one request behind it, and then posted again, which changes nothing.

use std::{collections::BTreeMap, fs, path::PathBuf};

use callgate::engine::{
    code::{grant_kind_name, grant_source_name, status_name},
    fact::{CallOutcome, CallReport, Event, Fact, RequestOutcome, RequestReport},
    gate::{Agent, Profiles, RequestQuestion},
    pair::{Pair, PhoneNumberId},
    profile::Profile,
    step::View,
    time::Millis,
};
use reqwest::StatusCode;
use serde_json::Value;

use super::door::{ANA, Door, NUMBER, SECRET, T, at, options, profiles, sign};
use crate::twins::Dice;

const ANA_USER: &str = "US.10000000000000000001";
const DAY: u64 = 24 * 3600;
/// What a fixture needs to have happened before, where its row tells of an end.
const BEFORE: &[(&str, &str)] = &[
    ("06_reply_auto_revoke.json", "01_reply_accept_temporary.json"),
    ("07_reply_user_revoke.json", "01_reply_accept_temporary.json"),
    ("17_bic_terminate_rejected.json", "14_status_rejected.json"),
    ("34_identity_linked_later.json", "32_bsuid_only_accept.json"),
    ("error_138006.json", "01_reply_accept_temporary.json"),
];
/// Index into the quotas of a view.
const WINDOW: usize = 0;
const WEEK: usize = 3;

struct Fixture {
    file: String,
    body: Vec<u8>,
    signature: String,
    expect: Vec<Value>,
}

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name].iter().collect()
}

fn fixtures(name: &str) -> Vec<Fixture> {
    let folder = folder(name);
    let read = |file: &str| fs::read(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    let signatures: Value = match fs::read(folder.join("signatures.json")) {
        Ok(text) => serde_json::from_slice(&text).unwrap(),
        Err(_) => Value::Null,
    };
    let all = manifest["fixtures"].as_array().unwrap().iter().map(|row| {
        let file = row["file"].as_str().unwrap().to_owned();
        let body = read(&file);
        let signature = match signatures["signatures"][&file].as_str() {
            Some(signature) => signature.to_owned(),
            None => sign(SECRET, &body),
        };
        Fixture { file, body, signature, expect: row["expect"].as_array().unwrap().clone() }
    });
    let all: Vec<_> = all.collect();
    let count = fs::read_dir(&folder).unwrap().count();
    let besides = ["manifest.json", "signatures.json"];
    let besides = besides.iter().filter(|file| folder.join(file).exists()).count();
    assert_eq!(all.len(), count - besides, "every file of {name} stands in its manifest");
    all
}

fn all_fixtures() -> Vec<Fixture> {
    fixtures("meta").into_iter().chain(fixtures("own")).collect()
}

impl Fixture {
    async fn post(&self, door: &Door) -> StatusCode {
        let headers = [(callgate::webhook::SIGNATURE_HEADER, &*self.signature)];
        door.post_signed(self.body.clone(), &headers).await
    }

    /// A minute after the newest thing that it tells; the one from the future comes at T.
    fn arrives(&self) -> Millis {
        if self.file.contains("future") {
            return at(T);
        }
        let text = String::from_utf8_lossy(&self.body);
        let Ok(body) = serde_json::from_str::<Value>(&text) else { return at(T) };
        let mut newest = T;
        let mut left = vec![&body];
        while let Some(value) = left.pop() {
            for (key, value) in value.as_object().into_iter().flatten() {
                if matches!(key.as_str(), "timestamp" | "time" | "end_time") {
                    let told = value.as_u64().or_else(|| value.as_str()?.parse().ok());
                    newest = newest.max(told.unwrap_or(0));
                }
                left.push(value);
            }
            left.extend(value.as_array().into_iter().flatten());
        }
        at(newest + 60)
    }

    /// The pair that a row names, else Ana's.
    fn pair(row: &Value) -> (String, String, String) {
        let Some(pair) = row.get("pair") else {
            return (NUMBER.to_owned(), ANA.to_owned(), String::new());
        };
        let id = |key: &str| pair[key].as_str().unwrap_or_default().to_owned();
        (id("phone_number_id"), id("wa_id"), id("user_id"))
    }
}

/// One miss and one request an hour before T, so that what is reset shows.
async fn happen_before(door: &Door) {
    let pair = Pair::parse(NUMBER, ANA, "", "pair").unwrap();
    let miss = CallReport {
        call_id: "before".to_owned(),
        provider_call_id: String::new(),
        outcome: CallOutcome::Unanswered,
        error: 0,
        placed_at: Millis::ZERO,
        answered_at: Millis::ZERO,
        ended_at: Millis::ZERO,
        pstn: false,
    };
    let sent = RequestReport {
        request_id: "before".to_owned(),
        provider_message_id: String::new(),
        outcome: RequestOutcome::Sent,
        known_only: false,
    };
    for fact in [Fact::Call(miss), Fact::Request(sent)] {
        let event = Event {
            event_id: "before".to_owned(),
            pair: pair.clone(),
            occurred_at: at(T - 3600),
            meta_spelling: false,
            fact,
        };
        door.gate.record(event).await.unwrap();
    }
}

fn seconds(row: &Value, key: &str) -> Millis {
    row[key].as_u64().map_or(Millis::ZERO, at)
}

/// Whether the view of Ana's calls is as a row of the manifest says.
fn check_call(row: &Value, event: &str, view: &View) {
    let resets = |key: &str| row[key] == "reset";
    let by_outcome = if row["outcome"] == "answered" { "reset" } else { "unchanged" };
    let streak = match row["streak"].as_str().unwrap_or(by_outcome) {
        "reset" => 0,
        told if told.starts_with("+1 once") => 2,
        _ => 1,
    };
    assert_eq!(view.streak, streak, "streak");
    let used = match row["connected_count"].as_str().unwrap_or("0") {
        told if told.starts_with("+1 once") => 1,
        _ => 0,
    };
    assert_eq!(view.quota_used[WINDOW], used, "calls in window");
    let sets_up = event == "call_ringing" || (event == "call_setup" && row["direction"] != "user");
    assert_eq!(view.quota_held[WINDOW], u32::from(sets_up), "held");
    let requests = u32::from(!resets("request_limits"));
    // An answered call resets the limits of the profile `meta`, whatever a row cares to say.
    if used == 0 || resets("request_limits") {
        assert_eq!(view.quota_used[WEEK], requests, "requests per week");
    }
    if let Some(counted_at) = row["counted_at"].as_u64() {
        let entry = view.entry_quota.iter().position(|quota| *quota == 1).unwrap();
        assert_eq!(view.entry_at[entry], at(counted_at), "when it counts from");
    }
    if row["direction"] == "user" {
        assert_ne!(view.conversation_ends_at, Millis::ZERO, "it opens the conversation window");
    }
    assert_eq!(view.grant_kind, 0, "a call alone gives nothing");
}

async fn check(door: &Door, now: Millis, fixture: &Fixture, row: &Value) {
    let Some(event) = row["event"].as_str() else { return };
    let (number, wa, user) = Fixture::pair(row);
    let view = match event {
        "http_400" | "ignore" | "quarantine" | "identity_linked" => door.ana().await,
        _ => door.view(&number, &wa, &user).await,
    };
    let status = status_name(view.status);
    match event {
        "granted"
            if seconds(row, "expires_at") != Millis::ZERO && seconds(row, "expires_at") <= now =>
        {
            assert_eq!((status, view.grant_kind), ("expired", 0));
        }
        "granted" => {
            assert_eq!(status, "granted");
            assert_eq!(grant_kind_name(view.grant_kind), row["kind"].as_str().unwrap());
            assert_eq!(view.granted_at, seconds(row, "at"));
            assert_eq!(view.expires_at, seconds(row, "expires_at"));
            let source = match row["path"].as_str() {
                Some("callback") => "inbound_call",
                Some("profile") => "business_profile",
                _ => "request",
            };
            assert_eq!(grant_source_name(view.grant_source), source);
        }
        "denied" => assert_eq!(status, "rejected"),
        "revoked" if row["by"] == "meta" => {
            assert_eq!((status, view.streak), ("auto_revoked", 0));
        }
        "revoked" => assert_eq!(status, "revoked"),
        "inbound_message" => {
            assert_eq!((status, view.grant_kind), ("pending", 0), "the request from before");
            assert!(now < view.conversation_ends_at);
        }
        "identity_linked" => {
            let (wa, user) = (row["wa_id"].as_str().unwrap(), row["user_id"].as_str().unwrap());
            for view in [door.view(NUMBER, wa, "").await, door.view(NUMBER, "", user).await] {
                assert_eq!((&*view.wa_id, &*view.user_id), (wa, user));
                assert_eq!(status_name(view.status), "granted");
            }
        }
        "quarantine" => {
            let count = row["count"].as_u64().unwrap_or(1);
            let kept = door.quarantined().await;
            assert_eq!(kept.len() as u64, count, "{kept:?}");
            assert!(kept.iter().all(|entry| !entry.reason.is_empty() && entry.id.len() == 64));
            if fixture.expect.len() == 1 {
                assert_eq!(view.grant_kind, 0);
            }
        }
        "ignore" => {
            assert_eq!((status, view.revision), ("pending", 2), "only what was before");
            let other = door.view("899999999999999", ANA, "").await;
            assert_eq!((status_name(other.status), other.revision), ("none", 0));
        }
        "number_restricted" | "requests_restricted" => {
            // It names the display number only, and waits until its id is known.
            assert_eq!(door.number(NUMBER).await.pause, 0);
            let seen = fs::read(folder("meta").join("36_unrelated_text_nonascii.json")).unwrap();
            assert_eq!(door.post(seen).await, StatusCode::OK);
            let facts = door.number(NUMBER).await;
            let (pause, until) = match event {
                "number_restricted" => (facts.pause, facts.paused_until),
                _ => (facts.request_pause, facts.requests_paused_until),
            };
            assert_eq!((pause, until), (2, seconds(row, "until")));
            assert_eq!(facts.display, "15550100001");
        }
        "number_settings" => {
            let facts = door.number(row["phone_number_id"].as_str().unwrap()).await;
            let told = |key: &str| row[key].as_bool().map_or(0, |yes| 1 + u8::from(yes));
            assert_eq!(facts.inbound_call_grants, told("callback_permission"));
            assert_eq!(facts.calling, told("calling"));
        }
        "request_status" => assert_eq!(view.revision, 2, "of an unknown request it means nothing"),
        "http_400" => assert_eq!(view.revision, 2),
        _ if event.starts_with("call_") => check_call(row, event, &view),
        _ => panic!("the manifest has a word that this test does not know: {event}"),
    }
}

/// Everything that can be seen of the customers and numbers of the fixtures, now and as of several
/// instants of their story, however it came about.
async fn state(door: &Door) -> BTreeMap<String, String> {
    let was = ["15550199001", "15550199002", "15550199077", "5511987654321"].map(|wa| (wa, ""));
    let users = [ANA_USER, "US.10000000000000000002", "US.10000000000000000077"].map(|id| ("", id));
    let mut state = BTreeMap::new();
    for number in [NUMBER, "800000000000002", "899999999999999"] {
        state.insert(number.to_owned(), format!("{:?}", door.number(number).await));
        for ((wa, user), as_of) in was.iter().chain(&users).flat_map(|id| {
            [0, T + 350, T + 950, T + 3100, T + 8600, T + 86_500].map(|as_of| (id, as_of))
        }) {
            let pair = Pair::parse(number, wa, user, "pair").unwrap();
            let answer = door.gate.permission(pair, at(as_of)).await.unwrap();
            let view = View { revision: 0, ..answer.reply.view };
            state.insert(format!("{number} {wa}{user} as of {as_of}"), format!("{view:?}"));
        }
    }
    for entry in door.quarantined().await {
        state.insert(entry.id, format!("{} {} {}", entry.field, entry.reason, entry.change));
    }
    state
}

fn body_of(file: &str) -> Vec<u8> {
    fs::read(folder("meta").join(file)).unwrap()
}

#[tokio::test]
async fn every_fixture_gives_what_its_manifest_says_and_again_changes_nothing() {
    for fixture in all_fixtures() {
        println!("{}", fixture.file);
        let door = match fixture.file.contains("unknown_phone_number_id") {
            true => {
                let mut named = Profiles::new(Profile::meta());
                named.name_number(PhoneNumberId::parse(NUMBER, "").unwrap(), None);
                Door::over(named, options(), |memory| memory).await
            }
            false => Door::over(profiles(), options(), |memory| memory).await,
        };
        let now = fixture.arrives();
        door.clock.set(now);
        // It is older than that.
        if !fixture.file.contains("expired_on_arrival") {
            happen_before(&door).await;
        }
        for (_, before) in BEFORE.iter().filter(|(file, _)| *file == fixture.file) {
            assert_eq!(door.post(body_of(before)).await, StatusCode::OK);
        }
        let is_json = !fixture.file.ends_with(".txt");
        let answer = if is_json { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(fixture.post(&door).await, answer);
        for row in &fixture.expect {
            check(&door, now, &fixture, row).await;
        }
        let once = (state(&door).await, door.ana().await.revision);
        for _ in 0..2 {
            assert_eq!(fixture.post(&door).await, answer);
        }
        assert_eq!((state(&door).await, door.ana().await.revision), once, "again");
    }
}

#[tokio::test]
async fn all_fixtures_in_any_order_and_number_give_one_state() {
    let mut dice = Dice::throw();
    let mut first = None;
    for round in 0..6 {
        let mut deck: Vec<_> = all_fixtures().into_iter().chain(all_fixtures()).collect();
        if round > 0 {
            dice.shuffle(&mut deck);
        }
        let door = Door::open().await;
        door.clock.set(at(T + 2 * DAY));
        for fixture in &deck {
            let answer = fixture.post(&door).await;
            assert_eq!(
                answer == StatusCode::OK,
                !fixture.file.ends_with(".txt"),
                "{}",
                fixture.file
            );
        }
        let state = state(&door).await;
        match &first {
            None => {
                let shows = |what: &str| state.values().any(|seen| seen.contains(what));
                assert!(shows("grant_kind: 2") && shows("grant_kind: 1") && shows("streak: 2"));
                assert!(shows("quota_used: [6, 0, 0, 0]"), "every answered call once");
                first = Some(state);
            }
            Some(first) => assert_eq!(&state, first, "round {round}"),
        }
    }
}

#[tokio::test]
async fn a_status_tells_of_a_request_that_is_known_by_the_id_attached_to_it() {
    for (file, status, valid_until, used) in [
        ("25_request_status_sent.json", "pending", at(T + 1 + 7 * DAY), 1),
        ("26_request_status_delivered.json", "pending", at(1_795_435_203), 1),
        ("28_request_status_failed_131026.json", "none", Millis::ZERO, 1),
    ] {
        let door = Door::open().await;
        let question = RequestQuestion {
            pair: Pair::parse(NUMBER, ANA, "", "pair").unwrap(),
            agent: Agent::default(),
            request_id: "req-0001".to_owned(),
            replace_permission: false,
        };
        door.gate.authorize_request(question).await.unwrap();
        door.clock.set(at(T + 60));
        assert_eq!(door.post(body_of(file)).await, StatusCode::OK);
        let view = door.ana().await;
        assert_eq!((status_name(view.status), view.valid_until), (status, valid_until), "{file}");
        assert_eq!((view.quota_used[WEEK], view.quota_held[WEEK]), (used, 0), "{file}");
    }
}
