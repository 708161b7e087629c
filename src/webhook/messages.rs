//! Field `messages`: replies to permission requests, what customers write, and what became of the
//! messages we sent. The list `statuses` also serves field `calls`.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    engine::{
        fact::{Fact, InboundMessage, Reply, RequestOutcome, RequestReport},
        pair::Pair,
        time::Millis,
    },
    webhook::{
        calls,
        payload::{Reason, attached_id, flag, id, seconds, seconds_required, text, word},
        translate::{Meaning, Scope, Source, Translation},
    },
};

/// The kind of an interactive message that this gate is about.
const REPLY: &str = "call_permission_reply";

/// With "/terminate" behind it, this is still an event id of up to 256. Characters.
const EVENT_ID_MAX: usize = 240;

/// Translates `messages`.
pub(crate) fn messages<'a>(all: &mut Translation<'a>, scope: &Scope<'a>, list: &'a [Value]) {
    for item in list {
        let (event, meaning) = message(scope, item, list.len() == 1);
        all.add(event, meaning, Source::items(scope, "messages", vec![item], false));
    }
}

fn message(
    scope: &Scope<'_>,
    item: &Value,
    is_alone: bool,
) -> (&'static str, Result<Meaning, Reason>) {
    if !item.is_object() {
        return ("message", Err("a message that is not an object".into()));
    }
    let from = text(item, "from").ok().flatten();
    if scope.is_business(from.as_deref()) {
        return ("message", Ok(Meaning::Ignored("from_the_business")));
    }
    if word(item, "type") == "system" {
        return ("identity", identity(scope, item));
    }
    match reply_body(item) {
        Some(body) => ("permission_reply", reply(scope, item, body, is_alone)),
        None => ("message", inbound(scope, item, is_alone)),
    }
}

/// The permission reply in a message. Not every sample of Meta's has `"type": "interactive"`.
fn reply_body(item: &Value) -> Option<&Value> {
    let interactive = item.get("interactive")?;
    let body = interactive.get(REPLY);
    match word(interactive, "type").as_str() {
        REPLY => Some(body.unwrap_or(&Value::Null)),
        "" => body,
        _ => None,
    }
}

fn reply(scope: &Scope<'_>, item: &Value, body: &Value, is_alone: bool) -> Result<Meaning, Reason> {
    // Whatever else it says, a no is a no; without a time of its own it is of when it was sent.
    let is_no = word(body, "response") == "reject";
    let at = match seconds_required(item, "timestamp") {
        Err(_) if is_no => scope.sent_at(),
        at => at?,
    };
    let pair = if is_no {
        readable_customer_of(scope, item, "from", "from_user_id", is_alone)?
    } else {
        customer_of(scope, item, "from", "from_user_id", is_alone)?
    };
    let context = match item.get("context").map(|context| id(context, "id")) {
        Some(Err(why)) if !is_no => return Err(why),
        Some(Ok(context)) => context,
        _ => String::new(),
    };
    let is_callback = context.starts_with("wacid.");
    let request_id = if is_callback { String::new() } else { context };
    let source = text(body, "response_source").map(|told| told.map(|s| s.to_ascii_lowercase()));
    let fact = match word(body, "response").as_str() {
        "reject" => Reply {
            accept: false,
            permanent: false,
            expires_at: Millis::ZERO,
            automatic: source.is_ok_and(|told| told.as_deref() == Some("automatic")),
            request_id,
        },
        "accept" => Reply {
            accept: true,
            permanent: flag(body, "is_permanent")?.unwrap_or(false),
            expires_at: seconds(body, "expiration_timestamp")?.unwrap_or(Millis::ZERO),
            automatic: match source?.as_deref() {
                Some("automatic") => true,
                Some("user_action") => false,
                // In 2025 the source was not told; a grant given by calling names the call.
                None => is_callback,
                Some(_) => return Err("a response_source that is not known".into()),
            },
            request_id,
        },
        _ => return Err("a response that is neither accept nor reject".into()),
    };
    Ok(scope.fact(pair, event_id(item, ""), at, Fact::Reply(fact)))
}

fn inbound(scope: &Scope<'_>, item: &Value, is_alone: bool) -> Result<Meaning, Reason> {
    let at = seconds_required(item, "timestamp")?;
    let pair = customer_of(scope, item, "from", "from_user_id", is_alone)?;
    let provider_message_id = id(item, "id")?;
    let fact = Fact::InboundMessage(InboundMessage { provider_message_id });
    Ok(scope.fact(pair, event_id(item, ""), at, fact))
}

