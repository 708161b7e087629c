//! Between the contract and the domain: requests are checked here, once, and answers are shown.
//! Past this file no generated type is seen by the engine, and no unchecked id.

use prost_types::{Duration as ProtoDuration, Timestamp};

use crate::{
    engine::{
        Error, Result,
        change::Change,
        code::{quota, status},
        explain::{self, Fill, REQUEST_DAY, REQUEST_WEEK},
        fact::{
            CallOutcome, CallReport, Event, Fact, InboundCall, InboundMessage, NumberReport, Reply,
            RequestOutcome, RequestReport, Told,
        },
        gate::{Agent, Answer, Channel},
        pair::{Customer, Pair},
        profile::NumberFacts,
        step::{NumberReply, View},
        store::Quarantined,
        time::Millis,
    },
    proto as pb,
    service::field::{self, OTHER_ID_MAX, OWN_ID_MAX},
};

// === who ===

pub(crate) fn customer(customer: Option<pb::Customer>, path: &str) -> Result<Customer> {
    let pb::Customer { wa_id, user_id } = customer.unwrap_or_default();
    Customer::parse(&wa_id, &user_id, path)
}

pub(crate) fn pair(pair: Option<pb::Pair>, path: &str) -> Result<Pair> {
    let pb::Pair { phone_number_id, customer } = pair.unwrap_or_default();
    let pb::Customer { wa_id, user_id } = customer.unwrap_or_default();
    Pair::parse(&phone_number_id, &wa_id, &user_id, path)
}

const AGENT_KINDS: &str = "AGENT_KIND_VOICE_AGENT or AGENT_KIND_HUMAN_AGENT";

/// Who asks for a decision.
pub(crate) fn agent(agent: Option<pb::Agent>, path: &str) -> Result<Agent> {
    let kind = agent.as_ref().map_or(0, |agent| agent.kind);
    field::known::<pb::AgentKind>(kind, &format!("{path}.kind"), AGENT_KINDS)?;
    optional_agent(agent, path)
}

/// Who looks.
pub(crate) fn optional_agent(agent: Option<pb::Agent>, path: &str) -> Result<Agent> {
    let pb::Agent { kind, id } = agent.unwrap_or_default();
    let kind = match field::known_or_default(kind, &format!("{path}.kind"), AGENT_KINDS)? {
        pb::AgentKind::Unspecified => "",
        pb::AgentKind::VoiceAgent => "voice_agent",
        pb::AgentKind::HumanAgent => "human_agent",
    };
    let id = field::optional_id(id, OTHER_ID_MAX, &format!("{path}.id"))?;
    Ok(Agent { kind, id })
}

pub(crate) fn channel(channel: i32, path: &str) -> Result<Channel> {
    match field::known_or_default(channel, path, "CHANNEL_WHATSAPP or CHANNEL_PSTN")? {
        pb::Channel::Unspecified | pb::Channel::Whatsapp => Ok(Channel::WhatsApp),
        pb::Channel::Pstn => Ok(Channel::Pstn),
    }
}

/// The caller's id of its attempt, or one of our own making.
pub(crate) fn attempt_id(id: String, path: &str) -> Result<String> {
    if id.is_empty() {
        return Ok(uuid::Uuid::new_v4().to_string());
    }
    field::required_id(id, OWN_ID_MAX, path)
}

// === facts ===

/// `path` is that of the event, e.g. `events[3]`.
pub(crate) fn event(event: pb::Event, path: &str) -> Result<Event> {
    let at = |name: &str| format!("{path}.{name}");
    let event_id = field::required_id(event.event_id, OTHER_ID_MAX, &at("event_id"))?;
    let pair = pair(event.pair, &at("pair"))?;
    if event.occurred_at.is_none() {
        // With a default of "now" a repetition would say something else.
        return Err(Error::invalid(at("occurred_at"), "is required: when it happened"));
    }
    let occurred_at = field::instant(event.occurred_at, &at("occurred_at"))?;
    let fact = match event.fact {
        Some(pb::event::Fact::Request(report)) => {
            Fact::Request(request_report(report, &at("request"))?)
        }
        Some(pb::event::Fact::Reply(told)) => Fact::Reply(reply(told, &at("reply"))?),
        Some(pb::event::Fact::InboundCall(call)) => Fact::InboundCall(InboundCall {
            provider_call_id: field::optional_id(
                call.provider_call_id,
                OTHER_ID_MAX,
                &at("inbound_call.provider_call_id"),
            )?,
            answered: call.answered,
        }),
        Some(pb::event::Fact::Call(report)) => Fact::Call(call_report(report, &at("call"))?),
        Some(pb::event::Fact::InboundMessage(message)) => Fact::InboundMessage(InboundMessage {
            provider_message_id: field::optional_id(
                message.provider_message_id,
                OTHER_ID_MAX,
                &at("inbound_message.provider_message_id"),
            )?,
        }),
        None => {
            let one = "is required: one of request, reply, inbound_call, call, inbound_message";
            return Err(Error::invalid(at("fact"), one));
        }
    };
    Ok(Event { event_id, pair, occurred_at, meta_spelling: false, fact })
}

