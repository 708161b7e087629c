//! What is known of a customer, worked out from everything that was told (`rules.md`, section 1): the
//! newest of each kind of consent, and the calls and requests.

use std::collections::BTreeMap;

use callgate::engine::fact::Fact;

use super::{
    attempts::{Attempt, SENT, attempts, of_both, rows},
    told::{NO_PERMISSION, Told, What, set},
};

/// An ACCEPT, by hand or automatic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yes {
    pub at: u64,
    pub is_permanent: bool,
    /// As it was told.
    pub expires: Option<u64>,
    /// The request that it answers, or "".
    pub request: String,
}

impl Yes {
    /// Of two the one that counts is the larger: the later; then temporary before permanent, the
    /// earlier expiry, none told last, then the smaller request id.
    fn rank(&self) -> impl Ord + '_ {
        let expiry = self.expires.map_or(0, |at| u64::MAX - at);
        (self.at, !self.is_permanent, expiry, std::cmp::Reverse(self.request.as_str()))
    }
}

/// A taking-away by the provider. At one time its own REJECT comes before a refused call; that is not
/// seen in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    pub at: u64,
    by_reject: bool,
}

/// The registers: of each kind the newest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newest {
    pub accept: Option<Yes>,
    /// The customer's newest no, by the request that it names, or "": of each the newest.
    pub rejects: BTreeMap<String, u64>,
    pub callback: Option<Yes>,
    pub taken: Option<Taken>,
    pub inbound: Option<u64>,
    pub talked: Option<u64>,
    pub wrote: Option<u64>,
}

/// Everything that a view is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub newest: Newest,
    pub calls: Vec<Attempt>,
    pub requests: Vec<Attempt>,
}

/// What is kept under an id, as far as it makes a difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    newest: Newest,
    /// Under a user id: when the newest ACCEPT of each kind, by hand and automatic, was told of a number as
    /// well.
    of_both: [Option<u64>; 2],
    calls: Vec<Attempt>,
    requests: Vec<Attempt>,
}

