//! Where things stand in the one ordered key space. A business number's things share its partition's
//! prefix, so that listing or forgetting by number reads one stretch.
//!
//! ```text
//! 00 n                    commit mark n (see `disk`)
//! 01                      the store's own record: schema, partitions, key of the tombstones
//! 01 p [number]           what a customer without a record is taken to be, after a repair
//! 01 n [number]           the same of a business number without facts
//! 02 digits               what is known of a display number
//! 03 id                   a webhook kept aside
//! 04 pp time id           the same, by partition and age
//! 05 time number 00 id    when a customer's state changes by itself; no id: all of the number
//! 10 pp c n               entry n of the change log
//! 10 pp e number 00 id    the same as 05, by customer
//! 10 pp l                 where the change log begins and ends
//! 10 pp n number          facts of a business number
//! 10 pp k number          a business number on which anything was ever recorded
//! 10 pp r number 00 id    a customer's record, by key of the wa_id or by user id
//! 10 pp t hash            tombstone of a forgotten customer
//! ```
//! Partitions (`pp`), times and `n` are big-endian.

use crate::engine::{
    pair::PhoneNumberId,
    store::{PARTITIONS, partition_of},
    time::Millis,
};

/// A key.
pub(super) type Key = Vec<u8>;

/// Commit marks.
pub(super) const MARKS: u8 = 0x00;
/// Everything that may expire lies here and after.
pub(super) const SWEPT_FROM: u8 = 0x02;

/// The partition of webhooks kept aside that name no business number.
const UNFILED: u16 = u16::MAX;

pub(super) fn mark(n: u64) -> Key {
    join(&[&[MARKS], &n.to_be_bytes()])
}

pub(super) fn own() -> Key {
    vec![0x01]
}

/// What a customer without a record is taken to be on this number, or on every number.
pub(super) fn seed_record(number: Option<&PhoneNumberId>) -> Key {
    join(&[&[0x01, b'p'], number.map_or("", PhoneNumberId::as_str).as_bytes()])
}

/// What this number, or every number, is taken to be while it has no facts.
pub(super) fn seed_number(number: Option<&PhoneNumberId>) -> Key {
    join(&[&[0x01, b'n'], number.map_or("", PhoneNumberId::as_str).as_bytes()])
}

pub(super) fn display(digits: &str) -> Key {
    join(&[&[0x02], digits.as_bytes()])
}

pub(super) fn quarantined(id: &str) -> Key {
    join(&[&[0x03], id.as_bytes()])
}

/// The webhooks kept aside in the partition of this number, "" being one of its own.
pub(super) fn quarantine_of(number: &str) -> Key {
    quarantine_in(
        PhoneNumberId::parse(number, "")
            .map_or(UNFILED, |number| partition_of(&number, PARTITIONS)),
    )
}

/// The webhooks kept aside in a partition.
pub(super) fn quarantine_in(partition: u16) -> Key {
    join(&[&[0x04], &partition.to_be_bytes()])
}

pub(super) fn quarantine_age(number: &str, received_at: Millis, id: &str) -> Key {
    join(&[&quarantine_of(number), &received_at.0.to_be_bytes(), id.as_bytes()])
}

/// The id at the end of a [`quarantine_age`].
pub(super) fn quarantine_age_id(key: &[u8]) -> String {
    String::from_utf8_lossy(key.get(11..).unwrap_or_default()).into_owned()
}

pub(super) fn number(number: &PhoneNumberId) -> Key {
    join(&[&of(number, b'n'), number.as_str().as_bytes()])
}

pub(super) fn known(number: &PhoneNumberId) -> Key {
    join(&[&of(number, b'k'), number.as_str().as_bytes()])
}

/// The known numbers of a partition.
pub(super) fn known_in(partition: u16) -> Key {
    join(&[&[0x10], &partition.to_be_bytes(), b"k"])
}

pub(super) fn record(number: &PhoneNumberId, id: &str) -> Key {
    join(&[&of(number, b'r'), number.as_str().as_bytes(), &[0], id.as_bytes()])
}

pub(super) fn tombstone(number: &PhoneNumberId, hash: &[u8]) -> Key {
    join(&[&of(number, b't'), hash])
}

/// The tombstone of a hash in a partition.
pub(super) fn tombstone_in(partition: u16, hash: &[u8]) -> Key {
    join(&[&tombstones_in(partition), hash])
}

/// The tombstones of a partition.
pub(super) fn tombstones_in(partition: u16) -> Key {
    join(&[&[0x10], &partition.to_be_bytes(), b"t"])
}

/// Partition and hash of a [`tombstone`].
pub(super) fn tombstone_parts(key: &[u8]) -> Option<(u16, Vec<u8>)> {
    let partition = partition(key)?;
    (key.get(3) == Some(&b't')).then(|| (partition, key[4..].to_vec()))
}

