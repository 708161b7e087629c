//! The hub's task: attends what is watched, reads what is new, hands it out.
//!
//! What cannot be read for now, e.g. since one node of a cluster is away, is tried again and holds
//! nothing else up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all, stream};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    backoff::Backoff,
    hub::{Ask, Board, Feed, Inner, Join, QUEUE_LEN, Routed, Seen},
    routes::{Routes, Seat},
};
use crate::engine::{
    Error, Result,
    change::{ChangeLog, Logged, News, Position},
    store::Store,
};

/// Changes of one partition that the hub reads at once.
const PAGE: usize = 256;
/// Partitions that the hub reads at once.
const READS_AT_ONCE: usize = 16;
/// Asks that are answered together.
const ASKS_AT_ONCE: usize = 256;

/// Opens the log and serves from it. Returns when nobody has been there for a while.
pub(super) async fn run(
    hub: Weak<Inner>,
    store: Arc<dyn Store>,
    asks: mpsc::UnboundedSender<Ask>,
    asked: mpsc::UnboundedReceiver<Ask>,
) {
    let lingers = hub.upgrade().map_or(Duration::ZERO, |inner| inner.lingers);
    let log = match store.change_log().await {
        Ok(log) => log,
        Err(error) => return refuse(&hub, asked, &error),
    };
    tracing::debug!("the hub opens the change log");
    let heads = vec![Position::START; usize::from(store.partitions())];
    let task = Task {
        log,
        // A weak one: the door must close when the last who may ask is gone.
        asks: asks.downgrade(),
        board: Arc::new(Board::new(&heads)),
        heads,
        routes: Routes::default(),
        attended: None,
        unread: BTreeSet::new(),
        failing: BTreeSet::new(),
        trouble: None,
        is_troubled: false,
        backoff: Backoff::default(),
        next_id: 0,
    };
    drop((store, asks));
    task.serve(&hub, lingers, asked).await;
    tracing::debug!("nobody watches: the hub closes the change log");
}

