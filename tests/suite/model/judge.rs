//! Views and verdicts (`rules.md`, sections 2 and 3).

use callgate::engine::{
    code::{decision, next_step, reason, status, warning},
    profile::{NumberFacts, Profile},
    step::{Reply, View},
    time::Millis,
};

use super::{
    consent::Consent,
    facts::Facts,
    quotas::{self, DAY, Quota},
};

/// The state of a customer at an instant.
#[derive(Debug)]
pub struct State {
    pub t: u64,
    pub consent: Consent,
    /// In the order of `QuotaKind`.
    pub quotas: [Quota; 4],
    pub at_once: Quota,
    conversation_ends: Option<u64>,
}

/// A wait for something that time ends, or never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    At(u64),
    Never,
}

impl Until {
    fn of(at: Option<u64>) -> Self {
        at.map_or(Self::Never, Self::At)
    }
}

/// What stands in the way.
#[derive(Debug, Default)]
pub struct Verdict {
    pub blocked_by: Vec<u8>,
    pub reason: u8,
    pub free_at: Option<u64>,
    pub next_step: u8,
}

impl State {
    pub fn at(t: u64, facts: &Facts, profile: &Profile, number: &NumberFacts) -> Self {
        let does_calling_in_grant = profile.inbound_call_grants && number.inbound_call_grants != 1;
        let consent = Consent::at(t, facts, profile, does_calling_in_grant);
        let (day, week) = (profile.requests_per_day, profile.requests_per_week);
        let quotas = [
            quotas::calls_in_window(facts, profile, t),
            quotas::calls_in_permission(facts, profile, consent.grant.as_ref(), t),
            quotas::requests(facts, profile, day, DAY, t),
            quotas::requests(facts, profile, week, 7 * DAY, t),
        ];
        let newest = facts.newest.inbound.max(facts.newest.wrote);
        let conversation_ends = newest.map(|at| at + DAY).filter(|ends| t < *ends);
        let at_once = quotas::calls_at_once(facts, profile, t);
        Self { t, consent, quotas, at_once, conversation_ends }
    }

    /// As the gate shows it, without ids and revision.
    pub fn view(&self) -> View {
        let millis = |at: Option<u64>| Millis(at.unwrap_or(0));
        let grant = self.consent.grant.as_ref();
        let each = |of: fn(&Quota) -> u32| self.quotas.iter().map(of).collect();
        View {
            status: self.consent.status,
            grant_kind: grant.map_or(0, |grant| grant.kind()),
            grant_source: grant.map_or(0, |grant| grant.source),
            granted_at: millis(grant.map(|grant| grant.at)),
            expires_at: millis(grant.and_then(|grant| grant.ends)),
            valid_until: millis(self.consent.valid_until),
            streak: self.consent.streak.count,
            conversation_ends_at: millis(self.conversation_ends),
            quota_limit: each(|quota| quota.limit),
            quota_used: each(Quota::used),
            quota_held: each(Quota::held),
            quota_free_at: self.quotas.iter().map(|quota| millis(quota.free_at())).collect(),
            ..View::default()
        }
    }

    /// What fills the quotas.
    pub fn show_entries(&self, view: &mut View) {
        for (kind, quota) in (1..).zip(&self.quotas) {
            let mut entries = quota.entries.clone();
            entries.sort();
            for entry in entries {
                view.entry_quota.push(kind);
                view.entry_id.push(entry.id);
                view.entry_at.push(Millis(entry.at));
                view.entry_frees_at.push(Millis(entry.frees.unwrap_or(0)));
                view.entry_held.push(u8::from(entry.is_held));
            }
        }
    }

