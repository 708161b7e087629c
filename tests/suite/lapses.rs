//! Calls whose leases run out with nothing told of them: each is found once, by the step that writes
//! next.

use std::collections::HashMap;

use callgate::{
    engine::{
        Result,
        change::Change,
        fact::{CallOutcome, CallReport, Fact, InboundMessage, Reply as PermissionReply},
        pair::Pair,
        profile::Profile,
        step::{Command, Reply, Step},
        store::Store as _,
        time::Millis,
    },
    store::{
        codec::record_to_json,
        lua::{Records, Vm},
        redis::{Options, RedisStore, Target},
    },
};
use redis::cmd;

use crate::{
    conformance::t,
    servers::Server,
    support::{formats::older, vm::vm},
};

const WA: (&str, &str) = ("15550199001", "");
const USER: (&str, &str) = ("", "US.1000");
const BOTH: (&str, &str) = ("15550199001", "US.1000");
/// Of profile `atom`. Milliseconds.
const LEASE: u64 = 90_000;

/// One business number, without a store.
struct World {
    vm: Vm,
    records: Kept,
    now: u64,
}

#[derive(Default)]
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

impl World {
    /// Where this customer gave a permission.
    fn new(name: (&str, &str)) -> Self {
        let mut world = Self { vm: vm(), records: Kept::default(), now: t() };
        assert_eq!(world.record(name, accept()).lapsed, 0);
        world
    }

    fn apply(&mut self, (wa, user): (&str, &str), command: Command) -> Reply {
        let pair = Pair::parse("800000000000001", wa, user, "pair").unwrap();
        let (profile, now) = (Profile::atom(), Millis(self.now));
        let step = Step { pair: &pair, command, profile: &profile, now };
        self.vm.step(&step, now, &mut self.records).unwrap()
    }

    fn record(&mut self, name: (&str, &str), fact: Fact) -> Reply {
        let (spelled, event_id) = (String::new(), String::new());
        self.apply(name, Command::Record { at: Millis::ZERO, spelled, event_id, fact })
    }

    fn call(&mut self, name: (&str, &str), id: &str) -> Reply {
        let reply = self.apply(name, Command::AuthorizeCall { own_id: id.to_owned(), lease: 0 });
        assert_eq!(reply.decision, 1, "{reply:?}");
        reply
    }

    /// Something that is recorded and has nothing to do with calls.
    fn message(&mut self, name: (&str, &str)) -> Reply {
        let provider_message_id = String::new();
        self.record(name, Fact::InboundMessage(InboundMessage { provider_message_id }))
    }

    fn report(&mut self, name: (&str, &str), id: &str, outcome: CallOutcome) -> Reply {
        self.record(name, told(id, "", outcome))
    }
}

fn accept() -> Fact {
    Fact::Reply(PermissionReply {
        accept: true,
        permanent: false,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: String::new(),
    })
}

fn told(call_id: &str, provider_call_id: &str, outcome: CallOutcome) -> Fact {
    Fact::Call(CallReport {
        call_id: call_id.to_owned(),
        provider_call_id: provider_call_id.to_owned(),
        outcome,
        error: 0,
        placed_at: Millis::ZERO,
        answered_at: Millis::ZERO,
        ended_at: Millis::ZERO,
        pstn: false,
    })
}

#[test]
pub(crate) fn a_call_that_lapsed_is_found_once_by_the_next_step_that_writes() {
    let mut world = World::new(WA);
    assert_eq!(world.call(WA, "c1").lapsed, 0);
    world.now += LEASE - 1;
    assert_eq!(world.message(WA).lapsed, 0, "it holds its slot still");
    world.now += 1;
    for question in [Command::Check {}, Command::View { as_of: Millis::ZERO }] {
        assert_eq!(world.apply(WA, question).lapsed, 0, "a question finds nothing");
    }
    assert_eq!(world.message(WA).lapsed, 1, "to the millisecond");
    world.now += 1;
    assert_eq!(world.message(WA).lapsed, 0, "it was found");
    assert_eq!(world.call(WA, "c2").lapsed, 0);
    assert_eq!(world.call(WA, "c3").lapsed, 0);
    world.now += LEASE;
    assert_eq!(world.call(WA, "c4").lapsed, 2, "both, by the next call");
    world.now += LEASE + 7;
    assert_eq!(world.apply(WA, Command::Settle {}).lapsed, 0, "there was nothing to write");
    // At the latest when it is told that the permission is about to end.
    world.now += 7 * 24 * 3_600_000;
    let settled = world.apply(WA, Command::Settle {});
    assert_eq!((settled.lapsed, settled.told.is_empty()), (1, false), "{settled:?}");
}

#[test]
pub(crate) fn a_call_of_which_something_was_told_has_not_lapsed() {
    let mut world = World::new(WA);
    for (id, outcome) in [
        ("c1", CallOutcome::Unanswered),
        ("c2", CallOutcome::Failed),
        ("c3", CallOutcome::NotPlaced),
        ("c4", CallOutcome::Answered),
    ] {
        world.call(WA, id);
        world.now += LEASE + 1;
        assert_eq!(world.report(WA, id, outcome).lapsed, 0, "late, but told: {id}");
        world.now += LEASE + 1;
        assert_eq!(world.message(WA).lapsed, 0, "{id}");
    }
    // By Meta's id, and so in a row of its own.
    world.now += 24 * 3_600_000;
    world.call(WA, "c5");
    assert_eq!(world.record(WA, told("c5", "w5", CallOutcome::Unanswered)).lapsed, 0);
    world.now += LEASE + 1;
    assert_eq!(world.message(WA).lapsed, 0, "the attempt is over");
}

