//! The hub: one task per process that reads the change log while anybody watches, and hands each
//! change to those whom it concerns.
//!
//! It begins with the first subscriber and ends some seconds after the last one, and with it every
//! connection of the log. A subscriber that does not take what it is handed loses its place: its queue
//! is closed, it reads the log from its own cursor and asks for a place anew. So memory is bounded and
//! nobody waits for anybody. The same way leads out of every trouble of the hub: whoever loses a place,
//! for whatever reason, has the log.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};

use super::{filter::Filter, task};
use crate::engine::{
    Error, Result,
    change::{Change, ChangeLog, Logged, Position},
    store::Store,
};

/// Changes that wait for one subscriber at most.
pub(super) const QUEUE_LEN: usize = 64;
/// Reads of all subscribers together, of those that catch up: a thousand that come back at once must
/// not crowd out the calls.
const CATCHING_UP_AT_ONCE: usize = 16;

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
    /// Partitions that cannot be read at present.
    pub(super) failing: Arc<[u16]>,
    /// No news are heard at present.
    pub(super) is_deaf: bool,
}

/// Where the hub says how far it is.
#[derive(Debug)]
pub(super) struct Board(Mutex<Seen>);

impl Board {
    pub(super) fn new(heads: &[Position]) -> Self {
        let seen = Seen { heads: heads.into(), failing: Arc::default(), is_deaf: false };
        Self(Mutex::new(seen))
    }

    pub(super) fn write(&self, seen: Seen) {
        *self.lock() = seen;
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing in here can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place at the hub. Dropped, it is given back.
pub(super) struct Feed {
    pub(super) id: u64,
    /// What comes after `start`. Closed by the hub when the place is lost.
    pub(super) queue: mpsc::Receiver<Arc<Routed>>,
    /// Where the feed begins: by the subscriber's partitions, in their order.
    pub(super) start: Vec<Position>,
    /// For what was before.
    pub(super) log: Arc<dyn ChangeLog>,
    pub(super) board: Arc<Board>,
    pub(super) asks: mpsc::UnboundedSender<Ask>,
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

/// What the task is asked.
pub(super) enum Ask {
    Join(Join),
    Leave(u64),
}

/// For a place.
pub(super) struct Join {
    pub(super) filter: Arc<Filter>,
    pub(super) partitions: Arc<[u16]>,
    pub(super) answer: oneshot::Sender<Result<Feed>>,
}

/// Hands out places; starts the task when there is none.
#[derive(Debug, Clone)]
pub(super) struct Hub(Arc<Inner>);

/// What all handles share.
#[derive(Debug)]
pub(super) struct Inner {
    store: Arc<dyn Store>,
    /// How long the hub outlives its last subscriber.
    pub(super) lingers: Duration,
    /// Where the running task is asked.
    desk: Mutex<Option<mpsc::UnboundedSender<Ask>>>,
    catching_up: Semaphore,
}

impl Inner {
    pub(super) fn desk(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<Ask>>> {
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

    /// Reads the log for a subscriber that catches up, and picks what it wants. In a task of its own: nobody
    /// looks at a subscriber whose client has no room, and one that had its turn then would keep it from all
    /// others, and all that was read.
    ///
    /// # Errors
    /// See [`ChangeLog::read`].
    pub(super) async fn read<T: Send + 'static>(
        &self,
        log: &Arc<dyn ChangeLog>,
        partition: u16,
        after: Position,
        limit: usize,
        pick: impl FnOnce(Vec<Logged>) -> T + Send + 'static,
    ) -> Result<T> {
        let (hub, log) = (Arc::clone(&self.0), Arc::clone(log));
        let mut reading = JoinSet::new(); // Ends with us.
        reading.spawn(async move {
            let _turn = hub.catching_up.acquire().await;
            log.read(partition, after, limit).await.map(pick)
        });
        match reading.join_next().await {
            Some(Ok(read)) => read,
            _ => Err(Error::Internal("reading the change log panicked".to_owned())),
        }
    }

    fn ask(&self, ask: Ask) {
        let mut desk = self.0.desk();
        let asks = match &*desk {
            // One that panicked left its door shut.
            Some(asks) if !asks.is_closed() => asks,
            Some(_) | None => {
                let (asks, asked) = mpsc::unbounded_channel();
                let hub = Arc::downgrade(&self.0);
                tokio::spawn(task::run(hub, Arc::clone(&self.0.store), asks.clone(), asked));
                desk.insert(asks)
            }
        };
        // Whoever asked sees that there comes no answer.
        let _ = asks.send(ask);
    }
}
