//! Whether an attempt holds, counts or is over, at a point of its history.

use callgate::proto::RequestOutcome;

use crate::proof::{
    history::{
        Attempt, History, Strength, View, call_outcome, judged_at, request_outcome, verdict,
    },
    ledger::{Asked, Entry},
};

/// A question without an answer happens so long after it was sent at the latest, milliseconds.
const LATEST: u64 = 30_000;

/// Times of an outcome that counts: `certain` if the store knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) is_certain: bool,
    /// The earliest and the latest time that it may have.
    pub(super) earliest: u64,
    pub(super) latest: u64,
}

/// An answered or uncertain call.
pub(super) fn counted(history: &History<'_>, call: &Attempt<'_>, view: &View) -> Option<Counted> {
    let mut counted: Option<Counted> = None;
    for told in &call.reports {
        let Some((strength, at)) = call_outcome(told.event) else { continue };
        if strength.counts() && told.is_possible(view) {
            let is_certain = history.is_told(told, view);
            let so_far = counted.unwrap_or(Counted { is_certain: false, earliest: at, latest: at });
            counted = Some(Counted {
                is_certain: so_far.is_certain || is_certain,
                earliest: so_far.earliest.min(at),
                latest: so_far.latest.max(at),
            });
        }
    }
    counted
}

/// A request that was sent, and is not undelivered.
pub(super) fn sent(history: &History<'_>, request: &Attempt<'_>, view: &View) -> (bool, bool) {
    let (mut is_certain, mut is_possible, mut is_undelivered) = (false, false, false);
    for told in &request.reports {
        let Some((outcome, _)) = request_outcome(told.event) else { continue };
        match outcome {
            RequestOutcome::Sent | RequestOutcome::Delivered if told.is_possible(view) => {
                is_possible = true;
                is_certain |= history.is_told(told, view);
            }
            RequestOutcome::Undelivered if told.is_possible(view) => is_undelivered = true,
            _ => {}
        }
    }
    (is_certain && !is_undelivered, is_possible)
}

/// Whether a report may have said that the attempt is over.
pub(super) fn is_perhaps_over(attempt: &Attempt<'_>, view: &View) -> bool {
    attempt.reports.iter().any(|told| {
        let ends = call_outcome(told.event).is_none_or(|(strength, _)| !strength.is_alive());
        ends && told.is_possible(view)
    })
}

/// Whether a report that the store knows has said that the attempt is over, and none can undo it.
pub(super) fn is_over(history: &History<'_>, attempt: &Attempt<'_>, view: &View) -> bool {
    let is_alive_again = attempt.reports.iter().any(|told| {
        let outcome = call_outcome(told.event);
        outcome.is_some_and(|(strength, _)| strength.is_alive()) && told.is_possible(view)
    });
    attempt.reports.iter().any(|told| {
        let ends = match call_outcome(told.event) {
            // The weakest of all: a call that was placed after all is not over.
            Some((Strength::NotPlaced, _)) => !is_alive_again,
            Some((strength, _)) => !strength.is_alive(),
            None => true,
        };
        ends && history.is_told(told, view)
    })
}

/// Whether of two questions one was judged before the other.
pub(super) fn is_before(one: &Entry, other: &Entry) -> bool {
    one.is_over_before(other.sent)
        || matches!((judged_at(one), judged_at(other)), (Some(a), Some(b)) if a < b)
}

/// Whether a no, or an answer that nobody got, may have taken the hold back since `since`.
pub(super) fn is_perhaps_released(attempt: &Attempt<'_>, since: &Entry, view: &View) -> bool {
    attempt.asks.iter().any(|ask| {
        let is_no = verdict(ask).is_none_or(|verdict| !verdict.is_allowed);
        let is_since = !std::ptr::eq(*ask, since) && !is_before(ask, since);
        let is_by_then = ask.sent.seq < view.answered.seq
            && judged_at(ask).is_none_or(|judged_at| judged_at <= view.at);
        is_no && is_since && is_by_then
    })
}

