//! Random histories: facts early and late, two ids that meet and part, settings and profiles, erasures,
//! records of a format before, and a sweeper that asks for nobody who is not due.

use std::time::Instant;

use callgate::{
    engine::{
        change::Change,
        code::{change_cause, change_cause_name, status, status_name},
        fact::{Fact, NumberReport, Told},
        profile::Profile,
        step::{Command, View},
        time::Millis,
    },
    store::codec::record_to_json,
};

use super::{Kept, World};
use crate::{
    conformance::t,
    support::{formats::older, tally, vm::vm},
    twins::{Dice, command, pause},
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

const IDS: [(&str, &str); 7] = [
    ("15550199001", ""),
    ("15550199002", ""),
    ("15550199003", ""),
    ("15550199004", ""),
    ("", "US.1"),
    ("", "US.2"),
    ("", "US.3"),
];

/// One id, or both.
fn name(dice: &mut Dice, one_in: u64) -> (&'static str, &'static str) {
    if dice.below(one_in) == 0 {
        (dice.pick(&IDS[..4]).0, dice.pick(&IDS[4..]).1)
    } else {
        *dice.pick(&IDS)
    }
}

/// What a subscriber knows of one id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    status: u8,
    grant: (u8, u8, Millis, Millis),
    valid_until: Millis,
    is_full: bool,
    is_soon: bool,
}

impl Known {
    fn nothing() -> Self {
        Self {
            status: status::NONE,
            grant: (0, 0, Millis::ZERO, Millis::ZERO),
            valid_until: Millis::ZERO,
            is_full: false,
            is_soon: false,
        }
    }

    fn after(&self, change: &Change) -> Self {
        let is_granted = change.status == status::GRANTED;
        let grant = (change.grant_kind, change.grant_source, change.granted_at, change.expires_at);
        Self {
            status: change.status,
            grant,
            valid_until: change.valid_until,
            is_full: match change.cause {
                change_cause::LIMIT_REACHED => true,
                change_cause::LIMIT_FREED => false,
                _ => self.is_full && is_granted,
            },
            is_soon: change.cause == change_cause::EXPIRING_SOON
                || (self.is_soon && is_granted && self.valid_until == change.valid_until),
        }
    }
}

fn is_theirs(change: &Change, (wa, user): (&str, &str)) -> bool {
    (!wa.is_empty() && change.wa == wa) || (!user.is_empty() && change.user == user)
}

fn knows(told: &[Change], id: (&str, &str), by: u64) -> Known {
    told.iter()
        .filter(|change| is_theirs(change, id) && change.judged_at.0 <= by)
        .fold(Known::nothing(), |known, change| known.after(change))
}

/// Whether something is told twice: a change that leaves everything as it was, on the way of an id that
/// it names alone (one that names two may be news for the other).
fn echo<'a>(told: &'a [Change], id: (&str, &str)) -> Option<&'a Change> {
    let mut known = Known::nothing();
    for change in told.iter().filter(|change| is_theirs(change, id)) {
        let next = known.after(change);
        let says_the_state =
            !matches!(change.cause, change_cause::CUSTOMER_WARNED | change_cause::FORGOTTEN);
        let is_alone = change.wa.is_empty() || change.user.is_empty();
        // A longer one that is soon over, too.
        let is_soon_again = change.cause == change_cause::EXPIRING_SOON && !known.is_soon;
        if says_the_state && is_alone && next == known && !is_soon_again {
            return Some(change);
        }
        known = next;
    }
    None
}

/// For messages.
fn heard(told: &[Change], id: (&str, &str)) -> Vec<String> {
    let shown = told.iter().filter(|change| is_theirs(change, id)).map(|change| {
        format!(
            "{} at {} told at {}: {}, {:?} of {:?}",
            change_cause_name(change.cause),
            change.occurred_at.0,
            change.recorded_at.0,
            status_name(change.status),
            change.quota_used,
            change.quota_limit
        )
    });
    shown.collect()
}