/// The records of a partition.
pub(super) fn records_in(partition: u16) -> Key {
    join(&[&[0x10], &partition.to_be_bytes(), b"r"])
}

/// All display numbers.
pub(super) fn displays() -> Key {
    display("")
}

/// The digits of a [`display`].
pub(super) fn display_digits(key: &[u8]) -> Option<&str> {
    let (first, digits) = key.split_first()?;
    (*first == 0x02).then(|| std::str::from_utf8(digits).ok())?
}

/// What customers without a record are taken to be.
pub(super) fn seeds() -> Key {
    seed_record(None)
}

pub(super) fn due(at: Millis, number: &PhoneNumberId, id: &str) -> Key {
    join(&[&due_all(), &at.0.to_be_bytes(), number.as_str().as_bytes(), &[0], id.as_bytes()])
}

/// All deadlines, by time.
pub(super) fn due_all() -> Key {
    vec![0x05]
}

/// Time, number and id of a [`due`].
pub(super) fn due_parts(key: &[u8]) -> Option<(Millis, &str, &str)> {
    let (at, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let (number, id) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
    Some((Millis(u64::from_be_bytes(*at)), number, id))
}

pub(super) fn due_of(number: &PhoneNumberId, id: &str) -> Key {
    join(&[&of(number, b'e'), number.as_str().as_bytes(), &[0], id.as_bytes()])
}

/// The change log of a partition.
pub(super) fn log_of(partition: u16) -> Key {
    join(&[&[0x10], &partition.to_be_bytes(), b"c"])
}

pub(super) fn log_entry(partition: u16, n: u64) -> Key {
    join(&[&log_of(partition), &n.to_be_bytes()])
}

/// The number at the end of a [`log_entry`].
pub(super) fn log_number(key: &[u8]) -> u64 {
    key.last_chunk::<8>().map_or(0, |n| u64::from_be_bytes(*n))
}

pub(super) fn log_bounds(partition: u16) -> Key {
    join(&[&[0x10], &partition.to_be_bytes(), b"l"])
}

fn of(number: &PhoneNumberId, kind: u8) -> Key {
    join(&[&[0x10], &partition_of(number, PARTITIONS).to_be_bytes(), &[kind]])
}

fn join(parts: &[&[u8]]) -> Key {
    parts.concat()
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A commit mark.
    Mark,
    /// The store's own record.
    Own,
    /// A display number.
    Display,
    /// A webhook kept aside, or its age.
    Quarantine,
    /// A deadline.
    Deadline,
    /// The change log of a partition.
    Log(u16),
    /// Facts of a business number, or that it is known.
    Number(PhoneNumberId),
    /// A customer's record on a business number.
    Record(PhoneNumberId),
    /// A forgotten customer.
    Tombstone,
    /// None of these.
    Unknown,
}

impl Kind {
    pub(super) fn of(key: &[u8]) -> Self {
        match key.first() {
            Some(&MARKS) => return Self::Mark,
            Some(0x01) => return Self::Own,
            Some(0x02) => return Self::Display,
            Some(0x03 | 0x04) => return Self::Quarantine,
            Some(0x05) => return Self::Deadline,
            Some(0x10) => {}
            _ => return Self::Unknown,
        }
        let (Some(partition), Some(kind)) = (partition(key), key.get(3)) else {
            return Self::Unknown;
        };
        let number = || {
            let digits = key.get(4..)?.split(|byte| *byte == 0).next()?;
            PhoneNumberId::parse(std::str::from_utf8(digits).ok()?, "").ok()
        };
        match kind {
            b'c' | b'l' => Self::Log(partition),
            b'e' => Self::Deadline,
            b'n' | b'k' => number().map_or(Self::Unknown, Self::Number),
            b'r' => number().map_or(Self::Unknown, Self::Record),
            b't' => Self::Tombstone,
            _ => Self::Unknown,
        }
    }
}

/// The partition of what lies by partition.
pub(super) fn partition(key: &[u8]) -> Option<u16> {
    let (first, rest) = key.split_first()?;
    (*first == 0x10).then(|| rest.first_chunk::<2>().map(|pp| u16::from_be_bytes(*pp)))?
}

/// Number and id of a [`record`].
pub(super) fn record_parts(key: &[u8]) -> Option<(PhoneNumberId, String)> {
    parts(key, b'r')
}

/// Number and id of a [`due_of`].
pub(super) fn due_of_parts(key: &[u8]) -> Option<(PhoneNumberId, String)> {
    parts(key, b'e')
}

fn parts(key: &[u8], kind: u8) -> Option<(PhoneNumberId, String)> {
    partition(key)?;
    if key.get(3) != Some(&kind) {
        return None;
    }
    let (number, id) = std::str::from_utf8(key.get(4..)?).ok()?.split_once('\0')?;
    Some((PhoneNumberId::parse(number, "").ok()?, id.to_owned()))
}
