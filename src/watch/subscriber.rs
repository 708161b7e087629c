//! One stream: a cursor that moves through the log, fed by the hub while it keeps up and by its own
//! reading while it does not. No task of its own; it moves when it is polled.

use std::{sync::Arc, time::Duration, vec};

use futures_util::{Stream, stream};
use tokio::{
    sync::mpsc::error::TryRecvError,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Draining, End, Message, Request, State, Told, Watch,
    backoff::Backoff,
    cursor::{self, Seal, Token},
    filter::Filter,
    hub::{Feed, Hub, Routed, Seen},
    snapshot,
};
use crate::engine::{
    Error,
    change::{Logged, Position},
    store::Store,
    time::Millis,
};

/// Changes that a subscriber reads at once while it is behind, and keeps until they were taken.
const PAGE: usize = 64;
/// The same, while few of them are meant for it.
const PAGE_MAX: usize = 512;
/// How soon it is looked again whether the hub can read, before Progress is told.
const AWAY_ASKED_AGAIN: Duration = Duration::from_secs(1);

const OUT_OF_RANGE: &str = "changes after this resume_token are not in the log any more: it keeps them \
    for a limited time and number, or lost them in a failover. Start again with an empty resume_token, \
    and with `snapshot` to have the present state of pairs";
const OTHER_PARTITIONS: &str = "is of a stream over other business numbers and does not say where \
    these stand: resume with the filter it was made for, or start with an empty one";
const NEEDS_PAIRS: &str = "needs pairs: name those whose state is to be sent first";

/// A stream of messages. By itself it never ends.
#[derive(Debug)]
pub struct Subscription {
    hub: Hub,
    /// For its clock.
    store: Arc<dyn Store>,
    draining: Draining,
    filter: Arc<Filter>,
    /// Ascending.
    partitions: Arc<[u16]>,
    watches_all: bool,
    seal: Seal,
    progress_interval: Duration,
    /// How far everything was told: by `partitions`, in their order.
    cursor: Vec<Position>,
    /// The place at the hub, if there is one.
    feed: Option<Feed>,
    /// Which of the partitions are to be read from the log before the feed is in order.
    behind: Vec<usize>,
    page: Page,
    page_len: usize,
    snapshots: vec::IntoIter<State>,
    /// When to say something at the latest.
    speak_at: Instant,
    has_told: bool,
    backoff: Backoff,
    _counted: Counted,
}

/// Changes that were read from the log and not told yet.
#[derive(Debug, Default)]
struct Page {
    /// Of which partition.
    index: usize,
    entries: vec::IntoIter<Logged>,
    /// How far the page goes.
    end: Position,
}

/// One open stream more, while it lives.
#[derive(Debug)]
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("callgate_watchers").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("callgate_watchers").decrement(1.0);
    }
}

impl Subscription {
    pub(super) async fn open(watch: &Watch, request: Request) -> Result<Self, End> {
        let Watch { gate, hub, draining } = watch;
        if is_draining(draining) {
            return Err(End::Draining);
        }
        let Request { filter, resume_token, snapshot, progress_interval } = request;
        let store = gate.store();
        let seal = Seal::new(&store.secret()?);
        let token = match resume_token.as_slice() {
            [] if snapshot => Some(Token::Unfinished),
            [] => None,
            token => Some(seal.open(token)?),
        };
        if token == Some(Token::Unfinished) && filter.pairs().is_empty() {
            let field = if resume_token.is_empty() { "snapshot" } else { "pairs" };
            return Err(Error::invalid(field, NEEDS_PAIRS).into());
        }
        let filter = filter.over(|customer| store.kept(customer));
        let partitions = filter.partitions(store.partitions());
        let known = match &token {
            Some(Token::Positions(positions)) => Some(restrict(positions, &partitions)?),
            Some(Token::Unfinished) | None => None,
        };
        let filter = Arc::new(filter);
        // Before anything is looked at: from here on nothing is missed.
        let feed = hub.join(&filter, &partitions).await?;
        let mut snapshots = Vec::new();
        let cursor = match (token, known) {
            (Some(Token::Unfinished), _) => {
                let taken = snapshot::take(gate, &*feed.log, &filter, &partitions).await?;
                snapshots = taken.0;
                taken.1
            }
            (_, Some(known)) => known,
            (_, None) => feed.start.clone(),
        };
        let mut subscription = Self {
            hub: hub.clone(),
            store: Arc::clone(store),
            draining: draining.clone(),
            watches_all: partitions.len() == usize::from(store.partitions()),
            filter,
            partitions,
            seal,
            progress_interval,
            cursor,
            feed: None,
            behind: Vec::new(),
            page: Page::default(),
            page_len: PAGE,
            snapshots: snapshots.into_iter(),
            speak_at: Instant::now() + progress_interval,
            has_told: false,
            backoff: Backoff::default(),
            _counted: Counted::new(),
        };
        subscription.take_place(feed);
        Ok(subscription)
    }

