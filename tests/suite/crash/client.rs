//! Clients that write down what they were told, and hold the gate to it after each restart.
//!
//! Each client has customers of its own, so that its ledger knows all that ever happened to them: what
//! was acknowledged for sure, and what was asked when the gate died as "may be".

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use callgate::proto::{
    Agent, AgentKind, AuthorizeCallRequest, AuthorizePermissionRequestRequest, CallOutcome,
    CallReport, Decision, Event, EventStatus, ForgetCustomerRequest, InboundCall, InboundMessage,
    PermissionReply, PermissionRequestReport, PermissionResponse, RecordEventsRequest,
    ReportCallRequest, RequestOutcome, event::Fact,
};
use prost_types::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::{
    ledger::{Person, Seen, Slot, bounds},
    world::{LIMIT, NUMBERS, World, is_gone, is_unasked},
};
use crate::{stream::now, support::process::webhook, twins::Dice};

pub(super) struct Client {
    pub(super) world: Arc<World>,
    pub(super) seen: Arc<Seen>,
    pub(super) dice: Dice,
    pub(super) n: u64,
    pub(super) made: u64,
    pub(super) people: Vec<Person>,
    pub(super) forgotten: Vec<Person>,
    pub(super) looked_at: usize,
}

pub(super) fn agent() -> Option<Agent> {
    Some(Agent { kind: AgentKind::VoiceAgent.into(), id: String::new() })
}

