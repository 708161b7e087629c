//! The referee: the whole history as a list, and the answer to each command worked out from it.

use callgate::engine::{
    code::event_status,
    fact::Fact,
    fact::{NumberReport, RequestReport, Told as Said},
    profile::{NumberFacts, Profile},
    step::{Command, NumberReply, Reply, View},
    time::Millis,
};

use super::{
    consent::Streak,
    facts::{Attempt, Facts, HELD, Recorded, Told, What, time_of_call},
    judge::{self, Question, State},
    quotas::{DAY, call_holds_until, horizon},
};

const AHEAD: u64 = 300_000;
const LONGEST_EXPIRY: u64 = 60 * DAY;
const RETENTION: u64 = 400 * DAY;

/// One business number, and everything that was ever told of its customers.
#[derive(Debug, Clone)]
pub struct Referee {
    pub profile: Profile,
    pub number: NumberFacts,
    told: Vec<Told>,
    revision: u64,
    /// When both ids were seen together, also by what changed nothing else.
    sights: Vec<(String, String, u64)>,
    /// Of whom what was erased, and up to when.
    erased: Vec<(String, u64)>,
    /// How long it is remembered that something was erased.
    pub remembers_erasures_for: u64,
}

/// Who is meant: the key of a `wa_id`, or "", and a user id, or "".
pub type Who<'a> = (&'a str, &'a str);

fn is_ahead(at: Millis, now: u64) -> bool {
    at.0 > now + AHEAD
}

/// Whether a report has a time that cannot be right.
fn is_invalid(fact: &Fact, at: u64, now: u64) -> bool {
    is_ahead(Millis(at), now)
        || match fact {
            Fact::Call(call) => {
                [call.placed_at, call.answered_at, call.ended_at].iter().any(|t| is_ahead(*t, now))
            }
            Fact::Reply(reply) => reply.accept && reply.expires_at.0 > at + LONGEST_EXPIRY,
            _ => false,
        }
}

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

/// The attempts under an id of ours, and all others.
fn apart(attempts: &[Attempt], own: &str) -> (Vec<Attempt>, Vec<Attempt>) {
    attempts.iter().cloned().partition(|attempt| attempt.own == own && !attempt.is_closed)
}

