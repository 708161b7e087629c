//! The work: agents that ask and report, customers who accept and reject, on few pairs, through any
//! gate at any time. All that is sent stands in the ledger first.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use callgate::proto::{
    CallOutcome, CallReport, Event, InboundCall, InboundMessage, PermissionReply,
    PermissionRequestReport, PermissionResponse, RequestOutcome, event::Fact,
};
use tokio::task::JoinSet;

use crate::{
    proof::{
        gates::{Gates, Teller},
        ledger::{self, Answer, Asked, Known, Ledger, at, ms},
        pairs::{Pairs, Place},
    },
    twins::Dice,
};

/// How much work there is, and of what kind.
pub(crate) struct Load {
    /// Agents at work at once.
    pub(crate) clients: u64,
    /// Pairs at one time. One that has seen many calls makes room for a new one.
    pub(crate) pairs: u64,
    /// How customers are known, in turn.
    pub(crate) known: Vec<Known>,
    /// Whether customers are forgotten now and then.
    pub(crate) forgets: bool,
    /// Longest rest of an agent between two questions.
    pub(crate) rest: Duration,
    /// How long a client waits for an answer.
    pub(crate) patience: Duration,
    pub(crate) dice: Dice,
}

impl Load {
    /// 64 agents on 8 pairs, some 400 questions a second.
    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            clients: 64,
            pairs: 8,
            known: Known::ALL.to_vec(),
            forgets: false,
            rest: Duration::from_millis(250),
            patience: Duration::from_secs(5),
            dice,
        }
    }

    /// With rests so many times as long.
    pub(crate) fn slower(self, pace: u32) -> Self {
        Self { rest: self.rest * pace, ..self }
    }

    /// Works until `evil` is over, and returns what that gives. What is under way then is waited for.
    pub(crate) async fn run<F: Future>(
        mut self,
        gates: &Gates,
        ledger: &Arc<Ledger>,
        evil: F,
    ) -> F::Output {
        let pairs = Arc::new(Pairs::new(self.pairs, self.known.clone()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for n in 0..self.clients + 2 * self.pairs {
            let dice = Dice(self.dice.below(u64::MAX));
            let worker = Worker {
                teller: Teller::new(gates, ledger, self.patience),
                ledger: Arc::clone(ledger),
                pairs: Arc::clone(&pairs),
                dice,
                due: Vec::new(),
                rest: self.rest,
                forgets: self.forgets,
            };
            let stop = Arc::clone(&stop);
            if n < self.clients {
                tasks.spawn(worker.be_agent(stop));
            } else {
                tasks.spawn(worker.be_customer(n % self.pairs, stop));
            }
        }
        let result = evil.await;
        stop.store(true, Ordering::SeqCst);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        result
    }
}

struct Worker {
    teller: Teller,
    ledger: Arc<Ledger>,
    pairs: Arc<Pairs>,
    dice: Dice,
    /// What is to be told, and when (the host's clock, milliseconds).
    due: Vec<(u64, Event)>,
    rest: Duration,
    forgets: bool,
}

/// Rests end at whole multiples of this, milliseconds.
const TICK: u64 = 100;
/// No fact that is told by one id is from so long before its pair is met, milliseconds.
const MET_BEFORE: u64 = 60_000;
/// A lease that still runs when all is asked again, milliseconds. By the rules most do not.
const LASTING_LEASE: u64 = 15_000;
/// A lease longer than any test: its slot is taken for good.
const LONG_LEASE: u64 = 600_000;

impl Worker {
    async fn be_agent(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::SeqCst) {
            let place = self.pairs.any(&mut self.dice);
            self.meet(&place).await;
            self.tell_due().await;
            match self.dice.below(12) {
                0..5 => self.ask_call(&place).await,
                5..7 => self.ask_call_again(&place).await,
                7 => self.ask_request(&place).await,
                8 => self.look(&place).await,
                9 => self.repeat(&place).await,
                10 => self.report_unasked(&place),
                _ => {}
            }
            self.rest().await;
        }
    }

    /// Half of all rests end with those of others, so that many ask at once.
    async fn rest(&mut self) {
        let longest = u64::try_from(self.rest.as_millis()).unwrap();
        let rest = self.dice.below(longest + 1);
        let to_the_tick =
            if self.dice.below(2) == 0 { TICK - (self.ledger.now() + rest) % TICK } else { 0 };
        tokio::time::sleep(Duration::from_millis(rest + to_the_tick)).await;
    }

    /// Accepts and rejects at the pace of a nervous person.
    async fn be_customer(mut self, place: u64, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::SeqCst) {
            let place = self.pairs.at(place);
            self.meet(&place).await;
            let event = self.event(&place, None, consent);
            self.tell(&place, vec![event]).await;
            if self.forgets && self.dice.below(30) == 0 {
                self.teller.forget(&place.pair, &mut self.dice).await;
            }
            let pause = 100 + self.dice.below(600);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Tells both ids together, before all that will be told by one of them. Others wait for it.
    async fn meet(&mut self, place: &Place) {
        if Known::of(&place.pair) != Known::Either {
            return;
        }
        let event = Event {
            event_id: self.pairs.id("e"),
            pair: Some(ledger::pair(&place.pair)),
            occurred_at: Some(at(self.ledger.now() - MET_BEFORE)),
            fact: Some(Fact::InboundMessage(InboundMessage::default())),
        };
        let telling = async || {
            while let Answer::Unknown(_) =
                self.teller.tell(vec![event.clone()], &mut self.dice).await[0]
            {}
        };
        place.is_met.get_or_init(telling).await;
    }

    /// An event at this time, or of just now.
    fn event(
        &mut self,
        place: &Place,
        when: Option<u64>,
        fact: impl FnOnce(&mut Dice) -> Fact,
    ) -> Event {
        let back = *self.dice.pick(&[0, 0, 0, 0, 30, 700, 2000]);
        let when = when.unwrap_or_else(|| self.ledger.now() - back);
        Event {
            event_id: self.pairs.id("e"),
            pair: Some(ledger::somehow(&place.pair, &mut self.dice)),
            occurred_at: Some(at(when)),
            fact: Some(fact(&mut self.dice)),
        }
    }

    async fn tell(&mut self, place: &Place, events: Vec<Event>) -> Vec<Answer> {
        for event in &events {
            place.remember_event(event);
        }
        self.teller.tell(events, &mut self.dice).await
    }

    /// Tells what is due, by one or many.
    async fn tell_due(&mut self) {
        let now = self.ledger.now();
        let (mut due, later): (Vec<_>, Vec<_>) = self.due.drain(..).partition(|(at, _)| *at <= now);
        self.due = later;
        if due.is_empty() {
            return;
        }
        let batch = usize::try_from(1 + self.dice.below(6)).unwrap().min(due.len());
        let mut events = Vec::new();
        for _ in 0..batch {
            let next = usize::try_from(self.dice.below(due.len() as u64)).unwrap();
            events.push(due.swap_remove(next).1);
        }
        self.due.extend(due);
        let again = events.clone();
        let answers = self.teller.tell(events, &mut self.dice).await;
        for (event, answer) in again.into_iter().zip(answers) {
            self.pairs.remember_event(&event);
            // An answer that did not come is asked for again, mostly; some are told twice anyway.
            let is_unknown = matches!(answer, Answer::Unknown(_));
            if self.dice.below(4) == 0 || (is_unknown && self.dice.below(4) != 0) {
                let at = now + self.dice.below(1500);
                self.due.push((at, event));
            }
        }
    }

    async fn ask_call(&mut self, place: &Place) {
        let id = self.pairs.id("c");
        place.remember_call(&id);
        self.ask(place, id).await;
    }

    /// An id that somebody asked for before, or asks for at this moment.
    async fn ask_call_again(&mut self, place: &Place) {
        if let Some(id) = place.known_call(&mut self.dice) {
            self.ask(place, id).await;
        }
    }

    async fn ask(&mut self, place: &Place, call_id: String) {
        let lease = match self.dice.below(40) {
            0 => Some(LONG_LEASE),
            1..9 => Some(LASTING_LEASE),
            _ => None,
        };
        let asked = Asked::Call { call_id: call_id.clone(), lease };
        let answer = self.teller.ask(&place.pair, asked, &mut self.dice).await;
        if let Answer::Verdict(verdict) = answer
            && verdict.is_allowed
            && !verdict.is_replayed
        {
            let from = ms(verdict.permission.judged_at);
            self.live(place, &call_id, from);
        }
    }

    /// Plans what becomes of a call: reports in order or not, some late, some never told.
    fn live(&mut self, place: &Place, call_id: &str, from: u64) {
        let last = *self.dice.pick(&OUTCOMES);
        let mut steps = Vec::new();
        let mut when = from;
        for outcome in [CallOutcome::Placed, CallOutcome::Ringing] {
            if last != CallOutcome::NotPlaced && self.dice.below(2) == 0 {
                when += self.dice.below(300);
                steps.push((when, outcome));
            }
        }
        when += self.dice.below(900);
        if last != CallOutcome::Unspecified {
            steps.push((when, last));
        }
        if is_miss(last) && self.dice.below(12) == 0 {
            // The one who reported it was wrong.
            steps.push((when + self.dice.below(100), CallOutcome::Answered));
        }
        let provider = if self.dice.below(3) == 0 { provider_id(call_id) } else { String::new() };
        for (when, outcome) in steps {
            let late = *self.dice.pick(&[0, 0, 0, 0, 0, 0, 0, 0, 300, 1000, 4000]);
            let report = CallReport {
                call_id: call_id.to_owned(),
                provider_call_id: provider.clone(),
                outcome: outcome.into(),
                ..CallReport::default()
            };
            let event = self.event(place, Some(when), |_| Fact::Call(report.clone()));
            if outcome == CallOutcome::Answered && self.dice.below(2) == 0 {
                let ended = when + self.dice.below(1000);
                let over =
                    CallReport { answered_at: Some(at(when)), ended_at: Some(at(ended)), ..report };
                let event = self.event(place, Some(ended), |_| Fact::Call(over));
                self.due.push((ended + late, event));
            }
            self.due.push((when + late, event));
        }
    }

    async fn ask_request(&mut self, place: &Place) {
        let Some(id) = place.request(&self.pairs, &mut self.dice) else { return };
        let replace = self.dice.below(6) == 0;
        let asked = Asked::Request { request_id: id.clone(), replace };
        let answer = self.teller.ask(&place.pair, asked, &mut self.dice).await;
        let Answer::Verdict(verdict) = answer else { return };
        if !verdict.is_allowed || verdict.is_replayed {
            return;
        }
        let mut when = ms(verdict.permission.judged_at);
        let ends = [
            RequestOutcome::Sent,
            RequestOutcome::Sent,
            RequestOutcome::Delivered,
            RequestOutcome::Refused,
            RequestOutcome::Refused,
            RequestOutcome::Undelivered,
            RequestOutcome::Unspecified,
        ];
        let last = *self.dice.pick(&ends);
        for outcome in [RequestOutcome::Sent, last] {
            let is_told = match last {
                RequestOutcome::Unspecified => false,
                RequestOutcome::Refused => outcome == last,
                _ => outcome == last || self.dice.below(2) == 0,
            };
            if is_told {
                when += self.dice.below(200);
                let report = PermissionRequestReport {
                    request_id: id.clone(),
                    outcome: outcome.into(),
                    ..PermissionRequestReport::default()
                };
                let event = self.event(place, Some(when), |_| Fact::Request(report));
                let late = *self.dice.pick(&[0, 0, 0, 500, 3000]);
                self.due.push((when + late, event));
            }
        }
    }

    async fn look(&mut self, place: &Place) {
        self.teller.ask(&place.pair, Asked::View { as_of: None }, &mut self.dice).await;
    }

    /// Tells once more what somebody told, perhaps long ago.
    async fn repeat(&mut self, place: &Place) {
        if let Some(event) = place.known_event(&mut self.dice) {
            self.teller.tell(vec![event], &mut self.dice).await;
        }
    }

    /// A call that nobody asked about.
    fn report_unasked(&mut self, place: &Place) {
        if self.dice.below(100) != 0 {
            return;
        }
        let id = self.pairs.id("u");
        place.remember_call(&id);
        let now = self.ledger.now();
        self.live(place, &id, now);
    }
}

const OUTCOMES: [CallOutcome; 12] = [
    CallOutcome::Answered,
    CallOutcome::Answered,
    CallOutcome::Answered,
    CallOutcome::Answered,
    CallOutcome::Uncertain,
    CallOutcome::Unanswered,
    CallOutcome::Rejected,
    CallOutcome::Canceled,
    CallOutcome::Failed,
    CallOutcome::NotPlaced,
    // Nobody ever says.
    CallOutcome::Unspecified,
    CallOutcome::Unspecified,
];

fn is_miss(outcome: CallOutcome) -> bool {
    matches!(
        outcome,
        CallOutcome::Unanswered
            | CallOutcome::Rejected
            | CallOutcome::Canceled
            | CallOutcome::Failed
            | CallOutcome::NotPlaced
    )
}

/// What the provider calls a call of ours.
fn provider_id(call_id: &str) -> String {
    format!("w{call_id}")
}

/// What a customer does, or the provider on their behalf.
fn consent(dice: &mut Dice) -> Fact {
    let accept = PermissionReply {
        response: PermissionResponse::Accept.into(),
        ..PermissionReply::default()
    };
    let reject = PermissionReply {
        response: PermissionResponse::Reject.into(),
        ..PermissionReply::default()
    };
    match dice.below(20) {
        0..12 => Fact::Reply(accept),
        12 => Fact::Reply(PermissionReply { permanent: true, ..accept }),
        13 => Fact::Reply(PermissionReply { automatic: true, ..accept }),
        14..16 => Fact::Reply(reject),
        16 => Fact::Reply(PermissionReply { automatic: true, ..reject }),
        17 => Fact::InboundCall(InboundCall::default()),
        18 => Fact::InboundCall(InboundCall { answered: true, ..InboundCall::default() }),
        _ => Fact::InboundMessage(InboundMessage::default()),
    }
}
