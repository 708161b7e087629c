//! Makes a new store of what is left of a damaged one, so that no ALLOW comes of what was lost.
//!
//! What was lost may be a customer's "no", or a call that counts. So where it cannot be told what was
//! lost, the consent of all whom it may concern is taken back, by a fact as of the repair: old events
//! that come again do not bring it back, a new "yes" gives it. The same stands for customers of whom
//! nothing is left (a *seed*: what a customer without a record is taken to be). Calls are paused on
//! those business numbers until no lost call can count any more. Everything else is kept: it can only
//! forbid.
//! Why so: `docs/decisions/0005-repair.md`.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use super::salvage::Concerned;
use super::{
    Embedded, Options, disk, due,
    host::Secret,
    key::{self, Key, Kind},
    kv::Kv,
    open,
    salvage::{self, Salvaged},
    seal,
    torn::Journals,
    value::Stored,
};
use crate::engine::{
    Error, Result,
    fact::{Fact, NumberReport, Reply, Told},
    gate::Profiles,
    pair::{Customer, Pair, PhoneNumberId},
    pseudonym::Fingerprints,
    step::{Command, NumberStep, Step},
    store::{Store as _, TOMBSTONE_AGE_MAX},
    time::{Clock, ManualClock, Millis, WallClock},
};
use crate::store::lua::Vm;

/// Entries of one commit of the new store.
const CHUNK: usize = 1000;
/// Older events are STALE by themselves.
const RETENTION: Duration = Duration::from_secs(400 * 24 * 3600);
/// Facts may be stamped this much ahead of the clock.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// A damaged store, looked at. Nothing of it was changed.
#[derive(Debug)]
pub struct Examined {
    dir: PathBuf,
    salvaged: Salvaged,
    /// Why it is refused at start.
    pub refusal: String,
    /// What is known to be missing of its commits, in words.
    pub missing: Option<String>,
    /// Whose consent may be older than what was acknowledged.
    pub concerned: Concerned,
    /// The newest time at which it was written, as far as it is known.
    pub written_at: Option<Millis>,
    /// Under which keys it is.
    pseudonyms: Fingerprints,
    /// The lock of the damaged store, as long as this lives.
    _lock: Option<File>,
}

/// How much of what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records of customers: one per id and business number.
    pub records: usize,
    /// Business numbers with settings.
    pub numbers: usize,
    /// Entries of the change log.
    pub changes: usize,
    /// Webhooks kept aside.
    pub quarantined: usize,
    /// Forgotten customers.
    pub forgotten: usize,
    /// Everything else.
    pub other: usize,
}

impl Counts {
    fn of<'a>(keys: impl Iterator<Item = &'a Key>) -> Self {
        let mut counts = Self::default();
        for key in keys {
            *match Kind::of(key) {
                Kind::Record(_) => &mut counts.records,
                Kind::Number(_) if key.get(3) == Some(&b'n') => &mut counts.numbers,
                Kind::Log(_) if key.get(3) == Some(&b'c') => &mut counts.changes,
                Kind::Quarantine if key.first() == Some(&0x03) => &mut counts.quarantined,
                Kind::Tombstone => &mut counts.forgotten,
                _ => &mut counts.other,
            } += 1;
        }
        counts
    }

    /// All of them.
    pub fn total(&self) -> usize {
        let Self { records, numbers, changes, quarantined, forgotten, other } = *self;
        records + numbers + changes + quarantined + forgotten + other
    }
}

/// What a repair did.
#[derive(Debug)]
pub struct Repaired {
    /// Records whose consent was taken back.
    pub taken: usize,
    /// Business numbers that are paused.
    pub paused: usize,
    /// Until when; unset: no lost call can count any more.
    pub paused_until: Option<Millis>,
}

