//! Decisions and what they hold (`rules.md`, section 3).

use callgate::engine::{step::Reply, time::Millis};

use super::{
    attempts::{Attempt, HELD},
    changes::{By, Why},
    facts::Facts,
    judge::{self, Question},
    owners::Who,
    quotas::call_holds_until,
    referee::Referee,
    told::What,
};

/// The attempts under an id of ours, and all others.
fn apart(attempts: &[Attempt], own: &str) -> (Vec<Attempt>, Vec<Attempt>) {
    attempts.iter().cloned().partition(|attempt| attempt.own == own && !attempt.is_closed)
}

impl Referee {
    /// Both ids were seen together by an ALLOW.
    fn bind(&mut self, who: Who<'_>, now: u64) {
        self.sights.add(who, now);
        self.tell_near(who, By { at: now, now, event_id: "", why: Why::Bond });
    }

    /// Holds what is allowed. Returns whether it counts: what joins an attempt from before the number
    /// had its present owner does not, and is not held.
    fn hold(&mut self, who: Who<'_>, now: u64, what: What) -> bool {
        let mut then = self.clone();
        then.bind(who, now);
        then.tell(who, now, what.clone());
        then.revision += 1;
        let facts = then.facts(who);
        let holds = match &what {
            What::HeldCall { own, .. } => facts.calls.iter().any(|call| {
                call.own == *own
                    && !call.is_closed
                    && call_holds_until(call, &self.profile, now).is_some()
            }),
            What::HeldRequest { own, .. } => facts.requests.iter().any(|request| {
                request.own == *own
                    && !request.is_closed
                    && request.outcome == HELD
                    && request.until.is_some_and(|until| now < until)
            }),
            _ => false,
        };
        if holds {
            then.tell_near(who, By { at: now, now, event_id: "", why: Why::Rules });
            *self = then;
        }
        holds
    }

    pub fn check(&self, who: Who<'_>, now: u64) -> Reply {
        let facts = self.facts_by(&self.sights.and(who, now), who);
        let state = self.state(now, &facts);
        let verdict = judge::call(&state, &facts, &self.profile, &self.number, false);
        verdict.reply()
    }

    /// Of the state after the step.
    fn warnings(&self, who: Who<'_>, now: u64) -> Vec<u8> {
        let state = self.state(now, &self.facts_by(&self.sights.and(who, now), who));
        let window = &state.quotas[0];
        state.warnings(&self.profile, window.used() + window.held() >= window.limit)
    }

    pub fn authorize_call(&mut self, who: Who<'_>, own: &str, lease: u64, now: u64) -> Reply {
        self.settle(who, now);
        let facts = self.facts_by(&self.sights.and(who, now), who);
        let (these, others) = apart(&facts.calls, own);
        if these.iter().any(|call| !call.is_open()) {
            return Reply { refused: "exists".to_owned(), ..Reply::default() };
        }
        let holds = |call: &Attempt| call_holds_until(call, &self.profile, now);
        let holds_until = these.iter().filter_map(holds).max();
        let was_authorized = these.iter().any(|call| call.until.is_some());
        let replayed = holds_until.filter(|_| was_authorized);
        // It is judged afresh, not counting itself.
        let facts = Facts { calls: others, ..facts };
        let state = self.state(now, &facts);
        let verdict = judge::call(&state, &facts, &self.profile, &self.number, replayed.is_some());
        if !verdict.is_allow() {
            if was_authorized {
                self.release(who, now, &What::ReleasedCall { own: own.to_owned() });
            }
            return verdict.reply();
        }
        if let Some(until) = replayed {
            if self.sights.is_news(who, now) {
                self.revision += 1;
                self.bind(who, now);
            }
            let (lease_expires_at, warnings) = (Millis(until), self.warnings(who, now));
            return Reply { replayed: 1, lease_expires_at, warnings, ..verdict.reply() };
        }
        let until = now + if lease == 0 { self.profile.lease } else { lease };
        if !self.hold(who, now, What::HeldCall { own: own.to_owned(), until }) {
            return Reply { refused: "exists".to_owned(), ..Reply::default() };
        }
        let warnings = self.warnings(who, now);
        Reply { lease_expires_at: Millis(until), warnings, ..verdict.reply() }
    }

    pub fn authorize_request(
        &mut self,
        who: Who<'_>,
        own: &str,
        does_replace: bool,
        now: u64,
    ) -> Reply {
        self.settle(who, now);
        let facts = self.facts_by(&self.sights.and(who, now), who);
        let (these, others) = apart(&facts.requests, own);
        if these.iter().any(|request| request.outcome != HELD) {
            return Reply { refused: "exists".to_owned(), ..Reply::default() };
        }
        let was_authorized = these.iter().any(|request| request.until.is_some());
        let replayed = these.iter().filter_map(|r| r.until).max().filter(|until| now < *until);
        let facts = Facts { requests: others, ..facts };
        let state = self.state(now, &facts);
        let question = Question { does_replace, does_repeat: replayed.is_some() };
        let verdict = judge::request(&state, &facts, &self.profile, &self.number, question);
        if !verdict.is_allow() {
            if was_authorized {
                self.release(who, now, &What::ReleasedRequest { own: own.to_owned() });
            }
            return verdict.reply();
        }
        if let Some(until) = replayed {
            if self.sights.is_news(who, now) {
                self.revision += 1;
                self.bind(who, now);
            }
            return Reply { replayed: 1, lease_expires_at: Millis(until), ..verdict.reply() };
        }
        let until = now + self.profile.lease;
        if !self.hold(who, now, What::HeldRequest { own: own.to_owned(), until }) {
            return Reply { refused: "exists".to_owned(), ..Reply::default() };
        }
        Reply { lease_expires_at: Millis(until), ..verdict.reply() }
    }
}
