//! Where things stand in the one ordered key space. A business number's things share its partition's
//! prefix, so that listing or forgetting by number reads one stretch.
//!
//! ```text
//! 00 n                    commit mark n (see `disk`)
//! 01                      the store's own record: schema, partitions, key of the tombstones
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
