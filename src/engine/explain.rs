//! Answers as plain sentences for a person: one per decision, in UTC, with a date when it is not
//! today. Names of all codes, for logs, metrics and the command line, are here as well.

use chrono::{DateTime, Duration, Timelike as _, Utc};

pub use crate::engine::code::{
    decision_name, event_status_name, grant_kind_name, grant_source_name, next_step_name,
    quota_name, reason_name, status_name, warning_name,
};
use crate::engine::{
    code::{decision, quota, reason, status, warning},
    gate::Answer,
    profile::NumberFacts,
    step::{Reply, View},
    time::Millis,
};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The windows of the request quotas are the same in every profile.
pub const REQUEST_DAY: u64 = DAY;
/// See [`REQUEST_DAY`].
pub const REQUEST_WEEK: u64 = 7 * DAY;

/// Told of a number: no.
const NO: u8 = 1;
/// Told of a number: yes.
const YES: u8 = 2;

/// Why a call may or may not be placed, e.g. "5 of 5 answered calls in 24 h; next free 14:05:00 UTC".
pub fn call(answer: &Answer) -> String {
    let Answer { reply, profile, .. } = answer;
    let view = &reply.view;
    if reply.decision != decision::ALLOW {
        return denied(answer);
    }
    if reply.reason == reason::RULES_NOT_APPLICABLE {
        return "not a WhatsApp call: WhatsApp's permission rules do not apply".to_owned();
    }
    let grant = match view.expires_at.get() {
        Some(end) => format!("permission until {}", time(end, reply.now)),
        None => "permanent permission".to_owned(),
    };
    let calls = Fill::of(view, quota::CALLS_IN_WINDOW);
    let held_already = if reply.replayed == 0 { "" } else { "; its slot was held already" };
    format!(
        "{grant}; {} of {} calls in {} counted or held{held_already}",
        calls.used + calls.held,
        calls.limit,
        span(profile.call_window)
    )
}

/// Why a permission request may or may not be sent.
pub fn request(answer: &Answer) -> String {
    let Answer { reply, profile, .. } = answer;
    if reply.decision != decision::ALLOW {
        return denied(answer);
    }
    let why = match reply.reason {
        reason::TEMPORARY_PERMISSION | reason::PERMANENT_PERMISSION => {
            let fate = if profile.request_ends_permission { "it ends" } else { "it stands beside" };
            format!("{fate} the {}", grant_in_effect(answer))
        }
        consent => clause(consent, answer),
    };
    let held_already = if reply.replayed == 0 { "" } else { "; its slot was held already" };
    format!("a permission request may be sent: {why}{held_already}")
}

/// What a warning on ALLOW means.
pub fn warning(code: u8, answer: &Answer) -> String {
    let Answer { reply, profile, .. } = answer;
    let (warns_at, revokes_at) = (profile.unanswered_warns_at, profile.unanswered_revokes_at);
    let missed = match reply.view.streak {
        1 => "1 unanswered call in a row".to_owned(),
        streak => format!("{streak} unanswered calls in a row"),
    };
    match code {
        warning::NEXT_MISS_WARNS_CUSTOMER => {
            format!("{missed}: at {warns_at} the customer is asked to review the permission")
        }
        warning::CUSTOMER_WARNED => format!(
            "{missed}: the customer was asked to review the permission; {revokes_at} revoke it"
        ),
        warning::NEXT_MISS_REVOKES => format!("{missed}: one more revokes the permission"),
        warning::LAST_CALL_IN_WINDOW => {
            let calls = Fill::of(&reply.view, quota::CALLS_IN_WINDOW);
            format!("this call is the last of {} in {}", calls.limit, span(profile.call_window))
        }
        warning::PERMISSION_EXPIRES_SOON => match reply.view.expires_at.get() {
            Some(end) => format!("the permission ends {}", time(end, reply.now)),
            None => "the permission ends soon".to_owned(),
        },
        unknown => warning_name(unknown).to_owned(),
    }
}

