//! What became of each call and request, put together from everything that was told of it
//! (`rules.md`, section 1).

use callgate::engine::fact::{CallOutcome, CallReport, Fact, RequestOutcome, RequestReport};

use super::told::{Told, What, set, time_of_call};

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

    /// As it was at `t`. Of what became of it later nothing had happened: it was one that is held and of
    /// which nothing else is known, if it was authorized and known by then.
    pub fn go_back(&mut self, t: u64) {
        self.ended.take_if(|at| *at > t);
        self.delivered.take_if(|at| *at > t);
        if self.at > t && self.until.is_some() && self.first <= t {
            (self.outcome, self.at, self.error) = (HELD, self.first, 0);
            (self.sign, self.ended, self.delivered) = (None, None, None);
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

/// What counts of what was said of one attempt, in the order in which it was told: a release takes back
/// what was held before it. And since when it is known: what was reported by then stays known since it
/// was held.
fn still_said<'s, 'a>(said: &[&'s Said<'a>]) -> (Vec<&'s Said<'a>>, Option<u64>) {
    let (mut kept, mut first) = (Vec::new(), None::<u64>);
    for one in said {
        if one.outcome > 0 {
            first = Some(first.map_or(one.reported, |first| first.min(one.reported)));
            kept.push(*one);
        } else {
            kept.retain(|one| one.outcome > HELD);
            first.take_if(|_| kept.is_empty());
        }
    }
    (kept, first)
}

/// All that was said of one attempt, put together.
fn attempt(said: &[&Said<'_>], is_request: bool) -> Attempt {
    let (said, first) = still_said(said);
    let outcome = said.iter().map(|one| one.outcome).max().unwrap_or(0);
    let text =
        |of: fn(&Said<'_>) -> String| said.iter().map(|one| of(one)).max().unwrap_or_default();
    Attempt {
        own: text(|one| one.own.to_owned()),
        provider: text(|one| one.provider.to_owned()),
        outcome,
        at: earliest(&said, outcome, is_request),
        first: first.unwrap_or(0),
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
pub fn of_both(rows: &[Attempt], is_request: bool) -> Vec<Attempt> {
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

/// All rows of one customer, the calls and the requests: by what they name.
pub fn rows<'a>(told: impl Iterator<Item = &'a Told> + Clone) -> (Vec<Attempt>, Vec<Attempt>) {
    let calls: Vec<Said<'_>> = told.clone().filter_map(Said::of_call).collect();
    let requests: Vec<Said<'_>> = told.filter_map(Said::of_request).collect();
    let put = |said: &[Said<'_>], is_request| {
        let rows = by_name(said);
        let rows = rows.iter().map(|of| attempt(of, is_request));
        // Of what was held and given back nothing is left.
        rows.filter(|row| row.outcome > 0).collect()
    };
    (put(&calls, false), put(&requests, true))
}

/// The attempts: what was told by our id alone belongs to the attempt reported earliest, then to the
/// smaller provider's id; where there is none it is an attempt of its own. `rows` has each name once.
pub fn attempts(rows: &[Attempt], is_request: bool) -> Vec<Attempt> {
    let (own, theirs): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.provider.is_empty());
    let mut groups: Vec<Vec<&Attempt>> = theirs.into_iter().map(|row| vec![row]).collect();
    for row in own {
        let is_its = |of: &&mut Vec<&Attempt>| {
            let head = of[0];
            !head.provider.is_empty() && head.own == row.own && head.is_closed == row.is_closed
        };
        let its = groups.iter_mut().filter(is_its);
        match its.min_by_key(|of| (of[0].first, of[0].provider.clone())) {
            Some(its) => its.push(row),
            None => groups.push(vec![row]),
        }
    }
    let all = groups.iter().map(|of| joined(of, is_request));
    all.filter(|attempt| attempt.outcome > 0).collect()
}
