//! The facts of the business number (`rules.md`, section 2): of each the later counts.

use callgate::engine::{
    fact::{NumberReport, Told as Said},
    profile::NumberFacts,
    step::NumberReply,
    time::Millis,
};

use super::referee::{Referee, is_ahead};

impl Referee {
    /// A report on the business number: of each of its facts the later counts.
    pub fn number(&mut self, report: Option<&NumberReport>, now: u64) -> NumberReply {
        let mut reply = NumberReply { now: Millis(now), ..NumberReply::default() };
        let Some(report) = report else {
            reply.number = self.number.clone();
            return reply;
        };
        let at = Millis(report.at.get().map_or(now, |at| at.0));
        if is_ahead(at, now) {
            reply.field = "at".to_owned();
            return reply;
        }
        let before = self.number.clone();
        join_number(&mut self.number, report, at);
        reply.changed = u8::from(before != self.number);
        reply.resettle =
            u8::from((before.inbound_call_grants == 1) != (self.number.inbound_call_grants == 1));
        reply.number = self.number.clone();
        reply
    }
}

/// What had been told of a number at `t`, by the newest of each.
pub fn number_at(number: &NumberFacts, t: u64) -> NumberFacts {
    let mut then = NumberFacts { display: number.display.clone(), ..NumberFacts::default() };
    let was = |at: Millis| at.0 > 0 && at.0 <= t;
    if was(number.calling_at) {
        (then.calling, then.calling_at) = (number.calling, number.calling_at);
    }
    if was(number.pause_at) {
        (then.pause, then.pause_at) = (number.pause, number.pause_at);
        then.paused_until = number.paused_until;
    }
    if was(number.request_pause_at) {
        (then.request_pause, then.request_pause_at) =
            (number.request_pause, number.request_pause_at);
        then.requests_paused_until = number.requests_paused_until;
    }
    if was(number.inbound_call_grants_at) {
        then.inbound_call_grants = number.inbound_call_grants;
        then.inbound_call_grants_at = number.inbound_call_grants_at;
    }
    then
}

/// Of two reports of one time the narrower counts: disabled, paused longer, calling in gives nothing.
fn join_number(number: &mut NumberFacts, report: &NumberReport, at: Millis) {
    let told = |known: &mut u8, known_at: &mut Millis, said: Said| {
        let is_narrower = *known == 0 || (said as u8) < *known;
        if said != Said::Not && (at > *known_at || (at == *known_at && is_narrower)) {
            (*known, *known_at) = (said as u8, at);
        }
    };
    told(&mut number.calling, &mut number.calling_at, report.calling);
    told(
        &mut number.inbound_call_grants,
        &mut number.inbound_call_grants_at,
        report.inbound_call_grants,
    );
    let reach = |said: u8, until: Millis| match (said, until.0) {
        (2, 0) => u64::MAX,
        (2, until) => until,
        _ => 0,
    };
    let pause =
        |known: &mut u8, known_at: &mut Millis, until: &mut Millis, said: Said, to: Millis| {
            let to = if said == Said::Yes { to } else { Millis::ZERO };
            let is_longer = *known == 0 || reach(said as u8, to) > reach(*known, *until);
            if said != Said::Not && (at > *known_at || (at == *known_at && is_longer)) {
                (*known, *known_at, *until) = (said as u8, at, to);
            }
        };
    pause(
        &mut number.pause,
        &mut number.pause_at,
        &mut number.paused_until,
        report.pause,
        report.paused_until,
    );
    pause(
        &mut number.request_pause,
        &mut number.request_pause_at,
        &mut number.requests_paused_until,
        report.request_pause,
        report.requests_paused_until,
    );
}
