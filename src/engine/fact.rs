//! What happened to a pair, as it was reported. Serialized, these are the rulebook's arguments: field
//! names are those that `src/rulebook/` reads, absent instants are 0 and absent ids are "".

use serde::Serialize;

use crate::engine::{attempt_id, pair::Pair, time::Millis};

/// One thing that happened to a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Names the event in results and changes.
    pub event_id: String,
    /// To whom.
    pub pair: Pair,
    /// When it happened; unset: when it is recorded.
    pub occurred_at: Millis,
    /// Whether the pair's `wa_id` is Meta's own spelling (it came in a webhook), to be shown.
    pub meta_spelling: bool,
    /// What.
    pub fact: Fact,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// What became of a permission request.
    Request(RequestReport),
    /// An ACCEPT or REJECT.
    Reply(Reply),
    /// The customer called.
    InboundCall(InboundCall),
    /// What became of our call.
    Call(CallReport),
    /// The customer wrote.
    InboundMessage(InboundMessage),
    /// Both ids of a customer were seen together, and nothing else is told.
    Identity {},
}

impl Fact {
    /// Whether it tells of a call of ours that counts: answered, or perhaps.
    pub(crate) fn is_answered_call(&self) -> bool {
        match self {
            Self::Call(report) => {
                let counts =
                    matches!(report.outcome, CallOutcome::Answered | CallOutcome::Uncertain);
                counts && !report.pstn
            }
            Self::Request(_)
            | Self::Reply(_)
            | Self::InboundCall(_)
            | Self::InboundMessage(_)
            | Self::Identity {} => false,
        }
    }
}

/// How a call stands, weakest first: a stronger outcome that comes late corrects a weaker one. The
/// numbers are the rulebook's and the record's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[repr(u8)]
#[serde(into = "u8")]
pub enum CallOutcome {
    /// Authorized, no report yet. Only `authorize` says this.
    Held = 1,
    /// The dialer gave up before dialling.
    NotPlaced = 2,
    /// Dialled.
    Placed = 3,
    /// Rings at the customer's.
    Ringing = 4,
    /// Never rang, or broke.
    Failed = 5,
    /// Ended by the business while ringing.
    Canceled = 6,
    /// Rang out.
    Unanswered = 7,
    /// Declined by the customer.
    Rejected = 8,
    /// Accepted, perhaps never connected (Meta's 138023).
    Uncertain = 9,
    /// Picked up, by a person or by voicemail.
    Answered = 10,
}

impl From<CallOutcome> for u8 {
    fn from(outcome: CallOutcome) -> Self {
        outcome as Self
    }
}

/// A report of a call of ours. At least one of the two ids is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallReport {
    /// The id given to or by AuthorizeCall, or "".
    #[serde(rename = "own_id", serialize_with = "attempt_id::serialize")]
    pub call_id: String,
    /// Meta's or the carrier's id, or "".
    #[serde(rename = "provider_id", serialize_with = "attempt_id::serialize")]
    pub provider_call_id: String,
    /// How it stands.
    pub outcome: CallOutcome,
    /// The provider's error code, or 0.
    pub error: i32,
    /// When it was dialled; unset: `occurred_at`.
    pub placed_at: Millis,
    /// When it was picked up; unset: `occurred_at`.
    pub answered_at: Millis,
    /// When it ended, or unset.
    pub ended_at: Millis,
    /// Ordinary telephony: accepted, and changes nothing.
    #[serde(serialize_with = "flag")]
    pub pstn: bool,
}

/// How a permission request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[repr(u8)]
#[serde(into = "u8")]
pub enum RequestOutcome {
    /// Authorized, no report yet. Only `authorize` says this.
    Held = 1,
    /// Never sent: refused by the provider.
    Refused = 2,
    /// Sent.
    Sent = 3,
    /// Sent, but it cannot reach the customer.
    Undelivered = 4,
    /// A report only: sent, and the wait for the reply starts here.
    Delivered = 5,
}

impl From<RequestOutcome> for u8 {
    fn from(outcome: RequestOutcome) -> Self {
        outcome as Self
    }
}

/// A report of a permission request. At least one of the two ids is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestReport {
    /// The id given to or by AuthorizePermissionRequest, or "".
    #[serde(rename = "own_id", serialize_with = "attempt_id::serialize")]
    pub request_id: String,
    /// Meta's message id, or "".
    #[serde(rename = "provider_id", serialize_with = "attempt_id::serialize")]
    pub provider_message_id: String,
    /// How it stands.
    pub outcome: RequestOutcome,
    /// Record only if the request is known by one of its ids: a webhook's message status tells of
    /// every message, and only some of them are permission requests.
    #[serde(serialize_with = "flag")]
    pub known_only: bool,
}

/// The customer's ACCEPT or REJECT, or the provider's on their behalf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// ACCEPT, or REJECT.
    #[serde(serialize_with = "flag")]
    pub accept: bool,
    /// ACCEPT only: for good. Ignored where an expiry is told (the narrower reading).
    #[serde(serialize_with = "flag")]
    pub permanent: bool,
    /// ACCEPT only: when it ends; unset: by profile.
    pub expires_at: Millis,
    /// Not the customer's own tap.
    #[serde(serialize_with = "flag")]
    pub automatic: bool,
    /// The request answered, by either of its ids, or "".
    #[serde(serialize_with = "attempt_id::serialize")]
    pub request_id: String,
}

/// The customer called the business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboundCall {
    /// The provider's id of the call, or "".
    #[serde(rename = "provider_id", serialize_with = "attempt_id::serialize")]
    pub provider_call_id: String,
    /// Whether the business picked up.
    #[serde(serialize_with = "flag")]
    pub answered: bool,
}

/// The customer wrote to the business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboundMessage {
    /// The provider's id of the message, or "".
    #[serde(rename = "provider_id", serialize_with = "attempt_id::serialize")]
    pub provider_message_id: String,
}

/// What is told about a business number; each fact that is told joins by its time, later wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NumberReport {
    /// When it was so; unset: now.
    pub at: Millis,
    /// Calling enabled: 0 not told, 1 disabled, 2 enabled.
    pub calling: Told,
    /// Calls and permission requests are paused: 0 not told, 1 not paused, 2 until `paused_until`,
    /// or without end where that is unset.
    pub pause: Told,
    /// See `pause`.
    pub paused_until: Millis,
    /// Permission requests alone are paused (a messaging restriction), as `pause`.
    pub request_pause: Told,
    /// See `request_pause`.
    pub requests_paused_until: Millis,
    /// Whether a customer's call gives permission.
    pub inbound_call_grants: Told,
    /// The number as people dial it, or "".
    pub display: String,
}

/// A yes or no that may not have been told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[repr(u8)]
#[serde(into = "u8")]
pub enum Told {
    /// Nothing was said.
    #[default]
    Not = 0,
    /// It was said: no.
    No = 1,
    /// It was said: yes.
    Yes = 2,
}

impl Told {
    /// By its number.
    pub fn of(told: u8) -> Self {
        match told {
            0 => Self::Not,
            1 => Self::No,
            _ => Self::Yes,
        }
    }
}

impl From<Told> for u8 {
    fn from(told: Told) -> Self {
        told as Self
    }
}

impl From<bool> for Told {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// The rulebook knows numbers and strings only.
pub(crate) fn flag<S: serde::Serializer>(yes: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(u8::from(*yes))
}
