//! What is stored, as bytes: records of pairs ([`record`]), the facts of business numbers, changes.
//!
//! The facts of a number are a sequence of MessagePack values in the order of [`NUMBER_FIELDS`], the
//! format first; integers take the shortest form. `codec.lua` is the same for Redis; a test holds the two
//! together.
//!
//! A reader refuses a format that it does not know, and writes nothing: so a rolling upgrade is safe
//! in both directions. It reads the two formats before its own.

mod before;
pub(crate) mod record;

use std::borrow::Cow;

use rmp::{decode, encode};
use serde_json::{Map, Value as Json};

pub use self::record::{from_json as record_from_json, to_json as record_to_json};
use crate::{
    engine::{Error, Result, attempt_id, change::Change, profile::NumberFacts},
    store::cells::Writer,
};

/// One value.
#[derive(Debug, Clone, PartialEq)]
enum Atom<'a> {
    Number(i64),
    Text(Cow<'a, str>),
    /// The id of a call or a request, see [`attempt_id`].
    Id(Cow<'a, [u8]>),
}

impl Atom<'_> {
    fn to_json(&self) -> Result<Json> {
        Ok(match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => (**text).into(),
            Self::Id(id) => attempt_id::unpack(id)?.into(),
        })
    }

    /// For the interpreter.
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Number(number) => to.number(*number),
            Self::Text(text) => to.text(text),
            Self::Id(id) => to.bytes_as_text(id),
        }
    }
}

const NUMBER_FORMAT: u64 = 1;

/// The facts of a business number, in order, and whether each is a text.
const NUMBER_FIELDS: [(&str, bool); 11] = [
    ("display", true),
    ("calling", false),
    ("calling_at", false),
    ("pause", false),
    ("paused_until", false),
    ("pause_at", false),
    ("request_pause", false),
    ("requests_paused_until", false),
    ("request_pause_at", false),
    ("inbound_call_grants", false),
    ("inbound_call_grants_at", false),
];

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

fn no_such_format(format: impl std::fmt::Display) -> Error {
    Error::Internal(format!(
        "record format {format} is not one that this version of callgate reads"
    ))
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

fn read_number_facts(mut bytes: &[u8]) -> Result<Vec<Atom<'_>>> {
    let format: u64 = decode::read_int(&mut bytes).map_err(damaged)?;
    if format != NUMBER_FORMAT {
        return Err(no_such_format(format));
    }
    let atoms = NUMBER_FIELDS.iter().map(|(_, is_text)| {
        if *is_text {
            return read_text(&mut bytes).map(|text| Atom::Text(text.into()));
        }
        decode::read_int(&mut bytes).map(Atom::Number).map_err(damaged)
    });
    let atoms = atoms.collect::<Result<_>>()?;
    if bytes.is_empty() { Ok(atoms) } else { Err(damaged("it goes on after its end")) }
}

/// A number's facts as JSON, for people.
///
/// # Errors
/// [`Error::Internal`] if the bytes are damaged or of another format.
pub fn number_to_json(bytes: &[u8]) -> Result<Json> {
    let atoms = read_number_facts(bytes)?;
    let fields = std::iter::zip(NUMBER_FIELDS, atoms);
    let fields = fields.map(|((name, _), atom)| Ok((name.to_owned(), atom.to_json()?)));
    Ok(Json::Object(fields.collect::<Result<Map<_, _>>>()?))
}

/// Writes a number's facts as the rulebook's table.
pub(crate) fn decode_number(bytes: &[u8], to: &mut Writer) -> Result<()> {
    let atoms = read_number_facts(bytes)?;
    to.table(NUMBER_FIELDS.len());
    for ((name, _), atom) in std::iter::zip(NUMBER_FIELDS, &atoms) {
        to.text(name);
        atom.write(to);
    }
    Ok(())
}

/// A number's facts as bytes.
pub(crate) fn encode_number(facts: &NumberFacts) -> Result<Vec<u8>> {
    let numbers = [
        facts.calling.into(),
        facts.calling_at.0,
        facts.pause.into(),
        facts.paused_until.0,
        facts.pause_at.0,
        facts.request_pause.into(),
        facts.requests_paused_until.0,
        facts.request_pause_at.0,
        facts.inbound_call_grants.into(),
        facts.inbound_call_grants_at.0,
    ];
    let write = || {
        let mut bytes = Vec::with_capacity(64);
        encode::write_uint(&mut bytes, NUMBER_FORMAT)?;
        encode::write_str(&mut bytes, &facts.display)?;
        for number in numbers {
            encode::write_uint(&mut bytes, number)?;
        }
        Ok(bytes)
    };
    write().map_err(|error: encode::ValueWriteError| {
        Error::Internal(format!("a number's facts cannot be kept: {error}"))
    })
}