fn is(view: &View, at: u64, profile: &Profile) -> Known {
    let is_full = |i: usize| {
        view.quota_limit[i] > 0 && view.quota_used[i] + view.quota_held[i] >= view.quota_limit[i]
    };
    let is_granted = view.status == status::GRANTED;
    Known {
        status: view.status,
        grant: (view.grant_kind, view.grant_source, view.granted_at, view.expires_at),
        valid_until: view.valid_until,
        is_full: is_granted && (is_full(0) || is_full(1)),
        is_soon: is_granted
            && view.expires_at.get().is_some_and(|ends| ends.0 <= at + profile.expiring_soon),
    }
}

fn profile(dice: &mut Dice) -> Profile {
    let mut profile = dice.pick(&Profile::built_in()).clone();
    profile.calls_per_window = *dice.pick(&[1, 2, 5]);
    profile.calls_per_permission = *dice.pick(&[0, 1, 3]);
    profile.call_window = *dice.pick(&[5000, HOUR, DAY]);
    profile.temporary_permission = *dice.pick(&[5000, DAY, 7 * DAY]);
    profile.request_lapses_after = *dice.pick(&[3000, DAY]);
    profile.expiring_soon = *dice.pick(&[1000, HOUR]);
    profile.request_ends_permission = *dice.pick(&[false, true]);
    profile.inbound_call_grants = *dice.pick(&[false, true]);
    (profile.unanswered_warns_at, profile.unanswered_revokes_at) = *dice.pick(&[(1, 2), (2, 4)]);
    profile
}

/// Any command; some facts are ahead of the clock, some permissions end within the second.
fn any(dice: &mut Dice, now: u64) -> Command {
    let mut command = command(dice, now);
    if let Command::Record { at, fact, .. } = &mut command {
        if dice.below(6) == 0 {
            *at = Millis(now + dice.below(300_001));
        }
        if let Fact::Reply(reply) = fact
            && dice.below(3) == 0
        {
            let most = *dice.pick(&[1000, 400_000, 59 * DAY]);
            reply.expires_at = Millis(now + dice.below(most));
        }
    }
    command
}

/// Every instant between two steps that is worth a look: around what was told, and some more.
fn instants(dice: &mut Dice, told: &[Change], from: u64, to: u64) -> Vec<u64> {
    let edges = told.iter().flat_map(|change| {
        let at = change.occurred_at.0;
        [at.saturating_sub(1), at, at + 1]
    });
    let mut instants: Vec<u64> =
        edges.filter(|at| from <= *at && *at <= to).chain([from, to]).collect();
    instants.extend((0..3).map(|_| from + dice.below(to - from + 1)));
    instants
}

/// A record as a version before wrote it, if that knew all that it says.
fn as_before(record: &[u8]) -> Vec<u8> {
    let json = record_to_json(record).unwrap();
    let is_new = json["accept_superseded_at"] != 0 || json["callback_superseded_at"] != 0;
    if record[0] < 7 { record.to_vec() } else { older(record, if is_new { 6 } else { 5 }) }
}

impl World {
    /// What a sweeper does that is never late: nobody who is not due is asked for.
    fn sweep(&mut self, now: u64) {
        loop {
            let is_due = |at: &Millis| at.get().is_some_and(|at| at.0 <= now);
            let due: Vec<String> = self
                .kept
                .due
                .iter()
                .filter(|(_, at)| is_due(at))
                .map(|(id, _)| id.clone())
                .collect();
            if due.is_empty() {
                return;
            }
            for id in due {
                let named = if id.contains('.') { ("", id.as_str()) } else { (id.as_str(), "") };
                self.apply(named, Command::Settle {}, now);
                if self.kept.due.get(&id).is_some_and(is_due) {
                    self.kept.due.remove(&id);
                }
            }
        }
    }

    fn settle_all(&mut self, now: u64) {
        for id in IDS {
            self.apply(id, Command::Settle {}, now);
        }
    }

    /// The number's callback setting is another one, and everybody is settled.
    fn set_number(&mut self, dice: &mut Dice, now: u64) {
        let report = NumberReport {
            at: Millis(now),
            inbound_call_grants: *dice.pick(&[Told::No, Told::Yes]),
            ..NumberReport::default()
        };
        let known = self.kept.number.clone();
        let (reply, bytes) =
            self.vm.number_step(Some(&report), Millis(now), known.as_deref()).unwrap();
        self.kept.number = bytes.or(known);
        let before = self.kept.told.len();
        self.settle_all(now);
        assert!(reply.resettle == 1 || self.kept.told.len() == before, "told without a reason");
        for change in &mut self.kept.told[before..] {
            // It was told when it happened; the test asks below for those that were not.
            change.event_id = "number".to_owned();
        }
    }

