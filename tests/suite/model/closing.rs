//! What is older than the horizon (`rules.md`, section 1): it stays what it is, and its ids name it no
//! more.

use callgate::engine::fact::Fact;

use super::{
    attempts::Attempt,
    consent::Streak,
    facts::{Facts, Recorded},
    owners::{Who, alone},
    quotas::horizon,
    referee::Referee,
    told::{Told, What, time_of_call},
};

/// When what is told of was so.
fn time_told(told: &Told) -> u64 {
    match &told.what {
        What::Fact(Fact::Call(call)) => time_of_call(call, told.at),
        _ => told.at,
    }
}

/// How old an attempt is; one that is not over is as young as the newest that keeps its slot.
fn age(attempt: &Attempt) -> u64 {
    let kept = attempt.until.max(attempt.sign).filter(|_| attempt.is_open());
    kept.unwrap_or(0).max(attempt.at)
}

/// The provider's id of the attempt to which belongs what is told by our id alone.
fn owner<'a>(attempts: &'a [Attempt], own: &str) -> &'a str {
    let under = attempts.iter().filter(|attempt| attempt.own == own && !attempt.is_closed);
    let first = under.min_by_key(|attempt| (attempt.first, &attempt.provider));
    first.map_or("", |attempt| &attempt.provider)
}

impl Referee {
    /// Whether something was folded of which only a part stays, by the letter of the law: of the
    /// auto-revocations the last, which joins what the provider took (a no after that may be told as
    /// REVOKED or as REJECTED), and of the requests the newest sent (an older one may have lapsed after
    /// a permission expired). What is told of the past may differ then; nothing rests on which.
    pub fn is_past_blurred(&self) -> bool {
        let closed = Recorded::of(self.told.iter().filter(|told| told.is_closed));
        let facts = Facts::from(closed);
        !facts.requests.is_empty() || !Streak::of(&facts, &self.profile).revoked.is_empty()
    }

    /// Whether anything was told that is older than the horizon.
    pub fn is_anything_old(&self, now: u64) -> bool {
        let edge = now.saturating_sub(horizon(&self.profile));
        self.told.iter().any(|told| told.at < edge || time_told(told) < edge)
    }

    /// Closes what is too old, of each customer together.
    pub fn close(&mut self, now: u64) {
        if !self.is_anything_old(now) {
            return;
        }
        for id in self.all_ids() {
            self.close_one(alone(&id), now);
        }
    }

    fn close_one(&mut self, who: Who<'_>, now: u64) {
        // By whole seconds: of one second all or nothing is closed.
        let before = now.saturating_sub(horizon(&self.profile)) / 1000 * 1000;
        let is_old = |told: &Told| time_told(told) < before && !told.is_closed;
        if !self.told.iter().any(is_old) {
            return;
        }
        let counts = self.sights.customer(who).counts;
        let ids: Vec<String> = counts.into_iter().map(|(id, _)| id).collect();
        let facts = self.facts(who);
        let is_over = |attempt: &&Attempt| age(attempt) < before && !attempt.is_closed;
        let (mut calls, mut requests) = (Vec::new(), Vec::new());
        for call in facts.calls.iter().filter(is_over) {
            calls.push((call.own.clone(), call.provider.clone()));
        }
        // The newest that was sent stays.
        let newest = facts.newest_request().map(|request| request.at);
        for request in facts.requests.iter().filter(is_over).filter(|r| Some(r.at) != newest) {
            requests.push((request.own.clone(), request.provider.clone()));
        }
        for told in self.told.iter_mut().filter(|told| ids.iter().any(|id| told.is_under(id))) {
            let (all, old) = match &told.what {
                What::Fact(Fact::Call(_)) | What::HeldCall { .. } | What::ReleasedCall { .. } => {
                    (&facts.calls, &calls)
                }
                _ => (&facts.requests, &requests),
            };
            let ids = match &told.what {
                What::Fact(Fact::Call(report)) => {
                    (report.call_id.as_str(), report.provider_call_id.as_str())
                }
                What::Fact(Fact::Request(report)) => {
                    (report.request_id.as_str(), report.provider_message_id.as_str())
                }
                What::HeldCall { own, .. }
                | What::ReleasedCall { own }
                | What::HeldRequest { own, .. }
                | What::ReleasedRequest { own } => (own.as_str(), ""),
                What::Fact(_) => continue,
            };
            // What was told by our id alone goes with the attempt to which it belongs.
            let theirs = if ids.1.is_empty() { owner(all, ids.0) } else { ids.1 };
            let is_of = |(own, provider): &(String, String)| {
                if theirs.is_empty() {
                    ids.0 == own && provider.is_empty()
                } else {
                    theirs == provider
                }
            };
            told.is_closed = told.is_closed || old.iter().any(is_of);
        }
    }
}
