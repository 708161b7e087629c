//! What steps did, counted: by their replies, so by this process for what it asked, whichever store did it.

use metrics::counter;

use crate::engine::{
    Error, Result,
    code::{change_cause, change_cause_name},
    gate::{Agent, Channel},
    step::Reply,
};

/// Who asks, as a label.
pub(super) fn agent_kind(agent: &Agent) -> &'static str {
    if agent.kind.is_empty() { "none" } else { agent.kind }
}

/// How the customer is called, as a label.
pub(super) fn channel(channel: Channel) -> &'static str {
    match channel {
        Channel::WhatsApp => "whatsapp",
        Channel::Pstn => "pstn",
    }
}

/// What a step told and found beside its answer.
pub(super) fn step(reply: &Reply) {
    for cause in &reply.told {
        counter!("callgate_changes_total", "cause" => change_cause_name(*cause)).increment(1);
    }
    if reply.lapsed > 0 {
        counter!("callgate_calls_lapsed_total").increment(reply.lapsed.into());
    }
}

/// A call holds a slot that held none before.
pub(super) fn held() {
    counter!("callgate_calls_held_total").increment(1);
}

/// It was told of so many customers that they were forgotten.
pub(crate) fn forgotten(customers: u64) {
    let cause = change_cause_name(change_cause::FORGOTTEN);
    counter!("callgate_changes_total", "cause" => cause).increment(customers);
}

/// How a store failed, as a label; `None`: it did not.
pub(crate) fn failure(error: &Error) -> Option<&'static str> {
    match error {
        Error::Unavailable(_) => Some("unavailable"),
        Error::DeadlineExceeded(_) => Some("deadline_exceeded"),
        Error::Internal(_) => Some("internal"),
        Error::Invalid { .. }
        | Error::AlreadyExists(_)
        | Error::Exhausted(_)
        | Error::NotFound(_)
        | Error::NotPermitted(_)
        | Error::OutOfRange(_) => None,
    }
}

/// What a store gave to who asked it, counted where it failed.
pub(crate) fn asked<T>(answer: Result<T>) -> Result<T> {
    if let Some(kind) = answer.as_ref().err().and_then(failure) {
        counter!("callgate_store_errors_total", "kind" => kind).increment(1);
    }
    answer
}

/// A question went to the store and will come back.
pub(crate) fn round_trip(operation: &'static str) {
    counter!("callgate_store_round_trips_total", "op" => operation).increment(1);
}
