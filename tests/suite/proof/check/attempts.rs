//! Every ALLOW has its held call: asked again, it is replayed, or over, or lapsed by its lease.

use callgate::proto::Reason;

use super::{Findings, Promise, hold};
use crate::proof::{
    history::{Attempt, History, call_outcome, judged_at, new_allow, view_of},
    ledger::{Answer, Entry, Verdict},
};

pub(super) fn check(pair: &str, history: &History<'_>, findings: &mut Findings) {
    for (id, attempt) in history.calls.iter().chain(&history.requests) {
        for ask in &attempt.asks {
            if let Some(problem) = problem(history, attempt, ask) {
                findings.add(Promise::HoldsStay, pair, format!("{id}: {problem}"));
            }
            if let Some((_, Answer::Verdict(verdict))) = ask.known() {
                let sums = &mut findings.sums;
                sums.allows += usize::from(new_allow(ask).is_some());
                sums.replays += usize::from(verdict.is_replayed);
                sums.denies += usize::from(!verdict.is_allowed);
                sums.denied_by_permission +=
                    usize::from(verdict.blocked_by.contains(&Reason::CallPermissionLimit));
                if let Some(until) = asked_again(history, attempt, ask) {
                    let is_held = judged_at(ask).is_some_and(|judged_at| judged_at < until);
                    sums.held += usize::from(is_held);
                    sums.lapsed += usize::from(!is_held);
                }
            }
        }
    }
}

/// The end of the hold, of an attempt that held before and is not over.
fn asked_again(history: &History<'_>, attempt: &Attempt<'_>, ask: &Entry) -> Option<u64> {
    let view = view_of(ask)?;
    hold::hold_end(history, attempt, &view, Some(ask))
}

fn problem(history: &History<'_>, attempt: &Attempt<'_>, ask: &Entry) -> Option<String> {
    let (answered, answer) = ask.known()?;
    if let Answer::Exists = answer {
        let is_reported = attempt.reports.iter().any(|told| {
            let ends = call_outcome(told.event).is_none_or(|(strength, _)| !strength.is_alive());
            ends && told.first_sent().seq < answered.seq
        });
        return (!is_reported).then(|| "is over, and nobody said so".to_owned());
    }
    let (Answer::Verdict(verdict), Some(view)) = (answer, view_of(ask)) else { return None };
    let held = hold::held_until(history, attempt, &view, Some(ask));
    if verdict.is_allowed && hold::is_over(history, attempt, &view) {
        return Some("is over, and was allowed again".to_owned());
    }
    match (verdict.is_allowed, verdict.is_replayed, held) {
        (true, false, Some(until)) => {
            Some(format!("held until {until}, and was allowed afresh at {}", view.at))
        }
        (true, true, Some(until)) if verdict.lease_expires_at < until => {
            Some(format!("held until {until}, replayed until {}", verdict.lease_expires_at))
        }
        // A gate that lost its connection to the store asks again by itself: the hold is its own.
        (true, true, _)
            if verdict.lease_expires_at < ask.sent.ms + hold::asked_lease(history, ask)
                && !is_perhaps_held_by_others(history, attempt, ask) =>
        {
            Some(format!("was replayed at {}, and nothing can have held it", view.at))
        }
        (false, _, Some(until)) if is_about_limits(verdict) => {
            let blocked = &verdict.blocked_by;
            Some(format!("held until {until}, and was denied at {} by {blocked:?}", view.at))
        }
        (true, _, _) if verdict.lease_expires_at <= view.at => Some(format!(
            "was allowed at {} with a lease until {}",
            view.at, verdict.lease_expires_at
        )),
        _ => None,
    }
}

fn is_perhaps_held_by_others(history: &History<'_>, attempt: &Attempt<'_>, ask: &Entry) -> bool {
    let Some(view) = view_of(ask) else { return true };
    let asks = attempt.asks.iter().copied().filter(|other| !std::ptr::eq(*other, ask)).collect();
    let reports = attempt
        .reports
        .iter()
        .map(|told| crate::proof::history::Told { event: told.event, tells: told.tells.clone() });
    let others = Attempt { asks, reports: reports.collect() };
    hold::is_perhaps_held(history, &others, &view)
}

/// A repeated question is not held against any quota.
fn is_about_limits(verdict: &Verdict) -> bool {
    verdict.blocked_by.iter().all(|reason| {
        matches!(
            reason,
            Reason::CallWindowLimit
                | Reason::CallPermissionLimit
                | Reason::CallInProgress
                | Reason::RequestDayLimit
                | Reason::RequestWeekLimit
        )
    })
}