/// A customer took another number or got another user id. Consent is not carried over, so that the
/// only thing to learn is that the two *new* ids are one customer's; the sender's ids are old, new
/// or mixed, and are left alone.
fn identity(scope: &Scope<'_>, item: &Value) -> Result<Meaning, Reason> {
    let system = item.get("system").unwrap_or(&Value::Null);
    if !matches!(word(system, "type").as_str(), "user_changed_number" | "user_changed_user_id") {
        return Ok(Meaning::Ignored("system_message"));
    }
    let newest = |new: &str, plain: &str| -> Result<Option<String>, Reason> {
        Ok(text(system, new)?.or(text(system, plain)?))
    };
    let (wa, user) = (newest("new_wa_id", "wa_id")?, newest("new_user_id", "user_id")?);
    if wa.is_none() || user.is_none() {
        return Ok(Meaning::Ignored("identity_of_one_id"));
    }
    let at = seconds_required(item, "timestamp")?;
    let pair = scope.pair(wa.as_deref(), user.as_deref(), false)?;
    Ok(scope.fact(pair, event_id(item, ""), at, Fact::Identity {}))
}

/// Translates `statuses`: of calls and of messages, whichever field they came in.
pub(crate) fn statuses<'a>(all: &mut Translation<'a>, scope: &Scope<'a>, list: &'a [Value]) {
    for item in list {
        let is_alone = list.len() == 1;
        let id = text(item, "id").ok().flatten().unwrap_or_default();
        let is_call = word(item, "type") == "call"
            || id.starts_with("wacid.")
            || (scope.change.field == "calls" && !id.starts_with("wamid."));
        let (event, meaning) = if !item.is_object() {
            ("status", Err("a status that is not an object".into()))
        } else if is_call {
            ("call_status", calls::status(scope, item, is_alone))
        } else {
            ("message_status", message_status(scope, item, is_alone))
        };
        all.add(event, meaning, Source::items(scope, "statuses", vec![item], false));
    }
}

/// What became of a message that we sent: it matters only if that was a permission request.
fn message_status(scope: &Scope<'_>, item: &Value, is_alone: bool) -> Result<Meaning, Reason> {
    let status = word(item, "status");
    let outcome = match status.as_str() {
        "sent" => RequestOutcome::Sent,
        // What was read was delivered, and the report of that may never come.
        "delivered" | "read" => RequestOutcome::Delivered,
        "failed" => RequestOutcome::Undelivered,
        "" => return Err("status is missing".into()),
        _ => return Ok(Meaning::Ignored("message_status")),
    };
    if word(item, "recipient_type") == "group" {
        return Ok(Meaning::Ignored("group"));
    }
    let at = seconds_required(item, "timestamp")?;
    let pair = customer_of(scope, item, "recipient_id", "recipient_user_id", is_alone)?;
    let report = RequestReport {
        request_id: attached_id(item),
        provider_message_id: id(item, "id")?,
        outcome,
        known_only: true,
    };
    if report.request_id.is_empty() && report.provider_message_id.is_empty() {
        return Err("a status that names no message".into());
    }
    Ok(scope.fact(pair, event_id(item, &status), at, Fact::Request(report)))
}

/// The pair of an item, whose customer stands under these two keys.
fn customer_of(
    scope: &Scope<'_>,
    item: &Value,
    wa: &str,
    user: &str,
    is_alone: bool,
) -> Result<Pair, Reason> {
    scope.pair(text(item, wa)?.as_deref(), text(item, user)?.as_deref(), is_alone)
}

/// The same by the one id that can be read, where the other one cannot, or by the only contact: for what
/// gives no consent, and must not be missed for the form of an id.
pub(crate) fn readable_customer_of(
    scope: &Scope<'_>,
    item: &Value,
    wa: &str,
    user: &str,
    is_alone: bool,
) -> Result<Pair, Reason> {
    customer_of(scope, item, wa, user, is_alone).or_else(|why| {
        let id = |key| text(item, key).ok().flatten();
        scope.pair_by_either(id(wa).as_deref(), id(user).as_deref(), is_alone).ok_or(why)
    })
}

/// Names an event by Meta's id of it, so that a redelivery has the same name; else by its content.
pub(crate) fn event_id(item: &Value, what: &str) -> String {
    let id = match text(item, "id").ok().flatten() {
        Some(id) if id.chars().count() <= EVENT_ID_MAX => id,
        _ => hex::encode(Sha256::digest(item.to_string())),
    };
    if what.is_empty() { id } else { format!("{id}/{what}") }
}
