//! Records as bytes.
//!
//! A record is a sequence of MessagePack values in the order of [`RECORD`], a number's facts in the
//! order of [`NUMBER`]; the first value is the format. Integers take the shortest form, so equal
//! records are equal bytes. `codec.lua` is the same for Redis; a test holds the two together.
//!
//! A reader refuses a format that it does not know, and writes nothing: so a rolling upgrade is safe
//! in both directions. It reads the format before its own.

use mlua::{Lua, Table, Value};
use rmp::{decode, encode};
use serde_json::{Map, Value as Json};

use crate::engine::{Error, Result, change::Change};

/// How a value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// A string.
    Text,
    /// An array of whole numbers: a column.
    Numbers,
    /// An array of strings: a column.
    Texts,
}

use Kind::{Number, Numbers, Text, Texts};

/// What stands in which order.
#[derive(Debug)]
pub struct Layout {
    /// The version that is written.
    format: u64,
    /// Fields in order: the table they are in ("" for the record itself), name, kind.
    fields: &'static [(&'static str, &'static str, Kind)],
    /// The format before, where it is read.
    before: Option<Before>,
}

/// What the format before had otherwise.
#[derive(Debug)]
struct Before {
    /// How it kept a field of this format; `None`: not at all.
    kind: fn(table: &str, name: &str, kind: Kind) -> Option<Kind>,
    /// Makes its values, in order, those of this format.
    renew: fn(&mut Vec<Item>),
}

/// A record.
pub const RECORD: &Layout =
    &Layout { format: 3, fields: RECORD_FIELDS, before: Some(BEFORE_REJECTS) };
/// A business number's facts.
pub const NUMBER: &Layout = &Layout { format: 1, fields: NUMBER_FIELDS, before: None };

const REJECT_AT: usize = 7;

/// Format 2 kept of REJECTs the newest, with the request that it named, or "".
const BEFORE_REJECTS: Before = Before {
    kind: |table, name, kind| match (table, name) {
        ("rejects", "id") => Some(Text),
        ("rejects", "at") => None,
        _ => Some(kind),
    },
    renew: |items| {
        let at = items[REJECT_AT].clone();
        let named = std::mem::replace(&mut items[REJECT_AT + 1], Item::Texts(Vec::new()));
        let ats = match (named, at) {
            (Item::Text(id), Item::Number(at)) if !id.is_empty() => {
                items[REJECT_AT + 1] = Item::Texts(vec![id]);
                vec![at]
            }
            _ => Vec::new(),
        };
        items.push(Item::Numbers(ats));
    },
};

const RECORD_FIELDS: &[(&str, &str, Kind)] = &[
    ("", "revision", Number),
    ("", "shown", Text),
    ("", "shown_at", Number),
    ("", "accept_at", Number),
    ("", "accept_permanent", Number),
    ("", "accept_expires_at", Number),
    ("", "accept_request", Text),
    ("", "reject_at", Number),
    ("rejects", "id", Texts),
    ("", "callback_at", Number),
    ("", "callback_expires_at", Number),
    ("", "taken_at", Number),
    ("", "taken_why", Number),
    ("", "inbound_at", Number),
    ("", "talked_at", Number),
    ("", "wrote_at", Number),
    ("", "base_streak", Number),
    ("", "base_at", Number),
    ("links", "id", Texts),
    ("links", "first", Numbers),
    ("links", "last", Numbers),
    ("calls", "own", Texts),
    ("calls", "provider", Texts),
    ("calls", "outcome", Numbers),
    ("calls", "at", Numbers),
    ("calls", "held_until", Numbers),
    ("calls", "first", Numbers),
    ("calls", "ended_at", Numbers),
    ("calls", "sign_at", Numbers),
    ("calls", "error", Numbers),
    ("requests", "own", Texts),
    ("requests", "provider", Texts),
    ("requests", "outcome", Numbers),
    ("requests", "at", Numbers),
    ("requests", "held_until", Numbers),
    ("requests", "first", Numbers),
    ("requests", "delivered_at", Numbers),
    ("", "told_status", Number),
    ("", "told_kind", Number),
    ("", "told_source", Number),
    ("", "told_granted_at", Number),
    ("", "told_valid_until", Number),
    ("", "told_soon", Number),
    ("", "told_warned", Number),
    ("", "told_full", Number),
    ("", "due_at", Number),
    ("rejects", "at", Numbers),
];

