//! What the stream tells, against the view: a subscriber who heard everything knows at every instant
//! what GetPermission says at that instant, on any history.

mod history;

use std::collections::HashMap;

use callgate::{
    engine::{
        Result,
        change::Change,
        code::{change_cause, status},
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

use crate::conformance::t;

/// Records in a map, and the log in a list.
#[derive(Default, Clone)]
struct Kept {
    records: HashMap<String, Vec<u8>>,
    due: HashMap<String, Millis>,
    told: Vec<Change>,
    number: Option<Vec<u8>>,
    erased: HashMap<String, Millis>,
    loads: usize,
}

impl Records for Kept {
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        self.loads += 1;
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
        Ok(self.number.clone())
    }
    fn erased(&mut self, id: &str) -> Result<Millis> {
        Ok(self.erased.get(id).copied().unwrap_or_default())
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

const ID: (&str, &str) = ("15550199001", "");

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
    world.apply(ID, accept(now), now);
    world.apply(ID, Command::Settle {}, now + 7 * 24 * 3_600_000);
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
    world.apply(ID, accept(now), now);
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
    world.apply(ID, wrote, now + 1);
    assert!(world.kept.due.is_empty(), "it did not change");
    world.apply(ID, Command::Settle {}, now + 8 * 24 * hour);
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
    assert_eq!(world.view(ID, now + 1).status, status::GRANTED);
    world.apply(ID, Command::Settle {}, now + 1);
    assert_eq!(world.kept.told, [], "what was so before is not told");
    assert_eq!(world.kept.records["15550199001"][0], 2);
    world.apply(ID, Command::Settle {}, now + 7 * 24 * 3_600_000);
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
        world.apply(ID, accept(now), now);
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
        busy.apply(ID, rings, now + 48 * hour);
        assert_eq!(causes(&busy), told, "{days} days");
        assert_eq!(busy.kept.told[1].event_id, "");
        // or by the deadline of the rules from before.
        idle.apply(ID, Command::Settle {}, now + 7 * 24 * hour - hour);
        assert_eq!(causes(&idle), told, "{days} days");
    }
}

fn seen_together(now: u64) -> Command {
    Command::Record {
        at: Millis(now),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::Identity {},
    }
}

#[test]
fn a_step_loads_each_record_once_and_few_of_a_long_chain() {
    let (mut world, now) = (world(), t());
    world.apply(("15550199001", "US.1"), seen_together(now), now);
    let authorize = || Command::AuthorizeCall { own_id: "c1".to_owned(), lease: 0 };
    for (command, loads) in [
        (seen_together(now + 1), 2),
        (accept(now + 1), 4), // What changes the permission looks first whether the rules had.
        (authorize(), 2),
        (Command::View { as_of: Millis::ZERO }, 2),
        (Command::Settle {}, 2),
    ] {
        world.kept.loads = 0;
        world.apply(("15550199001", ""), command.clone(), now + 1);
        assert_eq!(world.kept.loads, loads, "{command:?}");
    }
    // Numbers that change hands, over and over: each user had the one before as well.
    for n in 0..200_u64 {
        let (wa, before) = (15_550_100_000 + n, 15_550_100_000 + n + 1);
        let user = format!("US.{n}00");
        world.apply((&wa.to_string(), &user), seen_together(now), now + 2);
        world.apply((&before.to_string(), &user), seen_together(now), now + 2);
    }
    world.kept.loads = 0;
    world.apply(("15550100100", ""), accept(now + 3), now + 3);
    assert!(world.kept.loads < 40, "{} loads", world.kept.loads);
}
