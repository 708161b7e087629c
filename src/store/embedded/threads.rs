//! Two threads, each with a Lua machine of its own: the writer, through which every change goes, and
//! the reader.
//!
//! The writer takes what waits, lets it happen step by step, commits once and then answers all of it:
//! while one commit is being flushed the next batch gathers, and nobody waits for company.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{
    broadcast::{self, Sender},
    oneshot,
};

use super::{
    batch::Batch,
    key,
    kv::{Kv, Pen, View},
    log, sweep,
};
use crate::{
    engine::{Error, Result, tally, time::Clock},
    store::{LogLimits, lua::Vm},
    trace,
};

/// Steps of one commit at most: bounds how long the first one waits for the last.
const BATCH_MAX: usize = 512;
/// Steps that may wait for a thread; one more is refused, so that nobody waits for seconds.
const WAITING_MAX: usize = 16_384;
/// How often what was left to the operating system is flushed, and a stretch is swept.
const TICK: Duration = Duration::from_secs(1);

/// Gives the answer, after the commit.
type Answer = Box<dyn FnOnce(&Result<()>) + Send>;

/// Lets a step happen.
type Happen = Box<dyn FnOnce(&mut Vm, &mut Batch<'_>) -> Answer + Send>;

/// A step as the writer takes it.
pub(super) struct Write {
    /// Commits by itself, since it scans, and scans see committed data only.
    is_alone: bool,
    work: Happen,
}

/// A step as the reader takes it.
pub(super) type Read = Box<dyn FnOnce(&mut Vm, Result<View<'_>>) + Send>;

/// Both threads.
#[derive(Debug)]
pub(super) struct Threads {
    write: Option<SyncSender<Write>>,
    read: Option<SyncSender<Read>>,
    handles: Vec<JoinHandle<()>>,
    /// Set when a commit failed: what is on disk is unknown from then on.
    is_poisoned: Arc<AtomicBool>,
    /// Tells which partitions' change logs have grown.
    notices: Sender<u16>,
}

impl Threads {
    pub(super) fn start(
        kv: &Arc<Kv>,
        pen: Pen,
        clock: &Arc<dyn Clock>,
        limits: LogLimits,
    ) -> Result<Self> {
        let notices = Sender::new(log::NOTICES_MAX);
        let is_poisoned = Arc::new(AtomicBool::new(false));
        let (write, to_write) = sync_channel(WAITING_MAX);
        let (read, to_read) = sync_channel::<Read>(WAITING_MAX);
        let writer = Writer {
            kv: Arc::clone(kv),
            pen,
            vm: Vm::new()?,
            clock: Arc::clone(clock),
            is_poisoned: Arc::clone(&is_poisoned),
            swept_to: vec![key::SWEPT_FROM],
            limits,
            notices: notices.clone(),
        };
        let kv = Arc::clone(kv);
        let mut vm = Vm::new()?;
        let handles = vec![
            spawn("callgate-write", move || writer.run(&to_write))?,
            spawn("callgate-read", move || {
                for work in to_read {
                    work(&mut vm, kv.view());
                }
            })?,
        ];
        Ok(Self { write: Some(write), read: Some(read), handles, is_poisoned, notices })
    }

    /// Lets a step happen together with those that wait beside it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Vm, &mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.send_write(false, step).await
    }

    /// Lets a step happen that scans.
    pub(super) async fn write_alone<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Vm, &mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.send_write(true, step).await
    }

    async fn send_write<T: Send + 'static>(
        &self,
        is_alone: bool,
        step: impl FnOnce(&mut Vm, &mut Batch<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let trip = Trip::begin("write");
        let (tell, told) = oneshot::channel();
        let work = move |vm: &mut Vm, batch: &mut Batch<'_>| -> Answer {
            let outcome = step(vm, batch);
            match outcome {
                Ok(_) => batch.accept(),
                Err(_) => batch.discard(),
            }
            Box::new(move |committed| {
                // Whoever asked may have gone; the step stands all the same.
                let _ = tell.send(committed.clone().and(outcome));
            })
        };
        let sent = self.send(self.write.as_ref(), Write { is_alone, work: Box::new(work) });
        trip.end(sent, told).await
    }

    /// Looks at the state after the last commit.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Vm, &mut View<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let trip = Trip::begin("read");
        let (tell, told) = oneshot::channel();
        let work = move |vm: &mut Vm, view: Result<View<'_>>| {
            let _ = tell.send(view.and_then(|mut view| look(vm, &mut view)));
        };
        let sent = self.send(self.read.as_ref(), Box::new(work) as Read);
        trip.end(sent, told).await
    }

    /// From now on.
    pub(super) fn notices(&self) -> broadcast::Receiver<u16> {
        self.notices.subscribe()
    }

    /// Whether steps can be answered.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_poisoned.load(Ordering::Acquire) {
            return Err(poisoned());
        }
        if self.handles.iter().any(JoinHandle::is_finished) {
            return Err(stopped());
        }
        Ok(())
    }

    fn send<W>(&self, to: Option<&SyncSender<W>>, work: W) -> Result<()> {
        self.check()?;
        match to.ok_or_else(stopped)?.try_send(work) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                Err(Error::Unavailable(format!("{WAITING_MAX} steps wait already")))
            }
            Err(TrySendError::Disconnected(_)) => Err(stopped()),
        }
    }
}

