//! One command on one pair, and its reply: what crosses the border to the rulebook. Numbers are the
//! contract's (`proto/callgate/v1`), so that no table of codes stands in two places.

use serde::{Deserialize, Serialize};

use crate::engine::{
    attempt_id,
    change::Position,
    fact::{Fact, NumberReport},
    pair::{Pair, PhoneNumberId},
    profile::{NumberFacts, Profile},
    time::Millis,
};

/// A command and what judges it.
#[derive(Debug)]
pub struct Step<'a> {
    /// On whom.
    pub pair: &'a Pair,
    /// What.
    pub command: Command,
    /// The rules.
    pub profile: &'a Profile,
    /// The instant; unset: the store's own clock. Only tests set it.
    pub now: Millis,
}

/// What is to be done with a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Command {
    /// A fact is joined.
    Record {
        /// When it happened; unset: now.
        at: Millis,
        /// Meta's own spelling of the `wa_id`, or "".
        spelled: String,
        /// Names the event in the changes that it makes, or "".
        event_id: String,
        /// What happened.
        #[serde(flatten)]
        fact: Fact,
    },
    /// Decide, and on ALLOW hold a call.
    AuthorizeCall {
        /// The attempt.
        #[serde(serialize_with = "attempt_id::serialize")]
        own_id: String,
        /// How long the slot is held; 0: by profile. Milliseconds.
        lease: u64,
    },
    /// Decide, and on ALLOW hold a permission request.
    AuthorizeRequest {
        /// The request.
        #[serde(serialize_with = "attempt_id::serialize")]
        own_id: String,
        /// 1: ask although a permission is in effect.
        replace: u8,
    },
    /// Judge as `AuthorizeCall` would, changing nothing.
    Check {},
    /// Judge as [`Command::Check`] would have at another instant.
    CheckAt {
        /// As of then, by what had happened by then; within the horizon, or ahead.
        as_of: Millis,
    },
    /// Tell the stream what time, or a changed setting of the business number, has changed.
    Settle {},
    /// The state, with every entry of every quota.
    View {
        /// As of then; unset: now.
        as_of: Millis,
    },
}

impl Command {
    /// Whether it changes nothing.
    pub fn is_question(&self) -> bool {
        match self {
            Self::Check {} | Self::CheckAt { .. } | Self::View { .. } => true,
            Self::Record { .. }
            | Self::AuthorizeCall { .. }
            | Self::AuthorizeRequest { .. }
            | Self::Settle {} => false,
        }
    }
}

/// What the rulebook answered. Which parts are set follows the command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// "" or the reason why the command is refused: `invalid`, `exists`, `full`.
    pub refused: String,
    /// The field that is wrong, or the id that is over.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// [`Command::Record`]: an `EventStatus`.
    pub result: u8,
    /// A `Decision`, or 0.
    pub decision: u8,
    /// A `Reason`.
    pub reason: u8,
    /// `Reason`s, all that stands in the way.
    pub blocked_by: Vec<u8>,
    /// A `NextStep`.
    pub next_step: u8,
    /// `callable_at` or `requestable_at`.
    pub free_at: Millis,
    /// When the held slot frees itself.
    pub lease_expires_at: Millis,
    /// `WarningCode`s.
    pub warnings: Vec<u8>,
    /// 1: the slot was held already.
    pub replayed: u8,
    /// The instant of the step.
    pub now: Millis,
    /// The state after the step.
    pub view: View,
    /// The number's facts that were read.
    pub number: NumberFacts,
    /// `ChangeCause`s of the changes that the step told, in order; also where it is refused.
    pub told: Vec<u8>,
    /// Calls that held a slot until their leases ran out, with nothing told of what became of them, and
    /// that no step before this one has found: each is found once, by whoever writes next.
    pub lapsed: u32,
    /// [`Command::Settle`]: where the change log of the partition ended after the step.
    pub log_end: Position,
}

/// The state of a pair, derived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Newest spelling that Meta used, else the key, or "".
    pub wa_id: String,
    /// The user id bound to it, or "".
    pub user_id: String,
    /// A `PermissionStatus`.
    pub status: u8,
    /// A `GrantKind`, or 0.
    pub grant_kind: u8,
    /// A `GrantSource`, or 0.
    pub grant_source: u8,
    /// When the grant in effect was given.
    pub granted_at: Millis,
    /// When the grant in effect ends; unset: permanent.
    pub expires_at: Millis,
    /// When the status changes by itself.
    pub valid_until: Millis,
    /// Misses in a row.
    pub streak: u32,
    /// The conversation window's end, or unset.
    pub conversation_ends_at: Millis,
    /// Grows with every recorded change.
    pub revision: u64,
    /// In the order of `QuotaKind`: limit, used, held, when the next slot frees.
    pub quota_limit: Vec<u32>,
    /// See `quota_limit`.
    pub quota_used: Vec<u32>,
    /// See `quota_limit`.
    pub quota_held: Vec<u32>,
    /// See `quota_limit`; 0 where one is free now, or none ever frees.
    pub quota_free_at: Vec<Millis>,
    /// [`Command::View`] only: what fills the quotas, oldest first. A `QuotaKind`.
    pub entry_quota: Vec<u8>,
    /// The `call_id` or request id.
    pub entry_id: Vec<String>,
    /// When it counts from.
    pub entry_at: Vec<Millis>,
    /// When it frees its slot; 0: not by time.
    pub entry_frees_at: Vec<Millis>,
    /// 1: held, its outcome is not known yet.
    pub entry_held: Vec<u8>,
}

/// A command on a business number.
#[derive(Debug)]
pub struct NumberStep<'a> {
    /// Which.
    pub number: &'a PhoneNumberId,
    /// What is told; `None` only reads.
    pub report: Option<NumberReport>,
    /// The instant; unset: the store's own clock.
    pub now: Millis,
}

/// Facts of a number and whether the report changed them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct NumberReply {
    /// 1: something changed.
    pub changed: u8,
    /// 1: it changed the state of customers, who are to be settled.
    pub resettle: u8,
    /// The field that is wrong, or "".
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// After the step.
    pub number: NumberFacts,
    /// The instant of the step.
    pub now: Millis,
}
