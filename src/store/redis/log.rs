//! The change log, open for reading: connections of its own, so that a large read delays no decision;
//! one to each server, open as long as somebody holds the log.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use redis::cmd;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    engine::{
        Error, Result,
        change::{ChangeLog, Logged, News, Position},
    },
    lasting::lasting,
    store::redis::{
        asked,
        call::Call,
        connect::{Connector, Patience},
        keys::Keys,
        link::Link,
        notices::Notices,
        script, wire,
    },
};

/// What notices have missed is looked for this often, and they are ordered anew.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// The same where they could not be ordered: a master was away for a moment.
const ORDER_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// The same where the server gives no notices.
const LOOK_WITHOUT_NOTICES: Duration = Duration::from_millis(50);
/// More are never read at once: they are one answer of the server's.
const READ_MAX: usize = 1000;

/// The change log in Redis. Its connections end when it is dropped.
#[derive(Debug)]
pub(super) struct RedisLog {
    inner: Arc<Inner>,
    keeper: JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    link: Link,
    keys: Keys,
    notices: Arc<Notices>,
    /// For one answer.
    budget: Duration,
    /// Where the logs ended when it was last looked.
    seen: Mutex<HashMap<u16, Position>>,
}

impl RedisLog {
    /// Connects.
    pub(super) async fn open(connector: Connector, keys: Keys, patience: Patience) -> Result<Self> {
        let notices = Notices::new(keys.clone());
        let connector = connector.with_ear(notices.ear());
        let link = Link::open_beside(connector, keys.clone(), patience.connect).await?;
        let budget = patience.call;
        let inner = Arc::new(Inner { link, keys, notices, budget, seen: Mutex::default() });
        let informed = Arc::clone(&inner);
        let keeper = tokio::spawn(async move {
            lasting("notices of changes", || keep_informed(Arc::clone(&informed))).await;
        });
        Ok(Self { inner, keeper })
    }
}

impl Drop for RedisLog {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// The background task.
async fn keep_informed(inner: Arc<Inner>) {
    let mut mended = inner.link.mended();
    let (mut ordered, mut is_ordered) = (Instant::now(), true);
    loop {
        let is_refused = inner.notices.is_refused();
        let pause = match (is_refused, is_ordered) {
            (true, _) => LOOK_WITHOUT_NOTICES,
            (false, true) => LOOK_EVERY,
            (false, false) => ORDER_AGAIN_AFTER,
        };
        let is_order_due = tokio::select! {
            () = inner.notices.broken() => true,
            _ = mended.changed() => true,
            () = sleep(pause) => !is_refused || ordered.elapsed() >= LOOK_EVERY,
        };
        if inner.notices.attended().is_empty() {
            continue;
        }
        if is_order_due {
            is_ordered = inner.notices.order(&inner.link, inner.budget).await;
            ordered = Instant::now();
        }
        inner.look().await;
    }
}

impl Inner {
    /// Notes which partitions have changed since the last look.
    async fn look(&self) {
        let attended = self.notices.attended();
        let Ok(tails) = self.tails(&attended).await else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = std::iter::zip(attended, tails);
        let fresh = pairs.filter(|(partition, tail)| seen.insert(*partition, *tail) != Some(*tail));
        self.notices.note(fresh.map(|(partition, _)| partition));
        drop(seen);
        self.notices.looked();
    }

    /// So many entries from this place on, itself included.
    async fn range(
        &self,
        partition: u16,
        from: Position,
        count: usize,
    ) -> Result<Vec<(String, Vec<Vec<u8>>)>> {
        let mut range = cmd("XRANGE");
        range.arg(self.keys.changes(partition)).arg(wire::id_of(from)).arg("+");
        range.arg("COUNT").arg(count);
        asked(self.link.call(Some(partition), &Call::Plain(range), self.budget).await)
    }

