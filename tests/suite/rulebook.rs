//! The bare rulebook, without a store: its host must be strict, its text must stand alone.

use std::collections::HashMap;

use callgate::{
    engine::{
        Result,
        change::Change,
        fact::{
            CallOutcome, CallReport, Fact, InboundMessage, NumberReport, Reply as PermissionReply,
            RequestOutcome, RequestReport,
        },
        pair::Pair,
        profile::Profile,
        step::{Command, Reply, Step},
        time::Millis,
    },
    store::lua::{Records, Vm},
};

use crate::{
    conformance::t,
    support::vm::vm,
    twins::{Dice, fact, is_free_of_order},
};

#[derive(Default, Clone)]
struct Kept(HashMap<String, Vec<u8>>);

impl Records for Kept {
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(id).cloned())
    }
    fn tell(&mut self, _: Change) -> Result<()> {
        Ok(())
    }
    fn save(&mut self, id: &str, bytes: Vec<u8>, _: Millis, _: Option<Millis>) -> Result<()> {
        self.0.insert(id.to_owned(), bytes);
        Ok(())
    }
    fn number(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn erased(&mut self, _: &str) -> Result<Millis> {
        Ok(Millis::ZERO)
    }
}

fn apply(vm: &mut Vm, kept: &mut Kept, now: u64, command: Command) -> Reply {
    apply_as(vm, kept, now, ("15550199001", "US.1000"), command)
}

fn apply_as(
    vm: &mut Vm,
    kept: &mut Kept,
    now: u64,
    (wa, user): (&str, &str),
    command: Command,
) -> Reply {
    let pair = Pair::parse("800000000000001", wa, user, "pair").unwrap();
    let profile = Profile::atom();
    let step = Step { pair: &pair, command, profile: &profile, now: Millis(now) };
    vm.step(&step, Millis(now), kept).unwrap()
}

fn authorize(id: &str) -> Command {
    Command::AuthorizeCall { own_id: id.to_owned(), lease: 0 }
}

fn accept(at: u64) -> Command {
    let reply = PermissionReply {
        accept: true,
        permanent: false,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    };
    record(at, Fact::Reply(reply))
}

fn record(at: u64, fact: Fact) -> Command {
    Command::Record { at: Millis(at), spelled: String::new(), event_id: String::new(), fact }
}

#[test]
pub(crate) fn a_call_is_allowed_after_an_accept_and_not_before() {
    let (mut vm, mut kept, t) = (vm(), Kept::default(), 1_794_830_400_000);
    let reply = apply(&mut vm, &mut kept, t, authorize("c1"));
    assert_eq!((reply.decision, reply.reason, reply.next_step), (2, 10, 2), "{reply:?}");
    assert!(kept.0.is_empty(), "a denial leaves nothing");

    let reply = apply(&mut vm, &mut kept, t, accept(t));
    assert_eq!((reply.result, reply.view.status), (1, 3), "{reply:?}");
    let reply = apply(&mut vm, &mut kept, t + 1, authorize("c1"));
    assert_eq!((reply.decision, reply.reason), (1, 1), "{reply:?}");
    assert_eq!(reply.lease_expires_at, Millis(t + 1 + 90_000));
    assert_eq!(reply.view.quota_held[..2], [1, 1]);
    let again = apply(&mut vm, &mut kept, t + 2, authorize("c1"));
    assert_eq!((again.decision, again.replayed), (1, 1), "{again:?}");
    assert_eq!(again.lease_expires_at, Millis(t + 1 + 90_000));
}

