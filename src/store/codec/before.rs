//! Formats 5 and 6: ids of calls and requests are their texts. In format 5 all values are there, whether there
//! are any or not, and in another order; two registers came later.

use std::borrow::Cow;

use super::{
    Atom, damaged, no_such_format,
    record::{Content, Field, Kind, must_end, read_counts, read_lists, values},
};
use crate::engine::{Result, attempt_id};
use Kind::{Byte, Id, Short, Text, Time};

/// Otherwise as now.
pub(super) const FORMAT: u8 = 6;

const VALUES: [Field; 27] = [
    ("revision", Time),
    ("shown", Text),
    ("shown_at", Time),
    ("accept_at", Time),
    ("accept_permanent", Byte),
    ("accept_expires_at", Time),
    ("accept_request", Id),
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
    if format != 5 {
        return Err(no_such_format(format));
    }
    let counts = read_counts(&mut bytes)?;
    let lists = read_lists(&mut bytes, counts)?;
    let mut known = Vec::with_capacity(VALUES.len());
    for (name, kind) in VALUES {
        known.push((name, kind.read(&mut bytes)?));
    }
    must_end(bytes)?;
    let value_of = |(name, _): Field| {
        let place = known.iter().position(|(other, _)| *other == name);
        place.map_or(Atom::Number(0), |place| known.swap_remove(place).1)
    };
    packed(Content { lists, values: values().map(value_of).collect() })
}

/// With ids as they are kept now.
pub(super) fn packed(mut content: Content<'_>) -> Result<Content<'_>> {
    for atom in content.lists.iter_mut().flatten().chain(&mut content.values) {
        if let Atom::Id(Cow::Borrowed(id)) = atom {
            *atom = Atom::Id(attempt_id::pack(std::str::from_utf8(id).map_err(damaged)?));
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use mlua::{Function, Lua, LuaOptions, LuaString, StdLib, Table};

    use super::*;

    /// What Redis makes of ids in records of before is what a gate makes of them.
    #[test]
    fn codec_lua_packs_ids_alike() {
        let libraries = StdLib::STRING | StdLib::TABLE | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new()).unwrap();
        let codec: Table = lua.load(include_str!("../codec.lua")).eval().unwrap();
        let packed_id: Function = codec.get("packed_id").unwrap();
        for id in attempt_id::samples(20_000) {
            let kept: LuaString = packed_id.call(id.as_str()).unwrap();
            assert_eq!(*kept.as_bytes(), *attempt_id::pack(&id), "{id}");
        }
    }
}