impl Recorded {
    /// What is kept under one id.
    pub fn under<'a>(id: &str, all: impl Iterator<Item = &'a Told> + Clone) -> Self {
        let told = all.clone().filter(|told| told.is_under(id));
        let kept = told.clone().filter(|told| told.is_row_under(id));
        let (calls, requests) = rows(kept);
        let of_both = all.filter(|one| !id.is_empty() && one.user == id && !one.wa.is_empty());
        let of_both = [false, true].map(|is_automatic| {
            let narrows = |one: &&Told| match &one.what {
                What::Fact(Fact::Reply(reply)) if reply.accept => {
                    let lasts = reply.permanent && set(reply.expires_at).is_none();
                    reply.automatic == is_automatic && (is_automatic || !lasts)
                }
                _ => false,
            };
            of_both.clone().filter(narrows).map(|one| one.at).max()
        });
        Self { newest: Newest::of(told), of_both, calls, requests }
    }

    /// When something narrower than older replies was told, by hand and automatic, up to `to`.
    pub fn narrows(&self, to: u64) -> [u64; 2] {
        let Newest { accept, callback, .. } = &self.newest;
        let accept = accept.as_ref().filter(|yes| !yes.is_permanent);
        [accept, callback.as_ref()].map(|yes| yes.map_or(0, |yes| yes.at)).map(|at| up_to(at, to))
    }

    /// The same, of a user id: as told of a number as well.
    pub fn of_both_at(&self, to: u64) -> [u64; 2] {
        self.of_both.map(|at| up_to(at.unwrap_or(0), to))
    }

    /// What was told of a user id alone gives nothing any more if it gave way to something narrower.
    pub fn give_way(&mut self, [accept, callback]: [u64; 2]) {
        let Newest { accept: own, callback: automatic, .. } = &mut self.newest;
        let is_wider = own.as_ref().is_some_and(|own| own.at == accept && own.is_permanent);
        shut_before(own, accept + u64::from(is_wider));
        shut_before(automatic, callback);
    }

    /// What was told of the user id alone, up to `to`, stands in the place of what is older, and gives
    /// nothing.
    pub fn only_stand_in(&mut self, before: &Self, to: u64) {
        self.newest.inbound = None;
        let is_newer = |own: &Option<Yes>, other: &Option<Yes>| {
            let at = own.as_ref().map(|own| own.at).filter(|at| *at <= to);
            at > other.as_ref().map(|other| other.at)
        };
        let of = &before.newest;
        if is_newer(&self.newest.accept, &of.accept) {
            shut_before(&mut self.newest.accept, u64::MAX);
        } else {
            self.newest.accept = None;
        }
        if is_newer(&self.newest.callback, &of.callback) {
            shut_before(&mut self.newest.callback, u64::MAX);
        } else {
            self.newest.callback = None;
        }
    }

    /// All of this, under whichever id.
    pub fn of<'a>(told: impl Iterator<Item = &'a Told> + Clone) -> Self {
        let (calls, requests) = rows(told.clone());
        Self { newest: Newest::of(told), of_both: [None; 2], calls, requests }
    }

    /// When the newest ACCEPT was given, by hand or automatic.
    pub fn accepted_at(&self, is_automatic: bool) -> Option<u64> {
        let Newest { accept, callback, .. } = &self.newest;
        if is_automatic { callback } else { accept }.as_ref().map(|yes| yes.at)
    }

    /// Whether it says the same but for when something narrower was told of both ids.
    pub fn says_the_same(&self, other: &Self) -> bool {
        *self == Self { of_both: self.of_both, ..other.clone() }
    }

    /// The newest time of anything that counts, or 0.
    pub fn newest(&self) -> u64 {
        self.newest_of(|_| true)
    }

    /// The newest time of anything that is not summed up yet, or 0. A call that is summed up is older, but
    /// it may have been told of with a time ahead of the clock before it was corrected.
    pub fn newest_open(&self) -> u64 {
        self.newest_of(|row| !row.is_closed)
    }

    fn newest_of(&self, counts: impl Fn(&&Attempt) -> bool) -> u64 {
        let newest = &self.newest;
        let replies = [&newest.accept, &newest.callback].into_iter().flatten().map(|yes| yes.at);
        let no = newest.rejects.values().copied();
        let taken = newest.taken.iter().map(|taken| taken.at);
        let theirs = [newest.inbound, newest.talked, newest.wrote].into_iter().flatten();
        let rows = self.calls.iter().chain(&self.requests).filter(counts);
        let rows = rows.map(|row| row.at.max(row.first));
        let of_both = self.of_both.into_iter().flatten();
        replies.chain(of_both).chain(no).chain(taken).chain(theirs).chain(rows).max().unwrap_or(0)
    }

    /// Without what `counts` says that it does not, by its time.
    pub fn keep(&mut self, counts: impl Fn(u64) -> bool) {
        let newest = &mut self.newest;
        newest.accept.take_if(|yes| !counts(yes.at));
        newest.rejects.retain(|_, at| counts(*at));
        newest.callback.take_if(|yes| !counts(yes.at));
        newest.taken.take_if(|taken| !counts(taken.at));
        for at in [&mut newest.inbound, &mut newest.talked, &mut newest.wrote] {
            at.take_if(|at| !counts(*at));
        }
        self.calls.retain(|row| counts(row.at));
        self.requests.retain(|row| counts(row.at));
    }

    /// Without what gives permission.
    pub fn drop_yes(&mut self) {
        let Newest { accept, callback, inbound, .. } = &mut self.newest;
        (*accept, *callback, *inbound) = (None, None, None);
    }

    /// What gives permission and is older than that gives none any more; a reply still stands in the place
    /// of those before it.
    pub fn shut_yes_before(&mut self, from: u64) {
        let Newest { accept, callback, inbound, .. } = &mut self.newest;
        shut_before(accept, from);
        shut_before(callback, from);
        inbound.take_if(|at| *at < from);
    }

    /// With what is kept under another id of the customer.
    pub fn join(&mut self, other: Self) {
        let Newest { accept, rejects, callback, taken, inbound, talked, wrote } = other.newest;
        let newest = &mut self.newest;
        accept.into_iter().for_each(|yes| take_better(&mut newest.accept, yes));
        rejects.into_iter().for_each(|(request, at)| newest.say_no(request, at));
        callback.into_iter().for_each(|yes| take_better(&mut newest.callback, yes));
        newest.taken = newest.taken.max(taken);
        newest.inbound = newest.inbound.max(inbound);
        newest.talked = newest.talked.max(talked);
        newest.wrote = newest.wrote.max(wrote);
        self.calls.extend(other.calls);
        self.requests.extend(other.requests);
    }

    /// What was so at `t`, as far as the newest of each kind and the last of each attempt still tell.
    pub fn until(mut self, t: u64) -> Self {
        self.calls = of_both(&self.calls, false);
        self.requests = of_both(&self.requests, true);
        for row in self.calls.iter_mut().chain(&mut self.requests) {
            row.go_back(t);
        }
        self.keep(|at| at <= t);
        self
    }
}

