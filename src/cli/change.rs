//! A change of a permission as one line that a person reads.

use std::fmt::Write as _;

use crate::{
    cli::page::{self, Times, code, words},
    engine::{
        code::{change_cause_name, status_name},
        explain::grant_kind_name,
    },
    proto::{
        self as pb, ChangeCause as Cause, PermissionStatus as Status,
        watch_permissions_response::Message,
    },
};

/// Column of the status: the longest is "auto revoked".
const STATUS_WIDTH: usize = 12;
/// A change that was recorded so long after it happened says so. Seconds.
const LATE: i64 = 2;

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) is_coloured: bool,
}

impl Style {
    /// As the call icon of a contact centre: grey, yellow, green, red.
    fn status(self, status: Status) -> String {
        let name = words(status_name(code(status.into()))).to_uppercase();
        let name = format!("{name:<STATUS_WIDTH$}");
        let colour = match status {
            Status::Granted => "1;32",
            Status::Pending => "1;33",
            Status::Rejected | Status::Revoked | Status::AutoRevoked => "1;31",
            Status::Unspecified | Status::None | Status::Expired | Status::Lapsed => "1;90",
        };
        self.paint(colour, &name)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The line of a message; none of one that tells nothing.
pub(super) fn line(message: &Message, style: Style) -> Option<String> {
    match message {
        Message::Change(change) => Some(of_change(change, style)),
        Message::Snapshot(permission) => Some(of_snapshot(permission, style)),
        Message::Progress(_) => None,
    }
}

fn of_snapshot(permission: &pb::Permission, style: Style) -> String {
    let times = Times::of(permission);
    let at = permission.judged_at.as_ref().map_or(String::new(), |at| times.at(at));
    let means = means(permission, times);
    laid_out(style, &at, permission, "now", &means)
}

/// "2026-06-11 14:05:00 UTC  436666719526789 -> 15550199001  GRANTED  accepted; was pending; …".
fn of_change(change: &pb::PermissionChange, style: Style) -> String {
    let permission = change.permission.clone().unwrap_or_default();
    let times = Times::of(&permission);
    let at = change.occurred_at.as_ref().map_or(String::new(), |at| times.at(at));
    let mut text = String::new();
    if change.previous_status != permission.status {
        let _ = write!(text, "was {}; ", words(status_name(code(change.previous_status))));
    }
    text += &because(change, &permission, times);
    if let (Some(happened), Some(recorded)) = (&change.occurred_at, &change.recorded_at)
        && LATE <= recorded.seconds - happened.seconds
    {
        let late = u64::try_from(recorded.seconds - happened.seconds).unwrap_or(0);
        let _ = write!(text, "; recorded {} later", page::distance(late));
    }
    let cause = words(change_cause_name(code(change.cause)));
    laid_out(style, &at, &permission, &cause, &text)
}

fn laid_out(
    style: Style,
    at: &str,
    permission: &pb::Permission,
    cause: &str,
    means: &str,
) -> String {
    let pair = page::pair(permission.pair.as_ref());
    let status = style.status(permission.status());
    let at = style.dim(at);
    format!("{at}  {pair}  {status}  {cause}: {means}\n")
}

/// What it means, by what caused it.
fn because(change: &pb::PermissionChange, permission: &pb::Permission, times: Times) -> String {
    match change.cause() {
        Cause::CustomerWarned => {
            let streak = permission.unanswered.unwrap_or_default();
            let (count, end) = (streak.count, streak.revokes_at);
            format!(
                "{count} calls missed in a row, WhatsApp warns the customer; {end} end the permission"
            )
        }
        Cause::AutoRevoked => "taken away, for calls missed in a row or by the provider".to_owned(),
        Cause::LimitReached => match free_at(permission) {
            Some(at) => format!("no call is left; next free {}", times.with_distance(&at)),
            None => "no call is left".to_owned(),
        },
        Cause::LimitFreed => "callable again".to_owned(),
        Cause::Superseded => "a newer permission request ended the permission".to_owned(),
        Cause::Forgotten => "all about the customer was erased".to_owned(),
        Cause::Unspecified
        | Cause::RequestSent
        | Cause::RequestLapsed
        | Cause::Accepted
        | Cause::Rejected
        | Cause::Revoked
        | Cause::InboundCall
        | Cause::ExpiringSoon
        | Cause::Expired
        | Cause::Identity
        | Cause::Rules
        | Cause::Corrected => means(permission, times),
    }
}

/// What the state means.
fn means(permission: &pb::Permission, times: Times) -> String {
    let until = permission.valid_until.as_ref().map(|at| times.with_distance(at));
    match permission.status() {
        Status::Granted => {
            let kind = permission.grant.map_or("", |grant| grant_kind_name(code(grant.kind)));
            match until {
                Some(until) => format!("{kind} permission until {until}"),
                None => format!("{kind} permission"),
            }
        }
        Status::Pending => match until {
            Some(until) => format!("waiting for the customer until {until}"),
            None => "waiting for the customer".to_owned(),
        },
        Status::None => "no permission".to_owned(),
        Status::Rejected => "the customer said no".to_owned(),
        Status::Revoked => "the customer took the permission back".to_owned(),
        Status::AutoRevoked => "the permission was taken away".to_owned(),
        Status::Expired => "the permission ran out".to_owned(),
        Status::Lapsed => "the request was not answered in time".to_owned(),
        Status::Unspecified => "not known to this version".to_owned(),
    }
}

/// When a call frees that is full now.
fn free_at(permission: &pb::Permission) -> Option<prost_types::Timestamp> {
    let calls = [pb::QuotaKind::CallsInWindow, pb::QuotaKind::CallsInPermission];
    let full = permission.quotas.iter().filter(|quota| calls.contains(&quota.kind()));
    full.filter_map(|quota| quota.next_free_at).max_by_key(|at| (at.seconds, at.nanos))
}
