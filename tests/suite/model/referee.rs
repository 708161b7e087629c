//! The referee: the whole history as a list, and the answer to each command worked out from it.

use std::collections::HashMap;

use callgate::engine::{
    change::Change,
    code::event_status,
    fact::{Fact, RequestReport},
    profile::{NumberFacts, Profile},
    step::{Command, Reply, View},
    time::Millis,
};

use super::{
    changes::{By, Heard, Why},
    facts::{Facts, Recorded},
    judge::{self, State},
    number::number_at,
    owners::{Sights, Who},
    quotas::{DAY, horizon},
    told::{Told, What, time_of_call},
};

const AHEAD: u64 = 300_000;
const LONGEST_EXPIRY: u64 = 60 * DAY;
const RETENTION: u64 = 400 * DAY;

/// One business number, and everything that was ever told of its customers.
#[derive(Debug, Clone)]
pub struct Referee {
    pub profile: Profile,
    pub number: NumberFacts,
    pub told: Vec<Told>,
    pub revision: u64,
    /// When both ids were seen together, also by what changed nothing else.
    pub sights: Sights,
    /// How Meta spelled a number, and when.
    spelled: Vec<(String, u64, String)>,
    /// Of whom what was erased, and up to when.
    pub erased: Vec<(String, u64)>,
    /// How long it is remembered that something was erased.
    pub remembers_erasures_for: u64,
    /// What was told last under each id, and for which instant.
    pub heard: HashMap<String, (Heard, u64)>,
    /// What the steps told.
    pub news: Vec<Change>,
}

