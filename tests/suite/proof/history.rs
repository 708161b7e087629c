//! What the ledger says of one pair: which of it is certain at a moment, and which merely possible.
//!
//! *Certain* is what was acknowledged before. *Possible* is all that was sent before, answered or not.
//! Of two answers the store's clock tells the order as well, by `judged_at`.

use std::collections::BTreeMap;

use callgate::proto::{
    CallOutcome, Event, EventStatus, Permission, PermissionResponse, RequestOutcome, event::Fact,
};

use crate::proof::{
    ledger::{Answer, Asked, Entry, Moment, Verdict, ms},
    rules::Rules,
};

/// The point from which one looks back: a question that is under way at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) sent: Moment,
    pub(super) answered: Moment,
    /// The store's time, milliseconds.
    pub(super) at: u64,
}

/// An event, and each time that it was told.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) event: &'a Event,
    pub(super) tells: Vec<&'a Entry>,
}

/// An attempt (call or request) by its own id.
#[derive(Debug, Default)]
pub(super) struct Attempt<'a> {
    pub(super) asks: Vec<&'a Entry>,
    pub(super) reports: Vec<Told<'a>>,
}

/// All that was asked about one pair.
#[derive(Debug)]
pub(super) struct History<'a> {
    pub(super) rules: &'a Rules,
    pub(super) entries: Vec<&'a Entry>,
    pub(super) events: BTreeMap<&'a str, Told<'a>>,
    pub(super) calls: BTreeMap<&'a str, Attempt<'a>>,
    pub(super) requests: BTreeMap<&'a str, Attempt<'a>>,
    pub(super) forgets: Vec<&'a Entry>,
}

/// What became of an attempt, in the order of strength that `rules.md` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    NotPlaced,
    Placed,
    Ringing,
    Failed,
    Canceled,
    Unanswered,
    Rejected,
    Uncertain,
    Answered,
}

impl Strength {
    pub(super) fn counts(self) -> bool {
        matches!(self, Self::Uncertain | Self::Answered)
    }

    pub(super) fn is_alive(self) -> bool {
        matches!(self, Self::Placed | Self::Ringing)
    }
}

/// The outcome that a report of a call tells, and its time.
pub(super) fn call_outcome(event: &Event) -> Option<(Strength, u64)> {
    let Some(Fact::Call(report)) = &event.fact else { return None };
    let told = ms(event.occurred_at);
    let strength = match report.outcome() {
        CallOutcome::Placed => Strength::Placed,
        CallOutcome::Ringing => Strength::Ringing,
        CallOutcome::Answered => Strength::Answered,
        CallOutcome::Unanswered => Strength::Unanswered,
        CallOutcome::Rejected => Strength::Rejected,
        CallOutcome::Canceled => Strength::Canceled,
        CallOutcome::Failed => Strength::Failed,
        CallOutcome::NotPlaced => Strength::NotPlaced,
        CallOutcome::Uncertain => Strength::Uncertain,
        CallOutcome::Unspecified => return None,
    };
    let picked_up = if strength == Strength::Answered { ms(report.answered_at) } else { 0 };
    Some((strength, if picked_up == 0 { told } else { picked_up }))
}

/// The outcome that a report of a request tells, and its time.
pub(super) fn request_outcome(event: &Event) -> Option<(RequestOutcome, u64)> {
    match &event.fact {
        Some(Fact::Request(report)) => Some((report.outcome(), ms(event.occurred_at))),
        _ => None,
    }
}

/// Whether the event may give permission, and whether it takes it away.
pub(super) fn consent(event: &Event) -> (bool, bool) {
    match &event.fact {
        Some(Fact::Reply(reply)) => {
            let accepts = reply.response() == PermissionResponse::Accept;
            (accepts, !accepts)
        }
        Some(Fact::InboundCall(_)) => (true, false),
        _ => (false, false),
    }
}

/// The time of the fact, by which an event is too old.
pub(super) fn fact_time(event: &Event) -> u64 {
    call_outcome(event).map_or_else(|| ms(event.occurred_at), |(_, at)| at)
}

pub(super) fn permission(entry: &Entry) -> Option<&Permission> {
    match entry.known()? {
        (_, Answer::Told { permission, .. }) => permission.as_deref(),
        (_, Answer::Verdict(verdict)) => Some(&verdict.permission),
        (_, Answer::View(permission)) => Some(permission),
        _ => None,
    }
}

