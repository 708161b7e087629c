//! What every store must do, whatever it is made of. Each test of a store calls [`all`].

use std::{collections::HashSet, sync::Arc};

use callgate::engine::{
    Error,
    fact::{CallOutcome, CallReport, Fact, NumberReport, Reply as PermissionReply, Told},
    pair::{Pair, PhoneNumberId},
    profile::Profile,
    step::{Command, NumberStep, Reply, Step},
    store::{QUARANTINE_AGE_MAX, QUARANTINE_COUNT_MAX, Quarantined, Store, partition_of},
    time::{Clock as _, Millis, WallClock},
};

/// The start of this UTC day: tests name their instants by it. Near the present, since Redis lets
/// keys expire by its own clock, whatever `now` a test passes; on a whole day, so that a seed plays
/// the same again.
pub fn t() -> u64 {
    const DAY: u64 = 24 * 3_600_000;
    WallClock::default().now().0 / DAY * DAY
}

/// Runs the whole suite. The store must be fresh.
pub async fn all(store: Arc<dyn Store>) {
    of_customers(&store).await;
    a_number_keeps_its_newest_facts(&*store).await;
    a_report_by_display_waits_for_the_id(&*store).await;
    of_two_owners_at_one_instant_the_larger_wins(&*store).await;
    what_is_told_by_display_is_its_owners_of_that_time(&*store).await;
    quarantine_is_bounded(&*store).await;
    what_was_kept_for_a_month_is_gone(&*store).await;
    the_clock_runs(&*store).await;
}

/// What it must do whatever it keeps in place of ids.
pub async fn of_customers(store: &Arc<dyn Store>) {
    a_denial_leaves_nothing(&**store).await;
    facts_are_joined_once(&**store).await;
    racers_get_exactly_the_limit(store).await;
    many_pairs_are_read_at_once(&**store).await;
    the_forgotten_do_not_come_back(&**store).await;
    forgetting_finds_what_is_kept_aside(&**store).await;
}

/// A pair on a number of its own, so that tests do not meet.
pub fn pair(number: u32, wa_id: &str, user_id: &str) -> Pair {
    Pair::parse(&format!("8{number:014}"), wa_id, user_id, "pair").unwrap()
}

/// One step at a given instant.
pub async fn apply(store: &dyn Store, pair: &Pair, now: u64, command: Command) -> Reply {
    let profile = Profile::atom();
    let step = Step { pair, command, profile: &profile, now: Millis(now) };
    store.apply(step).await.unwrap()
}

/// An ACCEPT or REJECT by the customer's own hand.
pub fn reply(at: u64, accept: bool) -> Command {
    let reply = PermissionReply {
        accept,
        permanent: false,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    };
    Command::Record {
        at: Millis(at),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::Reply(reply),
    }
}

/// May this attempt be placed?
pub fn authorize(own: &str) -> Command {
    Command::AuthorizeCall { own_id: own.to_owned(), lease: 0 }
}

const ALLOW: u8 = 1;
const RECORDED: u8 = 1;
const DUPLICATE: u8 = 2;
const STALE: u8 = 3;
const GRANTED: u8 = 3;
const NONE: u8 = 1;

async fn a_denial_leaves_nothing(store: &dyn Store) {
    let pair = pair(1, "15550199001", "");
    let denied = apply(store, &pair, t(), authorize("c1")).await;
    assert_eq!((denied.decision, denied.reason), (2, 10), "{denied:?}");
    assert_eq!(store.raw(&pair.number, &pair.customer).await.unwrap(), (None, None));
}

async fn facts_are_joined_once(store: &dyn Store) {
    let pair = pair(2, "15550199001", "US.1000");
    let first = apply(store, &pair, t(), reply(t(), true)).await;
    assert_eq!((first.result, first.view.status), (RECORDED, GRANTED));
    let before = store.raw(&pair.number, &pair.customer).await.unwrap();
    assert!(before.0.is_some() && before.1.is_some(), "both ids keep their bond");
    let again = apply(store, &pair, t() + 1, reply(t(), true)).await;
    assert_eq!((again.result, again.view.revision), (DUPLICATE, first.view.revision));
    assert_eq!(store.raw(&pair.number, &pair.customer).await.unwrap(), before);
}

