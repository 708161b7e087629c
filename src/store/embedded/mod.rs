//! The store of one process: durable in a directory, or in memory. The rulebook runs in this process
//! on the very text that Redis runs.
//!
//! ```text
//! Embedded ── step ──> threads: writer ─ Lua ─ batch ─ commit, flush ─> answers
//!     └────── look ──> threads: reader ─ Lua ─ view                     kv: disk | memory
//! ```
//! Read in this order: `threads` (group commit), `batch` (what a step sees), `kv` (the seam below),
//! `disk` and `seal` (what proves that nothing is missing), `value` and `key` (the format), `host`,
//! `numbers`, `quarantine`, `forget`, `log`, `due` (what a step does); `torn` (journals after a crash),
//! `repair` and `salvage` (what is left of a damaged one). Why fjall: `docs/decisions/0001`.

mod archive;
mod batch;
mod disk;
pub mod doctor;
mod due;
mod forget;
mod host;
mod key;
mod kv;
mod log;
mod numbers;
mod open;
mod quarantine;
pub mod repair;
mod salvage;
mod seal;
mod sweep;
mod threads;
mod torn;
mod value;

use std::{path::Path, str::FromStr, sync::Arc};

use async_trait::async_trait;

use self::{
    batch::{Batch, Space},
    host::{Host, Secret},
    kv::Kv,
    log::Log,
    threads::Threads,
    value::Stored,
};
use crate::{
    engine::{
        Result,
        change::ChangeLog,
        fact::NumberReport,
        pair::{Customer, Pair, PhoneNumberId},
        profile::Profile,
        pseudonym::Fingerprints,
        step::{Command, NumberReply, NumberStep, Reply, Step},
        store::{CustomersPage, Due, PARTITIONS, Quarantined, Store},
        time::{Clock, Millis},
    },
    store::{LogLimits, lua::Vm},
};

/// When an answer may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After its step is flushed to the disk: it outlives a loss of power.
    #[default]
    Sync,
    /// After its step is with the operating system, which flushes within about a second: it outlives
    /// the death of the process, not a loss of power.
    Os,
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "sync" => Ok(Self::Sync),
            "os" => Ok(Self::Os),
            _ => Err(format!("must be \"sync\" or \"os\", not \"{text}\"")),
        }
    }
}

/// How a directory is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// When an answer may leave.
    pub durability: Durability,
    /// Read everything once at open and refuse to start if any of it is damaged. About half a second
    /// per million records; without it, damage to old data shows when they are read.
    pub verify: bool,
    /// Memory for what is read again. Bytes.
    pub cache_bytes: u64,
    /// How much of the change log is kept.
    pub log: LogLimits,
    /// Under which keys the ids of customers come: an old store must be under the same.
    pub pseudonyms: Fingerprints,
    /// The key of the tombstones of a new store; `None`: a random one.
    pub secret: Option<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            verify: true,
            cache_bytes: 16 << 20,
            log: LogLimits::default(),
            pseudonyms: Fingerprints::default(),
            secret: None,
        }
    }
}

/// A store in this process. Dropped, it finishes what was asked of it.
#[derive(Debug)]
pub struct Embedded {
    threads: Arc<Threads>,
    kv: Arc<Kv>,
    clock: Arc<dyn Clock>,
    secret: Secret,
    limits: LogLimits,
    pseudonyms: Fingerprints,
}

impl Embedded {
    /// Opens the store in `dir`, or makes one there.
    ///
    /// # Errors
    /// `Unavailable` if another process has it or the directory cannot be used, `Internal` if it is
    /// damaged or of another format: never a silent fresh start. The text says the mend.
    pub fn open(dir: &Path, options: &Options, clock: Arc<dyn Clock>) -> Result<Self> {
        let (disk, writer, head) = disk::open(dir, options)?;
        clock.resume(writer.sealed_at());
        let made =
            open::New { secret: options.secret.clone(), pseudonyms: options.pseudonyms.clone() };
        Self::start(Kv::on_disk(disk, writer, head), clock, options.log, made)
    }

