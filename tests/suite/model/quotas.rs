//! What fills the quotas (`rules.md`, section 2), windows to the millisecond.

use callgate::engine::profile::Profile;

use super::{
    attempts::{ANSWERED, Attempt, HELD, SENT, UNCERTAIN, UNDELIVERED},
    consent::Grant,
    facts::Facts,
};

pub const DAY: u64 = 24 * 3_600_000;

/// The longest of the windows and 7 d, plus 1 d.
pub fn horizon(profile: &Profile) -> u64 {
    profile.call_window.max(profile.temporary_permission).max(7 * DAY) + DAY
}

/// One thing that fills a slot. Shown in the order of these fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub at: u64,
    pub id: String,
    pub is_held: bool,
    /// When time frees the slot, if it does.
    pub frees: Option<u64>,
}

/// A quota: its limit (0: none), and what fills it.
#[derive(Debug, Clone, Default)]
pub struct Quota {
    pub limit: u32,
    pub entries: Vec<Entry>,
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("few")
}

impl Quota {
    pub fn used(&self) -> u32 {
        count(self.entries.iter().filter(|entry| !entry.is_held).count())
    }

    pub fn held(&self) -> u32 {
        count(self.entries.iter().filter(|entry| entry.is_held).count())
    }

    pub fn is_full(&self) -> bool {
        self.limit > 0 && count(self.entries.len()) >= self.limit
    }

    /// When there is room, if there is none now; `None`: never by time.
    pub fn free_at(&self) -> Option<u64> {
        if !self.is_full() {
            return None;
        }
        let mut frees: Vec<u64> =
            self.entries.iter().map(|entry| entry.frees.unwrap_or(u64::MAX)).collect();
        frees.sort_unstable();
        let must_go = self.entries.len() - self.limit as usize;
        Some(frees[must_go]).filter(|at| *at < u64::MAX)
    }
}

/// Until when a call holds its slot by itself, if it does at `t`.
pub fn call_holds_until(call: &Attempt, profile: &Profile, t: u64) -> Option<u64> {
    let may_hold = call.is_open() && !call.is_closed;
    let ends = call.until.max(call.sign.map(|at| at + profile.lease))?;
    (may_hold && t < ends).then_some(ends)
}

fn request_holds_until(request: &Attempt, t: u64) -> Option<u64> {
    request.until.filter(|until| request.outcome == HELD && t < *until)
}

fn held(attempt: &Attempt, until: u64) -> Entry {
    let id = attempt.id().to_owned();
    Entry { at: attempt.at, id, frees: Some(until), is_held: true }
}

fn calls_that_hold(facts: &Facts, profile: &Profile, t: u64) -> Vec<Entry> {
    let holds = |call| call_holds_until(call, profile, t).map(|until| held(call, until));
    facts.calls.iter().filter_map(holds).collect()
}

fn counts(call: &&Attempt) -> bool {
    [ANSWERED, UNCERTAIN].contains(&call.outcome)
}

pub fn calls_in_window(facts: &Facts, profile: &Profile, t: u64) -> Quota {
    let window = profile.call_window;
    let calls = facts.calls.iter().filter(counts).filter(|call| t < call.at + window);
    let mut entries: Vec<Entry> = calls
        .map(|call| Entry {
            at: call.at,
            id: call.id().to_owned(),
            frees: Some(call.at + window),
            is_held: false,
        })
        .collect();
    entries.extend(calls_that_hold(facts, profile, t));
    Quota { limit: profile.calls_per_window, entries }
}

pub fn calls_in_permission(
    facts: &Facts,
    profile: &Profile,
    grant: Option<&Grant>,
    t: u64,
) -> Quota {
    let limit = profile.calls_per_permission;
    let Some(grant) = grant else {
        return Quota { limit, entries: Vec::new() };
    };
    if grant.ends.is_none() {
        return Quota::default();
    }
    let is_since = |call: &&Attempt| call.at >= grant.at && t <= call.at + horizon(profile);
    let calls = facts.calls.iter().filter(counts).filter(is_since);
    let mut entries: Vec<Entry> = calls
        .map(|call| Entry { at: call.at, id: call.id().to_owned(), frees: None, is_held: false })
        .collect();
    entries.extend(calls_that_hold(facts, profile, t));
    Quota { limit, entries }
}

/// The last answered call in either direction.
fn talked(facts: &Facts) -> Option<u64> {
    let answered = facts.calls.iter().filter(|call| call.outcome == ANSWERED);
    answered.map(|call| call.at).max().max(facts.newest.talked)
}

pub fn requests(facts: &Facts, profile: &Profile, limit: u32, window: u64, t: u64) -> Quota {
    let talked = talked(facts).filter(|_| profile.connected_call_resets_requests);
    let counts = |request: &&Attempt| {
        let is_sent = request.outcome == SENT
            || (request.outcome == UNDELIVERED && profile.undelivered_request_counts);
        is_sent && t < request.at + window && talked.is_none_or(|talked| request.at > talked)
    };
    let mut entries: Vec<Entry> = facts
        .requests
        .iter()
        .filter(counts)
        .map(|request| Entry {
            at: request.at,
            id: request.id().to_owned(),
            frees: Some(request.at + window),
            is_held: false,
        })
        .collect();
    let holds = |request| request_holds_until(request, t).map(|until| held(request, until));
    entries.extend(facts.requests.iter().filter_map(holds));
    Quota { limit, entries }
}

/// Calls under way: those that hold, and answered ones that have not ended.
pub fn calls_at_once(facts: &Facts, profile: &Profile, t: u64) -> Quota {
    let mut entries = calls_that_hold(facts, profile, t);
    for call in facts.calls.iter().filter(|call| call.outcome == ANSWERED) {
        let ends = call.at + profile.longest_call;
        // An end that is told a little ahead of the clock counts at once, like everything.
        if t < ends && call.ended.is_none() {
            let id = call.id().to_owned();
            entries.push(Entry { at: call.at, id, frees: Some(ends), is_held: false });
        }
    }
    Quota { limit: profile.calls_at_once, entries }
}