impl Referee {
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            number: NumberFacts::default(),
            told: Vec::new(),
            revision: 0,
            erased: Vec::new(),
            sights: Vec::new(),
            remembers_erasures_for: u64::MAX,
        }
    }

    /// Whether something was folded of which only a part stays, by the letter of the law: of the
    /// auto-revocations the last, which joins what the provider took (a no after that may be told as
    /// REVOKED or as REJECTED), and of the requests the newest sent (an older one may have lapsed after
    /// a permission expired). What is told of the past may differ then; nothing rests on which.
    pub fn is_past_blurred(&self) -> bool {
        let facts = Facts::of(self.told.iter().filter(|told| told.is_closed));
        !facts.requests.is_empty() || !Streak::of(&facts, &self.profile).revoked.is_empty()
    }

    /// Whether anything was told that is older than the horizon.
    pub fn is_anything_old(&self, now: u64) -> bool {
        let edge = now.saturating_sub(horizon(&self.profile));
        self.told.iter().any(|told| told.at < edge || time_told(told) < edge)
    }

    /// When anything happened or was to end: for whoever looks for edges.
    pub fn instants(&self) -> Vec<u64> {
        let mut instants: Vec<u64> = self.told.iter().map(|told| told.at).collect();
        for told in &self.told {
            match &told.what {
                What::HeldCall { until, .. } | What::HeldRequest { until, .. } => {
                    instants.push(*until);
                }
                What::Fact(Fact::Reply(reply)) => {
                    let ends = reply.expires_at.0;
                    instants.extend([ends, ends.saturating_sub(self.profile.expiring_soon)]);
                }
                What::Fact(Fact::Call(call)) => instants.push(call.answered_at.0),
                _ => {}
            }
        }
        instants.push(self.number.paused_until.0);
        instants.retain(|at| *at > 0);
        instants.push(crate::stories::START.0);
        instants
    }

    /// All ids of the customer who is named: what was seen together is one.
    fn ids<'a>(&'a self, who: Who<'a>) -> Vec<&'a str> {
        let is_named = |id: &str| !id.is_empty() && (id == who.0 || id == who.1);
        let bonds = self.told.iter().filter(|told| told.does_bind());
        let theirs = bonds.filter(|told| is_named(&told.wa) || is_named(&told.user));
        let linked = theirs.flat_map(|told| [told.wa.as_str(), told.user.as_str()]);
        let mut ids: Vec<&str> =
            [who.0, who.1].into_iter().filter(|id| !id.is_empty()).chain(linked).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Everything that was told of the customer.
    fn told_of<'a>(&'a self, who: Who<'a>) -> impl Iterator<Item = &'a Told> + Clone {
        let ids = self.ids(who);
        self.told.iter().filter(move |told| ids.iter().any(|id| told.is_under(id)))
    }

    fn facts(&self, who: Who<'_>) -> Facts {
        Facts::of(self.told_of(who))
    }

    fn is_bound(&self, who: Who<'_>) -> bool {
        self.told.iter().any(|told| told.does_bind() && told.wa == who.0 && told.user == who.1)
    }

    fn state(&self, t: u64, facts: &Facts) -> State {
        State::at(t, facts, &self.profile, &self.number)
    }

    /// What is older than the horizon is closed: it stays what it is, and its ids name it no more.
    fn close(&mut self, now: u64) {
        if !self.is_anything_old(now) {
            return;
        }
        let mut customers: Vec<(String, String)> = Vec::new();
        for told in &self.told {
            let who = if told.does_bind() || told.wa.is_empty() {
                (told.wa.clone(), told.user.clone())
            } else {
                (told.wa.clone(), String::new())
            };
            if !customers.contains(&who) {
                customers.push(who);
            }
        }
        for (wa, user) in &customers {
            self.close_one((wa, user), now);
        }
    }

    fn close_one(&mut self, who: Who<'_>, now: u64) {
        // By whole seconds: of one second all or nothing is closed.
        let before = now.saturating_sub(horizon(&self.profile)) / 1000 * 1000;
        let is_old = |told: &Told| time_told(told) < before && !told.is_closed;
        if !self.told.iter().any(is_old) {
            return;
        }
        let ids: Vec<String> = self.ids(who).into_iter().map(str::to_owned).collect();
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

    /// The answer to a command, and what comes of it.
    pub fn step(&mut self, who: Who<'_>, command: &Command, now: u64) -> Reply {
        self.close(now);
        if self.knows_nothing_of(who) {
            // A hold that was given back was all there was: its record is gone.
            self.revision = 0;
        }
        let mut reply = match command {
            Command::Record { at, spelled, fact, .. } => self.record(who, *at, spelled, fact, now),
            Command::AuthorizeCall { own_id, lease } => {
                self.authorize_call(who, own_id, *lease, now)
            }
            Command::AuthorizeRequest { own_id, replace } => {
                self.authorize_request(who, own_id, *replace == 1, now)
            }
            Command::Check {} => self.check(who, now),
            Command::Settle {} => Reply::default(),
            Command::View { as_of } => return self.view_as_of(who, as_of.0, now),
        };
        if reply.refused.is_empty() {
            reply.view = self.view(who, now);
            reply.number = self.number.clone();
            reply.now = Millis(now);
        }
        reply
    }

    fn view(&self, who: Who<'_>, now: u64) -> View {
        let facts = self.facts(who);
        let mut view = self.state(now, &facts).view();
        self.name(who, &facts, &mut view);
        view
    }

    fn name(&self, who: Who<'_>, facts: &Facts, view: &mut View) {
        view.revision = self.revision;
        let ids = self.ids(who);
        let wa = ids.iter().find(|id| !id.contains('.')).copied().unwrap_or_default();
        let user = ids.iter().find(|id| id.contains('.')).copied().unwrap_or_default();
        view.wa_id = facts.newest.spelled.as_ref().map_or(wa.to_owned(), |(_, s)| s.clone());
        view.user_id = user.to_owned();
    }

    fn view_as_of(&mut self, who: Who<'_>, as_of: u64, now: u64) -> Reply {
        if as_of != 0 && as_of < now.saturating_sub(horizon(&self.profile)) {
            return Reply { refused: "invalid".to_owned(), ..Reply::default() };
        }
        let names = self.facts(who);
        let t = if as_of == 0 { now } else { as_of };
        let facts = if t < now { Facts::until(t, self.told_of(who)) } else { names.clone() };
        let state = self.state(t, &facts);
        let mut view = state.view();
        state.show_entries(&mut view);
        self.name(who, &names, &mut view);
        Reply { view, number: self.number.clone(), now: Millis(now), ..Reply::default() }
    }

    fn tell(&mut self, who: Who<'_>, at: u64, spelled: &str, what: What) {
        let (wa, user) = (who.0.to_owned(), who.1.to_owned());
        let spelled = spelled.to_owned();
        if !wa.is_empty() && !user.is_empty() {
            self.sights.push((wa.clone(), user.clone(), at));
        }
        self.told.push(Told { at, wa, user, spelled, what, is_closed: false });
    }

    /// What a yes held is given back, under whichever id it was held.
    fn release(&mut self, who: Who<'_>, now: u64, what: &What) {
        let ids: Vec<String> = self.ids(who).into_iter().map(str::to_owned).collect();
        for id in &ids {
            let one = if id.contains('.') { ("", id.as_str()) } else { (id.as_str(), "") };
            self.tell(one, now, "", what.clone());
        }
        self.revision += 1;
    }

    /// A repeated ALLOW binds as well.
    fn bind(&mut self, who: Who<'_>, now: u64) {
        if !who.0.is_empty() && !who.1.is_empty() && !self.is_bound(who) {
            self.tell(who, now, "", What::Fact(Fact::Identity {}));
            self.revision += 1;
        }
    }

    fn record(&mut self, who: Who<'_>, at: Millis, spelled: &str, fact: &Fact, now: u64) -> Reply {
        let at = at.get().map_or(now, |at| at.0);
        let result = |result| Reply { result, ..Reply::default() };
        if is_invalid(fact, at, now) {
            return Reply { refused: "invalid".to_owned(), ..Reply::default() };
        }
        let is_pstn = matches!(fact, Fact::Call(call) if call.pstn);
        if is_pstn {
            return result(event_status::DUPLICATE);
        }
        let oldest = match fact {
            Fact::Call(_) | Fact::Request(_) => now - horizon(&self.profile),
            _ => now - RETENTION,
        };
        let time = match fact {
            Fact::Call(call) => time_of_call(call, at),
            _ => at,
        };
        if time < oldest || self.is_erased(who, time, now) {
            return result(event_status::STALE);
        }
        if self.is_unknown(who, fact) {
            return result(event_status::DUPLICATE);
        }
        let is_new_bond = !who.0.is_empty() && !who.1.is_empty() && !self.is_bound(who);
        let recorded = |of: &Self| [who.0, who.1].map(|id| Recorded::under(id, of.told.iter()));
        let before = recorded(self);
        self.tell(who, at, spelled, What::Fact(fact.clone()));
        if before == recorded(self) && !is_new_bond {
            self.told.pop();
            return result(event_status::DUPLICATE);
        }
        self.revision += 1;
        result(event_status::RECORDED)
    }

    fn is_erased(&self, who: Who<'_>, at: u64, now: u64) -> bool {
        self.erased.iter().any(|(id, until)| {
            (id == who.0 || id == who.1)
                && at <= *until
                && now < until.saturating_add(self.remembers_erasures_for)
        })
    }

    /// Whether no fact is left of the customer.
    pub fn knows_nothing_of(&self, who: Who<'_>) -> bool {
        Recorded::of(self.told_of(who)).newest() == 0
    }

    /// Erases the customer. Returns whether there was anything.
    pub fn forget(&mut self, who: Who<'_>, now: u64) -> bool {
        let known = self.erased.iter().filter(|(id, ..)| id == who.0 || id == who.1);
        let newest = known.map(|(_, until)| *until).max().unwrap_or(0);
        let ids: Vec<String> = self.ids(who).into_iter().map(str::to_owned).collect();
        let each = ids.iter().map(|id| Recorded::under(id, self.told.iter()).newest());
        let is_one = |id: &String| ids.contains(id);
        let seen = self.sights.iter().filter(|(wa, user, _)| is_one(wa) || is_one(user));
        let seen = seen.map(|(.., at)| *at).max().unwrap_or(0);
        let newest = newest.max(each.max().unwrap_or(0)).max(seen);
        self.sights.retain(|(wa, user, _)| !ids.contains(wa) && !ids.contains(user));
        let is_theirs = |told: &Told| ids.iter().any(|id| told.is_under(id));
        let was_anything = self.told.iter().any(is_theirs);
        self.told.retain(|told| !is_theirs(told));
        self.erased.extend(ids.into_iter().map(|id| (id, newest.max(now))));
        self.revision = 0;
        was_anything
    }

    /// Whether it is to be recorded only of a known request, and there is none.
    fn is_unknown(&self, who: Who<'_>, fact: &Fact) -> bool {
        let Fact::Request(RequestReport { request_id, provider_message_id, known_only, .. }) = fact
        else {
            return false;
        };
        let facts = self.facts(who);
        let is_known = |own: &str, provider: &str| {
            (!request_id.is_empty() && own == request_id)
                || (!provider_message_id.is_empty() && provider == provider_message_id)
        };
        *known_only && !facts.requests.iter().any(|r| !r.is_closed && is_known(&r.own, &r.provider))
    }

    fn check(&mut self, who: Who<'_>, now: u64) -> Reply {
        let facts = self.facts(who);
        let state = self.state(now, &facts);
        let verdict = judge::call(&state, &facts, &self.profile, &self.number, false);
        verdict.reply()
    }

    /// `more` calls are held by this decision.
    fn warnings(&self, state: &State, more: u32) -> Vec<u8> {
        let window = &state.quotas[0];
        let is_last = window.used() + window.held() + more >= window.limit;
        state.warnings(&self.profile, is_last)
    }

    fn authorize_call(&mut self, who: Who<'_>, own: &str, lease: u64, now: u64) -> Reply {
        let facts = self.facts(who);
        let (these, others) = apart(&facts.calls, own);
        if these.iter().any(|call| !call.is_open()) {
            return Reply { refused: "exists".to_owned(), ..Reply::default() };
        }
        let holds = |call: &Attempt| call_holds_until(call, &self.profile, now);
        let holds_until = these.iter().filter_map(holds).max();
        let was_authorized = these.iter().any(|call| call.until.is_some());
        let replayed = holds_until.filter(|_| was_authorized);
        // It is judged afresh, not counting itself.
        let warned_by = self.state(now, &facts);
        let facts = Facts { calls: others, ..facts };
        let state = self.state(now, &facts);
        let verdict = judge::call(&state, &facts, &self.profile, &self.number, replayed.is_some());
        if !verdict.is_allow() {
            if was_authorized {
                self.release(who, now, &What::ReleasedCall { own: own.to_owned() });
            }
            return verdict.reply();
        }
        let warnings = if replayed.is_some() {
            self.warnings(&warned_by, 0)
        } else {
            self.warnings(&state, 1)
        };
        if let Some(until) = replayed {
            self.bind(who, now);
            let lease_expires_at = Millis(until);
            return Reply { replayed: 1, lease_expires_at, warnings, ..verdict.reply() };
        }
        let until = now + if lease == 0 { self.profile.lease } else { lease };
        self.tell(who, now, "", What::HeldCall { own: own.to_owned(), until });
        self.revision += 1;
        Reply { lease_expires_at: Millis(until), warnings, ..verdict.reply() }
    }

    fn authorize_request(
        &mut self,
        who: Who<'_>,
        own: &str,
        does_replace: bool,
        now: u64,
    ) -> Reply {
        let facts = self.facts(who);
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
            self.bind(who, now);
            return Reply { replayed: 1, lease_expires_at: Millis(until), ..verdict.reply() };
        }
        let until = now + self.profile.lease;
        self.tell(who, now, "", What::HeldRequest { own: own.to_owned(), until });
        self.revision += 1;
        Reply { lease_expires_at: Millis(until), ..verdict.reply() }
    }

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
