//! What is known, worked out from everything that was told (`rules.md`, section 1): the newest of each
//! kind of consent, and what became of each call and request.

use std::collections::BTreeMap;

use callgate::engine::fact::{CallOutcome, CallReport, Fact, RequestOutcome, RequestReport};

/// Meta's error: the provider knows of no permission.
const NO_PERMISSION: i32 = 138_006;

/// One thing that was told, or decided here.
#[derive(Debug, Clone)]
pub struct Told {
    /// When it happened.
    pub at: u64,
    /// Of whom, by `wa_id` (its key), or "".
    pub wa: String,
    /// Of whom, by user id, or "".
    pub user: String,
    /// Meta's own spelling of the `wa_id`, or "".
    pub spelled: String,
    /// What.
    pub what: What,
    /// The call or request that it tells of is older than the horizon: what it was it stays, and its
    /// ids name it no more.
    pub is_closed: bool,
}

impl Told {
    /// Whether it is kept under this id: what is told by the user id alone under that, all other under
    /// the `wa_id`; a no that is told by both, and what is given back, under both.
    pub fn is_under(&self, id: &str) -> bool {
        let is_no = match &self.what {
            What::Fact(Fact::Reply(reply)) => !reply.accept,
            What::Fact(Fact::Call(call)) => call.error == NO_PERMISSION,
            _ => false,
        };
        !id.is_empty() && (self.wa == id || (self.user == id && (self.wa.is_empty() || is_no)))
    }

    /// Whether it is one of the calls and requests under this id: a refused call that was told by both
    /// ids is under the user id as a taking-away only.
    fn is_row_under(&self, id: &str) -> bool {
        self.wa.is_empty() || self.wa == id || !matches!(self.what, What::Fact(_))
    }

    /// Whether it shows that both ids are one customer's.
    pub fn does_bind(&self) -> bool {
        let is_yes = !matches!(self.what, What::ReleasedCall { .. } | What::ReleasedRequest { .. });
        is_yes && !self.wa.is_empty() && !self.user.is_empty()
    }
}

/// What was told or decided.
#[derive(Debug, Clone)]
pub enum What {
    /// By somebody.
    Fact(Fact),
    /// A call was allowed, and is held until then.
    HeldCall { own: String, until: u64 },
    /// What was held for this call was given back.
    ReleasedCall { own: String },
    /// A permission request was allowed.
    HeldRequest { own: String, until: u64 },
    /// See `ReleasedCall`.
    ReleasedRequest { own: String },
}

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
    /// When Meta spelled the number last, and how.
    pub spelled: Option<(u64, String)>,
}

/// A call or a request: everything that was told of one attempt, put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Our id of it, or "".
    pub own: String,
    /// The provider's, or "".
    pub provider: String,
    /// The strongest that was told.
    pub outcome: u8,
    /// The earliest time told for that.
    pub at: u64,
    /// The earliest time of any report of it.
    pub first: u64,
    /// A call's end, the earliest told.
    pub ended: Option<u64>,
    /// A request's delivery, the earliest told.
    pub delivered: Option<u64>,
    /// Until when it was authorized, if that was not given back.
    pub until: Option<u64>,
    /// The newest report that it was placed or rings.
    pub sign: Option<u64>,
    /// The provider's error.
    pub error: i32,
    /// Older than the horizon.
    pub is_closed: bool,
    /// A permission request; else a call.
    pub is_request: bool,
}

impl Attempt {
    /// Whether it is not known what became of it.
    pub fn is_open(&self) -> bool {
        match self.is_request {
            true => self.outcome == HELD,
            false => [HELD, PLACED, RINGING].contains(&self.outcome),
        }
    }

    /// How people name it.
    pub fn id(&self) -> &str {
        if self.own.is_empty() { &self.provider } else { &self.own }
    }

    /// Whether a reply that names `id` means it.
    pub fn is_named(&self, id: &str) -> bool {
        !id.is_empty() && (self.own == id || self.provider == id)
    }
}

/// Everything that a view is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub newest: Newest,
    pub calls: Vec<Attempt>,
    pub requests: Vec<Attempt>,
}

