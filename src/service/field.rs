//! Checks of single fields, each an error that names the path in the request. Values are never
//! repeated in a message: they may be a customer's.

use std::{ops::RangeInclusive, time::Duration};

use prost_types::{Duration as ProtoDuration, Timestamp};

use crate::engine::{
    Error, Result,
    time::{Millis, millis},
};

/// 2009-01-01T00:00:00Z: the year WhatsApp began. Nothing happened earlier.
const EARLIEST: i64 = 1_230_768_000;
/// The well-known Timestamp ends with the year 9999.
const LATEST: i64 = 253_402_300_799;
const NANOS_PER_SECOND: i32 = 1_000_000_000;

const LEASE_MIN: Duration = Duration::from_secs(5);
const LEASE_MAX: Duration = Duration::from_secs(600);

const PROGRESS_INTERVAL: Duration = Duration::from_secs(15);
const PROGRESS_INTERVAL_MIN: Duration = Duration::from_secs(1);
const PROGRESS_INTERVAL_MAX: Duration = Duration::from_secs(300);

/// The longest id of the caller's own.
pub(crate) const OWN_ID_MAX: usize = 128;
/// The longest id of an event, of a provider, of an agent.
pub(crate) const OTHER_ID_MAX: usize = 256;
/// The largest batch.
pub(crate) const BATCH_MAX: usize = 1000;

/// An id that may be absent: "" or up to `max` characters, none of them a control character.
pub(crate) fn optional_id(text: String, max: usize, field: &str) -> Result<String> {
    if text.chars().count() > max {
        return Err(Error::invalid(field, format!("must be at most {max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(text)
}

/// An id that must be there.
pub(crate) fn required_id(text: String, max: usize, field: &str) -> Result<String> {
    if text.is_empty() {
        return Err(Error::invalid(field, format!("is required: 1 to {max} characters")));
    }
    optional_id(text, max, field)
}

/// An enum that must be told and known. `names` lists what may be told.
pub(crate) fn known<E: TryFrom<i32> + PartialEq + Default>(
    number: i32,
    field: &str,
    names: &str,
) -> Result<E> {
    match E::try_from(number) {
        Ok(value) if value != E::default() => Ok(value),
        Ok(_) => Err(Error::invalid(field, format!("is required: {names}"))),
        Err(_) => Err(unknown(number, field, names)),
    }
}

/// An enum that may be left unspecified, but must be known.
pub(crate) fn known_or_default<E: TryFrom<i32>>(
    number: i32,
    field: &str,
    names: &str,
) -> Result<E> {
    E::try_from(number).map_err(|_| unknown(number, field, names))
}

fn unknown(number: i32, field: &str, names: &str) -> Error {
    Error::invalid(field, format!("{number} is not known to this gate: {names}"))
}

/// An instant that may be absent, then unset. How far ahead it may lie is the rulebook's to judge,
/// by the store's clock.
pub(crate) fn instant(at: Option<Timestamp>, field: &str) -> Result<Millis> {
    let Some(at) = at else { return Ok(Millis::ZERO) };
    let ms = well_formed(at, field)?;
    if at.seconds < EARLIEST {
        return Err(Error::invalid(field, "must not be before 2009-01-01T00:00:00Z"));
    }
    Ok(ms)
}

/// An end that may lie anywhere, e.g. in 1970 to say "it is over". `None`: not told. `Some(ZERO)`:
/// told, and so long ago that it cannot be meant as an end to wait for.
pub(crate) fn end(at: Option<Timestamp>, field: &str) -> Result<Option<Millis>> {
    let Some(at) = at else { return Ok(None) };
    let ms = well_formed(at, field)?;
    Ok(Some(if at.seconds < EARLIEST { Millis::ZERO } else { ms }))
}

fn well_formed(at: Timestamp, field: &str) -> Result<Millis> {
    if !(0..NANOS_PER_SECOND).contains(&at.nanos) {
        return Err(Error::invalid(field, "must have nanos from 0 to 999999999"));
    }
    if at.seconds > LATEST {
        return Err(Error::invalid(field, "must not be after the year 9999"));
    }
    let seconds = u64::try_from(at.seconds).unwrap_or(0);
    Ok(Millis(seconds * 1000 + u64::from(at.nanos.unsigned_abs()) / 1_000_000))
}

/// How long a slot is held; `None`: by profile.
pub(crate) fn lease(span: Option<ProtoDuration>, field: &str) -> Result<Option<Duration>> {
    within(span, LEASE_MIN..=LEASE_MAX, field, "must be 5 s to 10 min; unset: by policy")
}

/// The longest silence on a stream.
pub(crate) fn progress_interval(span: Option<ProtoDuration>, field: &str) -> Result<Duration> {
    let problem = "must be 1 s to 5 min; unset: 15 s";
    let interval = within(span, PROGRESS_INTERVAL_MIN..=PROGRESS_INTERVAL_MAX, field, problem)?;
    Ok(interval.unwrap_or(PROGRESS_INTERVAL))
}

fn within(
    span: Option<ProtoDuration>,
    bounds: RangeInclusive<Duration>,
    field: &str,
    problem: &str,
) -> Result<Option<Duration>> {
    let Some(span) = span else { return Ok(None) };
    let is_well_formed = 0 <= span.seconds && (0..NANOS_PER_SECOND).contains(&span.nanos);
    let found = is_well_formed
        .then(|| Duration::new(span.seconds.unsigned_abs(), span.nanos.unsigned_abs()))
        .filter(|span| bounds.contains(span));
    match found {
        // Whole milliseconds, as everything here.
        Some(span) => Ok(Some(Duration::from_millis(millis(span)))),
        None => Err(Error::invalid(field, problem)),
    }
}

/// A batch of 1 to 1000.
pub(crate) fn batch<T>(items: Vec<T>, field: &str) -> Result<Vec<T>> {
    if items.is_empty() || items.len() > BATCH_MAX {
        let problem = format!("must have 1 to {BATCH_MAX} items, not {}", items.len());
        return Err(Error::invalid(field, problem));
    }
    Ok(items)
}

/// Puts the path in the request before a field that the rulebook named: `path_of` says which.
pub(crate) fn under<'a>(path_of: impl Fn(&str) -> &'a str, error: Error) -> Error {
    match error {
        Error::Invalid { field, problem } => {
            let path = path_of(&field);
            let dot = if path.is_empty() { "" } else { "." };
            Error::Invalid { field: format!("{path}{dot}{field}"), problem }
        }
        other => other,
    }
}