/// Looks at a store that is refused at start. It works on a copy beside it, which it removes.
/// `pseudonyms`: under which keys it is.
///
/// # Errors
/// `Invalid` if there is no store, it is not damaged or in use; `Internal` if nothing of it can be
/// read; `Unavailable` if there is no room for a copy.
pub fn examine(dir: &Path, pseudonyms: &Fingerprints) -> Result<Examined> {
    if !dir.join("data").is_dir() {
        return Err(given(format!("{} holds no embedded store", dir.display())));
    }
    let lock = lock(dir)?;
    let copy = Copy::make(dir)?;
    // Before the engine looks: it shows an older value where the order is damaged, and says nothing.
    let disorder = Journals::read(&copy.0.join("data")).disorder();
    let clock: Arc<dyn Clock> = Arc::new(WallClock::default());
    let refusal = match Embedded::open(&copy.0, &under(pseudonyms), clock) {
        Ok(_) => {
            return Err(given(format!(
                "{} is not damaged: nothing to repair. Start callgate on it",
                dir.display()
            )));
        }
        // Also where its keys are not the given ones.
        Err(error @ (Error::Unavailable(_) | Error::Invalid { .. })) => return Err(error),
        Err(error) => {
            error.to_string().replace(&copy.0.display().to_string(), &dir.display().to_string())
        }
    };
    let (disk, seal, marks) = disk::open_damaged(&copy.0).map_err(|what| nothing(dir, &what))?;
    let salvaged = salvage::read(&disk);
    let disorder = disorder.map(|commit| {
        format!("the order of commit {commit} is damaged, so that older values may stand for newer")
    });
    let missing = seal.as_ref().err().cloned().or(marks.err()).or(disorder);
    // A refusal of which nothing here says the cause may be about anybody.
    let missing = missing.or_else(|| {
        let is_explained = !salvaged.damaged.is_empty() || !salvaged.holes.is_empty();
        (!is_explained).then(|| "it cannot be told what".to_owned())
    });
    let concerned = if missing.is_some() { Concerned::Everybody } else { salvaged.concerned() };
    let written_at = seal.ok().and_then(Millis::get);
    let dir = dir.to_owned();
    let pseudonyms = pseudonyms.clone();
    Ok(Examined { dir, salvaged, refusal, missing, concerned, written_at, pseudonyms, _lock: lock })
}

/// Why a store would be refused at start; `None`: it would not. Looks at a copy beside it, which it
/// removes.
///
/// # Errors
/// `Invalid` if it is in use, or under other keys than `pseudonyms`; `Unavailable` if there is no room
/// for a copy.
pub fn damage(dir: &Path, pseudonyms: &Fingerprints) -> Result<Option<String>> {
    let _lock = lock(dir)?;
    let copy = Copy::make(dir)?;
    match Embedded::open(&copy.0, &under(pseudonyms), Arc::new(WallClock::default())) {
        Ok(_) => Ok(None),
        Err(error @ (Error::Unavailable(_) | Error::Invalid { .. })) => Err(error),
        Err(error) => {
            let text = error.to_string();
            let dir = dir.display().to_string();
            Ok(Some(text.replace(&copy.0.display().to_string(), &dir)))
        }
    }
}

impl Examined {
    /// Where the repaired store goes.
    pub fn target(&self) -> PathBuf {
        beside(&self.dir, "repaired")
    }

    /// What can be kept.
    pub fn kept(&self) -> Counts {
        Counts::of(self.entries().map(|(key, _)| key))
    }

    /// What is known to be lost, by key; what lies in holes is not known.
    pub fn damaged(&self) -> Counts {
        Counts::of(self.salvaged.damaged.iter())
    }

    /// The customers among them, masked when shown.
    pub fn damaged_customers(&self) -> Vec<Pair> {
        let parts = self.salvaged.damaged.iter().filter_map(|key| key::record_parts(key));
        parts
            .filter_map(|(number, id)| Some(Pair { number, customer: Customer::kept(&id).ok()? }))
            .collect()
    }

    /// Stretches of keys that cannot be read: what lay on either side, in words.
    pub fn holes(&self) -> Vec<String> {
        let name = |key: &Key| match Kind::of(key) {
            Kind::Record(number) => format!("customers of business number {number}"),
            Kind::Number(number) => format!("settings of business number {number}"),
            Kind::Log(partition) => format!("change log of partition {partition}"),
            Kind::Deadline => "deadlines".to_owned(),
            Kind::Quarantine => "webhooks kept aside".to_owned(),
            Kind::Tombstone => "forgotten customers".to_owned(),
            Kind::Display => "display numbers".to_owned(),
            Kind::Mark => "commit marks".to_owned(),
            Kind::Own => "the store's own record".to_owned(),
            Kind::Unknown => "the beginning".to_owned(),
        };
        let tell = |(before, behind): &(Key, Option<Key>)| {
            let behind = behind.as_ref().map_or("the end".to_owned(), name);
            format!("from {} to {behind}", name(before))
        };
        self.salvaged.holes.iter().map(tell).collect()
    }

    /// Whether the change log of some business numbers begins anew.
    pub fn loses_log(&self) -> bool {
        !self.salvaged.broken_logs().is_empty()
    }

    fn entries(&self) -> impl Iterator<Item = &(Key, Stored)> {
        let broken = self.salvaged.broken_logs();
        let is_kept = move |key: &Key| match Kind::of(key) {
            Kind::Log(partition) => !broken.contains(&partition),
            _ => true,
        };
        self.salvaged.entries.iter().filter(move |(key, _)| is_kept(key))
    }