pub const HELD: u8 = 1;
pub const PLACED: u8 = CallOutcome::Placed as u8;
pub const RINGING: u8 = CallOutcome::Ringing as u8;
pub const CANCELED: u8 = CallOutcome::Canceled as u8;
pub const UNANSWERED: u8 = CallOutcome::Unanswered as u8;
pub const REJECTED: u8 = CallOutcome::Rejected as u8;
pub const UNCERTAIN: u8 = CallOutcome::Uncertain as u8;
pub const ANSWERED: u8 = CallOutcome::Answered as u8;
pub const SENT: u8 = RequestOutcome::Sent as u8;
pub const UNDELIVERED: u8 = RequestOutcome::Undelivered as u8;

/// What one report says of an attempt.
#[derive(Debug, Clone)]
struct Said<'a> {
    /// Under which id it is kept.
    home: &'a str,
    own: &'a str,
    provider: &'a str,
    /// 0 for a release, which says nothing but that.
    outcome: u8,
    at: u64,
    /// When it was reported, whatever it says.
    reported: u64,
    ended: Option<u64>,
    delivered: Option<u64>,
    until: Option<u64>,
    sign: Option<u64>,
    error: i32,
    is_closed: bool,
}

fn set(at: callgate::engine::time::Millis) -> Option<u64> {
    at.get().map(|at| at.0)
}

/// When the call was what the report says: for an answered one the pick-up, for one that was placed
/// when it was dialled.
pub fn time_of_call(report: &CallReport, at: u64) -> u64 {
    match report.outcome {
        CallOutcome::Answered => set(report.answered_at).unwrap_or(at),
        CallOutcome::Placed => set(report.placed_at).unwrap_or(at),
        _ => at,
    }
}

impl<'a> Said<'a> {
    fn nothing(told: &'a Told, own: &'a str) -> Self {
        Self {
            home: if told.wa.is_empty() { &told.user } else { &told.wa },
            own,
            provider: "",
            outcome: 0,
            at: told.at,
            reported: told.at,
            ended: None,
            delivered: None,
            until: None,
            sign: None,
            error: 0,
            is_closed: told.is_closed,
        }
    }

    fn of_call(told: &'a Told) -> Option<Self> {
        match &told.what {
            What::Fact(Fact::Call(report)) => Some(Self::report(told, report)),
            What::HeldCall { own, until } => {
                Some(Self { outcome: HELD, until: Some(*until), ..Self::nothing(told, own) })
            }
            What::ReleasedCall { own } => Some(Self::nothing(told, own)),
            _ => None,
        }
    }

    fn report(told: &'a Told, report: &'a CallReport) -> Self {
        let outcome = report.outcome as u8;
        Self {
            provider: &report.provider_call_id,
            outcome,
            at: time_of_call(report, told.at),
            ended: set(report.ended_at),
            sign: [PLACED, RINGING].contains(&outcome).then_some(told.at),
            error: report.error,
            ..Self::nothing(told, &report.call_id)
        }
    }

    fn of_request(told: &'a Told) -> Option<Self> {
        match &told.what {
            What::Fact(Fact::Request(report)) => Some(Self::request(told, report)),
            What::HeldRequest { own, until } => {
                Some(Self { outcome: HELD, until: Some(*until), ..Self::nothing(told, own) })
            }
            What::ReleasedRequest { own } => Some(Self::nothing(told, own)),
            _ => None,
        }
    }

    /// A delivery tells that the request was sent.
    fn request(told: &'a Told, report: &'a RequestReport) -> Self {
        let is_delivery = report.outcome == RequestOutcome::Delivered;
        Self {
            provider: &report.provider_message_id,
            outcome: if is_delivery { SENT } else { report.outcome as u8 },
            delivered: is_delivery.then_some(told.at),
            ..Self::nothing(told, &report.request_id)
        }
    }
}

/// The earliest; of a request that was sent, of anything that tells that it was.
fn earliest(said: &[&Said<'_>], outcome: u8, is_request: bool) -> u64 {
    let tells = |one: &&&Said<'_>| {
        one.outcome == outcome || (is_request && outcome >= SENT && one.outcome >= SENT)
    };
    said.iter().filter(tells).map(|one| one.at).min().unwrap_or(0)
}

