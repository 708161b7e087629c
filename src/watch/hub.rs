//! The hub: one task per process that reads the change log while anybody watches, and hands each
//! change to those whom it concerns.
//!
//! It begins with the first subscriber and ends some seconds after the last one, and with it every
//! connection of the log. A subscriber that does not take what it is handed loses its place: its queue
//! is closed, it reads the log from its own cursor and asks for a place anew. So memory is bounded and
//! nobody waits for anybody. The same way leads out of every trouble of the hub: whoever loses a place,
//! for whatever reason, has the log.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    backoff::Backoff,
    filter::Filter,
    routes::{Routes, Seat},
};
use crate::engine::{
    Error, Result,
    change::{Change, ChangeLog, Logged, News, Position},
    store::Store,
};

/// Changes that wait for one subscriber at most.
pub(super) const QUEUE_LEN: usize = 64;
/// Changes of one partition that the hub reads at once.
const PAGE: usize = 256;
/// Partitions that the hub reads at once.
const READS_AT_ONCE: usize = 16;
/// Reads of all subscribers together, of those that catch up: a thousand that come back at once must
/// not crowd out the calls.
const CATCHING_UP_AT_ONCE: usize = 16;
/// Asks that are answered together.
const ASKS_AT_ONCE: usize = 256;

/// A change on its way to subscribers.
pub(super) struct Routed {
    pub(super) partition: u16,
    pub(super) position: Position,
    pub(super) change: Arc<Change>,
    /// How far every watched partition is told once this is: by partition.
    pub(super) heads: Arc<[Position]>,
    /// The resume token of everyone who watches all partitions and is up to `heads`.
    pub(super) token: OnceLock<Arc<[u8]>>,
}

/// How far the hub is.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// By partition: everything up to here stands in the queues, where it concerns their owner.
    pub(super) heads: Arc<[Position]>,
    /// The log cannot be read at present.
    pub(super) is_away: bool,
}

/// Where the hub says how far it is.
#[derive(Debug)]
struct Board(Mutex<Seen>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing in here can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place at the hub. Dropped, it is given back.
pub(super) struct Feed {
    id: u64,
    /// What comes after `start`. Closed by the hub when the place is lost.
    pub(super) queue: mpsc::Receiver<Arc<Routed>>,
    /// Where the feed begins: by the subscriber's partitions, in their order.
    pub(super) start: Vec<Position>,
    /// For what was before.
    pub(super) log: Arc<dyn ChangeLog>,
    board: Arc<Board>,
    asks: mpsc::UnboundedSender<Ask>,
}

impl Feed {
    /// How far the hub is. If the queue is found empty after this, then nothing up to there is left to
    /// tell.
    pub(super) fn seen(&self) -> Seen {
        self.board.lock().clone()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // A hub that has ended has no place to give back.
        let _ = self.asks.send(Ask::Leave(self.id));
    }
}

enum Ask {
    Join(Join),
    Leave(u64),
}

struct Join {
    filter: Arc<Filter>,
    partitions: Arc<[u16]>,
    answer: oneshot::Sender<Result<Feed>>,
}

/// Hands out places; starts the task when there is none.
#[derive(Debug, Clone)]
pub(super) struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    /// How long the hub outlives its last subscriber.
    lingers: Duration,
    /// Where the running task is asked.
    desk: Mutex<Option<mpsc::UnboundedSender<Ask>>>,
    catching_up: Semaphore,
}

