//! The joining of records by the rulebook alone; the mutation check runs these as well.

pub(crate) mod sums;

use std::collections::{BTreeMap, BTreeSet};

use callgate::{
    engine::{
        Result,
        archive::{Join, Kept},
        change::Change,
        fact::{CallOutcome, CallReport, Fact, RequestOutcome, RequestReport},
        pair::Pair,
        profile::Profile,
        step::{Command, Reply, Step},
        time::Millis,
    },
    store::{
        codec::{record_from_json, record_to_json},
        lua::{Records, Vm},
    },
};
use serde_json::Value;

use super::{DAY, HOUR, NUMBERS, is_no_wider, pair};
use crate::{
    conformance::reply,
    rulebook::NAMES,
    support::vm::vm,
    twins::{self, Dice},
};

const NOW: u64 = 1_795_400_000_123;
const MINUTE: u64 = 60_000;

/// Records in memory, and what was told.
#[derive(Default, Clone)]
struct Place {
    records: BTreeMap<String, Vec<u8>>,
    told: Vec<Change>,
    erased: BTreeMap<String, u64>,
    due: BTreeMap<String, u64>,
    /// When each record expires; 0: never.
    expiries: BTreeMap<String, u64>,
    saves: usize,
}

impl Records for Place {
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.records.get(id).cloned())
    }
    fn tell(&mut self, change: Change) -> Result<()> {
        self.told.push(change);
        Ok(())
    }
    fn save(
        &mut self,
        id: &str,
        bytes: Vec<u8>,
        expire_at: Millis,
        due: Option<Millis>,
    ) -> Result<()> {
        self.saves += 1;
        self.expiries.insert(id.to_owned(), expire_at.0);
        self.records.insert(id.to_owned(), bytes);
        if let Some(due) = due {
            self.due.insert(id.to_owned(), due.0);
        }
        Ok(())
    }
    fn number(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn erased(&mut self, id: &str) -> Result<Millis> {
        Ok(Millis(self.erased.get(id).copied().unwrap_or_default()))
    }
}

impl Place {
    fn ask(&mut self, vm: &mut Vm, names: (&str, &str), now: u64, command: Command) -> Reply {
        let pair: Pair = pair(NUMBERS[0], names);
        let profile = Profile::atom();
        let step = Step { pair: &pair, command, profile: &profile, now: Millis(now) };
        vm.step(&step, Millis(now), self).unwrap()
    }

    /// All of it, in groups of linked ids.
    fn groups(&mut self, vm: &mut Vm) -> Vec<Kept> {
        let number = pair(NUMBERS[0], NAMES[0]).number;
        let (mut groups, mut done) = (Vec::new(), Vec::new());
        for id in self.records.keys().cloned().collect::<Vec<_>>() {
            if done.contains(&id) {
                continue;
            }
            let ids = vm.linked(&id, "", self).unwrap();
            let records = self.records.clone().into_iter().filter(|(id, _)| ids.contains(id));
            let records: Vec<_> = records.collect();
            done.extend(ids.iter().cloned());
            groups.push(Kept::new(number.clone(), records, ids).unwrap());
        }
        groups
    }

    fn join(&mut self, vm: &mut Vm, kept: &Kept, now: u64) -> Reply {
        let profile = Profile::atom();
        let join = Join { kept, profile: &profile, now: Millis(now) };
        vm.join(&join, Millis(now), self).unwrap()
    }

    /// Joins all of another place; whether anything was new.
    fn join_all(&mut self, vm: &mut Vm, other: &mut Self, now: u64) -> bool {
        let mut is_news = false;
        for kept in other.groups(vm) {
            let reply = self.join(vm, &kept, now);
            assert_eq!(reply.refused, "", "{}", reply.problem);
            is_news |= reply.result == 1;
        }
        is_news
    }

    fn seen_of(&mut self, vm: &mut Vm, names: (&str, &str), now: u64) -> Vec<Reply> {
        let mut all = Vec::new();
        for later in [0, HOUR, 25 * HOUR] {
            for command in [Command::View { as_of: Millis::ZERO }, Command::Check {}] {
                let mut reply = self.ask(vm, names, now + later, command);
                reply.view.revision = 0;
                all.push(reply);
            }
        }
        all
    }

    fn seen(&mut self, vm: &mut Vm, now: u64) -> Vec<Reply> {
        NAMES.into_iter().flat_map(|names| self.seen_of(vm, names, now)).collect()
    }

