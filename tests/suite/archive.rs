//! Export and import: what goes to another store is the same there, joins what is there already as
//! events do, and brings nobody back who was forgotten.
//!
//! The seed is printed; `CALLGATE_SEED=…` plays one again.

pub(crate) mod bare;
mod files;
mod slow;

use std::{path::Path, sync::Arc};

use callgate::{
    archive::{
        export::export,
        import::{Joined, May, check},
    },
    engine::{
        Result,
        archive::Archive,
        change::Change,
        code::{decision, status},
        fact::{NumberReport, Told},
        gate::Profiles,
        pair::{Pair, PhoneNumberId},
        profile::Profile,
        step::{Command, NumberStep, Reply, Step},
        store::{QUARANTINE_COUNT_MAX, Quarantined, Store, partition_of},
        time::{Clock, ManualClock, Millis, WallClock},
    },
    store::{
        codec::record_to_json,
        embedded::{Embedded, Options},
    },
};

use crate::{
    conformance::{authorize, reply},
    rulebook::NAMES,
    support::tally,
    twins::{self, Dice, fact, is_free_of_order},
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
const NUMBERS: [&str; 3] = ["800000000000001", "800000000000002", "800000000000003"];

fn memory() -> Arc<Embedded> {
    Arc::new(Embedded::memory(Arc::new(WallClock::default())).unwrap())
}

fn memory_at(now: u64) -> (Arc<Embedded>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Millis(now)));
    (Arc::new(Embedded::memory(Arc::clone(&clock) as _).unwrap()), clock)
}

fn now() -> u64 {
    WallClock::default().now().0
}

fn profiles() -> Profiles {
    Profiles::new(Profile::atom())
}

async fn exported(store: &dyn Archive) -> Vec<u8> {
    let mut file = Vec::new();
    export(store, &mut file, &mut |_| {}).await.unwrap();
    file
}

async fn try_import(store: &dyn Archive, file: &[u8], may: May) -> Result<Joined> {
    let checked = check(file)?;
    checked.refuse(store, may).await?;
    checked.join(file, store, &profiles(), &mut |_| {}).await
}

/// Into a store that may have a key of its own.
async fn import(store: &dyn Archive, file: &[u8]) -> Joined {
    try_import(store, file, May { lose_forgotten: true, be_old: false }).await.unwrap()
}

fn pair(number: &str, (wa, user): (&str, &str)) -> Pair {
    Pair::parse(number, wa, user, "").unwrap()
}

async fn ask(store: &dyn Store, pair: &Pair, now: u64, command: Command) -> Reply {
    let profile = Profile::atom();
    store.apply(Step { pair, command, profile: &profile, now: Millis(now) }).await.unwrap()
}

/// What is answered of a pair at some instants: as of then, and on asking for a call.
async fn seen_of(store: &dyn Store, pair: &Pair, now: u64) -> Vec<Reply> {
    let mut all = Vec::new();
    for later in [0, 1, HOUR, 25 * HOUR, 8 * DAY] {
        for command in [Command::View { as_of: Millis::ZERO }, Command::Check {}] {
            let mut reply = ask(store, pair, now + later, command).await;
            reply.view.revision = 0;
            all.push(reply);
        }
    }
    all
}

/// The same of everybody.
async fn seen(store: &dyn Store, now: u64) -> Vec<Reply> {
    let mut all = Vec::new();
    for number in NUMBERS {
        for names in NAMES {
            all.extend(seen_of(store, &pair(number, names), now).await);
        }
    }
    all
}

/// Asks the same of everybody in both stores. Where a question names two ids that are not one customer's
/// it is answered as if they were from now on, and what was folded under each cannot be put in order
/// again: then nothing is allowed that was not.
async fn assert_seen_alike(to: &dyn Store, from: &dyn Store, now: u64) {
    for number in NUMBERS {
        for names in NAMES {
            let asked = pair(number, names);
            let (there, here) = (seen_of(to, &asked, now).await, seen_of(from, &asked, now).await);
            if is_one(from, number, names, now).await {
                assert_eq!(there, here, "{number} {names:?}");
            }
            for (there, here) in std::iter::zip(there, here) {
                assert!(is_no_wider(&there, &here), "{number} {names:?}: {there:?} {here:?}");
            }
        }
    }
}