    pub fn warnings(&self, profile: &Profile, is_last_in_window: bool) -> Vec<u8> {
        let (streak, warns_at, revokes_at) =
            (self.consent.streak.count, profile.unanswered_warns_at, profile.unanswered_revokes_at);
        let ends = self.consent.grant.as_ref().and_then(|grant| grant.ends);
        [
            (streak + 1 == warns_at, warning::NEXT_MISS_WARNS_CUSTOMER),
            (streak >= warns_at, warning::CUSTOMER_WARNED),
            (streak + 1 == revokes_at, warning::NEXT_MISS_REVOKES),
            (is_last_in_window, warning::LAST_CALL_IN_WINDOW),
            (
                ends.is_some_and(|ends| ends <= self.t + profile.expiring_soon),
                warning::PERMISSION_EXPIRES_SOON,
            ),
        ]
        .into_iter()
        .filter_map(|(is_so, code)| is_so.then_some(code))
        .collect()
    }

    /// Why there is no consent.
    fn missing(&self) -> u8 {
        match self.consent.status {
            status::PENDING => reason::AWAITING_REPLY,
            status::REJECTED => reason::REJECTED,
            status::REVOKED => reason::REVOKED,
            status::AUTO_REVOKED => reason::AUTO_REVOKED,
            status::EXPIRED => reason::EXPIRED,
            status::LAPSED => reason::REQUEST_LAPSED,
            _ => reason::NEVER_ASKED,
        }
    }

    /// The reason of an ALLOW that rests on consent.
    pub fn kind_of_grant(&self) -> Option<u8> {
        self.consent.grant.as_ref().map(|grant| match grant.ends {
            Some(_) => reason::TEMPORARY_PERMISSION,
            None => reason::PERMANENT_PERMISSION,
        })
    }
}

/// Until when the number stands in the way at `t`.
pub fn paused(number: &NumberFacts, t: u64, of_requests: bool) -> Option<Until> {
    let disabled = (number.calling == 1).then_some(Until::Never);
    let pause = |said: u8, until: Millis| match (said, until.0) {
        (2, 0) => Some(Until::Never),
        (2, until) if t < until => Some(Until::At(until)),
        _ => None,
    };
    let all = pause(number.pause, number.paused_until);
    let requests = pause(number.request_pause, number.requests_paused_until);
    disabled.max(all).max(requests.filter(|_| of_requests))
}

/// The limit that frees last; of several the lower value of the enum.
fn frees_last(full: &[(u8, Until)]) -> Option<u8> {
    let last = full.iter().map(|(_, until)| *until).max()?;
    full.iter().filter(|(_, until)| *until == last).map(|(code, _)| *code).min()
}

fn full(quotas: &[(u8, &Quota)]) -> Vec<(u8, Until)> {
    let full = quotas.iter().filter(|(_, quota)| quota.is_full());
    full.map(|(code, quota)| (*code, Until::of(quota.free_at()))).collect()
}

/// How many of those that fill it now are still there at `t`.
fn has_room(quota: &Quota, t: u64) -> bool {
    let stay = quota.entries.iter().filter(|entry| entry.frees.is_none_or(|frees| t < frees));
    quota.limit == 0 || stay.count() < quota.limit as usize
}

/// The instants at which something ends that stands in the way, in order.
fn ends(quotas: &[(u8, &Quota)], more: impl IntoIterator<Item = Option<Until>>) -> Vec<u64> {
    let frees = quotas.iter().flat_map(|(_, quota)| quota.entries.iter().filter_map(|e| e.frees));
    let more = more.into_iter().flatten().filter_map(|until| match until {
        Until::At(at) => Some(at),
        Until::Never => None,
    });
    let mut ends: Vec<u64> = frees.chain(more).collect();
    ends.sort_unstable();
    ends
}