/// 64 clients race for the five slots of one pair.
async fn racers_get_exactly_the_limit(store: &Arc<dyn Store>) {
    let racing = pair(3, "15550199003", "");
    apply(&**store, &racing, t(), reply(t(), true)).await;
    let racers = (0..64).map(|n| {
        let (store, racing) = (Arc::clone(store), racing.clone());
        tokio::spawn(async move {
            apply(&*store, &racing, t() + 1000, authorize(&format!("racer-{n}"))).await.decision
        })
    });
    let mut allowed = 0;
    for racer in racers.collect::<Vec<_>>() {
        allowed += u32::from(racer.await.unwrap() == ALLOW);
    }
    assert_eq!(allowed, Profile::atom().calls_per_window);
}

async fn many_pairs_are_read_at_once(store: &dyn Store) {
    let pairs: Vec<Pair> =
        (0..300).map(|n| pair(100 + n % 7, &format!("1555019{n:04}"), "")).collect();
    for granted in pairs.iter().step_by(3) {
        apply(store, granted, t(), reply(t(), true)).await;
    }
    let profile = Profile::atom();
    let steps = pairs
        .iter()
        .map(|pair| Step { pair, command: Command::Check {}, profile: &profile, now: Millis(t()) })
        .collect();
    let replies = store.read(steps).await;
    assert_eq!(replies.len(), pairs.len());
    for (n, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply.unwrap().decision == ALLOW, n % 3 == 0, "pair {n}");
    }
}

/// What hangs on the interpreter that runs the rulebook. Each call is told of by our id alone, and then by
/// both: that is two rows.
pub async fn a_record_is_full_at_its_bound_and_not_before(store: &dyn Store) {
    let pair = pair(29, "15550199029", "");
    let call = |n: u64, provider: String, outcome| Command::Record {
        at: Millis(t() + n),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::Call(CallReport {
            call_id: format!("own-{n}"),
            provider_call_id: provider,
            outcome,
            error: 0,
            placed_at: Millis::ZERO,
            answered_at: Millis::ZERO,
            ended_at: Millis::ZERO,
            pstn: false,
        }),
    };
    for n in 0..512 {
        let begun = call(n, String::new(), CallOutcome::Ringing);
        assert_eq!(apply(store, &pair, t() + n, begun).await.result, RECORDED, "{n}");
        let ended = call(n, format!("wacid.{n}"), CallOutcome::Answered);
        assert_eq!(apply(store, &pair, t() + n, ended).await.result, RECORDED, "{n}");
    }
    let one_more = call(512, String::new(), CallOutcome::Ringing);
    assert_eq!(apply(store, &pair, t() + 512, one_more).await.refused, "full");
    let known = call(7, "wacid.7".to_owned(), CallOutcome::Answered);
    assert_eq!(apply(store, &pair, t() + 513, known).await.result, DUPLICATE);
}

async fn a_number_keeps_its_newest_facts(store: &dyn Store) {
    let pair = pair(4, "15550199001", "");
    let number = &pair.number;
    let report = |at, pause| NumberReport { at: Millis(at), pause, ..NumberReport::default() };
    let step = |report| NumberStep { number, report, now: Millis(t()) };
    let paused = store.number(step(Some(report(t() - 5, Told::Yes)))).await.unwrap();
    assert_eq!((paused.changed, paused.number.pause), (1, 2));
    let older = store.number(step(Some(report(t() - 9, Told::No)))).await.unwrap();
    assert_eq!((older.changed, older.number.pause), (0, 2));
    let known = apply(store, &pair, t(), authorize("c1")).await;
    assert_eq!(known.reason, 23, "the pause is read in the same step");
    let resumed = store.number(step(Some(report(t() - 1, Told::No)))).await.unwrap();
    assert_eq!((resumed.changed, resumed.number.pause), (1, 1));
    assert_eq!(store.number(step(None)).await.unwrap().number, resumed.number);
}

async fn a_report_by_display_waits_for_the_id(store: &dyn Store) {
    let number = PhoneNumberId::parse("900000000000005", "number").unwrap();
    let now = store.now().await.unwrap();
    let report = NumberReport { at: now, calling: Told::No, ..NumberReport::default() };
    let known = store.report_by_display("15550100005", report.clone()).await.unwrap();
    assert_eq!(known, None);
    store.learn_display("15550100005", &number, now).await.unwrap();
    let step = NumberStep { number: &number, report: None, now: Millis::ZERO };
    assert_eq!(store.number(step).await.unwrap().number.calling, 1, "what waited has arrived");
    let known = store.report_by_display("15550100005", report).await.unwrap();
    assert_eq!(known, Some(number));
}