/// All that was said of one attempt, put together.
fn attempt(said: &[&Said<'_>], is_request: bool) -> Attempt {
    // In the order in which it was told: a release takes back what was held before it.
    let released = said.iter().rposition(|one| one.outcome == 0);
    let is_said = |n: usize| Some(n) > released || said[n].outcome > HELD;
    let said: Vec<_> = (0..said.len()).filter(|n| is_said(*n)).map(|n| said[n]).collect();
    let outcome = said.iter().map(|one| one.outcome).max().unwrap_or(0);
    let text =
        |of: fn(&Said<'_>) -> String| said.iter().map(|one| of(one)).max().unwrap_or_default();
    Attempt {
        own: text(|one| one.own.to_owned()),
        provider: text(|one| one.provider.to_owned()),
        outcome,
        at: earliest(&said, outcome, is_request),
        first: said.iter().filter(|one| one.outcome > 0).map(|one| one.reported).min().unwrap_or(0),
        ended: said.iter().filter_map(|one| one.ended).min(),
        delivered: said.iter().filter_map(|one| one.delivered).min(),
        until: said.iter().filter_map(|one| one.until).max(),
        sign: said.iter().filter_map(|one| one.sign).max(),
        error: said.iter().map(|one| one.error).max().unwrap_or(0),
        is_closed: said.iter().any(|one| one.is_closed),
        is_request,
    }
}

/// Everything that was said, by what it names: under each provider's id with or without ours, and
/// under our id alone.
fn by_name<'s, 'a>(said: &'s [Said<'a>]) -> Vec<Vec<&'s Said<'a>>> {
    let mut named: Vec<Vec<&Said<'_>>> = Vec::new();
    for one in said {
        let is_same = |of: &&mut Vec<&Said<'_>>| {
            let first = of[0];
            first.is_closed == one.is_closed
                && first.home == one.home
                && first.provider == one.provider
                && (!one.provider.is_empty() || first.own == one.own)
        };
        match named.iter_mut().find(is_same) {
            Some(known) => known.push(one),
            None => named.push(vec![one]),
        }
    }
    named
}

/// All rows of one attempt, put together.
fn joined(rows: &[&Attempt], is_request: bool) -> Attempt {
    let outcome = rows.iter().map(|row| row.outcome).max().unwrap_or(0);
    let tells = |row: &&&Attempt| {
        row.outcome == outcome || (is_request && outcome >= SENT && row.outcome >= SENT)
    };
    let text = |of: fn(&Attempt) -> &String| rows.iter().map(|row| of(row).clone()).max();
    Attempt {
        own: text(|row| &row.own).unwrap_or_default(),
        provider: text(|row| &row.provider).unwrap_or_default(),
        outcome,
        at: rows.iter().filter(tells).map(|row| row.at).min().unwrap_or(0),
        first: rows.iter().map(|row| row.first).min().unwrap_or(0),
        ended: rows.iter().filter_map(|row| row.ended).min(),
        delivered: rows.iter().filter_map(|row| row.delivered).min(),
        until: rows.iter().filter_map(|row| row.until).max(),
        sign: rows.iter().filter_map(|row| row.sign).max(),
        error: rows.iter().map(|row| row.error).max().unwrap_or(0),
        is_closed: rows.iter().any(|row| row.is_closed),
        is_request,
    }
}

/// What is kept under two ids of one customer by one name, put together.
fn of_both(rows: &[Attempt], is_request: bool) -> Vec<Attempt> {
    let name = |row: &Attempt| {
        let own = if row.provider.is_empty() { row.own.clone() } else { String::new() };
        (row.provider.clone(), own, row.is_closed)
    };
    let mut groups: Vec<Vec<&Attempt>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|of| name(of[0]) == name(row)) {
            Some(known) => known.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.iter().map(|of| joined(of, is_request)).collect()
}

/// The attempts: what was told by our id alone belongs to the attempt reported earliest, then to the
/// smaller provider's id; where there is none it is an attempt of its own.
fn attempts(rows: &[Attempt], is_request: bool) -> Vec<Attempt> {
    let (own, theirs): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.provider.is_empty());
    let mut groups: Vec<Vec<&Attempt>> = Vec::new();
    for row in theirs {
        let is_same = |of: &&mut Vec<&Attempt>| {
            of[0].provider == row.provider && of[0].is_closed == row.is_closed
        };
        match groups.iter_mut().find(is_same) {
            Some(known) => known.push(row),
            None => groups.push(vec![row]),
        }
    }
    for row in own {
        let first = |of: &[&Attempt]| of.iter().map(|row| row.first).min();
        let is_its = |of: &&mut Vec<&Attempt>| {
            of.iter().any(|other| other.own == row.own && other.is_closed == row.is_closed)
        };
        // One that has no provider's id is an attempt only where none has; of two ids it is one.
        let its = groups.iter_mut().filter(is_its);
        match its.min_by_key(|of| (of[0].provider.is_empty(), first(of), of[0].provider.clone())) {
            Some(its) => its.push(row),
            None => groups.push(vec![row]),
        }
    }
    let all = groups.iter().map(|of| joined(of, is_request));
    all.filter(|attempt| attempt.outcome > 0).collect()
}