    /// The newest fact of any customer.
    fn newest(&self) -> Result<Millis> {
        let (mut vm, mut newest) = (Vm::new()?, Millis::ZERO);
        for (key, stored) in self.entries() {
            if key::record_parts(key).is_some() {
                newest = newest.max(vm.newest(&stored.payload)?);
            }
        }
        Ok(newest)
    }

    /// Business numbers that are named anywhere.
    fn numbers(&self) -> Vec<PhoneNumberId> {
        let of = |(key, _): &(Key, Stored)| match Kind::of(key) {
            Kind::Record(number) | Kind::Number(number) => Some(number),
            _ => None,
        };
        let mut numbers: Vec<PhoneNumberId> = self.entries().filter_map(of).collect();
        numbers.sort();
        numbers.dedup();
        numbers
    }

    /// Writes the repaired store. `window`: for how long a call counts at most, by any profile.
    ///
    /// # Errors
    /// `Invalid` if something is in its place already; else as [`Embedded::open`].
    pub async fn write(&self, window: Duration, profiles: &Profiles) -> Result<Repaired> {
        let target = self.target();
        if target.exists() {
            return Err(given(format!("{} is there already: move it away", target.display())));
        }
        let unfinished = beside(&self.dir, "repair-unfinished");
        remove(&unfinished)?;
        let clock = Arc::new(WallClock::default());
        let newest = self.newest()?;
        clock.resume(newest.max(self.written_at.unwrap_or_default()));
        let measures = Measures::at(clock.now(), self.written_at.map(|at| at.max(newest)), window);
        let seeds = self.seeds(&measures, profiles).await?;
        self.write_entries(&unfinished, seeds, clock.now())?;
        let options = under(&self.pseudonyms);
        let store = Embedded::open(&unfinished, &options, Arc::clone(&clock) as _)?;
        let repaired = self.take_back(&store, &measures, profiles).await?;
        drop(store);
        // All of it is read once more.
        drop(Embedded::open(&unfinished, &options, clock)?);
        fs::rename(&unfinished, &target).map_err(|error| cannot(&target, &error))?;
        Ok(repaired)
    }

    fn write_entries(&self, target: &Path, seeds: Vec<(Key, Stored)>, now: Millis) -> Result<()> {
        let (disk, writer, head) = disk::open(target, &Options::default())?;
        let (kv, mut pen) = Kv::on_disk(disk, writer, head);
        pen.note_time(now);
        let mut all: Vec<(Key, Stored)> = self.entries().cloned().collect();
        all.extend(self.tombstones(now));
        all.extend(seeds);
        let deadlines = all.iter().filter_map(due::twin).collect::<Vec<_>>();
        all.extend(deadlines);
        for chunk in all.chunks(CHUNK) {
            let staged = chunk.iter().map(|(key, stored)| (key.clone(), Some(stored.clone())));
            kv.commit(&mut pen, staged)?;
        }
        kv.flush(&mut pen)
    }

    /// Customers whose records are lost by name: nothing from before comes back.
    fn tombstones(&self, now: Millis) -> Vec<(Key, Stored)> {
        let own = self.salvaged.entries.iter().find(|(key, _)| *key == key::own());
        let Some(secret) = own.and_then(|(_, stored)| open::secret(&stored.payload)) else {
            return Vec::new();
        };
        let lost = self.salvaged.damaged.iter().filter_map(|key| key::record_parts(key));
        lost.map(|(number, id)| {
            let expires_at = Millis(now.0.saturating_add(TOMBSTONE_AGE_MAX));
            let stored = Stored { expires_at, payload: now.0.to_be_bytes().to_vec() };
            (Secret::tombstone(&secret, &number, &id), stored)
        })
        .collect()
    }

    /// Whose place is taken by seeds: these numbers, or `None` for all.
    fn seeded(&self) -> Vec<Option<&PhoneNumberId>> {
        match &self.concerned {
            Concerned::Nobody => Vec::new(),
            Concerned::Numbers(numbers) => numbers.iter().map(Some).collect(),
            Concerned::Everybody => vec![None],
        }
    }

    /// A record and a number's facts with the measures and nothing else, as the rulebook writes them.
    async fn seeds(&self, measures: &Measures, profiles: &Profiles) -> Result<Vec<(Key, Stored)>> {
        let scratch = Embedded::memory(Arc::new(ManualClock::at(measures.at)))?;
        let (number, customer) = (PhoneNumberId::parse("0", "")?, Customer::parse("", "XX.0", "")?);
        let pair = Pair { number, customer };
        let (command, profile) = (measures.taken(), profiles.of(&pair.number));
        scratch.apply(Step { pair: &pair, command, profile, now: Millis::ZERO }).await?;
        if let Some(report) = measures.paused() {
            let step = NumberStep { number: &pair.number, report: Some(report), now: Millis::ZERO };
            scratch.number(step).await?;
        }
        let mut seeds = Vec::new();
        for (key, payload) in scratch.entries().await? {
            for number in self.seeded() {
                if key == key::record(&pair.number, "XX.0") {
                    let expires_at = measures.at.plus(RETENTION);
                    let payload = payload.clone();
                    seeds.push((key::seed_record(number), Stored { expires_at, payload }));
                } else if key == key::number(&pair.number) {
                    let (expires_at, payload) = (measures.paused_until, payload.clone());
                    seeds.push((key::seed_number(number), Stored { expires_at, payload }));
                }
            }
        }
        Ok(seeds)
    }