    /// Whether these name one customer, as far as is known here.
    fn is_one(&mut self, vm: &mut Vm, (wa, user): (&str, &str), now: u64) -> bool {
        let look = Command::View { as_of: Millis::ZERO };
        wa.is_empty() || user.is_empty() || self.ask(vm, (wa, ""), now, look).view.user_id == user
    }

    /// What was told last of everybody is what is so.
    fn agrees(&mut self, vm: &mut Vm, now: u64) {
        let before = self.told.len();
        for names in NAMES {
            self.ask(vm, names, now, Command::Settle {});
        }
        assert_eq!(self.told[before..], [], "told too late");
    }

    fn record(&self, id: &str) -> Value {
        record_to_json(&self.records[id]).unwrap()
    }

    /// Sets what was summed up under an id.
    fn sum_up(&mut self, id: &str, streak: u32, at: u64) {
        let mut record = self.record(id);
        (record["base_streak"], record["base_at"]) = (streak.into(), at.into());
        self.records.insert(id.to_owned(), record_from_json(record).unwrap());
    }
}

/// Split between two places in any way, and joined; and once more.
pub(crate) fn splits(dice: &mut Dice, histories: usize) {
    let mut vm = vm();
    for _ in 0..histories {
        let all = super::events(dice, NOW, 14);
        let [mut one, mut other, mut whole] = [(); 3].map(|()| Place::default());
        for (pair, command) in &all {
            let names = super::names(pair);
            let which = dice.below(3);
            for (place, is_told) in
                [(&mut one, which != 0), (&mut other, which != 1), (&mut whole, true)]
            {
                if is_told {
                    place.ask(&mut vm, names, NOW, command.clone());
                }
            }
        }
        let (mut of_one, mut of_other) = (one.clone(), other.clone());
        one.join_all(&mut vm, &mut of_other, NOW);
        other.join_all(&mut vm, &mut of_one, NOW);
        let expected = whole.seen(&mut vm, NOW);
        for place in [&mut one, &mut other] {
            assert_eq!(place.seen(&mut vm, NOW), expected, "{all:#?}");
            place.agrees(&mut vm, NOW);
            let (before, saves) = (place.records.clone(), place.saves);
            assert!(!place.join_all(&mut vm, &mut of_one, NOW));
            assert!(!place.join_all(&mut vm, &mut of_other, NOW));
            assert_eq!((&place.records, place.saves), (&before, saves), "nothing is written");
        }
    }
}

/// Everything that happens, taken to an empty place.
pub(crate) fn moves(dice: &mut Dice, histories: usize) {
    let mut vm = vm();
    for _ in 0..histories {
        let mut from = Place::default();
        let pauses: Vec<u64> = (0..80).map(|_| twins::pause(dice)).collect();
        let mut now = NOW - 20 * MINUTE - pauses.iter().sum::<u64>();
        for pause in pauses {
            now += pause;
            let command = twins::command(dice, now);
            from.ask(&mut vm, *dice.pick(&NAMES), now, command);
        }
        let mut to = Place::default();
        to.join_all(&mut vm, &mut from, NOW);
        // Folding is what a step that writes does here as well.
        for names in NAMES {
            let (there, here) =
                (to.seen_of(&mut vm, names, NOW), from.seen_of(&mut vm, names, NOW));
            let is_one = from.is_one(&mut vm, names, NOW);
            for (there, here) in std::iter::zip(there, here) {
                assert!(is_no_wider(&there, &here), "{names:?}: {there:?} {here:?}");
                if is_one {
                    assert_eq!(decided(&there), decided(&here), "{names:?}");
                }
            }
        }
        to.agrees(&mut vm, NOW);
        let before = to.records.clone();
        assert!(!to.join_all(&mut vm, &mut from, NOW));
        assert_eq!(to.records, before);
    }
}

const IDS: [&str; 4] = ["15550199001", "15550199002", "US.1", "US.2"];

/// Some events, each call and request told of once: of one that was told of twice a record keeps the
/// earlier time, and so cannot say that it was told once more after a forgetting.
fn told_once(dice: &mut Dice, are_bound: bool) -> Vec<(Pair, Command)> {
    let mut all = super::events(dice, NOW, 14);
    let mut known = BTreeSet::new();
    all.retain(|(pair, command)| {
        let Command::Record { fact, .. } = command else { return false };
        let (wa, user) = super::names(pair);
        let ids: [&str; 2] = match fact {
            // It is stale by its pick-up, and tells of a bond or a refusal by its own time.
            Fact::Call(call) if call.answered_at != Millis::ZERO => return false,
            Fact::Call(call) => [&call.call_id, &call.provider_call_id],
            Fact::Request(report) => [&report.request_id, &report.provider_message_id],
            _ => [""; 2],
        };
        (are_bound || wa.is_empty() || user.is_empty())
            && ids.iter().filter(|id| !id.is_empty()).all(|id| known.insert((*id).to_owned()))
    });
    all
}

