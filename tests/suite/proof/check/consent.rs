//! No ALLOW of a call without a permission that the customer gave after every no that was
//! acknowledged. Consent is ordered by whole seconds.

use callgate::proto::RequestOutcome;

use super::{Findings, Promise};
use crate::proof::{
    history::{History, View, consent, request_outcome, verdict, view_of},
    ledger::{Asked, Entry, ms},
};

pub(super) fn check(pair: &str, history: &History<'_>, findings: &mut Findings) {
    for entry in &history.entries {
        if let Asked::Call { call_id, .. } = &entry.asked
            && let Some(problem) = problem(history, entry)
        {
            findings.add(Promise::NoMeansNo, pair, format!("{call_id}: {problem}"));
        }
    }
}

fn problem(history: &History<'_>, entry: &Entry) -> Option<String> {
    let verdict = verdict(entry).filter(|verdict| verdict.is_allowed)?;
    let view = view_of(entry)?;
    let Some(grant) = &verdict.permission.grant else {
        return Some("was allowed without a permission".to_owned());
    };
    let (given_at, expires_at) = (ms(grant.granted_at), ms(grant.expires_at));
    let is_told = history.events.values().any(|told| {
        let (gives, _) = consent(told.event);
        gives && told.is_possible(&view) && ms(told.event.occurred_at) == given_at
    });
    if !is_told {
        return Some(format!("was allowed by a permission of {given_at} that nobody told"));
    }
    if expires_at != 0 && expires_at <= view.at {
        return Some(format!("was allowed at {}, after the end at {expires_at}", view.at));
    }
    if let Some(no) = newest_no(history, &view).filter(|no| given_at / 1000 <= no / 1000) {
        return Some(format!("was allowed by a yes of {given_at}, after a no of {no}"));
    }
    let asked = newest_request(history, &view).filter(|asked| given_at / 1000 < asked / 1000);
    asked.map(|asked| format!("was allowed by a yes of {given_at}, ended by a request of {asked}"))
}

/// The newest REJECT or taking-away that was acknowledged.
fn newest_no(history: &History<'_>, view: &View) -> Option<u64> {
    let noes = history.events.values().filter(|told| {
        let (_, ends) = consent(told.event);
        ends && history.is_told(told, view)
    });
    noes.map(|told| ms(told.event.occurred_at)).max()
}

/// The newest request of which it was acknowledged that it was sent: the profile lets it end what was
/// given before. Reports of one request tell one time, the earliest.
fn newest_request(history: &History<'_>, view: &View) -> Option<u64> {
    let requests = history.requests.values().filter_map(|request| {
        let times: Vec<(bool, u64)> = request
            .reports
            .iter()
            .filter_map(|told| {
                let (outcome, at) = request_outcome(told.event)?;
                let is_sent = outcome != RequestOutcome::Refused && told.is_possible(view);
                is_sent.then(|| (history.is_told(told, view), at))
            })
            .collect();
        let is_certain = times.iter().any(|(is_certain, _)| *is_certain);
        is_certain.then(|| times.iter().map(|(_, at)| *at).min()).flatten()
    });
    requests.max()
}
