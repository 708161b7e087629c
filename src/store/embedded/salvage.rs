//! Reads what can still be read of a damaged store, and says what cannot.
//!
//! The engine stops at the first block that it cannot read. We go on behind it: at the next key from
//! which it can read again, found by counting up ever shorter beginnings of the last good key. What
//! lies between is a hole. Where a hole was, no older value shows instead: the engine reads all of its
//! tables from a place on, or none.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    disk::{Disk, DiskView},
    key::{self, Key, Kind},
    kv::Visit,
    value::Stored,
};
use crate::engine::pair::PhoneNumberId;

/// What could be read.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    /// Whole entries, without the commit marks.
    pub(super) entries: Vec<(Key, Stored)>,
    /// Keys whose values are damaged.
    pub(super) damaged: Vec<Key>,
    /// Stretches that cannot be read: the last good key before and the first one behind.
    pub(super) holes: Vec<(Key, Option<Key>)>,
}

/// Whose consent may be older than what was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concerned {
    /// Nobody's: only what is not about customers is damaged.
    Nobody,
    /// Of every customer of these business numbers.
    Numbers(BTreeSet<PhoneNumberId>),
    /// Of everybody: it cannot be told.
    Everybody,
}

impl Concerned {
    fn add(&mut self, number: Option<PhoneNumberId>) {
        match (number, &mut *self) {
            (_, Self::Everybody) => {}
            (Some(number), Self::Numbers(numbers)) => {
                numbers.insert(number);
            }
            (Some(number), Self::Nobody) => *self = Self::Numbers(BTreeSet::from([number])),
            (None, _) => *self = Self::Everybody,
        }
    }

    /// Whether it is about a customer of this number.
    pub fn has(&self, number: &PhoneNumberId) -> bool {
        match self {
            Self::Nobody => false,
            Self::Numbers(numbers) => numbers.contains(number),
            Self::Everybody => true,
        }
    }
}

/// Reads everything that can be read.
pub(super) fn read(disk: &Disk) -> Salvaged {
    let view = disk.snapshot();
    let mut salvaged = Salvaged::default();
    let mut from = Key::new();
    loop {
        let mut last = from.clone();
        let mut take = |key: &[u8], bytes: &[u8]| {
            last = key.to_vec();
            match Stored::decode(key, bytes, u64::MAX) {
                Ok(_) if key.first() == Some(&key::MARKS) => {}
                Ok(stored) => salvaged.entries.push((key.to_vec(), stored)),
                Err(_) => salvaged.damaged.push(key.to_vec()),
            }
            Ok(true)
        };
        if scan(&view, &from, &mut take) {
            return salvaged;
        }
        let next = behind(&view, &last);
        salvaged.holes.push((last, next.clone()));
        match next {
            Some(next) => from = next,
            None => return salvaged,
        }
    }
}

/// Whether all of it could be read.
fn scan(view: &DiskView, from: &[u8], visit: Visit<'_>) -> bool {
    catch_unwind(AssertUnwindSafe(|| view.scan(&[], from, visit))).is_ok_and(|read| read.is_ok())
}

/// The next key from which the engine can read again.
fn behind(view: &DiskView, last: &[u8]) -> Option<Key> {
    // Before the first key of all, there is nothing to count up but its beginning.
    let last = if last.is_empty() { &[key::MARKS][..] } else { last };
    for depth in (1..=last.len()).rev() {
        let mut start = last[..depth].to_vec();
        let Some(next) = start[depth - 1].checked_add(1) else { continue };
        start[depth - 1] = next;
        let mut found = None;
        let mut first = |key: &[u8], _: &[u8]| {
            found = Some(key.to_vec());
            Ok(false)
        };
        if scan(view, &start, &mut first) && found.is_some() {
            return found;
        }
    }
    None
}

impl Salvaged {
    /// Whose consent may be older than what was acknowledged, by what is damaged or missing here.
    pub(super) fn concerned(&self) -> Concerned {
        let mut concerned = Concerned::Nobody;
        for key in &self.damaged {
            note(&mut concerned, Kind::of(key));
        }
        for (before, behind) in &self.holes {
            let kind = Kind::of(before);
            let is_one_kind = behind.as_ref().is_some_and(|behind| Kind::of(behind) == kind);
            note(&mut concerned, if is_one_kind { kind } else { Kind::Unknown });
        }
        concerned
    }

    /// Partitions whose change log is not whole.
    pub(super) fn broken_logs(&self) -> BTreeSet<u16> {
        let of = |key: &Key| match Kind::of(key) {
            Kind::Log(partition) => Some(partition),
            _ => None,
        };
        let holes = self.holes.iter().flat_map(|(a, b)| [Some(a), b.as_ref()]).flatten();
        let mut broken: BTreeSet<u16> = self.damaged.iter().chain(holes).filter_map(of).collect();
        // A hole that reaches over partitions may have swallowed whole logs.
        for (before, behind) in &self.holes {
            let first = key::partition(before).unwrap_or(0);
            let last = behind.as_ref().and_then(|behind| key::partition(behind));
            if first != last.unwrap_or(u16::MAX) {
                broken.extend(first..=last.unwrap_or(crate::engine::store::PARTITIONS));
            }
        }
        broken
    }
}

fn note(concerned: &mut Concerned, kind: Kind) {
    match kind {
        Kind::Record(number) | Kind::Number(number) => concerned.add(Some(number)),
        // Whose tombstone it was cannot be told: a "yes" from before the erasure may come again.
        Kind::Own | Kind::Mark | Kind::Tombstone | Kind::Unknown => concerned.add(None),
        Kind::Log(_) | Kind::Deadline | Kind::Quarantine | Kind::Display => {}
    }
}