/// What nobody forgot is all that is there.
fn is_from_after(place: &Place) {
    let erased = |id: &str| place.erased.get(id).copied().unwrap_or_default();
    for id in place.records.keys() {
        let record = place.record(id);
        let rows = ["calls", "requests", "rejects"].map(|name| record[name].as_array().unwrap());
        let registers = ["accept_at", "reject_at", "callback_at", "taken_at", "inbound_at"];
        let times = rows.into_iter().flatten().map(|row| &row["at"]);
        for at in times.chain(registers.map(|name| &record[name])) {
            let at = at.as_u64().unwrap();
            assert!(at == 0 || erased(id) < at, "{id}: {record}");
        }
        for link in record["links"].as_array().unwrap() {
            let either = erased(id).max(erased(link["id"].as_str().unwrap()));
            let [first, last] = ["first", "last"].map(|name| link[name].as_u64().unwrap());
            assert!(either < last && erased(id) < first, "{id}: {record}");
        }
    }
}

/// Split between two places, in one of which some ids were forgotten before: it allows nothing that it
/// would not if all had been told to it; the same where each event names one id.
pub(crate) fn forgettings(dice: &mut Dice, histories: usize) {
    let mut vm = vm();
    for n in 0..histories {
        let are_bound = n % 3 != 0;
        let all = told_once(dice, are_bound);
        let mut to = Place::default();
        for id in IDS {
            if dice.below(2) == 0 {
                let span = *dice.pick(&[4, 6 * DAY / 1000]);
                to.erased.insert(id.to_owned(), NOW - dice.below(span) * 1000 - dice.below(2));
            }
        }
        let (mut from, mut whole) = (Place::default(), to.clone());
        for (pair, command) in &all {
            let which = dice.below(3);
            for (place, is_told) in
                [(&mut from, which != 0), (&mut to, which != 1), (&mut whole, true)]
            {
                if is_told {
                    place.ask(&mut vm, super::names(pair), NOW, command.clone());
                }
            }
        }
        to.join_all(&mut vm, &mut from, NOW);
        let (here, told) = (to.seen(&mut vm, NOW), whole.seen(&mut vm, NOW));
        if !are_bound {
            assert_eq!(here, told, "{:?} {all:#?}", to.erased);
        }
        // An ending that may have been told of a forgotten id as well stays, and starts the misses anew.
        let is_miss = |(_, command): &&(Pair, Command)| {
            matches!(command,
            Command::Record { fact: Fact::Call(call), .. }
                if [CallOutcome::Canceled, CallOutcome::Unanswered, CallOutcome::Rejected]
                    .contains(&call.outcome))
        };
        if all.iter().filter(is_miss).count() < 4 {
            for (here, told) in std::iter::zip(&here, &told) {
                let erased = &to.erased;
                assert!(is_no_wider(here, told), "{erased:?} {all:#?} {here:#?} {told:#?}");
            }
        }
        is_from_after(&to);
        to.agrees(&mut vm, NOW);
        let before = to.records.clone();
        assert!(!to.join_all(&mut vm, &mut from, NOW));
        assert_eq!(to.records, before);
    }
}

/// Which of two endings was the last may be told otherwise once calls are folded, and no decision is.
fn decided(reply: &Reply) -> impl PartialEq + std::fmt::Debug + use<'_> {
    let view = &reply.view;
    let quotas = (&view.quota_used, &view.quota_held, &view.quota_free_at);
    (reply.decision, reply.free_at, view.grant_kind, view.granted_at, view.expires_at, quotas)
}

#[test]
fn places_that_were_told_parts_join_to_the_whole() {
    splits(&mut Dice::throw(), 60);
}

#[test]
fn a_place_is_taken_to_an_empty_one() {
    moves(&mut Dice::throw(), 20);
}

#[test]
fn a_place_that_forgot_some_ids_is_joined_as_if_all_were_told_there() {
    forgettings(&mut Dice::throw(), 400);
}

fn call(id: &str, at: u64, outcome: CallOutcome) -> Command {
    Command::Record {
        at: Millis(at),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::Call(CallReport {
            call_id: id.to_owned(),
            provider_call_id: String::new(),
            outcome,
            error: 0,
            placed_at: Millis::ZERO,
            answered_at: Millis::ZERO,
            ended_at: Millis::ZERO,
            pstn: false,
        }),
    }
}