    /// The stream itself: messages, and at its end why.
    pub fn into_messages(self) -> impl Stream<Item = Result<Message, End>> + Send {
        stream::unfold(Some(self), async |subscription| {
            let mut subscription = subscription?;
            match subscription.next().await {
                Ok(message) => Some((Ok(message), Some(subscription))),
                Err(end) => Some((Err(end), None)),
            }
        })
    }

    /// The next message. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The stream is over.
    pub async fn next(&mut self) -> Result<Message, End> {
        loop {
            if let Some(state) = self.snapshots.next() {
                return Ok(self.tell_snapshot(state));
            }
            if let Some(entry) = self.page.entries.next() {
                return Ok(self.tell_read(entry));
            }
            if self.feed.is_none() {
                self.join().await?;
            } else if let Some(index) = self.behind.last().copied() {
                let has_read = self.read(index).await?;
                let is_empty = self.page.entries.len() == 0;
                if has_read && is_empty && self.speak_at <= Instant::now() {
                    return Ok(self.tell(Told::Progress));
                }
            } else if !self.has_told {
                return Ok(self.tell(Told::Progress));
            } else if let Some(message) = self.follow().await? {
                return Ok(message);
            }
        }
    }

    // === what is told ===

    fn tell(&mut self, told: Told) -> Message {
        let positions = self.partitions.iter().copied().zip(self.cursor.iter().copied());
        let resume_token = self.seal.positions(positions);
        self.tell_with(resume_token, told)
    }

    fn tell_with(&mut self, resume_token: Vec<u8>, told: Told) -> Message {
        let told = match told {
            Told::Change(change) => Told::Change(self.filter.named(change)),
            Told::Snapshot(State::After(change)) => {
                Told::Snapshot(State::After(self.filter.named(change)))
            }
            told @ (Told::Snapshot(State::Settled(_)) | Told::Progress) => told,
        };
        self.has_told = true;
        self.speak_at = Instant::now() + self.progress_interval;
        Message { resume_token, told }
    }

    fn tell_snapshot(&mut self, state: State) -> Message {
        if self.snapshots.len() == 0 {
            self.snapshots = vec::IntoIter::default();
            self.tell(Told::Snapshot(state))
        } else {
            let token = self.seal.unfinished();
            self.tell_with(token, Told::Snapshot(state))
        }
    }

    fn tell_read(&mut self, entry: Logged) -> Message {
        let is_last = self.page.entries.len() == 0;
        self.cursor[self.page.index] = if is_last { self.page.end } else { entry.position };
        if is_last {
            self.page = Page::default();
        }
        self.tell(Told::Change(entry.change))
    }

    /// Unless it was read from the log already.
    fn tell_routed(&mut self, routed: &Routed) -> Option<Message> {
        let index = self.partitions.binary_search(&routed.partition).ok()?;
        let is_new = self.cursor[index] < routed.position;
        self.advance(&routed.heads);
        if !is_new {
            return None;
        }
        self.measure(routed.change.recorded_at);
        let told = Told::Change(Arc::clone(&routed.change));
        if self.watches_all && *self.cursor == *routed.heads {
            // All who are here have the same token.
            let seal = || {
                let positions = (0..u16::MAX).zip(routed.heads.iter().copied());
                self.seal.positions(positions).into()
            };
            let token = routed.token.get_or_init(seal).to_vec();
            return Some(self.tell_with(token, told));
        }
        Some(self.tell(told))
    }

    /// How long a change took from the store to here. Of what is read from the log it would say how long
    /// the client was away.
    fn measure(&self, recorded_at: Millis) {
        if let Some(now) = self.store.now_roughly() {
            let took = Duration::from_millis(now.0.saturating_sub(recorded_at.0));
            metrics::histogram!("callgate_watch_delivery_seconds").record(took.as_secs_f64());
        }
    }

    /// Everything up to `heads` was told.
    fn advance(&mut self, heads: &[Position]) {
        for (at, partition) in std::iter::zip(&mut self.cursor, &*self.partitions) {
            *at = heads[usize::from(*partition)].max(*at);
        }
    }

    // === the feed ===

    /// What the hub hands out, or Progress.
    async fn follow(&mut self) -> Result<Option<Message>, End> {
        let Some(feed) = &mut self.feed else { return Ok(None) };
        if is_draining(&self.draining) {
            // What is in the queue is still told; it grows no more.
            feed.queue.close();
        }
        let routed = tokio::select! {
            biased;
            routed = feed.queue.recv() => routed,
            () = drained(&self.draining) => return Ok(None),
            () = sleep_until(self.speak_at) => {
                // In this order: what was pushed before the board was written is seen in the queue.
                let seen = feed.seen();
                match feed.queue.try_recv() {
                    Ok(routed) => Some(routed),
                    Err(TryRecvError::Disconnected) => None,
                    Err(TryRecvError::Empty) if is_away(&seen, &self.partitions) => {
                        // "Nothing happened" cannot be said now.
                        self.speak_at = Instant::now() + AWAY_ASKED_AGAIN.min(self.progress_interval);
                        return Ok(None);
                    }
                    Err(TryRecvError::Empty) => {
                        self.advance(&seen.heads);
                        return Ok(Some(self.tell(Told::Progress)));
                    }
                }
            }
        };
        match routed {
            Some(routed) => Ok(self.tell_routed(&routed)),
            None if is_draining(&self.draining) => Err(End::Draining),
            None => {
                // Too slow, or the hub had trouble.
                self.feed = None;
                Ok(None)
            }
        }
    }