/// Whichever is told first.
async fn of_two_owners_at_one_instant_the_larger_wins(store: &dyn Store) {
    let now = store.now().await.unwrap();
    let [smaller, larger] = ["900000000000012", "900000000000013"]
        .map(|number| PhoneNumberId::parse(number, "number").unwrap());
    let orders = [("15550100012", [&smaller, &larger]), ("15550100013", [&larger, &smaller])];
    for (display, order) in orders {
        for owner in order {
            store.learn_display(display, owner, now).await.unwrap();
        }
        let report = NumberReport { at: now, calling: Told::No, ..NumberReport::default() };
        let owner = store.report_by_display(display, report).await.unwrap();
        assert_eq!(owner.as_ref(), Some(&larger), "{display}");
    }
}

/// Whatever order it is told in. The last of these has it back.
async fn what_is_told_by_display_is_its_owners_of_that_time(store: &dyn Store) {
    let now = store.now().await.unwrap().0;
    let paused = |ago: u64| NumberReport {
        at: Millis(now - ago),
        pause: Told::Yes,
        ..NumberReport::default()
    };
    // What is told (None: a pause), how long ago; and whose the pause is in the end: N1's, N2's. What was
    // told of the one who seemed to have it stays told.
    type Story = [(Option<usize>, u64)];
    let cases: [(&Story, [bool; 2]); 7] = [
        (&[(None, 400), (Some(0), 100)], [true, false]),
        (&[(Some(0), 300), (None, 200), (Some(1), 100)], [true, true]),
        (&[(Some(0), 150), (None, 200), (Some(1), 100)], [true, false]),
        (&[(Some(1), 100), (Some(0), 150), (None, 200)], [false, false]),
        (&[(Some(0), 500), (None, 50), (Some(1), 100)], [true, true]),
        (&[(Some(1), 100), (Some(0), 500), (None, 50)], [false, true]),
        (&[(Some(0), 300), (Some(1), 200), (Some(0), 100), (None, 50)], [true, false]),
    ];
    for (n, (told, whose)) in cases.iter().enumerate() {
        let display = format!("155501001{n:02}");
        let numbers = [1, 2].map(|owner| format!("9000000000{owner}{n:04}"));
        let numbers = numbers.map(|number| PhoneNumberId::parse(&number, "number").unwrap());
        for (owner, ago) in *told {
            match owner {
                Some(owner) => {
                    let at = Millis(now - ago);
                    store.learn_display(&display, &numbers[*owner], at).await.unwrap();
                }
                None => drop(store.report_by_display(&display, paused(*ago)).await.unwrap()),
            }
        }
        for (number, is_paused) in std::iter::zip(&numbers, whose) {
            let step = NumberStep { number, report: None, now: Millis::ZERO };
            let facts = store.number(step).await.unwrap().number;
            assert_eq!(facts.pause == 2, *is_paused, "case {n}: {told:?}, {number}");
        }
    }
}

async fn the_forgotten_do_not_come_back(store: &dyn Store) {
    let pair = pair(6, "15550199006", "US.6000");
    let now = store.now().await.unwrap().0;
    apply(store, &pair, now, reply(now - 1000, true)).await;
    let partition = partition_of(&pair.number, store.partitions());
    assert!(store.numbers(partition).await.unwrap().contains(&pair.number));
    assert!(store.forget(&pair.number, &pair.customer, &Profile::atom()).await.unwrap());
    assert_eq!(store.raw(&pair.number, &pair.customer).await.unwrap(), (None, None));
    let redelivered = apply(store, &pair, now, reply(now - 1000, true)).await;
    assert_eq!((redelivered.result, redelivered.view.status), (STALE, NONE));
    assert!(
        !store.forget(&pair.number, &pair.customer, &Profile::atom()).await.unwrap(),
        "nothing was left"
    );
    let later = store.now().await.unwrap().0 + 1;
    let anew = apply(store, &pair, later, reply(later, true)).await;
    assert_eq!((anew.result, anew.view.status), (RECORDED, GRANTED));
}

fn kept(n: usize, number: &str) -> Quarantined {
    Quarantined {
        id: format!("{n:064x}"),
        reason: "test".to_owned(),
        received_at: Millis(t() + n as u64),
        field: "messages".to_owned(),
        phone_number_id: number.to_owned(),
        change: format!("{{\"n\":{n}}}"),
    }
}

