//! Which ids of calls and requests are used for what: what a history must not do.

use std::collections::HashMap;

use callgate::engine::{fact::Fact, step::Command, time::Millis};

use super::{
    play::{Act, Deed},
    scope::Scope,
};

/// Since when a number is used for the ids of a call (`c`) or a request (`r`). An id is used for one
/// attempt, and not again when that is older than the horizon: what it names then depends on when
/// there was a reason to fold.
#[derive(Debug, Default)]
pub struct Used {
    first: HashMap<(char, u64), u64>,
    /// Whether both ids were seen together.
    is_bound: bool,
}

impl Used {
    /// Whether everything is in its place, by and with this deed.
    pub fn allows(&mut self, deed: &Deed, horizon: u64, scope: Scope) -> bool {
        let is_bond = matches!(&deed.act, Act::Pair((wa, user), Command::Record {
            at: Millis::ZERO, fact: Fact::Identity {}, ..
        }) if !wa.is_empty() && !user.is_empty());
        let is_in_place = !scope.binds_first || self.is_bound || is_bond;
        self.is_bound = is_bond || (self.is_bound && !matches!(deed.act, Act::Forget(_)));
        is_in_place && self.is_proper(deed, horizon)
    }

    pub fn is_fresh(&self, kind: char, n: u64, edge: u64) -> bool {
        self.first.get(&(kind, n)).is_none_or(|first| edge <= *first)
    }

    /// Whether no id is used twice, by and with this deed.
    fn is_proper(&mut self, deed: &Deed, horizon: u64) -> bool {
        let Act::Pair(_, command) = &deed.act else { return true };
        let (ids, at) = named(command, deed.now);
        ids.into_iter().filter_map(number_of).all(|(kind, n)| {
            let is_fresh = self.is_fresh(kind, n, deed.now.saturating_sub(horizon));
            let first = self.first.entry((kind, n)).or_insert(at);
            *first = at.min(*first);
            is_fresh
        })
    }
}

/// `c12`, `w12a`: of calls; `r12`, `m12b`: of requests.
fn number_of(id: &str) -> Option<(char, u64)> {
    let kind = if id.starts_with(['c', 'w']) { 'c' } else { 'r' };
    let n = id.get(1..)?.trim_end_matches(['a', 'b']).parse().ok()?;
    Some((kind, n))
}

/// The ids that a command names, and the earliest time that it tells of them.
fn named(command: &Command, now: u64) -> (Vec<&str>, u64) {
    match command {
        Command::AuthorizeCall { own_id, .. } | Command::AuthorizeRequest { own_id, .. } => {
            (vec![own_id], now)
        }
        Command::Record { at, fact, .. } => {
            let at = at.get().map_or(now, |at| at.0);
            match fact {
                Fact::Call(call) => {
                    let times = [call.answered_at, call.placed_at];
                    let at = times.iter().filter_map(|t| t.get()).fold(at, |at, t| at.min(t.0));
                    (vec![&call.call_id, &call.provider_call_id], at)
                }
                Fact::Request(report) => {
                    (vec![&report.request_id, &report.provider_message_id], at)
                }
                Fact::Reply(reply) => (vec![&reply.request_id], now),
                _ => (Vec::new(), at),
            }
        }
        _ => (Vec::new(), now),
    }
}
