//! The seam below the store: an ordered key space on disk or in memory, written by one writer in
//! numbered commits, read by anyone.

use std::{
    collections::BTreeMap,
    sync::{
        RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    disk::{Disk, DiskView, DiskWriter},
    key::Key,
    value::Stored,
};
use crate::engine::{Error, Result, time::Millis};

/// What a commit writes; `None` removes.
pub(super) type Entries = Vec<(Key, Option<Vec<u8>>)>;
/// Gets key and bytes; says whether to go on.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<bool>;

/// The key space.
#[derive(Debug)]
pub(super) struct Kv {
    place: Place,
    head: AtomicU64,
}

#[derive(Debug)]
enum Place {
    Disk(Disk),
    Memory(RwLock<BTreeMap<Key, Vec<u8>>>),
}

/// The right to write. There is one.
#[derive(Debug)]
pub(super) struct Pen(Option<DiskWriter>);

/// Which reads see: the state after one commit.
pub(super) struct View<'a> {
    inside: Inside<'a>,
    head: u64,
}

enum Inside<'a> {
    Disk(DiskView),
    Memory(RwLockReadGuard<'a, BTreeMap<Key, Vec<u8>>>),
}

impl Pen {
    /// The time of what is committed from now on.
    pub(super) fn note_time(&mut self, now: Millis) {
        if let Some(writer) = &mut self.0 {
            writer.note_time(now);
        }
    }
}

impl Kv {
    pub(super) fn on_disk(disk: Disk, writer: DiskWriter, head: u64) -> (Self, Pen) {
        (Self { place: Place::Disk(disk), head: AtomicU64::new(head) }, Pen(Some(writer)))
    }

    pub(super) fn in_memory() -> (Self, Pen) {
        let place = Place::Memory(RwLock::new(BTreeMap::new()));
        (Self { place, head: AtomicU64::new(0) }, Pen(None))
    }

    pub(super) fn is_durable(&self) -> bool {
        matches!(self.place, Place::Disk(_))
    }

    /// One value, as of the last commit.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Stored>> {
        let head = self.head();
        match &self.place {
            Place::Disk(disk) => decode(key, disk.get(key)?, head),
            Place::Memory(map) => decode(key, read(map)?.get(key), head),
        }
    }

    pub(super) fn view(&self) -> Result<View<'_>> {
        let inside = match &self.place {
            Place::Disk(disk) => Inside::Disk(disk.snapshot()),
            Place::Memory(map) => Inside::Memory(read(map)?),
        };
        // Afterwards, and one more: a commit is seen a moment before it is counted.
        Ok(View { inside, head: self.head() + 1 })
    }

    /// Writes all or nothing, durable as far as this place is. After an error nobody knows which.
    pub(super) fn commit(
        &self,
        pen: &mut Pen,
        staged: impl IntoIterator<Item = (Key, Option<Stored>)>,
    ) -> Result<()> {
        let commit = self.head() + 1;
        let entries: Entries = staged
            .into_iter()
            .map(|(key, stored)| {
                let value = stored.map(|stored| stored.encode(&key, commit));
                (key, value)
            })
            .collect();
        match (&self.place, &mut pen.0) {
            (Place::Disk(disk), Some(writer)) => disk.commit(writer, commit, entries)?,
            (Place::Memory(map), _) => {
                let mut map = map.write().map_err(|_| broken())?;
                for (key, value) in entries {
                    match value {
                        Some(value) => map.insert(key, value),
                        None => map.remove(&key),
                    };
                }
            }
            (Place::Disk(_), None) => return Err(broken()),
        }
        self.head.store(commit, Ordering::Release);
        Ok(())
    }

    /// Makes durable what was left to the operating system.
    pub(super) fn flush(&self, pen: &mut Pen) -> Result<()> {
        match (&self.place, &mut pen.0) {
            (Place::Disk(disk), Some(writer)) => disk.flush(writer, self.head()),
            _ => Ok(()),
        }
    }

    fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }
}

impl View<'_> {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Stored>> {
        match &self.inside {
            Inside::Disk(view) => decode(key, view.get(key)?, self.head),
            Inside::Memory(map) => decode(key, map.get(key), self.head),
        }
    }

    /// Entries under `prefix` from `from` on, in order, until `visit` says no.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], Stored) -> Result<bool>,
    ) -> Result<()> {
        let mut decoded =
            |key: &[u8], bytes: &[u8]| visit(key, Stored::decode(key, bytes, self.head)?);
        match &self.inside {
            Inside::Disk(view) => view.scan(prefix, from, &mut decoded),
            Inside::Memory(map) => {
                let start = if from > prefix { from } else { prefix };
                for (key, bytes) in map.range(start.to_vec()..) {
                    if !key.starts_with(prefix) || !decoded(key, bytes)? {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

fn decode(key: &[u8], bytes: Option<impl AsRef<[u8]>>, head: u64) -> Result<Option<Stored>> {
    bytes.map(|bytes| Stored::decode(key, bytes.as_ref(), head)).transpose()
}

type Map = BTreeMap<Key, Vec<u8>>;

fn read(map: &RwLock<Map>) -> Result<RwLockReadGuard<'_, Map>> {
    map.read().map_err(|_| broken())
}

fn broken() -> Error {
    Error::Unavailable("the store's writer has stopped".to_owned())
}