/// May this customer be called? Where an authorization is repeated, no limit is looked at.
pub fn call(
    state: &State,
    facts: &Facts,
    profile: &Profile,
    number: &NumberFacts,
    does_repeat: bool,
) -> Verdict {
    let quotas = [
        (reason::CALL_WINDOW_LIMIT, &state.quotas[0]),
        (reason::CALL_PERMISSION_LIMIT, &state.quotas[1]),
        (reason::CALL_IN_PROGRESS, &state.at_once),
    ];
    let judged = if does_repeat { &[][..] } else { &quotas[..] };
    let quotas = &quotas[..];
    let pause = paused(number, state.t, false);
    let full = full(judged);
    let missing = state.consent.grant.is_none().then(|| state.missing());
    let is_paused = pause.map(|_| reason::BUSINESS_NUMBER_PAUSED);
    let blocked_by: Vec<u8> =
        is_paused.into_iter().chain(missing).chain(full.iter().map(|(code, _)| *code)).collect();
    let Some(reason) = is_paused.or(missing).or_else(|| frees_last(&full)) else {
        let reason = state.kind_of_grant().expect("nothing is missing");
        return Verdict { reason, next_step: next_step::PLACE_CALL, ..Verdict::default() };
    };
    // The first instant at which something ends and nothing is left in the way.
    let free_at = ends(quotas, [pause]).into_iter().find(|t| {
        paused(number, *t, false).is_none()
            && quotas.iter().all(|(_, quota)| has_room(quota, *t))
            && State::at(*t, facts, profile, number).consent.grant.is_some()
    });
    let next_step = if pause == Some(Until::Never) {
        next_step::FIX_BUSINESS_NUMBER
    } else if free_at.is_some() {
        next_step::WAIT
    } else if state.consent.status == status::PENDING {
        next_step::WAIT_FOR_CUSTOMER
    } else {
        next_step::SEND_PERMISSION_REQUEST
    };
    Verdict { blocked_by, reason, free_at, next_step }
}

/// Whether a permission stands in the way of a request.
fn is_in_the_way(state: &State, profile: &Profile, does_replace: bool) -> bool {
    match &state.consent.grant {
        None => false,
        Some(_) if !does_replace => true,
        Some(grant) => grant.ends.is_none() && !profile.request_ends_permission,
    }
}

/// How it is asked whether a request may be sent.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Although a permission is in effect.
    pub does_replace: bool,
    /// Again: no limit is looked at.
    pub does_repeat: bool,
}

/// May this customer be asked?
pub fn request(
    state: &State,
    facts: &Facts,
    profile: &Profile,
    number: &NumberFacts,
    question: Question,
) -> Verdict {
    let quotas = [
        (reason::REQUEST_DAY_LIMIT, &state.quotas[2]),
        (reason::REQUEST_WEEK_LIMIT, &state.quotas[3]),
    ];
    let judged = if question.does_repeat { &[][..] } else { &quotas[..] };
    let quotas = &quotas[..];
    let does_replace = question.does_replace;
    let pause = paused(number, state.t, true);
    let full = full(judged);
    let granted = is_in_the_way(state, profile, does_replace);
    let is_paused = pause.map(|_| reason::BUSINESS_NUMBER_PAUSED);
    let is_granted = granted.then_some(reason::PERMISSION_IN_EFFECT);
    let blocked_by: Vec<u8> =
        is_paused.into_iter().chain(is_granted).chain(full.iter().map(|(code, _)| *code)).collect();
    let Some(reason) = is_paused.or(is_granted).or_else(|| frees_last(&full)) else {
        let reason = state.kind_of_grant().unwrap_or_else(|| state.missing());
        return Verdict { reason, ..Verdict::default() };
    };
    let over = state.consent.grant.as_ref().filter(|_| granted).map(|grant| Until::of(grant.ends));
    let free_at =
        ends(quotas, [paused(number, state.t, false), pause, over]).into_iter().find(|t| {
            let then = State::at(*t, facts, profile, number);
            paused(number, *t, true).is_none()
                && quotas.iter().all(|(_, quota)| has_room(quota, *t))
                && !is_in_the_way(&then, profile, does_replace)
        });
    Verdict { blocked_by, reason, free_at, next_step: 0 }
}

impl Verdict {
    pub fn is_allow(&self) -> bool {
        self.blocked_by.is_empty()
    }

    /// Without the view.
    pub fn reply(self) -> Reply {
        Reply {
            decision: if self.is_allow() { decision::ALLOW } else { decision::DENY },
            reason: self.reason,
            free_at: Millis(self.free_at.unwrap_or(0)),
            next_step: self.next_step,
            blocked_by: self.blocked_by,
            ..Reply::default()
        }
    }
}
