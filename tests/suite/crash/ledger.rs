//! Clients that write down what they were told, and hold the gate to it after each restart.
//!
//! Each client has customers of its own, so that its ledger knows all that ever happened to them: what
//! was acknowledged for sure, and what was asked when the gate died as "may be".

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use callgate::proto::{
    Agent, AgentKind, AuthorizeCallRequest, AuthorizePermissionRequestRequest, CallOutcome,
    CallReport, Customer, Decision, Event, EventStatus, ForgetCustomerRequest,
    GetPermissionRequest, InboundCall, InboundMessage, Pair, Permission, PermissionReply,
    PermissionRequestReport, PermissionResponse, PermissionStatus, QuotaKind, RecordEventsRequest,
    ReportCallRequest, RequestOutcome, event::Fact,
};
use prost_types::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use super::world::{LIMIT, NUMBERS, World, is_gone, is_unasked};
use crate::{
    stream::now,
    support::{process::webhook, tally},
    twins::Dice,
};

/// What all clients went through together.
#[derive(Debug, Default)]
pub(super) struct Seen {
    steps: AtomicUsize,
    unsure: AtomicUsize,
    allows: AtomicUsize,
    retold: AtomicUsize,
    looks: AtomicUsize,
    /// Ids of webhooks that were taken in and not understood, in order.
    pub(super) aside: Mutex<Vec<String>>,
}

impl Seen {
    pub(super) fn count(&self) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        tally::count("steps acknowledged between kills", of(&self.steps));
        tally::count("steps cut off by kills", of(&self.unsure));
        tally::count("ALLOWs looked for after kills", of(&self.allows));
        tally::count("events told again after kills", of(&self.retold));
        tally::count("customers looked at after kills", of(&self.looks));
        assert!(of(&self.unsure) > 0 && of(&self.allows) > 0 && of(&self.retold) > 0);
    }
}

/// What is known of a call or a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// Allowed; nothing else was told.
    Held,
    /// Over, and counts.
    Counts,
    /// Over, and does not count.
    Free,
    /// The gate died: held or nothing.
    MaybeHeld,
    /// The gate died: held or counted.
    HeldOrCounts,
    /// The gate died: held or over without counting.
    HeldOrFree,
}

/// One customer of one number.
struct Person {
    pair: Pair,
    is_granted: bool,
    /// The newest reply; whole seconds, since consent is ordered by them.
    said_at: i64,
    calls: BTreeMap<String, Slot>,
    requests: BTreeMap<String, Slot>,
    /// What was acknowledged.
    events: Vec<Event>,
    /// What was told when the gate died.
    maybe: Vec<Event>,
}

impl Person {
    fn new(wa_id: String, number: &str) -> Self {
        let customer = Customer { wa_id, user_id: String::new() };
        Self {
            pair: Pair { phone_number_id: number.to_owned(), customer: Some(customer) },
            is_granted: false,
            said_at: now().seconds - 7_200,
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
            events: Vec::new(),
            maybe: Vec::new(),
        }
    }

    fn name(&self) -> String {
        let customer = self.pair.customer.as_ref().unwrap();
        format!("{} {}", self.pair.phone_number_id, customer.wa_id)
    }
}

/// How a slot may show: (it must be listed, it may be listed).
fn listed(slot: Slot) -> (bool, bool) {
    match slot {
        Slot::Held | Slot::Counts | Slot::HeldOrCounts => (true, true),
        Slot::MaybeHeld | Slot::HeldOrFree => (false, true),
        Slot::Free => (false, false),
    }
}

fn bounds(slots: &BTreeMap<String, Slot>) -> (usize, usize) {
    let count = |is: fn((bool, bool)) -> bool| slots.values().filter(|s| is(listed(**s))).count();
    (count(|s| s.0), count(|s| s.1))
}

pub(super) struct Client {
    world: Arc<World>,
    seen: Arc<Seen>,
    dice: Dice,
    n: u64,
    made: u64,
    people: Vec<Person>,
    forgotten: Vec<Person>,
    looked_at: usize,
}