#[test]
pub(crate) fn a_sign_of_life_holds_on() {
    let mut world = World::new(WA);
    world.call(WA, "c1");
    world.now += LEASE - 1;
    assert_eq!(world.report(WA, "c1", CallOutcome::Ringing).lapsed, 0);
    world.now += LEASE - 1;
    assert_eq!(world.message(WA).lapsed, 0);
    world.now += 1;
    assert_eq!(world.message(WA).lapsed, 1);
    // It held a slot once more, and lost it once more.
    assert_eq!(world.report(WA, "c1", CallOutcome::Ringing).lapsed, 0);
    world.now += LEASE;
    assert_eq!(world.message(WA).lapsed, 1);
}

#[test]
pub(crate) fn of_a_customer_with_two_ids_each_call_is_found_once() {
    let mut world = World::new(BOTH);
    world.call(BOTH, "c1");
    world.call(USER, "c2");
    world.now += LEASE;
    assert_eq!(world.message(USER).lapsed, 2);
    assert_eq!(world.message(WA).lapsed, 0);
    assert_eq!(world.message(BOTH).lapsed, 0);
    // Under the user id alone first, found there, and bound afterwards.
    let mut world = World::new(USER);
    world.call(USER, "c1");
    world.now += LEASE;
    assert_eq!(world.message(USER).lapsed, 1);
    world.now += 1;
    assert_eq!(world.message(BOTH).lapsed, 0);
    world.now += 1;
    assert_eq!(world.message(WA).lapsed, 0);
}

#[test]
pub(crate) fn a_step_that_refuses_says_what_it_told_and_found_before() {
    let mut world = World::new(WA);
    world.call(WA, "c1");
    assert_eq!(world.report(WA, "c2", CallOutcome::Failed).result, 1);
    world.now += 8 * 24 * 3_600_000;
    let command = Command::AuthorizeCall { own_id: "c2".to_owned(), lease: 0 };
    let refused = world.apply(WA, command);
    assert_eq!(refused.refused, "exists", "{refused:?}");
    assert_eq!((refused.lapsed, refused.told.len()), (1, 2), "{refused:?}");
}

/// What was held before the upgrade lapses after it, and is found like any other.
#[tokio::test]
async fn records_of_other_formats_are_read_or_refused_by_redis_as_by_the_gate() {
    let server = Server::redis7();
    let target = Target::parse(server.url()).unwrap();
    let store = RedisStore::open(target, Options::default()).await.unwrap();
    let pair = Pair::parse("800000000000001", WA.0, "", "pair").unwrap();
    let (profile, now) = (Profile::atom(), store.now().await.unwrap());
    let step = |command, later| {
        let now = Millis(now.0 + later);
        store.apply(Step { pair: &pair, command, profile: &profile, now })
    };
    let (spelled, event_id) = (String::new(), String::new());
    let accepts = Command::Record { at: Millis::ZERO, spelled, event_id, fact: accept() };
    assert_eq!(step(accepts, 0).await.unwrap().result, 1);
    let call = |id: &str| Command::AuthorizeCall { own_id: id.to_owned(), lease: 0 };
    assert_eq!(step(call("c1"), 1).await.unwrap().decision, 1);

    let mut client = server.client();
    let key: Vec<String> = cmd("KEYS").arg("*:pair:*").query(&mut client).unwrap();
    let record: Vec<u8> = cmd("GET").arg(&key[0]).query(&mut client).unwrap();
    let old = older(&record, 5);
    cmd("SET").arg(&key[0]).arg(&old).query::<()>(&mut client).unwrap();
    let seen = step(Command::View { as_of: Millis::ZERO }, 2).await.unwrap().view;
    assert_eq!(seen.quota_held[0], 1, "the gate reads it: {seen:?}");
    let lapsed_to = |client: &mut redis::Connection| {
        let record: Vec<u8> = cmd("GET").arg(&key[0]).query(client).unwrap();
        assert_eq!(record[0], 7);
        record_to_json(&record).unwrap()["lapsed_to"].as_u64().unwrap()
    };
    assert_eq!(step(call("c0"), 3).await.unwrap().lapsed, 0);
    assert_eq!(lapsed_to(&mut client), 0, "nothing was counted yet");
    let reply = step(call("c2"), 1 + LEASE).await.unwrap();
    assert_eq!((reply.decision, reply.lapsed), (1, 1), "the server reads it: {reply:?}");
    assert_eq!(lapsed_to(&mut client), now.0 + 1 + LEASE);
    assert_eq!(step(call("c3"), 2 + LEASE).await.unwrap().lapsed, 0);

    // A group of values that only a version to come knows: its place is behind the counts of the lists.
    let mut to_come: Vec<u8> = cmd("GET").arg(&key[0]).query(&mut client).unwrap();
    to_come[6] |= 64;
    cmd("SET").arg(&key[0]).arg(&to_come).query::<()>(&mut client).unwrap();
    assert!(step(call("c4"), 3 + LEASE).await.is_err(), "the server does not know them");
    assert!(step(Command::View { as_of: Millis::ZERO }, 3 + LEASE).await.is_err(), "nor the gate");
    let kept: Vec<u8> = cmd("GET").arg(&key[0]).query(&mut client).unwrap();
    assert_eq!(kept, to_come, "nothing was written");
}