/// A span for a person: "24 h", "7 d", "90 s". Milliseconds.
pub fn span(ms: u64) -> String {
    match ms {
        _ if ms >= 2 * DAY && ms.is_multiple_of(DAY) => format!("{} d", ms / DAY),
        _ if ms >= HOUR && ms.is_multiple_of(HOUR) => format!("{} h", ms / HOUR),
        _ if ms >= 2 * MINUTE && ms.is_multiple_of(MINUTE) => format!("{} min", ms / MINUTE),
        _ if ms.is_multiple_of(SECOND) => format!("{} s", ms / SECOND),
        _ => format!("{ms} ms"),
    }
}

/// An instant for a person: "14:05:00 UTC", with a date when it is not the day of `now`. Rounded up
/// to a second, so that nobody calls early.
pub fn time(at: Millis, now: Millis) -> String {
    let at = whole_second(at.utc());
    let format = if at.date_naive() == now.utc().date_naive() {
        "%H:%M:%S UTC"
    } else {
        "%Y-%m-%d %H:%M:%S UTC"
    };
    at.format(format).to_string()
}

fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    let floor = at.with_nanosecond(0).unwrap_or(at);
    if floor == at { at } else { floor.checked_add_signed(Duration::seconds(1)).unwrap_or(at) }
}

// === a denial ===

/// All that stands in the way, the deciding reason first, and when it is over.
fn denied(answer: &Answer) -> String {
    let reply = &answer.reply;
    let others = reply.blocked_by.iter().copied().filter(|&other| other != reply.reason);
    let mut sentence = clause(reply.reason, answer);
    for other in others {
        sentence.push_str("; also ");
        sentence.push_str(&clause(other, answer));
    }
    if let Some(tail) = when_free(reply) {
        // A pause or a grant has told its end already.
        if !sentence.contains(&tail.at) {
            sentence.push_str(&tail.text);
        }
    } else if let Some(end) = frees_too_late(reply) {
        sentence.push_str("; nothing frees before the permission ends ");
        sentence.push_str(&time(end, reply.now));
    }
    sentence
}

struct Tail {
    at: String,
    text: String,
}

fn when_free(reply: &Reply) -> Option<Tail> {
    let at = time(reply.free_at.get()?, reply.now);
    Some(Tail { text: format!("; next free {at}"), at })
}

/// A limit alone stands in the way, and the grant is over before it frees.
fn frees_too_late(reply: &Reply) -> Option<Millis> {
    let is_limit = |code: &u8| {
        matches!(
            *code,
            reason::CALL_WINDOW_LIMIT | reason::CALL_PERMISSION_LIMIT | reason::CALL_IN_PROGRESS
        )
    };
    let only_limits = reply.blocked_by.iter().all(is_limit) && is_limit(&reply.reason);
    if only_limits { reply.view.expires_at.get() } else { None }
}

/// One thing that stands in the way.
fn clause(code: u8, answer: &Answer) -> String {
    let Answer { reply, profile, .. } = answer;
    let view = &reply.view;
    let calls = |kind, within: &str| {
        Fill::of(view, kind).sentence("answered", "answered calls", "calls", within)
    };
    let requests = |kind, window| {
        let (things, within) = ("permission requests", format!("in {}", span(window)));
        Fill::of(view, kind).sentence("sent", "permission requests sent", things, &within)
    };
    match code {
        reason::NEVER_ASKED => "the customer was never asked for permission".to_owned(),
        reason::AWAITING_REPLY => awaiting(view, profile.request_lapses_after, reply.now),
        reason::REJECTED => "the customer rejected the permission request".to_owned(),
        reason::REVOKED => "the customer took the permission back".to_owned(),
        reason::AUTO_REVOKED => format!(
            "the provider took the permission back: {} unanswered calls in a row, or it refused a \
             call",
            profile.unanswered_revokes_at
        ),
        reason::EXPIRED => "the temporary permission has run out".to_owned(),
        reason::REQUEST_LAPSED => format!(
            "the customer did not answer the permission request within {}",
            span(profile.request_lapses_after)
        ),
        reason::CALL_WINDOW_LIMIT => {
            calls(quota::CALLS_IN_WINDOW, &format!("in {}", span(profile.call_window)))
        }
        reason::CALL_PERMISSION_LIMIT => {
            calls(quota::CALLS_IN_PERMISSION, "within this permission")
        }
        reason::CALL_IN_PROGRESS => match profile.calls_at_once {
            1 => "a call is in progress".to_owned(),
            limit => format!("{limit} calls are in progress, the most at once"),
        },
        reason::BUSINESS_NUMBER_PAUSED => paused(&reply.number, reply.now),
        reason::REQUEST_DAY_LIMIT => requests(quota::REQUESTS_PER_DAY, REQUEST_DAY),
        reason::REQUEST_WEEK_LIMIT => requests(quota::REQUESTS_PER_WEEK, REQUEST_WEEK),
        reason::PERMISSION_IN_EFFECT => in_effect(answer),
        other => reason_name(other).replace('_', " "),
    }
}

