//! Erases a customer.

use super::{
    batch::{Batch, Space},
    host::{Host, Secret},
    key, quarantine,
    value::Stored,
};
use crate::{
    engine::{
        Result,
        pair::{Customer, PhoneNumberId},
        store::TOMBSTONE_AGE_MAX,
        time::Millis,
    },
    store::lua::{Records as _, Vm},
};

/// Erases every record that is linked with the customer and the webhooks that name them, and leaves
/// a tombstone for each id. Returns whether there was anything.
pub(super) fn forget(
    vm: &Vm,
    batch: &mut Batch<'_>,
    secret: &Secret,
    number: &PhoneNumberId,
    customer: &Customer,
    now: Millis,
) -> Result<bool> {
    let wa = customer.wa().map_or("", |wa| wa.key());
    let user = customer.user().map_or("", |user| user.as_str());
    let mut host = Host { space: &mut *batch, number, secret, now };
    let linked = vm.linked(wa, user, &mut host)?;
    let (mut was_any, mut erased_at) = (false, now);
    for id in &linked {
        if let Some(record) = host.load(id)? {
            was_any = true;
            erased_at = erased_at.max(vm.newest(&record)?);
        }
        erased_at = erased_at.max(host.erased(id)?);
    }
    for id in &linked {
        batch.remove(key::record(number, id));
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
