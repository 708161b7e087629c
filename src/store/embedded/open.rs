//! The store's own record: what it was made with.

use serde::{Deserialize, Serialize};

use super::{
    host::Secret,
    key,
    kv::{Kv, Pen},
    value::Stored,
};
use crate::{
    engine::{Error, Result, pseudonym::Fingerprints, store::PARTITIONS},
    store::schema_of,
};

/// Grows when keys or values change so that an older callgate must not write them.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Own {
    schema: u32,
    partitions: u16,
    secret: Vec<u8>,
    #[serde(default, skip_serializing_if = "Fingerprints::is_none")]
    pseudonyms: Fingerprints,
}

/// The field of a refusal for other keys.
pub(super) const KEY_FILE: &str = "privacy.key_file";

/// What a new store is made with.
#[derive(Debug, Default)]
pub(super) struct New {
    /// The key of the tombstones; `None`: a random one.
    pub(super) secret: Option<Vec<u8>>,
    /// Under which keys the ids of customers come; an old store must be under the same.
    pub(super) pseudonyms: Fingerprints,
}

/// Checks the store's own record, or makes it. It is flushed before the first answer, so that a store
/// whose seal says 0 has never answered anything.
pub(super) fn own(kv: &Kv, pen: &mut Pen, new: New) -> Result<Secret> {
    let mine = new.pseudonyms.clone();
    let own = match kv.get(&key::own())? {
        Some(stored) => rmp_serde::from_slice(&stored.payload).map_err(unreadable)?,
        None => make(kv, pen, new)?,
    };
    let Own { schema, partitions, secret, pseudonyms } = own;
    if schema != schema_of(SCHEMA, &pseudonyms) {
        return Err(Error::Internal(format!(
            "the embedded store is of schema {schema}, this callgate writes {SCHEMA}: start the \
             callgate that made it, or name another directory"
        )));
    }
    if partitions != PARTITIONS {
        return Err(Error::Internal(format!(
            "the embedded store has {partitions} partitions, this callgate uses {PARTITIONS}: start \
             the callgate that made it, or name another directory"
        )));
    }
    let refused = |problem| Error::Invalid { field: KEY_FILE.to_owned(), problem };
    pseudonyms.admit(&mine).map_err(refused)?;
    Ok(Secret(secret))
}

/// The secret in the store's own record, if that can be read.
pub(super) fn secret(payload: &[u8]) -> Option<Secret> {
    rmp_serde::from_slice::<Own>(payload).ok().map(|own| Secret(own.secret))
}

fn random() -> Vec<u8> {
    [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat()
}

fn make(kv: &Kv, pen: &mut Pen, new: New) -> Result<Own> {
    let own = Own {
        schema: schema_of(SCHEMA, &new.pseudonyms),
        partitions: PARTITIONS,
        secret: new.secret.unwrap_or_else(random),
        pseudonyms: new.pseudonyms,
    };
    let payload = rmp_serde::to_vec_named(&own).map_err(unreadable)?;
    kv.commit(pen, [(key::own(), Some(Stored::lasting(payload)))])?;
    kv.flush(pen)?;
    Ok(own)
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("the embedded store's own record cannot be read: {error}"))
}