impl Inner {
    fn desk(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<Ask>>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    pub(super) fn new(store: Arc<dyn Store>, lingers: Duration) -> Self {
        let catching_up = Semaphore::new(CATCHING_UP_AT_ONCE);
        Self(Arc::new(Inner { store, lingers, desk: Mutex::new(None), catching_up }))
    }

    /// A place for a subscriber with this filter.
    ///
    /// # Errors
    /// The log cannot be read at present.
    pub(super) async fn join(&self, filter: &Arc<Filter>, partitions: &Arc<[u16]>) -> Result<Feed> {
        let (answer, answered) = oneshot::channel();
        let (filter, partitions) = (Arc::clone(filter), Arc::clone(partitions));
        self.ask(Ask::Join(Join { filter, partitions, answer }));
        let ended = |_| Err(Error::Internal("the hub ended without an answer".to_owned()));
        answered.await.unwrap_or_else(ended)
    }

    /// Reads the log for a subscriber that catches up.
    ///
    /// # Errors
    /// See [`ChangeLog::read`].
    pub(super) async fn read(
        &self,
        log: &dyn ChangeLog,
        partition: u16,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Logged>> {
        let _turn = self.0.catching_up.acquire().await;
        log.read(partition, after, limit).await
    }

    fn ask(&self, ask: Ask) {
        let mut desk = self.0.desk();
        let asks = match &*desk {
            // One that panicked left its door shut.
            Some(asks) if !asks.is_closed() => asks,
            Some(_) | None => {
                let (asks, asked) = mpsc::unbounded_channel();
                let hub = Arc::downgrade(&self.0);
                tokio::spawn(run(hub, Arc::clone(&self.0.store), asks.clone(), asked));
                desk.insert(asks)
            }
        };
        // Whoever asked sees that there comes no answer.
        let _ = asks.send(ask);
    }
}

/// Opens the log and serves from it. Returns when nobody has been there for a while.
async fn run(
    hub: Weak<Inner>,
    store: Arc<dyn Store>,
    asks: mpsc::UnboundedSender<Ask>,
    mut asked: mpsc::UnboundedReceiver<Ask>,
) {
    let lingers = hub.upgrade().map_or(Duration::ZERO, |inner| inner.lingers);
    let log = store.change_log().await;
    let partitions = usize::from(store.partitions());
    drop(store);
    let log = match log {
        Ok(log) => log,
        Err(error) => {
            // Under the lock, so that nobody asks here any more.
            let _desk = hub.upgrade().map(|inner| inner.desk().take());
            asked.close();
            while let Ok(ask) = asked.try_recv() {
                if let Ask::Join(join) = ask {
                    let _ = join.answer.send(Err(error.clone()));
                }
            }
            return;
        }
    };
    tracing::debug!("the hub opens the change log");
    let heads = vec![Position::START; partitions];
    let seen = Seen { heads: heads.as_slice().into(), is_away: false };
    let task = Task {
        log,
        // A weak one: the door must close when the last who may ask is gone.
        asks: asks.downgrade(),
        board: Arc::new(Board(Mutex::new(seen))),
        heads,
        routes: Routes::default(),
        attended: BTreeSet::new(),
        unread: BTreeSet::new(),
        away: None,
        backoff: Backoff::default(),
        next_id: 0,
    };
    drop(asks);
    task.serve(&hub, lingers, asked).await;
    tracing::debug!("nobody watches: the hub closes the change log");
}

struct Task {
    log: Arc<dyn ChangeLog>,
    asks: mpsc::WeakUnboundedSender<Ask>,
    board: Arc<Board>,
    /// By partition: how far it was read. Of partitions that nobody watches it says nothing.
    heads: Vec<Position>,
    routes: Routes,
    /// What the log was told to attend.
    attended: BTreeSet<u16>,
    /// Partitions that may have changes after their head.
    unread: BTreeSet<u16>,
    /// Why the log cannot be read at present, and when it is tried again.
    away: Option<(Error, Instant)>,
    backoff: Backoff,
    next_id: u64,
}

impl Task {
    async fn serve(
        mut self,
        hub: &Weak<Inner>,
        lingers: Duration,
        mut asked: mpsc::UnboundedReceiver<Ask>,
    ) {
        let mut asks = Vec::new();
        let mut watched_at = Instant::now();
        loop {
            let is_empty = self.routes.is_empty();
            if !is_empty {
                watched_at = Instant::now();
            }
            let log = Arc::clone(&self.log);
            let retry_at = self.away.as_ref().map(|(_, at)| *at);
            let may_read = !is_empty && retry_at.is_none();
            tokio::select! {
                count = asked.recv_many(&mut asks, ASKS_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    self.answer(&mut asks).await;
                }
                () = sleep_until(watched_at + lingers), if is_empty => {
                    if ends(hub, &asked) {
                        return;
                    }
                }
                () = until(retry_at), if !is_empty && retry_at.is_some() => self.retry().await,
                () = std::future::ready(()), if may_read && !self.unread.is_empty() => {
                    self.read().await;
                }
                news = log.news(), if may_read && self.unread.is_empty() => match news {
                    News::Of(partitions) => self.unread.extend(partitions),
                    News::OfAny => self.unread.extend(self.routes.partitions()),
                },
            }
        }
    }

    /// Gives places away and takes them back, then lets the log attend what is watched now.
    async fn answer(&mut self, asks: &mut Vec<Ask>) {
        let mut joins = Vec::new();
        for ask in asks.drain(..) {
            match ask {
                Ask::Join(join) => joins.push(join),
                Ask::Leave(id) => self.routes.remove(id),
            }
        }
        // Whoever went away meanwhile needs no place.
        joins.retain(|join| !join.answer.is_closed());
        if self.routes.is_empty() {
            // Nobody was left who waits for the end of a trouble: the newcomers try by themselves.
            self.recovered();
        }
        let admitted = match &self.away {
            Some((error, _)) => Err(error.clone()),
            None => self.prepare(&joins).await,
        };
        for join in joins {
            let answer = admitted.clone().map(|()| self.seat(&join));
            // Dropped by whoever has gone since, a place gives itself back.
            let _ = join.answer.send(answer);
        }
        if self.routes.is_empty() {
            self.unread.clear();
        }
    }

    /// Has all partitions attended and knows the heads of the new ones.
    async fn prepare(&mut self, joins: &[Join]) -> Result<()> {
        let mut wanted: BTreeSet<u16> = self.routes.partitions().collect();
        let new: BTreeSet<u16> = joins
            .iter()
            .flat_map(|join| join.partitions.iter().copied())
            .filter(|partition| !wanted.contains(partition))
            .collect();
        wanted.extend(&new);
        if wanted == self.attended && new.is_empty() {
            return Ok(());
        }
        let prepared = self.attend(wanted, new.into_iter().collect()).await;
        if let Err(error) = &prepared {
            self.failed(error.clone());
        }
        prepared
    }

    /// After a failure: what was attended may be so no more, and notices may have been lost.
    async fn retry(&mut self) {
        self.unread.extend(self.routes.partitions());
        if self.prepare(&[]).await.is_ok() {
            self.read().await;
        }
    }

    /// Attends first: what comes after the end that is read then is told by news.
    async fn attend(&mut self, wanted: BTreeSet<u16>, new: Vec<u16>) -> Result<()> {
        if wanted != self.attended {
            let list: Vec<u16> = wanted.iter().copied().collect();
            // Unless it succeeds it is not known what is attended.
            self.attended.clear();
            self.log.attend(&list).await?;
            self.attended = wanted;
        }
        if !new.is_empty() {
            let tails = self.log.tails(&new).await?;
            for (partition, tail) in std::iter::zip(new, tails) {
                self.heads[usize::from(partition)] = tail;
            }
            self.publish();
        }
        Ok(())
    }

    fn seat(&mut self, join: &Join) -> Feed {
        let id = self.next_id;
        self.next_id += 1;
        let (sender, queue) = mpsc::channel(QUEUE_LEN);
        let seat = Seat {
            filter: Arc::clone(&join.filter),
            partitions: Arc::clone(&join.partitions),
            queue: sender,
        };
        self.routes.add(id, seat);
        let head = |partition: &u16| self.heads[usize::from(*partition)];
        Feed {
            id,
            queue,
            start: join.partitions.iter().map(head).collect(),
            log: Arc::clone(&self.log),
            board: Arc::clone(&self.board),
            // While somebody waits for an answer there is a strong one.
            asks: self.asks.upgrade().unwrap_or_else(|| mpsc::unbounded_channel().0),
        }
    }

    /// Reads what may be new, hands it out, says how far that was.
    async fn read(&mut self) {
        let mut wanted: BTreeSet<u16> = std::mem::take(&mut self.unread);
        wanted.retain(|partition| self.routes.listens_to(*partition));
        let read = |partition: u16| {
            let (log, after) = (Arc::clone(&self.log), self.heads[usize::from(partition)]);
            async move { (partition, log.read(partition, after, PAGE).await) }
        };
        let reads: Vec<_> = wanted.into_iter().map(read).collect();
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        let mut failure = None;
        while let Some((partition, entries)) = reads.next().await {
            match entries {
                Ok(entries) => {
                    if entries.len() == PAGE {
                        self.unread.insert(partition);
                    }
                    for entry in entries {
                        self.route(partition, entry);
                    }
                }
                Err(error @ (Error::Unavailable(_) | Error::DeadlineExceeded(_))) => {
                    self.unread.insert(partition);
                    failure = Some(error);
                }
                Err(error) => {
                    // What it means for a subscriber depends on how far that one is: each reads for
                    // itself. With the next one that comes, the hub starts from the end of the log.
                    tracing::warn!(partition, %error, "the hub cannot follow the change log");
                    self.routes.remove_all_of(partition);
                }
            }
        }
        match failure {
            Some(error) => self.failed(error),
            None => self.recovered(),
        }
        self.publish();
    }

    fn route(&mut self, partition: u16, entry: Logged) {
        let Logged { position, change } = entry;
        self.heads[usize::from(partition)] = position;
        let heads = &self.heads;
        let mut routed = None;
        let shared = Arc::clone(&change);
        self.routes.each(&shared, |seat| {
            let routed = routed.get_or_insert_with(|| {
                Arc::new(Routed {
                    partition,
                    position,
                    change: Arc::clone(&shared),
                    heads: heads.as_slice().into(),
                    token: OnceLock::new(),
                })
            });
            match seat.queue.try_send(Arc::clone(routed)) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    metrics::counter!("callgate_watch_lagging_total").increment(1);
                    false
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
    }

    /// After what leads up to it was handed out.
    fn publish(&self) {
        let mut seen = self.board.lock();
        seen.is_away = self.away.is_some();
        if *seen.heads != *self.heads {
            seen.heads = self.heads.as_slice().into();
        }
    }

    fn failed(&mut self, error: Error) {
        if self.away.is_none() {
            tracing::warn!(%error, "the change log cannot be read; trying again");
        }
        self.away = Some((error, Instant::now() + self.backoff.next()));
        self.publish();
    }

    fn recovered(&mut self) {
        if self.away.take().is_some() {
            tracing::info!("the change log can be read again");
            self.backoff = Backoff::default();
        }
    }
}

async fn until(at: Option<Instant>) {
    sleep_until(at.unwrap_or_else(Instant::now)).await;
}

/// Whether the task may end: under the lock, so that whoever asks now starts a new one.
fn ends(hub: &Weak<Inner>, asked: &mpsc::UnboundedReceiver<Ask>) -> bool {
    let Some(inner) = hub.upgrade() else { return true };
    let mut desk = inner.desk();
    let is_idle = asked.is_empty();
    if is_idle {
        *desk = None;
    }
    is_idle
}
