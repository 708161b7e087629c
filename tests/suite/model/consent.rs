//! Whether there is consent (`rules.md`, section 2): the streak, the grant in effect, the status.
//! Consent is ordered by whole seconds.

use callgate::engine::{
    code::{grant_kind, grant_source, status},
    profile::Profile,
};

use super::facts::{ANSWERED, Attempt, CANCELED, Facts, REJECTED, SENT, UNANSWERED};

pub const fn second(at: u64) -> u64 {
    at / 1000
}

/// The walk through calls and endings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Streak {
    /// Misses in a row.
    pub count: u32,
    /// When misses took the permission away.
    pub revoked: Vec<u64>,
    /// When the count came to where the customer is warned.
    pub warned: Vec<u64>,
}

impl Streak {
    pub fn of(facts: &Facts, profile: &Profile) -> Self {
        const ENDING: u8 = 0;
        const ANSWER: u8 = 1;
        const MISS: u8 = 2;
        let kind = |call: &&Attempt| match call.outcome {
            ANSWERED => Some((ANSWER, call.at)),
            UNANSWERED | REJECTED => Some((MISS, call.at)),
            CANCELED if profile.canceled_is_unanswered => Some((MISS, call.at)),
            _ => None,
        };
        let endings = facts.no_at().into_iter().chain(facts.taken_at());
        let mut steps: Vec<(u64, u8, u64)> = facts
            .calls
            .iter()
            .filter_map(|call| kind(&call))
            .chain(endings.map(|at| (ENDING, at)))
            .map(|(kind, at)| (second(at), kind, at))
            .collect();
        // In one second: endings, then answered calls, then misses.
        steps.sort_unstable();
        let mut streak = Self::default();
        for (_, kind, at) in steps {
            if kind != MISS {
                streak.count = 0;
                continue;
            }
            streak.count += 1;
            if streak.count == profile.unanswered_warns_at {
                streak.warned.push(at);
            }
            if streak.count == profile.unanswered_revokes_at {
                streak.revoked.push(at);
                streak.count = 0;
            }
        }
        streak
    }
}

/// What may give permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub at: u64,
    /// `None`: permanent.
    pub ends: Option<u64>,
    pub source: u8,
    /// The request that it answers, or "".
    request: String,
}

impl Grant {
    pub fn kind(&self) -> u8 {
        if self.ends.is_none() { grant_kind::PERMANENT } else { grant_kind::TEMPORARY }
    }

    fn is_over(&self, t: u64) -> bool {
        self.ends.is_some_and(|ends| ends <= t)
    }
}

/// What consent there is at an instant.
#[derive(Debug)]
pub struct Consent {
    pub status: u8,
    pub grant: Option<Grant>,
    pub valid_until: Option<u64>,
    pub streak: Streak,
}

/// The judge: the facts, the rules, and whether calling in gives permission.
struct Judge<'a> {
    facts: &'a Facts,
    profile: &'a Profile,
    does_calling_in_grant: bool,
    revoked: Vec<u64>,
}

