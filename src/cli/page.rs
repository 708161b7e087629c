//! Answers as pages that a person reads.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::{
    engine::explain::{self, span},
    proto as pb,
};

/// Renders instants against the instant of the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    now: DateTime<Utc>,
}

fn utc(at: &Timestamp) -> DateTime<Utc> {
    let nanos = u32::try_from(at.nanos).unwrap_or(0);
    DateTime::from_timestamp(at.seconds, nanos).unwrap_or_default()
}

impl Times {
    /// Counts from the instant by which the gate judged: its clock, not ours.
    pub(super) fn of(permission: &pb::Permission) -> Self {
        Self { now: permission.judged_at.as_ref().map(utc).unwrap_or_default() }
    }

    /// "2026-06-11 14:05:00.250 UTC".
    pub(super) fn at(self, at: &Timestamp) -> String {
        let at = utc(at);
        let form = if at.timestamp_subsec_millis() == 0 {
            "%Y-%m-%d %H:%M:%S UTC"
        } else {
            "%Y-%m-%d %H:%M:%S%.3f UTC"
        };
        at.format(form).to_string()
    }

    /// With how far away that is: "… (in 3 h 12 min)".
    pub(super) fn with_distance(self, at: &Timestamp) -> String {
        let seconds = (utc(at) - self.now).num_seconds();
        let distance = distance(seconds.unsigned_abs());
        let distance = match seconds {
            0 => "now".to_owned(),
            1.. => format!("in {distance}"),
            _ => format!("{distance} ago"),
        };
        format!("{} ({distance})", self.at(at))
    }
}

/// The two largest units.
pub(super) fn distance(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let first = units.iter().position(|(_, size)| *size <= seconds).unwrap_or(units.len() - 1);
    let (name, size) = units[first];
    let mut text = format!("{} {name}", seconds / size);
    if let Some((name, smaller)) = units.get(first + 1)
        && let rest @ 1.. = seconds % size / smaller
    {
        let _ = write!(text, " {rest} {name}");
    }
    text
}

/// The contract's number as the engine's; what does not fit is unknown to both.
pub(super) fn code(number: i32) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

/// An enum's name as words: "call window limit".
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// Who is meant: "436666719526789 -> 15550199001 / US.1000".
pub(super) fn pair(pair: Option<&pb::Pair>) -> String {
    let Some(pair) = pair else { return String::new() };
    let ids = pair.customer.as_ref().map_or([""; 2], |c| [c.wa_id.as_str(), c.user_id.as_str()]);
    let ids: Vec<&str> = ids.into_iter().filter(|id| !id.is_empty()).collect();
    format!("{} -> {}", pair.phone_number_id, ids.join(" / "))
}

/// What changes the answer, in words.
pub(super) fn next_step(step: i32, callable_at: Option<&Timestamp>, times: Times) -> String {
    match pb::NextStep::try_from(step).unwrap_or(pb::NextStep::Unspecified) {
        pb::NextStep::PlaceCall => "place the call (authorize it first)".to_owned(),
        pb::NextStep::SendPermissionRequest => "send a permission request".to_owned(),
        pb::NextStep::WaitForCustomer => "wait for the customer's reply".to_owned(),
        pb::NextStep::Wait => match callable_at {
            Some(at) => format!("wait until {}", times.with_distance(at)),
            None => "wait".to_owned(),
        },
        pb::NextStep::FixBusinessNumber => "mend the business number: see its state".to_owned(),
        pb::NextStep::Unspecified => "none is known".to_owned(),
    }
}

/// One line per quota: "calls in window    5 of 5 in 24 h, 0 held; next free …".
pub(super) fn quota(quota: &pb::Quota, times: Times) -> String {
    let name = words(explain::quota_name(code(quota.kind)));
    let window = quota.window.as_ref().map_or(String::new(), |window| {
        let seconds = u64::try_from(window.seconds).unwrap_or(0);
        let millis = u64::try_from(window.nanos).unwrap_or(0) / 1_000_000;
        format!(" in {}", span(seconds * 1000 + millis))
    });
    let taken = quota.used + quota.held;
    let fill = if quota.limit == 0 {
        format!("{taken} taken, no limit")
    } else {
        format!("{taken} of {} taken{window}", quota.limit)
    };
    let held = if quota.held == 0 {
        String::new()
    } else {
        format!(" ({} counted, {} held)", quota.used, quota.held)
    };
    let free = quota
        .next_free_at
        .as_ref()
        .map_or(String::new(), |at| format!("; next free {}", times.with_distance(at)));
    format!("  {name:<21} {fill}{held}{free}")
}

/// The permission's status, its grant and how it ends.
pub(super) fn status(permission: &pb::Permission, times: Times) -> String {
    let mut text = words(explain::status_name(code(permission.status)));
    if let Some(grant) = &permission.grant {
        let kind = explain::grant_kind_name(code(grant.kind));
        let source = match pb::GrantSource::try_from(grant.source) {
            Ok(pb::GrantSource::Request) => "by reply to a permission request",
            Ok(pb::GrantSource::InboundCall) => "by calling the business",
            Ok(pb::GrantSource::BusinessProfile) => "unasked, in the business profile",
            Ok(pb::GrantSource::Unspecified) | Err(_) => "in a way not known",
        };
        let _ = write!(text, ", {kind}, given {source}");
        if let Some(at) = &grant.granted_at {
            let _ = write!(text, " on {}", times.at(at));
        }
    }
    if let Some(at) = &permission.valid_until {
        let _ = write!(text, "; until {}", times.with_distance(at));
    }
    text
}