fn agent() -> Option<Agent> {
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
    async fn until_told<T>(&self, ask: impl AsyncFn(&World) -> Result<T, Status>) -> T {
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

    async fn permission(&self, pair: &Pair) -> Permission {
        let request = GetPermissionRequest { pair: Some(pair.clone()), as_of: None };
        let ask = async |world: &World| world.calls().get_permission(request.clone()).await;
        self.until_told(ask).await.into_inner().permission.unwrap()
    }

    async fn retell(&self, events: Vec<Event>) -> Vec<EventStatus> {
        if events.is_empty() {
            return Vec::new();
        }
        let request = RecordEventsRequest { events };
        let ask = async |world: &World| world.calls().record_events(request.clone()).await;
        let answer = self.until_told(ask).await.into_inner();
        answer.results.iter().map(callgate::proto::EventResult::status).collect()
    }

    /// Holds the gate to what it acknowledged of one customer.
    async fn look(&mut self, place: usize) {
        let person = &self.people[place];
        let seen = self.permission(&person.pair).await;
        self.seen.looks.fetch_add(1, Ordering::Relaxed);
        let (name, status) = (person.name(), seen.status());
        let is_granted = status == PermissionStatus::Granted;
        assert_eq!(is_granted, person.is_granted, "{name}: {status:?}");
        agrees(&seen, QuotaKind::CallsInWindow, &person.calls, &name);
        agrees(&seen, QuotaKind::RequestsPerDay, &person.requests, &name);
        self.look_at_calls(place).await;
        // Some of what was acknowledged, and all of what may be.
        let person = &self.people[place];
        let mut again: Vec<Event> = Vec::new();
        for _ in 0..person.events.len().min(10) {
            again.push(self.dice.pick(&person.events).clone());
        }
        again.extend(person.events.iter().rev().take(5).cloned());
        self.seen.retold.fetch_add(again.len(), Ordering::Relaxed);
        for (status, event) in std::iter::zip(self.retell(again.clone()).await, again) {
            assert_eq!(status, EventStatus::Duplicate, "{name}: LOST {event:?}");
        }
    }

    /// Asks for calls once more: a held one stands, one that is over is known.
    async fn look_at_calls(&mut self, place: usize) {
        let person = &self.people[place];
        let ids: Vec<(String, Slot)> =
            person.calls.iter().map(|(id, s)| (id.clone(), *s)).collect();
        for _ in 0..ids.len().min(2) {
            let (id, slot) = self.dice.pick(&ids).clone();
            let question = AuthorizeCallRequest {
                pair: Some(self.people[place].pair.clone()),
                agent: agent(),
                call_id: id.clone(),
                ..AuthorizeCallRequest::default()
            };
            let name = self.people[place].name();
            let is_granted = self.people[place].is_granted;
            let ask =
                async |world: &World| match world.calls().authorize_call(question.clone()).await {
                    Err(status) if status.code() == Code::AlreadyExists => Ok(None),
                    answer => answer.map(|answer| Some(answer.into_inner())),
                };
            match slot {
                Slot::Held if is_granted => {
                    let answer = self.until_told(ask).await.expect("it is not over");
                    assert_eq!(answer.decision(), Decision::Allow, "{name}: LOST HOLD {id}");
                    assert!(answer.replayed, "{name}: LOST HOLD {id}");
                    self.seen.allows.fetch_add(1, Ordering::Relaxed);
                }
                Slot::Counts => {
                    assert!(self.until_told(ask).await.is_none(), "{name}: LOST CALL {id}");
                }
                _ => {}
            }
        }
    }

    /// Nothing comes back.
    async fn look_at_forgotten(&mut self, place: usize) {
        let person = &self.forgotten[place];
        let name = person.name();
        let seen = self.permission(&person.pair).await;
        assert_eq!(seen.status(), PermissionStatus::None, "{name} is back");
        assert!(seen.quotas.iter().all(|quota| quota.entries.is_empty()), "{name} is back");
        let again: Vec<Event> = person.events.iter().rev().take(4).cloned().collect();
        for status in self.retell(again).await {
            assert_eq!(status, EventStatus::Stale, "{name} is back");
        }
    }
}

/// What counts and what is held is what the ledger says.
fn agrees(seen: &Permission, kind: QuotaKind, slots: &BTreeMap<String, Slot>, name: &str) {
    let quota = seen.quotas.iter().find(|quota| quota.kind() == kind).unwrap();
    let listed_ids: BTreeMap<&str, bool> =
        quota.entries.iter().map(|entry| (entry.id.as_str(), entry.held)).collect();
    for (id, slot) in slots {
        let (must, may) = listed(*slot);
        let found = listed_ids.get(id.as_str());
        assert!(!must || found.is_some(), "{name}: {kind:?} LOST {slot:?} {id}");
        assert!(may || found.is_none(), "{name}: {kind:?} lists {slot:?} {id}");
        match slot {
            Slot::Held => assert_eq!(found, Some(&true), "{name}: {id}"),
            Slot::Counts => assert_eq!(found, Some(&false), "{name}: {id}"),
            _ => {}
        }
    }
    for id in listed_ids.keys() {
        assert!(slots.contains_key(*id), "{name}: {kind:?} lists {id}, which nobody asked for");
    }
    let held = listed_ids.values().filter(|held| **held).count();
    assert_eq!((quota.used as usize, quota.held as usize), (quota.entries.len() - held, held));
}