#[test]
pub(crate) fn who_is_refused_is_told_which_id_to_change() {
    let t = 1_794_830_400_000;
    let (own, user) = (("15550199001", "US.1000"), ("15550199001", "US.2000"));
    let request = Command::AuthorizeRequest { own_id: "r1".to_owned(), replace: 0 };
    for (is_call, command) in [(true, authorize("c1")), (false, request)] {
        let (mut vm, mut kept) = (vm(), Kept::default());
        if is_call {
            apply(&mut vm, &mut kept, t, accept(t));
        }
        assert_eq!(apply(&mut vm, &mut kept, t, command.clone()).decision, 1);
        let over = if is_call {
            Fact::Call(CallReport {
                call_id: "c1".to_owned(),
                outcome: CallOutcome::Failed,
                provider_call_id: String::new(),
                placed_at: Millis::ZERO,
                answered_at: Millis::ZERO,
                ended_at: Millis::ZERO,
                error: 0,
                pstn: false,
            })
        } else {
            Fact::Request(RequestReport {
                request_id: "r1".to_owned(),
                provider_message_id: String::new(),
                outcome: RequestOutcome::Refused,
                known_only: false,
            })
        };
        let mut former = kept.clone();
        apply_as(&mut vm, &mut kept, t + 1, own, record(t + 1, over));
        let name = if is_call { "call_id names" } else { "request_id names" };
        let reply = apply(&mut vm, &mut kept, t + 2, command.clone());
        assert!(reply.problem.starts_with(name), "{reply:?}");
        // The number has another owner since.
        let now = t + 1000;
        if is_call {
            apply_as(&mut vm, &mut former, now, user, accept(now));
        }
        let reply = apply_as(&mut vm, &mut former, now + 1, user, command);
        assert!(reply.problem.starts_with(name), "{reply:?}");
        assert!(reply.problem.contains("owner"), "{reply:?}");
    }
}

#[test]
pub(crate) fn a_number_is_known_by_the_display_number_told_last() {
    let (mut vm, now) = (vm(), Millis(1_794_830_400_000));
    let mut known: Option<Vec<u8>> = None;
    for (told, changed, shown) in [
        ("", 0, ""),
        ("15550100005", 1, "15550100005"),
        ("15550100005", 0, "15550100005"),
        ("15550100007", 1, "15550100007"),
        ("15550100006", 1, "15550100006"),
        ("", 0, "15550100006"),
    ] {
        let report = NumberReport { display: told.to_owned(), ..NumberReport::default() };
        let (reply, bytes) = vm.number_step(Some(&report), now, known.as_deref()).unwrap();
        assert_eq!((reply.changed, reply.number.display.as_str()), (changed, shown), "{told:?}");
        known = bytes.or(known);
    }
}

/// Who may be meant: two numbers and two user ids, alone and together.
pub(crate) const NAMES: [(&str, &str); 6] = [
    ("15550199001", ""),
    ("15550199001", "US.1"),
    ("", "US.1"),
    ("15550199001", "US.2"),
    ("", "US.2"),
    ("15550199002", "US.1"),
];

/// What people see, from every side, without the revision (which counts steps).
fn views(vm: &mut Vm, kept: &mut Kept, now: u64) -> Vec<Reply> {
    let see = |name| {
        let mut reply = apply_as(vm, kept, now, name, Command::View { as_of: Millis::ZERO });
        reply.view.revision = 0;
        reply
    };
    NAMES.map(see).into_iter().collect()
}

/// Of nine that were seen at one time, in whichever order they are told.
#[test]
pub(crate) fn of_numbers_seen_longest_ago_the_smallest_is_forgotten() {
    let vm = &mut vm();
    let numbers: Vec<String> = (1..=9).map(|n| format!("1555019000{n}")).collect();
    for first in 0..numbers.len() {
        let mut kept = Kept::default();
        for number in numbers.iter().cycle().skip(first).take(numbers.len()) {
            let command = Command::Record {
                at: Millis(t()),
                spelled: String::new(),
                event_id: String::new(),
                fact: Fact::Identity {},
            };
            apply_as(vm, &mut kept, t(), (number, "US.1"), command);
        }
        let mut linked = vm.linked("", "US.1", &mut kept).unwrap();
        linked.retain(|id| id != "US.1");
        linked.sort_unstable();
        assert_eq!(linked, numbers[1..], "first told: {first}");
    }
}

/// One that was seen later stays, whichever id is the smaller; one that was forgotten may be seen again. What
/// only a link tells is kept.
#[test]
pub(crate) fn of_nine_numbers_the_one_seen_longest_ago_is_forgotten() {
    let vm = &mut vm();
    let ascending: Vec<String> = (1..=9).map(|n| format!("1555019000{n}")).collect();
    let descending: Vec<String> = ascending.iter().rev().cloned().collect();
    for numbers in [ascending, descending] {
        let mut kept = Kept::default();
        let mut linked_after = |number: &String, n: u64| {
            let command = Command::Record {
                at: Millis(t() + n),
                spelled: String::new(),
                event_id: String::new(),
                fact: Fact::Identity {},
            };
            apply_as(vm, &mut kept, t() + n, (number, "US.1"), command);
            let mut linked = vm.linked("", "US.1", &mut kept).unwrap();
            linked.retain(|id| id != "US.1");
            linked
        };
        for (number, n) in std::iter::zip(&numbers[..8], 0..) {
            linked_after(number, n);
        }
        assert_eq!(linked_after(&numbers[8], 8), numbers[1..]);
        assert_eq!(linked_after(&numbers[0], 9), [&numbers[2..], &numbers[..1]].concat());
    }
}