/// While PENDING, `valid_until` is when the request lapses, `lapses_after` after it went out.
fn awaiting(view: &View, lapses_after: u64, now: Millis) -> String {
    match view.valid_until.get() {
        Some(end) if view.status == status::PENDING => format!(
            "asked at {}, awaiting the customer's reply until {}",
            time(Millis(end.0.saturating_sub(lapses_after)), now),
            time(end, now)
        ),
        _ => "the customer was asked, and a reply is awaited".to_owned(),
    }
}

fn grant_in_effect(answer: &Answer) -> String {
    match answer.reply.view.expires_at.get() {
        Some(end) => format!("permission until {}", time(end, answer.reply.now)),
        None => "permanent permission".to_owned(),
    }
}

fn in_effect(answer: &Answer) -> String {
    let is_temporary = answer.reply.view.expires_at.get().is_some();
    let mend = if is_temporary || answer.profile.request_ends_permission {
        ", and replace_permission is not set"
    } else {
        ", and no request can replace it"
    };
    format!("a {} is in effect{mend}", grant_in_effect(answer))
}

/// Which of its pauses are on is judged at `now`, as the rulebook does. A pause of permission requests
/// alone matters where nothing else stops them.
fn paused(number: &NumberFacts, now: Millis) -> String {
    let pause = |told: u8, until: Millis, what: &str| match until.get() {
        _ if told != YES => None,
        None => Some(format!("{what} paused without end")),
        Some(until) if now < until => Some(format!("{what} paused until {}", time(until, now))),
        Some(_) => None,
    };
    let disabled =
        (number.calling == NO).then(|| "calling is disabled on the business number".to_owned());
    let paused = pause(number.pause, number.paused_until, "the business number is");
    let parts: Vec<_> = disabled.into_iter().chain(paused).collect();
    if !parts.is_empty() {
        return parts.join(" and ");
    }
    pause(
        number.request_pause,
        number.requests_paused_until,
        "permission requests of the business number are",
    )
    .unwrap_or_else(|| "the business number is paused".to_owned())
}

/// One quota of a view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// At most so many; 0: no limit, for calls in permission.
    pub limit: u32,
    /// Counted.
    pub used: u32,
    /// Held.
    pub held: u32,
    /// When the next slot frees, or unset.
    pub free_at: Millis,
}

impl Fill {
    /// Reads the columns of a `QuotaKind`.
    pub fn of(view: &View, kind: u8) -> Self {
        let row = usize::from(kind).saturating_sub(1);
        let at = |column: &[u32]| column.get(row).copied().unwrap_or_default();
        Self {
            limit: at(&view.quota_limit),
            used: at(&view.quota_used),
            held: at(&view.quota_held),
            free_at: view.quota_free_at.get(row).copied().unwrap_or_default(),
        }
    }

    /// `all_done` is what counts of `things`: "answered calls" of "calls" that are "answered".
    fn sentence(self, done: &str, all_done: &str, things: &str, within: &str) -> String {
        let Self { limit, used, held, .. } = self;
        if held == 0 {
            format!("{used} of {limit} {all_done} {within}")
        } else {
            format!("{used} {done} and {held} held of {limit} {things} {within}")
        }
    }
}
