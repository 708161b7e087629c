//! Webhooks kept aside, per partition, and apart those that name no business number.

use futures_util::future::try_join_all;
use redis::cmd;

use crate::{
    engine::{
        Result,
        archive::QuarantinedSink,
        pair::PhoneNumberId,
        store::{QUARANTINE_AGE_MAX, QUARANTINE_COUNT_MAX, Quarantined, Store as _, partition_of},
        time::Millis,
    },
    store::redis::{RedisStore, call::Call, script, wire},
};

/// So many are read at once when all must be looked through: a webhook may be large.
const PAGE: usize = 50;
/// More are never listed at once.
const LIST_MAX: usize = 100_000;

impl RedisStore {
    pub(super) async fn keep_aside(&self, entry: Quarantined) -> Result<()> {
        let number = wire::number_id(&entry.phone_number_id).ok();
        let partition = number.map(|number| partition_of(&number, self.keys.partitions()));
        let args = vec![
            entry.id.clone().into(),
            wire::pack(&entry)?,
            entry.received_at.0.to_string().into(),
            QUARANTINE_COUNT_MAX.to_string().into(),
            QUARANTINE_AGE_MAX.to_string().into(),
            entry.phone_number_id.clone().into(),
        ];
        let mut keys = Vec::from(self.keys.quarantine(partition));
        keys.extend(partition.map(|partition| self.keys.numbers(partition)));
        let call = Call::Script { script: &script::QUARANTINE, keys, args };
        self.keep::<()>(partition, call).await
    }

    /// The oldest of each partition, then the oldest of those.
    pub(super) async fn kept_aside(&self, limit: usize) -> Result<Vec<Quarantined>> {
        let limit = limit.min(LIST_MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let since = self.oldest_kept().await?;
        let times = try_join_all(self.homes().map(|home| async move {
            let ids = self.oldest_ids(home, since, limit).await?;
            Result::Ok(ids.into_iter().map(move |(id, at)| (at, id, home)).collect::<Vec<_>>())
        }));
        let mut oldest: Vec<_> = times.await?.into_iter().flatten().collect();
        oldest.sort();
        oldest.truncate(limit);
        let entries = oldest.iter().map(|(_, id, home)| self.entry(*home, id));
        Ok(try_join_all(entries).await?.into_iter().flatten().collect())
    }

    /// All of them, a page at a time.
    pub(super) async fn each_kept_aside(&self, to: QuarantinedSink<'_>) -> Result<()> {
        let since = self.oldest_kept().await?;
        for home in self.homes() {
            let ids = self.oldest_ids(home, since, QUARANTINE_COUNT_MAX).await?;
            for some in ids.chunks(PAGE) {
                let entries = some.iter().map(|(id, _)| self.entry(home, id));
                let entries = try_join_all(entries).await?;
                entries.into_iter().flatten().try_for_each(&mut *to)?;
            }
        }
        Ok(())
    }

    /// How many there are: one question for each partition, without what is kept. (Counting them there
    /// would take a right that users of an ACL did not need so far.)
    pub(super) async fn count_kept_aside(&self) -> Result<u64> {
        let since = self.oldest_kept().await?;
        let ids = self.homes().map(|home| self.oldest_ids(home, since, QUARANTINE_COUNT_MAX));
        Ok(try_join_all(ids).await?.iter().map(|ids| ids.len() as u64).sum())
    }

    pub(super) async fn kept_aside_by_id(&self, id: &str) -> Result<Option<Quarantined>> {
        let since = self.oldest_kept().await?;
        let found = try_join_all(self.homes().map(|home| self.entry(home, id))).await?;
        Ok(found.into_iter().flatten().find(|entry| since <= entry.received_at.0))
    }

    pub(super) async fn drop_kept_aside(&self, id: &str) -> Result<()> {
        try_join_all(self.homes().map(|home| self.drop_entry(home, id))).await.map(drop)
    }

    /// Drops what names one of these ids, on one number or on those without; not what came after
    /// `until`. Returns how many.
    pub(super) async fn erase_quarantined(
        &self,
        home: Option<u16>,
        number: Option<&PhoneNumberId>,
        ids: &[String],
        until: Option<Millis>,
    ) -> Result<usize> {
        let (mut erased, mut kept) = (0, 0);
        loop {
            let page = self.newest_ids(home, kept, PAGE).await?;
            kept += page.len();
            let entries = page.iter().map(|(id, _)| self.entry(home, id));
            for entry in try_join_all(entries).await?.into_iter().flatten() {
                let is_of_number = number.is_none_or(|n| n.as_str() == entry.phone_number_id);
                let is_until = until.is_none_or(|until| entry.received_at <= until);
                if is_of_number && is_until && entry.names(ids) {
                    self.drop_entry(home, &entry.id).await?;
                    erased += 1;
                    kept -= 1;
                }
            }
            if page.len() < PAGE {
                return Ok(erased);
            }
        }
    }

    fn homes(&self) -> impl Iterator<Item = Option<u16>> {
        (0..self.keys.partitions()).map(Some).chain([None])
    }

    /// What came before is over. The server drops it when another webhook is kept aside beside it, or
    /// after 30 days without any.
    async fn oldest_kept(&self) -> Result<u64> {
        Ok((self.now().await?.0 + 1).saturating_sub(QUARANTINE_AGE_MAX))
    }

    /// Ids with their times.
    async fn oldest_ids(
        &self,
        home: Option<u16>,
        since: u64,
        count: usize,
    ) -> Result<Vec<(String, u64)>> {
        let [_, times] = self.keys.quarantine(home);
        let mut range = cmd("ZRANGEBYSCORE");
        range.arg(times).arg(since).arg("+inf").arg("WITHSCORES").arg("LIMIT").arg(0).arg(count);
        self.bulk(home, Call::Plain(range)).await
    }

    /// Ids with their times. Newest first, so that what is trimmed meanwhile does not move the pages
    /// that are still to come.
    async fn newest_ids(
        &self,
        home: Option<u16>,
        start: usize,
        count: usize,
    ) -> Result<Vec<(String, u64)>> {
        let [_, times] = self.keys.quarantine(home);
        let mut range = cmd("ZREVRANGE");
        range.arg(times).arg(start).arg(start + count - 1).arg("WITHSCORES");
        self.bulk(home, Call::Plain(range)).await
    }

    async fn entry(&self, home: Option<u16>, id: &str) -> Result<Option<Quarantined>> {
        let [by_id, _] = self.keys.quarantine(home);
        let get = Call::Plain(cmd("HGET").arg(by_id).arg(id).to_owned());
        let bytes: Option<Vec<u8>> = self.bulk(home, get).await?;
        bytes.map(|bytes| wire::unpack_entry(&bytes)).transpose()
    }

    /// An entry without its time, if only the first happens, is neither listed nor kept for long.
    async fn drop_entry(&self, home: Option<u16>, id: &str) -> Result<()> {
        let [by_id, times] = self.keys.quarantine(home);
        let entry = Call::Plain(cmd("HDEL").arg(by_id).arg(id).to_owned());
        self.bulk::<()>(home, entry).await?;
        self.keep::<()>(home, Call::Plain(cmd("ZREM").arg(times).arg(id).to_owned())).await
    }
}
