//! The change log: entries numbered from 1 in each partition, written by the step that makes the
//! change.
//!
//! A position is the number of an entry and its mark, a short checksum: a store that was restored from
//! a backup, or lost its last second with the power, gives numbers anew, and whoever stands at one of
//! those that were lost must not go on as if the new one were it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    batch::{Batch, Space},
    key,
    kv::View,
    threads::Threads,
    value::Stored,
};
use crate::{
    engine::{
        Error, Result,
        change::{Change, ChangeLog, Logged, News, Position},
        code::change_cause,
        pair::PhoneNumberId,
        store::{PARTITIONS, partition_of},
        time::{Millis, millis},
    },
    store::{LogLimits, codec},
};

/// Old entries that one step removes at most; one more than it adds is enough to keep up.
const TRIM_MAX: u64 = 8;
/// Erased entries that the log may begin with. Who stands before them misses nothing, so it begins behind
/// them only once one behind them is trimmed. What is more is looked at no more than once.
const ERASED_MAX: u64 = 64;
/// Old entries that are removed at most in a second where nothing is written: a full log of a partition
/// is gone within four minutes of its age.
const TRIM_QUIET_MAX: u64 = 512;
/// Bits of a mark: three bytes of a resume token.
const MARK: u32 = (1 << 21) - 1;
/// Nobody waits longer for a notice: what was missed is found all the same.
const NEWS_WAIT_MAX: Duration = Duration::from_secs(5);
/// Notices that wait for a reader; one that is further behind looks everywhere.
pub(super) const NOTICES_MAX: usize = 1024;

/// Where the log of a partition begins and ends. Entries between may be missing: those of customers
/// who were forgotten.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Bounds {
    first: u64,
    last: u64,
    /// Of the entry `last`, also once that was erased.
    #[serde(default)]
    mark: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { first: 1, last: 0, mark: 0 }
    }
}

impl Bounds {
    fn read(space: &impl Space, partition: u16, now: Millis) -> Result<Self> {
        let bytes = space.get(&key::log_bounds(partition), now)?;
        bytes.map_or_else(
            || Ok(Self::default()),
            |bytes| {
                rmp_serde::from_slice(&bytes).map_err(|error| {
                    Error::Internal(format!("the bounds of the change log: {error}"))
                })
            },
        )
    }

    fn write(self, space: &mut impl Space, partition: u16) -> Result<()> {
        let bytes = rmp_serde::to_vec(&self).map_err(|error| Error::Internal(error.to_string()))?;
        space.put(key::log_bounds(partition), Stored::lasting(bytes))
    }

    fn end(self) -> Position {
        Position(self.last, self.mark)
    }
}

/// What tells an entry from another of the same number.
fn mark(entry: &[u8]) -> u64 {
    u64::from(crc32fast::hash(entry) & MARK)
}

/// Adds a change to the log of its number's partition, and removes some of what is too old.
pub(super) fn tell(
    space: &mut impl Space,
    partition: u16,
    change: &Change,
    limits: LogLimits,
    now: Millis,
) -> Result<()> {
    let mut bounds = Bounds::read(space, partition, now)?;
    let entry = codec::encode_change(change)?;
    (bounds.last, bounds.mark) = (bounds.last + 1, mark(&entry));
    space.put(key::log_entry(partition, bounds.last), Stored::lasting(entry))?;
    trim(space, partition, &mut bounds, limits, &mut { TRIM_MAX }, now)?;
    bounds.write(space, partition)?;
    space.note_news(partition);
    Ok(())
}

/// Removes what is too old where nothing is written, a little at a time.
pub(super) fn trim_quiet(batch: &mut Batch<'_>, limits: LogLimits, now: Millis) -> Result<()> {
    let mut left = TRIM_QUIET_MAX;
    for partition in 0..PARTITIONS {
        let mut bounds = Bounds::read(batch, partition, now)?;
        let first = bounds.first;
        trim(batch, partition, &mut bounds, limits, &mut left, now)?;
        if bounds.first != first {
            bounds.write(batch, partition)?;
        }
    }
    Ok(())
}

/// `left`: how many entries may still go.
fn trim(
    space: &mut impl Space,
    partition: u16,
    bounds: &mut Bounds,
    limits: LogLimits,
    left: &mut u64,
    now: Millis,
) -> Result<()> {
    let oldest = now.0.saturating_sub(millis(limits.age));
    let mut first = bounds.first;
    while 0 < *left && first <= bounds.last {
        let key = key::log_entry(partition, first);
        let is_many = bounds.last + 1 - first > u64::from(limits.length);
        first += 1;
        if let Some(bytes) = space.get(&key, now)? {
            if !is_many && codec::decode_change(&bytes)?.recorded_at.0 > oldest {
                break;
            }
            space.remove(key)?;
            *left -= 1;
        } else if first - bounds.first <= ERASED_MAX {
            continue;
        }
        bounds.first = first;
    }
    Ok(())
}

