//! Answered and held calls are never more than a limit. Slots are taken by ALLOWs, so it is enough to
//! look at the instant of each: what else was certainly taken then, and this one, are at most the
//! limit. Two ALLOWs for the last slot never both stand.

use super::{
    Findings, Promise,
    hold::{self, Counted},
};
use crate::proof::{
    history::{Attempt, History, View, call_outcome, judged_at, new_allow, view_of},
    ledger::{Asked, Entry, ms},
};

pub(super) fn check(pair: &str, history: &History<'_>, findings: &mut Findings) {
    for entry in &history.entries {
        let (Some(verdict), Some(view)) = (new_allow(entry), view_of(entry)) else { continue };
        let found = match &entry.asked {
            Asked::Call { call_id, .. } => {
                let granted_at =
                    verdict.permission.grant.as_ref().filter(|grant| grant.expires_at.is_some());
                let granted_at = granted_at.map(|grant| ms(grant.granted_at));
                calls(history, call_id, &view, granted_at)
            }
            Asked::Request { request_id, .. } => requests(history, request_id, &view),
            _ => Vec::new(),
        };
        for what in found.into_iter().chain(own_words(entry)) {
            findings.add(Promise::LimitsHold, pair, what);
        }
    }
    if history.forgets.is_empty() {
        trailing_windows(pair, history, findings);
    }
}

/// ALLOWs of the same millisecond saw each other, one way or the other.
fn with_this_instant(view: &View) -> View {
    View { at: view.at + 1, ..*view }
}

/// A sign of life of the same millisecond may have come too late: it revives what had lapsed.
fn is_held(history: &History<'_>, attempt: &Attempt<'_>, view: &View) -> bool {
    hold::hold_end_by_signs(history, attempt, &with_this_instant(view), view, None)
        .is_some_and(|until| view.at < until)
}

/// Whether a call takes a slot of those that count from `since` on: it certainly holds, or counts, or
/// does the one or the other.
fn takes(history: &History<'_>, call: &Attempt<'_>, view: &View, since: u64) -> bool {
    let counts = |counted: &Counted| since <= counted.earliest;
    match hold::counted(history, call, view) {
        Some(counted) if counted.is_certain => counts(&counted),
        // Reported while this was judged: it held before, and counts after.
        Some(counted) => counts(&counted) && held_but_for_counting(history, call, view),
        None => is_held(history, call, view),
    }
}

fn held_but_for_counting(history: &History<'_>, call: &Attempt<'_>, view: &View) -> bool {
    let reports = call
        .reports
        .iter()
        .filter(|told| call_outcome(told.event).is_none_or(|(strength, _)| !strength.counts()));
    let reports = reports
        .map(|told| crate::proof::history::Told { event: told.event, tells: told.tells.clone() });
    let rest = Attempt { asks: call.asks.clone(), reports: reports.collect() };
    is_held(history, &rest, view)
}

fn calls(
    history: &History<'_>,
    call_id: &str,
    view: &View,
    granted_at: Option<u64>,
) -> Vec<String> {
    let rules = history.rules;
    let others = || history.calls.iter().filter(|(id, _)| **id != call_id);
    let taken_since = |since: u64| -> Vec<&str> {
        others().filter(|(_, call)| takes(history, call, view, since)).map(|(id, _)| *id).collect()
    };
    let mut found = Vec::new();
    let mut judge = |name: &str, limit: u32, taken: &[&str]| {
        if limit > 0 && limit as usize <= taken.len() {
            found.push(format!(
                "{call_id} was allowed at {}, when {taken:?} took all {limit} of {name}",
                view.at
            ));
        }
    };
    let window = taken_since((view.at + 1).saturating_sub(rules.call_window));
    judge("the window", rules.calls_per_window, &window);
    if let Some(granted_at) = granted_at {
        judge("the permission", rules.calls_per_permission, &taken_since(granted_at));
    }
    let under_way: Vec<&str> =
        others().filter(|(_, call)| is_under_way(history, call, view)).map(|(id, _)| *id).collect();
    judge("the calls at once", rules.calls_at_once, &under_way);
    found
}

