//! The scripts: each is the rulebook, the codec and a thin shell, sent once and called by its SHA-1.

use std::sync::LazyLock;

use sha1::{Digest as _, Sha1};

use crate::rulebook;

/// One script.
#[derive(Debug)]
pub(super) struct Script {
    /// For metrics and messages.
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) sha: String,
}

/// One command on one pair.
pub(super) static SHELL: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("shell", include_str!("shell.lua")));
/// Many pairs are judged.
pub(super) static READ: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("read", include_str!("read.lua")));
/// One command on a business number.
pub(super) static NUMBER: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("number", include_str!("number.lua")));
/// What is known of a display number.
pub(super) static DISPLAY: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("display", include_str!("display.lua")));
/// A customer is erased.
pub(super) static FORGET: LazyLock<Script> =
    LazyLock::new(|| Script::with_rules("forget", include_str!("forget.lua")));
/// A webhook is kept aside.
pub(super) static QUARANTINE: LazyLock<Script> =
    LazyLock::new(|| Script::new("quarantine", include_str!("quarantine.lua").to_owned()));
/// What is fixed for the life of a store.
pub(super) static META: LazyLock<Script> =
    LazyLock::new(|| Script::new("meta", include_str!("meta.lua").to_owned()));

/// Whether the user may run what the others run.
pub(super) static PROBE: LazyLock<Script> =
    LazyLock::new(|| Script::new("probe", include_str!("probe.lua").to_owned()));
/// What the change log says of the forgotten goes.
pub(super) static ERASE: LazyLock<Script> =
    LazyLock::new(|| Script::new("erase", include_str!("erase.lua").to_owned()));
/// The change log from a position on.
pub(super) static ENTRIES: LazyLock<Script> =
    LazyLock::new(|| Script::new("entries", include_str!("entries.lua").to_owned()));
/// Where logs end.
pub(super) static TAILS: LazyLock<Script> =
    LazyLock::new(|| Script::with_log("tails", include_str!("tails.lua")));
/// Who looks for what is due.
pub(super) static LEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new("lease", include_str!("lease.lua").to_owned()));
/// What is due.
pub(super) static SWEEP: LazyLock<Script> =
    LazyLock::new(|| Script::with_log("sweep", include_str!("sweep.lua")));
/// A deadline has done its work.
pub(super) static SETTLED: LazyLock<Script> =
    LazyLock::new(|| Script::new("settled", include_str!("settled.lua").to_owned()));
/// Keys of records.
pub(super) static CUSTOMERS: LazyLock<Script> =
    LazyLock::new(|| Script::new("customers", include_str!("customers.lua").to_owned()));

/// All of them, to be loaded at start.
pub(super) fn all() -> [&'static Script; 14] {
    [
        &SHELL,
        &READ,
        &NUMBER,
        &DISPLAY,
        &FORGET,
        &QUARANTINE,
        &META,
        &ERASE,
        &ENTRIES,
        &TAILS,
        &LEASE,
        &SWEEP,
        &SETTLED,
        &CUSTOMERS,
    ]
}

impl Script {
    /// Each file is wrapped, so that it has its own 200 locals.
    fn with_rules(name: &'static str, shell: &str) -> Self {
        let text = format!(
            "local codec = (function() {}\nend)()\n\
             local rulebook = (function() {}\nreturn rulebook end)()\n{}\n{}\n{shell}",
            include_str!("../codec.lua"),
            rulebook::DEFINITIONS,
            include_str!("log.lua"),
            include_str!("host.lua"),
        );
        Self::new(name, text)
    }

    fn with_log(name: &'static str, rest: &str) -> Self {
        Self::new(name, format!("{}\n{rest}", include_str!("log.lua")))
    }

    fn new(name: &'static str, text: String) -> Self {
        let sha = hex::encode(Sha1::digest(text.as_bytes()));
        Self { name, text, sha }
    }
}