const NUMBER_FIELDS: &[(&str, &str, Kind)] = &[
    ("", "display", Text),
    ("", "calling", Number),
    ("", "calling_at", Number),
    ("", "pause", Number),
    ("", "paused_until", Number),
    ("", "pause_at", Number),
    ("", "request_pause", Number),
    ("", "requests_paused_until", Number),
    ("", "request_pause_at", Number),
    ("", "inbound_call_grants", Number),
    ("", "inbound_call_grants_at", Number),
];

/// One value of a layout.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    Number(i64),
    Text(String),
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

/// A change as the log keeps it: a MessagePack array of its fields in order.
pub(crate) fn encode_change(change: &Change) -> Result<Vec<u8>> {
    rmp_serde::to_vec(change)
        .map_err(|error| Error::Internal(format!("a change cannot be kept: {error}")))
}

/// See [`encode_change`].
///
/// # Errors
/// [`Error::Internal`] if the bytes are damaged or of a format that this version does not read.
pub fn decode_change(bytes: &[u8]) -> Result<Change> {
    let change: Change = rmp_serde::from_slice(bytes)
        .map_err(|error| Error::Internal(format!("a change on the log cannot be read: {error}")))?;
    if change.format == Change::FORMAT {
        return Ok(change);
    }
    Err(Error::Internal(format!(
        "a change of format {} is not one that this version of callgate reads",
        change.format
    )))
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::Internal(format!("a record cannot be read: {what}"))
}

fn read_text(bytes: &mut &[u8]) -> Result<String> {
    let length = decode::read_str_len(bytes).map_err(damaged)? as usize;
    if bytes.len() < length {
        return Err(damaged("it ends too early"));
    }
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    String::from_utf8(text.to_vec()).map_err(damaged)
}

fn read_item(bytes: &mut &[u8], kind: Kind) -> Result<Item> {
    Ok(match kind {
        Number => Item::Number(decode::read_int(bytes).map_err(damaged)?),
        Text => Item::Text(read_text(bytes)?),
        Numbers => {
            let length = decode::read_array_len(bytes).map_err(damaged)?;
            let items = (0..length).map(|_| decode::read_int(bytes).map_err(damaged));
            Item::Numbers(items.collect::<Result<_>>()?)
        }
        Texts => {
            let length = decode::read_array_len(bytes).map_err(damaged)?;
            Item::Texts((0..length).map(|_| read_text(bytes)).collect::<Result<_>>()?)
        }
    })
}

fn read(mut bytes: &[u8], layout: &Layout) -> Result<Vec<Item>> {
    let format: u64 = decode::read_int(&mut bytes).map_err(damaged)?;
    let before = layout.before.as_ref().filter(|_| format.checked_add(1) == Some(layout.format));
    if format != layout.format && before.is_none() {
        return Err(Error::Internal(format!(
            "record format {format} is not one that this version of callgate reads"
        )));
    }
    let mut items = Vec::with_capacity(layout.fields.len());
    for (table, name, kind) in layout.fields {
        if let Some(kind) = before.map_or(Some(*kind), |before| (before.kind)(table, name, *kind)) {
            items.push(read_item(&mut bytes, kind)?);
        }
    }
    if let Some(before) = before {
        (before.renew)(&mut items);
    }
    if bytes.is_empty() { Ok(items) } else { Err(damaged("it goes on after its end")) }
}

/// A record or a number's facts as JSON, for people.
///
/// # Errors
/// [`Error::Internal`] if the bytes are damaged or of another format.
pub fn to_json(bytes: &[u8], layout: &Layout) -> Result<Json> {
    let mut root = Map::new();
    for ((table, name, _), item) in std::iter::zip(layout.fields, read(bytes, layout)?) {
        let value = match item {
            Item::Number(n) => Json::from(n),
            Item::Text(text) => Json::from(text),
            Item::Numbers(list) => Json::from(list),
            Item::Texts(list) => Json::from(list),
        };
        let home = if table.is_empty() {
            &mut root
        } else {
            let inner = root.entry(*table).or_insert_with(|| Json::Object(Map::new()));
            inner.as_object_mut().expect("only tables are entered under table names")
        };
        home.insert((*name).to_owned(), value);
    }
    Ok(Json::Object(root))
}

