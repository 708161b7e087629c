//! The durable key space: fjall, one keyspace, and the proof that nothing acknowledged is missing.
//!
//! Every commit writes a mark with its number into the same batch as its data. At open the marks must
//! run without a gap up to at least the number in the [`Seal`], and their newest says where they
//! begin. A batch that the engine dropped, at the end of its journal or in the midst of an older one,
//! leaves a gap. All data lie in one keyspace, because that is what the engine flushes as a whole: a
//! mark cannot outlive the data that it stands for. What lies in tables has the engine's checksums
//! and, value by value, our own; all of it is read once at open.

use std::{
    collections::VecDeque,
    fs,
    os::unix::fs::DirBuilderExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode, Readable as _, Snapshot,
};

use super::{
    Durability, Options,
    key::{self, Key},
    kv::{Entries, Visit},
    seal::{self, Seal},
    torn::{Ends, Journals},
    value::Stored,
};
use crate::engine::{Error, Result, time::Millis};

/// The memory that waits to become a table. Larger ones stall less, and make the process larger.
const MEMTABLE_BYTES: u64 = 16 << 20;
/// Journals that wait for their tables: the least that fjall takes.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Marks are kept for this many bytes of commits: twice what may still stand in journals only.
const MARKED_BYTES: u64 = 2 * JOURNAL_BYTES;

/// An open directory.
pub(super) struct Disk {
    db: Database,
    space: Keyspace,
    durability: Durability,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("durability", &self.durability).finish_non_exhaustive()
    }
}

/// What only the writer holds.
#[derive(Debug)]
pub(super) struct DiskWriter {
    seal: Seal,
    /// What the next seal says of the time.
    now: Millis,
    /// The commits whose marks stand, and their bytes.
    marks: VecDeque<(u64, u64)>,
    marked_bytes: u64,
    marked_bytes_max: u64,
}

