//! Ids of calls and of permission requests as they are kept: in fewer bytes, where they are of a kind that
//! leaves room. A record is made of little else, and the rulebook only asks whether two are the same, and
//! which comes first.
//!
//! One text has one form, so equal ids are equal bytes. Two of one kind (two UUIDs, two of Meta's of one
//! length, alphabet and padding) come in the order of their texts; others come in the order of what is kept.
//! `codec.lua` makes the same of ids in records of formats before; a test holds the two together.
//!
//! The first byte says how the rest is read. No text begins with one of these (they only go on in UTF-8):
//!
//! | first byte | text | the rest |
//! |---|---|---|
//! | [`UUID`] | a UUID in lower case, with hyphens | its 16 bytes |
//! | [`HASHED`] | `hashed.` and 32 digits of hex, see [`pseudonym`](super::pseudonym) | 16 bytes |
//! | [`SIXBITS`] to 0xb3 | `wamid.`, `wacid.` or neither; characters of an alphabet of 64; `=` | 6 bits each |
//! | any other | | the text itself |
//!
//! A record ends a text by a zero byte, so the rest has none: 0 is written as 1 1, and 1 as 1 2.

use std::borrow::Cow;

use serde::Serializer;

use crate::engine::{Error, Result};

const UUID: u8 = 0x80;
const HASHED: u8 = 0x81;
/// And on top of it [`Sixbits::number`].
const SIXBITS: u8 = 0x90;

/// Where a UUID has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const HASHED_PREFIX: &str = "hashed.";
const PREFIXES: [&str; 3] = ["", "wamid.", "wacid."];
/// Base64's, and that of URLs; each in the order of its characters, so that the order of texts stays.
const ALPHABETS: [&[u8; 64]; 2] = [
    b"+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz",
];

const NO_VALUE: u8 = 64;
/// What each character is worth.
const VALUES: [[u8; 256]; 2] = [values_of(ALPHABETS[0]), values_of(ALPHABETS[1])];

const fn values_of(alphabet: &[u8; 64]) -> [u8; 256] {
    let mut values = [NO_VALUE; 256];
    let mut value = 0;
    while value < 64 {
        values[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    values
}

/// How a text of six bits a character is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sixbits {
    prefix: usize,
    /// `=` at the end.
    pads: usize,
    alphabet: usize,
    /// Four characters have three bytes, and so have three: these are three.
    is_short: bool,
}

impl Sixbits {
    fn number(self) -> u8 {
        let number =
            self.prefix * 12 + self.pads * 4 + self.alphabet * 2 + usize::from(self.is_short);
        u8::try_from(number).expect("below 36")
    }

    fn of(number: u8) -> Option<Self> {
        let number = usize::from(number);
        (number < 36).then_some(Self {
            prefix: number / 12,
            pads: number / 4 % 3,
            alphabet: number / 2 % 2,
            is_short: number % 2 == 1,
        })
    }
}

/// An id as it is kept.
pub(crate) fn pack(id: &str) -> Cow<'_, [u8]> {
    let packed = uuid(id).or_else(|| hashed(id)).or_else(|| sixbits(id));
    match packed {
        Some(packed) if packed.len() < id.len() => packed.into(),
        _ => id.as_bytes().into(),
    }
}

/// For the rulebook, as [`pack`] makes it.
pub(crate) fn serialize<S: Serializer>(
    id: &str,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match pack(id) {
        Cow::Borrowed(_) => serializer.serialize_str(id),
        Cow::Owned(packed) => serializer.serialize_bytes(&packed),
    }
}

/// The id that is kept so.
///
/// # Errors
/// [`Error::Internal`] if none is.
pub fn unpack(bytes: &[u8]) -> Result<Cow<'_, str>> {
    let id: Cow<'_, str> = if is_packed(bytes) {
        unpacked(bytes).ok_or_else(no_id)?.into()
    } else {
        std::str::from_utf8(bytes).map_err(|_| no_id())?.into()
    };
    // Of one id there is one form.
    if *pack(&id) == *bytes { Ok(id) } else { Err(no_id()) }
}

/// Whether these bytes may be an id: what the first byte says of the rest is so. (That it is the one form of
/// its text is seen when it is shown.)
pub(crate) fn may_be(bytes: &[u8]) -> bool {
    match bytes.split_first() {
        Some((&(UUID | HASHED), rest)) => length(rest) == Some(16),
        Some((&first, rest)) if is_packed(bytes) => {
            first.checked_sub(SIXBITS).and_then(Sixbits::of).is_some() && length(rest).is_some()
        }
        _ => std::str::from_utf8(bytes).is_ok(),
    }
}

fn is_packed(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| (UUID..0xc0).contains(first))
}

fn no_id() -> Error {
    Error::Internal("a record cannot be read: an id of a call or request is damaged".into())
}