/// When the store answered, by its own clock.
pub(super) fn judged_at(entry: &Entry) -> Option<u64> {
    permission(entry).map(|permission| ms(permission.judged_at)).filter(|at| *at != 0)
}

pub(super) fn verdict(entry: &Entry) -> Option<&Verdict> {
    match entry.known()? {
        (_, Answer::Verdict(verdict)) => Some(verdict),
        _ => None,
    }
}

/// An ALLOW that holds anew.
pub(super) fn new_allow(entry: &Entry) -> Option<&Verdict> {
    verdict(entry).filter(|verdict| verdict.is_allowed && !verdict.is_replayed)
}

/// The point of an entry that has an answer.
pub(super) fn view_of(entry: &Entry) -> Option<View> {
    let (answered, _) = entry.known()?;
    let at = judged_at(entry)?;
    Some(View { sent: entry.sent, answered: *answered, at })
}

impl<'a> Told<'a> {
    pub(super) fn first_sent(&self) -> Moment {
        self.tells[0].sent
    }

    pub(super) fn is_possible(&self, view: &View) -> bool {
        self.first_sent().seq < view.answered.seq
    }

    /// The tells that were acknowledged as known to the store.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = &'a Entry> {
        self.tells.iter().copied().filter(|tell| {
            matches!(
                tell.known(),
                Some((_, Answer::Told { status, .. })) if *status != EventStatus::Stale
            )
        })
    }
}

impl<'a> History<'a> {
    pub(super) fn of_all(entries: &'a [Entry], rules: &'a Rules) -> BTreeMap<&'a str, Self> {
        let mut all: BTreeMap<&str, Self> = BTreeMap::new();
        for entry in entries {
            let history = all.entry(entry.pair.as_str()).or_insert_with(|| Self {
                rules,
                entries: Vec::new(),
                events: BTreeMap::new(),
                calls: BTreeMap::new(),
                requests: BTreeMap::new(),
                forgets: Vec::new(),
            });
            history.add(entry);
        }
        for history in all.values_mut() {
            history.sort_reports();
        }
        all
    }

    fn add(&mut self, entry: &'a Entry) {
        self.entries.push(entry);
        match &entry.asked {
            Asked::Tell(event) => {
                let new = || Told { event, tells: Vec::new() };
                let told = self.events.entry(&event.event_id).or_insert_with(new);
                told.tells.push(entry);
            }
            Asked::Call { call_id, .. } => {
                self.calls.entry(call_id).or_default().asks.push(entry);
            }
            Asked::Request { request_id, .. } => {
                self.requests.entry(request_id).or_default().asks.push(entry);
            }
            Asked::Forget => self.forgets.push(entry),
            Asked::View { .. } => {}
        }
    }

    fn sort_reports(&mut self) {
        for told in self.events.values() {
            let copy = Told { event: told.event, tells: told.tells.clone() };
            match &told.event.fact {
                Some(Fact::Call(report)) => {
                    self.calls.entry(&report.call_id).or_default().reports.push(copy);
                }
                Some(Fact::Request(report)) => {
                    self.requests.entry(&report.request_id).or_default().reports.push(copy);
                }
                _ => {}
            }
        }
    }

    /// Whether what was asked at `since` was not forgotten before a forget that came later than it.
    fn survives(&self, since: Moment, is_before: impl Fn(Moment) -> bool) -> bool {
        !self.forgets.iter().any(|forget| is_before(forget.sent) && !forget.is_over_before(since))
    }

    /// Whether an entry that did something stands in the store at that point.
    pub(super) fn is_certain(&self, entry: &Entry, view: &View) -> bool {
        let is_before = entry.is_over_before(view.sent)
            || judged_at(entry).is_some_and(|judged_at| judged_at < view.at);
        is_before
            && entry.known().is_some()
            && self.survives(entry.sent, |moment| moment.seq < view.answered.seq)
            && !self.is_perhaps_stale(entry)
    }

    /// ReportCall does not tell whether the fact was older than a forget.
    fn is_perhaps_stale(&self, entry: &Entry) -> bool {
        let Some((answered, Answer::Told { status: EventStatus::Unspecified, .. })) = entry.known()
        else {
            return false;
        };
        self.forgets.iter().any(|forget| forget.sent.seq < answered.seq)
    }

    /// Whether an event is known to the store at that point.
    pub(super) fn is_told(&self, told: &Told<'_>, view: &View) -> bool {
        told.acknowledged().any(|tell| self.is_certain(tell, view))
    }
}