/// Holds, or was answered and has not ended.
fn is_under_way(history: &History<'_>, call: &Attempt<'_>, view: &View) -> bool {
    let is_ended = call.reports.iter().any(|told| {
        let has_end = matches!(
            &told.event.fact,
            Some(callgate::proto::event::Fact::Call(report)) if report.ended_at.is_some()
        );
        has_end && told.is_possible(view)
    });
    let over_by = (view.at + 1).saturating_sub(history.rules.longest_call);
    let is_uncertain = call.reports.iter().any(|told| {
        let outcome = call_outcome(told.event);
        outcome.is_some_and(|(strength, _)| strength == crate::proof::history::Strength::Uncertain)
            && told.is_possible(view)
    });
    !is_ended && !is_uncertain && takes(history, call, view, over_by)
}

fn requests(history: &History<'_>, request_id: &str, view: &View) -> Vec<String> {
    let others = history.requests.iter().filter(|(id, _)| **id != request_id);
    let taken: Vec<&str> = others
        .filter(|(_, request)| {
            let (is_sent, _) = hold::sent(history, request, view);
            is_sent || is_held(history, request, view)
        })
        .map(|(id, _)| *id)
        .collect();
    let limit = history.rules.requests_per_day.min(history.rules.requests_per_week);
    let is_over = limit as usize <= taken.len();
    let what =
        || format!("{request_id} was allowed at {}, when {taken:?} took all {limit}", view.at);
    is_over.then(what).into_iter().collect()
}

/// The state in the ALLOW itself: it includes the hold.
fn own_words(entry: &Entry) -> Vec<String> {
    let Some(verdict) = new_allow(entry) else { return Vec::new() };
    let of_calls = matches!(entry.asked, Asked::Call { .. });
    let quotas = verdict.permission.quotas.iter().filter(|quota| (quota.kind <= 2) == of_calls);
    let over = quotas.filter(|quota| {
        quota.limit > 0 && (quota.held == 0 || quota.limit < quota.used + quota.held)
    });
    over.map(|quota| {
        let (kind, limit) = (quota.kind().as_str_name(), quota.limit);
        format!("an ALLOW shows {} used, {} held of {limit} in {kind}", quota.used, quota.held)
    })
    .collect()
}

/// By all that is known in the end: the answered calls of any trailing window, but for those that
/// were never allowed or whose hold was gone when the answer was told.
fn trailing_windows(pair: &str, history: &History<'_>, findings: &mut Findings) {
    let rules = history.rules;
    let mut times = Vec::new();
    for call in history.calls.values() {
        match answer_of(history, call) {
            Some((at, true)) => {
                findings.sums.bound += 1;
                times.push(at);
            }
            Some((_, false)) => findings.sums.unbound += 1,
            None => {}
        }
    }
    times.sort_unstable();
    let limit = rules.calls_per_window as usize;
    for window in times.windows(limit + 1) {
        if window[limit] < window[0] + rules.call_window {
            let what = format!("more than {limit} answered in one window: {window:?}");
            findings.add(Promise::LimitsHold, pair, what);
        }
    }
}

/// When a call was answered, and whether it held from its ALLOW until that was known.
fn answer_of(history: &History<'_>, call: &Attempt<'_>) -> Option<(u64, bool)> {
    let counting = call.reports.iter().filter_map(|told| {
        let (strength, at) = call_outcome(told.event)?;
        strength.counts().then_some((told, at))
    });
    let times: Vec<u64> = counting.clone().map(|(_, at)| at).collect();
    let (told, at) = counting.min_by_key(|(told, _)| told.first_sent().seq)?;
    // The first who told it, if the answer came.
    let tell = told.acknowledged().min_by_key(|tell| tell.sent.seq)?;
    let view = View { sent: tell.sent, ..view_of(tell)? };
    let is_one_time = times.iter().all(|time| *time == at);
    let allowed_before = call.asks.iter().any(|ask| {
        new_allow(ask).is_some() && judged_at(ask).is_some_and(|judged_at| judged_at <= at)
    });
    let is_bound = is_one_time && allowed_before && held_but_for_counting(history, call, &view);
    Some((at, is_bound))
}