/// Until when an attempt holds for sure, if it does at that point. `excluding` is the one who asks.
pub(super) fn held_until(
    history: &History<'_>,
    attempt: &Attempt<'_>,
    view: &View,
    excluding: Option<&Entry>,
) -> Option<u64> {
    hold_end(history, attempt, view, excluding).filter(|until| view.at < *until)
}

/// Until when an attempt was held for sure, unless it was released or is perhaps over.
pub(super) fn hold_end(
    history: &History<'_>,
    attempt: &Attempt<'_>,
    view: &View,
    excluding: Option<&Entry>,
) -> Option<u64> {
    hold_end_by_signs(history, attempt, view, view, excluding)
}

/// As [`hold_end`], where signs of life are looked for from another point.
pub(super) fn hold_end_by_signs(
    history: &History<'_>,
    attempt: &Attempt<'_>,
    view: &View,
    signs: &View,
    excluding: Option<&Entry>,
) -> Option<u64> {
    let allowed = |ask: &&&Entry| {
        excluding.is_none_or(|other| !std::ptr::eq(**ask, other))
            && verdict(ask).is_some_and(|verdict| verdict.is_allowed)
            && history.is_certain(ask, view)
    };
    // The newest ALLOW: what came before it cannot undo it.
    let base = attempt.asks.iter().filter(allowed).max_by_key(|ask| judged_at(ask))?;
    let released = is_perhaps_released_by_others(attempt, base, view, excluding);
    if released || is_perhaps_over(attempt, view) {
        return None;
    }
    Some(lease_end(history, attempt, signs, base))
}

fn is_perhaps_released_by_others(
    attempt: &Attempt<'_>,
    base: &Entry,
    view: &View,
    excluding: Option<&Entry>,
) -> bool {
    let asks = attempt.asks.iter().copied();
    let others = asks.filter(|ask| excluding.is_none_or(|other| !std::ptr::eq(*ask, other)));
    let others = Attempt { asks: others.collect(), reports: Vec::new() };
    is_perhaps_released(&others, base, view)
}

/// The end of the lease by this ALLOW and by every sign of life that the store knows.
fn lease_end(history: &History<'_>, attempt: &Attempt<'_>, view: &View, base: &Entry) -> u64 {
    let by_allow = verdict(base).map_or(0, |verdict| verdict.lease_expires_at);
    let by_signs = attempt.reports.iter().filter_map(|told| {
        let (strength, at) = call_outcome(told.event)?;
        (strength.is_alive() && history.is_told(told, view)).then_some(at + history.rules.lease)
    });
    by_signs.fold(by_allow, u64::max)
}

/// Whether it may hold.
pub(super) fn is_perhaps_held(history: &History<'_>, attempt: &Attempt<'_>, view: &View) -> bool {
    if is_over(history, attempt, view) {
        return false;
    }
    let by_ask = attempt.asks.iter().any(|ask| {
        let until = match (verdict(ask).filter(|verdict| verdict.is_allowed), ask.known()) {
            (Some(verdict), _) => verdict.lease_expires_at,
            // A gate that lost its connection to the store asks again by itself, and may get a no after
            // a yes that it never heard.
            (None, Some((answered, _))) if view.sent.seq < answered.seq => u64::MAX,
            (None, Some(_)) => 0,
            (None, None) => ask.sent.ms + LATEST + asked_lease(history, ask),
        };
        ask.sent.seq < view.answered.seq && view.at < until
    });
    let by_sign = attempt.reports.iter().any(|told| {
        call_outcome(told.event).is_some_and(|(strength, at)| {
            strength.is_alive() && told.is_possible(view) && view.at < at + history.rules.lease
        })
    });
    by_ask || by_sign
}

/// The lease that was asked for, milliseconds.
pub(super) fn asked_lease(history: &History<'_>, ask: &Entry) -> u64 {
    match &ask.asked {
        Asked::Call { lease: Some(lease), .. } => *lease,
        _ => history.rules.lease,
    }
}