fn request(id: &str, at: u64) -> Command {
    Command::Record {
        at: Millis(at),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::Request(RequestReport {
            request_id: id.to_owned(),
            provider_message_id: String::new(),
            outcome: RequestOutcome::Sent,
            known_only: false,
        }),
    }
}

const WA: (&str, &str) = NAMES[0];
const BOTH: (&str, &str) = NAMES[1];

#[test]
pub(crate) fn a_join_is_refused_where_its_times_cannot_be() {
    let mut vm = vm();
    let expiring = |automatic: bool| {
        let Command::Record { fact: Fact::Reply(mut reply), .. } = reply(NOW, true) else {
            panic!()
        };
        (reply.automatic, reply.expires_at) = (automatic, Millis(NOW + 60 * DAY));
        let (spelled, event_id) = (String::new(), String::new());
        Command::Record { at: Millis(NOW), spelled, event_id, fact: Fact::Reply(reply) }
    };
    for command in [reply(NOW, true), call("c1", NOW, CallOutcome::Failed), expiring(true)] {
        let (mut from, mut to) = (Place::default(), Place::default());
        from.ask(&mut vm, WA, NOW, command);
        let kept = from.groups(&mut vm).remove(0);
        let ahead = to.join(&mut vm, &kept, NOW - 5 * MINUTE - 1);
        assert_eq!((ahead.refused.as_str(), ahead.field.as_str()), ("invalid", "records"));
        assert!(ahead.problem.contains("5 min ahead") && to.records.is_empty());
        assert_eq!(to.join(&mut vm, &kept, NOW - 5 * MINUTE).result, 1);
    }
    for automatic in [false, true] {
        let (mut from, mut to) = (Place::default(), Place::default());
        from.ask(&mut vm, WA, NOW, expiring(automatic));
        let mut kept = from.groups(&mut vm).remove(0);
        assert_eq!(to.clone().join(&mut vm, &kept, NOW).result, 1);
        let name = if automatic { "callback_expires_at" } else { "accept_expires_at" };
        let mut json = from.record(WA.0);
        json[name] = (NOW + 60 * DAY + 1).into();
        let bytes = record_from_json(json).unwrap();
        kept = Kept::new(kept.number, vec![(WA.0.to_owned(), bytes)], Vec::new()).unwrap();
        let late = to.join(&mut vm, &kept, NOW);
        assert!(late.problem.contains("60 d after"), "{late:?}");
    }
}

#[test]
pub(crate) fn what_was_forgotten_is_left_out_of_a_join() {
    let mut vm = vm();
    let mut from = Place::default();
    let spelled = |at| {
        let Command::Record { fact, event_id, .. } = reply(at, true) else { panic!() };
        Command::Record { at: Millis(at), spelled: "15550199001".to_owned(), event_id, fact }
    };
    from.ask(&mut vm, BOTH, NOW, spelled(NOW - 3000));
    from.ask(&mut vm, BOTH, NOW, call("old", NOW - 3000, CallOutcome::Answered));
    from.ask(&mut vm, BOTH, NOW, call("new", NOW - 1000, CallOutcome::Answered));
    let kept = from.groups(&mut vm).remove(0);
    for at in [NOW - 3000, NOW - 2000, NOW - 1001] {
        let id = WA.0;
        let mut to = Place::default();
        to.erased.insert(id.to_owned(), at);
        assert_eq!(to.join(&mut vm, &kept, NOW).result, 1);
        let record = to.record(WA.0);
        assert_eq!((&record["accept_at"], &record["shown"]), (&0.into(), &"".into()));
        assert_eq!(record["calls"].as_array().unwrap().len(), 1);
        let link = &record["links"][0];
        assert_eq!((&link["first"], &link["last"]), (&(at + 1).into(), &(NOW - 1000).into()));
    }
    for at in [NOW - 1000, NOW] {
        let mut to = Place::default();
        to.erased.insert(WA.0.to_owned(), at);
        assert_eq!(to.join(&mut vm, &kept, NOW).result, 2);
        assert!(to.records.is_empty() && to.told.is_empty());
    }
    let mut to = Place::default();
    to.erased.insert(WA.0.to_owned(), NOW - 3001);
    to.join(&mut vm, &kept, NOW);
    assert_eq!(to.record(WA.0), from_told(&to, &from), "all of it is from after that");
}

