//! Field `calls`: what became of our calls, and who called us.
//!
//! Whether a call was picked up is told by `start_time`, `duration` or ACCEPTED and by nothing else:
//! the `connect` of our own call is the media answer that comes before anybody picks up, and
//! `status` says COMPLETED of calls that rang out.

use std::time::Duration;

use serde_json::Value;

use crate::{
    engine::{
        fact::{CallOutcome, CallReport, Fact, InboundCall},
        pair::Pair,
        time::Millis,
    },
    webhook::{
        messages::{event_id, readable_customer_of},
        payload::{
            Reason, attached_id, codes, id, instant, is_told, seconds, seconds_required, text,
            whole, word,
        },
        translate::{Meaning, Scope, Source, Translation},
    },
};

/// "Accepted, media state unknown".
const UNCERTAIN: i32 = 138_023;
/// "No approved call permission".
const NO_PERMISSION: i32 = 138_006;

/// Who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Business,
    Customer,
}

/// Translates `calls`. The errors of a call that failed stand beside the list; they are tied to a
/// call only where there is but one that they can be about.
pub(crate) fn calls<'a>(all: &mut Translation<'a>, scope: &Scope<'a>, list: &'a [Value]) {
    let beside = codes(scope.change.value, NO_PERMISSION);
    let open: Vec<&Value> = match &beside {
        Ok(codes) if codes.is_empty() => Vec::new(),
        _ => list.iter().filter(|call| is_open(call)).collect(),
    };
    let is_blamed = |call: &Value| open.iter().any(|open| std::ptr::eq(*open, call));
    // One that is listed twice is still one.
    let is_one = open.windows(2).all(|two| two[0].get("id") == two[1].get("id"));
    let mut ambiguous = false;
    for call in list {
        let is_sole = is_one && is_blamed(call);
        let is_ours = caller(scope, call).is_ok_and(|caller| caller == Caller::Business);
        if is_ours && is_blamed(call) && (!is_one || beside.is_err()) {
            ambiguous = true;
            continue;
        }
        let codes = if is_sole { beside.clone().unwrap_or_default() } else { Vec::new() };
        let (event, meaning) = self::call(scope, call, &codes, list.len() == 1);
        all.add(event, meaning, Source::items(scope, "calls", vec![call], is_sole));
    }
    if open.is_empty() && !beside.as_ref().is_ok_and(Vec::is_empty) {
        let source = Source::whole(scope.change, scope.number.as_str());
        all.add("errors", Ok(Meaning::Ignored("errors_of_no_call")), source);
    }
    if ambiguous {
        // Kept together, so that to look at one of them again does not make it the only one.
        let why = match beside {
            Ok(_) => "errors that could be about several calls".into(),
            Err(why) => why,
        };
        all.add("call_terminate", Err(why), Source::items(scope, "calls", open, true));
    }
}

/// Whether errors beside the list can be about this call: it ended, was never picked up, and brings
/// no errors of its own.
fn is_open(call: &Value) -> bool {
    let has_none = codes(call, NO_PERMISSION).is_ok_and(|own| own.is_empty());
    word(call, "event") == "terminate" && !is_picked_up(call) && has_none
}

/// `"duration": 0` is a call that was picked up: present is what counts.
fn is_picked_up(call: &Value) -> bool {
    is_told(call, "start_time") || is_told(call, "duration")
}

fn call(
    scope: &Scope<'_>,
    item: &Value,
    beside: &[i32],
    is_alone: bool,
) -> (&'static str, Result<Meaning, Reason>) {
    if !item.is_object() {
        return ("call", Err("a call that is not an object".into()));
    }
    match word(item, "event").as_str() {
        "connect" => ("call_connect", connect(scope, item, is_alone)),
        "terminate" => ("call_terminate", terminate(scope, item, beside, is_alone)),
        // Of calls over SIP: the only sign of life before the end.
        "call_created" => ("call_created", connect(scope, item, is_alone)),
        "" => ("call", Err("event is missing".into())),
        _ => ("call", Ok(Meaning::Ignored("call_event"))),
    }
}

