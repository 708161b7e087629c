//! All that is kept, taken out or joined to.

use std::collections::HashSet;

use async_trait::async_trait;

use super::{
    Embedded,
    batch::{Batch, Space},
    host::{Host, Secret},
    key,
    kv::View,
    numbers, quarantine,
    value::Stored,
};
use crate::{
    engine::{
        Error, Result,
        archive::{Archive, Forgotten, Item, Join, Kept, QuarantinedSink, Sink},
        pair::{Customer, PhoneNumberId},
        profile::Profile,
        pseudonym::Fingerprints,
        step::Reply,
        store::{PARTITIONS, TOMBSTONE_AGE_MAX},
        time::Millis,
    },
    store::{LogLimits, lua::Vm},
};

/// Entries that are looked at in one go.
const PAGE: usize = 1000;
/// Quarantined webhooks that are read in one go.
const QUARANTINED_AT_ONCE: usize = 50;
/// See [`seeds`].
const RETENTION: u64 = 400 * 24 * 3600 * 1000;

/// What a stretch of keys held, and where the next one begins.
struct Page {
    items: Vec<Item>,
    next: Option<key::Key>,
    /// Records that stand in `items` already, of the number at hand.
    done: HashSet<key::Key>,
}

#[async_trait]
impl Archive for Embedded {
    async fn take_out(&self, to: Sink<'_>) -> Result<()> {
        let now = self.at(Millis::ZERO);
        self.threads.read(move |_, view| seeds(view, now())).await?;
        self.each_page(key::displays(), to).await?;
        for partition in 0..PARTITIONS {
            self.each_page(key::records_in(partition), to).await?;
        }
        for partition in 0..PARTITIONS {
            self.each_page(key::tombstones_in(partition), to).await?;
        }
        Ok(())
    }

    fn pseudonyms(&self) -> &Fingerprints {
        &self.pseudonyms
    }

    async fn take_out_quarantined(&self, to: QuarantinedSink<'_>) -> Result<()> {
        let now = self.at(Millis::ZERO);
        let ids = self.threads.read(move |_, view| quarantine::ids(view, now())).await?;
        for some in ids.chunks(QUARANTINED_AT_ONCE) {
            let (some, now) = (some.to_vec(), self.at(Millis::ZERO));
            let look = move |_: &mut Vm, view: &mut View<'_>| {
                let now = now();
                let all = some.iter().map(|id| quarantine::by_id(view, id, now));
                all.collect::<Result<Vec<_>>>()
            };
            let entries = self.threads.read(look).await?;
            entries.into_iter().flatten().try_for_each(&mut *to)?;
        }
        Ok(())
    }

    async fn join(&self, join: Join<'_>) -> Result<Reply> {
        let (kept, profile) = (join.kept.clone(), join.profile.clone());
        let (now, secret, limits) = (self.at(join.now), self.secret.clone(), self.limits);
        let happen = move |vm: &mut Vm, batch: &mut Batch<'_>| {
            let now = now();
            let mut host =
                Host { space: batch, number: &kept.number, secret: &secret, now, limits };
            let join = Join { kept: &kept, profile: &profile, now };
            vm.join(&join, now, &mut host)
        };
        self.threads.write(happen).await
    }

    async fn join_forgotten(&self, forgotten: &Forgotten) -> Result<()> {
        let (forgotten, now) = (forgotten.clone(), self.at(Millis::ZERO));
        let note = move |_: &mut Vm, batch: &mut Batch<'_>| {
            let key = key::tombstone_in(forgotten.partition, &forgotten.hash);
            let (at, now) = (forgotten.at, now());
            let expires_at = Millis(at.0.saturating_add(TOMBSTONE_AGE_MAX));
            if expires_at <= now || at <= erased_at(batch, &key, now)? {
                return Ok(());
            }
            batch.put(key, Stored { expires_at, payload: at.0.to_be_bytes().to_vec() })
        };
        self.threads.write(note).await
    }

    async fn forget_as_of(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
        at: Millis,
    ) -> Result<bool> {
        self.erase(number, customer, profile, Some(at)).await
    }

    async fn erased_at(&self, number: &PhoneNumberId, ids: &[String]) -> Result<Millis> {
        let keys: Vec<_> = ids.iter().map(|id| self.secret.tombstone(number, id)).collect();
        let now = self.at(Millis::ZERO);
        let look = move |_: &mut Vm, view: &mut View<'_>| {
            let now = now();
            let all = keys.iter().map(|key| erased_at(view, key, now));
            all.collect::<Result<Vec<_>>>()
        };
        Ok(self.threads.read(look).await?.into_iter().max().unwrap_or_default())
    }
}

