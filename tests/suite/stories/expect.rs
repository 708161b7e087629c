//! The right column: what is expected of the answer. Only what a row names is compared. Both sides
//! are written out in the words of the story and compared as text.

use callgate::{
    engine::{
        Error,
        step::{NumberReply, Reply},
        time::Millis,
    },
    proto::{
        Decision, EventStatus, GrantKind, GrantSource, NextStep, PermissionStatus, Reason,
        WarningCode,
    },
};

use super::{
    moment::{instant, show},
    told,
};

/// What a host answered to a row.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// To a command on the pair.
    Pair(Box<Reply>),
    /// To a report on the business number.
    Number(Box<NumberReply>),
    /// Whether there was anything to forget.
    Forgot(bool),
    /// No answer.
    Failed(Error),
}

/// One thing that a row expects, both in the story's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expect {
    /// What is looked at, e.g. `window used`.
    pub key: String,
    /// What it must be.
    pub wanted: String,
}

const QUOTAS: [&str; 4] = ["window", "permission", "day", "week"];
const TIMES: [&str; 7] =
    ["granted", "expires", "valid_until", "conversation", "callable", "requestable", "lease"];

/// Reads the column.
pub(crate) fn parse(text: &str, start: Millis) -> Result<Vec<Expect>, String> {
    let mut expects = Vec::new();
    for item in text.split(';').map(str::trim).filter(|item| !item.is_empty()) {
        let (head, rest) = item.split_once(' ').unwrap_or((item, ""));
        parse_item(head, rest.trim(), start, &mut expects)
            .map_err(|problem| format!("expectation {item:?}: {problem}"))?;
    }
    if expects.is_empty() { Err("the row expects nothing".to_owned()) } else { Ok(expects) }
}

fn parse_item(head: &str, rest: &str, start: Millis, into: &mut Vec<Expect>) -> Result<(), String> {
    let mut add = |key: &str, wanted: &str| {
        into.push(Expect { key: key.to_owned(), wanted: wanted.to_owned() });
    };
    match head {
        "RECORDED" | "DUPLICATE" | "STALE" | "INVALID" => add("result", head),
        "FORGOTTEN" | "NOTHING" => add("forgot", head),
        "CHANGED" | "SAME" => add("number", head),
        "ALLOW" | "DENY" => {
            add("decision", head);
            if !rest.is_empty() {
                add("reason", known(Reason::from_str_name, "REASON", rest)?);
            }
        }
        "REFUSED" => {
            let (kind, field) = rest.split_once(' ').unwrap_or((rest, ""));
            if !["invalid", "exists", "full"].contains(&kind) {
                return Err("write invalid, exists or full".to_owned());
            }
            add("refused", kind);
            if !field.is_empty() {
                add("field", field);
            }
        }
        "status" => add(head, known(PermissionStatus::from_str_name, "PERMISSION_STATUS", rest)?),
        "grant" if rest == "none" => add(head, rest),
        "grant" => add(head, known(GrantKind::from_str_name, "GRANT_KIND", rest)?),
        "source" => add(head, known(GrantSource::from_str_name, "GRANT_SOURCE", rest)?),
        "next" if rest == "none" => add(head, rest),
        "next" => add(head, known(NextStep::from_str_name, "NEXT_STEP", rest)?),
        "blocked" => add(head, &names(Reason::from_str_name, "REASON", rest)?),
        "warnings" => add(head, &names(WarningCode::from_str_name, "WARNING_CODE", rest)?),
        "changes" => add(head, &told::check(rest, start)?),
        "streak" => add(head, &rest.parse::<u32>().map_err(|e| e.to_string())?.to_string()),
        "replayed" if ["yes", "no"].contains(&rest) => add(head, rest),
        "revision" if ["grew", "same"].contains(&rest) => add(head, rest),
        "wa" | "user" => add(head, rest),
        "entries" => {
            let (quota, list) = rest.split_once(' ').ok_or("write entries QUOTA LIST")?;
            if !QUOTAS.contains(&quota) {
                return Err(format!("no quota {quota:?}"));
            }
            add(&format!("entries {quota}"), &parse_entries(list, start)?);
        }
        _ if TIMES.contains(&head) => add(head, &time(rest, start)?),
        _ if QUOTAS.contains(&head) => parse_quota(head, rest, start, &mut add)?,
        _ => match head.strip_prefix("number.") {
            Some(field) if ["paused_until", "requests_paused_until"].contains(&field) => {
                add(head, &time(rest, start)?);
            }
            Some("calling" | "pause" | "request_pause" | "inbound_call_grants") => add(head, rest),
            _ => return Err("not understood".to_owned()),
        },
    }
    Ok(())
}

