//! Webhooks kept aside, bounded per partition by count and age.

use super::{
    batch::{Batch, Space},
    host::note_number,
    key,
    kv::View,
    value::Stored,
};
use crate::engine::{
    Error, Result,
    pair::PhoneNumberId,
    store::{PARTITIONS, QUARANTINE_AGE_MAX, QUARANTINE_COUNT_MAX, Quarantined},
    time::Millis,
};

/// Keeps one aside, once; the oldest go.
pub(super) fn keep(batch: &mut Batch<'_>, entry: &Quarantined, now: Millis) -> Result<()> {
    let key = key::quarantined(&entry.id);
    if batch.get(&key, now)?.is_some() {
        return Ok(());
    }
    let expires_at = Millis(entry.received_at.0.saturating_add(QUARANTINE_AGE_MAX));
    let payload = rmp_serde::to_vec_named(entry)
        .map_err(|error| Error::Internal(format!("a webhook cannot be kept aside: {error}")))?;
    let number = &entry.phone_number_id;
    let mut kept = ages(&batch.view()?, &key::quarantine_of(number), usize::MAX, now)?;
    kept.push(key::quarantine_age(number, entry.received_at, &entry.id));
    kept.sort();
    batch.put(key, Stored { expires_at, payload })?;
    let age = key::quarantine_age(number, entry.received_at, &entry.id);
    batch.put(age, Stored { expires_at, payload: Vec::new() })?;
    for over in &kept[..kept.len().saturating_sub(QUARANTINE_COUNT_MAX)] {
        batch.remove(key::quarantined(&key::quarantine_age_id(over)))?;
        batch.remove(over.clone())?;
    }
    // So that forgetting a customer on all numbers looks at this one, too.
    match PhoneNumberId::parse(number, "") {
        Ok(number) => note_number(batch, &number, now),
        Err(_) => Ok(()),
    }
}

/// What is kept aside, oldest first.
pub(super) fn list(view: &View<'_>, limit: usize, now: Millis) -> Result<Vec<Quarantined>> {
    let mut found = Vec::new();
    for prefix in all_prefixes() {
        found.extend(ages(view, &prefix, limit, now)?);
    }
    // By age, which follows the tag and the partition.
    found.sort_by(|a, b| a.get(3..).cmp(&b.get(3..)));
    found.truncate(limit);
    let ids = found.iter().map(|key| key::quarantine_age_id(key));
    ids.filter_map(|id| by_id(view, &id, now).transpose()).collect()
}

/// The ids of all that are kept aside.
pub(super) fn ids(view: &View<'_>, now: Millis) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for prefix in all_prefixes() {
        let ages = ages(view, &prefix, usize::MAX, now)?;
        ids.extend(ages.iter().map(|key| key::quarantine_age_id(key)));
    }
    Ok(ids)
}

/// How many are kept aside.
pub(super) fn size(view: &View<'_>, now: Millis) -> Result<u64> {
    all_prefixes().map(|prefix| Ok(ages(view, &prefix, usize::MAX, now)?.len() as u64)).sum()
}

/// One of them.
pub(super) fn by_id(space: &impl Space, id: &str, now: Millis) -> Result<Option<Quarantined>> {
    space.get(&key::quarantined(id), now)?.map(|bytes| read(&bytes)).transpose()
}

/// Drops one.
pub(super) fn release(batch: &mut Batch<'_>, id: &str, now: Millis) -> Result<()> {
    if let Some(entry) = by_id(batch, id, now)? {
        remove(batch, &entry)?;
    }
    Ok(())
}

/// Drops those of a number ("" for those that name none) that name one of these ids; not what came after
/// `until`. Returns whether there were any.
pub(super) fn forget(
    batch: &mut Batch<'_>,
    number: &str,
    ids: &[String],
    until: Option<Millis>,
) -> Result<bool> {
    let view = batch.view()?;
    let mut found = Vec::new();
    for age in ages(&view, &key::quarantine_of(number), usize::MAX, Millis::ZERO)? {
        let id = key::quarantine_age_id(&age);
        let entry = by_id(&view, &id, Millis::ZERO)?;
        let is_until = |at: Millis| until.is_none_or(|until| at <= until);
        found.extend(entry.filter(|entry| {
            entry.phone_number_id == number && is_until(entry.received_at) && entry.names(ids)
        }));
    }
    for entry in &found {
        remove(batch, entry)?;
    }
    Ok(!found.is_empty())
}

fn remove(batch: &mut Batch<'_>, entry: &Quarantined) -> Result<()> {
    batch.remove(key::quarantined(&entry.id))?;
    batch.remove(key::quarantine_age(&entry.phone_number_id, entry.received_at, &entry.id))
}

/// The keys of one partition, oldest first.
fn ages(view: &View<'_>, prefix: &[u8], limit: usize, now: Millis) -> Result<Vec<key::Key>> {
    let mut keys = Vec::new();
    view.scan(prefix, &[], &mut |key, stored| {
        if !stored.is_over(now) {
            keys.push(key.to_vec());
        }
        Ok(keys.len() < limit)
    })?;
    Ok(keys)
}

fn all_prefixes() -> impl Iterator<Item = key::Key> {
    (0..PARTITIONS).map(key::quarantine_in).chain([key::quarantine_of("")])
}

fn read(bytes: &[u8]) -> Result<Quarantined> {
    rmp_serde::from_slice(bytes)
        .map_err(|error| Error::Internal(format!("a webhook kept aside cannot be read: {error}")))
}