fn at(command: Command, at: u64) -> Command {
    let Command::Record { fact, event_id, spelled, .. } = command else { panic!() };
    Command::Record { at: Millis(at), spelled, event_id, fact }
}

fn yes(at: u64, permanent: bool, automatic: bool) -> Command {
    let Command::Record { fact: Fact::Reply(mut reply), .. } = reply(at, true) else { panic!() };
    (reply.permanent, reply.automatic) = (permanent, automatic);
    let (spelled, event_id) = (String::new(), String::new());
    Command::Record { at: Millis(at), spelled, event_id, fact: Fact::Reply(reply) }
}

const LOOK: Command = Command::View { as_of: Millis::ZERO };
const USER: (&str, &str) = NAMES[2];
const OTHERS: (&str, &str) = NAMES[3];

/// The number was forgotten here, where nobody knew whose it was.
#[test]
pub(crate) fn what_was_told_of_one_id_is_not_forgotten_with_another() {
    let mut vm = vm();
    let (mut from, mut to) = (Place::default(), Place::default());
    to.ask(&mut vm, USER, NOW, yes(NOW - 3000, true, false));
    to.erased.insert(WA.0.to_owned(), NOW - 1000);
    from.ask(&mut vm, USER, NOW, reply(NOW - 2000, false));
    from.ask(&mut vm, BOTH, NOW, at(inbound(), NOW - 2500));
    assert!(to.join_all(&mut vm, &mut from, NOW));
    assert_eq!(to.ask(&mut vm, USER, NOW, Command::Check {}).reason, 13, "a later no stays a no");
    assert_eq!(to.record("US.1")["links"], Value::Array(Vec::new()));
    assert!(!to.records.contains_key(WA.0), "what was forgotten does not come back");
}

/// A temporary ACCEPT took the place of a permanent one of the user id, and another of it; the number of the
/// newer one was forgotten here.
#[test]
pub(crate) fn what_was_replaced_under_two_numbers_stays_replaced_where_one_is_forgotten() {
    let mut vm = vm();
    let second = ("15550199002", "US.1");
    for automatic in [false, true] {
        let mut from = Place::default();
        from.ask(&mut vm, USER, NOW, yes(NOW - 9000, !automatic, automatic));
        from.ask(&mut vm, second, NOW, yes(NOW - 8000, false, automatic));
        from.ask(&mut vm, BOTH, NOW, yes(NOW - 7000, false, automatic));
        from.ask(&mut vm, ("15550199002", "US.2"), NOW, at(inbound(), NOW - 6000));
        let register = if automatic { "callback_superseded_at" } else { "accept_superseded_at" };
        // Where it was forgotten before, the newer one is in effect itself.
        for (erased, expected, decision) in
            [(NOW - 7001, NOW - 7000, 1), (NOW - 7000, NOW - 8000, 2), (NOW - 5000, NOW - 8000, 2)]
        {
            let mut to = Place::default();
            to.erased.insert(WA.0.to_owned(), erased);
            to.join_all(&mut vm, &mut from, NOW);
            assert_eq!(to.record(USER.1)[register], expected, "{erased}");
            let reply = to.ask(&mut vm, USER, NOW, Command::Check {});
            assert_eq!(reply.decision, decision, "{erased}");
        }
    }
}

/// A user id was seen with so many numbers since that the one is not known any more under which the newer
/// ACCEPT was told.
#[test]
pub(crate) fn what_was_replaced_under_a_number_that_is_not_known_any_more_stays_replaced() {
    let mut vm = vm();
    for automatic in [false, true] {
        let (mut from, mut to) = (Place::default(), Place::default());
        from.ask(&mut vm, USER, NOW, yes(NOW - 9000, !automatic, automatic));
        from.ask(&mut vm, BOTH, NOW, yes(NOW - 8000, false, automatic));
        for n in 0..8 {
            let number = format!("1555019910{n}");
            from.ask(&mut vm, (&number, USER.1), NOW, at(message(), NOW - 7000 + n));
        }
        assert_eq!(from.record(USER.1)["links"].as_array().unwrap().len(), 8);
        to.join_all(&mut vm, &mut from, NOW);
        let register = if automatic { "callback_superseded_at" } else { "accept_superseded_at" };
        assert_eq!(to.record(USER.1)[register], NOW - 8000);
    }
}

fn inbound() -> Command {
    use callgate::engine::fact::InboundCall;
    let (spelled, event_id) = (String::new(), String::new());
    let call = InboundCall { provider_call_id: String::new(), answered: true };
    Command::Record { at: Millis(NOW), spelled, event_id, fact: Fact::InboundCall(call) }
}

