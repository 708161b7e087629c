//! Business numbers, and what is told of one by its display number only.
//!
//! Reports that name a display number are joined to facts of their own, kept with the display number
//! for good. When the id is known they are joined to the number's facts as well, again and again:
//! joining is idempotent, so no order of learning and reporting loses any. A display number may pass to
//! another id: what was told of it while another one had it is not told of the one that has it now.

use serde::{Deserialize, Serialize};

use super::{
    batch::{Batch, Space},
    due,
    host::{note_number, number_facts},
    key,
    value::Stored,
};
use crate::{
    engine::{
        Error, Result, archive, fact::NumberReport, pair::PhoneNumberId, step::NumberReply,
        time::Millis,
    },
    store::lua::Vm,
};

/// What is known of a display number.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Display {
    /// Whose it is, or "".
    number: String,
    /// When that was so last.
    number_at: Millis,
    /// When another id had it last.
    #[serde(default)]
    others_at: Millis,
    /// What was told under the display number, encoded as a number's facts; empty: nothing.
    facts: Vec<u8>,
}

impl Display {
    /// Notes who had it at `at`. Of two at one instant the larger id has it, so that their order does not
    /// matter. Returns whether that is news.
    fn learn(&mut self, number: &str, at: Millis) -> bool {
        let is_newest = (self.number_at, self.number.as_str()) < (at, number);
        if self.number == number || self.number.is_empty() {
            if is_newest {
                (self.number, self.number_at) = (number.to_owned(), at);
            }
            return is_newest;
        }
        let before = self.others_at;
        self.others_at = before.max(if is_newest { self.number_at } else { at });
        if is_newest {
            (self.number, self.number_at) = (number.to_owned(), at);
        }
        is_newest || before < self.others_at
    }
}

/// Reads a number, or joins a report to it.
pub(super) fn step(
    vm: &mut Vm,
    space: &mut impl Space,
    number: &PhoneNumberId,
    report: Option<&NumberReport>,
    now: Millis,
) -> Result<NumberReply> {
    let known = number_facts(space, number, now)?;
    let (reply, facts) = vm.number_step(report, now, known.as_deref())?;
    if let Some(facts) = facts {
        note_number(space, number, now)?;
        space.put(key::number(number), Stored::lasting(facts))?;
        if reply.resettle == 1 {
            due::set(space, number, due::WHOLE_NUMBER, now, now)?;
        }
    }
    Ok(reply)
}

/// Joins a report that names the display number only; tells whose it is.
pub(super) fn report_by_display(
    vm: &mut Vm,
    batch: &mut Batch<'_>,
    digits: &str,
    report: &NumberReport,
    now: Millis,
) -> Result<Option<PhoneNumberId>> {
    let mut display = read(batch, digits, now)?;
    let known = (!display.facts.is_empty()).then_some(display.facts.as_slice());
    let (reply, facts) = vm.number_step(Some(report), now, known)?;
    if !reply.field.is_empty() {
        return Err(Error::Invalid { field: reply.field, problem: reply.problem });
    }
    if let Some(facts) = facts {
        display.facts = facts;
        write(batch, digits, &display)?;
    }
    let number = owner(&display)?;
    if let Some(number) = &number {
        hand_over(vm, batch, &display, number, now)?;
    }
    Ok(number)
}

/// Learns whose the display number is, and hands over what was told of it.
pub(super) fn learn_display(
    vm: &mut Vm,
    batch: &mut Batch<'_>,
    digits: &str,
    number: &PhoneNumberId,
    at: Millis,
    now: Millis,
) -> Result<()> {
    let mut display = read(batch, digits, now)?;
    if display.learn(number.as_str(), at) {
        write(batch, digits, &display)?;
    }
    match owner(&display)? {
        Some(owner) => hand_over(vm, batch, &display, &owner, now),
        None => Ok(()),
    }
}

fn hand_over(
    vm: &mut Vm,
    batch: &mut Batch<'_>,
    display: &Display,
    number: &PhoneNumberId,
    now: Millis,
) -> Result<()> {
    if display.facts.is_empty() {
        return Ok(());
    }
    let (told, _) = vm.number_step(None, now, Some(&display.facts))?;
    for report in told.number.since(display.others_at).reports() {
        step(vm, batch, number, Some(&report), now)?;
    }
    Ok(())
}

fn owner(display: &Display) -> Result<Option<PhoneNumberId>> {
    if display.number.is_empty() {
        return Ok(None);
    }
    PhoneNumberId::parse(&display.number, "display").map(Some)
}

/// What is kept of a display number, for elsewhere.
pub(super) fn display(
    vm: &mut Vm,
    digits: &str,
    bytes: &[u8],
    now: Millis,
) -> Result<archive::Display> {
    let display = decoded(bytes)?;
    let known = (!display.facts.is_empty()).then_some(display.facts.as_slice());
    let (told, _) = vm.number_step(None, now, known)?;
    Ok(archive::Display {
        display: digits.to_owned(),
        owner: owner(&display)?.map(|owner| (owner, display.number_at)),
        waiting: told.number.since(display.others_at),
    })
}

fn decoded(bytes: &[u8]) -> Result<Display> {
    rmp_serde::from_slice(bytes)
        .map_err(|error| Error::Internal(format!("a display number cannot be read: {error}")))
}

fn read(batch: &Batch<'_>, digits: &str, now: Millis) -> Result<Display> {
    match batch.get(&key::display(digits), now)? {
        None => Ok(Display::default()),
        Some(bytes) => decoded(&bytes),
    }
}

fn write(batch: &mut Batch<'_>, digits: &str, display: &Display) -> Result<()> {
    let bytes = rmp_serde::to_vec_named(display)
        .map_err(|error| Error::Internal(format!("a display number cannot be kept: {error}")))?;
    batch.put(key::display(digits), Stored::lasting(bytes))
}