    async fn take_back(
        &self,
        store: &Embedded,
        measures: &Measures,
        profiles: &Profiles,
    ) -> Result<Repaired> {
        let (mut taken, mut paused) = (0, 0);
        for (key, _) in self.entries() {
            let Some((number, id)) = key::record_parts(key) else { continue };
            if !self.concerned.has(&number) {
                continue;
            }
            let customer = Customer::kept(&id).map_err(|_| {
                Error::Internal("a record stands under an id that is none".to_owned())
            })?;
            let pair = Pair { number, customer };
            let (command, profile) = (measures.taken(), profiles.of(&pair.number));
            let step = Step { pair: &pair, command, profile, now: Millis::ZERO };
            let reply = store.apply(step).await?;
            if !reply.refused.is_empty() || reply.view.grant_kind != 0 {
                let what = "the consent of a customer could not be taken back";
                return Err(Error::Internal(what.to_owned()));
            }
            taken += 1;
        }
        let paused_until = measures.paused().map(|report| report.paused_until);
        if let Some(report) = measures.paused() {
            for number in self.numbers().iter().filter(|number| self.concerned.has(number)) {
                let report = Some(report.clone());
                store.number(NumberStep { number, report, now: Millis::ZERO }).await?;
                paused += 1;
            }
        }
        let is_any = self.concerned != Concerned::Nobody;
        Ok(Repaired { taken, paused, paused_until: paused_until.filter(|_| is_any) })
    }
}

/// What keeps anybody from being called because of what was lost.
struct Measures {
    /// As far ahead of the clock as any fact may be: after every "yes" that was told before.
    at: Millis,
    paused_until: Millis,
}

impl Measures {
    fn at(now: Millis, written_at: Option<Millis>, window: Duration) -> Self {
        let paused_until = written_at.unwrap_or(now).plus(window).plus(AHEAD_MAX);
        Self { at: now.plus(AHEAD_MAX), paused_until }
    }

    /// The provider's taking-away: it ends whatever was given before.
    fn taken(&self) -> Command {
        let fact = Fact::Reply(Reply {
            accept: false,
            permanent: false,
            expires_at: Millis::ZERO,
            automatic: true,
            request_id: String::new(),
        });
        Command::Record { at: self.at, spelled: String::new(), event_id: String::new(), fact }
    }

    /// Unless no lost call can count any more.
    fn paused(&self) -> Option<NumberReport> {
        (self.at < self.paused_until).then(|| NumberReport {
            at: self.at,
            pause: Told::Yes,
            paused_until: self.paused_until,
            ..NumberReport::default()
        })
    }
}

fn under(pseudonyms: &Fingerprints) -> Options {
    Options { pseudonyms: pseudonyms.clone(), ..Options::default() }
}

/// Holds the lock of the directory, so that nobody starts on it meanwhile.
fn lock(dir: &Path) -> Result<Option<File>> {
    for name in [seal::NAME, "data/lock"] {
        let Ok(file) = File::open(dir.join(name)) else { continue };
        match file.try_lock() {
            Ok(()) if name == seal::NAME => return Ok(Some(file)),
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err(seal::in_use(dir)),
        }
    }
    Ok(None)
}

/// A copy beside a store, removed when dropped.
struct Copy(PathBuf);

impl Copy {
    fn make(dir: &Path) -> Result<Self> {
        let copy = Self(beside(dir, "repair-copy"));
        remove(&copy.0)?;
        copy_all(dir, &copy.0).map_err(|error| cannot(&copy.0, &error))?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = remove(&self.0);
    }
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    disk::make(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot(dir, &error)),
        _ => Ok(()),
    }
}

/// `DIR.suffix`.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}"));
    dir.with_file_name(name)
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    Error::Unavailable(format!("cannot write {}: {error}", path.display()))
}

fn nothing(dir: &Path, what: &str) -> Error {
    Error::Internal(format!(
        "nothing of {dir} can be read: {what}. Restore {dir} from a backup; or, to begin again without \
         it, move {dir} away",
        dir = dir.display()
    ))
}

fn given(problem: String) -> Error {
    Error::Invalid { field: "--store".to_owned(), problem }
}
