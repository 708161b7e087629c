//! What the stream tells, against the view: a subscriber who heard everything knows at every instant
//! what GetPermission says at that instant, on any history.

pub(crate) mod history;

use std::collections::HashMap;

use callgate::{
    engine::{
        Result,
        change::Change,
        code::{change_cause, status},
        fact::{
            CallOutcome, CallReport, Fact, InboundMessage, Reply as PermissionReply,
            RequestOutcome, RequestReport,
        },
        pair::Pair,
        profile::Profile,
        step::{Command, Reply, Step, View},
        time::Millis,
    },
    store::{
        codec::{decode_change, record_to_json},
        lua::{Records, Vm},
    },
};

use crate::{
    conformance::t,
    support::{formats::older, vm::vm},
};

/// Records in a map, and the log in a list.
#[derive(Default, Clone)]
struct Kept {
    records: HashMap<String, Vec<u8>>,
    due: HashMap<String, Millis>,
    told: Vec<Change>,
    number: Option<Vec<u8>>,
    erased: HashMap<String, Millis>,
    loads: usize,
    saves: usize,
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
        self.saves += 1;
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

const HOUR: u64 = 3_600_000;

fn record(at: u64, fact: Fact) -> Command {
    let (spelled, event_id) = (String::new(), "event-1".to_owned());
    Command::Record { at: Millis(at), spelled, event_id, fact }
}

fn reply(is_permanent: bool) -> Fact {
    Fact::Reply(PermissionReply {
        accept: true,
        permanent: is_permanent,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    })
}

fn accept(at: u64) -> Command {
    record(at, reply(false))
}

fn call(outcome: CallOutcome) -> Fact {
    call_of("c1", outcome)
}

fn call_of(id: &str, outcome: CallOutcome) -> Fact {
    Fact::Call(CallReport {
        call_id: id.to_owned(),
        provider_call_id: String::new(),
        outcome,
        error: 0,
        placed_at: Millis::ZERO,
        answered_at: Millis::ZERO,
        ended_at: Millis::ZERO,
        pstn: false,
    })
}

fn world() -> World {
    World { vm: vm(), kept: Kept::default(), profile: Profile::atom() }
}

#[test]
pub(crate) fn a_change_names_its_event_and_time_names_none() {
    let (mut world, now) = (world(), t());
    let (soon, end) = (now + 7 * 24 * HOUR - HOUR, now + 7 * 24 * HOUR);
    world.apply(ID, accept(now), now + 1);
    world.apply(ID, Command::Settle {}, end + 5);
    let told: Vec<_> = world
        .kept
        .told
        .iter()
        .map(|change| {
            let times = [change.occurred_at.0, change.recorded_at.0, change.judged_at.0];
            (change.cause, change.event_id.as_str(), times)
        })
        .collect();
    assert_eq!(
        told,
        [
            (change_cause::ACCEPTED, "event-1", [now, now + 1, now + 1]),
            (change_cause::EXPIRING_SOON, "", [soon, end + 5, soon]),
            (change_cause::EXPIRED, "", [end, end + 5, end])
        ]
    );
    let change = &world.kept.told[0];
    assert_eq!((change.profile.as_str(), change.warns_at, change.revokes_at), ("atom", 2, 4));
    assert_eq!(change.call_window, 24 * HOUR);
}

#[test]
pub(crate) fn the_deadline_is_written_when_it_changes_and_gone_when_nothing_is_due() {
    let (mut world, now) = (world(), t());
    world.apply(ID, accept(now), now);
    let soon = Millis(now + 7 * 24 * HOUR - HOUR);
    assert_eq!(world.kept.due, HashMap::from([("15550199001".to_owned(), soon)]));
    world.kept.due.clear();
    let message = Fact::InboundMessage(InboundMessage { provider_message_id: String::new() });
    world.apply(ID, record(now + 1, message), now + 1);
    assert!(world.kept.due.is_empty(), "it did not change");
    world.apply(ID, Command::Settle {}, now + 8 * 24 * HOUR);
    assert_eq!(world.kept.due, HashMap::from([("15550199001".to_owned(), Millis::ZERO)]));
}

/// A permanent ACCEPT, which was told, and perhaps a no to a request two seconds before.
fn accepted_after(rejected: &str) -> (World, u64) {
    let (mut world, now) = (world(), t());
    world.profile.request_ends_permission = false;
    if !rejected.is_empty() {
        let no = PermissionReply {
            accept: false,
            permanent: false,
            expires_at: Millis::ZERO,
            automatic: false,
            request_id: rejected.to_owned(),
        };
        world.apply(ID, record(now - 2000, Fact::Reply(no)), now);
    }
    world.apply(ID, record(now, reply(true)), now);
    world.kept.told.clear();
    (world, now)
}

#[test]
pub(crate) fn a_record_of_a_format_before_is_read_and_its_state_is_not_news() {
    for (format, rejected) in [(5, ""), (5, "r1"), (6, ""), (6, "r1")] {
        let (mut world, now) = accepted_after(rejected);
        let record_now = world.kept.records["15550199001"].clone();
        let old = older(&record_now, format);
        world.kept.records.insert("15550199001".to_owned(), old.clone());
        assert_eq!(world.view(ID, now + 1).status, status::GRANTED);
        world.apply(ID, Command::Settle {}, now + 1);
        assert_eq!(world.kept.told, [], "what was so before is not told");
        assert_eq!(world.kept.records["15550199001"], old, "who only looks writes nothing");
        // A no that names a request is never before it.
        let request = RequestReport {
            request_id: "r1".to_owned(),
            provider_message_id: String::new(),
            outcome: RequestOutcome::Sent,
            known_only: false,
        };
        world.apply(ID, record(now + 2000, Fact::Request(request)), now + 2000);
        assert_eq!(world.kept.records["15550199001"][0], record_now[0], "written anew");
        let status = world.view(ID, now + 3000).status;
        assert_eq!(status == status::GRANTED, rejected.is_empty(), "{status}");
        assert_eq!(world.kept.told.len(), rejected.len() / 2);
    }
}

#[test]
pub(crate) fn who_is_forgotten_was_what_was_told_last() {
    let forgotten = |world: &mut World, now| {
        let (ids, profile) = (["15550199001".to_owned()], &world.profile);
        let mut told = world.vm.forgotten(&ids, profile, Millis(now), &mut world.kept).unwrap();
        assert_eq!(told.len(), 1);
        told.swap_remove(0)
    };
    let (mut world, now) = (world(), t());
    world.apply(ID, record(now + 1, reply(true)), now + 1);
    let change = forgotten(&mut world, now + 2);
    assert_eq!((change.previous_status, change.status), (status::GRANTED, status::NONE));
    assert_eq!((change.revision, change.grant_kind), (1, 0));
    // It has expired since, which nobody was told.
    world.apply(ID, accept(now + 2), now + 2);
    let change = forgotten(&mut world, now + 8 * 24 * HOUR);
    assert_eq!((change.previous_status, change.revision), (status::GRANTED, 2));
}

#[test]
pub(crate) fn a_record_of_an_impossible_format_is_refused() {
    let mut kept = Kept::default();
    kept.records.insert("15550199001".to_owned(), [&[0xcf][..], &[0xff; 8]].concat());
    let pair = Pair::parse("1", "15550199001", "", "pair").unwrap();
    let command = Command::View { as_of: Millis::ZERO };
    let step = Step { pair: &pair, command, profile: &Profile::atom(), now: Millis(t()) };
    let error = vm().step(&step, Millis(t()), &mut kept).unwrap_err();
    assert!(error.to_string().contains("format 207"), "{error}");
}

#[test]
pub(crate) fn a_damaged_or_newer_change_is_refused() {
    assert!(decode_change(&[]).is_err());
    assert!(decode_change(&[0x92, 2, 0xa0]).unwrap_err().to_string().contains("format 2"));
}

fn causes(world: &World) -> Vec<(u8, u8)> {
    world.kept.told.iter().map(|change| (change.cause, change.status)).collect()
}

/// The configuration is another one after a restart, and nobody settles the customer in between.
#[test]
pub(crate) fn a_profile_that_was_changed_is_told_as_that_and_not_as_what_happens_next() {
    for days in [1, 14] {
        let (mut idle, now) = (world(), t());
        idle.apply(ID, accept(now), now);
        idle.profile.temporary_permission = days * 24 * HOUR;
        let (kept, profile) = (idle.kept.clone(), idle.profile.clone());
        let mut busy = World { vm: vm(), kept, profile };
        let is = if days == 1 { status::EXPIRED } else { status::GRANTED };
        let told = [(change_cause::ACCEPTED, status::GRANTED), (change_cause::RULES, is)];
        // By the next event,
        let at = now + 48 * HOUR;
        busy.apply(ID, record(at, call(CallOutcome::Ringing)), at);
        assert_eq!(causes(&busy), told, "{days} days");
        assert_eq!(busy.kept.told[1].event_id, "");
        // or by the deadline of the rules from before.
        idle.apply(ID, Command::Settle {}, now + 7 * 24 * HOUR - HOUR);
        assert_eq!(causes(&idle), told, "{days} days");
    }
}

#[test]
pub(crate) fn a_profile_that_was_changed_is_told_as_that_and_not_as_what_both_ids_say() {
    let both = ("15550199001", "US.1");
    let identity = || record(t() + 48 * HOUR, Fact::Identity {});
    let authorize = Command::AuthorizeCall { own_id: "c1".to_owned(), lease: 0 };
    for (is_bound, command) in [(false, identity()), (true, identity()), (true, authorize)] {
        let (mut world, now) = (world(), t());
        world.apply(if is_bound { both } else { ID }, accept(now), now);
        world.profile.temporary_permission = 14 * 24 * HOUR;
        world.apply(both, command.clone(), now + 48 * HOUR);
        let told: &[u8] = if is_bound {
            &[change_cause::ACCEPTED, change_cause::RULES]
        } else {
            &[change_cause::ACCEPTED, change_cause::RULES, change_cause::IDENTITY]
        };
        let causes: Vec<u8> = world.kept.told.iter().map(|change| change.cause).collect();
        assert_eq!(causes, told, "{command:?}");
    }
}

#[test]
pub(crate) fn what_both_ids_say_is_told_at_the_revision_that_it_makes() {
    let (mut world, now) = (world(), t());
    world.apply(ID, accept(now), now);
    let no = PermissionReply {
        accept: false,
        permanent: false,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    };
    world.apply(("", "US.1"), record(now, Fact::Reply(no)), now);
    let told = world.kept.told.len();
    let both = world.apply(("15550199001", "US.1"), record(now + 1, Fact::Identity {}), now + 1);
    assert_eq!(world.kept.told.len(), told + 1);
    assert_eq!(world.kept.told[told].cause, change_cause::IDENTITY);
    assert_eq!(world.kept.told[told].revision, both.view.revision);
    assert_eq!(world.view(ID, now + 2).revision, both.view.revision);
}

#[test]
pub(crate) fn a_profile_that_was_changed_is_told_as_that_where_a_permission_was_to_end() {
    let (mut world, now) = (world(), t());
    world.apply(ID, accept(now), now);
    world.apply(ID, Command::Settle {}, now + 7 * 24 * HOUR - HOUR);
    world.profile.temporary_permission = 14 * 24 * HOUR;
    world.apply(ID, Command::Settle {}, now + 7 * 24 * HOUR);
    let told = [change_cause::ACCEPTED, change_cause::EXPIRING_SOON, change_cause::RULES];
    assert_eq!(causes(&world), told.map(|cause| (cause, status::GRANTED)));
}

#[test]
pub(crate) fn a_profile_that_was_changed_is_told_as_that_where_a_limit_was_to_free() {
    let (mut world, now) = (world(), t());
    world.profile.calls_per_window = 1;
    world.profile.request_ends_permission = false;
    world.apply(ID, record(now, reply(true)), now);
    world.apply(ID, record(now, call(CallOutcome::Answered)), now);
    let request = RequestReport {
        request_id: "r1".to_owned(),
        provider_message_id: String::new(),
        outcome: RequestOutcome::Sent,
        known_only: false,
    };
    world.apply(ID, record(now + HOUR, Fact::Request(request)), now + HOUR);
    world.profile.request_ends_permission = true;
    world.apply(ID, Command::Settle {}, now + 24 * HOUR);
    let told = [
        (change_cause::ACCEPTED, status::GRANTED),
        (change_cause::LIMIT_REACHED, status::GRANTED),
        (change_cause::RULES, status::PENDING),
    ];
    assert_eq!(causes(&world), told);
}

#[test]
pub(crate) fn the_deadline_of_a_full_permission_is_when_enough_calls_are_too_old() {
    let (mut world, now) = (world(), t());
    world.profile.calls_per_permission = 2;
    world.profile.calls_per_window = 100;
    world.apply(ID, record(now - 1, call_of("c0", CallOutcome::Answered)), now);
    let mut yes = reply(false);
    if let Fact::Reply(yes) = &mut yes {
        yes.expires_at = Millis(now + 59 * 24 * HOUR);
    }
    world.apply(ID, record(now, yes), now);
    for n in 1..=3 {
        let at = now + n * HOUR;
        world.apply(ID, record(at, call_of(&format!("c{n}"), CallOutcome::Answered)), at);
    }
    // Of three calls two have to go, where there is room for two.
    let free_at = Millis(now + (8 * 24 + 2) * HOUR + 1);
    let due = |world: &World| world.kept.due["15550199001"];
    assert_eq!(due(&world), free_at);
    world.kept.due.insert("15550199001".to_owned(), Millis::ZERO);
    // One is gone by now, and was folded.
    world.apply(ID, Command::Settle {}, free_at.0 - 1);
    world.apply(ID, record(free_at.0 - 1, call_of("c4", CallOutcome::Failed)), free_at.0 - 1);
    assert_eq!(due(&world), Millis::ZERO, "it did not change");
    world.apply(ID, Command::Settle {}, free_at.0);
    let causes: Vec<u8> = world.kept.told.iter().map(|change| change.cause).collect();
    let told = [change_cause::ACCEPTED, change_cause::LIMIT_REACHED, change_cause::LIMIT_FREED];
    assert_eq!(causes, told);
    let soon = Millis(now + 59 * 24 * HOUR - HOUR);
    assert_eq!(due(&world), soon);
    // What was ended is not due any more.
    let mut no = reply(false);
    if let Fact::Reply(no) = &mut no {
        no.accept = false;
    }
    world.apply(ID, record(free_at.0, no), free_at.0);
    assert_eq!(due(&world), Millis::ZERO);
}

/// The customer's calls under another number count, their leases as well.
#[test]
pub(crate) fn a_deadline_moves_where_nothing_else_of_the_record_does() {
    let (mut world, now) = (world(), t());
    world.profile.calls_per_window = 1;
    world.apply(("15550199001", "US.1"), accept(now), now);
    world.apply(("15550199002", "US.1"), record(now, Fact::Identity {}), now);
    for n in 1..3 {
        let at = now + n * 60_000;
        world.apply(("15550199002", ""), record(at, call(CallOutcome::Ringing)), at);
        assert_eq!(world.kept.due.get("15550199001"), Some(&Millis(at + 90_000)), "sign {n}");
    }
}

/// These numbers stand in records: other ones would change what records say that are there.
#[test]
pub(crate) fn a_record_says_by_number_why_a_permission_was_taken() {
    let automatic = |at| {
        let reject = PermissionReply {
            accept: false,
            automatic: true,
            permanent: false,
            expires_at: Millis::ZERO,
            request_id: String::new(),
        };
        record(at, Fact::Reply(reject))
    };
    let refused = |at| {
        let Fact::Call(call) = call_of("c9", CallOutcome::Failed) else { unreachable!() };
        record(at, Fact::Call(CallReport { error: 138_006, ..call }))
    };
    let missed = |at| record(at, call_of(&format!("c{at}"), CallOutcome::Unanswered));
    let (now, day) = (t(), 24 * HOUR);
    for (why, told) in [
        (1, vec![automatic(now)]),
        (2, vec![refused(now)]),
        (3, (0..4).map(|n| missed(now + n * 1000)).collect()),
    ] {
        let mut world = world();
        for command in told {
            world.apply(ID, command, now + 9000);
        }
        world.apply(ID, accept(now + 9 * day), now + 9 * day);
        let record = record_to_json(&world.kept.records[ID.0]).unwrap();
        assert_eq!(record["taken_why"], why, "{record}");
    }
}

#[test]
pub(crate) fn what_is_told_again_writes_nothing() {
    let (mut world, now) = (world(), t());
    let both = ("15550199001", "US.1");
    world.apply(both, Command::Settle {}, now);
    assert_eq!(world.kept.saves, 0, "of whom nothing is known");
    for command in [
        record(now, Fact::Identity {}),
        accept(now),
        record(now, call_of("c1", CallOutcome::Answered)),
    ] {
        world.apply(both, command.clone(), now);
        assert_eq!(world.kept.saves, 2, "each record once: {command:?}");
        world.kept.saves = 0;
        world.apply(both, command.clone(), now + 1);
        assert_eq!(world.kept.saves, 0, "{command:?}");
    }
}

#[test]
pub(crate) fn a_step_loads_each_record_once_and_few_of_a_long_chain() {
    let (mut world, now) = (world(), t());
    world.apply(("15550199001", "US.1"), record(now, Fact::Identity {}), now);
    let authorize = || Command::AuthorizeCall { own_id: "c1".to_owned(), lease: 0 };
    for (command, loads) in [
        (record(now + 1, Fact::Identity {}), 2),
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
        world.apply((&wa.to_string(), &user), record(now, Fact::Identity {}), now + 2);
        world.apply((&before.to_string(), &user), record(now, Fact::Identity {}), now + 2);
    }
    world.kept.loads = 0;
    world.apply(("15550100100", ""), accept(now + 3), now + 3);
    assert!(world.kept.loads < 40, "{} loads", world.kept.loads);
}
