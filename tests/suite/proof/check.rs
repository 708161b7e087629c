//! Judges a ledger. Only what is certain is held against the gate: a question without an answer may
//! have happened or not.

mod attempts;
mod consent;
mod hold;
mod slots;
mod told;
mod views;

use std::fmt;

use crate::{
    proof::{
        history::History,
        ledger::{Answer, Entry, Ledger},
        rules::Rules,
    },
    support::tally,
};

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
    pub(crate) replays: usize,
    /// Answered calls that a limit does not bind: never asked about, or their hold was gone before the
    /// answer was told.
    pub(crate) unbound: usize,
    /// Events that were told again after they were acknowledged.
    pub(crate) found_again: usize,
    /// GetPermission.
    pub(crate) views: usize,
    /// Questions of which it is not known whether they happened.
    pub(crate) unknown: usize,
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
    (findings.violations, findings.sums)
}

/// As [`check()`]; the sums go to the tally.
///
/// # Panics
/// A promise was not kept.
pub(crate) fn must_hold(ledger: &Ledger, rules: &Rules) -> Sums {
    let entries = ledger.entries();
    let (violations, sums) = check(&entries, rules);
    println!("{sums:?}");
    let refused = entries.iter().filter_map(|entry| match &entry.answer {
        Some((_, Answer::Refused(why))) => Some(why),
        _ => None,
    });
    assert_eq!(refused.collect::<Vec<_>>(), Vec::<&String>::new(), "the load asks nonsense");
    tally::count("ALLOWs checked", sums.allows);
    tally::count("events acknowledged and found again", sums.found_again);
    let told: Vec<_> = violations.iter().take(20).map(ToString::to_string).collect();
    let count = violations.len();
    assert!(violations.is_empty(), "{count} promises were not kept:\n{}", told.join("\n"));
    sums
}
