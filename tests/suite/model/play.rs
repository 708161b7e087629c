//! Plays a history to the referee and to a host, and compares what they answer.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use callgate::engine::{
    change::{Change, Position},
    code::{change_cause, change_cause_name, next_step, reason, status, status_name},
    fact::{NumberReport, Told as Said},
    pair::{Customer, Pair, PhoneNumberId},
    profile::Profile,
    step::{Command, NumberStep, Reply, Step},
    time::Millis,
};

use super::{owners::alone, referee::Referee};
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

/// What is played for a deed: who is concerned by a setting is settled right before and right after, as
/// the sweeper does.
pub fn played(deed: &Deed, referee: &Referee) -> Vec<Deed> {
    let Act::Number(NumberReport { inbound_call_grants: Said::No | Said::Yes, .. }) = deed.act
    else {
        return vec![deed.clone()];
    };
    let settle = |id: &String| {
        let (wa, user) = alone(id);
        let who = (wa.to_owned(), user.to_owned());
        Deed { now: deed.now, act: Act::Pair(who, Command::Settle {}) }
    };
    let ids = referee.all_ids();
    let mut deeds: Vec<Deed> = ids.iter().map(settle).collect();
    deeds.push(deed.clone());
    deeds.extend(ids.iter().map(settle));
    deeds
}

/// A game between a host and the referee, on a business number of its own.
pub struct Game<'a> {
    host: &'a dyn Host,
    number: PhoneNumberId,
    pub referee: Referee,
    /// Under one id each change is one more; of two the view shows the larger.
    pub counts_revisions: bool,
    heard_to: Option<Position>,
    /// The causes that the reply to the last command named; `None`: another deed.
    named: Option<Vec<u8>>,
    now: u64,
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
            heard_to: None,
            named: None,
            now: START.0,
        }
    }

    /// Lets it happen on both sides.
    pub async fn play(&mut self, deed: &Deed) -> Result<(), Difference> {
        self.host.move_clock(Millis(deed.now));
        self.looks_at_who_is_not_due(deed.now)?;
        let unheard = |error| format!("    the log cannot be read: {error:?}");
        for deed in played(deed, &self.referee) {
            if self.heard_to.is_none() {
                let told = self.host.told(&self.number, None).await;
                self.heard_to = Some(told.map_err(unheard)?.1);
            }
            // A customer who is forgotten takes the past along.
            let was_blurred = self.referee.is_past_blurred();
            match &deed.act {
                Act::Pair(who, command) => self.command(who, command, deed.now).await?,
                Act::Number(report) => self.number(report, deed.now).await?,
                Act::Forget(who) => self.forget(who, deed.now).await?,
            }
            let (told, end) = self.host.told(&self.number, self.heard_to).await.map_err(unheard)?;
            self.heard_to = Some(end);
            let heard: Vec<u8> = told.iter().map(|change| change.cause).collect();
            if let Some(named) = self.named.take().filter(|named| *named != heard) {
                return Err(format!(
                    "    the reply names the causes {named:?}, heard are {heard:?}"
                ));
            }
            self.hear(&told, was_blurred || self.referee.is_past_blurred())?;
        }
        Ok(())
    }

    /// A sweeper asks only for those who are due: time has nothing to tell of anybody else.
    fn looks_at_who_is_not_due(&mut self, now: u64) -> Result<(), Difference> {
        if std::mem::replace(&mut self.now, now) == now {
            return Ok(());
        }
        for id in self.referee.all_ids() {
            if self.host.is_due(&self.number, &id, Millis(now)) != Some(false) {
                continue;
            }
            let mut then = self.referee.clone();
            then.walk(&id, now);
            if !then.news.is_empty() && !self.referee.is_past_blurred() {
                let text =
                    format!("{id} is not due, and there is to be told\n{}", lines(&then.news));
                return Err(in_words(&text));
            }
        }
        Ok(())
    }

    /// Under each id the same is told, in the same order.
    fn hear(&mut self, told: &[Change], is_blurred: bool) -> Result<(), Difference> {
        let expected = std::mem::take(&mut self.referee.news);
        if expected.is_empty() && told.is_empty() {
            return Ok(());
        }
        let counts_revisions = self.counts_revisions;
        let plain = |change: &Change, id: &str| {
            let mut change = Change { number: String::new(), format: 0, ..change.clone() };
            if !counts_revisions {
                change.revision = 0;
            }
            (change.wa == id || change.user == id).then_some(change)
        };
        let all = expected.iter().chain(told);
        let mut ids: Vec<&String> = all.flat_map(|change| [&change.wa, &change.user]).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids.into_iter().filter(|id| !id.is_empty()) {
            let of = |all: &[Change]| -> Vec<Change> {
                all.iter().filter_map(|change| plain(change, id)).collect()
            };
            let (mut one, mut other) = (of(&expected), of(told));
            if one != other && is_blurred {
                for changes in [&mut one, &mut other] {
                    changes.retain(|change| !is_of_the_past(change));
                    changes.iter_mut().for_each(blur_change);
                }
            }
            if one != other {
                let text = format!("of {id} expected\n{}got\n{}", lines(&one), lines(&other));
                return Err(in_words(&text));
            }
        }
        Ok(())
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
        self.named = Some(got.told.clone());
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
    // What a step did beside its answer is compared with what is heard, and looked at in `lapses`.
    reply.told.clear();
    reply.lapsed = 0;
    reply.problem.clear();
    reply.field.clear();
    reply.blocked_by.sort_unstable();
    reply.warnings.sort_unstable();
    reply.log_end = callgate::engine::change::Position::START;
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

/// Whether a change says only why there is no permission.
fn is_of_the_past(change: &Change) -> bool {
    let is_consent =
        ![change_cause::CUSTOMER_WARNED, change_cause::FORGOTTEN].contains(&change.cause);
    is_consent && change.status != status::GRANTED && change.previous_status != status::GRANTED
}

fn blur_change(change: &mut Change) {
    if change.status != status::GRANTED {
        (change.status, change.cause) = (status::NONE, 0);
        change.valid_until = Millis::ZERO;
    }
    if change.previous_status != status::GRANTED {
        change.previous_status = status::NONE;
    }
}

/// One change each, as a story tells it, then all else.
fn lines(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let cause = change_cause_name(change.cause).to_uppercase();
        let (from, to) = (status_name(change.previous_status), status_name(change.status));
        let (from, to) = (from.to_uppercase(), to.to_uppercase());
        let view = Reply { view: change.view(), ..Reply::default() };
        let _ = writeln!(
            text,
            "    {cause} @{:?} from {from} to {to} as {}+{} judged {:?} told {:?} {}",
            change.occurred_at,
            change.wa,
            change.user,
            change.judged_at,
            change.recorded_at,
            change.event_id
        );
        let empty = fields(&Reply::default());
        for ((field, value), (_, nothing)) in std::iter::zip(fields(&view), empty) {
            if value != nothing {
                let _ = write!(text, "      {field} {value}");
            }
        }
        text += "\n";
    }
    text
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