/// Whether these name one customer, as far as a store knows.
async fn is_one(store: &dyn Store, number: &str, (wa, user): (&str, &str), now: u64) -> bool {
    let look = Command::View { as_of: Millis::ZERO };
    wa.is_empty()
        || user.is_empty()
        || ask(store, &pair(number, (wa, "")), now, look).await.view.user_id == user
}

fn is_no_wider(there: &Reply, here: &Reply) -> bool {
    there.decision != decision::ALLOW || here.decision == decision::ALLOW
}

/// The bytes of everybody's records, and what they say.
async fn raw(store: &dyn Store) -> Vec<String> {
    let mut all = Vec::new();
    for number in NUMBERS {
        for names in NAMES {
            let pair = pair(number, names);
            let (wa, user) = store.raw(&pair.number, &pair.customer).await.unwrap();
            for bytes in [wa, user].into_iter().flatten() {
                let says = record_to_json(&bytes).unwrap();
                all.push(format!("{number} {names:?} {} {says}", hex::encode(bytes)));
            }
        }
    }
    all
}

fn assert_same(left: &[String], right: &[String], what: &str) {
    for (a, b) in std::iter::zip(left, right) {
        assert_eq!(a.split_once('{'), b.split_once('{'), "{what}");
    }
    assert_eq!(left, right, "{what}");
}

/// Commands of every kind, up to some time before `end`, so that no window or horizon passes one of
/// them just when a test looks; settings of numbers among them.
async fn live(store: &dyn Store, dice: &mut Dice, count: usize, end: u64) {
    let end = end - 20 * 60_000 - dice.below(60_000);
    let pauses: Vec<u64> = (0..count).map(|_| twins::pause(dice)).collect();
    let mut now = end - pauses.iter().sum::<u64>();
    for pause in pauses {
        now += pause;
        let pair = pair(dice.pick::<&str>(&NUMBERS), *dice.pick(&NAMES));
        if dice.below(20) == 0 {
            let report = NumberReport {
                at: Millis(now - dice.below(1000)),
                pause: *dice.pick(&[Told::Not, Told::No, Told::Yes]),
                paused_until: Millis(now + dice.below(DAY)),
                inbound_call_grants: *dice.pick(&[Told::Not, Told::No, Told::Yes]),
                calling: *dice.pick(&[Told::Not, Told::Yes]),
                ..NumberReport::default()
            };
            let step = NumberStep { number: &pair.number, report: Some(report), now: Millis(now) };
            store.number(step).await.unwrap();
            continue;
        }
        ask(store, &pair, now, twins::command(dice, now)).await;
    }
}

/// Events as they may come in any order, all within the horizon: on whom, when, what.
fn events(dice: &mut Dice, now: u64, count: usize) -> Vec<(Pair, Command)> {
    let mut events = Vec::new();
    for _ in 0..count {
        let names = if dice.below(2) == 0 { &NAMES[..] } else { &NAMES[..2] };
        let span = *dice.pick(&[4, 6 * DAY / 1000]);
        let at = now - dice.below(span) * 1000 - dice.below(2);
        let fact = fact(dice, now);
        if is_free_of_order(&fact) {
            let spelled = String::new();
            let command =
                Command::Record { at: Millis(at), spelled, event_id: String::new(), fact };
            events.push((pair(NUMBERS[0], *dice.pick(names)), command));
        }
    }
    events
}

/// As a pair is named in [`NAMES`].
fn names(pair: &Pair) -> (&str, &str) {
    let wa = pair.customer.wa().map_or("", |wa| wa.key());
    (wa, pair.customer.user().map_or("", |user| user.as_str()))
}