/// What a tombstone says, or unset.
fn erased_at(space: &impl Space, key: &[u8], now: Millis) -> Result<Millis> {
    let at = space.get(key, now)?.and_then(|at| at.try_into().ok());
    Ok(at.map(u64::from_be_bytes).map(Millis).unwrap_or_default())
}

impl Embedded {
    async fn each_page(&self, prefix: key::Key, to: Sink<'_>) -> Result<()> {
        let (mut from, mut done) = (Some(prefix.clone()), HashSet::new());
        while let Some(start) = from {
            let (prefix, secret) = (prefix.clone(), self.secret.clone());
            let (now, limits) = (self.at(Millis::ZERO), self.limits);
            let look = move |vm: &mut Vm, view: &mut View<'_>| {
                page(vm, view, (&prefix, &start), done, (&secret, limits, now()))
            };
            let page = self.threads.read(look).await?;
            page.items.into_iter().try_for_each(&mut *to)?;
            (from, done) = (page.next, page.done);
        }
        Ok(())
    }
}

fn page(
    vm: &mut Vm,
    view: &mut View<'_>,
    (prefix, from): (&[u8], &[u8]),
    done: HashSet<key::Key>,
    (secret, limits, now): (&Secret, LogLimits, Millis),
) -> Result<Page> {
    let (mut found, mut next) = (Vec::new(), None);
    view.scan(prefix, from, &mut |key, stored| {
        if found.len() == PAGE {
            next = Some(key.to_vec());
            return Ok(false);
        }
        if !stored.is_over(now) {
            found.push((key.to_vec(), stored.payload));
        }
        Ok(true)
    })?;
    let mut page = Page { items: Vec::new(), next, done };
    for (key, payload) in found {
        if let Some((number, id)) = key::record_parts(&key) {
            if page.done.contains(&key) {
                continue;
            }
            let mut host = Host { space: &mut *view, number: &number, secret, now, limits };
            let ids = vm.linked(&id, "", &mut host)?;
            let mut records = Vec::new();
            for id in &ids {
                let key = key::record(&number, id);
                // Not what stands for a missing one since a repair.
                if let Some(bytes) = Space::get(view, &key, now)? {
                    records.push((id.clone(), bytes));
                    page.done.insert(key);
                }
            }
            page.items.push(Item::Kept(Kept::new(number, records, ids)?));
        } else if let Some((partition, hash)) = key::tombstone_parts(&key) {
            let at = payload.try_into().map(u64::from_be_bytes).map(Millis);
            let at = at.map_err(|_| Error::Internal("a tombstone cannot be read".to_owned()))?;
            page.items.push(Item::Forgotten(Forgotten { partition, hash, at }));
        } else if let Some(digits) = key::display_digits(&key) {
            page.items.push(Item::Display(numbers::display(vm, digits, &payload, now)?));
        }
    }
    Ok(page)
}

/// What stands for records that a repair could not save cannot be carried over: it is of customers whom
/// nobody knows. Once no provider delivers again what was told before, nothing is lost with it.
fn seeds(view: &View<'_>, now: Millis) -> Result<()> {
    view.scan(&key::seeds(), &[], &mut |_, stored| {
        let repaired_at = stored.expires_at.0.saturating_sub(RETENTION);
        if now.0 < repaired_at.saturating_add(TOMBSTONE_AGE_MAX) {
            let until = Millis(repaired_at.saturating_add(TOMBSTONE_AGE_MAX)).utc();
            return Err(Error::invalid(
                "store",
                format!(
                    "this store was repaired, and the consent of customers whose records were lost is \
                     taken back in it, which no export can carry: export it after {}, when nothing \
                     from before the repair is delivered again",
                    until.format("%FT%TZ")
                ),
            ));
        }
        Ok(true)
    })
}
