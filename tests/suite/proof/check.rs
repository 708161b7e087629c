//! Judges a ledger. Only what is certain is held against the gate: a question without an answer may
//! have happened or not.

mod attempts;
mod consent;
mod hold;
mod slots;
mod told;
mod views;

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use crate::{
    proof::{
        history::History,
        ledger::{Answer, Entry, Ledger},
        rules::Rules,
        story,
    },
    support::tally,
};

/// So many violations of one promise are told.
const EACH_MAX: usize = 8;

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    /// An acknowledged event is known when it is told again.
    EventsStay,
    /// An ALLOW has its held call, until it is over or its lease ends.
    HoldsStay,
    /// GetPermission shows what was acknowledged, and nothing that was never sent.
    CountsAgree,
    /// Answered and held calls are never more than a limit.
    LimitsHold,
    /// No ALLOW without a permission that came after every no that was acknowledged.
    NoMeansNo,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) promise: Promise,
    pub(crate) pair: String,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.promise, self.pair, self.what)
    }
}

/// What a checked ledger holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// ALLOWs of calls and requests that were no repetition.
    pub(crate) allows: usize,
    pub(crate) denies: usize,
    /// Those because the permission was full.
    pub(crate) denied_by_permission: usize,
    pub(crate) replays: usize,
    /// Answered calls that a limit does not bind: never asked about, or their hold was gone before the
    /// answer was told.
    pub(crate) unbound: usize,
    /// Answered calls that a limit binds: held from their ALLOW until the answer was told.
    pub(crate) bound: usize,
    /// Attempts that were asked about again while they held for sure.
    pub(crate) held: usize,
    /// Those that were asked about again when their lease had run out.
    pub(crate) lapsed: usize,
    /// Events that were told again after they were acknowledged.
    pub(crate) found_again: usize,
    /// GetPermission.
    pub(crate) views: usize,
    /// What they had to show: calls and requests that filled a quota for sure.
    pub(crate) shown: usize,
    /// Questions of which it is not known whether they happened.
    pub(crate) unknown: usize,
}

impl Sums {
    /// The check had something to check, of every kind, and did not excuse most of it.
    pub(crate) fn tells(&self, allows: usize) -> bool {
        allows < self.allows
            && allows / 10 < self.replays
            && allows / 20 < self.held
            && allows / 100 < self.lapsed
            && allows < self.found_again
            && allows < self.views
            && allows < self.shown
    }

    /// Limits were judged by more than so many answered calls, and for each of these fewer than three
    /// were left out. Measured: one of four on a quiet machine, two of three on one so busy that
    /// answers do not come in time.
    pub(crate) fn binds(&self, calls: usize) -> bool {
        calls < self.bound && self.unbound < 3 * self.bound
    }
}

/// Collects what is found.
#[derive(Debug, Default)]
struct Findings {
    violations: Vec<Violation>,
    sums: Sums,
}

impl Findings {
    fn add(&mut self, promise: Promise, pair: &str, what: impl Into<String>) {
        let (pair, what) = (pair.to_owned(), what.into());
        self.violations.push(Violation { promise, pair, what });
    }
}

/// All promises that were not kept, and what was looked at.
pub(crate) fn check(entries: &[Entry], rules: &Rules) -> (Vec<Violation>, Sums) {
    let mut findings = Findings::default();
    for (pair, history) in History::of_all(entries, rules) {
        told::check(pair, &history, &mut findings);
        attempts::check(pair, &history, &mut findings);
        slots::check(pair, &history, &mut findings);
        consent::check(pair, &history, &mut findings);
        views::check(pair, &history, &mut findings);
    }
    findings.sums.unknown = entries.iter().filter(|entry| entry.known().is_none()).count();
    // Consent and limits first: what is lost shows by itself.
    findings.violations.sort_by_key(|violation| Reverse(violation.promise));
    (findings.violations, findings.sums)
}

/// As [`check()`]; the sums go to the tally.
///
/// # Panics
/// A promise was not kept.
pub(crate) fn must_hold(ledger: &Ledger, rules: &Rules) -> Sums {
    let entries = ledger.entries();
    let (violations, sums) = check(&entries, rules);
    println!("{sums:?}\n{:?}", reasons(&entries));
    let refused = entries.iter().filter_map(|entry| match &entry.answer {
        Some((_, Answer::Refused(why))) => Some(why),
        _ => None,
    });
    assert_eq!(refused.collect::<Vec<_>>(), Vec::<&String>::new(), "the load asks nonsense");
    tally::count("ALLOWs checked", sums.allows);
    tally::count("events acknowledged and found again", sums.found_again);
    if let Some(first) = violations.first() {
        let mut told = Vec::new();
        for of_one_kind in violations.chunk_by(|a, b| a.promise == b.promise) {
            told.extend(of_one_kind.iter().take(EACH_MAX).map(ToString::to_string));
        }
        let words = first.what.split(|c: char| !c.is_ascii_alphanumeric());
        // Ids: a letter and a number.
        let is_id = |word: &&str| word.get(1..).is_some_and(|rest| rest.parse::<u64>().is_ok());
        let ids = words.filter(|word| word.starts_with(char::is_alphabetic)).filter(is_id);
        let words: Vec<String> = ids.map(str::to_owned).collect();
        let story = story::of(&entries, &first.pair, &words);
        panic!("{} promises were not kept:\n{}\n{story}", violations.len(), told.join("\n"));
    }
    sums
}

/// How often each reason decided.
fn reasons(entries: &[Entry]) -> BTreeMap<&'static str, usize> {
    let mut reasons = BTreeMap::new();
    for entry in entries {
        if let Some((_, Answer::Verdict(verdict))) = entry.known() {
            *reasons.entry(verdict.reason.as_str_name()).or_default() += 1;
        }
    }
    reasons
}