fn unpacked(bytes: &[u8]) -> Option<String> {
    let (&first, rest) = bytes.split_first()?;
    let rest = unescaped(rest)?;
    match first {
        UUID => {
            let mut id = hex::encode(rest);
            for place in HYPHENS {
                if place < id.len() {
                    id.insert(place, '-');
                }
            }
            Some(id)
        }
        HASHED => Some(format!("{HASHED_PREFIX}{}", hex::encode(rest))),
        _ => {
            let how = Sixbits::of(first.checked_sub(SIXBITS)?)?;
            let count = (rest.len() * 8 / 6).checked_sub(usize::from(how.is_short))?;
            let characters = rest.chunks(3).flat_map(|three| {
                let at = |n: usize| u32::from(three.get(n).copied().unwrap_or_default());
                let bits = at(0) << 16 | at(1) << 8 | at(2);
                [18, 12, 6, 0].map(|shift| ALPHABETS[how.alphabet][(bits >> shift & 63) as usize])
            });
            let body = characters.take(count).map(char::from);
            let pads = std::iter::repeat_n('=', how.pads);
            Some(PREFIXES[how.prefix].chars().chain(body).chain(pads).collect())
        }
    }
}

fn escaped(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(rest.len() + 4);
    packed.push(first);
    for byte in rest {
        if *byte < 2 {
            packed.push(1);
        }
        packed.push(if *byte < 2 { byte + 1 } else { *byte });
    }
    packed
}

/// How many bytes are written so.
fn length(packed: &[u8]) -> Option<usize> {
    let ones = packed.iter().filter(|byte| **byte == 1).count();
    if ones == 0 { Some(packed.len()) } else { unescaped(packed).map(|bytes| bytes.len()) }
}

fn unescaped(packed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = packed.iter();
    let mut rest = Vec::with_capacity(packed.len());
    while let Some(byte) = bytes.next() {
        rest.push(match byte {
            1 => bytes.next().filter(|byte| (1..=2).contains(*byte))? - 1,
            other => *other,
        });
    }
    Some(rest)
}

/// 32 digits of hex in lower case as bytes.
fn digest(digits: &[u8]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let is_lower = !digits.iter().any(u8::is_ascii_uppercase);
    (is_lower && hex::decode_to_slice(digits, &mut bytes).is_ok()).then_some(bytes)
}

fn uuid(id: &str) -> Option<Vec<u8>> {
    if id.len() != 36 || HYPHENS.iter().any(|place| id.as_bytes()[*place] != b'-') {
        return None;
    }
    let mut digits = [0; 32];
    let bytes = id.bytes().enumerate().filter(|(at, _)| !HYPHENS.contains(at));
    std::iter::zip(&mut digits, bytes).for_each(|(digit, (_, byte))| *digit = byte);
    digest(&digits).map(|bytes| escaped(UUID, &bytes))
}

fn hashed(id: &str) -> Option<Vec<u8>> {
    let bytes = digest(id.strip_prefix(HASHED_PREFIX)?.as_bytes())?;
    Some(escaped(HASHED, &bytes))
}

fn sixbits(id: &str) -> Option<Vec<u8>> {
    let prefix = PREFIXES.iter().rposition(|prefix| id.starts_with(prefix))?;
    let padded = &id[PREFIXES[prefix].len()..];
    let body = padded.trim_end_matches('=');
    let pads = padded.len() - body.len();
    if pads > 2 {
        return None;
    }
    let of = |alphabet: usize| sixes(body, &VALUES[alphabet]).map(|rest| (alphabet, rest));
    let (alphabet, rest) = of(0).or_else(|| of(1))?;
    let how = Sixbits { prefix, pads, alphabet, is_short: body.len() % 4 == 3 };
    Some(escaped(SIXBITS + how.number(), &rest))
}