async fn tell(store: &dyn Store, now: u64, events: &[(Pair, Command)]) {
    for (pair, command) in events {
        ask(store, pair, now, command.clone()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_another_store_is_the_same_there() {
    let mut dice = Dice::throw();
    for _ in 0..20 {
        let end = now();
        let from = memory();
        live(&*from, &mut dice, 120, end).await;
        let file = exported(&*from).await;
        let to = memory();
        let joined = import(&*to, &file).await;
        assert!(joined.changed > 0 && joined.forgotten == 0, "{joined:?}");
        let later = now();
        // What time had changed before the export is told there in the import.
        assert_seen_alike(&*to, &*from, later).await;
        let before = raw(&*to).await;
        let again = import(&*to, &file).await;
        assert_eq!(again.changed, 0, "{again:?}");
        assert_same(&raw(&*to).await, &before, "a second import changes nothing");
    }
    tally::count("histories taken to another store", 20);
}

/// Some of the events are told here, some there, some in both; each joins the other.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_as_if_all_were_told_here() {
    let mut dice = Dice::throw();
    for n in 0..150 {
        let now = now();
        let all = events(&mut dice, now, 14);
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for event in &all {
            let which = dice.below(3);
            if which != 0 {
                here.push(event.clone());
            }
            if which != 1 {
                there.push(event.clone());
            }
        }
        dice.shuffle(&mut here);
        let [one, other, whole] = [memory(), memory(), memory()];
        tell(&*one, now, &here).await;
        tell(&*other, now, &there).await;
        tell(&*whole, now, &all).await;
        let (of_one, of_other) = (exported(&*one).await, exported(&*other).await);
        import(&*one, &of_other).await;
        import(&*other, &of_one).await;
        let expected = seen(&*whole, now).await;
        assert!(seen(&*one, now).await == expected, "history {n}: {here:#?} joined {there:#?}");
        assert!(seen(&*other, now).await == expected, "history {n}: {there:#?} joined {here:#?}");
    }
    tally::count("histories split between two stores and joined", 150);
}

/// Whatever is joined in whatever order, nothing is allowed that all facts together forbid: also of
/// calls that were summed up on either side.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_no_outlives_an_older_backup() {
    let now = now();
    let (store, _) = memory_at(now);
    let pair = pair(NUMBERS[0], NAMES[0]);
    ask(&*store, &pair, now - 2 * DAY, reply(now - 2 * DAY, true)).await;
    let backup = exported(&*store).await;
    ask(&*store, &pair, now - DAY, reply(now - DAY, false)).await;
    let newer = exported(&*store).await;
    assert_eq!(import(&*store, &backup).await.changed, 0);
    assert_eq!(ask(&*store, &pair, now, authorize("c1")).await.reason, 13);
    for files in [[&backup, &newer], [&newer, &backup]] {
        let (other, _) = memory_at(now);
        for file in files {
            import(&*other, file).await;
        }
        let denied = ask(&*other, &pair, now, authorize("c1")).await;
        assert_eq!((denied.decision, denied.reason), (2, 13), "{denied:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_call_stays_held() {
    let now = now();
    let (store, _) = memory_at(now);
    let pair = pair(NUMBERS[0], NAMES[0]);
    ask(&*store, &pair, now, reply(now - DAY, true)).await;
    let held = ask(&*store, &pair, now, authorize("c1")).await;
    let (other, _) = memory_at(now + 1000);
    import(&*other, &exported(&*store).await).await;
    let again = ask(&*other, &pair, now + 1000, authorize("c1")).await;
    assert_eq!((again.replayed, again.lease_expires_at), (1, held.lease_expires_at), "{again:?}");
}

/// A call so old that an import sums it up is all that is known: a second import brings no news.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_sums_up_is_kept() {
    let now = now();
    let (store, _) = memory_at(now - 20 * DAY);
    let pair = pair(NUMBERS[0], NAMES[0]);
    ask(&*store, &pair, now - 20 * DAY, missed("c1", now - 20 * DAY)).await;
    let file = at_time(&exported(&*store).await, now);
    let (other, _) = memory_at(now);
    assert_eq!(import(&*other, &file).await.changed, 1);
    let view = ask(&*other, &pair, now, Command::View { as_of: Millis::ZERO }).await.view;
    assert_eq!(view.streak, 1, "{view:?}");
    assert_eq!(import(&*other, &file).await.changed, 0);
}

/// Of a customer with two ids whose calls, told under either in turn, were never summed up.
#[tokio::test(flavor = "multi_thread")]
async fn misses_under_two_ids_are_walked_together() {
    let now = now();
    let (store, _) = memory_at(now - 60 * DAY);
    let at = |n: u64| now - 60 * DAY + n * 60_000;
    let both = pair(NUMBERS[0], ("15550199001", "US.1000"));
    let (wa, user) = (pair(NUMBERS[0], ("15550199001", "")), pair(NUMBERS[0], ("", "US.1000")));
    ask(&*store, &both, at(0), reply(at(0), true)).await;
    for n in 1..=4 {
        let command = missed(&format!("c{n}"), at(n));
        ask(&*store, if n % 2 == 0 { &wa } else { &user }, at(n), command).await;
    }
    let (other, _) = memory_at(now);
    let mut file = exported(&*store).await;
    file = at_time(&file, now);
    import(&*other, &file).await;
    let view = ask(&*other, &both, now, Command::View { as_of: Millis::ZERO }).await.view;
    assert_eq!((view.status, view.streak), (status::AUTO_REVOKED, 0));
}

fn missed(id: &str, at: u64) -> Command {
    use callgate::engine::fact::{CallOutcome, CallReport, Fact};
    Command::Record {
        at: Millis(at),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::Call(CallReport {
            call_id: id.to_owned(),
            provider_call_id: String::new(),
            outcome: CallOutcome::Unanswered,
            error: 0,
            placed_at: Millis::ZERO,
            answered_at: Millis::ZERO,
            ended_at: Millis::ZERO,
            pstn: false,
        }),
    }
}

/// The file as if it had been exported then.
fn at_time(file: &[u8], at: u64) -> Vec<u8> {
    files::with_header(file, |header| {
        header["exported_at"] = Millis(at).utc().to_rfc3339().into();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_changes_is_told_once_and_falls_due() {
    let now = now();
    let (from, _) = memory_at(now);
    let pair = pair(NUMBERS[0], NAMES[0]);
    ask(&*from, &pair, now, reply(now - DAY, true)).await;
    let file = exported(&*from).await;
    let (to, clock) = memory_at(now);
    let told = |store: Arc<Embedded>| async move {
        let log = store.change_log().await.unwrap();
        let partition = partition_of(&PhoneNumberId::parse(NUMBERS[0], "").unwrap(), 64);
        let all = log.read(partition, callgate::engine::change::Position(0, 0), 100).await;
        all.unwrap().into_iter().map(|one| (*one.change).clone()).collect::<Vec<Change>>()
    };
    for _ in 0..2 {
        import(&*to, &file).await;
        let changes = told(Arc::clone(&to)).await;
        let [change] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((change.status, change.previous_status, change.cause), (3, 1, 17));
        assert_eq!(change.recorded_at, Millis(now));
    }
    assert_eq!(to.due(10).await.unwrap(), []);
    clock.set(Millis(now + 7 * DAY));
    let due = to.due(10).await.unwrap();
    assert_eq!(due.len(), 1, "it runs out by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forgotten_stay_forgotten() {
    let end = now();
    let from = memory();
    let both = pair(NUMBERS[0], ("15550199001", "US.1000"));
    ask(&*from, &both, end, reply(end - HOUR, true)).await;
    keep_aside(&*from, "q1", NUMBERS[0], end - HOUR, "US.1000").await;
    keep_aside(&*from, "q2", "", end - HOUR, "US.1000").await;
    keep_aside(&*from, "q3", NUMBERS[0], end - HOUR, "15550199009").await;
    let file = exported(&*from).await;
    // Here the two ids were never seen together.
    let to = memory();
    let user = pair(NUMBERS[0], ("", "US.1000"));
    ask(&*to, &user, end, reply(end - HOUR, true)).await;
    to.forget(&user.number, &user.customer, &Profile::atom()).await.unwrap();
    let joined = import(&*to, &file).await;
    assert_eq!((joined.changed, joined.forgotten), (1, 2), "the other's webhook alone");
    assert_eq!(raw(&*to).await, Vec::<String>::new());
    assert_eq!(to.quarantined(10).await.unwrap().len(), 1);
    // What happened after that counts.
    let later = to.now().await.unwrap().0 + 1;
    ask(&*from, &both, later, reply(later, true)).await;
    import(&*to, &exported(&*from).await).await;
    let view = ask(&*to, &both, later, Command::View { as_of: Millis::ZERO }).await.view;
    assert_eq!((view.status, view.granted_at), (3, Millis(later)));
    assert_eq!((view.wa_id.as_str(), view.user_id.as_str()), ("15550199001", "US.1000"));
}

/// Here only the number was forgotten, and nobody knew whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_no_of_one_id_outlives_the_forgetting_of_another() {
    let now = now();
    let user = pair(NUMBERS[0], ("", "US.1000"));
    let both = pair(NUMBERS[0], ("15550199001", "US.1000"));
    let (to, _) = memory_at(now);
    ask(&*to, &user, now, reply(now - 3000, true)).await;
    let number = pair(NUMBERS[0], ("15550199001", ""));
    to.forget(&number.number, &number.customer, &Profile::atom()).await.unwrap();
    let (from, _) = memory_at(now);
    ask(&*from, &both, now, missed("c1", now - 2500)).await;
    ask(&*from, &user, now, reply(now - 2000, false)).await;
    assert_eq!(import(&*to, &exported(&*from).await).await.changed, 1);
    for (store, reason) in [(&to, 13), (&from, 12)] {
        let denied = ask(&**store, &user, now, authorize("c2")).await;
        assert_eq!((denied.decision, denied.reason), (2, reason), "{denied:?}");
    }
    assert_eq!(ask(&*to, &number, now, view()).await.view.streak, 0, "nothing comes back");
}

/// A new store with the key of a file, as an import makes one.
fn keyed(dir: &Path, file: &[u8], clock: Arc<dyn Clock>) -> Embedded {
    let secret = Some(check(file).unwrap().forgotten_key().unwrap());
    Embedded::open(dir, &Options { secret, ..Options::default() }, clock).unwrap()
}

fn view() -> Command {
    Command::View { as_of: Millis::ZERO }
}

/// Customers are handed out a thousand at a time.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_forgotten_is_found_among_many() {
    let start = now() - HOUR;
    let (from, clock) = memory_at(start);
    let of = |n: usize| pair(NUMBERS[0], (&*format!("1555{n:07}"), ""));
    for n in 0..2100 {
        ask(&*from, &of(n), 0, reply(start - HOUR, true)).await;
    }
    let known = exported(&*from).await;
    clock.set(Millis(start + 1000));
    let gone = [0, 999, 1000, 1001, 1999, 2000, 2099];
    for n in gone {
        from.forget(&of(n).number, &of(n).customer, &Profile::atom()).await.unwrap();
    }
    let forgotten = exported(&*from).await;
    let dir = tempfile::tempdir().unwrap();
    let to = keyed(dir.path(), &known, Arc::new(ManualClock::at(Millis(start + 4000))));
    try_import(&to, &known, May::default()).await.unwrap();
    try_import(&to, &forgotten, May::default()).await.unwrap();
    for n in (0..2100).step_by(100).chain(gone) {
        let status = ask(&to, &of(n), 0, view()).await.view.status;
        assert_eq!(status, if gone.contains(&n) { 1 } else { 3 }, "customer {n}");
    }
}

/// Of files in any order, by a customer who was forgotten between them: with `again`, and said yes once
/// more after that; with `here`, that was told only to the store that imports.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_later_is_erased_here_as_well() {
    let start = now() - HOUR;
    let both = pair(NUMBERS[0], ("15550199001", "US.1000"));
    let other = pair(NUMBERS[0], ("15550199002", ""));
    for (again, here) in [(false, false), (true, false), (false, true)] {
        let (from, clock) = memory_at(start);
        for pair in [&both, &other] {
            ask(&*from, pair, 0, reply(start - HOUR, true)).await;
        }
        let known = exported(&*from).await;
        clock.set(Millis(start + 1000));
        from.forget(&both.number, &both.customer, &Profile::atom()).await.unwrap();
        clock.set(Millis(start + 3000));
        let yes = || reply(start + 2000, true);
        if again {
            ask(&*from, &both, 0, yes()).await;
        }
        let forgotten = exported(&*from).await;
        let mut views = Vec::new();
        for order in [vec![&known, &forgotten], vec![&forgotten, &known], vec![&known; 1]] {
            let is_before = order.len() == 1;
            let dir = tempfile::tempdir().unwrap();
            let to = keyed(dir.path(), &known, Arc::new(ManualClock::at(Millis(start + 4000))));
            for (n, file) in order.into_iter().enumerate() {
                try_import(&to, file, May::default()).await.unwrap();
                if here && n == 0 {
                    ask(&to, &both, 0, yes()).await;
                }
            }
            if is_before {
                assert_eq!(ask(&to, &both, 0, view()).await.view.status, 3);
                try_import(&to, &forgotten, May::default()).await.unwrap();
                let log = to.change_log().await.unwrap();
                let partition = partition_of(&both.number, 64);
                let origin = callgate::engine::change::Position(0, 0);
                let told = log.read(partition, origin, 100).await.unwrap();
                let of_both = told.iter().filter(|one| one.change.wa_id != "15550199002");
                let causes: Vec<u8> = of_both.map(|one| one.change.cause).collect();
                let expected: &[u8] = if again || here { &[14, 17] } else { &[14] };
                assert_eq!(causes, expected, "what was told before is gone");
            }
            let mut seen = ask(&to, &both, 0, view()).await.view;
            seen.revision = 0;
            let granted_at = if again || here { start + 2000 } else { 0 };
            assert_eq!(seen.granted_at, Millis(granted_at), "{seen:?}");
            let before = raw(&to).await;
            try_import(&to, &forgotten, May::default()).await.unwrap();
            assert_eq!(raw(&to).await, before, "a second import changes nothing");
            let decided = ask(&to, &both, 0, authorize("c1")).await.decision;
            assert_eq!(decided, if again || here { 1 } else { 2 });
            let decided = ask(&to, &other, 0, authorize("c1")).await.decision;
            assert_eq!(decided, 1, "nobody else");
            views.push(seen);
        }
        assert!(views.windows(2).all(|two| two[0] == two[1]), "{views:#?}");
    }
}

/// A newer version may understand it, and it may be a no.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_aside_after_somebody_was_forgotten_stays() {
    let start = now() - HOUR;
    let both = pair(NUMBERS[0], ("15550199001", "US.1000"));
    let (from, clock) = memory_at(start);
    ask(&*from, &both, 0, reply(start - HOUR, true)).await;
    let known = exported(&*from).await;
    clock.set(Millis(start + 1000));
    from.forget(&both.number, &both.customer, &Profile::atom()).await.unwrap();
    let forgotten = exported(&*from).await;
    let dir = tempfile::tempdir().unwrap();
    let to = keyed(dir.path(), &known, Arc::new(ManualClock::at(Millis(start + 4000))));
    try_import(&to, &known, May::default()).await.unwrap();
    for (n, at) in [start, start + 1000, start + 1001].into_iter().enumerate() {
        keep_aside(&to, &format!("filed{n}"), NUMBERS[0], at, "15550199001").await;
        keep_aside(&to, &format!("unfiled{n}"), "", at, "US.1000").await;
    }
    try_import(&to, &forgotten, May::default()).await.unwrap();
    assert_eq!(kept_aside(&to).await, ["filed2", "unfiled2"]);
    // Who is forgotten now is forgotten with everything.
    to.forget(&both.number, &both.customer, &Profile::atom()).await.unwrap();
    assert_eq!(kept_aside(&to).await, Vec::<String>::new());
}

async fn kept_aside(store: &dyn Store) -> Vec<String> {
    let kept = store.quarantined(2000).await.unwrap();
    let mut ids: Vec<String> = kept.into_iter().map(|entry| entry.id).collect();
    ids.sort();
    ids
}

/// Where there is no more room, the oldest goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_somebody_who_was_forgotten_takes_nobodys_place() {
    let end = now();
    let from = memory();
    keep_aside(&*from, "theirs", NUMBERS[0], end - HOUR, "15550199001").await;
    let file = exported(&*from).await;
    let to = memory();
    for n in 0..QUARANTINE_COUNT_MAX {
        keep_aside(&*to, &format!("q{n}"), NUMBERS[0], end - DAY + n as u64, "15550199009").await;
    }
    let before = kept_aside(&*to).await;
    let whom = pair(NUMBERS[0], ("15550199001", ""));
    to.forget(&whom.number, &whom.customer, &Profile::atom()).await.unwrap();
    let joined = import(&*to, &file).await;
    assert_eq!((joined.changed, joined.same, joined.forgotten), (0, 1, 1), "one is the number");
    assert_eq!(kept_aside(&*to).await, before);
}

async fn keep_aside(store: &dyn Store, id: &str, number: &str, at: u64, customer: &str) {
    let entry = Quarantined {
        id: id.to_owned(),
        reason: "test".to_owned(),
        received_at: Millis(at),
        field: "calls".to_owned(),
        phone_number_id: number.to_owned(),
        change: format!(r#"{{"field":"calls","value":{{"to":"{customer}"}}}}"#),
    };
    store.quarantine(entry).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn display_numbers_and_settings_go_along() {
    let from = memory();
    let at = Millis(now() - HOUR);
    let [one, other] = [NUMBERS[0], NUMBERS[1]].map(|n| PhoneNumberId::parse(n, "").unwrap());
    let disabled = NumberReport { at, calling: Told::No, ..NumberReport::default() };
    from.report_by_display("15550100", disabled.clone()).await.unwrap();
    from.learn_display("15550200", &one, at).await.unwrap();
    let paused = NumberReport {
        at,
        pause: Told::Yes,
        display: "15550200".to_owned(),
        ..NumberReport::default()
    };
    from.number(NumberStep { number: &one, report: Some(paused), now: Millis::ZERO })
        .await
        .unwrap();
    let to = memory();
    import(&*to, &exported(&*from).await).await;
    let look = |number| NumberStep { number, report: None, now: Millis::ZERO };
    let here = from.number(look(&one)).await.unwrap().number;
    assert_eq!(to.number(look(&one)).await.unwrap().number, here);
    assert_eq!(to.report_by_display("15550200", disabled).await.unwrap(), Some(one.clone()));
    to.learn_display("15550100", &other, at).await.unwrap();
    assert_eq!(to.number(look(&other)).await.unwrap().number.calling, 1, "what waited has arrived");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_full_takes_no_more() {
    let now = now();
    let (one, other) = (memory(), memory());
    let pair = pair(NUMBERS[0], NAMES[0]);
    for n in 0..300 {
        ask(&*one, &pair, now, missed(&format!("a{n}"), now - 1000 - n)).await;
        ask(&*other, &pair, now, missed(&format!("b{n}"), now - 1000 - n)).await;
    }
    let before = raw(&*one).await;
    let may = May { lose_forgotten: true, be_old: false };
    let full = try_import(&*one, &exported(&*other).await, may).await.unwrap_err().to_string();
    assert!(full.contains("line 3: ") && full.contains("as many calls"), "{full}");
    assert_eq!(raw(&*one).await, before, "nothing of it is recorded");
}