fn refuse(hub: &Weak<Inner>, mut asked: mpsc::UnboundedReceiver<Ask>, error: &Error) {
    // From here on nobody asks here any more.
    drop(hub.upgrade().map(|inner| inner.desk().take()));
    asked.close();
    while let Ok(ask) = asked.try_recv() {
        if let Ask::Join(join) = ask {
            let _ = join.answer.send(Err(error.clone()));
        }
    }
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

struct Task {
    log: Arc<dyn ChangeLog>,
    asks: mpsc::WeakUnboundedSender<Ask>,
    board: Arc<Board>,
    /// By partition: how far it was read. Of partitions that nobody watches it says nothing.
    heads: Vec<Position>,
    routes: Routes,
    /// What the log attends; `None`: that is not known, since telling it failed.
    attended: Option<BTreeSet<u16>>,
    /// Partitions that may have changes after their head.
    unread: BTreeSet<u16>,
    /// Partitions that could not be read.
    failing: BTreeSet<u16>,
    /// What fails at present, and when it is tried again.
    trouble: Option<(Error, Instant)>,
    /// Since the log was last well, it was said that it is not.
    is_troubled: bool,
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
            let is_watched = !self.routes.is_empty();
            if is_watched {
                watched_at = Instant::now();
            }
            let log = Arc::clone(&self.log);
            let retry_at = self.trouble.as_ref().map(|(_, at)| *at);
            let is_read = self.unread.is_empty();
            tokio::select! {
                count = asked.recv_many(&mut asks, ASKS_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    self.answer(&mut asks).await;
                }
                () = sleep_until(watched_at + lingers), if !is_watched => {
                    if ends(hub, &asked) {
                        return;
                    }
                }
                () = until(retry_at), if is_watched && retry_at.is_some() => self.retry().await,
                () = std::future::ready(()), if is_watched && !is_read => self.read().await,
                news = log.news(), if is_read && self.hears() => match news {
                    News::Of(partitions) => self.unread.extend(partitions),
                    News::OfAny => self.unread.extend(self.routes.partitions()),
                },
            }
        }
    }

    /// Whether there is anything that could be read on news of it.
    fn hears(&self) -> bool {
        self.routes.partitions().any(|partition| !self.failing.contains(&partition))
    }

    // === places ===

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
            // Nobody waits for the end of a trouble: newcomers see for themselves.
            self.failing.clear();
            self.trouble = None;
        }
        let prepared = self.prepare(&joins).await;
        for join in joins {
            let answer = match &prepared {
                Ok(unknown) => match join.partitions.iter().find_map(|at| unknown.get(at)) {
                    Some(error) => Err(error.clone()),
                    None => self.seat(&join),
                },
                Err(error) => Err(error.clone()),
            };
            // Dropped by whoever has gone since, a place gives itself back.
            let _ = join.answer.send(answer);
        }
        if self.routes.is_empty() {
            self.unread.clear();
        }
    }

    /// Has all partitions attended and knows the heads of the new ones, but for those that it returns.
    async fn prepare(&mut self, joins: &[Join]) -> Result<BTreeMap<u16, Error>> {
        let mut wanted: BTreeSet<u16> = self.routes.partitions().collect();
        let new: BTreeSet<u16> = joins
            .iter()
            .flat_map(|join| join.partitions.iter().copied())
            .filter(|partition| !wanted.contains(partition))
            .collect();
        wanted.extend(&new);
        let prepared = self.attend(wanted, new.into_iter().collect()).await;
        if let Err(error) = &prepared {
            self.failed(error.clone());
            self.publish();
        }
        prepared
    }

    /// Attends first: what comes after the end that is read then is told by news.
    async fn attend(
        &mut self,
        wanted: BTreeSet<u16>,
        new: Vec<u16>,
    ) -> Result<BTreeMap<u16, Error>> {
        if self.attended.as_ref() != Some(&wanted) {
            if self.attended.take().is_none() {
                // Notices may have been lost.
                self.unread.extend(self.routes.partitions());
            }
            let list: Vec<u16> = wanted.iter().copied().collect();
            self.log.attend(&list).await?;
            self.attended = Some(wanted);
        }
        let mut unknown = BTreeMap::new();
        if !new.is_empty() {
            for (partition, tail) in tails(&*self.log, new).await {
                match tail {
                    Ok(tail) => self.heads[usize::from(partition)] = tail,
                    Err(error) => drop(unknown.insert(partition, error)),
                }
            }
            self.publish();
        }
        Ok(unknown)
    }

    fn seat(&mut self, join: &Join) -> Result<Feed> {
        if let Some((error, _)) = &self.trouble
            && join.partitions.iter().any(|partition| self.failing.contains(partition))
        {
            return Err(error.clone());
        }
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
        Ok(Feed {
            id,
            queue,
            start: join.partitions.iter().map(head).collect(),
            log: Arc::clone(&self.log),
            board: Arc::clone(&self.board),
            // While somebody waits for an answer there is a strong one.
            asks: self.asks.upgrade().unwrap_or_else(|| mpsc::unbounded_channel().0),
        })
    }

    // === reading ===

    /// Reads what may be new, hands it out, says how far that was.
    async fn read(&mut self) {
        let mut wanted: BTreeSet<u16> = std::mem::take(&mut self.unread);
        wanted.retain(|at| self.routes.listens_to(*at) && !self.failing.contains(at));
        let read = |partition: u16| {
            let (log, after) = (Arc::clone(&self.log), self.heads[usize::from(partition)]);
            async move { (partition, log.read(partition, after, PAGE).await) }
        };
        let reads: Vec<_> = wanted.into_iter().map(read).collect();
        let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
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
                Err(error) if error.passes() => {
                    self.failing.insert(partition);
                    self.failed(error);
                }
                Err(error) => {
                    // What it means for a subscriber depends on how far that one is: each reads for
                    // itself. With the next one that comes, the hub starts from the end of the log.
                    tracing::warn!(partition, %error, "the hub cannot follow the change log");
                    self.routes.remove_all_of(partition);
                }
            }
        }
        self.publish();
    }

    fn route(&mut self, partition: u16, entry: Logged) {
        let Logged { position, change } = entry;
        self.heads[usize::from(partition)] = position;
        let heads = &self.heads;
        let mut routed = None;
        self.routes.each(&change, |seat| {
            let routed = routed.get_or_insert_with(|| {
                Arc::new(Routed {
                    partition,
                    position,
                    change: Arc::clone(&change),
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
        self.board.write(Seen {
            heads: self.heads.as_slice().into(),
            failing: self.failing.iter().copied().collect(),
            is_deaf: self.attended.is_none(),
        });
    }

    // === trouble ===

    fn failed(&mut self, error: Error) {
        if !self.is_troubled {
            tracing::warn!(%error, "the change log cannot be read; trying again");
        }
        self.is_troubled = true;
        if self.trouble.is_none() {
            self.trouble = Some((error, Instant::now() + self.backoff.next()));
        }
    }

    async fn retry(&mut self) {
        self.trouble = None;
        self.unread.append(&mut self.failing);
        if self.prepare(&[]).await.is_ok() {
            self.read().await;
        }
        if self.trouble.is_none() {
            tracing::info!("the change log can be read again");
            self.is_troubled = false;
            self.backoff = Backoff::default();
        }
    }
}

/// Where these logs end: if that cannot be said of all, then of each that it can.
async fn tails(log: &dyn ChangeLog, partitions: Vec<u16>) -> Vec<(u16, Result<Position>)> {
    if let Ok(tails) = log.tails(&partitions).await {
        return std::iter::zip(partitions, tails.into_iter().map(Ok)).collect();
    }
    let tail = |partition| async move {
        let tails = log.tails(&[partition]).await;
        let none = || Error::Internal("a log has no end".to_owned());
        (partition, tails.and_then(|tails| tails.first().copied().ok_or_else(none)))
    };
    join_all(partitions.into_iter().map(tail)).await
}

async fn until(at: Option<Instant>) {
    sleep_until(at.unwrap_or_else(Instant::now)).await;
}
