//! Journals after a crash, and damage to them that the engine does not see.
//!
//! - A torn end: the engine cuts it without a word where it breaks off, which is right (nothing in it
//!   was acknowledged, or the seal would refuse), but people should know that there was a crash. Where
//!   it is whole in form and wrong inside, as a loss of power leaves it, the engine refuses the whole;
//!   we cut behind the last acknowledged commit and open again.
//! - The engine's checksums do not cover the sequence number of a batch. One that is damaged would
//!   show older values in place of the newest, without an error. So we look: they only grow.
//!
//! ```text
//! batch: 1 | items 4 | seqno 8, then items, then 3 | checksum 8 | "FJL" 3
//! item:  2 | type 1 | compression 1 | keyspace 8 | key length 2 | value length 4 | stored length 4 |
//!        key | value                                                   numbers little-endian
//! clear: 4 | keyspace 8
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use super::key;

/// The longest sequence number that is one: the engine keeps the top bit for itself.
const SEQNO_MAX: u64 = 1 << 62;
/// Read at once while looking for the end. Bytes.
const CHUNK: usize = 64 * 1024;

/// Where each journal had content before the engine opened it.
#[derive(Debug, Default)]
pub(super) struct Ends(Vec<(PathBuf, u64)>);

impl Ends {
    /// Looks at the journals in `data`. What cannot be read has no end to tell of; the engine says why.
    pub(super) fn of(data: &Path) -> Self {
        let mut ends = Vec::new();
        for entry in fs::read_dir(data).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|ending| ending == "jnl")
                && let Ok(end) = content_end(&path)
            {
                ends.push((path, end));
            }
        }
        Self(ends)
    }

    /// How many bytes the engine has cut since.
    pub(super) fn cut(&self) -> u64 {
        let cut = |(path, end): &(PathBuf, u64)| {
            let now = fs::metadata(path).map_or(*end, |file| file.len());
            end.saturating_sub(now)
        };
        self.0.iter().map(cut).sum()
    }
}

/// Behind the last byte that is not 0. A journal is made with room, of which only what was written
/// takes blocks.
fn content_end(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let mut end = meta.len().min(meta.blocks() * 512 + CHUNK as u64);
    let mut bytes = vec![0; CHUNK];
    while 0 < end {
        let start = end.saturating_sub(CHUNK as u64);
        let chunk = &mut bytes[..usize::try_from(end - start).unwrap_or(CHUNK)];
        file.read_exact_at(chunk, start)?;
        if let Some(last) = chunk.iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// One batch of a journal.
#[derive(Debug, Clone, Copy)]
struct Batch {
    /// Where it ends in the file.
    end: u64,
    seqno: u64,
    /// The commit, as its mark says.
    commit: Option<u64>,
}

/// What the journals in a directory look like.
#[derive(Debug, Default)]
pub(super) struct Journals(Vec<(PathBuf, Vec<Batch>)>);

impl Journals {
    /// Reads their form, each up to where it breaks off, oldest first.
    pub(super) fn read(data: &Path) -> Self {
        let mut journals = Vec::new();
        for entry in fs::read_dir(data).into_iter().flatten().flatten() {
            let path = entry.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            if path.extension().is_some_and(|ending| ending == "jnl")
                && let (Some(number), Ok(file)) = (number, File::open(&path))
            {
                journals.push((number, path, batches(&mut BufReader::new(file))));
            }
        }
        journals.sort_by_key(|(number, ..)| *number);
        Self(journals.into_iter().map(|(_, path, batches)| (path, batches)).collect())
    }

    /// The first commit that is out of order.
    pub(super) fn disorder(&self) -> Option<u64> {
        for (_, batches) in &self.0 {
            let mut before = None;
            let mut commit = 0;
            for batch in batches {
                commit = batch.commit.unwrap_or(commit);
                if SEQNO_MAX <= batch.seqno || before.is_some_and(|before| batch.seqno <= before) {
                    // Which of the two is wrong cannot be told: the earlier one is the stricter.
                    return Some(commit.saturating_sub(1));
                }
                before = Some(batch.seqno);
            }
        }
        None
    }

    /// Cuts the newest journal behind an acknowledged commit. Whether there was something to cut.
    pub(super) fn cut_behind(&self, acknowledged: u64) -> io::Result<bool> {
        let Some((path, batches)) = self.0.last() else { return Ok(false) };
        let last = batches.iter().find(|batch| batch.commit == Some(acknowledged));
        let Some(Batch { end, .. }) = last else { return Ok(false) };
        if content_end(path)? <= *end {
            return Ok(false);
        }
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(*end)?;
        file.sync_all()?;
        Ok(true)
    }
}

/// Batches up to the first thing that is none.
fn batches(file: &mut BufReader<File>) -> Vec<Batch> {
    let mut found = Vec::new();
    while let Ok(Some(batch)) = batch(file) {
        found.push(batch);
    }
    found
}

fn batch(file: &mut BufReader<File>) -> io::Result<Option<Batch>> {
    if number::<1>(file)? != 1 {
        return Ok(None);
    }
    let _items = number::<4>(file)?;
    let seqno = number::<8>(file)?;
    let mut commit = None;
    loop {
        match number::<1>(file)? {
            2 => {
                let _kind = number::<2>(file)?;
                let _keyspace = number::<8>(file)?;
                let key_length = number::<2>(file)?;
                let _length = number::<4>(file)?;
                let stored_length = number::<4>(file)?;
                let mut key = vec![0; usize::try_from(key_length).unwrap_or(0)];
                file.read_exact(&mut key)?;
                if let (Some(&key::MARKS), Ok(n)) =
                    (key.first(), key[1.min(key.len())..].try_into())
                {
                    commit = commit.max(Some(u64::from_be_bytes(n)));
                }
                file.seek_relative(i64::try_from(stored_length).unwrap_or(i64::MAX))?;
            }
            3 => {
                let _checksum = number::<8>(file)?;
                let _magic = number::<4>(file)?;
                return Ok(Some(Batch { end: file.stream_position()?, seqno, commit }));
            }
            4 => {
                let _keyspace = number::<8>(file)?;
            }
            _ => return Ok(None),
        }
    }
}

/// A little-endian number of `N` bytes.
fn number<const N: usize>(file: &mut BufReader<File>) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes[..N])?;
    Ok(u64::from_le_bytes(bytes))
}
