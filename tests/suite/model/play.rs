//! Plays a history to the referee and to a host, and compares what they answer.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use callgate::engine::{
    code::{next_step, reason, status},
    fact::NumberReport,
    pair::{Customer, Pair, PhoneNumberId},
    profile::Profile,
    step::{Command, NumberStep, Reply, Step},
    time::Millis,
};

use super::referee::Referee;
use crate::stories::{START, host::Host, moment::show};

/// One thing that happens on a business number.
#[derive(Debug, Clone)]
pub struct Deed {
    pub now: u64,
    pub act: Act,
}

/// What.
#[derive(Debug, Clone)]
pub enum Act {
    /// A command on the customer with this `wa_id` and user id.
    Pair((String, String), Command),
    /// A report on the business number.
    Number(NumberReport),
    /// The customer is forgotten.
    Forget((String, String)),
}

/// Where the host and the referee part: what was expected of the last deed, and what came.
pub type Difference = String;

/// A game between a host and the referee, on a business number of its own.
pub struct Game<'a> {
    host: &'a dyn Host,
    number: PhoneNumberId,
    pub referee: Referee,
    /// Under one id each change is one more; of two the view shows the larger.
    pub counts_revisions: bool,
}

static NUMBERS: AtomicU64 = AtomicU64::new(1);

impl<'a> Game<'a> {
    pub fn new(host: &'a dyn Host, profile: Profile) -> Self {
        let n = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let number = PhoneNumberId::parse(&format!("7000{}{n:08}", std::process::id()), "number");
        Self {
            host,
            number: number.expect("digits"),
            referee: Referee::new(profile),
            counts_revisions: true,
        }
    }

    /// Lets it happen on both sides.
    pub async fn play(&mut self, deed: &Deed) -> Result<(), Difference> {
        self.host.move_clock(Millis(deed.now));
        match &deed.act {
            Act::Pair(who, command) => self.command(who, command, deed.now).await,
            Act::Number(report) => self.number(report, deed.now).await,
            Act::Forget(who) => self.forget(who, deed.now).await,
        }
    }

    async fn command(
        &mut self,
        (wa, user): &(String, String),
        command: &Command,
        now: u64,
    ) -> Result<(), Difference> {
        let customer = Customer::parse(wa, user, "customer").expect("ids of the author");
        let key = customer.wa().map_or("", |wa| wa.key()).to_owned();
        let pair = Pair { number: self.number.clone(), customer };
        let profile = self.referee.profile.clone();
        let step =
            Step { pair: &pair, command: command.clone(), profile: &profile, now: Millis(now) };
        let got = self.host.step(step).await;
        let expected = self.referee.step((&key, user), command, now);
        let got = got.map_err(|error| format!("    no answer: {error:?}"))?;
        let (mut one, mut other) = (plain(&expected), plain(&got));
        if !self.counts_revisions {
            (one.view.revision, other.view.revision) = (0, 0);
        }
        if one != other && self.referee.is_past_blurred() {
            blur(&mut one);
            blur(&mut other);
        }
        if one == other {
            return Ok(());
        }
        Err(differs(&one, &other))
    }

    async fn forget(&mut self, (wa, user): &(String, String), now: u64) -> Result<(), Difference> {
        let customer = Customer::parse(wa, user, "customer").expect("ids of the author");
        let key = customer.wa().map_or("", |wa| wa.key()).to_owned();
        let profile = self.referee.profile.clone();
        let got = self.host.forget(&self.number, &customer, &profile).await;
        // A hold that was given back leaves a record without facts, which may be gone already.
        let is_empty = self.referee.knows_nothing_of((&key, user));
        let expected = self.referee.forget((&key, user), now);
        if got == Ok(expected) || (is_empty && got.is_ok()) {
            return Ok(());
        }
        Err(format!("    expected that there was anything: {expected}, got {got:?}"))
    }