    fn take_place(&mut self, feed: Feed) {
        // Also where the token is ahead of the hub: whether the log still has that place, the log
        // must say.
        let differs = |index: &usize| self.cursor[*index] != feed.start[*index];
        self.behind = (0..self.partitions.len()).filter(differs).collect();
        self.feed = Some(feed);
    }

    async fn join(&mut self) -> Result<(), End> {
        let joined = tokio::select! {
            biased;
            () = drained(&self.draining) => return Err(End::Draining),
            joined = self.hub.join(&self.filter, &self.partitions) => joined,
        };
        match joined {
            Ok(feed) => {
                self.take_place(feed);
                Ok(())
            }
            Err(error) => self.wait_out(error).await,
        }
    }

    // === the log ===

    /// Reads on in one partition that is behind. Says whether that was possible.
    async fn read(&mut self, index: usize) -> Result<bool, End> {
        let Some(feed) = &self.feed else { return Ok(false) };
        let (partition, after, limit) = (self.partitions[index], self.cursor[index], self.page_len);
        let filter = Arc::clone(&self.filter);
        let pick = move |entries: Vec<Logged>| Picked::of(entries, limit, &filter);
        let read = tokio::select! {
            biased;
            () = drained(&self.draining) => return Err(End::Draining),
            read = self.hub.read(&feed.log, partition, after, limit, pick) => read,
        };
        let Picked { entries, end, is_all } = match read {
            Ok(picked) => picked,
            Err(Error::OutOfRange(cause)) => {
                tracing::debug!(partition, cause, "a resumed stream is out of range");
                return Err(Error::OutOfRange(OUT_OF_RANGE.to_owned()).into());
            }
            Err(error) => return self.wait_out(error).await.map(|()| false),
        };
        self.backoff = Backoff::default();
        let start = feed.start[index];
        let mut end = end.unwrap_or(after);
        if is_all {
            // The entry at the end of the log may have been erased.
            end = end.max(start);
        }
        if is_all || start <= end {
            self.behind.pop();
        } else {
            // One that is far behind must not keep the others waiting.
            self.behind.rotate_right(1);
        }
        self.page_len = if entries.len() < PAGE / 4 { (limit * 2).min(PAGE_MAX) } else { PAGE };
        if entries.is_empty() {
            self.cursor[index] = end;
        }
        self.page = Page { index, entries: entries.into_iter(), end };
        Ok(true)
    }

    /// A stream that has begun outlasts a store that is away; one that has not says so.
    async fn wait_out(&mut self, error: Error) -> Result<(), End> {
        if !error.passes() || !self.has_told {
            return Err(error.into());
        }
        tokio::select! {
            () = drained(&self.draining) => Err(End::Draining),
            () = sleep(self.backoff.next()) => Ok(()),
        }
    }
}

/// Of a page of the log what a subscriber wants.
struct Picked {
    entries: Vec<Logged>,
    /// Up to here it was looked at; `None`: there was nothing.
    end: Option<Position>,
    /// Whether the log has no more.
    is_all: bool,
}

impl Picked {
    /// At most [`PAGE`]: what a client has not read yet waits in the log and not here.
    fn of(mut entries: Vec<Logged>, limit: usize, filter: &Filter) -> Self {
        let mut is_all = entries.len() < limit;
        let mut end = entries.last().map(|entry| entry.position);
        entries.retain(|entry| filter.matches(&entry.change));
        if PAGE < entries.len() {
            entries.truncate(PAGE);
            (end, is_all) = (entries.last().map(|entry| entry.position), false);
        }
        entries.shrink_to_fit();
        Self { entries, end, is_all }
    }
}

/// Whether something of these partitions may be there that the hub cannot read.
fn is_away(seen: &Seen, partitions: &[u16]) -> bool {
    seen.is_deaf || seen.failing.iter().any(|failing| partitions.binary_search(failing).is_ok())
}

/// The token's positions of these partitions.
fn restrict(positions: &[(u16, Position)], partitions: &[u16]) -> Result<Vec<Position>, Error> {
    let of = |partition: &u16| {
        let found = positions.binary_search_by_key(partition, |(partition, _)| *partition);
        found.ok().map(|index| positions[index].1)
    };
    let known: Option<Vec<Position>> = partitions.iter().map(of).collect();
    known.ok_or_else(|| Error::invalid(cursor::FIELD, OTHER_PARTITIONS))
}

fn is_draining(draining: &Draining) -> bool {
    draining.as_ref().is_some_and(|draining| *draining.borrow() || draining.has_changed().is_err())
}

async fn drained(draining: &Draining) {
    match draining.clone() {
        // A sender that is gone drains as well.
        Some(mut draining) => drop(draining.wait_for(|is_draining| *is_draining).await),
        None => std::future::pending().await,
    }
}
