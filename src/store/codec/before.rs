//! Formats 5 and 6: ids of calls and requests are their texts, and more values are always there. In format 5 all
//! are, and two registers came later.

use std::borrow::Cow;

use super::{
    Atom, damaged, no_such_format,
    record::{Content, Field, GROUPS, Kind, must_end, read_counts, read_lists, values},
};
use crate::engine::{Result, attempt_id};
use Kind::{Byte, Id, Short, Text, Time};

/// Of format 6.
const ALWAYS_6: [Field; 17] = [
    ("revision", Time),
    ("shown", Text),
    ("shown_at", Time),
    ("accept_at", Time),
    ("accept_permanent", Byte),
    ("accept_expires_at", Time),
    ("accept_request", Id),
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

/// Of format 5.
const VALUES_5: [Field; 27] = [
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

pub(super) fn read(format: u8, bytes: &[u8]) -> Result<Content<'_>> {
    let (fields, content): (Vec<Field>, _) = match format {
        5 => (VALUES_5.into(), read_5(bytes)?),
        6 => {
            let groups = &GROUPS[..3];
            let fields = groups.iter().copied().flatten().copied().chain(ALWAYS_6);
            (fields.collect(), Content::read_with(bytes, groups, &ALWAYS_6)?)
        }
        other => return Err(no_such_format(other)),
    };
    let names = fields.into_iter().map(|(name, _)| name);
    let mut known: Vec<_> = std::iter::zip(names, content.values).collect();
    let value_of = |(name, kind): Field| {
        let place = known.iter().position(|(other, _)| *other == name);
        place.map_or_else(|| kind.nothing(), |place| known.swap_remove(place).1)
    };
    packed(Content { lists: content.lists, values: values().map(value_of).collect() })
}

fn read_5(mut bytes: &[u8]) -> Result<Content<'_>> {
    let counts = read_counts(&mut bytes)?;
    let lists = read_lists(&mut bytes, counts)?;
    let values = VALUES_5.map(|(_, kind)| kind.read(&mut bytes));
    must_end(bytes)?;
    Ok(Content { lists, values: values.into_iter().collect::<Result<_>>()? })
}

/// With ids as they are kept now.
fn packed(mut content: Content<'_>) -> Result<Content<'_>> {
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