fn fresh() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Client {
    pub(super) fn new(world: &Arc<World>, seen: &Arc<Seen>, n: u64, dice: Dice) -> Self {
        let mut client = Self {
            world: Arc::clone(world),
            seen: Arc::clone(seen),
            dice,
            n,
            made: 0,
            people: Vec::new(),
            forgotten: Vec::new(),
            looked_at: 0,
        };
        for number in NUMBERS {
            let person = client.person(number);
            client.people.push(person);
        }
        client
    }

    fn person(&mut self, number: &str) -> Person {
        self.made += 1;
        Person::new(format!("1555{:02}{:05}", self.n, self.made), number)
    }

    /// Lives until the world ends, then looks at everything once more. Returns who was forgotten.
    pub(super) async fn live(mut self) -> Vec<String> {
        while !self.world.stop.load(Ordering::SeqCst) {
            let place = usize::try_from(self.dice.below(self.people.len() as u64)).unwrap();
            let starts = self.world.starts.load(Ordering::SeqCst);
            if self.looked_at != starts {
                self.look(place).await;
                self.looked_at = starts;
            }
            self.step(place).await;
        }
        for place in 0..self.people.len() {
            self.look(place).await;
        }
        for place in 0..self.forgotten.len() {
            self.look_at_forgotten(place).await;
        }
        self.forgotten.iter().map(Person::name).collect()
    }

    async fn step(&mut self, place: usize) {
        let acts = self.people[place].events.len();
        match self.dice.below(20) {
            0..7 => self.call(place).await,
            7..11 => self.report(place).await,
            11..14 => self.say(place).await,
            14..16 => self.request(place).await,
            16 => self.batch(place).await,
            17 => self.look(place).await,
            18 => self.not_understood().await,
            _ if acts > 25 => self.forget(place).await,
            _ => self.say(place).await,
        }
    }

    /// Asks until there is an answer. What was asked may happen more than once.
    pub(super) async fn until_told<T>(&self, ask: impl AsyncFn(&World) -> Result<T, Status>) -> T {
        loop {
            match ask(&self.world).await {
                Ok(answer) => return answer,
                Err(status) if is_gone(&status) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(status) => panic!("refused: {status:?}"),
            }
        }
    }

    /// Asks; where the gate died, asks again or leaves it at that (`None`).
    async fn once_or_more<T>(
        &mut self,
        ask: impl AsyncFn(&World) -> Result<T, Status>,
    ) -> Option<(T, bool)> {
        let mut is_first = true;
        loop {
            match ask(&self.world).await {
                Ok(answer) => {
                    self.seen.steps.fetch_add(1, Ordering::Relaxed);
                    return Some((answer, is_first));
                }
                Err(status) if is_unasked(&status) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(status) if is_gone(&status) => {
                    self.seen.unsure.fetch_add(1, Ordering::Relaxed);
                    if self.dice.below(2) == 0 {
                        return None;
                    }
                    is_first = false;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(status) => panic!("refused: {status:?}"),
            }
        }
    }

    async fn call(&mut self, place: usize) {
        let id = fresh();
        let person = &self.people[place];
        let question = AuthorizeCallRequest {
            pair: Some(person.pair.clone()),
            agent: agent(),
            call_id: id.clone(),
            ..AuthorizeCallRequest::default()
        };
        let (is_granted, (must, may)) = (person.is_granted, bounds(&person.calls));
        let ask = async |world: &World| world.calls().authorize_call(question.clone()).await;
        let Some((answer, is_first)) = self.once_or_more(ask).await else {
            self.people[place].calls.insert(id, Slot::MaybeHeld);
            return;
        };
        let answer = answer.into_inner();
        let person = &mut self.people[place];
        let name = person.name();
        assert!(!(is_first && answer.replayed), "{name}: a new call was told to be replayed");
        let is_allowed = answer.decision() == Decision::Allow;
        // May be it stood already and fills the last slot itself.
        if !is_granted || LIMIT <= must {
            assert!(!is_allowed, "{name}: WRONG ALLOW, granted {is_granted}, {must} slots taken");
        } else if may < LIMIT {
            assert!(is_allowed, "{name}: denied with {may} slots taken: {answer:?}");
        }
        if is_allowed {
            person.calls.insert(id, Slot::Held);
        }
    }

    async fn request(&mut self, place: usize) {
        let id = fresh();
        let person = &self.people[place];
        let question = AuthorizePermissionRequestRequest {
            pair: Some(person.pair.clone()),
            agent: agent(),
            request_id: id.clone(),
            replace_permission: false,
        };
        let (is_granted, (must, may)) = (person.is_granted, bounds(&person.requests));
        let ask = async |world: &World| {
            world.calls().authorize_permission_request(question.clone()).await
        };
        let Some((answer, _)) = self.once_or_more(ask).await else {
            self.people[place].requests.insert(id, Slot::MaybeHeld);
            return;
        };
        let is_allowed = answer.into_inner().decision() == Decision::Allow;
        let person = &mut self.people[place];
        if is_granted || LIMIT <= must {
            assert!(!is_allowed, "{}: a request too many, {must} slots taken", person.name());
        } else if may < LIMIT {
            assert!(is_allowed, "{}: denied with {may} requests", person.name());
        }
        if is_allowed {
            person.requests.insert(id, Slot::Held);
        }
    }

    /// Tells what became of something that is held, or of a call that was never authorized.
    async fn report(&mut self, place: usize) {
        let person = &self.people[place];
        let is_request = self.dice.below(4) == 0;
        let slots = if is_request { &person.requests } else { &person.calls };
        let held: Vec<String> =
            slots.iter().filter(|(_, s)| **s == Slot::Held).map(|(id, _)| id.clone()).collect();
        let id = match held.is_empty() {
            true if is_request => return,
            true => fresh(),
            false => self.dice.pick(&held).clone(),
        };
        let counts = self.dice.below(2) == 0;
        let fact = if is_request {
            let outcome = if counts { RequestOutcome::Sent } else { RequestOutcome::Refused };
            let outcome = outcome.into();
            Fact::Request(PermissionRequestReport {
                request_id: id.clone(),
                outcome,
                ..Default::default()
            })
        } else {
            let over = [CallOutcome::Failed, CallOutcome::Unanswered, CallOutcome::NotPlaced];
            let outcome = if counts { CallOutcome::Answered } else { *self.dice.pick(&over) };
            let outcome = outcome.into();
            Fact::Call(CallReport { call_id: id.clone(), outcome, ..Default::default() })
        };
        let event = self.event(place, now(), fact);
        let is_told = if is_request || self.dice.below(2) == 0 {
            self.tell(place, vec![event]).await
        } else {
            self.report_call(place, event).await
        };
        let was_held = !held.is_empty();
        let slot = match (is_told, counts, was_held) {
            (true, true, _) => Slot::Counts,
            (true, false, _) => Slot::Free,
            (false, true, true) => Slot::HeldOrCounts,
            (false, false, true) => Slot::HeldOrFree,
            (false, _, false) => Slot::MaybeHeld,
        };
        let person = &mut self.people[place];
        let slots = if is_request { &mut person.requests } else { &mut person.calls };
        slots.insert(id, slot);
    }

    async fn report_call(&mut self, place: usize, event: Event) -> bool {
        let Some(Fact::Call(report)) = event.fact.clone() else { unreachable!() };
        let request = ReportCallRequest {
            pair: event.pair.clone(),
            report: Some(report),
            occurred_at: event.occurred_at,
        };
        let ask = async |world: &World| world.calls().report_call(request.clone()).await;
        let is_told = self.once_or_more(ask).await.is_some();
        let person = &mut self.people[place];
        if is_told { &mut person.events } else { &mut person.maybe }.push(event);
        is_told
    }

    fn event(&self, place: usize, at: Timestamp, fact: Fact) -> Event {
        Event {
            event_id: fresh(),
            pair: Some(self.people[place].pair.clone()),
            occurred_at: Some(at),
            fact: Some(fact),
        }
    }

    fn next_reply(&mut self, place: usize, is_yes: bool) -> Event {
        self.people[place].said_at += 1;
        let at = Timestamp { seconds: self.people[place].said_at, nanos: 0 };
        let response = if is_yes { PermissionResponse::Accept } else { PermissionResponse::Reject };
        let fact = match (is_yes, self.dice.below(6)) {
            (true, 0) => Fact::InboundCall(InboundCall::default()),
            (true, 1) => {
                let response = response.into();
                Fact::Reply(PermissionReply { response, permanent: true, ..Default::default() })
            }
            _ => Fact::Reply(PermissionReply { response: response.into(), ..Default::default() }),
        };
        self.event(place, at, fact)
    }

    /// The customer says yes or no. It is told until it is acknowledged, so that the ledger knows.
    async fn say(&mut self, place: usize) {
        let is_yes = self.dice.below(4) != 0;
        let event = self.next_reply(place, is_yes);
        while !self.tell(place, vec![event.clone()]).await {}
        self.people[place].is_granted = is_yes;
    }

    /// Many at once: some may be recorded, and others not, when the gate dies.
    async fn batch(&mut self, place: usize) {
        let mut events = Vec::new();
        for _ in 0..5 {
            let message = Fact::InboundMessage(InboundMessage::default());
            events.push(self.event(place, now(), message));
        }
        let is_yes = self.dice.below(2) == 0;
        events.push(self.next_reply(place, is_yes));
        while !self.tell(place, events.clone()).await {}
        self.people[place].is_granted = is_yes;
    }

    /// Whether it was acknowledged.
    async fn tell(&mut self, place: usize, events: Vec<Event>) -> bool {
        let request = RecordEventsRequest { events: events.clone() };
        let ask = async |world: &World| world.calls().record_events(request.clone()).await;
        let told = self.once_or_more(ask).await;
        let person = &mut self.people[place];
        let Some((answer, is_first)) = told else {
            person.maybe.extend(events);
            return false;
        };
        for (event, result) in std::iter::zip(&events, &answer.into_inner().results) {
            let was_maybe = !is_first || person.maybe.iter().any(|e| e.event_id == event.event_id);
            let is_message = matches!(event.fact, Some(Fact::InboundMessage(_)));
            match result.status() {
                EventStatus::Recorded => {}
                EventStatus::Duplicate if was_maybe || is_message => {}
                status => panic!("{}: {status:?} {} for {event:?}", person.name(), result.error),
            }
        }
        person.maybe.retain(|maybe| !events.iter().any(|e| e.event_id == maybe.event_id));
        person.events.extend(events);
        true
    }

    async fn not_understood(&mut self) {
        // Few enough that the oldest need not go.
        if self.dice.below(3) != 0 {
            return;
        }
        let value = json!({"marker": fresh()});
        let change = json!({"field": "messages", "value": value});
        let body = json!({"object": "whatsapp_business_account", "entry": [{"changes": [change]}]});
        if webhook(&self.world.http(), &body).await {
            let id = hex::encode(Sha256::digest(format!("|messages|{change}")));
            self.seen.aside.lock().unwrap().push(id);
            self.seen.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn forget(&mut self, place: usize) {
        let person = &self.people[place];
        let request = ForgetCustomerRequest {
            customer: person.pair.customer.clone(),
            phone_number_id: person.pair.phone_number_id.clone(),
        };
        self.until_told(async |world| world.calls().forget_customer(request.clone()).await).await;
        let number = person.pair.phone_number_id.clone();
        let next = self.person(&number);
        let gone = std::mem::replace(&mut self.people[place], next);
        self.forgotten.push(gone);
        self.look_at_forgotten(self.forgotten.len() - 1).await;
    }
}
