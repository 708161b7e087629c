//! Where steps happen. [`codec`] is the record as bytes, [`lua`] the host that runs the rulebook in
//! this process, `reply` what comes back from it; the stores are beside them.

use std::time::Duration;

use crate::engine::pseudonym::Fingerprints;

pub(crate) mod cells;
pub mod codec;
pub mod embedded;
pub mod finding;
pub mod lua;
pub mod redis;
pub(crate) mod reply;

/// How much of the change log is kept. Both bounds hold; what is beyond either goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Changes older than this go.
    pub age: Duration,
    /// So many changes are kept per partition, at most.
    pub length: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { age: Duration::from_secs(7 * 24 * 3600), length: 100_000 }
    }
}

/// Added to the schema version of a store that keeps pseudonyms: a callgate that knows nothing of them
/// refuses it by its version, instead of looking for ids that are not there.
const OF_PSEUDONYMS: u32 = 1000;

/// The schema version of a store that is under these keys.
pub(crate) fn schema_of(schema: u32, pseudonyms: &Fingerprints) -> u32 {
    if pseudonyms.is_none() { schema } else { schema + OF_PSEUDONYMS }
}