async fn quarantine_is_bounded(store: &dyn Store) {
    let number = "800000000000007";
    let now = store.now().await.unwrap();
    for n in 0..QUARANTINE_COUNT_MAX + 5 {
        let entry =
            Quarantined { received_at: Millis(now.0 - 100_000 + n as u64), ..kept(n, number) };
        store.quarantine(entry).await.unwrap();
    }
    let all = store.quarantined(usize::MAX).await.unwrap();
    assert_eq!(all.len(), QUARANTINE_COUNT_MAX, "the oldest go");
    assert_eq!(store.quarantine_size().await.unwrap(), all.len() as u64);
    assert_eq!(all[0].id, kept(5, number).id, "oldest first");
    let ids: HashSet<&str> = all.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids.len(), all.len());
    let one = &all[7];
    assert_eq!(store.quarantined_by_id(&one.id).await.unwrap().as_ref(), Some(one));
    store.release_quarantined(&one.id).await.unwrap();
    assert_eq!(store.quarantined_by_id(&one.id).await.unwrap(), None);
    assert_eq!(store.quarantined(3).await.unwrap().len(), 3);
}

async fn what_was_kept_for_a_month_is_gone(store: &dyn Store) {
    let now = store.now().await.unwrap().0;
    let [over, kept] = [(92_000, 0), (92_001, 60_000)].map(|(n, younger)| Quarantined {
        received_at: Millis(now - QUARANTINE_AGE_MAX + younger),
        ..kept(n, "800000000000014")
    });
    store.quarantine(over.clone()).await.unwrap();
    store.quarantine(kept.clone()).await.unwrap();
    let listed = store.quarantined(usize::MAX).await.unwrap();
    assert!(listed.contains(&kept) && !listed.contains(&over));
    assert_eq!(store.quarantine_size().await.unwrap(), listed.len() as u64);
    assert_eq!(store.quarantined(1).await.unwrap(), std::slice::from_ref(&kept));
    assert_eq!(store.quarantined_by_id(&over.id).await.unwrap(), None);
    store.release_quarantined(&kept.id).await.unwrap();
}

/// Nothing was recorded on this number, so that only the quarantine knows it.
async fn forgetting_finds_what_is_kept_aside(store: &dyn Store) {
    let number = PhoneNumberId::parse("800000000000009", "number").unwrap();
    let forgotten = pair(9, "15550199009", "US.9000");
    let now = store.now().await.unwrap();
    let aside = [
        (1, number.as_str(), r#"{"from":"15550199009"}"#, false),
        (2, number.as_str(), r#"{"user_id":"US.9000"}"#, false),
        (3, number.as_str(), r#"{"user_id":"US.90001"}"#, true),
        (4, number.as_str(), r#"{"id":"wacid.15550199009","from":"155501990091"}"#, true),
        (5, "800000000000010", r#"{"from":"15550199009"}"#, true),
    ];
    let id = |n: usize| kept(90_000 + n, "").id;
    for (n, number, change, _) in aside {
        let change = change.to_owned();
        let entry = Quarantined { received_at: now, change, ..kept(90_000 + n, number) };
        store.quarantine(entry).await.unwrap();
    }
    let partition = partition_of(&number, store.partitions());
    assert!(store.numbers(partition).await.unwrap().contains(&number), "it is looked at");
    assert!(store.forget(&number, &forgotten.customer, &Profile::atom()).await.unwrap());
    for (n, _, change, stays) in aside {
        let found = store.quarantined_by_id(&id(n)).await.unwrap();
        assert_eq!(found.is_some(), stays, "{change}");
        store.release_quarantined(&id(n)).await.unwrap();
    }
    a_linked_id_is_found_without_a_number(store, now).await;
}

async fn a_linked_id_is_found_without_a_number(store: &dyn Store, now: Millis) {
    let linked = pair(11, "15550199011", "US.1100");
    apply(store, &linked, now.0, reply(now.0 - 1000, true)).await;
    let change = r#"{"user_id":"US.1100"}"#.to_owned();
    let unfiled = Quarantined { received_at: now, change, ..kept(91_000, "") };
    store.quarantine(unfiled.clone()).await.unwrap();
    let asked = pair(11, "15550199011", "").customer;
    assert!(store.forget(&linked.number, &asked, &Profile::atom()).await.unwrap());
    assert_eq!(store.quarantined_by_id(&unfiled.id).await.unwrap(), None);
}

async fn the_clock_runs(store: &dyn Store) {
    let pair = pair(8, "15550199008", "");
    let profile = Profile::atom();
    let before = store.now().await.unwrap();
    let step =
        Step { pair: &pair, command: Command::Check {}, profile: &profile, now: Millis::ZERO };
    let reply = store.apply(step).await.unwrap();
    assert!(before <= reply.now && reply.now <= store.now().await.unwrap());
    let wrong = Step {
        pair: &pair,
        command: Command::View { as_of: Millis(1) },
        profile: &profile,
        now: Millis::ZERO,
    };
    match store.apply(wrong).await {
        Ok(reply) => assert_eq!(reply.refused, "invalid"),
        Err(Error::Invalid { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}
