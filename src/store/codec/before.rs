//! Format 3: a sequence of MessagePack values, the lists as arrays of their columns.

use rmp::decode;

use super::{Atom, damaged, no_such_format, read_text, record::Content};
use crate::engine::Result;

pub(super) const FORMAT: u8 = 3;

/// How a value was kept.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Number,
    Text,
    /// A column of this list, of numbers.
    Numbers(usize),
    /// A column of this list, of texts.
    Texts(usize),
}

use Kind::{Number, Numbers, Text, Texts};

const REJECTS: usize = 0;
const LINKS: usize = 1;
const CALLS: usize = 2;
const REQUESTS: usize = 3;

/// In order. The values are those of now, in their order, but the last.
const FIELDS: [Kind; 46] = [
    Number, // revision
    Text,
    Number,
    Number, // accept_at
    Number,
    Number,
    Text,
    Number, // reject_at
    Texts(REJECTS),
    Number, // callback_at
    Number,
    Number, // taken_at
    Number,
    Number, // inbound_at
    Number,
    Number,
    Number, // base_streak
    Number,
    Texts(LINKS),
    Numbers(LINKS),
    Numbers(LINKS),
    Texts(CALLS),
    Texts(CALLS),
    Numbers(CALLS),
    Numbers(CALLS),
    Numbers(CALLS),
    Numbers(CALLS),
    Numbers(CALLS),
    Numbers(CALLS),
    Numbers(CALLS),
    Texts(REQUESTS),
    Texts(REQUESTS),
    Numbers(REQUESTS),
    Numbers(REQUESTS),
    Numbers(REQUESTS),
    Numbers(REQUESTS),
    Numbers(REQUESTS),
    Number, // told_status
    Number,
    Number,
    Number,
    Number,
    Number,
    Number,
    Number,
    Number,
];

pub(super) fn read(mut bytes: &[u8]) -> Result<Content> {
    let format: u64 = decode::read_int(&mut bytes).map_err(damaged)?;
    if format != u64::from(FORMAT) {
        return Err(no_such_format(format));
    }
    let (mut content, mut columns) = (Content::default(), [const { Vec::new() }; 4]);
    // The times of the rejects came with that format, and stand last.
    for kind in FIELDS.into_iter().chain([Numbers(REJECTS)]) {
        match kind {
            Number => content.values.push(number(&mut bytes)?),
            Text => content.values.push(Atom::Text(read_text(&mut bytes)?)),
            Numbers(list) => columns[list].push(column(&mut bytes, number)?),
            Texts(list) => {
                columns[list].push(column(&mut bytes, |bytes| read_text(bytes).map(Atom::Text))?);
            }
        }
    }
    if !bytes.is_empty() {
        return Err(damaged("it goes on after its end"));
    }
    for (list, columns) in std::iter::zip(&mut content.lists, &columns) {
        *list = in_rows(columns)?;
    }
    content.values.push(Atom::Number(0)); // lapsed_to
    Ok(content)
}

fn number(bytes: &mut &[u8]) -> Result<Atom> {
    decode::read_int(bytes).map(Atom::Number).map_err(damaged)
}

fn column(bytes: &mut &[u8], one: fn(&mut &[u8]) -> Result<Atom>) -> Result<Vec<Atom>> {
    let length = decode::read_array_len(bytes).map_err(damaged)?;
    (0..length).map(|_| one(bytes)).collect()
}

fn in_rows(columns: &[Vec<Atom>]) -> Result<Vec<Atom>> {
    let length = columns.first().map_or(0, Vec::len);
    if columns.iter().any(|column| column.len() != length) {
        return Err(damaged("its columns are not equally long"));
    }
    Ok((0..length).flat_map(|i| columns.iter().map(move |column| column[i].clone())).collect())
}
