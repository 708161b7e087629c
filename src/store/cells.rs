//! Values as they cross to the interpreter in this process and back: LuaJIT's own serialization, of which
//! nothing, numbers, texts, lists and tables are needed. One text crosses each time instead of some sixty
//! values, each of which would cost as much as the text.
//!
//! The format: <https://luajit.org/ext_buffer.html#serialize_format>. A number is a tag with a 32-bit
//! integer or with a double, a text its length and bytes, a table how many values it has and these.

use std::borrow::Cow;

use rmp::{Marker, decode};

use crate::{
    engine::{Error, Result, attempt_id, time::Millis},
    store::reply::Values,
};

const NIL: u8 = 0x00;
const INTEGER: u8 = 0x06;
const DOUBLE: u8 = 0x07;
const EMPTY: u8 = 0x08;
const TABLE: u8 = 0x09;
/// Its length counts a place 0 that is not there.
const LIST: u8 = 0x0c;
/// Texts have their length plus this.
const TEXT: u32 = 0x20;

/// Lengths from here on take two bytes.
const TWO_BYTES: u32 = 0xe0;
/// Lengths from here on take five.
const FIVE_BYTES: u32 = 0x1fe0;

/// Values to be read by the interpreter.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// What was written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn length(&mut self, length: u32) {
        if length < TWO_BYTES {
            self.0.push(low_byte(length));
        } else if length < FIVE_BYTES {
            let over = length - TWO_BYTES;
            self.0.extend([low_byte(TWO_BYTES | over >> 8), low_byte(over)]);
        } else {
            self.0.push(0xff);
            self.0.extend(length.to_le_bytes());
        }
    }

    /// Nothing.
    pub(crate) fn nil(&mut self) {
        self.0.push(NIL);
    }

    /// A whole number below 2^53, as all of the rulebook's are.
    pub(crate) fn number(&mut self, number: i64) {
        if let Ok(small) = i32::try_from(number) {
            self.0.push(INTEGER);
            self.0.extend(small.to_le_bytes());
        } else {
            #[expect(clippy::cast_precision_loss, reason = "times and revisions are below 2^53")]
            let double = number as f64;
            self.0.push(DOUBLE);
            self.0.extend(double.to_le_bytes());
        }
    }

    /// A time.
    pub(crate) fn instant(&mut self, at: Millis) {
        self.number(at.0.cast_signed());
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes_as_text(text.as_bytes());
    }

    /// A text of any bytes.
    pub(crate) fn bytes_as_text(&mut self, bytes: &[u8]) {
        self.length(TEXT + count(bytes.len()));
        self.0.extend(bytes);
    }

    /// A list of so many values, which are to be written next.
    pub(crate) fn list(&mut self, length: usize) {
        if length == 0 {
            self.0.push(EMPTY);
        } else {
            self.0.push(LIST);
            self.length(count(length) + 1);
        }
    }

    /// A table of so many names and values, at least one, which are to be written next.
    pub(crate) fn table(&mut self, length: usize) {
        self.0.push(TABLE);
        self.length(count(length));
    }

    /// Texts, bytes, whole numbers and tables of them as MessagePack has them: a command.
    pub(crate) fn message_pack(&mut self, bytes: &mut &[u8]) -> Result<()> {
        let ahead = *bytes;
        match decode::read_marker(bytes).map_err(|_| damaged("a command ends"))? {
            Marker::FixMap(length) => self.pairs(length.into(), bytes),
            Marker::Map16 => {
                *bytes = ahead;
                let length = decode::read_map_len(bytes).map_err(|_| damaged("a command ends"))?;
                self.pairs(length as usize, bytes)
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                *bytes = ahead;
                let (text, rest) =
                    decode::read_str_from_slice(ahead).map_err(|_| damaged("a command's text"))?;
                *bytes = rest;
                self.text(text);
                Ok(())
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                *bytes = ahead;
                let length =
                    decode::read_bin_len(bytes).map_err(|_| damaged("a command's bytes"))?;
                let (text, rest) = bytes
                    .split_at_checked(length as usize)
                    .ok_or_else(|| damaged("a command's bytes"))?;
                *bytes = rest;
                self.bytes_as_text(text);
                Ok(())
            }
            _ => {
                *bytes = ahead;
                let number = decode::read_int(bytes)
                    .map_err(|_| damaged("a command is made of texts, bytes and whole numbers"))?;
                self.number(number);
                Ok(())
            }
        }
    }

    fn pairs(&mut self, length: usize, bytes: &mut &[u8]) -> Result<()> {
        self.table(length);
        for _ in 0..2 * length {
            self.message_pack(bytes)?;
        }
        Ok(())
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("no text or list of the rulebook has 4 GiB")
}

#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
fn low_byte(number: u32) -> u8 {
    number as u8
}

/// Values that the interpreter wrote, one after the other.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