/// A step on its way to a thread and back, as it is counted and traced.
struct Trip(Option<trace::Trip>);

impl Trip {
    fn begin(operation: &'static str) -> Self {
        tally::round_trip(operation);
        Self(trace::trip("callgate.embedded", operation))
    }

    async fn end<T>(self, sent: Result<()>, told: oneshot::Receiver<Result<T>>) -> Result<T> {
        let answer = match sent {
            Ok(()) => told.await.unwrap_or_else(|_| Err(stopped())),
            Err(error) => Err(error),
        };
        if let (Some(trip), Err(error)) = (&self.0, &answer)
            && let Some(why) = tally::failure(error)
        {
            trip.failed(why);
        }
        tally::asked(answer)
    }
}

/// What was sent is still done, committed and answered.
impl Drop for Threads {
    fn drop(&mut self) {
        self.write = None;
        self.read = None;
        for handle in self.handles.drain(..) {
            if handle.join().is_err() {
                tracing::error!("a thread of the embedded store panicked");
            }
        }
    }
}

/// The writer's own.
struct Writer {
    kv: Arc<Kv>,
    pen: Pen,
    vm: Vm,
    clock: Arc<dyn Clock>,
    is_poisoned: Arc<AtomicBool>,
    swept_to: key::Key,
    limits: LogLimits,
    notices: Sender<u16>,
}

impl Writer {
    fn run(mut self, steps: &Receiver<Write>) {
        let mut ticked = Instant::now();
        loop {
            match steps.recv_timeout(TICK) {
                Ok(first) => self.write(first, steps),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if ticked.elapsed() >= TICK {
                self.tick();
                ticked = Instant::now();
            }
        }
        if !self.is_poisoned() {
            let flushed = self.kv.flush(&mut self.pen);
            self.note(&flushed);
        }
    }

    fn write(&mut self, first: Write, steps: &Receiver<Write>) {
        let mut next = Some(first);
        while let Some(step) = next {
            let mut answers = Vec::new();
            let kv = Arc::clone(&self.kv);
            let mut batch = Batch::new(&kv);
            let is_alone = step.is_alone;
            answers.push((step.work)(&mut self.vm, &mut batch));
            next = None;
            while !is_alone && answers.len() < BATCH_MAX {
                match steps.try_recv() {
                    Ok(step) if step.is_alone => {
                        next = Some(step);
                        break;
                    }
                    Ok(step) => answers.push((step.work)(&mut self.vm, &mut batch)),
                    Err(_) => break,
                }
            }
            let committed = self.commit(&mut batch);
            for answer in answers {
                answer(&committed);
            }
        }
    }

    fn commit(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if self.is_poisoned() {
            return Err(poisoned());
        }
        self.pen.note_time(self.clock.now());
        let committed = batch.commit(&mut self.pen);
        self.note(&committed);
        committed.map_err(|_| poisoned())?;
        for partition in batch.news() {
            // Nobody may be listening.
            let _ = self.notices.send(partition);
        }
        Ok(())
    }

    /// The disk is not what we think it is: nothing may be answered any more.
    fn note(&self, outcome: &Result<()>) {
        if let Err(error) = outcome {
            self.is_poisoned.store(true, Ordering::Release);
            tracing::error!(%error, "the embedded store cannot write; restart callgate");
        }
    }

    fn is_poisoned(&self) -> bool {
        self.is_poisoned.load(Ordering::Acquire)
    }

    fn tick(&mut self) {
        if self.is_poisoned() {
            return;
        }
        let flushed = self.kv.flush(&mut self.pen);
        self.note(&flushed);
        let kv = Arc::clone(&self.kv);
        let mut batch = Batch::new(&kv);
        let now = self.clock.now();
        let trimmed = log::trim_quiet(&mut batch, self.limits, now);
        let swept =
            trimmed.and_then(|()| sweep::stretch(&mut batch, &self.swept_to, sweep::STRETCH, now));
        match swept {
            Ok(swept) => {
                self.swept_to = swept.next.unwrap_or_else(|| vec![key::SWEPT_FROM]);
                batch.accept();
                // An error poisons, and the next step says so.
                let _ = self.commit(&mut batch);
            }
            Err(error) => tracing::error!(%error, "cannot sweep what has expired"),
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))
}

fn stopped() -> Error {
    Error::Unavailable("the embedded store has stopped".to_owned())
}

fn poisoned() -> Error {
    Error::Unavailable(
        "the embedded store could not write, and does not answer until callgate is restarted"
            .to_owned(),
    )
}