/// The user id was forgotten here. What is kept under the number may have been told of both.
#[test]
pub(crate) fn what_may_have_been_told_of_a_forgotten_id_gives_nothing() {
    let mut vm = vm();
    let mut from = Place::default();
    let seen = |from: &mut Place, vm: &mut Vm, time| {
        from.ask(vm, BOTH, NOW, at(message(), time));
    };
    for time in [NOW - 9000, NOW - 5000] {
        seen(&mut from, &mut vm, time);
    }
    for command in [yes(NOW - 6000, true, false), yes(NOW - 6000, false, true), inbound()] {
        from.ask(&mut vm, WA, NOW, at(command, NOW - 6000));
    }
    from.ask(&mut vm, WA, NOW, reply(NOW - 7000, false));
    from.ask(&mut vm, WA, NOW, call("c1", NOW - 7000, CallOutcome::Unanswered));
    from.ask(&mut vm, WA, NOW, request("r1", NOW - 7000));
    // Of what was told when the two were not seen together yet, or any more, there is no doubt.
    for (erased, is_kept) in [
        (NOW - 6001, true),
        (NOW - 6000, false),
        (NOW - 5001, false),
        (NOW - 5000, false),
        (NOW, false),
    ] {
        let mut to = Place::default();
        to.erased.insert("US.1".to_owned(), erased);
        to.join_all(&mut vm, &mut from, NOW);
        let record = to.record(WA.0);
        // It takes the place of an older one, and gives nothing.
        for (yes, name, is_there) in [
            ("accept_at", "accept_expires_at", true),
            ("callback_at", "callback_expires_at", true),
            ("inbound_at", "", is_kept),
            ("talked_at", "", is_kept),
        ] {
            assert_eq!(record[yes], if is_there { NOW - 6000 } else { 0 }, "{erased} {yes}");
            let ends = if is_there && !is_kept { NOW - 6000 } else { 0 };
            assert!(name.is_empty() || record[name] == ends, "{erased} {yes}");
        }
        assert_eq!(record["accept_permanent"], u8::from(is_kept));
        let state = to.ask(&mut vm, WA, NOW, LOOK).view;
        assert_eq!(state.grant_kind, if is_kept { 2 } else { 0 });
        assert_eq!(record["reject_at"], NOW - 7000);
        assert_eq!(record["wrote_at"], if erased < NOW - 5000 { NOW - 5000 } else { 0 });
        assert_eq!(record["calls"].as_array().unwrap().len(), 1);
        assert_eq!(record["requests"].as_array().unwrap().len(), 1);
        let links = record["links"].as_array().unwrap();
        assert_eq!(links.len(), usize::from(erased < NOW - 5000));
        for link in links {
            assert_eq!(link["first"], 1_230_768_000_000_u64, "nobody knows since when");
            assert_eq!(link["last"], NOW - 5000);
        }
    }
    for (first, last) in [(NOW - 5999, NOW - 5000), (NOW - 9000, NOW - 6001)] {
        let mut from = Place::default();
        for time in [first, last] {
            seen(&mut from, &mut vm, time);
        }
        from.ask(&mut vm, WA, NOW, yes(NOW - 6000, true, false));
        let mut to = Place::default();
        to.erased.insert("US.1".to_owned(), NOW);
        to.join_all(&mut vm, &mut from, NOW);
        assert_eq!(to.record(WA.0)["accept_at"], NOW - 6000);
    }
    // Nor is any of what was told of the user id alone, which the number's forgetting does not touch.
    let mut from = Place::default();
    for time in [NOW - 9000, NOW - 5000] {
        seen(&mut from, &mut vm, time);
    }
    from.ask(&mut vm, USER, NOW, yes(NOW - 6000, true, false));
    let mut to = Place::default();
    to.erased.insert(WA.0.to_owned(), NOW);
    to.join_all(&mut vm, &mut from, NOW);
    assert_eq!(to.ask(&mut vm, USER, NOW, LOOK).view.status, 3);
}

/// What a number gave its owner of before lasts no longer than the owner has it.
#[test]
pub(crate) fn who_loses_a_number_by_a_join_expires_like_others() {
    let mut vm = vm();
    let (mut from, mut to) = (Place::default(), Place::default());
    to.ask(&mut vm, (WA.0, "US.2"), NOW, yes(NOW - 5000, true, false));
    to.ask(&mut vm, ("15550199002", "US.2"), NOW, at(message(), NOW - 3000));
    assert_eq!(to.expiries["US.2"], 0);
    from.ask(&mut vm, BOTH, NOW, yes(NOW - 2000, false, false));
    to.join_all(&mut vm, &mut from, NOW);
    assert_eq!(to.expiries["US.2"], NOW - 3000 + 400 * DAY);
}

