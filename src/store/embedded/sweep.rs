//! Deletes what has expired, a stretch at a time. Nothing depends on it but space: what has expired
//! reads as missing anyway.

use super::{
    batch::{Batch, Space as _},
    key::Key,
};
use crate::engine::{Result, time::Millis};

/// Entries looked at in one go, once a second: a million are swept in half an hour.
pub(super) const STRETCH: usize = 512;

/// How far it came.
pub(super) struct Swept {
    /// Where to go on; `None`: the end was reached.
    pub(super) next: Option<Key>,
    /// How many entries went.
    pub(super) gone: usize,
}

/// Looks at `length` entries from `from` on.
pub(super) fn stretch(
    batch: &mut Batch<'_>,
    from: &[u8],
    length: usize,
    now: Millis,
) -> Result<Swept> {
    let (mut over, mut seen, mut next) = (Vec::new(), 0, None);
    batch.view()?.scan(&[], from, &mut |key, stored| {
        if seen == length {
            next = Some(key.to_vec());
            return Ok(false);
        }
        seen += 1;
        if stored.is_over(now) {
            over.push(key.to_vec());
        }
        Ok(true)
    })?;
    let gone = over.len();
    for key in over {
        batch.remove(key)?;
    }
    Ok(Swept { next, gone })
}