/// Makes a directory, which nobody else can look into: what is in it names customers.
pub(super) fn make(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Opens or makes the key space in `dir`. Returns the number of its last commit, too.
pub(super) fn open(dir: &Path, options: &Options) -> Result<(Disk, DiskWriter, u64)> {
    let cannot = |error| cannot_use(dir, &error);
    make(dir).map_err(cannot)?;
    let data = dir.join("data");
    let has_data = data.try_exists().map_err(cannot)?;
    let seal = Seal::open(dir, has_data)?;
    // A first start that was killed may leave half an engine; nothing was acknowledged then.
    if has_data && seal.acknowledged() == 0 && !data.join("version").exists() {
        fs::remove_dir_all(&data).map_err(cannot)?;
    }
    if seal.acknowledged() > 0
        && let Some(part) = missing_part(&data).map_err(cannot)?
    {
        return Err(seal::damaged(dir, &format!("{part} is missing")));
    }
    let ends = Ends::of(&data);
    let journals = Journals::read(&data);
    let acknowledged = seal.acknowledged();
    let mut kept = journals.keep_tails(dir).map_err(cannot)?;
    if let Some(commit) = journals.disorder() {
        let cuts = journals.cuts_behind(commit);
        let (true, Some(&end)) = (acknowledged <= commit, cuts.first()) else {
            return Err(seal::damaged(dir, &format!("the order of commit {commit} is damaged")));
        };
        kept.extend(journals.cut(dir, end).map_err(cannot)?);
    }
    let mut opened = try_engine(dir, options, &journals);
    let mut cuts = journals.cuts_behind(acknowledged);
    while opened.as_ref().is_err_and(|refused| refused.is_of_journal)
        && let Some(end) = cuts.pop()
    {
        kept.extend(journals.cut(dir, end).map_err(cannot)?);
        opened = try_engine(dir, options, &journals);
    }
    let (db, space) = opened.map_err(|refused| refused.error)?;
    let disk = Disk { db, space, durability: options.durability };
    let mut writer = DiskWriter {
        now: seal.time(),
        seal,
        marks: VecDeque::new(),
        marked_bytes: 0,
        marked_bytes_max: MARKED_BYTES,
    };
    let head = writer.read_marks(&disk).map_err(|what| seal::damaged(dir, &what))?;
    tell_cut(ends.cut(), &kept, head);
    if options.verify {
        verify(&disk, head).map_err(|what| seal::damaged(dir, &what))?;
    }
    Ok((disk, writer, head))
}

/// The first file that an engine's tables cannot do without and that is gone. The engine takes such
/// tables for those of a start that was killed, and removes them.
fn missing_part(data: &Path) -> std::io::Result<Option<String>> {
    let all = data.join("keyspaces");
    if !all.try_exists()? {
        return Ok(Some("keyspaces".to_owned()));
    }
    for folder in fs::read_dir(all)? {
        let folder = folder?.path();
        let current = folder.join("current");
        if folder.is_dir() && !current.try_exists()? {
            let part = current.strip_prefix(data).unwrap_or(&current);
            return Ok(Some(part.display().to_string()));
        }
    }
    Ok(None)
}

/// Says what was cut off the ends of journals, bytes in all, and where more than a part of a commit is kept.
fn tell_cut(cut: u64, kept: &[PathBuf], head: u64) {
    if !kept.is_empty() {
        tracing::error!(
            bytes = cut,
            commit = head,
            ?kept,
            "the end of the embedded store was torn by a crash and is cut off behind this commit; \
             answers of the last second before a loss of power may be missing. What was cut is kept \
             in these files"
        );
    } else if 0 < cut {
        tracing::warn!(
            bytes = cut,
            commit = head,
            "the last write of the embedded store was torn by a crash and is cut off; none of it was \
             acknowledged, and nothing that was is missing"
        );
    }
}

/// What is left of a damaged directory.
type Damaged = (Disk, std::result::Result<Millis, String>, std::result::Result<u64, String>);

/// Opens a damaged directory to see what is left: the engine, what the seal says of the time or why it
/// cannot, and whether the commits are whole. Of the journals it cuts off what the engine cannot read.
pub(super) fn open_damaged(dir: &Path) -> std::result::Result<Damaged, String> {
    let options = Options::default();
    let (db, space) = open_what_is_left(&dir.join("data"), &options)?;
    let disk = Disk { db, space, durability: options.durability };
    let seal = match Seal::open(dir, true) {
        Ok(seal) => seal,
        Err(error) => {
            let why = "the seal cannot be read, so that nobody knows what else is missing";
            tracing::debug!(%error, why);
            return Ok((disk, Err(why.to_owned()), Ok(0)));
        }
    };
    let time = seal.time();
    let mut writer = DiskWriter {
        now: time,
        seal,
        marks: VecDeque::new(),
        marked_bytes: 0,
        marked_bytes_max: MARKED_BYTES,
    };
    let marks = catch_unwind(AssertUnwindSafe(|| writer.read_marks(&disk)))
        .unwrap_or_else(|_| Err("the commit marks cannot be read".to_owned()));
    Ok((disk, Ok(time), marks))
}

/// Opens the engine. Where it refuses a journal for one place of it, what stands from there on goes:
/// before what fails our own checksums, else ever more from the end.
fn open_what_is_left(
    data: &Path,
    options: &Options,
) -> std::result::Result<(Database, Keyspace), String> {
    let attempt = || match catch_unwind(AssertUnwindSafe(|| open_engine(data, options))) {
        Ok(Ok(engine)) => Ok(engine),
        Ok(Err(error)) => {
            Err((matches!(error, fjall::Error::JournalRecovery(_)), error.to_string()))
        }
        Err(_) => Err((true, "its table of contents is damaged".to_owned())),
    };
    let mut opened = attempt();
    if opened.as_ref().is_err_and(|(is_of_journal, _)| *is_of_journal)
        && Journals::read(data).cut_at_damage().map_err(|error| error.to_string())?
    {
        opened = attempt();
    }
    let mut count = 1;
    while opened.as_ref().is_err_and(|(is_of_journal, _)| *is_of_journal)
        && Journals::read(data).cut_last(count).map_err(|error| error.to_string())?
    {
        opened = attempt();
        count *= 2;
    }
    opened.map_err(|(_, what)| what)
}

/// Why the engine does not open.
struct Refused {
    /// A batch of a journal is whole in form and wrong inside.
    is_of_journal: bool,
    error: Error,
}

/// A damaged table of contents makes the engine panic here and there, and so does a torn batch where it
/// is built with assertions; that is a refusal as well.
fn try_engine(
    dir: &Path,
    options: &Options,
    journals: &Journals,
) -> std::result::Result<(Database, Keyspace), Refused> {
    let opened = catch_unwind(AssertUnwindSafe(|| open_engine(&dir.join("data"), options)));
    match opened {
        Ok(Ok(engine)) => Ok(engine),
        Ok(Err(error)) => Err(Refused {
            is_of_journal: matches!(error, fjall::Error::JournalRecovery(_)),
            error: refusal(dir, error),
        }),
        Err(_) => {
            let error = seal::damaged(dir, "its data cannot be read");
            Err(Refused { is_of_journal: journals.is_torn(), error })
        }
    }
}

fn open_engine(data: &Path, options: &Options) -> fjall::Result<(Database, Keyspace)> {
    let db = Database::builder(data)
        .cache_size(options.cache_bytes)
        .worker_threads(1)
        .max_journaling_size(JOURNAL_BYTES)
        .open()?;
    let space = db.keyspace("space", || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(MEMTABLE_BYTES)
            .manual_journal_persist(true)
    })?;
    Ok((db, space))
}