impl Judge<'_> {
    /// In the order in which they count where they are equal otherwise.
    fn candidates(&self) -> Vec<Grant> {
        let lasts = self.profile.temporary_permission;
        let newest = &self.facts.newest;
        let accept = newest.accept.as_ref().map(|yes| Grant {
            at: yes.at,
            ends: (!yes.is_permanent).then(|| yes.expires.unwrap_or(yes.at + lasts)),
            source: if yes.request.is_empty() {
                grant_source::BUSINESS_PROFILE
            } else {
                grant_source::REQUEST
            },
            request: yes.request.clone(),
        });
        let called = |at: u64, ends: u64| Grant {
            at,
            ends: Some(ends),
            source: grant_source::INBOUND_CALL,
            request: String::new(),
        };
        let callback = newest
            .callback
            .as_ref()
            .map(|yes| called(yes.at, yes.expires.unwrap_or(yes.at + lasts)));
        let inbound = newest.inbound.filter(|_| self.does_calling_in_grant);
        let inbound = inbound.map(|at| called(at, at + lasts));
        accept.into_iter().chain(callback).chain(inbound).collect()
    }

    /// Whether it comes after every ending, looking only at facts of seconds before `before`.
    fn stands(&self, grant: &Grant, before: u64) -> bool {
        let ends = |at: u64| second(at) < before && second(grant.at) <= second(at);
        let is_ended = self.facts.no_at().into_iter().chain(self.facts.taken_at()).any(ends)
            || self.revoked.iter().copied().any(ends);
        let is_replaced = self.profile.request_ends_permission
            && self
                .facts
                .requests
                .iter()
                .filter(|r| second(r.at) < before)
                .fold(None, |newest: Option<&Attempt>, request| {
                    let rank = |r: &Attempt| (r.at, r.id().to_owned());
                    let is_newer = newest.is_none_or(|known| rank(known) < rank(request));
                    if request.outcome >= SENT && is_newer { Some(request) } else { newest }
                })
                .is_some_and(|request| {
                    !request.is_named(&grant.request) && second(grant.at) < second(request.at)
                });
        second(grant.at) < before && !is_ended && !is_replaced
    }

    /// The grant in effect at `t`, by the facts of seconds before `before`.
    fn in_effect(&self, t: u64, before: u64) -> Option<Grant> {
        let standing = self.candidates().into_iter();
        let standing = standing.filter(|grant| !grant.is_over(t) && self.stands(grant, before));
        // The first of those that end last; a permanent one ends last of all.
        standing.fold(None, |best: Option<Grant>, grant| {
            let ends = |grant: &Grant| grant.ends.unwrap_or(u64::MAX);
            let is_best = best.as_ref().is_none_or(|best| ends(best) < ends(&grant));
            if is_best { Some(grant) } else { best }
        })
    }

    /// Whether the customer answered it by their own hand.
    fn is_answered(&self, request: &Attempt) -> bool {
        let newest = &self.facts.newest;
        let yes = newest.accept.as_ref().map(|yes| (yes.at, &yes.request));
        let no = newest.rejects.iter().map(|(request, at)| (*at, request));
        yes.into_iter()
            .chain(no)
            .any(|(at, named)| request.is_named(named) || second(at) >= second(request.at))
    }

    /// When each request that waits, or waited, for its answer runs out.
    fn lapses(&self) -> Vec<u64> {
        let waits = |r: &&Attempt| r.outcome == SENT && !self.is_answered(r);
        let requests = self.facts.requests.iter().filter(waits);
        let runs_out =
            |r: &Attempt| r.delivered.unwrap_or(r.at) + self.profile.request_lapses_after;
        requests.map(runs_out).collect()
    }

    /// Whether a permission was in effect just before the customer's newest no.
    fn was_granted_before(&self, no: u64) -> bool {
        let before = Judge { revoked: Vec::new(), ..*self };
        before.in_effect(no - 1, second(no)).is_some()
    }

    /// The newest of what is past, where nothing is in effect and nothing is waited for.
    fn past(&self, t: u64) -> u8 {
        let mut past = vec![(0, 0, status::NONE)];
        if let Some(no) = self.facts.no_at() {
            let word = if self.was_granted_before(no) { status::REVOKED } else { status::REJECTED };
            past.push((second(no), 4, word));
        }
        let taken = self.revoked.iter().copied().chain(self.facts.taken_at());
        past.extend(taken.map(|at| (second(at), 3, status::AUTO_REVOKED)));
        for grant in self.candidates() {
            let ends = grant.ends.filter(|ends| *ends <= t);
            let was = ends.and_then(|ends| self.in_effect(ends - 1, second(ends)));
            if was.as_ref() == Some(&grant) {
                past.push((second(grant.ends.unwrap_or(0)), 2, status::EXPIRED));
            }
        }
        let lapsed = self.lapses().into_iter().filter(|at| *at <= t);
        past.extend(lapsed.map(|at| (second(at), 1, status::LAPSED)));
        past.into_iter().max().map_or(status::NONE, |(_, _, word)| word)
    }
}

impl Consent {
    pub fn at(t: u64, facts: &Facts, profile: &Profile, does_calling_in_grant: bool) -> Self {
        let streak = Streak::of(facts, profile);
        let judge =
            Judge { facts, profile, does_calling_in_grant, revoked: streak.revoked.clone() };
        let grant = judge.in_effect(t, u64::MAX);
        let waits = judge.lapses().into_iter().filter(|at| t < *at).max();
        let (status, valid_until) = match (&grant, waits) {
            (Some(grant), _) => (status::GRANTED, grant.ends),
            (None, Some(at)) => (status::PENDING, Some(at)),
            (None, None) => (judge.past(t), None),
        };
        Self { status, grant, valid_until, streak }
    }
}