/// Erases the changes of a customer, but not that they were forgotten.
pub(super) fn erase(
    batch: &mut Batch<'_>,
    partition: u16,
    number: &str,
    ids: &[String],
) -> Result<()> {
    let mut gone = Vec::new();
    batch.view()?.scan(&key::log_of(partition), &[], &mut |key, stored| {
        let change = codec::decode_change(&stored.payload)?;
        let is_theirs = change.number == number
            && ids.iter().any(|id| *id == change.wa || *id == change.user)
            && change.cause != change_cause::FORGOTTEN;
        if is_theirs {
            gone.push(key.to_vec());
        }
        Ok(true)
    })?;
    gone.into_iter().try_for_each(|key| batch.remove(key))
}

/// Where the log of a partition ends.
pub(super) fn end(space: &impl Space, partition: u16, now: Millis) -> Result<Position> {
    Bounds::read(space, partition, now).map(Bounds::end)
}

fn read(view: &View<'_>, partition: u16, after: Position, limit: usize) -> Result<Vec<Logged>> {
    let bounds = Bounds::read(view, partition, Millis::ZERO)?;
    let place = key::log_entry(partition, after.0);
    let there = match after.0 {
        last if last == bounds.last => Some(bounds.mark),
        // One that was trimmed or erased cannot be told any more.
        _ => Space::get(view, &place, Millis::ZERO)?.map(|entry| mark(&entry)),
    };
    if after.0 > bounds.last || there.is_some_and(|mark| mark != after.1) {
        return Err(Error::OutOfRange(
            "the change log does not know this place: the store lost its newest changes (with the \
             power, or by a restored backup); start again with a snapshot"
                .to_owned(),
        ));
    }
    if after.0 + 1 < bounds.first {
        return Err(Error::OutOfRange(
            "the changes after this point are not in the change log any more; start again with a \
             snapshot"
                .to_owned(),
        ));
    }
    let mut entries = Vec::new();
    let from = key::log_entry(partition, after.0 + 1);
    view.scan(&key::log_of(partition), &from, &mut |key, stored| {
        if entries.len() == limit {
            return Ok(false);
        }
        let change = Arc::new(codec::decode_change(&stored.payload)?);
        let position = Position(key::log_number(key), mark(&stored.payload));
        entries.push(Logged { position, change });
        Ok(true)
    })?;
    Ok(entries)
}

/// The log, open for reading.
#[derive(Debug)]
pub(super) struct Log {
    /// A reader does not keep the store open.
    threads: Weak<Threads>,
    notices: tokio::sync::Mutex<Receiver<u16>>,
    attended: Mutex<BTreeSet<u16>>,
}

impl Log {
    pub(super) fn open(threads: &Arc<Threads>) -> Self {
        Self {
            threads: Arc::downgrade(threads),
            notices: tokio::sync::Mutex::new(threads.notices()),
            attended: Mutex::default(),
        }
    }

    fn threads(&self) -> Result<Arc<Threads>> {
        self.threads.upgrade().ok_or_else(|| Error::Unavailable("the store is closed".to_owned()))
    }

    fn attended_of(&self, noticed: BTreeSet<u16>) -> Vec<u16> {
        let attended = self.attended.lock().unwrap_or_else(PoisonError::into_inner);
        noticed.into_iter().filter(|partition| attended.contains(partition)).collect()
    }

    async fn notice(&self) -> News {
        let mut notices = self.notices.lock().await;
        loop {
            let mut noticed = match notices.recv().await {
                Ok(partition) => BTreeSet::from([partition]),
                Err(RecvError::Lagged(_)) => return News::OfAny,
                // The store is closed; reading says so.
                Err(RecvError::Closed) => std::future::pending().await,
            };
            while let Ok(partition) = notices.try_recv() {
                noticed.insert(partition);
            }
            let news = self.attended_of(noticed);
            if !news.is_empty() {
                return News::Of(news);
            }
        }
    }
}

#[async_trait]
impl ChangeLog for Log {
    async fn tails(&self, partitions: &[u16]) -> Result<Vec<Position>> {
        let partitions = partitions.to_vec();
        let look = move |_: &mut _, view: &mut View<'_>| {
            partitions.iter().map(|partition| end(view, *partition, Millis::ZERO)).collect()
        };
        self.threads()?.read(look).await
    }

    async fn read(&self, partition: u16, after: Position, limit: usize) -> Result<Vec<Logged>> {
        self.threads()?.read(move |_, view| read(view, partition, after, limit)).await
    }

    async fn attend(&self, partitions: &[u16]) -> Result<()> {
        let mut attended = self.attended.lock().unwrap_or_else(PoisonError::into_inner);
        *attended = partitions.iter().copied().collect();
        Ok(())
    }

    async fn news(&self) -> News {
        tokio::time::timeout(NEWS_WAIT_MAX, self.notice()).await.unwrap_or(News::OfAny)
    }
}

/// The partition of a change.
pub(super) fn partition(number: &PhoneNumberId) -> u16 {
    partition_of(number, PARTITIONS)
}