impl Facts {
    /// The newest request that was really sent, whether or not it arrived.
    pub fn newest_request(&self) -> Option<&Attempt> {
        let sent = self.requests.iter().filter(|request| request.outcome >= SENT);
        sent.max_by_key(|request| (request.at, request.id().to_owned()))
    }

    /// When the provider took the permission last.
    pub fn taken_at(&self) -> Option<u64> {
        self.newest.taken.map(|taken| taken.at)
    }

    /// When the customer's no counts from: a no that names a request is never before it.
    pub fn no_at(&self) -> Option<u64> {
        let rejects = &self.newest.rejects;
        let is_named = |r: &&Attempt| rejects.keys().any(|request| r.is_named(request));
        let named = self.requests.iter().filter(|r| r.outcome >= SENT).filter(is_named);
        rejects
            .values()
            .copied()
            .chain(named.map(|request| request.at))
            .max()
            .filter(|_| !rejects.is_empty())
    }
}

impl From<Recorded> for Facts {
    fn from(Recorded { newest, calls, requests, .. }: Recorded) -> Self {
        let calls = attempts(&of_both(&calls, false), false);
        let requests = attempts(&of_both(&requests, true), true);
        Self { newest, calls, requests }
    }
}

/// Of two replies of a kind the one that counts.
fn take_better(known: &mut Option<Yes>, yes: Yes) {
    if known.as_ref().is_none_or(|known| known.rank() < yes.rank()) {
        *known = Some(yes);
    }
}

/// 0 for what came later.
fn up_to(at: u64, to: u64) -> u64 {
    if at <= to { at } else { 0 }
}

/// A reply that is older than that gives nothing.
fn shut_before(yes: &mut Option<Yes>, from: u64) {
    if let Some(yes) = yes.as_mut().filter(|yes| yes.at < from) {
        (yes.is_permanent, yes.expires) = (false, Some(yes.at));
    }
}

impl Newest {
    fn of<'a>(told: impl Iterator<Item = &'a Told>) -> Self {
        let mut newest = Self::default();
        for one in told {
            if let What::Fact(fact) = &one.what {
                newest.join(fact, one.at);
            }
        }
        newest
    }

    fn say_no(&mut self, request: String, at: u64) {
        for of in [String::new(), request] {
            let newest = self.rejects.entry(of).or_default();
            *newest = at.max(*newest);
        }
    }

    fn join(&mut self, fact: &Fact, at: u64) {
        match fact {
            Fact::Reply(reply) if reply.accept => {
                let expires = set(reply.expires_at);
                // Both permanent and with an end is temporary.
                let is_permanent = reply.permanent && expires.is_none() && !reply.automatic;
                let request =
                    if reply.automatic { String::new() } else { reply.request_id.clone() };
                let yes = Yes { at, is_permanent, expires, request };
                take_better(
                    if reply.automatic { &mut self.callback } else { &mut self.accept },
                    yes,
                );
            }
            Fact::Reply(reply) if reply.automatic => {
                self.taken = self.taken.max(Some(Taken { at, by_reject: true }));
            }
            Fact::Reply(reply) => self.say_no(reply.request_id.clone(), at),
            Fact::InboundCall(call) => {
                self.inbound = self.inbound.max(Some(at));
                if call.answered {
                    self.talked = self.talked.max(Some(at));
                }
            }
            Fact::InboundMessage(_) => self.wrote = self.wrote.max(Some(at)),
            Fact::Call(call) if call.error == NO_PERMISSION => {
                let placed = set(call.placed_at).unwrap_or(at);
                self.taken = self.taken.max(Some(Taken { at: placed, by_reject: false }));
            }
            Fact::Call(_) | Fact::Request(_) | Fact::Identity {} => {}
        }
    }
}