/// The name of the fact's field in the contract's `Event`.
pub(crate) fn fact_field(fact: &Fact) -> &'static str {
    match fact {
        Fact::Request(_) => "request",
        Fact::Reply(_) => "reply",
        Fact::InboundCall(_) => "inbound_call",
        Fact::Call(_) => "call",
        Fact::InboundMessage(_) => "inbound_message",
        Fact::Identity {} => "pair",
    }
}

pub(crate) fn call_report(report: pb::CallReport, path: &str) -> Result<CallReport> {
    let at = |name: &str| format!("{path}.{name}");
    let call_id = field::optional_id(report.call_id, OWN_ID_MAX, &at("call_id"))?;
    let provider_call_id =
        field::optional_id(report.provider_call_id, OTHER_ID_MAX, &at("provider_call_id"))?;
    if call_id.is_empty() && provider_call_id.is_empty() {
        let problem = "is required: set call_id, provider_call_id, or both";
        return Err(Error::invalid(at("call_id"), problem));
    }
    Ok(CallReport {
        call_id,
        provider_call_id,
        outcome: call_outcome(report.outcome, &at("outcome"))?,
        error: report.provider_error_code,
        placed_at: field::instant(report.placed_at, &at("placed_at"))?,
        answered_at: field::instant(report.answered_at, &at("answered_at"))?,
        ended_at: field::instant(report.ended_at, &at("ended_at"))?,
        pstn: channel(report.channel, &at("channel"))? == Channel::Pstn,
    })
}

fn call_outcome(outcome: i32, path: &str) -> Result<CallOutcome> {
    const NAMES: &str = "what became of the call, e.g. CALL_OUTCOME_ANSWERED";
    Ok(match field::known(outcome, path, NAMES)? {
        pb::CallOutcome::Unspecified => return Err(Error::invalid(path, "is required")),
        pb::CallOutcome::Placed => CallOutcome::Placed,
        pb::CallOutcome::Ringing => CallOutcome::Ringing,
        pb::CallOutcome::Answered => CallOutcome::Answered,
        pb::CallOutcome::Unanswered => CallOutcome::Unanswered,
        pb::CallOutcome::Rejected => CallOutcome::Rejected,
        pb::CallOutcome::Canceled => CallOutcome::Canceled,
        pb::CallOutcome::Failed => CallOutcome::Failed,
        pb::CallOutcome::NotPlaced => CallOutcome::NotPlaced,
        pb::CallOutcome::Uncertain => CallOutcome::Uncertain,
    })
}

fn request_report(report: pb::PermissionRequestReport, path: &str) -> Result<RequestReport> {
    const NAMES: &str = "what became of the request, e.g. REQUEST_OUTCOME_SENT";
    let at = |name: &str| format!("{path}.{name}");
    let request_id = field::optional_id(report.request_id, OWN_ID_MAX, &at("request_id"))?;
    let provider_message_id =
        field::optional_id(report.provider_message_id, OTHER_ID_MAX, &at("provider_message_id"))?;
    if request_id.is_empty() && provider_message_id.is_empty() {
        let problem = "is required: set request_id, provider_message_id, or both";
        return Err(Error::invalid(at("request_id"), problem));
    }
    let outcome = match field::known(report.outcome, &at("outcome"), NAMES)? {
        pb::RequestOutcome::Unspecified => {
            return Err(Error::invalid(at("outcome"), "is required"));
        }
        pb::RequestOutcome::Sent => RequestOutcome::Sent,
        pb::RequestOutcome::Delivered => RequestOutcome::Delivered,
        pb::RequestOutcome::Refused => RequestOutcome::Refused,
        pb::RequestOutcome::Undelivered => RequestOutcome::Undelivered,
    };
    Ok(RequestReport { request_id, provider_message_id, outcome, known_only: false })
}