fn cannot_use(dir: &Path, error: &std::io::Error) -> Error {
    Error::Unavailable(format!("cannot use {} as a store: {error}", dir.display()))
}

/// Why the engine does not open.
fn refusal(dir: &Path, error: fjall::Error) -> Error {
    match error {
        fjall::Error::Locked => seal::in_use(dir),
        fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error))
            if is_passing(&error) =>
        {
            cannot_use(dir, &error)
        }
        error => seal::damaged(dir, &format!("its data cannot be read ({error})")),
    }
}

/// ENFILE and EMFILE, for which Rust has no kind.
const TOO_MANY_FILES: [i32; 2] = [23, 24];

/// Not the file's fault: rights, space, descriptors, threads.
fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
        || matches!(
            error.kind(),
            Kind::PermissionDenied
                | Kind::StorageFull
                | Kind::QuotaExceeded
                | Kind::FileTooLarge
                | Kind::ReadOnlyFilesystem
                | Kind::OutOfMemory
                // EAGAIN: no thread can be started.
                | Kind::WouldBlock
        )
}

/// Reads everything once: the engine checks its blocks, we check our values.
fn verify(disk: &Disk, head: u64) -> std::result::Result<(), String> {
    let mut visit = |key: &[u8], bytes: &[u8]| {
        Stored::decode(key, bytes, head)?;
        Ok(true)
    };
    catch_unwind(AssertUnwindSafe(|| disk.snapshot().scan(&[], &[], &mut visit)))
        .map_err(|_| "an entry cannot be read".to_owned())?
        .map_err(|error| error.to_string())
}

impl Disk {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<impl AsRef<[u8]> + use<>>> {
        self.space.get(key).map_err(failed)
    }

    pub(super) fn snapshot(&self) -> DiskView {
        DiskView { space: self.space.clone(), snapshot: self.db.snapshot() }
    }

