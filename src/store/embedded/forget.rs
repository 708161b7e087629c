//! Erases a customer.

use super::{
    batch::{Batch, Space},
    due,
    host::{Host, Secret},
    key, log, quarantine,
    value::Stored,
};
use crate::{
    engine::{
        Result,
        pair::{Customer, PhoneNumberId},
        profile::Profile,
        store::TOMBSTONE_AGE_MAX,
        tally,
        time::Millis,
    },
    store::{
        LogLimits,
        lua::{Records as _, Vm},
    },
};

/// Whom to forget, and by which rules.
pub(super) struct Forgetting<'a> {
    pub(super) number: &'a PhoneNumberId,
    pub(super) customer: &'a Customer,
    pub(super) profile: &'a Profile,
    pub(super) secret: &'a Secret,
    pub(super) limits: LogLimits,
}

/// Erases every record that is linked with the customer, their changes on the log, and the webhooks
/// that name them; leaves a tombstone for each id. Returns whether there was anything.
pub(super) fn forget(
    vm: &mut Vm,
    batch: &mut Batch<'_>,
    forgetting: &Forgetting<'_>,
    now: Millis,
) -> Result<bool> {
    let Forgetting { number, customer, profile, secret, limits } = *forgetting;
    let wa = customer.wa().map_or("", |wa| wa.key());
    let user = customer.user().map_or("", |user| user.as_str());
    let mut host = Host { space: &mut *batch, number, secret, now, limits };
    let linked = vm.linked(wa, user, &mut host)?;
    let (mut was_any, mut erased_at) = (false, now);
    for id in &linked {
        if let Some(record) = host.load(id)? {
            was_any = true;
            erased_at = erased_at.max(vm.newest(&record)?);
        }
        erased_at = erased_at.max(host.erased(id)?);
    }
    let forgotten = vm.forgotten(&linked, profile, now, &mut host)?;
    log::erase(batch, log::partition(number), number.as_str(), &linked)?;
    tally::forgotten(forgotten.len() as u64);
    let mut host = Host { space: &mut *batch, number, secret, now, limits };
    for change in forgotten {
        host.tell(change)?;
    }
    for id in &linked {
        due::set(batch, number, id, Millis::ZERO, now)?;
        batch.remove(key::record(number, id))?;
        let tombstone = Stored {
            expires_at: Millis(erased_at.0.saturating_add(TOMBSTONE_AGE_MAX)),
            payload: erased_at.0.to_be_bytes().to_vec(),
        };
        batch.put(secret.tombstone(number, id), tombstone)?;
    }
    was_any |= quarantine::forget(batch, number.as_str(), &linked)?;
    was_any |= quarantine::forget(batch, "", &linked)?;
    Ok(was_any)
}

/// Erases the webhooks that name the customer and no business number.
pub(super) fn forget_unfiled(batch: &mut Batch<'_>, customer: &Customer) -> Result<()> {
    quarantine::forget(batch, "", &customer.keys()).map(|_| ())
}