/// An ACCEPT both permanent and with an expiry passes: the rulebook reads it as temporary.
fn reply(reply: pb::PermissionReply, path: &str) -> Result<Reply> {
    const NAMES: &str = "PERMISSION_RESPONSE_ACCEPT or PERMISSION_RESPONSE_REJECT";
    let at = |name: &str| format!("{path}.{name}");
    let response: pb::PermissionResponse = field::known(reply.response, &at("response"), NAMES)?;
    Ok(Reply {
        accept: response == pb::PermissionResponse::Accept,
        permanent: reply.permanent,
        expires_at: field::instant(reply.expires_at, &at("expires_at"))?,
        automatic: reply.automatic,
        request_id: field::optional_id(reply.request_id, OTHER_ID_MAX, &at("request_id"))?,
    })
}

/// What is told of a number; `None`: nothing is.
pub(crate) fn number_report(told: pb::UpdateBusinessNumberRequest) -> Result<Option<NumberReport>> {
    let (pause, paused_until) = told_pause(
        told.paused_until,
        told.paused_without_end,
        "paused_until",
        "paused_without_end",
    )?;
    let (request_pause, requests_paused_until) = told_pause(
        told.requests_paused_until,
        told.requests_paused_without_end,
        "requests_paused_until",
        "requests_paused_without_end",
    )?;
    let report = NumberReport {
        calling: told.calling_enabled.map_or(Told::Not, Told::from),
        pause,
        paused_until,
        request_pause,
        requests_paused_until,
        inbound_call_grants: told.inbound_call_grants.map_or(Told::Not, Told::from),
        ..NumberReport::default()
    };
    Ok((report != NumberReport::default()).then_some(report))
}

fn told_pause(
    until: Option<Timestamp>,
    without_end: Option<bool>,
    until_path: &str,
    without_end_path: &str,
) -> Result<(Told, Millis)> {
    match (field::end(until, until_path)?, without_end) {
        (Some(_), Some(true)) => Err(Error::invalid(
            without_end_path,
            format!("contradicts {until_path}: set one of the two"),
        )),
        // A pause that ended long ago: unset would mean "without end" from here on.
        (Some(Millis::ZERO), _) | (None, Some(false)) => Ok((Told::No, Millis::ZERO)),
        (Some(until), _) => Ok((Told::Yes, until)),
        (None, Some(true)) => Ok((Told::Yes, Millis::ZERO)),
        (None, None) => Ok((Told::Not, Millis::ZERO)),
    }
}

// === answers ===

/// Unset stays unset.
pub(crate) fn timestamp(at: Millis) -> Option<Timestamp> {
    let Millis(ms) = at.get()?;
    Some(Timestamp {
        seconds: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(ms % 1000).unwrap_or(0) * 1_000_000,
    })
}

fn duration(ms: u64) -> ProtoDuration {
    ProtoDuration {
        seconds: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(ms % 1000).unwrap_or(0) * 1_000_000,
    }
}

pub(crate) fn codes(codes: &[u8]) -> Vec<i32> {
    codes.iter().copied().map(i32::from).collect()
}

/// A state as it is shown, whether an answer or a change tells it.
struct Shown<'a> {
    number: &'a str,
    /// As it was asked for, where the view knows no newer spelling.
    wa_id: &'a str,
    user_id: &'a str,
    profile: &'a str,
    call_window: u64,
    warns_at: u32,
    revokes_at: u32,
    judged_at: Millis,
    view: &'a View,
}

/// The state after the step; entries are there where the rulebook was asked for them.
pub(crate) fn permission(answer: &Answer) -> pb::Permission {
    let Answer { pair, profile, reply } = answer;
    shown(&Shown {
        number: pair.number.as_str(),
        wa_id: pair.customer.wa().map_or("", |wa| wa.spelled()),
        user_id: pair.customer.user().map_or("", |user| user.as_str()),
        profile: &profile.name,
        call_window: profile.call_window,
        warns_at: profile.unanswered_warns_at,
        revokes_at: profile.unanswered_revokes_at,
        judged_at: reply.now,
        view: &reply.view,
    })
}

/// The state after the change.
pub(crate) fn permission_after(change: &Change) -> pb::Permission {
    shown(&Shown {
        number: &change.number,
        wa_id: &change.wa,
        user_id: &change.user,
        profile: &change.profile,
        call_window: change.call_window,
        warns_at: change.warns_at,
        revokes_at: change.revokes_at,
        judged_at: change.judged_at,
        view: &change.view(),
    })
}

/// A pseudonym.
pub(crate) fn kept_as(customer: &Customer) -> pb::Customer {
    pb::Customer {
        wa_id: customer.wa().map_or("", |wa| wa.key()).to_owned(),
        user_id: customer.user().map_or("", |user| user.as_str()).to_owned(),
    }
}

