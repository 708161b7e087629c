//! One business number's records, as the rulebook's host asks for them.

use super::{batch::Space, due, key, log, value::Stored};
use crate::{
    engine::{Result, archive::hash_of, change::Change, pair::PhoneNumberId, time::Millis},
    store::{LogLimits, lua::Records},
};

/// The key of the tombstones' hashes: without it, nobody can tell who was forgotten.
#[derive(Clone)]
pub(super) struct Secret(pub(super) Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Where the tombstone of an id on a number stands.
    pub(super) fn tombstone(&self, number: &PhoneNumberId, id: &str) -> key::Key {
        key::tombstone(number, &hash_of(&self.0, number, id))
    }
}

/// The records of a number, in a space, at an instant.
pub(super) struct Host<'a, S> {
    pub(super) space: &'a mut S,
    pub(super) number: &'a PhoneNumberId,
    pub(super) secret: &'a Secret,
    pub(super) now: Millis,
    pub(super) limits: LogLimits,
}

impl<S: Space> Host<'_, S> {
    /// Notes that something was recorded on the number.
    pub(super) fn note_number(&mut self) -> Result<()> {
        note_number(self.space, self.number, self.now)
    }
}

/// See [`Host::note_number`].
pub(super) fn note_number(
    space: &mut impl Space,
    number: &PhoneNumberId,
    now: Millis,
) -> Result<()> {
    let known = key::known(number);
    if space.get(&known, now)?.is_none() {
        space.put(known, Stored::lasting(Vec::new()))?;
    }
    Ok(())
}

/// The facts of a number.
pub(super) fn number_facts(
    space: &impl Space,
    number: &PhoneNumberId,
    now: Millis,
) -> Result<Option<Vec<u8>>> {
    let known = space.get(&key::number(number), now)?;
    or_seed(space, number, key::seed_number, known, now)
}

/// What is known, or what stands in its place since a repair (see `repair`).
fn or_seed(
    space: &impl Space,
    number: &PhoneNumberId,
    seed: fn(Option<&PhoneNumberId>) -> key::Key,
    known: Option<Vec<u8>>,
    now: Millis,
) -> Result<Option<Vec<u8>>> {
    if known.is_some() {
        return Ok(known);
    }
    match space.get(&seed(Some(number)), now)? {
        Some(own) => Ok(Some(own)),
        None => space.get(&seed(None), now),
    }
}

impl<S: Space> Records for Host<'_, S> {
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        let known = self.space.get(&key::record(self.number, id), self.now)?;
        or_seed(self.space, self.number, key::seed_record, known, self.now)
    }

    fn tell(&mut self, mut change: Change) -> Result<()> {
        change.format = Change::FORMAT;
        self.number.as_str().clone_into(&mut change.number);
        log::tell(self.space, log::partition(self.number), &change, self.limits, self.now)
    }

    fn save(
        &mut self,
        id: &str,
        bytes: Vec<u8>,
        expire_at: Millis,
        due_at: Option<Millis>,
    ) -> Result<()> {
        self.note_number()?;
        if let Some(at) = due_at {
            due::set(self.space, self.number, id, at, self.now)?;
        }
        let stored = Stored { expires_at: expire_at, payload: bytes };
        self.space.put(key::record(self.number, id), stored)
    }

    fn number(&mut self) -> Result<Option<Vec<u8>>> {
        number_facts(self.space, self.number, self.now)
    }

    fn erased(&mut self, id: &str) -> Result<Millis> {
        let found = self.space.get(&self.secret.tombstone(self.number, id), self.now)?;
        Ok(found
            .and_then(|at| Some(Millis(u64::from_be_bytes(at.try_into().ok()?))))
            .unwrap_or_default())
    }
}
