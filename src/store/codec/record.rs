//! A record as bytes, format 7.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format |
//! | 1, 1, 2, 1 | how many rows `rejects`, `links`, `calls` and `requests` have |
//! | 1 | which of the [`GROUPS`] of values are there, the first by the lowest bit |
//! | | the rows, list after list, each in the order of [`LISTS`] |
//! | | the values of the groups that are there, then those of [`ALWAYS`] |
//!
//! Numbers are little-endian and of a fixed width ([`Kind`]), texts end with a zero byte; ids of calls and
//! requests are kept in fewer bytes than their texts have ([`attempt_id`]). So one call of Lua's `struct` reads
//! a list, whatever its length (`codec.lua`). A group of which nothing is set is left out, as most are of most
//! customers: so equal records are equal bytes.

use serde_json::{Map, Value as Json};

use super::{Atom, before, damaged};
use crate::{
    engine::{Error, Result, attempt_id},
    store::{
        cells::{Reader, Writer},
        reply::Values as _,
    },
};

const FORMAT: u8 = 7;

/// How a value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A code, a flag.
    Byte,
    /// A small count.
    Short,
    /// A provider's error code; the only number that may be negative.
    Code,
    /// A time in milliseconds, a revision. 48 bits.
    Time,
    /// A text without zero bytes.
    Text,
    /// The id of a call or a request, see [`attempt_id`].
    Id,
    /// An id that is mostly that of one of the record's requests, and told by its place then: [`REFERENCE`]
    /// and a byte, which counts their ids, two for each request, from 1 to [`PLACES`].
    IdOrPlace,
}

use Kind::{Byte, Code, Id, IdOrPlace, Short, Text, Time};

pub(super) type Field = (&'static str, Kind);

/// The lists, with the columns of their rows.
const LISTS: [(&str, &[Field]); 4] = [
    ("rejects", &[("id", Id), ("at", Time)]),
    ("links", &[("id", Text), ("first", Time), ("last", Time)]),
    (
        "calls",
        &[
            ("own", Id),
            ("provider", Id),
            ("outcome", Byte),
            ("at", Time),
            ("held_until", Time),
            ("first", Time),
            ("ended_at", Time),
            ("sign_at", Time),
            ("error", Code),
        ],
    ),
    (
        "requests",
        &[
            ("own", Id),
            ("provider", Id),
            ("outcome", Byte),
            ("at", Time),
            ("held_until", Time),
            ("first", Time),
            ("delivered_at", Time),
        ],
    ),
];

/// Of how many bytes the count of each list is.
const COUNTS: [usize; 4] = [1, 1, 2, 1];

/// Values that many records do not have, by what has happened. Format 6 had the first three.
pub(super) const GROUPS: [&[Field]; 6] = [
    // The customer said no or the provider did, or misses were folded.
    &[
        ("reject_at", Time),
        ("taken_at", Time),
        ("taken_why", Byte),
        ("base_streak", Short),
        ("base_at", Time),
    ],
    // There was an automatic ACCEPT, or an ACCEPT told of both ids.
    &[
        ("callback_at", Time),
        ("callback_expires_at", Time),
        ("accept_superseded_at", Time),
        ("callback_superseded_at", Time),
    ],
    // The customer called or wrote.
    &[("inbound_at", Time), ("talked_at", Time), ("wrote_at", Time)],
    // Meta spelled the wa_id.
    &[("shown", Text), ("shown_at", Time)],
    // The ACCEPT told its end.
    &[("accept_expires_at", Time)],
    // A call lapsed.
    &[("lapsed_to", Time)],
];

/// All other values.
const ALWAYS: [Field; 13] = [
    ("revision", Time),
    ("accept_at", Time),
    ("accept_permanent", Byte),
    ("accept_request", IdOrPlace),
    ("told_status", Byte),
    ("told_kind", Byte),
    ("told_source", Byte),
    ("told_granted_at", Time),
    ("told_valid_until", Time),
    ("told_soon", Byte),
    ("told_warned", Byte),
    ("told_full", Byte),
    ("due_at", Time),
];

/// The first byte of no id.
const REFERENCE: u8 = 0xb8;
const PLACES: usize = 2 * 64;

/// All values, in the order in which the rulebook takes and gives them.
pub(super) fn values() -> impl Iterator<Item = Field> {
    GROUPS.into_iter().flatten().copied().chain(ALWAYS)
}

/// The ids of requests, as [`IdOrPlace`] counts them.
fn request_ids<'a, 'b>(lists: &'a [Vec<Atom<'b>>; 4]) -> impl Iterator<Item = &'a Atom<'b>> {
    let [.., requests] = lists;
    requests.chunks(LISTS[3].1.len()).flat_map(|row| &row[..2]).take(PLACES)
}