fn shown(state: &Shown<'_>) -> pb::Permission {
    let view = state.view;
    pb::Permission {
        pair: Some(shown_pair(state)),
        status: i32::from(view.status),
        grant: (view.status == status::GRANTED).then(|| pb::Grant {
            kind: i32::from(view.grant_kind),
            source: i32::from(view.grant_source),
            granted_at: timestamp(view.granted_at),
            expires_at: timestamp(view.expires_at),
        }),
        valid_until: timestamp(view.valid_until),
        quotas: [
            (quota::CALLS_IN_WINDOW, Some(state.call_window)),
            // It spans the permission, however long that is.
            (quota::CALLS_IN_PERMISSION, None),
            (quota::REQUESTS_PER_DAY, Some(REQUEST_DAY)),
            (quota::REQUESTS_PER_WEEK, Some(REQUEST_WEEK)),
        ]
        .map(|(kind, window)| shown_quota(view, kind, window))
        .to_vec(),
        unanswered: Some(pb::UnansweredStreak {
            count: view.streak,
            warns_customer_at: state.warns_at,
            revokes_at: state.revokes_at,
        }),
        conversation_window_ends_at: timestamp(view.conversation_ends_at),
        revision: view.revision,
        profile: state.profile.to_owned(),
        judged_at: timestamp(state.judged_at),
    }
}

/// The newest spelling and both ids if they are known; else as it was asked.
fn shown_pair(state: &Shown<'_>) -> pb::Pair {
    let or_asked = |known: &str, asked: &str| {
        let shown = if known.is_empty() { asked } else { known };
        shown.to_owned()
    };
    pb::Pair {
        phone_number_id: state.number.to_owned(),
        customer: Some(pb::Customer {
            wa_id: or_asked(&state.view.wa_id, state.wa_id),
            user_id: or_asked(&state.view.user_id, state.user_id),
        }),
    }
}

fn shown_quota(view: &View, kind: u8, window: Option<u64>) -> pb::Quota {
    let Fill { limit, used, held, free_at } = Fill::of(view, kind);
    let rows = view.entry_quota.iter().enumerate().filter(|&(_, &of)| of == kind);
    let entries = rows.map(|(row, _)| pb::QuotaEntry {
        id: view.entry_id.get(row).cloned().unwrap_or_default(),
        at: view.entry_at.get(row).copied().and_then(timestamp),
        frees_at: view.entry_frees_at.get(row).copied().and_then(timestamp),
        held: view.entry_held.get(row).is_some_and(|&held| held != 0),
    });
    pb::Quota {
        kind: i32::from(kind),
        limit,
        used,
        held,
        window: window.map(duration),
        next_free_at: timestamp(free_at),
        entries: entries.collect(),
    }
}

pub(crate) fn warnings(answer: &Answer) -> Vec<pb::Warning> {
    let codes = answer.reply.warnings.iter().copied();
    codes
        .map(|code| pb::Warning { code: i32::from(code), text: explain::warning(code, answer) })
        .collect()
}

/// A pause that is over is not shown.
pub(crate) fn business_number(
    phone_number_id: String,
    profile: String,
    reply: NumberReply,
) -> pb::BusinessNumber {
    const NO: u8 = Told::No as u8;
    const YES: u8 = Told::Yes as u8;
    let NumberReply { number: facts, now, .. } = reply;
    let lasts = |told: u8, until: Millis| (told == YES && now < until).then_some(until);
    let is_endless = |told: u8, until: Millis| told == YES && until == Millis::ZERO;
    let updated_at = newest(&facts);
    pb::BusinessNumber {
        phone_number_id,
        calling_enabled: facts.calling != NO,
        paused_until: lasts(facts.pause, facts.paused_until).and_then(timestamp),
        paused_without_end: is_endless(facts.pause, facts.paused_until),
        inbound_call_grants: match facts.inbound_call_grants {
            NO => Some(false),
            YES => Some(true),
            _ => None,
        },
        profile,
        updated_at: timestamp(updated_at),
        requests_paused_until: lasts(facts.request_pause, facts.requests_paused_until)
            .and_then(timestamp),
        requests_paused_without_end: is_endless(facts.request_pause, facts.requests_paused_until),
        display_phone_number: facts.display,
    }
}

fn newest(facts: &NumberFacts) -> Millis {
    facts
        .calling_at
        .max(facts.pause_at)
        .max(facts.request_pause_at)
        .max(facts.inbound_call_grants_at)
}

pub(crate) fn quarantined(kept: &Quarantined) -> pb::QuarantinedWebhook {
    pb::QuarantinedWebhook {
        id: kept.id.clone(),
        reason: kept.reason.clone(),
        received_at: timestamp(kept.received_at),
        field: kept.field.clone(),
        phone_number_id: kept.phone_number_id.clone(),
    }
}
