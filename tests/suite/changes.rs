//! What the stream tells, against the view: a subscriber who heard everything knows at every instant
//! what GetPermission says at that instant, on any history.

use std::collections::HashMap;

use callgate::{
    engine::{
        Result,
        change::Change,
        code::{change_cause, change_cause_name, status, status_name},
        fact::{CallOutcome, CallReport, Fact, Reply as PermissionReply},
        pair::Pair,
        profile::Profile,
        step::{Command, Reply, Step, View},
        time::Millis,
    },
    store::{
        codec::decode_change,
        lua::{Records, Vm},
    },
};

use crate::{
    conformance::t,
    twins::{Dice, command, pause},
};

/// Records in a map, and the log in a list.
#[derive(Default, Clone)]
struct Kept {
    records: HashMap<String, Vec<u8>>,
    due: HashMap<String, Millis>,
    told: Vec<Change>,
}

impl Records for Kept {
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.records.get(id).cloned())
    }
    fn tell(&mut self, change: Change) -> Result<()> {
        self.told.push(change);
        Ok(())
    }
    fn save(&mut self, id: &str, bytes: Vec<u8>, _: Millis, due_at: Option<Millis>) -> Result<()> {
        self.records.insert(id.to_owned(), bytes);
        if let Some(at) = due_at {
            self.due.insert(id.to_owned(), at);
        }
        Ok(())
    }
    fn number(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    fn erased(&mut self, _: &str) -> Result<Millis> {
        Ok(Millis::ZERO)
    }
}

struct World {
    vm: Vm,
    kept: Kept,
    profile: Profile,
}

impl World {
    fn apply(&mut self, (wa, user): (&str, &str), command: Command, now: u64) -> Reply {
        let pair = Pair::parse("1", wa, user, "pair").unwrap();
        let step = Step { pair: &pair, command, profile: &self.profile, now: Millis(now) };
        self.vm.step(&step, Millis(now), &mut self.kept).unwrap()
    }

    fn view(&mut self, id: (&str, &str), now: u64) -> View {
        self.apply(id, Command::View { as_of: Millis::ZERO }, now).view
    }
}

const IDS: [(&str, &str); 4] =
    [("15550199001", ""), ("15550199002", ""), ("", "US.1"), ("", "US.2")];
const BOTH: [(&str, &str); 2] = [("15550199001", "US.1"), ("15550199001", "US.2")];

/// What a subscriber knows of one id.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    status: u8,
    grant: (u8, u8, Millis, Millis),
    valid_until: Millis,
    is_full: bool,
}

fn knows(told: &[Change], (wa, user): (&str, &str), by: u64) -> Known {
    let mut known = Known {
        status: status::NONE,
        grant: (0, 0, Millis::ZERO, Millis::ZERO),
        valid_until: Millis::ZERO,
        is_full: false,
    };
    let is_theirs = |change: &&Change| {
        (!wa.is_empty() && change.wa == wa) || (!user.is_empty() && change.user == user)
    };
    for change in told.iter().filter(is_theirs).filter(|change| change.judged_at.0 <= by) {
        known.is_full &= known.status == status::GRANTED;
        known.status = change.status;
        known.grant =
            (change.grant_kind, change.grant_source, change.granted_at, change.expires_at);
        known.valid_until = change.valid_until;
        match change.cause {
            change_cause::LIMIT_REACHED => known.is_full = true,
            change_cause::LIMIT_FREED => known.is_full = false,
            _ => known.is_full &= change.status == status::GRANTED,
        }
    }
    known
}