    async fn number(&mut self, report: &NumberReport, now: u64) -> Result<(), Difference> {
        let step =
            NumberStep { number: &self.number, report: Some(report.clone()), now: Millis(now) };
        let got = self.host.number(step).await;
        let mut expected = self.referee.number(Some(report), now);
        if let Ok(got) = &got {
            expected.problem.clone_from(&got.problem);
            if !expected.field.is_empty() && !got.field.is_empty() {
                return Ok(());
            }
        }
        if got.as_ref() == Ok(&expected) {
            return Ok(());
        }
        Err(in_words(&format!("expected {expected:?}\ngot {got:?}")))
    }
}

/// What both must say alike: lists whose order says nothing are put in order, texts left out.
fn plain(reply: &Reply) -> Reply {
    if !reply.refused.is_empty() {
        return Reply { refused: reply.refused.clone(), ..Reply::default() };
    }
    let mut reply = reply.clone();
    reply.problem.clear();
    reply.field.clear();
    reply.blocked_by.sort_unstable();
    reply.warnings.sort_unstable();
    reply.log_end = callgate::engine::change::Position::START;
    let view = &mut reply.view;
    let mut entries: Vec<_> = (0..view.entry_id.len())
        .map(|i| {
            let times = (view.entry_at[i], view.entry_frees_at[i], view.entry_held[i]);
            (view.entry_quota[i], times, view.entry_id[i].clone())
        })
        .collect();
    entries.sort();
    view.entry_quota = entries.iter().map(|entry| entry.0).collect();
    view.entry_at = entries.iter().map(|entry| entry.1.0).collect();
    view.entry_frees_at = entries.iter().map(|entry| entry.1.1).collect();
    view.entry_held = entries.iter().map(|entry| entry.1.2).collect();
    view.entry_id = entries.into_iter().map(|entry| entry.2).collect();
    reply
}

/// Without consent it is all one why: see [`Referee::is_past_blurred`].
fn blur(reply: &mut Reply) {
    let why = |code: &mut u8| {
        if (reason::NEVER_ASKED..=reason::REQUEST_LAPSED).contains(code) {
            *code = reason::NEVER_ASKED;
        }
    };
    why(&mut reply.reason);
    reply.blocked_by.iter_mut().for_each(why);
    if reply.next_step == next_step::WAIT_FOR_CUSTOMER {
        reply.next_step = next_step::SEND_PERMISSION_REQUEST;
    }
    if reply.view.status != status::GRANTED {
        reply.view.status = status::NONE;
        reply.view.valid_until = Millis::ZERO;
    }
}

/// The fields of two answers that are not the same.
fn differs(expected: &Reply, got: &Reply) -> String {
    let mut text = String::new();
    for ((field, one), (_, other)) in std::iter::zip(fields(expected), fields(got)) {
        if one != other {
            let (one, other) = (in_words(&one), in_words(&other));
            let _ = writeln!(text, "    {field}: expected {one}, got {other}");
        }
    }
    text
}

macro_rules! each {
    ($of:expr, $($field:ident)*) => { vec![$((stringify!($field), format!("{:?}", $of.$field))),*] };
}

fn fields(reply: &Reply) -> Vec<(&'static str, String)> {
    let mut fields = each!(reply, refused result decision reason blocked_by next_step free_at
        lease_expires_at warnings replayed now number);
    fields.extend(each!(reply.view, wa_id user_id status grant_kind grant_source granted_at expires_at
        valid_until streak conversation_ends_at revision quota_limit quota_used quota_held quota_free_at
        entry_quota entry_id entry_at entry_frees_at entry_held));
    fields
}

/// Instants as a story writes them.
fn in_words(value: &str) -> String {
    let mut parts = value.split("Millis(");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (at, rest) = part.split_once(')').unwrap_or((part, ""));
        let at = at.parse().map_or_else(
            |_| at.to_owned(),
            |at| match at {
                0 => "never".to_owned(),
                at => show(Millis(at), START),
            },
        );
        text += &at;
        text += rest;
    }
    text
}