    /// Writes all or nothing. After an error the state on disk is unknown.
    pub(super) fn commit(
        &self,
        writer: &mut DiskWriter,
        commit: u64,
        entries: Entries,
    ) -> Result<()> {
        let mode = match self.durability {
            Durability::Sync => PersistMode::SyncData,
            Durability::Os => PersistMode::Buffer,
        };
        let mut batch = self.db.batch().durability(Some(mode));
        let mut size = 0;
        for (key, value) in entries {
            size += key.len() + value.as_ref().map_or(0, Vec::len);
            match value {
                Some(value) => batch.insert(&self.space, key, value),
                None => batch.remove(&self.space, key),
            }
        }
        for gone in writer.push_mark(commit, size as u64) {
            batch.remove(&self.space, key::mark(gone));
        }
        let (mark, value) = writer.mark(commit, size as u64);
        batch.insert(&self.space, mark, value);
        batch.commit().map_err(failed)?;
        match self.durability {
            Durability::Sync => {
                writer.seal.write(commit, writer.now).map_err(|error| unsealed(&error))
            }
            // Of the time alone: nothing new is flushed yet.
            Durability::Os => {
                let flushed = writer.seal.acknowledged();
                writer.seal.write(flushed, writer.now).map_err(|error| unsealed(&error))
            }
        }
    }

    /// Once a second, and at the end: makes durable what was left to the operating system.
    pub(super) fn flush(&self, writer: &mut DiskWriter, head: u64) -> Result<()> {
        if writer.seal.acknowledged() < head {
            self.db.persist(PersistMode::SyncData).map_err(failed)?;
            writer.seal.write(head, writer.now).map_err(|error| unsealed(&error))?;
        }
        writer.seal.flush().map_err(|error| unsealed(&error))
    }
}

impl DiskWriter {
    /// The newest time at which this directory was written, as far as it is known.
    pub(super) fn sealed_at(&self) -> Millis {
        self.seal.time()
    }

    /// The time of what is committed from now on.
    pub(super) fn note_time(&mut self, now: Millis) {
        self.now = now;
    }

    /// Finds the marks without a gap, up to what was acknowledged; returns the newest.
    fn read_marks(&mut self, disk: &Disk) -> std::result::Result<u64, String> {
        let mut marks = Vec::new();
        disk.snapshot()
            .scan(&[key::MARKS], &[], &mut |key, bytes| {
                let stored = Stored::decode(key, bytes, u64::MAX)?;
                marks.push((key.to_vec(), stored.payload));
                Ok(true)
            })
            .map_err(|error| error.to_string())?;
        let mut oldest = 0;
        for (key, payload) in marks {
            let (n, size);
            (n, oldest, size) = read_mark(&key, &payload).ok_or("a commit mark cannot be read")?;
            if let Some(&(before, _)) = self.marks.back()
                && before + 1 != n
            {
                return Err(format!("commits {} to {} are missing", before + 1, n - 1));
            }
            self.marks.push_back((n, size));
            self.marked_bytes += size;
        }
        let head = self.marks.back().map_or(0, |&(n, _)| n);
        let first = self.marks.front().map_or(0, |&(n, _)| n);
        if first != oldest {
            return Err(format!("commits {oldest} to {} are missing", first.saturating_sub(1)));
        }
        let acknowledged = self.seal.acknowledged();
        if head < acknowledged {
            return Err(format!(
                "commits {} to {acknowledged} were acknowledged and are missing",
                head + 1
            ));
        }
        Ok(head)
    }

    /// Adds a mark; returns those that may go.
    fn push_mark(&mut self, commit: u64, size: u64) -> Vec<u64> {
        self.marks.push_back((commit, size));
        self.marked_bytes += size;
        let mut gone = Vec::new();
        while let Some(&(n, size)) = self.marks.front()
            && self.marked_bytes - size > self.marked_bytes_max
        {
            self.marks.pop_front();
            self.marked_bytes -= size;
            gone.push(n);
        }
        gone
    }

    fn mark(&self, commit: u64, size: u64) -> (Key, Vec<u8>) {
        let oldest = self.marks.front().map_or(commit, |&(n, _)| n);
        let payload = [oldest.to_le_bytes(), size.to_le_bytes()].concat();
        let key = key::mark(commit);
        let value = Stored::lasting(payload).encode(&key, commit);
        (key, value)
    }
}

/// (number, oldest mark at that time, bytes of the commit)
fn read_mark(key: &[u8], payload: &[u8]) -> Option<(u64, u64, u64)> {
    let n = u64::from_be_bytes(key.get(1..)?.try_into().ok()?);
    let (oldest, size) = payload.split_first_chunk::<8>()?;
    Some((n, u64::from_le_bytes(*oldest), u64::from_le_bytes(size.try_into().ok()?)))
}

