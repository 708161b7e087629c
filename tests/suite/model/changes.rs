//! What the stream tells (`rules.md`, section 5, and "What subscribers hear" in `docs/rules.md`): each
//! difference between what was told last under an id and what is so.

use callgate::engine::{
    change::Change,
    code::{change_cause as cause, status},
    fact::Fact,
    time::Millis,
};

use super::{judge::State, quotas::Quota};

/// What a subscriber knows of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    status: u8,
    kind: u8,
    source: u8,
    granted_at: u64,
    valid_until: u64,
    is_soon_over: bool,
    is_warned: bool,
    is_full: bool,
}

impl Heard {
    pub const NOTHING: Self = Self {
        status: status::NONE,
        kind: 0,
        source: 0,
        granted_at: 0,
        valid_until: 0,
        is_soon_over: false,
        is_warned: false,
        is_full: false,
    };

    pub const fn status(&self) -> u8 {
        self.status
    }

    /// All that is told of a state.
    pub fn of(state: &State, warns_at: u32, expiring_soon: u64) -> Self {
        let grant = state.consent.grant.as_ref();
        let ends = grant.and_then(|grant| grant.ends);
        Self {
            status: state.consent.status,
            kind: grant.map_or(0, |grant| grant.kind()),
            source: grant.map_or(0, |grant| grant.source),
            granted_at: grant.map_or(0, |grant| grant.at),
            valid_until: state.consent.valid_until.unwrap_or(0),
            is_soon_over: ends.is_some_and(|ends| ends <= state.t + expiring_soon),
            is_warned: state.consent.streak.count >= warns_at,
            is_full: grant.is_some() && state.quotas[..2].iter().any(Quota::is_full),
        }
    }

    fn is_same_consent(&self, other: &Self) -> bool {
        let of = |h: &Self| (h.status, h.kind, h.source, h.granted_at, h.valid_until);
        of(self) == of(other)
    }
}

/// What makes a difference.
#[derive(Debug, Clone, Copy)]
pub enum Why<'a> {
    /// Time alone.
    Time,
    /// Both ids were seen together.
    Bond,
    /// A setting, or a decision made here.
    Rules,
    /// It was told.
    Fact(&'a Fact),
}

/// What happened, and when: by its own time and by the clock.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    pub at: u64,
    pub now: u64,
    pub event_id: &'a str,
    pub why: Why<'a>,
}

/// Why consent is not as it was.
fn consent_cause(was: &Heard, is: &Heard, by: By<'_>) -> u8 {
    match by.why {
        Why::Bond => cause::IDENTITY,
        Why::Rules => cause::RULES,
        Why::Time => by_time(was, is, by.at),
        Why::Fact(fact) => by_fact(fact, was, is),
    }
}

/// Time ends what was told to end then, and what has been ended by something else before.
fn by_time(was: &Heard, is: &Heard, at: u64) -> u8 {
    let was_to_end = 0 < was.valid_until && was.valid_until <= at && was.status != is.status;
    match was.status {
        status::PENDING if was_to_end => cause::REQUEST_LAPSED,
        _ if was_to_end => cause::EXPIRED,
        status::GRANTED => cause::RULES,
        _ if is.status == status::EXPIRED => cause::EXPIRED,
        _ => cause::RULES,
    }
}

fn by_fact(fact: &Fact, was: &Heard, is: &Heard) -> u8 {
    // What gives: the customer's word, or call. Whatever else uncovers a permission undoes what stood.
    if is.status == status::GRANTED {
        return match fact {
            Fact::Reply(reply) if reply.accept && !reply.automatic => cause::ACCEPTED,
            Fact::Reply(reply) if reply.accept => cause::INBOUND_CALL,
            Fact::InboundCall(_) => cause::INBOUND_CALL,
            _ => cause::CORRECTED,
        };
    }
    // What ends a permission is told as what it is.
    if was.status == status::GRANTED {
        match fact {
            Fact::Reply(reply) if !reply.accept && reply.automatic => return cause::AUTO_REVOKED,
            Fact::Reply(reply) if !reply.accept && is.status == status::REJECTED => {
                return cause::REJECTED;
            }
            Fact::Reply(reply) if !reply.accept => return cause::REVOKED,
            Fact::Call(_) => return cause::AUTO_REVOKED,
            Fact::Request(_) => return cause::SUPERSEDED,
            _ => {}
        }
    }
    let is_of_its_own = match fact {
        Fact::Request(_) => [status::PENDING, status::LAPSED].contains(&is.status),
        Fact::Call(_) => is.status == status::AUTO_REVOKED,
        _ => is.status != status::PENDING,
    };
    match is.status {
        _ if !is_of_its_own => cause::CORRECTED,
        status::PENDING => cause::REQUEST_SENT,
        status::REJECTED => cause::REJECTED,
        status::REVOKED => cause::REVOKED,
        status::AUTO_REVOKED => cause::AUTO_REVOKED,
        status::EXPIRED => cause::EXPIRED,
        status::LAPSED => cause::REQUEST_LAPSED,
        _ => cause::CORRECTED,
    }
}

/// What is to be told to somebody who heard that: the cause, and the status before.
pub fn news(was: &Heard, is: &Heard, by: By<'_>) -> Vec<(u8, u8)> {
    let mut news = Vec::new();
    if !was.is_same_consent(is) {
        news.push((consent_cause(was, is, by), was.status));
    }
    if is.is_warned && !was.is_warned {
        news.push((cause::CUSTOMER_WARNED, is.status));
    }
    if is.status == status::GRANTED && was.is_full != is.is_full {
        let limit = if is.is_full { cause::LIMIT_REACHED } else { cause::LIMIT_FREED };
        news.push((limit, is.status));
    }
    if is.is_soon_over && (!was.is_soon_over || was.valid_until != is.valid_until) {
        news.push((cause::EXPIRING_SOON, is.status));
    }
    news
}

/// The same kind is told once, to whoever of the customer's ids has not heard of it.
pub fn of_all(heard: &[Heard], is: &Heard, by: By<'_>) -> Vec<(u8, u8)> {
    const LAST: [u8; 4] =
        [cause::CUSTOMER_WARNED, cause::LIMIT_REACHED, cause::LIMIT_FREED, cause::EXPIRING_SOON];
    let all: Vec<(u8, u8)> = heard.iter().flat_map(|was| news(was, is, by)).collect();
    let consent = all.iter().find(|(cause, _)| !LAST.contains(cause)).copied();
    let rest = LAST.iter().filter_map(|kind| all.iter().find(|(cause, _)| cause == kind).copied());
    consent.into_iter().chain(rest).collect()
}

/// As the log keeps it; who is meant is filled in elsewhere.
pub fn change(state: &State, (cause, previous_status): (u8, u8), by: By<'_>) -> Change {
    let view = state.view();
    Change {
        cause,
        previous_status,
        occurred_at: Millis(by.at),
        recorded_at: Millis(by.now),
        event_id: by.event_id.to_owned(),
        judged_at: Millis(state.t),
        status: view.status,
        grant_kind: view.grant_kind,
        grant_source: view.grant_source,
        granted_at: view.granted_at,
        expires_at: view.expires_at,
        valid_until: view.valid_until,
        streak: view.streak,
        conversation_ends_at: view.conversation_ends_at,
        quota_limit: view.quota_limit,
        quota_used: view.quota_used,
        quota_held: view.quota_held,
        quota_free_at: view.quota_free_at,
        ..Change::default()
    }
}