    /// Reads, and finds out in the same instant whether something is missing.
    async fn read_checked(
        &self,
        partition: u16,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Logged>> {
        let log = self.keys.log(partition);
        let keys = vec![log.changes, log.marks, log.erased];
        let args = vec![wire::id_of(after).into(), limit.to_string().into()];
        let call = Call::Script { script: &script::ENTRIES, keys, args };
        let answer = self.link.call(Some(partition), &call, self.budget).await;
        let mut answer = asked::<Vec<Vec<u8>>>(answer)?.into_iter();
        let [known, trimmed] = [answer.next(), answer.next()].map(Option::unwrap_or_default);
        is_whole(&known, &trimmed, after)?;
        let mut entries = Vec::with_capacity(answer.len() / 2);
        while let (Some(id), Some(bytes)) = (answer.next(), answer.next()) {
            entries.push(wire::logged(&String::from_utf8_lossy(&id), &bytes)?);
        }
        Ok(entries)
    }

    /// One answer where all keys are on one server, else one for each partition.
    async fn tails(&self, partitions: &[u16]) -> Result<Vec<Position>> {
        let at_once = if self.link.is_cluster() { 1 } else { partitions.len().max(1) };
        let answers = join_all(partitions.chunks(at_once).map(|partitions| {
            let logs = partitions.iter().map(|partition| self.keys.log(*partition));
            let keys = logs.flat_map(|log| [log.changes, log.marks]).collect();
            let call = Call::Script { script: &script::TAILS, keys, args: Vec::new() };
            async move {
                let tails = self.link.call(partitions.first().copied(), &call, self.budget).await;
                let tails: Vec<String> = asked(tails)?;
                tails.iter().map(|id| wire::position(id)).collect::<Result<Vec<_>>>()
            }
        }));
        let tails = answers.await.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(tails.into_iter().flatten().collect())
    }
}

#[async_trait]
impl ChangeLog for RedisLog {
    async fn tails(&self, partitions: &[u16]) -> Result<Vec<Position>> {
        self.inner.tails(partitions).await
    }

    /// Nearly always the entry at `after` is there: then one plain command tells that nothing is
    /// missing behind it, at a fifth of the server's time that a script takes.
    async fn read(&self, partition: u16, after: Position, limit: usize) -> Result<Vec<Logged>> {
        let limit = limit.min(READ_MAX);
        if after != Position::START {
            let mut entries = self.inner.range(partition, after, limit + 1).await?;
            if entries.first().is_some_and(|(id, _)| *id == wire::id_of(after)) {
                entries.remove(0);
                return entries.iter().map(|(id, fields)| wire::entry(id, fields)).collect();
            }
        }
        self.inner.read_checked(partition, after, limit).await
    }

    async fn attend(&self, partitions: &[u16]) -> Result<()> {
        let Inner { notices, link, budget, .. } = &*self.inner;
        notices.attend(partitions);
        // If the store is away, notices are ordered as soon as it is back.
        notices.order(link, *budget).await;
        self.inner.look().await;
        notices.note(partitions.iter().copied());
        Ok(())
    }

    async fn news(&self) -> News {
        self.inner.notices.news().await
    }
}

/// Whether nothing is missing between `after` and the entries that were read with it. A position that
/// is not there (any more) is as good as one that is there if it is the last one that was trimmed, or
/// was erased by itself and nothing after it trimmed.
fn is_whole(known: &[u8], trimmed: &[u8], after: Position) -> Result<()> {
    let trimmed = match trimmed {
        b"" => Position::START,
        id => wire::position(&String::from_utf8_lossy(id))?,
    };
    if known == b"there" || after == trimmed || (known == b"erased" && trimmed < after) {
        return Ok(());
    }
    Err(Error::OutOfRange(if after < trimmed {
        "the token is older than the change log: changes after it were trimmed, by age or because \
         the log was full; start again with a snapshot"
            .to_owned()
    } else {
        "the change log does not know this place: the store lost its newest changes (in a failover, \
         or by a restored backup); start again with a snapshot"
            .to_owned()
    }))
}
