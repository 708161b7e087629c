//! The law: pure Lua functions, run unchanged by both stores.
//!
//! A command happens to a pair in one atomic step: `(facts, command, profile, now) -> (facts',
//! reply)`. Facts join, views derive, and one verb decides; `docs/rules.md` says the rules in words.
//!
//! | file | holds |
//! |---|---|
//! | `codes.lua` | the numbers shared with the contract and the record |
//! | `rows.lua` | calls and requests as parallel columns, joined by id |
//! | `facts.lua` | a record, and how each fact joins it |
//! | `identity.lua` | one customer under two ids |
//! | `streak.lua` | misses in a row, auto-revocations |
//! | `consent.lua` | the grant in effect, the status |
//! | `quotas.lua` | what is used and held, and when it frees |
//! | `number.lua` | the business number's own facts |
//! | `judge.lua` | views and verdicts |
//! | `changes.lua` | what the stream tells |
//! | `fold.lua` | what is older than the horizon |
//! | `merge.lua` | records that were kept elsewhere |
//! | `rulebook.lua` | the door: one function per verb |
//!
//! The files see only their arguments: no clock, no chance, no `redis`. Each becomes a local of the
//! same name, in the order above, so that a file knows only those before it.

use sha1::{Digest as _, Sha1};

macro_rules! rulebook_file {
    ($name:literal) => {
        concat!(
            "local ",
            $name,
            " = (function()\n",
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/rulebook/", $name, ".lua")),
            "end)()\n"
        )
    };
}

/// All files as one chunk that defines the local `rulebook`, to be followed by what uses it.
pub const DEFINITIONS: &str = concat!(
    rulebook_file!("codes"),
    rulebook_file!("rows"),
    rulebook_file!("facts"),
    rulebook_file!("identity"),
    rulebook_file!("streak"),
    rulebook_file!("consent"),
    rulebook_file!("quotas"),
    rulebook_file!("number"),
    rulebook_file!("judge"),
    rulebook_file!("changes"),
    rulebook_file!("fold"),
    rulebook_file!("merge"),
    rulebook_file!("rulebook"),
);

/// Names this version of the law: the first 12 hex digits of the SHA-1 of its text.
pub fn sha() -> String {
    let mut digest = hex::encode(Sha1::digest(DEFINITIONS));
    digest.truncate(12);
    digest
}