    fn forget(&mut self, (wa, user): (&str, &str), now: u64) {
        let ids = self.vm.linked(wa, user, &mut self.kept).unwrap();
        let told = self.vm.forgotten(&ids, &self.profile, Millis(now), &mut self.kept).unwrap();
        self.kept.told.extend(told);
        for id in ids {
            self.kept.due.remove(&id);
            if let Some(record) = self.kept.records.remove(&id) {
                let newest = self.vm.newest(&record).unwrap().max(Millis(now));
                self.kept.erased.insert(id, newest);
            }
        }
    }

    /// Some records are as the version before wrote them.
    fn go_back(&mut self, dice: &mut Dice) {
        for id in IDS {
            let id = if id.0.is_empty() { id.1 } else { id.0 };
            if dice.below(2) == 0
                && let Some(record) = self.kept.records.get_mut(id)
            {
                *record = as_before(record);
            }
        }
    }

    fn happens(&mut self, dice: &mut Dice, now: u64) -> String {
        match dice.below(40) {
            0 => {
                self.set_number(dice, now);
                "a setting".to_owned()
            }
            1 => {
                self.forget(*dice.pick(&IDS), now);
                "an erasure".to_owned()
            }
            luck => {
                if luck < 5 {
                    self.go_back(dice);
                }
                let (name, command) = (name(dice, 4), any(dice, now));
                self.apply(name, command.clone(), now);
                if luck < 5 {
                    self.settle_all(now);
                }
                format!("{command:?} on {name:?}")
            }
        }
    }
}

/// Forty things that happen. Gives how many changes they told.
pub(crate) fn play(dice: &mut Dice, round: usize) -> usize {
    let profile = profile(dice);
    let mut world = World { vm: vm(), kept: Kept::default(), profile };
    let mut now = t();
    for n in 0..40 {
        let before = world.kept.clone();
        let from = now;
        now += if dice.below(12) == 0 { dice.below(70 * DAY) } else { pause(dice) };
        world.sweep(now);
        let settled = world.kept.clone();
        let place = format!("round {round}, step {n}, {:?}", world.profile);
        for at in instants(dice, &settled.told[before.told.len()..], from, now) {
            world.kept.records.clone_from(&before.records);
            for id in IDS {
                let view = world.view(id, at);
                assert_eq!(
                    knows(&settled.told, id, at),
                    is(&view, at, &world.profile),
                    "{place}: {id:?} at {at}: {view:?}\n{:#?}",
                    heard(&settled.told, id),
                );
            }
        }
        world.kept = settled;
        let what = world.happens(dice, now);
        for id in IDS {
            let view = world.view(id, now);
            let known = knows(&world.kept.told, id, now);
            assert_eq!(
                known,
                is(&view, now, &world.profile),
                "{place}: {id:?} after {what} at {now}\n{:#?}",
                heard(&world.kept.told, id)
            );
            assert_eq!(echo(&world.kept.told, id), None, "{place}: {id:?} after {what}");
        }
        let late = world
            .kept
            .told
            .iter()
            .find(|change| change.cause == change_cause::RULES && change.event_id.is_empty());
        assert_eq!(late, None, "{place}: not told when it happened");
    }
    world.kept.told.len()
}

#[test]
fn who_heard_everything_knows_at_every_instant_what_is_so() {
    let mut dice = Dice::throw();
    let told = (0..25).map(|round| play(&mut dice, round)).sum();
    tally::count("changes told by random histories", told);
    assert!(told > 200, "hardly anything happened");
}

mod soak {
    use super::*;

    #[test]
    #[ignore = "make soak"]
    fn who_heard_everything_knows_at_every_instant_what_is_so() {
        let mut dice = Dice::throw();
        let (end, mut rounds, mut told) = (Instant::now() + tally::soak(), 0, 0);
        while Instant::now() < end {
            told += play(&mut dice, rounds);
            rounds += 1;
        }
        tally::count("changes told by random histories", told);
    }
}
