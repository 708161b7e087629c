//! The history of one pair as a person reads it: one line for each question, in the order in which
//! they were sent, seconds from the first.

use std::fmt::Write as _;

use callgate::proto::{EventStatus, Permission, QuotaKind, event::Fact};

use crate::proof::{
    history::judged_at,
    ledger::{Answer, Asked, Entry, ms},
};

/// So many lines tell enough.
const LINES_MAX: usize = 120;

/// The first lines of a pair that have one of `words` in them, or a yes or no of the customer, without
/// what was known already.
pub(super) fn of(entries: &[Entry], pair: &str, words: &[String]) -> String {
    let of_pair = entries.iter().filter(|entry| entry.pair == pair && !is_old_news(entry));
    let of_pair: Vec<&Entry> = of_pair.collect();
    let Some(first) = of_pair.first() else { return String::new() };
    let from = first.sent.ms / 1000 * 1000;
    let mut text = format!("{pair}: seconds sent, answered, judged, happened; from {from} on\n");
    let lines = of_pair.iter().map(|entry| line(entry, from));
    let told = of_pair.iter().zip(lines).filter(|(entry, line)| {
        is_consent(entry) || words.iter().any(|word| line.split(' ').any(|part| part == word))
    });
    let told: Vec<String> = told.map(|(_, line)| line).collect();
    for line in told.iter().take(LINES_MAX) {
        let _ = writeln!(text, "{line}");
    }
    let left_out = told.len().saturating_sub(LINES_MAX);
    if left_out > 0 {
        let _ = writeln!(text, "  ({left_out} more)");
    }
    text
}

fn is_old_news(entry: &Entry) -> bool {
    let status = match entry.known() {
        Some((_, Answer::Told { status, .. })) => *status,
        _ => EventStatus::Recorded,
    };
    status == EventStatus::Duplicate
}

fn is_consent(entry: &Entry) -> bool {
    match &entry.asked {
        Asked::Tell(event) => matches!(event.fact, Some(Fact::Reply(_) | Fact::InboundCall(_))),
        Asked::Forget => true,
        _ => false,
    }
}

fn line(entry: &Entry, from: u64) -> String {
    let since = |ms: u64| {
        let (ms, sign) = if ms < from { (from - ms, "-") } else { (ms - from, "") };
        format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
    };
    let answered = entry.answer.as_ref().map_or("-".to_owned(), |(at, _)| since(at.ms));
    let judged = judged_at(entry).map_or("-".to_owned(), since);
    let happened = match &entry.asked {
        Asked::Tell(event) => since(ms(event.occurred_at)),
        _ => String::new(),
    };
    let times = format!("{:>8} {answered:>8} {judged:>8} {happened:>8}", since(entry.sent.ms));
    format!("{times}  {} => {}", asked(&entry.asked), answer(entry.answer.as_ref(), &since))
}

fn asked(asked: &Asked) -> String {
    match asked {
        Asked::Call { call_id, .. } => format!("call {call_id} ?"),
        Asked::Request { request_id, replace } => {
            format!("request {request_id} {}?", if *replace { "replacing " } else { "" })
        }
        Asked::Forget => "forget".to_owned(),
        Asked::View { .. } => "view".to_owned(),
        Asked::Tell(event) => {
            let id = &event.event_id;
            match &event.fact {
                Some(Fact::Call(call)) => {
                    format!("{id} : call {} {}", call.call_id, call.outcome().as_str_name())
                }
                Some(Fact::Request(request)) => {
                    let outcome = request.outcome().as_str_name();
                    format!("{id} : request {} {outcome}", request.request_id)
                }
                Some(Fact::Reply(reply)) => {
                    let by = if reply.automatic { " by the provider" } else { "" };
                    let how = if reply.permanent { " for good" } else { "" };
                    format!("{id} : {}{how}{by}", reply.response().as_str_name())
                }
                Some(Fact::InboundCall(_)) => format!("{id} : the customer calls"),
                _ => format!("{id} : the customer writes"),
            }
        }
    }
}

fn answer(
    answer: Option<&(crate::proof::ledger::Moment, Answer)>,
    since: &dyn Fn(u64) -> String,
) -> String {
    let Some((_, answer)) = answer else { return "no answer".to_owned() };
    match answer {
        Answer::Told { status: EventStatus::Unspecified, .. } => "recorded or known".to_owned(),
        Answer::Told { status, .. } => status.as_str_name().to_owned(),
        Answer::Verdict(verdict) if verdict.is_allowed => {
            let again = if verdict.is_replayed { " again" } else { "" };
            let until = since(verdict.lease_expires_at);
            format!("ALLOW{again}, held until {until}{}", quotas(&verdict.permission))
        }
        Answer::Verdict(verdict) => format!("DENY {}", verdict.reason.as_str_name()),
        Answer::Exists => "is over".to_owned(),
        Answer::Forgotten => "forgotten".to_owned(),
        Answer::View(permission) => quotas(permission),
        Answer::Refused(why) | Answer::Unknown(why) => why.clone(),
    }
}

/// The call quotas, with what fills them where that is told.
fn quotas(permission: &Permission) -> String {
    let mut text = String::new();
    for quota in &permission.quotas {
        if matches!(quota.kind(), QuotaKind::CallsInWindow | QuotaKind::CallsInPermission) {
            let (used, held, limit) = (quota.used, quota.held, quota.limit);
            let _ = write!(text, " ; {used} used and {held} held of {limit}");
            for entry in &quota.entries {
                let _ = write!(text, " {}", entry.id);
            }
        }
    }
    text
}