fn connect(scope: &Scope<'_>, item: &Value, is_alone: bool) -> Result<Meaning, Reason> {
    let at = seconds_required(item, "timestamp")?;
    let caller = caller(scope, item)?;
    let pair = pair(scope, item, caller, is_alone)?;
    let fact = match caller {
        Caller::Business => Fact::Call(report(item, CallOutcome::Placed)?),
        Caller::Customer => inbound(item, false)?,
    };
    Ok(scope.fact(pair, event_id(item, &word(item, "event")), at, fact))
}

fn terminate(
    scope: &Scope<'_>,
    item: &Value,
    beside: &[i32],
    is_alone: bool,
) -> Result<Meaning, Reason> {
    let caller = caller(scope, item)?;
    let pair = pair(scope, item, caller, is_alone)?;
    let (picked_up_at, ended_at) = times(item)?;
    let (at, fact) = match (caller, picked_up_at) {
        // That somebody called was told when they did; that nobody came to the phone is nothing that they
        // did, and gives no consent anew.
        (Caller::Customer, None) => return Ok(Meaning::Ignored("missed_call_of_a_customer")),
        (Caller::Customer, Some(picked_up_at)) => (picked_up_at, inbound(item, true)?),
        (Caller::Business, Some(answered_at)) => {
            let report = report(item, CallOutcome::Answered)?;
            (ended_at, Fact::Call(CallReport { answered_at, ended_at, ..report }))
        }
        (Caller::Business, None) => {
            let mut codes = codes(item, NO_PERMISSION)?;
            codes.extend(beside);
            (ended_at, unanswered(item, ended_at, &codes)?)
        }
    };
    Ok(scope.fact(pair, event_id(item, "terminate"), at, fact))
}

/// An end without a pick-up. A call that Meta gives an error for broke or was refused, and is not
/// the customer's miss.
fn unanswered(item: &Value, ended_at: Millis, codes: &[i32]) -> Result<Fact, Reason> {
    let outcome = match codes {
        [] => CallOutcome::Unanswered,
        codes if codes.contains(&UNCERTAIN) => CallOutcome::Uncertain,
        _ => CallOutcome::Failed,
    };
    // That there was no permission goes before all else that is said of it.
    let error = match outcome {
        _ if codes.contains(&NO_PERMISSION) => NO_PERMISSION,
        CallOutcome::Uncertain => UNCERTAIN,
        _ => codes.first().copied().unwrap_or(0),
    };
    Ok(Fact::Call(CallReport { error, ended_at, ..report(item, outcome)? }))
}

/// When a call was picked up, if it was, and when it ended.
fn times(item: &Value) -> Result<(Option<Millis>, Millis), Reason> {
    let start = seconds(item, "start_time")?;
    let duration = match (start, whole(item, "duration")) {
        (_, Ok(duration)) => duration.map(Duration::from_secs),
        (Some(_), Err(_)) => None,
        (None, Err(why)) => return Err(why),
    };
    let told = match seconds(item, "end_time")? {
        Some(end) => Some(end),
        None => seconds(item, "timestamp")?,
    };
    let ended_at = match (told, start, duration) {
        (Some(end), _, _) => end,
        (None, Some(start), Some(duration)) => start.plus(duration),
        _ => return Err("timestamp is missing".into()),
    };
    let picked_up_at = match (start, duration) {
        (Some(start), _) => Some(start),
        (None, None) => None,
        (None, Some(duration)) => {
            let seconds = (ended_at.0 / 1000).saturating_sub(duration.as_secs());
            Some(instant(seconds).ok_or("duration is not one")?)
        }
    };
    Ok((picked_up_at, ended_at))
}

