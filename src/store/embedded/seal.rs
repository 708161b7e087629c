//! The seal: a small file beside the engine's own, which holds the number of the last commit that was
//! acknowledged, and by whose lock one process owns the directory.
//!
//! The engine cuts its journal silently at the first damaged batch, which is right for a batch torn
//! by a crash and wrong for one that was acknowledged. The two look alike from inside; the seal tells
//! them apart from outside. It is written after a commit is durable and before its answers leave, so
//! it is never ahead of the data, and never behind what was answered while the machine stays up.
//!
//! ```text
//! slot: commit 8 | crc32 4 | time of that commit 8 | crc32 4      numbers little-endian
//! ```
//! The time says to the next process that it is no earlier, whatever the host's clock says. It stands
//! by itself: a slot may lack it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use crate::engine::{Error, Result, time::Millis};

const NAME: &str = "callgate.seal";
const MAGIC: &[u8] =
    b"callgate embedded store, format 1. Do not edit or remove this file: it proves \
that nothing which was acknowledged is lost.\n";
/// Two slots, written in turn, each inside one sector: one is whole whatever happens.
const SLOTS: [u64; 2] = [512, 1024];
const SLOT: usize = 2 * NUMBER;
/// A number and its checksum.
const NUMBER: usize = 12;

/// The seal of an opened directory.
#[derive(Debug)]
pub(super) struct Seal {
    file: File,
    acknowledged: u64,
    time: Millis,
    is_flushed: bool,
}

impl Seal {
    /// Takes the lock. A directory without a seal gets one, unless it holds data already.
    pub(super) fn open(dir: &Path, has_data: bool) -> Result<Self> {
        let path = dir.join(NAME);
        let cannot = |error: io::Error| {
            Error::Unavailable(format!("cannot use {}: {error}", path.display()))
        };
        let is_new = !path.try_exists().map_err(cannot)?;
        if is_new && has_data {
            return Err(damaged(dir, "its callgate.seal is missing"));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(dir)),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).map_err(cannot)?;
        let mut seal = Self { file, acknowledged: 0, time: Millis::ZERO, is_flushed: true };
        // Empty: the process that made it died at once, before there was any data.
        if bytes.is_empty() && !has_data {
            // In one write: a process killed in between must leave an empty seal or a whole one.
            seal.file.write_all_at(&fresh(), 0).map_err(cannot)?;
            seal.file.sync_all().map_err(cannot)?;
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(cannot)?;
            return Ok(seal);
        }
        if !bytes.starts_with(MAGIC) {
            return Err(damaged(dir, "its callgate.seal is not one of this format"));
        }
        seal.acknowledged = SLOTS
            .iter()
            .filter_map(|&at| read_slot(&bytes, at))
            .max()
            .ok_or_else(|| damaged(dir, "its callgate.seal fails its checksums"))?;
        seal.time = SLOTS.iter().filter_map(|&at| read_time(&bytes, at)).max().unwrap_or_default();
        if seal.acknowledged > 0 && !has_data {
            return Err(damaged(dir, "its data are missing"));
        }
        Ok(seal)
    }

    /// The last commit that was acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The newest time of a commit, as far as it is known.
    pub(super) fn time(&self) -> Millis {
        self.time
    }

    /// Notes a commit that is durable, and its time. A system call, no flush.
    pub(super) fn write(&mut self, commit: u64, time: Millis) -> io::Result<()> {
        let at = SLOTS[usize::from(commit % 2 == 1)];
        let time = self.time.max(time);
        self.file.write_all_at(&slot(commit, time), at)?;
        (self.acknowledged, self.time) = (commit, time);
        self.is_flushed = false;
        Ok(())
    }

    /// Makes it durable against a loss of power, too. Not needed for correctness: an older number
    /// proves less, nothing wrong.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.is_flushed {
            self.file.sync_data()?;
            self.is_flushed = true;
        }
        Ok(())
    }
}

/// A seal of nothing yet.
fn fresh() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for at in SLOTS {
        bytes.resize(usize::try_from(at).expect("a seal is small"), 0);
        bytes.extend(slot(0, Millis::ZERO));
    }
    bytes
}

fn slot(commit: u64, time: Millis) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..NUMBER].copy_from_slice(&checked(commit));
    slot[NUMBER..].copy_from_slice(&checked(time.0));
    slot
}

fn read_slot(bytes: &[u8], at: u64) -> Option<u64> {
    read_number(bytes, usize::try_from(at).ok()?)
}

fn read_time(bytes: &[u8], at: u64) -> Option<Millis> {
    read_number(bytes, usize::try_from(at).ok()? + NUMBER).map(Millis)
}

/// A number and its checksum.
fn checked(number: u64) -> [u8; NUMBER] {
    let mut bytes = [0; NUMBER];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..].copy_from_slice(&crc32fast::hash(&number.to_le_bytes()).to_le_bytes());
    bytes
}

fn read_number(bytes: &[u8], at: usize) -> Option<u64> {
    let found = bytes.get(at..at + NUMBER)?;
    let number = u64::from_le_bytes(*found.first_chunk::<8>()?);
    (found == checked(number)).then_some(number)
}

/// Refuses a directory, with the mend.
pub(super) fn damaged(dir: &Path, what: &str) -> Error {
    Error::Internal(format!(
        "the embedded store in {dir} is damaged: {what}. callgate does not start on it, since \
         consents and counted calls may be lost. Restore {dir} from a backup; or, to begin again \
         without them, move {dir} away",
        dir = dir.display()
    ))
}

pub(super) fn in_use(dir: &Path) -> Error {
    Error::Unavailable(format!(
        "{} is in use by another callgate: an embedded store belongs to one process. Stop the other \
         one, use another directory, or share a store with --store redis://…",
        dir.display()
    ))
}