/// For messages.
fn heard(told: &[Change], (wa, user): (&str, &str)) -> Vec<String> {
    let is_theirs = |change: &&Change| change.wa == wa || change.user == user;
    let shown = told.iter().filter(is_theirs).map(|change| {
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

fn is(view: &View) -> Known {
    let is_full = |i: usize| {
        view.quota_limit[i] > 0 && view.quota_used[i] + view.quota_held[i] >= view.quota_limit[i]
    };
    Known {
        status: view.status,
        grant: (view.grant_kind, view.grant_source, view.granted_at, view.expires_at),
        valid_until: view.valid_until,
        is_full: view.status == status::GRANTED && (is_full(0) || is_full(1)),
    }
}

fn profile(dice: &mut Dice) -> Profile {
    let mut profile = dice.pick(&Profile::built_in()).clone();
    profile.calls_per_window = *dice.pick(&[1, 2, 5]);
    profile.calls_per_permission = *dice.pick(&[0, 1, 3]);
    profile.call_window = *dice.pick(&[5000, 3_600_000, 24 * 3_600_000]);
    profile.temporary_permission = *dice.pick(&[5000, 24 * 3_600_000, 7 * 24 * 3_600_000]);
    profile.request_lapses_after = *dice.pick(&[3000, 24 * 3_600_000]);
    profile.expiring_soon = *dice.pick(&[1000, 3_600_000]);
    profile
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

#[test]
fn who_heard_everything_knows_at_every_instant_what_is_so() {
    let mut dice = Dice::throw();
    let mut told = 0;
    for round in 0..40 {
        let mut world =
            World { vm: Vm::new().unwrap(), kept: Kept::default(), profile: profile(&mut dice) };
        let mut now = t();
        for n in 0..40 {
            let before = world.kept.clone();
            let from = now;
            now += pause(&mut dice);
            // What time alone tells, as the sweeper asks for it.
            for id in IDS {
                world.apply(id, Command::Settle {}, now);
            }
            let settled = world.kept.clone();
            let place = format!("round {round}, step {n}, {}", world.profile.name);
            for at in instants(&mut dice, &settled.told[before.told.len()..], from, now) {
                world.kept.records.clone_from(&before.records);
                for id in IDS {
                    let view = world.view(id, at);
                    assert_eq!(
                        knows(&settled.told, id, at),
                        is(&view),
                        "{place}: {id:?} at {at}: {view:?}\n{:#?}",
                        heard(&settled.told, id),
                    );
                }
            }
            world.kept = settled;
            let rules = world.kept.told.iter().find(|change| change.cause == change_cause::RULES);
            assert_eq!(rules, None, "{place}: not told when it happened");
            // And then something happens.
            let names = if dice.below(4) == 0 { &BOTH[..] } else { &IDS[..] };
            let name = *dice.pick(names);
            let command = command(&mut dice, now);
            world.apply(name, command.clone(), now);
            for id in IDS {
                let view = world.view(id, now);
                let known = knows(&world.kept.told, id, now);
                assert_eq!(known, is(&view), "{place}: {id:?} after {command:?} on {name:?}");
            }
        }
        told += world.kept.told.len();
    }
    println!("{told} changes were told");
    assert!(told > 200, "hardly anything happened");
}

fn accept(now: u64) -> Command {
    let reply = PermissionReply {
        accept: true,
        permanent: false,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    };
    Command::Record {
        at: Millis(now),
        spelled: String::new(),
        event_id: "event-1".to_owned(),
        fact: Fact::Reply(reply),
    }
}

fn world() -> World {
    World { vm: Vm::new().unwrap(), kept: Kept::default(), profile: Profile::atom() }
}

#[test]
fn a_change_names_its_event_and_time_names_none() {
    let (mut world, now) = (world(), t());
    world.apply(IDS[0], accept(now), now);
    world.apply(IDS[0], Command::Settle {}, now + 7 * 24 * 3_600_000);
    let told: Vec<_> =
        world.kept.told.iter().map(|change| (change.cause, change.event_id.as_str())).collect();
    assert_eq!(
        told,
        [
            (change_cause::ACCEPTED, "event-1"),
            (change_cause::EXPIRING_SOON, ""),
            (change_cause::EXPIRED, "")
        ]
    );
}

#[test]
fn the_deadline_is_written_when_it_changes_and_gone_when_nothing_is_due() {
    let (mut world, now) = (world(), t());
    let hour = 3_600_000;
    world.apply(IDS[0], accept(now), now);
    let soon = Millis(now + 7 * 24 * hour - hour);
    assert_eq!(world.kept.due, HashMap::from([("15550199001".to_owned(), soon)]));
    world.kept.due.clear();
    let message = callgate::engine::fact::InboundMessage { provider_message_id: String::new() };
    let wrote = Command::Record {
        at: Millis(now + 1),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::InboundMessage(message),
    };
    world.apply(IDS[0], wrote, now + 1);
    assert!(world.kept.due.is_empty(), "it did not change");
    world.apply(IDS[0], Command::Settle {}, now + 8 * 24 * hour);
    assert_eq!(world.kept.due, HashMap::from([("15550199001".to_owned(), Millis::ZERO)]));
}

/// A record of the format before, as the version before wrote it: an accept, at the start of the
/// tests' time.
fn old_record(now: u64) -> Vec<u8> {
    let mut bytes = vec![1, 1, 0xa0, 0, 0xcf];
    bytes.extend_from_slice(&now.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0xa0, 0, 0xa0]);
    bytes.extend_from_slice(&[0; 9]);
    bytes.extend_from_slice(&[0x90; 19]);
    bytes
}

#[test]
fn a_record_of_the_format_before_is_read_and_its_state_is_not_news() {
    let (mut world, now) = (world(), t());
    world.kept.records.insert("15550199001".to_owned(), old_record(now));
    assert_eq!(world.view(IDS[0], now + 1).status, status::GRANTED);
    world.apply(IDS[0], Command::Settle {}, now + 1);
    assert_eq!(world.kept.told, [], "what was so before is not told");
    assert_eq!(world.kept.records["15550199001"][0], 2);
    world.apply(IDS[0], Command::Settle {}, now + 7 * 24 * 3_600_000);
    let causes: Vec<u8> = world.kept.told.iter().map(|change| change.cause).collect();
    assert_eq!(causes, [change_cause::EXPIRING_SOON, change_cause::EXPIRED]);
}

#[test]
fn a_record_of_an_impossible_format_is_refused() {
    let mut kept = Kept::default();
    kept.records.insert("15550199001".to_owned(), [&[0xcf][..], &[0xff; 8]].concat());
    let pair = Pair::parse("1", "15550199001", "", "pair").unwrap();
    let command = Command::View { as_of: Millis::ZERO };
    let step = Step { pair: &pair, command, profile: &Profile::atom(), now: Millis(t()) };
    let error = Vm::new().unwrap().step(&step, Millis(t()), &mut kept).unwrap_err();
    assert!(error.to_string().contains("format 18446744073709551615"), "{error}");
}

#[test]
fn a_damaged_or_newer_change_is_refused() {
    assert!(decode_change(&[]).is_err());
    assert!(decode_change(&[0x92, 2, 0xa0]).unwrap_err().to_string().contains("format 2"));
}

fn causes(world: &World) -> Vec<(u8, u8)> {
    world.kept.told.iter().map(|change| (change.cause, change.status)).collect()
}

/// The configuration is another one after a restart, and nobody settles the customer in between.
#[test]
fn a_profile_that_was_changed_is_told_as_that_and_not_as_what_happens_next() {
    let hour = 3_600_000;
    for days in [1, 14] {
        let (mut world, now) = (world(), t());
        world.apply(IDS[0], accept(now), now);
        world.profile.temporary_permission = days * 24 * hour;
        let report = CallReport {
            call_id: "c1".to_owned(),
            provider_call_id: String::new(),
            outcome: CallOutcome::Ringing,
            error: 0,
            placed_at: Millis::ZERO,
            answered_at: Millis::ZERO,
            ended_at: Millis::ZERO,
            pstn: false,
        };
        let rings = Command::Record {
            at: Millis::ZERO,
            spelled: String::new(),
            event_id: "event-2".to_owned(),
            fact: Fact::Call(report),
        };
        let mut idle = world;
        let mut busy = World {
            vm: Vm::new().unwrap(),
            kept: idle.kept.clone(),
            profile: idle.profile.clone(),
        };
        let is = if days == 1 { status::EXPIRED } else { status::GRANTED };
        let told = [(change_cause::ACCEPTED, status::GRANTED), (change_cause::RULES, is)];
        // By the next event,
        busy.apply(IDS[0], rings, now + 48 * hour);
        assert_eq!(causes(&busy), told, "{days} days");
        assert_eq!(busy.kept.told[1].event_id, "");
        // or by the deadline of the rules from before.
        idle.apply(IDS[0], Command::Settle {}, now + 7 * 24 * hour - hour);
        assert_eq!(causes(&idle), told, "{days} days");
    }
}