fn message() -> Command {
    use callgate::engine::fact::InboundMessage;
    let (spelled, event_id) = (String::new(), String::new());
    let message = InboundMessage { provider_message_id: String::new() };
    Command::Record { at: Millis(NOW), spelled, event_id, fact: Fact::InboundMessage(message) }
}

/// It took the place of an older one there; where it was told of the number alone it does here as well.
#[test]
pub(crate) fn an_accept_that_may_be_of_a_forgotten_id_ends_an_older_one() {
    let mut vm = vm();
    for automatic in [false, true] {
        let mut from = Place::default();
        from.ask(&mut vm, BOTH, NOW, yes(NOW - 5000, false, automatic));
        // At one time temporary comes before permanent, and what was told in both places is one.
        let tie = if automatic { NOW - 5000 } else { 0 };
        for (known, granted) in [(NOW - 6000, 0), (NOW - 5000, tie), (NOW - 4000, NOW - 4000)] {
            let mut to = Place::default();
            to.erased.insert("US.1".to_owned(), NOW - 4500);
            to.ask(&mut vm, WA, NOW, yes(known, !automatic, automatic));
            to.join_all(&mut vm, &mut from, NOW);
            assert_eq!(to.ask(&mut vm, WA, NOW, LOOK).view.granted_at, Millis(granted));
            to.agrees(&mut vm, NOW);
        }
    }
    // Nothing else is left of the number, and nothing known: then nothing comes back.
    let (mut from, mut to) = (Place::default(), Place::default());
    from.ask(&mut vm, BOTH, NOW, yes(NOW - 5000, false, false));
    to.erased.insert("US.1".to_owned(), NOW - 4500);
    assert!(!to.join_all(&mut vm, &mut from, NOW));
    assert!(to.records.is_empty());
    // That of an owner who was not forgotten, known to be one here or there.
    for is_known_here in [true, false] {
        let (mut from, mut to) = (Place::default(), Place::default());
        to.erased.insert("US.1".to_owned(), NOW - 4500);
        for time in [NOW - 9000, NOW - 4500] {
            from.ask(&mut vm, BOTH, NOW, at(message(), time));
        }
        from.ask(&mut vm, OTHERS, NOW, yes(NOW - 5000, false, false));
        let knows = if is_known_here { &mut to } else { &mut from };
        knows.ask(&mut vm, OTHERS, NOW, at(message(), NOW - 4000));
        to.ask(&mut vm, NAMES[4], NOW, yes(NOW - 6000, true, false));
        to.join_all(&mut vm, &mut from, NOW);
        let view = to.ask(&mut vm, OTHERS, NOW, LOOK).view;
        assert_eq!((view.status, view.grant_kind), (1, 0), "{view:?}");
    }
}

/// It may have been told of the user id that was forgotten as well, and then it is stale: it does not
/// speak against misses, and counts all the same.
#[test]
pub(crate) fn an_answered_call_that_may_be_stale_starts_no_misses_anew() {
    let mut vm = vm();
    let answered = call("c9", NOW - 5000, CallOutcome::Answered);
    let mut from = Place::default();
    from.ask(&mut vm, BOTH, NOW, answered);
    for (erased, reason) in [(NOW - 4000, "auto_revoked"), (NOW - 6000, "permanent_permission")] {
        let mut to = Place::default();
        to.erased.insert("US.1".to_owned(), erased);
        to.ask(&mut vm, WA, NOW, yes(NOW - 20_000, true, false));
        for n in 0..3 {
            let missed = call(&format!("c{n}"), NOW - 10_000 + n, CallOutcome::Unanswered);
            to.ask(&mut vm, WA, NOW, missed);
        }
        assert!(to.join_all(&mut vm, &mut from, NOW));
        to.ask(&mut vm, WA, NOW, call("c3", NOW - 1000, CallOutcome::Unanswered));
        let checked = to.ask(&mut vm, WA, NOW, Command::Check {});
        assert_eq!(callgate::engine::code::reason_name(checked.reason), reason, "{checked:?}");
        assert_eq!(checked.view.quota_used[0], 1, "it counts: {checked:?}");
    }
}