    /// A store that lives as long as this process.
    ///
    /// # Errors
    /// `Internal` if the rulebook does not load.
    pub fn memory(clock: Arc<dyn Clock>) -> Result<Self> {
        Self::memory_with(LogLimits::default(), clock)
    }

    /// As [`Embedded::memory`], with so much of a change log.
    ///
    /// # Errors
    /// See there.
    pub fn memory_with(log: LogLimits, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::start(Kv::in_memory(), clock, log, open::New::default())
    }

    fn start(
        (kv, mut pen): (Kv, kv::Pen),
        clock: Arc<dyn Clock>,
        limits: LogLimits,
        new: open::New,
    ) -> Result<Self> {
        let pseudonyms = new.pseudonyms.clone();
        let secret = open::own(&kv, &mut pen, new)?;
        let kv = Arc::new(kv);
        let threads = Arc::new(Threads::start(&kv, pen, &clock, limits)?);
        Ok(Self { threads, kv, clock, secret, limits, pseudonyms })
    }

    /// Deletes all that has expired now; the store does so by itself, a little at a time. Returns how
    /// many entries went.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn sweep(&self) -> Result<usize> {
        let mut from = Some(vec![key::SWEPT_FROM]);
        let mut gone = 0;
        while let Some(start) = from {
            let now = self.clock.now();
            let stretch = move |_: &mut Vm, batch: &mut Batch<'_>| {
                sweep::stretch(batch, &start, sweep::STRETCH, now)
            };
            let swept = self.threads.write_alone(stretch).await?;
            from = swept.next;
            gone += swept.gone;
        }
        Ok(gone)
    }

    /// Every key and payload that is kept, expired or not: for tools and for tests that look for what
    /// should be gone.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn entries(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let look = |_: &mut Vm, view: &mut kv::View<'_>| {
            let mut entries = Vec::new();
            view.scan(&[], &[], &mut |key, stored| {
                entries.push((key.to_vec(), stored.payload));
                Ok(true)
            })?;
            Ok(entries)
        };
        self.threads.read(look).await
    }

    fn at(&self, now: Millis) -> impl FnOnce() -> Millis + Send + 'static {
        let clock = Arc::clone(&self.clock);
        move || now.get().unwrap_or_else(|| clock.now())
    }
}

/// A step that crosses to a thread.
struct OwnStep {
    pair: Pair,
    command: Command,
    profile: Profile,
    now: Millis,
}

impl OwnStep {
    fn of(step: Step<'_>) -> Self {
        let Step { pair, command, profile, now } = step;
        Self { pair: pair.clone(), command, profile: profile.clone(), now }
    }

    /// A settled customer is due no more: whatever there was to tell was told.
    fn after<S: Space>(
        is_settle: bool,
        pair: &Pair,
        space: &mut S,
        reply: &mut Reply,
    ) -> Result<()> {
        if !is_settle {
            return Ok(());
        }
        for id in pair.customer.keys() {
            due::settled(space, &pair.number, &id, reply.now, reply.now)?;
        }
        reply.log_end = log::end(space, log::partition(&pair.number), reply.now)?;
        Ok(())
    }

    fn run<S: Space>(
        self,
        vm: &mut Vm,
        space: &mut S,
        (secret, limits): (&Secret, LogLimits),
        now: Millis,
    ) -> Result<Reply> {
        let Self { pair, command, profile, .. } = self;
        let is_settle = matches!(command, Command::Settle {});
        let mut host = Host { space: &mut *space, number: &pair.number, secret, now, limits };
        let step = Step { pair: &pair, command, profile: &profile, now };
        let mut reply = vm.step(&step, now, &mut host)?;
        Self::after(is_settle, &pair, space, &mut reply)?;
        Ok(reply)
    }
}