/// What a record holds, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Content<'a> {
    /// Row after row, of each list.
    pub(super) lists: [Vec<Atom<'a>>; 4],
    pub(super) values: Vec<Atom<'a>>,
}

impl Kind {
    /// Bytes of a number.
    fn width(self) -> usize {
        match self {
            Text | Id | IdOrPlace => 0,
            Byte => 1,
            Short => 2,
            Code => 4,
            Time => 6,
        }
    }

    /// The value that is unset.
    pub(super) fn nothing(self) -> Atom<'static> {
        match self {
            Text => Atom::Text("".into()),
            Id | IdOrPlace => Atom::Id(b"".into()),
            Byte | Short | Code | Time => Atom::Number(0),
        }
    }

    pub(super) fn read<'a>(self, bytes: &mut &'a [u8]) -> Result<Atom<'a>> {
        if matches!(self, Text | Id | IdOrPlace) {
            let length = bytes.iter().position(|byte| *byte == 0).ok_or_else(too_short)?;
            let text = &bytes[..length];
            *bytes = &bytes[length + 1..];
            let is_place = self == IdOrPlace && matches!(text, [REFERENCE, _]);
            return match self {
                Id | IdOrPlace if is_place || attempt_id::may_be(text) => Ok(Atom::Id(text.into())),
                _ => std::str::from_utf8(text).map(|text| Atom::Text(text.into())).map_err(damaged),
            };
        }
        let number = read_number(bytes, self.width())?;
        // A sign stands in the fourth byte.
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "4 bytes")]
        let number = if self == Code { i64::from(number as u32 as i32) } else { number as i64 };
        Ok(Atom::Number(number))
    }

    /// A value of this kind that the interpreter wrote.
    fn atom<'a>(self, from: &mut Reader<'a>) -> Result<Atom<'a>> {
        match self {
            Text => from.str().map(|text| Atom::Text(text.into())),
            Id | IdOrPlace => from.text_as_bytes().map(|id| Atom::Id(id.into())),
            Byte | Short | Code | Time => from.signed().map(Atom::Number),
        }
    }

    fn of_json(self, value: Option<Json>) -> Option<Atom<'static>> {
        match (self, value?) {
            (Text, Json::String(text)) => Some(Atom::Text(text.into())),
            (Id | IdOrPlace, Json::String(text)) => {
                Some(Atom::Id(attempt_id::pack(&text).into_owned().into()))
            }
            (Byte | Short | Code | Time, value) => value.as_i64().map(Atom::Number),
            (Text | Id | IdOrPlace, _) => None,
        }
    }

    fn write(self, bytes: &mut Vec<u8>, atom: &Atom<'_>) -> Result<()> {
        match (self, atom) {
            (Text, Atom::Text(text)) => write_text(bytes, text.as_bytes()),
            (Id | IdOrPlace, Atom::Id(id)) => write_text(bytes, id),
            (Code, Atom::Number(number)) => {
                let code = i32::try_from(*number).map_err(|_| out_of_range(*number))?;
                bytes.extend_from_slice(&code.to_le_bytes());
                Ok(())
            }
            (Byte | Short | Time, Atom::Number(number)) => {
                let whole = u64::try_from(*number).map_err(|_| out_of_range(*number))?;
                write_number(bytes, whole, self.width())
            }
            _ => Err(Error::Internal("a record cannot be kept: a value of another kind".into())),
        }
    }
}

fn too_short() -> Error {
    damaged("it ends too early")
}

fn out_of_range(number: impl std::fmt::Display) -> Error {
    Error::Internal(format!("a record cannot be kept: {number} is out of range"))
}

