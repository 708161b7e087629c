//! What was asked of the gates, and what they answered. Each thing is written down before it is sent,
//! its answer after it came: so of two things it is known whether one was over before the other began.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use callgate::{
    engine::time::{Clock as _, Millis, WallClock},
    proto::{Customer, Event, EventStatus, Pair, Permission, Reason},
};
use prost_types::Timestamp;

use crate::twins::Dice;

/// When something was sent or came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The order of all moments of a ledger.
    pub(crate) seq: u64,
    /// The host's clock, milliseconds.
    pub(crate) ms: u64,
}

/// What was asked about one pair.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    /// An event was told, alone or in a batch.
    Tell(Box<Event>),
    /// May this call be placed? `lease` in milliseconds; unset: by the rules.
    Call { call_id: String, lease: Option<u64> },
    /// May this permission request be sent?
    Request { request_id: String, replace: bool },
    /// The customer was to be forgotten.
    Forget,
    /// GetPermission, `as_of` in milliseconds; unset: now.
    View { as_of: Option<u64> },
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// An event has this status; `Unspecified` where the answer does not tell (ReportCall).
    Told { status: EventStatus, permission: Option<Box<Permission>> },
    /// ALLOW or DENY of a call or a request.
    Verdict(Box<Verdict>),
    /// The attempt is over, or was by the time it was asked about.
    Exists,
    /// Nothing was done, for sure: the request was refused as such, or the record is full.
    Refused(String),
    /// Forgotten.
    Forgotten,
    /// GetPermission.
    View(Box<Permission>),
    /// An error or silence: it may have happened, or happen yet.
    Unknown(String),
}

/// A decision.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) is_allowed: bool,
    pub(crate) reason: Reason,
    pub(crate) blocked_by: Vec<Reason>,
    pub(crate) is_replayed: bool,
    /// Milliseconds; 0 on DENY.
    pub(crate) lease_expires_at: u64,
    pub(crate) permission: Permission,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// As [`name`] gives it.
    pub(crate) pair: String,
    pub(crate) asked: Asked,
    pub(crate) sent: Moment,
    /// Unset while it is under way: as unknown as an error.
    pub(crate) answer: Option<(Moment, Answer)>,
}

impl Entry {
    /// The answer, unless it is unknown whether it happened.
    pub(crate) fn known(&self) -> Option<&(Moment, Answer)> {
        self.answer.as_ref().filter(|(_, answer)| !matches!(answer, Answer::Unknown(_)))
    }

    /// Whether it was known to have happened before this moment.
    pub(crate) fn is_over_before(&self, moment: Moment) -> bool {
        self.known().is_some_and(|(at, _)| at.seq < moment.seq)
    }
}

/// Questions and answers in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    seq: AtomicU64,
    clock: WallClock,
    entries: Mutex<Vec<Entry>>,
}

impl Ledger {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The host's time, milliseconds.
    pub(crate) fn now(&self) -> u64 {
        let Millis(ms) = self.clock.now();
        ms
    }

    fn moment(&self) -> Moment {
        Moment { seq: self.seq.fetch_add(1, Ordering::SeqCst), ms: self.now() }
    }

    /// Writes down what is about to be sent; returns its place.
    pub(crate) fn ask(&self, pair: &str, asked: Asked) -> usize {
        let mut entries = self.entries.lock().unwrap();
        // Inside the lock, so that the list is in the order of `seq`.
        let sent = self.moment();
        entries.push(Entry { pair: pair.to_owned(), asked, sent, answer: None });
        entries.len() - 1
    }

    /// Writes down what came back.
    pub(crate) fn answer(&self, place: usize, answer: Answer) {
        let mut entries = self.entries.lock().unwrap();
        let moment = self.moment();
        entries[place].answer = Some((moment, answer));
    }

    /// All of it so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// How many questions have a known answer.
    pub(crate) fn answered(&self) -> usize {
        self.entries.lock().unwrap().iter().filter(|entry| entry.known().is_some()).count()
    }
}

/// How a customer is told of. The first digits of a made-up customer say which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Number,
    User,
    /// Always by both ids.
    Both,
    /// By the one, the other or both, as it happens, once both were told together.
    Either,
}

impl Known {
    pub(crate) const ALL: [Self; 4] = [Self::Number, Self::User, Self::Both, Self::Either];

    pub(crate) fn digits(self) -> &'static str {
        match self {
            Self::Number => "1555",
            Self::User => "1666",
            Self::Both => "1777",
            Self::Either => "1888",
        }
    }

    /// That of the pair of this name.
    pub(crate) fn of(name: &str) -> Self {
        let digits = name.split_once(' ').unwrap().1;
        Self::ALL.into_iter().find(|known| digits.starts_with(known.digits())).unwrap()
    }
}

const USER: &str = "US.";

/// Under which a ledger knows a pair, by whichever id it is told of: `4001 15550199001`.
pub(crate) fn name(pair: &Pair) -> String {
    let digits = pair.customer.as_ref().map(|customer| match customer.wa_id.as_str() {
        "" => customer.user_id.trim_start_matches(USER),
        wa_id => wa_id,
    });
    format!("{} {}", pair.phone_number_id, digits.unwrap_or_default())
}

/// The pair of this name, with all ids that it is known by.
pub(crate) fn pair(name: &str) -> Pair {
    let (number, digits) = name.split_once(' ').unwrap();
    let (wa_id, user_id) = (digits.to_owned(), format!("{USER}{digits}"));
    let customer = match Known::of(name) {
        Known::Number => Customer { wa_id, user_id: String::new() },
        Known::User => Customer { wa_id: String::new(), user_id },
        Known::Both | Known::Either => Customer { wa_id, user_id },
    };
    Pair { phone_number_id: number.to_owned(), customer: Some(customer) }
}

/// The pair of this name, as somebody happens to know it.
pub(crate) fn somehow(name: &str, dice: &mut Dice) -> Pair {
    let mut pair = pair(name);
    if let (Known::Either, Some(customer)) = (Known::of(name), &mut pair.customer) {
        match dice.below(3) {
            0 => customer.wa_id.clear(),
            1 => customer.user_id.clear(),
            _ => {}
        }
    }
    pair
}

/// Milliseconds; 0 where unset.
pub(crate) fn ms(at: Option<Timestamp>) -> u64 {
    at.map_or(0, |at| {
        u64::try_from(at.seconds).unwrap() * 1000 + u64::try_from(at.nanos).unwrap() / 1_000_000
    })
}

/// The instant of so many milliseconds.
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(ms / 1000).unwrap(),
        nanos: i32::try_from(ms % 1000).unwrap() * 1_000_000,
    }
}
