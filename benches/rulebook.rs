//! What one step of the rulebook costs in this process: the law, the border to Lua, the codec.
//!
//! `cargo bench --bench rulebook`. Each step begins with the record that the facts below leave.

use std::collections::HashMap;

use callgate::{
    engine::{
        Result,
        change::Change,
        fact::{CallOutcome, CallReport, Fact, Reply, RequestOutcome, RequestReport},
        pair::Pair,
        profile::Profile,
        step::{Command, Step},
        time::Millis,
    },
    store::{
        codec,
        lua::{Records, Vm},
    },
};
use divan::{Bencher, black_box};
use mimalloc::MiMalloc;

/// As the gate has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const NOW: Millis = Millis(1_795_400_000_000);
const HOUR: u64 = 3_600_000;
const CUSTOMER: &str = "15550000001";

fn main() {
    divan::main();
}

/// The records of one number, in memory. What a step saves is kept only while they are filled.
#[derive(Default)]
struct Shelf {
    records: HashMap<String, Vec<u8>>,
    is_kept: bool,
}

impl Records for Shelf {
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.records.get(id).cloned())
    }

    fn tell(&mut self, change: Change) -> Result<()> {
        black_box(change);
        Ok(())
    }

    fn save(
        &mut self,
        id: &str,
        bytes: Vec<u8>,
        expire_at: Millis,
        due_at: Option<Millis>,
    ) -> Result<()> {
        black_box((expire_at, due_at));
        if self.is_kept {
            self.records.insert(id.to_owned(), bytes);
        } else {
            black_box(bytes);
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

/// A gate in small: an interpreter, and one customer who gave a permission and took some calls.
struct Desk {
    vm: Vm,
    shelf: Shelf,
    pair: Pair,
    profile: Profile,
    asked: u64,
}

impl Desk {
    fn with_calls(calls: u64) -> Self {
        let pair = Pair::parse("106540352242922", CUSTOMER, "", "pair").expect("a pair");
        let mut desk = Self {
            vm: Vm::new().expect("the rulebook loads"),
            shelf: Shelf { is_kept: true, ..Shelf::default() },
            pair,
            profile: Profile::atom(),
            asked: 0,
        };
        desk.tell(48 * HOUR, request());
        desk.tell(47 * HOUR, accept());
        for n in 1..=calls {
            desk.tell(n * HOUR, answered(n));
        }
        desk.shelf.is_kept = false;
        desk
    }

    fn tell(&mut self, ago: u64, fact: Fact) {
        let at = Millis(NOW.0 - ago);
        let record = Command::Record { at, spelled: String::new(), event_id: String::new(), fact };
        assert_eq!(self.step(record).result, 1);
    }

    fn step(&mut self, command: Command) -> callgate::engine::step::Reply {
        let step = Step { pair: &self.pair, command, profile: &self.profile, now: NOW };
        let reply = self.vm.step(&step, NOW, &mut self.shelf).expect("it answers");
        assert_eq!(reply.refused, "");
        reply
    }

    /// A call that was not asked about before.
    fn authorize(&mut self) -> u8 {
        self.asked += 1;
        let own_id = own_id(1_000_000 + self.asked);
        self.step(Command::AuthorizeCall { own_id, lease: 0 }).decision
    }
}

fn provider_id(n: u64) -> String {
    format!("wacid.HBgLMTU1NTAwMDAwMDEVAgASGCBGRjY4NkM4RTYxNkE0{n:012}")
}

fn own_id(n: u64) -> String {
    format!("9f3c2b1e-7a64-4d38-8a0e-{n:012}")
}

fn request() -> Fact {
    Fact::Request(RequestReport {
        request_id: own_id(0),
        provider_message_id: provider_id(0),
        outcome: RequestOutcome::Sent,
        known_only: false,
    })
}

fn accept() -> Fact {
    Fact::Reply(Reply {
        accept: true,
        permanent: false,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id: provider_id(0),
    })
}

fn answered(n: u64) -> Fact {
    Fact::Call(CallReport {
        call_id: own_id(n),
        provider_call_id: provider_id(n),
        outcome: CallOutcome::Answered,
        error: 0,
        placed_at: Millis::ZERO,
        answered_at: Millis::ZERO,
        ended_at: Millis::ZERO,
        pstn: false,
    })
}

#[divan::bench(args = [0, 2, 4])]
fn authorize_allow(bencher: Bencher<'_, '_>, calls: u64) {
    let mut desk = Desk::with_calls(calls);
    bencher.bench_local(|| assert_eq!(desk.authorize(), 1));
}

#[divan::bench]
fn authorize_deny_limit(bencher: Bencher<'_, '_>) {
    let mut desk = Desk::with_calls(5);
    bencher.bench_local(|| assert_eq!(desk.authorize(), 2));
}

#[divan::bench]
fn check(bencher: Bencher<'_, '_>) {
    let mut desk = Desk::with_calls(2);
    bencher.bench_local(|| assert_eq!(desk.step(Command::Check {}).decision, 1));
}

#[divan::bench]
fn record_answered_call(bencher: Bencher<'_, '_>) {
    let mut desk = Desk::with_calls(2);
    bencher.bench_local(|| desk.tell(0, answered(9)));
}

/// What `callgate inspect` shows; reads the same bytes as a step does.
#[divan::bench]
fn record_as_json(bencher: Bencher<'_, '_>) {
    let desk = Desk::with_calls(2);
    let bytes = &desk.shelf.records[CUSTOMER];
    bencher.bench_local(|| codec::record_to_json(black_box(bytes)).expect("it reads"));
}
