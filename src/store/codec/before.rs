//! Formats 4 and 5: all values, whether there are any or not, and in another order. Of the registers two came
//! later; format 4 had no `lapsed_to` either.

use super::{
    Atom, no_such_format,
    record::{Content, Field, Kind, must_end, read_counts, read_lists, values},
};
use crate::engine::Result;
use Kind::{Byte, Short, Text, Time};

const VALUES: [Field; 27] = [
    ("revision", Time),
    ("shown", Text),
    ("shown_at", Time),
    ("accept_at", Time),
    ("accept_permanent", Byte),
    ("accept_expires_at", Time),
    ("accept_request", Text),
    ("reject_at", Time),
    ("callback_at", Time),
    ("callback_expires_at", Time),
    ("taken_at", Time),
    ("taken_why", Byte),
    ("inbound_at", Time),
    ("talked_at", Time),
    ("wrote_at", Time),
    ("base_streak", Short),
    ("base_at", Time),
    ("told_status", Byte),
    ("told_kind", Byte),
    ("told_source", Byte),
    ("told_granted_at", Time),
    ("told_valid_until", Time),
    ("told_soon", Byte),
    ("told_warned", Byte),
    ("told_full", Byte),
    ("due_at", Time),
    ("lapsed_to", Time),
];

pub(super) fn read(format: u8, mut bytes: &[u8]) -> Result<Content<'_>> {
    let kept = match format {
        5 => &VALUES[..],
        4 => &VALUES[..VALUES.len() - 1],
        other => return Err(no_such_format(other)),
    };
    let counts = read_counts(&mut bytes)?;
    let lists = read_lists(&mut bytes, counts)?;
    let mut known = Vec::with_capacity(kept.len());
    for (name, kind) in kept {
        known.push((*name, kind.read(&mut bytes)?));
    }
    must_end(bytes)?;
    let value_of = |(name, _): Field| {
        let place = known.iter().position(|(other, _)| *other == name);
        place.map_or(Atom::Number(0), |place| known.swap_remove(place).1)
    };
    Ok(Content { lists, values: values().map(value_of).collect() })
}