/// What was told, as far as it makes a difference: to see whether one more report changes anything.
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded(Newest, Vec<Attempt>, Vec<Attempt>);

fn rows(said: &[Said<'_>], is_request: bool) -> Vec<Attempt> {
    by_name(said).iter().map(|of| attempt(of, is_request)).collect()
}

impl Recorded {
    /// What is kept under one id.
    pub fn under<'a>(id: &str, all: impl Iterator<Item = &'a Told> + Clone) -> Self {
        let told = all.filter(|told| told.is_under(id));
        let rows = told.clone().filter(|told| told.is_row_under(id));
        let Self(_, calls, requests) = Self::of(rows);
        Self(Newest::of(told), calls, requests)
    }

    /// The newest time of anything that counts, or 0.
    pub fn newest(&self) -> u64 {
        let Self(newest, calls, requests) = self;
        let replies = [&newest.accept, &newest.callback].into_iter().flatten().map(|yes| yes.at);
        let no = newest.rejects.values().copied();
        let taken = newest.taken.iter().map(|taken| taken.at);
        let theirs = [newest.inbound, newest.talked, newest.wrote].into_iter().flatten();
        let rows = calls.iter().chain(requests).map(|row| row.at.max(row.first));
        replies.chain(no).chain(taken).chain(theirs).chain(rows).max().unwrap_or(0)
    }

    pub fn of<'a>(told: impl Iterator<Item = &'a Told> + Clone) -> Self {
        let calls: Vec<Said<'_>> = told.clone().filter_map(Said::of_call).collect();
        let requests: Vec<Said<'_>> = told.clone().filter_map(Said::of_request).collect();
        Self(Newest::of(told), rows(&calls, false), rows(&requests, true))
    }
}

impl Facts {
    pub fn of<'a>(told: impl Iterator<Item = &'a Told> + Clone) -> Self {
        Self::from(Recorded::of(told))
    }

    /// Without what happened after `t`, as far as the newest of each kind still tells.
    pub fn until<'a>(t: u64, told: impl Iterator<Item = &'a Told> + Clone) -> Self {
        let Recorded(mut newest, mut calls, mut requests) = Recorded::of(told);
        newest.accept.take_if(|yes| yes.at > t);
        newest.rejects.retain(|_, at| *at <= t);
        newest.callback.take_if(|yes| yes.at > t);
        newest.taken.take_if(|taken| taken.at > t);
        for at in [&mut newest.inbound, &mut newest.talked, &mut newest.wrote] {
            at.take_if(|at| *at > t);
        }
        for (rows, is_request) in [(&mut calls, false), (&mut requests, true)] {
            *rows = of_both(rows, is_request);
            rows.retain(|row| row.at <= t);
            for row in rows {
                row.ended.take_if(|at| *at > t);
                row.delivered.take_if(|at| *at > t);
            }
        }
        Self::from(Recorded(newest, calls, requests))
    }

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
    fn from(Recorded(newest, calls, requests): Recorded) -> Self {
        let (calls, requests) = (attempts(&calls, false), attempts(&requests, true));
        Self { newest, calls, requests }
    }
}

impl Newest {
    fn of<'a>(told: impl Iterator<Item = &'a Told>) -> Self {
        let mut newest = Self::default();
        for one in told {
            if let What::Fact(fact) = &one.what {
                newest.join(fact, one.at);
            }
            if !one.spelled.is_empty() {
                newest.spelled = newest.spelled.max(Some((one.at, one.spelled.clone())));
            }
        }
        newest
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
                let known = if reply.automatic { &mut self.callback } else { &mut self.accept };
                if known.as_ref().is_none_or(|known| known.rank() < yes.rank()) {
                    *known = Some(yes);
                }
            }
            Fact::Reply(reply) if reply.automatic => {
                self.taken = self.taken.max(Some(Taken { at, by_reject: true }));
            }
            Fact::Reply(reply) => {
                let newest = self.rejects.entry(String::new()).or_default();
                *newest = at.max(*newest);
                let named = self.rejects.entry(reply.request_id.clone()).or_default();
                *named = at.max(*named);
            }
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
