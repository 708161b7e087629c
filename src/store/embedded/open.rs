//! The store's own record: what it was made with.

use serde::{Deserialize, Serialize};

use super::{
    host::Secret,
    key,
    kv::{Kv, Pen},
    value::Stored,
};
use crate::engine::{Error, Result, store::PARTITIONS};

/// Grows when keys or values change so that an older callgate must not write them.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Own {
    schema: u32,
    partitions: u16,
    secret: Vec<u8>,
}

/// Checks the store's own record, or makes it. It is flushed before the first answer, so that a store
/// whose seal says 0 has never answered anything.
/// `secret` is that of a new one; `None`: a random one.
pub(super) fn own(kv: &Kv, pen: &mut Pen, secret: Option<Vec<u8>>) -> Result<Secret> {
    let own = match kv.get(&key::own())? {
        Some(stored) => rmp_serde::from_slice(&stored.payload).map_err(unreadable)?,
        None => make(kv, pen, secret.unwrap_or_else(random))?,
    };
    let Own { schema, partitions, secret } = own;
    if schema != SCHEMA {
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
    Ok(Secret(secret))
}

/// The secret in the store's own record, if that can be read.
pub(super) fn secret(payload: &[u8]) -> Option<Secret> {
    rmp_serde::from_slice::<Own>(payload).ok().map(|own| Secret(own.secret))
}

fn random() -> Vec<u8> {
    [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat()
}

fn make(kv: &Kv, pen: &mut Pen, secret: Vec<u8>) -> Result<Own> {
    let own = Own { schema: SCHEMA, partitions: PARTITIONS, secret };
    let payload = rmp_serde::to_vec_named(&own).map_err(unreadable)?;
    kv.commit(pen, [(key::own(), Some(Stored::lasting(payload)))])?;
    kv.flush(pen)?;
    Ok(own)
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("the embedded store's own record cannot be read: {error}"))
}
