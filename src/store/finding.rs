//! What `callgate doctor` finds out about a store.

use serde::Serialize;

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, and may hurt some day.
    Warn,
    /// Does not work, or loses what must not be lost.
    Fail,
}

/// Where a store is under other keys of pseudonyms. The refusal says which way it is.
pub(crate) const KEYS_MEND: &str =
    "a store takes the key file that it was made with: docs/security.md says how it gets another";

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How good it is.
    pub level: Level,
    /// What was looked at.
    pub check: String,
    /// What was found.
    pub found: String,
    /// What mends it; "" where nothing is wrong.
    pub mend: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Level::Ok, check, found, "")
    }

    /// Works, and may hurt some day.
    pub fn warn(
        check: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::new(Level::Warn, check, found, mend)
    }

    /// Does not work, or loses what must not be lost.
    pub fn fail(
        check: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::new(Level::Fail, check, found, mend)
    }

    fn new(
        level: Level,
        check: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { level, check: check.into(), found: found.into(), mend: mend.into() }
    }
}

/// "3 MiB".
pub(crate) fn bytes(count: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(size, _)| *size <= count) {
        Some((size, unit)) => {
            let tenths = count.saturating_mul(10) / size;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{count} B"),
    }
}