/// The number had another owner before. When it was the present one's again, after that was forgotten,
/// nobody knows: consent counts from the last time that the two were seen together.
#[test]
pub(crate) fn a_bond_that_was_half_forgotten_is_one_that_went_back_and_forth() {
    let mut vm = vm();
    let mut from = Place::default();
    for time in [NOW - 9000, NOW - 2000] {
        from.ask(&mut vm, BOTH, NOW, at(message(), time));
    }
    for (given, status) in [(NOW - 5000, 1), (NOW - 2000, 3)] {
        let mut to = Place::default();
        to.erased.insert("US.1".to_owned(), NOW - 6000);
        to.ask(&mut vm, OTHERS, NOW, at(message(), NOW - 10_000));
        to.ask(&mut vm, WA, NOW, yes(given, false, false));
        to.join_all(&mut vm, &mut from, NOW);
        assert_eq!(to.ask(&mut vm, WA, NOW, LOOK).view.status, status);
    }
}

/// The record there as it is here, with what is told here.
fn from_told(here: &Place, there: &Place) -> Value {
    let (mut record, told) = (there.record(WA.0), here.record(WA.0));
    for (name, value) in record.as_object_mut().unwrap() {
        if name.starts_with("told_") || name == "due_at" {
            *value = told[name].clone();
        }
    }
    record
}

#[test]
pub(crate) fn what_a_join_changes_is_told_once_at_its_revision() {
    let mut vm = vm();
    let (mut from, mut to) = (Place::default(), Place::default());
    from.ask(&mut vm, BOTH, NOW, reply(NOW - 1000, true));
    let kept = from.groups(&mut vm).remove(0);
    let joined = to.join(&mut vm, &kept, NOW);
    assert_eq!((joined.result, joined.view.status, joined.lapsed), (1, 3, 0));
    let [change] = &to.told[..] else { panic!("{:?}", to.told) };
    assert_eq!((change.cause, change.status, change.previous_status), (17, 3, 1));
    assert_eq!((change.occurred_at, change.recorded_at), (Millis(NOW), Millis(NOW)));
    assert_eq!(change.revision, 1, "as it was there");
    assert_eq!(to.due[WA.0], NOW - 1000 + 7 * DAY - HOUR);
    assert_eq!(to.saves, 2, "each record once");
    // What time has ended meanwhile is told as that, before what is joined.
    let later = NOW + 8 * DAY;
    let mut again = Place::default();
    for revision in 1..=3 {
        again.ask(&mut vm, BOTH, later, reply(later - 4000 + revision, true));
    }
    let kept = again.groups(&mut vm).remove(0);
    to.told.clear();
    to.join(&mut vm, &kept, later);
    let causes: Vec<u8> = to.told.iter().map(|change| change.cause).collect();
    assert_eq!(causes, [8, 9, 17]);
    assert_eq!(to.told[2].revision, 3, "that of there is later");
    from.ask(&mut vm, BOTH, later, reply(later, false));
    let kept = from.groups(&mut vm).remove(0);
    to.join(&mut vm, &kept, later);
    assert_eq!(to.told.last().unwrap().revision, 4, "one more than that of here");
    assert_eq!(to.told.last().unwrap().status, 5);
}

#[test]
pub(crate) fn a_join_that_has_no_room_changes_nothing() {
    let mut vm = vm();
    let (mut here, mut there) = (Place::default(), Place::default());
    for n in 0..40 {
        here.ask(&mut vm, WA, NOW, request(&format!("a{n}"), NOW - n));
        there.ask(&mut vm, WA, NOW, request(&format!("b{n}"), NOW - n));
    }
    let kept = there.groups(&mut vm).remove(0);
    let before = here.records.clone();
    assert_eq!(here.join(&mut vm, &kept, NOW).refused, "full");
    assert_eq!(here.records, before);
    // What may go makes room: there are 24 more than fit.
    let (mut here, mut there) = (Place::default(), Place::default());
    for n in 0..300 {
        here.ask(&mut vm, WA, NOW, call(&format!("a{n}"), NOW - n, CallOutcome::Failed));
        there.ask(&mut vm, WA, NOW, call(&format!("b{n}"), NOW - n, CallOutcome::Unanswered));
    }
    let kept = there.groups(&mut vm).remove(0);
    assert_eq!(here.join(&mut vm, &kept, NOW).result, 1);
    let record = here.record(WA.0);
    let calls = record["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 512);
    let kept_of_there = calls.iter().filter(|call| call["outcome"] == 7).count();
    assert_eq!(kept_of_there, 300, "no missed call went");
}