#[async_trait]
impl Store for Embedded {
    async fn apply(&self, step: Step<'_>) -> Result<Reply> {
        let step = OwnStep::of(step);
        let (now, secret, limits) = (self.at(step.now), self.secret.clone(), self.limits);
        if step.command.is_question() {
            let look = move |vm: &mut Vm, view: &mut kv::View<'_>| {
                step.run(vm, view, (&secret, limits), now())
            };
            return self.threads.read(look).await;
        }
        // A step that refuses writes nothing of its own; what time has changed before it stays told.
        let happen =
            move |vm: &mut Vm, batch: &mut Batch<'_>| step.run(vm, batch, (&secret, limits), now());
        self.threads.write(happen).await
    }

    async fn read(&self, steps: Vec<Step<'_>>) -> Vec<Result<Reply>> {
        let steps: Vec<OwnStep> = steps.into_iter().map(OwnStep::of).collect();
        let (count, secret, limits) = (steps.len(), self.secret.clone(), self.limits);
        let clock = Arc::clone(&self.clock);
        let look = move |vm: &mut Vm, view: &mut kv::View<'_>| {
            let clock_now = clock.now();
            let judge = |step: OwnStep| {
                let now = step.now.get().unwrap_or(clock_now);
                step.run(vm, view, (&secret, limits), now)
            };
            Ok(steps.into_iter().map(judge).collect())
        };
        let judged = self.threads.read(look).await;
        judged.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn number(&self, step: NumberStep<'_>) -> Result<NumberReply> {
        let NumberStep { number, report, now } = step;
        let (number, now) = (number.clone(), self.at(now));
        match report {
            None => {
                let look = move |vm: &mut Vm, view: &mut kv::View<'_>| {
                    numbers::step(vm, view, &number, None, now())
                };
                self.threads.read(look).await
            }
            Some(report) => {
                let join = move |vm: &mut Vm, batch: &mut Batch<'_>| {
                    numbers::step(vm, batch, &number, Some(&report), now())
                };
                self.threads.write(join).await
            }
        }
    }

    async fn report_by_display(
        &self,
        display: &str,
        report: NumberReport,
    ) -> Result<Option<PhoneNumberId>> {
        let (display, now) = (display.to_owned(), self.at(Millis::ZERO));
        let join = move |vm: &mut Vm, batch: &mut Batch<'_>| {
            numbers::report_by_display(vm, batch, &display, &report, now())
        };
        self.threads.write(join).await
    }

    async fn learn_display(&self, display: &str, number: &PhoneNumberId, at: Millis) -> Result<()> {
        let (display, number, now) = (display.to_owned(), number.clone(), self.at(Millis::ZERO));
        let learn = move |vm: &mut Vm, batch: &mut Batch<'_>| {
            numbers::learn_display(vm, batch, &display, &number, at, now())
        };
        self.threads.write(learn).await
    }

    async fn forget(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<bool> {
        self.erase(number, customer, profile, None).await
    }

    async fn forget_unfiled(&self, customer: &Customer) -> Result<()> {
        let customer = customer.clone();
        let erase =
            move |_: &mut Vm, batch: &mut Batch<'_>| forget::forget_unfiled(batch, &customer);
        self.threads.write_alone(erase).await
    }

    async fn numbers(&self, partition: u16) -> Result<Vec<PhoneNumberId>> {
        let look = move |_: &mut Vm, view: &mut kv::View<'_>| {
            let prefix = key::known_in(partition);
            let mut numbers = Vec::new();
            view.scan(&prefix, &[], &mut |key, _: Stored| {
                let digits = String::from_utf8_lossy(&key[prefix.len()..]);
                numbers.push(PhoneNumberId::parse(&digits, "number")?);
                Ok(true)
            })?;
            Ok(numbers)
        };
        self.threads.read(look).await
    }

    fn partitions(&self) -> u16 {
        PARTITIONS
    }

    async fn quarantine(&self, entry: Quarantined) -> Result<()> {
        let now = self.at(Millis::ZERO);
        let keep = move |_: &mut Vm, batch: &mut Batch<'_>| quarantine::keep(batch, &entry, now());
        self.threads.write_alone(keep).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>> {
        let now = self.at(Millis::ZERO);
        self.threads.read(move |_, view| quarantine::list(view, limit, now())).await
    }

    async fn quarantine_size(&self) -> Result<u64> {
        let now = self.at(Millis::ZERO);
        self.threads.read(move |_, view| quarantine::size(view, now())).await
    }

    async fn quarantined_by_id(&self, id: &str) -> Result<Option<Quarantined>> {
        let (id, now) = (id.to_owned(), self.at(Millis::ZERO));
        self.threads.read(move |_, view| quarantine::by_id(view, &id, now())).await
    }

    async fn release_quarantined(&self, id: &str) -> Result<()> {
        let (id, now) = (id.to_owned(), self.at(Millis::ZERO));
        let drop = move |_: &mut Vm, batch: &mut Batch<'_>| quarantine::release(batch, &id, now());
        self.threads.write(drop).await
    }

    async fn change_log(&self) -> Result<Arc<dyn ChangeLog>> {
        Ok(Arc::new(Log::open(&self.threads)))
    }

    async fn due(&self, limit: usize) -> Result<Vec<Due>> {
        let now = self.at(Millis::ZERO);
        self.threads.read(move |_, view| due::list(view, now(), limit)).await
    }

    async fn customers(&self, number: &PhoneNumberId, from: &str) -> Result<CustomersPage> {
        let (number, from) = (number.clone(), from.to_owned());
        self.threads.read(move |_, view| due::customers(view, &number, &from)).await
    }

    async fn settled(&self, due: &Due) -> Result<()> {
        let (due, now) = (due.clone(), self.at(Millis::ZERO));
        let drop = move |_: &mut Vm, batch: &mut Batch<'_>| {
            let ids = due
                .customer
                .as_ref()
                .map_or_else(|| vec![due::WHOLE_NUMBER.to_owned()], Customer::keys);
            let now = now();
            ids.iter().try_for_each(|id| due::settled(batch, &due.number, id, due.at, now))
        };
        self.threads.write(drop).await
    }

    fn secret(&self) -> Result<Vec<u8>> {
        Ok(self.secret.0.clone())
    }

    async fn now(&self) -> Result<Millis> {
        self.threads.check().map(|()| self.clock.now())
    }

    fn now_roughly(&self) -> Option<Millis> {
        Some(self.clock.now())
    }

    fn hear(&self, stamp: Millis) {
        self.clock.hear(stamp);
    }

    async fn raw(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
    ) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        let keys = [customer.wa().map(|wa| wa.key()), customer.user().map(|user| user.as_str())]
            .map(|id| id.map(|id| key::record(number, id)));
        let now = self.at(Millis::ZERO);
        let look = move |_: &mut Vm, view: &mut kv::View<'_>| {
            let now = now();
            let [wa, user] = keys.map(|key| match key {
                Some(key) => Space::get(view, &key, now),
                None => Ok(None),
            });
            Ok((wa?, user?))
        };
        self.threads.read(look).await
    }

    fn is_lost(&self) -> bool {
        self.threads.check().is_err()
    }

    fn kind(&self) -> &'static str {
        if self.kv.is_durable() { "embedded" } else { "memory" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Error, time::WallClock};

    /// `callgate_store_up` asks for the clock.
    #[tokio::test]
    async fn a_store_that_could_not_write_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, writer, head) = disk::open(dir.path(), &Options::default()).unwrap();
        let (kv, mut pen) = Kv::on_disk(disk, writer, head);
        let secret = open::own(&kv, &mut pen, open::New::default()).unwrap();
        // A pen that cannot write here.
        let (_, wrong) = Kv::in_memory();
        let clock: Arc<dyn Clock> = Arc::new(WallClock::default());
        let kv = Arc::new(kv);
        let limits = LogLimits::default();
        let threads = Arc::new(Threads::start(&kv, wrong, &clock, limits).unwrap());
        let store =
            Embedded { threads, kv, clock, secret, limits, pseudonyms: Fingerprints::default() };
        store.now().await.unwrap();
        let number = PhoneNumberId::parse("1", "number").unwrap();
        let lost = store.learn_display("15550100", &number, Millis(1)).await;
        assert!(matches!(lost, Err(Error::Unavailable(_))), "{lost:?}");
        let now = store.now().await;
        assert!(matches!(now, Err(Error::Unavailable(_))), "{now:?}");
    }
}
