//! No example: what `scripts/instructions` runs under valgrind, which counts its instructions:
//! `instructions allow 100` prepares its customers and asks 100 times. The difference of two counts is the
//! cost of the questions alone.
//!
//! - `allow`, `deny`: AuthorizeCall through the service, over the store in memory, without a network: the
//!   request and the answer as bytes on both sides. Allowed where 2 to 4 of the day's 5 calls are made,
//!   denied where all are.
//! - `step`: one step of the interpreter alone, that allows: record decoded, judged, encoded. 2 calls are
//!   made.

#![allow(clippy::unwrap_used, reason = "a benchmark that unwraps says where it failed")]

#[path = "../benches/figures/mix.rs"]
#[allow(dead_code, reason = "the figures use all of it")]
mod mix;

use std::{collections::HashMap, hint::black_box, sync::Arc};

use callgate::{
    engine::{
        Result,
        change::Change,
        fact::{CallOutcome, CallReport, Fact, Reply, RequestOutcome, RequestReport},
        gate::{Gate, Profiles},
        pair::Pair,
        profile::Profile,
        step::{Command, Step},
        time::{ManualClock, Millis},
    },
    proto::{
        Decision, RecordEventsRequest, call_permission_service_client::CallPermissionServiceClient,
    },
    service::{Options, Retried, Retry, router},
    store::{
        embedded::Embedded,
        lua::{Records, Vm},
    },
};
use mix::{CALLS_PER_DAY, Mix};

const CUSTOMERS: usize = 60;
/// So often each may be called: two calls of the day are made.
const ALLOWED: usize = CALLS_PER_DAY - 2;
/// Seconds since 1970.
const NOW: i64 = 1_790_000_000;
const HOUR_MS: u64 = 3_600_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, count] = &arguments[..] else { panic!("instructions allow|deny|step COUNT") };
    let count: usize = count.parse().unwrap();
    assert!(count <= CUSTOMERS * ALLOWED, "nobody is left to be called");
    match what.as_str() {
        "step" => steps(count),
        "allow" => runtime().block_on(questions(Decision::Allow, count)),
        "deny" => runtime().block_on(questions(Decision::Deny, count)),
        _ => panic!("there is no {what}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn questions(wanted: Decision, count: usize) {
    let now = Millis(u64::try_from(NOW).unwrap() * 1000);
    let store = Arc::new(Embedded::memory(Arc::new(ManualClock::at(now))).unwrap());
    let gate = Gate::new(store, Profiles::new(Profile::atom()));
    let retry = Retry::new(|_, _| Box::pin(async { Ok(Retried::StillUnclear(String::new())) }));
    let routes = router(gate, Options::new(retry)).await.routes;
    let mut client = CallPermissionServiceClient::new(routes);
    let mix = Mix::new(70_000_000, CUSTOMERS, NOW);
    let calls = if wanted == Decision::Allow { CALLS_PER_DAY - ALLOWED } else { CALLS_PER_DAY };
    for customer in 0..CUSTOMERS {
        let events = mix.events_of(customer, calls);
        client.record_events(RecordEventsRequest { events }).await.unwrap();
    }
    for n in 0..count {
        let mut request = mix.question(0).0;
        request.pair = Some(mix.pair(n % CUSTOMERS));
        request.call_id = id(100 + u64::try_from(n).unwrap());
        let answer = client.authorize_call(request).await.unwrap().into_inner();
        assert_eq!(answer.decision(), wanted, "{answer:?}");
    }
}

/// Always on the same record.
fn steps(count: usize) {
    let (mut vm, mut kept) = (Vm::new().unwrap(), Kept::default());
    let pair = Pair::parse("70000000", "155500000002", "", "pair").unwrap();
    let profile = Profile::atom();
    let now = Millis(u64::try_from(NOW).unwrap() * 1000);
    let mut step = |command, kept: &mut Kept| {
        let step = Step { pair: &pair, command, profile: &profile, now };
        vm.step(&step, now, kept).unwrap()
    };
    for (ago, fact) in facts() {
        let at = Millis(now.0 - ago * HOUR_MS);
        let (spelled, event_id) = (String::new(), String::new());
        step(Command::Record { at, spelled, event_id, fact }, &mut kept);
    }
    for _ in 0..count {
        let own_id = id(100);
        let reply = step(Command::AuthorizeCall { own_id, lease: 0 }, &mut kept.clone());
        assert_eq!(black_box(reply).decision, 1, "it is allowed");
    }
}

/// What makes a customer of the mix who was called twice, and how many hours ago.
fn facts() -> [(u64, Fact); 4] {
    let request_id = format!("req-{:032}", 2);
    let request = RequestReport {
        request_id: request_id.clone(),
        provider_message_id: format!("wamid.{:054}", 2),
        outcome: RequestOutcome::Sent,
        known_only: false,
    };
    let accept = Reply {
        accept: true,
        permanent: false,
        expires_at: Millis::ZERO,
        automatic: false,
        request_id,
    };
    let call = |n: u64| CallReport {
        call_id: id(n),
        provider_call_id: format!("wacid.{n:054}"),
        outcome: CallOutcome::Answered,
        error: 0,
        placed_at: Millis::ZERO,
        answered_at: Millis::ZERO,
        ended_at: Millis::ZERO,
        pstn: false,
    };
    [
        (48, Fact::Request(request)),
        (47, Fact::Reply(accept)),
        (1, Fact::Call(call(0))),
        (2, Fact::Call(call(1))),
    ]
}

fn id(n: u64) -> String {
    format!("00000002-0000-4000-8000-{n:012}")
}

/// The records of one business number, in memory.
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