fn read_number(bytes: &mut &[u8], width: usize) -> Result<u64> {
    let (number, rest) = bytes.split_at_checked(width).ok_or_else(too_short)?;
    *bytes = rest;
    Ok(number.iter().rev().fold(0, |whole, byte| whole << 8 | u64::from(*byte)))
}

fn write_number(bytes: &mut Vec<u8>, number: u64, width: usize) -> Result<()> {
    let all = number.to_le_bytes();
    if all[width..].iter().any(|byte| *byte != 0) {
        return Err(out_of_range(number));
    }
    bytes.extend_from_slice(&all[..width]);
    Ok(())
}

fn write_text(bytes: &mut Vec<u8>, text: &[u8]) -> Result<()> {
    if text.contains(&0) {
        return Err(Error::Internal("a record cannot be kept: a text has a zero byte".into()));
    }
    bytes.extend_from_slice(text);
    bytes.push(0);
    Ok(())
}

/// How many rows each list has.
pub(super) fn read_counts(bytes: &mut &[u8]) -> Result<[usize; 4]> {
    let mut counts = [0; 4];
    for (count, width) in std::iter::zip(&mut counts, COUNTS) {
        *count = usize::try_from(read_number(bytes, width)?).map_err(damaged)?;
    }
    Ok(counts)
}

pub(super) fn read_lists<'a>(
    bytes: &mut &'a [u8],
    counts: [usize; 4],
) -> Result<[Vec<Atom<'a>>; 4]> {
    let mut lists = [const { Vec::new() }; 4];
    for ((list, count), (_, columns)) in std::iter::zip(&mut lists, counts).zip(LISTS) {
        // Each value is a byte at least, whatever the counts say.
        list.reserve_exact((count * columns.len()).min(bytes.len()));
        for _ in 0..count {
            for (_, kind) in columns {
                list.push(kind.read(bytes)?);
            }
        }
    }
    Ok(lists)
}

pub(super) fn must_end(bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() { Ok(()) } else { Err(damaged("it goes on after its end")) }
}

impl<'a> Content<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => Self::read_rest(rest),
            Some((&format, rest)) => before::read(format, rest),
            None => Err(too_short()),
        }
    }

    fn read_rest(bytes: &'a [u8]) -> Result<Self> {
        let mut content = Self::read_with(bytes, &GROUPS, &ALWAYS)?;
        let (lists, values) = (&content.lists, &mut content.values);
        for value in values {
            let Atom::Id(id) = value else { continue };
            if let [REFERENCE, place] = &**id {
                let id = request_ids(lists).nth(usize::from(*place).wrapping_sub(1)).cloned();
                *value = id.ok_or_else(|| damaged("it names a request that it does not have"))?;
            }
        }
        Ok(content)
    }

    /// What is laid out as now, with these values.
    pub(super) fn read_with(
        mut bytes: &'a [u8],
        groups: &[&[Field]],
        always: &[Field],
    ) -> Result<Self> {
        let counts = read_counts(&mut bytes)?;
        let there = read_number(&mut bytes, 1)?;
        if there >> groups.len() != 0 {
            return Err(damaged("it has values that this version does not know"));
        }
        let lists = read_lists(&mut bytes, counts)?;
        let mut values = Vec::with_capacity(32);
        for (n, group) in groups.iter().enumerate() {
            for (_, kind) in *group {
                let is_there = there >> n & 1 == 1;
                values.push(if is_there { kind.read(&mut bytes)? } else { kind.nothing() });
            }
        }
        for (_, kind) in always {
            values.push(kind.read(&mut bytes)?);
        }
        must_end(bytes)?;
        Ok(Self { lists, values })
    }

    fn write(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(512);
        bytes.push(FORMAT);
        for ((list, (_, columns)), width) in std::iter::zip(&self.lists, LISTS).zip(COUNTS) {
            write_number(&mut bytes, (list.len() / columns.len()) as u64, width)?;
        }
        let at_groups = bytes.len();
        bytes.push(0);
        for (list, (_, columns)) in std::iter::zip(&self.lists, LISTS) {
            for (atom, (_, kind)) in std::iter::zip(list, columns.iter().cycle()) {
                kind.write(&mut bytes, atom)?;
            }
        }
        let mut rest = &self.values[..];
        for (n, group) in GROUPS.iter().enumerate() {
            let (atoms, others) = rest.split_at(group.len());
            rest = others;
            if !std::iter::zip(atoms, *group).all(|(atom, (_, kind))| *atom == kind.nothing()) {
                bytes[at_groups] |= 1 << n;
                for (atom, (_, kind)) in std::iter::zip(atoms, *group) {
                    kind.write(&mut bytes, atom)?;
                }
            }
        }
        for (atom, (_, kind)) in std::iter::zip(rest, ALWAYS) {
            let place = (kind == IdOrPlace).then(|| self.place_of(atom)).flatten();
            match place {
                Some(place) => bytes.extend([REFERENCE, place, 0]),
                None => kind.write(&mut bytes, atom)?,
            }
        }
        Ok(bytes)
    }

    /// The place of this id among those of the requests.
    fn place_of(&self, id: &Atom<'_>) -> Option<u8> {
        let place = request_ids(&self.lists).position(|other| other == id)?;
        (*id != Id.nothing()).then(|| u8::try_from(place + 1).expect("128 at most"))
    }
}

