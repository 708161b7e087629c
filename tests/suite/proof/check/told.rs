//! Acknowledged events are known when they are told again; what was forgotten stays forgotten.

use callgate::proto::EventStatus;

use super::{Findings, Promise};
use crate::proof::{
    history::{History, fact_time, view_of},
    ledger::{Answer, Entry},
};

pub(super) fn check(pair: &str, history: &History<'_>, findings: &mut Findings) {
    for told in history.events.values() {
        for again in told.tells.iter().skip(1) {
            let Some(view) = view_of(again) else { continue };
            let mut others = told.acknowledged().filter(|tell| !std::ptr::eq(*tell, *again));
            if !others.any(|tell| history.is_certain(tell, &view)) {
                continue;
            }
            findings.sums.found_again += 1;
            if status(again) == Some(EventStatus::Recorded) {
                let id = &told.event.event_id;
                let what = format!("{id} was acknowledged and is not known any more");
                findings.add(Promise::EventsStay, pair, what);
            }
        }
        for tell in &told.tells {
            let is_erased = history.forgets.iter().any(|forget| {
                forget.is_over_before(tell.sent) && fact_time(told.event) < forget.sent.ms
            });
            if is_erased && status(tell) == Some(EventStatus::Recorded) {
                let id = &told.event.event_id;
                let what = format!("{id} is from before the customer was forgotten");
                findings.add(Promise::EventsStay, pair, what);
            }
        }
    }
}

fn status(tell: &Entry) -> Option<EventStatus> {
    match tell.known()? {
        (_, Answer::Told { status, .. }) => Some(*status),
        _ => None,
    }
}
