//! Twins: random command sequences give equal replies and equal records on two stores.
//!
//! The seed is printed; `CALLGATE_SEED=…` plays one again.

use std::sync::Arc;

use callgate::engine::{
    fact::{
        CallOutcome, CallReport, Fact, InboundCall, InboundMessage, NumberReport, Reply,
        RequestOutcome, RequestReport, Told,
    },
    pair::Pair,
    profile::Profile,
    step::{Command, NumberStep, Step},
    store::Store,
    time::Millis,
};

use crate::conformance::t;

/// A small generator, so that a seed means the same on every machine: SplitMix64.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// From `CALLGATE_SEED`, or fresh; printed either way.
    pub fn throw() -> Self {
        let seed = std::env::var("CALLGATE_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        println!("CALLGATE_SEED={seed}");
        Self(seed)
    }

    /// In any order.
    pub fn shuffle<X>(&mut self, of: &mut [X]) {
        for i in (1..of.len()).rev() {
            of.swap(i, usize::try_from(self.below(i as u64 + 1)).unwrap());
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// One of these.
    pub fn pick<'a, X>(&mut self, of: &'a [X]) -> &'a X {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn is(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

const HOUR: u64 = 3_600_000;
const OUTCOMES: [CallOutcome; 9] = [
    CallOutcome::NotPlaced,
    CallOutcome::Placed,
    CallOutcome::Ringing,
    CallOutcome::Failed,
    CallOutcome::Canceled,
    CallOutcome::Unanswered,
    CallOutcome::Rejected,
    CallOutcome::Uncertain,
    CallOutcome::Answered,
];

/// An instant around `now`, often on a whole second, at times on an edge.
fn around(dice: &mut Dice, now: u64) -> u64 {
    let back =
        *dice.pick(&[0, 1, 999, 1000, 60_000, HOUR, 24 * HOUR, 7 * 24 * HOUR, 9 * 24 * HOUR]);
    let at = now - back + dice.below(3);
    if dice.is(2) { at / 1000 * 1000 } else { at }
}

/// Byte by byte they come in this order; a language has another one.
const NAMES: [&str; 6] = ["0", "1", "A", "B", "a", "b"];

/// Of calls and requests, some of them as long as in life: those are kept in fewer bytes. (None begins as
/// Meta's do: as pseudonyms they would come in another order.)
fn name(dice: &mut Dice, prefix: &str) -> String {
    let name = dice.pick(&NAMES);
    match dice.below(6) {
        0 => format!("00793037-a076-4ea6-01b2-1f6b2b4e9d1{}", name.to_lowercase()),
        1 => format!("HBgLMTY1MDM4Nzk0MzkVAgARGBJD{prefix}{name}=="),
        _ => format!("{prefix}{name}"),
    }
}

fn id(dice: &mut Dice, prefix: &str) -> String {
    if dice.is(3) { String::new() } else { name(dice, prefix) }
}

/// Any fact.
pub fn fact(dice: &mut Dice, now: u64) -> Fact {
    match dice.below(10) {
        0..3 => Fact::Reply(Reply {
            accept: !dice.is(3),
            permanent: dice.is(4),
            expires_at: Millis(if dice.is(3) { now + dice.below(48 * HOUR) } else { 0 }),
            automatic: dice.is(5),
            request_id: id(dice, "r"),
        }),
        3..7 => {
            let own = id(dice, "c");
            let provider = if own.is_empty() { name(dice, "w") } else { id(dice, "w") };
            Fact::Call(CallReport {
                call_id: own,
                provider_call_id: provider,
                outcome: *dice.pick(&OUTCOMES),
                error: *dice.pick(&[0, 0, 0, 138_006, 138_021]),
                placed_at: Millis::ZERO,
                answered_at: Millis(if dice.is(4) { around(dice, now) } else { 0 }),
                ended_at: Millis(if dice.is(3) { around(dice, now) } else { 0 }),
                pstn: dice.is(20),
            })
        }
        7 => {
            let own = id(dice, "r");
            let provider = if own.is_empty() { name(dice, "m") } else { id(dice, "m") };
            Fact::Request(RequestReport {
                request_id: own,
                provider_message_id: provider,
                outcome: *dice.pick(&[
                    RequestOutcome::Sent,
                    RequestOutcome::Delivered,
                    RequestOutcome::Refused,
                    RequestOutcome::Undelivered,
                ]),
                known_only: dice.is(4),
            })
        }
        8 => {
            Fact::InboundCall(InboundCall { provider_call_id: String::new(), answered: dice.is(2) })
        }
        _ => Fact::InboundMessage(InboundMessage { provider_message_id: String::new() }),
    }
}

/// A report that counts only if its request is known depends on the order by its nature.
pub fn is_free_of_order(fact: &Fact) -> bool {
    !matches!(fact, Fact::Request(report) if report.known_only)
}

/// Any command at all.
pub fn command(dice: &mut Dice, now: u64) -> Command {
    match dice.below(20) {
        0..10 => {
            let at = if dice.is(5) { 0 } else { around(dice, now) };
            let spelled = if dice.is(5) { "15550199001".to_owned() } else { String::new() };
            Command::Record {
                at: Millis(at),
                spelled,
                event_id: String::new(),
                fact: fact(dice, now),
            }
        }
        10..15 => Command::AuthorizeCall {
            own_id: format!("c{}", dice.below(30)),
            lease: if dice.is(4) { 5000 } else { 0 },
        },
        15..17 => Command::AuthorizeRequest {
            own_id: format!("r{}", dice.below(9)),
            replace: u8::from(dice.is(3)),
        },
        17 if dice.is(2) => Command::CheckAt { as_of: Millis(around(dice, now)) },
        17 => Command::Check {},
        _ => Command::View { as_of: Millis(if dice.is(3) { around(dice, now) } else { 0 }) },
    }
}

/// How far time moves between two commands.
pub fn pause(dice: &mut Dice) -> u64 {
    *dice.pick(&[0, 0, 1, 500, 1000, 30_000, 90_000, HOUR, 24 * HOUR])
}

const CUSTOMERS: [(&str, &str); 6] = [
    ("15550199001", ""),
    ("15550199001", "US.1"),
    ("", "US.1"),
    ("15550199001", "US.2"),
    ("15550199002", "US.1"),
    ("5511987654321", ""),
];

/// Plays `count` random commands to both and compares every reply and, now and then, the records.
pub async fn compare(left: Arc<dyn Store>, right: Arc<dyn Store>, count: usize) {
    let mut dice = Dice::throw();
    let profiles = Profile::built_in();
    let mut now = t();
    let mut number = 0;
    for n in 0..count {
        if n % 200 == 0 {
            number += 1;
        }
        now += pause(&mut dice);
        let (wa, user) = dice.pick(&CUSTOMERS);
        let pair = Pair::parse(&format!("7{number:014}"), wa, user, "pair").unwrap();
        if dice.is(25) {
            let report = NumberReport {
                at: Millis(around(&mut dice, now)),
                pause: *dice.pick(&[Told::No, Told::No, Told::Yes]),
                paused_until: Millis(if dice.is(2) { now + 60_000 } else { 0 }),
                inbound_call_grants: *dice.pick(&[Told::Not, Told::No, Told::Yes]),
                ..NumberReport::default()
            };
            let step = || NumberStep {
                number: &pair.number,
                report: Some(report.clone()),
                now: Millis(now),
            };
            let (a, b) = (left.number(step()).await, right.number(step()).await);
            assert_eq!(a, b, "command {n}: {report:?}");
            continue;
        }
        let profile = dice.pick(&profiles);
        let command = command(&mut dice, now);
        let step = || Step { pair: &pair, command: command.clone(), profile, now: Millis(now) };
        let (a, b) = (left.apply(step()).await, right.apply(step()).await);
        assert_eq!(a, b, "command {n}: {command:?} at {now} under {}", profile.name);
        let raw = left.raw(&pair.number, &pair.customer).await.unwrap();
        let other = right.raw(&pair.number, &pair.customer).await.unwrap();
        assert_eq!(raw, other, "records after command {n}: {command:?}");
    }
}