/// Six bits for each character, if all have a value.
fn sixes(body: &str, values: &[u8; 256]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(body.len());
    for four in body.as_bytes().chunks(4) {
        let mut bits = 0;
        for n in 0..4 {
            let value = four.get(n).map_or(0, |byte| values[usize::from(*byte)]);
            if value == NO_VALUE {
                return None;
            }
            bits = bits << 6 | u32::from(value);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    bytes.truncate((body.len() * 6).div_ceil(8));
    Some(bytes)
}

/// Ids of every kind and such as are nearly of one; prints the seed.
#[cfg(test)]
pub(crate) fn samples(count: usize) -> Vec<String> {
    const PIECES: [&str; 24] = [
        "wamid.",
        "wacid.",
        "hashed.",
        "=",
        "==",
        "-",
        "_",
        "+",
        "/",
        "a",
        "f",
        "0",
        "Z",
        "é",
        " ",
        "0000",
        "00000000",
        "7d793037",
        "\u{80}",
        "\u{1}",
        "-a076",
        "HBgL",
        "-00f1",
        "-01001f6b2b4e",
    ];
    let seed = std::env::var("CALLGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("CALLGATE_SEED={seed}");
    let mut state = seed | 1;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 11).expect("64 bits") % bound
    };
    let mut any = |from: &[&str], count: usize| -> String {
        (0..count).map(|_| from[below(from.len())]).collect()
    };
    let mut ids = Vec::with_capacity(count);
    for n in 0..count {
        let hex = &PIECES[16..18];
        ids.push(match n % 4 {
            0 => any(hex, 1) + &any(&["-a076", "-00f1", "-0100"], 3) + &any(&["-01001f6b2b4e"], 1),
            1 => any(&PIECES[..3], 1) + &any(hex, 4),
            2 => any(&PIECES[..3], 1) + &any(&PIECES[9..13], n % 40) + &any(&["", "=", "=="], 1),
            _ => any(&PIECES, n / 4 % 9),
        });
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back(id: &str) -> usize {
        let packed = pack(id);
        assert!(!packed.contains(&0), "{id}: {packed:?}");
        assert_eq!(unpack(&packed).unwrap(), id);
        assert!(packed.len() <= id.len(), "{id}");
        packed.len()
    }

    #[test]
    fn ids_as_callers_and_meta_make_them_take_fewer_bytes() {
        for (id, length) in [
            ("", 0),
            ("c1", 2),
            ("7d793037-a076-4ea6-b3b2-1f6b2b4e9d10", 17),
            ("00000000-0000-0000-0000-010000000102", 32),
            ("7D793037-A076-4EA6-B3B2-1F6B2B4E9D10", 31),
            ("7d793037a0764ea6b3b21f6b2b4e9d10", 25),
            ("hashed.2b3d8bd2734590601c73864a7be43c51", 17),
            ("wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBJDQjZCMzlEQUE4OTJCMTE4RTUA", 40),
            ("wacid.HBgLMTU1NTAwMDAwMDEVAgASGCBGRjY4NkM4RTYxNkE0MDAwMDAw", 40),
            ("wamid.U1lOVEgtUkVRLTE=", 14),
            ("wamid.U1lOVEgtUkVRLQ==", 12),
            ("wamid.", 1),
            ("wamid.===", 9),
            ("req-2026-11-30/17", 17),
            ("01JDQ6Z8V1M4Y6T0ZP2W3X5K7N", 21),
            ("call_2026-11-30", 15),
        ] {
            assert_eq!(comes_back(id), length, "{id}");
        }
    }

    #[test]
    fn any_id_comes_back_and_has_one_form() {
        let mut forms = std::collections::HashMap::new();
        for id in samples(20_000) {
            comes_back(&id);
            let known = forms.entry(pack(&id).into_owned()).or_insert_with(|| id.clone());
            assert_eq!(*known, id);
        }
    }

    #[test]
    fn the_order_of_a_kind_is_that_of_its_texts() {
        let ids = [
            ["7d793037-a076-4ea6-b3b2-1f6b2b4e9d10", "7d793037-a076-4ea6-b3b2-1f6b2b4e9d11"],
            ["00793037-a076-4ea6-b3b2-1f6b2b4e9d10", "01793037-a076-4ea6-b3b2-1f6b2b4e9d10"],
            ["01793037-a076-4ea6-b3b2-1f6b2b4e9d10", "02793037-a076-4ea6-b3b2-1f6b2b4e9d10"],
            ["wamid.HBgLMTY1MDM4Nzk0MzkV9", "wamid.HBgLMTY1MDM4Nzk0MzkVA"],
            ["wamid.HBgLMTY1MDM4Nzk0MzkVZ", "wamid.HBgLMTY1MDM4Nzk0MzkVa"],
            ["wamid.++++++++", "wamid.+/++++++"],
            ["call-2026-11-29", "call-2026-11-30"],
        ];
        for [smaller, larger] in ids {
            assert!(smaller < larger && pack(smaller) < pack(larger), "{smaller} {larger}");
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let uuid = pack("7d793037-a076-4ea6-b3b2-1f6b2b4e9d10").into_owned();
        assert!(unpack(&uuid[..16]).is_err(), "too short");
        for bytes in [
            &b"\x80"[..],
            b"\x81\x02\x03",
            b"\x85abc",
            b"\xb4abcdefgh",
            b"\xbfabcdefgh",
            b"\x90\x01",
            b"\x90\x01\x00abcdefgh",
            b"\x90\x01\x05abcdefgh",
            b"\x91",
            b"ab\xff",
            b"7d793037-a076-4ea6-b3b2-1f6b2b4e9d10",
            b"\xc0\x80",
            // Two bytes for one character: four bits of them are nothing.
            b"\x90abcdefg\xff",
        ] {
            assert!(unpack(bytes).is_err(), "{bytes:?}");
        }
        assert!(may_be(&uuid) && may_be("é".as_bytes()) && may_be(b"") && may_be(b"\x90abc"));
        for bytes in [
            &uuid[..16],
            b"\x81\x02",
            b"\xb4abc",
            b"\x8fabc",
            b"\x90ab\x01",
            b"\x90\x01\x03",
            b"\xc0\x80",
        ] {
            assert!(!may_be(bytes), "{bytes:?}");
        }
    }
}