/// A record or a number's facts as the rulebook's table.
pub(crate) fn decode(lua: &Lua, bytes: &[u8], layout: &Layout) -> Result<Table> {
    let items = read(bytes, layout)?;
    to_table(lua, layout, items).map_err(|error| Error::Internal(error.to_string()))
}

fn to_table(lua: &Lua, layout: &Layout, items: Vec<Item>) -> mlua::Result<Table> {
    let root = lua.create_table()?;
    let mut home = ("", root.clone());
    for ((table, name, _), item) in std::iter::zip(layout.fields, items) {
        if table.is_empty() {
            home = ("", root.clone());
        } else if home.0 != *table {
            home = (table, inner_table(lua, &root, table)?);
        }
        match item {
            Item::Number(n) => home.1.raw_set(*name, n)?,
            Item::Text(text) => home.1.raw_set(*name, text)?,
            Item::Numbers(list) => home.1.raw_set(*name, list)?,
            Item::Texts(list) => home.1.raw_set(*name, list)?,
        }
    }
    Ok(root)
}

/// The table of this name in `root`.
fn inner_table(lua: &Lua, root: &Table, name: &str) -> mlua::Result<Table> {
    if let Some(inner) = root.raw_get(name)? {
        return Ok(inner);
    }
    let inner = lua.create_table()?;
    if matches!(name, "calls" | "requests") {
        inner.raw_set("kind", name)?;
    }
    root.raw_set(name, &inner)?;
    Ok(inner)
}

/// The rulebook's table as bytes.
pub(crate) fn encode(root: &Table, layout: &Layout) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(256);
    write(&mut bytes, root, layout).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(bytes)
}

fn write(bytes: &mut Vec<u8>, root: &Table, layout: &Layout) -> mlua::Result<()> {
    let no_room = |_| mlua::Error::runtime("cannot encode");
    encode::write_uint(bytes, layout.format).map_err(no_room)?;
    let mut home = ("", root.clone());
    for (table, name, kind) in layout.fields {
        if table.is_empty() {
            home = ("", root.clone());
        } else if home.0 != *table {
            home = (table, root.raw_get(*table)?);
        }
        match kind {
            Number => {
                encode::write_sint(bytes, whole(home.1.raw_get(*name)?)?).map_err(no_room)?;
            }
            Text => {
                let text: mlua::LuaString = home.1.raw_get(*name)?;
                write_text(bytes, &text)?;
            }
            Numbers => {
                let list: Table = home.1.raw_get(*name)?;
                write_length(bytes, &list)?;
                for value in list.sequence_values::<Value>() {
                    encode::write_sint(bytes, whole(value?)?).map_err(no_room)?;
                }
            }
            Texts => {
                let list: Table = home.1.raw_get(*name)?;
                write_length(bytes, &list)?;
                for text in list.sequence_values::<mlua::LuaString>() {
                    write_text(bytes, &text?)?;
                }
            }
        }
    }
    Ok(())
}

fn write_text(bytes: &mut Vec<u8>, text: &mlua::LuaString) -> mlua::Result<()> {
    let text = text.to_str()?;
    encode::write_str(bytes, &text).map_err(|_| mlua::Error::runtime("cannot encode"))
}

fn write_length(bytes: &mut Vec<u8>, list: &Table) -> mlua::Result<()> {
    let length = u32::try_from(list.raw_len()).map_err(mlua::Error::external)?;
    encode::write_array_len(bytes, length)
        .map(|_| ())
        .map_err(|_| mlua::Error::runtime("cannot encode"))
}

fn whole(value: Value) -> mlua::Result<i64> {
    value.as_i64().ok_or_else(|| mlua::Error::runtime("a record holds whole numbers only"))
}