#[test]
fn any_order_and_repetition_of_the_same_events_gives_the_same_view() {
    any_order(&mut Dice::throw(), 150);
}

pub(crate) fn any_order(dice: &mut Dice, rounds: usize) {
    let vm = &mut vm();
    for round in 0..rounds {
        let now = t() + 8 * 24 * 3_600_000;
        // All within the horizon, so that nothing is folded or stale.
        let events: Vec<_> = (0..2 + dice.below(12))
            .map(|_| {
                let names = if dice.below(2) == 0 { &NAMES[..] } else { &NAMES[..2] };
                let name = *dice.pick(names);
                let span = *dice.pick(&[4, 7 * 24 * 3600]);
                let seconds = dice.below(span);
                (name, now - seconds * 1000 - dice.below(2), fact(dice, now))
            })
            .filter(|(_, _, fact)| is_free_of_order(fact))
            .collect();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut order: Vec<_> = events.iter().chain(events.iter().take(3)).collect();
            dice.shuffle(&mut order);
            let mut kept = Kept::default();
            for (name, at, fact) in order {
                let command = Command::Record {
                    at: Millis(*at),
                    spelled: String::new(),
                    event_id: String::new(),
                    fact: fact.clone(),
                };
                let reply = apply_as(vm, &mut kept, now, *name, command);
                assert!(reply.refused.is_empty(), "{reply:?}");
            }
            seen.push(views(vm, &mut kept, now));
        }
        assert_eq!(seen[0], seen[1], "round {round}: {events:#?}");
        assert_eq!(seen[0], seen[2], "round {round}: {events:#?}");
    }
}

#[test]
fn folding_changes_nothing_that_people_see() {
    folding(&mut Dice::throw(), 150);
}

pub(crate) fn folding(dice: &mut Dice, rounds: usize) {
    let vm = &mut vm();
    let day = 24 * 3_600_000;
    for round in 0..rounds {
        let (told, mut kept) = (t(), Kept::default());
        let together = Command::Record {
            at: Millis(told - 4 * day),
            spelled: String::new(),
            event_id: String::new(),
            fact: Fact::Identity {},
        };
        apply_as(vm, &mut kept, told, NAMES[1], together);
        let mut events = Vec::new();
        for _ in 0..2 + dice.below(12) {
            let (name, at) = (*dice.pick(&NAMES[..3]), told - dice.below(3 * 24 * 60) * 60_000);
            let mut fact = fact(dice, told);
            if let Fact::Reply(reply) = &mut fact {
                // Of requests only the newest stays: which one a reply named may be forgotten.
                reply.request_id.clear();
            }
            events.push((name, at, fact.clone()));
            let command = Command::Record {
                at: Millis(at),
                spelled: String::new(),
                event_id: String::new(),
                fact,
            };
            apply_as(vm, &mut kept, told, name, command);
        }
        let now = told + (5 + dice.below(5)) * day + dice.below(24 * 60) * 60_000;
        let before = views(vm, &mut kept, now);
        write(vm, &mut kept, now, *dice.pick(&NAMES[..3]));
        let after = views(vm, &mut kept, now);
        for (mut before, mut after) in std::iter::zip(before, after).take(3) {
            before.view.conversation_ends_at = Millis::ZERO;
            after.view.conversation_ends_at = Millis::ZERO;
            assert_eq!(before, after, "round {round}: {events:?}");
        }
    }
}

/// A message is no consent, and a step that writes folds.
fn write(vm: &mut Vm, kept: &mut Kept, now: u64, name: (&str, &str)) {
    let message = InboundMessage { provider_message_id: String::new() };
    let fact = Fact::InboundMessage(message);
    let command =
        Command::Record { at: Millis(now), spelled: String::new(), event_id: String::new(), fact };
    apply_as(vm, kept, now, name, command);
}
