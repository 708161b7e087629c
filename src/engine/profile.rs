//! The rules as data: what each profile says. `docs/rules.md` gives the source of every value.

use serde::{Deserialize, Serialize};

use crate::engine::{
    fact::{NumberReport, Told, flag},
    time::Millis,
};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// A rule profile. Field names are the configuration's keys and the rulebook's; spans are in
/// milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Named in every answer.
    pub name: String,
    /// How long a temporary permission lasts where the reply tells no expiry.
    pub temporary_permission: u64,
    /// How long a sent request waits for its reply.
    pub request_lapses_after: u64,
    /// Permission requests in 24 h.
    pub requests_per_day: u32,
    /// Permission requests in 7 d.
    pub requests_per_week: u32,
    /// An answered call in either direction starts the request counts anew.
    #[serde(serialize_with = "flag")]
    pub connected_call_resets_requests: bool,
    /// A request that could not be delivered counts all the same.
    #[serde(serialize_with = "flag")]
    pub undelivered_request_counts: bool,
    /// Sending a new request ends the permission in effect.
    #[serde(serialize_with = "flag")]
    pub request_ends_permission: bool,
    /// Answered calls in `call_window`.
    pub calls_per_window: u32,
    /// The sliding window of `calls_per_window`.
    pub call_window: u64,
    /// Answered calls within one temporary permission; 0: no limit.
    pub calls_per_permission: u32,
    /// Calls at once; 0: no limit.
    pub calls_at_once: u32,
    /// After this time an answered call of which no end was told is taken to be over.
    pub longest_call: u64,
    /// Misses in a row after which the customer is asked to review the permission.
    pub unanswered_warns_at: u32,
    /// Misses in a row that take the permission away.
    pub unanswered_revokes_at: u32,
    /// A call that the business ended while it rang is a miss.
    #[serde(serialize_with = "flag")]
    pub canceled_is_unanswered: bool,
    /// A customer's call gives a temporary permission by itself.
    #[serde(serialize_with = "flag")]
    pub inbound_call_grants: bool,
    /// How long a slot is held without news of the call.
    pub lease: u64,
    /// How long before its end a permission is said to expire soon.
    pub expiring_soon: u64,
}

impl Profile {
    /// The requirement: what contact centres are told about WhatsApp calling.
    pub fn atom() -> Self {
        Self {
            name: "atom".to_owned(),
            temporary_permission: 7 * DAY,
            request_lapses_after: 24 * HOUR,
            requests_per_day: 1,
            requests_per_week: 2,
            connected_call_resets_requests: false,
            undelivered_request_counts: false,
            request_ends_permission: true,
            calls_per_window: 5,
            call_window: 24 * HOUR,
            calls_per_permission: 35,
            calls_at_once: 0,
            longest_call: HOUR,
            unanswered_warns_at: 2,
            unanswered_revokes_at: 4,
            canceled_is_unanswered: true,
            inbound_call_grants: true,
            lease: 90 * SECOND,
            expiring_soon: HOUR,
        }
    }

    /// Meta's developer pages, as read in June 2026.
    pub fn meta() -> Self {
        Self {
            name: "meta".to_owned(),
            request_lapses_after: 7 * DAY,
            connected_call_resets_requests: true,
            undelivered_request_counts: true,
            request_ends_permission: false,
            calls_per_window: 100,
            calls_per_permission: 0,
            calls_at_once: 1,
            inbound_call_grants: false,
            ..Self::atom()
        }
    }

    /// Meta's test numbers: more requests, a longer run of misses.
    pub fn meta_sandbox() -> Self {
        Self {
            name: "meta-sandbox".to_owned(),
            requests_per_day: 25,
            requests_per_week: 100,
            unanswered_warns_at: 5,
            unanswered_revokes_at: 10,
            ..Self::meta()
        }
    }

    /// The profiles that need no configuration.
    pub fn built_in() -> [Self; 3] {
        [Self::atom(), Self::meta(), Self::meta_sandbox()]
    }
}

/// What is known about a business number, as read in the same step as the pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberFacts {
    /// The number as people dial it, or "".
    pub display: String,
    /// 0 not known, 1 no, 2 yes.
    pub calling: u8,
    /// When `calling` was so.
    pub calling_at: Millis,
    /// 0 not known, 1 not paused, 2 paused.
    pub pause: u8,
    /// When the pause ends; 0: without end.
    pub paused_until: Millis,
    /// When `pause` was so.
    pub pause_at: Millis,
    /// Permission requests alone: 0 not known, 1 not paused, 2 paused.
    pub request_pause: u8,
    /// When that pause ends; 0: without end.
    pub requests_paused_until: Millis,
    /// When `request_pause` was so.
    pub request_pause_at: Millis,
    /// 0 not known, 1 no, 2 yes.
    pub inbound_call_grants: u8,
    /// When `inbound_call_grants` was so.
    pub inbound_call_grants_at: Millis,
}

impl NumberFacts {
    /// The facts as reports again, one for each that was told, since each has its own time: to be joined
    /// elsewhere. Without `display`, which has none.
    pub fn reports(&self) -> impl Iterator<Item = NumberReport> + use<> {
        let calling = NumberReport {
            at: self.calling_at,
            calling: Told::of(self.calling),
            ..NumberReport::default()
        };
        let pause = NumberReport {
            at: self.pause_at,
            pause: Told::of(self.pause),
            paused_until: self.paused_until,
            ..NumberReport::default()
        };
        let request_pause = NumberReport {
            at: self.request_pause_at,
            request_pause: Told::of(self.request_pause),
            requests_paused_until: self.requests_paused_until,
            ..NumberReport::default()
        };
        let grants = NumberReport {
            at: self.inbound_call_grants_at,
            inbound_call_grants: Told::of(self.inbound_call_grants),
            ..NumberReport::default()
        };
        [calling, pause, request_pause, grants].into_iter().filter(|report| report.at.0 != 0)
    }

    /// Of these facts what was told later than `at`.
    #[must_use]
    pub fn since(self, at: Millis) -> Self {
        let mut kept = self;
        if kept.calling_at <= at {
            (kept.calling, kept.calling_at) = Default::default();
        }
        if kept.pause_at <= at {
            (kept.pause, kept.paused_until, kept.pause_at) = Default::default();
        }
        if kept.request_pause_at <= at {
            (kept.request_pause, kept.requests_paused_until, kept.request_pause_at) =
                Default::default();
        }
        if kept.inbound_call_grants_at <= at {
            (kept.inbound_call_grants, kept.inbound_call_grants_at) = Default::default();
        }
        kept
    }
}