/// A record as JSON, for people.
///
/// # Errors
/// [`Error::Internal`] if the bytes are damaged or of another format.
pub fn to_json(bytes: &[u8]) -> Result<Json> {
    let content = Content::read(bytes)?;
    let mut root = Map::new();
    for ((name, _), value) in std::iter::zip(values(), content.values) {
        root.insert(name.to_owned(), value.to_json()?);
    }
    for ((name, columns), list) in std::iter::zip(LISTS, content.lists) {
        let rows = list.chunks(columns.len()).map(|row| {
            let cells = std::iter::zip(columns, row);
            let cells = cells.map(|((name, _), cell)| Ok(((*name).to_owned(), cell.to_json()?)));
            cells.collect::<Result<_>>().map(Json::Object)
        });
        root.insert(name.to_owned(), Json::Array(rows.collect::<Result<_>>()?));
    }
    Ok(Json::Object(root))
}

/// The bytes of a record as [`to_json`] shows it.
///
/// # Errors
/// [`Error::Invalid`] if anything is missing, too much or out of range.
pub fn from_json(mut json: Json) -> Result<Vec<u8>> {
    let wrong = |name: &str| Error::invalid(name.to_owned(), "is missing or no such value");
    let root = json.as_object_mut().ok_or_else(|| wrong("record"))?;
    let mut content = Content::default();
    for (list, (name, columns)) in std::iter::zip(&mut content.lists, LISTS) {
        let Some(Json::Array(rows)) = root.remove(name) else { return Err(wrong(name)) };
        for mut row in rows {
            for (column, kind) in columns {
                let cell = row.get_mut(column).map(Json::take);
                list.push(kind.of_json(cell).ok_or_else(|| wrong(name))?);
            }
        }
    }
    for (name, kind) in values() {
        let value = kind.of_json(root.remove(name));
        content.values.push(value.ok_or_else(|| wrong(name))?);
    }
    let out_of_range = |error| match error {
        Error::Internal(problem) => Error::invalid("record", problem),
        other => other,
    };
    if !root.is_empty() {
        return Err(wrong("record"));
    }
    content.write().map_err(out_of_range)
}

/// Writes a record as a list of the arguments of the rulebook's `record_of`.
pub(crate) fn decode(bytes: &[u8], to: &mut Writer) -> Result<()> {
    let content = Content::read(bytes)?;
    to.list(LISTS.len() + content.values.len());
    for list in &content.lists {
        to.list(list.len());
        list.iter().for_each(|atom| atom.write(to));
    }
    content.values.iter().for_each(|atom| atom.write(to));
    Ok(())
}

/// Reads the lists of a record and what the rulebook's `values_of` gives.
pub(crate) fn encode(from: &mut Reader<'_>) -> Result<Vec<u8>> {
    let mut content = Content::default();
    for (list, (_, columns)) in std::iter::zip(&mut content.lists, LISTS) {
        let length = from.list()?;
        let kinds = columns.iter().cycle().take(length);
        list.reserve_exact(length.min(from.0.len()));
        for (_, kind) in kinds {
            list.push(kind.atom(from)?);
        }
    }
    content.values = values().map(|(_, kind)| kind.atom(from)).collect::<Result<_>>()?;
    content.write()
}