/// Translates one status of a call of ours.
pub(crate) fn status(scope: &Scope<'_>, item: &Value, is_alone: bool) -> Result<Meaning, Reason> {
    let status = word(item, "status");
    let outcome = match status.as_str() {
        "ringing" => CallOutcome::Ringing,
        "accepted" => CallOutcome::Answered,
        "rejected" => CallOutcome::Rejected,
        "" => return Err("status is missing".into()),
        _ => return Ok(Meaning::Ignored("call_status")),
    };
    let at = seconds_required(item, "timestamp")?;
    let pair = readable_customer_of(scope, item, "recipient_id", "recipient_user_id", is_alone)?;
    Ok(scope.fact(pair, event_id(item, &status), at, Fact::Call(report(item, outcome)?)))
}

/// Who called: as told, else by the side that is the business's own number. `from` and `to` are
/// swapped in some of Meta's samples, so that a direction that is told goes before them.
fn caller(scope: &Scope<'_>, item: &Value) -> Result<Caller, Reason> {
    match word(item, "direction").as_str() {
        "business_initiated" => return Ok(Caller::Business),
        "user_initiated" => return Ok(Caller::Customer),
        "" => {}
        _ => return Err("a direction that is not known".into()),
    }
    let is_business = |key| {
        let number = text(item, key).ok().flatten();
        scope.is_business(number.as_deref())
    };
    match (is_business("from"), is_business("to")) {
        (true, false) => Ok(Caller::Business),
        (false, true) => Ok(Caller::Customer),
        _ => Err("no direction, and neither side is known to be the business".into()),
    }
}

/// The pair of a call. Of a call of ours by the one id that can be read, where the other one cannot, or by the
/// only contact: it gives no consent, and must not be missed for the form of an id.
fn pair(scope: &Scope<'_>, item: &Value, caller: Caller, is_alone: bool) -> Result<Pair, Reason> {
    let told = customer(scope, item, caller, text);
    let pair = told.and_then(|(wa, user)| scope.pair(wa.as_deref(), user.as_deref(), is_alone));
    match pair {
        Err(why) if caller == Caller::Business => {
            let (wa, user) =
                customer(scope, item, caller, |item, key| Ok(text(item, key).ok().flatten()))?;
            scope.pair_by_either(wa.as_deref(), user.as_deref(), is_alone).ok_or(why)
        }
        pair => pair,
    }
}

/// The ids of the customer, who is the side that is not the business.
fn customer(
    scope: &Scope<'_>,
    item: &Value,
    caller: Caller,
    read: impl Fn(&Value, &str) -> Result<Option<String>, Reason>,
) -> Result<(Option<String>, Option<String>), Reason> {
    let (from, to) = (read(item, "from")?, read(item, "to")?);
    let wa = match (scope.is_business(from.as_deref()), scope.is_business(to.as_deref())) {
        (true, true) => return Err("both sides are the business".into()),
        (true, false) => to,
        (false, true) => from,
        (false, false) => match caller {
            Caller::Business => to,
            Caller::Customer => from,
        },
    };
    let (from_user, to_user) = (read(item, "from_user_id")?, read(item, "to_user_id")?);
    let user = match caller {
        Caller::Business => to_user.or(from_user),
        Caller::Customer => from_user.or(to_user),
    };
    Ok((wa, user))
}

fn report(item: &Value, outcome: CallOutcome) -> Result<CallReport, Reason> {
    Ok(CallReport {
        call_id: attached_id(item),
        provider_call_id: match id(item, "id")? {
            id if id.is_empty() => return Err("a call without an id".into()),
            id => id,
        },
        outcome,
        error: 0,
        placed_at: Millis::ZERO,
        answered_at: Millis::ZERO,
        ended_at: Millis::ZERO,
        pstn: false,
    })
}

fn inbound(item: &Value, answered: bool) -> Result<Fact, Reason> {
    let provider_call_id = id(item, "id")?;
    Ok(Fact::InboundCall(InboundCall { provider_call_id, answered }))
}