/// `3+1/5 free +24h`: used, held, limit and when a slot frees; `*` for any.
fn parse_quota(
    quota: &str,
    text: &str,
    start: Millis,
    add: &mut impl FnMut(&str, &str),
) -> Result<(), String> {
    let (counts, free) = text.split_once(" free ").unwrap_or((text, ""));
    let (taken, limit) = counts.split_once('/').ok_or("write used+held/limit")?;
    let (used, held) = taken.split_once('+').unwrap_or((taken, "0"));
    for (part, count) in [("used", used), ("held", held), ("limit", limit)] {
        if count.trim() != "*" {
            let count: u32 = count.trim().parse().map_err(|_| format!("{count:?} is no count"))?;
            add(&format!("{quota} {part}"), &count.to_string());
        }
    }
    if !free.is_empty() {
        add(&format!("{quota} free"), &time(free.trim(), start)?);
    }
    Ok(())
}

/// `c1 +0 > +24h, c2 +1m > +2m30s held`: id, since when, when it frees its slot.
fn parse_entries(text: &str, start: Millis) -> Result<String, String> {
    if text == "none" {
        return Ok(text.to_owned());
    }
    let mut entries = Vec::new();
    for entry in text.split(',') {
        let words: Vec<&str> = entry.split_whitespace().collect();
        let (id, at, frees, held) = match words[..] {
            [id, at, ">", frees] => (id, at, frees, ""),
            [id, at, ">", frees, "held"] => (id, at, frees, " held"),
            _ => return Err(format!("{entry:?}: write `id +0 > +24h`, perhaps `held`")),
        };
        entries.push(format!("{id} {} > {}{held}", time(at, start)?, time(frees, start)?));
    }
    Ok(entries.join(", "))
}

fn time(text: &str, start: Millis) -> Result<String, String> {
    if text == "never" {
        return Ok(text.to_owned());
    }
    Ok(show(instant(text, start)?, start))
}

fn show_or_never(at: Millis, start: Millis) -> String {
    at.get().map_or_else(|| "never".to_owned(), |at| show(at, start))
}

fn known<'a, T>(
    find: impl Fn(&str) -> Option<T>,
    prefix: &str,
    name: &'a str,
) -> Result<&'a str, String> {
    find(&format!("{prefix}_{name}")).map(|_| name).ok_or_else(|| format!("no {prefix}_{name}"))
}

/// A list whose order does not matter.
fn names<T>(find: impl Fn(&str) -> Option<T>, prefix: &str, text: &str) -> Result<String, String> {
    if text == "none" {
        return Ok(text.to_owned());
    }
    let mut names = Vec::new();
    for name in text.split_whitespace() {
        names.push(known(&find, prefix, name)?);
    }
    names.sort_unstable();
    Ok(names.join(" "))
}

/// What the answer says of `key`; `None` if it is not the kind of answer that speaks of it.
/// `revision` is the one before this row.
pub(crate) fn actual(key: &str, outcome: &Outcome, revision: u64, start: Millis) -> Option<String> {
    match outcome {
        Outcome::Failed(_) => None,
        Outcome::Forgot(any) => {
            (key == "forgot").then(|| if *any { "FORGOTTEN" } else { "NOTHING" }.to_owned())
        }
        Outcome::Number(reply) => match key {
            "number" => Some(if reply.changed != 0 { "CHANGED" } else { "SAME" }.to_owned()),
            "refused" => Some(if reply.field.is_empty() { "" } else { "invalid" }.to_owned()),
            "field" => Some(reply.field.clone()),
            _ => number(key.strip_prefix("number.")?, &reply.number, start),
        },
        Outcome::Pair(reply) => of_reply(key, reply, revision, start),
    }
}

fn number(
    field: &str,
    facts: &callgate::engine::profile::NumberFacts,
    start: Millis,
) -> Option<String> {
    Some(match field {
        "calling" => facts.calling.to_string(),
        "pause" => facts.pause.to_string(),
        "request_pause" => facts.request_pause.to_string(),
        "inbound_call_grants" => facts.inbound_call_grants.to_string(),
        "paused_until" => show_or_never(facts.paused_until, start),
        "requests_paused_until" => show_or_never(facts.requests_paused_until, start),
        _ => return None,
    })
}

