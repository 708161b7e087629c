//! The stated mix: who is asked about, how often, and what the answer must be. Three of four questions
//! are allowed.
//!
//! Customers come in groups of four. The first three gave a permission for 7 days in reply to a request
//! and have been called 0, 1 and 2 times; each is asked about until the day's five calls are used up and
//! once more. The fourth is not known at all and is asked about once. That is 16 questions, 12 of them
//! allowed, over records of 0 to 5 calls. Ids are as long as in life: 36 bytes of the caller's, 60 of
//! Meta's.

use callgate::proto::{
    Agent, AgentKind, AuthorizeCallRequest, AuthorizeCallResponse, CallOutcome, CallReport,
    Customer, Decision, Event, Pair, PermissionReply, PermissionRequestReport, PermissionResponse,
    Reason, RequestOutcome, event::Fact,
};
use prost_types::Timestamp;

/// Questions about one group.
pub(crate) const QUESTIONS: usize = 16;
/// Of one group.
pub(crate) const CUSTOMERS: usize = 4;
/// The unknown one.
pub(crate) const UNKNOWN: usize = 3;
pub(crate) const CALLS_PER_DAY: usize = 5;
/// Groups that are asked about in turn: so far apart are two questions about one customer.
const BLOCK: usize = 256;
/// How many of the four are asked about in each turn.
const TURNS: [usize; 6] = [4, 3, 3, 3, 2, 1];
const HOUR: i64 = 3600;

/// Some groups of customers of one business number.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    pub(crate) number: u64,
    /// A multiple of 256, or less than that.
    pub(crate) groups: usize,
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// Of the groups that the store knows, each so-many-th is ours.
    pub(crate) step: usize,
    /// Answered calls of each known customer, beside those 0, 1 and 2.
    pub(crate) calls: usize,
}

impl Mix {
    /// The stated one.
    pub(crate) fn new(number: u64, groups: usize, now: i64) -> Self {
        Self { number, groups, now, step: 1, calls: 0 }
    }

    pub(crate) fn questions(&self) -> usize {
        self.groups * QUESTIONS
    }

    pub(crate) fn customers(&self) -> usize {
        self.groups * CUSTOMERS
    }

    /// What makes the customers what they are.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let known = (0..self.customers()).filter(|customer| customer % CUSTOMERS != UNKNOWN);
        known.flat_map(|customer| self.events_of(customer, self.calls + customer % CUSTOMERS))
    }

    /// A permission, and some answered calls.
    pub(crate) fn events_of(&self, customer: usize, calls: usize) -> Vec<Event> {
        let request = format!("req-{customer:032}");
        let asked = PermissionRequestReport {
            request_id: request.clone(),
            provider_message_id: format!("wamid.{customer:054}"),
            outcome: RequestOutcome::Sent.into(),
        };
        let accepted = PermissionReply {
            response: PermissionResponse::Accept.into(),
            request_id: request,
            ..PermissionReply::default()
        };
        let call = |n: usize| CallReport {
            call_id: id(customer, n),
            provider_call_id: format!("wacid.{customer:050}{n:04}"),
            outcome: CallOutcome::Answered.into(),
            ..CallReport::default()
        };
        let mut events = vec![
            self.event(customer, 48 * HOUR, Fact::Request(asked)),
            self.event(customer, 47 * HOUR, Fact::Reply(accepted)),
        ];
        // All of them in the last day.
        let apart = if self.calls == 0 { HOUR } else { HOUR / 6 };
        let ago = |n: usize| apart * (i64::try_from(n).unwrap() + 1);
        events.extend((0..calls).map(|n| self.event(customer, ago(n), Fact::Call(call(n)))));
        events
    }

    fn event(&self, customer: usize, ago: i64, fact: Fact) -> Event {
        Event {
            event_id: format!("event-{customer}-{ago}"),
            pair: Some(self.pair(customer)),
            occurred_at: Some(Timestamp { seconds: self.now - ago, nanos: 0 }),
            fact: Some(fact),
        }
    }

    pub(crate) fn pair(&self, customer: usize) -> Pair {
        let place = customer / CUSTOMERS * self.step * CUSTOMERS + customer % CUSTOMERS;
        let customer = Some(Customer { wa_id: wa_id(place), user_id: String::new() });
        Pair { phone_number_id: self.number.to_string(), customer }
    }

    /// The `n`-th question, and whom it is about.
    pub(crate) fn question(&self, n: usize) -> (AuthorizeCallRequest, usize) {
        let (customer, turn) = self.place(n);
        let request = AuthorizeCallRequest {
            pair: Some(self.pair(customer)),
            agent: Some(Agent { kind: AgentKind::VoiceAgent.into(), id: String::new() }),
            call_id: id(customer, 100 + turn),
            ..AuthorizeCallRequest::default()
        };
        (request, customer)
    }

    fn place(&self, n: usize) -> (usize, usize) {
        let block = BLOCK.min(self.groups);
        let (first, mut rest) = (n / (block * QUESTIONS) * block, n % (block * QUESTIONS));
        for (turn, asked) in TURNS.into_iter().enumerate() {
            if rest < asked * block {
                return ((first + rest / asked) * CUSTOMERS + rest % asked, turn);
            }
            rest -= asked * block;
        }
        unreachable!("the turns are all the questions of a block")
    }

    /// Why an answer cannot be right by itself; whether it allows.
    pub(crate) fn check(customer: usize, answer: &AuthorizeCallResponse) -> Result<bool, String> {
        let reason = match customer % CUSTOMERS {
            UNKNOWN => Reason::NeverAsked,
            _ => Reason::CallWindowLimit,
        };
        let (decision, why) = (answer.decision(), answer.reason());
        match decision {
            Decision::Allow if why == Reason::TemporaryPermission => Ok(true),
            Decision::Deny if why == reason => Ok(false),
            _ => Err(format!("customer {customer}: {decision:?} for {why:?}")),
        }
    }

    /// How often a customer must have been allowed once every question is answered.
    pub(crate) fn allowed(customer: usize) -> usize {
        match customer % CUSTOMERS {
            UNKNOWN => 0,
            calls => CALLS_PER_DAY - calls,
        }
    }
}

/// Of the customer at this place among all that the store knows.
pub(crate) fn wa_id(place: usize) -> String {
    format!("1555{place:08}")
}

/// A UUID that looks like a random one, as a caller's ids do.
fn id(customer: usize, n: usize) -> String {
    let place = u64::try_from(customer << 16 | n).unwrap();
    let (high, low) = (mixed(place), mixed(!place));
    let variant = 0x8000 | low >> 48 & 0x3fff;
    format!(
        "{:08x}-{:04x}-4{:03x}-{variant:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

/// Of SplitMix64.
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}
