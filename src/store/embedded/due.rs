//! When time alone changes the state of a customer next: by time, and by customer.

use super::{
    batch::Space,
    key::{self, Key},
    kv::View,
    value::Stored,
};
use crate::engine::{
    Result,
    pair::{Customer, PhoneNumberId},
    store::{CustomersPage, Due},
    time::Millis,
};

/// Ids of one page.
const PAGE: usize = 1000;
/// The id that stands for all customers of a number.
pub(super) const WHOLE_NUMBER: &str = "";

/// Sets or, with an unset time, removes the deadline of an id.
pub(super) fn set(
    space: &mut impl Space,
    number: &PhoneNumberId,
    id: &str,
    at: Millis,
    now: Millis,
) -> Result<()> {
    let by_id = key::due_of(number, id);
    if let Some(known) = known(space, &by_id, now)? {
        space.remove(key::due(known, number, id))?;
        if at.get().is_none() {
            space.remove(by_id.clone())?;
        }
    }
    if at.get().is_some() {
        space.put(key::due(at, number, id), Stored::lasting(Vec::new()))?;
        space.put(by_id, Stored::lasting(at.0.to_be_bytes().to_vec()))?;
    }
    Ok(())
}

/// Removes a deadline that has passed: whatever there was to tell was told.
pub(super) fn settled(
    space: &mut impl Space,
    number: &PhoneNumberId,
    id: &str,
    until: Millis,
    now: Millis,
) -> Result<()> {
    match known(space, &key::due_of(number, id), now)? {
        Some(at) if at <= until => set(space, number, id, Millis::ZERO, now),
        _ => Ok(()),
    }
}

fn known(space: &impl Space, by_id: &[u8], now: Millis) -> Result<Option<Millis>> {
    let bytes = space.get(by_id, now)?;
    Ok(bytes.and_then(|bytes| Some(Millis(u64::from_be_bytes(bytes.try_into().ok()?)))))
}

/// What is due, the longest first.
pub(super) fn list(view: &View<'_>, now: Millis, limit: usize) -> Result<Vec<Due>> {
    let mut list = Vec::new();
    view.scan(&key::due_all(), &[], &mut |key, _| {
        let Some((at, number, id)) = key::due_parts(key) else { return Ok(true) };
        if now < at || list.len() == limit {
            return Ok(false);
        }
        let customer = (id != WHOLE_NUMBER).then(|| Customer::kept(id)).transpose()?;
        list.push(Due { number: PhoneNumberId::parse(number, "number")?, customer, at });
        Ok(true)
    })?;
    Ok(list)
}

/// Customers of a number, from the id `from` on.
pub(super) fn customers(
    view: &View<'_>,
    number: &PhoneNumberId,
    from: &str,
) -> Result<CustomersPage> {
    let prefix = key::record(number, "");
    let mut page = CustomersPage { customers: Vec::new(), next: None };
    view.scan(&prefix, &key::record(number, from), &mut |key, _| {
        let id = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
        if page.customers.len() == PAGE {
            page.next = Some(id);
            return Ok(false);
        }
        page.customers.push(Customer::kept(&id)?);
        Ok(true)
    })?;
    Ok(page)
}

/// The other entry of a deadline: each stands by time and by customer.
pub(super) fn twin((key, stored): &(Key, Stored)) -> Option<(Key, Stored)> {
    if key.starts_with(&key::due_all()) {
        let (at, number, id) = key::due_parts(key)?;
        let number = PhoneNumberId::parse(number, "").ok()?;
        return Some((key::due_of(&number, id), Stored::lasting(at.0.to_be_bytes().to_vec())));
    }
    let (number, id) = key::due_of_parts(key)?;
    let at = Millis(u64::from_be_bytes(stored.payload.as_slice().try_into().ok()?));
    Some((key::due(at, &number, &id), Stored::lasting(Vec::new())))
}
