//! Journals after a crash, and damage to them that the engine does not see.
//!
//! - A torn end: the engine cuts it without a word where it breaks off, which is right (nothing in it
//!   was acknowledged, or the seal would refuse), but people should know that there was a crash. Where
//!   it is whole in form and wrong inside, as a loss of power leaves it, the engine refuses the whole;
//!   we cut what is torn and open again.
//! - The seal may be a second older than the journal then: among what is cut, or behind it, may be
//!   commits that were answered. So as little goes as can be, and what is more than a part of one
//!   commit is kept in a file beside.
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
    io::{self, BufReader, Read as _, Seek as _, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{key, value::Stored};

/// The longest sequence number that is one: the engine keeps the top bit for itself.
const SEQNO_MAX: u64 = 1 << 62;
/// The last bytes of each batch.
const MAGIC: [u8; 4] = *b"FJL\x03";
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
    /// Our own checksums agree, as far as its values are not compressed.
    is_whole: bool,
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

    /// The first commit that is out of order. The numbers grow from journal to journal as well.
    ///
    /// What stands in tables need not be compared: the engine leaves out a batch whose number is not
    /// above the highest there, and if its data are not there as well, its mark is missing.
    pub(super) fn disorder(&self) -> Option<u64> {
        let mut before = None;
        let mut commit = 0;
        for batch in self.0.iter().flat_map(|(_, batches)| batches) {
            commit = batch.commit.unwrap_or(commit);
            if SEQNO_MAX <= batch.seqno || before.is_some_and(|before| batch.seqno <= before) {
                // Which of the two is wrong cannot be told: the earlier one is the stricter.
                return Some(commit.saturating_sub(1));
            }
            before = Some(batch.seqno);
        }
        None
    }

    /// Where the newest journal may be cut, the least cut last: behind `commit`, and behind each that
    /// follows up to the first that is torn. Nothing, if there is nothing behind that could go.
    pub(super) fn cuts_behind(&self, commit: u64) -> Vec<u64> {
        let Some((path, batches)) = self.0.last() else { return Vec::new() };
        let from = match batches.iter().position(|batch| batch.commit == Some(commit)) {
            Some(at) => at + 1,
            // It stands at the end of the journal before.
            None if batches.first().is_some_and(|batch| batch.commit == Some(commit + 1)) => 0,
            None => return Vec::new(),
        };
        let before = end_before(batches, from);
        let whole = batches[from..].iter().take_while(|batch| batch.is_whole);
        let mut cuts: Vec<u64> =
            std::iter::once(before).chain(whole.map(|batch| batch.end)).collect();
        let end = content_end(path).unwrap_or(0);
        cuts.retain(|cut| *cut < end);
        cuts
    }

    /// Whether something in the newest journal is not whole, or no batch.
    pub(super) fn is_torn(&self) -> bool {
        let Some((path, batches)) = self.0.last() else { return false };
        let end = content_end(path).unwrap_or(0);
        let mut left = batches.iter().take_while(|batch| batch.end <= end);
        left.any(|batch| !batch.is_whole) || batches.last().map_or(0, |batch| batch.end) < end
    }

    /// Cuts the newest journal, and keeps in `dir` what is cut. Where that is.
    pub(super) fn cut(&self, dir: &Path, end: u64) -> io::Result<Option<PathBuf>> {
        let Some((path, _)) = self.0.last() else { return Ok(None) };
        let kept = keep(dir, path, &tail(path, end)?, end)?;
        set_length(path, end)?;
        Ok(Some(kept))
    }

    /// Cuts each journal before the first batch that is not whole. Whether there was one.
    pub(super) fn cut_at_damage(&self) -> io::Result<bool> {
        let mut is_any = false;
        for (path, batches) in &self.0 {
            if let Some(at) = batches.iter().position(|batch| !batch.is_whole) {
                set_length(path, end_before(batches, at))?;
                is_any = true;
            }
        }
        Ok(is_any)
    }

    /// Cuts so many batches off the newest journal. Whether there were any.
    pub(super) fn cut_last(&self, count: usize) -> io::Result<bool> {
        match self.0.last() {
            Some((path, batches)) if !batches.is_empty() => {
                set_length(path, end_before(batches, batches.len().saturating_sub(count)))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Keeps in `dir` what the engine is about to cut off by itself, if there is a whole batch in it.
    /// Where that is.
    pub(super) fn keep_tails(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut kept = Vec::new();
        for (path, batches) in &self.0 {
            let end = batches.last().map_or(0, |batch| batch.end);
            let tail = tail(path, end)?;
            if tail.windows(MAGIC.len()).any(|bytes| bytes == MAGIC) {
                kept.push(keep(dir, path, &tail, end)?);
            }
        }
        Ok(kept)
    }
}

/// Where the batches before this one end.
fn end_before(batches: &[Batch], at: usize) -> u64 {
    at.checked_sub(1).map_or(0, |before| batches[before].end)
}

fn set_length(journal: &Path, end: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(journal)?;
    file.set_len(end)?;
    file.sync_all()
}

/// What stands behind `end`.
fn tail(path: &Path, end: u64) -> io::Result<Vec<u8>> {
    let length = content_end(path)?.saturating_sub(end);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    File::open(path)?.read_exact_at(&mut bytes, end)?;
    Ok(bytes)
}

/// Writes a file `torn-<journal>-<where it began>` beside the seal, and never over another.
fn keep(dir: &Path, journal: &Path, bytes: &[u8], begins: u64) -> io::Result<PathBuf> {
    let name = journal.file_stem().unwrap_or_default().to_string_lossy();
    let mut path = dir.join(format!("torn-{name}-{begins}"));
    for n in 2_u32.. {
        match File::create_new(&path) {
            Ok(mut file) => {
                file.write_all(bytes)?;
                file.sync_all()?;
                break;
            }
            // A start that was refused has kept it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::read(&path)? == bytes {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
        path = dir.join(format!("torn-{name}-{begins}-{n}"));
    }
    File::open(dir)?.sync_all()?;
    Ok(path)
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
    let mut is_whole = true;
    loop {
        match number::<1>(file)? {
            2 => {
                let (key, is_good) = item(file)?;
                if let (Some(&key::MARKS), Ok(n)) =
                    (key.first(), key[1.min(key.len())..].try_into())
                {
                    commit = commit.max(Some(u64::from_be_bytes(n)));
                }
                is_whole &= is_good;
            }
            3 => {
                let _checksum = number::<8>(file)?;
                let mut magic = [0; MAGIC.len()];
                file.read_exact(&mut magic)?;
                let end = file.stream_position()?;
                return Ok((magic == MAGIC).then_some(Batch { end, seqno, commit, is_whole }));
            }
            4 => {
                let _keyspace = number::<8>(file)?;
            }
            _ => return Ok(None),
        }
    }
}

/// The key of an item, and whether it is whole, as far as that can be told without unpacking it.
fn item(file: &mut BufReader<File>) -> io::Result<(Vec<u8>, bool)> {
    let kind = number::<1>(file)?;
    let compression = number::<1>(file)?;
    let _keyspace = number::<8>(file)?;
    let key_length = number::<2>(file)?;
    let length = number::<4>(file)?;
    let stored_length = number::<4>(file)?;
    let mut key = vec![0; usize::try_from(key_length).unwrap_or(0)];
    file.read_exact(&mut key)?;
    // Not made in advance: a torn length may be anything.
    let mut value = Vec::new();
    let read = file.by_ref().take(stored_length).read_to_end(&mut value)?;
    if (read as u64) < stored_length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let is_whole = match (kind, compression) {
        (0, 0) => length == stored_length && Stored::decode(&key, &value, u64::MAX).is_ok(),
        (_, 0) => length == stored_length,
        (_, compression) => compression == 1,
    };
    Ok((key, is_whole))
}

/// A little-endian number of `N` bytes.
fn number<const N: usize>(file: &mut BufReader<File>) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes[..N])?;
    Ok(u64::from_le_bytes(bytes))
}