fn of_reply(key: &str, reply: &Reply, revision: u64, start: Millis) -> Option<String> {
    if !reply.refused.is_empty() && !["refused", "field"].contains(&key) {
        return None;
    }
    let view = &reply.view;
    let name = |code: u8, name: Option<&'static str>, prefix: &str| match name {
        Some(name) if code != 0 => name[prefix.len()..].to_owned(),
        _ if code == 0 => "none".to_owned(),
        _ => format!("unknown code {code}"),
    };
    let reason = |code: u8| {
        name(code, Reason::try_from(i32::from(code)).ok().map(|r| r.as_str_name()), "REASON_")
    };
    let warning = |code: u8| {
        let code_name = WarningCode::try_from(i32::from(code)).ok().map(|w| w.as_str_name());
        name(code, code_name, "WARNING_CODE_")
    };
    macro_rules! named {
        ($code:expr, $type:ty, $prefix:literal) => {
            name($code, <$type>::try_from(i32::from($code)).ok().map(|e| e.as_str_name()), $prefix)
        };
    }
    Some(match key {
        "result" => named!(reply.result, EventStatus, "EVENT_STATUS_"),
        "decision" => named!(reply.decision, Decision, "DECISION_"),
        "reason" => reason(reply.reason),
        "next" => named!(reply.next_step, NextStep, "NEXT_STEP_"),
        "status" => named!(view.status, PermissionStatus, "PERMISSION_STATUS_"),
        "grant" => named!(view.grant_kind, GrantKind, "GRANT_KIND_"),
        "source" => named!(view.grant_source, GrantSource, "GRANT_SOURCE_"),
        "blocked" => list(reply.blocked_by.iter().map(|code| reason(*code)).collect()),
        "warnings" => list(reply.warnings.iter().map(|code| warning(*code)).collect()),
        "refused" => reply.refused.clone(),
        "field" => reply.field.clone(),
        "replayed" => if reply.replayed != 0 { "yes" } else { "no" }.to_owned(),
        "revision" => if view.revision > revision { "grew" } else { "same" }.to_owned(),
        "wa" => text(&view.wa_id),
        "user" => text(&view.user_id),
        "streak" => view.streak.to_string(),
        "granted" => show_or_never(view.granted_at, start),
        "expires" => show_or_never(view.expires_at, start),
        "valid_until" => show_or_never(view.valid_until, start),
        "conversation" => show_or_never(view.conversation_ends_at, start),
        "callable" | "requestable" => show_or_never(reply.free_at, start),
        "lease" => show_or_never(reply.lease_expires_at, start),
        _ => match key.split_once(' ') {
            Some(("entries", quota)) => entries(quota, reply, start)?,
            Some((quota, part)) => quota_part(quota, part, reply, start)?,
            None => number(key.strip_prefix("number.")?, &reply.number, start)?,
        },
    })
}

fn list(mut names: Vec<String>) -> String {
    names.sort_unstable();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

fn text(id: &str) -> String {
    if id.is_empty() { "none".to_owned() } else { id.to_owned() }
}

fn quota_part(quota: &str, part: &str, reply: &Reply, start: Millis) -> Option<String> {
    let i = QUOTAS.iter().position(|name| *name == quota)?;
    let view = &reply.view;
    Some(match part {
        "used" => view.quota_used.get(i)?.to_string(),
        "held" => view.quota_held.get(i)?.to_string(),
        "limit" => view.quota_limit.get(i)?.to_string(),
        "free" => show_or_never(*view.quota_free_at.get(i)?, start),
        _ => return None,
    })
}

fn entries(quota: &str, reply: &Reply, start: Millis) -> Option<String> {
    let kind = QUOTAS.iter().position(|name| *name == quota)? + 1;
    let view = &reply.view;
    if !view.entry_quota.is_sorted() {
        return Some("quotas out of order".to_owned());
    }
    let mut entries = Vec::new();
    for (i, id) in view.entry_id.iter().enumerate() {
        if usize::from(*view.entry_quota.get(i)?) == kind {
            let held = if *view.entry_held.get(i)? != 0 { " held" } else { "" };
            let at = show_or_never(*view.entry_at.get(i)?, start);
            let frees = show_or_never(*view.entry_frees_at.get(i)?, start);
            entries.push(format!("{id} {at} > {frees}{held}"));
        }
    }
    Some(if entries.is_empty() { "none".to_owned() } else { entries.join(", ") })
}

#[test]
fn expectations_are_read_and_compared() {
    let start = Millis(1_000_000_000);
    let text = "DENY CALL_WINDOW_LIMIT; window 3+1/5 free +24h; callable +60m; warnings none";
    let wanted = parse(text, start).unwrap();
    let mut reply = Reply {
        decision: Decision::Deny as u8,
        reason: Reason::CallWindowLimit as u8,
        free_at: Millis(1_003_600_000),
        ..Reply::default()
    };
    reply.view.quota_limit = vec![5];
    reply.view.quota_used = vec![3];
    reply.view.quota_held = vec![1];
    reply.view.quota_free_at = vec![Millis(1_086_400_001)];
    let outcome = Outcome::Pair(Box::new(reply));
    let wrong: Vec<String> = wanted
        .iter()
        .filter(|expect| actual(&expect.key, &outcome, 0, start).as_ref() != Some(&expect.wanted))
        .map(|expect| expect.key.clone())
        .collect();
    assert_eq!(wrong, ["window free"], "all but the one millisecond");
    for text in ["", "DENY SOMETHING", "window 3", "status GREEN", "soon", "callable 5"] {
        assert!(parse(text, start).is_err(), "{text}");
    }
}
