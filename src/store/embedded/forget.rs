//! Erases a customer.

use super::{
    Embedded,
    batch::{Batch, Space},
    due,
    host::{Host, Secret},
    key, log, quarantine,
    value::Stored,
};
use crate::{
    engine::{
        Result,
        archive::{Join, Kept},
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
    /// Unset: of now, and of all that is known by now. Else what happened later stays.
    pub(super) as_of: Option<Millis>,
}

/// Erases every record that is linked with the customer, their changes on the log, and the webhooks
/// that name them; leaves a tombstone for each id. Returns whether there was anything.
pub(super) fn forget(
    vm: &mut Vm,
    batch: &mut Batch<'_>,
    forgetting: &Forgetting<'_>,
    now: Millis,
) -> Result<bool> {
    let Forgetting { number, customer, profile, secret, limits, as_of } = *forgetting;
    let wa = customer.wa().map_or("", |wa| wa.key());
    let user = customer.user().map_or("", |user| user.as_str());
    let mut host = Host { space: &mut *batch, number, secret, now, limits };
    let linked = vm.linked(wa, user, &mut host)?;
    let (mut was_any, mut erased_at, mut stays) = (false, as_of.unwrap_or(now), Vec::new());
    for id in &linked {
        if let Some(record) = host.load(id)? {
            was_any = true;
            match as_of {
                None => erased_at = erased_at.max(vm.newest(&record)?),
                Some(_) => stays.push((id.clone(), record)),
            }
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
            expires_at: Millis(erased_at.max(now).0.saturating_add(TOMBSTONE_AGE_MAX)),
            payload: erased_at.0.to_be_bytes().to_vec(),
        };
        batch.put(secret.tombstone(number, id), tombstone)?;
    }
    was_any |= quarantine::forget(batch, number.as_str(), &linked, as_of)?;
    was_any |= quarantine::forget(batch, "", &linked, as_of)?;
    if !stays.is_empty() {
        // The tombstones leave out what is not later.
        let kept = Kept::new(number.clone(), stays, linked)?;
        let mut host = Host { space: &mut *batch, number, secret, now, limits };
        vm.join(&Join { kept: &kept, profile, now }, now, &mut host)?;
    }
    Ok(was_any)
}

impl Embedded {
    /// See [`forget`].
    pub(super) async fn erase(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
        as_of: Option<Millis>,
    ) -> Result<bool> {
        let (number, customer, profile) = (number.clone(), customer.clone(), profile.clone());
        let (secret, limits, now) = (self.secret.clone(), self.limits, self.at(Millis::ZERO));
        let erase = move |vm: &mut Vm, batch: &mut Batch<'_>| {
            let forgetting = Forgetting {
                number: &number,
                customer: &customer,
                profile: &profile,
                secret: &secret,
                limits,
                as_of,
            };
            forget(vm, batch, &forgetting, now())
        };
        self.threads.write_alone(erase).await
    }
}

/// Erases the webhooks that name the customer and no business number.
pub(super) fn forget_unfiled(batch: &mut Batch<'_>, customer: &Customer) -> Result<()> {
    quarantine::forget(batch, "", &customer.keys(), None).map(|_| ())
}