/// The state after one commit.
pub(super) struct DiskView {
    space: Keyspace,
    snapshot: Snapshot,
}

impl DiskView {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<impl AsRef<[u8]> + use<>>> {
        self.snapshot.get(&self.space, key).map_err(failed)
    }

    /// Entries under `prefix`, from `from` on, until `visit` says no.
    pub(super) fn scan(&self, prefix: &[u8], from: &[u8], visit: Visit<'_>) -> Result<()> {
        let start = if from > prefix { from } else { prefix };
        for entry in self.snapshot.range(&self.space, start..) {
            let (key, value) = entry.into_inner().map_err(failed)?;
            if !key.starts_with(prefix) || !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }
}

fn failed(error: fjall::Error) -> Error {
    match error {
        fjall::Error::Io(error) => Error::Unavailable(format!("the embedded store: {error}")),
        fjall::Error::Poisoned => Error::Unavailable("the embedded store failed to write".into()),
        error => Error::Internal(format!(
            "the embedded store cannot be read ({error}); stop callgate and restore the directory \
             from a backup"
        )),
    }
}

fn unsealed(error: &std::io::Error) -> Error {
    Error::Unavailable(format!("cannot write callgate.seal: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_descriptors_or_rights_is_no_damage() {
        let tell = |code, wrap: fn(std::io::Error) -> fjall::Error| {
            refusal(Path::new("dir"), wrap(std::io::Error::from_raw_os_error(code)))
        };
        for code in [1, 13, 23, 24, 27, 28, 122] {
            for wrap in [fjall::Error::Io, |error| fjall::Error::Storage(LsmError::Io(error))] {
                let told = tell(code, wrap);
                assert!(matches!(told, Error::Unavailable(_)), "{code}: {told}");
            }
        }
        assert!(tell(5, fjall::Error::Io).to_string().contains("damaged"));
    }

    /// As the engine does with a damaged batch in the midst of an older journal.
    #[test]
    fn a_commit_that_is_missing_in_the_midst_is_refused() {
        for lost in [1, 3, 5] {
            let dir = tempfile::tempdir().unwrap();
            let (disk, mut writer, head) = open(dir.path(), &Options::default()).unwrap();
            assert_eq!(head, 0);
            for n in 1..=5 {
                disk.commit(&mut writer, n, Vec::new()).unwrap();
            }
            disk.space.remove(key::mark(lost)).unwrap();
            disk.db.persist(PersistMode::SyncData).unwrap();
            drop((disk, writer));
            let refusal = open(dir.path(), &Options::default()).unwrap_err().to_string();
            assert!(refusal.contains("missing"), "{refusal}");
        }
    }

    #[test]
    fn old_marks_go_and_the_rest_still_proves_that_none_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, mut writer, _) = open(dir.path(), &Options::default()).unwrap();
        writer.marked_bytes_max = 100;
        for n in 1..=9 {
            let value = Stored::lasting(vec![0; 20]).encode(&[0x20], n);
            disk.commit(&mut writer, n, vec![(vec![0x20], Some(value))]).unwrap();
        }
        drop((disk, writer));
        let (disk, writer, head) = open(dir.path(), &Options::default()).unwrap();
        let kept: Vec<u64> = writer.marks.iter().map(|&(n, _)| n).collect();
        assert_eq!((head, kept.as_slice()), (9, &[7, 8, 9][..]));
        disk.space.remove(key::mark(7)).unwrap();
        disk.db.persist(PersistMode::SyncData).unwrap();
        drop((disk, writer));
        assert!(open(dir.path(), &Options::default()).is_err());
    }

    #[test]
    fn what_passes_is_not_the_files_fault() {
        for (code, passes) in
            [(11, true), (13, true), (24, true), (28, true), (5, false), (2, false)]
        {
            let error = std::io::Error::from_raw_os_error(code);
            assert_eq!(is_passing(&error), passes, "{error}");
        }
    }
}