pub fn is_ahead(at: Millis, now: u64) -> bool {
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

impl Referee {
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            number: NumberFacts::default(),
            told: Vec::new(),
            revision: 0,
            sights: Sights::default(),
            spelled: Vec::new(),
            erased: Vec::new(),
            remembers_erasures_for: u64::MAX,
            heard: HashMap::new(),
            news: Vec::new(),
        }
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

    /// Every id that was ever told of.
    pub fn all_ids(&self) -> Vec<String> {
        let told = self.told.iter().flat_map(|told| [&told.wa, &told.user]);
        let seen = self.sights.0.iter().flat_map(|sight| [&sight.wa, &sight.user]);
        let mut ids: Vec<String> = told.chain(seen).filter(|id| !id.is_empty()).cloned().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What counts of the customer who is named, by what was seen together.
    pub fn recorded(&self, sights: &Sights, who: Who<'_>) -> Recorded {
        sights.known(&sights.customer(who), self.told.iter(), u64::MAX)
    }

    pub fn facts_by(&self, sights: &Sights, who: Who<'_>) -> Facts {
        Facts::from(self.recorded(sights, who))
    }

    pub fn facts(&self, who: Who<'_>) -> Facts {
        self.facts_by(&self.sights, who)
    }

    pub fn state(&self, t: u64, facts: &Facts) -> State {
        State::at(t, facts, &self.profile, &self.number)
    }

    /// The answer to a command, and what comes of it.
    pub fn step(&mut self, who: Who<'_>, command: &Command, now: u64) -> Reply {
        if !self.is_known(who.0) {
            // Nothing is kept of whom nothing is known, not even the name.
            self.spelled.retain(|(wa, ..)| wa != who.0);
        }
        if self.knows_nothing_of(who) {
            // A hold that was given back was all there was: its record is gone.
            self.revision = 0;
        }
        if command.is_question() {
            let mut then = self.clone();
            then.close(now);
            return then.read(who, command, now);
        }
        // Whoever names both ids is answered as if they were seen together now.
        let mut seen = self.sights.and(who, now);
        let mut reply = match command {
            Command::Record { .. } => {
                let (reply, sights) = self.record(who, command, now);
                seen = sights;
                reply
            }
            Command::AuthorizeCall { own_id, lease } => {
                self.authorize_call(who, own_id, *lease, now)
            }
            Command::AuthorizeRequest { own_id, replace } => {
                self.authorize_request(who, own_id, *replace == 1, now)
            }
            Command::Settle {} => {
                self.settle(who, now);
                self.tell_rules(who, now);
                Reply::default()
            }
            Command::Check {} | Command::CheckAt { .. } | Command::View { .. } => Reply::default(),
        };
        if reply.refused.is_empty() {
            self.show(&seen, who, now, &mut reply);
        }
        reply
    }

    /// The answer to a question, which changes nothing.
    fn read(&self, who: Who<'_>, command: &Command, now: u64) -> Reply {
        match command {
            Command::View { as_of } => return self.as_of(who, as_of.0, now, false),
            Command::CheckAt { as_of } => return self.as_of(who, as_of.0, now, true),
            _ => {}
        }
        let mut reply = self.check(who, now);
        self.show(&self.sights.and(who, now), who, now, &mut reply);
        reply
    }

    fn show(&self, sights: &Sights, who: Who<'_>, now: u64, reply: &mut Reply) {
        reply.view = self.state(now, &self.facts_by(sights, who)).view();
        self.name(sights, who, &mut reply.view);
        reply.number = self.number.clone();
        reply.now = Millis(now);
    }

    /// How Meta spelled this number last, else its key.
    pub fn spelling(&self, wa: &str) -> String {
        let spelled = self.spelled.iter().filter(|(key, ..)| key == wa);
        let newest = spelled.max_by_key(|(_, at, text)| (*at, text.clone()));
        newest.map_or(wa, |(.., text)| text).to_owned()
    }

    fn name(&self, sights: &Sights, who: Who<'_>, view: &mut View) {
        let customer = sights.customer(who);
        view.revision = self.revision;
        view.wa_id = self.spelling(&customer.shown_wa);
        view.user_id = customer.shown_user;
    }

    /// Looks at another instant than now, and judges a call by the same.
    fn as_of(&self, who: Who<'_>, as_of: u64, now: u64, does_judge: bool) -> Reply {
        if as_of != 0 && as_of < now.saturating_sub(horizon(&self.profile)) {
            return Reply { refused: "invalid".to_owned(), ..Reply::default() };
        }
        let sights = self.sights.and(who, now);
        let t = if as_of == 0 { now } else { as_of };
        let is_past = t < now;
        let to = if is_past { t } else { u64::MAX };
        let known = sights.known(&sights.customer(who), self.told.iter(), to);
        let facts = Facts::from(if is_past { known.until(t) } else { known });
        let number = if is_past { number_at(&self.number, t) } else { self.number.clone() };
        let state = State::at(t, &facts, &self.profile, &number);
        let mut view = state.view();
        self.name(&sights, who, &mut view);
        if does_judge {
            let verdict = judge::call(&state, &facts, &self.profile, &number, false);
            return Reply { view, number, now: Millis(t), ..verdict.reply() };
        }
        state.show_entries(&mut view);
        Reply { view, number, now: Millis(now), ..Reply::default() }
    }

    pub fn tell(&mut self, who: Who<'_>, at: u64, what: What) {
        let (wa, user) = (who.0.to_owned(), who.1.to_owned());
        self.told.push(Told { at, wa, user, what, is_closed: false });
    }

    /// Lets an event happen. Returns the result, and what was seen together by then.
    fn record(&mut self, who: Who<'_>, command: &Command, now: u64) -> (Reply, Sights) {
        let Command::Record { at, spelled, event_id, fact } = command else {
            return (Reply::default(), self.sights.clone());
        };
        let at = at.get().map_or(now, |at| at.0);
        let result = |result| Reply { result, ..Reply::default() };
        let seen_now = self.sights.and(who, now);
        if is_invalid(fact, at, now) {
            return (Reply { refused: "invalid".to_owned(), ..Reply::default() }, seen_now);
        }
        let is_pstn = matches!(fact, Fact::Call(call) if call.pstn);
        if is_pstn {
            return (result(event_status::DUPLICATE), seen_now);
        }
        if self.is_stale(who, fact, at, now) {
            return (result(event_status::STALE), seen_now);
        }
        self.settle(who, now);
        let seen_then = self.sights.and(who, at);
        if self.is_unknown(&seen_then, who, fact) {
            return (result(event_status::DUPLICATE), seen_then);
        }
        let heard = self.news.len();
        let is_new_bond = self.sights.is_news(who, at);
        if !who.0.is_empty() && !who.1.is_empty() {
            self.sights = seen_then;
            self.tell_near(who, By { at, now, event_id, why: Why::Bond });
        }
        let is_new_bond = is_new_bond || self.news.len() > heard;
        if !who.0.is_empty() && !spelled.is_empty() {
            self.spelled.push((who.0.to_owned(), at, spelled.clone()));
        }
        let recorded = |of: &Self| [who.0, who.1].map(|id| Recorded::under(id, of.told.iter()));
        let before = recorded(self);
        self.tell(who, at, What::Fact(fact.clone()));
        let after = recorded(self);
        if before == after && !is_new_bond {
            self.told.pop();
            return (result(event_status::DUPLICATE), self.sights.clone());
        }
        let is_same = std::iter::zip(&before, &after).all(|(then, now)| then.says_the_same(now));
        if is_same && !is_new_bond && self.is_covered(who, fact, at) {
            return (result(event_status::DUPLICATE), self.sights.clone());
        }
        self.revision += 1;
        self.tell_near(who, By { at, now, event_id, why: Why::Fact(fact) });
        (result(event_status::RECORDED), self.sights.clone())
    }

    /// Whether nothing is seen of it yet that an ACCEPT of both ids replaced older ones: while they are
    /// bound, the number's own stands before those, where it is not older and counts.
    fn is_covered(&self, who: Who<'_>, fact: &Fact, at: u64) -> bool {
        let Fact::Reply(reply) = fact else { return false };
        let is_bound = self.sights.customer(who).own == [who.0, who.1];
        let newest = self.sights.of_owner(who.0, self.told.iter()).accepted_at(reply.automatic);
        is_bound && newest.is_some_and(|newest| at <= newest)
    }

    fn is_stale(&self, who: Who<'_>, fact: &Fact, at: u64, now: u64) -> bool {
        let oldest = match fact {
            Fact::Call(_) | Fact::Request(_) => now - horizon(&self.profile),
            _ => now - RETENTION,
        };
        let time = match fact {
            Fact::Call(call) => time_of_call(call, at),
            _ => at,
        };
        time < oldest || self.is_erased(who, time, now)
    }

    fn is_erased(&self, who: Who<'_>, at: u64, now: u64) -> bool {
        self.erased.iter().any(|(id, until)| {
            (id == who.0 || id == who.1)
                && at <= *until
                && now < until.saturating_add(self.remembers_erasures_for)
        })
    }

    /// Whether anything is known under this id.
    pub fn is_known(&self, id: &str) -> bool {
        Recorded::under(id, self.told.iter()).newest() > 0
            || self.sights.0.iter().any(|sight| sight.wa == id || sight.user == id)
    }

    /// Whether no fact is left of the customer.
    pub fn knows_nothing_of(&self, who: Who<'_>) -> bool {
        self.recorded(&self.sights.and(who, 0), who).newest() == 0
    }

    /// Erases the customer, and whoever is linked. Returns whether there was anything.
    pub fn forget(&mut self, who: Who<'_>, now: u64) -> bool {
        let known = self.erased.iter().filter(|(id, ..)| id == who.0 || id == who.1);
        let newest = known.map(|(_, until)| *until).max().unwrap_or(0);
        let ids = self.sights.near(who, usize::MAX);
        let each = ids.iter().map(|id| Recorded::under(id, self.told.iter()).newest_open());
        let is_one = |id: &String| ids.contains(id);
        let seen = self.sights.0.iter().filter(|s| is_one(&s.wa) || is_one(&s.user));
        let seen = seen.map(|sight| sight.at).max().unwrap_or(0);
        let newest = newest.max(each.max().unwrap_or(0)).max(seen);
        let is_theirs = |told: &Told| ids.iter().any(|id| told.is_under(id));
        let had_bonds = self.sights.0.iter().any(|s| is_one(&s.wa) || is_one(&s.user));
        let was_anything = had_bonds || self.told.iter().any(is_theirs);
        self.tell_forgotten(&ids, now);
        self.sights.0.retain(|s| !is_one(&s.wa) && !is_one(&s.user));
        self.spelled.retain(|(wa, ..)| !is_one(wa));
        self.heard.retain(|id, _| !is_one(id));
        self.told.retain(|told| !is_theirs(told));
        self.erased.extend(ids.into_iter().map(|id| (id, newest.max(now))));
        self.revision = 0;
        was_anything
    }

    /// Whether it is to be recorded only of a known request, and there is none.
    fn is_unknown(&self, sights: &Sights, who: Who<'_>, fact: &Fact) -> bool {
        let Fact::Request(RequestReport { request_id, provider_message_id, known_only, .. }) = fact
        else {
            return false;
        };
        let facts = self.facts_by(sights, who);
        let is_known = |own: &str, provider: &str| {
            (!request_id.is_empty() && own == request_id)
                || (!provider_message_id.is_empty() && provider == provider_message_id)
        };
        *known_only && !facts.requests.iter().any(|r| !r.is_closed && is_known(&r.own, &r.provider))
    }
}