fn damaged(what: &str) -> Error {
    Error::Internal(format!("the rulebook's values cannot be read: {what}"))
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("they end"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as long as was asked for"))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn length(&mut self) -> Result<u32> {
        let first = u32::from(self.byte()?);
        match first {
            0xff => Ok(u32::from_le_bytes(self.array()?)),
            TWO_BYTES.. => Ok(((first & 0x1f) << 8 | u32::from(self.byte()?)) + TWO_BYTES),
            short => Ok(short),
        }
    }

    /// The next value, which is a whole number.
    pub(crate) fn signed(&mut self) -> Result<i64> {
        match self.byte()? {
            INTEGER => Ok(i32::from_le_bytes(self.array()?).into()),
            DOUBLE => {
                let double = f64::from_le_bytes(self.array()?);
                #[expect(clippy::cast_possible_truncation, reason = "looked at next")]
                let whole = double as i64;
                #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "whole or not")]
                let is_whole = whole as f64 == double;
                if is_whole { Ok(whole) } else { Err(damaged("no whole number")) }
            }
            _ => Err(damaged("no number")),
        }
    }

    /// The next value, which is a text.
    pub(crate) fn str(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.text_as_bytes()?).map_err(|_| damaged("not UTF-8"))
    }

    /// The next value, which is a text of any bytes.
    pub(crate) fn text_as_bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?.checked_sub(TEXT).ok_or_else(|| damaged("no text"))?;
        self.take(length as usize)
    }
}

impl Values for Reader<'_> {
    fn number(&mut self) -> Result<u64> {
        self.signed()?.try_into().map_err(|_| damaged("below zero"))
    }

    fn text(&mut self) -> Result<String> {
        self.str().map(str::to_owned)
    }

    fn attempt_id(&mut self) -> Result<String> {
        attempt_id::unpack(self.text_as_bytes()?).map(Cow::into_owned)
    }

    fn list(&mut self) -> Result<usize> {
        match self.byte()? {
            EMPTY => Ok(0),
            LIST => Ok(self.length()?.saturating_sub(1) as usize),
            _ => Err(damaged("no list")),
        }
    }

    fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use mlua::{Function, Lua, LuaOptions, LuaString, StdLib};

    use super::*;

    /// What the interpreter makes of values that `write` writes, read again.
    fn echoed(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let libraries = StdLib::STRING | StdLib::PACKAGE;
        let lua = Lua::new_with(libraries, LuaOptions::new()).unwrap();
        let echo: Function = lua
            .load(
                "local buffer = require('string.buffer')
                return function(text) return buffer.encode(buffer.decode(text)) end",
            )
            .eval()
            .unwrap();
        let mut writer = Writer::default();
        write(&mut writer);
        let text: LuaString = echo.call(lua.create_string(writer.bytes()).unwrap()).unwrap();
        text.as_bytes().to_vec()
    }

    #[test]
    fn texts_of_every_length_come_back() {
        for length in [0, 1, 191, 192, 193, 8127, 8128, 8129, 70_000] {
            let text = "x".repeat(length);
            let bytes = echoed(|writer| writer.text(&text));
            assert_eq!(Reader(&bytes).str(), Ok(text.as_str()), "{length}");
        }
    }

    #[test]
    fn numbers_of_every_size_come_back() {
        let edges = [0, 1 << 31, 1 << 32, 1_795_400_000_000, 1 << 48, (1 << 53) - 1];
        for number in edges.into_iter().flat_map(|edge| [edge - 1, edge, -edge, -edge - 1]) {
            let bytes = echoed(|writer| writer.number(number));
            assert_eq!(Reader(&bytes).signed(), Ok(number));
        }
    }

    #[test]
    fn lists_of_every_length_come_back() {
        for length in [0, 1, 2, 222, 223, 224, 8158, 8159, 8160] {
            let bytes = echoed(|writer| {
                writer.list(length);
                (0..length).for_each(|_| writer.number(7));
            });
            let mut values = Reader(&bytes);
            assert_eq!(values.list(), Ok(length));
            assert!((0..length).all(|_| values.signed() == Ok(7)));
            assert!(values.is_at_end());
        }
    }

    #[test]
    fn a_command_becomes_a_table() {
        let packed = rmp_serde::to_vec_named(
            &[("own_id", "c1")].into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        )
        .unwrap();
        let bytes = echoed(|writer| writer.message_pack(&mut &packed[..]).unwrap());
        assert_eq!(bytes[..2], [TABLE, 1]);
        let mut values = Reader(&bytes[2..]);
        assert_eq!((values.str(), values.str()), (Ok("own_id"), Ok("c1")));
    }

    #[test]
    fn what_is_not_as_it_should_be_is_an_error() {
        let mut half = vec![DOUBLE];
        half.extend(0.5_f64.to_le_bytes());
        assert!(Reader(&half).signed().is_err());
        assert!(Reader(&[INTEGER, 255, 255, 255, 255]).number().is_err(), "-1");
        assert!(Reader(&[INTEGER, 1, 2]).signed().is_err(), "it ends too early");
        assert!(Reader(&[0x22, b'a']).str().is_err(), "it ends too early");
        assert!(Reader(&[0x21, 0xff]).str().is_err(), "not UTF-8");
        assert!(Reader(&[TABLE, 1]).list().is_err());
        assert!(Reader(&[]).list().is_err());
    }
}
